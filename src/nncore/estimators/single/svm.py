"""LinearSVM: the support vector machine with a linear kernel, as a network of one layer."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np

from ... import losses
from .._sklearn import Interval, StrOptions, fitting
from ..base import Estimator, relative, unchanged_by_errors
from .base import LinearClassifying, minimise, warn_of_no_convergence

_WIDTHS = (1.0, 1e-1, 1e-2, 1e-3, 1e-4, 1e-5)  # of the rounded corner of the hinge, one after another


class _RoundedHinge(losses.PythonLoss):
    """The hinge with a parabola of some width in place of its corner (Chapelle, 2007, equation 2.8), mean over the columns.

    It is less than the hinge by at most half the width. Unlike the hinge it has a gradient everywhere, which L-BFGS needs.
    """

    name = "rounded_hinge"
    targets = "signs"

    def __init__(self, width: float) -> None:
        super().__init__(width=width)

    def value_and_gradient(self, y_true: np.ndarray, y_pred: np.ndarray, /) -> tuple[Any, Any]:
        missing = 1 - y_true * y_pred
        inside = np.clip(missing, 0, self.width)
        value = inside**2 / (2 * self.width) + np.maximum(missing - self.width, 0)
        return value.mean(axis=1), -y_true * inside / (self.width * y_true.shape[1])


class LinearSVM(LinearClassifying, Estimator):
    """Linear support vector machine: one linear layer and the hinge, for each class against the others.

    It minimises ``½ * sum of the squared weights + C * sum of max(0, 1 - y * score)`` or of its square (Cortes & Vapnik, 1995), as
    scikit-learn's LinearSVC does. The intercept has no penalty, whereas LinearSVC penalises it (see its ``intercept_scaling``).

    Parameters
    ----------
    C : float, default 1.0
        The inverse strength of the penalty.
    loss : {"squared_hinge", "hinge"}, default "squared_hinge"
        The loss of a row.
    fit_intercept : bool, default True
        Whether there is an intercept.
    class_weight : dict, "balanced" or None
        The weight of each label. "balanced" gives rare ones larger weights.
    tol : float, default 1e-4
        The search ends if no element of the gradient of the mean is larger.
    max_iter : int, default 1000
        The largest number of iterations, for "hinge" in each of six stages.
    random_state : int, RandomState or None
        Not used, as the search draws nothing.
    verbose : bool or int, default False
        1 shows a progress bar, 2 a line for each iteration.

    Attributes
    ----------
    coef_ : ndarray of shape (1, n_features) or (n_classes, n_features)
        The weights.
    intercept_ : ndarray of shape (1,) or (n_classes,)
        The biases.
    classes_ : ndarray of shape (n_classes,)
        The labels, sorted.
    n_iter_ : int
        The number of iterations.
    n_features_in_, feature_names_in_
        The number of features, and the names of columns of a frame.

    Notes
    -----
    L-BFGS finds the minimum. The hinge has a corner. So for "hinge" the corner is rounded, and the width of the rounding decreases
    in six stages to 1e-5.

    Examples
    --------
    >>> import nncore as nn
    >>> from sklearn.datasets import load_breast_cancer
    >>> from sklearn.preprocessing import scale
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> Z = scale(X)
    >>> net = nn.estimators.LinearSVM(C=0.1).fit(Z, y)
    >>> net.score(Z, y) > 0.98, net.predict(Z).shape, net.decision_function(Z).shape
    (True, (569,), (569,))
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **LinearClassifying._parameter_constraints,
        "C": [Interval(Real, 0, None, closed="right")],
        "loss": [StrOptions({"hinge", "squared_hinge"})],
        "tol": [Interval(Real, 0, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        *,
        C: float = 1.0,
        loss: str = "squared_hinge",
        fit_intercept: bool = True,
        class_weight: Any = None,
        tol: float = 1e-4,
        max_iter: int = 1000,
        random_state: Any = None,
        verbose: Any = False,
    ) -> None:
        self._keep(locals())

    @fitting
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> LinearSVM:
        """Train.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        y : array-like of shape (n_samples,)
            Class labels of any type.
        sample_weight : array-like of shape (n_samples,), optional

        Returns
        -------
        LinearSVM
            The estimator itself.
        """
        with unchanged_by_errors(self):
            X, y, weight = self._read(X, y, sample_weight, True)
            weight, total = relative(weight, len(X))
        columns = self._targets.columns
        encoded = self._targets.encode(y, "columns")
        model = self._linear(X.shape[1], columns, np.float64)
        l2 = 1 / (2 * float(self.C) * total * columns)  # the losses are means over the columns
        stages = [_RoundedHinge(width) for width in _WIDTHS] if self.loss == "hinge" else [self.loss]
        runs = [minimise(self, model, stage, X, encoded, weight, l2) for stage in stages]
        self._model, self.n_iter_ = model, sum(iterations for iterations, _ in runs)
        if not runs[-1][1]:
            warn_of_no_convergence(self)
        return self
