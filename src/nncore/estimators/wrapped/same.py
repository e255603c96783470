"""Whether the parameters that a network was made from are still the same."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from numbers import Number
from typing import Any

import numpy as np

from ..._checks import shown


def kept(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return parameters so that changing a list of the user in place does not change them."""
    return {name: copy.copy(each) if isinstance(each, list | dict | np.ndarray) else each for name, each in parameters.items()}


def refuse_changes(owner: str, before: Mapping[str, Any], now: Mapping[str, Any], advice: str) -> None:
    """Raise ValueError that names a parameter which has changed. A number and a list of it are the same."""
    for name in {**before, **now}:
        if name not in before or name not in now:
            raise ValueError(f"{owner}: {name} was {'not ' if name in now else ''}given when the network was made{advice}")
        if not _equal(before[name], now[name]):
            raise ValueError(
                f"{owner}: the network was made with {name}={shown(before[name])}, but now {name} is {shown(now[name])}{advice}"
            )


def _equal(a: Any, b: Any) -> bool:
    if a is b:
        return True
    if all(isinstance(each, list | tuple | np.ndarray | Number | str) for each in (a, b)):
        return np.array_equal(np.ravel(np.array(a, object)), np.ravel(np.array(b, object)))
    return bool(a == b)
