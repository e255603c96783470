"""The base class of optimizers: learning rate, weight decay, clipping, parameter groups, moving average of the weights.

An optimizer object stores only hyperparameters. The moments are in the model's plan, beside the parameters. ``compile`` fixes all
hyperparameters except ``lr``, which can be set at any time, also by a callback during ``fit``. Setting another one raises an error.
Each compiled model has a copy of its own, so that what a callback does to its learning rate does not reach other models.
"""

from __future__ import annotations

import copy
import weakref
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypedDict

from .._checks import flag, pair, real
from .._declarations import DeclarationType, put_elsewhere, reject_unknown, visible
from ..errors import ArgumentError, kind_of
from ..foreign import methods
from ..records import OptimizerSpec
from ..schedules.rates import Schedule, check
from . import groups as parameter_groups


class Options(TypedDict, total=False):
    """The keyword arguments that every optimizer accepts; see `Optimizer`."""

    clip_norm: float | None
    clip_norm_each: float | None
    clip_value: float | None
    ema_momentum: float | None
    divide_penalties: bool
    groups: Sequence[Mapping[str, Any]]


class _Links:
    """What links an optimizer to models. Slots, because this is no part of its state."""

    __slots__ = ("_belongs_to_model", "_copies")

    _belongs_to_model: bool
    _copies: list[weakref.ref[Any]]

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        self = super().__new__(cls)
        object.__setattr__(self, "_belongs_to_model", False)
        object.__setattr__(self, "_copies", [])
        return self


class Optimizer(_Links, metaclass=DeclarationType):
    """Base of all update rules.

    Parameters
    ----------
    lr : float or callable
        Learning rate: a number, a schedule of ``nn.schedules``, or any callable ``step -> lr`` (the first step is 0).
    weight_decay : float
        Adds ``weight_decay * parameter`` to the gradient (L2 penalty). `AdamW` and `Lion` apply it to the parameter directly.
    clip_norm : float, optional
        The largest Euclidean norm of all gradients together. Larger gradients are scaled down, as by
        ``torch.nn.utils.clip_grad_norm_`` and Keras's ``global_clipnorm``. None sets no limit.
    clip_norm_each : float, optional
        The largest Euclidean norm of the gradient of each parameter (a weight, a bias), as Keras's ``clipnorm``. None sets no
        limit.
    clip_value : float, optional
        Limit each element of the gradients to [-clip_value, clip_value], after ``clip_norm`` if both are given. None sets no limit.
    ema_momentum : float, optional
        Keep a moving average of the parameters: ``average = m * average + (1 - m) * parameter`` after each step. It starts with the
        parameters of the first step. `Model.averaged_weights` uses it. None keeps no average.
    divide_penalties : bool, default False
        Whether the penalties ``l1`` and ``l2`` of a step are divided by the number of its rows (with the reduction
        "mean_with_sample_weight", by the sum of their weights), as scikit-learn divides its ``alpha``. The penalties of an
        evaluation are divided by its rows. `Model.apply_gradients`, which knows no rows, does not divide.
    groups : sequence of dict
        Settings for some of the parameters. Each dict has "params", a pattern or a list of patterns with the wildcards ``*``, ``?``
        and ``[...]``. A pattern is compared with the names of ``state_dict`` ("0.weight"), and with the same names after the number
        is replaced by the class of the layer ("Linear.weight"). The other keys are settings: "lr" (a number) or "lr_scale" (a
        factor of the learning rate, also when that changes later), "weight_decay", "l1", "l2", "max_norm" and "trainable". If
        several groups match, the last one that has a setting determines it. A pattern that matches no parameter is an error in
        ``compile``.

    Notes
    -----
    ``compile`` copies the optimizer. ``model.optimizer`` is that copy: setting its ``lr``, as callbacks do, concerns this model
    alone. Another model that is compiled with the same object starts with the rate of the object. Setting ``lr`` of the object
    itself sets it in all models that were compiled with it.

    Examples
    --------
    >>> import nncore as nn
    >>> plain = {"params": ["*.bias", "BatchNorm1d.*"], "weight_decay": 0}
    >>> rule = nn.optim.AdamW(lr=1e-3, groups=[plain, {"params": "0.*", "lr": 1e-4}])
    >>> model = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU())
    >>> model.compile(loss="mse", optimizer=rule)
    """

    name: ClassVar[str]
    aliases: ClassVar[tuple[str, ...]] = ()
    attributes: ClassVar[tuple[str, ...]] = ()  #: in the order of the op registry
    #: Arguments of the constructor that are pairs of attributes.
    pairs: ClassVar[dict[str, tuple[str, str]]] = {}
    #: Whether each update evaluates the loss of all data, at points that the optimizer chooses. Only ``fit`` on arrays can do that.
    full_batch: ClassVar[bool] = False
    rare: ClassVar[tuple[str, ...]] = ()  #: attributes that the repr shows only where they are set

    _family: ClassVar[str] = "nncore.optim"
    _options: ClassVar[tuple[str, ...]] = tuple(Options.__annotations__)  #: the keys of ``**options``

    weight_decay: float
    clip_norm: float | None
    clip_norm_each: float | None
    clip_value: float | None
    ema_momentum: float | None
    divide_penalties: bool
    groups: tuple[dict[str, Any], ...]

    def __init__(self, lr: float | Schedule, weight_decay: float, options: Options, **attributes: float) -> None:
        name = type(self).__name__
        if options.keys() - Options.__annotations__.keys():
            reject_unknown(type(self), options)
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
        given: Any = lr
        if hasattr(given, "state_dict") or (hasattr(given, "__iter__") and not hasattr(given, "__array__") and not callable(given)):
            raise ArgumentError(
                f"{name}: lr must be a number or a schedule, not {kind_of(given)}; the model's parameters are not passed to it, "
                "as model.compile(loss, optimizer) knows them"
            )
        rate = check(lr, name)
        limits["divide_penalties"] = flag(name, "divide_penalties", options.get("divide_penalties", False))
        groups = parameter_groups.normalised(name, options.get("groups", ()), rate)
        vars(self).update(attributes, weight_decay=decay, **limits, groups=groups, _lr=rate)

    @property
    def lr(self) -> float | Any:
        """The learning rate or schedule. It can be set at any time; the next step uses it."""
        return vars(self)["_lr"]

    @lr.setter
    def lr(self, value: float | Schedule) -> None:
        vars(self)["_lr"] = rate = check(value, type(self).__name__)
        for ref in self._copies:
            if (own := ref()) is not None:
                vars(own)["_lr"] = rate

    learning_rate = lr  # the name that Keras's callbacks use

    if not TYPE_CHECKING:  # type checkers know the attributes themselves

        def __setattr__(self, key: str, value: Any) -> None:
            if key not in ("lr", "learning_rate"):
                raise AttributeError(f"{type(self).__name__}.{key} is bound when the model is compiled; only lr can be set later")
            super().__setattr__(key, value)

    def compiled(self) -> Self:
        """Return the copy for a model that is compiled. If this object's ``lr`` is set later, the copy follows; not the reverse."""
        own = copy.copy(self)
        if not self._belongs_to_model:  # the optimizer of one model does not lead that of another one
            object.__setattr__(self, "_copies", [*(ref for ref in self._copies if ref() is not None), weakref.ref(own)])
        return own

    def belong_to_model(self) -> None:
        """Mark this object as the copy for a model."""
        object.__setattr__(self, "_belongs_to_model", True)

    def __getstate__(self) -> dict[str, Any]:
        return dict(vars(self))

    def config(self) -> dict[str, Any]:
        """Return the arguments of the constructor. ``type(rule)(**rule.config())`` makes an optimizer like this one.

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
        """Return the two decay rates of Adam and related optimizers, checked."""
        first, second = pair(type(self).__name__, "betas", betas)
        return self._decay("betas[0]", first), self._decay("betas[1]", second)

    def _decay(self, name: str, value: Any) -> float:
        return real(type(self).__name__, name, value, 0.0, 1.0, open_high=True)

    def _positive(self, name: str, value: Any) -> float:
        """Return the value, checked to be 0 or more."""
        return real(type(self).__name__, name, value, 0.0)

    def spec(self) -> OptimizerSpec:
        """Return the record that the core compiles."""
        own = vars(self)
        return OptimizerSpec(
            self.name,
            tuple(float(own[a]) for a in self.attributes),
            float(own["weight_decay"]),
            **{key: float(own[key] or 0.0) for key in ("clip_norm", "clip_value", "clip_norm_each", "ema_momentum")},
            divides_penalties=own["divide_penalties"],
        )

    def __repr__(self) -> str:
        own = vars(self)
        given = tuple(key for key in (*self.rare, *Options.__annotations__) if own[key])
        names = {part: name for name, pair in self.pairs.items() for part in pair}  # attributes -> what the constructor calls them
        plain = (names.get(each, each) for each in self.attributes if each not in self.rare)
        config = self.config()
        shown = (name for name in dict.fromkeys(("lr", *plain, "weight_decay", *given)) if name in config)
        return f"{type(self).__name__}({', '.join(f'{name}={config[name]!r}' for name in shown)})"

    __dir__ = visible


put_elsewhere(Optimizer, methods.OF_OPTIMIZERS)
