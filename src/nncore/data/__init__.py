"""Conversion of users' data into arrays for a model: reading, checks, weights and splits. Arrays are not copied if the core can
read them.

What users call is listed in ``__all__``: data in parts, and reading ahead.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .._lazy import lazily
from ..errors import ShapeError
from .arrays import as_array as as_array
from .arrays import check_finite as check_finite
from .arrays import shape_of as shape_of
from .inputs import bind_inputs as bind_inputs
from .splits import bind_groups as bind_groups
from .splits import split_groups as split_groups
from .splits import split_rows as split_rows
from .targets import bind_target as bind_target
from .targets import check_labels as check_labels
from .targets import check_range as check_range
from .weights import ClassWeight as ClassWeight
from .weights import bind_weight as bind_weight
from .weights import class_weights as class_weights
from .weights import labels_of as labels_of
from .weights import per_output as per_output

if TYPE_CHECKING:
    from .ahead import ReadAhead, read_ahead
    from .partitioned.source import Parts, parquet, parts

__all__ = ["Parts", "ReadAhead", "parquet", "parts", "read_ahead"]

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazily(__name__, __all__, {"ahead": "ReadAhead read_ahead", "partitioned.source": "Parts parquet parts"})


def bind_prediction(y_pred: Any, name: str = "y_pred") -> np.ndarray:
    """Return predictions as a C-contiguous [N, columns] array of float32 if they are float32, else of float64."""
    array = as_array(y_pred, name, np.dtype(np.float64))
    if array.ndim not in (1, 2) or array.size == 0:
        raise ShapeError(f"{name} has shape {array.shape}; pass [N] or [N, columns] with at least one row")
    dtype = array.dtype if array.dtype == np.float32 else np.dtype(np.float64)
    return np.ascontiguousarray(array.reshape(len(array), -1), dtype)
