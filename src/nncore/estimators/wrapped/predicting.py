"""What classifiers and regressors around a network offer: fit, prediction and scores, also of sequences."""

from __future__ import annotations

from abc import ABC
from typing import Any, ClassVar, Self

import numpy as np

from .._sklearn import ClassifierMixin, RegressorMixin, StrOptions, available_if, fitting
from ..base import check_classes, class_weights, joined
from ..links import is_margin
from ..targets import Labels, Numbers, without_column
from . import heads


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

    _targets: Labels
    _head: heads.Head
    _fit: Any
    _outputs: Any
    _model: Any
    class_weight: Any
    warm_start: Any
    loss: Any

    @property
    def classes_(self) -> np.ndarray:
        """The labels, sorted."""
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
            Rows, or sequences. Sequences in a list are arrays [steps, features] of different lengths.
        y : array-like of shape (n_samples,) or (n_samples, n_labels)
            Class labels of any type; for several labels at once a matrix of 0 and 1.
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
        found: Self = self._fit(X, y, sample_weight, lengths, mask, joined(validation_data, X_val, y_val))
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
            All classes; needed in the first call.

        Returns
        -------
        object
            The estimator itself.
        """
        check_classes(self, classes)
        found: Self = self._fit(X, y, sample_weight, lengths, mask, is_partial=True, classes=classes)
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
        return heads.labels(self._head, self._targets, outputs)

    @available_if(_has_probabilities)
    def predict_proba(self, X: Any, *, lengths: Any = None, mask: Any = None) -> np.ndarray:
        """Return the probability of each class, in the order of ``classes_``.

        Parameters
        ----------
        X, lengths, mask
            See `fit`.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
        """
        outputs = self._outputs(X, lengths, mask)
        return heads.probabilities(self._head, self._targets, outputs)

    @available_if(_has_probabilities)
    def predict_log_proba(self, X: Any, *, lengths: Any = None, mask: Any = None) -> np.ndarray:
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
            found: np.ndarray = np.log(self.predict_proba(X, lengths=lengths, mask=mask))
        return found

    @available_if(_has_scores)
    def decision_function(self, X: Any, *, lengths: Any = None, mask: Any = None) -> np.ndarray:
        """Return the outputs of a network that is trained with a margin loss, such as "hinge".

        Parameters
        ----------
        X, lengths, mask
            See `fit`.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_classes)
        """
        outputs: np.ndarray = self._outputs(X, lengths, mask)
        if self._targets.kind != "binary":
            return outputs
        return outputs[:, 0] - self._head.threshold if self._head.units == 1 else outputs[:, 1] - outputs[:, 0]

    def score(self, X: Any, y: Any, sample_weight: Any = None, *, lengths: Any = None, mask: Any = None) -> float:
        """Return the accuracy. Of several labels at once all have to be right.

        Parameters
        ----------
        X, y, sample_weight, lengths, mask
            See `fit`.
        """
        from sklearn.metrics import accuracy_score

        return float(accuracy_score(y, self.predict(X, lengths=lengths, mask=mask), sample_weight=sample_weight))

    def _set_targets(self, y: Any, weight: Any, reset: bool, classes: Any) -> tuple[int, Any]:
        y = without_column(y)
        if reset:
            self._targets = Labels(y, classes)
        elif self._targets.kind != "multilabel":
            self._targets.index(y)  # raises an error about other labels
        return self._targets.columns, class_weights(self.class_weight, self._targets, y, weight)

    def _head_of(self, model: Any) -> heads.Head:
        return heads.of_classes(type(self).__name__, model, self.loss, self._targets)

    def _encoded(self, y: Any) -> np.ndarray:
        return heads.encoded(self._head, self._targets, y)


class Regresses(RegressorMixin, ABC):
    """What regressors around a network have in common."""

    _targets: Numbers
    _head: heads.Head
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
            Rows, or sequences. Sequences in a list are arrays [steps, features] of different lengths.
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
        found: Self = self._fit(X, y, sample_weight, lengths, mask, joined(validation_data, X_val, y_val))
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
        found: Self = self._fit(X, y, sample_weight, lengths, mask, is_partial=True)
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
        outputs: np.ndarray = self._outputs(X, lengths, mask)
        if self._head.loss.targets == "halved":
            outputs = outputs[..., : outputs.shape[-1] // 2]
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
        return heads.units_for(self.loss, shape[-1]), weight

    def _head_of(self, model: Any) -> heads.Head:
        return heads.of_numbers(type(self).__name__, model, self.loss, self._shape)

    def _encoded(self, y: Any) -> np.ndarray:
        found: np.ndarray = y.reshape(len(y), -1) if y.ndim < 3 else y
        return found
