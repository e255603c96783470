"""Recurrent ops in float64: a Scan over the time steps, because runtimes have RNN, GRU and LSTM for float32 alone."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..walk import Step
from .builder import Builder


def scanned(b: Builder, step: Step, kind: str, x: str, initial: list[str]) -> tuple[str, list[str]]:
    """Return the outputs [N, T, directions * hidden] and the last states, [directions, N, hidden] each.

    x is [T, N, features], and the initial states are like the last ones; none stand for zeros.
    """
    op, hidden, counts = step.op, step.op.field("hidden_size"), 2 if kind == "LSTM" else 1
    mask = b.valid_mask(op.inputs[0], 2)
    valid = [b.unsqueeze(b.add("Transpose", mask, perm=[1, 0]), 2)] if mask else []  # [T, N, 1]
    outputs, last = [], []
    for d, suffix in enumerate(step.suffixes):
        first = [b.add("Gather", h, b.constant(np.array(d, np.int64), f"int_{d}"), axis=0) for h in initial] or [
            b.add("Expand", b.number(0.0), b.add("Concat", b.size(x, 1), b.ints(hidden), axis=0))
        ] * counts
        roles = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        names = {role: step.parameters.get(f"{role}{suffix}", "") for role in roles}
        product = b.add("MatMul", x, b.parameter(names["weight_ih"], "_transposed", np.transpose))
        product = b.add("Add", product, b.parameter(names["bias_ih"])) if names["bias_ih"] else product
        given = [_turned(b, each) for each in (product, *valid)] if d else [product, *valid]
        *states, output = b.add_several(
            counts + 1,
            "Scan",
            *first,
            *given,
            body=_body(b, step, kind, names, bool(valid)),
            num_scan_inputs=len(given),
        )
        outputs.append(_turned(b, output) if d else output)
        last.append([b.unsqueeze(state, 0) for state in states])
    y = b.add("Concat", *outputs, axis=2) if len(outputs) > 1 else outputs[0]
    of_kinds = zip(*last, strict=True)
    return b.add("Transpose", y, perm=[1, 0, 2]), [b.add("Concat", *s, axis=0) if len(s) > 1 else s[0] for s in of_kinds]


def _turned(b: Builder, x: str) -> str:
    """Turn the steps round. Not all programs have the attributes of Scan for it."""
    return b.add("Slice", x, b.ints(-1), b.constant(np.array([np.iinfo(np.int64).min]), "int_min"), b.ints(0), b.ints(-1))


def _body(b: Builder, step: Step, kind: str, names: dict[str, str], has_valid: bool) -> Any:
    """Return the graph of one time step. From outside it reads constants alone."""
    outside, b.nodes = b.nodes, []
    before = [b.name(f"{b.layer}/{state}") for state in ("hc" if kind == "LSTM" else "h")]
    given, valid = b.name(f"{b.layer}/given"), b.name(f"{b.layer}/valid") if has_valid else ""
    weight = b.parameter(names["weight_hh"], "_transposed", np.transpose)
    bias = b.parameter(names["bias_hh"]) if names["bias_hh"] else ""
    hidden, resets_before = step.op.field("hidden_size"), step.op.field("cell") == 4
    carried = "" if resets_before else _linear(b, before[0], weight, bias)
    if resets_before:
        after = [_gru_before(b, before[0], given, weight, bias, hidden)]
    elif kind == "LSTM":
        after = _lstm(b, before, b.add("Add", given, carried), hidden)
    elif kind == "GRU":
        after = [_gru(b, before[0], given, carried, hidden)]
    else:
        after = [b.add("Relu" if step.op.field("cell") == 1 else "Tanh", b.add("Add", given, carried))]
    output = b.add("Where", valid, after[0], b.number(0.0)) if valid else b.add("Identity", after[0])
    if valid:
        after = [b.add("Where", valid, new, old) for new, old in zip(after, before, strict=True)]
    nodes, b.nodes = b.nodes, outside

    def info(name: str, columns: int, dtype: Any = b.walk.dtype) -> Any:
        """Shapes are stated, because runtimes do not always find them."""
        kind = b.helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
        return b.helper.make_tensor_value_info(name, kind, [None, columns])

    gates = len(b.walk.tensors[names["weight_ih"]])
    inputs = [*(info(name, hidden) for name in before), info(given, gates), *([info(valid, 1, np.bool_)] if valid else [])]
    return b.helper.make_graph(nodes, f"{b.layer} step", inputs, [info(name, hidden) for name in (*after, output)])


def _lstm(b: Builder, before: list[str], gates: str, hidden: int) -> list[str]:
    i, f, g, o = b.add_several(4, "Split", gates, b.ints(*[hidden] * 4), axis=-1)
    kept = b.add("Mul", b.add("Sigmoid", f), before[1])
    c = b.add("Add", kept, b.add("Mul", b.add("Sigmoid", i), b.add("Tanh", g)))
    return [b.add("Mul", b.add("Sigmoid", o), b.add("Tanh", c)), c]


def _linear(b: Builder, x: str, weight: str, bias: str) -> str:
    product = b.add("MatMul", x, weight)
    return b.add("Add", product, bias) if bias else product


def _gru_before(b: Builder, before: str, given: str, weight: str, bias: str, hidden: int) -> str:
    """With the reset before the product."""
    (gates, n), weights, biases = (
        b.add_several(2, "Split", each, b.ints(2 * hidden, hidden), axis=-1) if each else ["", ""] for each in (given, weight, bias)
    )
    gates = b.add("Sigmoid", b.add("Add", gates, _linear(b, before, weights[0], biases[0])))
    r, z = b.add_several(2, "Split", gates, b.ints(hidden, hidden), axis=-1)
    n = b.add("Tanh", b.add("Add", n, _linear(b, b.add("Mul", r, before), weights[1], biases[1])))
    return b.add("Add", n, b.add("Mul", z, b.add("Sub", before, n)))


def _gru(b: Builder, before: str, given: str, carried: str, hidden: int) -> str:
    parts = [b.add_several(3, "Split", each, b.ints(*[hidden] * 3), axis=-1) for each in (given, carried)]
    (r, z, n), (hr, hz, hn) = parts
    r, z = (b.add("Sigmoid", b.add("Add", one, other)) for one, other in ((r, hr), (z, hz)))
    n = b.add("Tanh", b.add("Add", n, b.add("Mul", r, hn)))
    return b.add("Add", n, b.add("Mul", z, b.add("Sub", before, n)))
