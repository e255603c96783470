"""Parameter groups: settings for the parameters whose names match a pattern."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from .._checks import flag, real, shown
from ..errors import ArgumentError
from ..layers.python import PythonLayer
from ..records import ParameterOptions

if TYPE_CHECKING:
    from ..assembly import Assembly
    from ..compiled import Compiled
    from ..schedules import Schedule

_NUMBERS = ("lr_scale", "weight_decay", "l1", "l2", "max_norm")
_KEYS = ("params", "lr", *_NUMBERS, "trainable")


def normalised(owner: str, groups: Any, rate: float | Schedule) -> tuple[dict[str, Any], ...]:
    """Check groups and return them with patterns as a list and "lr" as "lr_scale", relative to ``rate``."""
    if isinstance(groups, Mapping | str) or not isinstance(groups, Sequence):
        raise ArgumentError(
            f"{owner}: groups must be a list of dicts such as {{'params': '*.bias', 'weight_decay': 0}}, not {shown(groups)}"
        )
    return tuple(_group(f"{owner}: groups[{i}]", group, rate) for i, group in enumerate(groups))


def _group(owner: str, group: Any, rate: float | Schedule) -> dict[str, Any]:
    if not isinstance(group, Mapping) or "params" not in group:
        raise ArgumentError(f"{owner} must be a dict with 'params', the pattern of the names it is for, not {shown(group)}")
    for key in group:
        if key not in _KEYS:
            raise ArgumentError(f"{owner}: unknown setting {shown(key)}; there are {', '.join(_KEYS[1:])}")
    patterns = [group["params"]] if isinstance(group["params"], str) else group["params"]
    if not isinstance(patterns, list | tuple) or not patterns or not all(isinstance(pattern, str) for pattern in patterns):
        raise ArgumentError(f"{owner}: params must be a pattern such as '*.bias' or a list of them, not {shown(patterns)}")
    found: dict[str, Any] = {"params": list(patterns)}
    if "lr" in group:
        if "lr_scale" in group:
            raise ArgumentError(f"{owner}: pass lr or lr_scale, not both")
        base = getattr(rate, "lr", None) if callable(rate) else rate
        if not base:
            raise ArgumentError(f"{owner}: lr is relative to the learning rate of the optimizer, {rate!r}; pass lr_scale instead")
        found["lr_scale"] = real(owner, "lr", group["lr"], 0.0) / base
    found |= {key: real(owner, key, group[key], 0.0) for key in _NUMBERS if key in group}
    if "trainable" in group:
        found["trainable"] = flag(owner, "trainable", group["trainable"])
    return found


def resolve(
    owner: str, groups: Sequence[dict[str, Any]], names: Sequence[tuple[str, str]], options: Sequence[ParameterOptions]
) -> list[ParameterOptions]:
    """Return the options of each parameter, changed by the groups that match one of its two names."""
    resolved = list(options)
    for group in groups:
        settings = {key: value for key, value in group.items() if key != "params"}
        for pattern in group["params"]:
            matches = [i for i, both in enumerate(names) if any(name == pattern or fnmatchcase(name, pattern) for name in both)]
            if not matches:
                known = ", ".join(dict.fromkeys(name for both in zip(*names, strict=True) for name in both))
                raise ArgumentError(f"{owner}: no parameter matches {pattern!r} of groups; their names are {known}")
            for i in matches:
                resolved[i] = resolved[i]._replace(**settings)
    return resolved


def options(model: Assembly, config: Compiled) -> list[ParameterOptions]:
    """Return how each parameter of a model is trained: what its layer says, then the groups of the optimizer, then compile."""
    rule, parameters = config.optimizer, model._named("compile")
    owners = [type(model.layers[model._owners[p.op]]).__name__ for _, p in parameters]
    names = [(name, f"{owner}.{p.role}") for owner, (name, p) in zip(owners, parameters, strict=True)]
    found = resolve(type(rule).__name__, rule.groups, names, model.parameter_options())
    for i, (each, (name, p)) in enumerate(zip(found, parameters, strict=True)):
        layer = model.layers[model._owners[p.op]]
        l1, l2 = (config.l1, config.l2) if layer.has_matrix(p.role) else (0.0, 0.0)
        found[i] = each._replace(l1=l1 if each.l1 is None else each.l1, l2=l2 if each.l2 is None else each.l2)
        if rule.full_batch and each.max_norm:
            raise ArgumentError(f"{type(rule).__name__}: {name} has a max_norm, which a line search cannot keep to")
        if each.max_norm and p.value.ndim > 1 and isinstance(layer, PythonLayer):
            raise ArgumentError(
                f"{type(rule).__name__}: max_norm of {name}: which part of it belongs to one unit of {type(layer).__name__} is not "
                "known; limit it in the layer's forward, or by a callback"
            )
    return found
