"""Chain: layers that follow one after another. It has the same interface as `Graph`."""

from __future__ import annotations

import functools
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from typing import Any

from .. import layers as every_layer
from .._checks import shown
from .._core import ModelCore
from ..errors import ArgumentError
from ..foreign import objects
from ..graph import Value, call
from ..layers.base import Layer
from ..layers.linear import Linear
from ..layers.pooling import Pooling
from ..layers.python import PythonLayer
from ..layers.recurrent import Recurrent
from ..layers.shape import Flatten, Permute, Reshape
from ..records import Op, Shape


class Chain:
    """Layers that follow one after another, with one input and one output.

    Parameters
    ----------
    layers : sequence of Layer
    """

    input_names = ("input",)
    output_names = ("output",)

    def __init__(self, layers: Sequence[Layer]) -> None:
        self.layers = tuple(layers)

    def to_ops(self) -> tuple[list[Op], list[int], list[int]]:
        """Return the op records, the layer of each, and the numbers of the output values."""
        ops: list[Op] = []
        owners: list[int] = []
        for i, layer in enumerate(self.layers):
            new = layer.ops(self.layer_name(i), (len(ops),), len(ops) + 1)  # value 0 is the input
            ops += new
            owners += [i] * len(new)
        return ops, owners, [len(ops)]

    def static_input_shapes(self) -> list[Shape] | None:
        """Return the shape of one sample of the input, if it is known without data."""
        if any(isinstance(layer, Recurrent | Pooling) for layer in self.layers):
            return None  # the number of time steps is known only from the data
        for layer in self.layers:
            if not layer.preserves_shape:
                shape = layer.input_shape()
                return None if shape is None else [shape]
        return None

    def sample_rank(self) -> int | None:
        """Return the number of dimensions of a sample, if it is known before the shape is: 2 for the sequences of recurrent
        layers."""
        for layer in self.layers:
            if isinstance(layer, Recurrent):
                return 2
            if not layer.preserves_shape and not isinstance(layer, Linear):
                break
        return None

    def shapes_of_any_length(self) -> list[Shape]:
        """Return shapes of samples to try if only the number of time steps is open; parameters do not depend on it.

        The list is empty if more is open. Layers in Python are not asked before there are data, because their code may need them.
        """
        ops, owners, _ = self.to_ops()
        kinds = [op.kind for op in ops]
        first = next((i for i, layer in enumerate(self.layers) if not layer.preserves_shape), None)
        if first is None or "python" in kinds:
            return []
        layer = self.layers[first]
        if kinds[owners.index(first)] == "embedding":
            return [(steps,) for steps in self._possible_steps()]
        shape = (layer.input_size,) if isinstance(layer, Recurrent) else layer.input_shape()
        return [(steps, *shape) for steps in self._possible_steps()] if "recurrent" in kinds and shape is not None else []

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
        for layer in reversed(self.layers):
            found.append(following)
            following = following if layer.init_looks_through else layer
        return found[::-1]

    def layer_name(self, index: int) -> str:
        """Return the name of a layer in error messages."""
        return f"layer {index} ({type(self.layers[index]).__name__})"

    def key(self, index: int) -> str:
        """Return the prefix of the names of a layer's parameters."""
        return str(index)

    def op_spans(self, index: int, owners: Sequence[int]) -> list[tuple[int, int]]:
        """Return the ops [first, last) of the only call of a layer. owners: the layer of each op, in order."""
        return [(bisect_left(owners, index), bisect_right(owners, index))]

    def shown_inputs(self) -> list[str]:
        """Return the inputs that the summary lists. A chain has only one input, which is not listed."""
        return []

    def connected_to(self, index: int) -> str:
        """Return the inputs of a layer as text. It is empty, because each layer follows the previous one."""
        return ""

    def repr_lines(self, input_shapes: Sequence[Shape]) -> list[str]:
        """Return a line for each layer, for the repr of a model."""
        return [f"({i}): {layer!r}" for i, layer in enumerate(self.layers)]

    def pack_outputs(self, outputs: list[Any]) -> Any:
        """Return the outputs in the form that the model returns: one array."""
        return outputs[0] if len(outputs) == 1 else outputs

    def call_on(self, values: Sequence[Value]) -> list[Value]:
        """Return the output for another input, by calling the same layers again."""
        (value,) = values
        for layer in self.layers:
            value = call(layer, value)
        return [value]


def check_layers(name: str, layers: Sequence[Any]) -> None:
    """Raise ArgumentError if an object is not a layer, or if the layers cannot form a chain."""
    if not layers:
        raise ArgumentError(f"{name} needs at least one layer")
    place: dict[int, int] = {}
    for i, layer in enumerate(layers):
        first = place.setdefault(id(layer), i)
        if isinstance(layer, ModelCore):
            raise ArgumentError(
                f"{name}: layer {i} is a model; put its layers in instead: "
                "copy.deepcopy(model.layers); or call it on an nn.Input, which shares its weights"
            )
        if isinstance(layer, type) and issubclass(layer, Layer):
            raise ArgumentError(f"{name}: layer {i} is the class {layer.__name__}; call it: {layer.__name__}(...)")
        if not isinstance(layer, Layer):
            raise ArgumentError(f"{name}: layer {i} is {_no_layer(layer)}")
        if layer.output_count > 1 and "_drawing" not in layer.__dict__:
            raise ArgumentError(f"{name}: layer {i}, {layer!r}, gives several results; connect layers with nn.Input and nn.Model")
        if layer.input_count[0] > 1:
            raise ArgumentError(f"{name}: layer {i}, {layer!r}, takes several inputs; connect layers with nn.Input and nn.Model")
        if first < i and layer.may_have_parameters():
            raise ArgumentError(
                f"{name}: layers {first} and {i} are one object, {layer!r}, and would share parameters; "
                f"use copy.deepcopy for a second one, or connect them with nn.Input and nn.Model to share them"
            )
    for i, layer in enumerate(layers):
        if layer._belongs_elsewhere():
            raise ArgumentError(
                f"{name}: layer {i}, {layer!r}, already belongs to another model, which holds its parameters; "
                f"copy.deepcopy(layer) gives an independent one with the same weights"
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
    if isinstance(given, list | tuple):
        return f"a {type(given).__name__}; put its layers in one by one: *layers"
    if callable(given):
        return f"the function {shown(given)}; nn.Lambda(forward, backward) makes a layer of it"
    return f"no layer but {shown(given)}"
