"""Optimizers: declarations of the update rules in csrc/ops, with PyTorch's names, signatures and defaults.

An optimizer holds no state: the moments lie in the model's plan, beside the parameters. Every hyperparameter is bound by
``compile``; only ``lr`` may be set later, also from a callback in the middle of ``fit``, and anything else refuses to change.
"""

from __future__ import annotations

from typing import Any, ClassVar

from .errors import ArgumentError, lookup
from .names import describe, table
from .schedules import Schedule, check
from .spec import OptimizerSpec


class Optimizer:
    """What all update rules share: the learning rate, weight decay and clipping.

    Parameters
    ----------
    lr : float or callable
        Learning rate, or a schedule ``step -> lr`` that is asked before each step (the first step is 0).
    weight_decay : float
        L2 penalty added to the gradient (decoupled from it in `AdamW`).
    clip_norm : float, optional
        Scale all gradients together so that their Euclidean norm is at most this. None is off.
    clip_value : float, optional
        Limit each gradient to [-clip_value, clip_value]. None is off.
    """

    name: ClassVar[str]
    aliases: ClassVar[tuple[str, ...]] = ()
    attributes: ClassVar[tuple[str, ...]] = ()  #: in the order of the registry of ops

    def __init__(
        self,
        lr: float | Schedule,
        weight_decay: float,
        clip_norm: float | None,
        clip_value: float | None,
        **attributes: float,
    ) -> None:
        for key, value in {"weight_decay": weight_decay, "clip_norm": clip_norm, "clip_value": clip_value, **attributes}.items():
            if value is not None and not 0 <= value < float("inf"):
                raise ArgumentError(f"{type(self).__name__}: {key} must be a finite number >= 0, not {value!r}")
        if clip_norm == 0 or clip_value == 0:
            raise ArgumentError(f"{type(self).__name__}: clipping to 0 would stop all training; None turns it off")
        vars(self).update(attributes, weight_decay=weight_decay, clip_norm=clip_norm, clip_value=clip_value, _lr=check(lr))

    @property
    def lr(self) -> float | Schedule:
        """The learning rate or schedule; may be set at any time and holds from the next step on."""
        lr: float | Schedule = vars(self)["_lr"]
        return lr

    @lr.setter
    def lr(self, value: float | Schedule) -> None:
        vars(self)["_lr"] = check(value)

    learning_rate = lr  # what callbacks written for Keras call it

    def __setattr__(self, key: str, value: Any) -> None:
        if key not in ("lr", "learning_rate"):
            raise AttributeError(f"{type(self).__name__}.{key} is bound when the model is compiled; only lr can be set later")
        super().__setattr__(key, value)

    def spec(self) -> OptimizerSpec:
        """Return the record that the core compiles."""
        own = vars(self)
        return OptimizerSpec(
            self.name,
            tuple(float(own[a]) for a in self.attributes),
            float(own["weight_decay"]),
            float(own["clip_norm"] or 0.0),
            float(own["clip_value"] or 0.0),
        )

    def __repr__(self) -> str:
        return describe(self, ("lr", *self.attributes, "weight_decay"))


class SGD(Optimizer):
    """Stochastic gradient descent, with momentum and Nesterov's variant.

    Parameters
    ----------
    lr : float or callable, default 1e-2
    momentum : float, default 0
    dampening : float, default 0
        Weighs the gradient in the momentum by ``1 - dampening``.
    weight_decay, clip_norm, clip_value
        See `Optimizer`.
    nesterov : bool, default False
        Needs momentum > 0 and dampening 0.

    Notes
    -----
    As in PyTorch, ``v = momentum * v + (1 - dampening) * g`` and ``w -= lr * v``: lr multiplies the whole velocity
    (Sutskever et al., 2013, write it inside).

    Examples
    --------
    >>> SGD(lr=0.1, momentum=0.9).spec()
    OptimizerSpec(name='sgd', attributes=(0.9, 0.0, 0.0), weight_decay=0.0, clip_norm=0.0, clip_value=0.0)
    """

    name = "sgd"
    attributes = ("momentum", "dampening", "nesterov")

    def __init__(
        self,
        lr: float | Schedule = 1e-2,
        momentum: float = 0.0,
        dampening: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
        *,
        clip_norm: float | None = None,
        clip_value: float | None = None,
    ) -> None:
        if nesterov and (momentum == 0 or dampening != 0):
            raise ArgumentError("SGD: nesterov needs momentum > 0 and dampening == 0")
        super().__init__(lr, weight_decay, clip_norm, clip_value, momentum=momentum, dampening=dampening, nesterov=nesterov)


class Adagrad(Optimizer):
    """Adagrad (Duchi, Hazan & Singer, 2011): each parameter's rate falls with its summed squared gradients.

    Parameters
    ----------
    lr : float or callable, default 1e-2
    lr_decay : float, default 0
        The rate of step t (from 1) is ``lr / (1 + (t - 1) * lr_decay)``.
    weight_decay, clip_norm, clip_value
        See `Optimizer`.
    initial_accumulator_value : float, default 0
    eps : float, default 1e-10

    Examples
    --------
    >>> Adagrad().lr
    0.01
    """

    name = "adagrad"
    attributes = ("lr_decay", "eps", "initial_accumulator_value")

    def __init__(
        self,
        lr: float | Schedule = 1e-2,
        lr_decay: float = 0.0,
        weight_decay: float = 0.0,
        initial_accumulator_value: float = 0.0,
        eps: float = 1e-10,
        *,
        clip_norm: float | None = None,
        clip_value: float | None = None,
    ) -> None:
        super().__init__(
            lr, weight_decay, clip_norm, clip_value, lr_decay=lr_decay, initial_accumulator_value=initial_accumulator_value, eps=eps
        )


class RMSprop(Optimizer):
    """RMSprop (Tieleman & Hinton, 2012), optionally centered (Graves, 2013) and with momentum.

    Parameters
    ----------
    lr : float or callable, default 1e-2
    alpha : float, default 0.99
        Decay of the running mean of squared gradients.
    eps : float, default 1e-8
    weight_decay, clip_norm, clip_value
        See `Optimizer`.
    momentum : float, default 0
    centered : bool, default False
        Divide by an estimate of the variance instead of the second moment.

    Examples
    --------
    >>> RMSprop(lr=1e-3).spec().attributes
    (0.99, 1e-08, 0.0, 0.0)
    """

    name = "rmsprop"
    attributes = ("alpha", "eps", "momentum", "centered")

    def __init__(
        self,
        lr: float | Schedule = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum: float = 0.0,
        centered: bool = False,
        *,
        clip_norm: float | None = None,
        clip_value: float | None = None,
    ) -> None:
        super().__init__(lr, weight_decay, clip_norm, clip_value, alpha=alpha, eps=eps, momentum=momentum, centered=centered)


class Adam(Optimizer):
    """Adam (Kingma & Ba, 2015), optionally AMSGrad (Reddi, Kale & Kumar, 2018).

    Parameters
    ----------
    lr : float or callable, default 1e-3
    betas : tuple of two floats, default (0.9, 0.999)
        Decay of the running means of the gradient and of its square.
    eps : float, default 1e-8
    weight_decay, clip_norm, clip_value
        See `Optimizer`.
    amsgrad : bool, default False
        Divide by the largest second moment seen so far.

    Examples
    --------
    >>> Adam(lr=1e-2)
    Adam(lr=0.01, beta1=0.9, beta2=0.999, eps=1e-08, amsgrad=False, weight_decay=0.0)
    """

    name = "adam"
    attributes = ("beta1", "beta2", "eps", "amsgrad")

    def __init__(
        self,
        lr: float | Schedule = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        amsgrad: bool = False,
        *,
        clip_norm: float | None = None,
        clip_value: float | None = None,
    ) -> None:
        beta1, beta2 = betas
        if not (0 <= beta1 < 1 and 0 <= beta2 < 1):
            raise ArgumentError(f"{type(self).__name__}: betas must lie in [0, 1), not {betas!r}")
        super().__init__(lr, weight_decay, clip_norm, clip_value, beta1=beta1, beta2=beta2, eps=eps, amsgrad=amsgrad)


class AdamW(Adam):
    """Adam with weight decay decoupled from the gradient (Loshchilov & Hutter, 2019).

    Parameters
    ----------
    lr, betas, eps, amsgrad, clip_norm, clip_value
        See `Adam`.
    weight_decay : float, default 1e-2
        Each step also multiplies the parameters by ``1 - lr * weight_decay``.

    Examples
    --------
    >>> AdamW().spec().weight_decay
    0.01
    """

    name = "adamw"

    def __init__(
        self,
        lr: float | Schedule = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        clip_norm: float | None = None,
        clip_value: float | None = None,
    ) -> None:
        super().__init__(lr, betas, eps, weight_decay, amsgrad, clip_norm=clip_norm, clip_value=clip_value)


OPTIMIZERS: dict[str, type[Optimizer]] = table(globals(), Optimizer)


def get(optimizer: str | Optimizer) -> Optimizer:
    """Return ``optimizer``, or the one of that name with its defaults.

    Raises
    ------
    UnknownNameError
        No optimizer has that name; near matches are in the message.

    Examples
    --------
    >>> get("sgd")
    SGD(lr=0.01, momentum=0.0, dampening=0.0, nesterov=False, weight_decay=0.0)
    """
    if isinstance(optimizer, Optimizer):
        return optimizer
    if isinstance(optimizer, str):
        cls: Any = lookup("optimizer", optimizer, OPTIMIZERS)
        made: Optimizer = cls()
        return made
    raise ArgumentError(f"optimizer must be a name or an object of nn.optim, such as nn.optim.Adam(lr=1e-3), not {optimizer!r}")
