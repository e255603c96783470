"""Keras' layers and those of a network brought together; see `Model.load_keras_weights` and `Model.keras_weights`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..._checks import shown, warn
from ...errors import ArgumentError, ShapeError, StateDictError
from ...network import parameters
from ...network.network import Network
from . import units
from .sources import Array, Entry, Source, opened
from .units import Misfit, Unit

_WHAT = "load_keras_weights"


def load(network: Network, source: Any, names: Any) -> None:
    """Copy weights of Keras into a network. Everything is checked before anything is written."""
    network.require_trainable(_WHAT)
    own = units.units_of(network, _WHAT)
    found: dict[str, np.ndarray] = {}
    remarks: list[str] = []
    for unit, entry, arrays in _pairs(own, opened(source), names):
        found |= _read(unit, entry, arrays)
        remarks += [f"{unit}, in Keras {entry.name!r}: {each}" for each in units.differences(unit, entry.config)]
    parameters.load_state_dict(network, found, strict=False)
    if remarks:
        warn(f"{_WHAT}: the weights are loaded, but {'; '.join(remarks)}")


def weights(network: Network) -> list[np.ndarray]:
    """Return the arrays of a network as Keras has them."""
    own = units.units_of(network, "keras_weights")
    state = parameters.state_dict(network)
    return [array for unit in own for array in units.write(unit, state)]


def _read(unit: Unit, entry: Entry, arrays: Sequence[Array]) -> dict[str, np.ndarray]:
    """Return the parameters of a unit, after a check of all shapes."""
    name = f"Keras' layer {entry.name!r}"
    try:
        units.refuse(unit, entry.config)
    except Misfit as misfit:
        raise ArgumentError(f"{_WHAT}: {unit} is not {name}: {misfit}") from None
    wanted, shapes = units.expected(unit, entry.config), [_shape(unit, each) for each in arrays]
    if shapes == [shape for _, shape in wanted]:
        return units.read(unit, [np.reshape(each.read(), shape) for each, shape in zip(arrays, shapes, strict=True)], entry.config)
    if other := units.other_reset(unit, shapes):
        raise ArgumentError(f"{_WHAT}: {unit} is not {name}: {other}")
    takes = ", ".join(f"{each} {shape}" for each, shape in wanted)
    has = ", ".join(str(each.shape) for each in arrays) or "none"
    hint = _bias_hint(wanted, shapes)
    raise ShapeError(f"{_WHAT}: shapes differ, nothing was loaded: {unit} takes {takes}; {name} has {has}{hint}")


def _bias_hint(wanted: Sequence[tuple[str, Any]], shapes: Sequence[Any]) -> str:
    names = [name for name, _ in wanted]
    if "gamma" in names and "moving_mean" in names and len(shapes) == 2:
        return "; if it is a Normalization, make the layer nn.BatchNorm1d(n, eps=0.0, affine=False, trainable=False)"
    if "moving_mean" in names or "gamma" in names:
        return (
            "; a gamma or beta that Keras' layer was made without is known from a .keras file" if len(shapes) < len(names) else ""
        )
    if len(names) > len(shapes) and "bias" in names:
        return "; make the layer with bias=False"
    if len(names) < len(shapes) and "bias" not in names:
        return "; make the layer with bias=True"
    return ""


def _shape(unit: Unit, array: Array) -> tuple[int, ...]:
    """Return the shape of an array; that of a PReLU's slopes without the dimensions that they share, that of the kernel of a
    convolution of one step [1, in, out] without the step."""
    if type(unit.layer).__name__ == "Linear" and len(array.shape) == 3 and array.shape[0] == 1:
        return array.shape[1:]
    if type(unit.layer).__name__ != "PReLU":
        return array.shape
    shared = all(size == 1 for size in array.shape[1:])
    return array.shape[:1] if shared else array.shape


# Which layer is which --------------------------------------------------------------------------------------------------------

_Pairs = list[tuple[Unit, Entry, Sequence[Array]]]


def _pairs(own: list[Unit], given: Source, names: Any) -> _Pairs:
    """Return each unit with the Keras layer that it is, and its arrays of it."""
    if given.entries is None:
        if names is not None:
            raise ArgumentError(f"{_WHAT}: names is for files and models of Keras; a list has the arrays in order, without names")
        return _of_list(own, given.arrays)
    keys = list(dict.fromkeys(unit.key for unit in own))
    by_name = {entry.name: entry for entry in given.entries}
    if names is not None:
        return _by_names(own, keys, given, by_name, names)
    if len(by_name) == len(given.entries) and {*keys} == {*by_name}:
        return _joined([(unit, [by_name[unit.key]]) for unit in own], given)
    if given.is_ordered:
        return _in_order(own, given.entries, given.label)
    return _by_kind(own, given)


def _of_list(own: list[Unit], arrays: list[Array]) -> _Pairs:
    """Return the pairs for a list of arrays, of which each unit takes as many as it needs."""
    found: _Pairs = []
    at = 0
    for i, unit in enumerate(own):
        count = len(units.expected(unit, {}))
        found.append((unit, Entry(f"number {i}", "", 0, "", [], {}), arrays[at : at + count]))
        at += count
    if at != len(arrays):
        raise StateDictError(f"{_WHAT}: {len(arrays)} arrays for the {at} that {_listed(own)} have in Keras")
    return found


def _listed(own: Sequence[Unit]) -> str:
    return ", ".join(str(unit) for unit in own[:20]) + (f" and {len(own) - 20} more" if len(own) > 20 else "")


def _names_of(entries: Sequence[Entry]) -> str:
    names = [repr(entry.name) for entry in entries[:20]]
    return ", ".join(names) + (f" and {len(entries) - 20} more" if len(entries) > 20 else "") if names else "none"


def _in_order(own: Sequence[Unit], entries: Sequence[Entry], label: str) -> _Pairs:
    """Return the pairs of layers in order. A layer of several cells in Keras is several stacked layers here."""
    found: _Pairs = []
    waiting = list(entries)
    rest: list[Array] = []
    for unit in own:
        if not rest and waiting:
            entry = waiting.pop(0)
            rest = list(entry.arrays)
        elif not rest:
            break
        stacked = getattr(unit.layer, "num_layers", 1) > unit.sublayer + 1
        count = len(units.expected(unit, entry.config)) if stacked else len(rest)
        found.append((unit, entry, rest[:count]))
        rest = rest[count:]
    if len(found) < len(own) or waiting or rest:
        raise StateDictError(
            f"{_WHAT}: {label} has {len(entries)} layers with weights ({_names_of(entries)}), but the model has {len(own)} "
            f"({_listed(own)})"
        )
    return found


def _joined(groups: Sequence[tuple[Unit, list[Entry]]], given: Source) -> _Pairs:
    """Return the pairs of units with the layers that were named for their layer."""
    found: _Pairs = []
    for key in dict.fromkeys(unit.key for unit, _ in groups):
        same = [(unit, entries) for unit, entries in groups if unit.key == key]
        found += _in_order([unit for unit, _ in same], same[0][1], given.label)
    return found


def _by_names(own: list[Unit], keys: list[str], given: Source, by_name: Mapping[str, Entry], names: Any) -> _Pairs:
    values = names.values() if isinstance(names, Mapping) else [None]
    lists: list[Any] = [[each] if isinstance(each, str) else each for each in values]
    if not all(isinstance(each, list | tuple) and all(isinstance(name, str) for name in each) for each in lists):
        raise ArgumentError(
            f'{_WHAT}: names is a mapping from keys of layers to names of layers in Keras, {{"0": "dense"}}, or to a list of them '
            f'for layers that are stacked here, {{"0": ["lstm", "lstm_1"]}}, not {shown(names)}'
        )
    if {*names} != {*keys}:
        raise StateDictError(f"{_WHAT}: names has the keys {[*names]}, but the layers with weights are {keys}")
    full = {**by_name, **{f"{entry.inside}/{entry.name}".lstrip("/"): entry for entry in given.entries or ()}}
    unknown = [name for each in lists for name in each if name not in full]
    if unknown:
        raise StateDictError(f"{_WHAT}: {given.label} has no layer {unknown[0]!r}; it has {_names_of(given.entries or ())}")
    by_key = dict(zip(names, lists, strict=True))
    return _joined([(unit, [full[name] for name in by_key[unit.key]]) for unit in own], given)


def _by_kind(own: list[Unit], given: Source) -> _Pairs:
    """Return the pairs for a file that does not say in which order its layers are, but numbers those of each class."""
    entries = given.entries or []
    found: dict[int, tuple[Unit, Entry, Sequence[Array]]] = {}
    left = list(entries)
    for kinds in dict.fromkeys(unit.kinds for unit in own):
        same = [i for i, unit in enumerate(own) if unit.kinds == kinds]
        theirs = [entry for entry in entries if entry.kind in kinds]
        if len({(entry.kind, entry.inside) for entry in theirs}) > 1:
            raise StateDictError(
                f"{_WHAT}: {given.label} does not say in which order {_names_of(theirs)} come; give the .keras file or "
                'model.get_weights(), or names={"0": "dense", ...}'
            )
        theirs.sort(key=lambda entry: entry.number)
        left = [entry for entry in left if entry not in theirs]
        pairs = _in_order([own[i] for i in same], theirs, given.label)
        found |= dict(zip(same, pairs, strict=True))
    if left:
        raise StateDictError(
            f"{_WHAT}: {given.label} has layers that the model does not have: {_names_of(left)}; it has {_listed(own)}; if these "
            'are of other classes in Keras, give names={"0": "dense", ...}'
        )
    return [found[i] for i in range(len(own))]
