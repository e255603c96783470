"""What `forward` may call to read parts of a tensor: indices of dimensions of samples, and how tensors are divided."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable
from typing import Any

from ... import layers as nn
from ...graph import record
from .functions import computed, full, last_step, merged, said, selected, without
from .layers import Unknown
from .tensors import Constant, Steps, Tensor


def place_of(x: Tensor, dim: int, what: str) -> tuple[int, int]:
    """Return which dimension of samples a dimension of torch is, and its size."""
    label = x.axis(dim, what)
    if not label:
        raise Unknown(f"{what} of a tensor {x.sizes()} that chooses samples of the batch")
    return label, x.value.shape[label - 1]


def sliced(x: Tensor, dim: int, part: slice) -> Tensor:
    label, size = place_of(x, dim, "a slice")
    chosen = range(*part.indices(size))
    if not chosen:
        raise Unknown(f"a slice of a tensor {x.sizes()} that is empty")
    if chosen == range(size) and (label > 1 or len(x.value.shape) == 1 or isinstance(part.stop, Steps)):
        return computed(x, x.value)  # of time, a number would not be the end of other sequences
    if part == slice(-1, None) and label == 1 and len(x.value.shape) > 1:  # for any number of steps
        last = last_step(x, label).value
        return computed(x, record(nn.Reshape(1, *last.shape), last)[0])
    x = of_these_steps(x) if any(isinstance(each, Steps) for each in (part.start, part.stop)) else x
    return selected(x, label, part)


def one(x: Tensor, dim: int, i: int) -> Tensor:
    label, size = place_of(x, dim, "an index")
    if not -size <= i < size:
        raise Unknown(f"the index {i} of a dimension of size {size}")
    if i == -1 and label == 1 and (size > 1 or x.arguments):
        return last_step(x, label)
    x = of_these_steps(x) if isinstance(i, Steps) else x
    return without(selected(x, label, slice(i, i + 1 or None)), label)


def of_these_steps(x: Tensor) -> Tensor:
    """Return a tensor that has no other number of steps, because parts depend on it."""
    return computed(x, record(nn.Reshape(*x.value.shape), x.value)[0]) if len(x.value.shape) > 1 else x


def index_select(x: Any, dim: int, index: Any) -> Tensor:
    tensor = full(x, "an index")
    label, _ = place_of(tensor, dim, "an index")
    indices = index.tensor.tolist() if isinstance(index, Constant) else index
    if not all(type(i) is int for i in indices):  # a mask, or what is computed
        raise Unknown(
            f"the index {said(index) if isinstance(index, Constant) else index!r}; whole numbers that are known are possible"
        )
    return selected(tensor, label, indices)


def _flip(x: Any, *dims: Any) -> Tensor:
    tensor = full(x, "flip")
    for dim in dims[0] if len(dims) == 1 and isinstance(dims[0], list | tuple) else dims:
        tensor = selected(tensor, place_of(tensor, dim, "flip")[0], slice(None, None, -1))
    return tensor


def _roll(x: Any, shifts: Any, dims: Any) -> Tensor:
    tensor = full(x, "roll")
    for shift, dim in zip(*(each if isinstance(each, list | tuple) else [each] for each in (shifts, dims)), strict=True):
        label, size = place_of(tensor, dim, "roll")
        if abs(shift) >= size or isinstance(shift, Steps):
            tensor, shift = of_these_steps(tensor) if label == 1 else tensor, shift % size
        if shift:
            halves = [selected(tensor, label, part) for part in (slice(-shift, None), slice(None, -shift))]
            tensor = merged(nn.Concatenate(label), "roll", halves)
    return tensor


def _diff(x: Any, n: int = 1, dim: int = -1) -> Tensor:
    tensor = full(x, "diff")
    for _ in range(n):
        label, _ = place_of(tensor, dim, "diff")
        tensor = merged(nn.Subtract(), "diff", [selected(tensor, label, part) for part in (slice(1, None), slice(None, -1))])
    return tensor


def _tensor_split(x: Any, parts: Any, dim: int = 0) -> tuple[Tensor, ...]:
    tensor = full(x, "a part")
    _, size = place_of(tensor, dim, "a part")
    if isinstance(parts, int):
        return _parts(tensor, [size // parts + (i < size % parts) for i in range(parts)], dim)
    return tuple(sliced(tensor, dim, slice(a, b)) for a, b in itertools.pairwise([None, *parts, None]))


def _narrow(x: Any, dim: int, start: int, length: int) -> Tensor:
    kind = Steps if isinstance(start, Steps) or isinstance(length, Steps) else int
    return sliced(full(x, "narrow"), dim, slice(kind(start), kind(start + length) or None if start < 0 else kind(start + length)))


def _parts(x: Any, sizes: Any, dim: int = 0, *, count: bool = False) -> tuple[Tensor, ...]:
    """Return x.split(sizes, dim), or x.chunk(sizes, dim) if count is set."""
    tensor = full(x, "a part")
    label, size = place_of(tensor, dim, "a part")
    tensor = of_these_steps(tensor) if label == 1 else tensor
    if isinstance(sizes, int):
        each = -(-size // sizes) if count else sizes
        sizes = [min(each, size - first) for first in range(0, size, each)]
    if len(sizes) == 1:
        return (tensor,)
    ends = [0, *itertools.accumulate(sizes)]
    return tuple(sliced(tensor, dim, slice(a, b)) for a, b in itertools.pairwise(ends))


def _unbind(x: Any, dim: int = 0) -> tuple[Tensor, ...]:
    tensor = full(x, "unbind")
    label, size = place_of(tensor, dim, "unbind")
    tensor = of_these_steps(tensor) if label == 1 else tensor
    return tuple(one(tensor, dim, i) for i in range(size))


#: Functions and methods, by name.
PARTS: dict[str, Callable[..., Any]] = {
    "split": _parts,
    "chunk": functools.partial(_parts, count=True),
    "tensor_split": _tensor_split,
    "hsplit": lambda x, parts: _tensor_split(x, parts, 1),
    "unbind": _unbind,
    "narrow": _narrow,
    "select": lambda x, dim, index: one(full(x, "select"), dim, index),
    "index_select": index_select,
    "flip": lambda x, *dims, **named: _flip(x, *dims, *named.values()),
    "fliplr": lambda x: _flip(x, 1),
    "roll": _roll,
    "diff": _diff,
}
