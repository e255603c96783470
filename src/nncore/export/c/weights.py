"""How arrays of weights are stored in the file, and how a number of them is read.

A format says what elements are declared, and how the code spells the reading of one. Matrices go through it; biases and other short
arrays are always stored in the type in which the file computes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from .program import Program


class Stored(NamedTuple):
    """A matrix [inputs, outputs] in the file."""

    name: str  #: of the array
    ctype: str  #: of its elements
    read: str  #: an expression for a number, with {} for the element: "{}" if elements are the numbers
    scales: str | None = None  #: the name of an array with a factor for each output, applied to sums; None: no factors


#: What to_c(weights=) may be, besides None, which stands for the type in which the file computes.
FORMATS: tuple[str, ...] = ()


def store(p: Program, key: Any, name: str, matrix: np.ndarray, said: str) -> Stored:
    """Declare a matrix [inputs, outputs], only the first time for each key, and return how it is read."""
    return Stored(p.constant(key, name, matrix, said), p.ctype, "{}")
