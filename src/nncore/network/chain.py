"""Chain: layers that follow one after another. It has the same interface as `Graph`."""

from __future__ import annotations

import functools
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypeGuard, cast

from .. import layers as every_layer
from .._checks import shown
from ..errors import ArgumentError
from ..foreign import objects
from ..graph import Graph, Value, call
from ..layers.base import Layer
from ..layers.linear import Linear
from ..layers.normalization import BatchNorm1d, LayerNorm
from ..layers.pooling import Pooling
from ..layers.python import PythonLayer
from ..layers.recurrent import Recurrent
from ..layers.shape import Flatten, Permute, Reshape
from ..records import Op, Shape

if TYPE_CHECKING:
    from typing import TypeAlias

    from .network import Network

    Part: TypeAlias = Layer | Network


class Link(NamedTuple):
    """A layer, or the graph of a model that is a part of the chain, with its position: "0", or "0.2" in the part "0"."""

    key: str
    of: Layer | Graph
    first: int  #: the number of its first layer


class Chain:
    """Layers that follow one after another, with one input and one output.

    Parameters
    ----------
    parts : sequence of Layer or Network
        The layers. A network stands for its own layers, which it shares with the chain.

    Attributes
    ----------
    layers : tuple of Layer
        All layers, those of the networks among the parts included.
    links : list of Link
        What follows one after another. The layers of a network that is a chain are links of their own.
    """

    input_names = ("input",)
    output_names = ("output",)

    def __init__(self, parts: Sequence[Part]) -> None:
        self.parts = tuple(parts)
        self.is_nested = any(map(is_network, parts))
        self.layers: tuple[Layer, ...] = tuple(_all_layers(parts)) if self.is_nested else tuple(parts)  # type: ignore[arg-type]
        self.links: list[Link] = []
        self.graphs: list[Link] = []
        self._keys: list[str] = []
        if self.is_nested:
            self._unfold()
        else:
            self.links = [Link(str(i), layer, i) for i, layer in enumerate(self.layers)]
        # Filled by to_ops: the value that is the input of each link, by its first layer; the ops of the layers of graphs.
        self._inputs: dict[int, int] = {}
        self._spans: dict[int, list[tuple[int, int]]] = {}

    def _unfold(self) -> None:
        """Make the links and keys of a chain with networks among its parts."""
        first = 0
        for key, part in _links(self.parts):
            self.links.append(Link(key, part, first))
            first += _count(part)
        self.graphs = [link for link in self.links if isinstance(link.of, Graph)]
        for link in self.links:
            inner = link.of
            self._keys += [f"{link.key}.{name}" for name in inner.names] if isinstance(inner, Graph) else [link.key]

    def to_ops(self) -> tuple[list[Op], list[int], list[int]]:
        """Return the op records, the layer of each, and the numbers of the output values."""
        ops: list[Op] = []
        owners: list[int] = []
        value = 0  # the input
        for _, link, i in self.links:
            self._inputs[i] = value
            if isinstance(link, Graph):
                value = self._add_graph(link, i, ops, owners, value)
                continue
            new = link.ops(self.layer_name(i), (value,), len(ops) + 1)
            ops += new
            owners += [i] * len(new)
            value = len(ops)
        return ops, owners, [value]

    def _add_graph(self, graph: Graph, first: int, ops: list[Op], owners: list[int], value: int) -> int:
        """Append the ops of a graph whose input is this value. Return the number of its output value."""
        at = len(ops)
        inner, inner_owners, results = graph.to_ops()
        numbers: list[int] = [value, *range(at + 1, at + 1 + len(inner))]
        for op, owner in zip(inner, inner_owners, strict=True):
            inputs = tuple(numbers[i] for i in op.inputs)
            shares = op.shares + at if op.shares >= 0 else op.shares
            ops.append(op._replace(name=self.layer_name(first + owner), inputs=inputs, shares=shares))
            owners.append(first + owner)
        for i, spans in enumerate(graph.spans):
            self._spans[first + i] = [(at + start, at + end) for start, end in spans]
        return numbers[results[0]]

    def inner_values(self) -> list[tuple[Network, int]]:
        """Return the networks among the parts, and the number of the value that is the input of each, after `to_ops`."""
        found: list[tuple[Network, int]] = []
        layer = 0
        for part in self.parts:
            if is_network(part):
                found.append((part, self._inputs[layer]))
            layer += _count(part)
        return found

    def static_input_shapes(self) -> list[Shape] | None:
        """Return the shape of one sample of the input, if it is known without data."""
        for _, link, _ in self.links:
            if isinstance(link, Graph):
                return link.static_input_shapes()
            if not link.preserves_shape:
                break
        if any(isinstance(link.of, Recurrent | Pooling) for link in self.links):
            return None  # the number of time steps is known only from the data
        for _, link, _ in self.links:
            if isinstance(link, Layer) and not link.preserves_shape:
                shape = link.input_shape()
                return None if shape is None else [shape]
        return None

    def sample_rank(self) -> int | None:
        """Return the number of dimensions of a sample, if it is known before the shape is: 2 for the sequences of recurrent
        layers."""
        for _, link, _ in self.links:
            if isinstance(link, Graph):
                return len(link.inputs[0].shape)
            if isinstance(link, Recurrent):
                return 2
            if not link.preserves_shape and not isinstance(link, Linear):
                break
        return None

    def shapes_of_any_length(self) -> list[Shape]:
        """Return shapes of samples to try if only the number of time steps is open; parameters do not depend on it.

        The list is empty if more is open. Layers in Python that make weights in ``build`` may make others for other shapes.
        """
        if self.graphs:
            return []
        ops, owners, _ = self.to_ops()
        kinds = [op.kind for op in ops]
        first = next((i for i, layer in enumerate(self.layers) if not layer.preserves_shape), None)
        if first is None or any(op.part is not None and op.part.makes_weights() for op in ops):
            return []
        layer = self.layers[first]
        if kinds[owners.index(first)] == "embedding":
            return [(steps,) for steps in self._possible_steps()]
        shape = (layer.input_size,) if isinstance(layer, Recurrent) else layer.input_shape()
        has_time = any(isinstance(each, Recurrent | Pooling) for each in self.layers)
        if shape is None or not has_time:
            return []
        return [*((steps, *shape) for steps in self._possible_steps()), shape]  # the last: RepeatVector makes the steps

    def surely_misfits(self) -> bool:
        """Return whether two layers do not fit, whatever the number of time steps is."""
        width: int | None = None
        is_sequence: bool | None = None
        for _, link, _ in self.links:
            if isinstance(link, Recurrent):
                if is_sequence is False or width not in (None, link.input_size):
                    return True
                width, is_sequence = link.directions * link.hidden_size, link.return_sequences
            elif isinstance(link, Linear | BatchNorm1d | LayerNorm):
                taken = link.input_shape()
                if isinstance(link, BatchNorm1d) and is_sequence is not False:
                    taken = None  # it may be over the features of each step or over channels
                if width is not None and taken is not None and taken[-1] != width:
                    return True
                width = link.out_features if isinstance(link, Linear) else width
            elif isinstance(link, Pooling):
                is_sequence = False
            elif isinstance(link, Layer) and link.takes_indices:
                width, is_sequence = getattr(link, "embedding_dim", None), None
            elif not (isinstance(link, Layer) and link.preserves_shape):
                width = is_sequence = None
        return False

    def _possible_steps(self) -> list[int]:
        """Return numbers of time steps to try: 1, what a layer of channels needs, and what a layer after Flatten takes at once."""
        found = {getattr(layer, name, 0) for layer in self.layers for name in ("num_parameters", "num_features")}
        if any(isinstance(layer, Flatten) for layer in self.layers):
            widths = {getattr(layer, name, 0) for layer in self.layers for name in ("embedding_dim", "out_features")}
            widths |= {layer.directions * layer.hidden_size for layer in self.layers if isinstance(layer, Recurrent)}
            taken = {shape[0] for layer in self.layers if (shape := layer.input_shape()) is not None and len(shape) == 1}
            found |= {n // width for n in taken for width in widths if width and n % width == 0}
        return [1, *sorted(found - {0, 1})]

    def rank_is_open(self) -> bool:
        """Return whether samples may have more dimensions than `static_input_shapes` states.

        Only data or ``build`` can decide that.
        """
        return any(
            isinstance(layer, Flatten | Permute | Reshape) or (isinstance(layer, PythonLayer) and layer.asks_for_lengths())
            for layer in self.layers
        )

    def activation_after(self, index: int) -> Layer | None:
        """Return the activation that follows layer ``index``, if there is one."""
        layer = self._following[index]
        return layer if layer is not None and layer.is_activation else None

    @functools.cached_property
    def _following(self) -> list[Layer | None]:
        """Return for each layer the next layer that has ``init_looks_through`` False, or None."""
        found: list[Layer | None] = []
        following = None
        for _, link, _ in reversed(self.links):
            if isinstance(link, Graph):
                found += [link.activation_after(i) for i in reversed(range(len(link.layers)))]
                following = None
                continue
            found.append(following)
            following = following if link.init_looks_through else link
        return found[::-1]

    def layer_name(self, index: int) -> str:
        """Return the name of a layer in error messages."""
        return f"layer {self.key(index)} ({type(self.layers[index]).__name__})"

    def key(self, index: int) -> str:
        """Return the prefix of the names of a layer's parameters."""
        return self._keys[index] if self.is_nested else str(index)

    def op_spans(self, index: int, owners: Sequence[int]) -> list[tuple[int, int]]:
        """Return the ops [first, last) of each call of a layer. owners: the layer of each op, in order."""
        if index in self._spans:
            return self._spans[index]
        if self.graphs:
            at = [i for i, owner in enumerate(owners) if owner == index]
            return [(at[0], at[-1] + 1)]
        return [(bisect_left(owners, index), bisect_right(owners, index))]

    def shown_inputs(self) -> list[str]:
        """Return the inputs that the summary lists. A chain has only one input, which is not listed."""
        return []

    def connected_to(self, index: int) -> str:
        """Return the inputs of a layer as text. It is empty, because each layer follows the previous one."""
        return ""

    def repr_lines(self, input_shapes: Sequence[Shape]) -> list[str]:
        """Return a line for each layer, for the repr of a model."""
        return [line for i, part in enumerate(self.parts) for line in f"({i}): {part!r}".split("\n")]

    def pack_outputs(self, outputs: list[Any]) -> Any:
        """Return the outputs in the form that the model returns: one array."""
        return outputs[0] if len(outputs) == 1 else outputs

    def call_on(self, values: Sequence[Value]) -> list[Value]:
        """Return the output for another input, by calling the same layers again."""
        (value,) = values
        for _, link, _ in self.links:
            value = link.call_on([value])[0] if isinstance(link, Graph) else call(link, value)
        return [value]


def is_network(part: Any) -> TypeGuard[Network]:
    """Return whether a part of a chain is a network."""
    return getattr(type(part), "is_network", False)  # to ask for an ABC takes ten times as long


def _all_layers(parts: Sequence[Part]) -> Iterator[Layer]:
    for part in parts:
        if is_network(part):
            yield from part.layers
        else:
            yield cast("Layer", part)


def _links(parts: Sequence[Part]) -> Iterator[tuple[str, Layer | Graph]]:
    for i, part in enumerate(parts):
        if not is_network(part):
            yield str(i), cast("Layer", part)
        elif isinstance(part.connections, Graph):
            yield str(i), part.connections
        else:
            for key, link, _ in part.connections.links:
                yield f"{i}.{key}", link


def _count(part: Part | Graph) -> int:
    return len(part.layers) if is_network(part) or type(part) is Graph else 1


def check_layers(name: str, layers: Sequence[Any]) -> None:
    """Raise ArgumentError if an object is neither a layer nor a network, or if they cannot form a chain."""
    if not layers:
        raise ArgumentError(f"{name} needs at least one layer")
    place: dict[int, int] = {}
    for i, layer in enumerate(layers):
        if is_network(layer):
            _check_network(name, i, layer, place)
            continue
        first = place.setdefault(id(layer), i)
        if isinstance(layer, type) and issubclass(layer, Layer):
            raise ArgumentError(f"{name}: layer {i} is the class {layer.__name__}; call it: {layer.__name__}(...)")
        if not isinstance(layer, Layer):
            raise ArgumentError(f"{name}: layer {i} is {_no_layer(layer)}")
        layer.require_init()
        if layer.output_count > 1 and "_drawing" not in layer.__dict__:
            raise ArgumentError(f"{name}: layer {i}, {layer!r}, gives several results; connect layers with nn.Input and nn.Model")
        if layer.input_count[0] > 1:
            raise ArgumentError(f"{name}: layer {i}, {layer!r}, takes several inputs; connect layers with nn.Input and nn.Model")
        if first < i and layer.may_have_parameters():
            raise _shared(name, first, i, layer)
    for i, layer in enumerate(layers):
        if not is_network(layer) and layer._belongs_elsewhere():
            raise ArgumentError(
                f"{name}: layer {i}, {layer!r}, already belongs to another model, which holds its parameters; "
                f"copy.deepcopy(layer) gives an independent one with the same weights; the model as a whole, in the place of its "
                "layers, shares them"
            )


def _check_network(name: str, i: int, network: Network, place: dict[int, int]) -> None:
    """Check a model that is a part. place: of each layer so far, the part that it belongs to."""
    connections = network.connections
    if len(connections.input_names) > 1 or len(connections.output_names) > 1:
        counts = f"{len(connections.input_names)} inputs and {len(connections.output_names)} outputs"
        raise ArgumentError(f"{name}: layer {i} is a model of {counts}; call it on nn.Input, and make nn.Model of what it gives")
    for layer in network.layers:
        first = place.setdefault(id(layer), i)
        if first < i and layer.may_have_parameters():
            raise _shared(name, first, i, layer)


def _shared(name: str, first: int, i: int, layer: Layer) -> ArgumentError:
    return ArgumentError(
        f"{name}: layers {first} and {i} are one object, {layer!r}, and would share parameters; "
        f"use copy.deepcopy for a second one, or connect them with nn.Input and nn.Model to share them"
    )


def _no_layer(given: Any) -> str:
    """Return what an object is that is no layer, and how to make a layer of it."""
    if said := objects.refusal(given, "layers"):
        return f"none of nncore: {said}"
    if isinstance(given, str):
        known = {name.lower(): name for name in every_layer.__all__ if name[0].isupper()}
        cls = known.get(given.lower().replace("_", ""), "")
        return f"the text {shown(given)}; pass a layer{cls and f', nn.{cls}()'}"
    if isinstance(given, Value):
        return f"{shown(given)}; leave an input out, as layers know their sizes, or make nn.Model(inputs, outputs)"
    if isinstance(given, dict):
        return "a dict; pass its layers: *layers.values()"
    if isinstance(given, Iterable) and not hasattr(given, "__array__"):
        return f"a {type(given).__name__}; put its layers in one by one: *layers"
    if callable(given):
        return f"the function {shown(given)}; nn.Lambda(forward, backward) makes a layer of it"
    return f"no layer but {shown(given)}"
