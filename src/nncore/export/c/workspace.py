"""Buffers, and their places in one workspace: buffers that are never needed together share memory."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count

_numbers = count()


class Buffer:
    """Numbers in memory, from one step to another. As a string it is a token, in whose place its name comes when that is known.

    Attributes
    ----------
    first, last : int
        The steps in which it is needed, both included.
    held : set of int
        The values that lie in it.
    offset : int
        Where it begins in the workspace; -1 if it does not lie there.
    whole, begin : Buffer or None, int
        The buffer of which it is a part, and where it begins there.
    """

    def __init__(
        self, name: str, ctype: str, size: int, first: int, last: int, is_input: bool = False, held: set[int] | None = None
    ) -> None:
        self.name, self.ctype, self.size, self.first, self.last = name, ctype, size, first, last
        self.is_input, self.held, self.offset = is_input, held or set(), -1
        self.whole: Buffer | None = None
        self.begin = 0
        self.token = f"\0{next(_numbers)}\0"

    def __str__(self) -> str:
        return self.token


def pack(buffers: Sequence[Buffer]) -> int:
    """Give each buffer its offset, large ones first, each as low as those that are needed with it allow; return the size of all."""
    placed: list[Buffer] = []
    for buffer in sorted(buffers, key=lambda b: (-b.size, b.first)):
        together = [b for b in placed if b.first <= buffer.last and buffer.first <= b.last]
        at = 0
        for other in sorted(together, key=lambda b: b.offset):
            if at + buffer.size <= other.offset:
                break
            at = max(at, other.offset + other.size)
        buffer.offset = at
        placed.append(buffer)
    return max((b.offset + b.size for b in placed), default=0)
