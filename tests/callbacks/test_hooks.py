"""Callbacks: the hooks and their order, callbacks written for Keras, and EarlyStopping on scripted histories."""

import io

import numpy as np
import pytest

import nncore as nn
from nncore import callbacks, errors
from nncore.training.hooks import HOOKS, CallbackList

NAN, INF = float("nan"), float("inf")


class Scripted:
    """Stands for a model: weights are the number of the epoch."""

    def __init__(self):
        self.stop_training = False
        self.metrics = [nn.metrics.Accuracy(), nn.metrics.MAE(), nn.metrics.ConfusionMatrix()]
        self.weights = [np.zeros(1)]

    def get_weights(self):
        return self.weights

    def set_weights(self, weights):
        self.weights = weights


def play(stopper, values, key="val_loss"):
    """Give the callback one value per epoch; return how many epochs ran, and the final weight."""
    model = Scripted()
    stopper.set_model(model)
    stopper.on_train_begin()
    epochs = 0
    for epoch, value in enumerate(values):
        model.weights[0][...] = epoch
        stopper.on_epoch_end(epoch, {key: value})
        epochs += 1
        if model.stop_training:
            break
    stopper.on_train_end()
    return epochs, model.weights[0][0]


# options, values, epochs that Keras runs, epoch whose weights remain
SCRIPTS = [
    ({}, [5, 4, 3, 3, 2], 4, 3),
    ({}, [5, 6], 2, 1),
    ({"patience": 1}, [5, 6], 2, 1),
    ({"patience": 2}, [5, 6, 6, 6], 3, 2),
    ({"patience": 2}, [5, 6, 4, 6, 6, 6], 5, 4),
    ({"patience": 2, "restore_best_weights": True}, [5, 6, 4, 6, 6, 6], 5, 2),
    ({"patience": 9, "restore_best_weights": True}, [5, 6, 4, 6], 4, 2),  # restored although nothing stopped it
    ({"min_delta": 0.5}, [5, 4.6, 4], 2, 1),
    ({"min_delta": -0.5}, [5, 4.6, 4], 2, 1),
    ({"min_delta": 0.5, "patience": 2}, [5, 4.6, 4.2, 4.1, 4.0], 5, 4),
    ({"baseline": 3}, [5, 4, 3.5, 2, 1], 5, 4),  # patience runs below the baseline, but an improvement never stops
    ({"baseline": 3, "patience": 2}, [5, 4, 4, 1], 3, 2),
    ({"baseline": 3, "patience": 2, "restore_best_weights": True}, [5, 4, 4, 1], 3, 1),
    ({"start_from_epoch": 3}, [1, 2, 3, 4, 5, 6], 5, 4),
    ({"start_from_epoch": 3, "restore_best_weights": True}, [1, 2, 3, 4, 5, 6], 5, 3),
    ({"mode": "max"}, [1, 2, 3, 3, 4], 4, 3),
    ({"mode": "max", "min_delta": 1}, [1, 2, 3.5], 2, 1),
    ({"patience": 1}, [NAN, NAN, 1], 2, 1),
    ({"patience": 1, "restore_best_weights": True}, [NAN, NAN, 1], 2, 0),
    ({"patience": 0}, [NAN, 1], 2, 1),  # epoch 0 never stops
    ({"patience": 2}, [INF, INF, 5, 6, 6], 5, 4),  # a first infinite value is the best so far
    ({"patience": 1}, [INF, INF, 5], 2, 1),
    ({"patience": 1, "mode": "max"}, [-INF, 5, 5], 3, 2),
    ({"patience": 2, "restore_best_weights": True}, [INF, NAN, INF], 3, 0),
]


@pytest.mark.parametrize(("options", "values", "epochs", "weight"), SCRIPTS)
def test_early_stopping_stops_where_keras_stops(options, values, epochs, weight):
    stopper = callbacks.EarlyStopping(**options)
    for _ in range(2):  # it may be used again
        assert play(stopper, values) == (epochs, weight)


@pytest.mark.parametrize(("key", "values"), [("val_accuracy", [1, 2, 2]), ("mae", [2, 1, 1]), ("loss", [2, 1, 1])])
def test_early_stopping_asks_the_metric_for_its_direction(key, values):
    assert play(callbacks.EarlyStopping(monitor=key), values, key)[0] == 3


def test_early_stopping_says_what_it_misses():
    with pytest.raises(errors.ArgumentError, match="mode='max' or mode='min'"):
        play(callbacks.EarlyStopping(monitor="confusion_matrix"), [1], "confusion_matrix")
    with pytest.raises(errors.ArgumentError, match="mode must be"):
        callbacks.EarlyStopping(mode="up")
    with pytest.warns(UserWarning, match="'val_loss', which is not among loss; pass validation_split"):
        play(callbacks.EarlyStopping(), [1.0], "loss")


def small():
    model = nn.Sequential(nn.Linear(2, 1), seed=0)
    model.compile(loss="mse", optimizer="sgd", metrics=["mae"])
    return model


X, Y = np.arange(20.0).reshape(10, 2) / 20, np.arange(10.0)


class Recorder(callbacks.Callback):
    def __init__(self):
        self.seen = []


for _hook in HOOKS:
    if _hook != "on_train_chunk_end":
        setattr(Recorder, _hook, lambda self, *args, _hook=_hook: self.seen.append((_hook, *args)))


def test_hooks_come_in_keras_order():
    recorder, model = Recorder(), small()
    model.fit(X, Y, epochs=2, batch_size=5, validation_data=(X, Y), callbacks=[recorder])
    validation = ["on_test_begin", *["on_test_batch_begin", "on_test_batch_end"] * 2, "on_test_end"]
    batch = ["on_train_batch_begin", "on_train_batch_end"]
    epoch = ["on_epoch_begin", *batch, *batch, *validation, "on_epoch_end"]
    assert [name for name, *_ in recorder.seen] == ["on_train_begin", *epoch, *epoch, "on_train_end"]
    assert [args[0] for name, *args in recorder.seen if name == "on_train_batch_end"] == [0, 1, 0, 1]
    ends = [args for name, *args in recorder.seen if name == "on_epoch_end"]
    assert [epoch for epoch, _ in ends] == [0, 1]
    assert list(ends[0][1]) == ["loss", "mae", "val_loss", "val_mae"]
    assert recorder.model is model
    assert recorder.params["epochs"] == 2
    assert recorder.params["steps"] == 2


def test_hooks_of_evaluate_and_predict():
    recorder, model = Recorder(), small()
    model.evaluate(X, Y, batch_size=4, callbacks=[recorder])
    batches = ["on_test_batch_begin", "on_test_batch_end"] * 3
    assert [name for name, *_ in recorder.seen] == ["on_test_begin", *batches, "on_test_end"]
    recorder.seen.clear()
    outputs = model.predict(X, batch_size=4, callbacks=recorder)
    ends = [args for name, *args in recorder.seen if name == "on_predict_batch_end"]
    np.testing.assert_array_equal(np.concatenate([logs["outputs"] for _, logs in ends]), outputs)


def test_watching_single_batches_changes_nothing():
    plain, watched = small(), small()
    one = plain.fit(X, Y, epochs=3, batch_size=3)
    two = watched.fit(X, Y, epochs=3, batch_size=3, callbacks=callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: None))
    assert one.history == two.history
    np.testing.assert_array_equal(one.step_losses, two.step_losses)
    np.testing.assert_array_equal(plain[0].weight, watched[0].weight)


def test_logs_of_a_batch_are_those_of_the_epoch_so_far():
    logs = []
    callback = callbacks.LambdaCallback(on_train_batch_end=lambda batch, seen: logs.append(seen["loss"]))
    history = small().fit(X, Y, batch_size=3, callbacks=[callback])
    rows = np.array([3, 3, 3, 1])
    np.testing.assert_allclose(logs, np.cumsum(history.step_losses * rows) / np.cumsum(rows))
    assert history.history["loss"] == [logs[-1]]


class KerasStyle:
    """No base class; the older names of the hooks of batches."""

    def __init__(self):
        self.batches = 0

    def set_model(self, model):
        self.model = model

    def set_params(self, params):
        self.params = params

    def on_batch_end(self, batch, logs=None):
        self.batches += 1
        if self.batches == 3:
            self.model.optimizer.learning_rate = 0.0
        if self.batches == 6:
            self.model.stop_training = True


def test_a_callback_written_for_keras_works():
    model, callback = small(), KerasStyle()
    weights = []
    keep = callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: weights.append(model[0].weight.copy()))
    history = model.fit(X, Y, epochs=9, batch_size=3, callbacks=[callback, keep])
    assert callback.batches == 6
    assert history.epoch == [0, 1]  # the second epoch was cut short, and still ended
    assert len(history.step_losses) == 6
    assert not np.array_equal(weights[1], weights[2])
    for later in weights[3:]:
        np.testing.assert_array_equal(later, weights[2])


def test_stop_training_and_changes_of_logs_reach_the_history():
    class Stop(callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            logs["lr"] = self.model.optimizer.lr
            self.model.stop_training = epoch == 1

    model = small()
    history = model.fit(X, Y, epochs=5, callbacks=[Stop()])
    assert history.epoch == [0, 1]
    assert history.history["lr"] == [0.01, 0.01]
    assert model.fit(X, Y, epochs=1).epoch == [0]  # it does not stick


def test_early_stopping_in_fit_restores_the_best_weights():
    model = small()
    model.optimizer.lr = 5.0  # diverges
    start = [w.copy() for w in model.get_weights()]
    stopper = callbacks.EarlyStopping(monitor="loss", patience=2, restore_best_weights=True)
    first = []
    keep = callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: first.append([w.copy() for w in model.get_weights()]))
    history = model.fit(X, Y, epochs=50, batch_size=None, callbacks=[stopper, keep])
    assert len(history.epoch) == 3
    assert stopper.best_epoch == 0
    for now, best, begin in zip(model.get_weights(), first[0], start, strict=True):
        np.testing.assert_array_equal(now, best)
        assert not np.array_equal(now, begin)


def test_terminate_on_nan(capsys):
    model = small()
    model.optimizer.lr = 1e30
    history = model.fit(X, Y, epochs=50, batch_size=1, callbacks=callbacks.TerminateOnNaN())
    assert len(history.epoch) < 50
    assert not np.isfinite(history.history["loss"][-1])
    assert "training stops" in capsys.readouterr().err


def test_lambda_callback_knows_its_hooks():
    with pytest.raises(errors.UnknownNameError, match="did you mean 'on_epoch_end'"):
        callbacks.LambdaCallback(on_epoch_ends=print)


@pytest.mark.parametrize("tqdm", [True, False])
def test_progress(monkeypatch, capsys, tqdm):
    if tqdm:
        pytest.importorskip("tqdm")
    else:
        monkeypatch.setitem(__import__("sys").modules, "tqdm", None)
    small().fit(X, Y, epochs=2, batch_size=5, validation_split=0.2, verbose=1)
    out, err = capsys.readouterr()
    assert out == ""
    for word in ("epoch 2/2", "loss ", "mae ", "val_mae "):
        assert word in err
    assert ("it/s" in err or "step" in err) == tqdm


def test_verbosity(monkeypatch, capsys):
    small().fit(X, Y, epochs=2)  # stderr is no terminal here
    small().fit(X, Y, epochs=2, verbose=0)
    assert capsys.readouterr() == ("", "")
    small().fit(X, Y, epochs=2, verbose=2)
    assert [line.split()[:3:2] for line in capsys.readouterr().err.splitlines()] == [["epoch", "loss"]] * 2
    terminal = io.StringIO()
    terminal.isatty = lambda: True
    monkeypatch.setattr("sys.stderr", terminal)
    small().fit(X, Y, epochs=2)
    assert "epoch 2/2" in terminal.getvalue()


def test_an_error_of_a_callback_reaches_the_caller_and_closes_the_bar():
    class Trouble(callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            raise ZeroDivisionError

    class Bar(callbacks.ProgressBar):
        closed = False

        def close(self):
            self.closed = True
            super().close()

    model, bar = small(), Bar(lines=True)
    with pytest.raises(ZeroDivisionError):
        model.fit(X, Y, epochs=3, callbacks=[Trouble(), bar])
    assert bar.closed
    assert model.fit(X, Y, epochs=2).epoch == [0, 1]


def test_what_nobody_overrides_is_not_called():
    hooks = CallbackList([callbacks.Callback()], None, {})
    assert not hooks.wants(*HOOKS)


def test_pruning_as_hyperparameter_searches_do_it():
    """A callback that reports each epoch to a trial, and ends training by an exception of its own."""

    class Pruned(Exception):
        pass

    class Pruning:
        def __init__(self, monitor):
            self.monitor, self.reported = monitor, []

        def on_epoch_end(self, epoch, logs=None):
            self.reported.append((epoch, float((logs or {})[self.monitor])))
            if epoch == 2:
                raise Pruned

    model, pruning = small(), Pruning("val_loss")
    with pytest.raises(Pruned):
        model.fit(X, Y, epochs=9, validation_split=0.2, callbacks=[pruning])
    assert pruning.reported == list(enumerate(model.history.history["val_loss"] + [pruning.reported[-1][1]]))
    assert model.fit(X, Y, epochs=5, validation_split=0.2, resume=True).epoch == [3, 4]
    assert pruning.params["epochs"] == 9


@pytest.mark.parametrize("given", ["EarlyStopping", ["EarlyStopping"], [nn.callbacks.TerminateOnNaN], [None], 3])
def test_what_is_no_callback(given):
    model = nn.Sequential(nn.Linear(1, 1), seed=0)
    model.compile("mse", "sgd")
    before = model.get_weights()
    with pytest.raises(nn.errors.ArgumentError, match="an object with hooks"):
        model.fit([[1.0]], [[1.0]], callbacks=given)
    with pytest.raises(nn.errors.ArgumentError, match="an object with hooks"):
        model.evaluate([[1.0]], [[1.0]], callbacks=given)
    np.testing.assert_array_equal(before[0], model.get_weights()[0])


def test_callbacks_show_their_arguments():
    shown = [
        (nn.callbacks.EarlyStopping("loss", patience=3), "EarlyStopping(monitor='loss', patience=3)"),
        (nn.callbacks.ReduceLROnPlateau(), "ReduceLROnPlateau()"),
        (
            nn.callbacks.ModelCheckpoint("a.safetensors", save_best_only=True),
            "ModelCheckpoint(filepath='a.safetensors', save_best_only=True)",
        ),
        (nn.callbacks.TimeLimit(3), "TimeLimit(seconds=3.0)"),
        (nn.callbacks.CSVLogger("a.csv"), "CSVLogger(filename='a.csv')"),
    ]
    assert [repr(callback) for callback, _ in shown] == [text for _, text in shown]

    class Own(nn.callbacks.Callback):
        pass

    assert "Own object at" in repr(Own())
