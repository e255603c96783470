"""Entries of operators with parameters, without recurrent ones: products, norms, tables; and of activations of rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from .... import layers
from .elementwise import linear
from .folding import listed
from .interpret import Entry, constant, given, tensor
from .rows import normalized, product_of_rows
from .values import Refusal, Size, Tensor, axis_of, product, shorter
from .views import combined, materialized, on_elements, on_last, selected, with_last

if TYPE_CHECKING:
    from .graph import Node
    from .interpret import Reading


def swapped(t: Tensor) -> Tensor:
    """Return a tensor of two axes, transposed."""
    if len(t.axes) != 2:
        raise Refusal(f"it transposes {len(t.axes)} dimensions")
    return t._replace(axes=t.axes[::-1], product=None)


def moved(t: Tensor, axis: int, to: int = -1) -> Tensor:
    """Return the tensor with one axis in another place."""
    axes = list(t.axes)
    one = axes.pop(axis)
    axes.insert(len(axes) if to == -1 else to, one)
    return t._replace(axes=tuple(axes), product=None)


def _gemm(r: Reading, node: Node, values: list[Any]) -> Tensor:
    a, b, c = given(values, 0), given(values, 1), given(values, 2)
    alpha, beta = (shorter(float(node.attributes.get(key, 1.0))) for key in ("alpha", "beta"))
    if isinstance(a, Tensor) and isinstance(b, np.ndarray):
        t, weight = swapped(a) if node.attributes.get("transA", 0) else a, b if node.attributes.get("transB", 0) else b.T
    elif isinstance(b, Tensor) and isinstance(a, np.ndarray):
        t, weight = b if node.attributes.get("transB", 0) else swapped(b), a.T if node.attributes.get("transA", 0) else a
    else:
        raise Refusal("one of what it multiplies must be a constant, and the other one depend on the inputs")
    is_left = isinstance(b, Tensor)
    weight = weight if alpha == 1 else weight * alpha
    bias = None
    if isinstance(c, np.ndarray):
        bias = _row(c.T if is_left and c.ndim == 2 else c, len(weight)) * beta
    names = (node.inputs[0], node.inputs[1], *node.inputs[2:]) if isinstance(c, np.ndarray) else node.inputs[:2]
    found = linear(r, t, weight, bias, (*names, *_scope(node)))
    found = swapped(found) if is_left else found
    if not isinstance(c, Tensor):
        return found
    c = c if beta == 1 else on_elements(r, c, layers.Rescaling(beta))
    return combined(r, layers.Add(), [found, c])


def _row(array: np.ndarray, size: int) -> np.ndarray:
    if array.ndim > 2 or (array.ndim == 2 and array.shape[0] != 1) or array.shape[-1:] not in ((), (1,), (size,)):
        raise Refusal(f"its bias has the shape {list(array.shape)}")
    return np.broadcast_to(array.reshape(-1), (size,))


def _scope(node: Node) -> tuple[str, ...]:
    """Return the name of a node if it tells to which module it belongs, as "/encoder/fc/Gemm" does."""
    return (node.name,) if node.name.startswith("/") else ()


def _matmul(r: Reading, node: Node, values: list[Any]) -> Tensor:
    a, b = values
    names = (*node.inputs, *_scope(node))
    if isinstance(a, Tensor) and isinstance(b, np.ndarray):
        if b.ndim == 1:
            found = linear(r, a, b[None], None, names)
            return found._replace(axes=found.axes[:-1], product=None)
        if b.ndim > 2 and b.size == b.shape[-1] * b.shape[-2] and b.ndim <= len(a.axes):
            b = b.reshape(b.shape[-2:])
        return linear(r, a, b.T, None, names)
    if isinstance(b, Tensor) and isinstance(a, np.ndarray):
        return swapped(linear(r, swapped(b), a, None, names))
    if isinstance(a, Tensor) and isinstance(b, Tensor):
        return product_of_rows(r, a, b)
    raise Refusal("one of what it multiplies must be a constant, and the other one depend on the inputs")


def _einsum(r: Reading, node: Node, values: list[Any]) -> Tensor:
    """The product of the last axis with a weight, as Keras' EinsumDense writes it."""
    equation = str(node.attributes.get("equation", "")).replace(" ", "")
    terms = equation.replace("->", ",").split(",")
    if len(values) != 2 or len(terms) != 3 or not isinstance(values[0], Tensor) or not isinstance(values[1], np.ndarray):
        raise Refusal(f"equation={equation[:60]!r}; a product of a tensor with a constant is needed")
    x, k, y = terms
    weight = values[1].T if k == x[-1:] + y[-1:] else values[1]
    if (
        {k, k[::-1]}.isdisjoint({x[-1:] + y[-1:]})
        or x[:-1] != y[:-1]
        or len(x) != len(values[0].axes)
        or len({*x, *y}) != len(x) + 1
    ):
        raise Refusal(f"equation={equation[:60]!r}; only the last dimension can be multiplied, by a matrix")
    return linear(r, values[0], weight, None, (*node.inputs, *_scope(node)))


def _convolution(r: Reading, node: Node, values: list[Any]) -> Tensor:
    """A convolution of one step is a product over the channels, which are the second axis."""
    t, weight, bias, given_of = tensor(values[0]), constant(given(values, 1), "its weight"), given(values, 2), node.attributes
    is_plain = {*given_of.get("strides", (1,))} == {1} and not any(given_of.get("pads", ())) and given_of.get("group", 1) == 1
    if weight.ndim < 3 or weight.shape[2:] != (1,) * (weight.ndim - 2) or not is_plain or len(t.axes) != weight.ndim:
        raise Refusal("nncore has no convolutions but those of one step")
    found = linear(r, moved(t, 1), weight.reshape(weight.shape[:2]), bias, (*node.inputs, *_scope(node)))
    return moved(found, len(found.axes) - 1, 1)


# Norms --------------------------------------------------------------------------------------------------------------------------


def _batch_norm(r: Reading, node: Node, values: list[Any]) -> Tensor:
    """The channels are the second axis of the graph; here they may be the last one as well."""
    if node.attributes.get("training_mode", 0):
        raise Refusal("it normalizes with the statistics of the batch, as in training (training_mode=1)")
    t, roles = tensor(values[0]), ("weight", "bias", "running_mean", "running_var")
    parameters = {role: constant(given(values, i + 1), f"its {role}") for i, role in enumerate(roles)}
    parameters["num_batches_tracked"] = np.zeros((), np.int64)
    if len(t.axes) < 2:
        raise Refusal("its input has one dimension, and none for the channels")
    n, eps = parameters["weight"].size, shorter(node.attributes.get("epsilon", 1e-5))
    momentum = float(f"{1 - node.attributes.get('momentum', 0.9):.6g}")

    def made(axis: int) -> Any:
        names = (*node.inputs, *_scope(node))
        return r.make(layers.BatchNorm1d, parameters, n, eps=eps, momentum=momentum, axis=axis, names=names)

    last = with_last(r, moved(t, 1))
    if last.value is not t.value:
        first = materialized(r, t)
        if len(first.value.shape) <= 2 and first.batch_axis == 0:
            return on_elements(r, first, made(1))
    return moved(on_last(r, last, made(-1 if len(last.value.shape) > 1 else 1)), len(last.axes) - 1, 1)


def _layer_norm(r: Reading, node: Node, values: list[Any]) -> Tensor:
    t, weight, bias = tensor(values[0]), constant(given(values, 1), "its scale"), given(values, 2)
    axis = axis_of(int(node.attributes.get("axis", -1)), len(t.axes))
    sizes = [size.known for size in t.shape[axis:]]
    if any(size is None for size in sizes):
        raise Refusal("it normalizes over a dimension whose size is open")
    shape = tuple(size for size in sizes if size is not None)
    eps = shorter(node.attributes.get("epsilon", 1e-5))
    parameters = {"weight": np.broadcast_to(weight, shape)}
    if bias is not None:
        parameters["bias"] = np.broadcast_to(constant(bias, "its bias"), shape)
    names = (*node.inputs, *_scope(node))
    layer = r.make(layers.LayerNorm, parameters, shape, eps, bias=bias is not None, names=names)
    if len(shape) == 1:
        return on_last(r, t, layer)
    t = materialized(r, t)
    if t.batch_axis >= axis:
        raise Refusal("it normalizes over the batch")
    return on_elements(r, t, layer)


def _rms_norm(r: Reading, node: Node, values: list[Any]) -> Tensor:
    t, weight = tensor(values[0]), constant(given(values, 1), "its scale")
    if axis_of(int(node.attributes.get("axis", -1)), len(t.axes)) != len(t.axes) - 1:
        raise Refusal("it normalizes over several dimensions")
    size = t.shape[-1].known or 0
    return normalized(r, t, np.broadcast_to(weight, (size,)), shorter(node.attributes.get("epsilon", 1e-5)))


def _of_rows(kind: Any) -> Entry:
    def entry(r: Reading, node: Node, values: list[Any]) -> Tensor:
        t = tensor(values[0])
        axis = axis_of(int(node.attributes.get("axis", -1 if r.graph.opset >= 13 else 1)), len(t.axes))
        if r.graph.opset < 13 and axis != len(t.axes) - 1:
            raise Refusal(f"axis={axis} of opset {r.graph.opset} joins several dimensions")
        return moved(on_last(r, moved(t, axis), kind()), len(t.axes) - 1, axis)

    return entry


# Tables, and choices of parts -----------------------------------------------------------------------------------------------------


def _gather(r: Reading, node: Node, values: list[Any]) -> Tensor:
    data, indices = values
    axis = int(node.attributes.get("axis", 0))
    if isinstance(data, Tensor):
        chosen = constant(indices, "what it chooses")
        if chosen.ndim > 1:
            raise Refusal("it chooses by an array of several dimensions")
        axis = axis_of(axis, len(data.axes))
        found = selected(r, data._replace(product=None), axis, [int(i) for i in chosen.reshape(-1)])
        axes = found.axes if chosen.ndim else (*found.axes[:axis], *found.axes[axis + 1 :])
        return found._replace(axes=axes)
    table, t = constant(data, "its table"), tensor(indices)
    if table.ndim != 2 or axis != 0 or 0 in table.shape or table.dtype.kind != "f":
        raise Refusal(f"its table has the shape {list(table.shape)}, of which it takes axis {axis}")
    names = (*node.inputs, *_scope(node))
    layer = r.make(layers.Embedding, {"weight": table}, *table.shape, share=node.inputs[:1], names=names)
    value = r.apply(layer, t.value)
    dims = (*t.dims, Size(table.shape[1]))
    return Tensor(value, dims, (*t.axes, (len(t.dims),)))


def _pool(kind: Any, times_steps: bool = False) -> Entry:
    """A mean, maximum or sum over axes, which become the first one of the samples."""

    def entry(r: Reading, node: Node, values: list[Any]) -> Tensor:
        t = tensor(values[0])
        axes = [*range(2, len(t.axes))] if node.kind[:6] == "Global" else listed(node, values, 1, "axes")
        if not axes:
            raise Refusal("it joins all dimensions, the batch as well")
        gone, at = sorted({axis_of(axis, len(t.axes)) for axis in axes}), t.batch_axis
        if at in gone:
            raise Refusal("it joins the samples of the batch")
        size, others = product(t.shape[i] for i in gone), [i for i in range(len(t.axes)) if i not in (*gone, at)]
        joined = tuple(d for i in gone for d in t.axes[i])
        view = materialized(r, t._replace(axes=(t.axes[at], joined, *(t.axes[i] for i in others))))
        value = view.value
        if times_steps and joined == (1,) and size.known and len(value.shape) > 1:
            value = r.apply(layers.Reshape(*value.shape), value)  # so that no other number of steps is multiplied by this one
        if not others:
            value = r.apply(layers.Reshape(-1, 1), value)
        value = r.apply(kind(), value)
        if times_steps:
            if size.known is None:
                raise Refusal("it sums over a dimension whose size is open")
            value = r.apply(layers.Rescaling(float(size.known)), value)
        dims = (view.dims[0], *view.dims[2:], *([] if others else [Size(1)]))
        places: dict[int, tuple[int, ...]] = {at: (0,), **{i: (n + 1,) for n, i in enumerate(others)}, **dict.fromkeys(gone, ())}
        if not others:
            places[gone[0]] = (1,)
        keep = bool(node.attributes.get("keepdims", 1))
        axes_now = tuple(places[i] for i in range(len(t.axes)) if keep or i not in gone)
        return Tensor(value, dims, axes_now)

    return entry


ENTRIES: dict[str, Callable[..., Any]] = {
    "BatchNormalization": _batch_norm,
    "Conv": _convolution,
    "Einsum": _einsum,
    "Gather": _gather,
    "Gemm": _gemm,
    "GlobalAveragePool": _pool(layers.GlobalAveragePooling1D),
    "GlobalMaxPool": _pool(layers.GlobalMaxPooling1D),
    "LayerNormalization": _layer_norm,
    "LogSoftmax": _of_rows(layers.LogSoftmax),
    "MatMul": _matmul,
    "RMSNormalization": _rms_norm,
    "ReduceMax": _pool(layers.GlobalMaxPooling1D),
    "ReduceMean": _pool(layers.GlobalAveragePooling1D),
    "ReduceSum": _pool(layers.GlobalAveragePooling1D, times_steps=True),
    "Softmax": _of_rows(layers.Softmax),
}
