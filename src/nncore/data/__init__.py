"""Conversion of users' data into arrays for a model: reading, checks, weights and splits. Arrays are not copied if the core can
read them."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import ShapeError
from .arrays import as_array, check_finite, shape_of
from .inputs import bind_inputs
from .splits import bind_groups, split_groups, split_rows
from .targets import bind_target, check_labels, check_range
from .weights import ClassWeight, bind_weight, class_weights, labels_of, per_output

__all__ = [
    "ClassWeight",
    "as_array",
    "bind_groups",
    "bind_inputs",
    "bind_prediction",
    "bind_target",
    "bind_weight",
    "check_finite",
    "check_labels",
    "check_range",
    "class_weights",
    "labels_of",
    "per_output",
    "shape_of",
    "split_groups",
    "split_rows",
]


def bind_prediction(y_pred: Any, name: str = "y_pred") -> np.ndarray:
    """Return predictions as a C-contiguous [N, columns] array of float32 if they are float32, else of float64."""
    array = as_array(y_pred, name, np.dtype(np.float64))
    if array.ndim not in (1, 2) or array.size == 0:
        raise ShapeError(f"{name} has shape {array.shape}; pass [N] or [N, columns] with at least one row")
    dtype = array.dtype if array.dtype == np.float32 else np.dtype(np.float64)
    return np.ascontiguousarray(array.reshape(len(array), -1), dtype)
