"""Ctrl-C at any moment of save and load: a whole file, no temporary one, no descriptor that stays open.

NNCORE_STORM says how many interrupts there are of each kind.
"""

import contextlib
import gc
import os
import random
import signal
import time

import numpy as np
import pytest

import nncore as nn

TIMES = int(os.environ.get("NNCORE_STORM", "400"))

pytestmark = [
    pytest.mark.skipif(not hasattr(signal, "setitimer") or not os.path.isdir("/dev/fd"), reason="needs timers and /dev/fd"),
    pytest.mark.usefixtures("only_own_collectors"),
]


def net(number):
    model = nn.Sequential(nn.Linear(100, 100), nn.Tanh(), nn.Linear(100, 1))
    model.compile("mse", "adam")
    model.train_on_batch(np.ones((2, 100)), np.ones((2, 1)))
    model.set_weights([np.full_like(w, number) for w in model.get_weights()])
    return model


def descriptors():
    gc.collect()
    return len(os.listdir("/dev/fd"))


def storm(times, calls):
    """Interrupt calls, each in its turn, at random moments; return how often that hit one before its end."""
    rng = random.Random(0)
    hits = 0
    durations = []
    for call in calls:
        began = time.perf_counter()
        call()
        durations.append(time.perf_counter() - began)
    before = signal.signal(signal.SIGALRM, signal.default_int_handler)
    try:
        for i in range(20 * times):
            if hits >= times:
                break
            try:
                signal.setitimer(signal.ITIMER_REAL, 1e-6 + 1.1 * rng.random() * durations[i % len(calls)])
                calls[i % len(calls)]()
                signal.setitimer(signal.ITIMER_REAL, 0)
            except KeyboardInterrupt:
                hits += 1
            with contextlib.suppress(KeyboardInterrupt):
                signal.setitimer(signal.ITIMER_REAL, 0)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    return hits


def test_interrupts_of_save(tmp_path):
    path = tmp_path / "model"
    models = [net(1.0), net(2.0)]
    models[0].save(path)
    open_before = descriptors()
    hits = storm(TIMES, [lambda: models[0].save(path), lambda: models[1].save(path)])
    assert hits >= TIMES // 2
    assert os.listdir(tmp_path) == ["model"]
    assert descriptors() == open_before
    (number,) = set(np.concatenate([w.ravel() for w in nn.load(path).get_weights()]).tolist())
    assert number in (1.0, 2.0)


def test_interrupts_of_load(tmp_path):
    path, model = tmp_path / "model", net(1.0)
    model.save(path)
    open_before = descriptors()
    hits = storm(TIMES, [lambda: nn.load(path), lambda: model.load_weights(path)])
    assert hits >= TIMES // 2
    assert descriptors() == open_before
    nn.load(path)


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_that_the_storm_finds_a_plain_writer_out(tmp_path, monkeypatch):
    """What the tests above would see of a writer in Python, which cleans up behind itself."""
    from nncore.saving import atomic

    def write(path, pieces):
        temporary = f"{path}.{random.random()}.tmp"
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT)
        try:
            with open(handle, "wb") as file:
                for piece in pieces:
                    file.write(piece)
            os.replace(temporary, path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise

    monkeypatch.setattr(atomic, "write", write)
    path, model = tmp_path / "model", net(1.0)
    for _ in range(50):
        storm(400, [lambda: model.save(path)])
        gc.collect()  # what it left open, while the warning of that is let pass
        if os.listdir(tmp_path) != ["model"]:
            return
    pytest.fail("no interrupt hit where it leaves something behind")
