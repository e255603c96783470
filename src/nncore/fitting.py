"""The loops behind fit, evaluate and predict: they call the core chunk by chunk and the callbacks in between.

A call into the core returns at a step boundary after at most about 50 ms, so that Ctrl-C, callbacks and bars work. Where a
callback overrides a hook of single batches, each call does one step.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence, Sized
from contextlib import contextmanager
from itertools import chain, islice
from typing import TYPE_CHECKING, Any

import numpy as np

from . import _core, binding
from .binding import Data
from .callbacks.base import CallbackList, Logs
from .compiled import Compiled
from .errors import ArgumentError, EmptyDataError
from .history import History
from .progress import Progress
from .records import Shape
from .schedules import learning_rates

if TYPE_CHECKING:
    from .compiling import Compilable

#: Whether validation follows an epoch, which is counted from 0.
Due = Callable[[int], bool]
#: Makes the batches of an evaluation; told whether a callback wants to see them one by one.
Parts = Callable[[bool], Iterable[Data]]


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
        self, model: Compilable, config: Compiled, data: Data, rows: np.ndarray | None, batch_size: int | None, shuffle: bool
    ) -> None:
        n = data.rows if rows is None else len(rows)
        self.model, self.config, self.data, self.rows, self.n = model, config, data, rows, n
        self.batch = n if batch_size is None else min(batch_size, n)
        self.steps = -(-n // self.batch)
        self.shuffle = shuffle and self.steps > 1  # the order within a single batch does not matter
        self._order = rows
        self._is_stateful = model._is_stateful()
        self._lr: Any = None
        self._rates = np.empty(0)  # of every step of an epoch, where the learning rate is the constant _lr
        if self.shuffle:
            self._permutation = np.empty(n, np.int64)
            self._order = self._permutation if rows is None else np.empty(n, np.int64)

    def check(self, begun: Progress) -> None:
        """Raise ArgumentError where training cannot go on from there with these data."""
        begun.check(self.model, self.batch, self.n, self.shuffle)

    def settle(self) -> None:
        """Let the data settle the shapes of the model: they did when they were bound."""

    def ready(self) -> bool:
        """Whether there are data for another epoch."""
        return True

    def run(self, epoch: int, begun: Progress | None, callbacks: CallbackList) -> tuple[Logs, np.ndarray, bool]:
        """Train for one epoch, or for what is left of one; return its logs, the loss of each step, and whether it is complete."""
        model, config, data, steps = self.model, self.config, self.data, self.steps
        first = 0 if begun is None else begun.done(model)
        if not first and self._is_stateful:
            model.reset_states()  # an epoch begins where the data do
        start = model.step - first
        self._reorder(start)
        losses, sums = np.empty(steps), config.sums()
        if begun is not None and first:
            losses[:first], sums[:] = begun.losses, begun.copied(model).sums
        place = (self.batch, self.n, self.shuffle)
        model._progress = Progress(epoch, start, *place, losses, sums, ask=callbacks.states)
        single = callbacks.wants("on_train_batch_begin", "on_train_batch_end")
        watched = callbacks.wants("on_train_chunk_end")
        done = first
        lr: Any = None
        while done < steps and not (done > first and model.stop_training):
            if single:
                callbacks.call("on_train_batch_begin", done, {})
            if single or lr is not config.optimizer.lr:
                lr = config.optimizer.lr
                rates, ahead = self._learning_rates(lr, 1 if single else steps - done), done
            end = done + 1 if single else steps
            room = rates[done - ahead :], losses[done:end]
            row = done * self.batch
            with model._access.training():
                model._be_ready(config, data)
                done += model._train(
                    data.x, data.y, data.weight, self._order, self.batch, row, end - done, *room, sums, data.lengths
                )
            if single or watched:
                logs = config.logs(config.epoch(losses[:done], sums), sums)
                callbacks.call("on_train_batch_end", done - 1, logs)
                callbacks.call("on_train_chunk_end", done, logs)
        return config.logs(config.epoch(losses[:done], sums), sums), losses[first:done], done == steps

    def _learning_rates(self, lr: Any, count: int) -> np.ndarray:
        """Give the rates of the next steps of an epoch; a constant fills its array once."""
        if callable(lr):
            return learning_rates(lr, self.model.step, count)
        if lr is not self._lr:
            self._lr, self._rates = lr, learning_rates(lr, self.model.step, self.steps)
        return self._rates[:count]

    def _reorder(self, start: int) -> None:
        """Draw the order of this epoch.

        It belongs to the seed and the number of updates before the epoch: training on never repeats an order, and resuming does.
        """
        if self.shuffle:
            _core.shuffle(self._permutation, self.model.seed, start)
            if self.rows is not None:
                np.take(self.rows, self._permutation, out=self._order)


class Batches:
    """Training on batches that come ready-made, one step each.

    Parameters
    ----------
    model : Model
    config : Compiled
    source : iterable
        Of batches. Without ``steps`` every epoch goes through it anew, and a generator lasts for one; with ``steps`` every epoch
        takes so many from where the last one ended.
    bind : callable
        Turns what the source yields into `Data`.
    steps : int, optional
        Steps per epoch.
    """

    def __init__(
        self, model: Compilable, config: Compiled, source: Iterable[Any], bind: Callable[[Any], Data], steps: int | None = None
    ) -> None:
        self.model, self.config, self.source, self.bind = model, config, source, bind
        self.steps = steps or (len(source) if isinstance(source, Sized) else 0)
        self._flows = steps is not None
        self._iterator: Iterator[Any] | None = None
        self._ahead: list[Any] = []  # the batch that was looked at to see whether there is one
        self._used_up = False
        self._opened: Iterator[Any] | None = None  # the first epoch, where it was looked at

    def check(self, begun: Progress) -> None:
        """Raise ArgumentError where training cannot go on from there with these data."""
        done = begun.check(self.model, 0, 0, False)
        if self._flows and done > self.steps:
            raise ArgumentError(
                f"fit(resume=True): training stopped after {done} steps of an epoch, and now an epoch has {self.steps} "
                "(steps_per_epoch); pass at least as many, or begin an epoch with resume=False"
            )

    def settle(self) -> None:
        """Let the first batch settle the shapes of a model that has none yet, so that callbacks may ask for them."""
        if self.model.built:
            return
        batches = self._batches(0)
        seen = list(islice(batches, 1))
        if not seen:
            raise EmptyDataError("fit: there are no batches")
        self.bind(seen[0])
        self._opened = chain(seen, batches)

    def ready(self) -> bool:
        """Whether there is a batch for another epoch; a source that flows on and has run dry ends training, with a warning."""
        if not self._flows or self._iterator is None or self._opened is not None:
            return True
        self._ahead = self._ahead or list(islice(self._iterator, 1))
        if not self._ahead:
            self._dry()
        return bool(self._ahead)

    def run(self, epoch: int, begun: Progress | None, callbacks: CallbackList) -> tuple[Logs, np.ndarray, bool]:
        """Train for one epoch, or for what is left of one; return its logs, the loss of each step, and whether it is complete."""
        model, config = self.model, self.config
        first = 0 if begun is None else begun.done(model)
        # A source that flows on is one long series; else an epoch begins where the data do.
        if (begun is None and self._iterator is None if self._flows else not first) and model._is_stateful():
            model.reset_states()
        batches, self._opened = self._opened or self._batches(first), None
        losses, sums = np.empty(first), config.sums()
        if begun is not None and first:
            losses[:], sums[:] = begun.losses, begun.copied(model).sums
        progress = Progress(epoch, model.step - first, losses=losses, sums=sums, ask=callbacks.states)
        model._progress = progress
        watched = callbacks.wants("on_train_batch_end", "on_train_chunk_end")
        done, complete = first, True
        for given in batches:
            batch = self.bind(given)
            callbacks.call("on_train_batch_begin", done, {})
            if done == len(losses):
                progress.losses = losses = np.concatenate([losses, np.empty(done + 64)])
            rates = learning_rates(config.optimizer.lr, model.step, 1)
            room = losses[done : done + 1]
            with model._access.training():
                model._be_ready(config, batch)
                model._train(batch.x, batch.y, batch.weight, None, batch.rows, 0, 1, rates, room, sums, batch.lengths)
            done += 1
            if watched:
                logs = config.logs(config.epoch(losses[:done], sums), sums)
                callbacks.call("on_train_batch_end", done - 1, logs)
                callbacks.call("on_train_chunk_end", done, logs)
            if model.stop_training and done != self.steps:
                complete = False
                break
        if not done:
            raise EmptyDataError("fit: there are no batches")
        if self._flows and complete and done < self.steps:
            self._dry()
        return config.logs(config.epoch(losses[:done], sums), sums), losses[first:done], complete

    def _batches(self, first: int) -> Iterator[Any]:
        """The batches of an epoch of which ``first`` are done."""
        if self._flows:
            self._iterator = iter(self.source) if self._iterator is None else self._iterator
            ahead, self._ahead = self._ahead, []
            return islice(chain(ahead, self._iterator), self.steps - first)
        if self._used_up:
            raise ArgumentError(
                "fit: a generator of batches lasts for one epoch; pass something that can be iterated again, or steps_per_epoch"
            )
        batches = iter(self.source)
        self._used_up = batches is self.source
        if not self._used_up and len(list(islice(batches, first))) < first:  # a generator stands where it was left
            raise ArgumentError(f"fit(resume=True): training stopped after {first} batches of an epoch, but there are fewer")
        return batches

    def _dry(self) -> None:
        warnings.warn(
            f"fit: the batches have run out, so that training ends; {self.steps} are needed for every epoch (steps_per_epoch)",
            stacklevel=4,
        )
        self.model.stop_training = True


def fit(
    model: Compilable,
    config: Compiled,
    source: Epochs | Batches,
    validation: Parts | None,
    due: Due,
    epochs: range,
    begun: Progress | None,
    history: History,
    hooks: CallbackList,
) -> None:
    """Run epochs, validating after those where it is due, until the last one or until a callback says stop."""
    logs: Logs = {}
    with running(model, history, hooks):
        source.settle()
        hooks.call("on_train_begin", {})
        if begun is not None:
            hooks.restore(begun.states or ())
            source.check(begun)  # a callback may have trained
            model._progress = copy.copy(begun)
            model._progress.states, model._progress.ask = None, hooks.states
        else:
            model._progress = Progress(epochs.start, model.step, ask=hooks.states)
        for epoch in epochs:
            if not source.ready():
                break
            hooks.call("on_epoch_begin", epoch, {})
            logs, losses, complete = source.run(epoch, begun, hooks)
            begun = None
            history.record_steps(losses)
            if validation is not None and due(epoch):
                logs |= validated(model, config, validation, hooks)
            if complete:
                model._progress = Progress(epoch + 1, model.step, ask=hooks.states)
                hooks.call("on_epoch_end", epoch, logs)
            else:  # as the epoch may be resumed, what callbacks make of a part of it is not for good
                model._progress.states = hooks.states()
                lr = config.optimizer.lr
                hooks.call("on_epoch_end", epoch, logs)
                config.optimizer.lr = lr
            if model.stop_training:
                break
        hooks.call("on_train_end", logs)


@contextmanager
def running(model: Compilable, history: History, hooks: CallbackList) -> Iterator[None]:
    """What a loop behind fit stands in, the model being entered for it: however the loop ends, training can be resumed."""
    try:
        model.history, model.stop_training = history, False
        yield
    finally:
        _core.uninterrupted(lambda: _close(model, hooks))


def _close(model: Compilable, hooks: CallbackList) -> None:
    try:
        if model._progress is not None:
            model._progress.freeze(model)
    finally:
        hooks.close()


def validated(model: Compilable, config: Compiled, validation: Parts, hooks: CallbackList) -> Logs:
    """What `evaluate` gives in the midst of training, under names of validation. Sequences may have another length."""
    before = model.input_shapes
    try:
        found = evaluate(model, config, validation(hooks.wants("on_test_batch_begin", "on_test_batch_end")), hooks)
    finally:
        model._stretch(before)
    return {f"val_{name}": value for name, value in found.items()}


def evaluate(model: Compilable, config: Compiled, parts: Iterable[Data], callbacks: CallbackList) -> Logs:
    """Loss and metrics of all rows of all parts."""
    total, sums = np.zeros((len(config.losses), 2)), config.sums()
    with model._access.reading():
        model._stay_with(config)
        penalty = model._penalty()
    callbacks.call("on_test_begin", {})
    watched = callbacks.wants("on_test_batch_begin", "on_test_batch_end")
    rows = 0
    for batch, part in enumerate(parts):
        callbacks.call("on_test_batch_begin", batch, {})
        rows += part.rows
        first = 0
        while first < part.rows:
            model._access.pass_gate()
            with model._access.reading():
                model._be_ready(config, part)
                first = model._evaluate(part.x, part.y, part.weight, first, total, sums, part.lengths)
        if watched:
            callbacks.call("on_test_batch_end", batch, config.evaluated(total, sums, penalty))
    if not rows:
        raise EmptyDataError("evaluate: there are no batches")
    logs = config.evaluated(total, sums, penalty)
    callbacks.call("on_test_end", logs)
    return logs


def predict(
    model: Compilable,
    x: list[np.ndarray],
    outputs: list[np.ndarray],
    shapes: Sequence[Shape],
    callbacks: CallbackList,
    batch_size: int | None,
    lengths: np.ndarray | None = None,
) -> None:
    """Write the outputs of all rows, which were bound for inputs of these shapes."""
    callbacks.call("on_predict_begin", {})
    whole = Data(x, outputs, None, lengths, shapes)
    for batch, part in enumerate(parts(whole, batch_size, callbacks.wants("on_predict_batch_begin", "on_predict_batch_end"))):
        _predict_batch(model, batch, part, callbacks)
    callbacks.call("on_predict_end", {})


def predict_batches(model: Compilable, batches: Iterable[Any], callbacks: CallbackList) -> list[np.ndarray]:
    """The outputs for the rows of all batches."""
    found: list[list[np.ndarray]] = []
    callbacks.call("on_predict_begin", {})
    for number, batch in enumerate(batches):
        with model._access.reading():
            x = binding.inputs(model, binding.samples_of(model, batch))
            part = Data(x, room(model, x), None, None, model.input_shapes)
        _predict_batch(model, number, part, callbacks)
        found.append(part.y)
    callbacks.call("on_predict_end", {})
    if not found:
        raise EmptyDataError("predict: there are no batches")
    return [np.concatenate(each) for each in zip(*found, strict=True)]


def room(model: Compilable, x: list[np.ndarray]) -> list[np.ndarray]:
    """Arrays for the outputs of these rows."""
    return [np.empty((len(x[0]), *shape), model.dtype) for shape in model.output_shapes]


def _predict_batch(model: Compilable, batch: int, part: Data, callbacks: CallbackList) -> None:
    callbacks.call("on_predict_batch_begin", batch, {})
    first = 0
    while first < part.rows:
        with model._access.reading():
            model._suit(part)
            first = model._predict(part.x, part.y, first, None if part.lengths is None else (part.lengths, None, None))
    callbacks.call("on_predict_batch_end", batch, {"outputs": part.y[0] if len(part.y) == 1 else part.y})


def parts(data: Data, batch_size: int | None, split: bool) -> Iterable[Data]:
    """All rows at once, or batches where a callback wants to see them."""
    size = batch_size or 32
    return (data.take(slice(i, i + size)) for i in range(0, data.rows, size)) if split else (data,)
