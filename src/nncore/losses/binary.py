"""Losses of probabilities that act on each element separately: csrc/ops/losses/binary.c."""

from __future__ import annotations

from typing import Any

from .._checks import flag, real
from .base import Crossentropy, Loss, Reduction, check_width, columns_as_attributes, per_column


class BinaryCrossentropy(Crossentropy):
    """-w t log p - (1 - t) log(1 - p), mean over the columns. For one sigmoid output or several independent ones.

    Parameters
    ----------
    from_logits : bool, default False
        Whether the predictions are logits instead of probabilities. After a final `Sigmoid` the loss is always computed from the
        logits, which is numerically stable.
    label_smoothing : float, default 0
        Targets become t (1 - s) + s / 2.
    reduction : str
        See `Loss`.
    pos_weight : float or sequence of float, optional
        The weight w of positive targets, as in PyTorch's BCEWithLogitsLoss: a number, or one for each column. The divisor of
        the mean does not contain it. Above 1 it favours recall, below 1 precision.

    See Also
    --------
    Sigmoid : the last layer that it needs.

    Examples
    --------
    >>> import nncore as nn
    >>> round(nn.losses.BinaryCrossentropy()([1, 0], [0.9, 0.2]), 4)
    0.1643
    >>> round(nn.losses.BinaryCrossentropy(pos_weight=3.0)([1, 0], [0.9, 0.2]), 4)
    0.2696
    """

    name, aliases, targets, extras = "binary_crossentropy", ("bce", "BCE"), "probabilities", ("pos_weight",)

    def __init__(
        self,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        reduction: Reduction = "mean",
        pos_weight: Any = None,
    ) -> None:
        super().__init__(from_logits, label_smoothing, reduction)
        self.pos_weight = None if pos_weight is None else per_column("BinaryCrossentropy", "pos_weight", pos_weight, 0.0)

    def check_columns(self, columns: int) -> None:
        check_width("BinaryCrossentropy", "pos_weight", self.pos_weight, columns)

    def _kernel(self) -> str:
        return self.name if self.pos_weight is None else f"weighted_{self.name}"

    def _attributes(self) -> tuple[float, ...]:
        weights = () if self.pos_weight is None else columns_as_attributes(self.pos_weight)
        return self.label_smoothing, *weights


class BinaryFocalCrossentropy(Crossentropy):
    """The binary cross-entropy times (1 - p_t)^gamma, p_t = t p + (1 - t)(1 - p) (Lin et al. 2017); mean over the columns.

    Samples that the model already gets right count less, so that a rare class is not drowned out. This is Keras's
    BinaryFocalCrossentropy. With ``from_logits=True`` and ``apply_class_balancing=True`` it is torchvision's sigmoid_focal_loss.

    Parameters
    ----------
    apply_class_balancing : bool, default False
        Whether to multiply by alpha for targets 1 and by 1 - alpha for targets 0.
    alpha : float, default 0.25
        The weight of targets 1, in [0, 1].
    gamma : float, default 2
        The exponent, at least 0. With 0 it is the cross-entropy.
    from_logits, label_smoothing, reduction
        See `BinaryCrossentropy`.

    Examples
    --------
    >>> import nncore as nn
    >>> round(nn.losses.BinaryFocalCrossentropy()([1, 0], [0.9, 0.2]), 4)
    0.005
    """

    name, targets = "binary_focal_crossentropy", "probabilities"
    attributes = ("apply_class_balancing", "alpha", "gamma", "label_smoothing")

    def __init__(
        self,
        apply_class_balancing: bool = False,
        alpha: float = 0.25,
        gamma: float = 2.0,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        reduction: Reduction = "mean",
    ) -> None:
        super().__init__(from_logits, label_smoothing, reduction)
        self.apply_class_balancing = flag("BinaryFocalCrossentropy", "apply_class_balancing", apply_class_balancing)
        self.alpha = real("BinaryFocalCrossentropy", "alpha", alpha, 0.0, 1.0)
        self.gamma = real("BinaryFocalCrossentropy", "gamma", gamma, 0.0)

    def _attributes(self) -> tuple[float, ...]:
        return self.label_smoothing, self.gamma, self.alpha if self.apply_class_balancing else -1.0


class KLDivergence(Loss):
    """Σ t log(t / p) over the columns. Each row is a distribution.

    Examples
    --------
    >>> import nncore as nn
    >>> round(nn.losses.KLDivergence()([[0.5, 0.5]], [[0.25, 0.75]]), 4)
    0.1438
    """

    name, aliases, targets = "kl_divergence", ("kld", "KLD", "kullback_leibler_divergence"), "one_hot"
