"""Initial weights: named schemes, and the rules (fans and gains) that they follow.

An initializer is any ``callable(shape, rng) -> array``; the functions here give such callables, and layers also take their names:
``weight_init="he_normal"``, ``weight_init=nn.init.he_normal(mode="fan_out")`` and ``weight_init=lambda shape, rng: ...`` all work.
Random numbers come from the NumPy generator that is passed in; every scheme draws in float64, and the layer casts.

Shapes are those of PyTorch: a weight is [fan_out, fan_in] or [out, in, *receptive field].
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from .._checks import function, shown
from ..errors import DTypeError, NonFiniteError, ShapeError, UnknownNameError, lookup
from ..records import Shape
from .rules import fans, gain
from .schemes import (
    Constant,
    Initializer,
    Normal,
    Orthogonal,
    TruncatedNormal,
    Uniform,
    VarianceScaling,
    constant,
    he_normal,
    he_uniform,
    lecun_normal,
    lecun_uniform,
    normal,
    ones,
    orthogonal,
    truncated_normal,
    uniform,
    xavier_normal,
    xavier_uniform,
    zeros,
)

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = [
    "SCHEMES",
    "Constant",
    "InitName",
    "InitSpec",
    "Initializer",
    "Normal",
    "Orthogonal",
    "TruncatedNormal",
    "Uniform",
    "VarianceScaling",
    "constant",
    "draw",
    "fans",
    "gain",
    "get",
    "he_normal",
    "he_uniform",
    "lecun_normal",
    "lecun_uniform",
    "normal",
    "ones",
    "orthogonal",
    "truncated_normal",
    "uniform",
    "xavier_normal",
    "xavier_uniform",
    "zeros",
]

Draw = Callable[[Shape, "np.random.Generator"], Any]  # quoted: numpy.random is loaded when a model is made, not on import

#: Every name of a scheme; a test holds it against `SCHEMES`.
InitName = Literal[
    "xavier_uniform",
    "xavier_normal",
    "he_uniform",
    "he_normal",
    "lecun_uniform",
    "lecun_normal",
    "orthogonal",
    "uniform",
    "normal",
    "truncated_normal",
    "zeros",
    "ones",
    "constant",
]

#: What a layer takes: a name, an initializer, one of the functions here (``nn.init.he_normal``), or a function of one's own.
InitSpec = InitName | Draw | Callable[..., Initializer]

SCHEMES: Mapping[str, Callable[[], Initializer]] = {
    "xavier_uniform": xavier_uniform,
    "xavier_normal": xavier_normal,
    "he_uniform": he_uniform,
    "he_normal": he_normal,
    "lecun_uniform": lecun_uniform,
    "lecun_normal": lecun_normal,
    "orthogonal": orthogonal,
    "uniform": uniform,
    "normal": normal,
    "truncated_normal": truncated_normal,
    "zeros": zeros,
    "ones": ones,
    "constant": constant,
}


def get(scheme: InitSpec) -> Draw:
    """Return the initializer for a name, one of the functions here, or a callable, which is returned as it is.

    Parameters
    ----------
    scheme : str or callable
        What a layer accepts as ``weight_init``.

    Returns
    -------
    callable
        ``draw(shape, rng) -> array``.

    Raises
    ------
    UnknownNameError
        If there is no scheme of that name.

    Examples
    --------
    >>> import nncore as nn
    >>> nn.init.get("ones")
    Constant(value=1.0)
    """
    if isinstance(scheme, str):
        return lookup("initializer", scheme, SCHEMES)()
    factory = {id(f): f for f in SCHEMES.values()}.get(id(scheme))
    if factory is not None:
        return factory()
    found: Draw = function("initializer", "the scheme", scheme, 2, "a name of nn.init or a callable(shape, rng)")
    return found


def checked(owner: str, name: str, scheme: Any, default: str | None = None) -> InitSpec:
    """Return an argument that is an initializer as it is given, or raise an error that names it.

    Parameters
    ----------
    owner, name : str
        Whose argument it is, and what it is called.
    scheme : str or callable
        As for `get`.
    default : str, optional
        Another name that the owner takes, such as "auto".

    Raises
    ------
    UnknownNameError, ArgumentError
        It is no initializer.

    Examples
    --------
    >>> import nncore as nn
    >>> nn.init.checked("Linear", "weight_init", "auto", "auto")
    'auto'
    """
    if isinstance(scheme, str):
        if scheme != default and scheme not in SCHEMES:
            try:
                lookup("initializer", scheme, SCHEMES)
            except UnknownNameError as error:
                raise UnknownNameError(f"{owner}: {name}: {error}") from None
    elif not any(scheme is factory for factory in SCHEMES.values()):
        function(owner, name, scheme, 2, "a name of nn.init or a callable(shape, rng)")
    found: InitSpec = scheme
    return found


def draw(
    scheme: InitSpec, shape: Sequence[int], rng: np.random.Generator, dtype: npt.DTypeLike = "float32", name: str = "parameter"
) -> np.ndarray:
    """Draw initial values, and check what a custom initializer gives.

    Parameters
    ----------
    scheme : str or callable
        As for `get`.
    shape : tuple of int
        Shape of the parameter.
    rng : numpy.random.Generator
        Source of the random numbers.
    dtype : dtype
        What to cast to.
    name : str
        How errors call the parameter.

    Returns
    -------
    numpy.ndarray
        The values.

    Raises
    ------
    ShapeError
        If the initializer gives another shape.
    NonFiniteError
        If a value is NaN or infinite in ``dtype``.

    Examples
    --------
    >>> import numpy as np
    >>> import nncore as nn
    >>> nn.init.draw("ones", (2,), np.random.default_rng(0))
    array([1., 1.], dtype=float32)
    """
    given = get(scheme)(tuple(shape), rng)
    try:
        values = np.asarray(given)
    except (ValueError, TypeError, OverflowError) as error:
        raise ShapeError(f"{name}: the initializer {shown(scheme)} gave what cannot be read as an array: {error}") from None
    if values.shape != tuple(shape):
        raise ShapeError(f"{name}: the initializer {shown(scheme)} gave shape {values.shape} where {tuple(shape)} is needed")
    if values.dtype.kind not in "fiub":
        raise DTypeError(f"{name}: the initializer {shown(scheme)} gave values of {values.dtype}, not real numbers")
    with np.errstate(over="ignore"):
        values = values.astype(dtype)
    if not np.isfinite(values).all():
        raise NonFiniteError(f"{name}: the initializer {shown(scheme)} gave values that are not finite in {np.dtype(dtype)}")
    return values


def __dir__() -> list[str]:
    return sorted(__all__)
