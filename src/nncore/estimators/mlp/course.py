"""What happens after each epoch: the loss curve, the score of the validation rows, learning rates, and the end of training.

The rules and messages are scikit-learn's.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ...callbacks import Callback


class Course(Callback):
    """Keeps the fitted attributes of an estimator up to date during `fit`.

    Parameters
    ----------
    estimator : MLPClassifier or MLPRegressor
    rows : int
        The number of rows that are trained on.
    share : float
        See `Objective`.
    score : callable or None
        Returns the score of the validation rows.
    watched : bool
        Whether that score decides when training ends.
    """

    def __init__(self, estimator: Any, rows: int, share: float, score: Any, is_partial: bool) -> None:
        self.estimator, self.rows, self.share, self.score, self.is_partial = estimator, rows, share, score, is_partial
        self.best: list[np.ndarray] | None = None

    def get_state(self) -> dict[str, Any]:
        return {}

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        own = self.estimator
        loss = float(logs["loss"])
        if self.share != 1:
            data = float(logs["half_squared_error"])
            loss += data * (self.share - 1)
        own.n_iter_ += 1
        own.loss_ = loss
        own.t_ += self.rows
        own.loss_curve_.append(loss)
        if own.verbose:
            print(f"Iteration {own.n_iter_}, loss = {loss:.8f}")
        if self.score is not None:
            self._look_at_score(own)
        else:
            self._look_at_loss(own, loss)
        self._set_rate(own)
        if own._no_improvement_count > own.n_iter_no_change:
            self._end(own)

    def _look_at_loss(self, own: Any, loss: float) -> None:
        own._no_improvement_count = own._no_improvement_count + 1 if loss > own.best_loss_ - own.tol else 0
        own.best_loss_ = min(own.best_loss_, loss)

    def _look_at_score(self, own: Any) -> None:
        score = self.score(self.model)
        own.validation_scores_.append(score)
        if own.verbose:
            print(f"Validation score: {score:f}")
        own._no_improvement_count = own._no_improvement_count + 1 if score < own.best_validation_score_ + own.tol else 0
        if score > own.best_validation_score_:
            own.best_validation_score_ = score
            self.best = self.model.get_weights()

    def _set_rate(self, own: Any) -> None:
        if own.solver == "sgd" and own.learning_rate == "invscaling":
            self._change_rate(own.learning_rate_init / (own.t_ + 1) ** own.power_t)

    def _change_rate(self, rate: float) -> None:
        self.model.optimizer.lr = rate

    def _end(self, own: Any) -> None:
        what = "Validation score" if self.score is not None else "Training loss"
        said = f"{what} did not improve more than tol={own.tol:f} for {own.n_iter_no_change} consecutive epochs."
        rate = self.model.optimizer.lr
        if own.solver == "sgd" and own.learning_rate == "adaptive" and rate > 1e-6:
            self._change_rate(rate / 5.0)
            own._no_improvement_count = 0
            if own.verbose:
                print(f"{said} Setting learning rate to {rate / 5.0:f}")
            return
        if own.verbose:
            small = "Learning rate too small. " if own.solver == "sgd" and own.learning_rate == "adaptive" else ""
            print(f"{said} {small}Stopping.")
        if not self.is_partial:
            self.model.stop_training = True
