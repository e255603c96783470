"""Entries of operators on sizes and on repeated constants: what exporters write to make shapes and initial states."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .folding import ELEMENTWISE, fold, listed, range_of, slices
from .interpret import Entry, constant
from .shapes import as_sizes, sized
from .values import ONE, Expanded, Refusal, Size, Sizes, axis_of, product, quotient

if TYPE_CHECKING:
    from .graph import Node
    from .interpret import Reading


def _items(value: Any) -> tuple[Size, ...]:
    if (found := as_sizes(value)) is None:
        raise Refusal("it computes with sizes that are open")
    return found


def _is_scalar(value: Any) -> bool:
    return value.is_scalar if isinstance(value, Sizes) else value.ndim == 0


def _gather(r: Reading, node: Node, values: list[Any]) -> Any:
    if isinstance(values[0], Expanded):
        chosen = constant(values[1], "what it chooses")
        axis = axis_of(int(node.attributes.get("axis", 0)), len(values[0].shape))
        if chosen.ndim > 1 or values[0].shape[axis].known is None:
            raise Refusal("it chooses of a dimension whose size is open")
        found = _taken(values[0], axis, [int(i) for i in chosen.reshape(-1)])
        return found if chosen.ndim else _without(found, {axis})
    items, chosen = _items(values[0]), constant(values[1], "what it chooses")
    if chosen.ndim > 1:
        raise Refusal("it chooses by an array of several dimensions")
    return sized([items[int(i)] for i in chosen.reshape(-1)], is_scalar=chosen.ndim == 0)


def _taken(e: Expanded, axis: int, chosen: list[int]) -> Expanded:
    n = e.shape[axis].known or 0
    if any(not -n <= i < n for i in chosen):
        raise Refusal(f"it takes parts of a dimension of {n} that are not there")
    array = e.array if e.array.shape[axis] == 1 else np.take(e.array, chosen, axis)
    return Expanded(array, (*e.shape[:axis], Size(len(chosen)), *e.shape[axis + 1 :]))


def _without(e: Expanded, gone: set[int]) -> Expanded:
    if any(e.shape[i] != ONE for i in gone):
        raise Refusal("it takes away dimensions that are not 1")
    return Expanded(e.array.squeeze(tuple(gone)), tuple(size for i, size in enumerate(e.shape) if i not in gone))


def _slice(r: Reading, node: Node, values: list[Any]) -> Any:
    v = values[0]
    if isinstance(v, Expanded):
        for axis, (start, end, step) in slices(node, values, len(v.shape)).items():
            n = v.shape[axis].known
            if start == 0 and step == 1 and (end >= 2**31 - 1 or end == n):
                continue
            if n is None or n > 1 << 16:
                raise Refusal("it takes a part of a dimension whose size is open")
            v = _taken(v, axis, list(range_of(start, end, step, n)))
        return v
    items = _items(v)
    ((start, end, step),) = slices(node, values, 1).values()
    return sized([items[i] for i in range_of(start, end, step, len(items))])


def _concat(r: Reading, node: Node, values: list[Any]) -> Any:
    if any(isinstance(v, Expanded) for v in values):
        return _joined(int(node.attributes.get("axis", 0)), _as_repeated(values))
    return sized([item for v in values for item in _items(v)])


def _joined(axis: int, parts: list[Expanded]) -> Expanded:
    """Return repeated constants one after another, such as the initial states of two directions."""
    rank = len(parts[0].shape)
    axis = axis_of(axis, rank)
    sizes = [part.shape[axis].known or 0 for part in parts]
    others = [(*part.shape[:axis], *part.shape[axis + 1 :]) for part in parts]
    if any(each != others[0] for each in others) or not 0 < min(sizes) <= max(sizes) <= 1 << 16:
        raise Refusal("it joins repeated constants of different sizes")
    common = np.broadcast_shapes(*((*p.array.shape[:axis], 1, *p.array.shape[axis + 1 :]) for p in parts))
    arrays = [np.broadcast_to(p.array, (*common[:axis], n, *common[axis + 1 :])) for p, n in zip(parts, sizes, strict=True)]
    shape = parts[0].shape
    return Expanded(np.concatenate(arrays, axis), (*shape[:axis], Size(sum(sizes)), *shape[axis + 1 :]))


def _as_repeated(values: list[Any]) -> list[Expanded]:
    return [v if isinstance(v, Expanded) else Expanded(constant(v, "an input"), tuple(map(Size, v.shape))) for v in values]


def _unsqueeze(r: Reading, node: Node, values: list[Any]) -> Any:
    v, axes = values[0], listed(node, values, 1, "axes") or []
    if isinstance(v, Expanded):
        rank = len(v.shape) + len(axes)
        places, own = {axis_of(a, rank) for a in axes}, iter(v.shape)
        return Expanded(np.expand_dims(v.array, tuple(axes)), tuple(ONE if i in places else next(own) for i in range(rank)))
    if not _is_scalar(v) or axes not in ([0], [-1]):
        raise Refusal("it gives several dimensions to sizes")
    return sized(_items(v))


def _squeeze(r: Reading, node: Node, values: list[Any]) -> Any:
    v, axes = values[0], listed(node, values, 1, "axes")
    if isinstance(v, Expanded):
        if axes is None:
            raise Refusal("it does not say which dimensions it takes away")
        return _without(v, {axis_of(a, len(v.shape)) for a in axes})
    if len(_items(v)) != 1:
        raise Refusal("it takes away a dimension that is not 1")
    return sized(_items(v), is_scalar=True)


def _reshape(r: Reading, node: Node, values: list[Any]) -> Any:
    v, wanted = values[0], listed(node, values, 1, "shape") if not isinstance(values[1], Sizes) else None
    if isinstance(v, Expanded):
        sizes = _items(values[1])
        if v.array.size != 1 or any(size.factor < 1 for size in sizes):
            raise Refusal("it gives another shape to repeated constants")
        return Expanded(v.array.reshape((1,) * len(sizes)), sizes)
    if wanted is None or wanted not in ([], [-1], [len(_items(v))]):
        raise Refusal("it gives several dimensions to sizes")
    return sized(_items(v), is_scalar=not wanted)


def _pairs(values: list[Any]) -> tuple[list[tuple[Size, Size]], bool]:
    a, b = (_items(v) for v in values)
    n = max(len(a), len(b))
    a, b = (each * n if len(each) == 1 else each for each in (a, b))
    if len(a) != len(b):
        raise Refusal("it combines different numbers of sizes")
    return list(zip(a, b, strict=True)), all(_is_scalar(v) for v in values)


def _multiply(r: Reading, node: Node, values: list[Any]) -> Any:
    pairs, is_scalar = _pairs(values)
    return sized([product(pair) for pair in pairs], is_scalar)


def _divide(r: Reading, node: Node, values: list[Any]) -> Any:
    pairs, is_scalar = _pairs(values)
    found = [quotient(a, b) for a, b in pairs]
    if any(size is None for size in found):
        raise Refusal("it divides sizes that are open")
    return sized([size for size in found if size is not None], is_scalar)


def _of_all(r: Reading, node: Node, values: list[Any]) -> Any:
    return sized([product(_items(values[0]))], is_scalar=not node.attributes.get("keepdims", 1))


def _filled(r: Reading, node: Node, values: list[Any]) -> Expanded:
    shape, value = _items(values[0]), node.attributes.get("value", np.zeros(1, np.float32))
    if any(size.factor < 1 for size in shape) or len(shape) > 9 or value.size != 1:
        raise Refusal("its shape is not one of samples")
    return Expanded(value.reshape((1,) * len(shape)), shape)


def _expand(r: Reading, node: Node, values: list[Any]) -> Expanded | Sizes:
    v, wanted = values[0], _items(values[1])
    if isinstance(v, Expanded):
        array, own = v.array, v.shape
    elif isinstance(v, Sizes) and len(v.items) == 1 and len(wanted) == 1:  # the length of each sequence
        return v
    else:
        array = constant(v, "what it repeats")
        own = tuple(Size(n) for n in array.shape)
    rank = max(len(own), len(wanted))
    if rank > 9:
        raise Refusal(f"it makes {rank} dimensions")
    own, wanted = ((ONE,) * (rank - len(each)) + each for each in (own, wanted))
    shape = []
    for a, b in zip(own, wanted, strict=True):
        if ONE not in (a, b) and a != b:
            raise Refusal(f"a dimension of {a} is repeated to {b}")
        shape.append(b if a == ONE else a)
    return Expanded(array.reshape((1,) * (rank - array.ndim) + array.shape), tuple(shape))


def _transpose(r: Reading, node: Node, values: list[Any]) -> Expanded:
    (e,) = values
    perm = node.attributes.get("perm", tuple(range(len(e.shape)))[::-1])
    return Expanded(e.array.transpose(perm), tuple(e.shape[i] for i in perm))


def _of_repeated(r: Reading, node: Node, values: list[Any]) -> Expanded:
    """An operator on repeated constants, element by element, or a product with a weight."""
    all_of = _as_repeated(values)
    if node.kind in ("MatMul", "Gemm"):
        first, weight = all_of[0], all_of[1].array
        if node.kind == "Gemm" or weight.ndim != 2 or first.shape[-1].known != len(weight):
            raise Refusal("it multiplies repeated constants")
        array = np.broadcast_to(first.array, (*first.array.shape[:-1], len(weight))) @ weight
        return Expanded(array, (*first.shape[:-1], Size(weight.shape[1])))
    (array,) = fold(node, [e.array for e in all_of])
    rank = max(len(e.shape) for e in all_of)
    shape = []
    for i in range(-rank, 0):
        sizes = {e.shape[i] for e in all_of if len(e.shape) >= -i} - {ONE}
        if len(sizes) > 1:
            raise Refusal("it combines repeated constants of different sizes")
        shape.append(sizes.pop() if sizes else ONE)
    return Expanded(array.reshape((1,) * (rank - array.ndim) + array.shape), tuple(shape))


def _either(of_sizes: Entry) -> Entry:
    return lambda r, node, values: (_of_repeated if any(isinstance(v, Expanded) for v in values) else of_sizes)(r, node, values)


def _same(r: Reading, node: Node, values: list[Any]) -> Any:
    return values[0]


def _size(r: Reading, node: Node, values: list[Any]) -> Any:
    v = values[0]
    shape = v.shape if isinstance(v, Expanded) else (Size(len(v.items)),)
    start, end = node.attributes.get("start", 0), node.attributes.get("end", len(shape))
    return sized(shape[start:end])


ENTRIES: dict[str, Entry] = {
    **dict.fromkeys((*ELEMENTWISE, "MatMul"), _of_repeated),
    "Cast": _same,
    "Concat": _concat,
    "ConstantOfShape": _filled,
    "Div": _either(_divide),
    "Expand": _expand,
    "Gather": _gather,
    "Identity": _same,
    "Mul": _either(_multiply),
    "ReduceProd": _of_all,
    "Reshape": _reshape,
    "Shape": _size,
    "Slice": _slice,
    "Squeeze": _squeeze,
    "Transpose": _transpose,
    "Unsqueeze": _unsqueeze,
}
