"""Lion and Rprop: the size of a step does not depend on the size of the gradient, only the direction depends on its sign."""

from __future__ import annotations

from typing import ClassVar, Unpack

from .._checks import pair, real
from ..errors import ArgumentError
from ..schedules import Schedule
from .base import Optimizer, Options


class Lion(Optimizer):
    """Lion (Chen et al., 2023): the sign of a momentum, with decoupled weight decay.

    Parameters
    ----------
    lr : float or callable, default 1e-4
        A third to a tenth of a good value for `AdamW`, because every element moves by lr.
    betas : tuple of two floats, default (0.9, 0.99)
        The weight of the momentum in the direction, and the decay of the momentum itself.
    weight_decay : float, default 0
        Each step also multiplies the parameters by ``1 - lr * weight_decay``. Use three to ten times a good value for `AdamW`.
    **options
        See `Optimizer`.

    Notes
    -----
    ``w = w * (1 - lr * weight_decay) - lr * sign(beta1 * m + (1 - beta1) * g)``, then
    ``m = beta2 * m + (1 - beta2) * g``: algorithm 2 of the paper.

    Examples
    --------
    >>> import nncore as nn
    >>> nn.optim.Lion()
    Lion(lr=0.0001, betas=(0.9, 0.99), weight_decay=0.0)
    """

    name = "lion"
    attributes = ("beta1", "beta2")
    pairs: ClassVar[dict[str, tuple[str, str]]] = {"betas": ("beta1", "beta2")}

    beta1: float
    beta2: float

    def __init__(
        self,
        lr: float | Schedule = 1e-4,
        betas: tuple[float, float] = (0.9, 0.99),
        weight_decay: float = 0.0,
        **options: Unpack[Options],
    ) -> None:
        beta1, beta2 = self._betas(betas)
        super().__init__(lr, weight_decay, options, beta1=beta1, beta2=beta2)


class Rprop(Optimizer):
    """Resilient backpropagation (Riedmiller & Braun, 1993): a step size for each element, for training on the whole data.

    Parameters
    ----------
    lr : float or callable, default 1e-2
        The first step size of every parameter. Later step sizes do not depend on it.
    etas : tuple of two floats, default (0.5, 1.2)
        Factors of a step size: the first if the gradient has changed its sign, the second if it has not.
    step_sizes : tuple of two floats, default (1e-6, 50)
        The smallest and the largest step size.
    **options
        See `Optimizer`.

    Examples
    --------
    >>> import nncore as nn
    >>> nn.optim.Rprop(etas=(0.6, 1.1))
    Rprop(lr=0.01, etas=(0.6, 1.1), step_sizes=(1e-06, 50.0))
    """

    name = "rprop"
    attributes = ("eta_minus", "eta_plus", "step_min", "step_max")
    pairs: ClassVar[dict[str, tuple[str, str]]] = {"etas": ("eta_minus", "eta_plus"), "step_sizes": ("step_min", "step_max")}

    eta_minus: float
    eta_plus: float
    step_min: float
    step_max: float

    def __init__(
        self,
        lr: float | Schedule = 1e-2,
        etas: tuple[float, float] = (0.5, 1.2),
        step_sizes: tuple[float, float] = (1e-6, 50.0),
        **options: Unpack[Options],
    ) -> None:
        minus, plus = (real("Rprop", "each of etas", eta, 0.0, open_low=True) for eta in pair("Rprop", "etas", etas))
        least, most = (real("Rprop", "each of step_sizes", size, 0.0) for size in pair("Rprop", "step_sizes", step_sizes))
        if not minus < 1 < plus:
            raise ArgumentError(f"Rprop: etas must be below and above 1, not {etas!r}")
        if not least <= most:
            raise ArgumentError(f"Rprop: step_sizes must be the least and the largest, not {step_sizes!r}")
        super().__init__(lr, 0.0, options, eta_minus=minus, eta_plus=plus, step_min=least, step_max=most)

    def config(self) -> dict[str, object]:
        return {key: value for key, value in super().config().items() if key != "weight_decay"}
