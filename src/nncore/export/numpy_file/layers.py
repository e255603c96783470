"""How ops are written: one entry for each NNC_LAYER of the registry that has steps. Recurrent ops are in recurrent.py.

An entry returns an expression. Sizes that depend on the time steps or on the batch do not appear as numbers, so that the file holds
for any of them.
"""

from __future__ import annotations

from collections.abc import Callable

from ...layers.slicing import FAR
from ..walk import Step
from .activations import ACTIVATIONS
from .recurrent import last_state, recurrent
from .writer import Writer

Entry = Callable[[Writer, Step], str]


def _linear(w: Writer, step: Step) -> str:
    return w.call("linear", *w.inputs(step), *(w.weight(step, role) for role in ("weight", "bias") if role in step.parameters))


def _activation(w: Writer, step: Step) -> str:
    return ACTIVATIONS[step.op.code](w, step, w.inputs(step)[0])


def _embedding(w: Writer, step: Step) -> str:
    return w.call("embedding", *w.inputs(step), w.weight(step, "weight"))


# Shapes -----------------------------------------------------------------------------------------------------------------------


def _flatten(w: Writer, step: Step) -> str:
    (x,), known = w.inputs(step), w.value(step)
    rank = len(known.shape) + 1
    start, end = (d % rank for d in (step.op.field("start_dim"), step.op.field("end_dim")))
    if not known.shape:
        return f"{x}[:, None]"
    if any(w.result(step).axes):
        return w.call("flatten", x, str(start), str(end))
    return _sized(x, *w.result(step).shape)


def _sized(x: str, *sizes: int) -> str:
    return f"{x}.reshape({', '.join([f'len({x})', *map(str, sizes)])})"


def _reshape(w: Writer, step: Step) -> str:
    (x,), known = w.inputs(step), w.result(step)
    return w.call("reshape", x, *map(str, step.op.field("dims"))) if any(known.axes) else _sized(x, *known.shape)


def _permute(w: Writer, step: Step) -> str:
    return f"{w.inputs(step)[0]}.transpose({', '.join(map(str, (0, *step.op.field('dims'))))})"


def _repeat_vector(w: Writer, step: Step) -> str:
    return f"np.repeat({w.inputs(step)[0]}[:, None], {step.op.field('n')}, axis=1)"


def _slice(w: Writer, step: Step) -> str:
    op, rank = step.op, len(w.value(step).shape) + 1
    start, stop, stride = (op.field(name) for name in ("start", "stop", "step"))
    start = "" if start == (0 if stride > 0 else FAR) else start
    part = f"{start}:{'' if abs(stop) == FAR else stop}{'' if stride == 1 else f':{stride}'}"
    return f"{w.inputs(step)[0]}[{':, ' * (op.field('axis') % rank)}{part}]"


def _take(w: Writer, step: Step) -> str:
    axis = step.op.field("axis") % (len(w.value(step).shape) + 1)
    return f"{w.inputs(step)[0]}[{':, ' * axis}{list(step.op.field('indices'))}]"


# Normalization ----------------------------------------------------------------------------------------------------------------


def _scale_and_shift(w: Writer, step: Step) -> dict[str, str]:
    roles = {"scale": "weight", "shift": "bias"}
    return {name: w.weight(step, role) for name, role in roles.items() if role in step.parameters}


def _batch_norm(w: Writer, step: Step) -> str:
    (x,), eps, options = w.inputs(step), w.number(step.op.field("eps")), _scale_and_shift(w, step)
    if not step.op.field("features_last") and len(w.value(step).shape) > 1:
        options["axis"] = "1"
    if step.op.field("track_running_stats"):
        mean, variance = (w.weight(step, role) for role in ("running_mean", "running_var"))
        return w.call("batch_norm", x, mean, variance, eps, **options)
    if (counts := w.counts(step.op.inputs[0])) != "None":
        options["counts"] = counts
    return w.call("batch_norm_of_batch", x, eps, **options)


def _layer_norm(w: Writer, step: Step) -> str:
    dimensions, eps = str(len(step.op.field("normalized_shape"))), w.number(step.op.field("eps"))
    return w.call("layer_norm", *w.inputs(step), dimensions, eps, **_scale_and_shift(w, step))


# Units with several parts -------------------------------------------------------------------------------------------------------


def _prelu(w: Writer, step: Step) -> str:
    """A slope for each channel, which is dimension 1, or one for all."""
    more = len(w.value(step).shape) - 1 if step.op.field("num_parameters") > 1 else 0
    slope = w.weight(step, "weight")
    return w.call("leaky_relu", *w.inputs(step), f"{slope}.reshape(-1{', 1' * more})" if more else slope)


def _maxout(w: Writer, step: Step) -> str:
    return w.call("maxout", *w.inputs(step), str(step.op.field("pieces")))


def _glu(w: Writer, step: Step) -> str:
    return w.call("glu", *w.inputs(step))


# Merges -------------------------------------------------------------------------------------------------------------------------


def _aligned(w: Writer, step: Step) -> list[str]:
    """The inputs with equally many dimensions. Missing ones come after the batch."""
    rank = len(w.result(step).shape)
    missing = [rank - len(w.walk.values[i].shape) for i in step.op.inputs]
    return [f"{x}[:{', None' * n}]" if n else x for x, n in zip(w.inputs(step), missing, strict=True)]


def _add(w: Writer, step: Step) -> str:
    first, rest, offset = (step.op.field(name) for name in ("first", "rest", "offset"))
    terms = _aligned(w, step)
    text = terms[0] if first == 1 else f"{w.number(first)} * {terms[0]}"
    for x in terms[1:]:
        sign = "-" if rest < 0 else "+"
        text += f" {sign} {x}" if abs(rest) == 1 else f" {sign} {w.number(abs(rest))} * {x}"
    text += "" if offset == 0 else f" {'-' if offset < 0 else '+'} {w.number(abs(offset))}"
    return text if len(terms) < 4 else f"({text})"


def _multiply(w: Writer, step: Step) -> str:
    factors = _aligned(w, step)
    text = " * ".join(factors)
    return text if len(factors) < 4 else f"({text})"


def _maximum(w: Writer, step: Step) -> str:
    return w.call("minimum" if step.op.field("is_minimum") else "maximum", *_aligned(w, step))


def _concat(w: Writer, step: Step) -> str:
    axis, rank, parts = step.op.field("axis"), len(w.result(step).shape) + 1, f"[{', '.join(w.inputs(step))}]"
    counts = [w.counts(i) for i in step.op.inputs]
    listed = f"[{', '.join(counts)}]"
    if axis % rank == 1 and {*counts} != {"None"}:
        name = w.count_anew(step)
        w.line(f"{name} = {w.call('joined_counts', parts, listed)}")
        return w.call("join_in_time", parts, listed)
    return f"np.concatenate({parts}, axis={axis})"


# Pooling over time ----------------------------------------------------------------------------------------------------------------


def _pool(w: Writer, step: Step) -> str:
    function = ("mean_over_time", "max_over_time", "last_step")[step.op.field("mode")]
    counts = w.counts(step.op.inputs[0])
    return w.call(function, *w.inputs(step), *([counts] if counts != "None" else []))


#: The kind of an op in the registry -> its entry.
LAYERS: dict[str, Entry] = {
    "linear": _linear,
    "activation": _activation,
    "flatten": _flatten,
    "batch_norm": _batch_norm,
    "add": _add,
    "multiply": _multiply,
    "maximum": _maximum,
    "concat": _concat,
    "recurrent": recurrent,
    "reshape": _reshape,
    "layer_norm": _layer_norm,
    "prelu": _prelu,
    "maxout": _maxout,
    "embedding": _embedding,
    "state": last_state,
    "pool": _pool,
    "glu": _glu,
    "permute": _permute,
    "repeat_vector": _repeat_vector,
    "slice": _slice,
    "take": _take,
}
