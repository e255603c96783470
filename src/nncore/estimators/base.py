"""What all estimators have in common: checks of data, prediction, and how a fit goes.

How an estimator is built
-------------------------
An estimator is a final class below `Classifying` or `Regressing` and `Estimator`. Its constructor stores its arguments by
``self._keep(locals())`` and does nothing else; ``_parameter_constraints`` says which values they take (scikit-learn's form). `fit`,
decorated with ``@fitting`` of `_sklearn`, goes

1. parameters: ``@fitting`` checks them, with scikit-learn's errors;
2. data: ``X, y, weight = self._validated(X, y, sample_weight, reset=...)`` sets ``n_features_in_`` and ``feature_names_in_``, or
   compares with them (``reset=False``: warm start, `partial_fit` after the first);
3. targets: ``self._targets = targets.Labels(y)`` or ``targets.Numbers(y)``; ``self._targets.encode(y, form)`` is what the network
   gets. Class weights multiply the sample weights: ``class_weights(...)``;
4. model: an ``nn.Model`` with ``self._targets.columns`` outputs, seeded by `seeds`, compiled. It is stored as ``self._model``;
5. one ``self._model.fit`` over all epochs, with a light callback that stops it;
6. fitted attributes, with scikit-learn's names.

`predict` and the others call ``self._outputs(X)``: it checks X and returns what the network computes, [N, outputs]. An estimator
with other input overrides `_checked`, which converts X. ``self._targets`` turns outputs into predictions.

Whatever ``fit`` leaves in the object can be pickled and copied: models pickle with their weights and the state of training. Views
of weights are made when they are asked for (``coefs_``), never kept. If a fit raises an error, the estimator stays as it was; so
assign ``_model`` and attributes after the last check.
"""

from __future__ import annotations

from abc import ABC
from collections.abc import Iterator
from contextlib import contextmanager
from math import inf, isfinite
from numbers import Real
from typing import Any, ClassVar

import numpy as np

from ..data.in_parts import is_in_parts
from . import nested
from ._sklearn import (
    FLOATS,
    BaseEstimator,
    ClassifierMixin,
    RegressorMixin,
    available_if,
    check_is_fitted,
    check_sample_weight,
    unique_labels,
    validate_data,
)
from .in_parts import samples_of
from .links import is_margin
from .targets import Columns, Labels, dense

_QUICK = 1 << 14  # elements of an input that needs no long checks
BLOCK = 1 << 22  # elements of a sparse input that are dense at a time


class Estimator(BaseEstimator, ABC):
    """Base of all estimators; see the text above."""

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {}
    _accepts_sparse: ClassVar[bool] = True

    _model: Any  # the fitted nn.Model
    _targets: Any  # a Targets
    n_features_in_: int

    def _keep(self, arguments: dict[str, Any]) -> None:
        """Store the arguments of the constructor."""
        self.__dict__.update({name: value for name, value in arguments.items() if name != "self" and name[:2] != "__"})

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the parameters by name; with ``deep``, those of optimizers as well (``solver__lr``)."""
        found: dict[str, Any] = super().get_params(deep=deep)
        return nested.deep(found) if deep else found

    def set_params(self, **params: Any) -> Any:
        """Set parameters by name, those of optimizers by nested names (``solver__lr``). Return the estimator."""
        return super().set_params(**nested.resolved(vars(self), params))

    def __sklearn_is_fitted__(self) -> bool:
        return "_model" in vars(self)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = self._accepts_sparse
        return tags

    # Data ---------------------------------------------------------------------------------------------------------------------

    def _validated(self, X: Any, y: Any, sample_weight: Any, reset: bool, **checks: Any) -> tuple[Any, Any, np.ndarray | None]:
        """Return X [N, features] in float32 or float64 (dense or CSR), y and the weights, checked as scikit-learn does."""
        X, y = validate_data(self, X, y, accept_sparse=self._sparse_formats, dtype=FLOATS, reset=reset, multi_output=True, **checks)
        return X, y, check_sample_weight(sample_weight, X)

    @property
    def _sparse_formats(self) -> list[str] | bool:
        return ["csr"] if self._accepts_sparse else False

    def _checked(self, X: Any) -> Any:
        """Return X for prediction, checked against what was fitted. Small plain arrays pass quickly."""
        if type(X) is np.ndarray and X.size <= _QUICK and X.dtype.char in "df" and X.ndim == 2 and X.flags.c_contiguous:
            rows, features = X.shape
            if rows and features == self.n_features_in_ and "feature_names_in_" not in vars(self) and _is_finite(X):
                return X
        return validate_data(self, X, accept_sparse=self._sparse_formats, dtype=FLOATS, reset=False)

    # Prediction -----------------------------------------------------------------------------------------------------------------

    def _outputs(self, X: Any) -> np.ndarray:
        """Return what the network computes of samples, [N, outputs]."""
        if "_model" not in vars(self):
            check_is_fitted(self)
        if is_in_parts(X):
            return np.concatenate([self._compute(self._checked(x)) for x in samples_of(X)])
        return self._compute(self._checked(X))

    def _compute(self, X: Any) -> np.ndarray:
        """Return what the network computes of checked samples. Sparse ones are made dense in blocks."""
        if not hasattr(X, "toarray"):
            found: np.ndarray = self._model.predict(X)
            return found
        step = max(1, BLOCK // max(1, X.shape[1]))
        return np.concatenate([self._model.predict(X[at : at + step].toarray()) for at in range(0, X.shape[0], step)])


def _is_finite(X: np.ndarray) -> bool:
    """Return whether all numbers are finite. A sum that overflows says no, and the long check follows."""
    with np.errstate(all="ignore"):
        return isfinite(np.add.reduce(X, None))


def _gives_margins(own: Any) -> bool:
    if not is_margin(own.loss):
        raise AttributeError(f"{type(own).__name__}: decision_function is for margin losses; use predict_proba")
    return True


def _gives_probabilities(own: Any) -> bool:
    if is_margin(own.loss):
        raise AttributeError(f"{type(own).__name__}: a margin loss gives no probabilities; use decision_function")
    return True


class Classifying(ClassifierMixin):
    """What classifiers have in common. Their network gives probabilities."""

    classes_: np.ndarray
    _targets: Any
    _outputs: Any
    _threshold = 0.5  #: of the outputs, above which a label holds; of a margin loss it is 0

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags

    def predict(self, X: Any) -> Any:
        """Return the labels of samples.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_labels)
        """
        outputs = self._outputs(X)
        return self._targets.decode(outputs, self._threshold)

    @available_if(_gives_probabilities)
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
        found: np.ndarray = self._targets.probabilities(outputs)
        return found

    @available_if(_gives_probabilities)
    def predict_log_proba(self, X: Any) -> np.ndarray:
        """Return the logarithm of `predict_proba`.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
        """
        found: np.ndarray = self.predict_proba(X)
        np.log(found, out=found)
        return found

    @available_if(_gives_margins)
    def decision_function(self, X: Any) -> np.ndarray:
        """Return the outputs of a network that is trained with a margin loss.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_classes)
        """
        outputs: np.ndarray = self._outputs(X)
        return outputs[:, 0] if outputs.shape[1] == 1 else outputs


class Regressing(RegressorMixin):
    """What regressors have in common."""

    _targets: Any
    _outputs: Any

    def predict(self, X: Any) -> np.ndarray:
        """Return the predictions for samples.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_outputs)
        """
        outputs = self._outputs(X)
        found: np.ndarray = self._targets.decode(outputs)
        return found


@contextmanager
def unchanged_by_errors(estimator: Any) -> Iterator[None]:
    """Put all attributes back if the block raises an error. For what comes before training."""
    before = dict(vars(estimator))
    try:
        yield
    except Exception:
        vars(estimator).clear()
        vars(estimator).update(before)
        raise


def joined(validation_data: Any, X_val: Any, y_val: Any) -> Any:
    """Return validation data that `fit` got as a pair, or as X_val and y_val."""
    if X_val is None and y_val is None:
        return validation_data
    if X_val is None or y_val is None or validation_data is not None:
        raise ValueError("X_val and y_val go together, and take the place of validation_data")
    return X_val, y_val


def check_classes(estimator: Any, classes: Any) -> None:
    """Raise ValueError unless the first `partial_fit` gets ``classes``, and each later one the same or none."""
    if "_model" not in vars(estimator):
        if classes is None:
            raise ValueError("classes must be passed on the first call to partial_fit.")
    elif classes is not None and not _same_classes(estimator.classes_, classes):
        raise ValueError(f"`classes={classes!r}` is not the same as on last call to partial_fit, was: {estimator.classes_!r}")


def _same_classes(own: Any, classes: Any) -> bool:
    if isinstance(own, list):
        return len(own) == len(classes) and all(map(_same_classes, own, classes))
    return np.array_equal(own, unique_labels(classes))


def relative(weight: np.ndarray | None, rows: int) -> tuple[np.ndarray | None, float]:
    """Return weights with the mean 1, and their sum before.

    So the size of steps does not depend on the scale of the weights, and a row of weight 2 counts as two rows.
    """
    if weight is None:
        return None, float(rows)
    total = float(weight.sum())
    if not total > 0:
        raise ValueError("All sample weights are zero: sample_weight must be positive for at least one sample.")
    return weight * (rows / total), total


def class_weights(class_weight: Any, targets: Labels | Columns, y: Any, weight: np.ndarray | None) -> np.ndarray | None:
    """Return the weights of rows, multiplied by those of their classes.

    Parameters
    ----------
    class_weight : {None, "balanced"} or dict
        From labels to weights; of several labels of a row a list of dicts.
    targets : Labels or Columns
    y : array_like
        The labels as the user has passed them.
    weight : numpy.ndarray or None
        [N].
    """
    if class_weight is None:
        return weight
    from sklearn.utils.class_weight import compute_sample_weight

    if isinstance(class_weight, str) and weight is not None and targets.kind in ("binary", "multiclass"):
        index: Any = targets.index(y)  # weights count as repeated rows do
        sums = np.bincount(index, weight)
        with np.errstate(divide="ignore"):
            scaled: np.ndarray = weight * (weight.sum() / (np.count_nonzero(sums) * sums))[index]
        return np.where(weight > 0, scaled, 0.0)
    for each in class_weight if isinstance(class_weight, list) else [class_weight]:
        for label, value in each.items() if isinstance(each, dict) else ():
            if not (isinstance(value, Real) and 0 <= float(value) < inf):
                raise ValueError(f"class_weight must have finite weights of at least 0, but that of {label!r} is {value!r}")
    own = compute_sample_weight(class_weight, dense(y))
    product: np.ndarray = own if weight is None else own * weight
    if not product.any():
        raise ValueError(f"class_weight={class_weight!r} leaves no row with a weight above 0")
    return product
