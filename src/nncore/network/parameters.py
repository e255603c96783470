"""The parameters of a network by name, with PyTorch's keys and shapes: reading and writing copies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .._checks import flag, no_state_dict
from .._core import Use, copy_all
from ..data.arrays import copy_into, to_array
from ..errors import ArgumentError, ShapeError, StateDictError, kind_of, require
from ..records import Int8Weight, Parameter
from . import torch_names

if TYPE_CHECKING:
    from .network import Network


class IncompatibleKeys(NamedTuple):
    """The keys that `Model.load_state_dict` with ``strict=False`` ignored."""

    missing_keys: list[str]
    unexpected_keys: list[str]


def _at_rest(network: Network) -> Use:
    """Enter the network between two steps. During a step, code in Python may enter too, because weights do not change then."""
    return network.access.reading() if network.access.is_inside_step else network.access.between_steps()


def state_dict(network: Network, torch: Any = False, names: Any = None) -> dict[str, Any]:
    """Return copies of the parameters and running statistics by name, C-contiguous; see `Model.state_dict`."""
    with _at_rest(network):
        each = [stored(name, p) for name, p in network.named_state("state_dict")]
    found: dict[str, Any] = {name: value for one in each for name, value in one.items()}
    if names is not None:
        found = {new: found[name] for name, new in torch_names.theirs("state_dict", found, names).items()}
    if flag("state_dict", "torch", torch):
        from_numpy = require("torch", "torch", "state_dict(torch=True)").from_numpy
        found = {name: from_numpy(value) for name, value in found.items()}
    return found


def load_state_dict(network: Network, state_dict: Any, strict: Any, names: Any = None) -> IncompatibleKeys:
    """Copy parameters from a state dict. Everything is checked before anything is written. See `Model.load_state_dict`."""
    if not isinstance(state_dict, Mapping):
        raise no_state_dict(state_dict)
    strict = flag("load_state_dict", "strict", strict)
    with network.access.training():
        own = dict(network.named_state("load_state_dict"))
        state_dict = torch_names.translated(state_dict, own, names)
        missing = torch_names.lacking(own, state_dict)
        unexpected = [key for key in state_dict if key not in own]
        if strict and (missing or unexpected):
            raise StateDictError(
                f"the state dict does not fit this {network.label}: missing keys {missing}, "
                f"unexpected keys {unexpected}; strict=False loads what fits"
            )
        _write_all([(key, own[key].value, state_dict[key]) for key in own if key in state_dict])
        return IncompatibleKeys(missing, unexpected)


def set_weights(network: Network, weights: Any) -> None:
    """Copy in one array per parameter, in order. Everything is checked before anything is written."""
    if not isinstance(weights, Sequence) or isinstance(weights, str | bytes):
        raise ArgumentError(f"set_weights takes a list of arrays, one per parameter, not {kind_of(weights)}")
    with network.access.training():
        own = network.named_state("set_weights")
        if len(weights) != len(own):
            raise StateDictError(f"set_weights: {len(weights)} arrays for the {len(own)} parameters {[name for name, _ in own]}")
        _write_all([(name, p.value, value) for (name, p), value in zip(own, weights, strict=True)])


#: What follows the name of a weight of 8-bit integers in the name of its scales.
SCALE = "_scale"


def stored(name: str, parameter: Parameter) -> dict[str, np.ndarray]:
    """Return copies in the form that PyTorch stores, by name. Counters are integers. A weight of 8-bit integers is two tensors."""
    value = parameter.stored()
    if isinstance(value, Int8Weight):
        return {name: value.q, name + SCALE: value.scale}
    return {name: value.astype(np.int64) if parameter.role == "num_batches_tracked" else value}


def _write_all(triples: Sequence[tuple[str, np.ndarray, Any]]) -> None:
    """Copy values into views, given as (name, view, value). Nothing is written unless all are valid; an interrupt cannot split
    this."""
    arrays = [to_array(value) for _, _, value in triples]
    wrong = [
        f"{name} is {view.shape} here and {array.shape} there"
        for (name, view, _), array in zip(triples, arrays, strict=True)
        if view.shape != array.shape
    ]
    if wrong:
        raise ShapeError(f"shapes differ, nothing was loaded: {'; '.join(wrong)}")
    ready = [np.empty_like(view) for _, view, _ in triples]
    for (name, _, _), copy, array in zip(triples, ready, arrays, strict=True):
        copy_into(copy, array, name)
    copy_all([view for _, view, _ in triples], ready)
