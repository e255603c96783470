"""fit, in the order of its stages: check the arguments, bind the data, find the state to resume, run epochs, validate, close.

Each stage is a function below. sources.py provides the data of an epoch. The steps run in the core.
"""

from __future__ import annotations

import copy
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .. import _core
from .._checks import choice, flag, progress_shown, real, warn, whole
from ..data import ClassWeight, per_output
from ..data.ahead import stop_reading
from ..data.batches import at_most, batches_of, find_validation_batches, read_batch
from ..data.bound import Data
from ..data.in_parts import is_in_parts
from ..errors import ArgumentError, EmptyDataError, NncoreError
from ..network.features import remember_columns
from ..network.inputs import ranks
from . import binding
from .alarm import Alarm
from .binding import bind_batch
from .configuration import Configuration
from .evaluation import validate
from .history import History, steps_kept
from .hooks import Callback, CallbackList, Learner, Logs, checked
from .progress import Progress
from .progress_bar import ProgressBar, in_notebook
from .ranks import fitting, start
from .ranks.fitting import Ready
from .sources import ArraySource, BatchSource
from .trainer import require_trainer
from .validation import ShouldValidate, ValidationBatches, all_rows, some_rows, validation_schedule

if TYPE_CHECKING:
    from ..network.network import Network
    from .parts import PartsSource

    Source = ArraySource | BatchSource | PartsSource


class FitArguments(NamedTuple):
    """The arguments of `Model.fit` except the data. They are documented there."""

    epochs: int
    batch_size: int | None
    validation_split: float
    validation_data: Any
    shuffle: Any
    sample_weight: Any
    class_weight: ClassWeight
    callbacks: Any
    initial_epoch: int
    verbose: Any
    groups: Any
    validation_freq: Any
    validation_batch_size: int | None
    validation_steps: int | None
    steps_per_epoch: int | None
    resume: bool
    lengths: Any
    step_losses: Any
    validation: str | None
    accumulate: int
    sets_freq: bool = False  #: whether validation_freq is given; `check` says so
    sets_size: bool = False  #: whether validation_batch_size is given


def fit(model: Learner, x: Any, y: Any, arguments: FitArguments) -> History:
    """Train; see `Model.fit`."""
    network = model._network
    with network.access.fitting():
        names, first = network.feature_names, network.plan.step
        try:
            return _fit(model, x, y, arguments)
        except BaseException as error:
            if network.plan.step == first:  # no step has been done with the names of the columns of these data
                network.feature_names = names
            trainer = network.plan.trainer
            if trainer is not None and trainer.config.ranks is not None:
                trainer.config.ranks.fail(error)
            raise
        finally:
            stop_reading(x, arguments.validation_data)


def _fit(model: Learner, x: Any, y: Any, arguments: FitArguments) -> History:
    network = model._network
    config = require_trainer(network, "fit").config
    if config.ranks is None:
        return run(model, config, *bind_checked(model, config, x, y, *check_all(model, config, arguments)))
    found = fitting.get_ready(model, config, config.ranks, x, y, arguments, check_all, bind_checked)
    history = run(model, config, *found)
    start.check_equal(config.ranks, network)
    return history


def check_all(model: Learner, config: Configuration, arguments: FitArguments) -> tuple[FitArguments, bool]:
    """Return the arguments, checked, and whether to resume."""
    arguments = check(arguments)
    resumes = prepare(model, arguments)
    check_accumulation(model._network, config, arguments.accumulate)
    return arguments, resumes


def bind_checked(model: Learner, config: Configuration, x: Any, y: Any, arguments: FitArguments, resumes: bool) -> Ready:
    """Return the data to train on, and the rest as it is."""
    source, validation = bind(model, config, x, y, arguments)
    warn_of_idle(arguments, validation)
    return Ready(arguments, source, validation, resumes)


def run(
    model: Learner,
    config: Configuration,
    arguments: FitArguments,
    source: Source,
    validation: ValidationBatches | None,
    resumes: bool,
) -> History:
    """Train on bound data."""
    with start.agreed(config.ranks):
        resume_from = resume(model, source, arguments) if resumes else None
        epochs = range(arguments.initial_epoch if resume_from is None else resume_from.epoch, arguments.epochs)
        history = History(arguments.step_losses)
        hooks = make_callbacks(model, arguments, source, validation, epochs, history)
        hooks.check_logged(config, validation is not None)
        loop: Any = run_epochs
        if config.optimizer.full_batch:
            from . import lbfgs  # imported here because it is rarely needed

            loop = lbfgs.loop()
    try:
        model.history = history
        if model.stop_training:
            model.stop_training = False
        loop(model, config, source, validation, arguments.validation_freq, epochs, resume_from, history, hooks)
    finally:  # however it ends, training can be resumed from the recorded progress
        _core.uninterrupted(lambda: close(model, hooks))
        stop_reading(getattr(source, "source", None))
    return history


# Check ---------------------------------------------------------------------------------------------------------------------------


def check(arguments: FitArguments) -> FitArguments:
    """Return the arguments with its values checked. ``validation_freq`` becomes a function that tells whether an epoch is
    validated."""
    epochs, initial_epoch = whole("fit", "epochs", arguments.epochs, 0), whole("fit", "initial_epoch", arguments.initial_epoch, 0)
    size = None if arguments.batch_size is None else whole("fit", "batch_size", arguments.batch_size)
    fraction = real("fit", "validation_split", arguments.validation_split, 0.0, 1.0)
    if fraction and arguments.validation_data is not None:
        raise ArgumentError("fit: pass validation_split or validation_data, not both")
    if arguments.groups is not None and not fraction:
        raise ArgumentError("fit: groups say how validation_split divides the rows; pass validation_split too")
    validation = arguments.validation
    if validation is not None and choice("fit", "validation", validation, ("random", "last", None)) and not fraction:
        raise ArgumentError(f"fit: validation={validation!r} says which rows validation_split takes; pass validation_split too")
    verbose, shuffle = progress_shown("fit", arguments.verbose), order_of_rows(arguments.shuffle)
    due = validation_schedule(arguments.validation_freq)
    resumes = flag("fit", "resume", arguments.resume)
    callbacks = checked(arguments.callbacks)
    validation_size = arguments.validation_batch_size
    validation_size = size if validation_size is None else whole("fit", "validation_batch_size", validation_size)
    return FitArguments(
        epochs,
        size,
        fraction,
        arguments.validation_data,
        shuffle,
        arguments.sample_weight,
        arguments.class_weight,
        callbacks,
        initial_epoch,
        verbose,
        arguments.groups,
        due,
        validation_size,
        arguments.validation_steps,
        arguments.steps_per_epoch,
        resumes,
        arguments.lengths,
        steps_kept(arguments.step_losses),
        validation,
        whole("fit", "accumulate", arguments.accumulate),
        not isinstance(arguments.validation_freq, int) or arguments.validation_freq != 1,
        arguments.validation_batch_size is not None,
    )


def order_of_rows(shuffle: Any) -> Any:
    """Return the argument ``shuffle``: a bool, or a generator of NumPy."""
    if isinstance(shuffle, np.random.Generator | np.random.RandomState):
        return shuffle
    return flag("fit", "shuffle", shuffle)


def check_accumulation(network: Network, config: Configuration, accumulate: int) -> None:
    """Raise ArgumentError if several batches cannot make one step."""
    if accumulate > 1 and config.optimizer.full_batch:
        raise ArgumentError(f"fit: {type(config.optimizer).__name__} takes all rows in every step; leave accumulate out")
    if accumulate > 1 and network.is_stateful:
        raise ArgumentError("fit: accumulate does not go with stateful layers, whose batches follow one another; leave it out")


def prepare(model: Learner, arguments: FitArguments) -> bool:
    """Return whether to resume. A callback may restore a state from which to resume."""
    resumes = arguments.resume
    for callback in arguments.callbacks:
        resumes |= isinstance(callback, Callback) and callback.before_fit(model)
    return resumes


def warn_of_idle(arguments: FitArguments, validation: ValidationBatches | None) -> None:
    """Warn of arguments that do nothing without validation."""
    if validation is None:
        idle = [*(["validation_freq"] if arguments.sets_freq else []), *(["validation_batch_size"] if arguments.sets_size else [])]
        if idle:
            warn(f"fit: {' and '.join(idle)} do nothing without validation; pass validation_data or validation_split")


# Bind ----------------------------------------------------------------------------------------------------------------------------


def bind(model: Learner, config: Configuration, x: Any, y: Any, arguments: FitArguments) -> tuple[Source, ValidationBatches | None]:
    """Return the source of the training data, and the validation data."""
    held_out: ValidationBatches | None = None
    source: Source
    if is_in_parts(x, y):
        from .parts import bind_parts  # imported here because it is rarely needed

        source = bind_parts(model, config, x, y, arguments)
    elif y is None:
        source = bind_batches(model, config, x, arguments)
    else:
        source, held_out = bind_arrays(model, config, x, y, arguments)
    if arguments.validation_data is not None:
        return source, bind_validation(model, config, arguments, y)
    if arguments.validation_steps is not None:
        raise ArgumentError("fit: validation_steps is for validation_data that are batches")
    return source, held_out


def bind_batches(model: Learner, config: Configuration, batches: Any, arguments: FitArguments) -> BatchSource:
    """Return a source of batches that the user has made."""
    given = batches_of(batches, "fit")
    balanced = any(isinstance(each, str) for each in per_output(arguments.class_weight, config.names))
    if arguments.validation_split or arguments.sample_weight is not None or balanced or arguments.lengths is not None:
        raise ArgumentError(
            "fit: validation_split, sample_weight, lengths, mask and class_weight='balanced' need y; batches carry their "
            "own; class_weight may be a dict"
        )
    if config.optimizer.full_batch and not hasattr(given, "shares"):
        raise ArgumentError(f"fit: {type(config.optimizer).__name__} needs all rows at once, as arrays x and y, not batches")
    steps = None if arguments.steps_per_epoch is None else whole("fit", "steps_per_epoch", arguments.steps_per_epoch)

    def weighed(batch: Any) -> Data:
        parts = read_batch(batch)
        data = bind_batch(model._network, config, *parts)
        remember_columns(model._network, parts.x)
        return binding.apply_class_weight(config, data, None, arguments.class_weight, model._network.dtype)

    return BatchSource(model, config, given, weighed, steps, arguments.accumulate)


def bind_arrays(
    model: Learner, config: Configuration, x: Any, y: Any, arguments: FitArguments
) -> tuple[ArraySource, ValidationBatches | None]:
    """Return a source of arrays, and the rows that are reserved for validation."""
    network, shuffle, size = model._network, arguments.shuffle, arguments.batch_size
    if arguments.steps_per_epoch is not None:
        raise ArgumentError("fit: steps_per_epoch is for batches; with x and y, batch_size says how many steps there are")
    data, rows = bind_batch(network, config, x, y, arguments.sample_weight, arguments.lengths), None
    remember_columns(network, x)
    if shuffle and network.is_stateful:
        raise ArgumentError("fit: stateful layers need shuffle=False, so that each batch continues the one before")
    validation: ValidationBatches | None = None
    if arguments.validation_split:
        last = arguments.validation == "last" or (arguments.validation is None and not shuffle)
        rows, held_out = binding.split(network, config, data, arguments.validation_split, last, arguments.groups)
        validation = some_rows(data, held_out, arguments.validation_batch_size, config.ranks)
    data = binding.apply_class_weight(config, data, rows, arguments.class_weight, network.dtype)
    if config.optimizer.full_batch:
        size, shuffle = None, False
    return ArraySource(model, config, data, rows, size, shuffle, arguments.accumulate), validation


def bind_validation(model: Learner, config: Configuration, arguments: FitArguments, y: Any = None) -> ValidationBatches:
    """Return the validation data from ``validation_data``. y: the targets of training, which may be the name of a column."""
    with naming_validation():
        given = arguments.validation_data
        if is_in_parts(given, y) or (isinstance(given, list | tuple) and given and is_in_parts(*given[:2])):
            from .parts import validation_parts

            if arguments.validation_steps is not None:
                raise ArgumentError("fit: validation_steps is for validation_data that are ready-made batches")
            return validation_parts(model, config, given, y, arguments.validation_batch_size)
        return _bind_validation(model, config, arguments)


@contextmanager
def naming_validation() -> Iterator[None]:
    """Let errors say that they are about the validation data."""
    try:
        yield
    except NncoreError as error:
        if error.args and not str(error).startswith("fit: "):
            error.args = (f"fit: validation_data: {error.args[0]}", *error.args[1:])
        raise


def _bind_validation(model: Learner, config: Configuration, arguments: FitArguments) -> ValidationBatches:
    network, given, steps = model._network, arguments.validation_data, arguments.validation_steps
    batches = find_validation_batches(given, ranks(network))
    if batches is None:
        if steps is not None:
            raise ArgumentError("fit: validation_steps is for validation_data that are batches, not for arrays")
        before = network.plan.built_for
        try:
            batch = read_batch(given)
            data = bind_batch(network, config, *batch)
            remember_columns(network, batch.x)
        finally:
            if before is not None:
                network.set_sequence_lengths(before)
        return all_rows(data, arguments.validation_batch_size, config.ranks)
    found = batches_of(batches, "fit: validation_data")
    steps = None if steps is None else whole("fit", "validation_steps", steps)
    if steps is None and iter(found) is found and arguments.epochs > arguments.initial_epoch + 1:
        raise ArgumentError(
            "fit: a generator of validation batches lasts for one epoch; pass something that can be iterated again, or "
            "validation_steps"
        )
    if iter(found) is found:  # a generator; it continues where the validation before has stopped
        first = list(islice(found, 1))
        if not first:
            raise EmptyDataError("fit: validation_data: there are no batches")
        found = chain(first, found)

    def read(batch: Any) -> Data:
        with naming_validation():
            return bind_batch(network, config, *read_batch(batch))

    return lambda watched: map(read, at_most(found, steps, "fit", "validation_steps"))


# Resume --------------------------------------------------------------------------------------------------------------------------


def resume(model: Learner, source: Source, arguments: FitArguments) -> Progress | None:
    """Return the progress from which to resume, checked against the data. It is None if there was no training."""
    if arguments.initial_epoch:
        raise ArgumentError("fit: resume=True determines the first epoch; leave initial_epoch out")
    resume_from: Progress | None = model._network.plan.trainer.progress
    if resume_from is not None:
        source.check(resume_from)
    return resume_from


# Run epochs ----------------------------------------------------------------------------------------------------------------------


def make_callbacks(
    model: Learner, arguments: FitArguments, source: Source, validation: ValidationBatches | None, epochs: range, history: History
) -> CallbackList:
    """Return all callbacks: the given ones, the history, and a progress bar if it is to be shown."""
    watchers, verbose = [*arguments.callbacks, history], arguments.verbose
    if source.config.ranks is not None and not source.config.ranks.is_first:
        verbose = 0
    shown = verbose in (1, 2) or (verbose == "auto" and ((sys.stderr is not None and sys.stderr.isatty()) or in_notebook()))
    if shown and not any(isinstance(c, ProgressBar) for c in watchers):
        watchers.append(ProgressBar(lines=verbose == 2))
    params = {"epochs": arguments.epochs, "steps": source.steps, "verbose": verbose, "initial_epoch": epochs.start}
    params["do_validation"] = validation is not None
    return CallbackList(watchers, model, params)


def run_epochs(
    model: Learner,
    config: Configuration,
    source: Source,
    validation: ValidationBatches | None,
    due: ShouldValidate,
    epochs: range,
    resume_from: Progress | None,
    history: History,
    hooks: CallbackList,
) -> None:
    """Run epochs, with validation after the due ones, until the last epoch or until a callback stops training."""
    logs: Logs = {}
    alarm = Alarm(hooks.callbacks, config.check_finite)
    source.infer_shapes()
    hooks.call("on_train_begin", {})
    started = getattr(model, "_initial_epoch", None)  # Keras's BackupAndRestore sets it
    if started is not None:
        del model._initial_epoch  # type: ignore[attr-defined]
    if started is not None and resume_from is None:
        epochs = range(whole("fit", "_initial_epoch of the model", started, 0), epochs.stop)
    begin(model, source, epochs, resume_from, hooks)
    for epoch in epochs:
        if not source.has_next_epoch():
            break
        hooks.call("on_epoch_begin", epoch, {})
        logs, complete = source.run(epoch, resume_from, hooks, history.record_steps, alarm)
        resume_from = None
        history.learning_rate = model._network.plan.trainer.rate(model._network.plan.step - 1)  # callbacks may change it
        if validation is not None and due(epoch):
            logs |= validate(model, config, validation, hooks, config.ranks)
        end_epoch(model, config, epoch, complete, logs, hooks)
        if source.shared is not None:
            source.shared.agree_to_stop()
        if model.stop_training:
            break
    hooks.call("on_train_end", logs)


def begin(model: Learner, source: Source, epochs: range, resume_from: Progress | None, hooks: CallbackList) -> None:
    """Set the progress for new training, or for resumed training."""
    plan = model._network.plan
    if resume_from is None:
        plan.trainer.progress = Progress(epochs.start, plan.step, get_states=hooks.states)
        return
    hooks.restore(resume_from.states or ())
    source.check(resume_from)  # checked again, because a callback may have trained the model
    plan.trainer.progress = progress = copy.copy(resume_from)
    progress.states, progress.get_states = None, hooks.states


def end_epoch(model: Learner, config: Configuration, epoch: int, complete: bool, logs: Logs, hooks: CallbackList) -> None:
    """Record that an epoch has ended or was interrupted, and call the hooks."""
    plan = model._network.plan
    if complete:
        plan.trainer.progress = Progress(epoch + 1, plan.step, get_states=hooks.states)
        hooks.call("on_epoch_end", epoch, logs)
        return
    # The epoch may be resumed, so changes that callbacks make after part of an epoch must not be permanent.
    plan.trainer.progress.states = hooks.states()
    lr = config.optimizer.lr
    hooks.call("on_epoch_end", epoch, logs)
    config.optimizer.lr = lr


# Close ---------------------------------------------------------------------------------------------------------------------------


def close(model: Learner, hooks: CallbackList) -> None:
    """Record the progress, and let callbacks release their resources."""
    plan = model._network.plan
    try:
        if plan.trainer.progress is not None:
            plan.trainer.progress.detach(plan.step)
    finally:
        hooks.close()
