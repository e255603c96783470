"""Values: what a layer records when it is called on an `Input` instead of an array.

A `Value` is a place in a network, with a shape and no numbers; a `Node` is one call of a layer. Both never change once made,
so a graph has no cycles, and the nodes in the order in which they were made are in topological order.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from .. import _core, _hooks
from .._checks import is_number, real, shape_of_sample, shape_text, shown
from ..errors import ArgumentError
from ..records import Op, Shape

if TYPE_CHECKING:
    from ..layers.base import Layer

_serial = itertools.count()

MOST_INPUTS = 64  # of one network


class Value:
    """What a layer gives when it is called on an `Input`: a place in a network, not a number.

    It goes into other layers, into `Model`, and through ``+``, ``-``, ``*`` and ``/``, with other values or with numbers.

    Attributes
    ----------
    shape : tuple of int
        Of one sample, without the batch.
    name : str or None
        Of an input, if it was given one.

    Examples
    --------
    >>> import nncore as nn
    >>> x = nn.Input((8,))
    >>> x + nn.Linear(8, 8)(x)
    <Value [*, 8] from Add>
    """

    __array_ufunc__ = None  # so that array + value asks the value
    __slots__ = ("name", "node", "shape")

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
            return cast("Value", _hooks.merge_values("Multiply", [self, other]))
        return _rescaled(self, _number("*", other), 0.0)

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> Value:
        divisor = _number("/", other)
        if divisor == 0:
            raise ArgumentError("a value / 0: divide by a number other than 0")
        return _rescaled(self, 1.0 / divisor, 0.0)

    def __neg__(self) -> Value:
        return _rescaled(self, -1.0, 0.0)


class Node:
    """One call of a layer: what it was called on, and what it gives."""

    __slots__ = ("inputs", "layer", "outputs", "serial")

    def __init__(self, layer: Layer, inputs: tuple[Value, ...], shapes: Sequence[Shape]) -> None:
        self.layer, self.inputs, self.serial = layer, inputs, next(_serial)
        self.outputs = tuple(Value(shape, self) for shape in shapes)


def Input(shape: Sequence[int], name: str | None = None) -> Value:
    """Return a place where a network takes samples, to call layers on.

    Parameters
    ----------
    shape : tuple of int
        Shape of one sample, without the batch; ``()`` for single numbers.
    name : str, optional
        What data by name are found under; by default "input", "input_1", ... in the order of the model's inputs.

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
    """Return a name that keys can begin with, such as "encoder" in "encoder.weight": any text in any script, kept as it is.

    A dot and a slash end a name, in keys and in the tags of TensorBoard. A blank at either end could not be seen.
    """
    if not isinstance(name, str) or name == "training" or name != name.strip() or not _is_line(name) or set(name) & set("./"):
        raise ArgumentError(
            f"{owner}: name must be text that is not empty, has no dot, slash or control character and no blank at either end, "
            f"and is not 'training': {shown(name)} is not"
        )
    return name


def _is_line(text: str) -> bool:
    """Whether there is something to be seen, on one line, that UTF-8 can encode."""
    if not any(map(str.isprintable, text)):
        return False
    if text.isascii():
        return text.isprintable()
    from unicodedata import category  # as few need it

    return not {"Cc", "Cs", "Zl", "Zp"} & set(map(category, text))  # control, surrogates, separators of lines and paragraphs


def is_symbolic(x: Any) -> bool:
    """Whether x is a value of a graph, or a list with one in it."""
    if isinstance(x, Mapping):
        return any(isinstance(each, Value) for each in x.values())
    return isinstance(x, Value) or (isinstance(x, list | tuple) and any(isinstance(each, Value) for each in x))


def call(layer: Layer, x: Any) -> Value:
    """Record a call of a layer; return what it gives, or the first of several results. See `record`."""
    return record(layer, x)[0]


def record(layer: Layer, x: Any) -> tuple[Value, ...]:
    """Record a call of a layer.

    Parameters
    ----------
    layer : Layer
        The layer.
    x : Value or list of Value
        What it is called on; a list for layers that take several.

    Returns
    -------
    tuple of Value
        What it gives.

    Raises
    ------
    ArgumentError
        Something is no value, or the layer takes another number of them.
    ShapeError
        The layer does not take these shapes.
    """
    name = layer.name or type(layer).__name__
    inputs = (x,) if isinstance(x, Value) else tuple(x) if isinstance(x, list | tuple) else (x,)
    for i, each in enumerate(inputs):
        if not isinstance(each, Value):
            raise ArgumentError(
                f"{name}: input {i} is {type(each).__name__}, which is no part of the network; make it an nn.Input, or call the "
                "layer on arrays alone"
            )
    check_count(layer, len(inputs))
    ops = layer.ops(name, tuple(range(len(inputs))), len(inputs))
    layer.check_call(name, [v.shape for v in inputs])
    results = [len(inputs) + i for i in layer.output_ops(ops)]
    shapes = _rehearsed([v.shape for v in inputs], ops, results)
    for op in ops:
        layer.check(name, shapes[op.inputs[0]])
    return Node(layer, inputs, [tuple(shapes[i]) for i in results]).outputs


def check_count(layer: Layer, count: int) -> None:
    """Raise ArgumentError where a layer does not take so many inputs."""
    least, most = layer.input_count
    if not least <= count <= (count if most is None else most):
        wanted = f"{least}" if most == least else f"at least {least}" if most is None else f"{least} to {most}"
        raise ArgumentError(f"{layer.name or type(layer).__name__} takes {wanted} input{'s' if wanted != '1' else ''}, not {count}")


def _rehearsed(inputs: list[Shape], ops: Sequence[Op], results: Sequence[int]) -> list[Shape]:
    """Return the shapes of all values: inputs, then the result of each op; a chain of ops may have more inputs than a network."""
    if len(inputs) <= MOST_INPUTS:
        rehearsal = _core.Plan()
        rehearsal.assemble(inputs, ops, results[:1], "float32")
        return list(rehearsal.shapes())
    shapes = list(inputs)
    for op in ops:
        given = [shapes[i] for i in op.inputs]
        shapes.append(_rehearsed(given, [op._replace(inputs=tuple(range(len(given))))], [len(given)])[-1])
    return shapes


def _number(sign: str, other: Any) -> float:
    if is_number(other):
        return real(f"a value {sign} ...", "the number", other)
    raise ArgumentError(
        f"{sign} takes values of the network and single numbers, not {type(other).__name__}; make an array an nn.Input of the model"
    )


def _rescaled(value: Value, scale: float, offset: float) -> Value:
    if (scale, offset) == (1.0, 0.0):  # as when sum() begins with 0
        return value
    return cast("Value", _hooks.rescale_value(value, scale, offset))


def _merged(layer: str, value: Value, other: Any, scale: float, sign: float) -> Value:
    if isinstance(other, Value):
        return cast("Value", _hooks.merge_values(layer, [value, other]))
    return _rescaled(value, scale, sign * _number("+" if sign > 0 else "-", other))
