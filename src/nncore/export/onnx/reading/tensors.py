"""The numbers of tensors: checked against the bytes that are really there, also those of other files in the same folder."""

from __future__ import annotations

import os
import stat
from contextlib import closing
from typing import Any, NoReturn

import numpy as np

from ...._core import files
from ....errors import FileFormatError, shown

# The numbers of TensorProto.DataType -> type of NumPy, and the field that holds values one by one.
_TYPES: dict[int, tuple[str, str]] = {
    1: ("<f4", "float_data"),
    2: ("|u1", "int32_data"),
    3: ("|i1", "int32_data"),
    4: ("<u2", "int32_data"),
    5: ("<i2", "int32_data"),
    6: ("<i4", "int32_data"),
    7: ("<i8", "int64_data"),
    9: ("|b1", "int32_data"),
    10: ("<f2", "int32_data"),
    11: ("<f8", "double_data"),
    12: ("<u4", "uint64_data"),
    13: ("<u8", "uint64_data"),
    16: ("<u2", "int32_data"),  # bfloat16: its bits
}
BFLOAT16, FLOAT16 = 16, 10
FLOATS = frozenset((1, 10, 11, 16))
_MOST_DIMENSIONS = 32


def dtype_of(kind: int) -> np.dtype[Any] | None:
    """Return the type in which values of an ONNX type are held: 16-bit numbers are widened. None: it cannot be held."""
    if kind not in _TYPES:
        return None
    return np.dtype(np.float32) if kind in (BFLOAT16, FLOAT16) else np.dtype(_TYPES[kind][0]).newbyteorder("=")


class Source:
    """Where a graph comes from: what errors name, and where files with further tensors may lie.

    Parameters
    ----------
    path : str
        What errors name.
    folder : str or None
        The folder of the file; None for a graph in memory, whose tensors cannot lie in other files.
    size : int
        Bytes of the file. Those of other files are added when they are read.
    """

    def __init__(self, path: str, folder: str | None, size: int) -> None:
        self.path, self.folder, self.size = path, folder, size
        self._external: dict[str, files.InputFile] = {}

    def fail(self, field: str, problem: str) -> NoReturn:
        """Raise FileFormatError with the names of the file and the field."""
        raise FileFormatError(f"{self.path}: {field}: {problem}")

    def close(self) -> None:
        """Close the files of tensors."""
        for file in self._external.values():
            file.close()
        self._external.clear()

    def array(self, proto: Any, field: str) -> np.ndarray:
        """Return the numbers of a TensorProto. The array cannot be written to."""
        kind = proto.data_type
        if kind not in _TYPES:
            self.fail(field, f"its type is number {kind} of ONNX, which nncore does not have")
        shape = tuple(proto.dims)
        if len(shape) > _MOST_DIMENSIONS or any(d < 0 for d in shape):
            self.fail(field, f"its shape is {shown(list(shape))}")
        code, listed = _TYPES[kind]
        dtype, count = np.dtype(code), 1
        for d in shape:
            count *= d
        if proto.HasField("segment"):
            self.fail(field, "it is stored in segments, which ONNX has given up")
        if proto.data_location == 1 or proto.external_data:
            content = self._from_file(proto, field, count * dtype.itemsize)
        elif proto.raw_data:
            content = proto.raw_data
        else:
            return self._listed(proto, field, kind, listed, shape, count)
        if len(content) != count * dtype.itemsize:
            self.fail(field, f"shape {shown(list(shape))} needs {count * dtype.itemsize} bytes, but there are {len(content)}")
        return _widened(np.frombuffer(content, dtype).reshape(shape), kind)

    def _listed(self, proto: Any, field: str, kind: int, listed: str, shape: tuple[int, ...], count: int) -> np.ndarray:
        values = getattr(proto, listed)
        if len(values) != count:
            self.fail(field, f"shape {shown(list(shape))} needs {count} numbers, but there are {len(values)}")
        wide: Any = {"float_data": np.float32, "double_data": np.float64, "uint64_data": np.uint64}.get(listed, np.int64)
        array = np.fromiter(values, wide, count)
        code = np.dtype(_TYPES[kind][0])
        if kind in (BFLOAT16, FLOAT16):
            array = array.astype(np.uint16).view(code)
        return _widened(array.astype(code, copy=False).reshape(shape), kind)

    def _from_file(self, proto: Any, field: str, wanted: int) -> bytes:
        """Return the bytes of a tensor that lie in another file of the folder."""
        entries = {str(each.key): str(each.value) for each in proto.external_data}
        location = entries.get("location", "")
        if self.folder is None:
            self.fail(field, "its values are in another file; give from_onnx the path of the file, not a model in memory")
        numbers = {key: entries.get(key, "0") for key in ("offset", "length")}
        if any(not (text.isascii() and text.isdigit() and len(text) < 19) for text in numbers.values()):
            self.fail(field, "its values are in another file, at an offset that is no number")
        file = self._opened(location, field)
        offset = int(numbers["offset"])
        length = int(entries.get("length", wanted))
        if length != wanted or offset + wanted > file.size:
            self.fail(field, f"it needs {wanted} bytes of {shown(location)} from {offset} on, and has {length} of {file.size}")
        self.size += wanted
        return bytes(file.read(offset, wanted))

    def _opened(self, location: str, field: str) -> Any:
        if location in self._external:
            return self._external[location]
        parts = location.replace("\\", "/").split("/")
        if not location or "\0" in location or location.startswith(("/", "\\", "~")) or ".." in parts or ":" in parts[0]:
            self.fail(field, f"its values are in {shown(location)}, and only files in the folder of the model are read")
        path = os.path.join(self.folder or "", *[part for part in parts if part not in ("", ".")])
        inside, root = os.path.realpath(path), os.path.realpath(self.folder or "")
        if os.path.commonpath([inside, root]) != root or inside != os.path.join(root, os.path.relpath(path, self.folder or "")):
            self.fail(field, f"its values are in {shown(location)}, which is a link or lies outside of the folder of the model")
        try:
            if not stat.S_ISREG(os.lstat(path).st_mode):
                self.fail(field, f"its values are in {shown(location)}, which is no file")
            self._external[location] = files.InputFile(os.fsencode(path), path)
        except OSError as error:
            self.fail(field, f"its values are in {shown(location)}, which cannot be read: {error.strerror}")
        return self._external[location]


def _widened(array: np.ndarray, kind: int) -> np.ndarray:
    """Return float32 for 16-bit numbers, and native byte order for all."""
    if kind == BFLOAT16:
        return (array.astype(np.uint32) << 16).view(np.float32)
    if kind == FLOAT16:
        return array.astype(np.float32)
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def read_whole(path: str) -> tuple[bytes, int]:
    """Return what a file holds, and its size."""
    with closing(files.InputFile(os.fsencode(path), path)) as file:
        return file.read(0, file.size), file.size
