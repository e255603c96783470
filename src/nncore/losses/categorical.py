"""Losses for one class out of several: csrc/ops/losses/categorical.c."""

from __future__ import annotations

from .base import Crossentropy


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

    Examples
    --------
    >>> round(CategoricalCrossentropy()([[0, 1]], [[0.2, 0.8]]), 4)
    0.2231
    """

    name, targets = "categorical_crossentropy", "one_hot"


class SparseCategoricalCrossentropy(Crossentropy):
    """-log p[class], for targets that are class indices.

    Parameters
    ----------
    from_logits, label_smoothing, reduction
        See `CategoricalCrossentropy`.

    Examples
    --------
    >>> round(SparseCategoricalCrossentropy()([1], [[0.2, 0.8]]), 4)
    0.2231
    """

    name, targets = "sparse_categorical_crossentropy", "classes"
