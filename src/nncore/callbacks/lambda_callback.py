"""LambdaCallback: a callback from plain functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .._checks import shown
from ..errors import ArgumentError, lookup
from ..training.hooks import HOOKS, Callback


class LambdaCallback(Callback):
    """Call functions as hooks.

    Parameters
    ----------
    **hooks : callable
        Any hook of `Callback` by its name, with the hook's arguments.

    Raises
    ------
    UnknownNameError
        There is no such hook.

    Examples
    --------
    >>> losses = []
    >>> callback = LambdaCallback(on_epoch_end=lambda epoch, logs: losses.append(logs["loss"]))
    """

    def __init__(self, **hooks: Callable[..., Any] | None) -> None:
        for name, function in hooks.items():
            lookup("hook", name, dict.fromkeys(HOOKS))
            if function is not None and (isinstance(function, type) or not callable(function)):
                raise ArgumentError(f"LambdaCallback: {name} must be a function, not {shown(function)}")
            if function is not None:
                setattr(self, name, function)
