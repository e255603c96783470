"""Calls of a recurrent layer on arrays, as in PyTorch: with initial and final states, and optionally with time first.

The call runs in a private network of one layer, the twin. It has the same weights and returns the output of every step. The weights
of a layer that is in no model yet are drawn in another private network, its home.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .._checks import flag
from ..data.arrays import as_array
from ..data.sequences import bind_steps, either
from ..errors import ShapeError
from ..layers.recurrent import Recurrent
from ..records import Parameter
from .network import Network
from .standalone import CREATION_LOCK, precision_of, single_layer_network


def draw_parameters(layer: Recurrent) -> dict[str, Parameter]:
    """Return the parameters by role. If the layer is in no model yet, they are drawn now."""
    with CREATION_LOCK.changing(patient=True):
        if not layer._bound:
            layer.__dict__["_drawing"] = True
            try:
                home = single_layer_network(layer, "float32")
                home.build([(1, layer.input_size)])
            finally:
                layer.__dict__.pop("_drawing", None)
            layer.__dict__["_standalone"] = home
        return layer._bound


def call_recurrent(layer: Recurrent, x: Any, h_0: Any, lengths: Any, training: bool, mask: Any = None) -> tuple[np.ndarray, Any]:
    """Return the output of every step and the final states."""
    training = flag(f"{_name(layer)}(x)", "training", training)
    array = as_array(x, "x", np.dtype("float32"))
    single = array.ndim == 2
    if single:
        array = array[None]
    elif array.ndim == 3 and not layer.batch_first:
        array = array.swapaxes(0, 1)
    if array.ndim != 3 or array.shape[2] != layer.input_size or array.shape[1] == 0:
        order = "[N, time, {}]" if layer.batch_first else "[time, N, {}]"
        hint = "; for one feature per time step, pass x[..., None]" if layer.input_size == 1 and array.shape[2:] != (1,) else ""
        raise ShapeError(f"{_name(layer)}: x has shape {np.shape(x)}, but {order.format(layer.input_size)} is needed{hint}")
    rows, steps = array.shape[:2]
    with CREATION_LOCK.changing(patient=True):
        twin = _twin(layer, steps)
    dtype = twin.dtype
    shape = (rows, layer.num_layers, len(layer.states), layer.directions, layer.hidden_size)
    initial = None if h_0 is None else _gathered(layer, h_0, np.zeros(shape, dtype), single)
    final = np.empty(shape, dtype)
    if mask is not None:
        mask = np.asarray(as_array(mask, "mask", np.dtype(np.int64)))
        lengths = either(_name(layer), lengths, mask[None] if single and mask.ndim == 1 else mask)
    valid = None if lengths is None else bind_steps(lengths, rows, steps)
    counted = None if valid is None else valid.lengths
    flat = (rows, int(np.prod(shape[1:])))
    states = (counted, None if initial is None else initial.reshape(flat), final.reshape(flat))
    array = np.ascontiguousarray(array if valid is None else valid.gathered(array), dtype)
    if training and rows:
        (output,) = twin.plan.forward([array], True, states)
    else:
        output = np.empty((rows, steps, layer.directions * layer.hidden_size), dtype)
        first = 0
        while first < rows:
            first = twin.plan.predict([array], [output], first, states)
    output = output if valid is None else valid.scattered(output)
    ends = [
        np.ascontiguousarray(final[:, :, i].transpose(1, 2, 0, 3)).reshape(
            layer.num_layers * layer.directions, rows, layer.hidden_size
        )
        for i in range(len(layer.states))
    ]
    if single:
        output, ends = output[0], [end[:, 0] for end in ends]
    elif not layer.batch_first:
        output = np.ascontiguousarray(output.swapaxes(0, 1))
    return output, ends[0] if len(ends) == 1 else tuple(ends)


def _gathered(layer: Recurrent, given: Any, to: np.ndarray, single: bool) -> np.ndarray:
    """Write PyTorch's [directions * layers, N, hidden] into [N, layers, states, directions, hidden]."""
    rows, layers, _, directions, hidden = to.shape
    wanted = (layers * directions, hidden) if single else (layers * directions, rows, hidden)
    for i, (kind, part) in enumerate(zip(layer.states, layer.state_parts(given), strict=True)):
        array = as_array(part, f"{kind}_0", to.dtype)
        if array.shape != wanted:
            raise ShapeError(
                f"{_name(layer)}: {kind}_0 has shape {array.shape}, but {wanted} is needed, [directions * layers, N, hidden_size]"
            )
        to[:, :, i] = array.reshape(layers, directions, rows, hidden).transpose(2, 0, 1, 3)
    return to


def _twin(layer: Recurrent, steps: int) -> Network:
    """Return the private network that has the same weights and returns sequences."""
    own = draw_parameters(layer)
    dtype, compute = precision_of(layer) or ("float32", "float32")
    twin: Network | None = layer.__dict__.get("_twin")
    if twin is None or twin.dtype != dtype or twin.input_shapes != [(steps, layer.input_size)]:
        plain: dict[str, Any] = {
            "return_sequences": True,
            "return_state": False,
            "batch_first": True,
            "stateful": False,
            "truncate": None,
        }
        plain["dropout"] = layer.dropout if layer.num_layers > 1 else 0.0  # the layer has warned already
        twin = single_layer_network(type(layer)(**{**layer.config(), **plain}), dtype, 0, compute)
        twin.build([(steps, layer.input_size)])
        if (before := layer.__dict__.get("_twin")) is not None:
            twin.plan.passes = before.plan.passes  # go on with new random numbers
        layer.__dict__["_twin"] = twin
    for role, parameter in own.items():
        twin.layers[0]._bound[role].value[...] = parameter.value
    return twin


def _name(layer: Recurrent) -> str:
    return type(layer).__name__
