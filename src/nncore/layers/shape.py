"""Layers that change the shape and nothing else: Flatten and Reshape."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any, ClassVar

from ..errors import ArgumentError
from ..spec import Op, Shape
from .base import Layer


class Flatten(Layer):
    """Merge the dimensions from start_dim to end_dim, both included, into one.

    Parameters
    ----------
    start_dim, end_dim : int
        Dimensions of the whole array: 0 is the batch, which stays as it is, -1 the last one.

    Examples
    --------
    >>> import numpy as np
    >>> import nncore as nn
    >>> nn.Flatten()(np.zeros((5, 2, 3))).shape
    (5, 6)
    """

    transparent: ClassVar[bool] = True

    start_dim: int
    end_dim: int

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        for name, value in (("start_dim", start_dim), ("end_dim", end_dim)):
            if isinstance(value, bool) or not hasattr(value, "__index__"):
                raise ArgumentError(f"Flatten: {name} must be a whole number, not {value!r}")
        start_dim, end_dim = operator.index(start_dim), operator.index(end_dim)
        if start_dim == 0 or end_dim == 0:
            raise ArgumentError("Flatten: dimension 0 is the batch and cannot be merged; start_dim is 1 or more, or negative")
        if (start_dim > 0) == (end_dim > 0) and start_dim > end_dim:
            raise ArgumentError(f"Flatten: start_dim ({start_dim}) must not lie after end_dim ({end_dim})")
        super().__init__(start_dim=start_dim, end_dim=end_dim)

    def ops(self, name: str, inputs: tuple[int, ...], value: int) -> list[Op]:
        return [Op("flatten", name, inputs, sizes=(self.start_dim, self.end_dim))]


class Reshape(Layer):
    """Give each sample another shape: [N, ...] becomes [N, *shape].

    Parameters
    ----------
    *dims : int
        The new dimensions after the batch, at most 8, or a tuple of them; one may be -1, for what is left over.
    shape : sequence of int, optional
        The same as one argument.

    Examples
    --------
    >>> import numpy as np
    >>> import nncore as nn
    >>> nn.Reshape(3, -1)(np.zeros((5, 6))).shape
    (5, 3, 2)
    """

    transparent: ClassVar[bool] = True

    shape: Shape

    def __init__(self, *dims: Any, shape: Sequence[int] | None = None) -> None:
        if bool(dims) == (shape is not None):
            raise ArgumentError("Reshape: give the dimensions, Reshape(3, -1), or shape=(3, -1)")
        wanted = tuple(dims if shape is None else shape)
        if len(wanted) == 1 and isinstance(wanted[0], list | tuple):  # as Keras has it
            wanted = tuple(wanted[0])
        for d in wanted:
            if isinstance(d, bool) or not hasattr(d, "__index__") or (d != -1 and d < 1):
                raise ArgumentError(f"Reshape: dimensions are whole numbers of at least 1, or -1, not {d!r}")
        if not 1 <= len(wanted) <= 8 or wanted.count(-1) > 1:
            raise ArgumentError(f"Reshape: 1 to 8 dimensions are possible, at most one of them -1, not {wanted}")
        super().__init__(shape=tuple(operator.index(d) for d in wanted))

    def ops(self, name: str, inputs: tuple[int, ...], value: int) -> list[Op]:
        return [Op("reshape", name, inputs, sizes=self.shape)]
