"""How ops are written: one entry for each NNC_LAYER of the registry that has steps. Recurrent ops are in recurrent.py.

An entry adds nodes for a step and returns the name of its result. Sizes that depend on the time steps or on the batch do not appear
as numbers, so that the graph holds for any of them.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod

import numpy as np

from ..walk import Step
from .activations import ACTIVATIONS
from .builder import Builder
from .recurrent import last_state, recurrent

Entry = Callable[[Builder, Step], str]


def _linear(b: Builder, step: Step) -> str:
    (x,), weight = b.inputs(step), step.parameters["weight"]
    bias = [b.parameter(step.parameters["bias"])] if "bias" in step.parameters else []
    if len(b.value(step).shape) == 1:
        return b.add("Gemm", x, b.parameter(weight), *bias, transB=1)
    product = b.add("MatMul", x, b.parameter(weight, "_transposed", np.transpose))
    return b.add("Add", product, *bias) if bias else product


def _activation(b: Builder, step: Step) -> str:
    return ACTIVATIONS[step.op.code](b, step, b.inputs(step)[0])


def _flatten(b: Builder, step: Step) -> str:
    (x,), known = b.inputs(step), b.value(step)
    rank = len(known.shape) + 1
    start, end = (d % rank for d in (step.op.field("start_dim"), step.op.field("end_dim")))
    if step.op.inputs[0] in b.indices:
        b.indices.add(step.output)
    if not known.shape:
        return b.unsqueeze(x, 1)
    if not any(b.result(step).axes):  # a size that is computed could not be found for a batch without rows
        return b.reshape(x, 0, *b.result(step).shape)
    open_after = [d for d in range(end + 1, rank) if known.axes[d - 1]]
    after = [-1 if known.axes[d - 1] else known.shape[d - 1] for d in range(end + 1, rank)]
    if not open_after:
        return b.reshape(x, *[0] * start, -1, *after)
    merged = b.size(x, start)
    for d in range(start + 1, end + 1):
        merged = b.add("Mul", merged, b.size(x, d))
    sizes = [
        b.size(x, d) if d < start or d in open_after else b.ints(known.shape[d - 1]) for d in range(rank) if d < start or d > end
    ]
    return b.add("Reshape", x, b.add("Concat", *sizes[:start], merged, *sizes[start:], axis=0))


def _reshape(b: Builder, step: Step) -> str:
    known = b.result(step)
    return b.reshape(b.inputs(step)[0], 0, *(step.op.field("dims") if any(known.axes) else known.shape))


def _permute(b: Builder, step: Step) -> str:
    return b.add("Transpose", b.inputs(step)[0], perm=[0, *step.op.field("dims")])


def _repeat_vector(b: Builder, step: Step) -> str:
    return b.add("Expand", b.unsqueeze(b.inputs(step)[0], 1), b.ints(1, step.op.field("n"), 1))


def _slice(b: Builder, step: Step) -> str:
    fields = [b.ints(step.op.field(name)) for name in ("start", "stop", "axis", "step")]
    return b.add("Slice", b.inputs(step)[0], *fields)


def _take(b: Builder, step: Step) -> str:
    axis = step.op.field("axis") % (len(b.value(step).shape) + 1)
    return b.add("Gather", b.inputs(step)[0], b.ints(*step.op.field("indices")), axis=axis)


def _embedding(b: Builder, step: Step) -> str:
    (x,) = b.inputs(step)
    indices = x if step.op.inputs[0] in b.indices else b.cast(x, np.int64)
    return b.add("Gather", b.parameter(step.parameters["weight"]), indices, axis=0)


# Normalization ----------------------------------------------------------------------------------------------------------------


def _batch_norm(b: Builder, step: Step) -> str:
    """With running statistics, an operator of its own, which has the channels in dimension 1."""
    (x,), rank = b.inputs(step), len(b.value(step).shape) + 1
    if not step.op.field("track_running_stats"):
        return _batch_statistics(b, step)
    tensors = _scale_and_shift(b, step, step.op.field("num_features"))
    tensors += [b.parameter(step.parameters[role]) for role in ("running_mean", "running_var")]
    is_last = step.op.field("features_last") and rank > 2
    x = b.add("Transpose", x, perm=[0, rank - 1, *range(1, rank - 1)]) if is_last else x
    y = b.add("BatchNormalization", x, *tensors, epsilon=step.op.field("eps"))
    return b.add("Transpose", y, perm=[0, *range(2, rank), 1]) if is_last else y


def _scale_and_shift(b: Builder, step: Step, *shape: int) -> list[str]:
    dtype = b.walk.dtype
    found = [step.parameters.get(role) for role in ("weight", "bias")]
    return [
        b.parameter(name) if name else b.constant(make(shape, dtype), what)
        for name, make, what in zip(found, (np.ones, np.zeros), ("ones", "zeros"), strict=True)
    ]


def _batch_statistics(b: Builder, step: Step) -> str:
    """Normalize by the mean and the variance of the batch over its valid steps."""
    (x,), rank = b.inputs(step), len(b.value(step).shape) + 1
    channel = rank - 1 if step.op.field("features_last") else 1
    axes, lined = [d for d in range(rank) if d != channel], [-1, *[1] * (rank - 1 - channel)]
    mask = b.valid_mask(step.op.inputs[0], rank)
    if mask:
        count = b.cast(b.reduce("ReduceSum", b.valid(step.op.inputs[0]), [0]), b.walk.dtype)
        others = prod(b.value(step).shape[1:-1])
        count = b.add("Mul", count, b.number(others)) if others > 1 else count

    def mean(of: str) -> str:
        if not mask:
            return b.reduce("ReduceMean", of, axes, keep=True)
        return b.add("Div", b.reduce("ReduceSum", b.add("Where", mask, of, b.number(0.0)), axes, keep=True), count)

    centred = b.add("Sub", x, mean(x))
    centred = b.add("Sub", centred, mean(centred))  # the rounding of the mean, which is all that a constant channel has
    variance = mean(b.add("Mul", centred, centred))
    y = b.add("Div", centred, b.add("Sqrt", b.add("Add", variance, b.number(step.op.field("eps")))))
    for kind, role in (("Mul", "weight"), ("Add", "bias")):
        if role in step.parameters:
            change = (lambda p: p.reshape(lined)) if len(lined) > 1 else None
            y = b.add(kind, y, b.parameter(step.parameters[role], f"_{len(lined)}" if change else "", change))
    return y


def _layer_norm(b: Builder, step: Step) -> str:
    """An operator of its own from opset 17 on; it may compute statistics in float32, so float64 does not use it."""
    (x,), shape, eps = b.inputs(step), step.op.field("normalized_shape"), step.op.field("eps")
    if b.opset >= 17 and b.walk.dtype == np.float32:
        scale, shift = _scale_and_shift(b, step, *shape)
        shifts = [shift] if "bias" in step.parameters else []
        return b.add("LayerNormalization", x, scale, *shifts, axis=-len(shape), epsilon=eps)
    axes = range(-len(shape), 0)
    centred = b.add("Sub", x, b.reduce("ReduceMean", x, axes, keep=True))
    variance = b.reduce("ReduceMean", b.add("Mul", centred, centred), axes, keep=True)
    y = b.add("Div", centred, b.add("Sqrt", b.add("Add", variance, b.number(eps))))
    for kind, role in (("Mul", "weight"), ("Add", "bias")):
        y = b.add(kind, y, b.parameter(step.parameters[role])) if role in step.parameters else y
    return y


# Units with several parts -------------------------------------------------------------------------------------------------------


def _prelu(b: Builder, step: Step) -> str:
    """A slope for each channel, which is dimension 1, or one for all."""
    (x,), name = b.inputs(step), step.parameters["weight"]
    more = len(b.value(step).shape) - 1 if step.op.field("num_parameters") > 1 else 0
    slope = b.parameter(name, f"_{more + 1}", lambda p: p.reshape(-1, *[1] * more)) if more else b.parameter(name)
    if b.walk.dtype == np.float32:
        return b.add("PRelu", x, slope)
    return b.add("Where", b.add("Greater", x, b.number(0.0)), x, b.add("Mul", x, slope))


def _maxout(b: Builder, step: Step) -> str:
    (x,), shape = b.inputs(step), b.value(step).shape
    pieces = step.op.field("pieces")
    return b.reduce("ReduceMax", b.reshape(x, *[0] * len(shape), pieces, b.result(step).shape[-1]), [len(shape)])


def _glu(b: Builder, step: Step) -> str:
    (x,), known = b.inputs(step), b.value(step)
    if known.axes[-1]:
        half = b.add("Div", b.size(x, len(known.shape)), b.ints(2))
        sizes = b.add("Concat", half, half, axis=0)
    else:
        sizes = b.ints(*[known.shape[-1] // 2] * 2)
    values, gates = b.add_several(2, "Split", x, sizes, axis=-1)
    return b.add("Mul", values, b.add("Sigmoid", gates))


# Merges -------------------------------------------------------------------------------------------------------------------------


def _aligned(b: Builder, step: Step) -> list[str]:
    """The inputs with equally many dimensions. Missing ones come after the batch."""
    rank = len(b.result(step).shape)
    missing = [rank - len(b.walk.values[i].shape) for i in step.op.inputs]
    return [b.unsqueeze(x, *range(1, n + 1)) if n else x for x, n in zip(b.inputs(step), missing, strict=True)]


def _add(b: Builder, step: Step) -> str:
    scale, rest, offset = (step.op.field(name) for name in ("first", "rest", "offset"))
    total, *others = _aligned(b, step)
    total = total if scale == 1 else b.add("Mul", total, b.number(scale))
    for x in others:
        scaled = x if abs(rest) == 1 else b.add("Mul", x, b.number(rest))
        total = b.add("Sub" if rest == -1 else "Add", total, scaled)
    return total if offset == 0 else b.add("Add", total, b.number(offset))


def _multiply(b: Builder, step: Step) -> str:
    return b.add("Mul", *_aligned(b, step))


def _maximum(b: Builder, step: Step) -> str:
    return b.add("Min" if step.op.field("is_minimum") else "Max", *_aligned(b, step))


def _concat(b: Builder, step: Step) -> str:
    axis, inputs = step.op.field("axis"), b.inputs(step)
    joined = b.add("Concat", *inputs, axis=axis)
    rank = len(b.result(step).shape) + 1
    masks = [b.valid_mask(i, 2) for i in step.op.inputs]
    if axis % rank != 1 or not any(masks):
        return joined
    return _pack_steps(b, step, joined, rank, masks)


def _pack_steps(b: Builder, step: Step, joined: str, rank: int, masks: list[str]) -> str:
    """Put the valid steps of what is joined in time first, in their order, and zeros after them."""
    parts = []
    for i, mask in zip(step.op.inputs, masks, strict=True):
        sizes = b.add("Concat", *(b.size(b.values[i], d) for d in (0, 1)), axis=0)
        parts.append(mask or b.add("Expand", b.constant(np.ones((1, 1), bool), "true"), sizes))
    steps, zero, one = b.size(joined, 1), *(b.constant(np.array(n, np.int64), f"int_{n}") for n in (0, 1))
    places = b.add("Range", zero, b.add("Squeeze", steps), one)
    valid = b.cast(b.add("Concat", *parts, axis=1), np.int64)
    lengths = b.counts[step.output] = b.reduce("ReduceSum", valid, [1])
    _, order = b.add_several(2, "TopK", b.add("Sub", b.add("Mul", valid, steps), places), steps, axis=1)
    packed = b.add("GatherND", joined, b.unsqueeze(order, 2), batch_dims=1)
    mask = b.add("Less", places, b.unsqueeze(lengths, 1))
    return b.add("Where", b.unsqueeze(mask, *range(2, rank)), packed, b.number(0.0))


# Pooling over time ----------------------------------------------------------------------------------------------------------------


def _pool(b: Builder, step: Step) -> str:
    (x,), rank, mode = b.inputs(step), len(b.value(step).shape) + 1, ("mean", "max", "last")[step.op.field("mode")]
    lengths = b.valid(step.op.inputs[0])
    if not lengths:
        if mode == "last":
            return b.add("Gather", x, b.constant(np.array(-1, np.int64), "int_-1"), axis=1)
        return b.reduce("ReduceMean" if mode == "mean" else "ReduceMax", x, [1])
    if mode == "last":
        return b.add("GatherND", x, b.unsqueeze(b.add("Sub", lengths, b.ints(1)), 1), batch_dims=1)
    filler = b.number(0.0 if mode == "mean" else -np.inf)
    valid = b.add("Where", b.valid_mask(step.op.inputs[0], rank), x, filler)
    if mode == "max":
        return b.reduce("ReduceMax", valid, [1])
    count = b.unsqueeze(b.cast(lengths, b.walk.dtype), *range(1, rank - 1))
    return b.add("Div", b.reduce("ReduceSum", valid, [1]), count)


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
