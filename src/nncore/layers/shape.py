"""Flatten, Reshape, Permute and RepeatVector: layers that change only the shape."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from .._checks import integer, shown, whole
from ..errors import ArgumentError
from ..records import Op, Shape
from .base import Layer


class Flatten(Layer):
    """Merge the dimensions from start_dim to end_dim, both included, into one.

    Parameters
    ----------
    start_dim, end_dim : int
        Dimensions of the whole array. 0 is the batch, which cannot be merged; -1 is the last dimension.

    Examples
    --------
    >>> import numpy as np
    >>> import nncore as nn
    >>> nn.Flatten()(np.zeros((5, 2, 3))).shape
    (5, 6)
    """

    init_looks_through: ClassVar[bool] = True

    start_dim: int
    end_dim: int

    def __init__(self, start_dim: int = 1, end_dim: int = -1, *, name: str | None = None) -> None:
        start_dim, end_dim = integer("Flatten", "start_dim", start_dim), integer("Flatten", "end_dim", end_dim)
        if start_dim == 0 or end_dim == 0:
            raise ArgumentError(
                "Flatten: start_dim and end_dim are 1 or more, or negative; dimension 0 is the batch and cannot be merged"
            )
        if (start_dim > 0) == (end_dim > 0) and start_dim > end_dim:
            raise ArgumentError(f"Flatten: start_dim ({start_dim}) must not lie after end_dim ({end_dim})")
        super().__init__(start_dim=start_dim, end_dim=end_dim, name=name)

    def ops(self, name: str, inputs: tuple[int, ...], value: int) -> list[Op]:
        return [Op.of("flatten", name, inputs, start_dim=self.start_dim, end_dim=self.end_dim)]


class Reshape(Layer):
    """Give each sample another shape: [N, ...] becomes [N, *shape].

    Parameters
    ----------
    *dims : int
        The new dimensions after the batch, at most 8, or a tuple of them. One may be -1; its size is then computed from the others.
    shape : sequence of int, optional
        The same as a keyword argument.

    Examples
    --------
    >>> import numpy as np
    >>> import nncore as nn
    >>> nn.Reshape(3, -1)(np.zeros((5, 6))).shape
    (5, 3, 2)
    """

    init_looks_through: ClassVar[bool] = True

    shape: Shape

    def __init__(self, *dims: int | Sequence[int], shape: Sequence[int] | None = None, name: str | None = None) -> None:
        if bool(dims) == (shape is not None):
            raise ArgumentError("Reshape: give the dimensions, Reshape(3, -1), or shape=(3, -1)")
        if shape is not None and not isinstance(shape, list | tuple):
            raise ArgumentError(f"Reshape: shape must be a tuple of whole numbers, not {shown(shape)}")
        wanted = tuple(dims if shape is None else shape)
        if len(wanted) == 1 and isinstance(wanted[0], list | tuple):  # Keras's form
            wanted = tuple(wanted[0])
        if not 1 <= len(wanted) <= 8:
            raise ArgumentError(f"Reshape: shape has {len(wanted)} dimensions; 1 to 8 are possible")
        found = tuple(whole("Reshape", "each dimension of shape (-1 is what is left over)", d, -1) for d in wanted)
        if 0 in found or found.count(-1) > 1:
            raise ArgumentError(f"Reshape: shape must be of whole numbers of at least 1, at most one of them -1, not {found}")
        super().__init__(shape=found, name=name)

    def ops(self, name: str, inputs: tuple[int, ...], value: int) -> list[Op]:
        return [Op.of("reshape", name, inputs, dims=self.shape)]


class Permute(Layer):
    """Put the dimensions of each sample into another order, as PyTorch's ``permute`` and Keras's Permute do.

    Parameters
    ----------
    dims : int or sequence of int
        Which dimension of the input becomes the first, second, ... after the batch. Dimensions are those of the whole array: 0 is
        the batch, so time and features of [N, time, features] are 1 and 2. The batch stays where it is and may be left out:
        ``Permute(2, 1)`` or ``Permute((2, 1))``, which is Keras's form, is ``Permute(0, 2, 1)``, which is PyTorch's.
    *more : int
        The other dimensions, if ``dims`` is a number.

    Notes
    -----
    With ``lengths=``, time must stay the first dimension after the batch.

    Examples
    --------
    >>> import numpy as np
    >>> import nncore as nn
    >>> nn.Permute(2, 1)(np.zeros((5, 2, 3))).shape
    (5, 3, 2)
    """

    dims: tuple[int, ...]

    def __init__(self, dims: int | Sequence[int], *more: int, name: str | None = None) -> None:
        wanted = dims if isinstance(dims, list | tuple) and not more else (dims, *more)
        found = tuple(integer("Permute", "each of dims", d) for d in wanted)
        ordered = found[1:] if found[:1] == (0,) else found
        if not 1 <= len(ordered) <= 8 or sorted(ordered) != list(range(1, len(ordered) + 1)):
            raise ArgumentError(
                f"Permute: dims must name each dimension after the batch once, such as 2, 1 for [N, time, features] (the batch, 0, "
                f"may come first), not {shown(found)}"
            )
        super().__init__(dims=ordered, name=name)

    def ops(self, name: str, inputs: tuple[int, ...], value: int) -> list[Op]:
        return [Op.of("permute", name, inputs, dims=self.dims)]


class RepeatVector(Layer):
    """Repeat each sample n times: [N, features] becomes [N, n, features]. This is Keras's layer of the same name.

    It leads from the last state of an encoder to the time steps of a decoder. The steps are not those of the input, so ``lengths=``
    does not apply to them.

    Parameters
    ----------
    n : int
        The number of copies.

    Examples
    --------
    >>> import nncore as nn
    >>> nn.RepeatVector(2)([[1.0, 3.0]])
    array([[[1., 3.],
            [1., 3.]]])
    """

    n: int

    def __init__(self, n: int, *, name: str | None = None) -> None:
        super().__init__(n=whole("RepeatVector", "n", n), name=name)

    def ops(self, name: str, inputs: tuple[int, ...], value: int) -> list[Op]:
        return [Op.of("repeat_vector", name, inputs, n=self.n)]
