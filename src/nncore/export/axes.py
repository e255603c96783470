"""Which dimensions of a network may have another size than they have in its plan, and under which names: its time steps.

The plan is asked: it is assembled again for inputs with more time steps, and the shapes of all values are compared.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations

from .. import _core
from ..errors import ShapeError, SizeError
from ..network.network import Network
from ..records import Op, Shape

Group = tuple[int, ...]  # inputs whose numbers of time steps change together


def find_axes(network: Network) -> tuple[list[tuple[str, ...]], _core.Plan]:
    """Return for each value the names of its dimensions, "" for those of a fixed size; and a plan of typical sequences.

    The names are "time", or "<input>_time" if the numbers of steps of several inputs are independent of one another. A dimension
    whose size follows from them in another way has the name of its value and place.
    """
    plan = network.plan
    shapes = plan.shapes()
    inputs = [tuple(shape) for shape in shapes[: len(network.input_names)]]
    axes = [[""] * len(shape) for shape in shapes]
    groups = list(_groups(network, inputs))
    grown_all = list(inputs)
    for group, grown in groups:
        name = "time" if len(groups) == 1 else f"{network.input_names[group[0]]}_time"
        before, after = inputs[group[0]][0], grown[group[0]][0]
        for i in group:
            grown_all[i] = grown[i]
        larger = plan_for(network, grown)
        for value, shape in enumerate(larger.shapes() if larger else ()):
            for d, size in enumerate(shape):
                if size != shapes[value][d]:
                    follows = axes[value][d] or (shapes[value][d], size) != (before, after)
                    axes[value][d] = f"value{value}_{d}" if follows else name
    return [tuple(each) for each in axes], plan_for(network, grown_all) or plan


def _groups(network: Network, inputs: list[Shape]) -> Iterator[tuple[Group, list[Shape]]]:
    """Return the inputs whose first dimensions may change together, each with the shapes of all inputs after such a change."""
    left = [i for i, shape in enumerate(inputs) if _may_have_time(network, i, shape)]
    for size in range(1, len(left) + 1):
        if size > 2:  # three or more that fit only together have one number of steps
            tried = {tuple(i for i in left if inputs[i][0] == steps) for steps in {inputs[i][0] for i in left}}
        else:
            tried = {pair for pair in combinations(left, size) if inputs[pair[0]][0] == inputs[pair[-1]][0]}
        for group in sorted(tried):
            if not group or not {*group} <= {*left}:
                continue
            if (grown := _grown(network, inputs, group)) is not None:
                left = [i for i in left if i not in group]
                yield group, grown
        if size > 2:
            return


def _grown(network: Network, inputs: list[Shape], group: Sequence[int]) -> list[Shape] | None:
    """Return shapes with more time steps that the network takes, or None."""
    steps = inputs[group[0]][0]
    for more in (steps + 1, 2 * steps):
        shapes = [(more, *shape[1:]) if i in group else shape for i, shape in enumerate(inputs)]
        if plan_for(network, shapes) is not None:
            return shapes
    return None


def plan_for(network: Network, input_shapes: Sequence[Shape]) -> _core.Plan | None:
    """Return a temporary plan for inputs of these shapes, or None if the network cannot take them with its parameters."""
    plan, trial = network.plan, _core.Plan()
    try:
        trial.assemble(input_shapes, plan.ops, plan.outputs, network.type_name, network.compute)
    except (ShapeError, SizeError):
        return None
    own, its = (each.parameters() + each.states() for each in (plan, trial))
    return trial if [p.value.shape for p in own] == [p.value.shape for p in its] else None


def _may_have_time(network: Network, i: int, shape: Shape) -> bool:
    """Return whether the first dimension of an input may be time, as in `Network.set_sequence_lengths`. That of an initial state is
    not."""
    plan = network.plan
    is_timed = len(shape) > 1 or (len(shape) == 1 and plan.holds_indices(i))
    return is_timed and not any(_is_initial_state(op, i) for op in plan.ops)


def _is_initial_state(op: Op, value: int) -> bool:
    return op.kind == "recurrent" and value in op.inputs[1:]


def shapes_for(network: Network, input_shapes: Sequence[Shape]) -> list[Shape] | None:
    """Return the shapes of all values for inputs of these shapes, or None if the network does not take them."""
    plan = plan_for(network, input_shapes)
    return None if plan is None else [tuple(shape) for shape in plan.shapes()]
