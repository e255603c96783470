"""The layers of a multi-layer perceptron, and scikit-learn's initial weights."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from math import sqrt
from typing import Any

import numpy as np

from ... import layers
from ...errors import ArgumentError

#: scikit-learn's names of activations.
ACTIVATIONS: dict[str, Any] = {
    "identity": layers.Identity,
    "logistic": layers.Sigmoid,
    "tanh": layers.Tanh,
    "relu": layers.ReLU,
    "softmax": layers.Softmax,
}
#: nncore's activations by their names in lower case, such as "gelu" or "leaky_relu" ("leakyrelu" is accepted).
_OTHERS = {
    name.lower(): getattr(layers, name)
    for name in layers.__all__
    if isinstance(getattr(layers, name), type)
    and issubclass(getattr(layers, name), layers.Activation)
    and getattr(layers, name) is not layers.Activation
}


def activation_of(given: Any) -> Any:
    """Return a new activation layer for a name of scikit-learn, a name of nncore, a layer or its class."""
    if isinstance(given, str):
        made = ACTIVATIONS.get(given) or _OTHERS.get(given.replace("_", "").lower())
        if made is None:
            known = sorted({"identity", "logistic", "tanh", "relu"} | {*_OTHERS})
            raise ArgumentError(f"activation: unknown {given!r}. Known: {', '.join(known)}")
        return made()
    if isinstance(given, type) and issubclass(given, layers.Layer):
        return given()
    if isinstance(given, layers.Layer):
        import copy

        return copy.deepcopy(given)
    raise ArgumentError(f"activation: a name, a layer such as nn.GELU(), or a list with one per hidden layer, not {given!r}")


def per_layer(name: str, given: Any, count: int) -> list[Any]:
    """Return one value per hidden layer from one for all or a list."""
    if isinstance(given, list | tuple | np.ndarray):
        if len(given) != count:
            raise ArgumentError(f"{name} has {len(given)} entries for {count} hidden layers")
        return list(given)
    return [given] * count


def stack(sizes: Sequence[int], activations: Iterable[Any], rates: Iterable[float], normalise: bool, last: str) -> list[Any]:
    """Return the layers: for each hidden one Linear, batch normalisation, activation, dropout; then the outputs."""
    *hidden, end = pairwise(sizes)
    found: list[Any] = []
    for (fan_in, fan_out), activation, rate in zip(hidden, activations, rates, strict=True):
        found += [layers.Linear(fan_in, fan_out), *([layers.BatchNorm1d(fan_out)] if normalise else []), activation_of(activation)]
        found += [layers.Dropout(float(rate))] if rate else []
    found.append(layers.Linear(*end))
    if last in ("softmax", "logistic"):
        found.append(ACTIVATIONS[last]())
    return found


def linear_layers(model: Any) -> list[Any]:
    """Return the linear layers of a model, in order."""
    return [layer for layer in model.layers if isinstance(layer, layers.Linear)]


def initialise(model: Any, generator: np.random.RandomState, activations: Sequence[Any]) -> None:
    """Draw weights and biases, uniform as Glorot and Bengio (2010) have it, in scikit-learn's order.

    The bound is sqrt(6 / (fan_in + fan_out)), with 2 in place of 6 for the logistic function.
    """
    last = activations[-1] if activations else "relu"
    for layer, activation in zip(linear_layers(model), [*activations, last], strict=True):
        fan_out, fan_in = layer.weight.shape
        bound = sqrt((2.0 if activation == "logistic" else 6.0) / (fan_in + fan_out))
        layer.weight = generator.uniform(-bound, bound, (fan_in, fan_out)).T
        layer.bias = generator.uniform(-bound, bound, fan_out)


class Views(list[np.ndarray]):
    """Live views of weights. Assigning to an element copies into the weights of the network."""

    def __setitem__(self, index: Any, value: Any) -> None:
        if isinstance(index, slice):
            for view, each in zip(self[index], value, strict=True):
                view[...] = each
        else:
            self[index][...] = value

    def assign(self, values: Any) -> None:
        """Copy one array into each view."""
        self[:] = list(values)

    def __reduce__(self) -> Any:
        return list, ([each.copy() for each in self],)
