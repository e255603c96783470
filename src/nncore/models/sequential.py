"""Sequential: a model whose layers follow one after another."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Self, cast, overload

from .._checks import integer, shape_of_sample, shown
from .._core import ModelCore
from .._declarations import explained
from ..errors import ArgumentError, IndexRangeError
from ..graph import Graph
from ..layers.base import AnyLayer, Layer
from ..network.chain import Chain, check_layers
from ..network.connecting import connect, parts_of
from ..records import Shape
from .model import Model

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import numpy as np
    import numpy.typing as npt

    from ..data import Parts
    from ..graph import Value
    from ..training.hooks import Callback
    from ..typing import ArrayLike, Arrays, Compute


class Sequential(Model):
    """A model whose layers follow one after another.

    Parameters
    ----------
    *layers : Layer or Model
        The layers, or one list of them. A layer with parameters belongs to one model and occurs in it once. A model with one input
        and one output may take the place of a layer; its weights are shared with it. Their names are then nested, as in PyTorch:
        "0.1.weight" is the weight of layer 1 of the model in place 0.
    seed : int, optional
        Seed of everything random: initial weights, dropout, shuffling. With None a seed is drawn; ``model.seed`` returns it.
    dtype : {"float32", "float64"}
        The type of the parameters and of all computation.
    compute : {"float32", "bfloat16", "auto"}
        In what linear and recurrent layers multiply. With "bfloat16" they round what they multiply to bfloat16 and sum in float32;
        see `Model`.

    Notes
    -----
    ``model[i]``, ``len(model)`` and iteration give what was passed, models included; ``model.layers`` has all layers, those of
    models too.

    Training a copied (``copy.deepcopy``) or unpickled model gives bitwise the same results as training the original. `save` writes
    a model to a file.

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

    @explained
    def __init__(
        self,
        *layers: Layer | Model | Sequence[Layer | Model],
        seed: int | None = None,
        dtype: npt.DTypeLike = "float32",
        compute: Compute = "float32",
    ) -> None:
        given: Any = layers[0] if len(layers) == 1 and isinstance(layers[0], (list, tuple)) else layers
        parts = [part._network if isinstance(part, ModelCore) else part for part in given]
        check_layers(type(self).__name__, parts)
        self._begin(Chain(parts), seed, dtype, compute)
        self._models = {i: part for i, part in enumerate(given) if isinstance(part, ModelCore)}

    if TYPE_CHECKING:  # one input and one output

        @overload
        def __call__(self, x: Value | Sequence[Value] | Mapping[str, Value], training: bool = False) -> Value: ...
        @overload
        def __call__(self, x: Arrays, training: bool = False, *, out: np.ndarray | None = None) -> np.ndarray: ...
        def __call__(self, x: Any, training: bool = False, *, out: np.ndarray | None = None) -> Any: ...

        def predict_on_batch(self, x: Arrays, *, out: np.ndarray | None = None) -> np.ndarray: ...
        def forward(
            self, x: Arrays, training: bool = False, lengths: ArrayLike | None = None, mask: ArrayLike | None = None
        ) -> np.ndarray: ...
        def backward(self, grad_output: Arrays, accumulate: bool = False) -> np.ndarray: ...
        def predict(
            self,
            x: Arrays | Iterable[Any] | Parts,
            batch_size: int | None = None,
            verbose: Any = 0,
            callbacks: Iterable[Callback | Any] | Callback | None = (),
            steps: int | None = None,
            lengths: ArrayLike | None = None,
            mask: ArrayLike | None = None,
        ) -> np.ndarray: ...

    @explained
    def build(self, input_shape: Shape) -> Self:
        """Set the shape of one sample, if the first layer does not determine it.

        A built model can be built again for another shape that fits its layers, for example (time, features) if the first layer is
        Linear. The weights keep their values but move to new memory, so earlier views show the old memory. The state of the
        optimizer is reset.

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
            The layers do not fit such an input.

        Examples
        --------
        >>> import nncore as nn
        >>> model = nn.Sequential(nn.Flatten(), nn.Linear(6, 1)).build((2, 3))
        >>> model.output_shapes
        [(1,)]
        """
        name = type(self).__name__
        shape = shape_of_sample(f"{name}.build", "input_shape", input_shape)
        if self._plan.built_for != [shape]:
            self._network.build([shape])
        return self

    def __len__(self) -> int:
        return len(self._chain.parts)

    def __iter__(self) -> Iterator[AnyLayer]:
        return (self._part(i) for i in range(len(self)))

    @property
    def _chain(self) -> Chain:
        return cast("Chain", self._network.connections)

    def _part(self, i: int) -> AnyLayer:
        """Return a layer, or the model that is a part."""
        part = self._chain.parts[i]
        if isinstance(part, Layer):
            return cast("AnyLayer", part)
        models: dict[int, Any] | None = getattr(self, "_models", None)
        if models is None:  # a copy or a loaded model has not made them yet
            models = self._models = {}
        if i not in models:
            cls = Model._of_graph if isinstance(part.connections, Graph) else Sequential
            models[i] = cls.__new__(cls)
            models[i]._have(part)
        return cast("AnyLayer", models[i])

    @overload
    def __getitem__(self, index: int) -> AnyLayer: ...
    @overload
    def __getitem__(self, index: slice) -> Sequential: ...
    def __getitem__(self, index: int | slice) -> AnyLayer | Sequential:
        """Return a layer. For a slice, return a new model with **copies** of those layers and their weights, unlike PyTorch.

        Training the slice does not change this model, nor the reverse; its repr says that it is a copy. To share weights with a
        part of a model, make the part a model first: ``encoder = nn.Sequential(...)``, ``model = nn.Sequential(encoder, head)``.

        Examples
        --------
        >>> import nncore as nn
        >>> model = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1))
        >>> model[-1]
        Linear(in_features=3, out_features=1, bias=True)
        >>> model[:2]
        Sequential(  # a copy of layers 0 and 1
          (0): Linear(in_features=2, out_features=3, bias=True)
          (1): ReLU()
        )
        """
        if isinstance(index, slice):
            return self._copied(index)
        number = integer(type(self).__name__, "the number of a layer", index)
        if not -len(self) <= number < len(self):
            raise IndexRangeError(f"{type(self).__name__} has {len(self)} layers, and none of number {number}")
        return self._part(number % len(self))

    if not TYPE_CHECKING:  # type checkers refuse these themselves

        def __setitem__(self, index: Any, layer: Any) -> None:
            raise self._fixed()

        def __delitem__(self, index: Any) -> None:
            raise self._fixed()

    def _fixed(self) -> ArgumentError:
        return ArgumentError(
            f"{type(self).__name__}: the layers are fixed when the model is made; change a list of layers, and make another of it"
        )

    def _copied(self, index: slice) -> Sequential:
        """Return a model of copies of some layers."""
        chosen = range(len(self))[index]
        if not chosen:
            raise ArgumentError(f"{type(self).__name__}: the slice {shown(index)} of {len(self)} layers is empty")
        network = self._network
        with network.access.between_steps():
            layers, nested = parts_of(network, index)
            copies = copy.deepcopy(layers)
        found = Sequential.__new__(Sequential)
        found._have(
            connect(
                copies, nested if any(nested.parts) else None, self.seed, self.dtype.name, "Sequential", compute=network.compute
            )
        )
        numbers = [str(i) for i in chosen]
        said = " and ".join(numbers) if len(numbers) < 3 else f"{numbers[0]} to {numbers[-1]}"
        found._network.remark = f"a copy of layer{'s' if len(numbers) > 1 else ''} {said}"
        return found
