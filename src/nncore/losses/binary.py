"""Losses of probabilities that act on each element separately: csrc/ops/losses/binary.c."""

from __future__ import annotations

from .base import Crossentropy, Loss


class BinaryCrossentropy(Crossentropy):
    """-t log p - (1 - t) log(1 - p), mean over the columns. For one sigmoid output or several independent ones.

    Parameters
    ----------
    from_logits : bool, default False
        Whether the predictions are logits instead of probabilities. After a final `Sigmoid` the loss is always computed from the
        logits, which is numerically stable.
    label_smoothing : float, default 0
        Targets become t (1 - s) + s / 2.
    reduction : str
        See `Loss`.

    Examples
    --------
    >>> round(BinaryCrossentropy()([1, 0], [0.9, 0.2]), 4)
    0.1643
    """

    name, aliases, targets = "binary_crossentropy", ("bce", "BCE"), "probabilities"


class KLDivergence(Loss):
    """Σ t log(t / p) over the columns. Each row is a distribution.

    Examples
    --------
    >>> round(KLDivergence()([[0.5, 0.5]], [[0.25, 0.75]]), 4)
    0.1438
    """

    name, aliases, targets = "kl_divergence", ("kld", "KLD", "kullback_leibler_divergence"), "one_hot"
