"""The base class of metrics. A metric is a declaration over sums that the core accumulates during training and evaluation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from .._checks import text
from .._declarations import DeclarationType, describe

if TYPE_CHECKING:
    from ..typing import ArrayLike


class Metric(metaclass=DeclarationType):
    """Base of all metrics.

    Parameters
    ----------
    name : str, optional
        The key in ``history``. The default is the metric's own name.
    """

    name: str
    aliases: ClassVar[tuple[str, ...]] = ()
    kind: ClassVar[str]  #: "confusion" or "residuals"; or "python" for a metric that sees the rows, through a `watcher`
    direction: ClassVar[str] = "max"  #: whether larger ("max") or smaller ("min") is better; "" for neither
    threshold: float | None = None

    _family: ClassVar[str] = "nncore.metrics"

    def __init__(self, name: str | None = None) -> None:
        if name is not None:
            self.name = text(type(self).__name__, "name", name)

    def compute(self, sums: np.ndarray) -> Any:
        """Return the metric computed from its sums: a float, or an array with one number per class."""
        raise NotImplementedError

    def watcher(self) -> Any:
        """Return a new accumulator for one epoch or evaluation, if the kind is "python"."""
        raise NotImplementedError

    def check(self, classes: int) -> None:
        """Raise ArgumentError if the metric is not defined for this number of classes."""

    def __call__(self, y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None) -> Any:
        """Return the metric of predictions.

        Parameters
        ----------
        y_true : array_like
            Labels or targets.
        y_pred : array_like
            Labels, probabilities [N] of the positive class, or scores [N, classes]; for regression, predictions.
        sample_weight : array_like, optional
            [N].
        """
        raise NotImplementedError

    def __repr__(self) -> str:
        return describe(self, ("name",))
