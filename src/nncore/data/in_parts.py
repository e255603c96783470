"""Which data are read in parts: `Parts`, and the objects of pyarrow and Dask for which `fit` makes parts itself.

This file imports neither library, nor the package that reads them: it looks at the names of types.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import ArgumentError
from .names import Names

if TYPE_CHECKING:
    from .partitioned.source import Parts

_READ = ("dask.array", "dask.dataframe", "dask_expr", "pyarrow._dataset", "pyarrow.parquet")


def is_in_parts(x: Any, y: Any = None) -> bool:
    """Return whether samples are read in parts. y: the targets, which may be names of columns."""
    if isinstance(x, np.ndarray):  # most data
        return False
    module = type(x).__module__
    if module.startswith("nncore.data.partitioned"):
        return True
    if module == "pyarrow.lib":
        return hasattr(x, "read_next_batch") or (_are_names(y) and hasattr(x, "schema"))
    if isinstance(x, list | tuple | Mapping) and not hasattr(x, "toarray") and x:  # a sparse dok_array is a Mapping
        return type(next(iter(x.values() if isinstance(x, Mapping) else x))).__module__.startswith(_READ[:3])
    return module.startswith(_READ)


def _are_names(y: Any) -> bool:
    if isinstance(y, Mapping):
        y = next(iter(y.values()), None)
    return isinstance(y, str) or (isinstance(y, list) and bool(y) and all(isinstance(each, str) for each in y))


def as_parts(
    who: str,
    x: Any,
    y: Any = None,
    weight: Any = None,
    lengths: Any = None,
    known: Sequence[Names] | None = None,
    inputs: Sequence[str] = (),
) -> Parts:
    """Return the parts of data for which `is_in_parts` is true.

    known: the names of the columns of each input with which the model was trained; they are selected from a table. inputs: the
    names of the model's inputs.
    """
    from .partitioned.source import Parts, parts  # imported here because few programs need it

    if isinstance(x, Parts):
        if y is not None or weight is not None or lengths is not None:
            raise ArgumentError(f"{who}: y, sample_weight and lengths are parts of these data; name them when you make them")
        return x
    features: Any = None
    if known and all(names is not None for names in known) and _is_table(x) and (y is None or _are_names(y)):
        listed = [list(names or ()) for names in known]
        features = listed[0] if len(listed) == 1 else dict(zip(inputs, listed, strict=True))
    return parts(x, y, features=features, sample_weight=weight, lengths=lengths)


def _is_table(x: Any) -> bool:
    return hasattr(x, "schema") or hasattr(x, "schema_arrow") or (hasattr(x, "columns") and hasattr(x, "npartitions"))
