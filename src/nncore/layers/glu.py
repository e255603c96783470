"""GLU: the gated linear unit."""

from __future__ import annotations

from ..records import Op, Shape
from .base import Layer
from .softmax import check_last, last_dimension


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
        super().__init__(dim=last_dimension("GLU", dim), name=name)

    def ops(self, name: str, inputs: tuple[int, ...], value: int) -> list[Op]:
        return [Op.of("glu", name, inputs)]

    def check(self, name: str, shape: Shape) -> None:
        check_last(name, self.dim, shape)
