"""What a node of a traced module computes: a value of the network, and how torch counts its dimensions."""

from __future__ import annotations

import math
from dataclasses import dataclass
from dataclasses import replace as changed
from typing import Any, NamedTuple

from ...graph import Value
from .layers import Unknown


@dataclass(frozen=True)
class Batch:
    """The size of the batch, which is open: ``x.size(0)``, or a multiple of it."""

    times: int = 1

    def __mul__(self, n: int) -> Batch:
        return Batch(self.times * n)

    __rmul__ = __mul__

    def __repr__(self) -> str:
        return "N" if self.times == 1 else f"{self.times} * N"


BATCH = Batch()


class Steps(int):
    """An index that `forward` computes from sizes, such as ``x.size(1) // 2``: as it is for the example."""


@dataclass(frozen=True, eq=False)
class Zeros:
    """A tensor of zeros that `forward` makes, such as an initial state."""


@dataclass(frozen=True, eq=False)
class Constant:
    """A parameter, a buffer or a constant that `forward` reads by itself."""

    path: str
    tensor: Any


class Source(NamedTuple):
    """The recurrent layer whose states a tensor holds."""

    path: str
    module: Any
    final: Value | None  #: the output if it is the final state alone


@dataclass(frozen=True, eq=False)
class Tensor:
    """A tensor of torch.

    torch may have the batch second, in front of which time stands (or the layers of h_n), where the value has it first. It may also
    have a dimension less than the value, [N] for [N, 1], or one more, h_n [1, N, hidden] for [N, hidden].
    """

    value: Value
    batch: int = 0  #: the position of the batch in torch, 0 or 1
    is_column: bool = False  #: [N] in torch, [N, 1] here
    is_joined: bool = False  #: [N * time, features] in torch, [N, time, features] here
    source: Source | None = None  #: for states
    is_flat: bool = False  #: a state [1, N, hidden] in torch, [N, hidden] here
    last_of: Tensor | None = None  #: the states of all layers, of which these are the last layer's
    arguments: frozenset[str] = frozenset()  #: arguments of forward that could have the batch second, if it turns out so
    states: Tensor | None = None  #: h_n, for the sequence of a recurrent layer

    def replace(self, **changes: Any) -> Tensor:
        """Return a copy with other attributes."""
        return changed(self, **changes)

    def labels(self) -> list[int]:
        """Return which dimension here each dimension of torch is; the batch is 0."""
        found = [] if self.is_column else [i + 1 for i in range(self.is_joined, len(self.value.shape))]
        found.insert(0 if self.is_joined else self.batch, 0)
        return found

    def axis(self, dim: Any, owner: str) -> int:
        """Return which dimension here a dimension of torch is."""
        labels = self.labels()
        if type(dim) is not int or not -len(labels) <= dim < len(labels):
            raise Unknown(f"{owner}: dim={dim!r} is no dimension of a tensor of {len(labels)}")
        return labels[dim]

    def sizes(self) -> list[Any]:
        """Return the shape in torch."""
        return [BATCH if i == 0 else self.value.shape[i - 1] for i in self.labels()]  # of a joined one, "N" is short

    def size(self) -> int:
        """Return the number of elements of a sample."""
        return math.prod(self.value.shape)


@dataclass(frozen=True, eq=False)
class Half:
    """One direction's state of the last layer, h_n[-2] or h_n[-1], which is not there by itself."""

    state: Tensor
    index: int


@dataclass(frozen=True, eq=False)
class Layers:
    """h_n.view(layers, directions, N, hidden), of which the last layer can be read."""

    state: Tensor


@dataclass(frozen=True, eq=False)
class Final:
    """The output of a recurrent layer of which only the last step is read."""

    tensor: Tensor
