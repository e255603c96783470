"""Data that change while a call reads them: what comes out is undefined, but nothing is read or written outside the arrays.

Everything runs in a process of its own, which would crash. (make sanitize sees what does not crash.)
"""

import subprocess
import sys
import textwrap

import pytest

PRELUDE = """
import sys, threading, time
import numpy as np
import nncore as nn

sys.setswitchinterval(1e-5)
R = np.random.default_rng(0)
HUGE = (10**7, -(10**7), 2**62, -(2**63))

class Change(nn.callbacks.Callback):
    def __init__(self, *arrays):
        super().__init__()
        self.arrays = arrays
    def on_train_batch_end(self, batch, logs=None):
        for a in self.arrays:
            a[:] = HUGE[batch % 4] if batch % 5 else 1

def bear(call):
    try:
        call()
    except Exception:  # checks see what is absurd, or find it gone when they want to name it
        pass

def beside(*calls, array, good, seconds=1.0):
    '''Call again and again, while another thread writes what is absurd into an array, and what is right.'''
    stop = threading.Event()
    def write():
        turn = 0
        while not stop.is_set():
            array[...] = good
            array.flat[:: 1 + turn % 3] = HUGE[turn % 4]
            turn += 1
    writer = threading.Thread(target=write, daemon=True)
    writer.start()
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for call in calls:
            bear(call)
    stop.set()
    writer.join()

def classifier(loss="sparse_categorical_crossentropy", metrics=("accuracy",), last=nn.Softmax):
    model = nn.Sequential(nn.Linear(8, 10), last(), seed=0)
    model.compile(loss, "adam", metrics=list(metrics))
    return model, np.ones((5000, 8), "f4"), np.zeros(5000, np.int64)

def sequences(kind=nn.GRU):
    model = nn.Sequential(kind(3, 20, return_sequences=True, bidirectional=True), nn.Linear(20 * 2, 2), seed=0).build((30, 3))
    model.compile("mse", "adam", metrics=["mae"])
    return model, R.normal(size=(400, 30, 3)).astype("f4"), np.zeros((400, 30, 2), "f4"), np.full(400, 30)

def words(dtype="float32"):
    model = nn.Sequential(nn.Embedding(50, 8), nn.GRU(8, 8), nn.Linear(8, 2), seed=0, dtype=dtype).build((20,))
    model.compile("mse", "adam")
    return model, R.integers(0, 50, (3000, 20)).astype(dtype), np.zeros((3000, 2), dtype)
"""


def run(code):
    done = subprocess.run(
        [sys.executable, "-c", PRELUDE + textwrap.dedent(code) + '\nprint("alive")'],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    found = (done.returncode, done.stdout[-6:].strip())
    assert found == (0, "alive"), (*found, done.stderr[-2000:])


@pytest.mark.parametrize("last", ["nn.Softmax", "nn.Identity"])
def test_classes_in_the_midst_of_fit(last):
    run(
        f"""
        from nncore import losses
        loss = losses.SparseCategoricalCrossentropy(from_logits={last} is nn.Identity)
        model, x, y = classifier(loss, last={last})
        model.fit(x, y, verbose=0, callbacks=[Change(y)])
        assert model.step == 157
        """
    )


def test_classes_in_other_calls():
    run(
        """
        model, x, y = classifier()
        calls = lambda: model.evaluate(x, y), lambda: model.train_on_batch(x, y), lambda: model.fit(x, y, verbose=0)
        beside(*calls, array=y, good=0)
        """
    )


def test_lengths_in_the_midst_of_fit():
    run(
        """
        model, x, y, lengths = sequences()
        bear(lambda: model.fit(x, y, lengths=lengths, batch_size=8, verbose=0, callbacks=[Change(lengths)]))
        """
    )


@pytest.mark.parametrize("kind", ["nn.RNN", "nn.GRU", "nn.LSTM"])
def test_lengths_in_other_calls(kind):
    run(
        f"""
        model, x, y, lengths = sequences({kind})
        def by_hand():
            result = model.forward(x, training=True, lengths=lengths)
            lengths[:] = 2**40  # before backward, which goes by what forward was given
            model.backward(np.ones_like(result))
        beside(
            lambda: model.predict(x, lengths=lengths),
            lambda: model.evaluate(x, y, lengths=lengths),
            lambda: model.train_on_batch(x, y, lengths=lengths),
            by_hand,
            array=lengths, good=30,
        )
        """
    )


@pytest.mark.parametrize(
    "use",
    [
        "model.predict(x, lengths=lengths)",
        "model.evaluate(x, y, lengths=lengths)",
        "model.fit(x, y, lengths=lengths, batch_size=8, verbose=0)",
        "model.forward(x, training=True, lengths=lengths)",
    ],
)
@pytest.mark.parametrize("change", ["-(10**9)", "10**9"])
def test_lengths_within_a_call(use, change):
    """A layer of the caller's changes them between two layers, and between two blocks or batches of one call."""
    run(
        f"""
        lengths = np.full(4000, 30)
        def change(x):
            lengths[:] = {change}
            return x * 1
        changing = nn.Lambda(change, lambda dy, x, y: dy, timewise=True)
        layers = nn.Linear(3, 8), changing, nn.GRU(8, 8, return_sequences=True), nn.Linear(8, 2)
        model = nn.Sequential(*layers, seed=0).build((30, 3))
        model.compile("mse", "adam", metrics=["mae"])
        x, y = R.normal(size=(4000, 30, 3)).astype("f4"), np.zeros((4000, 30, 2), "f4")
        bear(lambda: {use})
        assert lengths[0] == {change}, "nothing was changed"
        """
    )


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_indices_into_an_embedding(dtype):
    run(
        f"""
        model, x, y = words("{dtype}")
        good = x.copy()
        bear(lambda: model.fit(x, y, batch_size=16, verbose=0, callbacks=[Change(x)]))
        calls = lambda: model.predict(x), lambda: model(x), lambda: model.train_on_batch(x, y), lambda: model.forward(x)
        beside(*calls, array=x, good=good)
        """
    )
