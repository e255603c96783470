"""MLPClassifier."""

from __future__ import annotations

from typing import Any, ClassVar, Self

import numpy as np

from .._sklearn import StrOptions, available_if, fitting, unique_labels
from ..base import Classifying, check_classes, class_weights, joined
from ..targets import Labels, without_column
from .base import MLP
from .documentation import documented
from .objectives import Objective, of_classes


def may_go_on(estimator: Any) -> bool:
    """Return whether there is a `partial_fit`, or raise AttributeError."""
    if not estimator._is_stochastic:
        raise AttributeError(f"partial_fit is only available for stochastic optimizers. {estimator.solver} is not stochastic.")
    return True


@documented
class MLPClassifier(Classifying, MLP):
    """Multi-layer perceptron classifier: scikit-learn's ``MLPClassifier``, faster and with more choices.

    Parameters
    ----------
    {only}
    loss : str or loss, default "log_loss"
        "log_loss"; "focal" (Lin et al. 2017); a name or an object of `nncore.losses` that fits the targets; a function ``f(y_true,
        y_pred)`` that returns the losses of rows and their gradients, for one-hot targets and probabilities. After "hinge" and
        other margin losses (each class against the rest) there is a `decision_function` in place of probabilities.
    {further}
    class_weight : dict, list of dict or "balanced", optional
        Weights of the classes, multiplied into the weights of the rows. "balanced" weighs a class by the inverse of its frequency.
        Of several labels at once a list of dicts.
    {last}

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels, sorted.
    {attributes}

    Examples
    --------
    >>> import nncore as nn
    >>> from sklearn.datasets import make_moons
    >>> X, y = make_moons(200, noise=0.1, random_state=0)
    >>> clf = nn.estimators.MLPClassifier(
    ...     learning_rate_init=0.05, dropout=0.1, random_state=0
    ... )
    >>> clf.fit(X, y).score(X, y) > 0.95
    True
    >>> clf.predict_proba(X).shape, clf.predict_log_proba(X).shape
    ((200, 2), (200, 2))
    >>> clf.partial_fit(X, y).predict(X).shape
    (200,)
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **MLP._parameter_constraints,
        "class_weight": [StrOptions({"balanced"}), dict, list, None],
    }

    def __init__(
        self,
        hidden_layer_sizes: Any = (100,),
        activation: Any = "relu",
        *,
        solver: Any = "adam",
        alpha: float = 0.0001,
        batch_size: Any = "auto",
        learning_rate: str = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: Any = None,
        tol: float = 1e-4,
        verbose: Any = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: float = 10,
        max_fun: int = 15000,
        loss: Any = "log_loss",
        dropout: Any = 0.0,
        batch_norm: bool = False,
        class_weight: Any = None,
        callbacks: Any = None,
        dtype: str = "auto",
        compute: str | None = None,
    ) -> None:
        self._keep(locals())

    @fitting
    def fit(
        self, X: Any, y: Any, sample_weight: Any = None, validation_data: Any = None, *, X_val: Any = None, y_val: Any = None
    ) -> Self:
        """Train a network: a new one, or with ``warm_start`` that of the last call.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The samples. Sparse ones are made dense batch by batch; for "lbfgs" in blocks of 32 MB, with ``batch_norm`` all at once.
        y : array-like of shape (n_samples,) or (n_samples, n_labels)
            Class labels of any type; for several labels at once a matrix of 0 and 1.
        sample_weight : array-like of shape (n_samples,), optional
        validation_data : tuple, optional
            ``(X, y)`` or ``(X, y, sample_weight)``: rows to validate on after each epoch, in place of a part of X.
        X_val, y_val : array-like, optional
            The same, for ``Pipeline(…, transform_input=["X_val"])``, which transforms ``X_val``.

        Returns
        -------
        MLPClassifier
            The estimator itself.

        Raises
        ------
        ValueError
            A parameter or the data cannot be used, or the weights have become infinite.
        """
        self._fit(X, y, sample_weight, joined(validation_data, X_val, y_val))
        return self

    @available_if(may_go_on)
    @fitting
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None, classes: Any = None) -> Self:
        """Train for one more epoch on these rows.

        Parameters
        ----------
        X, y, sample_weight
            See `fit`.
        classes : array-like of shape (n_classes,), optional
            All classes; needed in the first call.

        Returns
        -------
        MLPClassifier
            The estimator itself.
        """
        check_classes(self, classes)
        if isinstance(self.class_weight, str):
            raise ValueError("class_weight='balanced' is not for partial_fit, which does not see all rows; pass a dict")
        self._fit(X, y, sample_weight, is_partial=True, classes=classes)
        return self

    def _read(self, X: Any, y: Any, weight: Any, reset: bool, classes: Any) -> tuple[Any, Any, Any, Labels]:
        X, y, weight = self._validated(X, y, weight, reset)
        y = without_column(y)
        if reset:
            targets = Labels(y, classes)
        else:
            targets, found = self._targets, unique_labels(y)
            if self.warm_start and {*found.tolist()} != {*self.classes_.tolist()}:
                raise ValueError(
                    "warm_start can only be used where `y` has the same classes as in the previous call to fit. Previously got "
                    f"{self.classes_}, `y` has {found}"
                )
            if len(np.setdiff1d(found, self.classes_)):
                raise ValueError(f"`y` has classes not in `self.classes_`. `self.classes_` has {self.classes_}. 'y' has {found}.")
        return X, y, class_weights(self.class_weight, targets, y, weight), targets

    def _objective(self, targets: Labels, y: Any) -> Objective:
        return of_classes(self.loss, targets)

    def _begin_targets(self, targets: Labels, goal: Objective) -> None:
        super()._begin_targets(targets, goal)
        self.classes_ = targets.classes

    def _strata(self, y: np.ndarray) -> Any:
        return y if self._targets.kind == "binary" else None  # as scikit-learn does

    def _score_of(self, outputs: np.ndarray, y: np.ndarray, weight: Any) -> float:
        if not np.isfinite(outputs).all():
            return float("nan")
        if self._targets.kind == "multiclass":
            right = outputs.argmax(axis=1) == (y if y.ndim == 1 else y.argmax(axis=1))
        else:  # a single class is right whatever the output
            right = ((outputs > self._threshold) == y).all(axis=1) | (len(self._targets.classes) == 1)
        return float(np.average(right, weights=weight))
