"""ReduceLROnPlateau against a transcription of Keras's rule, LearningRateScheduler, and both in real training."""

import numpy as np
import pytest
from callbacks.scripts import Scripted, X, Y, play, small

import nncore as nn
from nncore import callbacks
from nncore.errors import ArgumentError

NAN, INF = float("nan"), float("inf")


def keras_rates(values, lr, factor=0.1, patience=10, mode="min", min_delta=1e-4, cooldown=0, min_lr=0.0):
    """The rate of each epoch by the rule of Keras's callback, written down from its documentation and source."""
    better = (lambda a, b: a + min_delta < b) if mode == "min" else (lambda a, b: a - min_delta > b)
    best, wait, cooling = None, 0, 0
    rates = []
    for value in values:
        rates.append(lr)
        if cooling > 0:
            cooling -= 1
            wait = 0
        if better(value, best) if best is not None else not np.isnan(value):  # in Keras, a first NaN is the best for ever
            best, wait = value, 0
        elif not cooling > 0:
            wait += 1
            if wait >= patience and lr > min_lr:
                lr = max(lr * factor, min_lr)
                cooling, wait = cooldown, 0
    return rates


@pytest.mark.parametrize("mode", ["min", "max"])
@pytest.mark.parametrize("patience", [0, 1, 2, 3])
@pytest.mark.parametrize("cooldown", [0, 1, 3])
@pytest.mark.parametrize("first", [0.0, float("inf"), -float("inf"), NAN])
def test_rates_are_those_of_keras(mode, patience, cooldown, first, rng):
    values = np.round(np.cumsum(rng.normal(size=60)), 1).tolist()
    values[7] = NAN
    values[0] = first
    options = {"factor": 0.5, "patience": patience, "mode": mode, "min_delta": 0.1, "cooldown": cooldown, "min_lr": 0.01}
    callback = callbacks.ReduceLROnPlateau(**options)
    for _ in range(2):  # it may be used again
        _, rates = play(callback, values)
        assert rates == keras_rates(values, 1.0, **options)
    assert rates[-1] < 1.0


SCRIPTS = [  # written out by hand
    ({"patience": 1}, [5, 5, 5], [1, 1, 0.1]),
    ({"patience": 2, "factor": 0.5}, [5, 5, 5, 5, 5, 5], [1, 1, 1, 0.5, 0.5, 0.25]),
    ({"patience": 1, "factor": 0.5, "cooldown": 2}, [5, 5, 5, 5, 5, 5], [1, 1, 0.5, 0.5, 0.25, 0.25]),
    ({"patience": 1, "factor": 0.5, "min_lr": 0.4}, [5, 5, 5, 5], [1, 1, 0.5, 0.4]),
    ({"patience": 1, "factor": 0.5, "min_delta": 1}, [5, 4.5, 3.9, 3.5], [1, 1, 0.5, 0.5]),
    ({"patience": 1, "factor": 0.5, "mode": "max"}, [1, 2, 2, 3], [1, 1, 1, 0.5]),
    ({"patience": 1, "factor": 0.5}, [NAN, NAN], [1, 0.5]),
    ({"patience": 1, "factor": 0.5}, [INF, 5, 5], [1, 1, 1]),  # the first value is the best so far, be it infinite
    ({"patience": 1, "factor": 0.5}, [INF, INF, 5, 5], [1, 1, 0.5, 0.5]),
    ({"patience": 1, "factor": 0.5, "mode": "max"}, [-INF, 5, 5], [1, 1, 1]),
    ({"patience": 2, "factor": 0.5}, [NAN, INF, INF, 5], [1, 1, 1, 1]),
]


@pytest.mark.parametrize(("options", "values", "rates"), SCRIPTS)
def test_by_hand(options, values, rates):
    np.testing.assert_allclose(play(callbacks.ReduceLROnPlateau(**options), values)[1], rates)


def test_in_training(capsys):
    model = small()
    slower = callbacks.ReduceLROnPlateau("loss", factor=0.5, patience=2, min_delta=1e9, verbose=1)
    history = model.fit(X, Y, epochs=6, callbacks=[slower])
    assert history.history["learning_rate"] == [0.01, 0.01, 0.01, 0.005, 0.005, 0.0025]
    assert model.optimizer.lr == 0.0025
    assert "epoch 3: learning rate 0.01 -> 0.005" in capsys.readouterr().err


def test_scheduler():
    rates = play(callbacks.LearningRateScheduler(lambda epoch, lr: lr / 2 if epoch else lr), [1, 1, 1])[1]
    assert rates == [1.0, 0.5, 0.25]
    assert play(callbacks.LearningRateScheduler(lambda epoch: 0.1 / (1 + epoch)), [1, 1])[1] == [0.1, 0.05]
    assert play(callbacks.LearningRateScheduler(lambda *both: np.float32(len(both))), [1])[1] == [2.0]


def test_scheduler_in_training_equals_rates_set_by_hand():
    one, two = small(), small()
    one.fit(X, Y, epochs=3, batch_size=3, callbacks=callbacks.LearningRateScheduler(lambda epoch: 0.1 * 0.5**epoch))
    for epoch in range(3):
        two.optimizer.lr = 0.1 * 0.5**epoch
        two.fit(X, Y, epochs=epoch + 1, initial_epoch=epoch, batch_size=3)
    np.testing.assert_array_equal(one[0].weight, two[0].weight)


def test_refusals():
    scheduled = Scripted()
    scheduled.optimizer.lr = lambda step: 0.1
    for callback in (callbacks.ReduceLROnPlateau(), callbacks.LearningRateScheduler(lambda epoch: 0.1)):
        with pytest.raises(ArgumentError, match="lr is a schedule"):
            play(callback, [1.0], model=scheduled)
    for options in ({"factor": 1.0}, {"factor": -1}, {"patience": -1}, {"min_lr": -1}, {"cooldown": 0.5}, {"mode": "up"}):
        with pytest.raises(ArgumentError, match=f"ReduceLROnPlateau: {next(iter(options))}"):
            callbacks.ReduceLROnPlateau(**options)
    with pytest.raises(ArgumentError, match="must be a function"):
        callbacks.LearningRateScheduler(0.1)
    with pytest.raises(ArgumentError, match="gave None for epoch 0"):
        play(callbacks.LearningRateScheduler(lambda epoch: None), [1])
    with pytest.raises(ArgumentError, match="what the schedule gave must be a finite number of at least 0"):
        play(callbacks.LearningRateScheduler(lambda epoch: -1.0), [1])
    assert nn.optim.SGD(lr=0.3).learning_rate == 0.3
