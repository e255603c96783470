"""The multi-layer perceptron behind `MLPClassifier` and `MLPRegressor`: from checked arguments to a trained network."""

from __future__ import annotations

import warnings
from abc import abstractmethod
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np

from ... import optim
from ...models import Sequential
from .. import seeds
from .._sklearn import ConvergenceWarning, HasMethods, Interval, Options, StrOptions, split
from ..base import Estimator
from .course import Course
from .layers import Views, initialise, linear_layers, per_layer, stack
from .objectives import Objective

_STOCHASTIC = ("sgd", "adam")


class MLP(Estimator):
    """Base of the two estimators."""

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
        "activation": [str, "array-like", HasMethods("ops"), type],
        "solver": [StrOptions({"lbfgs", "sgd", "adam"}), optim.Optimizer],
        "alpha": [Interval(Real, 0, None, closed="left")],
        "batch_size": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "learning_rate": [StrOptions({"constant", "invscaling", "adaptive"})],
        "learning_rate_init": [Interval(Real, 0, None, closed="neither")],
        "power_t": [Interval(Real, 0, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "shuffle": ["boolean"],
        "random_state": ["random_state"],
        "tol": [Interval(Real, 0, None, closed="left")],
        "verbose": ["verbose"],
        "warm_start": ["boolean"],
        "momentum": [Interval(Real, 0, 1, closed="both")],
        "nesterovs_momentum": ["boolean"],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="left")],
        "beta_1": [Interval(Real, 0, 1, closed="left")],
        "beta_2": [Interval(Real, 0, 1, closed="left")],
        "epsilon": [Interval(Real, 0, None, closed="neither")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left"), Options(Real, {np.inf})],
        "max_fun": [Interval(Integral, 1, None, closed="left")],
        "dropout": [Interval(Real, 0, 1, closed="left"), "array-like"],
        "batch_norm": ["boolean"],
        "callbacks": [None, "array-like", object],
    }

    # Weights ------------------------------------------------------------------------------------------------------------------

    @property
    def coefs_(self) -> Views:
        """The weights of each layer, [inputs, outputs]: live views."""
        return Views(layer.weight.T for layer in self._linear("coefs_"))

    @coefs_.setter
    def coefs_(self, values: Any) -> None:
        self.coefs_.assign(values)

    @property
    def intercepts_(self) -> Views:
        """The biases of each layer: live views."""
        return Views(layer.bias for layer in self._linear("intercepts_"))

    @intercepts_.setter
    def intercepts_(self, values: Any) -> None:
        self.intercepts_.assign(values)

    def _linear(self, name: str) -> list[Any]:
        model = vars(self).get("_model")
        if model is None:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}; call fit first")
        return linear_layers(model)

    # Fit ----------------------------------------------------------------------------------------------------------------------

    @abstractmethod
    def _objective(self) -> Objective: ...

    @abstractmethod
    def _read(self, X: Any, y: Any, weight: Any, reset: bool, is_partial: bool) -> tuple[Any, Any, Any]:
        """Check the data and set ``_targets``. Return X, y and the weights of the rows."""

    @abstractmethod
    def _score_of(self, outputs: np.ndarray, y: Any, weight: Any) -> float:
        """Return the score of outputs for encoded targets."""

    @property
    def _is_stochastic(self) -> bool:
        return self.solver != "lbfgs" and not getattr(self.solver, "full_batch", False)

    def _fit(self, X: Any, y: Any, sample_weight: Any = None, is_partial: bool = False) -> None:
        hidden = self.hidden_layer_sizes
        hidden = list(hidden) if hasattr(hidden, "__iter__") else [hidden]
        if np.any(np.array(hidden) <= 0):
            raise ValueError(f"hidden_layer_sizes must be > 0, got {hidden}.")
        first = "_model" not in vars(self) or (not self.warm_start and not is_partial)
        X, y, weight = self._read(X, y, sample_weight, first, is_partial)
        if self.early_stopping and is_partial:
            raise ValueError("partial_fit does not support early_stopping=True")
        goal = self._objective()
        encoded = self._targets.encode(y, goal.form)
        generator = self._random_state = seeds.generator_of(self.random_state)
        if first:
            self._begin(X, [X.shape[1], *map(int, hidden), self._targets.columns], goal, generator)
        self._train(X, encoded, weight, goal, generator, is_partial)
        if not all(np.isfinite(each).all() for each in (*self.coefs_, *self.intercepts_)):
            raise ValueError(
                "Solver produced non-finite parameter weights. The input data may contain large values and need to be preprocessed."
            )

    def _begin(self, X: Any, sizes: list[int], goal: Objective, generator: np.random.RandomState) -> None:
        """Make a new network, and reset the attributes."""
        activations = per_layer("activation", self.activation, len(sizes) - 2)
        rates = per_layer("dropout", self.dropout, len(sizes) - 2)
        dtype = X.dtype.name if self._is_stochastic else "float64"
        made = stack(sizes, activations, rates, self.batch_norm, goal.activation)
        model = Sequential(made, seed=seeds.peek(generator), dtype=dtype)
        model.build((sizes[0],))
        initialise(model, generator, activations)
        self._model = model
        self.__dict__.pop("_is_compiled", None)
        self.n_iter_, self.t_, self.n_outputs_, self.n_layers_ = 0, 0, sizes[-1], len(sizes)
        self.out_activation_ = goal.activation
        if not self._is_stochastic:
            return
        self.loss_curve_: list[float] = []
        self._no_improvement_count = 0
        self.best_loss_ = None if self.early_stopping else np.inf
        self.validation_scores_: list[float] | None = [] if self.early_stopping else None
        self.best_validation_score_ = -np.inf if self.early_stopping else None

    def _optimizer(self) -> Any:
        if isinstance(self.solver, optim.Optimizer):
            return self.solver
        if self.solver == "sgd":
            nesterov = bool(self.nesterovs_momentum and self.momentum > 0)
            return optim.SGD(lr=float(self.learning_rate_init), momentum=float(self.momentum), nesterov=nesterov)
        if self.solver == "adam":
            betas = (float(self.beta_1), float(self.beta_2))
            return optim.Adam(lr=float(self.learning_rate_init), betas=betas, eps=float(self.epsilon))
        return optim.LBFGS(tolerance_grad=float(self.tol), tolerance_change=2.220446049250313e-09)

    def _train(self, X: Any, y: np.ndarray, weight: Any, goal: Objective, generator: Any, is_partial: bool) -> None:
        held: Any = None
        if self.early_stopping and self._is_stochastic:
            X, y, weight, held = self._hold_out(X, y, weight, generator)
        rows = X.shape[0]
        batch = self._batch(rows)
        model = self._model
        metrics: Any = ["half_squared_error"] if goal.share != 1 else []
        if not (is_partial and "_is_compiled" in vars(self)):
            model.compile(
                goal.loss,
                self._optimizer(),
                weighted_metrics=metrics,
                loss_weights=[goal.weight],
                l2=0.5 * float(self.alpha) / batch,
            )
            model.step = 0
            self._is_compiled = True
        if not self._is_stochastic:
            history = model.fit(_dense(X), y, epochs=self.max_iter, sample_weight=weight, verbose=0)
            self.n_iter_ = len(history.epoch)
            self.loss_ = history.history["loss"][-1] if history.epoch else np.nan
            return
        score = None
        if held is not None:
            score = lambda model: self._score_of(model.predict(held[0]), held[1], held[2])  # noqa: E731
        self.n_iter_ = 0
        course = Course(self, rows, goal.share, score, is_partial)
        callbacks = [course, *(self.callbacks or ())]
        epochs = 1 if is_partial else self.max_iter
        try:
            model.fit(
                _dense(X),
                y,
                epochs=epochs,
                batch_size=batch,
                shuffle=self.shuffle,
                sample_weight=weight,
                callbacks=callbacks,
                verbose=0,
            )
            if not is_partial and self.n_iter_ == self.max_iter and not model.stop_training:
                warnings.warn(
                    f"Stochastic Optimizer: Maximum iterations ({self.max_iter}) reached and the optimization hasn't converged "
                    "yet.",
                    ConvergenceWarning,
                    stacklevel=4,
                )
        except KeyboardInterrupt:
            warnings.warn("Training interrupted by user.", stacklevel=4)
        if course.best is not None:
            model.set_weights(course.best)

    def _batch(self, rows: int) -> int:
        """Return the number of rows of a batch."""
        if not self._is_stochastic:
            return rows
        if self.batch_size == "auto":
            return min(200, rows)
        if self.batch_size > rows:
            warnings.warn("Got `batch_size` less than 1 or larger than sample size. It is going to be clipped", stacklevel=5)
        return int(min(self.batch_size, rows))

    def _hold_out(self, X: Any, y: Any, weight: Any, generator: Any) -> tuple[Any, Any, Any, tuple[Any, Any, Any]]:
        """Return the rows to train on, and those to validate on."""
        strata = self._strata(y)
        arrays = [X, y] if weight is None else [X, y, weight]
        train, held = split(*arrays, test_size=self.validation_fraction, random_state=generator, stratify=strata)
        if held[0].shape[0] < 2:
            raise ValueError("The validation set is too small. Increase 'validation_fraction' or the size of your dataset.")
        train, held = [*train, None][:3], [*held, None][:3]
        return train[0], train[1], train[2], (_dense(held[0]), held[1], held[2])

    def _strata(self, y: Any) -> Any:
        return None


def _dense(X: Any) -> Any:
    return X.toarray() if hasattr(X, "toarray") else X
