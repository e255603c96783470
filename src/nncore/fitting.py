"""The loops behind fit, evaluate and predict: they call the core chunk by chunk and the callbacks in between.

A call into the core returns at a step boundary after at most about 50 ms, so that Ctrl-C, callbacks and bars work. Where a
callback overrides a hook of single batches, each call does one step.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sized
from typing import TYPE_CHECKING, Any

import numpy as np

from . import _core
from .binding import Data
from .callbacks.base import CallbackList, Logs
from .compiled import Compiled
from .errors import ArgumentError, EmptyDataError
from .history import History
from .schedules import learning_rates

if TYPE_CHECKING:
    from .model import Model


class Epochs:
    """Training on arrays: one call of `run` is one epoch.

    Parameters
    ----------
    model : Model
    config : Compiled
    data : Data
        All rows, those for validation included.
    rows : numpy.ndarray or None
        The rows that train, int64; None for all.
    batch_size : int or None
    shuffle : bool
    """

    def __init__(
        self, model: Model, config: Compiled, data: Data, rows: np.ndarray | None, batch_size: int | None, shuffle: bool
    ) -> None:
        n = data.rows if rows is None else len(rows)
        self.model, self.config, self.data, self.rows = model, config, data, rows
        self.batch = n if batch_size is None else min(batch_size, n)
        self.steps = -(-n // self.batch)
        self.shuffle = shuffle and self.steps > 1  # the order within a single batch does not matter
        self._starts = np.arange(self.steps) * self.batch
        self._counts = np.minimum(n - self._starts, self.batch).astype(np.float64)
        self._order = rows
        if self.shuffle:
            self._permutation = np.empty(n, np.int64)
            self._order = self._permutation if rows is None else np.empty(n, np.int64)

    def run(self, callbacks: CallbackList) -> tuple[Logs, np.ndarray]:
        """Train for one epoch; return its logs and the loss of each step."""
        model, config, data, steps = self.model, self.config, self.data, self.steps
        counts = self._reorder()
        single = callbacks.wants("on_train_batch_begin", "on_train_batch_end")
        watched = callbacks.wants("on_train_chunk_end")
        losses, sums, done = np.empty(steps), config.sums(), 0
        lr: Any = None
        while done < steps and not (done and model.stop_training):
            if single:
                callbacks.call("on_train_batch_begin", done, {})
            if single or lr is not config.optimizer.lr:
                lr = config.optimizer.lr
                rates, ahead = learning_rates(lr, model.step, 1 if single else steps - done), done
            end = done + 1 if single else steps
            room = rates[done - ahead :], losses[done:end]
            first = done * self.batch
            done += model._train(data.x, data.y, data.weight, self._order, self.batch, first, end - done, *room, sums)
            if single or watched:
                logs = config.logs(config.reduce(losses[:done], counts[:done]), sums)
                callbacks.call("on_train_batch_end", done - 1, logs)
                callbacks.call("on_train_chunk_end", done, logs)
        losses = losses[:done]
        return config.logs(config.reduce(losses, counts[:done]), sums), losses

    def _reorder(self) -> np.ndarray:
        """Draw the order of this epoch; return how much each step counts in the loss of the epoch.

        The order belongs to the seed and the number of updates done so far: training on never repeats an order, and resuming does.
        """
        if self.shuffle:
            _core.shuffle(self._permutation, self.model.seed, self.model.step)
            if self.rows is not None:
                np.take(self.rows, self._permutation, out=self._order)
        weight = self.data.weight
        if self.config.reduction != "mean_with_sample_weight" or weight is None:
            return self._counts
        sums: np.ndarray = np.add.reduceat(weight if self._order is None else weight[self._order], self._starts)
        return sums


class Batches:
    """Training on batches that come ready-made, one step each.

    Parameters
    ----------
    model : Model
    config : Compiled
    source : iterable
        Of batches, anew for every epoch.
    bind : callable
        Turns what the source yields into `Data`.
    """

    def __init__(self, model: Model, config: Compiled, source: Iterable[Any], bind: Callable[[Any], Data]) -> None:
        self.model, self.config, self.source, self.bind = model, config, source, bind
        self.steps = len(source) if isinstance(source, Sized) else 0
        self._used_up = False

    def run(self, callbacks: CallbackList) -> tuple[Logs, np.ndarray]:
        """Train for one epoch; return its logs and the loss of each step."""
        if self._used_up:
            raise ArgumentError("fit: a generator of batches lasts for one epoch; pass something that can be iterated again")
        batches = iter(self.source)
        self._used_up = batches is self.source
        model, config, sums = self.model, self.config, self.config.sums()
        losses, counts = np.empty(0), np.empty(0)
        watched = callbacks.wants("on_train_batch_end", "on_train_chunk_end")
        for step, given in enumerate(batches):
            batch = self.bind(given)
            callbacks.call("on_train_batch_begin", step, {})
            if step == len(losses):
                losses, counts = (np.concatenate([a, np.empty(step + 64)]) for a in (losses, counts))
            rates = learning_rates(config.optimizer.lr, model.step, 1)
            model._train(batch.x, batch.y, batch.weight, None, batch.rows, 0, 1, rates, losses[step : step + 1], sums)
            weighted = config.reduction == "mean_with_sample_weight" and batch.weight is not None
            counts[step] = batch.weight.sum() if weighted and batch.weight is not None else batch.rows
            if watched:
                logs = config.logs(config.reduce(losses[: step + 1], counts[: step + 1]), sums)
                callbacks.call("on_train_batch_end", step, logs)
                callbacks.call("on_train_chunk_end", step + 1, logs)
            if model.stop_training:
                break
        if not len(losses):
            raise EmptyDataError("fit: there are no batches")
        losses, counts = losses[: step + 1], counts[: step + 1]
        return config.logs(config.reduce(losses, counts), sums), losses


def fit(
    model: Model,
    config: Compiled,
    source: Epochs | Batches,
    validation: Data | None,
    epochs: range,
    batch_size: int | None,
    history: History,
    hooks: CallbackList,
) -> None:
    """Run epochs, validating after each, until the last one or until a callback says stop."""
    logs: Logs = {}
    model.stop_training = False
    try:
        hooks.call("on_train_begin", {})
        for epoch in epochs:
            hooks.call("on_epoch_begin", epoch, {})
            logs, losses = source.run(hooks)
            history.record_steps(losses)
            if validation is not None:
                logs |= {f"val_{name}": value for name, value in evaluate(model, config, validation, hooks, batch_size).items()}
            hooks.call("on_epoch_end", epoch, logs)
            if model.stop_training:
                break
        hooks.call("on_train_end", logs)
    finally:
        hooks.close()


def evaluate(model: Model, config: Compiled, data: Data, callbacks: CallbackList, batch_size: int | None) -> Logs:
    """Loss and metrics of all rows."""
    total, sums = np.zeros((len(data.y), 2)), config.sums()
    callbacks.call("on_test_begin", {})
    watched = callbacks.wants("on_test_batch_begin", "on_test_batch_end")
    for batch, part in enumerate(_parts(data, batch_size, watched)):
        callbacks.call("on_test_batch_begin", batch, {})
        first = 0
        while first < part.rows:
            first = model._evaluate(part.x, part.y, part.weight, first, total, sums)
        if watched:
            callbacks.call("on_test_batch_end", batch, config.logs(config.total(total), sums))
    logs = config.logs(config.total(total), sums)
    callbacks.call("on_test_end", logs)
    return logs


def predict(model: Model, x: list[np.ndarray], callbacks: CallbackList, batch_size: int | None) -> list[np.ndarray]:
    """The outputs for all rows."""
    rows = len(x[0])
    outputs = [np.empty((rows, *shape), model.dtype) for shape in model.output_shapes]
    callbacks.call("on_predict_begin", {})
    whole = Data(x, outputs, None)
    for batch, part in enumerate(_parts(whole, batch_size, callbacks.wants("on_predict_batch_begin", "on_predict_batch_end"))):
        callbacks.call("on_predict_batch_begin", batch, {})
        first = 0
        while first < part.rows:
            first = model._predict(part.x, part.y, first)
        callbacks.call("on_predict_batch_end", batch, {"outputs": part.y[0] if len(part.y) == 1 else part.y})
    callbacks.call("on_predict_end", {})
    return outputs


def _parts(data: Data, batch_size: int | None, split: bool) -> Iterable[Data]:
    """All rows at once, or batches where a callback wants to see them."""
    size = batch_size or 32
    return (data.take(slice(i, i + size)) for i in range(0, data.rows, size)) if split else (data,)
