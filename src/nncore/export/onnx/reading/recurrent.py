"""Entries of RNN, GRU and LSTM, in all layouts and directions, with initial states and lengths.

The blocks of gates are put into nncore's order by `gates_from`. What nncore's cells do not compute is refused by its name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .... import layers
from ....graph import Value
from ..recurrent import gates_from
from .interpret import BatchElsewhere, Entry, constant, given, tensor
from .values import Expanded, Refusal, Size, Sizes, Tensor, plain
from .views import materialized, selected

if TYPE_CHECKING:
    from .graph import Node
    from .interpret import Reading

_LAYERS: dict[str, tuple[Any, tuple[str, ...]]] = {
    "RNN": (layers.RNN, ("tanh",)),
    "GRU": (layers.GRU, ("sigmoid", "tanh")),
    "LSTM": (layers.LSTM, ("sigmoid", "tanh", "tanh")),
}


class Plan(NamedTuple):
    """What a recurrent operator computes."""

    kind: str
    hidden: int
    is_reverse: bool  #: only from the last step to the first
    directions: int
    is_batch_first: bool
    options: dict[str, Any]


def recurrent(r: Reading, node: Node, values: list[Any], mask: tuple[str, float] | None = None) -> list[Any]:
    """Return Y, Y_h and Y_c of a recurrent operator; None for what is not read. mask: input and value of padding of its mask."""
    plan = _planned(node, constant(given(values, 2), "its weight R"))
    x = tensor(values[0])
    if len(x.axes) != 3:
        raise Refusal(f"its input has {len(x.axes)} dimensions")
    _require_batch(r, node, 0, x, 0 if plan.is_batch_first else 1)
    is_backwards = x.is_backwards
    if is_backwards and plan.directions == 2:
        raise Refusal("it reads time steps from the last one to the first in a layer of two directions")
    plan = plan._replace(is_reverse=plan.is_reverse != is_backwards)
    x = materialized(r, x)
    _take_lengths(r, given(values, 4), x)
    if (peepholes := given(values, 7)) is not None and constant(peepholes, "P").any():
        raise Refusal("its gates see the state of the cell (peepholes, P), which those of nncore do not")
    parameters = _parameters(plan, values, x.dims[2])
    states = [_state(r, node, given(values, 5 + i), 5 + i, plan) for i in range(2 if plan.kind == "LSTM" else 1)]
    learned = {f"{'hc'[i]}_0_l0": s for i, s in enumerate(states) if isinstance(s, np.ndarray)}
    passed = [s for s in states if isinstance(s, Value)]
    if learned and passed:
        raise Refusal("one of its initial states is a constant, and the other one is computed")
    if learned:
        zeros = np.zeros(next(iter(learned.values())).shape)
        parameters |= {f"{'hc'[i]}_0_l0": learned.get(f"{'hc'[i]}_0_l0", zeros) for i in range(len(states))}
    if passed:
        nothing = r.apply(layers.Rescaling(0.0), passed[0])
        passed = [s if isinstance(s, Value) else nothing for s in states]
    is_read = [bool(name and r.readers[name]) for name in (*node.outputs, "", "")[:3]]
    layer = r.make(
        _LAYERS[plan.kind][0],
        parameters,
        x.value.shape[1],
        plan.hidden,
        **plan.options,
        bias="bias_ih_l0" in parameters,
        bidirectional=plan.is_reverse or plan.directions == 2,
        return_sequences=is_read[0],
        return_state=is_read[2] or (is_read[0] and is_read[1]),
        learn_initial_state=bool(learned),
        share=tuple(node.inputs[1:4]) if not passed and not learned else None,
        names=(*node.inputs[1:4], node.name if node.name.startswith("/") else ""),
    )
    output, *last = r.apply_for_all(layer, x.value, *passed)
    r.masks.setdefault(mask, str(node))
    found = _outputs(r, plan, x, output if is_read[0] else None, last or ([] if is_read[0] else [output]))
    return [found[0] and found[0]._replace(is_backwards=is_backwards), *found[1:]]


def _planned(node: Node, recurrence: np.ndarray) -> Plan:
    """Return what a node computes, or refuse by name what nncore does not have."""
    kind, given_of = node.kind, node.attributes
    expected, direction = _LAYERS[kind][1], given_of.get("direction", "forward")
    if direction not in ("forward", "reverse", "bidirectional"):
        raise Refusal(f"direction={direction!r}")
    directions = 2 if direction == "bidirectional" else 1
    if recurrence.ndim != 3 or recurrence.shape[0] != directions:
        raise Refusal(f"its weight R has the shape {list(recurrence.shape)} for {directions} directions")
    hidden = int(given_of.get("hidden_size") or recurrence.shape[2])
    options: dict[str, Any] = {}
    activations = tuple(each.lower() for each in given_of.get("activations", ()))
    if kind == "RNN" and activations and {*activations} == {"relu"}:
        options["nonlinearity"] = "relu"
    elif activations and activations != expected * directions:
        raise Refusal(f"activations={list(given_of['activations'])[:6]}; nncore's {kind} has {', '.join(expected)}")
    if given_of.get("clip"):
        raise Refusal(f"clip={given_of['clip']:g}: nncore's cells do not limit what goes into their gates")
    if given_of.get("input_forget", 0):
        raise Refusal("input_forget=1 couples two gates, which are independent in nncore")
    if kind == "GRU" and not given_of.get("linear_before_reset", 0):
        options["reset_after"] = False
    return Plan(kind, hidden, direction == "reverse", directions, given_of.get("layout", 0) == 1, options)


def _require_batch(r: Reading, node: Node, place: int, t: Tensor, axis: int) -> None:
    """Refuse a tensor whose batch is not this axis. If inputs of the graph may be the reason, read it again with their batch
    there."""
    if t.batch_axis == axis:
        return
    found = {}
    waiting, seen = [node.inputs[place]], set()
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        if name in r.inputs and name not in r.batch_axes and len(r.ports[name].dims or ()) == 3:
            found[name] = 1
        if (maker := r.makers.get(name)) is not None:
            waiting += maker.inputs
    if found:
        raise BatchElsewhere(found)
    raise Refusal(f"its batch is dimension {t.batch_axis} of input {place}, but {axis} is needed")


def _parameters(plan: Plan, values: list[Any], columns: Size) -> dict[str, np.ndarray]:
    weights = [constant(values[i], f"its weight {'WR'[i - 1]}") for i in (1, 2)]
    bias = given(values, 3)
    blocks = len(_GATES[plan.kind])
    rows = blocks * plan.hidden
    wanted = [(plan.directions, rows, columns.known), (plan.directions, rows, plan.hidden)]
    if [w.shape for w in weights] != wanted or not plan.hidden > 0:
        raise Refusal(f"its weights have the shapes {[list(w.shape) for w in weights]}, not {[list(w) for w in wanted]}")
    arrays = dict(zip(("weight_ih", "weight_hh"), weights, strict=True))
    if bias is not None:
        if constant(bias, "its bias B").shape != (plan.directions, 2 * rows):
            raise Refusal(f"its bias has the shape {list(bias.shape)}")
        arrays |= {"bias_ih": bias[:, :rows], "bias_hh": bias[:, rows:]}
    suffixes = ("_reverse",) if plan.is_reverse else ("", "_reverse")[: plan.directions]
    found = {
        f"{role}_l0{suffix}": gates_from(plan.kind, array[d]) for role, array in arrays.items() for d, suffix in enumerate(suffixes)
    }
    if plan.is_reverse:  # the forward half computes nothing that is read
        found |= {key.removesuffix("_reverse"): np.broadcast_to(np.float32(0), array.shape) for key, array in found.items()}
    return found


def _take_lengths(r: Reading, lengths: Any, x: Tensor) -> None:
    """Let an input of lengths be that of predict(lengths=), or check that all steps are valid."""
    if lengths is None:
        return
    steps = x.dims[1].known
    if isinstance(lengths, Sizes) and {*lengths.items} == {x.dims[1]}:
        return
    if isinstance(lengths, np.ndarray | Expanded):
        array = lengths.array if isinstance(lengths, Expanded) else lengths
        if steps is not None and array.size and np.all(array == steps):
            return
        raise Refusal("its sequence_lens are constants; here lengths belong to data, as in predict(x, lengths=...)")
    for name, value in r.inputs.items():
        if isinstance(lengths, Tensor) and lengths.value is value and not value.shape:
            r.lengths.add(name)
            return
    raise Refusal("its sequence_lens are computed; they must be an input of the graph")


def _state(r: Reading, node: Node, state: Any, place: int, plan: Plan) -> np.ndarray | Value | None:
    """Return an initial state: None for zeros, an array [directions, hidden] for a constant one, or a value."""
    if state is None:
        return None
    axis = 0 if plan.is_batch_first else 1
    if isinstance(state, Tensor):
        _require_batch(r, node, place, state, axis)
        found = materialized(r, state)
        if [size.known for size in found.dims[1:]] != [plan.directions, plan.hidden]:
            raise Refusal(f"its initial state has the shape [{', '.join(map(str, state.shape))}]")
        value = r.apply(layers.Flatten(), found.value)
        return r.apply(layers.Concatenate(), r.apply(layers.Rescaling(0.0), value), value) if plan.is_reverse else value
    if not isinstance(state, np.ndarray | Expanded):
        raise Refusal("its initial state is not known")
    array = state if isinstance(state, np.ndarray) else state.array
    if not array.any():
        return None
    if array.ndim != 3:
        raise Refusal(f"its initial state has the shape {list(array.shape)}")
    first = array.take([0], axis)
    if np.any(array != first):
        raise Refusal("its initial states are constants that differ from sample to sample")
    rows = np.broadcast_to(first.squeeze(axis), (plan.directions, plan.hidden))
    return np.concatenate([np.zeros_like(rows), rows]) if plan.is_reverse else rows


def _outputs(r: Reading, plan: Plan, x: Tensor, output: Value | None, last: list[Value]) -> list[Any]:
    """Return Y, Y_h and Y_c as ONNX has them."""
    n, steps, hidden = x.dims[0], x.dims[1], plan.hidden
    found: list[Any] = [None, None, None]
    both = Size(2 if plan.is_reverse or plan.directions == 2 else 1)
    whole, directions, size = Size(both.factor * hidden), Size(plan.directions), Size(hidden)
    reverse = range(hidden, 2 * hidden)
    if output is not None:
        t = plain(output, [n, steps, whole])
        t = selected(r, t, 2, reverse) if plan.is_reverse else t
        axes: tuple[tuple[int, ...], ...] = ((0,), (1,), (2,), (3,)) if plan.is_batch_first else ((1,), (2,), (0,), (3,))
        found[0] = Tensor(t.value, (n, steps, directions, size), axes)
    for i, state in enumerate(last):
        flat = state
        if plan.is_reverse:
            flat = r.apply(layers.Flatten(), state) if len(state.shape) > 1 else state
            flat = selected(r, plain(flat, [n, whole]), 1, reverse).value
        axes = ((0,), (1,), (2,)) if plan.is_batch_first else ((1,), (0,), (2,))
        found[1 + i] = Tensor(flat, (n, directions, size), axes)
    return found


_GATES = {"RNN": range(1), "GRU": range(3), "LSTM": range(4)}

ENTRIES: dict[str, Entry] = dict.fromkeys(_LAYERS, recurrent)
