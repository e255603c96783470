"""GLU: the gated linear unit."""

from __future__ import annotations

from .._checks import integer, shape_text
from ..errors import ArgumentError, ShapeError
from ..records import Op, Shape
from .base import Layer


class GLU(Layer):
    """f(a, b) = a / (1 + exp(-b)), a and b being the halves of the last dimension (Dauphin et al. 2017).

    The output has half as many columns as the input: put a `Linear` with twice as many outputs before it.

    Parameters
    ----------
    dim : int
        -1, or the number of the last dimension. Others are not possible.

    Examples
    --------
    >>> import nncore as nn
    >>> nn.GLU()([[1.0, 2.0, 0.0, 0.0]])
    array([[0.5, 1. ]])
    """

    dim: int

    def __init__(self, dim: int = -1, *, name: str | None = None) -> None:
        found = integer("GLU", "dim", dim)
        if found != -1 and found < 1:
            raise ArgumentError(f"GLU: dim must be -1 or the number of the last dimension (1 for [N, C]), not {found}")
        super().__init__(dim=found, name=name)

    def ops(self, name: str, inputs: tuple[int, ...], value: int) -> list[Op]:
        return [Op.of("glu", name, inputs)]

    def check(self, name: str, shape: Shape) -> None:
        if self.dim not in (-1, len(shape)):
            raise ShapeError(
                f"{name}: dim={self.dim}, but the last dimension of {shape_text(shape)} is {len(shape)}; "
                f"only the last one is possible: use dim=-1"
            )
