"""Values: the results of calling layers on an `Input` instead of an array.

A `Value` is a place in a network. It has a shape but holds no data. A `Node` is one call of a layer. Neither changes after it is
made, so a graph has no cycles, and the order in which nodes are made is topological.
"""

from __future__ import annotations

import itertools
import weakref
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from .. import _core, _late_calls
from .._checks import is_number, real, shape_of_sample, shape_text, shown
from .._declarations import explained
from ..errors import ArgumentError, kind_of
from ..records import Op, Shape

if TYPE_CHECKING:
    from ..layers.base import Layer

_serial = itertools.count()

MAX_INPUTS = 64  # the largest number of inputs of a network


class Value:
    """The result of calling a layer on an `Input`: a place in a network, without data.

    Values can be passed to layers and to `Model`. ``+``, ``-``, ``*`` and ``/`` combine them with other values or with numbers. An
    index such as ``x[:, 2:5]`` or ``x[..., -1]`` takes a part of each sample: `Slice`.

    Attributes
    ----------
    shape : tuple of int
        The shape of one sample, without the batch.
    name : str or None
        The name of an input, if one was given.

    Examples
    --------
    >>> import nncore as nn
    >>> x = nn.Input((8,))
    >>> x + nn.Linear(8, 8)(x)
    <Value [*, 8] from Add>
    >>> x[:, 2:5]
    <Value [*, 3] from Slice>
    """

    __slots__ = ("__weakref__", "name", "node", "shape")

    def __init__(self, shape: Shape, node: Node | None, name: str | None = None) -> None:
        self.shape, self.node, self.name = shape, node, name

    def __repr__(self) -> str:
        if self.node is None:
            return f"<Input {shape_text(self.shape)}{f' {self.name!r}' if self.name else ''}>"
        return f"<Value {shape_text(self.shape)} from {self.node.layer.name or type(self.node.layer).__name__}>"

    def __add__(self, other: Any) -> Value:
        return _merged("Add", self, other, 1.0, 1.0)

    __radd__ = __add__

    def __sub__(self, other: Any) -> Value:
        return _merged("Subtract", self, other, 1.0, -1.0)

    def __rsub__(self, other: Any) -> Value:
        return _rescaled(self, -1.0, _number("-", other))

    def __mul__(self, other: Any) -> Value:
        if isinstance(other, Value):
            return cast("Value", _late_calls.merge_values("Multiply", [self, other]))
        return _rescaled(self, _number("*", other), 0.0)

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> Value:
        divisor = _number("/", other)
        if divisor == 0:
            raise ArgumentError("a value / 0: divide by a number other than 0")
        return _rescaled(self, 1.0 / divisor, 0.0)

    def __neg__(self) -> Value:
        return _rescaled(self, -1.0, 0.0)

    def __getitem__(self, index: Any) -> Value:
        return cast("Value", _late_calls.index_value(self, index))

    if not TYPE_CHECKING:  # what arrays have and values have not; type checkers refuse it themselves
        __iter__ = None

        def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
            reflected = _REFLECTED.get(ufunc.__name__)
            if reflected and method == "__call__" and len(inputs) == 2 and inputs[1] is self:
                return getattr(self, reflected)(inputs[0])
            raise _refused(f"np.{ufunc.__name__}")

        def __pow__(self, other: Any) -> Any:
            raise _refused("**")

        def __rtruediv__(self, other: Any) -> Any:
            raise _refused("a division by a value")

        def __matmul__(self, other: Any) -> Any:
            raise _refused("@")

        __rmatmul__ = __matmul__


#: Function of NumPy -> the method of Value for array + value and the like.
_REFLECTED = {"add": "__radd__", "subtract": "__rsub__", "multiply": "__rmul__", "divide": "__rtruediv__", "matmul": "__rmatmul__"}


def _refused(what: str) -> ArgumentError:
    return ArgumentError(
        f"{what} is not there for a value of a network, which holds no numbers; use layers, as in nn.Tanh()(x), + - * and / by a "
        "number, or nn.Lambda"
    )


class Node:
    """One call of a layer, with its inputs and its results."""

    __slots__ = ("_outputs", "inputs", "layer", "serial", "shapes")

    def __init__(self, layer: Layer, inputs: tuple[Value, ...], shapes: Sequence[Shape]) -> None:
        self.layer, self.inputs, self.serial, self.shapes = layer, inputs, next(_serial), shapes
        self._outputs: list[weakref.ref[Value]] = []

    @property
    def outputs(self) -> tuple[Value, ...]:
        """The results. They hold the node, which does not hold them: without a circle, a dropped model frees its weights at once.
        A result that nobody holds is made anew."""
        held = [each() for each in self._outputs] or [None] * len(self.shapes)
        found = tuple(Value(shape, self) if value is None else value for value, shape in zip(held, self.shapes, strict=True))
        self._outputs = [weakref.ref(value) for value in found]
        return found


@explained
def Input(shape: Sequence[int], name: str | None = None) -> Value:
    """Return an input of a network. Layers are called on it.

    Parameters
    ----------
    shape : tuple of int
        Shape of one sample, without the batch; ``()`` if a sample is a single number.
    name : str, optional
        The name by which data are given. The default is "input", "input_1", ... in the order of the model's inputs.

    Returns
    -------
    Value
        The input.

    Examples
    --------
    >>> import nncore as nn
    >>> x = nn.Input((8,))
    >>> h = nn.ReLU()(nn.Linear(8, 16)(x))
    >>> model = nn.Model(x, nn.Linear(16, 1)(h))
    >>> model.output_shapes
    [(1,)]
    """
    checked = shape_of_sample("Input", "shape", shape)
    return Value(checked, None, None if name is None else checked_name("Input", name))


def checked_name(owner: str, name: Any) -> str:
    """Return a name after checking that keys can begin with it, such as "encoder" in "encoder.weight". Any script is allowed.

    Dots and slashes separate the parts of keys and of TensorBoard's tags. A blank at the beginning or end would be invisible.
    """
    if not isinstance(name, str) or name == "training" or name != name.strip() or not _is_line(name) or set(name) & set("./"):
        raise ArgumentError(
            f"{owner}: name must be text that is not empty, has no dot, slash or control character and no blank at either end, "
            f"and is not 'training': {shown(name)} is not"
        )
    return name


def _is_line(text: str) -> bool:
    """Return whether the text is visible, on one line, and can be encoded in UTF-8."""
    if not any(map(str.isprintable, text)):
        return False
    if text.isascii():
        return text.isprintable()
    from unicodedata import category  # imported here because it is rarely needed

    return not {"Cc", "Cs", "Zl", "Zp"} & set(map(category, text))  # control, surrogates, separators of lines and paragraphs


def is_symbolic(x: Any) -> bool:
    """Return whether x is a value of a graph, or a list that contains one."""
    if isinstance(x, Mapping):
        return any(isinstance(each, Value) for each in x.values())
    return isinstance(x, Value) or (isinstance(x, list | tuple) and any(isinstance(each, Value) for each in x))


def call(layer: Layer, x: Any) -> Value:
    """Record a call of a layer. Return its result, or the first of several results. See `record`."""
    return record(layer, x)[0]


def record(layer: Layer, x: Any) -> tuple[Value, ...]:
    """Record a call of a layer.

    Parameters
    ----------
    layer : Layer
        The layer.
    x : Value or list of Value
        The input of the call; a list for layers with several inputs.

    Returns
    -------
    tuple of Value
        The results of the call.

    Raises
    ------
    ArgumentError
        An input is not a value of a network, or the number of inputs is wrong.
    ShapeError
        The layer does not accept these shapes.
    """
    layer.require_init()
    name = layer.name or type(layer).__name__
    inputs = (x,) if isinstance(x, Value) else tuple(x) if isinstance(x, list | tuple) else (x,)
    for i, each in enumerate(inputs):
        if not isinstance(each, Value):
            raise ArgumentError(
                f"{name}: input {i} is {kind_of(each)}, which is no part of the network; make it an nn.Input, or call the "
                "layer with arrays only"
            )
    check_count(layer, len(inputs))
    ops = layer.ops(name, tuple(range(len(inputs))), len(inputs))
    layer.check_call(name, [v.shape for v in inputs])
    results = [len(inputs) + i for i in layer.output_ops(ops)]
    shapes = _infer_shapes([v.shape for v in inputs], ops, results)
    for op in ops:
        layer.check(name, shapes[op.inputs[0]])
    return Node(layer, inputs, [tuple(shapes[i]) for i in results]).outputs


def check_count(layer: Layer, count: int) -> None:
    """Raise ArgumentError if a layer does not accept this number of inputs."""
    least, most = layer.input_count
    if not least <= count <= (count if most is None else most):
        wanted = f"{least}" if most == least else f"at least {least}" if most is None else f"{least} to {most}"
        raise ArgumentError(f"{layer.name or type(layer).__name__} takes {wanted} input{'s' if wanted != '1' else ''}, not {count}")


def _infer_shapes(inputs: list[Shape], ops: Sequence[Op], results: Sequence[int]) -> list[Shape]:
    """Return the shapes of all values: inputs, then the results of the ops. A chain may have more inputs than a network can
    have."""
    if len(inputs) <= MAX_INPUTS:
        trial = _core.Plan()
        trial.assemble(inputs, ops, results[:1], "float32")
        return list(trial.shapes())
    shapes = list(inputs)
    for op in ops:
        given = [shapes[i] for i in op.inputs]
        shapes.append(_infer_shapes(given, [op._replace(inputs=tuple(range(len(given))))], [len(given)])[-1])
    return shapes


def _number(sign: str, other: Any) -> float:
    if is_number(other):
        return real(f"a value {sign} ...", "the number", other)
    if isinstance(other, Value):
        raise ArgumentError(f"{sign} takes a number on its right, not another value of the network; nn.Lambda can divide")
    raise ArgumentError(
        f"{sign} takes values of the network and single numbers, not {kind_of(other)}; make an array an nn.Input of the model"
    )


def _rescaled(value: Value, scale: float, offset: float) -> Value:
    if (scale, offset) == (1.0, 0.0):  # for example the 0 with which sum() starts
        return value
    return cast("Value", _late_calls.rescale_value(value, scale, offset))


def _merged(layer: str, value: Value, other: Any, scale: float, sign: float) -> Value:
    if isinstance(other, Value):
        return cast("Value", _late_calls.merge_values(layer, [value, other]))
    return _rescaled(value, scale, sign * _number("+" if sign > 0 else "-", other))
