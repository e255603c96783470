"""How recurrent ops are written: RNN, GRU and LSTM of ONNX, whose tensors have time first.

ONNX has the gates z, r, h and i, o, f, c; here, as in PyTorch, they are r, z, n and i, f, g, o. Both biases are one tensor. The GRU
resets after the product (linear_before_reset=1) or before it. In float64, scan.py writes them.
"""

from __future__ import annotations

import numpy as np

from ..walk import Step
from .builder import Builder
from .scan import scanned

KINDS = ("RNN", "RNN", "GRU", "LSTM", "GRU")  # by the field cell: tanh, relu, gru, lstm, gru_before
#: For each operator, where the blocks of its tensors are among those of nncore.
GATES = {"RNN": (0,), "GRU": (1, 0, 2), "LSTM": (0, 3, 1, 2)}


def recurrent(b: Builder, step: Step) -> str:
    """Write one layer of one or two directions."""
    op, x = step.op, b.values[step.op.inputs[0]]
    kind, hidden, directions = KINDS[op.field("cell")], op.field("hidden_size"), 1 + op.field("bidirectional")
    time_first, initial = b.add("Transpose", x, perm=[1, 0, 2]), _initial(b, step, x)
    if b.walk.dtype == np.float64:
        y, states = scanned(b, step, kind, time_first, initial)
    else:
        inputs = [time_first, *_weights(b, step, kind), _lengths(b, step), *initial]
        while not inputs[-1]:
            inputs.pop()
        attributes = {"hidden_size": hidden, **({"direction": "bidirectional"} if directions == 2 else {})}
        if kind == "GRU":
            attributes["linear_before_reset"] = int(op.field("cell") == 2)
        if op.field("cell") == 1:
            attributes["activations"] = ["Relu"] * directions
        y, *states = b.add_several(3 if kind == "LSTM" else 2, kind, *inputs, **attributes)
    b.states[step.output] = tuple(states)
    if not op.field("return_sequences"):
        return b.reshape(b.add("Transpose", states[0], perm=[1, 0, 2]), 0, directions * hidden)
    if b.walk.dtype == np.float64:
        return y
    return b.reshape(b.add("Transpose", y, perm=[2, 0, 1, 3]), 0, 0, directions * hidden)


def last_state(b: Builder, step: Step) -> str:
    """Write the last h or c of the recurrent op before."""
    state = b.states[step.op.inputs[0]][step.op.field("is_cell_state")]
    moved = b.add("Transpose", state, perm=[1, 0, 2])
    return b.reshape(moved, 0, b.result(step).shape[0]) if step.op.field("is_flat") else moved


def gates_of(kind: str, rows: np.ndarray) -> np.ndarray:
    """Return [gates * hidden, ...] in the order of ONNX."""
    blocks = np.split(rows, len(GATES[kind]))
    return np.concatenate([blocks[i] for i in GATES[kind]])


def gates_from(kind: str, rows: np.ndarray) -> np.ndarray:
    """Return [gates * hidden, ...] in the order of nncore."""
    blocks = np.split(rows, len(GATES[kind]))
    return np.concatenate([blocks[GATES[kind].index(i)] for i in range(len(blocks))])


def _weights(b: Builder, step: Step, kind: str) -> list[str]:
    """The tensors W, R and B, each with the directions as its first dimension; "" for B without biases."""
    level = step.op.field("sublayer")
    suffixes = step.suffixes

    def stacked(*roles: str) -> str:
        names = tuple(step.parameters[role + suffix] for suffix in suffixes for role in roles)
        n = len(roles)

        def make() -> np.ndarray:
            each = [gates_of(kind, b.walk.tensors[name]) for name in names]
            return np.stack([np.concatenate(each[i : i + n]) for i in range(0, len(each), n)])

        tensor = b.derived(names, f"{names[0].removesuffix(suffixes[0])}_l{level}_onnx", make)
        for i, name in enumerate(names):
            b.stored.setdefault(name, [tensor, "gates", kind, i // n, i % n, n])
        return tensor

    has_bias = step.op.field("has_bias")
    return [stacked("weight_ih"), stacked("weight_hh"), stacked("bias_ih", "bias_hh") if has_bias else ""]


def _lengths(b: Builder, step: Step) -> str:
    lengths = b.valid(step.op.inputs[0])
    return b.once(("int32", lengths), lambda: b.cast(lengths, np.int32)) if lengths else ""


def _initial(b: Builder, step: Step, x: str) -> list[str]:
    """The initial states, [directions, N, hidden] each: learned, or computed by the network."""
    op, hidden, directions, level = (
        step.op,
        step.op.field("hidden_size"),
        1 + step.op.field("bidirectional"),
        step.op.field("sublayer"),
    )
    if op.field("learn_initial_state"):
        rows = b.once(("rows", x), lambda: b.add("Concat", b.ints(1), b.size(x, 0), b.ints(1), axis=0))
        names = [step.parameters[f"{state}_0_l{level}"] for state in ("h", "c") if f"{state}_0_l{level}" in step.parameters]
        return [b.add("Expand", b.parameter(name, "_onnx", lambda p: p[:, None]), rows) for name in names]
    found = []
    for value in op.inputs[1:]:
        size = int(np.prod(b.walk.values[value].shape))
        shape = (0, size // hidden, hidden)
        blocks = b.once(("blocks", value, hidden), lambda v=value, shape=shape: b.reshape(b.values[v], *shape))  # type: ignore[misc]
        if size != directions * hidden:
            first = level * directions
            blocks = b.add("Slice", blocks, b.ints(first), b.ints(first + directions), b.ints(1))
        found.append(b.add("Transpose", blocks, perm=[1, 0, 2]))
    return found
