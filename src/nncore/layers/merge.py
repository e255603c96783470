"""Layers with several inputs, with Keras's names: sums, products, maximum, minimum and concatenation. Rescaling is here too."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, overload

from .._checks import integer, real
from ..errors import ArgumentError
from ..records import Op
from .base import Layer

if TYPE_CHECKING:
    import numpy as np

    from ..graph import Value
    from ..typing import ArrayLike

_AT_ONCE = 8  # the largest number of inputs of one op record


class Merge(Layer):
    """Base of the layers that are called on a list of inputs.

    The inputs have one shape, or are broadcast to one, except for `Concatenate`. A dimension of size 1 is broadcast to the size of
    the others. Missing dimensions are inserted after the batch. So one number per sample [N, 1] combines with features [N, F]; one
    number per step [N, time, 1] combines with the features of the step [N, time, F]; one number per feature [N, F] combines with
    the features of all steps.
    """

    input_count: ClassVar[tuple[int, int | None]] = (2, None)


def _chain(name: str, inputs: tuple[int, ...], value: int, most: int, op: Op) -> list[Op]:
    """Return a chain of op records if there are too many inputs for one. The first input of each further op is the result so
    far."""
    ops = [op._replace(name=name, inputs=inputs[:most])]
    for first in range(most, len(inputs), most - 1):
        ops.append(op._replace(name=name, inputs=(value + len(ops) - 1, *inputs[first : first + most - 1])))
    return ops


class Add(Merge):
    """The sum of its inputs, from left to right: ``y = x0 + x1 + ...``.

    Examples
    --------
    A residual block:

    >>> import nncore as nn
    >>> x = nn.Input((4,))
    >>> h = nn.Tanh()(nn.Linear(4, 4)(x))
    >>> model = nn.Model(x, nn.Add()([x, h]))
    >>> nn.Add()([[[1.0, 2.0]], [[10.0, 20.0]]])
    array([[11., 22.]])
    """

    def __init__(self, *, name: str | None = None) -> None:
        super().__init__(name=name)

    def ops(self, name: str, inputs: tuple[int, ...], value: int) -> list[Op]:
        return _chain(name, inputs, value, _AT_ONCE, Op.of("add", name, inputs, first=1.0, rest=1.0, offset=0.0))


class Subtract(Merge):
    """The difference of two inputs: ``y = x0 - x1``.

    Examples
    --------
    >>> import nncore as nn
    >>> nn.Subtract()([[[1.0, 2.0]], [[10.0, 20.0]]])
    array([[ -9., -18.]])
    """

    input_count: ClassVar[tuple[int, int | None]] = (2, 2)

    def __init__(self, *, name: str | None = None) -> None:
        super().__init__(name=name)

    def ops(self, name: str, inputs: tuple[int, ...], value: int) -> list[Op]:
        return [Op.of("add", name, inputs, first=1.0, rest=-1.0, offset=0.0)]


class Average(Merge):
    """The mean of its inputs: ``y = (x0 + x1 + ...) / n``. Each term is scaled before it is added.

    Examples
    --------
    >>> import nncore as nn
    >>> nn.Average()([[[1.0, 2.0]], [[3.0, 6.0]]])
    array([[2., 4.]])
    """

    def __init__(self, *, name: str | None = None) -> None:
        super().__init__(name=name)

    def ops(self, name: str, inputs: tuple[int, ...], value: int) -> list[Op]:
        part = 1.0 / len(inputs)
        one, *others = _chain(name, inputs, value, _AT_ONCE, Op.of("add", name, inputs, first=1.0, rest=part, offset=0.0))
        return [Op.of("add", name, one.inputs, first=part, rest=part, offset=0.0), *others]


class Multiply(Merge):
    """The product of its inputs, element by element: ``y = x0 * x1 * ...``.

    The inputs are broadcast as for all merging layers: gates [N, 1] scale features [N, F], and weights [N, time, 1] scale the steps
    of [N, time, F].

    Examples
    --------
    A gate:

    >>> import nncore as nn
    >>> x = nn.Input((4,))
    >>> gate = nn.Sigmoid()(nn.Linear(4, 4)(x))
    >>> model = nn.Model(x, nn.Multiply()([x, gate]))
    >>> nn.Multiply()([[[1.0, 2.0]], [[3.0, 6.0]]])
    array([[ 3., 12.]])
    """

    def __init__(self, *, name: str | None = None) -> None:
        super().__init__(name=name)

    def ops(self, name: str, inputs: tuple[int, ...], value: int) -> list[Op]:
        return _chain(name, inputs, value, 2, Op.of("multiply", name, inputs))


class Maximum(Merge):
    """The largest of its inputs, element by element. The gradient goes to the largest input; two equal ones get half each.

    Examples
    --------
    >>> import nncore as nn
    >>> nn.Maximum()([[[1.0, 2.0]], [[3.0, -6.0]]])
    array([[3., 2.]])
    """

    def __init__(self, *, name: str | None = None) -> None:
        super().__init__(name=name)

    def ops(self, name: str, inputs: tuple[int, ...], value: int) -> list[Op]:
        return _chain(name, inputs, value, 2, Op.of("maximum", name, inputs, is_minimum=False))


class Minimum(Merge):
    """The smallest of its inputs, element by element. The gradient goes to the smallest input; two equal ones get half each.

    Examples
    --------
    >>> import nncore as nn
    >>> nn.Minimum()([[[1.0, 2.0]], [[3.0, -6.0]]])
    array([[ 1., -6.]])
    """

    def __init__(self, *, name: str | None = None) -> None:
        super().__init__(name=name)

    def ops(self, name: str, inputs: tuple[int, ...], value: int) -> list[Op]:
        return _chain(name, inputs, value, 2, Op.of("maximum", name, inputs, is_minimum=True))


class Concatenate(Merge):
    """Its inputs joined along one dimension. They have the same size in all other dimensions.

    Parameters
    ----------
    axis : int
        The dimension, counted with the batch as 0, or from the end. It cannot be the batch.

    Examples
    --------
    >>> import nncore as nn
    >>> nn.Concatenate()([[[1.0, 2.0]], [[3.0]]])
    array([[1., 2., 3.]])
    """

    axis: int

    def __init__(self, axis: int = -1, *, name: str | None = None) -> None:
        found = integer("Concatenate", "axis", axis)
        if found == 0:
            raise ArgumentError("Concatenate: axis must be a whole number other than 0, which is the batch")
        super().__init__(axis=found, name=name)

    def ops(self, name: str, inputs: tuple[int, ...], value: int) -> list[Op]:
        return _chain(name, inputs, value, _AT_ONCE, Op.of("concat", name, inputs, axis=self.axis))


class Rescaling(Layer):
    """A scale and a shift: ``y = scale * x + offset``. Arithmetic of network values with Python numbers makes this layer.

    Parameters
    ----------
    scale, offset : float
        They apply to all elements and are not trained.

    Examples
    --------
    >>> import nncore as nn
    >>> nn.Rescaling(1 / 255)([[0.0, 51.0]]).round(3)
    array([[0. , 0.2]])
    """

    preserves_shape: ClassVar[bool] = True

    scale: float
    offset: float

    def __init__(self, scale: float, offset: float = 0.0, *, name: str | None = None) -> None:
        super().__init__(scale=real("Rescaling", "scale", scale), offset=real("Rescaling", "offset", offset), name=name)

    def ops(self, name: str, inputs: tuple[int, ...], value: int) -> list[Op]:
        return [Op.of("add", name, inputs, first=self.scale, rest=0.0, offset=self.offset)]


@overload
def add(inputs: Sequence[Value], name: str | None = None) -> Value: ...
@overload
def add(inputs: Sequence[ArrayLike], name: str | None = None) -> np.ndarray: ...
def add(inputs: Sequence[Any], name: str | None = None) -> Any:
    """Return ``Add(name=name)(inputs)``, for values of a network or for arrays. Keras has the same function.

    Examples
    --------
    >>> import nncore as nn
    >>> nn.add([nn.Input((3,)), nn.Input((3,))])
    <Value [*, 3] from Add>
    """
    return Add(name=name)(inputs)


@overload
def subtract(inputs: Sequence[Value], name: str | None = None) -> Value: ...
@overload
def subtract(inputs: Sequence[ArrayLike], name: str | None = None) -> np.ndarray: ...
def subtract(inputs: Sequence[Any], name: str | None = None) -> Any:
    """Return ``Subtract(name=name)(inputs)``, for values of a network or for arrays.

    Examples
    --------
    >>> import nncore as nn
    >>> nn.subtract([[[5.0]], [[2.0]]])
    array([[3.]])
    """
    return Subtract(name=name)(inputs)


@overload
def average(inputs: Sequence[Value], name: str | None = None) -> Value: ...
@overload
def average(inputs: Sequence[ArrayLike], name: str | None = None) -> np.ndarray: ...
def average(inputs: Sequence[Any], name: str | None = None) -> Any:
    """Return ``Average(name=name)(inputs)``, for values of a network or for arrays.

    Examples
    --------
    >>> import nncore as nn
    >>> nn.average([[[5.0]], [[2.0]]])
    array([[3.5]])
    """
    return Average(name=name)(inputs)


@overload
def multiply(inputs: Sequence[Value], name: str | None = None) -> Value: ...
@overload
def multiply(inputs: Sequence[ArrayLike], name: str | None = None) -> np.ndarray: ...
def multiply(inputs: Sequence[Any], name: str | None = None) -> Any:
    """Return ``Multiply(name=name)(inputs)``, for values of a network or for arrays.

    Examples
    --------
    >>> import nncore as nn
    >>> nn.multiply([[[5.0]], [[2.0]]])
    array([[10.]])
    """
    return Multiply(name=name)(inputs)


@overload
def maximum(inputs: Sequence[Value], name: str | None = None) -> Value: ...
@overload
def maximum(inputs: Sequence[ArrayLike], name: str | None = None) -> np.ndarray: ...
def maximum(inputs: Sequence[Any], name: str | None = None) -> Any:
    """Return ``Maximum(name=name)(inputs)``, for values of a network or for arrays.

    Examples
    --------
    >>> import nncore as nn
    >>> nn.maximum([[[5.0]], [[2.0]]])
    array([[5.]])
    """
    return Maximum(name=name)(inputs)


@overload
def minimum(inputs: Sequence[Value], name: str | None = None) -> Value: ...
@overload
def minimum(inputs: Sequence[ArrayLike], name: str | None = None) -> np.ndarray: ...
def minimum(inputs: Sequence[Any], name: str | None = None) -> Any:
    """Return ``Minimum(name=name)(inputs)``, for values of a network or for arrays.

    Examples
    --------
    >>> import nncore as nn
    >>> nn.minimum([[[5.0]], [[2.0]]])
    array([[2.]])
    """
    return Minimum(name=name)(inputs)


@overload
def concatenate(inputs: Sequence[Value], axis: int = -1, name: str | None = None) -> Value: ...
@overload
def concatenate(inputs: Sequence[ArrayLike], axis: int = -1, name: str | None = None) -> np.ndarray: ...
def concatenate(inputs: Sequence[Any], axis: int = -1, name: str | None = None) -> Any:
    """Return ``Concatenate(axis, name=name)(inputs)``, for values of a network or for arrays.

    Examples
    --------
    >>> import nncore as nn
    >>> nn.concatenate([[[5.0]], [[2.0]]])
    array([[5., 2.]])
    """
    return Concatenate(axis, name=name)(inputs)


def merge_values(name: str, values: Sequence[Any]) -> Any:
    """Return the result of the merging layer with this class name. ``a + b`` and similar expressions call this function."""
    layers: dict[str, type[Merge]] = {"Add": Add, "Subtract": Subtract, "Multiply": Multiply}
    return layers[name]()(values)


def rescale_value(value: Any, scale: float, offset: float) -> Any:
    """Return ``scale * value + offset``. Arithmetic of values with numbers calls this function."""
    return Rescaling(scale, offset)(value)
