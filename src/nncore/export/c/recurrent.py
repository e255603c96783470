"""How recurrent ops are written.

The input of a step lies in front of the state, [x, h], so that one product has both. The GRU that resets after the product has two
products for the rows of its new gate, of x and of h. The one that resets before has one of [x, r h], after r h has taken the place
of h, which waits in that of the sum of r. Biases that are added to the same sum are added here.

In a stream (streams.py), states lie in the caller's struct, and a step is all that is written. Elsewhere they lie in the workspace
while a loop goes through the sequence.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..walk import Step
from .products import Matrix, matrix, multiply
from .program import Body, Program, spelt
from .workspace import Buffer

CELLS = ("tanh", "relu", "gru", "lstm", "gru_before")  #: by the field cell
#: The formulas, with g for the sums of the gates, n for the number of units, h and c for the states.
_FORMULAS = {
    "tanh": ("h = tanh(W x + V h + b)", ["h[j] = TANH(g[j]);"]),
    "relu": ("h = max(W x + V h + b, 0)", ["h[j] = g[j] < 0 ? 0 : g[j];"]),
    "gru": (
        "r, z = sigmoid(...); m = tanh(W x + b + r (V h + d)); h = (1 - z) m + z h",
        [
            "const TYPE r = SIGMOID(g[j]), z = SIGMOID(g[n + j]);",
            "const TYPE m = TANH(g[2 * n + j] + r * g[3 * n + j]);",
            "h[j] = m + z * (h[j] - m);",
        ],
    ),
    "gru_reset": (
        "r = sigmoid(...); h = r h, and the old h in the place of the sum of r",
        ["const TYPE old = h[j];", "h[j] = SIGMOID(g[j]) * old;", "g[j] = old;"],
    ),
    "gru_before": (
        "z = sigmoid(...); m = tanh(W x + V (r h) + b); h = (1 - z) m + z h",
        ["const TYPE m = TANH(g[2 * n + j]);", "h[j] = m + SIGMOID(g[n + j]) * (g[j] - m);"],
    ),
    "lstm": (
        "i, f, o = sigmoid(...); c = f c + i tanh(...); h = o tanh(c)",
        [
            "c[j] = SIGMOID(g[n + j]) * c[j] + SIGMOID(g[j]) * TANH(g[2 * n + j]);",
            "h[j] = SIGMOID(g[3 * n + j]) * TANH(c[j]);",
        ],
    ),
}


class Direction(NamedTuple):
    """One direction of a recurrent op."""

    step: Step
    number: int  #: 0, or 1 for the reverse one

    @property
    def cell(self) -> str:
        return CELLS[self.step.op.field("cell")]

    @property
    def inputs(self) -> int:
        return int(self.step.op.field("input_size"))

    @property
    def hidden(self) -> int:
        return int(self.step.op.field("hidden_size"))

    @property
    def kinds(self) -> str:
        """Return the kinds of its states."""
        return "hc" if self.cell == "lstm" else "h"

    @property
    def sums(self) -> int:
        """How many sums a time step makes."""
        return {"gru": 4, "lstm": 4, "gru_before": 3}.get(self.cell, 1) * self.hidden

    @property
    def suffix(self) -> str:
        return self.step.suffixes[self.number]

    def matrices(self, p: Program) -> list[tuple[Matrix, int, int]]:
        """Return its matrices, each with where in [x, h] its input begins, and where in the sums its result goes."""
        n, two = self.hidden, 2 * self.hidden
        w, v = (self._rows(p, f"weight_{kind}") for kind in ("ih", "hh"))
        b, d = (self._rows(p, f"bias_{kind}") if self.step.op.field("has_bias") else np.zeros(len(w)) for kind in ("ih", "hh"))
        whole = np.concatenate([w, v], axis=1)
        if self.cell not in ("gru", "gru_before"):
            return [(self._matrix(p, "", whole, b + d), 0, 0)]
        gates = (self._matrix(p, "rz", whole[:two], b[:two] + d[:two]), 0, 0)
        if self.cell == "gru_before":
            return [gates, (self._matrix(p, "n", whole[two:], b[two:] + d[two:]), 0, two)]
        return [
            gates,
            (self._matrix(p, "n_ih", w[two:], b[two:]), 0, two),
            (self._matrix(p, "n_hh", v[two:], d[two:]), self.inputs, two + n),
        ]

    def _rows(self, p: Program, role: str) -> np.ndarray:
        return p.walk.tensors[self.step.parameters[f"{role}{self.suffix}"]].astype(float)

    def _matrix(self, p: Program, part: str, weight: np.ndarray, bias: np.ndarray) -> Matrix:
        ih, hh = (self.step.parameters[f"weight_{kind}{self.suffix}"] for kind in ("ih", "hh"))
        names = {
            "": f"{ih} and {hh}",
            "rz": f"Rows of r and z of {ih} and {hh}",
            "n": f"Rows of n of {ih} and {hh}",
            "n_ih": f"Rows of n of {ih}",
        }
        wanted = f"{spelt(ih).replace('_ih', '')}{'_' * bool(part)}{part}"
        return matrix(p, (ih, hh, part), wanted, weight, bias, names.get(part, f"Rows of n of {hh}"))

    def initial(self, b: Body, kind: str) -> str:
        """Return what its state begins with: an expression of i."""
        op, name = self.step.op, self.step.parameters.get(f"{kind}_0_l{self.step.op.field('sublayer')}")
        blocks, own = 1 + op.field("bidirectional"), op.field("sublayer")
        if len(op.inputs) > 1:
            at = (own * blocks + self.number) * self.hidden
            return f"{b.inputs(self.step)[1 + self.kinds.index(kind)]}[{f'{at} + ' * bool(at)}i]"
        if name is None:
            return "0"
        array = b.program.parameter(self.step, f"{kind}_0_l{own}")
        return f"{array}[{f'{self.number * self.hidden} + ' * bool(self.number)}i]"


def stored_together(step: Step) -> list[list[tuple[str, slice]]]:
    """Return for each matrix of an op the tensors of which it is made, side by side, and their rows."""
    found = []
    for number in range(1 + step.op.field("bidirectional")):
        d, every = Direction(step, number), slice(None)
        w, v = (step.parameters[f"weight_{kind}{d.suffix}"] for kind in ("ih", "hh"))
        if not d.cell.startswith("gru"):
            found.append([(w, every), (v, every)])
            continue
        first, new = slice(2 * d.hidden), slice(2 * d.hidden, None)
        found += [[(w, first), (v, first)], *([[(w, new)], [(v, new)]] if d.cell == "gru" else [[(w, new), (v, new)]])]
    return found


def recurrent(b: Body, step: Step) -> None:
    """Write an op: a step of it in a stream, else all steps of both directions."""
    if b.stream is not None:
        _advance(b, step)
        return
    (steps, width), sequences = b.shape(step), step.op.field("return_sequences")
    x, y, count = b.inputs(step)[0], b.new(step), 1 + step.op.field("bidirectional")
    both = [Direction(step, d) for d in range(count)]
    sums = b.scratch(both[0].sums)
    places = b.states[step.output] = _places(b, step, both)
    for d, (_, place) in zip(both, places, strict=True):
        n = d.hidden
        states = {kind: f"{place} + {width + i * n}" for i, kind in enumerate(d.kinds)}
        for i, kind in enumerate(d.kinds):
            b.loop("i", n, f"{place}[{width + i * n} + i] = {d.initial(b, kind)};")
        b.line(f"for (int t = {steps - 1}; t >= 0; t--) {{" if d.number else f"for (int t = 0; t < {steps}; t++) {{")
        b.loop("i", width, f"{place}[i] = {x}[{width} * t + i];")
        _cell(b, d, str(place), states, sums, steps)
        if sequences:
            b.loop("i", n, f"{y}[{count * n} * t{f' + {n}' * d.number} + i] = {place}[{width} + i];")
        b.line("}")
        if not sequences:
            b.loop("i", n, f"{y}[{f'{n} + ' * d.number}i] = {place}[{width} + i];")


def last_state(b: Body, step: Step) -> None:
    """Write the last h or c of both directions of the op before."""
    value, is_c = step.op.inputs[0], step.op.field("is_cell_state")
    if b.stream is not None:
        b.name(step, b.stream.state_of(value, "hc"[is_c]))
        return
    y = b.new(step)
    n = y.size // len(b.states[value])
    for d, (width, place) in enumerate(b.states[value]):
        b.loop("i", n, f"{y}[{f'{n} + ' * d}i] = {place}[{width + is_c * n} + i];")


def _places(b: Body, step: Step, both: list[Direction]) -> list[tuple[int, Buffer]]:
    """Return the buffers for [x, h] or [x, h, c], with the width of x. They are kept until the last states have been read."""
    readers = [i for i, s in enumerate(b.program.walk.steps) if s.op.kind == "state" and s.op.inputs[0] == step.output]
    places: list[tuple[int, Buffer]] = []
    for d in both:
        if readers or not places:
            buffer = b.scratch(d.inputs + len(d.kinds) * d.hidden)
            buffer.last = max([buffer.last, *readers])
        places.append((d.inputs, buffer))
    return places


def _cell(b: Body, d: Direction, x: str, states: dict[str, str], sums: Buffer, turns: int = 1) -> None:
    """Add the statements of one time step. x: [x, h]; states: pointers to h and c; turns: how often they run."""
    before = b.multiply_adds
    for i, (weights, begin, at) in enumerate(d.matrices(b.program)):
        if i and d.cell == "gru_before":
            b.line(f"{_routine(b.program, 'gru_reset')}({sums}, {d.hidden}, {states['h']});")
        multiply(b, f"{x} + {begin}" if begin else x, weights, f"{sums} + {at}" if at else sums)
    b.multiply_adds = before + turns * (b.multiply_adds - before)
    b.line(f"{_routine(b.program, d.cell)}({sums}, {d.hidden}, {', '.join(states[kind] for kind in d.kinds)});")


def _routine(p: Program, cell: str) -> str:
    """Return the name of the function that makes the new state of the sums, or r h."""
    said, lines = _FORMULAS[cell]
    body = "\n".join(f"        {line}" for line in lines)
    for word in ("tanh", "sigmoid"):
        if word.upper() in body:
            body = body.replace(word.upper(), p.function(word))
    states = ", ".join(f"TYPE *RESTRICT {kind}" for kind in ("hc" if cell == "lstm" else "h"))
    kind = "TYPE" if cell == "gru_reset" else "const TYPE"
    begin = f"/* {said} */\nstatic void @({kind} *RESTRICT g, int n, {states})\n"
    source = f"{begin}{{\n    for (int j = 0; j < n; j++) {{\n{body}\n    }}\n}}\n"
    source = source.replace("RESTRICT", f"{p.name.upper()}_RESTRICT").replace("TYPE", p.ctype)
    return p.routine({"tanh": "rnn", "relu": "rnn_relu"}.get(cell, cell), source)


def _advance(b: Body, step: Step) -> None:
    """Write a step of a stream, whose states lie in its struct."""
    stream, d = b.stream, Direction(step, 0)
    assert stream is not None
    x, is_in_place, states = stream.place(b, d)
    if not is_in_place:
        b.loop("i", d.inputs, f"{x}[i] = {b.inputs(step)[0]}[i];")
    _cell(b, d, x, states, b.scratch(d.sums))
    b.name(step, states["h"])
