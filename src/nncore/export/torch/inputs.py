"""The shapes of the arguments of forward: those of the example, or those that the layers which read them take."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from ...errors import ArgumentError, ShapeError
from ...graph import Value
from ...records import Shape
from . import layers
from .follow import Ends, Failed, SecondBatch, Traced
from .functions import KEEPING
from .layers import RECURRENT
from .tensors import Final, Tensor

MOST_FEATURES = 512  #: the largest number of features that is tried
STEPS = 2  #: the number of time steps while it is open


def possible_shapes(traced: Traced, name: str, steps: int = STEPS) -> list[Shape]:
    """Return shapes of a sample of an argument of forward, as the first layers that read it suggest them."""
    module = traced.states.get(name)
    if module is not None:
        blocks = module.num_layers * (2 if module.bidirectional else 1)
        return [(module.hidden_size,) if blocks == 1 else (blocks, module.hidden_size)]
    waiting = [node for node in traced.nodes if node.op == "placeholder" and node.target == name]
    seen = set(waiting)
    while waiting:
        for user in waiting.pop(0).users:
            if user not in seen and user in traced.nodes:
                seen.add(user)
                found = _taken(traced, user, steps)
                if found:
                    return found
                if found is None:
                    waiting.append(user)
    return []


def _taken(traced: Traced, node: Any, steps: int) -> list[Shape] | None:
    """Return shapes that a node takes; [] if they are not known; None if it keeps the shape, so that its readers tell."""
    if node.op != "call_module":
        name = node.target.removesuffix("_") if isinstance(node.target, str) else getattr(node.target, "__name__", "")
        return None if name in KEEPING else []
    module = traced.module(node)
    name = layers.known(module)
    if name in RECURRENT:
        return [(steps, module.input_size)]
    if name == "Embedding":
        return [(steps,), (1,), ()]
    if name == "LayerNorm" and len(module.normalized_shape) > 1:
        return [tuple(module.normalized_shape)]
    widths = {"Linear": "in_features", "BatchNorm1d": "num_features", "LayerNorm": "normalized_shape", "PReLU": "num_parameters"}
    if name not in widths or (name == "PReLU" and module.num_parameters == 1):
        return [] if name in ("Flatten", "Unflatten", "GLU") else None
    size = getattr(module, widths[name])
    size = size if isinstance(size, int) else size[0]
    return [(size,), (size, steps)] if name in ("BatchNorm1d", "PReLU") else [(size,), (steps, size)]


def follow(traced: Traced, given: Mapping[str, Shape]) -> Ends:
    """Return the ends of the network. given: the shape of the example of each argument, as torch has it, with the batch."""
    second: set[str] = set()
    choices: list[list[Shape]] = [possible_shapes(traced, name) if name not in given else [()] for name in traced.inputs]
    unknown = [name for name, found in zip(traced.inputs, choices, strict=True) if not found]
    if len(unknown) == 1 and _is_joined(traced, unknown[0]):
        fitting = _fitting_width(traced, unknown[0], choices, given)
        if fitting is not None:
            return fitting
    failed: list[Failed] = []
    for shapes in [] if unknown else itertools.islice(itertools.product(*choices), 64):
        wanted = dict(zip(traced.inputs, shapes, strict=True))
        try:
            found = _follow(traced, wanted, given, second)
        except Failed as error:
            failed.append(error)
            continue
        _require_open_steps(traced, wanted, given, second, found)
        return found
    if unknown:
        raise ArgumentError(
            f"from_torch: the shape of the argument{'s' if len(unknown) > 1 else ''} {', '.join(map(repr, unknown))} of forward is "
            "not known from the layers that read it; give example=x, a batch of data (a list of them for several arguments)"
        )
    is_shape = not given and (isinstance(failed[0].__cause__, ShapeError) or len({*map(str, failed)}) > 1)
    hint = "; give example=x, a batch of data, if the data have another shape" if is_shape else ""
    raise ArgumentError(f"from_torch: {failed[0]}{hint}") from failed[0]


def _require_open_steps(
    traced: Traced, shapes: Mapping[str, Shape], given: Mapping[str, Shape], second: set[str], found: Ends
) -> None:
    """Refuse a network that is for the number of steps which was assumed for arguments without an example."""
    more = dict(shapes)
    for name in set(shapes) - set(given):
        pairs = zip(possible_shapes(traced, name), possible_shapes(traced, name, STEPS + 1), strict=True)
        more[name] = next((larger for shape, larger in pairs if shape == shapes[name]), shapes[name])
    if more == shapes:
        return
    try:
        same = _layers(_follow(traced, more, given, second)) == _layers(found)
    except Failed:
        same = False
    if not same:
        raise ArgumentError(
            "from_torch: what forward computes depends on the number of time steps (as x[:, 0], a sum over time, or a view of a "
            "fixed size does); give example=x, a batch of data with that number"
        )


def _layers(ends: Ends) -> Counter[str]:
    """Return how often each layer is called on what the outputs need."""
    waiting, found, seen = [ends.outputs], Counter[str](), set()
    while waiting:
        x = waiting.pop()
        if isinstance(x, Mapping):
            waiting += x.values()
        elif isinstance(x, list | tuple):
            waiting += x
        elif isinstance(x, Tensor | Final):
            waiting.append(x.value if isinstance(x, Tensor) else x.tensor)
        elif isinstance(x, Value) and x.node is not None and id(x.node) not in seen:
            seen.add(id(x.node))
            found[repr(x.node.layer)] += 1
            waiting += x.node.inputs
    return found


def _is_joined(traced: Traced, name: str) -> bool:
    """Return whether an argument of forward is joined to others as it is."""
    users = next(node for node in traced.nodes if node.op == "placeholder" and node.target == name).users
    return any(getattr(user.target, "__name__", "") in ("cat", "concat", "concatenate") for user in users)


def _fitting_width(traced: Traced, name: str, choices: list[list[Shape]], given: Mapping[str, Shape]) -> Ends | None:
    """Return the ends of the network for the only number of features of an argument that fits the layers after it, if it is one."""
    widths = {m.in_features for m in traced.root.modules() if layers.known(m) == "Linear"}
    found: list[Ends] = []
    for width in range(1, min(max(widths, default=0), MOST_FEATURES) + 1):
        options = [each or [(width,)] for each in choices]
        for shapes in itertools.islice(itertools.product(*options), 64):
            with suppress(Failed):
                found.append(_follow(traced, dict(zip(traced.inputs, shapes, strict=True)), given, set()))
                break
        if len(found) > 1:
            return None
    return found[0] if found else None


def _follow(traced: Traced, shapes: dict[str, Shape], given: Mapping[str, Shape], second: set[str]) -> Ends:
    while True:
        for name, shape in given.items():
            if name in traced.inputs:
                shapes[name] = _sample(traced, name, tuple(shape), name in second)
        try:
            return traced.follow(shapes, second)
        except SecondBatch as found:
            second |= found.names


def _sample(traced: Traced, name: str, shape: Shape, is_second: bool) -> Shape:
    """Return the shape of one sample of an example."""
    module = traced.states.get(name)
    at = 1 if module is not None or is_second else 0
    if len(shape) <= at:
        raise ArgumentError(f"from_torch: example for {name!r} has the shape {shape}; it needs a dimension for the batch")
    left = (*shape[:at], *shape[at + 1 :])
    return left[1:] if module is not None and left[0] == 1 else left
