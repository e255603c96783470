"""Conversion of array-like objects into arrays from which the core can gather rows. Copies are made only if necessary.

The core reads float16, float32, float64, integers of any width and bool. Each row must be contiguous; the distance between rows is
arbitrary. Such arrays, and in particular memory maps, are used as they are. From a memory map of samples or targets the core also
reads other layouts (Fortran order, the other byte order, extended precision), but more slowly. In all other cases these layouts are
converted, and so are other number types. Data that are not numbers raise an error.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from .._checks import shown
from ..errors import ArgumentError, DTypeError, NonFiniteError, ShapeError
from ..records import Shape
from .frames import from_frame
from .refusals import is_tensor, refuse_array, refuse_object

_READABLE = "?bBhHiIlLqQefd"  # the characters of the types that the core reads

BLOCK = 1 << 18  # elements that are processed together, so that a memory map is never loaded as a whole


def as_array(value: Any, name: str, dtype: np.dtype[Any], *, as_mapped: bool = False) -> np.ndarray:
    """Return ``value`` as an array that the core can read.

    Parameters
    ----------
    value : array_like
        NumPy array, memory map, (nested) list, pandas or polars frame or series, torch tensor, anything with DLPack.
    name : str
        The name of the value in error messages.
    dtype : numpy.dtype
        The type to which other number types are converted (extended precision, numbers in object arrays).
    as_mapped : bool
        Whether to return a memory map unchanged, whatever its layout. The sources of a plan can read all layouts.

    Raises
    ------
    DTypeError
        The value contains text, dates, complex numbers, masked or sparse data, or other objects.
    ShapeError
        The value is a ragged list.
    NonFiniteError
        The value is a frame or series with missing values.
    """
    if type(value) is np.ndarray:  # nearly always
        kind, flags = value.dtype, value.flags
        if kind.char in _READABLE and kind.isnative and flags.c_contiguous and flags.aligned:
            return value
    masked = getattr(sys.modules.get("numpy.ma"), "MaskedArray", ())  # if it is not imported, no array is masked
    if isinstance(value, masked):
        raise DTypeError(f"{name}: masked arrays would lose their mask; fill the gaps first, for example with {name}.filled(0)")
    if isinstance(value, np.ndarray):
        # A subclass may report other values than its memory contains.
        array = value if type(value) is np.memmap else np.asarray(value)
    else:
        array = from_frame(value, name) if hasattr(value, "to_numpy") else _convert(value, name)
    kind, size = array.dtype.kind, array.dtype.itemsize
    if as_mapped and kind in "fiub" and (size in (1, 2, 4, 8) or array.dtype == np.longdouble) and _is_mapped(array):
        return array
    if kind not in "fiub" or (kind == "f" and size not in (2, 4, 8)):
        array = _numbers(array, name, dtype, value)
    elif not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("="))
    return _readable(array)


def _convert(value: Any, name: str) -> np.ndarray:
    refuse_object(value, name)
    if is_tensor(value):  # possibly on another device or with a gradient
        value = value.detach().cpu()
    elif isinstance(value, list | tuple) and any(map(is_tensor, value)):
        value = [_convert(each, name) for each in value]
    try:
        if hasattr(value, "__dlpack__") and not hasattr(value, "__array__"):
            return np.asarray(np.from_dlpack(value))
        return np.asarray(value)
    except (ValueError, TypeError, OverflowError, RuntimeError) as error:
        if "inhomogeneous" in str(error):
            raise ShapeError(f"{name}: its rows have different lengths ({error}); pad them to one length") from error
        raise DTypeError(f"{name}: {type(value).__name__} cannot be read as an array of numbers ({error})") from error


def _numbers(array: np.ndarray, name: str, dtype: np.dtype[Any], given: Any) -> np.ndarray:
    """Convert number types that the core cannot read. Raise DTypeError if the values are not numbers."""
    # NumPy would convert "1.5" to a number and None to NaN.
    if array.dtype.kind == "f" or (array.dtype.kind == "O" and not any(isinstance(v, str | bytes | None) for v in array.flat)):
        try:
            return array.astype(dtype)
        except OverflowError:
            raise NonFiniteError(f"{name} holds a number that is too large for {dtype}") from None
        except (ValueError, TypeError):
            pass
    refuse_array(array, name, given)
    raise AssertionError


def _is_mapped(array: Any) -> bool:
    """Return whether the memory of an array is a mapped file."""
    while isinstance(array, np.ndarray) and not isinstance(array, np.memmap):
        array = array.base
    return isinstance(array, np.memmap)


def _readable(array: np.ndarray) -> np.ndarray:
    """Return the array itself if each row is contiguous and aligned and the row stride is a whole number of elements; else a copy.

    Rows may be apart, in reverse order, or overlap. So a sliding window over a series is not copied.
    """
    if array.flags.c_contiguous and array.flags.aligned:
        return array
    if array.ndim == 0 or not array.flags.aligned or array.strides[0] % array.itemsize:
        return np.array(array, order="C")
    expected = array.itemsize
    for length, stride in zip(array.shape[:0:-1], array.strides[:0:-1], strict=True):
        if length > 1 and stride != expected:
            return np.array(array, order="C")
        expected *= length
    return array


def shape_of(value: Any) -> Shape:
    """Return the shape of an array of any library, or of nested lists."""
    return tuple(value.shape) if hasattr(value, "shape") else np.shape(value)


def check_finite(array: np.ndarray, name: str, dtype: np.dtype[Any]) -> None:
    """Raise NonFiniteError with the row and column if ``array`` contains NaN, infinity, or what is infinite in ``dtype``."""
    if array.dtype.kind != "f":
        return  # the largest integer is finite in every floating type of a network
    step = max(1, BLOCK // max(1, array[:1].size))
    for first in range(0, len(array), step):
        part = array[first : first + step]
        with np.errstate(over="ignore"):
            bad = ~np.isfinite(part.astype(dtype) if part.dtype.itemsize > dtype.itemsize else part)
        if bad.any():
            row, *column = (int(i) for i in np.argwhere(bad)[0])
            where = f", column {column[0] if len(column) == 1 else tuple(column)}" if column else ""
            found = array[(first + row, *column)]
            why = f", which is infinite in {dtype}" if np.isfinite(found) else ""
            raise NonFiniteError(f"{name} is {found} at row {first + row}{where}{why}; drop such rows or fill them in")


def copy_into(view: np.ndarray, value: Any, name: str) -> None:
    """Copy an array or a (torch) tensor into a parameter of exactly the same shape."""
    array = to_array(value)
    if array.dtype.kind not in "fiub":
        raise ArgumentError(f"{name}: values must be real numbers, not {array.dtype}")
    if array.shape != view.shape:
        raise ShapeError(f"{name} has shape {view.shape}; an array of shape {array.shape} cannot be copied into it")
    view[...] = array


def to_array(value: Any) -> np.ndarray:
    """Return a NumPy array for any array-like object. This includes PyTorch tensors on any device."""
    if isinstance(value, np.ndarray):
        return np.asarray(value)
    if is_tensor(value):
        value = value.detach().cpu()
        if str(value.dtype) == "torch.bfloat16":  # NumPy has no such type
            value = value.float()
        value = value.numpy()
    try:
        return np.asarray(value)
    except (ValueError, TypeError, OverflowError, RuntimeError) as error:
        raise ShapeError(f"{shown(value)} cannot be read as an array: {error}") from None
