"""Training, evaluation and prediction on data in parts, which are read while the model computes.

The unit is a block: rows that are read, checked and shuffled together. The core trains on a block as on arrays.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from math import isfinite
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import _core
from ..data import per_output
from ..data.ahead import Stoppable
from ..data.bound import Data, in_batches
from ..data.in_parts import as_parts
from ..data.partitioned.columns import naming
from ..data.partitioned.origin import Block, Chunk
from ..data.partitioned.source import BlockReader, Parts
from ..errors import ArgumentError, EmptyDataError, NncoreError
from ..network.features import check_named, remember_named
from ..network.prediction import bind_rows, joined, predict_rows
from ..schedules.rates import learning_rates
from . import binding
from .configuration import Configuration
from .hooks import CallbackList, Learner, Logs
from .logs import LazyLogs, show
from .progress import Progress
from .ranks import rows
from .sources import BatchSource
from .trainer import ensure_ready
from .validation import ValidationBatches, part_of

if TYPE_CHECKING:
    from ..network.network import Network
    from .alarm import Alarm
    from .configuration import Sums
    from .ranks.base import Ranks
    from .ranks.epoch import RanksOfFit
    from .sources import Record

#: Converts rows as a user would pass them: (x, y), (x, y, sample_weight), ...
Bind = Callable[..., Data]


def bind_block(parts: Parts, block: Block, bind: Bind) -> Data:
    """Convert the rows of a block. An error names the place of the row in the part that it is from."""
    try:
        return bind(*parts.fields(block.chunk))
    except NncoreError:
        start = 0
        for where, first, rows in block.made_of:
            chunk = block.chunk.take(start, start + rows)
            start += rows
            with naming(f"{where}, rows from {first}" if first else where):
                bind(*parts.fields(chunk))
        raise


class PartsSource:
    """Training on data in parts. One call of `run` is one epoch.

    Parameters
    ----------
    model : Model
    config : Configuration
    parts : Parts
    bind : callable
        Converts rows into `Data`.
    batch_size : int
    shuffle : bool
    accumulate : int
        Number of batches of a step.
    """

    def __init__(
        self, model: Learner, config: Configuration, parts: Parts, bind: Bind, batch_size: int, shuffle: bool, accumulate: int
    ) -> None:
        self.model, self.network, self.config, self.parts, self.bind = model, model._network, config, parts, bind
        self.batch, self.shuffle, self.accumulate, self.rows = batch_size, shuffle, accumulate, parts.rows or 0  # 0: not known
        self.steps = -(-self.rows // (batch_size * accumulate))
        self._rates = np.empty(0)

    shared: RanksOfFit | None = None  # several ranks have a source of `BatchesOfRank`

    def join(self, ranks: Ranks) -> None:
        """Not called: see `bind_parts`."""
        raise NotImplementedError

    def check(self, resume_from: Progress) -> None:
        """Raise ArgumentError if training cannot be resumed with these data."""
        resume_from.check(self.network.plan.step, self.batch, self.rows, self.shuffle, self.accumulate)

    def infer_shapes(self) -> None:
        """Build the model from the first rows if necessary, so that callbacks know its shapes."""
        if not self.network.built:
            build("fit", self.network, self.parts, self.bind)

    def has_next_epoch(self) -> bool:
        """Return whether there are data for another epoch. If not, reading them raises the error."""
        return True

    def run(
        self, epoch: int, resume_from: Progress | None, callbacks: CallbackList, record: Record, alarm: Alarm
    ) -> tuple[Logs, bool]:
        """Train for one epoch, or for the rest of one. Return its logs, and whether it is complete."""
        plan, config = self.network.plan, self.config
        first = 0 if resume_from is None else resume_from.steps_done(plan.step)
        if not first and self.network.is_stateful:
            self.model.reset_states()
        sums = config.sums()
        if resume_from is not None and first:
            sums.resume(resume_from.snapshot(plan.step).sums)
        start = plan.step - first
        place = (self.batch, self.rows, self.shuffle)
        progress = Progress(epoch, start, *place, first, sums, get_states=callbacks.states, accumulate=self.accumulate)
        plan.trainer.progress = progress
        work = _Epoch(self, epoch, start, progress, callbacks, record, alarm, sums)
        per_step = self.batch * self.accumulate
        with self.parts.blocks(self.network.dtype, per_step, (plan.seed, start) if self.shuffle else None) as blocks:
            passed = 0  # steps in the blocks so far
            for block in blocks:
                steps = -(-block.chunk.rows // per_step)
                if passed + steps > first and not work.train(block, passed, max(0, first - passed), steps):
                    break
                passed += steps
        return work.end(passed)


class _Epoch:
    """An epoch in progress."""

    def __init__(
        self,
        source: PartsSource,
        epoch: int,
        start: int,
        progress: Progress,
        callbacks: CallbackList,
        record: Record,
        alarm: Alarm,
        sums: Sums,
    ) -> None:
        self.source, self.epoch, self.start, self.progress, self.callbacks = source, epoch, start, progress, callbacks
        self.record, self.alarm, self.sums = record, alarm, sums
        self.done, self.loss, self.complete = progress.steps, float("nan"), True
        self.single = callbacks.wants("on_train_batch_begin", "on_train_batch_end")
        self.watched = callbacks.wants("on_train_chunk_end")

    def train(self, block: Block, before: int, first: int, steps: int) -> bool:
        """Do the steps of a block from ``first`` on. Return whether to go on. before: the steps of the blocks before it."""
        source, callbacks = self.source, self.callbacks
        network, config, plan = source.network, source.config, source.network.plan
        data, order = bind_block(source.parts, block, source.bind), None
        if source.shuffle and data.rows > source.batch:
            order = np.empty(data.rows, np.int64)
            _core.shuffle(order, plan.seed, self.start + before)
        losses, used, row = np.empty(steps - first), 0, first * source.batch * source.accumulate
        while first + used < steps:
            if self.single:
                callbacks.call("on_train_batch_begin", self.done, {})
            rates = learning_rates(config.optimizer.lr, plan.step, 1 if self.single else steps - first - used)
            self.progress.steps = self.done + len(rates)
            with network.access.training():
                ensure_ready(network, config, data)
                new = plan.train(
                    *(data.x, data.y, data.weight, order, source.batch, row, len(rates), rates, losses[used:], self.sums),
                    data.lengths,
                    source.accumulate,
                )
            used, row = used + new, row + new * source.batch * source.accumulate
            self.done, self.loss = self.done + new, losses.item(used - 1)
            if not isfinite(self.loss):
                self.alarm.watch(self.loss, self.epoch, self.done, losses[:used])
            if self.single or self.watched:
                self._show()
            if source.model.stop_training and self.done != source.steps:
                self.complete = False
                break
        self.record(losses[:used])
        return self.complete

    def _show(self) -> None:
        config, done, callbacks = self.source.config, self.done, self.callbacks

        def hooks(logs: LazyLogs) -> None:
            callbacks.call("on_train_batch_end", done - 1, logs)
            callbacks.call("on_train_chunk_end", done, logs)

        def compute(key: str) -> Any:
            return config.value(key, config.epoch(done, self.loss, self.sums), self.sums)

        show(hooks, config.log_keys, compute, config.costly_keys)

    def end(self, steps: int) -> tuple[Logs, bool]:
        """Return the logs, and whether the epoch is complete. steps: those in the data, if all were read."""
        config = self.source.config
        if not self.done:
            raise EmptyDataError("fit: the data have no rows, or have been read to their end")
        if self.complete and self.done > steps:
            raise ArgumentError(f"fit(resume=True): training stopped after {self.done} steps of an epoch, but there are fewer rows")
        self.progress.steps = self.done
        loss = config.epoch(self.done, self.loss, self.sums)
        return config.logs(loss, self.sums), self.complete


class BatchesOfRank(Stoppable, Iterable[Data]):
    """What one of several ranks trains on: its rows of every batch, of the parts that all ranks read; or of parts of its own."""

    def __init__(
        self, ranks: Ranks, network: Network, parts: Parts, bind: Bind, batch_size: int, shuffle: bool, accumulate: int
    ) -> None:
        self.ranks, self.network, self.parts, self.bind, self.shuffle = ranks, network, parts, bind, shuffle
        self.batch = int(rows.parts(batch_size, ranks.size)[ranks.rank]) if ranks.sharded else batch_size
        if not self.batch:
            raise ArgumentError(f"fit: batch_size is {batch_size}, but each of the {ranks.size} ranks needs a row of a batch")
        self.multiple = self.batch * accumulate
        self._open: set[BlockReader] = set()

    def __len__(self) -> int:
        if self.parts.rows is None:
            raise TypeError("the number of rows is not known")
        return -(-self.parts.rows // self.batch)

    def __iter__(self) -> Iterator[Data]:
        plan = self.network.plan
        start = plan.step if plan.trainer.progress is None else plan.trainer.progress.start
        reader = self.parts.blocks(self.network.dtype, self.multiple, (plan.seed, start) if self.shuffle else None)
        self._open.add(reader)
        with reader:
            for block in reader:
                data, order = bind_block(self.parts, block, self.bind), np.arange(block.chunk.rows)
                if self.shuffle and data.rows > self.batch:
                    _core.shuffle(order, plan.seed, start)
                for at in range(0, data.rows, self.batch):
                    own = self._own(order[at : at + self.batch])
                    if len(own):
                        yield data.take(own)
                start += -(-data.rows // self.multiple)
        self._open.discard(reader)

    def _own(self, batch: np.ndarray) -> np.ndarray:
        """Return the rows of this rank, of the rows of a batch."""
        if self.ranks.sharded:
            return batch
        counts = rows.parts(len(batch), self.ranks.size)[: self.ranks.rank + 1]
        return batch[counts[:-1].sum() : counts.sum()]

    def close(self) -> None:
        """End the threads that read."""
        while self._open:
            self._open.pop().close()


def build(who: str, network: Network, parts: Parts, bind: Bind) -> None:
    """Build the network for the first rows."""
    chunk: Chunk | None = parts.first(network.dtype)
    if chunk is None:
        raise EmptyDataError(f"{who}: the data have no rows")
    bind_block(parts, Block(chunk, [(chunk.where, chunk.first, chunk.rows)]), bind)


# fit -----------------------------------------------------------------------------------------------------------------------------


def bind_parts(model: Learner, config: Configuration, x: Any, y: Any, arguments: Any) -> PartsSource | BatchSource:
    """Return the source of training data in parts, after a check of the arguments of `fit`."""
    network = model._network
    parts = as_parts("fit", x, y, arguments.sample_weight, arguments.lengths)
    _require_targets("fit", parts)
    if arguments.validation_split:
        raise ArgumentError("fit: validation_split needs arrays; for data in parts pass validation_data, for example other files")
    if arguments.steps_per_epoch is not None:
        raise ArgumentError("fit: steps_per_epoch is for ready-made batches; an epoch reads all parts once")
    if config.optimizer.full_batch or arguments.batch_size is None:
        raise ArgumentError("fit: all rows at once need arrays; for data in parts pass batch_size and an optimizer of batches")
    if not isinstance(arguments.shuffle, bool):
        raise ArgumentError("fit: a generator shuffles the rows of arrays; for data in parts pass shuffle=True or False")
    if arguments.shuffle and network.is_stateful:
        raise ArgumentError("fit: stateful layers need shuffle=False, so that each batch continues the one before")
    if any(isinstance(each, str) for each in per_output(arguments.class_weight, config.names)):
        raise ArgumentError("fit: class_weight='balanced' needs arrays; for data in parts pass a dict {class: weight}")
    _remember(network, parts)

    def bind(x: Any, y: Any, weight: Any = None, lengths: Any = None) -> Data:
        data = binding.bind_batch(network, config, x, y, weight, lengths)
        _remember(network, parts)
        return binding.apply_class_weight(config, data, None, arguments.class_weight, network.dtype)

    form = (arguments.batch_size, arguments.shuffle, arguments.accumulate)
    if config.ranks is None:
        return PartsSource(model, config, parts, bind, *form)
    if not network.built:
        build("fit", network, parts, bind)
    return BatchSource(model, config, BatchesOfRank(config.ranks, network, parts, bind, *form), lambda own: own, None, form[2])


def _require_targets(who: str, parts: Parts) -> None:
    if not parts.has_targets:
        raise ArgumentError(f"{who}: the targets are missing; name their column (y='label', or target= of nn.data.parquet)")


def _remember(network: Network, parts: Parts) -> None:
    if parts.names is not None:
        remember_named(network, parts.names)


def validation_parts(model: Learner, config: Configuration, given: Any, trained_on: Any, size: int | None) -> ValidationBatches:
    """Return the validation data in parts: `Parts`, a dataset with the targets of training, or (x, y), (x, y, sample_weight)."""
    network = model._network
    fields = list(given) if isinstance(given, list | tuple) else [given]
    if len(fields) == 1 and not isinstance(given, Parts) and isinstance(trained_on, str | list | dict):
        fields.append(trained_on)
    parts = as_parts("fit: validation_data", *fields, **_known(network))
    _require_targets("fit: validation_data", parts)
    return lambda watched: evaluated_parts(network, config, parts, size, watched, config.ranks)


def _known(network: Network) -> dict[str, Any]:
    return {"known": network.feature_names, "inputs": network.input_names}


# evaluate and predict ------------------------------------------------------------------------------------------------------------


def evaluated_parts(
    network: Network, config: Configuration, parts: Parts, size: int | None, watched: bool, ranks: Ranks | None = None
) -> Iterator[Data]:
    """Return the rows in blocks, or in batches of ``size`` if hooks are called for them; of several ranks, those of this one.

    Close what is returned.
    """

    with parts.blocks(network.dtype, size or 32) as blocks:
        for block in blocks:
            data = bind_block(parts, block, partial(_bind, network, config))
            _check(network, parts)
            data = data if ranks is None else data.take(part_of(ranks, data.rows))
            yield from in_batches(data, size, watched)


def _bind(network: Network, config: Configuration, x: Any, y: Any, weight: Any = None, lengths: Any = None) -> Data:
    return binding.bind_batch(network, config, x, y, weight, lengths)


def _check(network: Network, parts: Parts) -> None:
    if parts.names is not None:
        check_named(network, parts.names)


def evaluation_parts(
    network: Network,
    config: Configuration,
    x: Any,
    y: Any,
    weight: Any,
    lengths: Any,
    size: int | None,
    watched: bool,
    ranks: Ranks | None,
) -> Iterator[Data]:
    """Return the rows of data in parts for `evaluate`. Close what is returned."""
    parts = as_parts("evaluate", x, y, weight, lengths, **_known(network))
    _require_targets("evaluate", parts)
    _check(network, parts)
    if not network.built:
        build("evaluate", network, parts, partial(_bind, network, config))
    return evaluated_parts(network, config, parts, size, watched, ranks)


def predict_parts(network: Network, x: Any, lengths: Any, size: int | None, before: Any, after: Any) -> list[np.ndarray]:
    """Return the outputs for data in parts."""
    parts = as_parts("predict", x, None, None, lengths, **_known(network))

    def bind(x: Any, y: Any = None, weight: Any = None, lengths: Any = None) -> Data:
        _check(network, parts)
        return bind_rows(network, x, lengths)

    blocks: BlockReader
    with parts.blocks(network.dtype, size or 32) as blocks:
        found = [predict_rows(network, bind_block(parts, block, bind), size, before, after) for block in blocks]
    return joined(found)
