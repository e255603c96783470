"""The contestants: one net, written the way each library's careful user would write it for speed on a CPU.

A trainer gives ``losses(k)``, the loss of each of the first k steps from the common initial weights, and ``run(k)``, which does
about k steps and returns how many. A predictor gives ``predict()`` for one fixed row and ``run(k)`` for k calls on it. Everything
that can be made ready beforehand (tensors on the library's side, compiled functions, slices of the data) is made in the
constructor, outside every timing. A library that is not installed raises ImportError there; nothing stands in for it.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from workloads import Workload

from .limits import PRODUCTS, Product, Update
from .predictor import Predictor
from .regularised import JaxRegularised, NumpyRegularised
from .with_jax import JaxTrainer, jax_predictor
from .with_nncore import NncoreTrainer, nncore_low_predictor, nncore_model, nncore_predictor
from .with_numpy import NumpyTrainer, numpy_forward, numpy_predictor
from .with_onnxruntime import onnxruntime_int8_predictor, onnxruntime_predictor
from .with_sklearn import SklearnTrainer, sklearn_predictor
from .with_torch import (
    TorchBfloat16Trainer,
    TorchCompiledTrainer,
    TorchTrainer,
    torch_bfloat16_predictor,
    torch_compiled_predictor,
    torch_int8_predictor,
    torch_predictor,
)

__all__ = [
    "OTHER_PREDICTORS",
    "OTHER_TRAINERS",
    "PREDICTORS",
    "PRODUCTS",
    "TRAINERS",
    "NncoreTrainer",
    "Product",
    "Update",
    "nncore_model",
    "nncore_predictor",
    "numpy_forward",
    "numpy_predictor",
    "numpy_trainer",
]


def numpy_trainer(work: Workload, dtype: type = np.float32) -> NumpyTrainer:
    return (NumpyRegularised if work.batch_norm else NumpyTrainer)(work, dtype)


def jax_trainer(work: Workload, scan: bool = False) -> JaxTrainer:
    return (JaxRegularised if work.batch_norm else JaxTrainer)(work, scan)


#: name -> constructor (workload, threads) of a trainer.
TRAINERS: dict[str, Callable[[Workload, int], object]] = {
    "nncore fit": lambda work, threads: NncoreTrainer(work, threads, fit=True),
    "nncore train_on_batch": NncoreTrainer,
    "NumPy": lambda work, threads: numpy_trainer(work),
    "PyTorch": TorchTrainer,
    "PyTorch compiled": TorchCompiledTrainer,
    "JAX": lambda work, threads: jax_trainer(work),
    "JAX scan": lambda work, threads: jax_trainer(work, scan=True),
    "scikit-learn": lambda work, threads: SklearnTrainer(work),
}

#: name -> constructor (workload, threads) of a predictor.
PREDICTORS: dict[str, Callable[[Workload, int], Predictor]] = {
    "nncore model(x)": nncore_predictor,
    "nncore predict": lambda work, threads: nncore_predictor(work, threads, "predict"),
    "nncore predict_on_batch": lambda work, threads: nncore_predictor(work, threads, "into"),
    "NumPy": lambda work, threads: numpy_predictor(work),
    "PyTorch": torch_predictor,
    "PyTorch compiled": torch_compiled_predictor,
    "JAX": lambda work, threads: jax_predictor(work),
    "scikit-learn": lambda work, threads: sklearn_predictor(work),
    "onnxruntime": onnxruntime_predictor,
}

#: The same in other precisions than float32, which only precision.py compares.
OTHER_TRAINERS: dict[str, Callable[[Workload, int], object]] = {
    "nncore bfloat16": lambda work, threads: NncoreTrainer(work, threads, fit=True, compute="bfloat16"),
    "nncore float64": lambda work, threads: NncoreTrainer(work, threads, fit=True, dtype="float64"),
    "PyTorch bfloat16": TorchBfloat16Trainer,
}
OTHER_PREDICTORS: dict[str, Callable[[Workload, int], Predictor]] = {
    "nncore bfloat16": lambda work, threads: nncore_low_predictor(work, threads, "bfloat16"),
    "nncore int8": lambda work, threads: nncore_low_predictor(work, threads, "int8"),
    "PyTorch bfloat16": torch_bfloat16_predictor,
    "PyTorch int8": torch_int8_predictor,
    "onnxruntime int8": onnxruntime_int8_predictor,
}
