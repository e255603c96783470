"""How activations are written: one entry for each NNC_ACTIVATION of the registry.

An activation of one number is an expression of v, of which a small function is made, so that layers and recurrent cells call the
same one. Activations of rows are functions that change a row in place.
"""

from __future__ import annotations

from collections.abc import Callable

from ..walk import Step
from .program import Body, Program

Expression = Callable[[Program, Step], str]
Entry = Callable[[Body, Step], None]


def scalar_function(p: Program, name: str, expression: str) -> str:
    """Return the name of a function of one number v with this value."""
    t = p.ctype
    return p.routine(name, f"static inline {t} @({t} v)\n{{\n    return {expression};\n}}\n")


def _element(name: str, expression: Expression) -> Entry:
    """An activation of every number, in place if possible."""

    def entry(b: Body, step: Step) -> None:
        (x,), f = b.inputs(step), scalar_function(b.program, name, expression(b.program, step))
        y = b.in_place(step)
        b.loop("i", b.size(step.output), f"{y}[i] = {f}({x}[i]);")

    return entry


def _called(name: str) -> Entry:
    """An activation that is a function of functions.py."""

    def entry(b: Body, step: Step) -> None:
        (x,), f = b.inputs(step), b.program.function(name)
        y = b.in_place(step)
        b.loop("i", b.size(step.output), f"{y}[i] = {f}({x}[i]);")

    return entry


#: The name of an activation in the registry -> its entry. The identity has no steps.
ACTIVATIONS: dict[str, Entry] = {
    "sigmoid": _called("sigmoid"),
    "tanh": _called("tanh"),
    "relu": _element("relu", lambda p, step: "v < 0 ? 0 : v"),
    "exp": _called("exp"),
}
