"""Weights of 8-bit integers in files: the integers, and their scales under the name of the weight with "_scale"."""

from __future__ import annotations

import numpy as np

from ..network.connecting import Nested
from ..network.parameters import SCALE
from ..records import Int8Weight, Parameter, Shape
from .tensors import Reader

_TYPES = {"": np.dtype("i1"), SCALE: np.dtype("<f4")}


def tensors_of(name: str, value: np.ndarray | Int8Weight) -> dict[str, np.ndarray]:
    """Return the tensors of the initial value of a parameter."""
    return {name: value.q, name + SCALE: value.scale} if isinstance(value, Int8Weight) else {name: value}


def check_parts(reader: Reader, nested: Nested, in_int8: bool) -> None:
    """Raise FileFormatError unless all models that are parts of another one are quantized as it is."""
    for part in nested.parts:
        if part is None:
            continue
        if (part.compute == "int8") != in_int8:
            reader.fail("model.parts", "some parts are quantized and others are not")
        if isinstance(part.connections, Nested):
            check_parts(reader, part.connections, in_int8)


def checked(reader: Reader, name: str, shape: Shape, complete: bool) -> Int8Weight:
    """Return the weight of 8-bit integers with this name. complete: zeros without memory, which are replaced later."""
    wanted = {"": shape, SCALE: shape[:1]}
    for end, dtype in _TYPES.items():
        tensor = reader.tensors.get(name + end)
        if tensor is None:
            reader.fail(f"tensor {name + end!r}", "is missing")
        if tensor.shape != wanted[end] or tensor.dtype != dtype or len(shape) != 2:
            found = f"is {tensor.dtype} of shape {list(tensor.shape)}"
            reader.fail(f"tensor {name + end!r}", f"{found}, but {dtype} of shape {list(wanted[end])} is needed")
    if complete:
        return Int8Weight(np.broadcast_to(np.int8(0), shape), np.broadcast_to(np.float32(0), shape[:1]))
    return _read(reader, name)


def read_into(reader: Reader, name: str, parameter: Parameter) -> None:
    """Read the weight of 8-bit integers with this name into a parameter."""
    if parameter.packed_shape is None:
        reader.fail(f"tensor {name!r}", "is int8, but this weight stays float32 in a quantized model, as it is small")
    if name + SCALE not in reader.tensors:
        reader.fail(f"tensor {name + SCALE!r}", "is missing")
    parameter.store(_read(reader, name))


def _read(reader: Reader, name: str) -> Int8Weight:
    q, scale = reader.read(name), reader.read(name + SCALE).astype(np.float32)
    if q.size and q.min() < -127:
        reader.fail(f"tensor {name!r}", "holds -128; the integers of a weight lie between -127 and 127")
    if not (np.isfinite(scale) & (scale >= 0)).all():
        reader.fail(f"tensor {name + SCALE!r}", "holds a number that is no scale: they are finite and not negative")
    return Int8Weight(q, scale)
