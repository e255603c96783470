"""What classifiers and regressors around a network offer: fit, prediction and scores, also of sequences."""

from __future__ import annotations

from abc import ABC
from typing import Any, ClassVar, Self

import numpy as np

from .._sklearn import ClassifierMixin, RegressorMixin, StrOptions, available_if, fitting
from ..base import check_classes, class_weights, joined
from ..links import is_margin
from ..targets import Columns, Labels, Numbers, are_columns, without_column
from . import heads, several
from .base import Given


def _gives_probabilities(own: Any) -> bool:
    return own._head.has_probabilities if "_head" in vars(own) else not is_margin(own.loss)


def _has_probabilities(own: Any) -> bool:
    if not _gives_probabilities(own):
        raise AttributeError(f"{type(own).__name__}: the loss {own.loss!r} gives no probabilities; call decision_function")
    return True


def _has_scores(own: Any) -> bool:
    if _gives_probabilities(own):
        raise AttributeError(f"{type(own).__name__}: decision_function is for margin losses; call predict_proba")
    return True


class Classifies(ClassifierMixin, ABC):
    """What classifiers around a network have in common."""

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {"class_weight": [StrOptions({"balanced"}), dict, list, None]}

    _targets: Labels | Columns
    _head: heads.Head | several.Several
    _fit: Any
    _outputs: Any
    _model: Any
    class_weight: Any
    warm_start: Any
    loss: Any

    @property
    def classes_(self) -> Any:
        """The labels, sorted; of several columns a list."""
        if "_targets" not in vars(self):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute 'classes_'; call fit first")
        return self._targets.classes

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags

    @fitting
    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        lengths: Any = None,
        mask: Any = None,
        validation_data: Any = None,
        X_val: Any = None,
        y_val: Any = None,
    ) -> Self:
        """Train a new network.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, n_steps, n_features), or list of sequences
            Rows, or sequences. Sequences in a list are arrays [steps, features] of different lengths. `Classifier` also takes
            sparse rows, and makes them dense batch by batch.
        y : array-like of shape (n_samples,) or (n_samples, n_labels)
            Class labels of any type; for several labels at once a matrix of 0 and 1, or several columns of labels.
        sample_weight : array-like of shape (n_samples,), optional
            They count relative to their mean.
        lengths : array-like of shape (n_samples,), optional
            The number of valid steps of each sequence; the rest is padding.
        mask : array-like of shape (n_samples, n_steps), optional
            Which steps are valid, in place of ``lengths``.
        validation_data : tuple, optional
            ``(X, y)``, with ``sample_weight`` and ``lengths`` as third and fourth: rows to validate on after each epoch.
        X_val, y_val : array-like, optional
            The same, for ``Pipeline(…, transform_input=["X_val"])``, which transforms ``X_val``.

        Returns
        -------
        object
            The estimator itself.
        """
        found: Self = self._fit(Given(X, y, sample_weight, lengths, mask, joined(validation_data, X_val, y_val)))
        return found

    @fitting
    def partial_fit(
        self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None, *, lengths: Any = None, mask: Any = None
    ) -> Self:
        """Train for one more epoch on these rows.

        Parameters
        ----------
        X, y, sample_weight, lengths, mask
            See `fit`.
        classes : array-like of shape (n_classes,), optional
            All classes, of several columns of labels a list of arrays; needed in the first call.

        Returns
        -------
        object
            The estimator itself.
        """
        check_classes(self, classes)
        found: Self = self._fit(Given(X, y, sample_weight, lengths, mask, None, True, classes))
        return found

    def predict(self, X: Any, *, lengths: Any = None, mask: Any = None) -> Any:
        """Return the labels of samples.

        Parameters
        ----------
        X, lengths, mask
            See `fit`.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_labels)
        """
        outputs = self._outputs(X, lengths, mask)
        return several.labels(self._head, self._targets, outputs)

    @available_if(_has_probabilities)
    def predict_proba(self, X: Any, *, lengths: Any = None, mask: Any = None) -> Any:
        """Return the probability of each class, in the order of ``classes_``.

        Parameters
        ----------
        X, lengths, mask
            See `fit`.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            Of several columns of labels a list of them.
        """
        outputs = self._outputs(X, lengths, mask)
        return several.probabilities(self._head, self._targets, outputs)

    @available_if(_has_probabilities)
    def predict_log_proba(self, X: Any, *, lengths: Any = None, mask: Any = None) -> Any:
        """Return the logarithm of `predict_proba`.

        Parameters
        ----------
        X, lengths, mask
            See `fit`.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
        """
        with np.errstate(divide="ignore"):
            found = self.predict_proba(X, lengths=lengths, mask=mask)
            return [*map(np.log, found)] if isinstance(found, list) else np.log(found)

    @available_if(_has_scores)
    def decision_function(self, X: Any, *, lengths: Any = None, mask: Any = None) -> Any:
        """Return the outputs of a network that is trained with a margin loss, such as "hinge".

        Parameters
        ----------
        X, lengths, mask
            See `fit`.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_classes)
        """
        outputs = self._outputs(X, lengths, mask)
        return several.scores(self._head, self._targets, outputs)

    def score(self, X: Any, y: Any, sample_weight: Any = None, *, lengths: Any = None, mask: Any = None) -> float:
        """Return the accuracy. Of several labels of a row all have to be right.

        Parameters
        ----------
        X, y, sample_weight, lengths, mask
            See `fit`.
        """
        from sklearn.metrics import accuracy_score

        found = self.predict(X, lengths=lengths, mask=mask)
        if isinstance(self._targets, Columns):
            return float(np.average((found == np.asarray(y)).all(axis=1), weights=sample_weight))
        return float(accuracy_score(y, found, sample_weight=sample_weight))

    def _set_targets(self, y: Any, weight: Any, reset: bool, classes: Any) -> tuple[Any, Any]:
        y = without_column(y)
        if reset:
            columns = are_columns(y, classes)
            self._targets = Columns(y, classes) if columns else Labels(y, classes)
        elif self._targets.kind in ("binary", "multiclass") and y.ndim > 1:
            raise ValueError(f"y has the shape {y.shape}, but the estimator was fitted with (n_samples,)")
        elif self._targets.kind != "multilabel":
            self._targets.index(y)  # raises an error about other labels
        return self._targets.columns, class_weights(self.class_weight, self._targets, y, weight)

    def _head_of(self, model: Any) -> heads.Head | several.Several:
        return several.of_classes(type(self).__name__, model, self.loss, self._targets)

    def _encoded(self, y: Any) -> Any:
        return several.encoded(self._head, self._targets, y)


class Regresses(RegressorMixin, ABC):
    """What regressors around a network have in common."""

    _targets: Numbers
    _head: heads.Head | several.Several
    _fit: Any
    _outputs: Any
    loss: Any

    @fitting
    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        lengths: Any = None,
        mask: Any = None,
        validation_data: Any = None,
        X_val: Any = None,
        y_val: Any = None,
    ) -> Self:
        """Train a new network.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, n_steps, n_features), or list of sequences
            Rows, or sequences. Sequences in a list are arrays [steps, features] of different lengths. `Regressor` also takes
            sparse rows, and makes them dense batch by batch.
        y : array-like of shape (n_samples,), (n_samples, n_outputs) or (n_samples, n_steps, n_outputs)
            Targets, in the shape of the network's output.
        sample_weight : array-like of shape (n_samples,), optional
            They count relative to their mean.
        lengths : array-like of shape (n_samples,), optional
            The number of valid steps of each sequence; the rest is padding.
        mask : array-like of shape (n_samples, n_steps), optional
            Which steps are valid, in place of ``lengths``.
        validation_data : tuple, optional
            ``(X, y)``, with ``sample_weight`` and ``lengths`` as third and fourth: rows to validate on after each epoch.
        X_val, y_val : array-like, optional
            The same, for ``Pipeline(…, transform_input=["X_val"])``, which transforms ``X_val``.

        Returns
        -------
        object
            The estimator itself.
        """
        found: Self = self._fit(Given(X, y, sample_weight, lengths, mask, joined(validation_data, X_val, y_val)))
        return found

    @fitting
    def partial_fit(self, X: Any, y: Any = None, sample_weight: Any = None, *, lengths: Any = None, mask: Any = None) -> Self:
        """Train for one more epoch on these rows.

        Parameters
        ----------
        X, y, sample_weight, lengths, mask
            See `fit`.

        Returns
        -------
        object
            The estimator itself.
        """
        found: Self = self._fit(Given(X, y, sample_weight, lengths, mask, None, True))
        return found

    def predict(self, X: Any, *, lengths: Any = None, mask: Any = None) -> np.ndarray:
        """Return the predictions for samples.

        Parameters
        ----------
        X, lengths, mask
            See `fit`.

        Returns
        -------
        ndarray of shape (n_samples,), (n_samples, n_outputs) or (n_samples, n_steps, n_outputs)
            With the loss "gaussian_nll" the means, with "quantile" all quantiles.
        """
        found = self._outputs(X, lengths, mask)
        outputs = several.numbers(self._head, found)
        return outputs if outputs.ndim > 2 or outputs.shape[1] > 1 else outputs[:, 0]

    def score(self, X: Any, y: Any, sample_weight: Any = None, *, lengths: Any = None, mask: Any = None) -> float:
        """Return the coefficient of determination, R².

        Parameters
        ----------
        X, y, sample_weight, lengths, mask
            See `fit`.
        """
        from sklearn.metrics import r2_score

        found = self.predict(X, lengths=lengths, mask=mask)
        return float(r2_score(np.reshape(y, (len(found), -1)), found.reshape(len(found), -1), sample_weight=sample_weight))

    def _set_targets(self, y: Any, weight: Any, reset: bool, classes: Any) -> tuple[int, Any]:
        y = without_column(y)
        shape = y.shape[1:] or (1,)
        if reset:
            self._targets = Numbers(y.reshape(len(y), -1))
            self._shape = shape
        elif shape[-1] != self._shape[-1] or len(shape) != len(self._shape):
            raise ValueError(f"y has the shape {y.shape}, but the estimator was fitted with {('n_samples', *self._shape)}")
        return shape[-1] if isinstance(self.loss, list | tuple | dict) else heads.units_for(self.loss, shape[-1]), weight

    def _head_of(self, model: Any) -> heads.Head | several.Several:
        return several.of_numbers(type(self).__name__, model, self.loss, self._shape)

    def _encoded(self, y: Any) -> Any:
        found: np.ndarray = y.reshape(len(y), -1) if y.ndim < 3 else y
        return [found[..., part] for part in self._head.targets] if isinstance(self._head, several.Several) else found
