"""Entries of operators that act element by element, and of sums and products of tensors.

Most of them are found by `recognize` before. Here are those that combine several tensors, and what is made of several layers.
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from .... import layers
from .folding import number
from .interpret import Entry, constant, given, tensor
from .values import Expanded, Product, Refusal, Size, Tensor, product, shorter
from .views import combined, materialized, on_elements, on_last, with_last

if TYPE_CHECKING:
    from .graph import Node
    from .interpret import Reading

_MOST_POWER = 8
_MOST_NUMBERS = 1 << 20  #: of a constant that is combined with samples


def _merge(kind: Any) -> Entry:
    def entry(r: Reading, node: Node, values: list[Any]) -> Tensor:
        tensors, numbers = [v for v in values if isinstance(v, Tensor)], [v for v in values if not isinstance(v, Tensor)]
        if not tensors or (numbers and kind not in (layers.Add, layers.Multiply, layers.Maximum, layers.Minimum)):
            raise Refusal("its inputs do not depend on the inputs of the model")
        found = combined(r, kind(), tensors) if len(tensors) > 1 else tensors[0]
        for each in numbers:
            array = each.array if isinstance(each, Expanded) else _few(each, "an input")
            found = _with_constant(r, node, found, array, kind)
        return found

    return entry


def _few(value: Any, what: str) -> np.ndarray:
    """Return a constant that is no larger than samples are."""
    array = constant(value, what)
    if array.size > _MOST_NUMBERS:
        raise Refusal(f"it combines samples with a constant of {array.size} numbers")
    return array


def _with_constant(r: Reading, node: Node, t: Tensor, array: np.ndarray, kind: Any) -> Tensor:
    """Combine a tensor with a constant."""
    if kind in (layers.Maximum, layers.Minimum):
        if array.size != 1 or array.ndim > len(t.axes):
            raise Refusal("the maximum or minimum of a tensor and several constants")
        bound, largest = float(array.reshape(())[()]), float(np.finfo(np.float32).max)
        sides = (bound, largest) if kind is layers.Maximum else (-largest, bound)
        return on_elements(r, t, layers.Hardtanh(*sides))
    zero, one = np.zeros_like(array, np.float64), np.ones_like(array, np.float64)
    return _scaled(r, t, *((array, zero) if kind is layers.Multiply else (one, array)))


def _scaled(r: Reading, t: Tensor, scale: np.ndarray, shift: np.ndarray) -> Tensor:
    """Return scale * t + shift, for constants of any shape that is broadcast to that of samples."""
    if scale.ndim > len(t.axes):
        raise Refusal(f"a constant of shape {list(scale.shape)} would give the samples more dimensions")
    if scale.size == 1:
        return on_elements(r, t, layers.Rescaling(float(scale.reshape(())[()]), float(shift.reshape(())[()])))
    shape = (1,) * (len(t.axes) - scale.ndim) + scale.shape
    scale, shift = scale.reshape(shape), shift.reshape(shape)
    if prod(shape[:-1]) == 1:
        return affine(r, t, scale.reshape(-1), shift.reshape(-1))
    t = materialized(r, t)
    at = t.batch_axis
    known = [size.known for i, size in enumerate(t.shape) if i != at]
    if shape[at] != 1 or any(size is None for size in known):
        raise Refusal(f"a constant of shape {list(shape)} is combined with samples of another or an open shape")
    full = [size for size in known if size is not None]
    if any(a not in (1, b) for a, b in zip((n for i, n in enumerate(shape) if i != at), full, strict=True)):
        raise Refusal(f"a constant of shape {list(shape)} would make samples larger")
    if prod(full) > _MOST_NUMBERS:
        raise Refusal("the samples are too large for a constant of their shape")
    each = [np.broadcast_to(a.squeeze(at), full).reshape(-1) for a in (scale, shift)]
    flat = Tensor(r.apply(layers.Flatten(), t.value), (t.dims[0], product(t.dims[1:])), ((0,), (1,)))
    return t._replace(value=r.apply(layers.Reshape(*full), affine(r, flat, *each).value))


def affine(r: Reading, t: Tensor, scale: np.ndarray, shift: np.ndarray) -> Tensor:
    """Return scale * t + shift for each index of the last axis: a frozen BatchNorm1d, which training leaves as it is."""
    t = with_last(r, t)
    n = len(scale)
    if t.dims[-1] != Size(n):
        raise Refusal(f"a constant of {n} numbers is combined with a dimension of size {t.dims[-1]}")
    parameters = {
        "weight": np.asarray(scale, np.float64),
        "bias": np.asarray(shift, np.float64),
        "running_mean": np.zeros(n),
        "running_var": np.ones(n),
        "num_batches_tracked": np.zeros((), np.int64),
    }
    last = len(t.value.shape) > 1
    layer = r.make(layers.BatchNorm1d, parameters, n, eps=0.0, axis=-1 if last else 1, trainable=False)
    return on_last(r, t, layer)


def with_bias(r: Reading, t: Tensor, bias: np.ndarray, names: Any) -> Tensor:
    """Return a product of matrices with a bias: one Linear."""
    made = t.product
    assert made is not None
    total = bias if made.bias is None else made.bias + bias
    return linear(r, made.source, made.weight, total, (*made.names, *names))._replace(axes=t.axes, dims=t.dims)


def linear(r: Reading, t: Tensor, weight: np.ndarray, bias: np.ndarray | None, names: tuple[str, ...]) -> Tensor:
    """Return t @ weight.T + bias, over the last axis."""
    if weight.ndim != 2 or 0 in weight.shape:
        raise Refusal(f"its weight has the shape {list(weight.shape)}")
    t = with_last(r, t)
    out, columns = weight.shape
    if t.dims[-1] != Size(columns):
        raise Refusal(f"its weight needs {columns} columns, and its input has {t.dims[-1]}")
    parameters = {"weight": weight} if bias is None else {"weight": weight, "bias": bias}
    share = tuple(name for name in names if name in r.graph.constants)
    layer = r.make(layers.Linear, parameters, columns, out, bias=bias is not None, share=share or None, names=names)
    return on_last(r, t, layer, out)._replace(product=Product(t, weight, names, bias))


def prelu(r: Reading, t: Tensor, slope: np.ndarray, names: Any = ()) -> Tensor:
    """Return PReLU, with one slope or one for each index of the last axis."""
    slope = slope.reshape(-1)
    if len({*slope.tolist()}) == 1 and (len(slope) == 1 or t.shape[-1] != Size(len(slope))):
        return on_elements(r, t, r.make(layers.PReLU, {"weight": slope[:1]}, names=names))
    t = with_last(r, t)
    if t.dims[-1] != Size(len(slope)):
        raise Refusal(f"it has {len(slope)} slopes for a dimension of size {t.dims[-1]}")
    layer = r.make(layers.PReLU, {"weight": slope}, len(slope), names=names)
    rank = len(t.value.shape)
    if rank == 1:
        return on_elements(r, t, layer)
    there, back = (rank, *range(1, rank)), (*range(2, rank + 1), 1)  # channels are the first dimension of samples
    return on_elements(r, t, layers.Permute(there), layer, layers.Permute(back))


def _prelu(r: Reading, node: Node, values: list[Any]) -> Tensor:
    t, slope = tensor(values[0]), constant(given(values, 1), "its slope")
    rank = len(t.axes)
    if slope.ndim > rank:
        raise Refusal(f"its slopes have the shape {list(slope.shape)}")
    shape = (1,) * (rank - slope.ndim) + slope.shape
    wide = [i for i, n in enumerate(shape) if n > 1]
    if wide and wide != [rank - 1]:
        if wide != [1] or t.batch_axis != 0:
            raise Refusal(f"its slopes have the shape {list(slope.shape)}")
        t = materialized(r, t)
        layer = r.make(layers.PReLU, {"weight": slope.reshape(-1)}, slope.size, names=node.inputs)
        return on_elements(r, t, layer)
    return prelu(r, t, slope, node.inputs)


def _subtract(r: Reading, node: Node, values: list[Any]) -> Tensor:
    a, b = values
    if isinstance(a, Tensor) and isinstance(b, Tensor):
        return combined(r, layers.Subtract(), [a, b])
    if isinstance(a, Tensor):
        array = _few(b, "an input")
        return _scaled(r, a, np.ones_like(array, np.float64), -array.astype(np.float64))
    array = _few(a, "an input")
    return _scaled(r, tensor(b), -np.ones_like(array, np.float64), array)


def _divide(r: Reading, node: Node, values: list[Any]) -> Tensor:
    array = _few(values[1], "what it divides by").astype(np.float64)
    if np.any(array == 0):
        raise Refusal("it divides by 0")
    return _scaled(r, tensor(values[0]), 1 / array, np.zeros_like(array))


def _power(r: Reading, node: Node, values: list[Any]) -> Tensor:
    exponent = constant(values[1], "its exponent")
    if exponent.size != 1 or float(exponent.reshape(())[()]) not in range(1, _MOST_POWER + 1):
        raise Refusal("its exponent is no small whole number")
    t = tensor(values[0])
    n = int(exponent.reshape(())[()])
    return t if n == 1 else combined(r, layers.Multiply(), [t] * n)


def _negative(r: Reading, node: Node, values: list[Any]) -> Tensor:
    return on_elements(r, tensor(values[0]), layers.Rescaling(-1.0))


def _absolute(r: Reading, node: Node, values: list[Any]) -> Tensor:
    t = tensor(values[0])
    return combined(r, layers.Maximum(), [t, on_elements(r, t, layers.Rescaling(-1.0))])


def _hard_sigmoid(r: Reading, node: Node, values: list[Any]) -> Tensor:
    alpha, beta = (shorter(node.attributes.get(key, default)) for key, default in (("alpha", 0.2), ("beta", 0.5)))
    return on_elements(r, tensor(values[0]), layers.Rescaling(alpha, beta), layers.Hardtanh(0.0, 1.0))


def _swish(r: Reading, node: Node, values: list[Any]) -> Tensor:
    t = tensor(values[0])
    gate = on_elements(r, t, layers.Rescaling(shorter(node.attributes.get("alpha", 1.0))), layers.Sigmoid())
    return combined(r, layers.Multiply(), [t, gate])


def _average(r: Reading, node: Node, values: list[Any]) -> Tensor:
    tensors = [tensor(v) for v in values]
    return combined(r, layers.Average(), tensors) if len(tensors) > 1 else tensors[0]


def _same(r: Reading, node: Node, values: list[Any]) -> Any:
    return values[0]


def _cast(r: Reading, node: Node, values: list[Any]) -> Any:
    t = values[0]
    if isinstance(t, Tensor) and node.kind == "Cast" and node.attributes.get("to") == 9:
        raise Refusal("it makes truth values of numbers")
    if isinstance(t, Tensor) and not t.is_index and node.attributes.get("to") in (2, 3, 4, 5, 6, 7, 12, 13):
        raise Refusal("it rounds numbers to whole ones")
    return t


def _dropout(r: Reading, node: Node, values: list[Any]) -> Any:
    p = number(node, values, 1, "ratio", 0.5)
    return on_elements(r, tensor(values[0]), layers.Dropout(shorter(p)))


def _scaler(r: Reading, node: Node, values: list[Any]) -> Tensor:
    """(x - offset) * scale, of scikit-learn's scalers."""
    t = tensor(values[0])
    offset, scale = (np.array(node.attributes.get(key, ())) for key in ("offset", "scale"))
    offset, scale = np.broadcast_arrays(offset, scale)
    if scale.size == 1:
        return _scaled(r, t, scale.reshape(1), (-offset * scale).reshape(1))
    return affine(r, t, scale, -offset * scale)


ENTRIES: dict[str, Entry] = {
    "Abs": _absolute,
    "Add": _merge(layers.Add),
    "Cast": _cast,
    "CastLike": _cast,
    "Div": _divide,
    "Dropout": _dropout,
    "HardSigmoid": _hard_sigmoid,
    "Identity": _same,
    "Max": _merge(layers.Maximum),
    "Mean": _average,
    "Min": _merge(layers.Minimum),
    "Mul": _merge(layers.Multiply),
    "Neg": _negative,
    "PRelu": _prelu,
    "Pow": _power,
    "Sub": _subtract,
    "Sum": _merge(layers.Add),
    "Swish": _swish,
    "ai.onnx.ml.Scaler": _scaler,
    "ai.onnx.ml.ZipMap": _same,
}
