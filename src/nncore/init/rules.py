"""Two rules of the schemes: the gain of a nonlinearity, and fan_in and fan_out of a weight."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Literal

from .._checks import is_number, real, shown
from ..errors import ArgumentError, ShapeError, lookup

Nonlinearity = Literal["linear", "identity", "sigmoid", "tanh", "relu", "leaky_relu", "selu"]

GAINS: dict[str, Callable[[float], float]] = {
    "linear": lambda _: 1.0,
    "identity": lambda _: 1.0,
    "sigmoid": lambda _: 1.0,
    "tanh": lambda _: 5.0 / 3.0,
    "relu": lambda _: math.sqrt(2.0),
    "leaky_relu": lambda slope: math.sqrt(2.0 / (1.0 + slope * slope)),
    "selu": lambda _: 0.75,
}


def gain(nonlinearity: Nonlinearity, param: float | None = None) -> float:
    """Return the factor that keeps the variance constant through a nonlinearity, as ``torch.nn.init.calculate_gain`` does.

    Parameters
    ----------
    nonlinearity : str
        "linear", "identity", "sigmoid", "tanh", "relu", "leaky_relu" or "selu".
    param : float, optional
        The negative slope of "leaky_relu" (default 0.01). The others have no parameter.

    Returns
    -------
    float
        The gain.

    Examples
    --------
    >>> import nncore as nn
    >>> round(nn.init.gain("relu") ** 2, 6)
    2.0
    >>> nn.init.gain("tanh")
    1.6666666666666667
    """
    return lookup("nonlinearity", nonlinearity, GAINS)(0.01 if param is None else real("gain", "param", param))


def fans(shape: Sequence[int]) -> tuple[int, int]:
    """Return (fan_in, fan_out): the number of inputs of each output, and the number of outputs of each input.

    Parameters
    ----------
    shape : tuple of int
        Shape of the weight, [out, in, *receptive field].

    Returns
    -------
    tuple of int
        fan_in and fan_out.

    Raises
    ------
    ShapeError
        The shape has fewer than two dimensions.

    Examples
    --------
    >>> import nncore as nn
    >>> nn.init.fans((10, 4))
    (4, 10)
    """
    plain = type(shape) is tuple and all(type(d) is int for d in shape)
    if not plain and (not isinstance(shape, list | tuple) or not all(is_number(d) and hasattr(d, "__index__") for d in shape)):
        raise ArgumentError(f"fans: shape must be a tuple of whole numbers, not {shown(shape)}")
    if len(shape) < 2:
        raise ShapeError(f"fans are defined for weights of two or more dimensions, [out, in, ...], not for shape {tuple(shape)}")
    field = math.prod(shape[2:])
    return int(shape[1] * field), int(shape[0] * field)
