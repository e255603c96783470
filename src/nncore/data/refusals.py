"""Sentences about data that are not numbers: what they are, and how numbers are made of them."""

from __future__ import annotations

import datetime
import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from .._checks import shown
from ..errors import DTypeError

_DATES = (
    "turn dates into numbers first, for example days since the first one ((dates - dates.min()).dt.days, in polars dt.total_days())"
)
_SPANS = "turn time spans into numbers first, for example seconds (spans.dt.total_seconds())"
_TEXT = (
    "encode text as numbers first (labels by numpy.unique(labels, return_inverse=True)[1], a column by one column per value: "
    "get_dummies, to_dummies)"
)
_NESTED = (
    "its entries are arrays or lists; make one array of them, numpy.stack(...) or nn.pad_sequences(...) if their lengths differ"
)
_BY_KIND = {"U": _TEXT, "S": _TEXT, "M": _DATES, "m": _SPANS}
_OTHERS = "turn every value into a number first"
_SMALL = ("bfloat16", "float8_", "float6_", "float4_")  # types that NumPy knows only through other libraries, or not at all


def is_tensor(value: Any) -> bool:
    """Return whether a value is a tensor of PyTorch. An open file has ``detach`` as well, which takes it apart."""
    return hasattr(value, "detach") and hasattr(value, "cpu")


def refuse_object(value: Any, name: str) -> None:
    """Raise DTypeError if an object is known to hold no numbers that NumPy can read, with what to do instead."""
    if value is None:
        raise DTypeError(f"{name} is None, not an array of numbers")
    if hasattr(value, "toarray") and hasattr(value, "nnz"):
        raise DTypeError(f"{name}: sparse matrices are not supported; pass {name}.toarray() if it fits into memory")
    if hasattr(value, "collect") and not hasattr(value, "shape"):
        raise DTypeError(
            f"{name} is a {type(value).__name__}, whose values are not computed yet; pass {name}.collect(), or, if it does not fit "
            f"into memory, write it by {name}.sink_parquet(path) and pass nn.data.parquet(path, target=...)"
        )
    if isinstance(value, os.PathLike) or (isinstance(value, str) and value.endswith((".parquet", ".pq"))):
        raise DTypeError(f"{name} is a path; for files of Parquet pass nn.data.parquet({shown(str(value))}, target=...)")
    if type(value).__module__ == "pyarrow._dataset":
        raise DTypeError(f"{name} is a dataset of pyarrow, which fit, evaluate and predict read in parts; here pass an array")
    if not is_tensor(value):
        return
    dtype = str(getattr(value, "dtype", "")).removeprefix("torch.")
    if dtype.startswith(_SMALL):
        raise DTypeError(f"{name} is a tensor of {dtype}, which NumPy does not have; pass {name}.float()")
    if dtype.startswith(("quint", "qint")):
        raise DTypeError(f"{name} is a quantized tensor; pass {name}.dequantize()")
    if str(getattr(value, "layout", "torch.strided")) != "torch.strided":
        raise DTypeError(f"{name} is a sparse tensor; pass {name}.to_dense() if it fits into memory")
    if getattr(value, "is_meta", False):
        raise DTypeError(f"{name} is a tensor on the device 'meta', which has no values")


def refuse_array(array: np.ndarray, name: str, given: Any) -> None:
    """Raise DTypeError for an array that holds other things than numbers. given: the object from which it was made."""
    dtype = array.dtype
    if dtype.names:
        fields = ", ".join(map(shown, dtype.names[:5])) + (", ..." if len(dtype.names) > 5 else "")
        how = f"numpy.lib.recfunctions.structured_to_unstructured({name})"
        raise DTypeError(f"{name} is a structured array with the fields {fields}, not numbers; pass {how}")
    if dtype.name.startswith(_SMALL):
        raise DTypeError(f"{name} has dtype {dtype.name}, which nncore does not read; pass {name}.astype('float32')")
    if dtype.kind == "O" and array.ndim == 0:
        raise DTypeError(f"{name} is {_article(type(given).__name__)}, not numbers; pass an array, a frame or lists of numbers")
    if dtype.kind == "O":
        odd = next((value for value in array.flat if not _is_number(value)), None)
        raise DTypeError(f"{name} has dtype {dtype} and holds {shown(odd)}, not numbers; {advice_for(odd)}")
    found = f"its first value is {shown(array.flat[0])}" if array.size else "it is empty"
    advice = f"pass {name}.real and {name}.imag as columns of their own" if dtype.kind == "c" else _BY_KIND.get(dtype.kind, _OTHERS)
    raise DTypeError(f"{name} has dtype {dtype} ({found}), not numbers; {advice}")


def advice_for(value: Any) -> str:
    """Return what to do with a value that is not a number."""
    if isinstance(value, str | bytes):
        return _TEXT
    if value is None:
        return "turn every column into numbers, fill what is missing, or drop such rows"
    if isinstance(value, datetime.timedelta | np.timedelta64):
        return _SPANS
    if isinstance(value, datetime.date | datetime.time | np.datetime64) or type(value).__name__ == "Period":
        return _DATES
    if isinstance(value, complex | np.complexfloating):
        return "pass real and imaginary parts as columns of their own"
    if isinstance(value, Mapping):
        return "its entries are dicts; make one column for each key"
    if isinstance(value, list | tuple | set) or hasattr(value, "shape"):
        return _NESTED
    return _OTHERS


def advice_for_column(dtype: Any) -> str | None:
    """Return what to do with a column of a frame whose type says that it holds no numbers, or None. Text is found by its values."""
    text = str(dtype).lower()
    if text.startswith(("timedelta", "duration")):
        return _SPANS
    if text.startswith(("date", "time", "period")):  # datetime64, Date, Datetime, Time, timestamp
        return _DATES
    return _NESTED if text.startswith(("list", "array", "struct", "large_list")) else None


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | np.number | np.bool_) and not isinstance(value, np.complexfloating | np.timedelta64)


def _article(word: str) -> str:
    return f"an {word}" if word[:1].lower() in "aeiou" else f"a {word}"
