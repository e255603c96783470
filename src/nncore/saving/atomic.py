"""Atomic writing: after a crash at any moment, either the complete old file or the complete new file exists.

The new content is written to a temporary file in the same folder and synchronized to disk. A rename replaces the old file, and then
the folder is synchronized. All of this is one call of _core/files.pyx, so that an interrupt leaves nothing behind. If the process
is killed, at most a hidden temporary file with the ending ".tmp" remains.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from .._core import files
from ..errors import ArgumentError, shown
from .formats import check_export


def write(path: str | os.PathLike[str], pieces: Sequence[Any]) -> None:
    """Replace the file by these buffers of bytes. If it is a symbolic link, the target of the link is replaced."""
    name = checked_path("save", path)
    if name.endswith(("/", "/.")) or name == ".":
        raise IsADirectoryError(21, "is a folder; a file is needed", name)
    target = os.path.realpath(name)
    folder = os.path.dirname(target)
    _require_folder(folder, name)
    temporary = os.path.join(folder, f".nncore-{os.urandom(6).hex()}.tmp")
    files.write_file(os.fsencode(target), os.fsencode(temporary), os.fsencode(folder), tuple(pieces), name)


def _require_folder(folder: str, name: str) -> None:
    """Raise an error that names the folder of a file if it does not exist."""
    if not os.path.exists(folder):
        raise FileNotFoundError(2, f"the folder {folder!r} does not exist; make it first, as with os.makedirs", name)
    if not os.path.isdir(folder):
        raise NotADirectoryError(20, f"{folder!r} is a file, not a folder", name)


def checked_path(owner: str, path: Any, *own: str) -> str:
    """Return a path as a string. Integers raise an error, although `open` would accept them as file descriptors.
    own: the endings of the exporter's format, if the name may promise no other one."""
    if not isinstance(path, str | bytes | os.PathLike):
        raise ArgumentError(f"{owner}: path must be a string or a path-like object, not {shown(path)}")
    name = os.fsdecode(path)
    if "\0" in name:
        raise ArgumentError(f"{owner}: path must not hold a zero byte, as {name!r} does")
    if not name:
        raise FileNotFoundError(2, "the path is empty", name)
    if own:
        check_export(owner, name, *own)
    return name
