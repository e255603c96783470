"""Ctrl-C."""

import copy
import signal
import time

import numpy as np
import pytest
from training.simple import weights

import nncore as nn


def again_and_again(run):
    """Until an interrupt comes, however soon a fast machine is done."""
    while True:
        run()


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs timers that send signals")
@pytest.mark.usefixtures("only_own_collectors")
def test_an_interrupt_ends_training_within_100_ms(rng):
    x, y = rng.normal(size=(20000, 64)).astype(np.float32), rng.integers(10, size=20000)
    model = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 10), nn.Softmax(), seed=0)
    model.compile("sparse_categorical_crossentropy", "adam")
    kept = weights(model)
    delays = []

    def interrupt(number, frame):
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        for run in (
            lambda: model.fit(x, y, epochs=1000, batch_size=32),
            lambda: model.fit(x, y, epochs=1000, batch_size=None),
            lambda: model.evaluate(np.broadcast_to(x[0], (10**7, 64)), np.broadcast_to(y[:1], 10**7)),
        ):
            for _ in range(10):  # other processes may delay this one
                signal.setitimer(signal.ITIMER_REAL, 0.3)
                due = time.perf_counter() + 0.3
                with pytest.raises(KeyboardInterrupt):
                    again_and_again(run)
                delays.append(time.perf_counter() - due)
                if delays[-1] < 0.1:
                    break
            assert delays[-1] < 0.1, delays
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert any(not np.array_equal(now, then) for now, then in zip(model.get_weights(), kept, strict=True))
    assert all(np.isfinite(w).all() for w in model.get_weights())
    model.fit(x[:64], y[:64])
    assert copy.deepcopy(model).predict(x[:3]).shape == (3, 10)
