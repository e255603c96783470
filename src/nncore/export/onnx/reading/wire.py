"""How large a file of ONNX becomes when it is parsed: its fields are counted before anything is made of them.

A protocol buffer can hold many empty messages in few bytes, each of which takes a hundred bytes of memory. Only the fields of
messages, texts and repeated numbers are looked at; the bytes of tensors are skipped.
"""

from __future__ import annotations

from typing import Any

MOST_MEMORY = 12 << 20  #: of parsed fields, without numbers and texts, besides the size of the file
_OF_MESSAGE, _OF_FIELD = 160, 16  #: bytes; a node of a usual graph has two or three messages and ten fields
DEEPEST = 40  #: messages in messages


class Malformed(ValueError):
    """Why a file is no protocol buffer that may be parsed."""


def measure(content: bytes, descriptor: Any) -> int:
    """Return the memory that the fields of a message take; raise Malformed if it is too much, or they are too deep or cut off."""
    known: dict[str, dict[int, Any]] = {}
    taken = 0
    waiting = [(0, len(content), descriptor, 0)]
    while waiting:
        at, end, kind, depth = waiting.pop()
        if depth > DEEPEST:
            raise Malformed(f"more than {DEEPEST} messages lie in one another")
        if kind.full_name not in known:
            known[kind.full_name] = {f.number: f.message_type for f in kind.fields if f.message_type is not None}
        messages = known[kind.full_name]
        while at < end:
            taken += _OF_FIELD
            if taken > MOST_MEMORY + len(content):
                raise Malformed("it has too many fields")
            tag, at = _varint(content, at, end)
            wire, number = tag & 7, tag >> 3
            if wire == 0:
                _, at = _varint(content, at, end)
            elif wire in (1, 5):
                at += 8 if wire == 1 else 4
            elif wire == 2:
                size, at = _varint(content, at, end)
                if size > end - at:
                    raise Malformed("it is cut off, or a length in it is wrong")
                if (inner := messages.get(number)) is not None:
                    taken += _OF_MESSAGE
                    waiting.append((at, at + size, inner, depth + 1))
                at += size
            else:
                raise Malformed("it has a field of an unknown kind")
        if at > end:
            raise Malformed("it is cut off, or a length in it is wrong")
    return taken


def _varint(content: bytes, at: int, end: int) -> tuple[int, int]:
    found = shift = 0
    while at < end and shift < 70:
        byte = content[at]
        at += 1
        found |= (byte & 127) << shift
        if byte < 128:
            return found, at
        shift += 7
    raise Malformed("it is cut off, or a number in it is too long")
