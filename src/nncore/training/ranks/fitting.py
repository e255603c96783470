"""`fit` by several ranks, before the first step: all get ready, compare what they have, and start with the numbers of rank 0."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..hooks import checked, for_first
from ..sources import ArraySource
from ..trainer import ensure_compiled
from ..validation import ValidationBatches, all_rows
from . import start
from .rows import has_no_rows

if TYPE_CHECKING:
    from ...data.bound import Data
    from ..configuration import Configuration
    from ..fit import FitArguments
    from ..hooks import Learner
    from ..parts import PartsSource
    from ..sources import BatchSource
    from .base import Ranks

_WITHOUT_SHARDS = " (seed what is drawn at random, or pass MPI(sharded=True) if each rank has rows of its own)"
_SAME = ("epochs", "initial_epoch", "batch_size", "shuffle", "accumulate", "steps_per_epoch")


#: Checks the arguments, and returns them and whether to resume.
Check = Callable[["Learner", "Configuration", "FitArguments"], tuple["FitArguments", bool]]
#: Binds x and y with checked arguments.
Bind = Callable[["Learner", "Configuration", Any, Any, "FitArguments", bool], "Ready"]


class Ready(NamedTuple):
    """What `fit` trains on: the checked arguments, the data, and whether to resume."""

    arguments: FitArguments
    source: ArraySource | BatchSource | PartsSource
    validation: ValidationBatches | None
    resumes: bool


def get_ready(
    model: Learner, config: Configuration, ranks: Ranks, x: Any, y: Any, arguments: FitArguments, check: Check, bind: Bind
) -> Ready:
    """Return what this rank trains on, when all ranks have agreed and have the numbers of rank 0.

    check, bind: what `fit` does in one process.
    """
    network, error, found, empty = model._network, None, None, False
    start.same_seed(ranks, network)
    try:
        callbacks = [each for each in checked(arguments.callbacks) if ranks.is_first or not for_first(each)]
        arguments = arguments._replace(callbacks=callbacks)
        empty = ranks.sharded and y is not None and has_no_rows(x)
        found = None if empty else bind(model, config, x, y, *check(model, config, arguments))
        if found is not None:
            found.source.infer_shapes()
    except BaseException as raised:
        error = raised
    if ranks.sharded and any(ranks.exchange(empty)):
        template = found.source.data.take(slice(0, 0)) if found is not None and isinstance(found.source, ArraySource) else None
        templates = [each for each in ranks.exchange(template) if each is not None]
        if empty and templates:
            try:
                found = _without_rows(model, config, ranks, templates[0], *check(model, config, arguments))
            except BaseException as raised:
                error = raised
        elif empty and error is None:
            error = _no_rows()
    about = {} if found is None else start.described(network, config, ranks) | _described(found, ranks)
    start.agree(ranks, error, about)
    assert found is not None
    start.broadcast(ranks, network, config)
    found.source.join(ranks)
    network.plan.trainer.has_start = True
    return found._replace(resumes=ranks.together(found.resumes))


def _no_rows() -> Exception:
    from ...errors import EmptyDataError

    return EmptyDataError("fit: no rank has any rows")


def _without_rows(model: Learner, config: Configuration, ranks: Ranks, data: Data, arguments: FitArguments, resumes: bool) -> Ready:
    """Return what a rank without rows trains on. data: those of another rank, without rows."""
    network = model._network
    if not network.built:
        network.build([tuple(shape) for shape in data.shapes])
        ensure_compiled(network)
    source = ArraySource(model, config, data, None, arguments.batch_size, arguments.shuffle, arguments.accumulate)
    validates = arguments.validation_split or arguments.validation_data is not None
    validation = all_rows(data, arguments.validation_batch_size, ranks) if validates else None
    return Ready(arguments, source, validation, resumes)


def _described(found: Ready, ranks: Ranks) -> dict[str, str]:
    """Return the arguments that must be the same on all ranks, as text."""
    about = {f"the argument {name} of fit": str(getattr(found.arguments, name)) for name in _SAME}
    about["the kind of data"] = f"{type(found.source).__name__}, validation: {found.validation is not None}"
    if isinstance(found.source, ArraySource) and not ranks.sharded:
        data, held = found.source.data, found.arguments.validation_data
        about["the number of rows"] = str(found.source.n)
        about[f"x, y and weights{_WITHOUT_SHARDS}"] = _rows_of([*data.x, *data.y, *(data.weight or ()), data.lengths])
        about[f"the validation data{_WITHOUT_SHARDS}"] = _rows_of(held) if isinstance(held, list | tuple) else ""
    return about


def _rows_of(arrays: Sequence[Any]) -> str:
    """Return the sums of the first, the middle and the last row of arrays, so roughly that it does not depend on the processor."""
    found = []
    for each in arrays:
        if isinstance(each, np.ndarray) and each.dtype.kind in "biuf" and each.ndim and len(each):
            rows = each[[0, len(each) // 2, -1]].astype(np.float64).reshape(3, -1)
            found.append(f"{len(each)} rows with the sums " + ", ".join(f"{each:.2g}" for each in np.abs(rows).sum(axis=1)))
        else:
            found.append("none" if each is None else "others")
    return "; ".join(found)
