"""Reading ahead for batches that the user makes."""

import threading

import numpy as np
import pytest
from training.simple import assert_same, line, linear, weights

import nncore as nn
from nncore import errors


@pytest.fixture(autouse=True)
def no_reader_is_left():
    yield
    assert [thread for thread in threading.enumerate() if thread.name == "nncore-reader"] == []


def batches(x, y, size=4):
    return [(x[i : i + size], y[i : i + size]) for i in range(0, len(x), size)]


def endless(x, y):
    while True:
        yield from batches(x, y)


def test_training_is_the_same(rng):
    x, y = line(rng, 22)
    plain, model = linear(), linear()
    plain.fit(batches(x, y), epochs=3, validation_data=batches(x, y))
    ahead = nn.data.read_ahead(batches(x, y))
    assert len(ahead) == 6
    history = model.fit(ahead, epochs=3, validation_data=nn.data.read_ahead(batches(x, y)))
    assert_same(model, weights(plain))
    assert "val_loss" in history.history
    assert model.evaluate(ahead) == plain.evaluate(x, y)
    np.testing.assert_array_equal(model.predict(ahead), plain.predict(x))


def test_a_generator_goes_on_where_training_ended(rng):
    """What was read ahead when fit ended is the first batch of the next one."""
    x, y = line(rng, 22)
    plain, model = linear(), linear()
    source, ahead = endless(x, y), nn.data.read_ahead(endless(x, y))
    for _ in range(3):
        plain.fit(source, epochs=2, steps_per_epoch=2)
        model.fit(ahead, epochs=2, steps_per_epoch=2)
    assert_same(model, weights(plain))
    with pytest.raises(errors.ArgumentError, match="lasts for one epoch"):
        model.fit(nn.data.read_ahead(iter(batches(x, y))), epochs=2)


def test_errors_and_ends(rng):
    x, y = line(rng, 8)

    def failing():
        yield x, y
        raise OSError("gone")

    for call in (linear().fit, linear().evaluate, linear().predict):
        with pytest.raises(OSError, match="gone") as caught:
            call(nn.data.read_ahead(failing()))
        assert caught.traceback[-1].name == "failing"
    model = linear()
    with pytest.raises(ZeroDivisionError):
        model.fit(
            nn.data.read_ahead(batches(x, y, 2)),
            callbacks=[nn.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: 1 / 0)],
        )
    for bad in (3, None, x, "text"):
        with pytest.raises(errors.ArgumentError, match="iterable of batches"):
            nn.data.read_ahead(bad)


def test_a_loop_that_is_left_ends_the_thread():
    ahead = nn.data.read_ahead([([[float(i)]], [0.0]) for i in range(10)])
    for x, _ in ahead:
        if x == [[3.0]]:
            break
    ahead.close()
    assert [x[0][0] for x, _ in ahead] == list(range(10))
    forgotten = iter(nn.data.read_ahead([1, 2, 3]))
    assert next(forgotten) == 1
    (thread,) = (t for t in threading.enumerate() if t.name == "nncore-reader")
    del forgotten
    thread.join(5)
    assert not thread.is_alive()


def test_one_item_ahead_and_no_more():
    made, go_on = [], threading.Event()

    def items():
        for i in range(5):
            made.append(i)
            if i == 1:
                go_on.set()
            yield i

    ahead = nn.data.read_ahead(items())
    assert next(iter(ahead)) == 0
    assert go_on.wait(5)
    assert made == [0, 1]
    assert list(ahead) == [1, 2, 3, 4]
