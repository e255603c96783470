"""Entries of the JSON document of a file, with errors that name them."""

from __future__ import annotations

from typing import Any

from . import tensors
from .tensors import Reader


def field(reader: Reader, document: Any, path: str, kind: type, optional: bool = False) -> Any:
    """Return the entry that the last part of the path names. It must have exactly this type."""
    key = path.rpartition(".")[2]
    if not isinstance(document, dict):
        reader.fail(path.rpartition(".")[0] or "__metadata__.nncore", f"an object is needed, not {tensors.kind(document)}")
    if key not in document:
        reader.fail(path, "is missing")
    value = document[key]
    if not (type(value) is kind or (optional and value is None)):
        reader.fail(path, f"must not be {tensors.kind(value)}")
    return value


def count(reader: Reader, value: Any, field: str, limit: int, least: int = 0) -> int:
    if type(value) is not int or not least <= value < limit:
        reader.fail(field, f"a whole number from {least} to {limit - 1} is needed")
    return value


def read_compute(reader: Reader, document: dict[str, Any], path: str, dtype: str) -> str:
    """Return in what a model computes its products: in its dtype if the entry is absent."""
    if "compute" not in document:
        return dtype
    found: str = field(reader, document, path, str)
    if found not in ("bfloat16", "int8") or dtype != "float32":
        reader.fail(path, f'"bfloat16" or "int8" is possible here, in a model of float32, not {found[:80]!r}')
    return found
