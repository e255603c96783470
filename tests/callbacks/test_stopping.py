"""Stopping at a target, after a time, and by scikit-learn's tolerance."""

import time
import warnings

import numpy as np
import pytest
from callbacks.scripts import X, Y, play, small

from nncore import callbacks
from nncore.errors import ArgumentError


@pytest.mark.parametrize(
    ("monitor", "target", "options", "values", "epochs"),
    [
        ("val_loss", 2.0, {}, [5, 3, 2, 1], 3),
        ("val_loss", 2.0, {}, [5, 3, 1.5, 1], 3),
        ("val_accuracy", 0.9, {}, [0.5, 0.95, 1], 2),
        ("mae", 0.1, {}, [0.3, 0.2], 2),
        ("mine", 3, {"mode": "max"}, [1, 2, 3, 4], 3),
        ("loss", 0.0, {}, [float("nan"), 1.0], 2),
    ],
)
def test_target(monitor, target, options, values, epochs):
    callback = callbacks.StopAtTarget(monitor, target, **options)
    for _ in range(2):
        assert play(callback, values, monitor)[0] == epochs
    reached = epochs < len(values) or (values[-1] - target) * (1 if options or "acc" in monitor else -1) >= 0
    assert callback.stopped_epoch == (epochs - 1 if reached else None)


def test_target_refusals():
    with pytest.raises(ArgumentError, match="target must be a finite number"):
        callbacks.StopAtTarget("loss", float("nan"))
    with pytest.raises(ArgumentError, match="mode='max' or mode='min'"):
        play(callbacks.StopAtTarget("mine", 1), [1], "mine")


def test_time_limit_ends_within_an_epoch(rng):
    model, limit = small(), callbacks.TimeLimit(0.2)
    x, y = rng.normal(size=(2_000_000, 2)), rng.normal(size=2_000_000)
    limited = []
    for _ in range(10):  # other processes may delay this one
        start = time.monotonic()
        history = model.fit(x, y, batch_size=1, epochs=10**6, callbacks=[limit])
        limited.append(time.monotonic() - start)
        if limited[-1] < 0.5:
            break
    assert 0.2 <= min(limited) < 0.5, limited
    assert limit.stopped
    assert len(history.step_losses) % len(x)  # in the middle of an epoch
    assert np.isfinite(model[0].weight).all()
    longer = callbacks.TimeLimit(1000)
    model.fit(X, Y, epochs=2, callbacks=[longer])
    assert not longer.stopped
    with pytest.raises(ArgumentError, match="seconds"):
        callbacks.TimeLimit(-1)


@pytest.mark.parametrize("tol", [1e-1, 1e-2, 1e-3])
@pytest.mark.parametrize("patience", [1, 3, 10])
def test_tolerance_stops_where_sklearn_stops(tol, patience, rng):
    neural = pytest.importorskip("sklearn.neural_network")
    x = rng.normal(size=(60, 3))
    y = (x[:, 0] > 0).astype(int)
    options = {"hidden_layer_sizes": (4,), "max_iter": 300, "learning_rate_init": 0.05, "random_state": 0}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        stopped = neural.MLPClassifier(tol=tol, n_iter_no_change=patience, **options).fit(x, y)
        whole = neural.MLPClassifier(tol=0.0, n_iter_no_change=300, **options).fit(x, y)
    assert whole.loss_curve_[: len(stopped.loss_curve_)] == stopped.loss_curve_
    callback = callbacks.LossTolerance(tol=tol, n_iter_no_change=patience)
    assert play(callback, whole.loss_curve_, "loss")[0] == stopped.n_iter_
    assert stopped.n_iter_ < 300, "nothing stopped; nothing was tested"


def test_tolerance_of_a_score():
    callback = callbacks.LossTolerance(0.1, 2, monitor="val_accuracy")
    assert play(callback, [0.5, 0.55, 0.58, 0.59, 0.7], "val_accuracy")[0] == 4
    with pytest.raises(ArgumentError, match="n_iter_no_change"):
        callbacks.LossTolerance(n_iter_no_change=0)
