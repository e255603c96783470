"""Types for annotations: what nncore takes as data.

They are for programs that type checkers read; nncore itself takes more than types can say. What a model gives is always a plain
`numpy.ndarray`.

Examples
--------
>>> import numpy as np
>>> from nncore.typing import ArrayLike
>>> def error_rate(y_true: ArrayLike, y_pred: ArrayLike) -> float:
...     return float(np.mean(np.asarray(y_true) != np.asarray(y_pred)))
>>> error_rate([0, 1], [0, 0])
0.5
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy.typing as npt

__all__ = ["ArrayLike", "Arrays", "Batch", "SupportsDLPack", "Weights"]


class SupportsDLPack(Protocol):
    """An array of another library that hands over its memory: a tensor."""

    def __dlpack__(self, *args: Any, **kwargs: Any) -> Any: ...


#: One array: of NumPy or another library, a frame or series of pandas or polars, or (nested) lists of numbers.
ArrayLike = npt.ArrayLike | SupportsDLPack

#: The data of a model: one array; or, for several inputs or outputs, a list of them in order, or a dict of them by name.
Arrays = ArrayLike | Sequence[ArrayLike] | Mapping[str, ArrayLike]

#: Weights of samples: one array; or, for several outputs, a list or a dict, in which None stands for weights of 1.
Weights = ArrayLike | Sequence[ArrayLike | None] | Mapping[str, ArrayLike | None]

#: A batch of a data loader: (x, y), (x, y, sample_weight) or (x, y, sample_weight, lengths).
Batch = tuple[Any, Any] | tuple[Any, Any, Any] | tuple[Any, Any, Any, Any]


def __dir__() -> list[str]:
    return sorted(__all__)
