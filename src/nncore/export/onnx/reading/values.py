"""What a tensor of a graph is while the graph is read: sizes, constants, and places in the network as ONNX sees them.

ONNX often has dimensions in another order than a network, where the batch comes first: time first in recurrent operators, states
as [directions, N, hidden]. A `Tensor` is therefore a value of the network and a view of it. Transpose, Squeeze, Unsqueeze and
Reshape only change the view; layers for them are made where an operator needs the numbers in that order.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import prod
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ....graph import Value

if TYPE_CHECKING:
    from .graph import Node


class Refusal(Exception):
    """Why a node cannot be read."""


class Size(NamedTuple):
    """The size of a dimension: a number times sizes that are open, such as that of the batch."""

    factor: int
    names: tuple[str, ...] = ()

    @property
    def known(self) -> int | None:
        """The number, or None if it is open."""
        return None if self.names else self.factor

    def __str__(self) -> str:
        return "*".join([*([str(self.factor)] if self.factor != 1 or not self.names else []), *self.names])


BATCH = "(batch)"  #: the name of the open size of the batch, whatever the file calls it
ONE = Size(1)


def product(sizes: Iterable[Size]) -> Size:
    """Return the product of sizes."""
    listed = list(sizes)
    return Size(prod(each.factor for each in listed), tuple(sorted(name for each in listed for name in each.names)))


def quotient(whole: Size, part: Size) -> Size | None:
    """Return whole / part, or None if it is no size."""
    left = list(whole.names)
    for name in part.names:
        if name not in left:
            return None
        left.remove(name)
    if part.factor == 0 or whole.factor % part.factor:
        return None
    return Size(whole.factor // part.factor, tuple(left))


class Sizes(NamedTuple):
    """A tensor of whole numbers of which at least one is an open size."""

    items: tuple[Size, ...]
    is_scalar: bool = False


class Expanded(NamedTuple):
    """A constant that is repeated along dimensions of open sizes, such as initial states."""

    array: np.ndarray
    shape: tuple[Size, ...]


class Texts(NamedTuple):
    """A tensor of texts, such as names of classes."""


class Unreadable(NamedTuple):
    """The result of a node that cannot be read, or that depends on one."""

    node: Node
    reason: str


class Product(NamedTuple):
    """The matrix product that a tensor is, to which a bias may still be added."""

    source: Tensor
    weight: np.ndarray  #: [out, in]
    names: tuple[str, ...]  #: of the constants
    bias: np.ndarray | None


class Tensor(NamedTuple):
    """A view of a value of the network."""

    value: Value
    dims: tuple[Size, ...]  #: those of the value with the batch, some of them split; numbered from 0, the batch
    axes: tuple[tuple[int, ...], ...]  #: for each axis of ONNX the dims that it joins; () is a size of 1
    is_index: bool = False  #: whether its numbers are whole
    product: Product | None = None
    is_backwards: bool = False  #: whether the steps, which are dimension 1, are to be read from the last one to the first

    @property
    def shape(self) -> tuple[Size, ...]:
        """The sizes of the axes."""
        return tuple(product(self.dims[d] for d in axis) for axis in self.axes)

    @property
    def batch_axis(self) -> int:
        """The axis of the batch; an error if it has none of its own."""
        for i, axis in enumerate(self.axes):
            if 0 in axis:
                if all(d == 0 or self.dims[d] == ONE for d in axis):
                    return i
                raise Refusal("it needs the batch as a dimension of its own, and the graph joins it with others")
        raise Refusal("the dimension of the batch is taken away before it")


def shorter(number: float) -> float:
    """Return a number that a file holds in float32 as somebody wrote it, such as 1e-5."""
    return float(f"{number:.7g}")


def axis_of(axis: int, rank: int) -> int:
    """Return a number of an axis that is not negative."""
    if not -rank <= axis < max(rank, 1):
        raise Refusal(f"axis {axis} of {rank} dimensions")
    return axis % rank if rank else 0


def plain(value: Value, dims: Sequence[Size], **options: Any) -> Tensor:
    """Return a tensor whose axes are the dimensions of a value."""
    return Tensor(value, tuple(dims), tuple((i,) for i in range(len(dims))), **options)


def reshaped(t: Tensor, target: Sequence[Size]) -> Tensor:
    """Return a view of other sizes: dims are joined and split, and stay in their order."""
    atoms: list[tuple[Size, tuple[int, int]]] = [(t.dims[d], (d, 0)) for axis in t.axes for d in axis]
    atoms = [atom for atom in atoms if atom[1][0] == 0 or atom[0] != ONE]
    groups: list[list[tuple[int, int]]] = []
    kept = {(d, 0): size for d, size in enumerate(t.dims)}
    for size in target:
        group: list[tuple[int, int]] = []
        left: Size | None = size
        if size == ONE and atoms and atoms[0] == (ONE, (0, 0)):  # a batch of one sample
            group.append(atoms.pop(0)[1])
        while left != ONE:
            if not atoms or left is None:
                raise Refusal(_mixing(t, target))
            have, key = atoms.pop(0)
            rest = quotient(left, have)
            if rest is None:
                more = quotient(have, left)
                if more is None or key[0] == 0:
                    raise Refusal(_mixing(t, target))
                kept[key], kept[(key[0], key[1] + 1)] = left, more
                atoms.insert(0, (more, (key[0], key[1] + 1)))
                rest = ONE
            group.append(key)
            left = rest
        groups.append(group)
    if any(size != ONE for size, _ in atoms):
        raise Refusal(_mixing(t, target))
    number = {key: i for i, key in enumerate(sorted(kept))}
    dims = tuple(kept[key] for key in sorted(kept))
    return t._replace(dims=dims, axes=tuple(tuple(number[key] for key in group) for group in groups))


def _mixing(t: Tensor, target: Sequence[Size]) -> str:
    before, after = (", ".join(map(str, sizes)) for sizes in (t.shape, target))
    return f"the shape [{before}] becomes [{after}], which cuts through samples or needs sizes that are not known"
