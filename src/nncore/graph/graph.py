"""Graph: the layers and connections between the inputs and the outputs of a model.

It produces the op records of the model, and the plain data that copies and files store.
"""

from __future__ import annotations

import functools
import itertools
import re
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from .._checks import shape_text
from ..errors import ArgumentError, kind_of
from ..records import Op, Shape
from .values import Input, Node, Value, checked_name, record

if TYPE_CHECKING:
    from ..layers.base import Layer


class Description(NamedTuple):
    """A graph as plain data. Values are numbered: first the inputs, then the results of each call."""

    inputs: list[tuple[str, Shape]]
    layers: list[str]  #: the name of each layer
    calls: list[tuple[int, list[int]]]  #: the layer, and the values on which it is called
    outputs: list[tuple[str, int]]
    by_name: bool  #: whether predictions are a dict


class Graph:
    """The layers and connections between inputs and outputs.

    Attributes
    ----------
    nodes : list of Node
        In topological order.
    layers : list of Layer
        Each layer once, in the order of its first call.
    names : list of str
        The name of each layer.
    input_names, output_names : list of str
    """

    def __init__(self, inputs: Any, outputs: Any) -> None:
        self.by_name = isinstance(outputs, Mapping)
        self.inputs, given_inputs = _ends("inputs", inputs)
        self.outputs, given_outputs = _ends("outputs", outputs)
        self.nodes = self._walk()
        self.spans: list[list[tuple[int, int]]] = []  # for each layer, the ops [first, last) of each call; filled by wire
        self.layers: list[Layer] = list({id(node.layer): node.layer for node in self.nodes}.values())
        self.position = {id(layer): i for i, layer in enumerate(self.layers)}
        self.values = [*self.inputs, *(value for node in self.nodes for value in node.outputs)]
        self.numbers = {id(value): i for i, value in enumerate(self.values)}
        self.names = layer_names(self.layers)
        asked = [given or value.name for given, value in zip(given_inputs, self.inputs, strict=True)]
        self.input_names = _unique(asked, ["input"] * len(asked), "inputs")
        self.output_names = _unique(given_outputs, [self._origin(value) for value in self.outputs], "outputs")

    def _walk(self) -> list[Node]:
        """Return the nodes on which the outputs depend, in the order in which they were made. This order is topological."""
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
        """Return the name of the input or layer that produces a value."""
        node = self.values[number].node
        if number < len(self.inputs) or node is None:
            return self.input_names[number]
        return self.names[self.position[id(node.layer)]]

    def to_ops(self) -> tuple[list[Op], list[int], list[int]]:
        """Return the op records, the layer of each, and the numbers of the output values."""
        ops: list[Op] = []
        owners: list[int] = []
        numbers = {id(value): i for i, value in enumerate(self.inputs)}
        first: dict[int, int] = {}  # layer -> its first op
        self.spans = [[] for _ in self.layers]
        for node in self.nodes:
            i, at = self.position[id(node.layer)], len(ops)
            new = node.layer.ops(self.layer_name(i), tuple(numbers[id(v)] for v in node.inputs), len(self.inputs) + at)
            if node.layer.may_have_parameters() or node.layer.state_shapes():
                if i in first:
                    new = [op._replace(shares=first[i] + k) for k, op in enumerate(new)]
                first.setdefault(i, at)
            ops += new
            owners += [i] * len(new)
            self.spans[i].append((at, len(ops)))
            results = node.layer.output_ops(new)
            numbers.update({id(value): len(self.inputs) + at + k for value, k in zip(node.outputs, results, strict=True)})
        return ops, owners, [numbers[id(value)] for value in self.outputs]

    # The interface that a network uses; `Chain` has the same methods ------------------------------------------------------------

    def static_input_shapes(self) -> list[Shape]:
        """Return the shape of one sample of each input."""
        return [value.shape for value in self.inputs]

    def sample_rank(self) -> int | None:
        """Return the number of dimensions of a sample, if it is known before the shape is. An input always states its shape."""
        return None

    def shapes_of_any_length(self) -> list[Shape]:
        """Return shapes of samples to try if the number of time steps is open. It is known: `Input` states it."""
        return []

    def rank_is_open(self) -> bool:
        """Return whether samples may have more dimensions than `static_input_shapes` states."""
        return False

    def activation_after(self, index: int) -> Layer | None:
        """Return the activation that follows layer ``index``, if there is one."""
        layer = self.layers[index]
        waiting = deque(value for node in self.nodes_of(layer) for value in node.outputs)
        while waiting:
            for node in self.readers(waiting.popleft()):
                if node.layer.is_activation:
                    return node.layer
                if node.layer.init_looks_through and node.layer is not layer:
                    waiting += node.outputs
        return None

    def layer_name(self, index: int) -> str:
        """Return the name of a layer in error messages."""
        return f"layer {self.names[index]!r} ({type(self.layers[index]).__name__})"

    def key(self, index: int) -> str:
        """Return the prefix of the names of a layer's parameters."""
        return self.names[index]

    def op_spans(self, index: int, owners: Sequence[int]) -> list[tuple[int, int]]:
        """Return the ops [first, last) of each call of a layer."""
        return self.spans[index]

    def shown_inputs(self) -> list[str]:
        """Return the names of the inputs that the summary and the repr list."""
        return list(self.input_names)

    def connected_to(self, index: int) -> str:
        """Return the inputs of a layer as text."""
        nodes = self.nodes_of(self.layers[index])
        return "; ".join(", ".join(self.name_of(self.numbers[id(v)]) for v in node.inputs) for node in nodes)

    def repr_lines(self, input_shapes: Sequence[Shape]) -> list[str]:
        """Return a line for each input and layer, for the repr of a model."""
        inputs = [f"{name}: Input {shape_text(shape)}" for name, shape in zip(self.input_names, input_shapes, strict=True)]
        return inputs + [f"{self.key(i)}: {layer!r} on {self.connected_to(i)}" for i, layer in enumerate(self.layers)]

    def pack_outputs(self, outputs: list[Any]) -> Any:
        """Return the outputs in the form that the model returns: one array, a list, or a dict."""
        if self.by_name:
            return dict(zip(self.output_names, outputs, strict=True))
        return outputs[0] if len(outputs) == 1 else outputs

    def call_on(self, values: Sequence[Value]) -> list[Value]:
        """Return the outputs for other inputs, by calling the same layers again."""
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
    """Return the name of each layer in a graph: its own name, or one made from its class."""
    return _unique([layer.name for layer in layers], [_snake(type(layer).__name__) for layer in layers], "layers")


def restored(layers: Sequence[Layer], described: Description) -> tuple[dict[str, Value], dict[str, Value]]:
    """Return inputs and outputs by name of the described graph, made from these layers."""
    values = [Input(shape, name) for name, shape in described.inputs]
    for layer, inputs in described.calls:
        values += record(layers[layer], [values[i] for i in inputs])
    return (
        {name: values[i] for i, (name, _) in enumerate(described.inputs)},
        {name: values[i] for name, i in described.outputs},
    )


def _ends(what: str, given: Any) -> tuple[list[Value], list[str | None]]:
    """Return the values and their names from a value, a list or a dict."""
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
                f"Model: {what[:-1]} {i} is {kind_of(value)}, not a value of a network; {what} are nn.Input(...) and what "
                "layers give when they are called on it; layers one after another are an nn.Sequential(...)"
            )
        if (first := place.setdefault(id(value), i)) < i:
            raise ArgumentError(f"Model: {what} {first} and {i} are the same value, {value!r}")
    return values, names


def _unique(asked: Sequence[str | None], defaults: Sequence[str], what: str) -> list[str]:
    """Return a unique name for each: the given name, or the default with the next free number. Given names must differ."""
    taken = Counter(name for name in asked if name is not None)
    for each, times in taken.items():
        if times > 1:
            raise ArgumentError(f"Model: two of the {what} are called {each!r}; give them names that differ")
    names: list[str] = []
    used = set(taken)
    numbered: dict[str, Iterator[str]] = {}  # for each default, the names that are still free
    for name, default in zip(asked, defaults, strict=True):
        if name is None:
            left = numbered.setdefault(default, itertools.chain([default], map(f"{default}_{{}}".format, itertools.count(1))))
            name = next(n for n in left if n not in used)
        names.append(name)
        used.add(name)
    return names


def _snake(name: str) -> str:
    """Convert LeakyReLU to leaky_relu."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z][a-z])", "_", re.sub(r"([a-z0-9])(ReLU)", r"\1_\2", name)).lower()
