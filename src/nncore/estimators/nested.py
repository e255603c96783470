"""Parameters of parameters: ``solver__lr`` is the learning rate of the optimizer that an estimator has as ``solver``.

Optimizers do not change after they are made, so a new one takes the place of the old one. That also keeps what is shared intact.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..optim import Optimizer


def deep(parameters: dict[str, Any]) -> dict[str, Any]:
    """Return the parameters, with those of optimizers by nested names."""
    found = dict(parameters)
    for name, value in parameters.items():
        if isinstance(value, Optimizer):
            found.update({f"{name}__{key}": each for key, each in value.config().items()})
    return found


def resolved(own: Mapping[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Return the changes, with a new optimizer in place of changes of its arguments.

    Parameters
    ----------
    own : mapping
        The present parameters by name.
    changes : dict
        From names, also nested ones, to values.

    Raises
    ------
    ValueError
        If an optimizer has no such argument, or refuses the value.
    """
    plain: dict[str, Any] = {}
    nested: dict[str, dict[str, Any]] = {}
    for key, value in changes.items():
        name, inner, rest = key.partition("__")
        if inner and isinstance(changes.get(name, own.get(name)), Optimizer):
            nested.setdefault(name, {})[rest] = value
        else:
            plain[key] = value
    for name, values in nested.items():
        rule: Any = plain.get(name, own.get(name))
        config = rule.config()
        for key in values:
            if key not in config:
                raise ValueError(f"Invalid parameter {key!r} for estimator {rule!r}. Valid parameters are: {[*config]!r}.")
        plain[name] = type(rule)(**{**config, **values})
    return plain
