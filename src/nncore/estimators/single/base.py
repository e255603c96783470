"""What the estimators with a single linear layer have in common: checks, the layer, coefficients, scores and labels."""

from __future__ import annotations

import warnings
from functools import cache
from typing import Any, ClassVar

import numpy as np

from ... import optim
from ...layers import Linear
from ...models import Sequential
from .._sklearn import (
    FLOATS,
    ClassifierMixin,
    ConvergenceWarning,
    StrOptions,
    check_classification_targets,
    check_sample_weight,
    validate_data,
)
from ..base import class_weights
from ..targets import Labels


class LinearClassifying(ClassifierMixin):
    """Base of the three. The layer gives scores: one for two classes, else one per class."""

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "fit_intercept": ["boolean"],
        "class_weight": [StrOptions({"balanced"}), dict, None],
    }

    _model: Any
    _targets: Labels
    _outputs: Any
    _sparse_formats: Any
    fit_intercept: Any
    class_weight: Any

    # Attributes ---------------------------------------------------------------------------------------------------------------

    @property
    def coef_(self) -> np.ndarray:
        """The weights, (1, n_features) for two classes, else (n_classes, n_features): a live view."""
        found: np.ndarray = self._layer("coef_").weight
        return found

    @coef_.setter
    def coef_(self, values: Any) -> None:
        self._layer("coef_").weight[...] = values

    @property
    def intercept_(self) -> np.ndarray:
        """The biases, one for each row of ``coef_``: a live view, or zeros without intercept."""
        layer = self._layer("intercept_")
        found: np.ndarray = layer.bias if self.fit_intercept else np.zeros(layer.out_features)
        return found

    @intercept_.setter
    def intercept_(self, values: Any) -> None:
        self.intercept_[...] = values

    @property
    def classes_(self) -> np.ndarray:
        """The labels, sorted."""
        self._layer("classes_")
        return self._targets.classes

    def _layer(self, name: str) -> Any:
        if "_model" not in vars(self):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}; call fit first")
        return self._model[0]

    # Data ---------------------------------------------------------------------------------------------------------------------

    def _read(self, X: Any, y: Any, weight: Any, reset: bool, classes: Any = None) -> tuple[np.ndarray, Any, np.ndarray | None]:
        """Check the data and set ``_targets``. Return X dense, y and the weights of the rows."""
        X, y = validate_data(self, X, y, accept_sparse=self._sparse_formats, dtype=FLOATS, reset=reset)
        check_classification_targets(y)
        weight = check_sample_weight(weight, X)
        targets = Labels(y, classes) if reset else self._targets
        targets.index(y)  # raises an error about labels that are not among the classes
        weight = class_weights(self.class_weight, targets, y, weight)
        self._targets = targets
        return (X.toarray() if hasattr(X, "toarray") else X), y, weight

    def _linear(self, n_features: int, n_outputs: int, dtype: Any) -> Any:
        """Return a layer of zeros as a model."""
        layer = Linear(n_features, n_outputs, bias=bool(self.fit_intercept), weight_init="zeros")
        return Sequential(layer, seed=0, dtype=np.dtype(dtype).name)

    # Prediction ---------------------------------------------------------------------------------------------------------------

    def decision_function(self, X: Any) -> np.ndarray:
        """Return the scores of samples: ``X @ coef_.T + intercept_``.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_classes)
            For two classes, a positive score means the second one.
        """
        found: np.ndarray = self._outputs(X)
        return found[:, 0] if found.shape[1] == 1 else found

    def predict(self, X: Any) -> np.ndarray:
        """Return the labels of samples, those with the highest score.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples,)
        """
        outputs = self._outputs(X)
        found: np.ndarray = self._targets.decode(outputs, 0.0)
        return found


@cache
def _libraries() -> Any:
    """Return the controller of the threads of BLAS, which SciPy's optimizer uses."""
    import scipy.optimize  # noqa: F401 - its libraries must be loaded
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


def minimise(own: Any, model: Any, loss: Any, X: np.ndarray, y: np.ndarray, weight: Any, l2: float) -> tuple[int, bool]:
    """Minimise the loss by L-BFGS from the present weights. Return the number of iterations, and whether it has converged.

    The search ends as scikit-learn's does: at a gradient of at most ``tol``, or if the loss no longer changes.
    """
    rule = optim.LBFGS(30, tolerance_grad=float(own.tol), tolerance_change=64 * np.finfo(np.float64).eps, max_line_search=50)
    model.compile(loss, rule, l2=l2)
    with _libraries().limit(limits=1, user_api="blas"):  # its matrices are tiny; a second thread would only wait
        history = model.fit(X, y, epochs=int(own.max_iter), sample_weight=weight, verbose=int(own.verbose))
    return len(history.epoch), len(history.epoch) < own.max_iter


def warn_of_no_convergence(own: Any) -> None:
    """Warn as scikit-learn does."""
    warnings.warn(
        f"{type(own).__name__} has not converged after max_iter={own.max_iter} iterations; increase it, or scale the data.",
        ConvergenceWarning,
        stacklevel=4,
    )
