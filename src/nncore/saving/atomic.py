"""Writing a file so that a crash at any moment leaves the old one or the new one, whole.

The new content goes to a temporary file in the same folder, is forced to disk, and takes the place of the old one by a rename,
which the folder is forced to remember. All of that is one call of the boundary (_core/files.pyx), so that no interrupt leaves
anything behind. What a kill leaves behind is at most a temporary file, hidden, ending in ".tmp".
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from .._core import files
from ..errors import ArgumentError


def write(path: str | os.PathLike[str], pieces: Sequence[Any]) -> None:
    """Replace the file by these buffers of bytes. A symbolic link stays, and what it points to is replaced."""
    name = checked_path("save", path)
    if name.endswith(("/", "/.")) or name == ".":
        raise IsADirectoryError(21, "is a folder; a file is needed", name)
    target = os.path.realpath(name)
    folder = os.path.dirname(target)
    temporary = os.path.join(folder, f".nncore-{os.urandom(6).hex()}.tmp")
    files.write_file(os.fsencode(target), os.fsencode(temporary), os.fsencode(folder), tuple(pieces), name)


def checked_path(owner: str, path: Any) -> str:
    """Return a path as a string; numbers, which `open` would take for descriptors, are none."""
    if not isinstance(path, str | bytes | os.PathLike):
        raise ArgumentError(f"{owner}: path must be a string or a path-like object, not {path!r}")
    name = os.fsdecode(path)
    if "\0" in name:
        raise ArgumentError(f"{owner}: path must not hold a zero byte, as {name!r} does")
    if not name:
        raise FileNotFoundError(2, "the path is empty", name)
    return name
