"""Loops whose body is a graph, as tf2onnx writes the recurrent layers of Keras: a recurrent operator instead.

A loop is run on random numbers and compared with the cells, whose weights are constants of the body. So it does not matter how the
body writes a cell, its condition and its counters. Steps may be left out by a mask, if it follows from an input of the graph: those
with a value that stands for padding. Then the loop is compared at the other steps.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice, permutations, product
from math import prod
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ....errors import NncoreError
from .folding import FOLDED
from .graph import Body, Node
from .interpret import Entry
from .loops import KINDS, compute, near, of_onnx, outputs_of, unlike
from .masks import ROWS, Mask, computed, mask_of, padded
from .recurrent import recurrent
from .values import BATCH, ONE, Expanded, Refusal, Size, Sizes, Tensor, Unreadable

if TYPE_CHECKING:
    from .interpret import Reading

_STEPS = (7, 4)  # that are tried if their number is open
_MOST_STEPS = 6  # that are tried at the beginning and at the end if it is not
_MOST_NUMBERS = 1 << 16  # of an array that is repeated
_MOST_CELLS = 300  # that are compared with a loop
_MOST_WEIGHTS = 40  # of them
_REFUSED = "its body is no RNN, GRU or LSTM of nncore"
Arrays = dict[str, np.ndarray]


class _Loop(NamedTuple):
    """A loop, and the graph around it."""

    body: Body
    start: list[Any]  #: what is carried from step to step, at first
    outer: dict[str, Any]  #: names in the body -> values of the graph around it
    names: dict[str, str]  #: names in the body -> names there
    states: list[int]  #: which of what is carried may be a state
    sequence: str
    mask: str


class _Trial(NamedTuple):
    """Numbers for a loop, and what it makes of them."""

    x: np.ndarray  #: [rows, steps, features]
    states: dict[int, np.ndarray]
    valid: np.ndarray | None
    moves: list[Any]  #: by how much each step changes what is carried
    carried: list[Any]
    collected: list[np.ndarray]


def _loop(r: Reading, node: Node, values: list[Any]) -> list[Any]:
    body = node.attributes.get("body")
    if not isinstance(body, Body) or len(body.outputs) < 2 or len(values) != len(body.inputs) + len(body.captured):
        raise Refusal(_REFUSED)
    loop = _described(node, body, values)
    t = loop.outer[loop.sequence]
    if isinstance(t, Unreadable):
        return [t] * len(node.outputs)
    if not isinstance(t, Tensor) or len(t.axes) != 3 or t.is_index:
        raise Refusal(_REFUSED)
    mask = mask_of(r, loop.names[loop.mask]) if loop.mask else None
    count = t.shape[0].known
    if count is None:
        trials = [_tried(r, loop, t, steps, range(steps), mask) for steps in _STEPS]
    else:
        trials = [_tried(r, loop, t, count, range(min(count, _MOST_STEPS)), mask)]
        if count > _MOST_STEPS:
            trials.append(_tried(r, loop, t, count, range(count - _MOST_STEPS, count), mask, trials[0].moves))
    cells = _cells(loop, trials[0], int(t.shape[2].known or 0))
    for kind, options, weights, chosen, names in islice(cells, _MOST_CELLS):
        found = [_roles(trial, kind, options, weights, chosen, t.is_backwards) for trial in trials]
        if all(each is not None for each in found):  # what is not the same in all of them, such as zeros at masked steps, is none
            roles = [each[0] if len({*each}) == 1 else "" for each in zip(*(each or [] for each in found), strict=True)]
            return _replaced(r, node, loop, (kind, options, weights, names), chosen, roles, mask)
    raise Refusal(_REFUSED)


def _described(node: Node, body: Body, values: list[Any]) -> _Loop:
    """Return a loop with the names of what it reads; a state is what it carries and changes, a sequence what it takes steps of."""
    count = len(body.inputs)
    same = {each.outputs[0]: each.inputs[0] for each in body.nodes if each.kind == "Identity"}
    after = [same.get(name, name) for name in body.outputs[1 : count - 1]]
    kept = [i for i, name in enumerate(after) if name == body.inputs[2 + i]]
    names = dict(zip(body.captured, node.inputs[count:], strict=True)) | {body.inputs[2 + i]: node.inputs[2 + i] for i in kept}
    outer = dict(zip(body.captured, values[count:], strict=True)) | {body.inputs[2 + i]: values[2 + i] for i in kept}
    start = values[2:count]
    states = [i for i, value in enumerate(start) if i not in kept and _is_matrix(value)]
    read = {each.inputs[0]: each for each in body.nodes if each.kind == "Gather" and not each.attributes.get("axis")}
    sequences = [name for name in read if not isinstance(outer.get(name, ONE), np.ndarray | Size)]
    found = [name for name in sequences if isinstance(outer[name], Tensor)]
    others = [name for name in sequences if name not in found]
    if len(found) > 1 or len(others) > 1 or not sequences:
        raise Refusal(_REFUSED)
    return _Loop(body, start, outer, names, states, (found or others)[0], others[0] if found and others else "")


def _is_matrix(value: Any) -> bool:
    return isinstance(value, Tensor | Expanded | np.ndarray) and len(value.shape) == 2


# Running --------------------------------------------------------------------------------------------------------------------------


def _masked(r: Reading, loop: _Loop, steps: int, at: slice, mask: Mask, is_backwards: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return numbers of a mask as the loop reads it, and which steps are valid, [rows, steps]: in each row one at `at`."""
    array, valid = padded(r, mask, steps, at)
    found = computed(r, {mask[0]: array}).get(loop.names[loop.mask], np.zeros(()))
    lined = (valid[:, ::-1] if is_backwards else valid).T
    if found.shape[:2] != lined.shape or found.size != lined.size or np.any(found.reshape(lined.shape) != lined):
        raise Refusal("its mask leaves out other steps than those that are padding")
    return found, valid


def _tried(r: Reading, loop: _Loop, t: Tensor, count: int, steps: range, mask: Mask | None, moves: Sequence[Any] = ()) -> _Trial:
    """Run some steps of a loop of so many on random numbers. moves: those of its first steps."""
    rng, features = np.random.default_rng(0), t.shape[2].known
    if features is None or features * count > 1 << 19:
        raise Refusal("its sequences are too long" if features else _REFUSED)
    x = np.zeros((ROWS, count, features), np.float32)
    at = slice(count - steps.stop, count - steps.start) if t.is_backwards else slice(steps.start, steps.stop)
    x[:, at] = rng.normal(size=(ROWS, len(steps), features))
    known: Arrays = {loop.sequence: np.swapaxes(x[:, ::-1] if t.is_backwards else x, 0, 1)}
    valid = None
    if mask is not None:
        known[loop.mask], valid = _masked(r, loop, count, at, mask, t.is_backwards)
        valid = valid[:, at]
    sizes = dict.fromkeys(t.shape[0].names, count) | {BATCH: ROWS}
    for name, value in loop.outer.items():
        if name not in known and (array := _numbers(value, sizes)) is not None:
            known[name] = array
    carried = [_numbers(value, sizes) for value in loop.start]
    states = {}
    for i in loop.states:
        width = loop.start[i].shape[1]
        columns = int(getattr(width, "known", width) or 1)
        if columns * ROWS > _MOST_NUMBERS:
            raise Refusal(f"it carries {columns} numbers for each sample")
        states[i] = rng.normal(size=(ROWS, columns)) / 2
    # What is not known may be the output of the step before, which stays where a mask leaves out a step. It is no state.
    before = rng.normal(size=next(iter(states.values())).shape) if states else None
    carried = [states.get(i, before if isinstance(v, Unreadable) else carried[i]) for i, v in enumerate(loop.start)]
    for i, move in enumerate(moves):
        if move is not None:
            carried[i] = carried[i] + move * steps.start
    results, collected = _run(r, loop.body, known, carried, steps, count)
    moved = [
        None if i in states or a is None or b is None or a.ndim or a.dtype.kind not in "iu" else (b - a) // len(steps)
        for i, (a, b) in enumerate(zip(carried, results, strict=True))
    ]
    return _Trial(x[:, at], states, valid, moved, results, collected)


def _numbers(value: Any, sizes: Mapping[str, int]) -> Any:
    """Return a value of the graph as an array, if it is known but for sizes."""

    def number(size: Size) -> int:
        found = size.factor
        for name in size.names:
            found *= sizes[name]
        return found

    try:
        if isinstance(value, Sizes):
            found = np.array([number(size) for size in value.items])
            return found.reshape(()) if value.is_scalar else found
        if isinstance(value, Expanded):
            shape = [number(size) for size in value.shape]
            return np.broadcast_to(value.array, shape) if prod(shape) <= _MOST_NUMBERS else None
    except KeyError:
        return None
    return value if isinstance(value, np.ndarray) else None


def _run(r: Reading, body: Body, outer: Arrays, carried: list[Any], steps: range, count: int) -> tuple[list[Any], list[np.ndarray]]:
    """Return what a loop carries after these steps of so many, and what it has collected."""
    collected: list[list[Any]] = [[] for _ in body.outputs[1 + len(carried) :]]
    for i in steps:
        r.loop_work -= len(body.nodes)
        if r.loop_work < 0:
            raise Refusal("the loops and masks of the graph have too many operators")
        start = {name: a for name, a in zip(body.inputs[2:], carried, strict=True) if a is not None}
        known: Arrays = {**outer, **body.constants, **start, body.inputs[0]: np.array(i), body.inputs[1]: np.array(True)}
        for node in body.nodes:
            if (node.kind in FOLDED or node.kind == "MatMul") and all(not name or name in known for name in node.inputs):
                compute(node, known)
        proceeds, *results = (known.get(name) for name in body.outputs)
        if proceeds is None or proceeds.size != 1 or (i < count - 1 and not proceeds.reshape(())[()]):
            raise Refusal("its body ends before all steps are read")
        carried = results[: len(carried)]
        for kept, one in zip(collected, results[len(carried) :], strict=True):
            kept.append(one)
    return carried, [np.array(each) if all(a is not None for a in each) else np.zeros(0) for each in collected]


# Comparing ------------------------------------------------------------------------------------------------------------------------


def _cells(loop: _Loop, trial: _Trial, features: int) -> Iterator[tuple[str, dict[str, Any], Any, tuple[int, ...], list[str]]]:
    """Return cells with weights of the body that a loop may be: kind, options, weights, states, and the names of the weights."""
    known = {name: v for name, v in loop.outer.items() if isinstance(v, np.ndarray)} | loop.body.constants
    given = [*known]
    for node in loop.body.nodes:
        if node.kind in FOLDED and all(not name or name in known for name in node.inputs):
            compute(node, known)
    given += [name for node in loop.body.nodes if node.kind == "MatMul" for name in node.inputs[1:] if name in known]
    weights = [
        name for name in dict.fromkeys(given) if known[name].ndim == 2 and known[name].size and known[name].dtype.kind == "f"
    ]
    for kernel, recurrence in permutations(weights, 2):
        (rows, columns), k = known[recurrence].shape, known[kernel]
        kinds = KINDS.get(columns // rows, ()) if columns % rows == 0 else ()
        if k.shape != (features, columns) or not kinds:
            continue
        biases = unlike([a.reshape(-1) for a in known.values() if a.size == columns and a.dtype.kind == "f"])
        zeros = np.zeros(columns)
        for kind, cell in product(kinds, ("tanh", "relu", "reset before")):
            if cell != "tanh" and (kind, cell) not in (("RNN", "relu"), ("GRU", "reset before")):
                continue
            options = (
                {"activations": ("Relu",)}
                if cell == "relu"
                else {"linear_before_reset": int(cell == "tanh")}
                if kind == "GRU"
                else {}
            )
            states = [i for i, a in trial.states.items() if a.shape[1] == rows]
            for one, two in product([zeros, *biases], [zeros, *biases]):
                made = of_onnx(kind, k, known[recurrence], one, two)
                for chosen in permutations(states, 2 if kind == "LSTM" else 1):
                    yield kind, options, made, chosen, [loop.names.get(each, each) for each in (kernel, recurrence)]


def _roles(
    trial: _Trial, kind: str, options: dict[str, Any], weights: Any, chosen: Sequence[int], is_backwards: bool
) -> list[str] | None:
    """Return for each result of a loop which output of a cell it is, "h", "c" or "all", or ""; None if the cell is another one."""
    cell = "relu" if "activations" in options else "tanh" if options.get("linear_before_reset", 1) else "reset before"
    x, valid = (a if a is None or not is_backwards else a[:, ::-1] for a in (trial.x, trial.valid))
    try:
        assert x is not None
        y, *last = outputs_of(kind, cell, weights, x, [trial.states[i] for i in chosen], valid)
    except NncoreError:
        return None
    every = np.ones(y.shape[:2], bool) if valid is None else valid
    found = [
        "" if a is None or i not in trial.states else "h" if near(a, last[0]) else "c" if near(a, last[-1]) else ""
        for i, a in enumerate(trial.carried)
    ]
    if any(found[i] != role for i, role in zip(chosen, "hc", strict=False)):
        return None
    for a in trial.collected:
        of_rows = np.swapaxes(a, 0, 1) if a.ndim == 3 else a
        found.append("all" if of_rows.shape == y.shape and near(of_rows[every], y[every]) else "")
    return found


def _replaced(
    r: Reading, node: Node, loop: _Loop, cell: tuple[Any, ...], chosen: Sequence[int], roles: list[str], mask: Any
) -> list[Any]:
    """Return the results of a loop, of a recurrent operator in its place."""
    kind, options, weights, names = cell
    last_only = {name for name, role in zip(node.outputs, roles, strict=False) if role == "all" and _is_last_only(r, name)}
    kinds = ["h" if name in last_only else role for name, role in zip(node.outputs, roles, strict=False)]
    pairs = [(name, what) for name, what in zip(node.outputs, kinds, strict=False) if name and r.readers[name]]
    whole, h, c = ([name for name, what in pairs if what == each] for each in ("all", "h", "c"))
    if not (whole or h or c) or len(roles) != len(node.outputs):
        raise Refusal(_REFUSED)
    states = [_with_direction(loop.start[i]) for i in chosen]
    inputs = (loop.names[loop.sequence], *names, "", "", *(node.inputs[2 + i] for i in chosen))
    attributes = {"hidden_size": weights[1].shape[2], **options}
    outputs = tuple((each or [""])[0] for each in (whole, h, c))
    made = Node(kind, node.name, inputs, outputs, attributes, node.number)
    y, y_h, y_c = recurrent(r, made, [loop.outer[loop.sequence], *weights, None, *states], mask)
    found: list[Any] = []
    for name, role in zip(node.outputs, roles, strict=False):
        t = {"all": y_h if name in last_only else y, "h": y_h, "c": y_c}.get(role)
        if t is None:
            found.append(Unreadable(node, "what a loop carries beside its states is not known"))
        elif name in last_only:  # [1, rows, hidden], of which the last step is taken
            found.append(t)
        else:
            gone = 1 if role == "all" else 0
            found.append(t._replace(axes=t.axes[:gone] + t.axes[gone + 1 :]))
    return found


def _is_last_only(r: Reading, name: str) -> bool:
    """Whether of the outputs of all steps only the last one is read."""
    readers = [node for node in r.graph.nodes if name in node.inputs]

    def numbers(node: Node, place: int) -> list[int]:
        array = r.values.get(node.inputs[place]) if place < len(node.inputs) else None
        return array.reshape(-1).tolist() if isinstance(array, np.ndarray) else []

    return (
        bool(readers)
        and not any(port.name == name for port in r.graph.outputs)
        and all(
            n.kind == "Slice" and numbers(n, 1) == [-1] and numbers(n, 3) == [0] and numbers(n, 2) > [2**31 - 2] for n in readers
        )
    )


def _with_direction(state: Any) -> Any:
    """Return a state [rows, hidden] as ONNX's recurrent operators take it."""
    if isinstance(state, Tensor):
        return state._replace(axes=((), *state.axes), product=None)
    return Expanded(state.array[None], (ONE, *state.shape)) if isinstance(state, Expanded) else state[None]


ENTRIES: dict[str, Entry] = {"Loop": _loop}
