"""Quantization: from a model to one whose weights are 8-bit integers."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from .._checks import named, shown
from ..errors import ArgumentError
from ..network.connecting import Connections, Nested, connect, connections_of
from ..network.network import Network
from ..optim import SGD
from ..training.configuration import Configuration
from .predicting import Predictor
from .quantized import QuantizedModel, remember, use_configuration

FORMATS = ("int8",)


def quantize(model: Predictor, dtype: Any) -> QuantizedModel:
    """Return a quantized model of the layers, weights and connections of a model; see `Model.quantize`."""
    _check_format(dtype)
    network: Network = model._network
    network.require_parameters("quantize")
    with network.access.between_steps():
        layers = copy.deepcopy(network.layers)
        described = _in_int8(connections_of(network))
        config = None if network.plan.trainer is None else _for_evaluation(network.plan.trainer.config, network.output_names)
        names, seed = list(network.feature_names), network.plan.seed
    found = QuantizedModel.__new__(QuantizedModel)
    found._have(connect(layers, described, seed, "float32", "QuantizedModel", compute="int8"))
    found._network.feature_names = names
    if config is not None:
        use_configuration(found, config)
    remember(found, model)
    return found


def _check_format(dtype: Any) -> None:
    try:
        name = dtype if isinstance(dtype, str) else np.dtype(dtype).name
    except TypeError:
        name = ""
    if name not in FORMATS:
        raise ArgumentError(f"quantize: the format must be {named(FORMATS)}, not {shown(dtype)}")


def _in_int8(connections: Connections) -> Connections:
    """Return connections in which models that are parts of others are quantized, too."""
    if not isinstance(connections, Nested):
        return connections
    parts = [
        None if part is None else part._replace(connections=_in_int8(part.connections), compute="int8")
        for part in connections.parts
    ]
    return connections._replace(parts=parts)


def _for_evaluation(config: Configuration, names: list[str]) -> Configuration:
    """Return the losses and metrics of a configuration, without what is for training."""
    losses, metrics, weighted = copy.deepcopy((config.losses, config.plain_metrics, config.weighted_metrics))
    return Configuration(losses, SGD(), metrics, list(config.weights), config.check_finite, names, 0.0, 0.0, weighted)
