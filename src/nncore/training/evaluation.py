"""Evaluation and prediction with callbacks: losses, metrics and outputs of many rows, in inference mode."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from itertools import chain, islice
from typing import TYPE_CHECKING, Any

import numpy as np

from .._checks import flag, optional_whole, progress_shown, whole
from ..data.ahead import stop_reading
from ..data.batches import Batch, at_most, batches_of, find_batches, read_batch, read_samples, refuse_size, with_lengths
from ..data.bound import Data, in_batches
from ..data.in_parts import is_in_parts
from ..errors import ArgumentError, EmptyDataError
from ..network.inputs import ranks
from ..network.prediction import After, Before, bind_rows, joined, predict_batches, predict_rows
from .binding import bind_batch
from .configuration import Configuration, Sums, results
from .hooks import NO_CALLBACKS, CallbackList, Learner, Logs, checked
from .logs import show
from .ranks import gathering
from .ranks.rows import has_no_rows
from .trainer import ensure_ready, ensure_same_config, require_trainer
from .validation import ValidationBatches, part_of

if TYPE_CHECKING:
    from .ranks.base import Ranks


def evaluate(
    model: Learner,
    x: Any,
    y: Any,
    *,
    batch_size: Any,
    verbose: Any,
    sample_weight: Any,
    callbacks: Any,
    return_dict: Any,
    steps: Any,
    lengths: Any,
    ranks: Ranks | None = None,
) -> Any:
    """Compute the loss and the metrics of data; see `Model.evaluate`. With ``ranks``, each computes its part of the rows."""
    network = model._network
    with network.access.reading():
        config = require_trainer(network, "evaluate").config
    batch_size, return_dict = optional_whole("evaluate", "batch_size", batch_size), flag("evaluate", "return_dict", return_dict)
    hooks = _hooks("evaluate", callbacks, model, verbose)
    batches: Iterable[Data]
    if is_in_parts(x, y):
        from .parts import evaluation_parts  # imported here because it is rarely needed

        watched = hooks.wants("on_test_batch_begin", "on_test_batch_end")
        batches = evaluation_parts(network, config, x, y, sample_weight, lengths, batch_size, watched, ranks)
    elif y is None:
        given = batches_of(x, "evaluate")
        refuse_size("evaluate", batch_size)
        if sample_weight is not None:
            raise ArgumentError("evaluate: sample_weight needs y; batches carry their own: (x, y, sample_weight, lengths)")
        if lengths is not None:
            given = _with_lengths("evaluate", x, lengths, read_batch, "(x, y, None, lengths)")
        limit = None if steps is None else whole("evaluate", "steps", steps)
        batches = (bind_batch(network, config, *read_batch(batch)) for batch in at_most(given, limit, "evaluate"))
        if not network.built:  # the first batch builds it
            seen = list(islice(batches, 1))
            if not seen:
                raise EmptyDataError("evaluate: there are no batches")
            batches = chain(seen, batches)
    elif steps is not None:
        raise ArgumentError("evaluate: steps is for batches; with x and y all rows are taken")
    else:
        empty = ranks is not None and ranks.sharded and has_no_rows(x)
        data = None if empty else bind_batch(network, config, x, y, sample_weight, lengths)
        if data is not None and ranks is not None:
            data = data.take(part_of(ranks, data.rows))
        watched = hooks.wants("on_test_batch_begin", "on_test_batch_end")
        batches = () if data is None else in_batches(data, batch_size, watched)
    try:
        return results(evaluate_batches(model, config, batches, hooks, ranks=ranks), return_dict)
    finally:
        stop_reading(x)


def test_on_batch(model: Learner, x: Any, y: Any, sample_weight: Any, return_dict: Any, lengths: Any) -> Any:
    """Compute the loss and the metrics of one batch; see `Model.test_on_batch`."""
    if y is None:
        raise ArgumentError("test_on_batch: y is None; pass x and y of one batch (evaluate takes an iterable of batches)")
    given: dict[str, Any] = {"batch_size": None, "verbose": 0, "callbacks": (), "steps": None}
    return evaluate(model, x, y, sample_weight=sample_weight, return_dict=return_dict, lengths=lengths, **given)


def evaluate_batches(
    model: Learner,
    config: Configuration,
    batches: Iterable[Data],
    hooks: CallbackList,
    who: str = "evaluate",
    ranks: Ranks | None = None,
) -> Logs:
    """Return the loss and the metrics of all rows of all batches; with ``ranks``, of those of all ranks."""
    try:
        return _evaluate_batches(model, config, batches, hooks, who, ranks)
    finally:
        if isinstance(batches, Generator):
            batches.close()  # an error must not leave a reader of parts behind


def _evaluate_batches(
    model: Learner, config: Configuration, batches: Iterable[Data], hooks: CallbackList, who: str, ranks: Ranks | None
) -> Logs:
    network, plan = model._network, model._network.plan
    total, sums = np.zeros((len(config.losses), 2)), config.sums(keeps=ranks is not None)
    with network.access.reading():
        ensure_same_config(network, config)
        penalty = plan.penalty()
    hooks.call("on_test_begin", {})
    watched = hooks.wants("on_test_batch_begin", "on_test_batch_end")
    rows = 0
    for number, part in enumerate(batches):
        hooks.call("on_test_batch_begin", number, {})
        rows += part.rows
        first = 0
        while first < part.rows:
            network.access.pass_gate()
            with network.access.reading():
                ensure_ready(network, config, part)
                first = plan.evaluate(part.x, part.y, part.weight, first, total, sums, part.lengths)
        if watched:
            _show(hooks, config, number, (total, sums, penalty))
    if ranks is not None:
        total, rows, sums = gathering.of_evaluation(ranks, config, total, rows, sums)
    if not rows:
        raise EmptyDataError(f"{who}: there are no batches")
    logs = config.logs(*config.evaluated(total, sums, penalty))
    hooks.call("on_test_end", logs)
    return logs


def _show(hooks: CallbackList, config: Configuration, number: int, so_far: tuple[np.ndarray, Sums, float]) -> None:
    """Call the hook that follows a batch of evaluation."""
    loss, sums = config.evaluated(*so_far)
    show(
        lambda logs: hooks.call("on_test_batch_end", number, logs),
        config.log_keys,
        lambda key: config.value(key, loss, sums),
        config.costly_keys,
    )


def validate(
    model: Learner, config: Configuration, validation: ValidationBatches, hooks: CallbackList, ranks: Ranks | None = None
) -> Logs:
    """Return the result of `evaluate` during training, with "val_" before the names. Sequences may have another length."""
    network = model._network
    before = network.input_shapes
    try:
        batches = validation(hooks.wants("on_test_batch_begin", "on_test_batch_end"))
        found = evaluate_batches(model, config, batches, hooks, "fit: validation_data", ranks)
    finally:
        network.set_sequence_lengths(before)
    return {f"val_{name}": value for name, value in found.items()}


def predict(model: Learner, x: Any, *, batch_size: Any, verbose: Any, callbacks: Any, steps: Any, lengths: Any) -> Any:
    """Compute the outputs of data; see `Model.predict`."""
    network = model._network
    batch_size = optional_whole("predict", "batch_size", batch_size)
    hooks = _hooks("predict", callbacks, model, verbose)
    before, after = _of_batches(hooks)
    if is_in_parts(x):
        from .parts import predict_parts

        if steps is not None:
            raise ArgumentError("predict: steps is for ready-made batches; of data in parts all rows are taken")
        hooks.call("on_predict_begin", {})
        outputs = predict_parts(network, x, lengths, batch_size, before, after)
        hooks.call("on_predict_end", {})
        return network.connections.pack_outputs(outputs)
    batches = find_batches(x, lambda: ranks(network))
    if batches is not None:
        refuse_size("predict", batch_size)
        if lengths is not None:
            batches = _with_lengths(
                "predict", batches, lengths, lambda each: read_samples(each, ranks(network)), "(x, None, None, lengths)"
            )
        limit = None if steps is None else whole("predict", "steps", steps)
        hooks.call("on_predict_begin", {})
        try:
            found = predict_batches(network, at_most(batches, limit, "predict"), before, after)
        finally:
            stop_reading(x)
        hooks.call("on_predict_end", {})
        return network.connections.pack_outputs(joined(found))
    if steps is not None:
        raise ArgumentError("predict: steps is for batches; of an array all rows are taken")
    data = bind_rows(network, x, lengths)
    hooks.call("on_predict_begin", {})
    outputs = predict_rows(network, data, batch_size, before, after)
    hooks.call("on_predict_end", {})
    return network.connections.pack_outputs(outputs)


def predict_together(model: Learner, ranks: Ranks, x: Any, batch_size: Any, lengths: Any) -> Any:
    """Compute the outputs of all rows on every rank: each computes its part of them, and the parts are exchanged."""
    network, batch_size = model._network, optional_whole("predict", "batch_size", batch_size)
    if is_in_parts(x):  # of which each rank reads all rows, or its own
        from .parts import predict_parts

        outputs = predict_parts(network, x, lengths, batch_size, None, None)
        if not ranks.sharded:
            return network.connections.pack_outputs(outputs)
    else:
        data = bind_rows(network, x, lengths)
        outputs = predict_rows(network, data.take(part_of(ranks, data.rows)), batch_size, None, None)
    return network.connections.pack_outputs([np.concatenate(each) for each in zip(*ranks.exchange(outputs), strict=True)])


def _with_lengths(who: str, batches: Any, lengths: Any, read: Callable[[Any], Batch], form: str) -> list[Batch]:
    """Distribute lengths or a mask among the batches of a list. The rows of a loader may come in any order."""
    if not isinstance(batches, list):
        raise ArgumentError(f"{who}: lengths= and mask= are for x, or a list of batches; other batches carry their own: {form}")
    return with_lengths(batches, lengths, read, who)


def _hooks(who: str, callbacks: Any, model: Learner, verbose: Any) -> CallbackList:
    progress_shown(who, verbose)
    callbacks = checked(callbacks)
    return CallbackList(callbacks, model, {"verbose": verbose}) if callbacks else NO_CALLBACKS


def _of_batches(hooks: CallbackList) -> tuple[Before | None, After | None]:
    """Return functions that call the batch hooks of a prediction, or None if no callback overrides them."""
    if not hooks.wants("on_predict_batch_begin", "on_predict_batch_end"):
        return None, None

    def before(number: int) -> None:
        hooks.call("on_predict_batch_begin", number, {})

    def after(number: int, outputs: list[np.ndarray]) -> None:
        hooks.call("on_predict_batch_end", number, {"outputs": outputs[0] if len(outputs) == 1 else outputs})

    return before, after
