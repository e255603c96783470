"""What all optimizers share: the learning rate, weight decay, clipping, parameter groups, and the moving average of the weights.

An optimizer holds no state: the moments lie in the model's plan, beside the parameters. Every hyperparameter is bound by
``compile``; only ``lr`` may be set later, also from a callback in the middle of ``fit``, and anything else refuses to change.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, TypedDict

from .._checks import pair, real
from .._declarations import DeclarationType, describe, refuse_unknown
from ..errors import ArgumentError
from ..records import OptimizerSpec
from ..schedules import Schedule, check
from . import groups as parameter_groups


class Options(TypedDict, total=False):
    """The keyword arguments that every optimizer takes; see `Optimizer`."""

    clip_norm: float | None
    clip_norm_each: float | None
    clip_value: float | None
    ema_momentum: float | None
    groups: Sequence[Mapping[str, Any]]


class Optimizer(metaclass=DeclarationType):
    """What all update rules share.

    Parameters
    ----------
    lr : float or callable
        Learning rate, or a schedule of ``nn.schedules``, or any callable ``step -> lr`` (the first step is 0).
    weight_decay : float
        L2 penalty added to the gradient (decoupled from it in `AdamW` and `Lion`).
    clip_norm : float, optional
        Scale all gradients together so that their Euclidean norm is at most this, as ``torch.nn.utils.clip_grad_norm_`` does and
        Keras's ``global_clipnorm``. None is off.
    clip_norm_each : float, optional
        Scale the gradient of each parameter (a weight, a bias) by itself so that its norm is at most this: Keras's ``clipnorm``.
        None is off.
    clip_value : float, optional
        Limit each element of the gradients to [-clip_value, clip_value]; after ``clip_norm`` where both are given. None is off.
    ema_momentum : float, optional
        Keep a moving average of the parameters, ``average = m * average + (1 - m) * parameter`` after each step, starting with the
        parameters of the first step; `Model.averaged_weights` uses it. None is off.
    groups : sequence of dict
        Parameters that are trained differently. Each dict has "params", a pattern or a list of patterns with the wildcards ``*``,
        ``?`` and ``[...]``, which are compared with the names of ``state_dict`` ("0.weight") and with the class of the layer in
        place of its number ("Linear.weight"), and any of "lr" (a number) or "lr_scale" (times the learning rate, also when
        that changes later), "weight_decay", "l1", "l2", "max_norm" and "trainable". Where several groups match, the later one
        wins, setting by setting. A pattern that matches nothing is an error of ``compile``.

    Examples
    --------
    >>> import nncore as nn
    >>> rule = nn.optim.AdamW(lr=1e-3, groups=[{"params": ["*.bias", "BatchNorm1d.*"], "weight_decay": 0},
    ...                                        {"params": "0.*", "lr": 1e-4}])
    >>> model = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 1))
    >>> model.compile(loss="mse", optimizer=rule)
    """

    name: ClassVar[str]
    aliases: ClassVar[tuple[str, ...]] = ()
    attributes: ClassVar[tuple[str, ...]] = ()  #: in the order of the registry of ops
    #: Arguments of the constructor that are pairs of attributes.
    pairs: ClassVar[dict[str, tuple[str, str]]] = {}
    #: Each update needs the loss of all data, at points that the optimizer chooses: only ``fit`` on arrays can do that.
    full_batch: ClassVar[bool] = False

    _family: ClassVar[str] = "nncore.optim"
    _options: ClassVar[tuple[str, ...]] = tuple(Options.__annotations__)  #: what ``**options`` may hold

    weight_decay: float
    clip_norm: float | None
    clip_norm_each: float | None
    clip_value: float | None
    ema_momentum: float | None
    groups: tuple[dict[str, Any], ...]

    def __init__(self, lr: float | Schedule, weight_decay: float, options: Options, **attributes: float) -> None:
        name = type(self).__name__
        if options.keys() - Options.__annotations__.keys():
            refuse_unknown(type(self), options)
        decay = real(name, "weight_decay", weight_decay, 0.0)
        limits: dict[str, Any] = {key: options.get(key) for key in ("clip_norm", "clip_norm_each", "clip_value")}
        for key, value in limits.items():
            if value is not None and (number := real(name, key, value, 0.0)) == 0:
                raise ArgumentError(f"{name}: {key}=0 would stop all training; None turns it off")
            limits[key] = None if value is None else number
        if limits["clip_norm"] is not None and limits["clip_norm_each"] is not None:
            raise ArgumentError(f"{name}: pass clip_norm or clip_norm_each, not both")
        momentum = options.get("ema_momentum")
        if momentum is not None:
            momentum = real(name, "ema_momentum (None turns it off)", momentum, 0.0, 1.0, open_low=True, open_high=True)
        limits["ema_momentum"] = momentum
        rate = check(lr, name)
        groups = parameter_groups.normalised(name, options.get("groups", ()), rate)
        vars(self).update(attributes, weight_decay=decay, **limits, groups=groups, _lr=rate)

    @property
    def lr(self) -> float | Any:
        """The learning rate or schedule; may be set at any time and holds from the next step on."""
        return vars(self)["_lr"]

    @lr.setter
    def lr(self, value: float | Schedule) -> None:
        vars(self)["_lr"] = check(value, type(self).__name__)

    learning_rate = lr  # what callbacks written for Keras call it

    if not TYPE_CHECKING:  # type checkers know the attributes themselves

        def __setattr__(self, key: str, value: Any) -> None:
            if key not in ("lr", "learning_rate"):
                raise AttributeError(f"{type(self).__name__}.{key} is bound when the model is compiled; only lr can be set later")
            super().__setattr__(key, value)

    def config(self) -> dict[str, Any]:
        """Return the constructor's arguments, so that ``type(rule)(**rule.config())`` is a rule like this one.

        Examples
        --------
        >>> import nncore as nn
        >>> nn.optim.Adam(lr=0.1).config()["betas"]
        (0.9, 0.999)
        """
        own = vars(self)
        paired = {part for pair in self.pairs.values() for part in pair}
        return {
            "lr": self.lr,
            **{key: own[key] for key in self.attributes if key not in paired},
            **{key: (own[first], own[second]) for key, (first, second) in self.pairs.items()},
            "weight_decay": own["weight_decay"],
            **{key: own[key] for key in Options.__annotations__},
        }

    def _betas(self, betas: Any) -> tuple[float, float]:
        """Return the two decays that Adam and its relatives take."""
        first, second = pair(type(self).__name__, "betas", betas)
        return self._decay("betas[0]", first), self._decay("betas[1]", second)

    def _decay(self, name: str, value: Any) -> float:
        return real(type(self).__name__, name, value, 0.0, 1.0, open_high=True)

    def _positive(self, name: str, value: Any) -> float:
        """Return a number of at least 0."""
        return real(type(self).__name__, name, value, 0.0)

    def spec(self) -> OptimizerSpec:
        """Return the record that the core compiles."""
        own = vars(self)
        return OptimizerSpec(
            self.name,
            tuple(float(own[a]) for a in self.attributes),
            float(own["weight_decay"]),
            **{key: float(own[key] or 0.0) for key in ("clip_norm", "clip_value", "clip_norm_each", "ema_momentum")},
        )

    def __repr__(self) -> str:
        own = vars(self)
        given = tuple(key for key in Options.__annotations__ if own[key])
        return describe(self, ("lr", *self.attributes, "weight_decay", *given))
