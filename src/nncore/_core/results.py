"""Records that the core returns to Python."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

Shape = tuple[int, ...]


class Parameter(NamedTuple):
    """Views of a parameter and its gradient in the buffers of a network, in PyTorch's orientation."""

    op: int  #: index of the op to which it belongs
    role: str  #: "weight", "bias"
    value: np.ndarray
    grad: np.ndarray  #: empty for running statistics
