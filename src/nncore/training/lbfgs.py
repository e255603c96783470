"""The training loop for L-BFGS. SciPy chooses the points, the core computes loss and gradient, and an epoch is an iteration.

An evaluation is one step of the core on all rows. The update of that step does not change parameters; it stores the gradient,
including penalties, in the optimizer's buffer. Points and gradients are the flat buffers of the core. The gradient of padding and
frozen parameters is 0, so their values do not change.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from math import isfinite
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import _core
from ..errors import require
from .alarm import Alarm
from .evaluation import validate
from .hooks import CallbackList, Logs
from .progress import Progress

if TYPE_CHECKING:
    from ..network.network import Network
    from .configuration import Configuration
    from .history import History
    from .hooks import Learner
    from .sources import ArraySource, BatchSource
    from .validation import ShouldValidate, ValidationBatches


class _Objective:
    """Loss and gradient of all rows as a function of the flat parameters."""

    def __init__(self, network: Network, config: Configuration, source: Any) -> None:
        self.network, self.config = network, config
        self.source: Any = source
        self.start = network.plan.step  # constant for all evaluations, so that the dropout mask is constant
        self.sums = config.sums()
        self.rate, self.loss = np.zeros(1), np.zeros(1)
        if source.shared is not None:
            source.shared.begin_epoch(source)
        self.accepted = network.plan.values().astype(np.float64), network.plan.step

    def accept(self, point: np.ndarray, step: int) -> None:
        """Store the result of an iteration. Points that the next iteration tries do not change it."""
        self.accepted = np.array(point), step

    def put_back(self) -> None:
        """Restore the parameters to the result of the last iteration."""
        point, step = self.accepted
        with self.network.access.training():
            self.network.plan.set_values(point.astype(self.network.dtype))
            self.network.plan.step = step

    def __call__(self, point: np.ndarray) -> tuple[float, np.ndarray]:
        network, plan = self.network, self.network.plan
        for each in self.sums:
            if each is not None:
                each.fill(0.0)
        if any(self.sums.watchers):  # an evaluation is one batch with all rows
            self.sums.watchers = self.config.sums(at_once=True, keeps=self.source.shared is not None).watchers
        with network.access.training():
            plan.set_values(point.astype(network.dtype))
            plan.reset_states()  # every evaluation is of the same rows from their start
            if self.source.shared is None:
                return self._sum_of_blocks()
            network.ensure_shapes(self.source.data.shapes)
            plan.step = self.start
        self.source.shared.run(self.source, 0, 1, self.rate, self.loss, self.sums)
        return float(self.loss[0]), plan.buffers()["moment0"].astype(np.float64)

    def _sum_of_blocks(self) -> tuple[float, np.ndarray]:
        """Return loss and gradient. Several blocks are averaged by their shares."""
        plan, loss, gradient = self.network.plan, 0.0, np.zeros(1)
        for number, (data, rows, share) in enumerate(self.source.blocks()):
            size = data.rows if rows is None else len(rows)
            self.network.ensure_shapes(data.shapes)
            plan.step = self.start + number  # dropout masks of its own
            plan.train(data.x, data.y, data.weight, rows, size, 0, 1, self.rate, self.loss, self.sums, data.lengths)
            loss, gradient = loss + share * self.loss[0], gradient + share * plan.buffers()["moment0"].astype(np.float64)
        self.loss[0] = loss
        return float(loss), gradient


def loop() -> Callable[..., None]:
    """Return the loop, or raise MissingExtraError if SciPy is not installed. This happens before training starts."""
    require("scipy.optimize", "lbfgs", "nn.optim.LBFGS")
    return run_iterations


def run_iterations(
    model: Learner,
    config: Configuration,
    source: ArraySource | BatchSource,
    validation: ValidationBatches | None,
    due: ShouldValidate,
    epochs: range,
    resume_from: Progress | None,
    history: History,
    hooks: CallbackList,
) -> None:
    """Run at most ``len(epochs)`` iterations, with validation after the due ones, until convergence or until a callback stops
    training."""
    plan = model._network.plan
    run = _Iterations(model, config, source, validation, due, epochs, history, hooks)
    hooks.call("on_train_begin", {})
    if resume_from is not None:
        hooks.restore(resume_from.states or ())
    plan.trainer.progress = Progress(epochs.start, plan.step, get_states=hooks.states)
    if run.remaining:
        try:
            run.minimize(config.optimizer)
        finally:
            _core.uninterrupted(run.objective.put_back)
    hooks.call("on_train_end", run.logs)


class _Iterations:
    """The iterations of one `fit`: SciPy asks for values and says when an iteration has ended."""

    def __init__(
        self,
        model: Learner,
        config: Configuration,
        source: ArraySource | BatchSource,
        validation: ValidationBatches | None,
        due: ShouldValidate,
        epochs: range,
        history: History,
        hooks: CallbackList,
    ) -> None:
        self.model, self.config, self.validation, self.due, self.hooks = model, config, validation, due, hooks
        self.history, self.plan, self.total = history, model._network.plan, len(epochs)
        self.objective = _Objective(model._network, config, source)
        self.remaining = list(epochs)
        self.logs: Logs = {}
        self.alarm = Alarm(hooks.callbacks, config.check_finite)
        self.is_within = False  # an iteration has begun and not ended

    def minimize(self, rule: Any) -> None:
        """Let SciPy minimise, and end the iteration that it was in where its last search found nothing better."""
        options = {
            "maxcor": rule.history_size,
            "gtol": rule.tolerance_grad,
            "ftol": rule.tolerance_change,
            "maxls": rule.max_line_search,
            "maxiter": len(self.remaining) + 1,
            "maxfun": rule.max_eval or 2**31 - 1,
        }
        start = self.plan.values().astype(np.float64)
        minimize = require("scipy.optimize", "lbfgs", "nn.optim.LBFGS").minimize
        result = minimize(self.evaluate, start, jac=True, method="L-BFGS-B", callback=self.end_iteration, options=options)
        if self.is_within:
            self.objective(result.x)
            result.fun = self.objective.loss[0]
            with suppress(StopIteration):
                self.end_iteration(result)
        self.objective.accept(result.x, self._steps())
        self.history.search = {key: result[key] for key in ("status", "message", "nit", "nfev", "fun")}

    def evaluate(self, point: np.ndarray) -> tuple[float, np.ndarray]:
        """Return the loss and its gradient at a point; the first one of an iteration begins an epoch."""
        if not self.is_within:
            self.hooks.call("on_epoch_begin", self.remaining[0], {})
            self.hooks.call("on_train_batch_begin", 0, {})
            self.is_within = True
        return self.objective(point)

    def end_iteration(self, intermediate_result: Any) -> None:
        """End an epoch at the point that an iteration has arrived at. SciPy knows the argument by its name."""
        objective, hooks, plan, loss = self.objective, self.hooks, self.plan, intermediate_result.fun
        if objective.loss[0] != loss:
            objective(intermediate_result.x)  # the search ended at a point before the last one
        self.is_within, epoch = False, self.remaining.pop(0)
        shared = objective.source.shared
        self.logs = self.config.logs(float(loss), objective.sums if shared is None else shared.total(objective.sums))
        if not isfinite(loss):
            self.alarm.watch(float(loss), epoch, 1, np.array([loss]))
        hooks.call("on_train_batch_end", 0, self.logs)
        hooks.call("on_train_chunk_end", 1, self.logs)
        self.history.record_steps(np.array([loss]))
        if self.validation is not None and self.due(epoch):
            self.logs |= validate(self.model, self.config, self.validation, hooks, self.config.ranks)
        plan.step = self._steps()
        objective.accept(intermediate_result.x, plan.step)
        plan.trainer.progress = Progress(epoch + 1, plan.step, get_states=hooks.states)
        hooks.call("on_epoch_end", epoch, self.logs)
        if shared is not None:
            shared.agree_to_stop()
        if self.model.stop_training or not self.remaining:
            raise StopIteration

    def _steps(self) -> int:
        """Return the count of updates: each iteration counts as one."""
        return self.objective.start + self.total - len(self.remaining)
