"""Memory with a page before it and a page behind it that nobody can touch, for kernels that must not read or write too far.

Run as a script, it is the negative control: it reads one element too far on the side that it is told, and must die of it.
"""

import ctypes
import mmap
import subprocess
import sys
from pathlib import Path

import numpy as np

TESTS = Path(__file__).resolve().parent.parent


class Guarded:
    """size bytes between two guard pages, never given back."""

    def __init__(self, size: int) -> None:
        page = mmap.PAGESIZE
        size = -(-size // page) * page
        memory = mmap.mmap(-1, size + 2 * page)
        start = ctypes.addressof(ctypes.c_char.from_buffer(memory))
        protect = ctypes.CDLL(None, use_errno=True).mprotect
        for guard in (start, start + page + size):
            if protect(ctypes.c_void_p(guard), ctypes.c_size_t(page), 0):
                raise OSError(ctypes.get_errno(), "mprotect")
        self.bytes = np.frombuffer(memory, np.uint8, size, page)

    def array(self, rows: int, cols: int, ld: int, dtype: type, at_end: bool) -> np.ndarray:
        """[rows, cols] with rows ld elements apart; the last element ends, or the first begins, at a guard page."""
        size = np.dtype(dtype).itemsize
        used = ((rows - 1) * ld + cols) * size
        flat = (self.bytes[len(self.bytes) - used :] if at_end else self.bytes[:used]).view(dtype)
        return np.lib.stride_tricks.as_strided(flat, (rows, cols), (ld * size, size))


def run(module: str, *argv: str) -> subprocess.CompletedProcess:
    """A module of these tests in a process of its own, which may die."""
    return subprocess.run([sys.executable, "-m", module, *argv], cwd=TESTS, capture_output=True, text=True, check=False)


if __name__ == "__main__":
    array = Guarded(100).array(3, 5, 7, np.float32, sys.argv[1] == "end")
    edge, step = (array[2:, 4:], 4) if sys.argv[1] == "end" else (array, -4)
    print(edge[0, 0], flush=True)
    np.lib.stride_tricks.as_strided(edge, (1, 2), (4, step)).sum()
