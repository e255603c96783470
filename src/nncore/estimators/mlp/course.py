"""What happens after each epoch: the loss curve, the score of the validation rows, learning rates, and the end of training.

The rules and messages are scikit-learn's.
"""

from __future__ import annotations

from collections.abc import Callable
from math import isnan
from typing import Any, NamedTuple

import numpy as np

from ...callbacks import Callback
from .objectives import Objective


class Held(NamedTuple):
    """Rows for validation. They are checked, and the targets are encoded."""

    X: Any
    y: np.ndarray
    weight: np.ndarray | None


class Course(Callback):
    """Keeps the fitted attributes of an estimator up to date during `fit`.

    Parameters
    ----------
    estimator : MLPClassifier or MLPRegressor
    goal : Objective
    constant : callable
        Returns what the reported loss of the next epoch has beside the minimised one.
    batches : numpy.ndarray
        The number of rows of each batch of an epoch.
    is_weighted : bool
        Whether rows have weights. The loss of an epoch is the mean of its batches by rows.
    held : Held or None
    stops : bool
        Whether the score of the rows that are held out decides when training ends.
    is_partial : bool
        Whether this is one epoch of `partial_fit`, which nothing stops.
    """

    minds_nan = True  # fit need not warn

    def __init__(
        self,
        estimator: Any,
        goal: Objective,
        constant: Callable[[], float],
        batches: np.ndarray,
        is_weighted: bool,
        held: Held | None,
        stops: bool,
        is_partial: bool,
    ) -> None:
        self.estimator, self.goal, self.constant, self.batches, self.is_weighted = estimator, goal, constant, batches, is_weighted
        self.held, self.stops, self.is_partial = held, stops, is_partial
        self.rows = int(batches.sum())
        self.best: list[np.ndarray] | None = None
        own = estimator.solver == "sgd"
        self.rates = estimator.learning_rate if own else "constant"

    def get_state(self) -> dict[str, Any]:
        return {}

    def on_train_begin(self, logs: Any = None) -> None:
        if self.stops:
            self.best = self.model.get_weights()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        own = self.estimator
        own.n_iter_ += 1
        own.loss_ = loss = self._loss(logs)
        own.t_ += self.rows
        own.loss_curve_.append(loss)
        if own.verbose:
            print(f"Iteration {own.n_iter_}, loss = {loss:.8f}")
        if self.held is not None:
            self._validate(own, self.held)
        if self.stops:
            self._look_at_score(own, own.validation_scores_[-1])
        else:
            own._no_improvement_count = own._no_improvement_count + 1 if loss > own.best_loss_ - own.tol else 0
            own.best_loss_ = min(own.best_loss_, loss)
        if self.rates == "invscaling":
            self._change_rate(own.learning_rate_init / (own.t_ + 1) ** own.power_t)
        if own._no_improvement_count > own.n_iter_no_change:
            self._end(own)
        if isnan(loss):  # nothing can become better
            self.model.stop_training = True

    def _loss(self, logs: Any) -> float:
        """Return the loss of the epoch: the mean of the batches, weighted by their rows."""
        whole = float(logs["loss"])
        penalty = 0.0
        if self.goal.share != 1:
            penalty = whole - float(logs["half_squared_error"])
        if self.is_weighted:
            losses = np.concatenate(self.model.history.epoch_losses)
            whole = float(losses @ self.batches[: len(losses)]) / float(self.batches[: len(losses)].sum())
        return (whole - penalty) * self.goal.share + penalty + self.constant()

    def _validate(self, own: Any, held: Held) -> None:
        outputs = own._compute(held.X)
        own.validation_scores_.append(own._score_of(outputs, held.y, held.weight))
        own.validation_loss_curve_.append(self.goal.report(held.y, outputs, held.weight))
        if own.verbose:
            print(f"Validation score: {own.validation_scores_[-1]:f}")

    def _look_at_score(self, own: Any, score: float) -> None:
        own._no_improvement_count = own._no_improvement_count + 1 if score < own.best_validation_score_ + own.tol else 0
        if score > own.best_validation_score_:
            own.best_validation_score_ = score
            self.best = self.model.get_weights()

    def _change_rate(self, rate: float) -> None:
        self.model.optimizer.lr = self.estimator._learning_rate = rate

    def _end(self, own: Any) -> None:
        """End training, or go on with a smaller learning rate."""
        what = "Validation score" if self.stops else "Training loss"
        said = f"{what} did not improve more than tol={own.tol:f} for {own.n_iter_no_change} consecutive epochs."
        rate, adapts = self.model.optimizer.lr, self.rates == "adaptive"
        if adapts and rate > 1e-6:
            self._change_rate(rate / 5.0)
            own._no_improvement_count = 0
            if own.verbose:
                print(f"{said} Setting learning rate to {rate / 5.0:f}")
            return
        if own.verbose:
            print(f"{said} {'Learning rate too small. ' if adapts else ''}Stopping.")
        if not self.is_partial:
            self.model.stop_training = True


class Lines(Callback):
    """Prints a line after each iteration of L-BFGS."""

    minds_nan = True

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        print(f"Iteration {epoch + 1}, loss = {logs['loss']:.8f}")
