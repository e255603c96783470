"""The loop behind fit for L-BFGS: SciPy chooses the points, the core gives loss and gradient, and epochs are iterations.

One evaluation is one step of the core on all rows whose update changes no parameter: it leaves the gradient, penalties included, in
the optimizer's buffer. Points and gradients are the flat buffers of the core, padding and frozen parameters included; there the
gradient is 0, so that they stay as they are.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np

from ._core import uninterrupted
from .callbacks.base import CallbackList, Logs
from .errors import require
from .fitting import running, validated
from .progress import Progress

if TYPE_CHECKING:
    from .compiled import Compiled
    from .compiling import Compilable
    from .fitting import Due, Epochs, Parts
    from .history import History


class _Objective:
    """Loss and gradient of all rows as a function of the flat parameters."""

    def __init__(self, model: Compilable, config: Compiled, source: Epochs) -> None:
        self.model, self.config, self.data, self.rows = model, config, source.data, source.rows
        self.batch = source.data.rows if source.rows is None else len(source.rows)
        self.start = model.step  # the same for each evaluation, so that dropout masks are
        self.sums = config.sums()
        self.rate, self.loss = np.zeros(1), np.zeros(1)
        self.accepted = model._buffers()["parameters"].astype(np.float64), model.step

    def accept(self, point: np.ndarray, step: int) -> None:
        """Note that an iteration has ended at this point: that is where the model stands, whatever points the next one tries."""
        self.accepted = np.array(point), step

    def put_back(self) -> None:
        """Let the model stand where the last iteration ended."""
        point, step = self.accepted
        with self.model._access.training():
            self.model._buffers()["parameters"][...] = point
            self.model.step = step

    def __call__(self, point: np.ndarray) -> tuple[float, np.ndarray]:
        model, data, buffers = self.model, self.data, self.model._buffers()
        for each in self.sums:
            if each is not None:
                each.fill(0.0)
        with model._access.training():
            model._suit(data)
            buffers["parameters"][...] = point
            model.step = self.start
            model._train(data.x, data.y, data.weight, self.rows, self.batch, 0, 1, self.rate, self.loss, self.sums, data.lengths)
        return float(self.loss[0]), buffers["moment0"].astype(np.float64)


def fit(
    model: Compilable,
    config: Compiled,
    source: Epochs,
    validation: Parts | None,
    due: Due,
    epochs: range,
    begun: Progress | None,
    history: History,
    hooks: CallbackList,
) -> None:
    """Run at most ``len(epochs)`` iterations, validating after each, until they converge or a callback says stop."""
    minimize = require("scipy.optimize", "lbfgs", "nn.optim.LBFGS").minimize
    rule: Any = config.optimizer
    objective = _Objective(model, config, source)
    remaining = list(epochs)
    logs: Logs = {}
    started = False

    def evaluated(point: np.ndarray) -> tuple[float, np.ndarray]:
        nonlocal started
        if not started:
            hooks.call("on_epoch_begin", remaining[0], {})
            hooks.call("on_train_batch_begin", 0, {})
            started = True
        return objective(point)

    def iterated(intermediate_result: Any) -> None:
        nonlocal started, logs
        loss = intermediate_result.fun
        if objective.loss[0] != loss:
            objective(intermediate_result.x)  # the search ended at a point before the last one
        started, epoch = False, remaining.pop(0)
        logs = config.logs(float(loss), objective.sums)
        hooks.call("on_train_batch_end", 0, logs)
        hooks.call("on_train_chunk_end", 1, logs)
        history.record_steps(np.array([loss]))
        if validation is not None and due(epoch):
            logs |= validated(model, config, validation, hooks)
        model.step = objective.start + len(epochs) - len(remaining)
        objective.accept(intermediate_result.x, model.step)
        model._progress = Progress(epoch + 1, model.step, ask=hooks.states)
        hooks.call("on_epoch_end", epoch, logs)
        if model.stop_training or not remaining:
            raise StopIteration

    with running(model, history, hooks):
        hooks.call("on_train_begin", {})
        if begun is not None:
            hooks.restore(begun.states or ())
        model._progress = Progress(epochs.start, model.step, ask=hooks.states)
        if remaining:
            start = model._buffers()["parameters"].astype(np.float64)
            options = {
                "maxcor": rule.history_size,
                "gtol": rule.tolerance_grad,
                "ftol": rule.tolerance_change,
                "maxls": rule.max_line_search,
                "maxiter": len(remaining) + 1,
                "maxfun": 2**31 - 1,
            }
            try:
                result = minimize(evaluated, start, jac=True, method="L-BFGS-B", callback=iterated, options=options)
                if started:  # the last search found nothing better
                    objective(result.x)
                    result.fun = objective.loss[0]
                    with suppress(StopIteration):
                        iterated(result)
                objective.accept(result.x, objective.start + len(epochs) - len(remaining))
            finally:
                uninterrupted(objective.put_back)
        hooks.call("on_train_end", logs)
