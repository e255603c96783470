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
    one, two = (linear(8, dtype="float32", optimizer=nn.optim.SGD(lr=1e-4)) for _ in range(2))
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
    with pytest.raises(errors.ArgumentError, match=r"ndarray, is none; pass fit\(x, y\)"):
        model.fit([x])
    with pytest.raises(errors.ArgumentError, match="fit: pass y"):
        model.fit(x)


@pytest.mark.parametrize(("dtype", "offset"), [("<f8", 1), (">f8", 0), (">f8", 3)], ids=str)
def test_whatever_takes_arrays_takes_memory_maps_as_they_lie(rng, tmp_path, dtype, offset):
    """Not only samples and targets: weights, lengths, gradients, and what losses and layers are called on."""

    def mapped(array):
        array, path = np.asarray(array), tmp_path / str(len(list(tmp_path.iterdir())))
        own = array.dtype.newbyteorder(dtype[0])
        path.write_bytes(bytes(offset) + array.astype(own).tobytes())
        return np.memmap(path, own, "r", offset, array.shape)

    x, dy, y = rng.normal(size=(6, 4, 2)), rng.normal(size=(6, 4, 3)), rng.integers(3, size=(6, 4))
    lengths, weight = rng.integers(1, 5, 6), rng.uniform(1, 2, (6, 4))

    def results(take):
        model = nn.Sequential(nn.GRU(2, 3, return_sequences=True), nn.Linear(3, 3), nn.Softmax(), seed=0)
        model.compile("sparse_categorical_crossentropy", "sgd", ["accuracy"])
        data = take(x), take(y), take(weight), take(lengths)
        yield model.fit(*data[:2], sample_weight=data[2], lengths=data[3], epochs=2, batch_size=4).history["loss"]
        yield model.fit([data], validation_data=data).history["val_loss"]
        yield model.forward(take(x), lengths=take(lengths))
        yield model.backward(take(dy))
        yield model.predict(take(x), lengths=take(lengths))
        loss = nn.losses.MeanSquaredError()
        yield loss(take(dy[0]), take(x[0, :, :1] + dy[0]), take(weight[0]))
        yield loss.gradient(take(dy[0]), take(x[0, :, :1] + dy[0]), take(weight[0]))
        yield nn.Tanh()(take(dy))
        yield bool(nn.check_gradients(nn.Embedding(3, 2), take(y)))

    for found, expected in zip(results(mapped), results(np.array), strict=True):
        np.testing.assert_array_equal(found, expected)
        assert np.asarray(found).dtype == np.asarray(expected).dtype
