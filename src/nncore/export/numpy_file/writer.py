"""The lines of a network while they are written: the names of values, weights and functions, comments, and breaks in long lines."""

from __future__ import annotations

import keyword
import re
import unicodedata
from collections.abc import Collection

from ..walk import Step, Value, Walk

WIDTH = 110
_OTHERS = {"functools", "math", "np", "dict", "len", "zip"}  # which the lines may need, too


class Writer:
    """Lines of Python for a walk.

    Parameters
    ----------
    walk : Walk
        The network.
    taken : collection of str
        Names that the file has already, such as those of its functions.

    Attributes
    ----------
    lines : list of str
    values : dict
        From the number of a value to its name.
    states : dict
        From the number of a recurrent op's value to the name of its last states.
    used : set of str
        The functions that the lines call.
    weights : list of str
        The names of the tensors that they read.
    """

    def __init__(self, walk: Walk, taken: Collection[str]) -> None:
        self.walk = walk
        self.lines: list[str] = []
        self.values: dict[int, str] = {}
        self.states: dict[int, str] = {}
        self.used: set[str] = set()
        self.weights: list[str] = []
        self._taken = {*keyword.kwlist, *_OTHERS, *taken}
        self._counts: dict[int, str] = {}
        for i, name in enumerate(walk.input_names):
            self.values[i] = self.name(name)
            if walk.timed is not None and walk.values[i].timeline is not None:
                self._counts[i] = "lengths"
        self._flowing = self.name("h")  # what the next line reads, and no other
        self._alone = _read_by_the_next(walk)

    # Names --------------------------------------------------------------------------------------------------------------------

    def name(self, wanted: str) -> str:
        """Return an identifier that nothing has yet."""
        plain = re.sub(r"\W+", "_", unicodedata.normalize("NFKC", wanted)).strip("_") or "x"
        plain = plain if plain.isidentifier() else f"h{plain}"
        name, n = plain if plain not in self._taken else f"{plain}_out", 2
        while name in self._taken or not name.isidentifier():
            name, n = f"{plain}_{n}", n + 1
        self._taken.add(name)
        return name

    def inputs(self, step: Step) -> list[str]:
        """Return the names of the inputs of an op."""
        return [self.values[i] for i in step.op.inputs]

    def names_of_inputs(self) -> list[str]:
        """Return the names of the inputs of the network."""
        return [self.values[i] for i in range(len(self.walk.input_names))]

    def value(self, step: Step, i: int = 0) -> Value:
        """Return an input of an op."""
        return self.walk.values[step.op.inputs[i]]

    def result(self, step: Step) -> Value:
        """Return the result of an op."""
        return self.walk.values[step.output]

    # Expressions --------------------------------------------------------------------------------------------------------------

    def call(self, function: str, *arguments: str, **named: str) -> str:
        """Return the call of a function of the file."""
        self.used.add(function)
        return f"{function}({', '.join([*arguments, *(f'{name}={value}' for name, value in named.items())])})"

    def function(self, name: str) -> str:
        """Return the name of a function of the file that is passed on."""
        self.used.add(name)
        return name

    def number(self, value: float) -> str:
        """Return a number as Python has it."""
        return repr(float(value)) if value not in (float("inf"), float("-inf")) else "np.inf" if value > 0 else "-np.inf"

    def weight(self, step: Step, role: str) -> str:
        """Return a parameter of an op."""
        name = step.parameters[role]
        if name not in self.weights:
            self.weights.append(name)
        return f"W[{quoted(name)}]"

    # Lengths of sequences -----------------------------------------------------------------------------------------------------

    def counts(self, value: int) -> str:
        """Return the name of the valid steps of each row of a value, or "None" if all are valid."""
        return self._counts.get(value, "None")

    def count_anew(self, step: Step) -> str:
        """Return a name for the valid steps of a result that has others than its inputs."""
        name = self._counts[step.output] = self.name(f"{step.layer}_counts")
        return name

    def follow_time(self, step: Step) -> None:
        """Let a result with time steps have the valid steps of the inputs with these time steps."""
        self.walk.follow_time(step, self._counts)

    # Lines --------------------------------------------------------------------------------------------------------------------

    def line(self, text: str) -> None:
        """Add a line, broken if it is too long."""
        self.lines += broken(text)

    def target(self, step: Step) -> str:
        """Return the name of the result of an op."""
        if step.output not in self.values:
            self.values[step.output] = self._flowing if step.output in self._alone else self.name(step.layer)
        return self.values[step.output]

    def store(self, step: Step, expression: str) -> None:
        """Add the line that gives a name to the result of an op, if it has none yet and somebody reads it."""
        if self.is_read(step.output) and expression != self.target(step):
            line = f"{self.target(step)} = {expression}"
            if expression[0] == "(" and len(line) <= WIDTH:  # brackets in which it could have been broken
                line = f"{self.target(step)} = {expression[1:-1]}"
            self.line(line)

    def is_read(self, value: int, kind: str = "") -> bool:
        """Return whether a value is an output, or is read by an op other than one for its last states; or by an op of a kind."""
        if kind:
            return any(value in step.op.inputs and step.op.kind == kind for step in self.walk.steps)
        return value in self.walk.outputs or any(value in step.op.inputs and step.op.kind != "state" for step in self.walk.steps)

    def comment(self, steps: list[Step]) -> str:
        """Return what stands above the lines of a layer, which has these steps."""
        computed = {step.output for step in steps}
        given = dict.fromkeys(i for step in steps for i in step.op.inputs if i not in computed)
        what = plain(steps[0].op.name.removeprefix("layer ").replace(f"'{steps[0].layer}'", steps[0].layer))
        return f"# {what}: {', '.join(self.shape(i) for i in given)} -> {self.shape(steps[-1].output)}"

    def shape(self, value: int) -> str:
        """Return the shape of a value for comments."""
        return shape_text(self.walk.values[value])


def quoted(text: str) -> str:
    """Return a string as a literal, with double quotes unless it has some."""
    literal = repr(text)
    return f'"{literal[1:-1]}"' if literal[0] == "'" and '"' not in text else literal


def shape_text(value: Value) -> str:
    """Return the shape of a value for comments: [N, time, 3]. A star is a size that follows from those of the inputs."""
    sizes = [
        str(size) if not axis else axis if axis.endswith("time") else "*"
        for size, axis in zip(value.shape, value.axes, strict=True)
    ]
    return f"[{', '.join(['N', *map(plain, sizes)])}]"


def plain(text: str) -> str:
    """Return a name as it may stand in comments and docstrings: nothing in it ends a line or the text."""
    text = text if text.isprintable() else ascii(text)[1:-1]
    return text.replace("\\", "/").replace('"', "'")


def broken(text: str) -> list[str]:
    """Return a line, or several if it is long: it is broken after commas and before operators, best in the outermost brackets."""
    places, lines, start, indent = _places(text), [], 0, ""
    while len(indent) + len(text) - start > WIDTH:
        within = [each for each in places if start < each[1] <= start + WIDTH - len(indent)]
        if not within:
            break
        least = min(depth for depth, _ in within)
        end = max(at for depth, at in within if depth == least)
        lines.append(indent + text[start:end].rstrip())
        start, indent = end, " " * (4 + 4 * least)
    return [*lines, indent + text[start:]]


def _places(text: str) -> list[tuple[int, int]]:
    """Return where a line may be broken, each with how many brackets are open there."""
    found, depth, quote, skip = [], 0, "", False
    for at, character in enumerate(text):
        if skip:
            skip = False
        elif quote:
            quote, skip = "" if character == quote else quote, character == "\\"
        elif character in "'\"":
            quote = character
        elif character == " " and depth and (text[at - 1] == "," or text[at + 1] in "+-*"):
            found.append((depth, at + 1))
        else:
            depth += (character in "([{") - (character in ")]}")
    return found


def _read_by_the_next(walk: Walk) -> set[int]:
    """Return the values that the step after theirs reads, and nobody else, and the only output if the last step computes it."""
    found = {step.output for step, after in zip(walk.steps, walk.steps[1:], strict=False) if step.output in after.op.inputs}
    readers: dict[int, int] = {}
    for step in walk.steps:
        for i in {*step.op.inputs}:
            readers[i] = readers.get(i, 0) + 1
    alone = {i for i in found if readers[i] == 1} - {*walk.outputs}
    return alone | ({walk.steps[-1].output} & {*walk.outputs} if walk.steps and len(walk.outputs) == 1 else set())
