"""Perceptron: Rosenblatt's rule."""

from __future__ import annotations

import warnings
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np

from ... import optim
from ...callbacks import Callback
from .. import seeds
from .._sklearn import ConvergenceWarning, Interval, StrOptions, fitting, split
from ..base import Estimator, check_classes, unchanged_by_errors
from .base import LinearClassifying


class Perceptron(LinearClassifying, Estimator):
    """Rosenblatt's perceptron, for each class against the others.

    For every row in turn that has the wrong sign, ``w += eta0 * y * x`` with y = ±1 (Rosenblatt, 1958). It ends if the loss, the
    mean of ``max(0, -y * score)``, has not decreased. Parameters and attributes are those of scikit-learn's class. Without
    shuffling, so are the weights.

    Parameters
    ----------
    penalty : {"l2", "l1", "elasticnet"} or None
        The penalty.
    alpha : float, default 0.0001
        The factor of the penalty.
    l1_ratio : float, default 0.15
        The part of l1 in "elasticnet".
    fit_intercept : bool, default True
        Whether there is an intercept.
    max_iter : int, default 1000
        The largest number of epochs.
    tol : float or None, default 1e-3
        A loss above the best one minus ``tol`` is no improvement. None: all epochs are run.
    shuffle : bool, default True
        Whether to draw a new order of the rows for each epoch.
    verbose : int, default 0
        1 prints a line for each epoch.
    eta0 : float, default 1
        The factor of the updates.
    n_jobs : int, optional
        Not used; the classes are trained one after another.
    random_state : int, RandomState or None, default 0
        Determines the order of rows and the part for validation.
    early_stopping : bool, default False
        Whether the accuracy on a part of the rows decides when to end.
    validation_fraction : float, default 0.1
        That part.
    n_iter_no_change : int, default 5
        The number of epochs in a row without improvement that end training.
    class_weight : dict, "balanced" or None
        The factor of the updates by rows of each label.
    warm_start : bool, default False
        Whether another `fit` begins with the weights of the last one.

    Attributes
    ----------
    coef_ : ndarray of shape (1, n_features) or (n_classes, n_features)
        The weights.
    intercept_ : ndarray of shape (1,) or (n_classes,)
        The biases.
    classes_ : ndarray of shape (n_classes,)
        The labels, sorted.
    n_iter_ : int
        The number of epochs, of the class that took most.
    t_ : int
        The number of rows seen, plus 1.
    n_features_in_, feature_names_in_
        The number of features, and the names of columns of a frame.

    Notes
    -----
    Sample weights are factors of the updates. With shuffling, rows that occur several times are one row with the sum of their
    weights, so that a weight of 2 is the same as a row that occurs twice.

    A class weight is that of its rows, whichever class is trained against the others; in scikit-learn's class, the others have the
    weight 1 there. The l1 penalty acts by its subgradient, not by truncation as in scikit-learn.

    Examples
    --------
    >>> import nncore as nn
    >>> X, y = [[0, 0], [0, 1], [1, 0], [1, 1]], [0, 0, 0, 1]
    >>> net = nn.estimators.Perceptron().fit(X, y)
    >>> net.predict(X)
    array([0, 0, 0, 1])
    >>> (net.decision_function(X) > 0).tolist()
    [False, False, False, True]
    >>> net.partial_fit(X, y).score(X, y)
    1.0
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **LinearClassifying._parameter_constraints,
        "penalty": [StrOptions({"l2", "l1", "elasticnet"}), None],
        "alpha": [Interval(Real, 0, None, closed="left")],
        "l1_ratio": [Interval(Real, 0, 1, closed="both")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left"), None],
        "shuffle": ["boolean"],
        "verbose": ["verbose"],
        "eta0": [Interval(Real, 0, None, closed="neither")],
        "n_jobs": [None, Integral],
        "random_state": ["random_state"],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
        "warm_start": ["boolean"],
    }

    _units: list[Any]  # a model for each row of coef_
    t_: int

    def __init__(
        self,
        *,
        penalty: Any = None,
        alpha: float = 0.0001,
        l1_ratio: float = 0.15,
        fit_intercept: bool = True,
        max_iter: int = 1000,
        tol: Any = 1e-3,
        shuffle: bool = True,
        verbose: Any = 0,
        eta0: float = 1.0,
        n_jobs: Any = None,
        random_state: Any = 0,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 5,
        class_weight: Any = None,
        warm_start: bool = False,
    ) -> None:
        self._keep(locals())

    @fitting
    def fit(self, X: Any, y: Any, coef_init: Any = None, intercept_init: Any = None, sample_weight: Any = None) -> Perceptron:
        """Train.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        y : array-like of shape (n_samples,)
            Class labels of any type.
        coef_init : ndarray of shape (1, n_features) or (n_classes, n_features), optional
            The first weights; zeros by default.
        intercept_init : ndarray of shape (1,) or (n_classes,), optional
            The first biases; zeros by default.
        sample_weight : array-like of shape (n_samples,), optional

        Returns
        -------
        Perceptron
            The estimator itself.
        """
        first = "_model" not in vars(self) or not self.warm_start
        with unchanged_by_errors(self):
            X, y, weight = self._read(X, y, sample_weight, first)
            if first:
                self._begin(X)
            if coef_init is not None:
                self.coef_ = np.reshape(coef_init, self.coef_.shape)
            if intercept_init is not None and self.fit_intercept:
                self.intercept_ = np.reshape(intercept_init, self.intercept_.shape)
        self._train(X, y, weight, int(self.max_iter))
        if self.tol is not None and self.n_iter_ == self.max_iter and not all(unit.stop_training for unit in self._units):
            warnings.warn(
                "Maximum number of iteration reached before convergence. Consider increasing max_iter to improve the fit.",
                ConvergenceWarning,
                stacklevel=3,
            )
        return self

    @fitting
    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> Perceptron:
        """Go once through these rows.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        y : array-like of shape (n_samples,)
        classes : array-like of shape (n_classes,), optional
            All classes; needed in the first call.
        sample_weight : array-like of shape (n_samples,), optional

        Returns
        -------
        Perceptron
            The estimator itself.
        """
        first = "_model" not in vars(self)
        if self.early_stopping:
            raise ValueError("early_stopping should be False with partial_fit")
        if self.class_weight == "balanced":
            raise ValueError("class_weight 'balanced' is not supported for partial_fit; pass the weights as a dict.")
        check_classes(self, classes)
        with unchanged_by_errors(self):
            X, y, weight = self._read(X, y, sample_weight, first, classes)
            if first:
                self._begin(X)
        self._train(X, y, weight, 1)
        return self

    def _begin(self, X: np.ndarray) -> None:
        columns = self._targets.columns
        self._units = [self._linear(X.shape[1], 1, X.dtype) for _ in range(columns)]
        self._model = self._linear(X.shape[1], columns, X.dtype) if columns > 1 else self._units[0]
        self.t_ = 1

    def _train(self, X: np.ndarray, y: Any, weight: Any, epochs: int) -> None:
        """Train a unit for each class, and put their weights into the layer that predicts."""
        rows, index = len(X), self._targets.index(y)
        if self.shuffle:
            chosen, weight = _distinct(X, index, weight)
            X, index = X[chosen], index[chosen]
        encoded = index[:, None] == (np.arange(len(self._units)) if len(self._units) > 1 else [1])
        generator = seeds.generator_of(self.random_state)
        l1_ratio = {"l1": 1.0, "l2": 0.0, "elasticnet": float(self.l1_ratio)}.get(self.penalty, 0.0)
        alpha = 0.0 if self.penalty is None else float(self.alpha)
        counts = []
        for i, unit in enumerate(self._units):
            if len(self._units) > 1:
                unit[0].weight[...] = self.coef_[i]
                if self.fit_intercept:
                    unit[0].bias[...] = self.intercept_[i]
            unit.seed = seeds.draw(generator)
            unit.compile(
                "perceptron", optim.SGD(lr=float(self.eta0)), ["perceptron"], l1=alpha * l1_ratio, l2=alpha * (1 - l1_ratio) / 2
            )
            counts.append(self._train_unit(unit, X, encoded[:, i], weight, epochs, unit.seed))
            if len(self._units) > 1:
                self.coef_[i] = unit[0].weight[0]
                if self.fit_intercept:
                    self.intercept_[i] = unit[0].bias[0]
        self.n_iter_ = max(counts)
        self.t_ += self.n_iter_ * rows

    def _train_unit(self, unit: Any, X: np.ndarray, y: np.ndarray, weight: Any, epochs: int, seed: int) -> int:
        held: Any = None
        if self.early_stopping:
            arrays = [X, y] if weight is None else [X, y, weight]
            (X, y, *rest), held = split(*arrays, test_size=float(self.validation_fraction), random_state=seed, stratify=y)
            weight = rest[0] if rest else None
        course = _Course(self, held, 1.0 if weight is None or self.class_weight is None else float(weight.max()))
        history = unit.fit(
            X, y, epochs=epochs, batch_size=1, shuffle=bool(self.shuffle), sample_weight=weight, callbacks=[course], verbose=0
        )
        return len(history.epoch)


class _Course(Callback):
    """Ends the training of a unit if the loss, or the accuracy on rows that are held out, no longer improves."""

    def __init__(self, own: Perceptron, held: Any, scale: float) -> None:
        self.own, self.held, self.scale = own, held, scale  # scale: of the updates, and so of the scores and the loss
        self.best, self.waited = -np.inf, 0

    def get_state(self) -> dict[str, Any]:
        return {}

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        own = self.own
        merit = -float(logs["loss"] if own.penalty else logs["perceptron"]) / self.scale  # of rows without their weights
        if self.held is not None:
            merit = float(((self.model.predict(self.held[0])[:, 0] > 0) == self.held[1]).mean())
        if own.verbose:
            print(f"-- Epoch {epoch + 1}, loss: {logs['loss']:f}" + ("" if self.held is None else f", accuracy: {merit:f}"))
        if own.tol is None:
            return
        self.waited = self.waited + 1 if merit < self.best + own.tol else 0
        self.best = max(self.best, merit)
        self.model.stop_training = self.waited >= own.n_iter_no_change


def _distinct(X: np.ndarray, index: np.ndarray, weight: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return the numbers of the different rows, in an order that depends on nothing but their values, and the sums of weights."""
    table = np.ascontiguousarray(np.column_stack([X, index]) + 0.0)  # -0.0 becomes 0.0
    keys = table.view(np.dtype((np.void, table.itemsize * table.shape[1]))).reshape(-1)
    _, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
    sums = np.bincount(inverse, weight, len(first)).astype(np.float64)
    return first[sums > 0], sums[sums > 0]
