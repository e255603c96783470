"""The arrays of each layer in Keras: their names, shapes and order, and how they become the parameters here and back.

Kernels are [in, out] in Keras and [out, in] here. The gates of an LSTM are i, f, c, o there and i, f, g, o here, which is the same.
Those of a GRU are z, r, h there and r, z, n here. Keras has one bias for an LSTM, a simple RNN or a GRU(reset_after=False). Here
are two, of which the sum counts. A GRU that resets after the product has two in both, the rows of one array [2, 3 * units] there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ... import layers as nn
from ...errors import ArgumentError
from ...layers import Layer
from ...network.network import Network
from ...records import Shape

Arrays = dict[str, np.ndarray]


class Misfit(Exception):
    """Keras' arrays are not those of a layer. The text says why."""


class Unit(NamedTuple):
    """What one layer of Keras corresponds to: a layer, or one of the stacked layers of a recurrent one."""

    key: str  #: the prefix of the names of its parameters, such as "0"
    layer: Layer
    sublayer: int

    def __str__(self) -> str:
        stacked = f", its layer {self.sublayer}" if getattr(self.layer, "num_layers", 1) > 1 else ""
        return f"layer {self.key!r} ({type(self.layer).__name__}{stacked})"

    @property
    def kinds(self) -> tuple[str, ...]:
        """The classes of Keras that it may be, as groups of files are named."""
        if isinstance(self.layer, nn.Recurrent):
            one = {"RNN": "simple_rnn", "GRU": "gru", "LSTM": "lstm"}[type(self.layer).__name__]
            return ("bidirectional",) if self.layer.bidirectional else (one, "rnn")
        return _KINDS[type(self.layer).__name__]

    @property
    def suffixes(self) -> list[str]:
        """What follows the names of the parameters of each direction of a recurrent layer."""
        found = [f"_l{self.sublayer}", f"_l{self.sublayer}_reverse"]
        return found[: 1 + getattr(self.layer, "bidirectional", False)]


_KINDS = {
    "Linear": ("dense", "time_distributed", "einsum_dense", "conv1d"),
    "Embedding": ("embedding",),
    "BatchNorm1d": ("batch_normalization", "normalization"),
    "LayerNorm": ("layer_normalization",),
    "PReLU": ("p_re_lu",),
}


def units_of(network: Network, what: str) -> list[Unit]:
    """Return the units of a network that have weights, in order, or raise ArgumentError for a layer that Keras does not have."""
    network.require_parameters(what)
    found = []
    for i, layer in enumerate(network.layers):
        if not layer.may_have_parameters():
            continue
        key = network.connections.key(i)
        own = getattr(layer, "learn_initial_state", False) or (isinstance(layer, nn.BatchNorm1d) and not layer.track_running_stats)
        if own or not (type(layer).__name__ in _KINDS or isinstance(layer, nn.Recurrent)) or type(layer).__module__[:6] != "nncore":
            option = "learn_initial_state=True" if isinstance(layer, nn.Recurrent) else "track_running_stats=False"
            raise ArgumentError(
                f"{what}: {network.connections.layer_name(i)}{f' with {option}' if own else ''} has no counterpart in Keras; use "
                "state_dict and load_state_dict for it"
            )
        found += [Unit(key, layer, k) for k in range(getattr(layer, "num_layers", 1))]
    return found


# What Keras has --------------------------------------------------------------------------------------------------------------


def expected(unit: Unit, config: Mapping[str, Any]) -> list[tuple[str, Shape]]:
    """Return the names and shapes of Keras' arrays, in its order. config: of the Keras layer, as far as it is known."""
    layer, shapes = unit.layer, unit.layer.parameter_shapes()
    if isinstance(layer, nn.Linear):
        return [("kernel", shapes["weight"][::-1]), *([("bias", shapes["bias"])] if "bias" in shapes else [])]
    if isinstance(layer, nn.Embedding):
        return [("embeddings", shapes["weight"])]
    if isinstance(layer, nn.PReLU):
        return [("alpha", shapes["weight"])]
    if isinstance(layer, nn.BatchNorm1d | nn.LayerNorm):
        used = [config.get("scale", True) is not False, config.get("center", True) is not False]
        names = [("gamma", "weight"), ("beta", "bias")]
        found = [(k, shapes[n]) for (k, n), is_used in zip(names, used, strict=True) if n in shapes and is_used]
        size = (layer.num_features,) if isinstance(layer, nn.BatchNorm1d) else ()
        return [*found, *([("moving_mean", size), ("moving_variance", size)] if size else [])]
    assert isinstance(layer, nn.Recurrent)
    arrays: list[tuple[str, Shape]] = []
    for suffix in unit.suffixes:
        ih, hh = shapes[f"weight_ih{suffix}"], shapes[f"weight_hh{suffix}"]
        arrays += [("kernel", ih[::-1]), ("recurrent_kernel", hh[::-1])]
        if layer.bias:
            arrays.append(("bias", (2, ih[0]) if _has_two(layer) else (ih[0],)))
    return arrays


def read(unit: Unit, arrays: Sequence[np.ndarray], config: Mapping[str, Any]) -> Arrays:
    """Return the parameters of a unit by name. The arrays have the shapes that `expected` says."""
    layer = unit.layer
    if isinstance(layer, nn.Recurrent):
        each = len(arrays) // len(unit.suffixes)
        return {
            f"{unit.key}.{role}{suffix}": array
            for i, suffix in enumerate(unit.suffixes)
            for role, array in _read_cell(layer, arrays[i * each : (i + 1) * each]).items()
        }
    roles = {"kernel": "weight", "embeddings": "weight", "alpha": "weight", "gamma": "weight", "beta": "bias", "bias": "bias"}
    roles |= {"moving_mean": "running_mean", "moving_variance": "running_var"}
    found: Arrays = {}
    for (name, _), array in zip(expected(unit, config), arrays, strict=True):
        found[f"{unit.key}.{roles[name]}"] = array.T if name == "kernel" else array
    for role, shape in layer.parameter_shapes().items():  # a gamma or beta that Keras' layer was made without
        found.setdefault(f"{unit.key}.{role}", np.full(shape, float(role == "weight")))
    return found


def _read_cell(layer: Layer, arrays: Sequence[np.ndarray]) -> Arrays:
    kernel, recurrent, *bias = arrays
    found = {"weight_ih": _gates(layer, kernel.T), "weight_hh": _gates(layer, recurrent.T)}
    if bias:
        both = bias[0] if bias[0].ndim == 2 else (bias[0], np.zeros_like(bias[0]))
        found |= {"bias_ih": _gates(layer, both[0]), "bias_hh": _gates(layer, both[1])}
    return found


def write(unit: Unit, state: Mapping[str, np.ndarray]) -> list[np.ndarray]:
    """Return Keras' arrays of a unit."""
    layer = unit.layer
    own = {name[len(unit.key) + 1 :]: value for name, value in state.items() if name.startswith(f"{unit.key}.")}
    if isinstance(layer, nn.Recurrent):
        return [np.ascontiguousarray(array) for suffix in unit.suffixes for array in _write_cell(layer, own, suffix)]
    order = ("weight", "bias", "running_mean", "running_var")
    found = [own[role] for role in order if role in own]
    return [np.ascontiguousarray(array.T) if isinstance(layer, nn.Linear) else array for array in found]


def _write_cell(layer: nn.Recurrent, own: Mapping[str, np.ndarray], suffix: str) -> list[np.ndarray]:
    found = [_gates(layer, own[f"{role}{suffix}"]).T for role in ("weight_ih", "weight_hh")]
    if layer.bias:
        both = [_gates(layer, own[f"{role}{suffix}"]) for role in ("bias_ih", "bias_hh")]
        found.append(np.stack(both) if _has_two(layer) else both[0] + both[1])
    return found


def _has_two(layer: Layer) -> bool:
    """Return whether a layer has two biases in Keras."""
    return isinstance(layer, nn.GRU) and layer.reset_after


def _gates(layer: Layer, rows: np.ndarray) -> np.ndarray:
    """Exchange the first two gates of a GRU; those of the others are in the same order."""
    if not isinstance(layer, nn.GRU):
        return rows
    first, second, third = np.split(rows, 3)
    return np.concatenate([second, first, third])


# What both say of a layer ----------------------------------------------------------------------------------------------------


def refuse(unit: Unit, config: Mapping[str, Any]) -> None:
    """Raise Misfit if Keras' layer computes something else, whatever the weights are."""
    layer = unit.layer
    if config.get("invert") is True:
        raise Misfit("it has invert=True, which multiplies by the spread and adds the mean")
    if isinstance(layer, nn.Linear):
        terms = str(config.get("equation", "")).replace(" ", "").replace("->", ",").split(",")
        if len(terms) == 3 and terms[1] != terms[0][-1:] + terms[2][-1:]:
            raise Misfit(f"its equation {config['equation']!r} is no product of the last dimension with a kernel [in, out]")
        if config.get("data_format") == "channels_first" or config.get("strides") not in (None, 1, (1,), [1]):
            raise Misfit("it takes other steps or dimensions than each step by itself")
        return
    if not isinstance(layer, nn.Recurrent):
        return
    if isinstance(layer, nn.GRU) and config.get("reset_after", layer.reset_after) != layer.reset_after:
        raise Misfit(_OTHER_RESET[layer.reset_after])
    cell = layer.nonlinearity if isinstance(layer, nn.RNN) else "tanh"
    for name, ours in (("activation", cell), ("recurrent_activation", "sigmoid")):
        if config.get(name, ours) != ours:
            raise Misfit(f"its {name} is {config[name]!r}, where it is {ours!r} here")
    if config.get("go_backwards") is True:
        raise Misfit("it has go_backwards=True; reverse the time steps of the data instead")


#: By reset_after of the layer here.
_OTHER_RESET = {
    True: "its reset gate acts before the product with the recurrent kernel, here after it; make the layer with reset_after=False",
    False: "its reset gate acts after the product with the recurrent kernel, here before it; make the layer with reset_after=True",
}


def other_reset(unit: Unit, shapes: Sequence[Shape]) -> str:
    """Return what to do if the arrays are those of a GRU with the other reset_after, which has another bias; or ""."""
    layer = unit.layer
    if not (isinstance(layer, nn.GRU) and layer.bias):
        return ""
    size = 3 * layer.hidden_size
    return _OTHER_RESET[layer.reset_after] if ((size,) if layer.reset_after else (2, size)) in shapes else ""


def differences(unit: Unit, config: Mapping[str, Any]) -> list[str]:
    """Return what differs between a layer and that of Keras: what changes the results a little, or only training."""
    layer, found = unit.layer, []
    eps = config.get("epsilon")
    if isinstance(layer, nn.BatchNorm1d | nn.LayerNorm) and isinstance(eps, float) and not np.isclose(eps, layer.eps, rtol=1e-6):
        found.append(f"eps is {layer.eps:g} here and {eps:g} in Keras: make the layer with eps={eps:g}")
    if isinstance(layer, nn.BatchNorm1d) and "invert" in config and (layer.eps > 1e-9 or layer.trainable):
        found.append("a Normalization of Keras is nn.BatchNorm1d(n, eps=0.0, affine=False, trainable=False) here")
    momentum = config.get("momentum")
    if isinstance(layer, nn.BatchNorm1d) and isinstance(momentum, float):
        wanted = round(1 - momentum, 9)
        if layer.momentum is None or not np.isclose(wanted, layer.momentum, rtol=1e-6):
            own = "None" if layer.momentum is None else f"{layer.momentum:g}"
            found.append(f"momentum is {own} here and {momentum:g} in Keras, which is {wanted:g} here: make it momentum={wanted:g}")
    merge = config.get("merge_mode", "concat")
    if isinstance(layer, nn.Recurrent) and layer.bidirectional and merge != "concat":
        found.append(f"Keras joins the two directions by merge_mode={merge!r}, and here they are concatenated")
    return found
