"""The walk: the ops of a network for inference, in topological order, with the names of everything that they need.

The records are those that layers declare, before fusion: a linear op and its activation are two steps, and losses do not appear. So
an exporter needs one entry for each op of the registry, and fuses what its own target fuses. What means nothing at inference has no
step: dropout, noise, the identity, and ops whose result nobody reads.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from .._core import Plan
from ..errors import ArgumentError, ShapeError
from ..network.network import Network
from ..network.stream import require_step_by_step, require_steps_apart
from ..records import Op, Shape
from .axes import find_axes, plan_for

#: The kinds of ops that pass on their input at inference.
VANISHING = frozenset(("dropout", "gaussian_noise"))
#: The kinds of ops that no exporter can have: their code is the user's.
REFUSED = frozenset(("python",))


class Value(NamedTuple):
    """What an op reads or computes: an array [N, *shape]."""

    shape: Shape  #: of one sample, as the network is planned now
    axes: tuple[str, ...]  #: for each dimension "" if its size is fixed, else a name; equal names are equal sizes
    #: None, or (times, plus) if the first dimension is time: of a sequence of length n, times * n + plus steps are valid.
    timeline: tuple[int, int] | None


class Step(NamedTuple):
    """One op. Its sizes and attributes are ``op.field(name)``, by the names of the registry."""

    op: Op  #: its inputs are numbers of values
    output: int  #: the number of the value that it computes
    layer: str  #: the name of its layer, such as "0" or "encoder", with which names of its parameters begin
    parameters: Mapping[str, str]  #: role, such as "weight" -> name of the tensor. Ops that share parameters have equal names

    @property
    def suffixes(self) -> list[str]:
        """Return what the roles of a recurrent op's parameters end in, for each direction: "_l0", "_l0_reverse"."""
        one = f"_l{self.op.field('sublayer')}"
        return [one, f"{one}_reverse"][: 1 + self.op.field("bidirectional")]


class Walk(NamedTuple):
    """A network for inference."""

    label: str  #: the name of the model in error messages
    dtype: np.dtype
    input_names: list[str]  #: input i is value i
    output_names: list[str]
    outputs: list[int]  #: the values of the outputs; an output may be an input, and two outputs may be one value
    values: list[Value]  #: all values of the plan; those that no step computes are not used
    steps: list[Step]
    tensors: dict[str, np.ndarray]  #: copies of parameters and running statistics, by the names and in the shapes of state_dict
    indices: frozenset[int]  #: the inputs whose values are read as indices and in no other way
    timed: int | None  #: the input whose time steps the lengths of sequences count; None if the network takes no lengths
    no_stream: (
        str  #: why the network cannot be computed one time step at a time, with the states kept, as `Model.stream` does; or ""
    )

    def follow_time(self, step: Step, counts: dict[int, str]) -> None:
        """Let a result with time steps have the valid steps of the inputs with these time steps, if it has none of its own.

        counts: from the number of a value with lengths to the name of its valid steps.
        """
        timeline = self.values[step.output].timeline
        if timeline is not None and step.output not in counts:
            same = [i for i in step.op.inputs if self.values[i].timeline == timeline and i in counts]
            counts |= {step.output: counts[same[0]]} if same else {}


def walk(network: Network, what: str) -> Walk:
    """Return the walk through a network.

    Parameters
    ----------
    network : Network
        The network. Its parameters must exist; the number of time steps may be open.
    what : str
        The method, for messages.

    Raises
    ------
    NotBuiltError
        The shapes of the parameters are not known yet.
    ArgumentError
        A layer is written in Python, or the weights are 8-bit integers.
    """
    network.require_parameters(what)
    _refuse_what_cannot_be_exported(network, what)
    with network.access.between_steps():
        plan = network.plan
        ops, owners = plan.ops, plan.owners
        named = network.named_state(what)
        tensors = {name: np.array(p.value, order="C") for name, p in named}
        names: dict[int, dict[str, str]] = {}
        for name, p in named:
            names.setdefault(p.op, {})[p.role] = name
        inputs = len(network.input_names)
        axes, typical = find_axes(network)
        timelines = typical.timelines(range(inputs + len(ops)))
        shapes = plan.shapes()
        steps, outputs = _without_vanished(ops, list(plan.outputs), inputs)
        return Walk(
            network.label,
            network.dtype,
            network.input_names,
            network.output_names,
            outputs,
            [Value(tuple(shape), a, t) for shape, a, t in zip(shapes, axes, timelines, strict=True)],
            [
                Step(op, inputs + i, network.connections.key(owners[i]), names.get(op.shares if op.shares >= 0 else i, {}))
                for i, op in steps
            ],
            tensors,
            frozenset(i for i in range(inputs) if plan.holds_indices(i) and _is_only_index(i, steps, outputs, inputs)),
            next((i for i in range(inputs) if timelines[i]), None) if typical.time_steps() else None,
            _why_no_stream(network, typical),
        )


def _why_no_stream(network: Network, typical: Plan) -> str:
    """Return why the network has no streams, or ""."""
    shapes = [tuple(shape) for shape in (network.plan if network.built else typical).shapes()[: len(network.input_names)]]
    try:
        require_step_by_step(typical, network.plan.ops, shapes, len(network.output_names))
        single = plan_for(network, [(1, *shapes[0][1:])])
        if single is None:
            return "the model needs several time steps"
        require_steps_apart(single)
    except (ArgumentError, ShapeError) as error:
        return str(error).removeprefix("stream: ")
    return ""


def _refuse_what_cannot_be_exported(network: Network, what: str) -> None:
    """Raise ArgumentError for layers in Python, and for weights of 8-bit integers."""
    if network.compute == "int8":
        raise ArgumentError(
            f"{what}: a quantized model multiplies in a way of its own, with a scale per row; export the model that was quantized"
        )
    for op, owner in zip(network.plan.ops, network.plan.owners, strict=True):
        if op.kind in REFUSED:
            raise ArgumentError(
                f"{what}: {network.connections.layer_name(owner)} is written in Python, which only nncore can run; make it of "
                "nncore's layers, or export what comes before and after it as models of their own"
            )


def vanishes(op: Op) -> bool:
    """Return whether an op passes on its input at inference."""
    return op.kind in VANISHING or op.code == "identity"


def _without_vanished(ops: list[Op], outputs: list[int], inputs: int) -> tuple[list[tuple[int, Op]], list[int]]:
    """Return the ops that the outputs need, with their numbers, and the outputs, both without ops that pass on their input."""
    same = list(range(inputs))
    for op in ops:
        same.append(same[op.inputs[0]] if vanishes(op) else len(same))
    outputs = [same[value] for value in outputs]
    read, found = {*outputs}, []
    for i in reversed(range(len(ops))):
        if inputs + i in read and not vanishes(ops[i]):
            op = ops[i]._replace(inputs=tuple(same[value] for value in ops[i].inputs))
            read.update(op.inputs)
            found.append((i, op))
    return found[::-1], outputs


def _is_only_index(value: int, steps: list[tuple[int, Op]], outputs: list[int], inputs: int) -> bool:
    """Return whether a value, also in another shape, is read by embeddings alone."""
    if value in outputs:
        return False
    return all(
        op.kind == "embedding" or (op.kind == "flatten" and _is_only_index(inputs + i, steps, outputs, inputs))
        for i, op in steps
        if value in op.inputs
    )
