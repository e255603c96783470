"""BackupAndRestore: a program that is killed and started again does what it would have done without the kill."""

import os
import signal
import time

import numpy as np
import pytest
from own_parts import Huberish, Largest, PyLinear, PyTanh, distance
from own_parts import data as own_data
from saving.nets import BATCH, assert_identical, data, net

import nncore as nn
from nncore import callbacks, errors


def program(path, model=None, freq=2, stop=None, **options):
    """What is started again and again: it knows nothing of the runs before."""
    x, y = data()
    model = model or net()
    watchers = [
        callbacks.BackupAndRestore(path, freq, **options),
        callbacks.ReduceLROnPlateau("loss", factor=0.5, patience=1, min_delta=0.2),
    ]
    if stop:
        watchers.append(callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: stop(model)))
    history = model.fit(x, y, epochs=4, batch_size=BATCH, validation_split=0.2, callbacks=watchers)
    return model, history


class Crash(Exception):
    pass


@pytest.mark.parametrize("freq", [1, 2, 3, "epoch"])
def test_crashes_leave_no_trace(freq, tmp_path):
    straight, whole = program(tmp_path / "none", freq=freq)
    path, crashes, history = tmp_path / "sub" / "backup", 0, None
    for step in (1, 4, 5, 9, 14, 17):

        def stop(model, step=step):
            if model.step == step:
                raise Crash

        with pytest.raises(Crash):
            program(path, freq=freq, stop=stop)
        crashes += path.exists()
    assert crashes >= 3
    model, history = program(path, freq=freq)
    assert_identical(model, straight)
    assert model.optimizer.lr == straight.optimizer.lr
    assert history.history["val_loss"] == whole.history["val_loss"][history.epoch[0] :]
    assert not path.exists()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills a forked child")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_kills_leave_no_trace(tmp_path, rng):
    straight, _ = program(tmp_path / "none", freq=1)
    path, kills, ended = tmp_path / "backup", 0, False
    while not ended:
        told, tell = os.pipe()
        child = os.fork()
        if not child:
            pauses = [600.0, 0.01, 0.01, 0.01]  # a few steps, then there is time to be killed

            def stop(model, tell=tell, pauses=pauses):
                os.write(tell, b".")
                time.sleep(pauses.pop())

            try:
                program(path, freq=1, delete_checkpoint=False, stop=stop)
                os._exit(0)
            finally:
                os._exit(1)
        os.close(tell)
        ended = not os.read(told, 1)  # a step is done; or nothing was left to do
        os.close(told)
        time.sleep(rng.uniform(0, 0.03))
        os.kill(child, signal.SIGKILL)
        killed = os.WIFSIGNALED(os.waitpid(child, 0)[1])
        kills += killed
        ended |= not killed
    assert kills >= 4
    assert nn.load(path).step == straight.step
    model, _ = program(path, freq=1)
    assert_identical(model, straight)


def test_a_model_without_a_seed_takes_that_of_the_file(tmp_path):
    path = tmp_path / "backup"
    first = net(seed=None)

    def stop(model):
        if model.step == 7:
            raise Crash

    twin = net(seed=first.seed)
    with pytest.raises(Crash):
        program(path, first, stop=stop)
    second = net(seed=None)
    assert second.seed != first.seed
    program(path, second)
    program(tmp_path / "none", twin)
    assert_identical(second, twin)


def test_a_model_that_is_not_built(tmp_path):
    def made():
        model = nn.Sequential(nn.Flatten(), nn.Linear(4, 3), nn.Softmax(), seed=1)
        model.compile("sparse_categorical_crossentropy", "adam")
        return model

    program(tmp_path / "backup", made(), "epoch", delete_checkpoint=False)
    _, history = program(tmp_path / "backup", made(), "epoch")
    assert history.epoch == []


def test_files_of_other_models(tmp_path):
    path = tmp_path / "backup"
    program(path, freq="epoch", delete_checkpoint=False)
    for other, text in (
        (net("sgd"), "trains with Adam.*not SGD"),
        (net(dtype="float32"), "differs in float64"),
        (nn.Sequential(nn.Linear(4, 3), nn.Softmax(), seed=0), "differs in 0.bias"),
    ):
        if other._trainer is None:
            other.compile("sparse_categorical_crossentropy", "adam")
        before = [w.copy() for w in other.get_weights()]
        with pytest.raises(errors.ArgumentError, match=text):
            program(path, other, "epoch")
        for one, two in zip(other.get_weights(), before, strict=True):
            np.testing.assert_array_equal(one, two)
    with pytest.raises(errors.ArgumentError, match="save_freq"):
        callbacks.BackupAndRestore(path, "batch")


def test_files_of_models_that_compute_in_another_precision(tmp_path):
    path = tmp_path / "backup"

    def made(compute):
        model = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 3), nn.Softmax(), seed=0, compute=compute)
        model.compile("sparse_categorical_crossentropy", "adam")
        return model

    program(path, made("bfloat16"), "epoch", delete_checkpoint=False)
    with pytest.raises(errors.ArgumentError, match="products in bfloat16, not in float32; make the model with compute='bfloat16'"):
        program(path, made("float32"), "epoch")
    _, history = program(path, made("bfloat16"), "epoch")
    assert history.epoch == []


def test_models_with_parts_in_python(tmp_path):
    """The program has the classes and functions that a file cannot hold."""
    path = tmp_path / "backup"

    def slower(step):
        return 0.02 / (1 + step)

    def made():
        model = nn.Sequential(PyLinear(8), PyTanh(), nn.Dropout(0.2), nn.Linear(8, 2), seed=1)
        rate = nn.schedules.Warmup(slower, 4)
        watched = [distance, nn.metrics.PythonMetric(Largest(), name="top")]
        model.compile(Huberish(0.5), nn.optim.Adam(lr=rate), watched, weighted_metrics=[squared_error])
        return model

    def crash(epoch, logs):
        if epoch == 2:
            raise Crash

    x, y = own_data()
    straight = made()
    straight.fit(x, y, epochs=5, verbose=0)
    watchers = [callbacks.BackupAndRestore(path), callbacks.LambdaCallback(on_epoch_end=crash)]
    with pytest.raises(Crash):
        made().fit(x, y, epochs=5, verbose=0, callbacks=watchers)
    model = made()
    assert model.fit(x, y, epochs=5, verbose=0, callbacks=[callbacks.BackupAndRestore(path)]).epoch == [2, 3, 4]
    for a, b in zip(model.get_weights(), straight.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def squared_error(y_true, y_pred):
    return (y_true - y_pred) ** 2
