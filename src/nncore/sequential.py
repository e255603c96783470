"""Sequential: layers one after another, the simplest way to connect them."""

from __future__ import annotations

import copy
import functools
from collections.abc import Iterator, Sequence
from typing import Any, Self, overload

from ._checks import integer, shape_of_sample, shown
from .errors import ArgumentError, IndexRangeError
from .graph import Value, call
from .layers.activations import Activation
from .layers.base import Layer
from .layers.prelu import PReLU
from .layers.recurrent import Recurrent
from .layers.shape import Flatten, Reshape
from .model import Model, check_free
from .records import Op, Shape


class Sequential(Model):
    """Layers one after another.

    Parameters
    ----------
    *layers : Layer
        The layers, or one list of them. A layer with parameters belongs to one model, at one place.
    seed : int, optional
        Everything random follows from it: initial weights, dropout, shuffling. None draws one; ``model.seed`` tells which.
    dtype : {"float32", "float64"}
        What everything is computed in.

    Notes
    -----
    A copied (``copy.deepcopy``) or unpickled model trains on as the original would, to the bit; `save` keeps it in a file.

    Examples
    --------
    >>> import nncore as nn
    >>> model = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1), seed=0)
    >>> model
    Sequential(
      (0): Linear(in_features=2, out_features=3, bias=True)
      (1): ReLU()
      (2): Linear(in_features=3, out_features=1, bias=True)
    )
    >>> model([[0.5, -1.0], [2.0, 0.0]]).shape
    (2, 1)
    """

    def __init__(self, *layers: Layer | Sequence[Layer], seed: int | None = None, dtype: Any = "float32") -> None:
        given: Any = layers[0] if len(layers) == 1 and isinstance(layers[0], (list, tuple)) else layers
        _check_layers(type(self).__name__, given)
        self._begin(given, seed, dtype)

    def _wire(self) -> tuple[list[Op], list[int], list[int]]:
        ops: list[Op] = []
        owners: list[int] = []
        for i, layer in enumerate(self.layers):
            new = layer.ops(self._layer_name(i), (len(ops),), len(ops) + 1)  # value 0 is the input
            ops += new
            owners += [i] * len(new)
        return ops, owners, [len(ops)]

    def _called_on(self, values: list[Value]) -> list[Value]:
        (value,) = values
        if not self.built:
            self._build([value.shape])  # so that there are weights to share
        for layer in self.layers:
            value = call(layer, value)
        return [value]

    def _known_inputs(self) -> list[Shape] | None:
        if any(isinstance(layer, Recurrent) for layer in self.layers):
            return None  # there is time, and how many steps of it the data will say
        for layer in self.layers:
            if not layer.preserves_shape:
                shape = layer.input_shape()
                return None if shape is None else [shape]
        return None

    def _may_be_deeper(self) -> bool:
        return any(isinstance(layer, Flatten | Reshape) for layer in self.layers)

    def _activation_after(self, index: int) -> Layer | None:
        layer = self._following[index]
        return layer if isinstance(layer, Activation | PReLU) else None

    @functools.cached_property
    def _following(self) -> list[Layer | None]:
        """Of each layer: the next one that the others do not look through."""
        found: list[Layer | None] = []
        following = None
        for layer in reversed(self.layers):
            found.append(following)
            following = following if layer.transparent else layer
        return found[::-1]

    def build(self, input_shape: Shape) -> Self:
        """Fix the shape of one sample, where the first layer leaves it open.

        A model that is built may be built again for another shape that fits its layers, such as (time, features) where the first
        layer is Linear. It keeps its weights, but in new memory: views taken before are of the old. The optimizer starts anew.

        Parameters
        ----------
        input_shape : tuple of int
            Shape of one sample, without the batch.

        Returns
        -------
        Model
            The model itself.

        Raises
        ------
        ShapeError
            If the layers do not fit such an input.

        Examples
        --------
        >>> import nncore as nn
        >>> model = nn.Sequential(nn.Flatten(), nn.Linear(6, 1)).build((2, 3))
        >>> model.output_shapes
        [(1,)]
        """
        name = type(self).__name__
        shape = shape_of_sample(f"{name}.build", "input_shape", input_shape)
        if self._built_for != [shape]:
            self._build([shape])
        return self

    @property
    def input_names(self) -> list[str]:
        """The name of the one input.

        Examples
        --------
        >>> import nncore as nn
        >>> nn.Sequential(nn.Linear(2, 1)).input_names
        ['input']
        """
        return ["input"]

    @property
    def output_names(self) -> list[str]:
        """The name of the one output.

        Examples
        --------
        >>> import nncore as nn
        >>> nn.Sequential(nn.Linear(2, 1)).output_names
        ['output']
        """
        return ["output"]

    def __len__(self) -> int:
        return len(self.layers)

    def __iter__(self) -> Iterator[Layer]:
        return iter(self.layers)

    @overload
    def __getitem__(self, index: int) -> Layer: ...
    @overload
    def __getitem__(self, index: slice) -> Sequential: ...
    def __getitem__(self, index: int | slice) -> Layer | Sequential:
        """Return a layer, or for a slice a new model with copies of those layers and their weights.

        Examples
        --------
        >>> import nncore as nn
        >>> model = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1))
        >>> model[-1]
        Linear(in_features=3, out_features=1, bias=True)
        >>> model[:2]([[1.0, 2.0]]).shape
        (1, 3)
        """
        if isinstance(index, slice):
            return Sequential(*copy.deepcopy(self.layers[index]), seed=self.seed, dtype=self._dtype)
        number = integer(type(self).__name__, "the number of a layer", index)
        if not -len(self.layers) <= number < len(self.layers):
            raise IndexRangeError(f"{type(self).__name__} has {len(self.layers)} layers, and none of number {number}")
        return self.layers[number]

    def __repr__(self) -> str:
        lines = [f"  ({i}): {layer!r}" for i, layer in enumerate(self.layers)]
        return "\n".join([f"{type(self).__name__}(", *lines, ")"])

    # Copies -----------------------------------------------------------------------------------------------------------------

    def _connections(self) -> list[Shape] | None:
        return self._built_for

    def _restart(self, layers: Sequence[Layer], connections: Any, seed: int, dtype: str) -> None:
        Sequential.__init__(self, *layers, seed=0, dtype=dtype)
        self.seed = seed
        if connections is not None and self._built_for != connections:
            self._build(connections)


def _check_layers(name: str, layers: Sequence[Any]) -> None:
    if not layers:
        raise ArgumentError(f"{name} needs at least one layer")
    place: dict[int, int] = {}
    for i, layer in enumerate(layers):
        first = place.setdefault(id(layer), i)
        if isinstance(layer, Model):
            raise ArgumentError(
                f"{name}: layer {i} is a model; put its layers in instead: "
                "copy.deepcopy(model.layers); or call it on an nn.Input, which shares its weights"
            )
        if isinstance(layer, type) and issubclass(layer, Layer):
            raise ArgumentError(f"{name}: layer {i} is the class {layer.__name__}; call it: {layer.__name__}(...)")
        if not isinstance(layer, Layer):
            raise ArgumentError(f"{name}: layer {i} is no layer but {shown(layer)}")
        if layer.n_results > 1 and "_standalone" not in layer.__dict__:
            raise ArgumentError(f"{name}: layer {i}, {layer!r}, gives several results; connect layers with nn.Input and nn.Model")
        if layer.takes[0] > 1:
            raise ArgumentError(f"{name}: layer {i}, {layer!r}, takes several inputs; connect layers with nn.Input and nn.Model")
        if first < i and layer.may_have_parameters():
            raise ArgumentError(
                f"{name}: layers {first} and {i} are one object, {layer!r}, and would share parameters; "
                f"use copy.deepcopy for a second one, or connect them with nn.Input and nn.Model to share them"
            )
    check_free(name, layers)
