"""The nets of these tests: one that PyTorch can make, too, from the same expressions, and a small one."""

import pytest

import nncore as nn

LAYERS = [
    "Linear(5, 7)",
    "ReLU()",
    "Dropout(0.5)",
    "Linear(7, 4, bias=False)",
    "Tanh()",
    "Linear(4, 3)",
    "LogSoftmax(dim=-1)",
]


def network(dtype="float64", seed=0):
    return nn.Sequential(*[eval(f"nn.{layer}") for layer in LAYERS], seed=seed, dtype=dtype)


def torch_network():
    torch = pytest.importorskip("torch")
    return torch.nn.Sequential(*[eval(layer, vars(torch.nn)) for layer in LAYERS]).double()


def small(**options):
    return nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2), **{"seed": 0, **options})
