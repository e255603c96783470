"""Softmax and LogSoftmax: activations over the last dimension."""

from __future__ import annotations

from typing import ClassVar

from .._checks import integer, shape_text
from ..errors import ArgumentError, ShapeError
from ..records import Shape
from .activations import Activation


def last_dimension(owner: str, dim: int) -> int:
    """Return ``dim`` if it may be the number of the last dimension, or -1."""
    found = integer(owner, "dim", dim)
    if found != -1 and found < 1:
        raise ArgumentError(f"{owner}: dim must be -1 or the number of the last dimension (1 for [N, C]), not {found}")
    return found


def check_last(name: str, dim: int, shape: Shape) -> None:
    """Raise ShapeError if ``dim`` is not the last dimension of samples of this shape."""
    if dim not in (-1, max(len(shape), 1)):
        raise ShapeError(
            f"{name}: dim={dim}, but the last dimension of {shape_text(shape)} is {len(shape)}; "
            f"only the last one is possible: use dim=-1"
        )


class RowActivation(Activation):
    """Base of the activations over the last dimension. ``dim`` is -1 or the number of that dimension.

    Examples
    --------
    >>> import nncore as nn
    >>> nn.Softmax(dim=1)
    Softmax(dim=1)
    """

    dim: int

    def __init__(self, dim: int = -1, *, name: str | None = None) -> None:
        super().__init__(dim=last_dimension(type(self).__name__, dim), name=name)

    def check(self, name: str, shape: Shape) -> None:
        check_last(name, self.dim, shape)


class Softmax(RowActivation):
    """f(x) = exp(x) / sum(exp(x)) over the last dimension.

    Parameters
    ----------
    dim : int
        -1, or the number of the last dimension. Others are not possible.

    See Also
    --------
    losses.SparseCategoricalCrossentropy : its loss, for class numbers.

    Examples
    --------
    >>> import nncore as nn
    >>> nn.Softmax()([[0.0, 0.0]])
    array([[0.5, 0.5]])
    """

    code: ClassVar[str] = "softmax"


class LogSoftmax(RowActivation):
    """f(x) = x - log(sum(exp(x))) over the last dimension.

    Parameters
    ----------
    dim : int
        -1, or the number of the last dimension. Others are not possible.

    Examples
    --------
    >>> import nncore as nn
    >>> nn.LogSoftmax()([[0.0, 0.0]]).round(6)
    array([[-0.693147, -0.693147]])
    """

    code: ClassVar[str] = "log_softmax"
