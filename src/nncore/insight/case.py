"""The case that `diagnose` looks at: the model as it is, the data, and short trainings of copies.

A trial trains a deep copy for a bounded number of steps. Whether a change would help is not guessed: the change is made to another
copy, which is trained for as many steps. Trials are cached by name, and most of them run only if the first one did not learn.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from math import ceil, inf, isfinite
from typing import Any, NamedTuple

import numpy as np

from .. import layers
from ..callbacks import Diagnostics
from ..training.hooks import Callback, Logs
from .measure import Measure

_MOST_ROWS = 20_000  #: more rows than this change no verdict
_MOST_TESTED = 1024  #: rows on which a loss is measured
_FIRST_LOOKS = 5  #: epochs after each of which the held-out rows are looked at
_MOST_LOOKS = 30  #: at held-out rows, in a trial
LEARNED = 0.5  #: a loss below this part of chance means that the net learns
_END = 0.1  #: the part of the steps whose losses count as the end of a trial


@dataclass(frozen=True)
class Rows:
    """Some rows: inputs and targets by name, and perhaps lengths of sequences."""

    inputs: Mapping[str, np.ndarray]
    targets: Mapping[str, np.ndarray]
    lengths: np.ndarray | None = None

    def __len__(self) -> int:
        return len(next(iter(self.inputs.values())))

    def take(self, index: Any) -> Rows:
        """Return these rows alone."""
        return Rows(
            {name: value[index] for name, value in self.inputs.items()},
            {name: value[index] for name, value in self.targets.items()},
            None if self.lengths is None else self.lengths[index],
        )

    @property
    def sequence(self) -> dict[str, Any]:
        """The lengths as an argument of `Model.fit`, if there are some."""
        return {} if self.lengths is None else {"lengths": self.lengths}

    @property
    def x(self) -> Any:
        """The inputs in the form that `Model.fit` takes."""
        found = list(self.inputs.values())
        return found if len(found) > 1 else found[0]

    @property
    def y(self) -> Any:
        """The targets in the form that `Model.fit` takes."""
        found = list(self.targets.values())
        return found if len(found) > 1 else found[0]


class _Held(Callback):
    """The loss on the held-out rows at the end of some epochs."""

    def __init__(self, case: Case, rows: Rows | None, every: int) -> None:
        self.case, self.rows, self.every = case, rows, every
        self.losses: list[float] = []

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        if self.rows is not None and (epoch < _FIRST_LOOKS or (epoch + 1) % self.every == 0):
            self.losses.append(self.case.loss_of(self.model, self.rows))


def without_dropout(model: Any) -> None:
    """Let dropout and noise do nothing in a copy, that within recurrent layers as well."""
    for layer in model.layers:
        if isinstance(layer, layers.Dropout | layers.GaussianNoise | layers.Recurrent):
            layer.training = False


def has(model: Any, kind: str) -> bool:
    """Return whether a model has ops of a kind, such as "batch_norm"."""
    return any(op.kind == kind for op in model._network.plan.ops)


class Trial(NamedTuple):
    """What became of a copy. Losses are those of the data, without penalties."""

    model: Any
    steps: np.ndarray  #: the losses of the steps, in training, with penalties
    before: float  #: the loss on training rows before
    after: float  #: and afterwards; infinity if it is no finite number. With batch statistics if there is batch normalisation
    inference: float  #: the loss afterwards at inference, the same but for batch normalisation
    chance: float  #: the least loss of a constant answer on these rows; NaN if it is not known
    held: tuple[float, ...]  #: on held-out rows, at the end of the first epochs, then of epochs in equal distances
    held_chance: float
    found: Diagnostics  #: statistics per layer, by epoch

    @property
    def relative(self) -> float:
        """The loss afterwards as a part of chance, or of the loss before if chance is not known. 0: perfect; 1: learned nothing."""
        if self.chance > 0 and self.after >= 0:
            return self.after / self.chance
        fallen = (self.before - self.after) / abs(self.before) if self.before else 0.0
        return max(0.0, 1 - fallen) if isfinite(fallen) else inf

    @property
    def best_held(self) -> float:
        """The best loss on held-out rows as a part of chance."""
        found = min((loss for loss in self.held if isfinite(loss)), default=inf)
        return found / self.held_chance if self.held_chance > 0 else inf

    @property
    def end(self) -> float:
        """The mean loss of the last steps."""
        last = self.steps[-max(1, round(_END * len(self.steps))) :]
        return float(last.mean()) if len(last) and np.isfinite(last).all() else inf


class Case:
    """A model and data.

    Parameters
    ----------
    model : Sequential or Model
        Compiled. It is copied, and stays as it is.
    rows : Rows
        The data.
    held : Rows or None
        Validation data. If None, a fifth of the rows is held out.
    batch_size : int
        Rows per step.
    steps : int
        Steps of the first trial. Those that test a change have half as many.
    """

    def __init__(self, model: Any, rows: Rows, held: Rows | None, batch_size: int, steps: int) -> None:
        self.model, self.batch_size, self.steps = model, batch_size, steps
        self.rng = np.random.default_rng(0)
        self.is_validated = held is not None
        self.asked_batch_size = batch_size
        if batch_size == 1 and has(model, "batch_norm"):  # fit refuses it
            self.batch_size = 32
        self.whole = rows
        if len(rows) > _MOST_ROWS:
            rows = rows.take(np.sort(self.rng.choice(len(rows), _MOST_ROWS, replace=False)))
        if held is None and len(rows) >= 20:
            order = self.rng.permutation(len(rows))
            cut = len(rows) // 5
            rows, held = rows.take(np.sort(order[cut:])), rows.take(np.sort(order[:cut]))
        self.train, self.given_held = rows, held
        self.held = None if held is None else held.take(slice(0, _MOST_TESTED))
        self.tested = rows.take(np.sort(self.rng.permutation(len(rows))[:_MOST_TESTED]))
        self._trials: dict[str, Trial] = {}

    # The model ----------------------------------------------------------------------------------------------------------------

    @cached_property
    def start(self) -> Any:
        """A copy of the model before any step, built."""
        found = copy.deepcopy(self.model)
        if not found.built:
            self.predict(found, self.train.take(slice(0, 1)))
        return found

    @property
    def config(self) -> Any:
        """What ``compile`` was told."""
        return self.model._trainer.config

    @property
    def losses(self) -> list[Any]:
        """The losses, one per output."""
        return list(self.config.losses)

    @property
    def rule(self) -> Any:
        """The optimizer."""
        return self.config.optimizer

    @cached_property
    def plan(self) -> Any:
        """The op records of the model, with the layers that own them."""
        return self.start._network.plan

    @cached_property
    def measure(self) -> Measure:
        """The losses with their weights."""
        return Measure(self.losses, self.config.weights, self.start.output_shapes)

    @cached_property
    def is_finite(self) -> bool:
        """Whether all data are finite numbers in the model's dtype. If not, nothing is trained."""
        everything = [self.whole] + ([self.given_held] if self.given_held is not None else [])
        with np.errstate(over="ignore"):
            return all(
                np.isfinite(np.asarray(value, self.model.dtype)).all()
                for rows in everything
                for value in (*rows.inputs.values(), *rows.targets.values())
                if value.dtype.kind in "fiub"
            )

    @cached_property
    def is_stateful(self) -> bool:
        """Whether a recurrent layer carries its state from batch to batch."""
        return any(op.kind == "recurrent" and op.field("stateful") for op in self.plan.ops)

    @property
    def is_trained(self) -> bool:
        """Whether a copy has been trained as it is."""
        return "as it is" in self._trials

    # Losses -------------------------------------------------------------------------------------------------------------------

    def predict(self, model: Any, rows: Rows) -> list[np.ndarray]:
        """Return predictions, one array per output."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = model.predict(rows.x, **rows.sequence)
        return list(found) if isinstance(found, list | tuple) else list(found.values()) if isinstance(found, dict) else [found]

    def loss_of(self, model: Any, rows: Rows) -> float:
        """Return the loss of the data at inference, without penalties; infinity if it is not finite."""
        return self.measure.of(self.predict(model, rows), rows)

    def learned(self, model: Any, rows: Rows) -> float:
        """Return the loss of the data as training sees it: with the statistics of the batch, but without dropout and noise."""
        if not has(model, "batch_norm") or len(rows) < 2:
            return self.loss_of(model, rows)
        model = copy.deepcopy(model)
        without_dropout(model)
        answers = model.forward(rows.x, training=True, **rows.sequence)
        return self.measure.of(answers if isinstance(answers, list | tuple) else [answers], rows)

    # Trials -------------------------------------------------------------------------------------------------------------------

    @property
    def first(self) -> Trial:
        """The model as it is."""
        return self.trial("as it is", lambda model: None, self.steps)

    def trial(
        self,
        name: str,
        change: Callable[[Any], Any] | None = None,
        steps: int | None = None,
        transform: Callable[[Rows], Rows] | None = None,
    ) -> Trial:
        """Return what becomes of a copy with a change.

        Parameters
        ----------
        name : str
            Under which the trial is kept.
        change : callable, optional
            It gets the copy, and may return another model to take its place.
        steps : int, optional
            Half of those of the first trial if None.
        transform : callable, optional
            What is done to all rows.
        """
        if name not in self._trials:
            model = copy.deepcopy(self.start)
            model = (change(model) if change else None) or model
            self._trials[name] = self._run(model, steps or max(1, self.steps // 2), transform or (lambda rows: rows))
        return self._trials[name]

    def _run(self, model: Any, steps: int, transform: Callable[[Rows], Rows]) -> Trial:
        rows, tested = transform(self.train), transform(self.tested)
        held = None if self.held is None else transform(self.held)
        size = min(self.batch_size, len(rows))
        if len(rows) > steps * size:
            rows = rows.take(slice(0, steps * size))
        if self.is_stateful:  # its batches go on where those before ended
            rows = rows.take(slice(0, len(rows) // size * size))
        elif len(rows) % size == 1 and size > 1:  # a batch of one row has no variance
            rows = rows.take(slice(0, len(rows) - 1))
        epochs = ceil(steps / ceil(len(rows) / size))
        found, watched = Diagnostics(every=max(1, min(5, steps // 20))), _Held(self, held, ceil(epochs / _MOST_LOOKS))
        before = self.learned(model, tested)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            history = model.fit(
                rows.x,
                rows.y,
                epochs=epochs,
                batch_size=size,
                callbacks=[found, watched],
                shuffle=not self.is_stateful,
                verbose=0,
                step_losses="all",
                **rows.sequence,
            )
        return Trial(
            model,
            history.step_losses,
            before,
            self.learned(model, tested),
            self.loss_of(model, tested),
            self.measure.chance(tested),
            tuple(watched.losses),
            float("nan") if held is None else self.measure.chance(held),
            found,
        )

    def improves(self, other: Trial | None) -> bool:
        """Whether another trial, which has half the steps, learned far more than the first one."""
        if other is None or not isfinite(other.relative):
            return False
        first = self.first.relative
        return not isfinite(first) or (other.relative < 0.6 * first and first - other.relative > 0.1)

    def compared(self, other: Trial | None, name: str) -> dict[str, float]:
        """Return the evidence of a comparison."""
        if other is None:
            return {}
        return {"loss / chance": self.first.relative, f"loss / chance, {name}": other.relative}

    def changed(self, **changes: Any) -> Callable[[Any], Any]:
        """Return a change of the optimizer's arguments, such as ``lr=0.1``; the penalties of ``compile`` stay."""

        def change(model: Any) -> None:
            self.compile_again(model, type(self.rule)(**{**self.rule.config(), **changes}))

        return change

    def compile_again(self, model: Any, optimizer: Any, with_penalties: bool = True) -> None:
        """Compile a copy with another optimizer, perhaps without L1 and L2."""
        l1, l2 = (self.config.l1, self.config.l2) if with_penalties else (0.0, 0.0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model.compile(self.losses, optimizer, loss_weights=list(self.config.weights), l1=l1, l2=l2)
