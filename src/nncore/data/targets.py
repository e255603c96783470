"""Targets: the forms that losses take. Errors name a loss that fits the given targets.

    values         numbers of the output's shape
    probabilities  numbers in [0, 1] of the output's shape (binary_crossentropy)
    signs          all in {0, 1} or all in {-1, +1} of the output's shape; 0/1 becomes -1/+1 (hinge, perceptron)
    one_hot        a distribution over the classes in each row (categorical_crossentropy)
    classes        one whole number in [0, classes) per row (sparse_categorical_crossentropy); perhaps one more that is ignored
    repeated       numbers of the output's shape, or of one column that stands for all (quantile)
    halved         numbers for half of the output's columns (gaussian_nll)

If an output has one column, targets may be [N] or [N, 1]. If a sample of the output has several lines, [lines, columns], each line
has its own target, and "row" in messages counts lines.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import LabelError, NonFiniteError, ShapeError
from ..records import Shape
from .arrays import BLOCK, as_array, shape_of
from .batches import is_array


def only_target(y: Any, shape: Shape, rows: int) -> Any:
    """Return the targets of the only output, which may stand in a list, as for several outputs. shape: that of the output."""
    if not isinstance(y, list | tuple) or len(y) != 1 or not is_array(y[0]):
        return y
    found = shape_of(y[0])
    return y[0] if found[:1] == (rows,) and (rows > 1 or len(found) > len(shape)) else y


def bind_target(
    y: Any,
    form: str,
    shape: Shape,
    rows: int,
    loss: str,
    dtype: np.dtype[Any],
    name: str = "y",
    *,
    ignored: int | None = None,
) -> np.ndarray:
    """Return targets in the form that the core reads: class indices, one per row or line, or numbers in the shape of the output.

    Parameters
    ----------
    y : array_like
        The targets.
    form : str
        One of the forms listed at the top of this file.
    shape : tuple of int
        Shape of the output for one sample.
    rows : int
        N, the number of samples.
    loss : str
        The name of the loss in error messages.
    dtype : numpy.dtype
        The type of the network, to which other types are converted.
    name : str
        The name of the targets in error messages.
    ignored : int or None
        A class index that is allowed besides those of the classes.

    Raises
    ------
    ShapeError, LabelError, DTypeError, NonFiniteError
        The targets do not fit. The message says what would fit.
    """
    array = as_array(y, name, dtype, as_mapped=True)
    if array.ndim == 0 or len(array) != rows:
        found = "a single number" if array.ndim == 0 else f"{len(array)} rows"
        raise ShapeError(f"{name} has {found} and x has {rows}; each row of x needs its target")
    *lines, columns = shape or (1,)
    if form == "classes":
        return _classes(array, tuple(lines), columns, loss, name, ignored)
    if form == "halved":
        shape, columns = (*lines, columns // 2), columns // 2
    wanted = (rows, *shape)
    if form == "repeated" and columns > 1 and array.shape in (wanted[:-1], (*wanted[:-1], 1)):
        return np.ascontiguousarray(np.broadcast_to(array.reshape(*wanted[:-1], 1), wanted))
    if columns > 1 and array.shape in (wanted[:-1], (*wanted[:-1], 1)):  # one number in place of several
        if form == "one_hot":
            raise LabelError(
                f"{name} of shape {array.shape} holds class indices, but {loss} takes {columns} numbers in their place: use "
                f"sparse_categorical_crossentropy, or one-hot targets (numpy.eye({columns})[{name}])"
            )
        raise ShapeError(
            f"{name} has shape {array.shape}, but the output of the model has shape {wanted}; for class indices use "
            "sparse_categorical_crossentropy"
        )
    if array.shape != wanted and (columns > 1 or array.shape != wanted[:-1]) and array.shape[1:] != (int(np.prod(shape)),):
        fewer = columns == 1 and array.ndim == len(wanted)
        hint = f"; let the last layer have {array.shape[-1]} outputs, or pass one column" if fewer else ""
        raise ShapeError(f"{name} has shape {array.shape}, but the output of the model has shape {wanted}{hint}")
    if form not in _FORMS:
        return array
    return _FORMS[form](array.reshape(-1, columns), loss, name, dtype).reshape(wanted)


def _classes(array: np.ndarray, lines: Shape, classes: int, loss: str, name: str, ignored: int | None) -> np.ndarray:
    rows = len(array)
    if array.shape == (rows, *lines, classes) and classes > 1:
        raise LabelError(
            f"{name} of shape {array.shape} holds one-hot targets, but {loss} takes class indices: use categorical_crossentropy, "
            f"or pass {name}.argmax(axis=-1)"
        )
    if array.shape not in ((rows, *lines), (rows, *lines, 1)):
        raise ShapeError(f"{name} has shape {array.shape}, but {loss} takes class indices of shape {(rows, *lines)}")
    array = array.reshape(rows, *lines)
    flat = array.reshape(-1)
    if array.dtype.kind == "f":
        bad = np.flatnonzero(flat != np.floor(flat))  # this includes NaN, which equals nothing
        if bad.size:
            _refuse(flat, bad[0], name, f"{loss} takes whole numbers in [0, {classes})")
    check_range(flat if ignored is None else np.where(flat == ignored, 0, flat), classes, loss, name)
    return array


def check_range(labels: np.ndarray, classes: int, loss: str, name: str = "y") -> None:
    """Raise LabelError with the wrong value and its row unless all of ``labels`` (whole numbers) are in [0, classes)."""
    if len(labels) and not 0 <= labels.min() <= labels.max() < classes:
        row = np.flatnonzero((labels < 0) | (labels >= classes))[0]
        hint = f"; the last layer has {classes} outputs, so classes run from 0 to {classes - 1}"
        if labels.min() == 1 and labels.max() == classes:
            hint += f"; yours seem to run from 1: pass {name} - 1"
        _refuse(labels, row, name, f"{loss} takes class indices in [0, {classes}){hint}")


def _probabilities(array: np.ndarray, loss: str, name: str, dtype: np.dtype[Any]) -> np.ndarray:
    bad = _outside(array, 0, 1)
    if bad is not None:
        low, high = array.min(), array.max()
        hint = ""
        if low == -1 and high == 1:
            hint = f"; for labels -1/+1 use hinge, or pass ({name} + 1) / 2"
        elif high > 1 and low >= 0 and array.shape[1] == 1 and np.array_equal(array, np.floor(array)):
            hint = _for_classes(np.unique(array), name)
        _refuse(array, bad, name, f"{loss} takes targets in [0, 1]{hint}")
    return array


def _for_classes(found: np.ndarray, name: str) -> str:
    """Return what to do with labels other than 0 and 1. found: the different ones, in increasing order."""
    least, most = int(found[0]), int(found[-1])
    if len(found) == 2:
        return f"; for the two classes {least} and {most} pass {name} == {most}"
    if len(found) == 1:
        return ""
    from_one = f", with {name} - 1" if least == 1 else ""
    classes = most + (0 if from_one else 1)
    return f"; for {classes} classes use {classes} outputs and sparse_categorical_crossentropy{from_one}"


def _one_hot(array: np.ndarray, loss: str, name: str, dtype: np.dtype[Any]) -> np.ndarray:
    bad = _outside(array, 0, 1)
    if bad is not None:
        _refuse(array, bad, name, f"{loss} takes numbers in [0, 1] that sum to 1 in each row")
    if array.dtype.kind != "f" or array.shape[1] > 1:
        total = array.sum(axis=1, dtype=np.float64)
        off = np.flatnonzero(~(np.abs(total - 1) < 1e-3))
        if off.size:
            hint = "; if several classes may hold at once, use Sigmoid and binary_crossentropy" if total[off[0]] > 1 else ""
            raise LabelError(f"row {off[0]} of {name} sums to {total[off[0]]:g}, but {loss} takes rows that sum to 1{hint}")
    return array


def _signs(array: np.ndarray, loss: str, name: str, dtype: np.dtype[Any]) -> np.ndarray:
    low = -1 if array.size and array.dtype.kind in "fi" and array.min() < 0 else 0
    bad = np.argwhere((array != low) & (array != 1))
    if len(bad):
        _refuse(array, bad[0], name, f"{loss} takes targets that are all in {{0, 1}} or all in {{-1, 1}}")
    if low == -1:
        return array
    return np.asarray(array * dtype.type(2) - dtype.type(1), dtype)


def check_labels(array: np.ndarray, columns: int, metric: str, name: str, lengths: np.ndarray | None = None) -> None:
    """Raise LabelError unless targets that may be any numbers are labels, of which a metric of classes can be computed.

    Parameters
    ----------
    array : numpy.ndarray
        The targets, [N, ...].
    columns : int
        Width of the output. In one column the labels are all in {0, 1} or all in {-1, 1}. Several columns are one-hot, or the
        probabilities of the classes. NaN is accepted.
    metric, name : str
        The names of the metric and of the targets in error messages.
    lengths : numpy.ndarray or None
        The number of valid time steps of each row.
    """
    seen: set[float] = set()
    step = max(1, BLOCK // max(1, array[:1].size))
    for first in range(0, len(array), step):
        part = array[first : first + step]
        if lengths is not None and part.ndim > 1:
            part = part[np.arange(part.shape[1]) < lengths[first : first + step, None]]
        part = np.asarray(part, np.float64).reshape(-1, columns)
        bad = _no_decision(part, seen) if columns == 1 else _no_class(part)
        if bad is not None:
            wanted = (
                "one class for each row: one-hot targets" if columns > 1 else "targets that are all in {0, 1} or all in {-1, 1}"
            )
            hint = "For several classes at once use Sigmoid and binary_crossentropy; for" if columns > 1 else "For"
            raise LabelError(f"{name} holds {bad}, but metric {metric!r} needs {wanted}. {hint} regression use 'mae' or 'r2'")


def _no_decision(part: np.ndarray, seen: set[float]) -> float | None:
    """Return a target that is neither 0/1 nor -1/+1 like the ones seen before."""
    for value in (0.0, -1.0):
        if (part == value).any():
            seen.add(value)
    other = part[(part != 0) & (np.abs(part) != 1) & ~np.isnan(part)]
    if other.size:
        return float(other[0])
    return 0.0 if len(seen) > 1 else None


def _no_class(part: np.ndarray) -> list[float] | None:
    """Return a row that neither is one-hot (0/1 or -1/+1) nor has the probabilities of the classes."""
    signs = (np.abs(part) == 1).all(axis=1) & ((part == 1).sum(axis=1) == 1)
    chances = (np.abs(part.sum(axis=1) - 1) < 1e-3) & (part.min(axis=1) >= 0)
    bad = np.flatnonzero(~(signs | chances | np.isnan(part).any(axis=1)))
    return part[bad[0]].tolist() if bad.size else None


_FORMS = {"probabilities": _probabilities, "one_hot": _one_hot, "signs": _signs}


def _outside(array: np.ndarray, low: float, high: float) -> np.ndarray | None:
    """Return the index of the first element that is outside [low, high] or NaN."""
    if array.dtype.kind == "b" or not array.size or (array.min() >= low and array.max() <= high):
        return None
    where: np.ndarray = np.argwhere(~((array >= low) & (array <= high)))[0]
    return where


def _refuse(array: np.ndarray, index: Any, name: str, wanted: str) -> None:
    index = tuple(int(i) for i in np.atleast_1d(index))
    value = array[index].item()
    where = f"row {index[0]}" + (f", column {index[1]}" if len(index) > 1 and array.shape[1] > 1 else "")
    error = NonFiniteError if value != value else LabelError
    raise error(f"{name} is {value} at {where}, but {wanted}")
