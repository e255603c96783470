"""Records that the core returns to Python."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..errors import ArgumentError
from . import plans

Shape = tuple[int, ...]


class Int8Weight(NamedTuple):
    """A weight of 8-bit integers: ``q * scale[:, None]``."""

    q: np.ndarray  #: int8 [out, in]
    scale: np.ndarray  #: float32 [out]

    def numbers(self) -> np.ndarray:
        """Return the weight as numbers of float32, [out, in]."""
        numbers: np.ndarray = self.q * self.scale[:, None]
        return numbers


class Parameter(NamedTuple):
    """Views of a parameter and its gradient in the buffers of a network, in PyTorch's orientation."""

    op: int  #: index of the op to which it belongs
    role: str  #: "weight", "bias"
    value: np.ndarray  #: of a weight of 8-bit integers, its bytes as the core packs them
    grad: np.ndarray  #: empty for running statistics, and in a network for inference alone
    packed_shape: Shape | None = None  #: of a weight of 8-bit integers, [out, in]; None: `value` is the parameter itself

    def view(self) -> np.ndarray:
        """Return what attributes of layers show: a live view, or the numbers that 8-bit integers stand for, read-only."""
        if self.packed_shape is None:
            return self.value
        numbers = Int8Weight(*plans.unpack_int8(self.value, *self.packed_shape)).numbers()
        numbers.flags.writeable = False
        return numbers

    def writable(self) -> np.ndarray:
        """Return the view into which new values are written, or raise ArgumentError."""
        if self.packed_shape is None:
            return self.value
        raise ArgumentError(
            f"{self.role}: the weights of a quantized model are fixed; change those of the model that was quantized, and call its "
            'quantize("int8") again'
        )

    def stored(self) -> np.ndarray | Int8Weight:
        """Return a copy of the value, C-contiguous."""
        if self.packed_shape is None:
            return np.array(self.value, order="C")
        return Int8Weight(*plans.unpack_int8(self.value, *self.packed_shape))

    def store(self, value: np.ndarray | Int8Weight) -> None:
        """Copy in a value of the parameter's shape, as numbers or as 8-bit integers.

        Raises
        ------
        ValueError
            It holds NaN or an infinity, which have no 8-bit integers.
        """
        if self.packed_shape is None:
            self.value[...] = value.numbers() if isinstance(value, Int8Weight) else value
            return
        if not isinstance(value, Int8Weight):
            value = Int8Weight(*plans.quantize_int8(np.ascontiguousarray(value, np.float32)))
        plans.pack_int8(self.value, *value)
