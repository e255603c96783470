"""How recurrent ops are written: a call of rnn, gru or lstm, which returns the outputs of all steps and the last states.

A file with streams keeps the states of each op in the dict ``states``.
"""

from __future__ import annotations

from math import prod

from ..walk import Step
from .writer import Writer

CELLS = ("rnn", "rnn", "gru", "lstm", "gru_before")  # by the field cell: tanh, relu, gru, lstm, gru_before


def recurrent(w: Writer, step: Step) -> str:
    """Write one layer of one or two directions."""
    op, x, options = step.op, w.inputs(step)[0], {}
    cell, both = w.function(CELLS[op.field("cell")]), op.field("bidirectional")
    start, counts = _start(w, step), w.counts(op.inputs[0])
    key = f"{step.output}"
    if not w.walk.no_stream:
        start = f"states.get({key}, {start})" if start else f"states.get({key})"
    if start:
        options["start"] = start
    if counts != "None":
        options["counts"] = counts
    if op.field("cell") == 1:
        activation = w.function("relu")
        cell = f"functools.partial({cell}, activation={activation})" if both else cell
        options |= {} if both else {"activation": activation}
    weights = [_weights(w, step, suffix) for suffix in step.suffixes]
    if both:
        call = w.call("both_ways", cell, x, *(f"[{', '.join(each)}]" for each in weights), **options)
    else:
        call = w.call(cell, x, *weights[0], **options)
    streams, sequences = not w.walk.no_stream, op.field("return_sequences")
    outputs = w.target(step) if sequences and w.is_read(step.output) else "_"
    last = w.name(f"{step.layer}_states") if streams or not sequences or w.is_read(step.output, "state") else "_"
    w.states[step.output] = last
    w.line(f"{outputs}, {last} = {call}")
    if streams:
        w.line(f"states[{key}] = {last}")
    return outputs if sequences else f"{last}[0]"


def last_state(w: Writer, step: Step) -> str:
    """Write the last h or c of the recurrent op before."""
    state = f"{w.states[step.op.inputs[0]]}[{int(step.op.field('is_cell_state'))}]"
    if step.op.field("is_flat"):
        return state
    return f"{state}.reshape(len({state}), {', '.join(map(str, w.result(step).shape))})"


def _weights(w: Writer, step: Step, suffix: str) -> list[str]:
    roles = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")[: 4 if step.op.field("has_bias") else 2]
    return [w.weight(step, f"{role}{suffix}") for role in roles]


def _start(w: Writer, step: Step) -> str:
    """The initial states, [N, directions * hidden] each: learned, or computed by the network. Nothing stands for zeros."""
    op = step.op
    columns, level = op.field("hidden_size") * (1 + op.field("bidirectional")), op.field("sublayer")
    if op.field("learn_initial_state"):
        found = [f"{w.weight(step, role)}.reshape(1, -1)" for role in (f"h_0_l{level}", f"c_0_l{level}") if role in step.parameters]
    else:
        found = []
        for i, name in zip(op.inputs[1:], w.inputs(step)[1:], strict=True):
            shape = w.walk.values[i].shape
            flat = name if len(shape) == 1 else f"{name}.reshape(len({name}), {prod(shape)})"
            found.append(flat if prod(shape) == columns else f"{flat}[:, {level * columns}:{(level + 1) * columns}]")
    return f"[{', '.join(found)}]" if found else ""
