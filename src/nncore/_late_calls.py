"""Late calls: the calls from lower packages to higher ones, in one place.

For example, a layer that is called on an array needs a network, and ``a + b`` of values needs a layer. The lower module calls a
function of this module. ``nncore/__init__.py`` states which function answers. Its module is imported at the first call.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any


class LateCall:
    """A function that a higher module provides.

    Parameters
    ----------
    purpose : str
        What the function does, and its arguments.

    Examples
    --------
    >>> root = LateCall("root(x): the square root")
    >>> root.provide("math", "sqrt")
    >>> root(9.0)
    3.0
    """

    __slots__ = ("_home", "_name", "_provided", "purpose")

    def __init__(self, purpose: str) -> None:
        self.purpose = purpose
        self._home = self._name = ""
        self._provided: Callable[..., Any] | None = None

    def provide(self, module: str, name: str) -> None:
        """Set the module and the name of the function that answers."""
        self._home, self._name, self._provided = module, name, None

    def __call__(self, *args: Any) -> Any:
        if self._provided is None:
            self._provided = getattr(import_module(self._home), self._name)
        return self._provided(*args)


merge_values = LateCall("merge_values(name, values): call the merging layer of that name, such as Add, on values")
rescale_value = LateCall("rescale_value(value, scale, offset): call a Rescaling on a value")
index_value = LateCall("index_value(value, index): a part of a value, through a Slice and the like")
call_layer = LateCall("call_layer(layer, x, training): the output of a layer for an array, by itself")
call_recurrent = LateCall("call_recurrent(layer, x, h_0, lengths, training, mask): outputs and last states of a recurrent layer")
draw_parameters = LateCall("draw_parameters(layer): the parameters of a recurrent layer, drawn now where it is in no model yet")
verdicts_of = LateCall("verdicts_of(diagnostics): what the statistics of a training mean, as verdicts")
