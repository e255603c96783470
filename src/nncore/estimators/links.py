"""Links: the functions that make probabilities of scores, and which losses have scores that stand for none."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from ..layers import Sigmoid, Softmax
from ..losses import LOSSES
from ..models import Sequential

_MARGINS = ("hinge", "squared_hinge", "categorical_hinge", "perceptron")


def is_margin(loss: Any) -> bool:
    """Return whether a loss, or the one of this name, is of margins: its scores are no probabilities."""
    found = LOSSES.get(loss, loss) if isinstance(loss, str) else loss
    return getattr(found, "name", found) in _MARGINS


def probabilities(name: str, scores: np.ndarray) -> np.ndarray:
    """Return probabilities [N, columns] of scores [N, columns], by a small network that is made once. name: "sigmoid" or
    "softmax"."""
    found: np.ndarray = _network(name, scores.shape[1], scores.dtype.name).predict(scores)
    return found


@lru_cache(64)
def _network(name: str, columns: int, dtype: str) -> Any:
    return Sequential(Sigmoid() if name == "sigmoid" else Softmax(), seed=0, dtype=dtype).build((columns,))
