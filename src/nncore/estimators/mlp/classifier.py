"""MLPClassifier."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from .._sklearn import HasMethods, StrOptions, available_if, column_or_1d, fitting, unique_labels
from ..base import Classifying, class_weights
from ..targets import Labels
from .base import MLP
from .objectives import Objective, of_classes


def _may_go_on(estimator: Any) -> bool:
    if not estimator._is_stochastic:
        raise AttributeError(f"partial_fit is only available for stochastic optimizers. {estimator.solver} is not stochastic.")
    return True


class MLPClassifier(Classifying, MLP):
    """Multi-layer perceptron classifier."""

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **MLP._parameter_constraints,
        "loss": [str, HasMethods("spec"), HasMethods(["value", "gradient"]), callable],
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
    ) -> None:
        self._keep(locals())

    @fitting
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> MLPClassifier:
        """Train a new network."""
        self._fit(X, y, sample_weight)
        return self

    @available_if(_may_go_on)
    @fitting
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None, classes: Any = None) -> MLPClassifier:
        """Train for one more epoch on these rows."""
        self._first_classes = classes
        if classes is None and "_model" not in vars(self):
            raise ValueError("classes must be passed on the first call to partial_fit.")
        if classes is not None and "_model" in vars(self) and not np.array_equal(self.classes_, unique_labels(classes)):
            raise ValueError(f"`classes={classes!r}` is not the same as on last call to partial_fit, was: {self.classes_!r}")
        self._fit(X, y, sample_weight, is_partial=True)
        return self

    def _read(self, X: Any, y: Any, weight: Any, reset: bool, is_partial: bool) -> tuple[Any, Any, Any]:
        X, y, weight = self._validated(X, y, weight, reset)
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        if reset:
            self._targets = Labels(y, self._first_classes if is_partial else None)
            self.classes_ = self._targets.classes
        else:
            found = unique_labels(y)
            if self.warm_start and {*found} != {*self.classes_}:
                raise ValueError(
                    "warm_start can only be used where `y` has the same classes as in the previous call to fit. Previously got "
                    f"{self.classes_}, `y` has {found}"
                )
            if len(np.setdiff1d(found, self.classes_)):
                raise ValueError(f"`y` has classes not in `self.classes_`. `self.classes_` has {self.classes_}. 'y' has {found}.")
        return X, y, class_weights(self.class_weight, self._targets, y, weight)

    def _objective(self) -> Objective:
        return of_classes(self.loss, self._targets)

    def _strata(self, y: Any) -> Any:
        return None if self._targets.kind == "multilabel" else y

    def _score_of(self, outputs: np.ndarray, y: Any, weight: Any) -> float:
        if not np.isfinite(outputs).all():
            return float("nan")
        if self._targets.kind == "multiclass":
            right = outputs.argmax(axis=1) == (y if y.ndim == 1 else y.argmax(axis=1))
        else:
            right = ((outputs > 0.5) == y).all(axis=1)
        return float(np.average(right, weights=weight))
