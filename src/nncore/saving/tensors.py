"""The safetensors format: 8 bytes, little-endian, with the length of a JSON header; the header; the tensors, back to back.

The header maps each name to dtype, shape and the offsets of its bytes after the header, and "__metadata__" to strings
(https://github.com/huggingface/safetensors#format). Reading checks everything before it is used: the length of the header against
the file and a limit; the memory for parsing the header; and the header itself before any tensor is read. Tensors must fill the file
without gap or overlap, and their sizes must fit dtype and shape. Types that NumPy does not have, such as BF16, raise an error.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from typing import Any, NamedTuple, NoReturn, Self

import numpy as np

from .._core import files
from ..errors import ArgumentError, FileFormatError
from ..records import Shape
from . import atomic, formats

#: The largest length of a header. Parsing it blocks the interpreter for about 0.1 s.
LONGEST_HEADER = 4 << 20
MOST_DIMENSIONS = 32
DEEPEST = 64  #: the largest depth of nested objects and lists; a schedule in a schedule adds two
LONGEST_NUMBER = 40  #: the largest number of characters of a number; Python writes at most 25, and 64 bits need 20
_METADATA = "__metadata__"
_TYPES = {
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    "I64": "<i8",
    "I32": "<i4",
    "I16": "<i2",
    "I8": "|i1",
    "U64": "<u8",
    "U32": "<u4",
    "U16": "<u2",
    "U8": "|u1",
    "BOOL": "|b1",
}
_NAMES = {np.dtype(code): name for name, code in _TYPES.items()}


def stored_types() -> frozenset[np.dtype[Any]]:
    """Return the element types that a file can contain, in native byte order."""
    return frozenset(_NAMES)


_BLOCK = 1 << 18  # bytes that are read in one call


class Tensor(NamedTuple):
    """The position of a tensor in the file."""

    dtype: np.dtype[Any]
    shape: Shape
    begin: int  #: offset in bytes from the start of the file
    size: int  #: size in bytes


#: Measured memory in bytes for reading, without the values of tensors: per tensor, per layer, per call of a layer in a graph,
#: and per parameter.
TENSOR, LAYER, CALL, PARAMETER = 900, 2100, 2700, 1300


def room(size: int) -> int:
    """Return the largest memory in bytes for the description in a file of this size.

    With the values of the tensors, which take up to 1.3 times their size if rows are padded, the total is at most twice the file
    and 16 MB.
    """
    return (14 << 20) + size * 2 // 3


def weigh(text: bytes) -> int:
    """Return an upper estimate of the bytes that JSON text takes while it is parsed and as objects."""
    _, objects, lists, members, elements, _ = files.measure_json(text)
    letters = len(text) * (1 if text.isascii() else 5)
    return 2 * letters + 64 * objects + 80 * lists + 190 * members + 55 * elements


class Reader:
    """An open file with a checked header.

    Parameters
    ----------
    path : str or path-like
        The file.

    Attributes
    ----------
    metadata : dict of str to str
    tensors : dict of str to Tensor
    size : int
        Size of the whole file in bytes.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = atomic.checked_path("load", path)
        self.custom_objects: Mapping[str, Any] = {}  # the argument of load
        self._file = files.InputFile(os.fsencode(self.path), self.path)
        self.size = self._file.size
        self._room = room(self.size)
        self.metadata, self.tensors = self._header()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def take(self, field: str, size: int, is_passing: bool = False) -> None:
        """Reserve ``size`` bytes of memory for a field. Raise an error if a file of this size cannot need so much.

        is_passing: the memory is temporary and can be reserved again.
        """
        if size > self._room:
            self.fail(
                field,
                f"describes more than a file of {self.size} bytes can: reading it would take some {size} bytes of memory beside "
                "the numbers; it has too many layers, or too many settings",
            )
        self._room -= 0 if is_passing else size

    def fail(self, field: str, problem: str) -> NoReturn:
        """Raise FileFormatError with the names of the file and the field."""
        raise FileFormatError(f"{self.path}: {field}: {problem}")

    def read(self, name: str) -> np.ndarray:
        """Return a tensor as a new array."""
        tensor = self.tensors[name]
        array = np.empty(tensor.shape, tensor.dtype)
        self._fill(name, tensor.begin, array)
        return array

    def read_into(self, name: str, view: np.ndarray) -> None:
        """Copy a tensor block by block into a view of its shape."""
        tensor = self.tensors[name]
        if not view.ndim or not view.size:
            view[...] = self.read(name)
            return
        self._read_rows(name, tensor.begin, view, tensor.dtype)

    def _read_rows(self, name: str, begin: int, view: np.ndarray, dtype: np.dtype[Any]) -> None:
        row = view.size // len(view) * dtype.itemsize
        if row > _BLOCK and view.ndim > 1:
            for i, each in enumerate(view):
                self._read_rows(name, begin + i * row, each, dtype)
            return
        step = max(1, _BLOCK // row)
        buffer = np.empty((min(step, len(view)), *view.shape[1:]), dtype)
        for first in range(0, len(view), step):
            block = buffer[: len(view) - first]
            self._fill(name, begin + first * row, block)
            view[first : first + step] = block

    def _fill(self, name: str, begin: int, array: np.ndarray) -> None:
        if array.nbytes and self._file.read_into(begin, array.reshape(-1).view(np.uint8)) != array.nbytes:
            self.fail(f"tensor {name!r}", "the file ends within it; it has been shortened while it was read")

    def _header(self) -> tuple[dict[str, str], dict[str, Tensor]]:
        if self.size < 8:
            self.fail("header length", f"the file has {self.size} bytes, too few for one; it is no safetensors file")
        length = int.from_bytes(self._file.read(0, 8), "little")
        if length > min(self.size - 8, LONGEST_HEADER) and (found := formats.looks_like(self._file.read(0, min(self.size, 64)))):
            self.fail("header length", f"there is none, as this is no safetensors file, but {found}")
        if length > self.size - 8:
            self.fail("header length", f"{length} bytes, but only {self.size - 8} follow; no safetensors file, or one cut short")
        if length > LONGEST_HEADER:
            self.fail("header length", f"{length} bytes; more than {LONGEST_HEADER} are not read")
        header = parse(self, "header", self._file.read(8, length))
        if not isinstance(header, dict):
            self.fail("header", f"an object is needed, not {kind(header)}")
        metadata = header.pop(_METADATA, {})
        if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
            self.fail(_METADATA, "an object of strings is needed")
        self.take("header", TENSOR * len(header))
        tensors = {name: self._tensor(name, header.pop(name), 8 + length) for name in list(header)}
        end = 8 + length
        for name, tensor in sorted(tensors.items(), key=lambda item: (item[1].begin, item[1].size)):
            if tensor.begin != end:
                self.fail(f"tensor {name!r}", f"begins at byte {tensor.begin} where {end} is expected: overlap or gap")
            end += tensor.size
        if end != self.size:
            self.fail("tensors", f"they end at byte {end}, but the file has {self.size}")
        return metadata, tensors

    def _tensor(self, name: str, entry: Any, start: int) -> Tensor:
        where = f"tensor {name!r}"
        if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
            self.fail(where, "an object with dtype, shape and data_offsets is needed")
        dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
        if not isinstance(dtype, str) or dtype not in _TYPES:
            self.fail(where, f"dtype {str(dtype)[:40]!r} is not one of {', '.join(_TYPES)}")
        if not _sizes(shape) or len(shape) > MOST_DIMENSIONS:
            self.fail(where, f"shape must be a list of at most {MOST_DIMENSIONS} sizes")
        if not _sizes(offsets) or len(offsets) != 2:
            self.fail(where, "data_offsets must be two sizes")
        item = np.dtype(_TYPES[dtype])
        begin, end = offsets
        if math.prod(d for d in shape if d) * item.itemsize >= 2**63:
            self.fail(where, f"shape {shape} is more than can be counted")
        size = math.prod(shape) * item.itemsize
        if end - begin != size or start + end > self.size:
            self.fail(where, f"bytes {begin} to {end} of {self.size - start} cannot hold shape {shape} of {dtype}, {size} bytes")
        return Tensor(item, tuple(shape), start + begin, size)


def kind(value: Any) -> str:
    """Return the name of a JSON value's type for messages."""
    names = {dict: "an object", list: "a list", str: "a string", bool: "a truth value", int: "a number", float: "a number"}
    return names.get(type(value), "null")


def parse(reader: Reader, field: str, text: str | bytes) -> Any:
    """Return the value of strict JSON text. Repeated keys, NaN and too deep nesting raise an error."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            raise ValueError("a key occurs twice")
        return found

    def refuse(constant: str) -> NoReturn:
        raise ValueError(f"{constant} is no JSON")

    def finite(number: str) -> float:
        value = float(number)
        if not math.isfinite(value):
            raise ValueError(f"{number} is no finite number")
        return value

    try:
        raw = text.encode() if isinstance(text, str) else text
        text = raw.decode() if isinstance(text, bytes) else text
    except UnicodeError as error:
        reader.fail(field, f"not valid UTF-8 ({error})")
    deepest, *_, longest = files.measure_json(raw)
    if deepest > DEEPEST:
        reader.fail(field, f"nested {deepest} deep; at most {DEEPEST} is possible")
    if longest > LONGEST_NUMBER:
        reader.fail(field, f"has a number of {longest} characters; at most {LONGEST_NUMBER} are possible")
    reader.take(field, weigh(raw), is_passing=True)
    del raw
    try:
        return json.loads(text, object_pairs_hook=unique, parse_float=finite, parse_constant=refuse)
    except ValueError as error:
        reader.fail(field, f"not valid JSON ({error})")


def _sizes(values: Any) -> bool:
    return isinstance(values, list) and all(type(v) is int and 0 <= v < 2**63 for v in values)


def check_room(path: str | os.PathLike[str], tensors: Mapping[str, np.ndarray], layers: int) -> None:
    """Raise ArgumentError if a file of these tensors could not be read again. layers: bytes of memory that the layers take."""
    size = sum(array.nbytes for array in tensors.values())
    if TENSOR * len(tensors) + layers > room(size):
        raise ArgumentError(
            f"{os.fsdecode(path)}: {len(tensors)} tensors of {size} bytes in all, and their layers, are more than a file can "
            f"describe: reading them would take some {TENSOR * len(tensors) + layers} bytes of memory beside the numbers"
        )


def write(path: str | os.PathLike[str], tensors: Mapping[str, np.ndarray], metadata: Mapping[str, str], layers: int = 0) -> None:
    """Write arrays under their names, atomically. ``layers``: bytes of memory that the described layers take.

    Raise ArgumentError if the file could not be read again.
    """
    check_room(path, tensors, layers)
    # The widest type comes first, so that every tensor is aligned.
    ordered = sorted(tensors.items(), key=lambda item: -item[1].dtype.itemsize)
    header: dict[str, Any] = {_METADATA: dict(metadata)}
    end = 0
    for name, array in ordered:
        begin, end = end, end + array.nbytes
        dtype = _NAMES[array.dtype.newbyteorder("<")]
        header[name] = {"dtype": dtype, "shape": list(array.shape), "data_offsets": [begin, end]}
    text = json.dumps(header, separators=(",", ":"), allow_nan=False).encode()
    text += b" " * (-len(text) % 8)
    own = metadata.get("nncore", "").encode()
    size = 8 + len(text) + end
    if len(text) > LONGEST_HEADER or max(weigh(text), weigh(own) + TENSOR * len(tensors)) > room(size):
        raise ArgumentError(
            f"{os.fsdecode(path)}: the names and the architecture take {len(text)} bytes, too many to be read again with "
            f"{end} bytes of numbers: the model has too many layers, or too many settings, for one file"
        )
    deepest, *_, longest = files.measure_json(own)
    if deepest > DEEPEST or longest > LONGEST_NUMBER:
        raise ArgumentError(
            f"{os.fsdecode(path)}: something is nested {deepest} deep, or has a number of {longest} characters, which no file may "
            f"({DEEPEST}, {LONGEST_NUMBER}): a schedule within schedules, or a huge whole number"
        )
    atomic.write(path, [len(text).to_bytes(8, "little"), text, *(_dense(array) for _, array in ordered)])


def _dense(array: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(array, array.dtype.newbyteorder("<")).reshape(-1).view(np.uint8)
