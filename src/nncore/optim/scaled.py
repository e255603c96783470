"""Adagrad, RMSprop, Adadelta: the gradient is divided by the root of an average or sum of past squared gradients."""

from __future__ import annotations

from typing import Unpack

from .._checks import flag, real
from ..schedules import Schedule
from .base import Optimizer, Options


class Adagrad(Optimizer):
    """Adagrad (Duchi, Hazan & Singer, 2011): the rate of each parameter falls as its summed squared gradients grow.

    Parameters
    ----------
    lr : float or callable, default 1e-2
        The learning rate, or a schedule of it.
    lr_decay : float, default 0
        The rate of step t (from 1) is ``lr / (1 + (t - 1) * lr_decay)``.
    weight_decay, **options
        See `Optimizer`.
    initial_accumulator_value : float, default 0
        The first sum of squares.
    eps : float, default 1e-10
        Added to the divisor.

    Examples
    --------
    >>> import nncore as nn
    >>> nn.optim.Adagrad()
    Adagrad(lr=0.01, lr_decay=0.0, eps=1e-10, initial_accumulator_value=0.0, weight_decay=0.0)
    """

    name = "adagrad"
    attributes = ("lr_decay", "eps", "initial_accumulator_value")

    lr_decay: float
    eps: float
    initial_accumulator_value: float

    def __init__(
        self,
        lr: float | Schedule = 1e-2,
        lr_decay: float = 0.0,
        weight_decay: float = 0.0,
        initial_accumulator_value: float = 0.0,
        eps: float = 1e-10,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(
            lr,
            weight_decay,
            options,
            lr_decay=self._positive("lr_decay", lr_decay),
            initial_accumulator_value=self._positive("initial_accumulator_value", initial_accumulator_value),
            eps=self._positive("eps", eps),
        )


class RMSprop(Optimizer):
    """RMSprop (Tieleman & Hinton, 2012), optionally centered (Graves, 2013) and with momentum.

    Parameters
    ----------
    lr : float or callable, default 1e-2
        The learning rate, or a schedule of it.
    alpha : float, default 0.99
        Decay of the running mean of squared gradients.
    eps : float, default 1e-8
        Added to the divisor.
    weight_decay, **options
        See `Optimizer`.
    momentum : float, default 0
        The part of the last step that the next one keeps.
    centered : bool, default False
        Whether to divide by an estimate of the variance instead of the second moment.

    Examples
    --------
    >>> import nncore as nn
    >>> nn.optim.RMSprop(lr=1e-3)
    RMSprop(lr=0.001, alpha=0.99, eps=1e-08, momentum=0.0, centered=False, weight_decay=0.0)
    """

    name = "rmsprop"
    attributes = ("alpha", "eps", "momentum", "centered")

    alpha: float
    eps: float
    momentum: float
    centered: bool

    def __init__(
        self,
        lr: float | Schedule = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum: float = 0.0,
        centered: bool = False,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(
            lr,
            weight_decay,
            options,
            alpha=real("RMSprop", "alpha", alpha, 0.0, 1.0),
            eps=self._positive("eps", eps),
            momentum=self._positive("momentum", momentum),
            centered=flag("RMSprop", "centered", centered),
        )


class Adadelta(Optimizer):
    """Adadelta (Zeiler, 2012): the size of a step follows the size of past steps, so no learning rate is needed.

    Parameters
    ----------
    lr : float or callable, default 1.0
        Factor of the steps of the paper.
    rho : float, default 0.9
        Decay of the running means of squared gradients and of squared steps.
    eps : float, default 1e-6
        Added to the divisor.
    weight_decay, **options
        See `Optimizer`.

    Examples
    --------
    >>> import nncore as nn
    >>> nn.optim.Adadelta()
    Adadelta(lr=1.0, rho=0.9, eps=1e-06, weight_decay=0.0)
    """

    name = "adadelta"
    attributes = ("rho", "eps")

    rho: float
    eps: float

    def __init__(
        self,
        lr: float | Schedule = 1.0,
        rho: float = 0.9,
        eps: float = 1e-6,
        weight_decay: float = 0.0,
        **options: Unpack[Options],
    ) -> None:
        rho = real("Adadelta", "rho", rho, 0.0, 1.0)
        super().__init__(lr, weight_decay, options, rho=rho, eps=self._positive("eps", eps))
