"""One batch through a network: inference, and forward and backward for loops written by hand.

Batches that lie as the core reads them do not come here, but for the gradients: they go straight to the plan.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .._checks import flag, shape_text
from ..data.arrays import as_array
from ..data.by_name import in_order, names_of
from ..data.sequences import bind_lengths
from ..errors import ArgumentError, EmptyDataError, ShapeError
from ..graph import Value, is_symbolic
from ..records import Shape
from .inputs import are_batches, time_steps, unpadded
from .prediction import bind_rows, joined, predict_batches, predict_rows

if TYPE_CHECKING:
    from .network import Network


def infer(network: Network, x: Any, out: np.ndarray | None) -> Any:
    """Return the outputs for a batch of any kind; or, for values of a graph, the values that the network gives, called on them."""
    several = network.built and not network.plan.is_simple
    if several and out is not None:
        raise TypeError("out= is for models of one input and one output")
    if is_symbolic(x):
        return _call_on_values(network, x)
    if several and not isinstance(x, list) and are_batches(x):
        return network.connections.pack_outputs(joined(predict_batches(network, x)))
    with network.access.reading():
        if network.built and not network.plan.is_simple:
            return network.connections.pack_outputs(predict_rows(network, bind_rows(network, x, None)))
        return network.plan(_converted(network, x)[0], out=out)


def _call_on_values(network: Network, x: Any) -> Any:
    values = in_order("x", x, network.input_names)
    for name, value in zip(names_of("x", network.input_names), values, strict=True):
        if not isinstance(value, Value):
            raise ArgumentError(f"{name} is {type(value).__name__}, which is no part of the network; make it an nn.Input")
    if not network.built:
        network.build([value.shape for value in values])  # so that there are weights to share
    return network.connections.pack_outputs(network.connections.call_again(values))


def _converted(network: Network, x: Any) -> list[np.ndarray]:
    """Return a batch as one C-contiguous array of the network's dtype per input, building the network if need be."""
    arrays: list[np.ndarray] = []
    given = in_order("x", x, network.input_names)
    for i, (name, each) in enumerate(zip(names_of("x", network.input_names), given, strict=True)):
        array = as_array(each, name, network.dtype)
        if array.ndim == 0:
            raise ShapeError(f"{name} is a single number; a batch [N, ...] is needed")
        if not network.built:
            network.build_first([array.shape[1:]])
        expected = network.input_shapes[i]
        if array.shape[1:] != expected and len(given) == 1:
            network.resize([array.shape[1:]])
            expected = network.input_shapes[i]
        if array.shape[1:] != expected:
            hint = _hint(array.shape, expected)
            raise ShapeError(f"{name} has shape {array.shape}, but the model takes batches of shape {shape_text(expected)}{hint}")
        if arrays and len(array) != len(arrays[0]):
            raise ShapeError(f"{name} has {len(array)} rows, but the first input has {len(arrays[0])}")
        arrays.append(np.ascontiguousarray(array, dtype=network.dtype))
    return arrays


def forward(network: Network, x: Any, training: Any, lengths: Any) -> Any:
    """Compute the output for one batch, and keep what `backward` needs; see `Model.forward`."""
    training = flag("forward", "training", training)
    with network.access.training():
        batch = _converted(network, x)
        if not len(batch[0]):
            raise EmptyDataError("forward: x has no rows, so that there is nothing to go back through; model(x) takes it")
        counted = None
        if lengths is not None:
            counted = (bind_lengths(lengths, len(batch[0]), time_steps(network)), None, None)
            batch = unpadded(network, batch, counted[0]) if network.plan.holds_indices() else batch  # padding may be no index
        return network.connections.pack_outputs(network.plan.forward(batch, training, counted))


def backward(network: Network, grad_output: Any) -> Any:
    """Compute the gradients of the last `forward`; see `Model.backward`."""
    with network.access.training():
        network.require_built("backward")
        names = network.output_names
        given = in_order("grad_output", grad_output, names)
        grads = []
        for name, each, expected in zip(names_of("grad_output", names), given, network.output_shapes, strict=True):
            grad = np.ascontiguousarray(as_array(each, name, network.dtype), dtype=network.dtype)
            if grad.shape[1:] != expected:
                raise ShapeError(f"{name} has shape {grad.shape}, but the model gives batches of shape {shape_text(expected)}")
            grads.append(grad)
        found = network.plan.backward(grads)
        return found[0] if len(found) == 1 else found


def step_gradient_norms(network: Network) -> dict[str, np.ndarray]:
    """Return how strongly the loss depends on each time step of each recurrent layer; see `Model.step_gradient_norms`."""
    network.require_built("step_gradient_norms")
    plan, shapes = network.plan, network.plan.shapes()
    return {
        f"{network.connections.key(plan.owners[i])}.{op.field('sublayer')}": plan.step_norms(i, shapes[op.inputs[0]][0])
        for i, op in enumerate(plan.ops)
        if op.kind == "recurrent"
    }


def _hint(shape: Sequence[int], expected: Shape) -> str:
    if tuple(shape) == expected:
        return "; for one sample, add the batch dimension: x[None]"
    if (*shape, 1) == (*shape[:1], *expected):
        return "; for one feature, add its dimension: x[:, None]"
    if len(shape) - 1 > len(expected) and tuple(shape[len(shape) - len(expected) :]) == expected:
        return f"; for samples of shape {shape[1:]}, call model.build({shape[1:]}) first"
    return ""
