from typing import Any

def write_file(target: bytes, temporary: bytes, folder: bytes, pieces: tuple[Any, ...], path: str) -> None:
    """Replace a file by these buffers. After an error or interrupt before the rename, the old file exists and nothing else."""

class InputFile:
    """A regular file that is open for reading."""

    size: int

    def __init__(self, name: bytes, path: str) -> None: ...
    def close(self) -> None: ...
    def read(self, offset: int, size: int) -> bytes:
        """Return the bytes from ``offset`` on; fewer than ``size`` at the end of the file."""

    def read_into(self, offset: int, buffer: Any) -> int:
        """Fill a buffer with the bytes from ``offset`` on. Return the number of bytes."""

def measure_json(text: bytes) -> tuple[int, int, int, int, int, int]:
    """Depth of nesting; numbers of objects, lists, members and commas; number of characters of the longest number."""
