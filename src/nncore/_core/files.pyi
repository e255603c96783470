from typing import Any

def write_file(target: bytes, temporary: bytes, folder: bytes, pieces: tuple[Any, ...], path: str) -> None:
    """Replace a file by these buffers; an interrupt or an error before the rename leaves the old file and nothing else."""

class InputFile:
    """A regular file that is open for reading."""

    size: int

    def __init__(self, name: bytes, path: str) -> None: ...
    def close(self) -> None: ...
    def read(self, offset: int, size: int) -> bytes:
        """Return the bytes from ``offset`` on, fewer than ``size`` where the file ends."""

    def read_into(self, offset: int, buffer: Any) -> int:
        """Fill a buffer with what begins at byte ``offset``; return how many bytes there were."""

def measure_json(text: bytes) -> tuple[int, int, int, int, int, int]:
    """How deep JSON is nested; its objects, lists, members and commas; how many characters its longest number has."""
