"""The modules of torch.nn that have a layer of nncore, and how the layer is made. Weights are copied."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ... import layers as nn
from ..._checks import warn
from ...data.arrays import to_array
from ...errors import NncoreError
from ...layers import Layer


class Unknown(Exception):
    """A module or a call that has no counterpart. The text says why, and what to do."""


RECURRENT = ("RNN", "GRU", "LSTM")
#: Modules whose arguments have nncore's names.
_SAME: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("Identity", "Sigmoid", "Tanh", "ReLU", "ReLU6", "SELU", "SiLU", "Softsign", "Mish"), ()),
    **dict.fromkeys(("LogSigmoid", "Tanhshrink", "Hardsigmoid", "Hardswish"), ()),
    "LeakyReLU": ("negative_slope",),
    "ELU": ("alpha",),
    "CELU": ("alpha",),
    "GELU": ("approximate",),
    "Softplus": ("beta", "threshold"),
    "Hardtanh": ("min_val", "max_val"),
    "Hardshrink": ("lambd",),
    "Softshrink": ("lambd",),
    "Threshold": ("threshold", "value"),
    "GLU": ("dim",),
    "Dropout": ("p",),
}
_HINTS = {
    "RNNCell": "use torch.nn.RNN over the whole sequence",
    "GRUCell": "use torch.nn.GRU over the whole sequence",
    "LSTMCell": "use torch.nn.LSTM over the whole sequence",
    "Bilinear": "nncore has no bilinear layer; torch.nn.Linear of the concatenated inputs is the nearest",
    "RReLU": "its slope is random in training; use LeakyReLU",
    "Softmin": "write it as torch.softmax(-x, dim=-1)",
    "AlphaDropout": "use Dropout",
    "BatchNorm2d": "nncore has no images; BatchNorm1d takes [N, C] and [N, C, length]",
    "EmbeddingBag": "use Embedding, and the mean over dim=1",
    "MultiheadAttention": "nncore has no attention",
    "TransformerEncoderLayer": "nncore has no attention",
}


def fixed(layer: Layer, **arrays: np.ndarray) -> Layer:
    """Give a layer that no module has values which nothing changes."""
    layer.__dict__.update(_pending=arrays, _fixed=True)
    return layer


def _linear(m: Any) -> Layer:
    return nn.Linear(m.in_features, m.out_features, bias=m.bias is not None)


def _batch_norm(m: Any) -> Layer:
    return nn.BatchNorm1d(m.num_features, m.eps, m.momentum, m.weight is not None, m.running_mean is not None)


def _layer_norm(m: Any) -> Layer:
    return nn.LayerNorm(tuple(m.normalized_shape), m.eps, m.weight is not None, m.bias is not None)


def _embedding(m: Any) -> Layer:
    if m.scale_grad_by_freq:
        raise Unknown("scale_grad_by_freq=True has no counterpart; make it False")
    if m.max_norm is not None and m.norm_type != 2:
        raise Unknown(f"max_norm limits the Euclidean norm here, not that of norm_type={m.norm_type}")
    return nn.Embedding(m.num_embeddings, m.embedding_dim, m.padding_idx, m.max_norm)


def _softmax(m: Any) -> Layer:
    return softmax(known(m) or "", m.dim)


def softmax(name: str, dim: Any) -> Layer:
    """Return Softmax or LogSoftmax over the last dimension, or raise Unknown."""
    if dim == 0:
        raise Unknown("dim=0 is the batch; use dim=-1")
    return nn.LogSoftmax(1 if dim is None else dim) if name == "LogSoftmax" else nn.Softmax(1 if dim is None else dim)


def _flatten(m: Any) -> Layer:
    if m.start_dim == 0:
        raise Unknown("start_dim=0 is the batch; use 1")
    return nn.Flatten(m.start_dim, m.end_dim)


def _prelu(m: Any) -> Layer:
    return nn.PReLU(m.num_parameters)


def _recurrent(m: Any) -> Layer:
    if getattr(m, "proj_size", 0):
        raise Unknown(f"proj_size={m.proj_size} has no counterpart; use proj_size=0 and a Linear after it")
    return recurrent_layer(m)


def recurrent_layer(m: Any, **options: Any) -> Layer:
    """Return the layer of a torch.nn.RNN, GRU or LSTM. It has the batch first in any case."""
    if m.mode.startswith("RNN"):
        options["nonlinearity"] = m.mode[4:].lower()
    cls: Any = {"GRU": nn.GRU, "LSTM": nn.LSTM}.get(m.mode, nn.RNN)
    layer: Layer = cls(
        m.input_size,
        m.hidden_size,
        m.num_layers,
        bias=m.bias,
        dropout=float(m.dropout) if m.num_layers > 1 else 0.0,
        bidirectional=m.bidirectional,
        **options,
    )
    return layer


#: Name of a class of torch.nn -> what makes the layer.
TABLE: dict[str, Callable[[Any], Layer]] = {
    "Linear": _linear,
    "BatchNorm1d": _batch_norm,
    "LayerNorm": _layer_norm,
    "Embedding": _embedding,
    "Softmax": _softmax,
    "LogSoftmax": _softmax,
    "Flatten": _flatten,
    "PReLU": _prelu,
    **dict.fromkeys(RECURRENT, _recurrent),
}
#: Modules that `follow` treats as functions, because what they do depends on the shape of the input.
SHAPED = ("Unflatten", "AdaptiveAvgPool1d", "AdaptiveMaxPool1d")


def known(module: Any) -> str | None:
    """Return the name of the class in the tables whose `forward` a module has, or None if it has one of its own."""
    classes: tuple[Any, ...] = type(module).__mro__
    for cls in classes:
        if _is_listed(cls.__name__) and cls.__module__.startswith("torch.nn.") and type(module).forward is cls.forward:
            return str(cls.__name__)
    return None


def _is_listed(name: str) -> bool:
    return name in TABLE or name in _SAME or name in SHAPED


def is_lazy(module: Any) -> bool:
    """Return whether the size of a module is open until its first call."""
    return any(type(each).__name__.startswith("Uninitialized") for each in (*module.parameters(), *module.buffers()))


def problem(module: Any) -> str | None:
    """Return why a module without modules of its own cannot be converted, or None."""
    name = known(module)
    if name is None:
        return _HINTS.get(type(module).__name__, "nncore has no such layer; leave it out, or write it with the layers of the table")
    if (size := getattr(module, "output_size", 1)) not in (1, (1,)):
        return f"output_size={size}; only 1 is possible, the mean or the maximum of the last dimension"
    if hasattr(module, "parametrizations"):
        return "its weights are parametrized; call torch.nn.utils.parametrize.remove_parametrizations first"
    if is_lazy(module):
        return "its size is not known yet; call the module once with data"
    if any(p.device.type == "meta" for p in module.parameters()):
        return "its weights are on the device meta, and have no values"
    try:
        if name not in SHAPED:
            _made(module, name)
    except (Unknown, NncoreError) as error:
        return str(error)
    return None


def layer_of(module: Any, **options: Any) -> Layer:
    """Return the layer of a module in the table, without its weights. options: those of a recurrent layer, and a name."""
    name = known(module)
    assert name is not None
    layer = recurrent_layer(module, **options) if name in RECURRENT else _made(module, name)
    layer.__dict__["name"] = options.get("name")
    return layer


def give_values(layer: Layer, module: Any) -> None:
    """Let a layer that is in no network yet begin with a copy of a module's weights, and be frozen as the module is."""
    layer.__dict__["_pending"] = dict(_values(module))
    grads = {p.requires_grad for p in module.parameters(recurse=False)}
    layer.trainable = grads != {False}
    if len(grads) == 2:
        warn(
            f"from_torch: only some parameters of {type(module).__name__} have requires_grad; here all of them are trained, as "
            "trainable= is that of a layer"
        )


def _made(module: Any, name: str) -> Layer:
    if name in TABLE:
        return TABLE[name](module)
    cls: Any = getattr(nn, name)
    layer: Layer = cls(*(getattr(module, each) for each in _SAME[name]))
    return layer


def _values(module: Any) -> Iterator[tuple[str, np.ndarray]]:
    """Yield copies of parameters and buffers by name."""
    for name, value in module.state_dict().items():
        array = np.array(to_array(value), order="C")
        if name == "weight" and getattr(module, "max_norm", None) is not None:  # torch limits the norms when it looks vectors up
            norms = np.linalg.norm(array, axis=1, keepdims=True)
            array *= np.where(norms > module.max_norm, module.max_norm / (norms + 1e-7), 1).astype(array.dtype)
        yield name, array
