"""Trials with one change: standardised inputs, scaled targets, another learning rate, other weights, no penalties, a plain net."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import layers, optim
from ..models import Sequential
from .case import Case, Rows, Trial, without_dropout
from .facts import columns_of, numbers_of, weight_layers

_WIDTH, _SEQUENCE_WIDTH = 64, 32  #: units of the plain net
#: The losses of numbers for which targets may be shifted and scaled.
SCALABLE = frozenset(("mean_squared_error", "mean_absolute_error", "huber", "log_cosh", "half_squared_error", "quantile"))


def standardised(case: Case) -> Trial:
    """The inputs with mean 0 and standard deviation 1 in every column."""
    return case.trial("standardised", transform=_standardising(case))


def _standardising(case: Case) -> Callable[[Rows], Rows]:
    """Return the function that standardises the inputs that are numbers by the columns of the training rows."""
    found = {name: _standardising_columns(value) for name, value in numbers_of(case, case.train).items()}
    return lambda rows: Rows(
        {name: found[name](value) if name in found else value for name, value in rows.inputs.items()}, rows.targets, rows.lengths
    )


def _standardising_columns(value: np.ndarray) -> Any:
    """Return a function that standardises columns by those of some rows."""
    flat = columns_of(value)
    mean, std = flat.mean(0), flat.std(0)
    return lambda each: (np.asarray(each, np.float64) - mean) / np.where(std > 1e-12, std, 1.0)


def with_scaled_targets(case: Case) -> Trial:
    """The targets of regressions with mean 0 and standard deviation 1."""
    found = {}
    for loss, (name, y) in zip(case.losses, case.train.targets.items(), strict=True):
        if loss.name in SCALABLE:
            found[name] = _standardising_columns(y.reshape(len(y), -1) if y.ndim < 2 else y)

    def transform(rows: Rows) -> Rows:
        targets = {
            name: found[name](y.reshape(len(y), -1) if y.ndim < 2 else y).reshape(y.shape) if name in found else y
            for name, y in rows.targets.items()
        }
        return Rows(rows.inputs, targets, rows.lengths)

    return case.trial("scaled targets", transform=transform)


def at_rate(case: Case, factor: float) -> Trial:
    """The learning rate times a factor."""
    return case.trial(f"lr * {factor:g}", case.changed(lr=float(case.rule.lr) * factor))


def rescaled(case: Case) -> Trial | None:
    """Weights as they are drawn by default: uniform within sqrt(6 / (fan_in + fan_out)) (Glorot and Bengio, 2010), biases 0."""
    if not case.is_finite:
        return None

    def change(model: Any) -> None:
        rng = np.random.default_rng(0)
        state = model.state_dict()
        for each in weight_layers(model):
            bound = np.sqrt(6.0 / sum(each.value.shape))
            state[each.name] = rng.uniform(-bound, bound, each.value.shape)
            for name in state:
                if name.rpartition(".")[0] == each.key and name.rpartition(".")[2].startswith("bias"):
                    state[name] = np.zeros_like(state[name])
        model.load_state_dict(state)

    return case.trial("usual weights", change)


def without_penalties(case: Case) -> Trial:
    """No L1, L2, weight decay, limits of norms, dropout and noise."""

    def change(model: Any) -> None:
        for layer in model.layers:
            for name in ("l1", "l2", "max_norm"):
                if getattr(layer, name, None):
                    setattr(layer, name, None)
        without_dropout(model)
        kept = {name: 0.0 if "weight_decay" in name else value for name, value in case.rule.config().items()}
        case.compile_again(model, type(case.rule)(**kept), with_penalties=False)

    return case.trial("without penalties", change, case.steps)


def reference(case: Case, steps: int | None = None) -> Trial | None:
    """A plain net of two hidden layers, or a GRU for sequences, with standardised inputs and Adam. None where it does not fit."""
    shapes, losses = case.start.output_shapes, case.losses
    value = next(iter(case.train.inputs.values()))
    fits = len(case.train.inputs) == len(losses) == 1 and len(shapes[0]) == 1 and value.ndim in (2, 3)
    if not fits or not numbers_of(case, case.train) or type(losses[0]).__name__ == "PythonLoss":
        return None
    scaled = losses[0].name in SCALABLE
    if losses[0].targets not in ("classes", "one_hot", "probabilities") and not scaled and losses[0].name != "poisson":
        return None

    def change(model: Any) -> Any:
        width = _SEQUENCE_WIDTH if value.ndim == 3 else _WIDTH
        hidden = [layers.GRU(value.shape[2], width)] if value.ndim == 3 else [layers.Linear(value.shape[1], width), layers.ReLU()]
        hidden += [layers.Linear(width, width), layers.ReLU(), layers.Linear(width, shapes[0][0])]
        if losses[0].targets in ("classes", "one_hot", "probabilities") and not losses[0].from_logits:
            hidden.append(layers.Sigmoid() if losses[0].targets == "probabilities" else layers.Softmax())
        if losses[0].name == "poisson" and not losses[0].from_logits:
            hidden.append(layers.Softplus())
        plain = Sequential(*hidden, seed=0, dtype=model.dtype.name)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            plain.compile(losses[0], optim.Adam(lr=3e-3))
        return plain

    standardise = _standardising(case)
    mean = {name: (y.mean(0, dtype="f8"), y.std(0, dtype="f8")) for name, y in case.train.targets.items()} if scaled else {}

    def transform(rows: Rows) -> Rows:
        found = standardise(rows)
        if not scaled:
            return found
        targets = {name: (y - mean[name][0]) / np.where(mean[name][1] > 0, mean[name][1], 1.0) for name, y in rows.targets.items()}
        return Rows(found.inputs, targets, found.lengths)

    return case.trial(f"a plain net {steps or ''}", change, steps, transform)


def with_adam(case: Case) -> Trial:
    """The same net, trained by Adam for as many steps as the first trial."""

    return case.trial("with Adam", lambda model: case.compile_again(model, optim.Adam(lr=3e-3)), steps=case.steps)


def unfrozen(case: Case) -> Trial | None:
    """All layers trainable."""
    if not case.is_finite:
        return None

    def change(model: Any) -> None:
        model.trainable = True
        case.changed()(model)

    return case.trial("nothing frozen", change)


def in_larger_batches(case: Case, size: int) -> Trial:
    """Batches of so many rows."""
    own, case.batch_size = case.batch_size, size
    try:
        return case.trial(f"batches of {size}")
    finally:
        case.batch_size = own
