"""The base class of callbacks, the list that calls their hooks, and the interface of models for callbacks.

Hooks have Keras's names and arguments. Callbacks written for Keras work unchanged, and so does any object with some of the hooks. A
hook that no callback overrides has no cost. If no batch hook is overridden, one C call runs many steps. ``on_train_chunk_end`` is
then called during the epoch.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Protocol, TypeVar

from .._checks import named, near, shown
from .._declarations import DeclarationType, accepted_arguments, is_own, visible
from ..errors import ArgumentError
from .keras import KerasView, is_of_keras

if TYPE_CHECKING:
    from ..network.network import Network
    from .configuration import Configuration
    from .trainer import Trainer

Logs = dict[str, Any]


class Logged(NamedTuple):
    """The keys of the logs that a `fit` will have."""

    of_epochs: list[str]  #: those of `on_epoch_end`
    of_batches: list[str]  #: those of `on_train_batch_end`
    arrays: frozenset[str]  #: those among them whose values are arrays
    validates: bool  #: whether there are validation data
    others_add: bool  #: whether there are other callbacks, which may add keys


_PACKAGE = __name__.partition(".")[0]
_F = TypeVar("_F", bound=Callable[..., None])


class Learner(Protocol):
    """The interface of a model for training. Callbacks get the model and may set ``stop_training``."""

    stop_training: bool
    history: Any  # a History, or None

    @property
    def _network(self) -> Network: ...

    @property
    def _trainer(self) -> Trainer | None: ...

    def reset_states(self) -> None: ...


def _default(hook: _F) -> _F:
    """Mark a hook that does nothing, with the attribute that Keras uses for this."""
    vars(hook)["_is_default"] = True
    return hook


class Callback(metaclass=DeclarationType):
    """Base of all callbacks. Override the hooks that you need.

    Attributes
    ----------
    model : Model
        The model. ``self.model.stop_training = True`` ends training.
    params : dict
        The parameters of the run: "epochs", "initial_epoch", "steps" per epoch (0 if unknown), "verbose", and "do_validation".

    Examples
    --------
    >>> import nncore as nn
    >>> class Halve(nn.callbacks.Callback):
    ...     def on_epoch_end(self, epoch, logs=None):
    ...         self.model.optimizer.lr = self.model.optimizer.lr / 2
    """

    _family: ClassVar[str] = "nncore.callbacks"

    model: Any = None
    params: Logs
    only_first: ClassVar[bool] = False  #: whether, of several ranks, only the first one needs it: it prints or writes files
    saves_model: ClassVar[bool] = False  #: whether it saves the model; such callbacks are called last
    stateful: ClassVar[tuple[str, ...]] = ()  #: attributes that are saved and restored when training is resumed

    def __repr__(self) -> str:
        if not is_own(self):
            return super().__repr__()
        own = vars(self)
        given = {n: p.default for n, p in accepted_arguments(type(self)).items() if n in own}
        return f"{type(self).__name__}({', '.join(f'{n}={own[n]!r}' for n, default in given.items() if own[n] != default)})"

    __dir__ = visible

    def before_fit(self, model: Any) -> bool:
        """Called first in ``fit``. Return True if the callback has restored a state from which to resume."""
        return False

    def check_logged(self, logged: Logged) -> None:
        """Called before training starts, after `set_model`. Raise an error if the logs of this ``fit`` will not have what the
        callback needs."""

    def get_state(self) -> Logs:
        """Return the state that resumed training needs: a dict of numbers, strings, None, arrays, and lists of those."""
        return {name: getattr(self, name) for name in self.stateful}

    def set_state(self, state: Logs) -> None:
        """Restore a state that `get_state` returned. It is called after ``on_train_begin``."""
        for name in self.stateful:
            setattr(self, name, state[name])

    def set_model(self, model: Any) -> None:
        """Set the model. It is called before the first hook."""
        self.model = model

    def set_params(self, params: Logs) -> None:
        """Set the parameters of the run. It is called before the first hook."""
        self.params = params

    def _say(self, text: str) -> None:
        """Print a line on stderr. Of several ranks, only the first one does so."""
        trainer = getattr(self.model, "_trainer", None)
        if trainer is None or trainer.config.ranks is None or trainer.config.ranks.is_first:
            print(text, file=sys.stderr)

    @_default
    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Called when training starts."""

    @_default
    def on_train_end(self, logs: Logs | None = None) -> None:
        """Called when training ends. logs: those of the last epoch."""

    @_default
    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Called when epoch number ``epoch`` (from 0) starts."""

    @_default
    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Called when an epoch ends. logs: the loss and the metrics, with "val_" those of the validation data."""

    @_default
    def on_train_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Called when batch number ``batch`` (from 0) of the epoch starts."""

    @_default
    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Called when a batch ends. logs: the loss and metrics of the epoch so far."""

    @_default
    def on_train_chunk_end(self, step: int, logs: Logs | None = None) -> None:
        """Called after each call into the core, which takes at most about 50 ms. ``step`` steps of the epoch are done. Not in
        Keras."""

    @_default
    def on_test_begin(self, logs: Logs | None = None) -> None:
        """Called when evaluation or validation starts."""

    @_default
    def on_test_end(self, logs: Logs | None = None) -> None:
        """Called when evaluation or validation ends."""

    @_default
    def on_test_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Called when a batch of evaluation starts."""

    @_default
    def on_test_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Called when a batch of evaluation ends."""

    @_default
    def on_predict_begin(self, logs: Logs | None = None) -> None:
        """Called when prediction starts."""

    @_default
    def on_predict_end(self, logs: Logs | None = None) -> None:
        """Called when prediction ends."""

    @_default
    def on_predict_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Called when a batch of prediction starts."""

    @_default
    def on_predict_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Called when a batch of prediction ends. logs has "outputs"."""


HOOKS = tuple(name for name in vars(Callback) if name.startswith("on_"))
_OLD_NAMES = {"on_train_batch_begin": "on_batch_begin", "on_train_batch_end": "on_batch_end"}
_NAMES = (*HOOKS, *_OLD_NAMES.values())
_HOOK_NAMES = frozenset(_NAMES)
#: Other ways in which a callback takes part in training.
_OTHER = ("set_model", "set_params", "before_fit", "check_logged", "stateful", "get_state", "set_state")
_PARTS = frozenset((*_NAMES, *_OTHER))


@lru_cache(maxsize=64)
def _hooks_of(cls: type) -> frozenset[str] | None:
    """Return the hooks that one of nncore's classes overrides, or None for a user's class, which may change."""
    if not cls.__module__.startswith(f"{_PACKAGE}."):
        return None
    return frozenset(name for name in HOOKS if not hasattr(getattr(cls, name), "_is_default"))


def _hooks_at(callback: Any) -> frozenset[str] | None:
    """Return the hooks that a callback of nncore has, or None if it may have any: a user's, or one with hooks in the object."""
    own = _hooks_of(callback.__class__)
    return own if own is None or vars(callback).keys().isdisjoint(_HOOK_NAMES) else None


class _Hooks(dict[str, list[Callable[..., Any]]]):
    """The overridden methods of each hook. They are looked up at the first use, because a short `fit` uses few hooks."""

    def __init__(self, callbacks: list[Any]) -> None:
        super().__init__()
        self._asked = [(callback, _hooks_at(callback)) for callback in callbacks]

    def __missing__(self, hook: str) -> list[Callable[..., Any]]:
        self[hook] = found = []
        for callback, own in self._asked:
            if (own is None or hook in own) and (method := _overridden(callback, hook)):
                found.append(method)
        return found


_NONE: tuple[Any, ...] = ()  #: the default of arguments; Python has only one empty tuple, so `is` finds it


def checked(callbacks: Any) -> list[Any]:
    """Return callbacks as a list. A single callback and None are accepted.

    Raises
    ------
    ArgumentError
        An object has no hooks.
    """
    if callbacks is None or callbacks is _NONE:
        return []
    several = isinstance(callbacks, list | tuple) or (
        isinstance(callbacks, Iterable) and not isinstance(callbacks, str | bytes | Mapping) and not _has_hooks(callbacks)
    )
    found = list(callbacks) if several else [callbacks]
    for callback in found:
        if isinstance(callback, type) or not _has_hooks(callback):
            raise ArgumentError(
                f"callbacks: an object with hooks such as on_epoch_end is needed, not {shown(callback)}{_hint(callback)}"
            )
    return found


def for_first(callback: Any) -> bool:
    """Return whether only the first one of several ranks needs a callback."""
    return isinstance(callback, Callback) and callback.only_first


def _has_hooks(callback: Any) -> bool:
    """Return whether a callback has a hook, or another method by which it takes part in training."""
    if isinstance(callback, Callback):
        # LambdaCallback and others set hooks in the object.
        return type(callback) is Callback or _takes_part(type(callback)) or not vars(callback).keys().isdisjoint(_PARTS)
    if any(_overridden(callback, hook) for hook in HOOKS):
        return True
    return callable(getattr(callback, "set_model", None)) and not any(hasattr(callback, hook) for hook in HOOKS)


@lru_cache(maxsize=64)
def _takes_part(cls: type) -> bool:
    return any(not vars(each).keys().isdisjoint(_PARTS) for each in cls.__mro__[:-1] if each is not Callback)


def _hint(callback: Any) -> str:
    if isinstance(callback, type):
        return f"; make an object of it, {callback.__name__}()"
    for name in dir(callback):
        if name.startswith("on_") and name not in _NAMES and (similar := near(name, _NAMES)):
            return f"; it has {name}, did you mean {named(similar)}?"
    return ""


class CallbackList:
    """Calls a hook of all callbacks, in their order. Callbacks that save the model are called last.

    Parameters
    ----------
    callbacks : callback or iterable of callbacks
    model : Model
    params : dict
        "epochs", "steps", "verbose".

    Raises
    ------
    ArgumentError
        An object is not a callback.
    """

    def __init__(self, callbacks: Any, model: Any, params: Logs) -> None:
        self.callbacks = checked(callbacks)
        self.callbacks.sort(key=lambda callback: isinstance(callback, Callback) and callback.saves_model)  # stable
        for callback in self.callbacks:
            seen = model if isinstance(callback, Callback) or not is_of_keras(callback) else KerasView(model)
            for setter, value in (("set_params", params), ("set_model", seen)):
                if hasattr(callback, setter):
                    getattr(callback, setter)(value)
                else:
                    setattr(callback, setter.removeprefix("set_"), value)
        self._hooks = _Hooks(self.callbacks)

    def check_logged(self, config: Configuration, validates: bool) -> None:
        """Let the callbacks check which keys the logs of a `fit` will have."""
        checking = [
            each for each in self.callbacks if isinstance(each, Callback) and type(each).check_logged is not Callback.check_logged
        ]
        if not checking:
            return
        keys = config.log_keys
        epoch = [*keys, *(f"val_{key}" for key in keys)] if validates else list(keys)
        arrays = frozenset(prefix + key for key in config.array_keys for prefix in ("", "val_"))
        logged = Logged(epoch, list(keys), arrays, validates, any(map(_may_add_keys, self.callbacks)))
        for callback in checking:
            callback.check_logged(logged)

    def wants(self, *hooks: str) -> bool:
        """Return whether any callback overrides one of these hooks."""
        return any(map(self._hooks.__getitem__, hooks))

    def call(self, hook: str, *args: Any) -> None:
        """Call the methods that override ``hook``."""
        for method in self._hooks[hook]:
            method(*args)

    def states(self) -> list[tuple[str, Logs]]:
        """Return the class name and the state of each callback that has a state."""
        return [(type(c).__name__, state) for c in self.callbacks if isinstance(c, Callback) and (state := c.get_state())]

    def restore(self, states: Iterable[tuple[str, Logs]]) -> None:
        """Pass each state to the first callback of that class that has not got one yet."""
        left = list(states)
        for callback in self.callbacks:
            names = [name for name, _ in left]
            if isinstance(callback, Callback) and type(callback).__name__ in names:
                callback.set_state(left.pop(names.index(type(callback).__name__))[1])

    def close(self) -> None:
        """Close callbacks that hold resources, such as a progress bar. This also happens after an error."""
        for callback in self.callbacks:
            if isinstance(callback, Callback) and hasattr(callback, "close"):
                callback.close()


def _may_add_keys(callback: Any) -> bool:
    """Return whether a callback may add keys to the logs: a user's, with a hook that gets logs."""
    methods = [_overridden(callback, hook) for hook in ("on_train_batch_end", "on_epoch_end", "on_test_end")]
    return any(method is not None and method.__module__.partition(".")[0] != _PACKAGE for method in methods)


def _overridden(callback: Any, hook: str) -> Callable[..., Any] | None:
    for name in (hook, _OLD_NAMES.get(hook, hook)):
        method: Callable[..., Any] | None = getattr(callback, name, None)
        if method is not None and not getattr(method, "_is_default", False):
            return method
    return None


#: For calls without callbacks.
NO_CALLBACKS = CallbackList((), None, {})
