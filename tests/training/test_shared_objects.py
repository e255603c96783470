"""Objects that several models are given: what one model does with them does not reach another one.

The truth is the same training with objects made anew for each model.
"""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

import nncore as nn

RNG = np.random.default_rng(0)
X = RNG.normal(size=(48, 4))
Y = (X @ [1.0, -2.0, 0.5, 0.0] > 0).astype(float)

OPTIMIZERS = {
    "constant": lambda: nn.optim.Adam(lr=0.02),
    "momentum": lambda: nn.optim.SGD(lr=0.1, momentum=0.9, groups=[{"params": "*.bias", "lr": 0.01}]),
    "schedule": lambda: nn.optim.SGD(lr=nn.schedules.Exponential(0.1, gamma=0.9)),
    "averages": lambda: nn.optim.RMSprop(lr=0.01, ema_momentum=0.9, clip_norm=1.0),
}
CALLBACKS = {
    "none": lambda path: [],
    "plateau": lambda path: [nn.callbacks.ReduceLROnPlateau(patience=1, min_delta=0.1)],
    "scheduler": lambda path: [nn.callbacks.LearningRateScheduler(lambda epoch, lr: lr / 2)],
    "early": lambda path: [nn.callbacks.EarlyStopping(patience=2, restore_best_weights=True, min_delta=0.01)],
    "target": lambda path: [nn.callbacks.StopAtTarget("loss", 0.6), nn.callbacks.LossTolerance(tol=0.02, n_iter_no_change=1)],
    "checkpoint": lambda path: [nn.callbacks.ModelCheckpoint(path / "{epoch}", save_best_only=True)],
    "backup": lambda path: [nn.callbacks.BackupAndRestore(path / "backup")],
    "diagnostics": lambda path: [nn.callbacks.Diagnostics(every=2), nn.callbacks.CSVLogger(path / "log.csv")],
}


class Count:
    """A metric that accumulates its own state."""

    name = "count"

    def __init__(self):
        self.n = 0

    def reset_state(self):
        self.n = 0

    def update_state(self, y_true, y_pred, sample_weight=None):
        self.n += len(y_true)

    def result(self):
        return float(self.n)


def parts(optimizer, callbacks, path):
    """What a fold is trained with."""
    return {
        "optimizer": OPTIMIZERS[optimizer](),
        "loss": nn.losses.BinaryCrossentropy(),
        "metrics": ["accuracy", nn.metrics.RocAuc(), Count()],
        "callbacks": CALLBACKS[callbacks](path),
        "init": nn.init.orthogonal(),
    }


def train(fold, given):
    model = nn.Sequential(
        nn.Linear(4, 8, weight_init=given["init"]), nn.Tanh(), nn.Dropout(0.2), nn.Linear(8, 1), nn.Sigmoid(), seed=fold
    )
    model.compile(loss=given["loss"], optimizer=given["optimizer"], metrics=given["metrics"])
    history = model.fit(
        X, np.roll(Y, fold), epochs=6, batch_size=16, validation_split=0.25, callbacks=given["callbacks"], verbose=0
    )
    return history.history, model


PAIRS = [(o, c) for o in OPTIMIZERS for c in CALLBACKS if o != "schedule" or c not in ("plateau", "scheduler")]  # these exclude it


@pytest.mark.parametrize(("optimizer", "callbacks"), PAIRS)
def test_folds_with_shared_objects_equal_folds_with_their_own(optimizer, callbacks, tmp_path):
    common = tmp_path / "shared"
    common.mkdir()
    shared = parts(optimizer, callbacks, common)
    for fold in range(3):
        own = tmp_path / str(fold)
        own.mkdir()
        found, model = train(fold, shared)
        expected, twin = train(fold, parts(optimizer, callbacks, own))
        assert found == expected
        assert {file.name for file in common.iterdir()} == {file.name for file in own.iterdir()}
        for name, value in twin.state_dict().items():
            np.testing.assert_array_equal(model.state_dict()[name], value)
        for file in common.iterdir():
            file.unlink()


def compiled(optimizer):
    model = nn.Sequential(nn.Linear(4, 1), seed=0)
    model.compile(loss="mse", optimizer=optimizer)
    return model


def test_a_rate_set_on_a_model_concerns_this_model_alone():
    rule = nn.optim.SGD(lr=0.5)
    a, b = compiled(rule), compiled(rule)
    a.optimizer.lr = 0.125
    assert (a.optimizer.lr, b.optimizer.lr, rule.lr) == (0.125, 0.5, 0.5)
    for model, rate in ((a, 0.125), (b, 0.5)):
        model.set_weights([np.zeros((1, 4)), np.zeros(1)])
        model.train_on_batch(np.zeros((1, 4)), np.ones((1, 1)))  # the gradient of the bias is -2
        assert model[0].bias == [2 * rate]


def test_a_rate_set_on_the_given_object_reaches_the_models_compiled_with_it():
    rule = nn.optim.SGD(lr=0.5)
    a, b = compiled(rule), compiled(rule)
    rule.learning_rate = 0.25
    assert (a.optimizer.lr, b.optimizer.lr) == (0.25, 0.25)
    assert compiled(rule).optimizer.lr == 0.25
    del a
    rule.lr = 0.125
    assert b.optimizer.lr == 0.125


def test_compile_again_starts_from_the_declared_rate():
    rule = nn.optim.Adam(lr=0.01)
    model = compiled(rule)
    model.optimizer.lr = 1e-9
    model.compile(loss="mse", optimizer=rule)
    assert model.optimizer.lr == 0.01
    model.optimizer.lr = 1e-3
    model.compile(loss="mse", optimizer=model.optimizer)  # this object's rate is 1e-3
    assert model.optimizer.lr == 1e-3


def test_the_optimizer_of_one_model_does_not_lead_another():
    a = compiled(nn.optim.SGD(lr=0.5))
    b = compiled(a.optimizer)
    a.optimizer.lr = 0.1
    assert b.optimizer.lr == 0.5
    copied = copy.deepcopy(a)
    c = compiled(copied.optimizer)
    copied.optimizer.lr = 0.2
    assert (a.optimizer.lr, c.optimizer.lr) == (0.1, 0.1)


def test_copies_and_files_keep_the_rate_of_the_model(tmp_path):
    rule = nn.optim.SGD(lr=0.5, momentum=0.5)
    model = compiled(rule)
    model.optimizer.lr = 0.25
    model.save(tmp_path / "m.safetensors")
    for again in (copy.deepcopy(model), pickle.loads(pickle.dumps(model)), nn.load(tmp_path / "m.safetensors")):
        assert again.optimizer.lr == 0.25
        rule.lr = 0.75  # does not lead copies
        assert again.optimizer.lr == 0.25
    twin = pickle.loads(pickle.dumps(rule))
    assert twin.config() == rule.config()
    assert compiled(copy.deepcopy(rule)).optimizer.lr == 0.75


def test_a_checkpoint_measures_each_model_by_itself(tmp_path):
    keep = nn.callbacks.ModelCheckpoint(tmp_path / "best", monitor="loss", save_best_only=True, initial_value_threshold=100.0)
    a, b = compiled(nn.optim.SGD(lr=0.0)), compiled(nn.optim.SGD(lr=0.0))
    losses = {}
    for name, model, target in (("a", a, 0.0), ("b", b, 5.0)):
        model.set_weights([np.zeros((1, 4)), np.ones(1)])
        model.fit(X, np.full(48, target), callbacks=[keep], verbose=0)
        losses[name] = keep.best
    assert losses == {"a": 1.0, "b": 16.0}
    b.fit(X, np.full(48, 9.0), callbacks=[keep], verbose=0)  # the same model again: 64 is no better than 16
    assert keep.best == 16.0
