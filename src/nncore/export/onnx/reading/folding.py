"""Operators on constants: what NumPy computes while a graph is read.

The same functions serve `recognize`, which computes a part of a graph on chosen numbers to see which layer it is.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .graph import Node
from .tensors import dtype_of
from .values import Refusal, axis_of

Arrays = Sequence[np.ndarray]
Function = Callable[[Node, Arrays], Any]  # returns an array, or a list of them

_MOST_MADE = 1 << 16  # numbers of an array that is larger than what it is made of


def listed(node: Node, arrays: Sequence[Any], place: int, name: str) -> list[int] | None:
    """Return whole numbers that are an input in newer opsets, and an attribute in older ones."""
    if place < len(node.inputs) and node.inputs[place]:
        array = arrays[place]
        if not isinstance(array, np.ndarray):
            raise Refusal(f"its {name} must be constants")
        return [int(each) for each in array.reshape(-1)]
    found = node.attributes.get(name)
    return None if found is None else [int(each) for each in (found if isinstance(found, tuple) else (found,))]


def number(node: Node, arrays: Sequence[Any], place: int, name: str, default: float) -> float:
    """Return a number that is an input in newer opsets, and an attribute in older ones."""
    if place < len(node.inputs) and node.inputs[place]:
        array = arrays[place]
        if not isinstance(array, np.ndarray) or array.size != 1:
            raise Refusal(f"its {name} must be one constant number")
        return float(array.reshape(())[()])
    return float(node.attributes.get(name, default))


def _of(function: Callable[..., Any]) -> Function:
    return lambda node, arrays: function(*arrays)


def _over_all(function: Callable[[Any, Any], Any]) -> Function:
    def apply(node: Node, arrays: Arrays) -> Any:
        total: Any = arrays[0]
        for each in arrays[1:]:
            total = function(total, each)
        return total

    return apply


def _attribute(function: Callable[..., Any], **defaults: float) -> Function:
    """A function of x with attributes of the node, which have these defaults."""
    return lambda node, arrays: function(arrays[0], *(float(node.attributes.get(k, v)) for k, v in defaults.items()))


def _divide(a: Any, b: Any) -> Any:
    if a.dtype.kind in "iu" and b.dtype.kind in "iu":
        return np.trunc(np.divide(a, b)).astype(a.dtype)
    return np.divide(a, b)


def erf(x: Any) -> Any:
    """Return the error function."""
    return np.vectorize(math.erf, otypes=[np.float64])(x)


def sigmoid(x: Any) -> Any:
    """Return 1 / (1 + exp(-x))."""
    return 1 / (1 + np.exp(-x))


def softplus(x: Any) -> Any:
    """Return log(1 + exp(x))."""
    return np.logaddexp(0.0, x)


def _gelu(node: Node, arrays: Arrays) -> Any:
    (x,) = arrays
    if node.attributes.get("approximate", "none") == "tanh":
        return x / 2 * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
    return x / 2 * (1 + erf(x / math.sqrt(2)))


def _clip(node: Node, arrays: Arrays) -> Any:
    least = number(node, arrays, 1, "min", -np.inf)
    most = number(node, arrays, 2, "max", np.inf)
    return np.minimum(np.maximum(arrays[0], least), most)


def _swish(x: Any, alpha: float) -> Any:
    return x * sigmoid(alpha * x)


def _shrink(x: Any, bias: float, lambd: float) -> Any:
    return np.where(x < -lambd, x + bias, np.where(x > lambd, x - bias, 0.0))


def _reduced(function: Callable[..., Any]) -> Function:
    def apply(node: Node, arrays: Arrays) -> Any:
        axes = listed(node, arrays, 1, "axes")
        keep = bool(node.attributes.get("keepdims", 1))
        return function(arrays[0], axis=None if not axes else tuple(axes), keepdims=keep)

    return apply


def _cast(node: Node, arrays: Arrays) -> Any:
    dtype = dtype_of(node.attributes.get("to", 0))
    if dtype is None:
        raise Refusal(f"it makes numbers of type {node.attributes.get('to')} of ONNX, which nncore does not have")
    return arrays[0].astype(dtype)


def _softmax(x: Any, axis: int) -> Any:
    shifted = np.exp(x - x.max(axis=axis, keepdims=True))
    return shifted / shifted.sum(axis=axis, keepdims=True)


#: Operators that act element by element. Other inputs are constants or computed from the same tensor.
ELEMENTWISE: dict[str, Function] = {
    "Abs": _of(np.abs),
    "Add": _over_all(np.add),
    "And": _of(np.logical_and),
    "Cast": _cast,
    "CastLike": _of(lambda x, like: x.astype(like.dtype)),
    "Celu": _attribute(lambda x, a: np.maximum(x, 0) + a * np.expm1(np.minimum(x, 0) / a), alpha=1.0),
    "Clip": _clip,
    "Div": _of(_divide),
    "Elu": _attribute(lambda x, a: np.maximum(x, 0) + a * np.expm1(np.minimum(x, 0)), alpha=1.0),
    "Equal": _of(np.equal),
    "Erf": _of(erf),
    "Erfc": _of(lambda x: 1 - erf(x)),  # tf2onnx writes it and Expm1, though ONNX does not have them
    "Exp": _of(np.exp),
    "Expm1": _of(np.expm1),
    "Gelu": _gelu,
    "Greater": _of(np.greater),
    "GreaterOrEqual": _of(np.greater_equal),
    "HardSigmoid": _attribute(lambda x, a, b: np.minimum(np.maximum(a * x + b, 0), 1), alpha=0.2, beta=0.5),
    "HardSwish": _of(lambda x: x * np.minimum(np.maximum(x / 6 + 0.5, 0), 1)),
    "Identity": _of(lambda x: x),
    "LeakyRelu": _attribute(lambda x, a: np.where(x > 0, x, a * x), alpha=0.01),
    "Less": _of(np.less),
    "LessOrEqual": _of(np.less_equal),
    "Log": _of(np.log),
    "Max": _over_all(np.maximum),
    "Min": _over_all(np.minimum),
    "Mish": _of(lambda x: x * np.tanh(softplus(x))),
    "Mul": _over_all(np.multiply),
    "Neg": _of(np.negative),
    "Not": _of(np.logical_not),
    "Or": _of(np.logical_or),
    "Pow": _of(np.power),
    "Reciprocal": _of(lambda x: 1 / x),
    "Relu": _of(lambda x: np.maximum(x, 0)),
    "Selu": _attribute(
        lambda x, a, g: g * (np.maximum(x, 0) + a * np.expm1(np.minimum(x, 0))),
        alpha=1.67326319217681884765625,
        gamma=1.05070102214813232421875,
    ),
    "Shrink": _attribute(_shrink, bias=0.0, lambd=0.5),
    "Sigmoid": _of(sigmoid),
    "Sign": _of(np.sign),
    "Softplus": _of(softplus),
    "Softsign": _of(lambda x: x / (1 + np.abs(x))),
    "Sqrt": _of(np.sqrt),
    "Sub": _of(np.subtract),
    "Sum": _over_all(np.add),
    "Swish": _attribute(_swish, alpha=1.0),
    "Tanh": _of(np.tanh),
    "ThresholdedRelu": _attribute(lambda x, a: np.where(x > a, x, 0.0), alpha=1.0),
    "Where": _of(np.where),
}

#: Operators that join the elements of the last axis.
OF_ROWS: dict[str, Function] = {
    "GlobalAveragePool": _of(lambda x: np.mean(x, -1, keepdims=True)),
    "ReduceMax": _reduced(np.max),
    "ReduceMean": _reduced(np.mean),
    "ReduceSum": _reduced(np.sum),
    "ReduceSumSquare": _reduced(lambda x, **options: np.sum(np.square(x), **options)),
    "ReduceL2": _reduced(lambda x, **options: np.sqrt(np.sum(np.square(x), **options))),
    "Softmax": lambda node, arrays: _softmax(arrays[0], int(node.attributes.get("axis", -1))),
    "LogSoftmax": lambda node, arrays: np.log(_softmax(arrays[0], int(node.attributes.get("axis", -1)))),
}


def _transposed(node: Node, arrays: Arrays) -> Any:
    return arrays[0].transpose(node.attributes.get("perm"))


def _unsqueezed(node: Node, arrays: Arrays) -> Any:
    axes = listed(node, arrays, 1, "axes") or []
    if len({*axes}) != len(axes) or arrays[0].ndim + len(axes) > 32:
        raise Refusal(f"its axes are {axes[:20]}")
    return np.expand_dims(arrays[0], tuple(axes))


def _squeezed(node: Node, arrays: Arrays) -> Any:
    axes = listed(node, arrays, 1, "axes")
    return np.squeeze(arrays[0], None if axes is None else tuple(axes))


def _reshaped(node: Node, arrays: Arrays) -> Any:
    x, wanted = arrays[0], listed(node, arrays, 1, "shape") or []
    if not node.attributes.get("allowzero", 0):
        wanted = [x.shape[i] if d == 0 and i < x.ndim else d for i, d in enumerate(wanted)]
    return x.reshape(wanted)


def slices(node: Node, arrays: Sequence[Any], rank: int) -> dict[int, tuple[int, int, int]]:
    """Return axis -> start, end, step of a Slice."""
    starts, ends = listed(node, arrays, 1, "starts") or [], listed(node, arrays, 2, "ends") or []
    axes = listed(node, arrays, 3, "axes")
    steps = listed(node, arrays, 4, "steps")
    axes, steps = list(range(len(starts))) if axes is None else axes, [1] * len(starts) if steps is None else steps
    if not len(starts) == len(ends) == len(axes) == len(steps) or 0 in steps:
        raise Refusal("its starts, ends, axes and steps do not fit")
    return {axis_of(a, rank): (s, e, k) for a, s, e, k in zip(axes, starts, ends, steps, strict=True)}


def range_of(start: int, end: int, step: int, size: int) -> range:
    """Return the indices that a slice of ONNX takes of a dimension."""
    least = -1 if step < 0 else 0
    start, end = (max(least, min(size + least, each + size if each < 0 else each)) for each in (start, end))
    return range(start, end, step)


def _sliced(node: Node, arrays: Arrays) -> Any:
    x = arrays[0]
    for axis, (start, end, step) in slices(node, arrays, x.ndim).items():
        chosen = range_of(start, end, step, x.shape[axis])
        x = x[(slice(None),) * axis + (slice(chosen.start, chosen.stop if chosen.stop >= 0 else None, step),)]
    return x


def _gathered(node: Node, arrays: Arrays) -> Any:
    x, indices = arrays
    _require_small(x.size // max(1, x.shape[int(node.attributes.get("axis", 0))]) * indices.size, arrays)
    return np.take(x, indices, axis=int(node.attributes.get("axis", 0)))


def split_sizes(node: Node, arrays: Sequence[Any], size: int) -> list[int]:
    """Return the sizes of the parts of a Split."""
    sizes = listed(node, arrays, 1, "split")
    if sizes is None:
        n = len(node.outputs)
        part = -(-size // n)
        sizes = [min(part, max(0, size - i * part)) for i in range(n)]
    if sum(sizes) != size or min(sizes, default=0) < 0 or len(sizes) != len(node.outputs):
        raise Refusal(f"parts of {sizes[:20]} of a dimension of {size}")
    return sizes


def _turned(node: Node, arrays: Arrays) -> Any:
    x, lengths = arrays
    time = axis_of(int(node.attributes.get("time_axis", 0)), x.ndim)
    if np.any(lengths != x.shape[time]):
        raise Refusal("it turns sequences round that have several lengths")
    return np.flip(x, time)


def _split(node: Node, arrays: Arrays) -> Any:
    axis = axis_of(int(node.attributes.get("axis", 0)), arrays[0].ndim)
    sizes = split_sizes(node, arrays, arrays[0].shape[axis])
    return np.split(arrays[0], np.cumsum(sizes)[:-1], axis)


def _require_small(count: int, arrays: Arrays) -> None:
    if count > max([_MOST_MADE, *(each.size for each in arrays)]):
        raise Refusal(f"its result would have {count} numbers, which is too many")


def _expanded(node: Node, arrays: Arrays) -> Any:
    if arrays[1].size > 32:
        raise Refusal(f"it makes {arrays[1].size} dimensions")
    shape = np.broadcast_shapes(arrays[0].shape, tuple(int(d) for d in arrays[1].reshape(-1)))
    _require_small(math.prod(shape), arrays)
    return np.broadcast_to(arrays[0], shape)


def _tiled(node: Node, arrays: Arrays) -> Any:
    times = [int(d) for d in arrays[1].reshape(-1)]
    _require_small(math.prod(times) * arrays[0].size, arrays)
    return np.tile(arrays[0], times)


def _filled(node: Node, arrays: Arrays) -> Any:
    shape, value = [int(d) for d in arrays[0].reshape(-1)], node.attributes.get("value", np.zeros(1, np.float32))
    if min(shape, default=0) < 0 or len(shape) > 32:
        raise Refusal(f"its shape is {shape[:20]}")
    _require_small(math.prod(shape), ())
    return np.full(shape, value.reshape(-1)[0])


def _counted(node: Node, arrays: Arrays) -> Any:
    start, end, step = (float(each.reshape(())[()]) for each in arrays)
    if step == 0:
        raise Refusal("its step is 0")
    _require_small(int(abs((end - start) / step)) + 1, ())
    return np.arange(start, end, step).astype(arrays[0].dtype)


def _constant(node: Node, arrays: Arrays) -> Any:
    kinds = {"value_float": np.float32, "value_floats": np.float32, "value_int": np.int64, "value_ints": np.int64}
    for name, value in node.attributes.items():
        if name == "value" and value is not None:
            return value
        if name in kinds:
            return np.array(value, kinds[name])
    raise Refusal("it holds no numbers")


def _joined(node: Node, arrays: Arrays) -> Any:
    return np.concatenate(arrays, int(node.attributes.get("axis", 0)))


def _flattened(node: Node, arrays: Arrays) -> Any:
    x, axis = arrays[0], int(node.attributes.get("axis", 1))
    return x.reshape(math.prod(x.shape[:axis]), -1)


#: All operators that constants may pass.
FOLDED: dict[str, Function] = {
    **ELEMENTWISE,
    **OF_ROWS,
    "Ceil": _of(np.ceil),
    "Concat": _joined,
    "Constant": _constant,
    "ConstantOfShape": _filled,
    "Dropout": lambda node, arrays: arrays[0],
    "Expand": _expanded,
    "Flatten": _flattened,
    "Floor": _of(np.floor),
    "Gather": _gathered,
    "Range": _counted,
    "ReduceProd": _reduced(np.prod),
    "Reshape": _reshaped,
    "ReverseSequence": _turned,
    "Shape": lambda node, arrays: np.array(arrays[0].shape[shape_part(node, arrays[0].ndim)], np.int64),
    "Size": lambda node, arrays: np.array(arrays[0].size, np.int64),
    "Slice": _sliced,
    "Split": _split,
    "Squeeze": _squeezed,
    "Tile": _tiled,
    "Transpose": _transposed,
    "Unsqueeze": _unsqueezed,
}


def shape_part(node: Node, rank: int) -> slice:
    """Return which dimensions a Shape gives."""
    return slice(node.attributes.get("start", 0), node.attributes.get("end", rank))


#: Operators whose result is a view of their input, or small.
_VIEWS = frozenset(
    ("Expand", "Flatten", "Identity", "Reshape", "Shape", "Size", "Slice", "Split", "Squeeze", "Transpose", "Unsqueeze")
)
#: Operators that large constants may pass, such as weights; they take no more memory than their inputs and their result.
_OF_WEIGHTS = _VIEWS | {
    *("Add", "Cast", "CastLike", "Concat", "Constant", "Div", "Dropout", "Gather", "Mul", "Neg", "Reciprocal", "Sqrt", "Sub"),
}


def fold(node: Node, arrays: Arrays, room: int | None = None) -> list[np.ndarray]:
    """Return the results of an operator on constants. room: the bytes that may be taken."""
    given = [each for each in arrays if each is not None]
    if node.kind not in _OF_WEIGHTS and any(each.size > _MOST_MADE for each in given):
        raise Refusal("it computes with a constant of many numbers")
    if node.kind in ELEMENTWISE and len(given) > 1:
        _require_small(math.prod(np.broadcast_shapes(*(each.shape for each in given))), given)
    if room is not None and node.kind not in _VIEWS and 8 * sum(each.size for each in given) > max(room, 8 * _MOST_MADE):
        raise Refusal("constants that are computed take more memory than the file")
    with np.errstate(all="ignore"):
        found = FOLDED[node.kind](node, arrays)
    return [np.asarray(each) for each in (found if isinstance(found, list) else [found])]
