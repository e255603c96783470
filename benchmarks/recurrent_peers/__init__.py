"""Recurrent nets and their contestants: what peers is to the multilayer perceptrons.

A contestant of "recurrent" trains a layer with a linear head on its final states (squared error, SGD); of "forward" computes the
outputs of all steps; of "stream" takes one step per call and keeps the state. All get the same weights, under PyTorch's names, and
the same batches, batch first. The truth for all three kinds is PyTorch in float64, as the gate orders and formulas are its own.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .nets import NETS, Net
from .with_jax import JaxTrainer, jax_forward, jax_stream
from .with_nncore import NncoreTrainer, nncore_forward, nncore_stream
from .with_onnxruntime import onnxruntime_forward, onnxruntime_stream
from .with_torch import TorchBfloat16Trainer, TorchTrainer, torch_forward, torch_stream

__all__ = ["CONTESTANTS", "NETS", "OTHER_TRAINERS", "Net", "truth"]


def truth(kind: str, net: Net, steps: int) -> np.ndarray:
    import torch

    if kind == "recurrent":
        return TorchTrainer(net, torch.get_num_threads(), "float64").losses(steps)
    return (torch_forward if kind == "forward" else torch_stream)(net, torch.get_num_threads(), "float64").predict()


#: kind -> name -> constructor (net, threads) of a contestant.
CONTESTANTS: dict[str, dict[str, Callable[[Net, int], object]]] = {
    "recurrent": {
        "nncore fit": lambda net, threads: NncoreTrainer(net, threads, fit=True),
        "nncore train_on_batch": NncoreTrainer,
        "PyTorch": TorchTrainer,
        "JAX": lambda net, threads: JaxTrainer(net),
    },
    "forward": {
        "nncore": nncore_forward,
        "PyTorch": torch_forward,
        "JAX": lambda net, threads: jax_forward(net),
        "onnxruntime": onnxruntime_forward,
    },
    "stream": {
        "nncore": nncore_stream,
        "PyTorch": torch_stream,
        "JAX": lambda net, threads: jax_stream(net),
        "onnxruntime": onnxruntime_stream,
    },
}

#: The trainers in other precisions than float32, which only precision.py compares.
OTHER_TRAINERS: dict[str, Callable[[Net, int], object]] = {
    "nncore bfloat16": lambda net, threads: NncoreTrainer(net, threads, fit=True, compute="bfloat16"),
    "nncore float64": lambda net, threads: NncoreTrainer(net, threads, fit=True, dtype="float64"),
    "PyTorch bfloat16": TorchBfloat16Trainer,
}
