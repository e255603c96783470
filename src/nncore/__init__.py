"""nncore: neural networks on the CPU, one C call per training step.

Layers and state dicts follow PyTorch's names and conventions, training follows Keras's. Start with `Sequential`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import _late_calls
from ._core import __version__
from ._lazy import lazily

if TYPE_CHECKING:
    from . import callbacks, errors, init, layers, losses, metrics, optim, schedules, typing
    from .checking import check_gradients
    from .config import get_num_threads, set_num_threads, show_config, threads
    from .data.preparation import make_windows, pad_sequences
    from .graph import Input, Value
    from .layers import (
        CELU,
        ELU,
        GELU,
        GRU,
        LSTM,
        RNN,
        SELU,
        Add,
        Average,
        BatchNorm1d,
        Concatenate,
        Dropout,
        Embedding,
        Flatten,
        GaussianNoise,
        GlobalAveragePooling1D,
        GlobalMaxPooling1D,
        Hardshrink,
        Hardsigmoid,
        Hardswish,
        Hardtanh,
        Identity,
        Lambda,
        LastStep,
        Layer,
        LayerNorm,
        LeakyReLU,
        Linear,
        LogSigmoid,
        LogSoftmax,
        Maximum,
        Maxout,
        Minimum,
        Mish,
        Multiply,
        PReLU,
        PythonLayer,
        Recurrent,
        ReLU,
        ReLU6,
        Rescaling,
        Reshape,
        Sigmoid,
        SiLU,
        Softmax,
        Softplus,
        Softshrink,
        Softsign,
        Step,
        Subtract,
        Tanh,
        Tanhshrink,
        Threshold,
        add,
        average,
        concatenate,
        maximum,
        minimum,
        multiply,
        subtract,
    )
    from .models import Model, Sequential, load
    from .training.history import History

__all__ = [
    "CELU",
    "ELU",
    "GELU",
    "GRU",
    "LSTM",
    "RNN",
    "SELU",
    "Add",
    "Average",
    "BatchNorm1d",
    "Concatenate",
    "Dropout",
    "Embedding",
    "Flatten",
    "GaussianNoise",
    "GlobalAveragePooling1D",
    "GlobalMaxPooling1D",
    "Hardshrink",
    "Hardsigmoid",
    "Hardswish",
    "Hardtanh",
    "History",
    "Identity",
    "Input",
    "Lambda",
    "LastStep",
    "Layer",
    "LayerNorm",
    "LeakyReLU",
    "Linear",
    "LogSigmoid",
    "LogSoftmax",
    "Maximum",
    "Maxout",
    "Minimum",
    "Mish",
    "Model",
    "Multiply",
    "PReLU",
    "PythonLayer",
    "ReLU",
    "ReLU6",
    "Recurrent",
    "Rescaling",
    "Reshape",
    "Sequential",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "Softplus",
    "Softshrink",
    "Softsign",
    "Step",
    "Subtract",
    "Tanh",
    "Tanhshrink",
    "Threshold",
    "Value",
    "__version__",
    "add",
    "average",
    "callbacks",
    "check_gradients",
    "concatenate",
    "errors",
    "get_num_threads",
    "init",
    "layers",
    "load",
    "losses",
    "make_windows",
    "maximum",
    "metrics",
    "minimum",
    "multiply",
    "optim",
    "pad_sequences",
    "schedules",
    "set_num_threads",
    "show_config",
    "subtract",
    "threads",
    "typing",
]

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazily(
        __name__,
        __all__,
        {
            "": "callbacks errors init layers losses metrics optim schedules typing",
            "config": "get_num_threads set_num_threads show_config threads",
            "checking": "check_gradients",
            "data.preparation": "make_windows pad_sequences",
            "graph": "Input Value",
            "models": "Model Sequential load",
            "training.history": "History",
        },
        rest="layers",
    )

# Functions of higher layers of the package that lower layers call; see _hooks.py.
_late_calls.merge_values.provide("nncore.layers.merge", "merge_values")
_late_calls.rescale_value.provide("nncore.layers.merge", "rescale_value")
_late_calls.call_layer.provide("nncore.network.standalone", "call_layer")
_late_calls.call_recurrent.provide("nncore.network.standalone_recurrent", "call_recurrent")
_late_calls.draw_parameters.provide("nncore.network.standalone_recurrent", "draw_parameters")
