"""nncore: neural networks on the CPU, one C call per training step.

Layers and state dicts speak PyTorch's dialect, training speaks Keras's: see `Sequential`.
"""

from __future__ import annotations

from . import callbacks, errors, init, layers, losses, metrics, optim
from ._core import __version__
from .config import get_num_threads, set_num_threads, show_config, threads
from .history import History
from .layers import (
    ELU,
    GELU,
    SELU,
    BatchNorm1d,
    Dropout,
    Flatten,
    Hardtanh,
    Identity,
    Layer,
    LeakyReLU,
    Linear,
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
from .model import Model
from .saving import load
from .sequential import Sequential

__all__ = [
    "ELU",
    "GELU",
    "SELU",
    "BatchNorm1d",
    "Dropout",
    "Flatten",
    "Hardtanh",
    "History",
    "Identity",
    "Layer",
    "LeakyReLU",
    "Linear",
    "LogSoftmax",
    "Model",
    "ReLU",
    "Sequential",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "Softplus",
    "Softsign",
    "Step",
    "Tanh",
    "__version__",
    "callbacks",
    "errors",
    "get_num_threads",
    "init",
    "layers",
    "load",
    "losses",
    "metrics",
    "optim",
    "set_num_threads",
    "show_config",
    "threads",
]
