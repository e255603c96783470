"""Inputs: conversion of the x of fit, evaluate and predict, and checks against the shape that the first layer takes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import EmptyDataError, ShapeError
from ..records import Shape
from .arrays import as_array


def bind_inputs(x: Any, shapes: Sequence[Shape], layer: str, dtype: np.dtype[Any], allow_empty: bool = False) -> list[np.ndarray]:
    """Return one array [N, *shape] per input of the network.

    Parameters
    ----------
    x : array_like, or a list of them for several inputs
        The samples, one per row.
    shapes : sequence of tuple of int
        Shape of one sample for each input. Empty if the network does not know it yet; any shape is accepted then.
    layer : str
        The name of the first layer in error messages.
    dtype : numpy.dtype
        The type of the network, to which other types are converted.
    allow_empty : bool
        Whether N may be 0.

    Raises
    ------
    ShapeError, DTypeError, EmptyDataError
        The data do not fit the network.
    """
    if len(shapes) > 1:
        if not isinstance(x, list | tuple) or len(x) != len(shapes):
            raise ShapeError(
                f"x: the model has {len(shapes)} inputs; pass a list of {len(shapes)} arrays; a batch is ([x1, x2], y)"
            )
        names = [f"x[{i}]" for i in range(len(x))]
        arrays = [
            _fit(as_array(a, name, dtype, as_mapped=True), name, shape, layer)
            for a, name, shape in zip(x, names, shapes, strict=True)
        ]
        lengths = {len(a) for a in arrays}
        if len(lengths) > 1:
            raise ShapeError(f"x: the inputs have different numbers of rows: {[len(a) for a in arrays]}")
    else:
        arrays = [_fit(as_array(x, "x", dtype, as_mapped=True), "x", shapes[0] if shapes else None, layer)]
    if not allow_empty and not len(arrays[0]):
        raise EmptyDataError(f"x of shape {arrays[0].shape} has no rows")
    return arrays


def _fit(array: np.ndarray, name: str, shape: Shape | None, layer: str) -> np.ndarray:
    if array.ndim == 0:
        raise ShapeError(f"{name} is a single number; pass an array with one row per sample")
    if shape is None or array.shape[1:] == shape:
        return array
    if array.ndim == 1 and shape == (1,):
        return array[:, None]
    hint = f"; for a single sample pass {name}[None]" if array.shape == shape else ""
    if (*array.shape[1:], 1) == shape:
        hint = f"; for one feature, add its dimension: {name}[..., None]"
    if array.ndim > len(shape) + 1 and array.shape[array.ndim - len(shape) :] == shape:
        hint = f"; for samples of shape {array.shape[1:]}, call model.build({array.shape[1:]}) first"
    raise ShapeError(f"{name} has shape {array.shape}, but {layer} takes {('N', *shape)}".replace("'N'", "N") + hint)
