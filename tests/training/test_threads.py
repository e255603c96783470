"""One model in several threads: who trains first trains on, who comes second is told; saving takes a state between two steps."""

import copy
import pickle
import threading
import time

import numpy as np
import pytest

import nncore as nn
from nncore.errors import ConcurrentUseError


def net():
    layers = nn.Linear(20, 64), nn.BatchNorm1d(64), nn.ReLU(), nn.Dropout(0.2), nn.Linear(64, 3), nn.Softmax()
    model = nn.Sequential(*layers, seed=3)
    model.compile("sparse_categorical_crossentropy", "adam", ["accuracy"])
    return model


def data(rows=6000):
    rng = np.random.default_rng(0)
    return rng.normal(size=(rows, 20)).astype(np.float32), rng.integers(3, size=rows)


class Background:
    """Runs a function in a thread, and keeps what it raised."""

    def __init__(self, function):
        self.error = None
        self._thread = threading.Thread(target=self._run, args=(function,))
        self._thread.start()

    def _run(self, function):
        try:
            function()
        except BaseException as error:
            self.error = error

    @property
    def runs(self):
        return self._thread.is_alive()

    def join(self):
        self._thread.join()
        if self.error:
            raise self.error


def let_it_train(model, background, step):
    """Wait until so many steps are done, however little of the processor this leaves to the other thread."""
    while background.runs and model.step < step:
        time.sleep(0.001)


def test_the_intruder_is_told_and_the_running_fit_is_not_disturbed():
    x, y = data()
    straight, model = net(), net()
    straight.fit(x, y, epochs=25)
    tries, begun, tried = 0, threading.Event(), threading.Event()

    def wait(batch, logs):  # until the first intruder came, and at the end for the last one
        begun.set()
        while model.step == 10 and not tries:
            time.sleep(0.001)
        if model.step == straight.step:
            tried.wait()

    watch = nn.callbacks.LambdaCallback(on_train_batch_end=wait)
    first = Background(lambda: model.fit(x, y, epochs=25, callbacks=[watch]))
    intrusions = (
        lambda: model.fit(x, y),
        lambda: model.train_on_batch(x[:32], y[:32]),
        lambda: model.forward(x[:8]),
        lambda: model.compile("sparse_categorical_crossentropy", "sgd"),
    )
    try:
        begun.wait()
        while first.runs and model.step < straight.step - 500:
            for intrude in intrusions:
                with pytest.raises(ConcurrentUseError):
                    intrude()
                tries += 1
    finally:
        tried.set()
    first.join()
    assert tries
    for one, two in zip(straight.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)
    assert model.history.history == straight.history.history
    model.fit(x, y)  # and afterwards it may be trained from here


def test_predicting_meanwhile_is_allowed():
    x, y = data()
    model = net()
    first = Background(lambda: model.fit(x, y, epochs=10))
    while first.runs:
        assert np.isfinite(model.predict(x[:100])).all()
    first.join()


WAYS = {
    "save": lambda model, path: (model.save(path), nn.load(path))[1],
    "deepcopy": lambda model, path: copy.deepcopy(model),
    "pickle": lambda model, path: pickle.loads(pickle.dumps(model)),
}


@pytest.mark.parametrize("way", WAYS)
def test_what_is_saved_while_another_thread_trains_goes_on_to_the_same_bits(way, tmp_path):
    x, y = data()
    straight, model = net(), net()
    ended = threading.Event()

    def stop(epoch, logs):
        model.stop_training = ended.is_set()

    watch = nn.callbacks.LambdaCallback(on_epoch_end=stop)
    first = Background(lambda: model.fit(x, y, epochs=10**6, validation_split=0.2, callbacks=[watch]))
    copies = []
    try:
        let_it_train(model, first, 1)
        for _ in range(6):
            copies.append(WAYS[way](model, tmp_path / "model"))
            let_it_train(model, first, copies[-1].step + 20)
    finally:
        ended.set()
        first.join()
    assert len({each.step for each in copies}) > 2, "the copies are of one moment; nothing was tested"
    epochs = max(each.step for each in copies) // 150 + 1
    whole = straight.fit(x, y, epochs=epochs, validation_split=0.2)
    assert straight.step == 150 * epochs
    for each in copies:
        rest = each.fit(x, y, epochs=epochs, validation_split=0.2, resume=True)
        for one, two in zip(straight.get_weights(), each.get_weights(), strict=True):
            np.testing.assert_array_equal(one, two)
        left = len(rest.epoch)
        assert rest.history.get("val_loss", []) == whole.history["val_loss"][epochs - left :]


def test_saving_beside_a_loop_over_batches(tmp_path):
    x, y = data(512)
    model, stop = net(), threading.Event()

    def loop():
        while not stop.is_set():
            model.train_on_batch(x, y)

    first = Background(loop)
    try:
        for _ in range(20):
            let_it_train(model, first, 2)
            model.save(tmp_path / "model")
            other, twin = nn.load(tmp_path / "model"), net()
            if other.step > 300:
                break
            for _ in range(other.step):
                twin.train_on_batch(x, y)
            for one, two in zip(other.get_weights(), twin.get_weights(), strict=True):
                np.testing.assert_array_equal(one, two)
    finally:
        stop.set()
        first.join()
    assert model.step > 1


def test_a_callback_that_waits_for_a_thread_that_saves(tmp_path):
    """Saving in the thread of the callback works; from another one it would wait for the callback, and gives up."""
    x, y = data(300)
    model = net()
    model.fit(x, y, epochs=2, callbacks=nn.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: model.save(tmp_path / "m")))
    assert nn.load(tmp_path / "m").step == model.step


def test_an_error_frees_the_model():
    x, y = data(100)
    model = net()

    def trouble(epoch, logs):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        model.fit(x, y, callbacks=nn.callbacks.LambdaCallback(on_epoch_end=trouble))
    Background(lambda: model.fit(x, y)).join()
    model.fit(x, y, callbacks=nn.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: model.train_on_batch(x, y)))
