"""Further activations made of straight and curved pieces, without an exponential: csrc/ops/activations/piecewise.c."""

from __future__ import annotations

from typing import ClassVar

from .._checks import real
from ..records import Op
from .activations import Activation, Rectifier


class ReLU6(Rectifier):
    """f(x) = min(max(0, x), 6) (Krizhevsky 2010).

    Examples
    --------
    >>> import nncore as nn
    >>> nn.ReLU6()([[-1.0, 2.0, 8.0]])
    array([[0., 2., 6.]])
    """

    code: ClassVar[str] = "hardtanh"

    def __init__(self, *, name: str | None = None) -> None:
        super().__init__(name=name)

    def ops(self, name: str, inputs: tuple[int, ...], value: int) -> list[Op]:
        return [Op.of("activation", name, inputs, code="hardtanh", min_val=0.0, max_val=6.0)]


class Hardsigmoid(Activation):
    """f(x) = min(max(0, x + 3), 6) / 6, a piecewise linear sigmoid.

    Examples
    --------
    >>> import nncore as nn
    >>> nn.Hardsigmoid()([[-3.0, 0.0, 1.5]])
    array([[0.  , 0.5 , 0.75]])
    """

    code: ClassVar[str] = "hardsigmoid"

    def __init__(self, *, name: str | None = None) -> None:
        super().__init__(name=name)


class Hardswish(Rectifier):
    """f(x) = x * min(max(0, x + 3), 6) / 6 (Howard et al. 2019).

    Examples
    --------
    >>> import nncore as nn
    >>> nn.Hardswish()([[0.0, 1.5, 4.0]])
    array([[0.   , 1.125, 4.   ]])
    """

    code: ClassVar[str] = "hardswish"

    def __init__(self, *, name: str | None = None) -> None:
        super().__init__(name=name)


class Hardshrink(Activation):
    """f(x) = x if abs(x) > lambd, else 0.

    Parameters
    ----------
    lambd : float
        Zero or more.

    Examples
    --------
    >>> import nncore as nn
    >>> nn.Hardshrink()([[-2.0, 0.25, 1.0]])
    array([[-2.,  0.,  1.]])
    """

    code: ClassVar[str] = "hardshrink"
    attributes: ClassVar[tuple[str, ...]] = ("lambd",)

    lambd: float

    def __init__(self, lambd: float = 0.5, *, name: str | None = None) -> None:
        super().__init__(lambd=real("Hardshrink", "lambd", lambd, 0.0), name=name)


class Softshrink(Activation):
    """f(x) = x - lambd if x > lambd, x + lambd if x < -lambd, else 0.

    Parameters
    ----------
    lambd : float
        Zero or more.

    Examples
    --------
    >>> import nncore as nn
    >>> nn.Softshrink()([[-2.0, 0.25, 1.0]])
    array([[-1.5,  0. ,  0.5]])
    """

    code: ClassVar[str] = "softshrink"
    attributes: ClassVar[tuple[str, ...]] = ("lambd",)

    lambd: float

    def __init__(self, lambd: float = 0.5, *, name: str | None = None) -> None:
        super().__init__(lambd=real("Softshrink", "lambd", lambd, 0.0), name=name)


class Threshold(Rectifier):
    """f(x) = x if x > threshold, else value.

    Parameters
    ----------
    threshold : float
        The largest input that is replaced.
    value : float
        What replaces it.

    Examples
    --------
    >>> import nncore as nn
    >>> nn.Threshold(0.5, 0.0)([[-2.0, 0.25, 1.0]])
    array([[0., 0., 1.]])
    """

    code: ClassVar[str] = "threshold"
    attributes: ClassVar[tuple[str, ...]] = ("threshold", "value")

    threshold: float
    value: float

    def __init__(self, threshold: float, value: float, *, name: str | None = None) -> None:
        super().__init__(threshold=real("Threshold", "threshold", threshold), value=real("Threshold", "value", value), name=name)
