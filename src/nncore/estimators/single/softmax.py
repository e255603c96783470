"""SoftmaxRegression: multinomial logistic regression as a network of one layer."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np

from ... import losses, optim
from ...callbacks import EarlyStopping
from .. import links, seeds
from .._sklearn import Interval, StrOptions, fitting
from ..base import Estimator, relative, unchanged_by_errors
from .base import LinearClassifying, minimise, warn_of_no_convergence


class SoftmaxRegression(LinearClassifying, Estimator):
    """Softmax regression: one linear layer, the softmax function and the cross-entropy. Two classes have one output, a sigmoid.

    It minimises ``C * sum of the cross-entropies + ½ * sum of the squared weights``, as scikit-learn's LogisticRegression does
    (Bishop, 2006, section 4.3.4). The intercept has no penalty.

    Parameters
    ----------
    C : float, default 1.0
        The inverse strength of the penalty. ``numpy.inf`` is no penalty.
    fit_intercept : bool, default True
        Whether there is an intercept.
    class_weight : dict, "balanced" or None
        The weight of each label. "balanced" gives rare ones larger weights.
    solver : {"lbfgs", "adam"}, default "lbfgs"
        "lbfgs" finds the minimum. "adam" takes small steps on batches of rows, which suits many rows, and ends near it.
    tol : float, default 1e-4
        "lbfgs" ends if no element of the gradient is larger. "adam" ends if ten epochs in a row have not lowered the loss by this.
    max_iter : int, default 1000
        The largest number of iterations or epochs.
    learning_rate_init : float, default 0.01
        The learning rate of "adam".
    batch_size : int, default 32
        Rows per step of "adam".
    warm_start : bool, default False
        Whether another `fit` begins with the weights of the last one.
    random_state : int, RandomState or None
        The order of rows for "adam".
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
        The number of iterations or epochs.
    n_features_in_, feature_names_in_
        The number of features, and the names of columns of a frame.

    Examples
    --------
    >>> import nncore as nn
    >>> from sklearn.datasets import load_iris
    >>> X, y = load_iris(return_X_y=True)
    >>> net = nn.estimators.SoftmaxRegression().fit(X, y)
    >>> net.coef_.shape, round(net.score(X, y), 3)
    ((3, 4), 0.973)
    >>> (
    ...     net.predict(X[:2]),
    ...     net.predict_proba(X[:2]).shape,
    ...     net.decision_function(X[:2]).shape,
    ... )
    (array([0, 0]), (2, 3), (2, 3))
    >>> net.predict_log_proba(X[:2]).shape
    (2, 3)
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **LinearClassifying._parameter_constraints,
        "C": [Interval(Real, 0, None, closed="right")],
        "solver": [StrOptions({"lbfgs", "adam"})],
        "tol": [Interval(Real, 0, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "learning_rate_init": [Interval(Real, 0, None, closed="neither")],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "warm_start": ["boolean"],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        *,
        C: float = 1.0,
        fit_intercept: bool = True,
        class_weight: Any = None,
        solver: str = "lbfgs",
        tol: float = 1e-4,
        max_iter: int = 1000,
        learning_rate_init: float = 0.01,
        batch_size: int = 32,
        warm_start: bool = False,
        random_state: Any = None,
        verbose: Any = False,
    ) -> None:
        self._keep(locals())

    @fitting
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> SoftmaxRegression:
        """Train.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        y : array-like of shape (n_samples,)
            Class labels of any type.
        sample_weight : array-like of shape (n_samples,), optional

        Returns
        -------
        SoftmaxRegression
            The estimator itself.
        """
        reset = "_model" not in vars(self) or not self.warm_start
        with unchanged_by_errors(self):
            X, y, weight = self._read(X, y, sample_weight, reset)
            weight, total = relative(weight, len(X))
        columns = self._targets.columns
        loss: Any = losses.SparseCategoricalCrossentropy(from_logits=True)
        if columns == 1:
            loss = losses.BinaryCrossentropy(from_logits=True)
        encoded = self._targets.encode(y, "columns" if columns == 1 else "index")
        model = self._linear(X.shape[1], columns, np.float64) if reset else self._model
        l2 = 1 / (2 * float(self.C) * total)
        if self.solver == "lbfgs":
            n_iter, has_converged = minimise(self, model, loss, X, encoded, weight, l2)
        else:
            n_iter, has_converged = self._descend(model, loss, X, encoded, weight, l2)
        self._model, self.n_iter_ = model, n_iter
        if not has_converged:
            warn_of_no_convergence(self)
        return self

    def _descend(self, model: Any, loss: Any, X: np.ndarray, y: np.ndarray, weight: Any, l2: float) -> tuple[int, bool]:
        """Take steps of Adam on batches."""
        model.seed = seeds.draw(seeds.generator_of(self.random_state))
        model.compile(loss, optim.Adam(lr=float(self.learning_rate_init)), l2=l2)
        end = EarlyStopping("loss", min_delta=float(self.tol), patience=10)
        history = model.fit(
            X,
            y,
            epochs=int(self.max_iter),
            batch_size=int(self.batch_size),
            sample_weight=weight,
            callbacks=[end],
            verbose=int(self.verbose),
        )
        return len(history.epoch), len(history.epoch) < self.max_iter

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the probability of each class, in the order of ``classes_``.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
        """
        outputs = self._outputs(X)
        return self._targets.probabilities(links.probabilities("sigmoid" if outputs.shape[1] == 1 else "softmax", outputs))

    def predict_log_proba(self, X: Any) -> np.ndarray:
        """Return the logarithm of `predict_proba`.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
        """
        with np.errstate(divide="ignore"):
            found: np.ndarray = np.log(self.predict_proba(X))
        return found
