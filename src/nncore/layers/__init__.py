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
from .normalization import BatchNorm1d
from .shape import Flatten

__all__ = [
    "ELU",
    "GELU",
    "SELU",
    "Activation",
    "BatchNorm1d",
    "Dropout",
    "Flatten",
    "Hardtanh",
    "Identity",
    "Layer",
    "LeakyReLU",
    "Linear",
    "LogSoftmax",
    "ReLU",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "Softplus",
    "Softsign",
    "Step",
    "Tanh",
]
