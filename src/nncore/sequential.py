"""Sequential: layers one after another, the simplest way to connect them."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from typing import Any, overload

from .layers.activations import Activation
from .layers.base import Layer
from .model import Model
from .spec import Op, Shape


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
        super().__init__(given, seed, dtype)

    def _wire(self) -> tuple[list[Op], list[int], list[int]]:
        ops: list[Op] = []
        owners: list[int] = []
        for i, layer in enumerate(self.layers):
            new = layer.ops(self._layer_name(i), (len(ops),), len(ops) + 1)  # value 0 is the input
            ops += new
            owners += [i] * len(new)
        return ops, owners, [len(ops)]

    def _known_input(self) -> Shape | None:
        for layer in self.layers:
            if not layer.preserves_shape:
                return layer.input_shape()
        return None

    def _activation_after(self, index: int) -> Layer | None:
        for layer in self.layers[index + 1 :]:
            if not layer.transparent:
                return layer if isinstance(layer, Activation) else None
        return None

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
        return self.layers[index]

    def __repr__(self) -> str:
        lines = [f"  ({i}): {layer!r}" for i, layer in enumerate(self.layers)]
        return "\n".join([f"{type(self).__name__}(", *lines, ")"])
