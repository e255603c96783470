"""The training options of each parameter of a network: from its layer, then the optimizer's groups, then ``compile``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import ArgumentError
from ..layers.python import PythonLayer
from ..optim.groups import resolve
from ..records import ParameterOptions
from .configuration import Configuration

if TYPE_CHECKING:
    from ..network.network import Network
    from .trainer import Trainer


def changes_since_compile(network: Network, trainer: Trainer) -> list[str]:
    """Return in words what layers have been told since compile, which training does not know."""
    layers, keys = network.layers, [network.connections.key(i) for i in range(len(network.layers))]
    found = [
        f"{key}.trainable is {layer.trainable}"
        for key, layer, frozen in zip(keys, layers, trainer.frozen, strict=True)
        if layer.trainable is frozen and (layer.may_have_parameters() or layer.frozen_is_inference)
    ]
    now = parameter_options(network, trainer.config)
    for (name, _), old, new in zip(network.named_parameters("fit"), trainer.options or (), now, strict=True):
        for field in ("l1", "l2", "max_norm"):
            before, after = getattr(old, field) or 0.0, getattr(new, field) or 0.0
            found += [f"{field} of {name} is {after:g}"] if before != after else []
    return found


def parameter_options(network: Network, config: Configuration) -> list[ParameterOptions]:
    """Return the options of each parameter, in the order of the plan."""
    rule, parameters = config.optimizer, network.named_parameters("compile")
    layers = [network.layers[network.plan.owners[p.op]] for _, p in parameters]
    names = [(name, f"{type(layer).__name__}.{p.role}") for layer, (name, p) in zip(layers, parameters, strict=True)]
    found = resolve(type(rule).__name__, rule.groups, names, network.parameter_options())
    for i, (each, layer, (name, p)) in enumerate(zip(found, layers, parameters, strict=True)):
        l1, l2 = (config.l1, config.l2) if layer.is_weight_matrix(p.role) else (0.0, 0.0)
        l1, l2 = l1 if each.l1 is None else each.l1, l2 if each.l2 is None else each.l2
        found[i] = ParameterOptions(each.trainable, each.lr_scale, each.weight_decay, l1, l2, each.max_norm)
        if rule.full_batch and each.max_norm:
            raise ArgumentError(f"{type(rule).__name__}: {name} has a max_norm, which does not work with a line search")
        if each.max_norm and p.value.ndim > 1 and isinstance(layer, PythonLayer):
            raise ArgumentError(
                f"{type(rule).__name__}: max_norm of {name}: which part of it belongs to one unit of {type(layer).__name__} is not "
                "known; limit it in the layer's forward, or by a callback"
            )
    return found
