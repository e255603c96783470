"""Pooling over time, with Keras's names: mean, maximum, and the last step."""

from __future__ import annotations

from typing import ClassVar

from ..records import Op
from .base import Layer

_MODES = {"mean": 0, "max": 1, "last": 2}  # nnc_pool in the core


class Pooling(Layer):
    """Base of the layers that make one step of the valid steps of a sequence: [N, time, ...] becomes [N, ...]."""

    mode: ClassVar[str]

    def __init__(self, *, name: str | None = None) -> None:
        super().__init__(name=name)

    def ops(self, name: str, inputs: tuple[int, ...], value: int) -> list[Op]:
        return [Op.of("pool", name, inputs, mode=_MODES[self.mode])]


class GlobalAveragePooling1D(Pooling):
    """The mean over time: ``y = (x[0] + ... + x[length - 1]) / length``.

    [N, time, features] becomes [N, features]. With ``lengths=``, only the valid steps of each sequence count.

    Notes
    -----
    The name is Keras's, because PyTorch has no layer for it.

    Examples
    --------
    >>> import numpy as np
    >>> import nncore as nn
    >>> x = [[[1.0], [3.0], [99.0]]]
    >>> nn.GlobalAveragePooling1D()(x[:1])
    array([[34.33333333]])
    >>> nn.Sequential(nn.GlobalAveragePooling1D()).predict(x, lengths=[2])
    array([[2.]], dtype=float32)
    """

    mode: ClassVar[str] = "mean"


class GlobalMaxPooling1D(Pooling):
    """The maximum over time: ``y = max(x[0], ..., x[length - 1])``.

    [N, time, features] becomes [N, features]. With ``lengths=``, only the valid steps of each sequence count. The gradient goes to
    the first step that has the maximum. NaN is passed on.

    Notes
    -----
    The name is Keras's, because PyTorch has no layer for it.

    Examples
    --------
    >>> import nncore as nn
    >>> x = [[[1.0], [3.0], [99.0]]]
    >>> nn.Sequential(nn.GlobalMaxPooling1D()).predict(x, lengths=[2])
    array([[3.]], dtype=float32)
    """

    mode: ClassVar[str] = "max"


class LastStep(Pooling):
    """The last step: ``y = x[length - 1]``.

    [N, time, features] becomes [N, features]. With ``lengths=``, this is the last valid step of each sequence.

    Examples
    --------
    >>> import nncore as nn
    >>> x = [[[1.0], [3.0], [99.0]]]
    >>> nn.Sequential(nn.LastStep()).predict(x, lengths=[2])
    array([[3.]], dtype=float32)
    """

    mode: ClassVar[str] = "last"
