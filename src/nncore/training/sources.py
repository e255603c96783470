"""Sources of training data: arrays, or batches that the user has made. One call of `run` is an epoch.

A call into the core returns between two steps, after at most about 50 ms, so that Ctrl-C, callbacks and progress bars work. If a
callback overrides a batch hook, each call runs one step.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import chain, islice
from math import isfinite
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import _core
from .._checks import warn
from ..data.batches import length_of
from ..data.bound import Data
from ..errors import ArgumentError, EmptyDataError
from ..schedules.rates import learning_rates
from .configuration import Configuration
from .hooks import CallbackList, Learner, Logs
from .logs import LazyLogs, show
from .progress import Progress
from .ranks.batches import BatchesOfRanks
from .ranks.epoch import RanksOfFit
from .ranks.rows import Rows
from .trainer import ensure_ready

if TYPE_CHECKING:
    from .alarm import Alarm
    from .configuration import Sums
    from .ranks.base import Ranks

#: Takes the losses of steps, in order.
Record = Callable[[np.ndarray], None]

_FEW = 1 << 10  # the number of losses of ready-made batches that are in memory at a time
_NONE = np.empty(0)
_AHEAD = 1 << 16  # the most steps whose rates and losses are in memory at a time


class ArraySource:
    """Training on arrays. One call of `run` is one epoch.

    Parameters
    ----------
    model : Model
    config : Configuration
    data : Data
        All rows, including those for validation.
    rows : numpy.ndarray or None
        The rows for training, int64; None for all.
    batch_size : int or None
    shuffle : bool or generator of NumPy
        A generator draws the orders of the rows, each from the one before.
    accumulate : int
        Number of batches of a step.
    """

    def __init__(
        self,
        model: Learner,
        config: Configuration,
        data: Data,
        rows: np.ndarray | None,
        batch_size: int | None,
        shuffle: Any,
        accumulate: int = 1,
    ) -> None:
        n = data.rows if rows is None else len(rows)
        self.own: Rows | None = None  # with other ranks, see `join`
        self.shared: RanksOfFit | None = None
        self._asked = batch_size, shuffle
        self.model, self.network, self.config, self.data, self.rows, self.n = model, model._network, config, data, rows, n
        self.batch = n if batch_size is None else min(batch_size, n)
        self.accumulate = accumulate
        self.steps = -(-n // max(self.batch * accumulate, 1))
        self.shuffle = bool(shuffle) and self.batch < n  # the order of rows within a single batch has no effect
        self._generator = None if isinstance(shuffle, bool) else shuffle
        self.order = rows
        self._is_stateful = self.network.is_stateful
        self._lr: Any = None
        self._rates = _NONE  # the rate of every step, if the learning rate is the constant _lr
        if self.shuffle or self._generator is not None:
            self._permutation = np.arange(n, dtype=np.int64) if self._generator is not None else np.empty(n, np.int64)
        if self.shuffle:
            self.order = self._permutation if rows is None else np.empty(n, np.int64)
        self._given = self.order  # the order of all rows; with ranks, `order` is that of one's own

    def blocks(self) -> Iterator[tuple[Data, np.ndarray | None, float]]:
        """Return all rows as one block, for optimizers that need them."""
        yield self.data, self.rows, 1.0

    def join(self, ranks: Ranks) -> None:
        """Take this rank's part of every batch from now on."""
        batch_size, shuffle = self._asked
        n = self.n
        self.own = Rows(ranks, n, batch_size, self._is_stateful)
        self.shared = RanksOfFit(ranks, self.model, self.config)
        self.n, self.batch, self.steps = self.own.total, self.own.batch_size, self.own.steps(self.accumulate)
        if not self.n:
            raise EmptyDataError("fit: no rank has any rows")
        self.shuffle = bool(shuffle) and self.batch < self.n
        if self.shuffle:
            self._permutation = np.arange(n, dtype=np.int64)
            self._given = self._permutation if self.rows is None else np.empty(n, np.int64)
        else:
            self.order = self.own.order(self.rows)

    def check(self, resume_from: Progress) -> None:
        """Raise ArgumentError if training cannot be resumed with these data."""
        if self._generator is not None:
            raise ArgumentError("fit(resume=True): the orders that a generator has drawn are gone; pass shuffle=True or False")
        resume_from.check(self.network.plan.step, self.batch, self.n, self.shuffle, self.accumulate)

    def infer_shapes(self) -> None:
        """Build the model if necessary. There is nothing to do: the arrays were bound, which built it."""

    def has_next_epoch(self) -> bool:
        """Return whether there are data for another epoch."""
        return True

    def run(
        self, epoch: int, resume_from: Progress | None, callbacks: CallbackList, record: Record, alarm: Alarm
    ) -> tuple[Logs, bool]:
        """Train for one epoch, or for the rest of one. Return its logs, and whether it is complete."""
        model, network, config, data, steps = self.model, self.network, self.config, self.data, self.steps
        plan = network.plan
        first = 0 if resume_from is None else resume_from.steps_done(plan.step)
        if not first and self._is_stateful:
            model.reset_states()  # an epoch begins where the data do
        start = plan.step - first
        self._reorder(start)
        sums, loss = config.sums(keeps=self.shared is not None), float("nan")
        if resume_from is not None and first:
            sums.resume(resume_from.snapshot(network.plan.step).sums)
        place = (self.batch, self.n, self.shuffle)
        plan.trainer.progress = Progress(epoch, start, *place, steps, sums, get_states=callbacks.states, accumulate=self.accumulate)
        single = callbacks.wants("on_train_batch_begin", "on_train_batch_end")
        watched = callbacks.wants("on_train_chunk_end")
        shared = self.shared
        if shared is not None:
            single, watched = shared.begin_epoch(self, single, watched)
        done, used = first, 0
        losses, lr, rates, ahead = np.empty(min(steps - first, _AHEAD)), None, _NONE, first
        while done < steps and not (done > first and model.stop_training):
            if single:
                callbacks.call("on_train_batch_begin", done, {})
            if single or lr is not config.optimizer.lr or done - ahead == len(rates):
                lr = config.optimizer.lr
                rates, ahead = self._learning_rates(lr, 1 if single else min(steps - done, _AHEAD)), done
            if used == len(losses):
                record(losses)
                losses, used = np.empty(min(steps - done, _AHEAD)), 0
            most = min(len(rates) - done + ahead, len(losses) - used)
            due, room, row = rates[done - ahead :], losses[used:], done * self.batch * self.accumulate
            if shared is not None:
                new = shared.run(self, done, most, due, room, sums)
            else:
                with network.access.training():
                    ensure_ready(network, config, data)
                    xs, ys, weights, lengths = data.x, data.y, data.weight, data.lengths
                    new = plan.train(xs, ys, weights, self.order, self.batch, row, most, due, room, sums, lengths, self.accumulate)
            done, used, loss = done + new, used + new, losses.item(used + new - 1)
            if not isfinite(loss):
                alarm.watch(loss, epoch, done, losses[:used])
            if single or watched:
                _show(callbacks, config, done, loss, sums if shared is None else shared.total(sums))
                if shared is not None:
                    shared.agree_to_stop()
        record(losses[:used])
        if shared is not None:
            sums = shared.end_epoch(sums)
        loss = config.epoch(done, loss, sums)
        if not isfinite(loss):
            alarm.watch(loss, epoch, done, losses[:used])
        return config.logs(loss, sums), done == steps

    def _learning_rates(self, lr: Any, count: int) -> np.ndarray:
        """Return the rates of the next steps of an epoch. For a constant rate the array is filled only once."""
        if callable(lr):
            return learning_rates(lr, self.network.plan.step, count)
        if lr is not self._lr:
            self._lr, self._rates = lr, learning_rates(lr, self.network.plan.step, min(self.steps, _AHEAD))
        return self._rates[:count]

    def _reorder(self, start: int) -> None:
        """Draw the order of the rows for this epoch.

        It depends only on the seed and the number of updates before the epoch. So further training gets a new order, and resumed
        training gets the same one. A generator of the user draws the next order instead.
        """
        if self._generator is not None:
            self._generator.shuffle(self._permutation)
        elif self.shuffle:
            _core.shuffle(self._permutation, self.network.plan.seed, start)
        if self.shuffle and self.rows is not None:
            np.take(self.rows, self._permutation, out=self._given)
        if self.shuffle and self.own is not None:
            self.order = self.own.order(self._given)


class BatchSource:
    """Training on batches that the user has made. Each batch, or each group of batches, is one step.

    Parameters
    ----------
    model : Model
    config : Configuration
    source : iterable
        The batches. Without ``batches`` every epoch iterates over it from the start, so a generator is enough for one epoch only.
        With ``batches`` every epoch takes this number of batches and continues where the last epoch stopped.
    bind : callable
        Converts an element of the source into `Data`.
    batches : int, optional
        Batches per epoch.
    accumulate : int
        Number of batches of a step.
    """

    def __init__(
        self,
        model: Learner,
        config: Configuration,
        source: Iterable[Any],
        bind: Callable[[Any], Data],
        batches: int | None = None,
        accumulate: int = 1,
    ) -> None:
        self.model, self.network, self.config, self.source, self.bind = model, model._network, config, source, bind
        self.batches, self.accumulate = batches or length_of(source) or 0, accumulate  # 0: not known
        self.steps = -(-self.batches // accumulate)
        self._is_endless = batches is not None
        self._iterator: Iterator[Any] | None = None
        self._ahead: list[Any] = []  # a batch that was taken to test whether there is one
        self._used_up = False
        self.shared: RanksOfFit | None = None
        self._of_ranks: BatchesOfRanks | None = None
        self._opened: Iterator[Any] | None = None  # batches of the first epoch, if one was needed to build the model

    def blocks(self) -> Iterator[tuple[Data, None, float]]:
        """Return all batches, each with its share in the mean, for optimizers that need all rows."""
        given: Any = self.source
        return ((self.bind(batch), None, share) for batch, share in zip(given, given.shares, strict=True))

    def join(self, ranks: Ranks) -> None:
        """Do steps together with the batches of other ranks from now on."""
        self.shared = RanksOfFit(ranks, self.model, self.config)
        self._of_ranks = BatchesOfRanks(ranks, self.network, self.config, self.accumulate)
        steps = ranks.exchange(self.steps)
        self.steps = max(steps) if all(steps) else 0

    def check(self, resume_from: Progress) -> None:
        """Raise ArgumentError if training cannot be resumed with these data."""
        done = resume_from.check(self.network.plan.step, 0, 0, False, self.accumulate)
        if self._is_endless and done > self.steps:
            raise ArgumentError(
                f"fit(resume=True): training stopped after {done} steps of an epoch, and now an epoch has {self.steps} "
                "(steps_per_epoch); pass at least as many, or resume=False to start a new epoch"
            )

    def infer_shapes(self) -> None:
        """Build the model from the first batch if necessary, so that callbacks know its shapes."""
        if self.network.built:
            return
        batches = self._batches(0)
        seen = list(islice(batches, 1))
        if not seen:
            raise EmptyDataError("fit: there are no batches")
        self.bind(seen[0])
        self._opened = chain(seen, batches)

    def has_next_epoch(self) -> bool:
        """Return whether there is a batch for another epoch. If a source with ``batches`` is exhausted, warn and end training."""
        if not self._is_endless or self._iterator is None or self._opened is not None:
            return True
        self._ahead = self._ahead or list(islice(self._iterator, 1))
        goes_on = bool(self._ahead) if self.shared is None else self.shared.any_of(bool(self._ahead))[0]
        if not goes_on:
            self._warn_exhausted()
        return goes_on

    def run(
        self, epoch: int, resume_from: Progress | None, callbacks: CallbackList, record: Record, alarm: Alarm
    ) -> tuple[Logs, bool]:
        """Train for one epoch, or for the rest of one. Return its logs, and whether it is complete."""
        model, network, config = self.model, self.network, self.config
        first = 0 if resume_from is None else resume_from.steps_done(network.plan.step)
        # With ``batches`` the batches are one continuous sequence. Otherwise every epoch starts at the beginning of the data.
        if (resume_from is None and self._iterator is None if self._is_endless else not first) and network.is_stateful:
            model.reset_states()
        batches, self._opened = self._opened or self._batches(first), None
        sums, loss = config.sums(keeps=self.shared is not None), float("nan")
        if resume_from is not None and first:
            sums.resume(resume_from.snapshot(network.plan.step).sums)
        progress = Progress(epoch, network.plan.step - first, steps=first, sums=sums, get_states=callbacks.states)
        progress.accumulate = self.accumulate
        network.plan.trainer.progress = progress
        watched, shared = callbacks.wants("on_train_batch_end", "on_train_chunk_end"), self.shared
        if shared is not None:
            (watched,) = shared.any_of(watched)
        done, complete, losses, used = first, True, np.empty(_FEW), 0
        for group in self._groups(batches):
            counts = None
            if self._of_ranks is not None:
                aligned = self._of_ranks.align(group)
                if aligned is None:
                    break
                group, counts = aligned
            callbacks.call("on_train_batch_begin", done, {})
            if used == len(losses):
                record(losses)
                losses, used = np.empty(_FEW), 0
            rates = learning_rates(config.optimizer.lr, network.plan.step, 1)
            room = losses[used : used + 1]
            progress.steps = done + 1
            with network.access.training():
                if self._of_ranks is None or counts is None:
                    self._step(group, rates, room, sums)
                else:
                    self._of_ranks.step(group, counts, rates, room, sums)
            if shared is not None:
                shared.after_step(room, sum(each.rows for each in group), done + 1)
            done, used, loss = done + 1, used + 1, losses.item(used)
            if not isfinite(loss):
                alarm.watch(loss, epoch, done, losses[:used])
            if watched:
                _show(callbacks, config, done, loss, sums if shared is None else shared.total(sums))
            if shared is not None:
                shared.agree_to_stop()
            if model.stop_training and done != self.steps:
                complete = False
                break
        if not done:
            raise EmptyDataError("fit: there are no batches")
        if self._is_endless and complete and done < self.steps:
            self._warn_exhausted()
        record(losses[:used].copy())
        if shared is not None:
            sums = shared.end_epoch(sums)
        loss = config.epoch(done, loss, sums)
        if not isfinite(loss):
            alarm.watch(loss, epoch, done, losses[:used])
        return config.logs(loss, sums), complete

    def _groups(self, batches: Iterator[Any]) -> Iterator[list[Data]]:
        """Return the batches of each step."""
        while given := list(islice(batches, self.accumulate)):
            yield [self.bind(each) for each in given]
        while self.shared is not None:  # until those of the other ranks have run out, too
            yield []

    def _step(self, group: list[Data], rates: np.ndarray, loss: np.ndarray, sums: Sums) -> None:
        """Do a step on its batches, as if their rows were one batch. The caller holds the network's lock."""
        network, config, plan = self.network, self.config, self.network.plan
        if len(group) == 1:
            (batch,) = group
            ensure_ready(network, config, batch)
            plan.train(batch.x, batch.y, batch.weight, None, batch.rows, 0, 1, rates, loss, sums, batch.lengths)
            return
        totals = np.zeros(len(config.losses))
        for batch in group:
            ensure_ready(network, config, batch)
            totals += plan.total_weights(batch.x, batch.y, batch.weight, batch.lengths)
        if config.reduction == "sum":
            totals[:] = 1
        kept, own, whole = [None if each is None else each.copy() for each in sums], np.empty(1), 0.0
        try:
            for i, batch in enumerate(group):
                ensure_ready(network, config, batch)
                place, part = (None, batch.rows, 0, 1), (i, i == len(group) - 1, totals)
                plan.train(batch.x, batch.y, batch.weight, *place, rates, own, sums, batch.lengths, part=part)
                whole += float(own[0])
        except BaseException:
            sums[:] = kept  # the step has not been done
            raise
        loss[0] = whole

    def _batches(self, first: int) -> Iterator[Any]:
        """Return the batches of an epoch, without the first ``first`` ones, which are done."""
        if self._is_endless:
            self._iterator = iter(self.source) if self._iterator is None else self._iterator
            ahead, self._ahead = self._ahead, []
            return islice(chain(ahead, self._iterator), self.batches - first * self.accumulate)
        if self._used_up:
            raise ArgumentError(
                "fit: a generator of batches lasts for one epoch; pass something that can be iterated again, or steps_per_epoch"
            )
        batches = iter(self.source)
        self._used_up = batches is self.source
        past = first * self.accumulate
        if not self._used_up and len(list(islice(batches, past))) < past:  # a generator is already at the right batch
            raise ArgumentError(f"fit(resume=True): training stopped after {past} batches of an epoch, but there are fewer")
        return batches

    def _warn_exhausted(self) -> None:
        warn(f"fit: the batches have run out, so that training ends; {self.batches} are needed for every epoch (steps_per_epoch)")
        self.model.stop_training = True


def _show(callbacks: CallbackList, config: Configuration, done: int, loss: float, sums: Sums) -> None:
    """Call the hooks that follow steps of an epoch. loss: that of the last step."""

    def hooks(logs: LazyLogs) -> None:
        callbacks.call("on_train_batch_end", done - 1, logs)
        callbacks.call("on_train_chunk_end", done, logs)

    def compute(key: str) -> Any:
        return config.value(key, config.epoch(done, loss, sums), sums)

    show(hooks, config.log_keys, compute, config.costly_keys)
