"""The configuration that ``compile`` makes: losses, optimizer and metrics, checked against each other and the outputs.

It produces the records of the core as soon as the shapes of the outputs are known. It also converts the core's sums into logs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from .. import losses, metrics, optim
from .._checks import flag, real, shown
from ..data.by_name import align_to_names
from ..errors import ArgumentError, ShapeError, UnknownNameError
from ..records import LossSpec, OutputStatistics, Shape
from .outputs import per_output
from .ranks.base import Ranks


class Configuration:
    """The training configuration of a model: the checked arguments of ``compile``.

    Parameters
    ----------
    loss, optimizer, metrics, loss_weights, check_finite, l1, l2, weighted_metrics, distributed
        See `Model.compile`.
    names : sequence of str
        The names of the model's outputs.
    """

    statistics: list[OutputStatistics]  # this and the next are set by bind, when the outputs are known
    sum_shapes: list[tuple[int, ...] | None]  # those of `sums`
    _forms: list[dict[str, str]]  # see forms
    readers: dict[str, metrics.Reader | None]  # from sums to metrics, by key; None for a metric that sees the rows
    is_advised: bool = False  # whether compile has given its warnings

    def __init__(
        self,
        loss: Any,
        optimizer: Any,
        metrics_: Any,
        loss_weights: Any,
        check_finite: bool,
        names: Sequence[str],
        l1: float = 0.0,
        l2: float = 0.0,
        weighted_metrics: Any = None,
        distributed: Any = None,
    ) -> None:
        outputs, self.names = len(names), list(names)
        _refuse_swapped(loss, optimizer)
        self.distributed = checked_ranks(distributed)
        if type(loss) is not str and isinstance(loss, Mapping):
            loss = align_to_names("compile: loss", loss, names)
        if loss_weights is not None and isinstance(loss_weights, Mapping):
            loss_weights = align_to_names("compile: loss_weights", {**dict.fromkeys(names, 1.0), **loss_weights}, names)
        self.losses = [losses.get(each) for each in (loss if isinstance(loss, list | tuple) else [loss] * outputs)]
        rule = optim.get(optimizer)
        self.optimizer = rule if isinstance(optimizer, str) else rule.compiled()
        self.first_lr = self.optimizer.lr
        self.plain_metrics, self.weighted_metrics = (
            [[_metric(m, argument) for m in each] for each in per_output(argument, given, names)]
            for argument, given in (("metrics", metrics_), ("weighted_metrics", weighted_metrics))
        )
        self.metrics = [[*plain, *more] for plain, more in zip(self.plain_metrics, self.weighted_metrics, strict=True)]
        self.weights = _weights(loss_weights, names)
        self.check_finite = flag("compile", "check_finite", check_finite)
        self.l1, self.l2 = real("compile", "l1", l1, 0.0), real("compile", "l2", l2, 0.0)
        if len(self.losses) != outputs:
            raise ArgumentError(f"compile: {len(self.losses)} losses for {outputs} outputs")
        reductions = {each.reduction for each in self.losses}
        if len(reductions) > 1 or "none" in reductions:
            raise ArgumentError(f"compile: all losses need one and the same reduction other than 'none', not {sorted(reductions)}")
        self.reduction = reductions.pop()
        self._name()

    def _name(self) -> None:
        """Set the keys of the logs, and what belongs to each key."""
        if len(self.names) == 1 and not self.metrics[0]:
            self.loss_keys, self._places, self.array_keys = [], {}, []
            self.metric_keys: list[list[str]] = [[]]
            self.costly_keys: frozenset[str] = frozenset()
            self.log_keys, self.directions = ["loss"], {"loss": "min"}
            return
        prefixes = [""] if len(self.names) == 1 else [f"{name}_" for name in self.names]
        self.loss_keys = [f"{name}_loss" for name in self.names] if len(self.names) > 1 else []
        plain = [[prefix + m.name for m in each] for prefix, each in zip(prefixes, self.plain_metrics, strict=True)]
        taken = {key for keys in plain for key in keys}
        weighted = [  # Keras's names
            [f"{prefix}weighted_{m.name}" if prefix + m.name in taken else prefix + m.name for m in each]
            for prefix, each in zip(prefixes, self.weighted_metrics, strict=True)
        ]
        self.metric_keys = [[*keys, *more] for keys, more in zip(plain, weighted, strict=True)]
        self._places = {
            key: (i, ms[k], sum(m.kind == "python" for m in ms[:k]))
            for i, (keys, ms) in enumerate(zip(self.metric_keys, self.metrics, strict=True))
            for k, key in enumerate(keys)
        }
        self.directions = dict.fromkeys(("loss", *self.loss_keys), "min")
        self.directions |= {key: metric.direction for key, (_, metric, _) in self._places.items()}
        self.array_keys = [key for key, (_, metric, _) in self._places.items() if _is_array(metric)]
        self.costly_keys = frozenset(key for key, (_, metric, _) in self._places.items() if metric.kind == "python")
        self.log_keys = ["loss", *self.loss_keys, *(key for keys in (*plain, *weighted) for key in keys)]
        if len({*self.log_keys}) < len(self.log_keys):
            name = next(key for key in self.log_keys if self.log_keys.count(key) > 1)
            raise ArgumentError(f"compile: two metrics are called {name!r}; rename one, as in nn.metrics.F1(name='f1_macro')")

    @property
    def ranks(self) -> Ranks | None:
        """The processes that train this model together, or None if there is only one."""
        return self.distributed if self.distributed is not None and self.distributed.size > 1 else None

    def restart(self) -> None:
        """Give the optimizer the learning rate with which the model was compiled."""
        self.optimizer.lr = self.first_lr

    def bind(self, shapes: Sequence[Shape], activations: Sequence[tuple[str, Any]]) -> list[LossSpec]:
        """Check losses and metrics against the outputs. Set ``statistics`` and return the records of the losses."""
        statistics: list[OutputStatistics] = []
        readers: dict[str, metrics.Reader | None] = {}
        sums: list[tuple[int, ...] | None] = []
        tasks, columns, specs, forms = [], [], [], []
        for i, (loss, shape, (activation, _)) in enumerate(zip(self.losses, shapes, activations, strict=True)):
            width, watching = shape[-1] if shape else 1, self.metrics[i]
            if loss.targets == "classes" and width < 2:
                raise ShapeError(
                    f"{loss.name} needs one output per class, but the model has {width}; let the last layer have as many outputs "
                    "as there are classes, or use binary_crossentropy"
                )
            if loss.targets == "one_hot" and width < 2:
                raise ShapeError(f"{loss.name} needs several outputs, but the model has {width}; use binary_crossentropy")
            loss.check_columns(width)
            task = metrics.Task(loss.targets, width // (2 if loss.targets == "halved" else 1), loss.from_logits, activation)
            needed, own = metrics.statistics(watching, task, len(self.plain_metrics[i]))
            if own:
                readers.update(zip(self.metric_keys[i], own, strict=True))
            size = needed.size(task.columns)
            statistics.append(needed)
            tasks.append(task)
            columns.append(task.columns)
            specs.append(loss.spec(self.weights[i]))
            forms.append(_forms(loss, watching, task))
            sums.append((size,) if size else None)
        sums.append((len(sums) + 1, 2))
        # All at once: an interrupt must not leave some of them.
        self.statistics, self.tasks, self.columns, self.readers = statistics, tasks, columns, readers
        self.sum_shapes, self._forms = sums, forms
        return specs

    def describe(self) -> list[str]:
        """Return a line of text for each part of the configuration."""
        losses = {
            (f"{name}: " if len(self.names) > 1 else "") + repr(loss) + ("" if weight == 1 else f" * {weight:g}"): None
            for name, loss, weight in zip(self.names, self.losses, self.weights, strict=True)
        }
        penalties = [f"{name}={value:g}" for name, value in (("l1", self.l1), ("l2", self.l2)) if value]
        found = ["Loss: " + ", ".join([*losses, *penalties]), f"Optimizer: {self.optimizer!r}"]
        first = 1 + len(self.loss_keys)
        middle = first + sum(map(len, self.plain_metrics))
        for what, keys in (("Metrics", self.log_keys[first:middle]), ("Weighted metrics", self.log_keys[middle:])):
            found += [f"{what}: {', '.join(keys)}"] if keys else []
        return found

    def forms(self, output: int) -> dict[str, str]:
        """Return the forms of targets that metrics need where the loss takes any numbers, and a metric that needs it."""
        return self._forms[output]

    def sums(self, at_once: bool = False, keeps: bool = False) -> Sums:
        """Return zeroed arrays to which the core adds, one per output and one for losses, with new states of the metrics in
        Python. at_once: for a single batch. keeps: their rows are kept, for the metrics of the rows of all ranks."""
        arrays = [None if shape is None else np.zeros(shape) for shape in self.sum_shapes]
        if not self.costly_keys:  # a short epoch takes only some microseconds
            return Sums(arrays, [[] for _ in self.metrics])
        watchers = [[m.watcher(task) for m in ms if m.kind == "python"] for ms, task in zip(self.metrics, self.tasks, strict=True)]
        for own, loss in zip(watchers, self.losses, strict=True):
            for watcher in own:
                watcher.at_once, watcher.by_lines, watcher.keeps = at_once and not keeps, loss.ignored is not None, keeps
        for own, plain in zip(watchers, self.plain_metrics, strict=True):
            count = sum(m.kind == "python" for m in plain)
            own[:count] = map(metrics.Unweighted, own[:count])
        return Sums(arrays, watchers)

    def logs(self, loss: float, sums: Sums) -> dict[str, Any]:
        """Return the loss and all metrics, under the names that history uses."""
        if len(self.log_keys) == 1:
            return {"loss": loss}
        return {key: self.value(key, loss, sums) for key in self.log_keys}

    def value(self, key: str, loss: float, sums: Sums) -> Any:
        """Return one value of the logs."""
        if key == "loss":
            return loss
        if key not in self._places:  # the loss of an output
            losses, i = sums[-1], self.loss_keys.index(key)
            assert losses is not None
            return float(self._each(losses[i : i + 1])[0])
        i, _, watcher = self._places[key]
        reader = self.readers[key]
        if reader is None:
            return sums.watchers[i][watcher].result()
        each = sums[i]
        assert each is not None
        return reader(each)

    def evaluated(self, total: np.ndarray, sums: Sums, penalty: float) -> tuple[float, Sums]:
        """Return the loss and the sums of an evaluation, for `logs`. total: see `total`; penalty: the penalty of the weights."""
        if self.optimizer.divide_penalties and penalty:
            penalty /= float(total[0, 1]) or 1.0
        return self.total(total) + penalty, Sums([*sums[:-1], total], sums.watchers) if self.loss_keys else sums

    def epoch(self, steps: int, last: float, sums: Sums) -> float:
        """Return the loss of several steps as if their rows were one batch. The penalty is averaged over the rows. last: the loss
        of the last step."""
        if steps == 1 and last == last:
            return last
        losses = sums[-1]
        assert losses is not None
        return self.total(losses[:-1]) + float(losses[-1, 0] / losses[-1, 1])

    def total(self, sums: np.ndarray) -> float:
        """Return the loss of an evaluation from its sums, [outputs, 2]: the sum of the row losses, and their divisor."""
        if len(sums) == 1:  # plain numbers, because a NumPy division takes as long as several steps of a small network
            loss, count = map(float, sums.tolist()[0])
            return (loss if self.reduction == "sum" else loss / (count or 1.0)) * self.weights[0]
        return float(self._each(sums) @ self.weights)

    def _each(self, sums: np.ndarray) -> np.ndarray:
        """Return the loss of each output. It is 0 if all weights of the output are 0."""
        return sums[:, 0] if self.reduction == "sum" else sums[:, 0] / np.where(sums[:, 1] == 0, 1.0, sums[:, 1])


class Sums(list[np.ndarray | None]):
    """The sums of each output: the array to which the core adds, or None. It also holds the states of the metrics in Python."""

    def __init__(self, arrays: Iterable[np.ndarray | None], watchers: list[list[Any]]) -> None:
        super().__init__(arrays)
        self.watchers = watchers

    def resume(self, sums: list[np.ndarray | None]) -> None:
        """Continue an epoch whose first rows were seen by another run: metrics in Python have not seen them, and become NaN."""
        self[:] = sums
        self.watchers = [[metrics.Partial(watcher) for watcher in own] for own in self.watchers]


def results(logs: dict[str, Any], return_dict: bool) -> Any:
    """Return the result of evaluate or train_on_batch: the loss, a list of loss and metrics, or a dict by name."""
    if return_dict:
        return logs
    return logs["loss"] if len(logs) == 1 else list(logs.values())


def _forms(loss: losses.Loss, watching: list[metrics.Metric], task: metrics.Task) -> dict[str, str]:
    if not watching or loss.targets not in ("values", "repeated", "halved"):
        return {}
    found = {metric.form(task): metric.name for metric in reversed(watching)}
    return {form: name for form, name in found.items() if form}


def _metric(given: Any, argument: str) -> metrics.Metric:
    """Return the metric that an argument of ``compile`` names."""
    try:
        return metrics.get(given)
    except ArgumentError as error:
        error.args = (str(error).replace("metrics: ", f"{argument}: ", 1),)
        raise


def checked_ranks(given: Any) -> Ranks | None:
    """Return the argument ``distributed`` of `Model.compile`."""
    if given is None or isinstance(given, Ranks):
        return given
    raise ArgumentError(f"compile: distributed must be nn.distributed.MPI() or None, not {shown(given)}")


def _refuse_swapped(loss: Any, optimizer: Any) -> None:
    """Raise an error that says so if the loss is an optimizer, or the optimizer a loss. Keras has the optimizer first."""
    if type(loss) is str and type(optimizer) is str and loss not in optim.OPTIMIZERS and optimizer not in losses.LOSSES:
        return
    for given, kind, other, base, table, where in (
        (loss, "an optimizer", "a loss", optim.Optimizer, optim.OPTIMIZERS, "loss=..., optimizer={}"),
        (optimizer, "a loss", "an optimizer", losses.Loss, losses.LOSSES, "loss={}, optimizer=..."),
    ):
        if isinstance(given, base) or (isinstance(given, type) and issubclass(given, base)):
            shown_as = (given if isinstance(given, type) else type(given)).__name__
            raise ArgumentError(f"compile: {shown_as} is {kind}, not {other}; use compile({where.format(shown_as + '(...)')})")
        if isinstance(given, str) and given in table:
            raise UnknownNameError(f"{given!r} is {kind}, not {other}; use compile({where.format(repr(given))})")


def _weights(given: Any, names: Sequence[str]) -> list[float]:
    """Return the weight of the loss of each output."""
    if given is None:
        return [1.0] * len(names)
    is_array = isinstance(given, np.ndarray) and given.ndim == 1
    if not is_array and not isinstance(given, list | tuple):
        raise ArgumentError(
            f"compile: loss_weights must be a list of numbers, one per output, or a dict by name, not {shown(given)}"
        )
    if len(given) != len(names):
        raise ArgumentError(f"compile: {len(given)} loss_weights for {len(names)} outputs, {', '.join(names)}")
    return [real("compile", f"loss_weights of {name!r}", weight) for name, weight in zip(names, given, strict=True)]


def _is_array(metric: metrics.Metric) -> bool:
    """Return whether the value of a metric is known to be an array: a matrix, or one number per class."""
    return isinstance(metric, metrics.ConfusionMatrix) or getattr(metric, "average", "") is None
