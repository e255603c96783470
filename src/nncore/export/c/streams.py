"""Networks that are computed one time step at a time, with the states in a struct of the caller, as `Model.stream` does.

Their function for whole sequences calls the step for each time step. So no sequence is stored between layers, and any number of
steps is possible.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from ...records import Shape
from . import text
from .assembly import Assembly, Function
from .program import Body

if TYPE_CHECKING:
    from ..walk import Step, Walk
    from .layers import Entry
    from .model import Argument
    from .recurrent import Direction


class Part(NamedTuple):
    """A part of the states: one of an op, or the input in front of it."""

    array: str  #: the member of the struct: "v" for [x, h], "c" for cell states
    begin: int
    size: int
    said: str
    initial: str = "0"  #: an expression of i


class Stream:
    """The struct with the states of a network.

    The input of an op and its state h are neighbours. If the input is the state of the op before, and lies at the end, it is not
    copied: stacked layers lie as [x, h of the first, h of the second].
    """

    def __init__(self) -> None:
        self.sizes = {"v": 0, "c": 0}
        self.parts: list[Part] = []
        self._of: dict[tuple[int, str], Part] = {}

    @property
    def size(self) -> int:
        """How many numbers the struct has."""
        return sum(self.sizes.values())

    def place(self, b: Body, d: Direction) -> tuple[str, bool, dict[str, str]]:
        """Return a pointer to [x, h], whether x is there already, and pointers to the states."""
        value, name = d.step.op.inputs[0], f"{d.step.op.name} l{d.step.op.field('sublayer')}"
        below = self._of.get((value, "h"))
        is_there = below is not None and below.begin + below.size == self.sizes["v"]
        x = below if is_there and below is not None else self._add("v", d.inputs, f"input of {name}")
        states = {}
        for kind in d.kinds:
            part = self._add("v" if kind == "h" else "c", d.hidden, f"{kind} of {name}", d.initial(b, kind))
            self._of[d.step.output, kind] = part
            states[kind] = _pointer(part)
        return _pointer(x), is_there, states

    def state_of(self, value: int, kind: str) -> str:
        """Return a pointer to a state of an op."""
        return _pointer(self._of[value, kind])

    def _add(self, array: str, size: int, said: str, initial: str = "0") -> Part:
        part = Part(array, self.sizes[array], size, said, initial)
        self.sizes[array] += size
        self.parts.append(part)
        return part

    def declared(self, name: str, ctype: str) -> str:
        """Return the definition of the struct."""
        lines = ["/* The states of a sequence: one for each sequence that goes on. NAME_reset begins one. */".replace("NAME", name)]
        lines += [f"typedef struct {name}_state {{"]
        for array, size in self.sizes.items():
            if size:
                said = [f"{p.begin}: {p.said} [{p.size}]" for p in self.parts if p.array == array]
                lines += [text.comment("; ".join(said), "    "), f"    {ctype} {array}[{size}];"]
        return "\n".join([*lines, f"}} {name}_state;\n"])

    def reset(self) -> list[str]:
        """Return the statements that begin a sequence."""
        lines = []
        for array, size in self.sizes.items():
            if size:
                lines.append(f"    for (int i = 0; i < {size}; i++) {{\n        state->{array}[i] = 0;\n    }}")
        for part in self.parts:
            if part.initial != "0":
                at = f"state->{part.array}[{part.begin} + i]"
                lines.append(f"    for (int i = 0; i < {part.size}; i++) {{\n        {at} = {part.initial};\n    }}")
        return lines


def _pointer(part: Part) -> str:
    return f"(state->{part.array} + {part.begin})" if part.begin else f"state->{part.array}"


def is_stream(net: Walk) -> bool:
    """Return whether a network has states, and is computed step by step."""
    return not net.no_stream and any(step.op.kind == "recurrent" for step in net.steps)


def in_order(net: Walk) -> tuple[Walk, int]:
    """Return a network with the steps first that every time step needs, and how many there are. The others need the last states
    alone."""
    every = [step for step in net.steps if _is_of_every_step(net, step)]
    return net._replace(steps=every + [step for step in net.steps if not _is_of_every_step(net, step)]), len(every)


def _is_of_every_step(net: Walk, step: Step) -> bool:
    return step.op.kind == "recurrent" or net.values[step.output].timeline is not None


def add_stream(a: Assembly, shapes: Sequence[Shape], every: int, x: Argument, y: Argument, entries: dict[str, Entry]) -> None:
    """Add the functions of a stream, and those that predict whole sequences.

    Parameters
    ----------
    a : Assembly
        The file.
    shapes : sequence of shapes
        Of all values for one time step.
    every : int
        How many steps of the walk belong to every time step.
    x, y : Argument
        The input and the output for whole sequences.
    entries : dict
        How ops are written.
    """
    p, stream = a.program, Stream()
    body = Body(p, shapes, [x.name], stream)
    body.run(p.walk.steps, lambda b, step: entries[step.op.kind](b, step))
    (cut, of_step), steps = body.ends[every - 1], x.shape[0]
    body.finish([y.name])
    body.multiply_adds += (steps - 1) * of_step
    a.bodies.append(body)
    a.state_size = stream.size
    a.macros.append((f"{p.name.upper()}_TIME_STEPS", steps, f"time steps of {x.name}"))
    a.types.append(stream.declared(p.name, p.ctype))
    a.functions.append(Function("Begin a sequence.", f"void {p.name}_reset({p.name}_state *state)", stream.reset()))
    if p.walk.values[p.walk.outputs[0]].timeline is not None:
        cut = 0
    _add_step(a, body, cut, x, y)
    _add_sequence(a, cut == 0, x, y)


def _add_step(a: Assembly, body: Body, cut: int, x: Argument, y: Argument) -> None:
    """Add the step; of two parts, if the second one is of no use before the end of a sequence."""
    state, given, result = f"{a.program.name}_state *state", f"const {x.ctype} *{x.name}", f"{a.program.ctype} *{y.name}"
    lines = _lines(a, body, slice(None))
    if cut:
        for part, pointer, which in (("advance", given, slice(cut)), ("result", result, slice(cut, None))):
            a.functions.append(Function("", f"static {a.signature(part, state, pointer)}", _lines(a, body, which)))
        lines = [f"    {a.call('advance', 'state', x.name)}", f"    {a.call('result', 'state', y.name)}"]
    said = "Go on by one time step: its input, and the output for the sequence so far."
    a.functions.append(Function(said, a.signature("step", state, given, result), lines))


def _add_sequence(a: Assembly, is_sequence: bool, x: Argument, y: Argument) -> None:
    """Add what predicts sequences: of any length, and of that for which the network is built."""
    name, steps = a.program.name, x.shape[0]
    given, result = f"const {x.ctype} *{x.name}", f"{a.program.ctype} *{y.name}"
    own = f"({name}_state *)(workspace + {a.size - a.state_size})" if a.of_caller else "&own"
    at = f"{x.name} + {x.size // steps} * t"
    step = a.call("step", "state", at, f"{y.name} + {y.size // steps} * t") if is_sequence else a.call("advance", "state", at)
    lines = [
        *([] if a.of_caller else [f"    static {name}_state own;"]),
        f"    {name}_state *const state = {own};",
        f"    {name}_reset(state);",
        "    for (int t = 0; t < steps; t++) {",
        f"        {step}",
        "    }",
        *([] if is_sequence else [f"    {a.call('result', 'state', y.name)}"]),
    ]
    a.functions.append(
        Function(
            "Predict a sequence of any number of steps, at least 1.",
            a.signature("predict_steps", given, "int steps", result),
            lines,
        )
    )
    whole = f"    {a.call('predict_steps', x.name, f'{name.upper()}_TIME_STEPS', y.name)}"
    a.functions.append(Function("Predict one sample.", a.signature("predict", given, result), [whole]))


def _lines(a: Assembly, body: Body, part: slice) -> list[str]:
    lines = body.statements(a.workspace, part)
    return ["    (void)workspace;", *lines] if a.of_caller and "workspace" not in "".join(lines) else lines
