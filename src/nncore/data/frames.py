"""Frames and series (pandas, polars, and whatever else has ``to_numpy``) -> arrays, with errors that name the column.

They know missing values, and arrays do not: pandas would turn one into NaN, NaN would go through every weight of a net, and the
loss would be lost with no word about why. So a frame with a missing value is refused here; one in an array is found by
``compile(check_finite=True)``.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .._checks import shown
from ..errors import DTypeError, NonFiniteError


def from_frame(frame: Any, name: str) -> np.ndarray:
    """Return the numbers of a frame or series.

    Raises
    ------
    NonFiniteError
        A value is missing; the message names column and row, and says how many there are.
    DTypeError
        A column holds text, dates or other objects.
    """
    array = np.asarray(frame.to_numpy())
    columns = [f", column {column!r}," for column in getattr(frame, "columns", ())] if array.ndim == 2 else [""]
    if array.dtype.kind == "O":
        for where, column in zip(columns, array.reshape(len(array), -1).T, strict=False):
            missing = [value is None or _differs_from_itself(value) for value in column]
            _refuse_missing(np.array(missing, bool), where, name)
            for row, value in enumerate(column):
                if not isinstance(value, int | float | np.number | np.bool_):
                    raise DTypeError(
                        f"{name}{where} holds {shown(value)} at row {row}, not a number; turn it into numbers first, text by "
                        "numpy.unique(column, return_inverse=True)[1] or one column per value (get_dummies, to_dummies)"
                    )
        try:
            return array.astype(np.float64)
        except (TypeError, ValueError, OverflowError) as error:
            raise DTypeError(f"{name}: its values are not all real numbers ({error})") from error
    if array.dtype.kind == "f":
        missing_at = np.isnan(array).reshape(len(array), -1)
        if missing_at.any():
            bad = int(np.flatnonzero(missing_at.any(axis=0))[0])
            _refuse_missing(missing_at[:, bad], columns[bad] if len(columns) > bad else "", name)
    return array


def _differs_from_itself(value: Any) -> bool:
    """Whether it is NaN, NaT or pandas.NA (which leaves the question open)."""
    try:
        return bool(value != value)
    except (TypeError, ValueError):
        return True


def _refuse_missing(missing: np.ndarray, where: str, name: str) -> None:
    if missing.any():
        rows = np.flatnonzero(missing)
        raise NonFiniteError(
            f"{name}{where} lacks {len(rows)} of {len(missing)} values, the first at row {rows[0]}; drop such rows or fill them in"
        )
