"""LambdaCallback: a callback made from plain functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypedDict, Unpack

from .._checks import shown
from ..errors import ArgumentError, lookup
from ..training.hooks import HOOKS, Callback

Plain = Callable[[Any], Any] | None
Numbered = Callable[[Any, Any], Any] | None


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
    >>> losses = []
    >>> callback = LambdaCallback(on_epoch_end=lambda epoch, logs: losses.append(logs["loss"]))
    """

    def __init__(self, **hooks: Unpack[Hooks]) -> None:
        given: dict[str, Any] = {**hooks}
        for name, function in given.items():
            lookup("hook", name, dict.fromkeys(HOOKS))
            if function is not None and (isinstance(function, type) or not callable(function)):
                raise ArgumentError(f"LambdaCallback: {name} must be a function, not {shown(function)}")
            if function is not None:
                setattr(self, name, function)
