"""Further activations with an exponential: csrc/ops/activations/smooth.c."""

from __future__ import annotations

from typing import ClassVar

from .._checks import real
from .activations import Activation, Rectifier


class Mish(Rectifier):
    """f(x) = x * tanh(log(1 + exp(x))) (Misra 2019).

    Examples
    --------
    >>> import nncore as nn
    >>> nn.Mish()([[0.0, 1.0]]).round(6)
    array([[0.      , 0.865098]])
    """

    code: ClassVar[str] = "mish"

    def __init__(self, *, name: str | None = None) -> None:
        super().__init__(name=name)


class CELU(Rectifier):
    """f(x) = x if x > 0, else alpha * (exp(x / alpha) - 1) (Barron 2017). Unlike `ELU`, it is smooth for every alpha.

    Parameters
    ----------
    alpha : float
        Above 0. The function approaches -alpha for x -> -infinity.

    Examples
    --------
    >>> import nncore as nn
    >>> nn.CELU(2.0)([[-2.0, 3.0]]).round(6)
    array([[-1.264241,  3.      ]])
    """

    code: ClassVar[str] = "celu"
    attributes: ClassVar[tuple[str, ...]] = ("alpha",)

    alpha: float

    def __init__(self, alpha: float = 1.0, *, name: str | None = None) -> None:
        super().__init__(alpha=real("CELU", "alpha", alpha, 0.0, open_low=True), name=name)


class Exp(Activation):
    """f(x) = exp(x): the rate of a Poisson model whose logarithm the layers before compute.

    Examples
    --------
    >>> import nncore as nn
    >>> nn.Exp()([[0.0, 1.0]]).round(6)
    array([[1.      , 2.718282]])
    """

    code: ClassVar[str] = "exp"

    def __init__(self, *, name: str | None = None) -> None:
        super().__init__(name=name)


class LogSigmoid(Activation):
    """f(x) = log(1 / (1 + exp(-x))), computed without overflow.

    Examples
    --------
    >>> import nncore as nn
    >>> nn.LogSigmoid()([[0.0, -1000.0]]).round(6)
    array([[-6.93147e-01, -1.00000e+03]])
    """

    code: ClassVar[str] = "log_sigmoid"

    def __init__(self, *, name: str | None = None) -> None:
        super().__init__(name=name)


class Tanhshrink(Activation):
    """f(x) = x - tanh(x).

    Examples
    --------
    >>> import nncore as nn
    >>> nn.Tanhshrink()([[0.0, 1.0]]).round(6)
    array([[0.      , 0.238406]])
    """

    code: ClassVar[str] = "tanhshrink"

    def __init__(self, *, name: str | None = None) -> None:
        super().__init__(name=name)
