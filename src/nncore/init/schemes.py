"""The initialization schemes: classes whose instances draw values, and functions with the usual names for common cases."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar, Literal

import numpy as np

from .._checks import choice, optional_real, real
from .._declarations import DeclarationType
from ..errors import ArgumentError, ShapeError
from . import rules

Mode = Literal["fan_in", "fan_out", "fan_avg"]


class Initializer(metaclass=DeclarationType):
    """Base of the initializers in this file: callables whose repr shows their arguments.

    Examples
    --------
    >>> import nncore as nn
    >>> nn.init.he_normal()
    VarianceScaling(scale=2.0, mode='fan_in', distribution='normal')
    """

    _family: ClassVar[str] = "nncore.init"

    def __call__(self, shape: Sequence[int], rng: np.random.Generator) -> np.ndarray:
        """Return a float64 array of the given shape."""
        raise NotImplementedError

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in vars(self).items())})"

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and vars(self) == vars(other)

    def __hash__(self) -> int:
        return hash((type(self), tuple(vars(self).items())))


class VarianceScaling(Initializer):
    """Zero mean, variance ``scale / fan``. The schemes of Xavier, He and LeCun are special cases.

    Parameters
    ----------
    scale : float
        Variance times fan.
    mode : {"fan_in", "fan_out", "fan_avg"}
        The fan that is used. "fan_avg" is the mean of fan_in and fan_out.
    distribution : {"normal", "uniform"}
        "normal" is not truncated, as in PyTorch. Keras truncates.

    Examples
    --------
    >>> import numpy as np
    >>> import nncore as nn
    >>> draw = nn.init.VarianceScaling(scale=1.0, mode="fan_avg", distribution="uniform")
    >>> draw((3, 2), np.random.default_rng(0)).shape
    (3, 2)
    """

    def __init__(self, scale: float = 1.0, mode: Mode = "fan_in", distribution: Literal["normal", "uniform"] = "normal") -> None:
        self.scale = real("VarianceScaling", "scale", scale, 0.0)
        self.mode = choice("VarianceScaling", "mode", mode, ("fan_in", "fan_out", "fan_avg"))
        self.distribution = choice("VarianceScaling", "distribution", distribution, ("normal", "uniform"))

    def __call__(self, shape: Sequence[int], rng: np.random.Generator) -> np.ndarray:
        fan_in, fan_out = rules.fans(shape)
        fan = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}[self.mode]
        std = math.sqrt(self.scale / max(fan, 1))
        if self.distribution == "normal":
            return rng.normal(0.0, std, shape)
        return rng.uniform(-math.sqrt(3.0) * std, math.sqrt(3.0) * std, shape)


def _squared(owner: str, gain: float) -> float:
    """Return the square of a gain, and check that a float can hold it."""
    return real(owner, "gain", gain, -1e150, 1e150) ** 2


def xavier_uniform(gain: float = 1.0) -> Initializer:
    """Uniform with variance ``gain**2 * 2 / (fan_in + fan_out)`` (Glorot and Bengio 2010, eq. 16).

    Parameters
    ----------
    gain : float
        See `gain`.

    Returns
    -------
    Initializer
        The initializer.

    Examples
    --------
    >>> import numpy as np
    >>> import nncore as nn
    >>> w = nn.init.xavier_uniform()((50, 100), np.random.default_rng(0))
    >>> bool(abs(w).max() <= np.sqrt(6 / 150))
    True
    """
    return VarianceScaling(_squared("xavier_uniform", gain), "fan_avg", "uniform")


def xavier_normal(gain: float = 1.0) -> Initializer:
    """Normal with variance ``gain**2 * 2 / (fan_in + fan_out)`` (Glorot and Bengio 2010).

    Parameters
    ----------
    gain : float
        See `gain`.

    Returns
    -------
    Initializer
        The initializer.

    Examples
    --------
    >>> import nncore as nn
    >>> layer = nn.Linear(
    ...     4, 2, weight_init=nn.init.xavier_normal(gain=nn.init.gain("tanh"))
    ... )
    """
    return VarianceScaling(_squared("xavier_normal", gain), "fan_avg", "normal")


def _he(
    name: str,
    distribution: Literal["normal", "uniform"],
    mode: Mode,
    nonlinearity: rules.Nonlinearity,
    negative_slope: float | None,
    factor: float | None,
) -> Initializer:
    slope = optional_real(name, "negative_slope", negative_slope)
    choice(name, "nonlinearity", nonlinearity, tuple(rules.GAINS))
    if factor is None:
        factor = rules.gain(nonlinearity, slope)
    return VarianceScaling(round(_squared(name, factor), 12), mode, distribution)


def he_uniform(
    mode: Literal["fan_in", "fan_out"] = "fan_in",
    nonlinearity: rules.Nonlinearity = "relu",
    negative_slope: float | None = None,
    *,
    gain: float | None = None,
) -> Initializer:
    """Uniform with variance ``gain**2 / fan``, for layers before a ReLU-like activation (He et al. 2015, eq. 10 and 14).

    Parameters
    ----------
    mode : {"fan_in", "fan_out"}
        "fan_in" keeps the variance in the forward pass, "fan_out" in the backward pass.
    nonlinearity : str
        The activation after the layer; see `gain`.
    negative_slope : float, optional
        Slope of a "leaky_relu"; 0.01 by default.
    gain : float, optional
        The gain. It replaces the two arguments before it.

    Returns
    -------
    Initializer
        The initializer.

    Examples
    --------
    >>> import nncore as nn
    >>> nn.init.he_uniform(nonlinearity="leaky_relu", negative_slope=1.0)
    VarianceScaling(scale=1.0, mode='fan_in', distribution='uniform')
    """
    return _he("he_uniform", "uniform", mode, nonlinearity, negative_slope, gain)


def he_normal(
    mode: Literal["fan_in", "fan_out"] = "fan_in",
    nonlinearity: rules.Nonlinearity = "relu",
    negative_slope: float | None = None,
    *,
    gain: float | None = None,
) -> Initializer:
    """Normal with variance ``gain**2 / fan`` (He et al. 2015). The arguments are those of `he_uniform`.

    Examples
    --------
    >>> import nncore as nn
    >>> nn.init.he_normal(gain=3.0)
    VarianceScaling(scale=9.0, mode='fan_in', distribution='normal')
    """
    return _he("he_normal", "normal", mode, nonlinearity, negative_slope, gain)


def lecun_uniform() -> Initializer:
    """Uniform with variance ``1 / fan_in`` (LeCun et al. 1998, "Efficient BackProp", section 4.6).

    Examples
    --------
    >>> import nncore as nn
    >>> nn.init.lecun_uniform()
    VarianceScaling(scale=1.0, mode='fan_in', distribution='uniform')
    """
    return VarianceScaling(1.0, "fan_in", "uniform")


def lecun_normal() -> Initializer:
    """Normal with variance ``1 / fan_in``. SELU needs it to normalise itself (Klambauer et al. 2017).

    Examples
    --------
    >>> import nncore as nn
    >>> nn.init.lecun_normal()
    VarianceScaling(scale=1.0, mode='fan_in', distribution='normal')
    """
    return VarianceScaling(1.0, "fan_in", "normal")


class Orthogonal(Initializer):
    """Orthogonal rows of length ``gain``, or orthogonal columns if there are fewer columns than rows (Saxe et al. 2014).

    Parameters
    ----------
    gain : float
        Length of the rows or columns. A weight of more than two dimensions is treated as [out, everything else].

    Examples
    --------
    >>> import numpy as np
    >>> import nncore as nn
    >>> w = nn.init.orthogonal()((3, 5), np.random.default_rng(0))
    >>> bool(np.allclose(w @ w.T, np.eye(3)))
    True
    """

    def __init__(self, gain: float = 1.0) -> None:
        self.gain = real("orthogonal", "gain", gain)

    def __call__(self, shape: Sequence[int], rng: np.random.Generator) -> np.ndarray:
        if len(shape) < 2:
            raise ShapeError(f"orthogonal is defined for two or more dimensions, [out, in, ...], not for shape {tuple(shape)}")
        rows, columns = shape[0], math.prod(shape[1:])
        q, r = np.linalg.qr(rng.normal(size=(max(rows, columns), min(rows, columns))))
        q = q * np.where(np.diag(r) < 0, -1.0, 1.0)  # makes the distribution uniform (Mezzadri 2007)
        return self.gain * (q if rows >= columns else q.T).reshape(shape)


class Uniform(Initializer):
    """Uniform on [low, high).

    Parameters
    ----------
    low, high : float
        The bounds.

    Examples
    --------
    >>> import nncore as nn
    >>> nn.init.uniform(-1, 1)
    Uniform(low=-1.0, high=1.0)
    """

    def __init__(self, low: float = -0.05, high: float = 0.05) -> None:
        self.low, self.high = real("uniform", "low", low), real("uniform", "high", high)
        if self.low > self.high:
            raise ArgumentError(f"uniform: low must not be above high, but they are {self.low:g} and {self.high:g}")

    def __call__(self, shape: Sequence[int], rng: np.random.Generator) -> np.ndarray:
        return rng.uniform(self.low, self.high, shape)


class Normal(Initializer):
    """Normal with the given mean and standard deviation.

    Parameters
    ----------
    mean, std : float
        Mean and standard deviation.

    Examples
    --------
    >>> import nncore as nn
    >>> nn.init.normal(std=0.01)
    Normal(mean=0.0, std=0.01)
    """

    def __init__(self, mean: float = 0.0, std: float = 0.05) -> None:
        self.mean = real("normal", "mean", mean)
        self.std = real("normal", "std", std, 0.0)

    def __call__(self, shape: Sequence[int], rng: np.random.Generator) -> np.ndarray:
        return rng.normal(self.mean, self.std, shape)


class TruncatedNormal(Initializer):
    """Normal, redrawn until the value is in [a, b].

    Parameters
    ----------
    mean, std : float
        Mean and standard deviation before truncation.
    a, b : float
        Absolute bounds, not multiples of std, as in ``torch.nn.init.trunc_normal_``.

    Raises
    ------
    ArgumentError
        Less than 1 % of the normal distribution is within the bounds. Another scheme is more suitable then.

    Examples
    --------
    >>> import numpy as np
    >>> import nncore as nn
    >>> draw = nn.init.truncated_normal(std=0.1, a=-0.2, b=0.2)
    >>> w = draw((100, 10), np.random.default_rng(0))
    >>> bool(abs(w).max() <= 0.2)
    True
    """

    def __init__(self, mean: float = 0.0, std: float = 1.0, a: float = -2.0, b: float = 2.0) -> None:
        self.mean = real("truncated_normal", "mean", mean)
        self.std = real("truncated_normal", "std", std, 0.0, open_low=True)
        self.a = real("truncated_normal", "a", a)
        self.b = real("truncated_normal", "b", b, self.a, open_low=True)
        z = [(bound - self.mean) / (self.std * math.sqrt(2.0)) for bound in (self.a, self.b)]
        if math.erf(z[1]) - math.erf(z[0]) < 0.02:
            raise ArgumentError(f"{self!r}: less than 1 % of this normal lies in [{self.a:g}, {self.b:g}]; widen the bounds")

    def __call__(self, shape: Sequence[int], rng: np.random.Generator) -> np.ndarray:
        out = rng.normal(self.mean, self.std, shape)
        while (outside := (out < self.a) | (out > self.b)).any():
            out[outside] = rng.normal(self.mean, self.std, int(outside.sum()))
        return out


class Constant(Initializer):
    """A constant.

    Parameters
    ----------
    value : float
        The value.

    Examples
    --------
    >>> import nncore as nn
    >>> nn.init.constant(0.5)
    Constant(value=0.5)
    """

    def __init__(self, value: float = 0.0) -> None:
        self.value = real("constant", "value", value)

    def __call__(self, shape: Sequence[int], rng: np.random.Generator) -> np.ndarray:
        return np.full(shape, self.value)


def zeros() -> Initializer:
    """All zeros: the default for biases.

    Examples
    --------
    >>> import nncore as nn
    >>> nn.init.zeros()
    Constant(value=0.0)
    """
    return Constant(0.0)


def ones() -> Initializer:
    """All ones.

    Examples
    --------
    >>> import nncore as nn
    >>> nn.init.ones()
    Constant(value=1.0)
    """
    return Constant(1.0)


orthogonal = Orthogonal
uniform = Uniform
normal = Normal
truncated_normal = TruncatedNormal
constant = Constant
