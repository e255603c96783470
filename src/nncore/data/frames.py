"""Conversion of frames and series (pandas, polars, and others with ``to_numpy``) into arrays. Errors name the column.

Frames can have missing values, arrays cannot. pandas would convert a missing value to NaN. NaN would spread to all weights, and the
loss would become NaN without an explanation. So a frame with a missing value raises an error. NaN in arrays is found by
``compile(check_finite=True)``.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .._checks import shown
from ..errors import DTypeError, NonFiniteError
from .refusals import advice_for, advice_for_column


def from_frame(frame: Any, name: str) -> np.ndarray:
    """Return the values of a frame or series as an array.

    Raises
    ------
    NonFiniteError
        A value is missing. The message names column and row, and the number of missing values.
    DTypeError
        A column contains text, dates or other objects.
    """
    _check_types(frame, name)
    array = np.asarray(frame.to_numpy())
    columns = [f", column {column!r}," for column in getattr(frame, "columns", ())] if array.ndim == 2 else [""]
    if array.dtype.kind == "O":
        for where, column in zip(columns, array.reshape(len(array), -1).T, strict=False):
            missing = [value is None or _differs_from_itself(value) for value in column]
            _refuse_missing(np.array(missing, bool), where, name)
            for row, value in enumerate(column):
                if not isinstance(value, int | float | np.number | np.bool_):
                    raise DTypeError(f"{name}{where} holds {shown(value)} at row {row}, not a number; {advice_for(value)}")
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


def _check_types(frame: Any, name: str) -> None:
    """Raise DTypeError if a column holds dates, time spans or lists. polars would turn dates into numbers without a word."""
    columns = [*getattr(frame, "columns", ())]
    dtypes = [*frame.dtypes] if columns and hasattr(frame, "dtypes") else [getattr(frame, "dtype", "")]
    for column, dtype in zip(columns or [None], dtypes, strict=False):
        advice = advice_for_column(dtype)
        if advice is not None:
            where = "" if column is None else f", column {column!r},"
            raise DTypeError(f"{name}{where} has the type {dtype}, not numbers; {advice}")


def _differs_from_itself(value: Any) -> bool:
    """Return whether a value is NaN, NaT or pandas.NA (whose comparisons have no truth value)."""
    try:
        return bool(value != value)
    except TypeError:  # pandas.NA
        return True
    except ValueError:  # an array
        return False


def _refuse_missing(missing: np.ndarray, where: str, name: str) -> None:
    if missing.any():
        rows = np.flatnonzero(missing)
        raise NonFiniteError(
            f"{name}{where} lacks {len(rows)} of {len(missing)} values, the first at row {rows[0]}; drop such rows or fill them in"
        )
