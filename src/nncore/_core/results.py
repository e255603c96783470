"""What the core gives to Python as plain records."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

Shape = tuple[int, ...]


class Parameter(NamedTuple):
    """Views into the two contiguous buffers of a network, oriented as PyTorch orients them."""

    op: int  #: index of the op that owns it
    role: str  #: "weight", "bias"
    value: np.ndarray
    grad: np.ndarray  #: of running statistics: empty
