"""The safetensors format: 8 bytes, little-endian, that give the length of a JSON header; the header; the tensors, back to back.

The header maps each name to dtype, shape and the offsets of its bytes after the header, and "__metadata__" to strings
(https://github.com/huggingface/safetensors#format). Reading takes nothing for granted: the length of the header is checked against
the file and a bound before it is read, the header before any tensor is; tensors must fill the file without gap or overlap, and
their bytes be what dtype and shape say. It refuses types that NumPy does not have, such as BF16.
"""

from __future__ import annotations

import json
import math
import os
import stat
from collections.abc import Iterator, Mapping
from io import BufferedReader
from typing import Any, NamedTuple, NoReturn, Self

import numpy as np

from ..errors import ArgumentError, FileFormatError
from ..spec import Shape
from . import atomic

#: No header may be longer: some ten thousand tensors. Parsed, it takes up to some twenty times as much.
LONGEST_HEADER = 4 << 20
MOST_DIMENSIONS = 32
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
    """The types of element that a file can hold, in native order."""
    return frozenset(_NAMES)


_BLOCK = 1 << 18  # bytes that are read or written at once


class Tensor(NamedTuple):
    """Where a tensor lies in the file."""

    dtype: np.dtype[Any]
    shape: Shape
    begin: int  #: bytes from the start of the file
    size: int  #: bytes


class Reader:
    """An open file whose header is checked.

    Parameters
    ----------
    path : str or path-like
        The file.

    Attributes
    ----------
    metadata : dict of str to str
    tensors : dict of str to Tensor
    size : int
        Bytes of the whole file.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = os.fsdecode(path)
        self.custom_objects: Mapping[str, Any] = {}  # what the user passes to load
        self._file: BufferedReader = open(self.path, "rb", opener=_open)  # noqa: SIM115 - closed by __exit__
        try:
            self.size = os.fstat(self._file.fileno()).st_size
            self.metadata, self.tensors = self._header()
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def fail(self, field: str, problem: str) -> NoReturn:
        """Raise FileFormatError that names the file and the field."""
        raise FileFormatError(f"{self.path}: {field}: {problem}")

    def read(self, name: str) -> np.ndarray:
        """Return a tensor as a new array."""
        tensor = self.tensors[name]
        array = np.empty(tensor.shape, tensor.dtype)
        self._fill(name, tensor.begin, array)
        return array

    def read_into(self, name: str, view: np.ndarray) -> None:
        """Copy a tensor into a view of its shape, block by block."""
        tensor = self.tensors[name]
        if not view.ndim or not view.size:
            view[...] = self.read(name)
            return
        row = tensor.size // len(view)
        step = max(1, _BLOCK // row)
        buffer = np.empty((min(step, len(view)), *view.shape[1:]), tensor.dtype)
        for first in range(0, len(view), step):
            block = buffer[: len(view) - first]
            self._fill(name, tensor.begin + first * row, block)
            view[first : first + step] = block

    def _fill(self, name: str, begin: int, array: np.ndarray) -> None:
        self._file.seek(begin)
        if array.nbytes and self._file.readinto(array.reshape(-1).view(np.uint8).data) != array.nbytes:
            self.fail(f"tensor {name!r}", "the file ends within it; it has been shortened while it was read")

    def _header(self) -> tuple[dict[str, str], dict[str, Tensor]]:
        if self.size < 8:
            self.fail("header length", f"the file has {self.size} bytes, too few for one; it is no safetensors file")
        length = int.from_bytes(self._file.read(8), "little")
        if length > self.size - 8:
            self.fail("header length", f"{length} bytes, but only {self.size - 8} follow; no safetensors file, or one cut short")
        if length > LONGEST_HEADER:
            self.fail("header length", f"{length} bytes; more than {LONGEST_HEADER} are not read")
        header = parse(self, "header", self._file.read(length))
        if not isinstance(header, dict):
            self.fail("header", f"an object is needed, not {kind(header)}")
        metadata = header.pop(_METADATA, {})
        if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
            self.fail(_METADATA, "an object of strings is needed")
        tensors = {name: self._tensor(name, entry, 8 + length) for name, entry in header.items()}
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


def _open(path: str, flags: int) -> int:
    """Open a regular file; anything else (a pipe, a device) would block, or never end."""
    handle = os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        if os.path.isdir(path):
            raise IsADirectoryError(f"{path} is a folder")
        raise FileFormatError(f"{path}: file: a regular file is needed")
    return handle


def kind(value: Any) -> str:
    """How messages call what JSON held."""
    names = {dict: "an object", list: "a list", str: "a string", bool: "a truth value", int: "a number", float: "a number"}
    return names.get(type(value), "null")


def parse(reader: Reader, field: str, text: str | bytes) -> Any:
    """Return what strict JSON text says: no key twice, no NaN, nothing too deep."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            raise ValueError("a key occurs twice")
        return found

    def refuse(constant: str) -> NoReturn:
        raise ValueError(f"{constant} is no JSON")

    try:
        if isinstance(text, bytes):
            text = text.decode("utf-8")
        return json.loads(text, object_pairs_hook=unique, parse_constant=refuse)
    except (ValueError, RecursionError) as error:
        reader.fail(field, f"not valid JSON ({error})")


def _sizes(values: Any) -> bool:
    return isinstance(values, list) and all(type(v) is int and 0 <= v < 2**63 for v in values)


def write(path: str | os.PathLike[str], tensors: Mapping[str, np.ndarray], metadata: Mapping[str, str]) -> None:
    """Write arrays of any strides under their names, atomically."""
    # The widest type first, so that every tensor is aligned.
    ordered = sorted(tensors.items(), key=lambda item: -item[1].dtype.itemsize)
    header: dict[str, Any] = {_METADATA: dict(metadata)}
    end = 0
    for name, array in ordered:
        begin, end = end, end + array.nbytes
        dtype = _NAMES[array.dtype.newbyteorder("<")]
        header[name] = {"dtype": dtype, "shape": list(array.shape), "data_offsets": [begin, end]}
    text = json.dumps(header, separators=(",", ":"), allow_nan=False).encode()
    text += b" " * (-len(text) % 8)
    if len(text) > LONGEST_HEADER:
        raise ArgumentError(
            f"{os.fsdecode(path)}: the names and the architecture take {len(text)} bytes, more than {LONGEST_HEADER}"
        )
    atomic.write(path, _chunks(text, [array for _, array in ordered]))


def _chunks(text: bytes, arrays: list[np.ndarray]) -> Iterator[Any]:
    yield len(text).to_bytes(8, "little")
    yield text
    for array in arrays:
        rows = array if array.ndim else array.reshape(1)
        step = max(1, _BLOCK // max(1, rows[:1].nbytes))
        for first in range(0, len(rows), step):
            block = np.ascontiguousarray(rows[first : first + step], array.dtype.newbyteorder("<"))
            if block.size:
                yield block.reshape(-1).view(np.uint8).data
