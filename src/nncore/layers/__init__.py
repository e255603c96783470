"""Layers: declarations with PyTorch's names, arguments and defaults. base.py explains how to add one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._lazy import lazily

if TYPE_CHECKING:
    from .activations import (
        ELU,
        GELU,
        SELU,
        Hardtanh,
        Identity,
        LeakyReLU,
        ReLU,
        Sigmoid,
        SiLU,
        Softplus,
        Softsign,
        Step,
        Tanh,
    )
    from .base import Layer
    from .dropout import Dropout, GaussianNoise
    from .embedding import Embedding
    from .glu import GLU
    from .lambdas import Lambda
    from .linear import Linear
    from .maxout import Maxout
    from .merge import (
        Add,
        Average,
        Concatenate,
        Maximum,
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
    from .normalization import BatchNorm1d, LayerNorm
    from .piecewise import Hardshrink, Hardsigmoid, Hardswish, ReLU6, Softshrink, Threshold
    from .pooling import GlobalAveragePooling1D, GlobalMaxPooling1D, LastStep
    from .prelu import PReLU
    from .python import PythonLayer
    from .recurrent import GRU, LSTM, RNN, Recurrent
    from .shape import Flatten, Permute, RepeatVector, Reshape
    from .slicing import Slice, Take
    from .smooth import CELU, Exp, LogSigmoid, Mish, Tanhshrink
    from .softmax import LogSoftmax, Softmax

__all__ = [
    "CELU",
    "ELU",
    "GELU",
    "GLU",
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
    "Exp",
    "Flatten",
    "GaussianNoise",
    "GlobalAveragePooling1D",
    "GlobalMaxPooling1D",
    "Hardshrink",
    "Hardsigmoid",
    "Hardswish",
    "Hardtanh",
    "Identity",
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
    "Multiply",
    "PReLU",
    "Permute",
    "PythonLayer",
    "ReLU",
    "ReLU6",
    "Recurrent",
    "RepeatVector",
    "Rescaling",
    "Reshape",
    "SiLU",
    "Sigmoid",
    "Slice",
    "Softmax",
    "Softplus",
    "Softshrink",
    "Softsign",
    "Step",
    "Subtract",
    "Take",
    "Tanh",
    "Tanhshrink",
    "Threshold",
    "add",
    "average",
    "concatenate",
    "maximum",
    "minimum",
    "multiply",
    "subtract",
]

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazily(
        __name__,
        __all__,
        {
            "activations": "ELU GELU SELU Hardtanh Identity LeakyReLU ReLU Sigmoid SiLU Softplus Softsign Step Tanh",
            "base": "Layer",
            "dropout": "Dropout GaussianNoise",
            "embedding": "Embedding",
            "lambdas": "Lambda",
            "glu": "GLU",
            "linear": "Linear",
            "maxout": "Maxout",
            "merge": "Add Average Concatenate Maximum Minimum Multiply Rescaling Subtract add average concatenate "
            "maximum minimum multiply subtract",
            "normalization": "BatchNorm1d LayerNorm",
            "piecewise": "Hardshrink Hardsigmoid Hardswish ReLU6 Softshrink Threshold",
            "pooling": "GlobalAveragePooling1D GlobalMaxPooling1D LastStep",
            "prelu": "PReLU",
            "python": "PythonLayer",
            "recurrent": "GRU LSTM RNN Recurrent",
            "shape": "Flatten Permute RepeatVector Reshape",
            "slicing": "Slice Take",
            "smooth": "CELU Exp LogSigmoid Mish Tanhshrink",
            "softmax": "LogSoftmax Softmax",
        },
    )
