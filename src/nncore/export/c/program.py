"""The file while it is made: its constants, its functions, and the buffers of each function that runs the network."""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Sequence
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from ...records import Shape
from ..walk import Step, Walk
from . import text
from .functions import function
from .workspace import Buffer, pack

if TYPE_CHECKING:
    from .streams import Stream

#: What may follow the prefix in names of public functions, types and the workspace.
PUBLIC = ("predict", "predict_batch", "predict_steps", "workspace", "reset", "step", "state", "advance", "result", "selftest")

_END = 1 << 60  # the time at which outputs are read


class Constant:
    """An array in flash."""

    def __init__(self, name: str, ctype: str, array: np.ndarray, said: str) -> None:
        self.name, self.ctype, self.array, self.said = name, ctype, array, said

    @property
    def nbytes(self) -> int:
        return int(self.array.nbytes)

    def declared(self) -> str:
        numbers = text.listed(text.numbers(self.array, self.ctype))
        return f"{text.comment(self.said)}\nstatic const {self.ctype} {self.name}[{self.array.size}] = {{\n{numbers}\n}};\n"


class Program:
    """Everything that the file has beside the bodies of its public functions.

    Parameters
    ----------
    walk : Walk
        The network.
    name : str
        With which all names in the file begin.
    dtype : numpy.dtype
        In what the file computes.
    exp : str
        Where mathematical functions come from: "libm" or "fast".
    weights : str or None
        How matrices are stored; see weights.py.

    Attributes
    ----------
    ctype : str
        "float" or "double".
    headers : set of str
        The headers of the C library that the file includes.
    constants : dict
        From key to `Constant`.
    """

    def __init__(self, walk: Walk, name: str, dtype: Any, exp: str = "libm", weights: str | None = None) -> None:
        self.walk, self.name, self.exp, self.weights = walk, name, exp, weights
        self.dtype = np.dtype(dtype)
        self.ctype = "float" if self.dtype == np.float32 else "double"
        self.headers: set[str] = set()
        self.constants: dict[Hashable, Constant] = {}
        self.routines: dict[str, str] = {}  # name -> text
        self.products: set[str] = set()  # what the function of products.py needs, and its name
        self.product = ""
        self._taken = {f"{name}_{each}" for each in PUBLIC}
        self._texts: dict[str, str] = {}  # text with @ for its name -> name

    def unique(self, wanted: str) -> str:
        """Return a name of the file that nothing has yet: the prefix, and what is wanted."""
        base = f"{self.name}_{text.identifier(wanted)}" if not wanted[:1].isdigit() else f"{self.name}_{wanted}"
        name, n = base, 2
        while name in self._taken:
            name, n = f"{base}_{n}", n + 1
        self._taken.add(name)
        return name

    def constant(self, key: Hashable, wanted: str, array: np.ndarray, said: str, ctype: str | None = None) -> str:
        """Declare an array, only the first time for each key, and return its name. Floating numbers get the type of the file."""
        if key not in self.constants:
            array = array if ctype else np.asarray(array).astype(self.dtype)
            self.constants[key] = Constant(self.unique(wanted), ctype or self.ctype, array, said)
        return self.constants[key].name

    def parameter(self, step: Step, role: str) -> str:
        """Declare a parameter as it is, and return its name."""
        name = step.parameters[role]
        said = f"{name} [{', '.join(map(str, self.walk.tensors[name].shape))}]"
        return self.constant(name, spelt(name), self.walk.tensors[name], said)

    def routine(self, wanted: str, source: str) -> str:
        """Add a function with @ in place of its name, and return its name. Equal functions are added once."""
        if source not in self._texts:
            name = self._texts[source] = self.unique(wanted)
            self.routines[name] = source.replace("@", name)
        return self._texts[source]

    def function(self, name: str) -> str:
        """Return the name of a mathematical function of one number; see functions.py."""
        return function(self, name)

    def number(self, value: float) -> str:
        """Return the literal of a number in the type of the file."""
        return text.number(value, self.ctype)


def spelt(name: str) -> str:
    """Return the name of a parameter for C: "0.weight" -> "0_weight"."""
    return "_".join(text.identifier(part, "x") if not part[:1].isdigit() else part for part in name.split("."))


class Body:
    """The statements of a function that runs the steps of a walk, and its buffers.

    Parameters
    ----------
    program : Program
        The file.
    shapes : list of tuple
        The shapes of all values in this function.
    inputs : list of str
        The names of the pointers to the inputs.
    stream : Stream, optional
        Where recurrent states lie, in a function that computes one time step.

    Attributes
    ----------
    multiply_adds : int
        How many multiplications with a weight the function does.
    workspace_size : int
        How many numbers its buffers take, after `finish`.
    notes : dict of int to str
        Why a step that computes a value has no statements; by default its result is the memory of its input.
    ends : list of (int, int)
        For each step that was run the number of lines and of multiplications with a weight after it.
    """

    def __init__(self, program: Program, shapes: Sequence[Shape], inputs: Sequence[str], stream: Stream | None = None) -> None:
        self.program, self.shapes, self.stream = program, list(shapes), stream
        self.states: dict[int, list[tuple[int, Buffer]]] = {}  # of recurrent ops, by value: where [x, h] or [x, h, c] lies
        self.multiply_adds = self.workspace_size = 0
        self.buffers: list[Buffer] = []
        self.notes: dict[int, str] = {}
        self.ends: list[tuple[int, int]] = []
        self._lines: list[str] = []
        self._now = 0
        self._depth = 1
        walk = program.walk
        self._last = [-1] * len(walk.values)  # the step that reads a value last
        self._readers: dict[int, list[Step]] = {}
        for time, step in enumerate(walk.steps):
            for value in {*step.op.inputs}:
                self._last[value] = time
                self._readers.setdefault(value, []).append(step)
        for value in walk.outputs:
            self._last[value] = _END
        self._of: dict[int, Buffer] = {}
        for i, name in enumerate(inputs):
            ctype = "int" if i in walk.indices else program.ctype
            self._of[i] = Buffer(name, ctype, self.size(i), 0, _END, is_input=True, held={i})

    # What entries read --------------------------------------------------------------------------------------------------------

    def size(self, value: int) -> int:
        """Return how many numbers a value has."""
        return prod(self.shapes[value])

    def shape(self, step: Step, i: int = 0) -> Shape:
        """Return the shape of an input of a step."""
        return self.shapes[step.op.inputs[i]]

    def result_shape(self, step: Step) -> Shape:
        """Return the shape of the result of a step."""
        return self.shapes[step.output]

    def inputs(self, step: Step) -> list[Buffer]:
        """Return where the inputs of a step lie. In a statement, a buffer is the name of a pointer."""
        return [self._of[value] for value in step.op.inputs]

    def only_reader(self, step: Step) -> Step | None:
        """Return the step that alone reads the result of a step, or None if there are several, or it is an output."""
        readers = self._readers.get(step.output, ())
        return readers[0] if len(readers) == 1 and self._last[step.output] < _END else None

    # Where results lie --------------------------------------------------------------------------------------------------------

    def new(self, step: Step) -> Buffer:
        """Return a new buffer for the result of a step."""
        buffer = self._buffer(self.size(step.output), max(self._last[step.output], self._now), self.program.ctype)
        return self._put(step, buffer)

    def in_place(self, step: Step, i: int = 0) -> Buffer:
        """Return the buffer of an input for the result, if it has the same size and nobody reads it later; else a new one."""
        return self._put(step, self._of[step.op.inputs[i]]) if self.is_free(step, i) else self.new(step)

    def is_free(self, step: Step, i: int = 0) -> bool:
        """Return whether the result may be written over an input."""
        buffer = self._of[step.op.inputs[i]]
        is_read_later = any(self._last[value] > self._now for value in buffer.held)
        return not buffer.is_input and not is_read_later and buffer.size == self.size(step.output)

    def view(self, step: Step, i: int = 0) -> Buffer:
        """Let the result of a step be an input of it, in another shape."""
        return self._put(step, self._of[step.op.inputs[i]])

    def joins(self, step: Step, i: int, whole: Buffer, begin: int) -> bool:
        """Let an input be computed where it is to lie in the result, if it has a buffer that nothing else needs any more.

        In a stream, what comes before the last state is another function, which does not know the output.
        """
        part = self._of[step.op.inputs[i]]
        is_own = not part.is_input and part.whole is None and part.ctype == whole.ctype and self.stream is None
        if not is_own or part.size != self.size(step.op.inputs[i]) or any(self._last[value] > self._now for value in part.held):
            return False
        part.whole, part.begin, whole.first = whole, begin, min(whole.first, part.first)
        return True

    def name(self, step: Step, pointer: str) -> None:
        """Let the result of a step be what an expression points to, which no later step changes."""
        self._of[step.output] = Buffer(
            pointer, self.program.ctype, self.size(step.output), 0, _END, is_input=True, held={step.output}
        )

    def scratch(self, size: int, ctype: str | None = None) -> Buffer:
        """Return a buffer for this step alone."""
        return self._buffer(size, self._now, ctype or self.program.ctype)

    def _buffer(self, size: int, last: int, ctype: str) -> Buffer:
        self.buffers.append(Buffer("", ctype, int(size), self._now, last))
        return self.buffers[-1]

    def _put(self, step: Step, buffer: Buffer) -> Buffer:
        buffer.held.add(step.output)
        buffer.last = max(buffer.last, self._last[step.output])
        self._of[step.output] = buffer
        return buffer

    # Statements ---------------------------------------------------------------------------------------------------------------

    def line(self, statement: str) -> None:
        """Add a statement, or the beginning or the end of a block, which end in { and begin with }."""
        self._depth -= statement.startswith("}")
        self._lines.append("    " * self._depth + statement)
        self._depth += statement.endswith("{")

    def loop(self, counter: str, count: int, *statements: str) -> None:
        """Add a loop over statements; of one turn only the statements, with 0 for the counter."""
        if count == 1:
            for statement in statements:
                self.line(
                    re.sub(
                        rf"( \+ \d+ \* {counter}\b| \+ {counter}\b)|\b{counter}\b", lambda m: "" if m.group(1) else "0", statement
                    )
                )
            return
        self.line(f"for (int {counter} = 0; {counter} < {count}; {counter}++) {{")
        for statement in statements:
            self.line(statement)
        self.line("}")

    def rows(self, function: str, shape: Shape, pointers: Sequence[Buffer], arguments: Callable[..., str]) -> None:
        """Add calls of a function for all rows, which are the last dimension. arguments: from pointers and the length of a row."""
        columns, rows = (shape or (1,))[-1], prod(shape[:-1])
        at = f" + {columns} * i" if rows > 1 else ""
        self.loop("i", rows, f"{function}({arguments(*(f'{each}{at}' for each in pointers), columns)});")

    def run(self, steps: Sequence[Step], entry: Callable[[Body, Step], None]) -> None:
        """Add the statements of steps."""
        for self._now, step in enumerate(steps):
            before = len(self._lines)
            entry(self, step)
            self._lines[before:before] = ["", self._described(step, len(self._lines) > before)]
            self.ends.append((len(self._lines), self.multiply_adds))

    def _described(self, step: Step, is_computed: bool) -> str:
        inputs = [str(list(self.shapes[value])) for value in step.op.inputs]
        said = inputs[0] if len({*inputs}) == 1 else ", ".join(inputs)
        said = f"{len(inputs)} times {said}" if len({*inputs}) == 1 < len(inputs) else said
        said = f"{step.op.name}: {said} -> {list(self.shapes[step.output])}"
        return text.comment(said if is_computed else f"{said}, {self.notes.get(step.output, 'the same memory')}", "    ")

    # The finished function ----------------------------------------------------------------------------------------------------

    def finish(self, outputs: Sequence[str]) -> None:
        """Write to the outputs, and give every buffer its name and place."""
        copies, placed = [], set()
        for name, value in zip(outputs, self.program.walk.outputs, strict=True):
            buffer = self._of[value]
            if buffer.is_input or id(buffer) in placed or buffer.size != self.size(value):
                copies.append((name, value))
            else:
                buffer.name = name
                placed.add(id(buffer))
        for name, value in copies:
            self._lines += ["", text.comment(f"output {name}", "    ")]
            self.loop("i", self.size(value), f"{name}[i] = {self._cast(value)}{self._of[value]}[i];")
        inside = [buffer for buffer in self.buffers if id(buffer) not in placed]
        for n, buffer in enumerate(inside, 1):
            buffer.name = f"h{n}"
        self.workspace_size = pack([buffer for buffer in inside if buffer.whole is None])
        self.multiply_adds = int(self.multiply_adds)

    def _cast(self, value: int) -> str:
        return "" if self._of[value].ctype == self.program.ctype else f"({self.program.ctype})"

    def statements(self, workspace: str, part: slice = slice(None)) -> list[str]:
        """Return the declarations of the buffers and the statements, or a part of them, in lines."""
        declared, lines = [], self._lines[part]
        whole, wholes = "".join(lines), {each.whole for each in self.buffers}
        own = [buffer for buffer in self.buffers if buffer.whole is None]
        for buffer in [*own, *(each for each in reversed(self.buffers) if each.whole is not None)]:
            if buffer.whole is not None or (buffer.offset >= 0 and (buffer.token in whole or buffer in wholes)):
                begin = buffer.offset if buffer.whole is None else buffer.begin
                base = workspace if buffer.whole is None else buffer.whole.name
                place = f"{base} + {begin}" if begin else base
                declared.append(f"    {buffer.ctype} *const {buffer.name} = {place}; {text.comment(f'[{buffer.size}]')}")
        names = {buffer.token: buffer.name for buffer in (*self.buffers, *self._of.values())}
        if part == slice(None):
            inputs = (self._of[i] for i in range(len(self.program.walk.input_names)))
            declared += [f"    (void){each.name};" for each in inputs if each.token not in whole]
        if not declared and lines[:1] == [""]:
            lines = lines[1:]  # without the blank line before the first step
        return declared + [text.wrapped(_named(line, names)) for line in lines]


def _named(line: str, names: dict[str, str]) -> str:
    """Return a statement with names in place of tokens."""
    return re.sub(r"\0\d+\0", lambda match: names[match.group()], line)
