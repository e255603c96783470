"""A model whose layers are connected freely: what ``Model(inputs, outputs)`` makes."""

from __future__ import annotations

from typing import Any, Self

from .._checks import shape_of_sample
from ..errors import ArgumentError
from ..graph import Graph, Value
from ..records import Shape
from .model import Model


class Functional(Model):
    """A model whose layers are a graph; made by calling ``nn.Model(inputs, outputs)``, where everything is said about it.

    Examples
    --------
    >>> import nncore as nn
    >>> x = nn.Input((2,))
    >>> type(nn.Model(x, nn.Tanh()(x))).__name__
    'Functional'
    """

    def __init__(self, inputs: Any, outputs: Any, *, seed: int | None = None, dtype: Any = "float32") -> None:
        self._begin(Graph(inputs, outputs), seed, dtype)

    def build(self, input_shape: Shape) -> Self:
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
    def inputs(self) -> list[Value]:
        """The inputs, to build further models on.

        Examples
        --------
        >>> import nncore as nn
        >>> x = nn.Input((2,), name="x")
        >>> nn.Model(x, nn.Tanh()(x)).inputs
        [<Input [*, 2] 'x'>]
        """
        return list(self._network.connections.inputs)

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
        return list(self._network.connections.outputs)


Model._of_graph = Functional
