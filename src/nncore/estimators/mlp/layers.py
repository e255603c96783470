"""The layers of a multi-layer perceptron, scikit-learn's initial weights, and views of the weights."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from itertools import accumulate, pairwise
from math import sqrt
from typing import Any

import numpy as np

from ... import layers
from ...errors import ArgumentError

_SKLEARN: dict[str, Any] = {
    "identity": layers.Identity,
    "logistic": layers.Sigmoid,
    "tanh": layers.Tanh,
    "relu": layers.ReLU,
}
_EVERY = {name: getattr(layers, name) for name in layers.__all__}
#: The layers of hidden activations by scikit-learn's names, and by nncore's in lower case: "gelu", "leakyrelu".
ACTIVATIONS = _SKLEARN | {
    name.lower(): layer
    for name, layer in _EVERY.items()
    if isinstance(layer, type) and issubclass(layer, layers.activations.Activation) and layer is not layers.Threshold
}
_LAST = {"softmax": layers.Softmax, "logistic": layers.Sigmoid, "exp": layers.Exp}


def activation_of(given: Any) -> Any:
    """Return a new activation layer for a name, a layer, or the class of one."""
    if isinstance(given, str) and given in ACTIVATIONS:
        return ACTIVATIONS[given]()
    if isinstance(given, type) and issubclass(given, layers.Layer):
        return given()
    if isinstance(given, layers.Layer):
        return copy.deepcopy(given)
    known = ", ".join(sorted(ACTIVATIONS))
    raise ArgumentError(f"activation: a name ({known}) or a layer such as nn.GELU() is needed, not {given!r}")


def per_layer(name: str, given: Any, count: int) -> list[Any]:
    """Return one value per hidden layer, from one for all or a list."""
    if not isinstance(given, list | tuple | np.ndarray):
        return [given] * count
    if len(given) != count:
        raise ArgumentError(f"{name} has {len(given)} entries for {count} hidden layers; pass one for each, or one for all")
    return list(given)


def stack(sizes: Sequence[int], activations: Iterable[Any], rates: Iterable[float], normalise: bool, last: str) -> list[Any]:
    """Return the layers: for each hidden one Linear, batch normalisation, activation, dropout; then the outputs."""
    *hidden, end = pairwise(sizes)
    found: list[Any] = []
    for (fan_in, fan_out), activation, rate in zip(hidden, activations, rates, strict=True):
        found += [layers.Linear(fan_in, fan_out), *([layers.BatchNorm1d(fan_out)] if normalise else []), activation_of(activation)]
        found += [layers.Dropout(float(rate))] if rate else []
    found.append(layers.Linear(*end))
    return found + ([_LAST[last]()] if last in _LAST else [])


def linear_layers(model: Any) -> list[Any]:
    """Return the linear layers of a model, in order."""
    return [layer for layer in model.layers if isinstance(layer, layers.Linear)]


def initialise(model: Any, generator: np.random.RandomState, activations: Sequence[Any], last: Any) -> None:
    """Draw weights and biases, uniform as in Glorot and Bengio (2010), in scikit-learn's order.

    The bound is sqrt(6 / (fan_in + fan_out)), with 2 in place of 6 for the logistic function. last: the activation that
    stands for that of the outputs.
    """
    for layer, activation in zip(linear_layers(model), [*activations, last], strict=True):
        fan_out, fan_in = layer.weight.shape
        is_logistic = isinstance(activation_of(activation), layers.Sigmoid)
        bound = sqrt((2.0 if is_logistic else 6.0) / (fan_in + fan_out))
        layer.weight = generator.uniform(-bound, bound, (fan_in, fan_out)).T
        layer.bias = generator.uniform(-bound, bound, fan_out)


def copy_weights(source: Any, target: Any) -> None:
    """Copy the parameters and statistics of the layers that both networks have at the same place, if their sizes are equal."""
    given, own = _placed(source), _placed(target)
    same = {name: given[key][1] for key, (name, value) in own.items() if key in given and given[key][1].shape == value.shape}
    target.load_state_dict(same, strict=False)


def _placed(model: Any) -> dict[tuple[int, type, str], tuple[str, np.ndarray]]:
    """Return names and values, by the number of linear layers so far, the class of the layer, and the parameter."""
    blocks = list(accumulate(isinstance(layer, layers.Linear) for layer in model.layers))
    found: dict[tuple[int, type, str], tuple[str, np.ndarray]] = {}
    for name, value in model.state_dict().items():
        number, role = name.split(".", 1)
        found[blocks[int(number)], type(model.layers[int(number)]), role] = name, value
    return found


class Views(list[np.ndarray]):
    """Live views of weights. Assigning to an element copies into the weights of the network."""

    def __setitem__(self, index: Any, value: Any) -> None:
        chosen = self[index] if isinstance(index, slice) else [self[index]]
        for view, each in zip(chosen, value if isinstance(index, slice) else [value], strict=True):
            if np.shape(each) != view.shape:
                raise ValueError(f"the weights have shape {view.shape}; an array of shape {np.shape(each)} cannot take their place")
            view[...] = each

    def __reduce__(self) -> Any:
        return list, ([each.copy() for each in self],)
