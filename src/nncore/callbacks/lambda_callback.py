"""LambdaCallback: a callback made from plain functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypedDict, Unpack

from .._checks import function as checked
from ..errors import lookup
from ..training.hooks import HOOKS, Callback

Plain = Callable[[Any], Any] | None
Numbered = Callable[[Any, Any], Any] | None


_PLAIN = ("on_train_begin", "on_train_end", "on_test_begin", "on_test_end", "on_predict_begin", "on_predict_end")


class Hooks(TypedDict, total=False):
    """The hooks as functions. They take the logs, or a number (of the epoch, batch or step) and the logs."""

    on_train_begin: Plain
    on_train_end: Plain
    on_epoch_begin: Numbered
    on_epoch_end: Numbered
    on_train_batch_begin: Numbered
    on_train_batch_end: Numbered
    on_train_chunk_end: Numbered
    on_test_begin: Plain
    on_test_end: Plain
    on_test_batch_begin: Numbered
    on_test_batch_end: Numbered
    on_predict_begin: Plain
    on_predict_end: Plain
    on_predict_batch_begin: Numbered
    on_predict_batch_end: Numbered


class LambdaCallback(Callback):
    """A callback that calls the given functions as its hooks.

    Parameters
    ----------
    **hooks : callable
        A function for any hook of `Callback`, by the name of the hook. It gets the arguments of the hook.

    Raises
    ------
    UnknownNameError
        There is no hook with this name.

    Examples
    --------
    >>> import nncore as nn
    >>> losses = []
    >>> callback = nn.callbacks.LambdaCallback(
    ...     on_epoch_end=lambda epoch, logs: losses.append(logs["loss"])
    ... )
    """

    def __init__(self, **hooks: Unpack[Hooks]) -> None:
        given: dict[str, Any] = {**hooks}
        for name, function in given.items():
            lookup("hook", name, dict.fromkeys(HOOKS))
            if function is not None:
                count, what = (1, "logs") if name in _PLAIN else (2, f"{_number_of(name)} and logs")
                setattr(self, name, checked("LambdaCallback", name, function, count, f"a function of {what}"))


def _number_of(hook: str) -> str:
    return next(word for word in ("epoch", "batch", "step") if word in hook.replace("chunk", "step"))
