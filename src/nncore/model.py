"""Model: what every model is, however its layers are connected, and the constructor of those that are graphs."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self, cast

from ._checks import shown
from .errors import ArgumentError
from .layers.base import Layer, Taken
from .records import Shape
from .saving import Savable
from .stepwise import Stepwise

if TYPE_CHECKING:
    from .saving.training import TrainingState
    from .sharing import Pool


class Model(Stepwise, Savable):
    """A network of layers: whatever lies between the inputs and the outputs.

    Parameters
    ----------
    inputs : Value, or a list or dict of them
        What `Input` gave. A dict gives the inputs its keys as names.
    outputs : Value, or a list or dict of them
        What layers gave, called on the inputs and on each other's results. With a dict, the outputs have its keys as names, and
        predictions come as a dict.
    seed : int, optional
        Everything random follows from it: initial weights, dropout, shuffling. None draws one; ``model.seed`` tells which.
    dtype : {"float32", "float64"}
        What everything is computed in.

    Attributes
    ----------
    layers : tuple of Layer
        Each once, in the order in which they were first called.
    input_names, output_names : list of str
        What data, losses and metrics by name are found under. An input has the name that `Input` was given; an output has that of
        its layer.
    seed : int
        What initial weights, dropout masks and shuffling derive from.
    dtype : numpy.dtype
        float32 or float64.

    Raises
    ------
    ArgumentError
        The outputs need an input that is not given, or do not need one that is; two layers have one name; a layer with parameters
        belongs to another model.

    Notes
    -----
    A layer that is called several times has one set of weights; its gradient is the sum over the calls, added up in their order.
    A layer's name is what its keys in the `state_dict` begin with: the ``name=`` it was made with, or, as in Keras, its class in
    lower case, with a number where there are several ("linear", "linear_1").

    Examples
    --------
    >>> import nncore as nn
    >>> x = nn.Input((8,), name="x")
    >>> h = nn.ReLU()(nn.Linear(8, 16)(x))
    >>> h = h + nn.ReLU()(nn.Linear(16, 16)(h))
    >>> model = nn.Model(x, nn.Linear(16, 1, name="y")(h), seed=0)
    >>> model
    Model(
      x: Input [*, 8]
      linear: Linear(in_features=8, out_features=16, bias=True) on x
      relu: ReLU() on linear
      linear_1: Linear(in_features=16, out_features=16, bias=True) on relu
      relu_1: ReLU() on linear_1
      add: Add() on relu, relu_1
      y: Linear(in_features=16, out_features=1, bias=True) on add
    )
    >>> list(model.state_dict())
    ['linear.weight', 'linear.bias', 'linear_1.weight', 'linear_1.bias', 'y.weight', 'y.bias']
    """

    if TYPE_CHECKING:

        def __init__(self, inputs: Any, outputs: Any, *, seed: int | None = None, dtype: Any = "float32") -> None: ...

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        if cls is Model:  # as in Keras: a graph is one kind of model, a Sequential another
            from .functional import Functional

            return super().__new__(Functional)  # type: ignore[return-value]
        return super().__new__(cls)

    _pool: Pool | None = None  # where its numbers lie, together with those of models that share layers with it

    def _build(self, input_shapes: Sequence[Shape]) -> None:
        if self._pool is not None:
            raise ArgumentError(
                f"{type(self).__name__}: another model shares its layers, so that it cannot be built again for another shape"
            )
        super()._build(input_shapes)  # what compile declared is attached to the new shapes when it is needed

    def get_layer(self, name: str) -> Layer:
        """Return the layer of that name.

        Examples
        --------
        >>> import nncore as nn
        >>> x = nn.Input((2,), name="x")
        >>> nn.Model(x, nn.Linear(2, 1, name="y")(x)).get_layer("y").weight.shape
        (1, 2)
        """
        names = [self._key(i) for i in range(len(self.layers))]
        if not isinstance(name, str) or name not in names:
            raise ArgumentError(f"{type(self).__name__}.get_layer: there is no {shown(name)}; the layers are {', '.join(names)}")
        return self.layers[names.index(name)]

    # Copies -----------------------------------------------------------------------------------------------------------------

    def _connections(self) -> Any:
        """Return as plain data how the layers are connected."""
        raise NotImplementedError

    def _restart(self, layers: Sequence[Layer], connections: Any, seed: int, dtype: str) -> None:
        """Do what the constructor does, over the layers and connections that a copy or a file kept."""
        raise NotImplementedError

    def __reduce__(self) -> tuple[Any, ...]:
        # Layers carry their values along, the state of training goes with them: a copy trains on as the original would.
        from .saving.training import capture, copied

        with self._access.between_steps():
            taken = Taken(self.layers)
            state = copied(capture(self))
            return _restore, (type(self), self.layers, self._connections(), self.seed, self._dtype.name, state, taken)

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        from .saving.training import capture, copied

        with self._access.between_steps():
            layers = copy.deepcopy(self.layers, memo)
            state = copied(capture(self))
            if state is not None:
                state = state._replace(compiled=copy.deepcopy(state.compiled, memo))
            rest = self._connections(), self.seed, self._dtype.name
        model = _restore(type(self), layers, *rest, state)
        memo[id(self)] = model
        return cast("Self", model)

    def __copy__(self) -> Self:
        return copy.deepcopy(self)


def _restore(
    cls: type[Model],
    layers: Sequence[Layer],
    connections: Any,
    seed: int,
    dtype: str,
    training: TrainingState | None,
    taken: Taken | None = None,
) -> Model:
    """Make a model again from what pickle kept, whatever arguments the constructor of a subclass takes."""
    model = cls.__new__(cls)
    model._restart(layers, connections, seed, dtype)
    if training is not None:
        from .saving.training import resume

        resume(model, training)
    return model


def check_free(name: str, layers: Sequence[Layer]) -> None:
    """Raise ArgumentError where a layer with parameters belongs to another model."""
    for i, layer in enumerate(layers):
        if layer._belongs_elsewhere():
            raise ArgumentError(
                f"{name}: layer {i}, {layer!r}, already belongs to another model, which holds its parameters; "
                f"copy.deepcopy(layer) gives an independent one with the same weights"
            )
