"""Data in parts as input of estimators: `partial_fit` takes them block by block, so that they need not fit into memory."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ..data.in_parts import as_parts, is_in_parts
from ..errors import ArgumentError

FLOAT32 = np.dtype(np.float32)


def given(args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """Return whether the arguments of `fit` or `partial_fit` are data in parts."""
    x = args[0] if args else kwargs.get("X")
    if any(each.__module__.startswith("torch.utils.data") for each in type(x).__mro__):
        raise ArgumentError(
            f"X must be rows, not the {type(x).__name__} of PyTorch; stack its samples to arrays X and y, or call partial_fit(X, "
            "y) with its batches"
        )
    return is_in_parts(x, args[1] if len(args) > 1 else kwargs.get("y"))


def fit_blocks(method: Callable[..., Any], call: Callable[..., Any], estimator: Any, args: Any, kwargs: Any) -> Any:
    """Train for one epoch on data in parts, one block after another.

    method: the one that was called. call: calls it with other arguments.
    """
    who = f"{type(estimator).__name__}.{method.__name__}"
    if method.__name__ != "partial_fit":
        x, y = (args[0] if args else kwargs["X"]), (args[1] if len(args) > 1 else kwargs.get("y"))
        if hasattr(x, "__array__") and not isinstance(y, str | list | dict):
            return call(estimator, *args, **kwargs)  # collections of Dask are read whole, as scikit-learn does
        raise ArgumentError(
            f"{who} needs all rows; for data in parts call partial_fit, once for each epoch, of a classifier with classes= at first"
        )
    bound = inspect.signature(method).bind(estimator, *args, **kwargs).arguments
    bound.pop("self")
    parts = as_parts(who, bound.pop("X"), bound.pop("y", None), bound.pop("sample_weight", None), bound.pop("lengths", None))
    if not parts.has_targets:
        raise ArgumentError(f"{who}: the targets are missing; name their column (y='label', or target= of nn.data.parquet)")
    size = getattr(estimator, "batch_size", "auto")
    seed = estimator.random_state if isinstance(estimator.random_state, int) else 0
    done = estimator._model.step if "_model" in vars(estimator) else 0
    order = (seed, int(done)) if getattr(estimator, "shuffle", True) else None
    with parts.blocks(FLOAT32, size if isinstance(size, int) else 200, order) as blocks:
        for block in blocks:
            fields = dict(zip(("X", "y", "sample_weight", "lengths"), parts.fields(block.chunk), strict=False))
            call(estimator, **bound, **{name: value for name, value in fields.items() if value is not None})
    return estimator


def samples_of(X: Any) -> Iterator[np.ndarray]:
    """Return the samples of data in parts, block by block."""
    parts = as_parts("predict", X)
    with parts.blocks(FLOAT32) as blocks:
        for block in blocks:
            yield parts.fields(block.chunk)[0]
