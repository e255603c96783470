"""Losses for one class out of several: csrc/ops/losses/categorical.c."""

from __future__ import annotations

from typing import Any

from .._checks import integer, real
from .base import Crossentropy, Reduction, check_width, columns_as_attributes, per_column


class CategoricalCrossentropy(Crossentropy):
    """-Σ t log p over the classes, for targets that are one-hot or a distribution in each row.

    Parameters
    ----------
    from_logits : bool, default False
        Whether the predictions are logits instead of probabilities. After a final `Softmax` the loss is always computed from the
        logits, which is numerically stable.
    label_smoothing : float, default 0
        Targets become t (1 - s) + s / classes.
    reduction : str
        See `Loss`.

    See Also
    --------
    SparseCategoricalCrossentropy : for class numbers.

    Examples
    --------
    >>> import nncore as nn
    >>> round(nn.losses.CategoricalCrossentropy()([[0, 1]], [[0.2, 0.8]]), 4)
    0.2231
    """

    name, targets = "categorical_crossentropy", "one_hot"


class SparseCategoricalCrossentropy(Crossentropy):
    """-log p[class], for targets that are class indices.

    Parameters
    ----------
    from_logits, label_smoothing, reduction
        See `CategoricalCrossentropy`.
    ignore_index : int, optional
        Targets with this index do not count: neither in the loss and its mean, which is over the others, nor in the metrics. This
        is the argument of PyTorch's CrossEntropyLoss, whose default is -100, and ``ignore_class`` in Keras. The loss is 0 if no
        target counts.

    See Also
    --------
    Softmax : the last layer that it needs.
    CategoricalCrossentropy : for one-hot targets.

    Examples
    --------
    >>> import nncore as nn
    >>> round(nn.losses.SparseCategoricalCrossentropy()([1], [[0.2, 0.8]]), 4)
    0.2231
    >>> loss = nn.losses.SparseCategoricalCrossentropy(ignore_index=-100)
    >>> round(loss([1, -100], [[0.2, 0.8], [0.5, 0.5]]), 4)
    0.2231
    """

    name, targets, extras = "sparse_categorical_crossentropy", "classes", ("ignore_index",)

    def __init__(
        self,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        reduction: Reduction = "mean",
        ignore_index: int | None = None,
    ) -> None:
        super().__init__(from_logits, label_smoothing, reduction)
        self.ignore_index = self.ignored = _index("SparseCategoricalCrossentropy", ignore_index)


class _Focal(Crossentropy):
    """Base of the focal losses over classes."""

    attributes = ("alpha", "gamma", "label_smoothing")

    def __init__(self, alpha: Any, gamma: float, from_logits: bool, label_smoothing: float, reduction: Reduction) -> None:
        super().__init__(from_logits, label_smoothing, reduction)
        owner = type(self).__name__
        self.alpha = per_column(owner, "alpha", alpha, 0.0)
        self.gamma = real(owner, "gamma", gamma, 0.0)

    def check_columns(self, columns: int) -> None:
        check_width(type(self).__name__, "alpha", self.alpha, columns)

    def _attributes(self) -> tuple[float, ...]:
        return self.label_smoothing, self.gamma, *columns_as_attributes(self.alpha)


class CategoricalFocalCrossentropy(_Focal):
    """-Σ alpha t (1 - p)^gamma log p over the classes (Lin et al. 2017), for targets that are one-hot or a distribution.

    Samples that the model already gets right count less. This is Keras's CategoricalFocalCrossentropy.

    Parameters
    ----------
    alpha : float or sequence of float, default 0.25
        A weight, or one for each class.
    gamma : float, default 2
        The exponent, at least 0.
    from_logits, label_smoothing, reduction
        See `CategoricalCrossentropy`.

    Examples
    --------
    >>> import nncore as nn
    >>> round(nn.losses.CategoricalFocalCrossentropy()([[0, 1]], [[0.2, 0.8]]), 6)
    0.002231
    """

    name, targets = "categorical_focal_crossentropy", "one_hot"

    def __init__(
        self,
        alpha: Any = 0.25,
        gamma: float = 2.0,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        reduction: Reduction = "mean",
    ) -> None:
        super().__init__(alpha, gamma, from_logits, label_smoothing, reduction)


class SparseCategoricalFocalCrossentropy(_Focal):
    """`CategoricalFocalCrossentropy` for targets that are class indices.

    Parameters
    ----------
    alpha, gamma
        See `CategoricalFocalCrossentropy`.
    from_logits, label_smoothing, reduction, ignore_index
        See `SparseCategoricalCrossentropy`.

    Examples
    --------
    >>> import nncore as nn
    >>> round(nn.losses.SparseCategoricalFocalCrossentropy()([1], [[0.2, 0.8]]), 6)
    0.002231
    """

    name, targets, extras = "sparse_categorical_focal_crossentropy", "classes", ("ignore_index",)

    def __init__(
        self,
        alpha: Any = 0.25,
        gamma: float = 2.0,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        reduction: Reduction = "mean",
        ignore_index: int | None = None,
    ) -> None:
        super().__init__(alpha, gamma, from_logits, label_smoothing, reduction)
        self.ignore_index = self.ignored = _index("SparseCategoricalFocalCrossentropy", ignore_index)


def _index(owner: str, value: Any) -> int | None:
    return None if value is None else integer(owner, "ignore_index", value)
