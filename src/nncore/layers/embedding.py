"""Embedding: a table of learned vectors. An index selects a vector."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from .. import init
from .._checks import flag, whole
from ..errors import ArgumentError
from ..init import InitSpec
from ..records import Op, Shape
from .base import Layer
from .parameter_views import ParameterView
from .regularized import NO_PENALTIES, Regularized, all_checked

if TYPE_CHECKING:
    from numpy.random import Generator  # imported when a model is made, to keep the import of nncore fast


class Embedding(Regularized):
    """``y[..., :] = weight[x[...]]``: indices [N, ...] become vectors [N, ..., embedding_dim].

    The layer is the first one of a model, or follows Flatten or Identity. Indices are whole numbers in [0, num_embeddings). Other
    values raise an error before anything is computed or trained. In float32 a table has at most 2**24 rows, because larger indices
    would be rounded.

    Parameters
    ----------
    num_embeddings : int
        Number of rows of the table.
    embedding_dim : int
        Size of each vector.
    padding_idx : int, optional
        The vector of this index is initialized with zeros and gets no gradient. A negative index counts from the end.
    max_norm : float, optional
        The largest Euclidean norm of a vector. Initial vectors are within it. Longer vectors are scaled down after each update.
        PyTorch scales a vector down at its next lookup; the result is the same if updates change only the vectors that were looked
        up (no momentum, no weight decay). It may be changed until ``compile``.
    weight_init : str or callable
        A scheme of ``nn.init``; the default is the standard normal distribution, as in PyTorch.
    l1, l2 : float, optional
        Penalties on the whole table, including vectors that no sample looks up; see `Linear`.
    trainable : bool
        Whether training changes the table. It may be changed until ``compile``.

    Attributes
    ----------
    weight : numpy.ndarray
        [num_embeddings, embedding_dim], a live view.

    Notes
    -----
    The gradient is dense. Optimizers process every row at every step, and weight decay changes rows that were not looked up.

    Examples
    --------
    >>> import nncore as nn
    >>> model = nn.Sequential(nn.Embedding(10, 3, padding_idx=0), seed=0)
    >>> y = model([[1, 2, 0, 0]])
    >>> y.shape, bool((y[0, 2:] == 0).all())
    ((1, 4, 3), True)
    """

    repr_defaults: ClassVar[dict[str, object]] = {"padding_idx": None, "weight_init": "auto", **NO_PENALTIES, "trainable": True}

    takes_indices = True

    num_embeddings: int
    embedding_dim: int
    padding_idx: int | None
    weight_init: InitSpec | Literal["auto"]

    weight: ParameterView[np.ndarray] = ParameterView("[num_embeddings, embedding_dim], a live view.")

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None = None,
        max_norm: float | None = None,
        *,
        weight_init: InitSpec | Literal["auto"] = "auto",
        l1: float | None = None,
        l2: float | None = None,
        trainable: bool = True,
        name: str | None = None,
    ) -> None:
        rows = whole("Embedding", "num_embeddings", num_embeddings)
        if padding_idx is not None:
            given = whole("Embedding", "padding_idx", padding_idx, -rows)
            if given >= rows:
                raise ArgumentError(f"Embedding: padding_idx must be less than num_embeddings={rows}, not {given}")
            padding_idx = given % rows
        super().__init__(
            num_embeddings=rows,
            embedding_dim=whole("Embedding", "embedding_dim", embedding_dim),
            padding_idx=padding_idx,
            weight_init=init.checked("Embedding", "weight_init", weight_init, "auto"),
            **all_checked("Embedding", l1, l2, max_norm),
            trainable=flag("Embedding", "trainable", trainable),
            name=name,
        )

    def ops(self, name: str, inputs: tuple[int, ...], value: int) -> list[Op]:
        padding = -1 if self.padding_idx is None else self.padding_idx
        return [
            Op.of(
                "embedding",
                name,
                inputs,
                num_embeddings=self.num_embeddings,
                embedding_dim=self.embedding_dim,
                padding_idx=padding,
            )
        ]

    def parameter_shapes(self) -> dict[str, Shape]:
        return {"weight": (self.num_embeddings, self.embedding_dim)}

    def initializer(self, role: str, activation: Layer | None) -> InitSpec:
        return self._draw

    def _draw(self, shape: Shape, rng: Generator) -> Any:
        scheme = init.normal(std=1.0) if self.weight_init == "auto" else self.weight_init
        values = np.array(init.get(scheme)(shape, rng))
        if self.max_norm is not None:
            norms = np.linalg.norm(values, axis=1, keepdims=True)
            values *= np.minimum(1.0, self.max_norm / np.maximum(norms, np.finfo(values.dtype).tiny))
        if self.padding_idx is not None:
            values[self.padding_idx] = 0
        return values
