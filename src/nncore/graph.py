"""Networks as graphs: what a layer records when it is called on an `Input` instead of an array.

A `Value` is a place in a network, with a shape and no numbers; a `Node` is one call of a layer. Both never change once made,
so a graph has no cycles, and the nodes in the order in which they were made are in topological order. `Graph` is what lies between
the inputs and the outputs of a model: from it come the op records, and the plain data that copies and files keep.
"""

from __future__ import annotations

import functools
import itertools
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from . import _core
from ._checks import is_number, real, shape_of_sample, shape_text, shown
from .errors import ArgumentError
from .records import Op, Shape

if TYPE_CHECKING:
    from .layers.base import Layer

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
        from .layers.merge import Multiply

        return call(Multiply(), [self, other]) if isinstance(other, Value) else _rescaled(self, _number("*", other), 0.0)

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
    results = [len(inputs) + i for i in layer.results(ops)]
    shapes = _rehearsed([v.shape for v in inputs], ops, results)
    for op in ops:
        layer.check(name, shapes[op.inputs[0]])
    return Node(layer, inputs, [tuple(shapes[i]) for i in results]).outputs


def check_count(layer: Layer, count: int) -> None:
    """Raise ArgumentError where a layer does not take so many inputs."""
    least, most = layer.takes
    if not least <= count <= (count if most is None else most):
        wanted = f"{least}" if most == least else f"at least {least}" if most is None else f"{least} to {most}"
        raise ArgumentError(f"{layer.name or type(layer).__name__} takes {wanted} input{'s' if wanted != '1' else ''}, not {count}")


def _rehearsed(inputs: list[Shape], ops: Sequence[Op], results: Sequence[int]) -> list[Shape]:
    """Return the shapes of all values: inputs, then the result of each op; a chain of ops may have more inputs than a network."""
    if len(inputs) <= MOST_INPUTS:
        rehearsal = _core.Network()
        rehearsal._assemble(inputs, ops, results[:1], "float32")
        return list(rehearsal._shapes())
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
    from .layers.merge import Rescaling

    if (scale, offset) == (1.0, 0.0):  # as when sum() begins with 0
        return value
    return call(Rescaling(scale, offset), value)


def _merged(layer: str, value: Value, other: Any, scale: float, sign: float) -> Value:
    from .layers import merge

    if isinstance(other, Value):
        return call(getattr(merge, layer)(), [value, other])
    return _rescaled(value, scale, sign * _number("+" if sign > 0 else "-", other))


class Description(NamedTuple):
    """A graph as plain data. Values are numbered: the inputs first, then one per call, or as many as the layer gives."""

    inputs: list[tuple[str, Shape]]
    layers: list[str]  #: the name of each layer
    calls: list[tuple[int, list[int]]]  #: which layer, on which values
    outputs: list[tuple[str, int]]
    by_name: bool  #: predictions come as a dict


class Graph:
    """What lies between inputs and outputs.

    Attributes
    ----------
    nodes : list of Node
        In topological order.
    layers : list of Layer
        Each once, in the order of its first call.
    names : list of str
        One per layer.
    input_names, output_names : list of str
    """

    def __init__(self, inputs: Any, outputs: Any) -> None:
        self.by_name = isinstance(outputs, Mapping)
        self.inputs, given_inputs = _ends("inputs", inputs)
        self.outputs, given_outputs = _ends("outputs", outputs)
        self.nodes = self._walk()
        self.spans: list[list[tuple[int, int]]] = []  # of each layer: the ops [first, last) of each call, once it is wired
        self.layers: list[Layer] = list({id(node.layer): node.layer for node in self.nodes}.values())
        self.position = {id(layer): i for i, layer in enumerate(self.layers)}
        self.values = [*self.inputs, *(value for node in self.nodes for value in node.outputs)]
        self.numbers = {id(value): i for i, value in enumerate(self.values)}
        self.names = layer_names(self.layers)
        asked = [given or value.name for given, value in zip(given_inputs, self.inputs, strict=True)]
        self.input_names = _unique(asked, ["input"] * len(asked), "inputs")
        self.output_names = _unique(given_outputs, [self._origin(value) for value in self.outputs], "outputs")

    def _walk(self) -> list[Node]:
        """The nodes that the outputs need, in the order in which they were made, which is a topological one."""
        ends, found, waiting = {id(v) for v in self.inputs}, {}, list(self.outputs)
        reached = set()
        while waiting:
            value = waiting.pop()
            if id(value) in ends:
                reached.add(id(value))
            elif value.node is None:
                raise ArgumentError(f"Model: the outputs depend on {value!r}, which is not among the inputs; add it to them")
            elif id(value.node) not in found:
                found[id(value.node)] = value.node
                waiting += value.node.inputs
        for i, value in enumerate(self.inputs):
            if id(value) not in reached:
                raise ArgumentError(f"Model: no output depends on input {i}, {value!r}; leave it out, or connect it")
        return sorted(found.values(), key=lambda node: node.serial)

    def _origin(self, value: Value) -> str:
        number = self.numbers[id(value)]
        return self.name_of(number)

    def name_of(self, number: int) -> str:
        """Return the name of the input or the layer that a value comes from."""
        node = self.values[number].node
        if number < len(self.inputs) or node is None:
            return self.input_names[number]
        return self.names[self.position[id(node.layer)]]

    def wire(self, layer_name: Any) -> tuple[list[Op], list[int], list[int]]:
        """Return the op records, the layer of each, and the values that are outputs; ``layer_name`` names a layer for errors."""
        ops: list[Op] = []
        owners: list[int] = []
        numbers = {id(value): i for i, value in enumerate(self.inputs)}
        first: dict[int, int] = {}  # of each layer: its first op
        self.spans = [[] for _ in self.layers]
        for node in self.nodes:
            i, at = self.position[id(node.layer)], len(ops)
            new = node.layer.ops(layer_name(i), tuple(numbers[id(v)] for v in node.inputs), len(self.inputs) + at)
            if node.layer.may_have_parameters() or node.layer.state_shapes():
                if i in first:
                    new = [op._replace(shares=first[i] + k) for k, op in enumerate(new)]
                first.setdefault(i, at)
            ops += new
            owners += [i] * len(new)
            self.spans[i].append((at, len(ops)))
            results = node.layer.results(new)
            numbers.update({id(value): len(self.inputs) + at + k for value, k in zip(node.outputs, results, strict=True)})
        return ops, owners, [numbers[id(value)] for value in self.outputs]

    def again(self, values: Sequence[Value]) -> list[Value]:
        """Return what the outputs would be of other inputs: the same layers, called once more."""
        known = {id(own): value for own, value in zip(self.inputs, values, strict=True)}
        for node in self.nodes:
            found = record(node.layer, [known[id(value)] for value in node.inputs])
            known.update({id(old): new for old, new in zip(node.outputs, found, strict=True)})
        return [known[id(value)] for value in self.outputs]

    def readers(self, value: Value) -> list[Node]:
        """Return the nodes that read a value."""
        return self._readers.get(id(value), [])

    @functools.cached_property
    def _readers(self) -> dict[int, list[Node]]:
        found: dict[int, list[Node]] = {}
        for node in self.nodes:
            for value in {id(each) for each in node.inputs}:
                found.setdefault(value, []).append(node)
        return found

    def nodes_of(self, layer: Layer) -> list[Node]:
        """Return the calls of a layer."""
        return self._calls.get(id(layer), [])

    @functools.cached_property
    def _calls(self) -> dict[int, list[Node]]:
        found: dict[int, list[Node]] = {}
        for node in self.nodes:
            found.setdefault(id(node.layer), []).append(node)
        return found

    def describe(self) -> Description:
        """Return the graph as plain data."""
        calls = [(self.position[id(node.layer)], [self.numbers[id(v)] for v in node.inputs]) for node in self.nodes]
        return Description(
            [(name, value.shape) for name, value in zip(self.input_names, self.inputs, strict=True)],
            list(self.names),
            calls,
            [(name, self.numbers[id(value)]) for name, value in zip(self.output_names, self.outputs, strict=True)],
            self.by_name,
        )


def layer_names(layers: Sequence[Layer]) -> list[str]:
    """Return the name of each layer in a graph: its own, or one made from its class."""
    return _unique([layer.name for layer in layers], [_snake(type(layer).__name__) for layer in layers], "layers")


def restored(layers: Sequence[Layer], described: Description) -> tuple[dict[str, Value], dict[str, Value]]:
    """Return inputs and outputs by name of a graph like the one described, over these layers."""
    values = [Input(shape, name) for name, shape in described.inputs]
    for layer, inputs in described.calls:
        values += record(layers[layer], [values[i] for i in inputs])
    return (
        {name: values[i] for i, (name, _) in enumerate(described.inputs)},
        {name: values[i] for name, i in described.outputs},
    )


def _ends(what: str, given: Any) -> tuple[list[Value], list[str | None]]:
    """Return values and the names they were given, from a value, a list or a dict."""
    names: list[str | None]
    if isinstance(given, Mapping):
        values, names = list(given.values()), [checked_name(f"Model: {what}", name) for name in given]
    else:
        values = list(given) if isinstance(given, list | tuple) else [given]
        names = [None] * len(values)
    if not values:
        raise ArgumentError(f"Model needs at least one of {what}")
    place: dict[int, int] = {}
    for i, value in enumerate(values):
        if not isinstance(value, Value):
            raise ArgumentError(
                f"Model: {what[:-1]} {i} is {type(value).__name__}, not a value of a network; {what} are nn.Input(...) and what "
                "layers give when they are called on it; layers one after another are an nn.Sequential(...)"
            )
        if (first := place.setdefault(id(value), i)) < i:
            raise ArgumentError(f"Model: {what} {first} and {i} are the same value, {value!r}")
    return values, names


def _unique(asked: Sequence[str | None], defaults: Sequence[str], what: str) -> list[str]:
    """Return a name for each: the one asked for, which must differ from the others, or the default with the next free number."""
    taken = Counter(name for name in asked if name is not None)
    for each, times in taken.items():
        if times > 1:
            raise ArgumentError(f"Model: two of the {what} are called {each!r}; give them names that differ")
    names: list[str] = []
    used = set(taken)
    numbered: dict[str, Iterator[str]] = {}  # of each default: those that are left
    for name, default in zip(asked, defaults, strict=True):
        if name is None:
            left = numbered.setdefault(default, itertools.chain([default], map(f"{default}_{{}}".format, itertools.count(1))))
            name = next(n for n in left if n not in used)
        names.append(name)
        used.add(name)
    return names


def _snake(name: str) -> str:
    """LeakyReLU -> leaky_relu."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z][a-z])", "_", re.sub(r"([a-z0-9])(ReLU)", r"\1_\2", name)).lower()
