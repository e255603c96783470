"""The base class of metrics. A metric is a declaration over sums that the core accumulates during training and evaluation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from .._checks import text
from .._declarations import DeclarationType, describe, visible

if TYPE_CHECKING:
    from ..records import StatisticSpec
    from ..typing import ArrayLike
    from .task import Task


class Metric(metaclass=DeclarationType):
    """Base of all metrics.

    Parameters
    ----------
    name : str, optional
        The key in ``history``. The default is the metric's own name.

    Examples
    --------
    >>> import nncore as nn
    >>> metric = nn.metrics.MAE(name="error")
    >>> metric([1.0, 2.0], [1.0, 4.0])
    1.0
    >>> model = nn.Sequential(nn.Linear(1, 1, weight_init="ones"))
    >>> model.compile(loss="mse", optimizer="sgd", metrics=[metric])
    >>> model.evaluate([[1.0], [2.0]], [1.0, 4.0], return_dict=True, verbose=0)
    {'loss': 2.0, 'error': 1.0}
    """

    name: str
    aliases: ClassVar[tuple[str, ...]] = ()
    kind: ClassVar[str]  #: "counts", "residuals" or "loss"; or "python" for a metric that sees the rows, through a `watcher`
    direction: ClassVar[str] = "max"  #: whether larger ("max") or smaller ("min") is better; "" for neither
    options: ClassVar[tuple[str, ...]] = ()  #: arguments of the constructor besides the name; attributes have the same names
    threshold: float | None = None
    of_classes: ClassVar[bool] = False  #: whether targets must be classes or labels, not just any numbers

    _family: ClassVar[str] = "nncore.metrics"

    def __init__(self, name: str | None = None) -> None:
        if name is not None:
            self.name = text(type(self).__name__, "name", name)

    def statistics(self, task: Task) -> tuple[StatisticSpec, ...]:
        """Return the sums that the metric needs of an output. If there are two, the targets determine which is used.

        Raises
        ------
        ArgumentError
            The metric is not defined for this output.
        """
        raise NotImplementedError

    def form(self, task: Task) -> str:
        """Return the form that targets must have where the loss takes any numbers: "labels", or one of data/targets.py; or ""."""
        return "labels" if self.of_classes else ""

    def compute(self, sums: Any) -> Any:
        """Return the metric computed from its sums: a float, or an array with one number per class."""
        raise NotImplementedError

    def watcher(self, task: Task) -> Any:
        """Return a new accumulator for one epoch or evaluation, if the kind is "python"."""
        raise NotImplementedError

    def __call__(self, y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None) -> Any:
        """Return the metric of predictions.

        Parameters
        ----------
        y_true : array_like
            Labels or targets.
        y_pred : array_like
            Labels, scores [N] of the positive class, or scores [N, classes]; for regression, predictions.
        sample_weight : array_like, optional
            [N].
        """
        raise NotImplementedError

    __dir__ = visible

    def __repr__(self) -> str:
        cls = type(self)
        shown = [
            o for o in self.options if not hasattr(cls, o) or getattr(self, o) != getattr(cls, o)
        ]  # not those at their default
        return describe(self, (*shown, "name"))


def mean_of(values: np.ndarray, weights: np.ndarray) -> float:
    """Return the weighted mean, or 0 if there is no weight."""
    total = float(weights.sum())
    return float(values @ weights) / total if total else 0.0
