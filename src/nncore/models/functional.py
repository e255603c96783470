"""The model that ``Model(inputs, outputs)`` makes: its layers form a graph."""

from __future__ import annotations

from typing import Any, Self

from .._checks import shape_of_sample
from .._declarations import explained
from ..errors import ArgumentError
from ..graph import Graph, Value
from ..records import Shape
from .model import Model


class Functional(Model):
    """A model whose layers form a graph. Make it by ``nn.Model(inputs, outputs)``; see `Model` for the arguments.

    Examples
    --------
    >>> import nncore as nn
    >>> x = nn.Input((2,))
    >>> type(nn.Model(x, nn.Tanh()(x))).__name__
    'Model'
    """

    @explained
    def __init__(
        self, inputs: Any, outputs: Any, *, seed: int | None = None, dtype: Any = "float32", compute: Any = "float32"
    ) -> None:
        self._begin(Graph(inputs, outputs), seed, dtype, compute)

    def build(self, input_shape: Shape) -> Self:
        """Check that the model takes samples of this shape. Nothing is built: an `Input` states its shape when it is made.

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
            It is not the shape of the model's input.
        """
        if [shape_of_sample(f"{type(self).__name__}.build", "input_shape", input_shape)] != self.input_shapes:
            raise ArgumentError(
                f"{type(self).__name__}.build: the inputs have the shapes {self.input_shapes}; make another nn.Input"
            )
        return self

    @property
    def inputs(self) -> list[Value]:
        """The inputs of the model. Further models can be built on them.

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
        """The outputs of the model. Further models can be built on them.

        Examples
        --------
        >>> import nncore as nn
        >>> x = nn.Input((2,), name="x")
        >>> nn.Model(x, nn.Tanh()(x)).outputs
        [<Value [*, 2] from Tanh>]
        """
        return list(self._network.connections.outputs)


Functional.__name__ = "Model"  # as users make it, so that messages speak of it
Model._of_graph = Functional
