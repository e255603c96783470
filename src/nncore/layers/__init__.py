"""Layers: declarations with PyTorch's names, arguments and defaults. `base` says how to add one."""

from __future__ import annotations

from .activations import (
    ELU,
    GELU,
    SELU,
    Activation,
    Hardtanh,
    Identity,
    LeakyReLU,
    LogSoftmax,
    ReLU,
    Sigmoid,
    SiLU,
    Softmax,
    Softplus,
    Softsign,
    Step,
    Tanh,
)
from .base import Layer
from .dropout import Dropout
from .linear import Linear
from .merge import (
    Add,
    Average,
    Concatenate,
    Maximum,
    Merge,
    Minimum,
    Multiply,
    Rescaling,
    Subtract,
    add,
    average,
    concatenate,
    maximum,
    minimum,
    multiply,
    subtract,
)
from .normalization import BatchNorm1d
from .python import Lambda, PythonLayer
from .recurrent import GRU, LSTM, RNN, Recurrent
from .shape import Flatten

__all__ = [
    "ELU",
    "GELU",
    "GRU",
    "LSTM",
    "RNN",
    "SELU",
    "Activation",
    "Add",
    "Average",
    "BatchNorm1d",
    "Concatenate",
    "Dropout",
    "Flatten",
    "Hardtanh",
    "Identity",
    "Lambda",
    "Layer",
    "LeakyReLU",
    "Linear",
    "LogSoftmax",
    "Maximum",
    "Merge",
    "Minimum",
    "Multiply",
    "PythonLayer",
    "ReLU",
    "Recurrent",
    "Rescaling",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "Softplus",
    "Softsign",
    "Step",
    "Subtract",
    "Tanh",
    "add",
    "average",
    "concatenate",
    "maximum",
    "minimum",
    "multiply",
    "subtract",
]
