"""Slice and Take: parts of one dimension; and the indices of values, such as ``x[:, 2:5]``, which make them."""

from __future__ import annotations

from collections.abc import Sequence
from types import EllipsisType
from typing import Any, ClassVar

import numpy as np

from .._checks import integer, is_number, shape_text, shown
from ..errors import ArgumentError
from ..graph import Value
from ..records import Op
from .base import Layer
from .pooling import LastStep
from .shape import Flatten, Reshape

#: Beyond the ends of a dimension: None in the record of a slice.
FAR = 2**31 - 1


class Slice(Layer):
    """A part of one dimension: ``y = x[..., start:stop:step]``, by the rules of Python.

    Negative numbers count from the end, and numbers beyond an end mean that end. In a model, ``x[:, 2:5]`` makes this layer.

    Parameters
    ----------
    start, stop : int or None
        The first index, and the one before which the part ends. None is the end from which, or to which, ``step`` goes.
    step : int
        The distance of indices; negative ones go backwards, so that ``Slice(None, None, -1)`` reverses the dimension.
    axis : int
        The dimension, counted with the batch as 0, or from the end. It cannot be the batch. -1: features; 1: the time steps of
        [N, time, features], or the channels of [N, C, L].

    Raises
    ------
    ShapeError
        Nothing is left, or the dimension is not there. This is known once the shape of the input is.

    Notes
    -----
    With ``lengths=``, parts of features are taken as always. Of the time steps, only the first one, ``Slice(0, 1, axis=1)``, can be
    taken; others may lie beyond the end of a sequence. `LastStep` takes the last valid one.

    Examples
    --------
    >>> import nncore as nn
    >>> nn.Slice(1, 3)([[0.0, 1.0, 2.0, 3.0]])
    array([[1., 2.]])
    >>> x = nn.Input((4,))
    >>> nn.Linear(2, 1)(x[:, :2]) + x[:, 2:3]
    <Value [*, 1] from Add>
    """

    init_looks_through: ClassVar[bool] = True
    repr_defaults: ClassVar[dict[str, object]] = {"step": 1, "axis": -1}

    start: int | None
    stop: int | None
    step: int
    axis: int

    def __init__(self, start: int | None, stop: int | None, step: int = 1, axis: int = -1, *, name: str | None = None) -> None:
        first, last = (None if each is None else integer("Slice", what, each) for what, each in (("start", start), ("stop", stop)))
        if not integer("Slice", "step", step):
            raise ArgumentError("Slice: step must be a whole number other than 0")
        super().__init__(start=first, stop=last, step=integer("Slice", "step", step), axis=_axis("Slice", axis), name=name)

    def ops(self, name: str, inputs: tuple[int, ...], value: int) -> list[Op]:
        ends = (0, FAR) if self.step > 0 else (FAR, -FAR)
        start, stop = (end if each is None else each for each, end in zip((self.start, self.stop), ends, strict=True))
        return [Op.of("slice", name, inputs, axis=self.axis, start=start, stop=stop, step=self.step)]


class Take(Layer):
    """Chosen indices of one dimension, in their order: ``y = x[..., indices]``, as ``numpy.take`` and ``torch.index_select`` do.

    In a model, ``x[:, [3, 1, 0]]`` makes this layer. `Slice` says the same of indices that are equally far apart.

    Parameters
    ----------
    indices : sequence of int
        The indices; negative ones count from the end. One may be there several times: its gradients are added.
    axis : int
        The dimension, counted with the batch as 0, or from the end. It cannot be the batch.

    Raises
    ------
    ShapeError
        An index is not there. This is known once the shape of the input is.

    Notes
    -----
    With ``lengths=``, what holds for `Slice` holds here.

    Examples
    --------
    >>> import nncore as nn
    >>> nn.Take([3, 1, 0])([[0.0, 1.0, 2.0, 3.0]])
    array([[3., 1., 0.]])
    """

    repr_defaults: ClassVar[dict[str, object]] = {"axis": -1}

    indices: tuple[int, ...]
    axis: int

    def __init__(self, indices: Sequence[int] | np.ndarray, axis: int = -1, *, name: str | None = None) -> None:
        if not isinstance(indices, list | tuple | range | np.ndarray) or np.ndim(indices) != 1 or not len(indices):
            raise ArgumentError(f"Take: indices must be whole numbers in a list, such as [3, 1, 0], not {shown(indices)}")
        found = tuple(integer("Take", "each of indices", i) for i in indices)
        super().__init__(indices=found, axis=_axis("Take", axis), name=name)

    def ops(self, name: str, inputs: tuple[int, ...], value: int) -> list[Op]:
        return [Op.of("take", name, inputs, axis=self.axis, indices=self.indices)]


def _axis(owner: str, axis: int) -> int:
    if not (found := integer(owner, "axis", axis)):
        raise ArgumentError(f"{owner}: axis must be a whole number other than 0, which is the batch")
    return found


def index_value(value: Value, index: Any) -> Value:
    """Return a part of a value. ``value[index]`` calls this function."""
    parts = list(index) if isinstance(index, tuple) else [index]
    rank = len(value.shape) + 1
    dots = [i for i, part in enumerate(parts) if isinstance(part, EllipsisType)]
    if len(dots) == 1:
        missing = rank - sum(part is not None for part in parts) + 1
        parts[dots[0] : dots[0] + 1] = [slice(None)] * missing
    if not parts or parts[0] != slice(None):
        raise _refused(value, "the first index is that of the batch, which stays whole; begin with ':' as in x[:, 2:5]")
    axis = 0
    for part in parts:
        if part is None:
            value = _reshaped(value, [*value.shape[: axis - 1], 1, *value.shape[axis - 1 :]], axis > 1)
        elif axis > len(value.shape):
            raise _refused(value, f"{shown(index)} has more indices than it has dimensions")
        elif isinstance(part, slice):
            if part != slice(None):
                value = Slice(part.start, part.stop, 1 if part.step is None else part.step, _shown(axis, value))(value)
        elif isinstance(part, list | tuple | range) or getattr(part, "ndim", 0) == 1:
            value = Take(part, _shown(axis, value))(value)
        elif is_number(part):
            value, axis = _one(value, integer("the index of a value", "each number", part), axis), axis - 1
        else:
            raise _refused(value, f"the index {shown(part)}; numbers, slices, lists of numbers, None and ... are possible")
        axis += 1
    return value


def _shown(axis: int, value: Value) -> int:
    return -1 if axis == len(value.shape) else axis


def _one(value: Value, i: int, axis: int) -> Value:
    """Return an index of a dimension, which goes."""
    shape = value.shape
    if not -shape[axis - 1] <= i < shape[axis - 1]:
        raise _refused(value, f"its dimension {axis} has no index {i}")
    if len(shape) == 1:
        raise _refused(value, f"no dimension would be left beside the batch; write x[:, {i}:{i + 1 or ''}]")
    if axis == 1 and i == -1:
        return LastStep()(value)
    return _reshaped(Slice(i, i + 1 or None, axis=_shown(axis, value))(value), [*shape[: axis - 1], *shape[axis:]], axis > 1)


def _reshaped(value: Value, shape: list[int], keeps_first: bool) -> Value:
    """Give samples another shape. Where the first dimension stays, it may be time, of which there may be more."""
    return Flatten()(value) if len(shape) == 1 else Reshape(-1 if keeps_first else shape[0], *shape[1:])(value)


def _refused(value: Value, why: str) -> ArgumentError:
    return ArgumentError(f"an index of a value {shape_text(value.shape)}: {why}")
