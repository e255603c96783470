"""The keys of state dicts of PyTorch modules: the key of a layer here, such as "0", against the path of a sub-module there."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from typing import Any

from .._checks import shown
from ..errors import ArgumentError, StateDictError, kind_of

#: What torch.compile and DataParallel put into the keys.
_WRAPPERS = ("module", "_orig_mod")
#: With what the names of layers begin that `from_torch` makes of no module, such as those that choose a part of a tensor.
FIXED = "fixed_"


def checked_names(owner: str, names: Any, keys: Iterable[str]) -> dict[str, str]:
    """Return a map from nncore's prefixes of keys to those of another module, of which each is the prefix of a key."""
    if not isinstance(names, Mapping) or not all(isinstance(each, str) for pair in names.items() for each in pair):
        raise ArgumentError(
            f'{owner}: names is a mapping from keys of layers to paths of sub-modules, such as {{"0": "encoder.fc1"}}, not '
            f"{shown(names) if isinstance(names, Mapping) else kind_of(names)}"
        )
    keys = list(keys)
    unknown = [name for name in names if not any(_begins(key, name) for key in keys)]
    if unknown:
        known = list(dict.fromkeys(key.rpartition(".")[0] for key in keys))
        raise StateDictError(f"{owner}: names has {', '.join(map(repr, unknown))}, but the layers with weights are {known}")
    return dict(names)


def _begins(key: str, prefix: str) -> bool:
    return not prefix or key == prefix or key.startswith(f"{prefix}.")


def renamed(key: str, names: Mapping[str, str]) -> str:
    """Return a key with its longest prefix in ``names`` replaced."""
    fitting = [name for name in names if _begins(key, name)]
    if not fitting:
        return key
    name = max(fitting, key=len)
    rest = key[len(name) :].removeprefix(".") if name else key
    return ".".join(part for part in (names[name], rest) if part)


def theirs(owner: str, keys: Iterable[str], names: Any) -> dict[str, str]:
    """Return for each of nncore's keys that of the other module.

    names: a map of prefixes, or another module's state dict, whose keys are looked for.
    """
    keys = list(keys)
    names = names.state_dict() if callable(getattr(names, "state_dict", None)) else names
    if isinstance(names, Mapping) and names and any(hasattr(value, "shape") for value in names.values()):
        found = {own: key for key, own in matched(names, keys).items() if own in keys}
        missing, unexpected = lacking(keys, found), [key for key in names if key not in found.values()]
        unexpected = unexpected if not any(map(is_fixed, keys)) else []  # buffers, which fixed layers have
        unexpected = [key for key in unexpected if "int" not in str(getattr(names[key], "dtype", ""))]  # indices of a Take
        if missing or unexpected:
            raise StateDictError(
                f"{owner}: the keys of names do not fit this model: nothing there for {missing}, nothing here for {unexpected}; "
                'give a map of keys of layers, such as names={"0": "encoder.fc1"}'
            )
        return found
    mapped = checked_names(owner, names, keys)
    result = {key: renamed(key, mapped) for key in keys}
    twice = [key for key in result.values() if list(result.values()).count(key) > 1] if len({*result.values()}) < len(keys) else []
    if twice:
        raise StateDictError(f"{owner}: names gives {twice[0]!r} to two parameters")
    return result


def is_fixed(key: str) -> bool:
    """Return whether a key is of a layer that no module has."""
    return key.startswith(FIXED) and key[len(FIXED) :].partition(".")[0].isdecimal()


def lacking(keys: Iterable[str], found: Container[str]) -> list[str]:
    """Return the keys that are not found, without those that a module does not have."""
    return [key for key in keys if key not in found and not is_fixed(key)]


def matched(given: Mapping[str, Any], keys: Iterable[str], names: Any = None) -> dict[str, str]:
    """Return for each key of another state dict the key here.

    A key fits as it is, without the prefixes of DataParallel and torch.compile, or with "_" in place of the dots of the path, as
    `from_torch` names layers. Other keys stay as they are.
    """
    own = set(keys)
    back = {theirs: key for key, theirs in theirs_of(names, own).items()}
    found: dict[str, str] = {}
    for key in given:
        if not isinstance(key, str):
            found[key] = key
            continue
        bare = ".".join(part for part in key.split(".") if part not in _WRAPPERS)
        path, _, role = bare.rpartition(".")
        forms = [key, bare, f"{path.replace('.', '_')}.{role}"] if names is None else []
        found[key] = next((form for form in forms if form in own), back.get(key, back.get(bare, key)))
    return found


def theirs_of(names: Any, keys: set[str]) -> dict[str, str]:
    """Return `theirs`, or nothing if there are no names."""
    return {} if names is None else theirs("load_state_dict", sorted(keys), names)


def translated(given: Mapping[str, Any], keys: Iterable[str], names: Any) -> Mapping[str, Any]:
    """Return a state dict under the keys here."""
    keys = list(keys)
    if names is None and len(given) == len(keys) and all(key in given for key in keys):
        return given
    found: dict[str, Any] = {}
    origin: dict[str, str] = {}
    for key, own in matched(given, keys, names).items():
        if own in found:
            raise StateDictError(
                f"load_state_dict: {origin[own]!r} and {key!r} are both {own!r} here; give names=, or leave one out"
            )
        found[own], origin[own] = given[key], key
    return found
