"""Sequential: a model whose layers follow one after another."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Self, overload

from .._checks import integer, shape_of_sample
from .._declarations import explained
from ..errors import ArgumentError, IndexRangeError
from ..layers.base import AnyLayer, Layer
from ..network.chain import Chain, check_layers
from ..records import Shape
from .model import Model

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import numpy as np
    import numpy.typing as npt

    from ..graph import Value
    from ..training.hooks import Callback
    from ..typing import ArrayLike, Arrays


class Sequential(Model):
    """A model whose layers follow one after another.

    Parameters
    ----------
    *layers : Layer
        The layers, or one list of them. A layer with parameters belongs to one model and occurs in it once.
    seed : int, optional
        Seed of everything random: initial weights, dropout, shuffling. With None a seed is drawn; ``model.seed`` returns it.
    dtype : {"float32", "float64"}
        The type of the parameters and of all computation.

    Notes
    -----
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
    def __init__(self, *layers: Layer | Sequence[Layer], seed: int | None = None, dtype: npt.DTypeLike = "float32") -> None:
        given: Any = layers[0] if len(layers) == 1 and isinstance(layers[0], (list, tuple)) else layers
        check_layers(type(self).__name__, given)
        self._begin(Chain(given), seed, dtype)

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
            x: Arrays | Iterable[Any],
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
        return len(self.layers)

    def __iter__(self) -> Iterator[AnyLayer]:
        return iter(self.layers)

    @overload
    def __getitem__(self, index: int) -> AnyLayer: ...
    @overload
    def __getitem__(self, index: slice) -> Sequential: ...
    def __getitem__(self, index: int | slice) -> AnyLayer | Sequential:
        """Return a layer. For a slice, return a new model with copies of those layers and their weights.

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
            return Sequential(*copy.deepcopy(self.layers[index]), seed=self.seed, dtype=self.dtype)
        number = integer(type(self).__name__, "the number of a layer", index)
        if not -len(self.layers) <= number < len(self.layers):
            raise IndexRangeError(f"{type(self).__name__} has {len(self.layers)} layers, and none of number {number}")
        return self.layers[number]

    if not TYPE_CHECKING:  # type checkers refuse these themselves

        def __setitem__(self, index: Any, layer: Any) -> None:
            raise self._fixed()

        def __delitem__(self, index: Any) -> None:
            raise self._fixed()

    def _fixed(self) -> ArgumentError:
        return ArgumentError(
            f"{type(self).__name__}: the layers are fixed when the model is made; change a list of layers, and make another of it"
        )
