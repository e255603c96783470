"""Estimators for scikit-learn: neural networks that work in pipelines, searches and ensembles.

They need scikit-learn 1.6 or newer, which is imported when one of them is first used: ``pip install "nncore[sklearn]"``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._lazy import lazily

if TYPE_CHECKING:
    from .mlp import MLPClassifier, MLPRegressor
    from .recurrent import RecurrentClassifier, RecurrentRegressor
    from .single import LinearSVM, Perceptron, SoftmaxRegression
    from .wrapped import Classifier, Regressor

__all__ = [
    "Classifier",
    "LinearSVM",
    "MLPClassifier",
    "MLPRegressor",
    "Perceptron",
    "RecurrentClassifier",
    "RecurrentRegressor",
    "Regressor",
    "SoftmaxRegression",
]

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazily(
        __name__,
        __all__,
        {
            "mlp": "MLPClassifier MLPRegressor",
            "recurrent": "RecurrentClassifier RecurrentRegressor",
            "single": "LinearSVM Perceptron SoftmaxRegression",
            "wrapped": "Classifier Regressor",
        },
    )
