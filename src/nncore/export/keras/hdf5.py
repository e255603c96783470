"""Reading HDF5 files as Keras writes them, from bytes: groups, arrays that lie in one piece, and attributes that are text.

The library of HDF5 crashes or hangs on damaged files, so that it must not read what may be hostile. Here every offset is checked
against the file, and every loop ends. Version 0 of the superblock, groups with symbol tables, and version 1 of object headers are
read; h5py writes these unless it is asked for others. Links to other places, data in other files, chunks and filters are refused.
Source: the HDF5 file format specification, version 3.0 (sections II to IV).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from ...records import Shape

SIGNATURE = b"\x89HDF\r\n\x1a\n"
_NEWER = "it is written in a form that only the library of HDF5 reads; load it in Keras, and pass model.get_weights()"
_EXPONENT = {2: 5, 4: 8, 8: 11}  # the bits of the exponent, by the size of a float
_DATASPACE, _DATATYPE, _EXTERNAL, _LAYOUT, _ATTRIBUTE, _CONTINUATION, _SYMBOLS = 0x1, 0x3, 0x7, 0x8, 0xC, 0x10, 0x11


class File:
    """An HDF5 file. Its objects are the addresses of their headers.

    Parameters
    ----------
    content : bytes
        The whole file.

    Attributes
    ----------
    root : int
        The group that contains everything.
    size : int
        The number of bytes.
    """

    def __init__(self, content: bytes) -> None:
        self._content, self.size = content, len(content)
        self._left = 10_000 + len(content) // 8  # nodes and messages: Keras' files have fewer, though some are read several times
        self._text_left = 2 * len(content)
        if self._take(0, 8) != SIGNATURE:
            raise ValueError("it does not begin as HDF5 does")
        if self._take(8, 1)[0] != 0 or self._take(13, 2) != b"\x08\x08" or self._number(24):
            raise ValueError(_NEWER)
        self.root = self._number(64)

    def _take(self, at: int, size: int) -> bytes:
        if at < 0 or size < 0 or at + size > len(self._content):
            raise ValueError(f"{size} bytes at {at} are outside of it")
        return self._content[at : at + size]

    def _number(self, at: int, size: int = 8) -> int:
        return int.from_bytes(self._take(at, size), "little")

    def _count(self) -> None:
        self._left -= 1
        if self._left < 0:
            raise ValueError("it has too many parts")

    def _messages(self, address: int) -> Iterator[tuple[int, bytes]]:
        """Yield kind and data of each message of an object header."""
        if self._take(address, 1) != b"\x01":
            raise ValueError(_NEWER)
        blocks = [(address + 16, self._number(address + 8, 4))]
        for at, size in blocks:
            end = at + size
            while at + 8 <= end:
                self._count()
                kind, length, flags = self._number(at, 2), self._number(at + 2, 2), self._number(at + 4, 1)
                data = self._take(at + 8, length)
                if flags & 2:
                    raise ValueError(_NEWER)  # the message is in another place
                if kind == _CONTINUATION:
                    blocks.append((int.from_bytes(data[:8], "little"), int.from_bytes(data[8:16], "little")))
                else:
                    yield kind, data
                at += 8 + length

    # Groups -----------------------------------------------------------------------------------------------------------------

    def members(self, address: int) -> dict[str, int]:
        """Return the members of a group by name. An array has none."""
        for kind, data in self._messages(address):
            if kind == _SYMBOLS:
                tree, heap = int.from_bytes(data[:8], "little"), int.from_bytes(data[8:16], "little")
                if self._take(heap, 4) != b"HEAP":
                    raise ValueError("a group has no names")
                names = self._take(self._number(heap + 24), self._number(heap + 8))
                return {name: at for node in self._leaves(tree, 0) for name, at in self._symbols(node, names)}
            if kind in (0x2, 0x6):  # a group of the newer kind
                raise ValueError(_NEWER)
        return {}

    def _leaves(self, address: int, depth: int) -> Iterator[int]:
        self._count()
        if self._take(address, 5) != b"TREE\x00" or depth > 16:
            raise ValueError("a group has a damaged tree")
        level = self._number(address + 5, 1)
        for i in range(self._number(address + 6, 2)):
            child = self._number(address + 32 + 16 * i)
            if level:
                yield from self._leaves(child, depth + 1)
            else:
                yield child

    def _symbols(self, address: int, names: bytes) -> Iterator[tuple[str, int]]:
        if self._take(address, 5) != b"SNOD\x01":
            raise ValueError("a group has a damaged node")
        for i in range(self._number(address + 6, 2)):
            self._count()
            at = address + 8 + 40 * i
            begin = self._number(at)
            name = names[begin : names.index(b"\0", begin)].decode()
            if self._number(at + 16, 4) == 2:
                raise ValueError(f"{name!r} is a link to another place")
            yield name, self._number(at + 8)

    # Arrays -----------------------------------------------------------------------------------------------------------------

    def is_count(self, address: int) -> bool:
        """Whether an array is one whole number, such as the count of a Normalization."""
        found = dict(self._messages(address))
        return found.get(_DATATYPE, b"\1")[:1] == b"\x10" and _DATASPACE in found and not _shape(found[_DATASPACE])

    def shape(self, address: int) -> Shape:
        """Return the shape of an array of floats, or raise ValueError."""
        found = dict(self._messages(address))
        if _EXTERNAL in found:
            raise ValueError("the numbers of an array are in another file")
        if not {_DATASPACE, _DATATYPE, _LAYOUT} <= {*found}:
            raise ValueError("a group stands where an array should be")
        _float(found[_DATATYPE])
        return _shape(found[_DATASPACE])

    def read(self, address: int) -> np.ndarray:
        """Return a copy of an array."""
        found, shape = dict(self._messages(address)), self.shape(address)
        dtype, layout = _float(found[_DATATYPE]), found[_LAYOUT]
        size = math.prod(shape) * dtype.itemsize
        if layout[:2] == b"\x03\x00":
            data = layout[4 : 4 + size]
        elif layout[:2] == b"\x03\x01":
            data = self._take(int.from_bytes(layout[2:10], "little"), size) if size else b""
        else:
            raise ValueError(_NEWER)
        array: np.ndarray = np.frombuffer(data, dtype, math.prod(shape)).reshape(shape)
        return array.astype(dtype.newbyteorder("="))

    # Attributes -------------------------------------------------------------------------------------------------------------

    def texts(self, address: int, name: str) -> list[str] | None:
        """Return the texts of an attribute of an object, or None if it has no such attribute."""
        for kind, data in self._messages(address):
            if kind == _ATTRIBUTE:
                found = self._attribute(data, name.encode())
                if found is not None:
                    return found
        return None

    def _attribute(self, data: bytes, wanted: bytes) -> list[str] | None:
        version = data[0]
        sizes = [int.from_bytes(data[i : i + 2], "little") for i in (2, 4, 6)]
        at, parts = 8 + (version == 3), []
        for size in sizes:
            parts.append(data[at : at + size])
            at += size + (-size % 8 if version == 1 else 0)
        if parts[0].rstrip(b"\0") != wanted:
            return None
        if version not in (1, 2, 3) or (version > 1 and data[1]):
            raise ValueError(_NEWER)
        count, size, kind = math.prod(_shape(parts[2])), int.from_bytes(parts[1][4:8], "little"), parts[1][0] & 15
        if not count:
            return []
        if kind == 9 and parts[1][1] & 15 == 1:
            return [self._heaped(data[i : i + 16]) for i in range(at, min(at + 16 * count, len(data)), 16)]
        if kind == 3 and size:
            rest = data[at : at + size * count]
            return [rest[i : i + size].rstrip(b"\0 ").decode() for i in range(0, len(rest), size)]
        raise ValueError(f"the attribute {wanted.decode()!r} is no text")

    def _heaped(self, place: bytes) -> str:
        """Return a text of a global heap. place: its length, the address of the heap, and its number there."""
        length, heap, wanted = (int.from_bytes(place[a:b], "little") for a, b in ((0, 4), (4, 12), (12, 16)))
        if not length:
            return ""
        if self._take(heap, 4) != b"GCOL":
            raise ValueError("a text is nowhere")
        at, end = heap + 16, heap + self._number(heap + 8)
        while at + 16 <= end:
            self._count()
            index, size = self._number(at, 2), self._number(at + 8)
            if index == wanted and length <= size:
                self._text_left -= length
                if self._text_left < 0:
                    raise ValueError("its texts are too long")
                return self._take(at + 16, length).decode()
            if not index:
                break
            at += 16 + size + -size % 8
        raise ValueError("a text is nowhere")


def _shape(space: bytes) -> Shape:
    version, rank = space[0], space[1]
    begin = {1: 8, 2: 4}.get(version, 0)
    if not begin or rank > 32 or len(space) < begin + 8 * rank:
        raise ValueError("an array has no shape")
    return tuple(int.from_bytes(space[begin + 8 * i : begin + 8 * i + 8], "little") for i in range(rank))


def _float(kind: bytes) -> np.dtype[Any]:
    """Return the type of numbers, which are IEEE floats of 2, 4 or 8 bytes, or raise ValueError."""
    size = int.from_bytes(kind[4:8], "little")
    if kind[0] & 15 != 1 or _EXPONENT.get(size) != kind[13] or kind[1] & 0x40:
        raise ValueError("an array is not of float16, float32 or float64")
    return np.dtype(f"{'>' if kind[1] & 1 else '<'}f{size}")
