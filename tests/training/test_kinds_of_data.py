"""Lists, memory maps, windows, integers and iterables of batches train like the same numbers in an array."""

import numpy as np
import pytest
from training.simple import line, linear

import nncore as nn
from nncore import errors


def test_data_of_any_kind_train_alike(rng, tmp_path):
    x, y = np.round(rng.normal(size=(30, 3)) * 5), rng.integers(2, size=30)
    mapped = np.memmap(tmp_path / "x", np.float32, "w+", shape=x.shape)
    mapped[:] = x
    wide = np.zeros((60, 8), np.int16)
    wide[::2, 2:5] = x
    results = []
    for data in (x, x.tolist(), mapped, x.astype(np.int8), wide[::2, 2:5], np.asfortranarray(x), x.astype(np.float16)):
        model = nn.Sequential(nn.Linear(3, 1), nn.Sigmoid(), seed=0)
        model.compile("binary_crossentropy", "adam", ["accuracy"])
        results.append(model.fit(data, y, epochs=3, batch_size=7, validation_split=0.2).history)
    assert all(result == results[0] for result in results)


def test_overlapping_windows_need_no_copy(rng):
    series = np.cumsum(rng.normal(size=500)).astype(np.float32)
    windows = np.lib.stride_tricks.sliding_window_view(series[:-1], 8)
    one, two = linear(8, dtype="float32"), linear(8, dtype="float32")
    one.fit(windows, series[8:], epochs=2)
    two.fit(windows.copy(), series[8:], epochs=2)
    np.testing.assert_array_equal(one[0].weight, two[0].weight)


def test_batches_of_an_iterable(rng):
    x, y = line(rng, 10)
    w = rng.random(10)
    parts = [slice(0, 4), slice(4, 8), slice(8, 10)]
    plain, model = linear(metrics=["mae"]), linear(metrics=["mae"])
    expected = plain.fit(x, y, epochs=2, batch_size=4, shuffle=False, sample_weight=w, validation_data=(x, y, w))
    history = model.fit([(x[p], y[p], w[p]) for p in parts], epochs=2, validation_data=[x, y, w])
    assert list(history.history) == list(expected.history)
    for key, values in expected.history.items():
        np.testing.assert_allclose(history.history[key], values)
    generator = ((x[p].tolist(), y[p]) for p in parts)
    assert len(model.fit(generator).step_losses) == 3
    with pytest.raises(errors.ArgumentError, match="lasts for one epoch"):
        model.fit(((x, y) for _ in range(3)), epochs=2)
    with pytest.raises(errors.EmptyDataError, match="no batches"):
        model.fit([])
    with pytest.raises(errors.ArgumentError, match="not ndarray; or pass y"):
        model.fit([x])
    with pytest.raises(errors.ArgumentError, match="fit: pass y"):
        model.fit(x)
