"""Threads: results that do not depend on them, settings, and inference from several of them."""

import threading

import numpy as np
import pytest
from models.nets import small

import nncore as nn


def test_results_do_not_depend_on_the_number_of_threads(rng):
    x = rng.normal(size=(300, 64)).astype(np.float32)
    found = []
    for n in (1, 2, 3):
        with nn.threads(n):
            model = nn.Sequential(nn.Linear(64, 256), nn.Tanh(), nn.Linear(256, 64), seed=0)
            found.append((model(x), model.forward(x), model.backward(x), *model.gradients.values()))
    for other in found[1:]:
        for a, b in zip(found[0], other, strict=True):
            np.testing.assert_array_equal(a, b)


def test_inference_from_several_threads(rng):
    model, x = small(), rng.normal(size=(2000, 3)).astype(np.float32)
    expected, wrong = model(x), []

    def work():
        wrong.extend(i for i in range(20) if not np.array_equal(model(x), expected))

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert wrong == []


def test_thread_settings():
    before = nn.get_num_threads()
    with nn.threads(3):
        assert nn.get_num_threads() == 3
        with pytest.raises(RuntimeError, match="inside"), nn.threads(2):
            raise RuntimeError("inside")
        assert nn.get_num_threads() == 3
    assert nn.get_num_threads() == before
    for bad in (-1, 1.5, True, "2"):
        with pytest.raises(nn.errors.ArgumentError, match="n must be a whole number"):
            nn.set_num_threads(bad)


def test_show_config(capsys):
    nn.show_config()
    out = capsys.readouterr().out
    assert nn.__version__ in out
    assert np.__version__ in out
    assert f"threads          {nn.get_num_threads()}" in out
