"""How ops are written: one entry for each NNC_LAYER of the registry that has steps. Recurrent ops are in recurrent.py.

An entry adds the statements of a step to a body, which computes one sample. Shapes are those of the body, in which all sizes are
fixed.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod

import numpy as np

from ...errors import ArgumentError
from ..walk import Step
from .activations import ACTIVATIONS
from .loops import broadcast, contiguous, nest
from .products import matrix, multiply
from .program import Body, spelt
from .recurrent import last_state, recurrent
from .weights import store

Entry = Callable[[Body, Step], None]


def _linear(b: Body, step: Step) -> None:
    (x,), p, names = b.inputs(step), b.program, step.parameters
    weight, bias = p.walk.tensors[names["weight"]], p.walk.tensors[names["bias"]] if "bias" in names else None
    said, key = " and ".join(names.values()), (*names.values(),)
    if norm := _foldable(b, step):
        scale, shift = _scale_and_shift(b, norm)
        weight, bias = weight * scale[:, None], shift if bias is None else bias * scale + shift
        said, key = f"{said}, times the scale of {norm.layer},", (*key, norm.layer)
        b.notes[norm.output] = "folded into the weights before it"
    layer = matrix(p, key, spelt(names["weight"]), weight, bias, said)
    multiply(b, x, layer, b.new(step), rows=prod(b.shape(step)[:-1]))


def _foldable(b: Body, step: Step) -> Step | None:
    """Return the batch norm that alone reads a linear op and scales its outputs, or None. None if weights are rounded."""
    if b.program.weights not in (None, b.program.dtype.name):
        return None
    reader = b.only_reader(step)
    if reader is None or reader.op.kind != "batch_norm" or not reader.op.field("track_running_stats"):
        return None
    return reader if reader.op.field("features_last") or len(b.result_shape(step)) == 1 else None


def _activation(b: Body, step: Step) -> None:
    ACTIVATIONS[step.op.code](b, step)


# Shapes -------------------------------------------------------------------------------------------------------------------------


def _same_memory(b: Body, step: Step) -> None:
    b.view(step)


def _permute(b: Body, step: Step) -> None:
    (x,), y, shape = b.inputs(step), b.new(step), b.result_shape(step)
    own = contiguous(b.shape(step))
    moved = [own[d - 1] for d in step.op.field("dims")]
    nest(b, shape, [contiguous(shape), moved], lambda i, j: f"{y}[{i}] = {x}[{j}];")


def _repeat_vector(b: Body, step: Step) -> None:
    (x,), y, shape = b.inputs(step), b.new(step), b.result_shape(step)
    nest(b, shape, [contiguous(shape), broadcast(shape[1:], shape)], lambda i, j: f"{y}[{i}] = {x}[{j}];")


def _slice(b: Body, step: Step) -> None:
    (x,), shape, own, op = b.inputs(step), b.result_shape(step), b.shape(step), step.op
    axis, steps = op.field("axis") % (len(own) + 1) - 1, contiguous(own)
    chosen = range(own[axis])[op.field("start") : op.field("stop") : op.field("step")]
    begin = f"{steps[axis] * chosen[0]} + " if chosen[0] else ""
    y = b.new(step)
    steps[axis] *= op.field("step")
    nest(b, shape, [contiguous(shape), steps], lambda i, j: f"{y}[{i}] = {x}[{begin}{j}];")


def _take(b: Body, step: Step) -> None:
    (x,), y, own, chosen = b.inputs(step), b.new(step), b.shape(step), step.op.field("indices")
    axis = step.op.field("axis") % (len(own) + 1) - 1
    outer, size, inner, n = prod(own[:axis]), int(own[axis]), prod(own[axis + 1 :]), len(chosen)
    array = np.array(chosen) % size
    table = b.program.constant(("taken", *chosen, size), "taken", array, f"indices of a dimension of {size}", "int")
    strides = [[n * inner, inner, 1], [size * inner, 0, 1], [0, 1, 0]]
    at = f"{inner} * " if inner > 1 else ""
    nest(b, (outer, n, inner), strides, lambda i, j, k: f"{y}[{i}] = {x}[{at}{table}[{k}]{f' + {j}' if j != '0' else ''}];")


def _concat(b: Body, step: Step) -> None:
    y, shape = b.new(step), b.result_shape(step)
    axis, begin = step.op.field("axis") % (len(shape) + 1) - 1, 0
    in_one_piece = all(type(d) is int for d in shape) and prod(shape[:axis]) == 1
    b.notes[step.output] = "computed there"
    for i, x in enumerate(b.inputs(step)):
        part = b.shape(step, i)
        at = f"{begin} + " if begin else ""
        if not (in_one_piece and b.joins(step, i, y, begin)):
            nest(b, part, [contiguous(shape), contiguous(part)], lambda i, j, x=x, at=at: f"{y}[{at}{i}] = {x}[{j}];")
        begin += prod(part[axis:])


_EMBEDDING = """\
/* Row i of a table with n rows. An index that is out of range reads row 0. */
static inline void @(INDEX i, int n, const WEIGHT *w,SCALES int m, TYPE *y)
{
    w += m * ROW;
    for (int j = 0; j < m; j++) {
        y[j] = READ;
    }
}
"""


def _embedding(b: Body, step: Step) -> None:
    (x,), y, t, name = b.inputs(step), b.new(step), b.program.ctype, step.parameters["weight"]
    table = b.program.walk.tensors[name]
    w = store(b.program, (name, "table"), spelt(name), table, f"{name} {list(table.shape)}")
    rows, columns = step.op.field("num_embeddings"), step.op.field("embedding_dim")
    row = "(i >= 0 && i < n ? i : 0)" if x.ctype == "int" else f"(int)(i >= 0 && i < ({t})n ? i : 0)"
    source = _EMBEDDING.replace("READ", f"{'s[j] * ' if w.scales else ''}{w.read.format('w[j]')}").replace("ROW", row)
    source = source.replace("INDEX", x.ctype)
    source = source.replace("SCALES", f" const {t} *s," if w.scales else "").replace("WEIGHT", w.ctype).replace("TYPE", t)
    function, scales = b.program.routine("embedding", source), f"{w.scales}, " if w.scales else ""
    count = b.size(step.op.inputs[0])
    i, at = ("i", f" + {columns} * i") if count > 1 else ("0", "")
    b.loop("i", count, f"{function}({x}[{i}], {rows}, {w.name}, {scales}{columns}, {y}{at});")


# Normalization ------------------------------------------------------------------------------------------------------------------


def _batch_norm(b: Body, step: Step) -> None:
    """With running statistics, a scale and a shift for each channel, which is the last dimension or the first of a sample."""
    (x,), p, op = b.inputs(step), b.program, step.op
    shape, channels = b.shape(step), op.field("num_features")
    is_last = op.field("features_last")
    strides = [*[0] * (len(shape) - 1), 1] if is_last else [1, *[0] * (len(shape) - 1)]
    if step.output in b.notes:
        b.view(step)
        return
    if op.field("track_running_stats"):
        both, layer = _scale_and_shift(b, step), spelt(step.layer)
        scales, shifts = (
            p.constant((step.layer, what), f"{layer}_{what}", each, f"{step.layer}: {what} [{channels}]")
            for what, each in zip(("scale", "shift"), both, strict=True)
        )
        y = b.in_place(step)
        nest(b, shape, [contiguous(shape), strides], lambda i, c: f"{y}[{i}] = {x}[{i}] * {scales}[{c}] + {shifts}[{c}];")
        b.multiply_adds += prod(shape)
        return
    count = prod(shape) // channels
    if count == 1:
        raise ArgumentError(
            f"to_c: {op.name} normalizes by the statistics of a batch, but in C samples are predicted one by one; "
            "use track_running_stats=True"
        )
    y = b.in_place(step)
    function = _standardize(b, op.field("eps"))
    at, stride = ("i", channels) if is_last else (f"{count} * i", 1)
    b.loop("i", channels, f"{function}({x} + {at}, {count}, {stride}, {y} + {at});")
    if "weight" in step.parameters:
        w, s = p.parameter(step, "weight"), p.parameter(step, "bias")
        nest(b, shape, [contiguous(shape), strides], lambda i, c: f"{y}[{i}] = {y}[{i}] * {w}[{c}] + {s}[{c}];")


def _scale_and_shift(b: Body, step: Step) -> tuple[np.ndarray, np.ndarray]:
    """Return what batch norm multiplies by and adds, for each channel."""
    known = {role: b.program.walk.tensors[name].astype(np.float64) for role, name in step.parameters.items()}
    scale = known.get("weight", 1.0) / np.sqrt(known["running_var"] + step.op.field("eps"))
    return scale, known.get("bias", 0.0) - known["running_mean"] * scale


_STANDARDIZE = """\
/* n numbers, stride apart, less their mean, divided by their deviation. */
static void @(const TYPE *x, int n, int stride, TYPE *y)
{
    TYPE mean = 0, rest = 0, square = 0;
    for (int i = 1; i < n; i++) {
        mean += x[stride * i] - x[0]; /* so that equal numbers give 0 */
    }
    mean = x[0] + mean / (TYPE)n;
    for (int i = 0; i < n; i++) {
        const TYPE d = x[stride * i] - mean;
        rest += d; /* what the rounding of a long sum has lost */
        square += d * d;
    }
    mean += rest / (TYPE)n;
    square = 1 / SQRT(square / (TYPE)n + EPS);
    for (int i = 0; i < n; i++) {
        y[stride * i] = (x[stride * i] - mean) * square;
    }
}
"""


def _standardize(b: Body, eps: float) -> str:
    p = b.program
    source = _STANDARDIZE.replace("SQRT", p.function("sqrt")).replace("EPS", p.number(eps))
    return p.routine("standardize", source.replace("TYPE", p.ctype))


def _layer_norm(b: Body, step: Step) -> None:
    (x,), y, shape, p = b.inputs(step), b.in_place(step), b.shape(step), b.program
    own = tuple(step.op.field("normalized_shape"))
    count, rows = prod(own), prod(shape[: len(shape) - len(own)])
    function = _standardize(b, step.op.field("eps"))
    b.rows(function, (rows, count), (x, y), lambda x, y, n: f"{x}, {n}, 1, {y}")
    w, s = (p.parameter(step, role) if role in step.parameters else "" for role in ("weight", "bias"))
    if w or s:
        strides = [[count, 1], [0, 1]]
        scaled, shifted = (f" * {w}[{{0}}]" if w else ""), (f" + {s}[{{0}}]" if s else "")
        nest(b, (rows, count), strides, lambda i, j: f"{y}[{i}] = {y}[{i}]{(scaled + shifted).format(j)};")


# Units with several parts -------------------------------------------------------------------------------------------------------


def _prelu(b: Body, step: Step) -> None:
    """A slope for each channel, which is the first dimension of a sample, or one for all."""
    (x,), slope, shape = b.inputs(step), b.program.parameter(step, "weight"), b.shape(step)
    y, t = b.in_place(step), b.program.ctype
    strides = [int(step.op.field("num_parameters") > 1), *[0] * (len(shape) - 1)] if shape else []
    source = f"static inline {t} @({t} v, {t} slope)\n{{\n    return v > 0 ? v : slope * v;\n}}\n"
    function = b.program.routine("prelu", source)
    nest(b, shape, [contiguous(shape), strides], lambda i, c: f"{y}[{i}] = {function}({x}[{i}], {slope}[{c}]);")


def _maxout(b: Body, step: Step) -> None:
    (x,), y, pieces = b.inputs(step), b.new(step), step.op.field("pieces")
    *before, columns = b.result_shape(step)
    shape, strides = (prod(before), columns), [[columns, 1], [pieces * columns, 1]]

    def statement(i: str, j: str) -> str:
        largest = f"{x}[{j}]"
        for piece in range(1, pieces):
            largest = f"{_larger(b)}({largest}, {x}[{piece * columns} + {j}])"
        return f"{y}[{i}] = {largest};"

    nest(b, shape, strides, statement)


def _larger(b: Body, relation: str = ">") -> str:
    """The name of a function that returns the larger of two numbers, or the smaller one; NaN if one of them is NaN."""
    t, name = b.program.ctype, "larger" if relation == ">" else "smaller"
    return b.program.routine(name, f"static inline {t} @({t} a, {t} b)\n{{\n    return a {relation} b || a != a ? a : b;\n}}\n")


def _glu(b: Body, step: Step) -> None:
    (x,), y, sigmoid = b.inputs(step), b.new(step), b.program.function("sigmoid")
    *before, half = b.result_shape(step)
    nest(
        b,
        (prod(before), half),
        [[half, 1], [2 * half, 1]],
        lambda i, j: f"{y}[{i}] = {x}[{j}] * {sigmoid}({x}[{j} + {half}]);",
    )


_POOL = """\
/* SAID n columns over m rows. */
static void @(const TYPE *x, int m, int n, TYPE *y)
{
    for (int j = 0; j < n; j++) {
        y[j] = x[j];
    }
    for (int i = 1; i < m; i++) {
        x += n;
        for (int j = 0; j < n; j++) {
            y[j] = NEXT;
        }
    }LAST
}
"""
_DIVIDE = """
    for (int j = 0; j < n; j++) {
        y[j] /= (TYPE)m;
    }"""


def _pool(b: Body, step: Step) -> None:
    (x,), y, p = b.inputs(step), b.new(step), b.program
    mode, steps, columns = ("mean", "max", "last")[step.op.field("mode")], b.shape(step)[0], b.size(step.output)
    if mode == "last":
        b.loop("i", columns, f"{y}[i] = {x}[{columns * (steps - 1)} + i];")
        return
    said, value, last = (
        ("The mean of", "y[j] + x[j]", _DIVIDE) if mode == "mean" else ("The largest of", f"{_larger(b)}(y[j], x[j])", "")
    )
    source = _POOL.replace("SAID", said).replace("NEXT", value).replace("LAST", last).replace("TYPE", p.ctype)
    b.line(f"{p.routine(f'{mode}_over_time', source)}({x}, {steps}, {columns}, {y});")


# Merges -------------------------------------------------------------------------------------------------------------------------


def _merged(b: Body, step: Step, joined: Callable[[list[str]], str]) -> None:
    """Compute each number from those of all inputs. Missing dimensions, and those of 1, are repeated."""
    shape, parts = b.result_shape(step), [b.shape(step, i) for i in range(len(step.op.inputs))]
    inputs = b.inputs(step)
    whole = next((i for i, part in enumerate(parts) if part == shape and b.is_free(step, i)), None)
    y = b.new(step) if whole is None else b.in_place(step, whole)
    strides = [contiguous(shape), *(broadcast(part, shape) for part in parts)]

    def statement(at: str, *indices: str) -> str:
        return f"{y}[{at}] = {joined([f'{x}[{i}]' for x, i in zip(inputs, indices, strict=True)])};"

    nest(b, shape, strides, statement)


def _add(b: Body, step: Step) -> None:
    scale, rest, offset = (step.op.field(name) for name in ("first", "rest", "offset"))

    def total(terms: list[str]) -> str:
        first, *others = terms
        found = first if scale == 1 else f"{b.program.number(scale)} * {first}"
        for term in others:
            found += f" - {term}" if rest == -1 else f" + {term}" if rest == 1 else f" + {b.program.number(rest)} * {term}"
        return found if offset == 0 else f"{found} + {b.program.number(offset)}"

    _merged(b, step, total)


def _multiply(b: Body, step: Step) -> None:
    _merged(b, step, " * ".join)


def _maximum(b: Body, step: Step) -> None:
    relation = "<" if step.op.field("is_minimum") else ">"

    def largest(terms: list[str]) -> str:
        found = terms[0]
        for term in terms[1:]:
            found = f"{_larger(b, relation)}({found}, {term})"
        return found

    _merged(b, step, largest)


#: The kind of an op in the registry -> its entry.
LAYERS: dict[str, Entry] = {
    "linear": _linear,
    "activation": _activation,
    "flatten": _same_memory,
    "batch_norm": _batch_norm,
    "add": _add,
    "multiply": _multiply,
    "maximum": _maximum,
    "concat": _concat,
    "recurrent": recurrent,
    "state": last_state,
    "reshape": _same_memory,
    "layer_norm": _layer_norm,
    "prelu": _prelu,
    "maxout": _maxout,
    "embedding": _embedding,
    "pool": _pool,
    "glu": _glu,
    "permute": _permute,
    "repeat_vector": _repeat_vector,
    "slice": _slice,
    "take": _take,
}
