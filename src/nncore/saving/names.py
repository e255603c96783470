"""The names of the columns of each input, in a file: "model.feature_names", a list with a list of names or null for each input.

Files of models that know no names do not have the entry.
"""

from __future__ import annotations

from typing import Any

from ..network.network import Network
from .tensors import Reader


def from_names(network: Network) -> dict[str, Any]:
    """Return the entry for the names that a network knows; nothing if it knows none."""
    known = network.feature_names
    return {"feature_names": [None if names is None else list(names) for names in known]} if any(known) else {}


def read_names(reader: Reader, described: dict[str, Any], network: Network) -> None:
    """Let a network know the names that a file has."""
    given = described.get("feature_names")
    if given is None:
        return
    inputs = len(network.input_names)
    if not isinstance(given, list) or len(given) != inputs:
        reader.fail("model.feature_names", f"a list of {inputs} is needed, one per input")
    for i, names in enumerate(given):
        if names is not None and (not isinstance(names, list) or not all(type(name) is str for name in names)):
            reader.fail(f"model.feature_names[{i}]", "a list of names, or null, is needed")
    network.feature_names = [None if names is None else tuple(names) for names in given]
