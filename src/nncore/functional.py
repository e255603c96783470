"""Functional: models that are graphs, which is what ``Model(inputs, outputs)`` makes."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any

from ._checks import shape_of_sample, shape_text
from .errors import ArgumentError
from .graph import Description, Graph, Value, restored
from .layers.activations import Activation
from .layers.base import Layer
from .layers.prelu import PReLU
from .model import Model
from .records import Op, Shape


class Functional(Model):
    """A model whose layers are a graph; made by calling ``nn.Model(inputs, outputs)``, where everything is said about it.

    Examples
    --------
    >>> import nncore as nn
    >>> x = nn.Input((2,))
    >>> type(nn.Model(x, nn.Tanh()(x))).__name__
    'Functional'
    """

    _graph: Graph

    def __init__(self, inputs: Any, outputs: Any, *, seed: int | None = None, dtype: Any = "float32") -> None:
        self._graph = Graph(inputs, outputs)
        self._begin(self._graph.layers, seed, dtype)

    def _build(self, input_shapes: Sequence[Shape]) -> None:
        used = {i: (layer, layer._models()[0]) for i, layer in enumerate(self.layers) if layer._belongs_elsewhere()}
        if not used:
            super()._build(input_shapes)
            return
        from . import sharing

        sharing.check(self, used)
        others = [other for _, other in used.values()]
        with sharing.held(others):
            views = {i: dict(layer._bound) for i, (layer, _) in used.items()}
            super()._build(input_shapes)
            sharing.join(self, views, others)

    def _called_on(self, values: list[Value]) -> list[Value]:
        return self._graph.again(values)

    # How layers become ops --------------------------------------------------------------------------------------------------

    def _wire(self) -> tuple[list[Op], list[int], list[int]]:
        return self._graph.wire(self._layer_name)

    def _known_inputs(self) -> list[Shape] | None:
        return [value.shape for value in self._graph.inputs]

    def _activation_after(self, index: int) -> Layer | None:
        layer = self.layers[index]
        waiting = deque(value for node in self._graph.nodes_of(layer) for value in node.outputs)
        while waiting:
            for node in self._graph.readers(waiting.popleft()):
                if isinstance(node.layer, Activation | PReLU):
                    return node.layer
                if node.layer.transparent and node.layer is not layer:
                    waiting += node.outputs
        return None

    def _layer_name(self, index: int) -> str:
        return f"layer {self._graph.names[index]!r} ({type(self._graph.layers[index]).__name__})"

    def _key(self, index: int) -> str:
        return self._graph.names[index]

    def build(self, input_shape: Shape) -> Functional:
        """Do nothing but compare: the inputs say their shapes when they are made. `Sequential` may leave them open.

        Parameters
        ----------
        input_shape : tuple of int
            Shape of one sample.

        Returns
        -------
        Model
            The model itself.

        Raises
        ------
        ArgumentError
            It is not what the model takes.
        """
        if [shape_of_sample(f"{type(self).__name__}.build", "input_shape", input_shape)] != self.input_shapes:
            raise ArgumentError(
                f"{type(self).__name__}.build: the inputs have the shapes {self.input_shapes}; make another nn.Input"
            )
        return self

    @property
    def input_names(self) -> list[str]:
        """The names of the inputs.

        Examples
        --------
        >>> import nncore as nn
        >>> x = nn.Input((2,), name="x")
        >>> nn.Model(x, nn.Tanh()(x)).input_names
        ['x']
        """
        return list(self._graph.input_names)

    @property
    def output_names(self) -> list[str]:
        """The names of the outputs.

        Examples
        --------
        >>> import nncore as nn
        >>> x = nn.Input((2,), name="x")
        >>> nn.Model(x, {"a": nn.Tanh()(x), "b": nn.ReLU()(x)}).output_names
        ['a', 'b']
        """
        return list(self._graph.output_names)

    @property
    def inputs(self) -> list[Value]:
        """The inputs, to build further models on.

        Examples
        --------
        >>> import nncore as nn
        >>> x = nn.Input((2,), name="x")
        >>> nn.Model(x, nn.Tanh()(x)).inputs
        [<Input [*, 2] 'x'>]
        """
        return list(self._graph.inputs)

    @property
    def outputs(self) -> list[Value]:
        """The outputs, to build further models on.

        Examples
        --------
        >>> import nncore as nn
        >>> x = nn.Input((2,), name="x")
        >>> nn.Model(x, nn.Tanh()(x)).outputs
        [<Value [*, 2] from Tanh>]
        """
        return list(self._graph.outputs)

    def _given_out(self, outputs: list[Any]) -> Any:
        if self._graph.by_name:
            return dict(zip(self._graph.output_names, outputs, strict=True))
        return super()._given_out(outputs)

    # The summary ------------------------------------------------------------------------------------------------------------

    def _calls(self, index: int) -> list[tuple[int, int]]:
        return self._graph.spans[index]

    def _shown_inputs(self) -> list[tuple[str, Shape]]:
        return list(zip(self._graph.input_names, self.input_shapes, strict=True))

    def _connected_to(self, index: int) -> str:
        graph = self._graph
        nodes = graph.nodes_of(self.layers[index])
        return "; ".join(", ".join(graph.name_of(graph.numbers[id(v)]) for v in node.inputs) for node in nodes)

    def __repr__(self) -> str:
        inputs = [f"  {name}: Input {shape_text(shape)}" for name, shape in self._shown_inputs()]
        layers = [f"  {self._key(i)}: {layer!r} on {self._connected_to(i)}" for i, layer in enumerate(self.layers)]
        return "\n".join(["Model(", *inputs, *layers, ")"])

    # Copies -----------------------------------------------------------------------------------------------------------------

    def _connections(self) -> Description:
        return self._graph.describe()

    def _restart(self, layers: Sequence[Layer], connections: Any, seed: int, dtype: str) -> None:
        inputs, outputs = restored(layers, connections)
        Functional.__init__(self, inputs, outputs, seed=0, dtype=dtype)
        self.seed = seed
        self._graph.by_name = connections.by_name
