"""Initial weights: named schemes, and the rules for fan_in, fan_out and gain that they use.

An initializer is any ``callable(shape, rng) -> array``. The functions here return such callables. Layers also accept their names,
so these all work: ``weight_init="he_normal"``, ``weight_init=nn.init.he_normal(mode="fan_out")`` and
``weight_init=lambda shape, rng: ...``. Random numbers come from the NumPy generator that is passed in. Every scheme draws in
float64; the layer converts the result.

Shapes are those of PyTorch: a weight is [fan_out, fan_in] or [out, in, *receptive field].
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from .._checks import function, is_number, not_foreign, shown
from .._lazy import refusing
from ..errors import ArgumentError, DTypeError, NonFiniteError, ShapeError, UnknownNameError, lookup
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
    "fans",
    "gain",
    "get",
    "glorot_normal",
    "glorot_uniform",
    "he_normal",
    "he_uniform",
    "kaiming_normal",
    "kaiming_uniform",
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

# The names of Keras and PyTorch.
glorot_uniform, glorot_normal, kaiming_uniform, kaiming_normal = xavier_uniform, xavier_normal, he_uniform, he_normal

Draw = Callable[[Shape, "np.random.Generator"], Any]  # quoted, as numpy.random is imported only when a model is made

#: Every name of a scheme. A test compares them with `SCHEMES`.
InitName = Literal[
    "xavier_uniform",
    "glorot_uniform",
    "xavier_normal",
    "glorot_normal",
    "he_uniform",
    "kaiming_uniform",
    "he_normal",
    "kaiming_normal",
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

#: What a layer accepts: a name, an initializer, a function of this module (``nn.init.he_normal``), or a user's function.
InitSpec = InitName | Draw | Callable[..., Initializer]

#: Every name, the names of Keras and PyTorch after those that messages show.
SCHEMES: Mapping[str, Callable[[], Initializer]] = {
    "xavier_uniform": xavier_uniform,
    "glorot_uniform": glorot_uniform,
    "xavier_normal": xavier_normal,
    "glorot_normal": glorot_normal,
    "he_uniform": he_uniform,
    "kaiming_uniform": kaiming_uniform,
    "he_normal": he_normal,
    "kaiming_normal": kaiming_normal,
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
    """Return the initializer for a name or for a function of this module. Other callables are returned unchanged.

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
        No scheme has this name.

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
    return _check_object("initializer", "the scheme", scheme)


def _check_object(owner: str, name: str, scheme: Any) -> Draw:
    """Return an object that is no name if it is an initializer."""
    wanted = "a name of nn.init or a callable(shape, rng)"
    if is_number(scheme):
        raise ArgumentError(f"{owner}: {name} must be {wanted}, not a number; use nn.init.Constant({shown(scheme)})")
    if not isinstance(scheme, type) and (hasattr(scheme, "__array__") or isinstance(scheme, list | tuple)):
        raise ArgumentError(
            f"{owner}: {name} must be {wanted}, not an array; use lambda shape, rng: values, or assign the values when the layer "
            "is in a model: layer.weight = values"
        )
    not_foreign(f"{owner}: {name}", scheme, "init")
    found: Draw = function(owner, name, scheme, 2, wanted)
    return found


def checked(owner: str, name: str, scheme: Any, default: str | None = None) -> InitSpec:
    """Return an argument unchanged if it is an initializer. Otherwise raise an error that names the argument.

    Parameters
    ----------
    owner, name : str
        The owner of the argument and the name of the argument.
    scheme : str or callable
        As for `get`.
    default : str, optional
        Another name that the owner accepts, such as "auto".

    Raises
    ------
    UnknownNameError, ArgumentError
        The argument is not an initializer.

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
        _check_object(owner, name, scheme)
    found: InitSpec = scheme
    return found


def draw(
    scheme: InitSpec, shape: Sequence[int], rng: np.random.Generator, dtype: npt.DTypeLike = "float32", name: str = "parameter"
) -> np.ndarray:
    """Draw initial values, and check those of a user's initializer.

    Parameters
    ----------
    scheme : str or callable
        As for `get`.
    shape : tuple of int
        Shape of the parameter.
    rng : numpy.random.Generator
        Source of the random numbers.
    dtype : dtype
        The type of the result.
    name : str
        The name of the parameter in error messages.

    Returns
    -------
    numpy.ndarray
        The values.

    Raises
    ------
    ShapeError
        The initializer returned another shape.
    NonFiniteError
        A value is NaN or infinite in ``dtype``.

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


if not TYPE_CHECKING:
    __getattr__ = refusing(__name__, __all__)


def __dir__() -> list[str]:
    return sorted(__all__)
