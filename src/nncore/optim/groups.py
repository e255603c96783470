"""Parameter groups: settings for the parameters whose names match a pattern."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from .._checks import flag, real, shown
from ..errors import ArgumentError
from ..records import ParameterOptions

if TYPE_CHECKING:
    from ..schedules import Schedule

_NUMBERS = ("lr_scale", "weight_decay", "l1", "l2", "max_norm")
_KEYS = ("params", "lr", *_NUMBERS, "trainable")


def normalised(owner: str, groups: Any, rate: float | Schedule) -> tuple[dict[str, Any], ...]:
    """Check groups. In the result patterns are lists, and "lr" is replaced by "lr_scale", relative to ``rate``."""
    if type(groups) is tuple and not groups:  # most optimizers
        return ()
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
