"""RecurrentClassifier: recurrent networks that classify sequences, or the steps of a series."""

from __future__ import annotations

from typing import Any, ClassVar, Self

import numpy as np

from ..targets import are_columns
from ..wrapped.base import Given, Wrapped
from ..wrapped.documentation import documented
from ..wrapped.predicting import Classifies
from ..wrapped.samples import Samples
from . import series
from .network import CONSTRAINTS, architecture, network


@documented
class RecurrentClassifier(Classifies, Wrapped):
    """A recurrent network that classifies sequences.

    X is an array [sequences, steps] of one feature or [sequences, steps, features], or a list of sequences [steps, features] of
    different lengths. With ``window``, X is a series [time] or [time, features] or a list of series, and y has a label or several
    for each step; sample weights are those of the steps that have the labels. Early stopping then validates on the last part of
    each series, unless `fit` gets ``validation_data``.

    Parameters
    ----------
    {cells}
    horizon : int, default 0
        With ``window``: how many steps after the window the label is. 0 is the last step of the window.
    {stride}
    scale : bool, default True
        With ``window``: whether the network gets each feature with mean 0 and standard deviation 1, as in training.
    {step}
    {loss_of_labels}
    {training}
    {class_weight}
    {running}

    Attributes
    ----------
    {fitted}
    {classes}
    {columns}

    See Also
    --------
    nncore.split_series, nncore.WindowSplit : fair validation of series.

    Examples
    --------
    >>> import numpy as np
    >>> import nncore as nn
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(100, 12))  # 100 sequences of 12 steps
    >>> y = np.where(X.sum(axis=1) > 0, "rise", "fall")
    >>> net = nn.estimators.RecurrentClassifier(
    ...     hidden_sizes=(16,), epochs=40, lr=0.01, random_state=0
    ... )
    >>> net.fit(X, y).score(X, y) > 0.9
    True
    >>> net.predict_proba(X[:2]).shape, net.partial_fit(X, y).predict(X[:2]).shape
    ((2, 2), (2,))

    A label for each step of a series, from the 5 steps up to it:

    >>> series = rng.normal(size=300)
    >>> is_high = np.convolve(series, np.ones(5))[:300] > 0
    >>> net.set_params(window=5).fit(series, is_high).score(series, is_high) > 0.9
    True
    """

    _rows_are_sequences: ClassVar[bool] = True
    _scale: series.Scale
    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **CONSTRAINTS,
        **Classifies._parameter_constraints,
    }

    def __init__(
        self,
        *,
        cell: str = "gru",
        hidden_sizes: Any = (64,),
        bidirectional: bool = False,
        dropout: float = 0.0,
        window: Any = None,
        horizon: int = 0,
        stride: int = 1,
        scale: bool = True,
        optimizer: Any = "adam",
        lr: Any = None,
        loss: Any = "auto",
        metrics: Any = (),
        epochs: int = 100,
        batch_size: Any = 32,
        shuffle: bool = True,
        callbacks: Any = None,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 10,
        tol: float = 0.0,
        class_weight: Any = None,
        warm_start: bool = False,
        random_state: Any = None,
        verbose: Any = False,
        dtype: str = "auto",
        compute: Any = None,
        threads: Any = None,
    ) -> None:
        self._keep(locals())

    def _make(self, shape: tuple[int, ...], n_outputs: Any) -> tuple[Any, bool]:
        return network(self, shape, n_outputs)

    def _architecture(self) -> dict[str, Any]:
        return architecture(self)

    def _fit(self, given: Given) -> Self:
        self._refuse_changes(given.is_partial)
        if self.window is not None:
            y = given.y
            if self.early_stopping and given.held is None and not given.is_partial and y is not None:
                every = [each.reshape(len(each), -1) for each in series.of_each(given.X, y, "y")]
                if len({each.shape[1] for each in every}) == 1:  # the last part may have labels of its own
                    columns = [*series.joined(every).T]
                    if len(columns) == 1 or are_columns(np.stack(columns, 1)):
                        given = given._replace(classes=columns if len(columns) > 1 else columns[0])
            given = series.prepared(self, given, -1)
        super()._fit(given)
        return self

    def _read(self, X: Any, y: Any, lengths: Any, mask: Any, reset: bool) -> tuple[Samples, Any]:
        if self.window is None:
            return super()._read(X, y, lengths, mask, reset)
        return series.read(self, X, y, lengths, mask, reset)

    def _windows(self, X: Any, y: Any, reset: bool) -> tuple[Samples, Any]:
        many = series.tables(self, X, reset)
        if y is None:
            raise ValueError(f"{type(self).__name__} requires y to be passed, but the target y is None")
        labels = series.targets_of(X, y, many)
        if reset:
            self._scale = series.Scale(many, self.scale)
        x, found = series.pairs(self, [self._scale(each) for each in many], labels, int(self.horizon))
        return Samples(x), found if self.horizon < 2 else found[:, -1]

    def score(self, X: Any, y: Any, sample_weight: Any = None, *, lengths: Any = None, mask: Any = None) -> float:
        """Return the accuracy. With ``window``: that of the steps that have a window.

        Parameters
        ----------
        X, y, sample_weight, lengths, mask
            See `fit`.
        """
        if self.window is not None and getattr(X, "ndim", 0) != 3:
            sample_weight = series.prepared(self, Given(X, y, sample_weight, held=()), -1).weight
            many = series.tables(self, X, reset=False)
            X, y = series.pairs(self, many, series.targets_of(X, y, many), int(self.horizon))
            y = y if self.horizon < 2 else y[:, -1]
        return super().score(np.asarray(X) if self.window is not None else X, y, sample_weight, lengths=lengths, mask=mask)
