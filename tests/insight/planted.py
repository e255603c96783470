"""Nets with one planted fault each, and healthy nets, on several data sets: what `nn.diagnose` must and must not find."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from sklearn.datasets import load_breast_cancer, load_digits, load_wine

import nncore as nn

SEEDS = 5
Given = dict[str, Any]  # the arguments of diagnose


# Data ------------------------------------------------------------------------------------------------------------------------


@cache
def digits() -> tuple[np.ndarray, np.ndarray]:
    x, y = load_digits(return_X_y=True)
    return (x / 16).astype("f4"), y


def standardised(x: np.ndarray) -> np.ndarray:
    return ((x - x.mean(0)) / x.std(0)).astype("f4")


@cache
def wine() -> tuple[np.ndarray, np.ndarray]:
    x, y = load_wine(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(x))
    return standardised(x)[order], y[order]


@cache
def cancer() -> tuple[np.ndarray, np.ndarray]:
    x, y = load_breast_cancer(return_X_y=True)
    return standardised(x), y


@cache
def spirals() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    y = np.arange(900) % 3
    r = rng.uniform(0.1, 1, 900)
    angle = 2.5 * r + 2 * np.pi * y / 3 + 0.1 * rng.normal(size=900)
    return (2 * np.stack([r * np.cos(angle), r * np.sin(angle)], 1)).astype("f4"), y


@cache
def friedman() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    x = rng.uniform(size=(800, 10))
    y = 10 * np.sin(np.pi * x[:, 0] * x[:, 1]) + 20 * (x[:, 2] - 0.5) ** 2 + 10 * x[:, 3] + 5 * x[:, 4] + rng.normal(size=800)
    return standardised(x), ((y - y.mean()) / y.std()).astype("f4")


@cache
def product() -> tuple[np.ndarray, np.ndarray]:
    x = np.random.default_rng(2).normal(size=(1000, 4)).astype("f4")
    y = x[:, 0] * x[:, 1] + np.sin(2 * x[:, 2])
    return x, (y / y.std()).astype("f4")


@cache
def wave() -> tuple[np.ndarray, np.ndarray]:
    x = np.random.default_rng(3).uniform(-3, 3, (600, 1)).astype("f4")
    return x, (np.sin(2 * x[:, 0]) + 0.3 * x[:, 0]).astype("f4")


@cache
def tones(time: int = 30) -> tuple[np.ndarray, np.ndarray]:
    """Sequences of three frequencies."""
    rng = np.random.default_rng(4)
    y = np.arange(600) % 3
    t = np.arange(time)
    x = np.sin((0.3 + 0.4 * y)[:, None] * t + rng.uniform(0, 6, (600, 1))) + 0.2 * rng.normal(size=(600, time))
    return x[:, :, None].astype("f4"), y


@cache
def sums(time: int = 30) -> tuple[np.ndarray, np.ndarray]:
    """Whether the sum of two channels over time is positive."""
    x = np.random.default_rng(5).normal(size=(600, time, 2)).astype("f4")
    return x, (x.sum((1, 2)) > 0).astype(int)


@cache
def next_value(time: int = 30) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(6)
    start, speed = rng.uniform(0, 6, (600, 1)), rng.uniform(0.2, 0.6, (600, 1))
    x = np.sin(start + speed * np.arange(time + 1)) + 0.05 * rng.normal(size=(600, time + 1))
    return x[:, :-1, None].astype("f4"), x[:, -1].astype("f4")


CLASSES = (digits, wine, spirals)
NUMBERS = (friedman, product, wave)
SEQUENCES = (tones, sums, next_value)

# Models ----------------------------------------------------------------------------------------------------------------------


def is_numbers(y: np.ndarray) -> bool:
    return y.dtype.kind == "f"


def outputs(y: np.ndarray) -> int:
    return 1 if is_numbers(y) else int(y.max()) + 1


def end(y: np.ndarray) -> list[nn.Layer]:
    return [] if is_numbers(y) else [nn.Softmax()]


def loss(y: np.ndarray) -> str:
    return "mse" if is_numbers(y) else "sparse_categorical_crossentropy"


def mlp(
    x: np.ndarray,
    y: np.ndarray,
    seed: int,
    hidden: tuple[int, ...] = (32, 32),
    activation: Callable[[], nn.Layer] = nn.ReLU,
    optimizer: Any = None,
    between: Callable[[int], list[nn.Layer]] = lambda units: [],
    compiled: dict[str, Any] | None = None,
    **linear: Any,
) -> nn.Sequential:
    layers: list[nn.Layer] = []
    for fan_in, units in zip((x.shape[1], *hidden), hidden, strict=False):
        layers += [nn.Linear(fan_in, units, **linear), *between(units), activation()]
    model = nn.Sequential(*layers, nn.Linear((x.shape[1], *hidden)[-1], outputs(y)), *end(y), seed=seed)
    model.compile(loss(y), optimizer or nn.optim.Adam(lr=3e-3), **(compiled or {}))
    return model


def recurrent(x: np.ndarray, y: np.ndarray, seed: int, cell: Any = nn.GRU, optimizer: Any = None, **kwargs: Any) -> nn.Sequential:
    model = nn.Sequential(cell(x.shape[2], 16, **kwargs), nn.Linear(16, outputs(y)), *end(y), seed=seed)
    model.compile(loss(y), optimizer or nn.optim.Adam(lr=1e-2))
    return model


def given(model: nn.Sequential, x: np.ndarray, y: np.ndarray, **more: Any) -> Given:
    return {"model": model, "x": x, "y": y, **more}


# Faults ----------------------------------------------------------------------------------------------------------------------


def lr_too_high(data: Any, seed: int) -> Given:
    x, y = data()
    return given(mlp(x, y, seed, optimizer=nn.optim.SGD(lr=30.0) if seed % 2 else nn.optim.Adam(lr=3.0)), x, y)


def lr_too_low(data: Any, seed: int) -> Given:
    x, y = data()
    return given(mlp(x, y, seed, optimizer=nn.optim.SGD(lr=1e-5) if seed % 2 else nn.optim.Adam(lr=1e-7)), x, y)


def vanishing(data: Any, seed: int) -> Given:
    x, y = data()
    return given(mlp(x, y, seed, (24,) * (8 + seed), nn.Sigmoid), x, y)


def exploding(data: Any, seed: int) -> Given:
    x, y = data()
    model = recurrent(x, y, seed, nn.RNN, nonlinearity="relu", optimizer=nn.optim.SGD(lr=1e-2))
    model[0].weight_hh_l0 = np.eye(16) * (1.6 + 0.1 * seed)
    return given(model, x, y)


def dead(data: Any, seed: int) -> Given:
    x, y = data()
    model = mlp(x, y, seed, (32, 32))
    for layer in (model[0], model[2])[: 1 + seed % 2]:
        layer.bias = np.full(32, -20.0 - 5 * seed)
    return given(model, x, y)


def saturated(data: Any, seed: int) -> Given:
    x, y = data()
    model = mlp(x, y, seed, (32,), (nn.Tanh, nn.Sigmoid)[seed % 2])
    model[0].bias = np.where(np.arange(32) % 2, 30.0, -30.0)
    return given(model, x, y)


def symmetric(data: Any, seed: int) -> Given:
    x, y = data()
    return given(mlp(x, y, seed, weight_init=nn.init.Constant(0.05 * (1 + seed))), x, y)


def zero_init(data: Any, seed: int) -> Given:
    x, y = data()
    return given(mlp(x, y, seed, weight_init="zeros"), x, y)


def large_init(data: Any, seed: int) -> Given:
    x, y = data()
    return given(mlp(x, y, seed, (32, 32), (nn.Tanh, nn.ReLU)[seed % 2], weight_init=nn.init.Normal(std=8.0 + 4 * seed)), x, y)


def unscaled_inputs(data: Any, seed: int) -> Given:
    x, y = data()
    scale = np.random.default_rng(seed).permutation(np.geomspace(1, 3e4, x.shape[1])) if x.shape[1] > 1 else np.float64(3e3)
    return given(mlp(x, y, seed, activation=(nn.Tanh, nn.ReLU)[seed % 2]), x * scale + 2 * scale, y)


def constant_inputs(data: Any, seed: int) -> Given:
    x, y = data()
    return given(mlp(x, y, seed), np.full_like(x, seed), y)


def duplicated_inputs(data: Any, seed: int) -> Given:
    x, y = data()
    noise = 1e-4 * np.random.default_rng(seed).normal(size=x.shape)
    x = np.concatenate([x, 2 * x + noise * x.std(0) if seed % 2 else x], 1).astype("f4")
    return given(mlp(x, y, seed), x, y)


def unscaled_targets(data: Any, seed: int) -> Given:
    x, y = data()
    return given(mlp(x, y, seed), x, y * 10.0 ** (3 + seed) + (10.0 ** (4 + seed)) * (seed % 2))


def non_finite(data: Any, seed: int) -> Given:
    x, y = data()
    x = x.copy()
    x[seed * 7, 0] = (np.nan, np.inf, -np.inf)[seed % 3]
    return given(mlp(x, y, seed), x, y)


def shuffled_labels(data: Any, seed: int) -> Given:
    x, y = data()
    return given(mlp(x, y, seed, (64, 64)), x, np.random.default_rng(seed).permutation(y))


def copied_rows(data: Any, seed: int) -> Given:
    x, y = data()
    chosen = np.random.default_rng(seed).choice(len(x), len(x) // 4, replace=False)
    return given(mlp(x, y, seed), x, y, validation_data=(x[chosen], y[chosen]))


def target_among_inputs(data: Any, seed: int) -> Given:
    x, y = data()
    x = np.insert(x, seed % x.shape[1], 0.5 * y, axis=1).astype("f4")
    return given(mlp(x, y, seed), x, y)


def imbalance(data: Any, seed: int) -> Given:
    """One class in fifty, which the inputs hardly tell."""
    x, _ = data()
    rng = np.random.default_rng(seed)
    x = rng.permutation(np.resize(x, (1500, *x.shape[1:])))
    score = x[:, 0] + 2.0 * rng.normal(size=len(x))
    y = (score > np.quantile(score, 0.96)).astype(int)
    return given(mlp(x, y, seed, (8,)), x + 0.05 * rng.normal(size=x.shape).astype("f4"), y)


def softmax_over_one(data: Any, seed: int) -> Given:
    x, y = data()
    y = (y > 0).astype("f4")
    model = nn.Sequential(nn.Linear(x.shape[1], 32), nn.ReLU(), nn.Linear(32, 1), nn.Softmax(), seed=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.compile("binary_crossentropy", "adam")
    return given(model, x, y)


def no_activation(data: Any, seed: int) -> Given:
    x, y = data()
    model = nn.Sequential(nn.Linear(x.shape[1], 32), nn.ReLU(), nn.Linear(32, outputs(y)), seed=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.compile("sparse_categorical_crossentropy", "adam")
    return given(model, x, y)


def squared_error_on_classes(data: Any, seed: int) -> Given:
    x, y = data()
    wide = seed % 2
    model = nn.Sequential(
        nn.Linear(x.shape[1], 32), nn.ReLU(), nn.Linear(32, outputs(y) if wide else 1), *([nn.Softmax()] if wide else []), seed=seed
    )
    model.compile("mse", nn.optim.Adam(lr=3e-3))
    return given(model, x, np.eye(outputs(y), dtype="f4")[y] if wide else y.astype("f4"))


def relu_at_the_end(data: Any, seed: int) -> Given:
    x, y = data()
    model = nn.Sequential(nn.Linear(x.shape[1], 32), nn.ReLU(), nn.Linear(32, 1), (nn.ReLU, nn.Sigmoid)[seed % 2](), seed=seed)
    model.compile("mse", nn.optim.Adam(lr=3e-3))
    return given(model, x, y)


def overfitting(data: Any, seed: int) -> Given:
    """Few rows, noisy targets, a large net."""
    x, y = data()
    rng = np.random.default_rng(seed)
    chosen = rng.choice(len(x), 120, replace=False)
    rest = np.setdiff1d(np.arange(len(x)), chosen)[:400]
    if is_numbers(y):
        y = (y + 0.7 * rng.normal(size=len(y))).astype("f4")
    else:
        y = np.where(rng.random(len(y)) < 0.3, rng.integers(0, outputs(y), len(y)), y)
    return given(mlp(x, y, seed, (256, 256)), x[chosen], y[chosen], validation_data=(x[rest], y[rest]))


def underfitting(data: Any, seed: int) -> Given:
    """A single hidden unit."""
    x, y = data()
    return given(mlp(x, y, seed, (1,), (nn.Tanh, nn.ReLU)[0], optimizer=nn.optim.Adam(lr=1e-2)), x, y)


def tiny_batches(data: Any, seed: int) -> Given:
    x, y = data()
    return given(mlp(x, y, seed, between=lambda units: [nn.BatchNorm1d(units)]), x, y, batch_size=1 + seed % 3)


def stale_statistics(data: Any, seed: int) -> Given:
    x, y = data()
    momentum = (1e-4, 1e-5, 1e-3, 2e-4, 1e-6)[seed]
    model = mlp(3 * x + 4, y, seed, between=lambda units: [nn.BatchNorm1d(units, momentum=momentum)])
    return given(model, 3 * x + 4, y)


def frozen(data: Any, seed: int) -> Given:
    x, y = data()
    model = mlp(x, y, seed, (8, 8), nn.Tanh)
    for layer in list(model)[: 5 if seed % 2 else 3]:
        layer.trainable = False
    model.compile(loss(y), nn.optim.Adam(lr=3e-3))
    return given(model, x, y)


def over_regularised(data: Any, seed: int) -> Given:
    x, y = data()
    if seed % 3 == 0:
        return given(mlp(x, y, seed, compiled={"l2": 1.0}), x, y)
    if seed % 3 == 1:
        return given(mlp(x, y, seed, between=lambda units: [nn.Dropout(0.97)]), x, y)
    return given(mlp(x, y, seed, compiled={"l1": 0.5}), x, y)


def padded(data: Any, seed: int) -> Given:
    x, y = data()
    time = x.shape[1] * (3 + seed)
    wide = np.zeros((len(x), time, x.shape[2]), "f4")
    wide[:, : x.shape[1]] = x
    return given(recurrent(wide, y, seed), wide, y)


def long_sequences(data: Any, seed: int) -> Given:
    """What matters comes first; noise follows."""
    x, y = data()
    rng = np.random.default_rng(seed)
    noise = 0.5 * rng.normal(size=(len(x), 120, x.shape[2]))
    return given(
        recurrent(np.concatenate([x, noise.astype("f4")], 1), y, seed, nn.RNN), np.concatenate([x, noise], 1).astype("f4"), y
    )


def sums_among_inputs(data: Any, seed: int) -> Given:
    """Totals of other columns, as in a table with its sums."""
    x, y = data()
    x = np.concatenate([x, x @ np.random.default_rng(seed).normal(size=(x.shape[1], 3))], 1)
    return given(mlp(x, y, seed), x, y)


def target_in_other_words(data: Any, seed: int) -> Given:
    """A monotone function of the target, or other numbers of the classes."""
    x, y = data()
    column = np.exp(y / y.std()) if is_numbers(y) else np.random.default_rng(seed).permutation(outputs(y))[y]
    return given(mlp(np.column_stack([x, column]), y, seed), np.column_stack([x, column]), y)


def copies_with_noise(data: Any, seed: int) -> Given:
    """Rows that were augmented before the split."""
    x, y = data()
    rng = np.random.default_rng(seed)
    chosen = rng.permutation(np.repeat(rng.choice(len(x), min(400, len(x)), replace=False), 3))
    x, y = x[chosen] + 1e-3 * rng.normal(size=(len(chosen), x.shape[1])), y[chosen]
    cut = len(x) * 3 // 4
    return given(mlp(x, y, seed), x[:cut], y[:cut], validation_data=(x[cut:], y[cut:]))


def squeezed_scores(data: Any, seed: int) -> Given:
    x, y = data()
    model = nn.Sequential(
        nn.Linear(x.shape[1], 32), nn.ReLU(), nn.Linear(32, outputs(y)), (nn.ReLU, nn.Sigmoid)[seed % 2](), nn.Softmax(), seed=seed
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.compile("sparse_categorical_crossentropy", nn.optim.Adam(lr=3e-3))
    return given(model, x, y)


def fading(data: Any, seed: int) -> Given:
    """Values and gradients shrink alike, so that all weights get gradients of one size."""
    x, y = data()
    return given(mlp(x, y, seed, (32,) * 8, nn.Tanh, nn.optim.SGD(lr=0.1), weight_init=nn.init.Normal(std=0.05)), x, y)


def growing(data: Any, seed: int) -> Given:
    x, y = data()
    return given(mlp(x, y, seed, (64,) * 8, nn.LeakyReLU, nn.optim.SGD(lr=1e-2), weight_init=nn.init.Normal(std=1.0)), x, y)


def dropout_in_time(data: Any, seed: int) -> Given:
    x, y = data()
    return given(recurrent(x, y, seed, recurrent_dropout=0.95), x, y)


def padded_mean(data: Any, seed: int) -> Given:
    """Padding before a mean over time, where no recurrent layer is."""
    x, y = data()
    wide = np.pad(x, ((0, 0), (0, 60), (0, 0)), mode="edge" if seed % 2 else "constant")
    model = nn.Sequential(
        nn.Linear(x.shape[2], 16), nn.ReLU(), nn.GlobalAveragePooling1D(), nn.Linear(16, outputs(y)), *end(y), seed=seed
    )
    model.compile(loss(y), "adam")
    return given(model, wide, y)


#: Name -> (what must be named first or second, the fault, three data sets).
FAULTS: dict[str, tuple[str, Callable[[Any, int], Given], tuple[Any, ...]]] = {
    "learning rate too high": ("lr_too_high", lr_too_high, (digits, spirals, friedman)),
    "learning rate too low": ("lr_too_low", lr_too_low, (digits, spirals, friedman)),
    "deep net of sigmoids": ("vanishing_gradient", vanishing, (digits, spirals, product)),
    "gradient explodes in time": ("exploding_gradient", exploding, SEQUENCES),
    "dead ReLUs": ("dead_units", dead, (digits, wine, friedman)),
    "saturated units": ("saturated_units", saturated, (digits, wine, friedman)),
    "equal weights": ("symmetric_weights", symmetric, (digits, spirals, product)),
    "weights start at 0": ("bad_init", zero_init, (digits, spirals, product)),
    "weights start too large": ("bad_init", large_init, (digits, wine, friedman)),
    "inputs of many scales": ("inputs_unscaled", unscaled_inputs, (digits, wine, friedman)),
    "inputs that are constant": ("inputs_constant", constant_inputs, (digits, wine, friedman)),
    "inputs that repeat": ("inputs_duplicated", duplicated_inputs, (wine, friedman, product)),
    "targets of a large scale": ("targets_unscaled", unscaled_targets, NUMBERS),
    "NaN and infinity": ("non_finite_data", non_finite, (digits, friedman, wave)),
    "shuffled labels": ("labels_unrelated", shuffled_labels, (digits, spirals, friedman)),
    "training rows to validate": ("leakage", copied_rows, (digits, wine, friedman)),
    "target among the inputs": ("leakage", target_among_inputs, (digits, friedman, product)),
    "a rare class": ("class_imbalance", imbalance, (digits, spirals, friedman)),
    "softmax over one output": ("loss_mismatch", softmax_over_one, CLASSES),
    "no softmax before its loss": ("loss_mismatch", no_activation, CLASSES),
    "squared error on classes": ("loss_mismatch", squared_error_on_classes, CLASSES),
    "ReLU before the loss": ("loss_mismatch", relu_at_the_end, NUMBERS),
    "a net that overfits": ("overfitting", overfitting, (digits, cancer, friedman)),
    "a net that is too small": ("underfitting", underfitting, (digits, spirals, product)),
    "batch norm of tiny batches": ("batch_too_small", tiny_batches, (digits, wine, friedman)),
    "stale running statistics": ("train_inference_gap", stale_statistics, (digits, wine, friedman)),
    "layers frozen by mistake": ("frozen_layers", frozen, (digits, spirals, product)),
    "too much regularisation": ("over_regularised", over_regularised, (digits, wine, friedman)),
    "padding read as values": ("padding_dominates", padded, SEQUENCES),
    "sequences too long for RNN": ("sequence_too_long", long_sequences, SEQUENCES),
    "sums of other inputs": ("inputs_duplicated", sums_among_inputs, (wine, friedman, product)),
    "target in other words": ("leakage", target_in_other_words, (digits, friedman, wine)),
    "copies but for noise": ("leakage", copies_with_noise, (cancer, wine, friedman)),
    "an activation before softmax": ("loss_mismatch", squeezed_scores, CLASSES),
    "values and gradients fade": ("vanishing_gradient", fading, (digits, spirals, product)),
    "values and gradients grow": ("exploding_gradient", growing, (digits, wine, friedman)),
    "dropout in a recurrent layer": ("over_regularised", dropout_in_time, SEQUENCES),
    "padding before a mean": ("padding_dominates", padded_mean, SEQUENCES),
}


# Healthy nets ----------------------------------------------------------------------------------------------------------------


def _bn(units: int) -> list[nn.Layer]:
    return [nn.BatchNorm1d(units)]


def _dropout(units: int) -> list[nn.Layer]:
    return [nn.Dropout(0.2)]


def _healthy_mlp(data: Any, **kwargs: Any) -> Callable[[int], Given]:
    def make(seed: int) -> Given:
        x, y = data()
        return given(mlp(x, y, seed, **kwargs), x, y)

    return make


def _healthy_recurrent(data: Any, cell: Any, **kwargs: Any) -> Callable[[int], Given]:
    def make(seed: int) -> Given:
        x, y = data()
        return given(recurrent(x, y, seed, cell, **kwargs), x, y)

    return make


def _validated(data: Any) -> Callable[[int], Given]:
    def make(seed: int) -> Given:
        x, y = data()
        order = np.random.default_rng(seed).permutation(len(x))
        cut = len(x) * 3 // 4
        return given(mlp(x, y, seed), x[order[:cut]], y[order[:cut]], validation_data=(x[order[cut:]], y[order[cut:]]))

    return make


def _binary(seed: int) -> Given:
    x, y = cancer()
    model = nn.Sequential(nn.Linear(30, 16), nn.ReLU(), nn.Linear(16, 1), nn.Sigmoid(), seed=seed)
    model.compile("binary_crossentropy", "adam", metrics=["accuracy"])
    return given(model, x, y)


def _logits(seed: int) -> Given:
    x, y = digits()
    model = nn.Sequential(nn.Linear(64, 32), nn.GELU(), nn.Linear(32, 10), seed=seed)
    model.compile(nn.losses.SparseCategoricalCrossentropy(from_logits=True), nn.optim.AdamW(lr=3e-3))
    return given(model, x, y)


def _raw_digits(seed: int) -> Given:
    x, y = digits()
    return given(mlp(x, y, seed), 16 * x, y)


def _trained(seed: int) -> Given:
    x, y = digits()
    model = mlp(x, y, seed)
    model.fit(x, y, epochs=10, verbose=0)
    return given(model, x, y)


def _embedding(seed: int) -> Given:
    rng = np.random.default_rng(7)
    x = rng.integers(0, 20, (600, 12))
    y = ((x < 5).sum(1) > 2).astype(int)
    model = nn.Sequential(nn.Embedding(20, 8), nn.GRU(8, 16), nn.Linear(16, 2), nn.Softmax(), seed=seed)
    model.compile("sparse_categorical_crossentropy", nn.optim.Adam(lr=1e-2))
    return given(model, x, y)


def _graph(seed: int) -> Given:
    x, y = digits()
    a = nn.Input((64,))
    h = nn.ReLU()(nn.Linear(64, 32)(a))
    h = nn.ReLU()(nn.Linear(32, 32)(h)) + h
    model = nn.Model(a, nn.Softmax()(nn.Linear(32, 10)(h)), seed=seed)
    model.compile("sparse_categorical_crossentropy", nn.optim.Adam(lr=3e-3))
    return given(model, x, y)


def _branches_from_zero(seed: int) -> Given:
    x, y = digits()
    a = nn.Input((64,))
    h = nn.Linear(64, 32)(a)
    for _ in range(2):
        h = nn.Linear(32, 32, weight_init="zeros")(nn.ReLU()(nn.Linear(32, 32)(h))) + h
    model = nn.Model(a, nn.Softmax()(nn.Linear(32, 10)(h)), seed=seed)
    model.compile("sparse_categorical_crossentropy", nn.optim.Adam(lr=3e-3))
    return given(model, x, y)


def _frozen_base(seed: int) -> Given:
    """A trained base, and a new last layer for another task."""
    x, y = digits()
    base = mlp(x, y, seed, (64,))
    base.fit(x, y, epochs=8, verbose=0)
    layers = [copy.deepcopy(layer) for layer in base.layers[:-2]]
    layers[0].trainable = False
    model = nn.Sequential(*layers, nn.Linear(64, 2), nn.Softmax(), seed=seed)
    model.compile("sparse_categorical_crossentropy", nn.optim.Adam(lr=1e-2))
    return given(model, x, y % 2)


def _some_imbalance(seed: int) -> Given:
    x, y = digits()
    y = (y == 3).astype(int)
    return given(mlp(x, y, seed), x, y)


HEALTHY: dict[str, Callable[[int], Given]] = {
    **{f"ReLU, {data.__name__}": _healthy_mlp(data) for data in (*CLASSES, *NUMBERS, cancer)},
    "tanh, digits": _healthy_mlp(digits, activation=nn.Tanh),
    "one hidden layer of sigmoids, wine": _healthy_mlp(wine, hidden=(32,), activation=nn.Sigmoid, optimizer=nn.optim.Adam(lr=1e-2)),
    "SGD with momentum, digits": _healthy_mlp(digits, optimizer=nn.optim.SGD(lr=0.05, momentum=0.9)),
    "SGD, friedman": _healthy_mlp(friedman, optimizer=nn.optim.SGD(lr=0.05)),
    "batch norm, digits": _healthy_mlp(digits, between=_bn),
    "batch norm, friedman": _healthy_mlp(friedman, between=_bn),
    "dropout, digits": _healthy_mlp(digits, hidden=(64, 64), between=_dropout),
    "L2, digits": _healthy_mlp(digits, compiled={"l2": 1e-4}),
    "four layers of ReLU, spirals": _healthy_mlp(spirals, hidden=(32,) * 4),
    "GRU, tones": _healthy_recurrent(tones, nn.GRU),
    "LSTM, next value": _healthy_recurrent(next_value, nn.LSTM),
    "RNN, sums": _healthy_recurrent(sums, nn.RNN, optimizer=nn.optim.Adam(lr=3e-3)),
    "validated, digits": _validated(digits),
    "sigmoid output, cancer": _binary,
    "logits, digits": _logits,
    "raw pixels": _raw_digits,
    "trained before": _trained,
    "embedding": _embedding,
    "residual graph": _graph,
    "one class of ten": _some_imbalance,
    "branches that start at 0": _branches_from_zero,
    "a frozen base": _frozen_base,
}
