"""Types for annotations: the data that nncore accepts.

They are for programs that use type checkers. nncore accepts more than these types can express. A model always returns a plain
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
from typing import Any, Literal, Protocol

import numpy.typing as npt

__all__ = ["ArrayLike", "Arrays", "Batch", "Compute", "SupportsDLPack", "Weights"]


class SupportsDLPack(Protocol):
    """An array of another library that gives access to its memory: a tensor."""

    def __dlpack__(self, *args: Any, **kwargs: Any) -> Any: ...


#: One array: of NumPy or another library, a frame or series of pandas or polars, or (nested) lists of numbers.
ArrayLike = npt.ArrayLike | SupportsDLPack

#: The data of a model: one array. For several inputs or outputs, a list of arrays in order, or a dict by name.
Arrays = ArrayLike | Sequence[ArrayLike] | Mapping[str, ArrayLike]

#: Weights of samples: one array. For several outputs, a list or a dict; None in it means weights of 1.
Weights = ArrayLike | Sequence[ArrayLike | None] | Mapping[str, ArrayLike | None]

#: A batch of a data loader: (x, y), (x, y, sample_weight) or (x, y, sample_weight, lengths).
Batch = tuple[Any, Any] | tuple[Any, Any, Any] | tuple[Any, Any, Any, Any]

#: In what the products of a model are computed.
Compute = Literal["float32", "bfloat16", "auto"]


def __dir__() -> list[str]:
    return sorted(__all__)
