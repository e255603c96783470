"""Weights of samples, time steps and classes: checks, and their product as one number per row or step.

A weight scales the loss of a row and its contribution to those metrics that are in ``weighted_metrics``, as in Keras. Class weights
apply only to training. Validation data have their own weights.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np

from .._checks import is_number, real, shown
from ..errors import ArgumentError, LabelError, NonFiniteError, ShapeError
from ..records import Shape
from .arrays import as_array
from .sequences import Steps

_FLOAT64 = np.dtype(np.float64)

OneClassWeight = Mapping[int, float] | str | None
#: For one output, by name, or one per output. In a dict any string is accepted, so that type checkers need no annotations.
ClassWeight = (
    Literal["balanced"]
    | Mapping[int, float]
    | Mapping[str, OneClassWeight]
    | Sequence[Mapping[int, float] | Literal["balanced"] | None]
    | None
)


def bind_weight(
    weight: Any,
    rows: int,
    name: str = "sample_weight",
    lines: Shape = (),
    steps: Steps | None = None,
    dtype: np.dtype[Any] = _FLOAT64,
) -> np.ndarray | None:
    """Return float64 weights [rows], or [rows, time, ...] if time steps have their own weights, or None.

    Parameters
    ----------
    weight : array_like or None
        One number per row, per line of the output, or per entry of any number of its first dimensions.
    rows : int
        N.
    name : str
        The name of the weights in error messages.
    lines : tuple of int
        The shape of the output for one sample without its last dimension. Its entries can have their own weights.
    steps : Steps or None
        The valid time steps of each row. Weights of other steps are ignored, and come last.
    dtype : numpy.dtype
        The type of the network, in which the weights must be finite.

    Raises
    ------
    ShapeError
        The number of weights is neither that of the rows nor that of the time steps.
    NonFiniteError, ArgumentError
        A weight is NaN, negative, or infinite in ``dtype``.
    """
    if weight is None:
        return None
    array = as_array(weight, name, np.dtype(np.float64))
    shapes = [(rows,), *((rows, *lines[: depth + 1]) for depth in range(len(lines)))]
    fitting = [shape for shape in shapes if array.shape in (shape, (*shape, 1))]
    if not fitting:
        more = "".join(f", or {shape}" for shape in shapes[1:])
        hint = f"; its time steps may have their own{more}" if lines else ""
        if not lines and array.ndim > 1 and len(array) == rows:
            hint = "; only an output with time steps, [N, time, features], can have more"
        raise ShapeError(
            f"{name} has shape {array.shape}, but there are {rows} rows: one weight per row is needed, ({rows},){hint}"
        )
    array = np.ascontiguousarray(array.reshape(fitting[0]), np.float64)
    if steps is not None and array.ndim > 1:
        array = steps.cleared(array)
    with np.errstate(over="ignore"):
        bad = np.argwhere(~(np.isfinite(array.astype(dtype)) & (array >= 0)))
    if len(bad):
        row, *step = bad[0].tolist()
        value = array[tuple(bad[0])]
        where = f", step {step[0] if len(step) == 1 else tuple(step)}" if step else ""
        where += f", which is infinite in {dtype}" if np.isfinite(value) and value > 0 else ""
        error = ArgumentError if value < 0 and np.isfinite(value) else NonFiniteError
        raise error(f"{name} is {value} at row {row}{where}; weights must be finite and not negative")
    return array if steps is None or array.ndim == 1 else steps.gathered(array)


def per_output(class_weight: ClassWeight, names: Sequence[str]) -> list[OneClassWeight]:
    """Return the class weights of each output, from a dict by name, a list, or the weights of the only output.

    Raises
    ------
    ArgumentError
        A name is unknown, or the output is not specified.
    """
    if class_weight is None:
        return [None] * len(names)
    if isinstance(class_weight, Mapping) and any(isinstance(key, str) for key in class_weight):
        unknown = [key for key in class_weight if key not in names]
        if not unknown:
            return [class_weight.get(name) for name in names]  # type: ignore[call-overload]
        if len(names) > 1:
            raise ArgumentError(f"class_weight: the outputs are {list(names)}; unknown {shown(unknown)}")
    if len(names) == 1:
        return [class_weight]  # type: ignore[list-item]
    if isinstance(class_weight, Mapping | str):
        raise ArgumentError(
            f"class_weight: the model has {len(names)} outputs; say by name which one is meant, for example "
            f"{{{names[0]!r}: {shown(class_weight)}}}"
        )
    if len(class_weight) != len(names):
        raise ArgumentError(f"class_weight: a list of {len(names)} is needed, one per output, not of {len(class_weight)}")
    return list(class_weight)


def labels_of(target: np.ndarray, form: str) -> np.ndarray | None:
    """Return the class index of each row or line of bound targets, or None if the targets are not classes."""
    if form == "classes":
        return target.astype(np.int64)
    if form == "one_hot" and target.ndim > 1 and target.shape[-1] > 1:
        labels: np.ndarray = target.argmax(axis=-1)
        return labels
    if form in ("probabilities", "signs") and (target.ndim == 1 or target.shape[-1] == 1):
        column = target.reshape(target.shape[:1] if target.ndim < 3 else target.shape[:-1])
        hard = bool(np.all((column == 1) | (column == (0 if form == "probabilities" else -1))))
        return (column > 0).astype(np.int64) if hard else None
    return None


def class_weights(
    class_weight: Mapping[int, float] | str | Any,
    target: np.ndarray,
    form: str,
    classes: int,
    lengths: np.ndarray | None = None,
    name: str = "class_weight",
    ignored: int | None = None,
) -> np.ndarray:
    """Return the weight of each row or time step, according to its class.

    Parameters
    ----------
    class_weight : mapping or "balanced"
        Class index -> weight (1 if missing). "balanced" means N / (classes * rows of the class), as in scikit-learn.
    target : numpy.ndarray
        Bound targets of the rows for training.
    form : str
        The form of the targets; see data/targets.py.
    classes : int
        The number of classes; 2 for binary targets.
    lengths : numpy.ndarray or None
        The number of valid time steps of each row.
    name : str
        The name of the argument in error messages.
    ignored : int or None
        The class index that does not count. Its weight is 1.

    Returns
    -------
    numpy.ndarray
        float64 [N], or [N, time, ...].

    Raises
    ------
    LabelError
        The targets are not classes, or a class in the mapping does not exist.
    ArgumentError
        A weight is negative or not finite.
    """
    labels = labels_of(target, form)
    if labels is None:
        raise LabelError(f"{name} needs targets that give one class per row or time step; use sample_weight instead")
    if isinstance(class_weight, str):
        if class_weight != "balanced":
            raise ArgumentError(f"{name} must be a dict {{class: weight}} or 'balanced', not {shown(class_weight)}")
        counted = labels if lengths is None or labels.ndim == 1 else labels[np.arange(labels.shape[1]) < lengths[:, None]]
        counted = counted if ignored is None else counted[counted != ignored]
        counts = np.bincount(counted.reshape(-1), minlength=classes)
        table = counted.size / (np.count_nonzero(counts) * np.maximum(counts, 1))
    elif isinstance(class_weight, Mapping):
        keys = {-1: 0} if form == "signs" and -1 in class_weight else {}
        for key, value in class_weight.items():
            is_index = is_number(key) and abs(key) < 2**63 and key == int(key)  # the comparison excludes NaN
            if not is_index or not is_number(value):
                raise LabelError(
                    f"{name} must be a dict from class indices, 0 to {classes - 1}, to numbers, "
                    f"but holds {shown(key)}: {shown(value)}"
                )
            real(name, f"the weight of class {shown(key)}", value, 0.0)
        by_class = {keys.get(int(k), int(k)): float(w) for k, w in class_weight.items()}
        unknown = sorted(k for k in by_class if not 0 <= k < classes)
        if unknown:
            raise LabelError(f"{name} has a weight for class {unknown[0]}, but the classes run from 0 to {classes - 1}")
        table = np.array([by_class.get(k, 1.0) for k in range(classes)])
    else:
        raise ArgumentError(f"{name} must be a dict {{class: weight}} or 'balanced', not {shown(class_weight)}")
    if ignored is not None:
        return np.where(labels == ignored, 1.0, table[np.where(labels == ignored, 0, labels)])
    scaled: np.ndarray = table[labels]
    return scaled
