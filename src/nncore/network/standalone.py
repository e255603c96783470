"""Calls of one layer on an array. A private network contains only this layer. It is made again if the shape or type changes."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np

from .._checks import flag, shape_of_sample
from .._core import Access
from ..data.arrays import as_array
from ..errors import ArgumentError, ShapeError, SizeError, kind_of
from ..graph import MAX_INPUTS, Graph, Input, check_count
from ..layers.activations import Activation
from ..layers.base import Layer
from ..layers.merge import Add, Average, Merge, Rescaling
from ..layers.softmax import RowActivation
from ..records import Int8Weight
from .batches import forward
from .chain import Chain, check_layers
from .network import Network
from .prediction import bind_rows, predict_rows

#: Lock for making a private network: threads that call a new layer at the same time must get the same weights.
CREATION_LOCK = Access()


def call_layer(layer: Layer, x: Any, training: bool) -> Any:
    """Return the layer's output for the batch ``x``."""
    layer.require_init()
    training = flag(f"{type(layer).__name__}(x)", "training", training)
    several = isinstance(x, list | tuple) and all(isinstance(each, np.ndarray) for each in x)
    if layer.input_count[0] > 1 or (layer.input_count[1] is None and several):
        return _apply_to_several(layer, x)
    array = as_array(x, "x", np.dtype("float32"))
    shape = array.shape
    if isinstance(layer, Activation) and array.ndim < 2:  # an activation also accepts one row or one number
        if isinstance(layer, RowActivation) and layer.dim != -1:
            raise ShapeError(f"{layer!r} needs an array of at least 2 dimensions, not {array.ndim}")
        array = array.reshape(1, -1)
    elif array.ndim == 0:
        raise ShapeError(f"{layer!r} needs a batch [N, ...], not a single number")
    network = _network(layer, array)
    training = training and len(array) > 0  # nothing is random or counted without rows
    out = network.plan.forward_plain(array, True) if training else network.plan.infer_plain(array)
    if out is None:
        out = forward(network, array, True, None) if training else network.infer(array)
    return out.reshape(shape) if isinstance(layer, Activation) else out


def _apply_to_several(layer: Layer, x: Any) -> np.ndarray:
    """Return the output of a layer that has several inputs and no parameters."""
    if not isinstance(x, list | tuple):
        raise ArgumentError(f"{layer!r} takes a list of arrays, not {kind_of(x)}")
    check_count(layer, len(x))
    if len(x) > MAX_INPUTS:
        return _apply_in_parts(layer, x)
    arrays = [as_array(each, f"x[{i}]", np.dtype("float32")) for i, each in enumerate(x)]
    for i, array in enumerate(arrays):
        if array.ndim == 0:
            raise ShapeError(f"{layer!r} needs batches [N, ...], and x[{i}] is a single number")
    dtype = "float64" if any(array.dtype == np.float64 for array in arrays) else "float32"
    inputs = [Input(array.shape[1:]) for array in arrays]
    network = Network(Graph(inputs, layer(inputs)), None, dtype, "Model")
    return predict_rows(network, bind_rows(network, arrays, None))[0]


def _apply_in_parts(layer: Layer, x: Sequence[Any]) -> np.ndarray:
    """Return the output for more arrays than a network may have inputs. The result of the first ones is combined with the next
    ones."""
    if isinstance(layer, Average):
        part = Rescaling(1.0 / len(x))
        return _apply_to_several(Add(), [part(each) for each in x])
    if not isinstance(layer, Merge):
        raise SizeError(f"{layer!r}: {len(x)} inputs are too many; {MAX_INPUTS} are possible")
    so_far = _apply_to_several(layer, x[:MAX_INPUTS])
    return _apply_to_several(layer, [so_far, *x[MAX_INPUTS:]])


def single_layer_network(layer: Layer, dtype: str, seed: int | None = None, compute: str = "float32") -> Network:
    """Return a network of one layer."""
    check_layers("Sequential", [layer])
    return Network(Chain([layer]), seed, dtype, "Sequential", compute=compute)


def precision_of(layer: Layer) -> tuple[str, str] | None:
    """Return the dtype and the precision of products that the weights of a layer have; None if it has no weights yet."""
    bound, pending = layer._bound.values(), layer._pending.values()
    if any(each.packed_shape for each in bound) or any(isinstance(value, Int8Weight) for value in pending):
        return "float32", "int8"
    values = [each.value for each in bound] or list(pending)
    return (values[0].dtype.name, values[0].dtype.name) if values else None


def _network(layer: Layer, array: np.ndarray) -> Network:
    """Return the private network. It contains the layer, or a copy with the same weights if the layer belongs to a user's model."""
    with CREATION_LOCK.changing(patient=True):
        return _made(layer, array)


def _made(layer: Layer, array: np.ndarray) -> Network:
    without = "float64" if array.dtype == np.float64 and not layer.parameter_shapes() else "float32"
    dtype, compute = precision_of(layer) or (without, without)
    shape = array.shape[1:]
    network: Network | None = layer._standalone
    if network is None or network.dtype != dtype or network.input_shapes != [shape]:
        network = single_layer_network(copy.deepcopy(layer) if layer._belongs_elsewhere() else layer, dtype, None, compute)
        if network.plan.built_for != [shape]:
            network.build([shape_of_sample("Sequential.build", "input_shape", shape)])
        layer.__dict__["_standalone"] = network
    elif network.layers[0] is not layer:
        network.layers[0].training, network.layers[0].trainable = layer.training, layer.trainable
        for role, parameter in layer._bound.items():
            network.layers[0]._bound[role].value[...] = parameter.value  # the bytes of 8-bit integers, too
    return network
