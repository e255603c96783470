"""Callbacks: what they are, the list that calls them, and what a model must have for them to be called.

The hooks are Keras's, with Keras's arguments; a callback written for Keras works unchanged, and any object with some of the
hooks will do. A hook that nobody overrides costs nothing. Where no hook of single batches is overridden, many steps run in one
C call; ``on_train_chunk_end`` is then the way to look in while an epoch runs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeVar

from .._checks import shown
from .._declarations import DeclarationType
from ..errors import ArgumentError

if TYPE_CHECKING:
    from ..network.network import Network
    from .history import History
    from .trainer import Trainer

Logs = dict[str, Any]
_F = TypeVar("_F", bound=Callable[..., None])


class Learner(Protocol):
    """A model, as training knows it: callbacks are given it, and set ``stop_training``."""

    stop_training: bool
    history: History | None

    @property
    def _network(self) -> Network: ...

    @property
    def _trainer(self) -> Trainer | None: ...

    def reset_states(self) -> None: ...


def _default(hook: _F) -> _F:
    """Mark a hook that does nothing, under the attribute that Keras uses for the same purpose."""
    vars(hook)["_is_default"] = True
    return hook


class Callback(metaclass=DeclarationType):
    """Base of all callbacks: override the hooks you need.

    Attributes
    ----------
    model : Model
        The model that trains; ``self.model.stop_training = True`` ends training.
    params : dict
        Of the run: "epochs", "initial_epoch", "steps" per epoch (0 where it is not known), "verbose", and "do_validation".

    Examples
    --------
    >>> class Halve(Callback):
    ...     def on_epoch_end(self, epoch, logs=None):
    ...         self.model.optimizer.lr = self.model.optimizer.lr / 2
    """

    _family: ClassVar[str] = "nncore.callbacks"

    model: Any = None
    params: Logs
    saves_model: ClassVar[bool] = False  #: is called after the others, as it saves what they have counted
    stateful: ClassVar[tuple[str, ...]] = ()  #: attributes that belong to the state of training: a resumed one needs them

    def before_fit(self, model: Any) -> bool:
        """Before anything else in ``fit``: say whether the model has been brought to a state from which to resume."""
        return False

    def get_state(self) -> Logs:
        """Return what a resumed training needs of this callback: numbers, strings, None, arrays, and lists of those."""
        return {name: getattr(self, name) for name in self.stateful}

    def set_state(self, state: Logs) -> None:
        """Take up the state that `get_state` returned; called after ``on_train_begin``."""
        for name in self.stateful:
            setattr(self, name, state[name])

    def set_model(self, model: Any) -> None:
        """Receive the model, before the first hook."""
        self.model = model

    def set_params(self, params: Logs) -> None:
        """Receive the parameters of the run, before the first hook."""
        self.params = params

    @_default
    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Training begins."""

    @_default
    def on_train_end(self, logs: Logs | None = None) -> None:
        """Training ends; logs of the last epoch."""

    @_default
    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Epoch number ``epoch`` (from 0) begins."""

    @_default
    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """An epoch ends; logs has the loss and the metrics, with "val_" those of the validation data."""

    @_default
    def on_train_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Batch number ``batch`` (from 0) of the epoch begins."""

    @_default
    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """A batch ends; logs has the loss and metrics of the epoch so far."""

    @_default
    def on_train_chunk_end(self, step: int, logs: Logs | None = None) -> None:
        """A call into the core returned after at most about 50 ms: ``step`` steps of the epoch are done. Not in Keras."""

    @_default
    def on_test_begin(self, logs: Logs | None = None) -> None:
        """Evaluation or validation begins."""

    @_default
    def on_test_end(self, logs: Logs | None = None) -> None:
        """Evaluation or validation ends."""

    @_default
    def on_test_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """A batch of evaluation begins."""

    @_default
    def on_test_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """A batch of evaluation ends."""

    @_default
    def on_predict_begin(self, logs: Logs | None = None) -> None:
        """Prediction begins."""

    @_default
    def on_predict_end(self, logs: Logs | None = None) -> None:
        """Prediction ends."""

    @_default
    def on_predict_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """A batch of prediction begins."""

    @_default
    def on_predict_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """A batch of prediction ends; logs has "outputs"."""


HOOKS = tuple(name for name in vars(Callback) if name.startswith("on_"))
_OLD_NAMES = {"on_train_batch_begin": "on_batch_begin", "on_train_batch_end": "on_batch_end"}


class _Hooks(dict[str, list[Callable[..., Any]]]):
    """Who overrides a hook, looked up when it is first asked for: a short `fit` asks for few of them."""

    def __init__(self, callbacks: list[Any]) -> None:
        super().__init__()
        self._callbacks = callbacks

    def __missing__(self, hook: str) -> list[Callable[..., Any]]:
        self[hook] = found = [method for callback in self._callbacks if (method := _overridden(callback, hook))]
        return found


_NONE: tuple[Any, ...] = ()  #: what methods take by default; there is but one empty tuple


def checked(callbacks: Any) -> list[Any]:
    """Return callbacks as a list; one alone will do, and None for none.

    Raises
    ------
    ArgumentError
        One is no object with hooks.
    """
    if callbacks is None or callbacks is _NONE:
        return []
    several = isinstance(callbacks, list | tuple) or (
        isinstance(callbacks, Iterable) and not isinstance(callbacks, str | bytes | Mapping) and not _has_hooks(callbacks)
    )
    found = list(callbacks) if several else [callbacks]
    for callback in found:
        if isinstance(callback, type) or not _has_hooks(callback):
            hint = f"; make an object of it, {callback.__name__}()" if isinstance(callback, type) else ""
            raise ArgumentError(f"callbacks: an object with hooks such as on_epoch_end is needed, not {shown(callback)}{hint}")
    return found


def _has_hooks(callback: Any) -> bool:
    names = ("set_model", *HOOKS, *_OLD_NAMES.values())
    return isinstance(callback, Callback) or any(callable(getattr(callback, name, None)) for name in names)


class CallbackList:
    """Calls a hook of all callbacks, in the order in which they were given, those that save the model last.

    Parameters
    ----------
    callbacks : callback or iterable of callbacks
    model : Model
    params : dict
        "epochs", "steps", "verbose".

    Raises
    ------
    ArgumentError
        Something is no callback.
    """

    def __init__(self, callbacks: Any, model: Any, params: Logs) -> None:
        self.callbacks = checked(callbacks)
        self.callbacks.sort(key=lambda callback: isinstance(callback, Callback) and callback.saves_model)  # stable
        for callback in self.callbacks:
            for setter, value in (("set_params", params), ("set_model", model)):
                if hasattr(callback, setter):
                    getattr(callback, setter)(value)
                else:
                    setattr(callback, setter.removeprefix("set_"), value)
        self._hooks = _Hooks(self.callbacks)

    def wants(self, *hooks: str) -> bool:
        """Whether any callback overrides one of these hooks."""
        return any(self._hooks[hook] for hook in hooks)

    def call(self, hook: str, *args: Any) -> None:
        """Call ``hook`` of everyone who overrides it."""
        for method in self._hooks[hook]:
            method(*args)

    def states(self) -> list[tuple[str, Logs]]:
        """What a resumed training needs of each callback: the name of its class, and its state."""
        return [(type(c).__name__, state) for c in self.callbacks if isinstance(c, Callback) and (state := c.get_state())]

    def restore(self, states: Iterable[tuple[str, Logs]]) -> None:
        """Hand each state to the first callback of that class that has none yet."""
        left = list(states)
        for callback in self.callbacks:
            names = [name for name, _ in left]
            if isinstance(callback, Callback) and type(callback).__name__ in names:
                callback.set_state(left.pop(names.index(type(callback).__name__))[1])

    def close(self) -> None:
        """Let callbacks that hold something open (a bar on the screen) let go of it, also after an error."""
        for callback in self.callbacks:
            if isinstance(callback, Callback) and hasattr(callback, "close"):
                callback.close()


def _overridden(callback: Any, hook: str) -> Callable[..., Any] | None:
    for name in (hook, _OLD_NAMES.get(hook, hook)):
        method: Callable[..., Any] | None = getattr(callback, name, None)
        if method is not None and not getattr(method, "_is_default", False):
            return method
    return None


#: For calls that nobody watches.
NO_CALLBACKS = CallbackList((), None, {})
