"""Writing a file so that a crash at any moment leaves the old one or the new one, whole.

The new content goes to a temporary file in the same folder, is forced to disk, and takes the place of the old one by a rename,
which the folder is forced to remember. What a kill leaves behind is at most a temporary file, hidden, ending in ".tmp".
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterable
from typing import Any


def write(path: str | os.PathLike[str], chunks: Iterable[Any]) -> None:
    """Replace the file by these chunks of bytes. A symbolic link stays, and what it points to is replaced."""
    target = os.path.realpath(os.fsdecode(path))
    folder = os.path.dirname(target)
    temporary = os.path.join(folder, f".nncore-{os.urandom(6).hex()}.tmp")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
    try:
        with open(handle, "wb") as file:
            for chunk in chunks:
                file.write(chunk)
            file.flush()
            _keep_mode(handle, target)
            os.fsync(handle)
        os.replace(temporary, target)
    except BaseException:  # an interrupt too
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
    _sync_folder(folder)


def _keep_mode(handle: int, target: str) -> None:
    """Give the new file the permissions that the old one has."""
    with contextlib.suppress(OSError, AttributeError):  # Windows has no fchmod
        os.fchmod(handle, stat.S_IMODE(os.stat(target).st_mode))


def _sync_folder(folder: str) -> None:
    if not hasattr(os, "O_DIRECTORY"):  # Windows cannot, and does not need to
        return
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # file systems that have no such thing
            raise
    finally:
        os.close(handle)
