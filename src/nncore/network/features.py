"""The names of the columns of frames that a network knows: reading, setting, checking and remembering them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .._checks import shown
from ..data.by_name import align_to_names
from ..data.names import Names, check_names, column_names, takes_names
from ..errors import ArgumentError, ShapeError

if TYPE_CHECKING:
    from .network import Network


def feature_names(network: Network) -> list[str] | dict[str, list[str] | None] | None:
    """Return the names of the columns; a dict by the name of the input if there are several; see `Model.feature_names`."""
    found = [None if names is None else list(names) for names in network.feature_names]
    return found[0] if len(found) == 1 else dict(zip(network.input_names, found, strict=True))


def set_feature_names(network: Network, given: Any) -> None:
    """Set the names of the columns, or forget them."""
    inputs = network.input_names
    if given is None or len(inputs) == 1:
        parts: Sequence[Any] = [given] * len(inputs)
    else:
        parts = align_to_names("feature_names", given, inputs)
    network.feature_names = [_checked(network, i, names) for i, names in enumerate(parts)]


def _checked(network: Network, number: int, given: Any) -> Names:
    if given is None:
        return None
    try:
        names = () if isinstance(given, str | bytes | Mapping) else tuple(given)
    except TypeError:
        names = ()
    if not names or not all(isinstance(name, str) for name in names):
        raise ArgumentError(f"feature_names must be a list of names, one per column, or None, not {shown(given)}")
    twice = next((name for i, name in enumerate(names) if name in names[:i]), None)
    if twice is not None:
        raise ArgumentError(f"feature_names: {shown(twice)} stands there twice; every column needs a name of its own")
    shape = network.input_shapes[number] if network.built else names
    if len(shape) == 1 and shape[0] != len(names) and network.built:
        raise ShapeError(f"feature_names: {len(names)} names for an input of {shape[0]} columns")
    return tuple(map(str, names))


def check_columns(network: Network, x: Any) -> None:
    """Raise ArgumentError if a frame has other columns than those with which the network was trained."""
    if type(x) is np.ndarray:  # most data, and they have no names
        return
    if any(network.feature_names):
        attribute, several = "model.feature_names", len(network.feature_names) > 1
        for name, part, known in zip(network.input_names, _parts(network, x), network.feature_names, strict=False):
            label = f"x[{name!r}]" if several else "x"
            found = column_names(part)
            if found is not None and found != known:
                check_names(found, known, label, f"{attribute}[{name!r}]" if several else attribute, takes_names(part))


def remember_columns(network: Network, x: Any) -> None:
    """Remember the names of the columns of frames, after a check. Those of inputs that are arrays stay as they were."""
    if type(x) is np.ndarray:
        return
    found = [column_names(part) for part in _parts(network, x)]
    if any(found):
        check_columns(network, x)
        network.feature_names = [old or new for old, new in zip(network.feature_names, found, strict=True)]


def check_named(network: Network, names: Sequence[Names], selects: bool = False) -> None:
    """Raise ArgumentError if columns have other names than those of training. names: those of each input."""
    several = len(network.input_names) > 1
    for name, found, known in zip(network.input_names, names, network.feature_names, strict=False):
        label = f"x[{name!r}]" if several else "x"
        check_names(found, known, label, "features=model.feature_names" + (f"[{name!r}]" if several else ""), selects)


def remember_named(network: Network, names: Sequence[Names]) -> None:
    """Remember the names of the columns of each input, after a check."""
    check_named(network, names)
    network.feature_names = [old or new for old, new in zip(network.feature_names, names, strict=True)]


def _parts(network: Network, x: Any) -> Sequence[Any]:
    """Return what is given for each input."""
    if isinstance(x, Mapping):
        return align_to_names("x", x, network.input_names)
    return x if isinstance(x, list | tuple) and (len(network.input_names) > 1 or len(x) == 1) else [x]
