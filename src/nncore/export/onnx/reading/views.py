"""Layers on tensors: on the last axis, on each element, or on the dimensions in the order that a graph has them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from .... import layers
from ....graph import Value
from .values import ONE, Refusal, Size, Tensor, axis_of, plain, product

if TYPE_CHECKING:
    from .interpret import Reading


def materialized(r: Reading, t: Tensor) -> Tensor:
    """Return a tensor each of whose axes is one dimension of its value: the batch, and the others in their order."""
    at = t.batch_axis
    wanted = [product(t.dims[d] for d in axis) for i, axis in enumerate(t.axes) if i != at]
    order = [d for axis in t.axes for d in axis if t.dims[d] != ONE and d != 0]
    value = t.value
    if order != sorted(order):
        kept = sorted(order)
        value = _shaped(r, value, [t.dims[d] for d in kept])
        value = r.apply(layers.Permute(tuple(kept.index(d) + 1 for d in order)), value)
    value = _shaped(r, value, wanted)
    axes = tuple((0,) if i == at else (i + 1 if i < at else i,) for i in range(len(t.axes)))
    return Tensor(value, (t.dims[0], *wanted), axes, t.is_index)


def _shaped(r: Reading, value: Value, sizes: Sequence[Size]) -> Value:
    """Give the samples of a value this shape."""
    target = tuple(r.concrete(each) for each in sizes)
    if value.shape == target:
        return value
    if not target:
        raise Refusal("it needs samples of one number without a dimension, and they have one")
    if len(target) == 1:
        return r.apply(layers.Flatten(), value)
    if sum(each.known is None for each in sizes) > 1:
        raise Refusal("several dimensions have open sizes, so that no layer can give it its shape")
    dims = [-1 if each.known is None else n for each, n in zip(sizes, target, strict=True)]
    if -1 not in dims and len(value.shape) > 1 and value.shape[0] == target[0]:
        dims[0] = -1  # if it is time, other lengths may follow
    return r.apply(layers.Reshape(*dims), value)


def with_last(r: Reading, t: Tensor) -> Tensor:
    """Return a tensor whose last axis is the last dimension of its value."""
    if not t.axes:
        raise Refusal("its input has no dimensions")
    last = [d for d in t.axes[-1] if t.dims[d] != ONE]
    tail, rest = product(t.dims[d] for d in last), [d for d, size in enumerate(t.dims) if size != ONE or d == 0]
    if (
        last
        and 0 not in last
        and last == rest[len(rest) - len(last) :]
        and t.value.shape
        and r.concrete(tail) == t.value.shape[-1]
        and set(range(len(t.dims))) <= {d for axis in t.axes for d in axis} | {d for d, size in enumerate(t.dims) if size == ONE}
    ):
        # Sizes of one after the last dimension belong to it.
        first = last[0]
        dims = (*t.dims[:first], tail)
        axes = (*(tuple(d for d in axis if d < first) for axis in t.axes[:-1]), (first,))
        return t._replace(dims=dims, axes=axes)
    order = [d for axis in t.axes for d in axis if t.dims[d] != ONE and d != 0]
    if last and 0 not in last and order == sorted(order) and sum(0 in axis and len(axis) > 1 for axis in t.axes):
        kept = order[: len(order) - len(last)]  # dimensions that are joined to the batch stay dimensions
        sizes = [*(t.dims[d] for d in kept), tail]
        number = {0: 0, **{d: i + 1 for i, d in enumerate(kept)}}
        axes = (*(tuple(number[d] for d in axis if d in number) for axis in t.axes[:-1]), (len(sizes),))
        return Tensor(_shaped(r, t.value, sizes), (t.dims[0], *sizes), axes, t.is_index)
    t = materialized(r, t)
    if t.axes[-1] == (0,):
        raise Refusal("its last dimension is the batch")
    if t.axes[-1] != (len(t.dims) - 1,):
        raise Refusal("its last dimension is not that of samples")
    return t


def on_last(r: Reading, t: Tensor, layer: Any, size: int | None = None) -> Tensor:
    """Apply a layer to the last axis, which then has this size, or the same one."""
    t = with_last(r, t)
    value = r.apply(layer, t.value)
    dims = t.dims if size is None else (*t.dims[:-1], Size(size))
    return Tensor(value, dims, t.axes)


def on_elements(r: Reading, t: Tensor, *made: Any) -> Tensor:
    """Apply layers that act on each element."""
    value = t.value
    for layer in made:
        value = r.apply(layer, value)
    return Tensor(value, t.dims, t.axes)


def aligned(r: Reading, tensors: Sequence[Tensor]) -> list[Tensor]:
    """Return tensors such that layers with several inputs combine their values as ONNX combines them."""
    first = tensors[0]
    if all(t.axes == first.axes and t.dims == first.dims and t.value.shape == first.value.shape for t in tensors):
        return list(tensors)
    found = [materialized(r, t) for t in tensors]
    places = {t.batch_axis - len(t.axes) for t in found}
    if len(places) > 1:
        raise Refusal("it combines the samples of one tensor with other dimensions of another one")
    return found


def combined(r: Reading, layer: Any, tensors: Sequence[Tensor]) -> Tensor:
    """Apply a merging layer."""
    found = aligned(r, tensors)
    value = r.apply(layer, *(t.value for t in found))
    largest = max(found, key=lambda t: len(t.axes))
    if value.shape == largest.value.shape:
        dims = list(largest.dims)
        for t in found:
            for i in range(1, len(t.dims) + 0):
                j = len(dims) - len(t.dims) + i
                if dims[j] == ONE:
                    dims[j] = t.dims[i]
        return Tensor(value, tuple(dims), largest.axes)
    rank, sizes = len(largest.axes), []
    for i in range(rank):
        of = [t.shape[i - rank] for t in found if len(t.axes) >= rank - i]
        sizes.append(next((size for size in of if size != ONE), ONE))
    at = largest.batch_axis
    sizes = [sizes[at], *(size for i, size in enumerate(sizes) if i != at)]
    return plain(value, sizes)._replace(axes=largest.axes)


def selected(r: Reading, t: Tensor, axis: int, indices: Sequence[int]) -> Tensor:
    """Return the tensor with some indices of an axis, which keeps its place. The last step in time is a layer of its own."""
    axis = axis_of(axis, len(t.axes))
    size = t.shape[axis]
    if 0 in t.axes[axis]:
        raise Refusal("it chooses samples of the batch")
    every = range(size.known or 0)
    if (indices == every) if isinstance(indices, range) else (list(indices) == list(every[: len(indices) + 1])):
        return t
    if len(indices) == 1 and indices[0] in (-1, (size.known or 0) - 1) and (found := _last_step(r, t, axis)) is not None:
        return found
    n = size.known
    if n is None:
        raise Refusal("it chooses indices of a dimension whose size is open")
    if not indices or any(not -n <= i < n for i in ((indices[0], indices[-1]) if isinstance(indices, range) else indices)):
        raise Refusal(f"it chooses parts of a dimension of {n} that are not there")
    first = indices[0] % n
    chosen = indices if isinstance(indices, range) else range(first, first + len(indices))
    if list(chosen) == [i % n for i in indices]:
        end = chosen[-1] + (1 if chosen.step > 0 else -1)
        return part(r, t, axis, layers.Slice, Size(len(indices)), first, None if end < 0 else end, chosen.step)
    return part(r, t, axis, layers.Take, Size(len(indices)), [int(i) for i in indices])


def dims_are_those_of_the_value(r: Reading, t: Tensor) -> bool:
    """Return whether a tensor has the dimensions of its value, each by itself."""
    return len(t.dims) == len(t.value.shape) + 1 and all(
        r.concrete(size) == n for size, n in zip(t.dims[1:], t.value.shape, strict=True)
    )


def part(r: Reading, t: Tensor, axis: int, kind: Any, size: Size | str, *arguments: Any) -> Tensor:
    """Return a part of an axis by a Slice or a Take. size: how much it is; or the name of a size that is open as the axis is."""
    t = t if len(t.axes[axis]) == 1 and dims_are_those_of_the_value(r, t) else materialized(r, t)
    (d,) = t.axes[axis]
    value = t.value
    is_whole = kind is layers.Slice and size == t.dims[d]
    if isinstance(size, Size) and d == 1 and len(value.shape) > 1 and t.dims[1].known is not None and not is_whole:
        value = r.apply(layers.Reshape(*value.shape), value)  # so that parts are not taken of another number of steps
    value = r.apply(kind(*arguments, axis=-1 if d == len(value.shape) else d), value)
    if isinstance(size, str):
        size = Size(1, (size,))
        r.know(size, value.shape[d - 1])
    elif size.known not in (None, value.shape[d - 1]):
        raise Refusal(f"it takes {size} steps of an open number of them, which may be fewer")
    return Tensor(value, (*t.dims[:d], size, *t.dims[d + 1 :]), t.axes)


def turned(r: Reading, t: Tensor) -> Tensor:
    """Return a tensor whose steps are read backwards as one that has them in that order."""
    axis = next((i for i, dims in enumerate(t.axes) if dims == (1,)), None)
    if axis is None:
        raise Refusal("it reads time steps from the last one to the first, which only recurrent layers do")
    return part(r, t._replace(product=None, is_backwards=False), axis, layers.Slice, t.dims[1], None, None, -1)


def _last_step(r: Reading, t: Tensor, axis: int) -> Tensor | None:
    """Return the last index of an axis, if it is the first dimension of several of the samples."""
    moved = materialized(r, t)
    if moved.axes[axis] != (1,) or len(moved.dims) < 3:
        return None
    value = r.apply(layers.LastStep(), moved.value)
    axes = tuple(() if i == axis else tuple(d - 1 if d > 1 else d for d in each) for i, each in enumerate(moved.axes))
    return Tensor(value, (moved.dims[0], *moved.dims[2:]), axes)
