"""Copies of models for ``copy``, ``pickle`` and files. A copy has the same class, layers, connections and state of training."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np

from .._checks import whole
from .._core import ModelCore
from .._declarations import is_own
from ..config import fresh_seed
from ..data.names import Names
from ..graph import Description
from ..layers.base import Layer
from ..layers.parameter_views import WeightsSnapshot
from ..network.connecting import Connections, Nested, connect, connections_of
from ..network.network import Network
from ..records import Shape
from ..saving.training import TrainingState, capture, resume
from ..saving.training import copied as copied_state
from ..training.trainer import Trainer

#: What training and nested models put into a model: a copy makes it anew.
_NOT_COPIED = frozenset(("_models", "history", "stop_training", "_initial_epoch"))


def pickle_model(model: ModelCore) -> tuple[Any, ...]:
    """Return what pickle keeps: the layers with their values, the connections and the state of training."""
    network: Network = model._network
    with network.access.between_steps():
        taken = WeightsSnapshot(network.layers)
        state = copied_state(capture(network))
        rest = connections_of(network), network.plan.seed, network.dtype.name
        arguments = type(model), network.layers, *rest, state, taken, network.feature_names, _carried(network), network.compute
        return model_from_pickle, arguments, _own_attributes(model)


def copy_model(model: ModelCore, memo: dict[int, Any]) -> ModelCore:
    """Return an independent copy. Training it gives the same results as training the original."""
    network: Network = model._network
    with network.access.between_steps():
        layers = copy.deepcopy(network.layers, memo)
        state = copied_state(capture(network))
        if state is not None:
            state = state._replace(config=copy.deepcopy(state.config, memo))
        rest = connections_of(network), network.plan.seed, network.dtype.name
        carried = _carried(network)
    found = model_from_pickle(type(model), layers, *rest, state, None, network.feature_names, carried, network.compute)
    memo[id(model)] = found
    if own := _own_attributes(model):
        vars(found).update(copy.deepcopy(own, memo))
    return found


def clone_model(model: ModelCore, seed: int | None, dtype: str | None = None, compute: str | None = None) -> ModelCore:
    """Return a model like this one that has not been trained: other weights, and the same compile; perhaps of another dtype."""
    network: Network = model._network
    with network.access.between_steps():
        memo: dict[int, Any] = {}
        layers = copy.deepcopy(network.layers, memo)
        described, trainer = connections_of(network), network.plan.trainer
        config = None if trainer is None else copy.deepcopy(trainer.config)
    for layer in layers:
        layer.__dict__["_pending"] = {}
    seed = fresh_seed() if seed is None else whole(f"{type(model).__name__}.clone", "seed", seed, 0)
    dtype, compute = dtype or network.dtype.name, compute or network.compute
    found = model_from_pickle(type(model), layers, described, seed, dtype, None, compute=compute)
    found._network.reset_parameters(seed)
    if config is not None:
        config.restart()
        fresh = Trainer(config)
        if found._network.built:
            fresh.attach(found._network)
        else:
            found._plan.trainer = fresh
    memo[id(model)] = found
    if own := _own_attributes(model):
        vars(found).update(copy.deepcopy(own, memo))
    return found


def float64_copy(model: ModelCore, shapes: Sequence[Shape]) -> ModelCore:
    """Return an independent copy in float64, built for inputs of these shapes. The copy is not compiled."""
    network: Network = model._network
    with network.access.between_steps():
        layers = copy.deepcopy(network.layers)
        described = connections_of(network)
    graph = described if isinstance(described, Description) else None
    nested = described._replace(shapes=None) if isinstance(described, Nested) else None
    found = model_from_pickle(type(model), layers, nested or graph, network.plan.seed, "float64", None)
    if found._plan.built_for != list(shapes):
        found._network.build(list(shapes))
    found._plan.step = network.plan.step
    return found


def model_from_pickle(
    cls: type[ModelCore],
    layers: Sequence[Layer],
    connections: Connections,
    seed: int,
    dtype: str,
    training: TrainingState | None,
    taken: WeightsSnapshot | None = None,
    names: Sequence[Names] | None = None,
    carried: np.ndarray | None = None,
    compute: str = "float32",
) -> ModelCore:
    """Make a model again from what pickle kept. The constructor of the class is not called, as a subclass may change its
    arguments."""
    model = cls.__new__(cls)
    model._have(connect(layers, connections, seed, dtype, cls.__name__, compute=compute))
    if names is not None:
        model._network.feature_names = list(names)
    if training is not None:
        resume(model._network, training)
    elif carried is not None:
        model._network.plan.carry_on(carried)
    return model


def _carried(network: Network) -> np.ndarray | None:
    """Return the states that stateful layers carry in a loop written by hand, also without `compile`."""
    return network.plan.carried() if network.built else None


def _own_attributes(model: ModelCore) -> dict[str, Any] | None:
    """Return the attributes that a user's class has given to the model, or None."""
    own = {} if is_own(model) else {name: value for name, value in vars(model).items() if name not in _NOT_COPIED}
    return own or None
