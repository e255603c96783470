"""Weights of samples and of classes: checked, and multiplied into one number per row.

A weight scales a row's loss and how much the row counts in the metrics, as scikit-learn's ``sample_weight`` and Keras's
``weighted_metrics`` do. Class weights hold while training; validation data keep their own weights.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..errors import ArgumentError, LabelError, NonFiniteError, ShapeError
from .arrays import as_array

ClassWeight = Mapping[int, float] | str | None


def bind_weight(weight: Any, rows: int, name: str = "sample_weight") -> np.ndarray | None:
    """Return float64 weights [rows], or None.

    Raises
    ------
    ShapeError
        Another number of weights than rows.
    NonFiniteError, ArgumentError
        A weight is NaN, infinite or negative.
    """
    if weight is None:
        return None
    array = as_array(weight, name, np.dtype(np.float64))
    if array.size != rows or array.ndim not in (1, 2) or len(array) != rows:
        steps = "; time steps have no weights of their own, but lengths= leaves padding out" if array.shape[:1] == (rows,) else ""
        raise ShapeError(
            f"{name} has shape {array.shape}, but there are {rows} rows: one weight per row is needed, ({rows},){steps}"
        )
    array = np.ascontiguousarray(array.reshape(rows), np.float64)
    bad = np.flatnonzero(~(np.isfinite(array) & (array >= 0)))
    if bad.size:
        error = ArgumentError if np.isfinite(array[bad[0]]) else NonFiniteError
        raise error(f"{name} is {array[bad[0]]} at row {bad[0]}; weights must be finite and not negative")
    return array


def labels_of(target: np.ndarray, form: str) -> np.ndarray | None:
    """Return the class index of each row of bound targets, or None where they are no single class."""
    if form == "classes":
        return target.astype(np.int64) if target.ndim == 1 else None
    if form == "one_hot" and target.ndim == 2 and target.shape[1] > 1:
        labels: np.ndarray = target.argmax(axis=1)
        return labels
    if form in ("probabilities", "signs") and target.size == len(target):
        column = target.reshape(-1)
        hard = bool(np.all((column == 1) | (column == (0 if form == "probabilities" else -1))))
        return (column > 0).astype(np.int64) if hard else None
    return None


def class_weights(class_weight: Mapping[int, float] | str, target: np.ndarray, form: str, classes: int) -> np.ndarray:
    """Return the weight that each row has by its class.

    Parameters
    ----------
    class_weight : mapping or "balanced"
        Class index -> weight (1 where missing); or N / (classes * rows of the class), as scikit-learn has it.
    target : numpy.ndarray
        Bound targets of the rows that train.
    form : str
        The form of the targets, see data/targets.py.
    classes : int
        How many there are; 2 for targets that say yes or no.

    Returns
    -------
    numpy.ndarray
        float64 [N].

    Raises
    ------
    LabelError
        The targets are no classes, or a class in the mapping does not exist.
    ArgumentError
        A weight is negative or not finite.
    """
    labels = labels_of(target, form)
    if labels is None:
        raise LabelError("class_weight needs targets that give one class per row; use sample_weight instead")
    if isinstance(class_weight, str):
        if class_weight != "balanced":
            raise ArgumentError(f"class_weight must be a dict {{class: weight}} or 'balanced', not {class_weight!r}")
        counts = np.bincount(labels, minlength=classes)
        table = len(labels) / (np.count_nonzero(counts) * np.maximum(counts, 1))
    else:
        keys = {-1: 0} if form == "signs" and -1 in class_weight else {}
        for key, value in class_weight.items():
            if isinstance(key, str) or key != int(key) or isinstance(value, str):
                raise LabelError(
                    f"class_weight must be a dict from class indices, 0 to {classes - 1}, to numbers, but holds {key!r}: {value!r}"
                )
        by_class = {keys.get(int(k), int(k)): float(w) for k, w in class_weight.items()}
        unknown = sorted(k for k in by_class if not 0 <= k < classes)
        if unknown:
            raise LabelError(f"class_weight has a weight for class {unknown[0]}, but the classes run from 0 to {classes - 1}")
        if not all(0 <= w < float("inf") for w in by_class.values()):
            raise ArgumentError(f"class_weight: weights must be finite and not negative: {dict(class_weight)!r}")
        table = np.array([by_class.get(k, 1.0) for k in range(classes)])
    scaled: np.ndarray = table[labels]
    return scaled
