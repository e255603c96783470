"""Losses of data, without penalties: that of answers, that of the best constant answer, and the least possible one."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf, isfinite
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from .case import Rows


class Measure:
    """The losses of a model, one per output, with their weights and the shapes of the outputs."""

    def __init__(self, losses: Sequence[Any], weights: Sequence[float], shapes: Sequence[tuple[int, ...]]) -> None:
        self._outputs = list(zip(losses, weights, shapes, strict=True))

    def of(self, answers: Sequence[np.ndarray], rows: Rows) -> float:
        """Return the loss of answers, one array per output; infinity if it is not finite."""
        total = 0.0
        for (loss, weight, _), y, answer in zip(self._outputs, rows.targets.values(), answers, strict=True):
            total += weight * _value(loss, y, answer, rows.lengths)
        return total if isfinite(total) else inf

    def chance(self, rows: Rows) -> float:
        """Return the least loss of an answer that is the same for each of these rows; NaN if it is not known."""
        total = 0.0
        for (loss, weight, shape), y in zip(self._outputs, rows.targets.values(), strict=True):
            guesses = _constants(loss, y, (len(y), *shape))
            found = [value for guess in guesses if isfinite(value := _value(loss, y, guess, rows.lengths))]
            total += min(found, default=float("nan")) * weight
        return total

    def floor(self, rows: Rows) -> float:
        """Return the least loss that answers can have, 0 if it is not known: labels that are smoothed or shares leave some."""
        total = 0.0
        for (loss, weight, shape), y in zip(self._outputs, rows.targets.values(), strict=True):
            if loss.from_logits or loss.targets == "signs" or np.size(y) == 0:
                continue
            least = _value(loss, y, _perfect(loss, np.asarray(y), (len(y), *shape)), rows.lengths)
            total += weight * least if isfinite(least) else 0.0
        return max(0.0, total)


def _value(loss: Any, y: np.ndarray, prediction: np.ndarray, lengths: np.ndarray | None = None) -> float:
    """Return a loss, or infinity if it is not finite. The valid time steps of sequences count as rows."""
    if prediction.ndim > 2:
        columns, time = prediction.shape[-1], prediction.shape[1]
        y = np.asarray(y).reshape(-1, columns) if np.size(y) == prediction.size else np.asarray(y).reshape(-1)
        prediction = prediction.reshape(-1, columns)
        if lengths is not None and len(prediction) == len(lengths) * time:
            valid = (np.arange(time) < lengths[:, None]).ravel()
            y, prediction = y[valid], prediction[valid]
    with np.errstate(all="ignore"):
        found = np.asarray(loss(y, prediction), np.float64)
    value = float(found.mean()) if found.size else 0.0
    return value if isfinite(value) else inf


def _perfect(loss: Any, y: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Return the answers that the targets ask for."""
    columns = shape[-1] if len(shape) > 1 else 1
    if loss.targets == "classes":
        found = np.eye(columns)[y.astype(np.int64).clip(0, columns - 1).reshape(-1)]
    else:
        found = y.astype(np.float64).reshape(-1, columns) if y.size % columns == 0 else np.zeros((1, columns))
    smoothing = float(getattr(loss, "label_smoothing", 0.0) or 0.0)
    found = (1 - smoothing) * found + smoothing / max(2, columns) if smoothing else found
    return found.reshape(shape) if found.size == np.prod(shape) else np.zeros(shape)


def _constants(loss: Any, y: np.ndarray, shape: tuple[int, ...]) -> list[np.ndarray]:
    """Return predictions that are the same for every row, of which one is the best for the loss, if that is known."""
    tiny = 1e-7
    columns = shape[-1] if len(shape) > 1 else 1
    if loss.targets == "classes" or (loss.targets == "one_hot" and y.ndim < len(shape)):
        counts = np.bincount(np.asarray(y, np.int64).ravel().clip(0), minlength=columns)[:columns]
        guess = counts / max(1, counts.sum())
    elif loss.targets in ("one_hot", "probabilities", "values"):
        flat = np.asarray(y, np.float64).reshape(-1, columns) if np.size(y) % columns == 0 else np.zeros((1, columns))
        guess = flat.mean(0)
        if loss.targets == "values":
            return [np.broadcast_to(each, shape).astype(np.float64) for each in (guess, np.median(flat, 0))]
    else:
        return [np.broadcast_to(np.float64(each), shape).copy() for each in (-1.0, 0.0, 1.0)]
    if loss.from_logits:
        odds = np.log(guess + tiny)
        guess = odds - np.log(1 - guess + tiny) if loss.targets == "probabilities" else odds
    return [np.broadcast_to(guess, shape).astype(np.float64)]
