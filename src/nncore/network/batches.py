"""Operations on one batch: inference, and forward and backward for training loops written by hand.

Arrays that the core can read without conversion do not come here. The model passes them directly to the plan.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .._checks import flag, shape_text
from ..data.arrays import as_array
from ..data.batches import find_batches, single
from ..data.by_name import align_to_names, argument_labels
from ..data.sequences import Steps, bind_steps
from ..errors import ArgumentError, EmptyDataError, ShapeError, kind_of
from ..graph import Value, is_symbolic
from ..records import Shape
from .features import check_columns, remember_columns
from .inputs import gathered, look_for_nonfinite, ranks, require_places, steps_of_outputs, time_steps, unpadded
from .prediction import bind_rows, joined, predict_batches, predict_rows

if TYPE_CHECKING:
    from .network import Network


def infer(network: Network, x: Any, out: np.ndarray | None) -> Any:
    """Return the outputs for a batch of any form. For values of a graph, return the values that the network produces from them."""
    several = network.built and not network.plan.is_simple
    if several and out is not None:
        raise TypeError("out= is for models of one input and one output")
    if is_symbolic(x):
        return _call_on_values(network, x)
    given = find_batches(x, lambda: ranks(network))
    if given is not None:
        if out is not None:
            raise TypeError("out= is for one batch")
        return network.connections.pack_outputs(joined(predict_batches(network, given)))
    with network.access.reading():
        if several:
            return network.connections.pack_outputs(predict_rows(network, bind_rows(network, x, None)))
        return network.plan(_converted(network, x)[0][0], out=out)


def _call_on_values(network: Network, x: Any) -> Any:
    if network.compute == "int8":
        raise ArgumentError(
            f"{network.label}(x): a quantized model cannot be a part of another one; call the model that was quantized, and "
            "quantize the whole"
        )
    values = align_to_names("x", x, network.input_names)
    for name, value in zip(argument_labels("x", network.input_names), values, strict=True):
        if not isinstance(value, Value):
            raise ArgumentError(f"{name} is {kind_of(value)}, which is no part of the network; make it an nn.Input")
    if not network.built:
        network.build([value.shape for value in values])  # the weights must exist before they can be shared
    return network.connections.pack_outputs(network.connections.call_on(values))


def _converted(network: Network, x: Any, lengths: Any = None) -> tuple[list[np.ndarray], Steps | None]:
    """Return one C-contiguous array of the network's dtype per input, and the valid steps. Build the network if necessary."""
    arrays: list[np.ndarray] = []
    given = align_to_names("x", x, network.input_names)
    check_columns(network, x)
    if isinstance(x, list | tuple) and len(given) == 1:
        given = [single(x, ranks(network)[0])]
    was_built = network.built
    for i, (name, each) in enumerate(zip(argument_labels("x", network.input_names), given, strict=True)):
        array = as_array(each, name, network.dtype)
        if array.ndim == 0:
            raise ShapeError(f"{name} is a single number; a batch [N, ...] is needed")
        if not network.built:
            network.build_first([array.shape[1:]])
        if array.ndim == 1 and network.input_shapes[i] == (1,):
            array = array[:, None]  # rows of one feature
        arrays.append(array)
    _check_shapes(network, arrays)
    if not was_built:
        remember_columns(network, x)
    steps = None if lengths is None else bind_steps(lengths, len(arrays[0]), time_steps(network))
    if steps is not None:
        require_places(network, steps)
    look_for_nonfinite(network, arrays, steps)
    with np.errstate(over="ignore"):  # the core converts without a warning, too
        return [np.ascontiguousarray(array, dtype=network.dtype) for array in arrays], steps


def _check_shapes(network: Network, arrays: list[np.ndarray]) -> None:
    """Let the network take another number of time steps, or raise ShapeError if the arrays do not fit it or one another."""
    names, shapes = argument_labels("x", network.input_names), [array.shape[1:] for array in arrays]
    for name, array in zip(names, arrays, strict=True):
        if len(array) != len(arrays[0]):
            raise ShapeError(f"{name} has {len(array)} rows, but the first input has {len(arrays[0])}")
    if shapes != network.input_shapes:
        network.set_sequence_lengths(shapes)
    for name, array, expected in zip(names, arrays, network.input_shapes, strict=True):
        if array.shape[1:] != expected:
            hint = _hint(array.shape, expected)
            raise ShapeError(f"{name} has shape {array.shape}, but the model takes batches of shape {shape_text(expected)}{hint}")


def forward(network: Network, x: Any, training: Any, lengths: Any) -> Any:
    """Compute the output of one batch and keep the intermediate results that `backward` needs; see `Model.forward`."""
    training = flag("forward", "training", training)
    with network.access.training():
        batch, steps = _converted(network, x, lengths)
        if not len(batch[0]):
            raise EmptyDataError("forward: x has no rows, so that there is nothing to go back through; model(x) takes it")
        sequences = None if steps is None else (steps.lengths, None, None)
        if steps is not None and network.plan.holds_indices():
            batch = unpadded(network, batch, steps)  # padding may be invalid
        kept = None if steps is None or steps.mask is None else steps
        found = network.plan.forward(gathered(network, batch, steps), training, sequences, kept)
        return network.connections.pack_outputs(_in_places(network, found))


def backward(network: Network, grad_output: Any, accumulate: bool) -> Any:
    """Compute the gradients of the last `forward`; see `Model.backward`."""
    with network.access.training():
        network.require_built("backward")
        network.plan.return_to_forward()
        names = network.output_names
        given = align_to_names("grad_output", grad_output, names)
        grads = []
        for name, each, expected in zip(argument_labels("grad_output", names), given, network.output_shapes, strict=True):
            grad = np.ascontiguousarray(as_array(each, name, network.dtype), dtype=network.dtype)
            if grad.shape[1:] != expected:
                raise ShapeError(f"{name} has shape {grad.shape}, but the model gives batches of shape {shape_text(expected)}")
            grads.append(grad)
        steps = network.plan.forward_steps
        if steps is not None and len(grads[0]) == len(steps.lengths):
            of_outputs = steps_of_outputs(network, steps)
            grads = [grad if own is None else own.gathered(grad) for grad, own in zip(grads, of_outputs, strict=True)]
        found = network.plan.backward(grads, accumulate)
        if steps is not None:
            timed = network.plan.timed(range(len(found)))
            found = [steps.scattered(grad) if has else grad for grad, has in zip(found, timed, strict=True)]
        return found[0] if len(found) == 1 else found


def _in_places(network: Network, outputs: list[np.ndarray]) -> list[np.ndarray]:
    """Return the outputs of the last forward pass with their time steps in their places."""
    steps = network.plan.forward_steps
    if steps is None:
        return outputs
    of_outputs = steps_of_outputs(network, steps)
    return [y if own is None else own.scattered(y) for y, own in zip(outputs, of_outputs, strict=True)]


def step_gradient_norms(network: Network) -> dict[str, np.ndarray]:
    """Return the norm of the gradient at each time step of each recurrent layer; see `Model.step_gradient_norms`."""
    network.require_built("step_gradient_norms")
    network.plan.return_to_forward()
    plan, shapes = network.plan, network.plan.shapes()
    return {
        f"{network.connections.key(plan.owners[i])}.{op.field('sublayer')}": plan.step_norms(i, shapes[op.inputs[0]][0])
        for i, op in enumerate(plan.ops)
        if op.kind == "recurrent"
    }


def _hint(shape: Sequence[int], expected: Shape) -> str:
    if tuple(shape) == expected:
        return "; for one sample, add the batch dimension: x[None]"
    if len(expected) > 1 and (*shape, 1) == (*shape[:1], *expected):
        return "; for one feature, add its dimension: x[..., None]"
    if len(shape) - 1 > len(expected) and tuple(shape[len(shape) - len(expected) :]) == expected:
        return f"; for samples of shape {shape[1:]}, call model.build({shape[1:]}) first"
    return ""
