"""scikit-learn's callbacks (since 1.9), which ``set_callbacks`` sets: each epoch of a fit is a task that they see begin and end."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any

from ..callbacks import Callback


class Watch(Callback):
    """Calls the callbacks of scikit-learn that an estimator has.

    Parameters
    ----------
    estimator : Estimator
    X, y : array_like
        What `fit` was called with. A callback may compute a score of them.
    metadata : dict
        Further arguments of `fit` that have a row for each sample.
    """

    def __init__(self, estimator: Any, X: Any, y: Any, metadata: dict[str, Any]) -> None:
        self.estimator = estimator
        self.data = {"X": X, "y": y, "metadata": metadata}
        self.fit: Any = None
        self.epoch: Any = None

    def get_state(self) -> dict[str, Any]:
        return {}

    def _fitted(self) -> dict[str, Any]:
        """What makes a copy of the estimator one that was fitted until now. It costs a copy of the model, so only on request."""
        return {"_model": copy.deepcopy(self.model)}

    def on_train_begin(self, logs: Any = None) -> None:
        self.fit = self.estimator._init_callback_context(max_subtasks=self.params["epochs"])
        self.fit.call_on_fit_task_begin(estimator=self.estimator, **self.data)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.epoch = self.fit.subcontext(task_name="epoch")
        self.epoch.call_on_fit_task_begin(estimator=self.estimator, **self.data)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if self.epoch.call_on_fit_task_end(estimator=self.estimator, reconstruction_attributes=self._fitted, **self.data):
            self.model.stop_training = True

    def on_train_end(self, logs: Any = None) -> None:
        self.fit.call_on_fit_task_end(estimator=self.estimator, reconstruction_attributes=self._fitted, **self.data)


def all_of(estimator: Any, given: Any) -> list[Any]:
    """Return the callbacks of a fit: those of the parameter ``callbacks``, and a `Watch` if scikit-learn's are set."""
    own = [] if given is None else list(given) if isinstance(given, Iterable) else [given]
    watched = vars(estimator).get("_watched")
    return own if watched is None else [*own, Watch(estimator, *watched)]
