"""Entries of operators that change shapes, join and divide tensors; and of those on sizes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .... import layers
from ....layers.slicing import FAR, Slice
from .folding import listed, range_of, shape_part, slices, split_sizes
from .interpret import Entry, tensor
from .values import ONE, Expanded, Refusal, Size, Sizes, Tensor, axis_of, plain, product, quotient, reshaped
from .views import dims_are_those_of_the_value, materialized, part, selected

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .graph import Node
    from .interpret import Reading


def _transpose(r: Reading, node: Node, values: list[Any]) -> Tensor:
    t = tensor(values[0])
    perm = node.attributes.get("perm", tuple(range(len(t.axes)))[::-1])
    if sorted(perm) != list(range(len(t.axes))):
        raise Refusal(f"perm={list(perm)[:20]} of {len(t.axes)} dimensions")
    return t._replace(axes=tuple(t.axes[i] for i in perm), product=None)


def _squeeze(r: Reading, node: Node, values: list[Any]) -> Tensor:
    t, axes = tensor(values[0]), listed(node, values, 1, "axes")
    if axes is None:
        axes = [i for i, size in enumerate(t.shape) if size == ONE and 0 not in t.axes[i]]
    gone = {axis_of(a, len(t.axes)) for a in axes}
    if any(t.shape[a] != ONE for a in gone):
        raise Refusal(f"it takes away dimensions of the shape [{', '.join(map(str, t.shape))}] that are not 1")
    return t._replace(axes=tuple(axis for i, axis in enumerate(t.axes) if i not in gone), product=None)


def _unsqueeze(r: Reading, node: Node, values: list[Any]) -> Tensor:
    t, axes = tensor(values[0]), listed(node, values, 1, "axes") or []
    rank = len(t.axes) + len(axes)
    places = {axis_of(a, rank) for a in axes}
    if len(places) != len(axes) or rank > 9:
        raise Refusal(f"its axes are {axes[:20]}")
    own = iter(t.axes)
    return t._replace(axes=tuple(() if i in places else next(own) for i in range(rank)), product=None)


def as_sizes(value: Any) -> tuple[Size, ...] | None:
    """Return the numbers of a shape, or None."""
    if isinstance(value, Sizes):
        return value.items
    if isinstance(value, np.ndarray) and value.dtype.kind in "iu" and value.ndim <= 1 and value.size <= 64:
        return tuple(Size(int(each)) for each in value.reshape(-1))
    return None


def _reshape(r: Reading, node: Node, values: list[Any]) -> Tensor:
    t, wanted = tensor(values[0]), as_sizes(values[1] if len(values) > 1 else np.array(node.attributes.get("shape", ())))
    if wanted is None:
        raise Refusal("its shape is not known")
    before, allow_zero = t.shape, node.attributes.get("allowzero", 0)
    sizes: list[Size | None] = []
    for i, size in enumerate(wanted):
        if size.known == 0 and not allow_zero and i < len(before):
            size = before[i]
        sizes.append(None if size.known == -1 else size)
    if sizes.count(None) == 1:
        rest = quotient(product(before), product(size for size in sizes if size is not None))
        if rest is None:
            raise Refusal(f"[{', '.join(map(str, before))}] does not become [{', '.join(map(str, wanted))}]")
        sizes[sizes.index(None)] = rest
    if any(size is None or size.factor < 1 for size in sizes):
        raise Refusal(f"its shape is [{', '.join(map(str, wanted))}]")
    target = [size for size in sizes if size is not None]
    try:
        found = reshaped(t, target)
    except Refusal:
        return _cut(r, t, target)
    keeps = bool(found.axes and t.axes) and found.axes[-1] == t.axes[-1] and found.dims == t.dims
    return found if keeps else found._replace(product=None)


def _cut(r: Reading, t: Tensor, target: list[Size]) -> Tensor:
    """Give samples a shape that is no view of theirs by dimensions, such as [10, 2] for [4, 5]."""
    made = materialized(r, t)
    if not target or made.batch_axis != 0 or target[0] != t.dims[0] or product(target) != product(made.dims):
        return reshaped(t, target)  # which says why not
    if any(size.known is None for size in target[1:]):
        return reshaped(t, target)
    dims = [size.factor for size in target[1:]]
    return plain(r.apply(layers.Reshape(*dims), made.value), target, is_index=t.is_index)


def _flatten(r: Reading, node: Node, values: list[Any]) -> Tensor:
    t, axis = tensor(values[0]), int(node.attributes.get("axis", 1))
    rank = len(t.axes)
    axis = axis + rank if axis < 0 else axis
    if not 0 <= axis <= rank:
        raise Refusal(f"axis={axis} of {rank} dimensions")
    return reshaped(t, [product(t.shape[:axis]), product(t.shape[axis:])])._replace(product=None)


def _concat(r: Reading, node: Node, values: list[Any]) -> Tensor:
    tensors = [tensor(v, "one of its inputs") for v in values]
    if len(tensors) == 1:
        return tensors[0]
    first = tensors[0]
    axis = axis_of(int(node.attributes.get("axis", 0)), len(first.axes))
    if any(len(t.axes) != len(first.axes) for t in tensors):
        raise Refusal("its inputs do not have the same number of dimensions")
    whole = first.axes[axis]
    if not (
        len(whole) == 1
        and whole != (0,)
        and all(t.axes == first.axes and len(t.dims) == len(first.dims) for t in tensors)
        and all(dims_are_those_of_the_value(r, t) for t in tensors)
        and all(a == b for t in tensors for d, (a, b) in enumerate(zip(t.dims, first.dims, strict=True)) if d != whole[0])
    ):
        tensors = [materialized(r, t) for t in tensors]
        first = tensors[0]
        whole = first.axes[axis]
        if whole == (0,) or any(t.axes != first.axes for t in tensors):
            raise Refusal("it joins the samples of the batch")
    value = r.apply(layers.Concatenate(whole[0]), *(t.value for t in tensors))
    sizes = [t.dims[whole[0]] for t in tensors]
    total = Size(sum(size.factor for size in sizes))
    if any(size.known is None for size in sizes):
        r.concrete(sizes[0])
        total = Size(1, (f"joined at {node.outputs[0]}",))
        r.know(total, value.shape[whole[0] - 1])
    return Tensor(value, tuple(total if d == whole[0] else size for d, size in enumerate(first.dims)), first.axes)


def _slice(r: Reading, node: Node, values: list[Any]) -> Tensor:
    t = tensor(values[0])
    for axis, (start, end, step) in slices(node, values, len(t.axes)).items():
        size = t.shape[axis].known
        if start == 0 and step == 1 and (end >= FAR or end == size):
            continue
        t = t._replace(product=None)
        if size is not None:
            t = selected(r, t, axis, range_of(start, end, step, size))
        elif (start, step) == (-1, 1) and end >= FAR:
            t = selected(r, t, axis, [-1])
        elif 0 in t.axes[axis]:
            raise Refusal("it chooses samples of the batch")
        else:
            same = (start < 0) == (end < 0) and abs(end) < FAR  # ends that are counted from one side
            count = Size(len(range(start, end, step))) if same else f"part {node.outputs[0]}"
            start, end = (max(-FAR, min(FAR, each)) for each in (start, end))
            first = None if (start, step < 0) == (FAR, True) else start
            t = part(r, t, axis, Slice, count, first, None if end == (FAR if step > 0 else -FAR) else end, step)
    return t


def _split(r: Reading, node: Node, values: list[Any]) -> list[Tensor]:
    t = tensor(values[0])._replace(product=None)
    axis = axis_of(int(node.attributes.get("axis", 0)), len(t.axes))
    size = t.shape[axis].known
    if size is None:
        raise Refusal("it divides a dimension whose size is open")
    found, first = [], 0
    for n in split_sizes(node, values, size):
        found.append(selected(r, t, axis, range(first, first + n)))
        first += n
    return found


def _expand(r: Reading, node: Node, values: list[Any]) -> Any:
    """Repeat samples along a new first dimension; or nothing at all."""
    t = tensor(values[0])
    wanted = as_sizes(values[1])
    if wanted is None or len(wanted) > 9:
        raise Refusal("its shape is not known")
    rank = max(len(wanted), len(t.axes))
    t = t._replace(axes=(((),) * (rank - len(t.axes)) + t.axes), product=None)
    if node.kind == "Tile":
        if len(wanted) != rank:
            raise Refusal("it has not one number for each dimension")
        wide = [(i, size) for i, size in enumerate(wanted) if size != ONE]
    else:
        wanted = (ONE,) * (rank - len(wanted)) + wanted
        wide = [(i, size) for i, size in enumerate(wanted) if size not in (ONE, t.shape[i]) and size.known != -1]
    if not wide:
        return t
    (axis, times), *more = wide
    if more or times.known is None or t.shape[axis] != ONE or 0 in t.axes[axis] or not 0 < times.factor <= 1 << 20:
        raise Refusal("it repeats numbers; only whole samples can be repeated, a known number of times")
    at = t.batch_axis
    others = [i for i in range(rank) if i not in (axis, at)]
    joined = tuple(d for i in others for d in t.axes[i])
    flat = materialized(r, t._replace(axes=(t.axes[at], joined)))
    value = r.apply(layers.RepeatVector(times.factor), flat.value)
    places = {at: (0,), axis: (1,), **{i: (n + 2,) for n, i in enumerate(others)}}
    return Tensor(value, (t.dims[0], times, *(t.shape[i] for i in others)), tuple(places[i] for i in range(rank)))


def _reverse(r: Reading, node: Node, values: list[Any]) -> Tensor:
    """Turn the steps of all sequences round; lengths of less than all steps are no layer."""
    t, lengths = tensor(values[0]), values[1]
    time, batch = (int(node.attributes.get(f"{what}_axis", i)) for i, what in enumerate(("time", "batch")))
    size = t.shape[axis_of(time, len(t.axes))]
    array = lengths.array if isinstance(lengths, Expanded) else lengths
    is_all = isinstance(array, np.ndarray) and size.known is not None and bool(np.all(array == size.known))
    if not is_all and not (isinstance(array, Sizes) and {*array.items} == {size}):
        raise Refusal("it turns sequences round that have several lengths")
    if t.axes[time] != (1,) or t.batch_axis != batch:
        raise Refusal("it reverses another dimension than that of the steps")
    return t._replace(product=None, is_backwards=not t.is_backwards)


def _shape(r: Reading, node: Node, values: list[Any]) -> Any:
    v = values[0]
    shape = v.shape if isinstance(v, Tensor | Expanded) else (Size(len(v.items)),)
    return sized(shape[shape_part(node, len(shape))])


def sized(items: Sequence[Size], is_scalar: bool = False) -> Any:
    """Return sizes, as an array if all are known."""
    if all(size.known is not None for size in items):
        array = np.array([size.factor for size in items], np.int64)
        return array.reshape(()) if is_scalar else array
    return Sizes(tuple(items), is_scalar)


ENTRIES: dict[str, Entry] = {
    "Concat": _concat,
    "Expand": _expand,
    "Flatten": _flatten,
    "Reshape": _reshape,
    "ReverseSequence": _reverse,
    "Shape": _shape,
    "Slice": _slice,
    "Split": _split,
    "Squeeze": _squeeze,
    "Tile": _expand,
    "Transpose": _transpose,
    "Unsqueeze": _unsqueeze,
}
