"""Sequences of other lengths than the first ones: the same parameters, moments and step under another plan."""

import numpy as np
import pytest

import nncore as nn


@pytest.fixture
def data(rng):
    x = rng.standard_normal((24, 12, 3)).astype(np.float32)
    return x, x.sum((1, 2))[:, None]


def recurrent(seed=0):
    model = nn.Sequential(nn.GRU(3, 8), nn.Linear(8, 1), seed=seed)
    model.compile(loss="mse", optimizer=nn.optim.Adam(lr=1e-2), metrics=["mae"])
    return model


def test_predicts_shorter_and_longer_sequences(data):
    x, _ = data
    model = recurrent()
    whole = model.predict(x)
    for steps in (1, 5, 12, 30, 5):
        samples = np.resize(x, (24, steps, 3))
        alone = nn.Sequential(nn.GRU(3, 8), nn.Linear(8, 1)).build((steps, 3))
        alone.load_state_dict(model.state_dict())
        np.testing.assert_array_equal(model.predict(samples), alone.predict(samples))
        np.testing.assert_array_equal(model(samples), alone(samples))
    np.testing.assert_array_equal(model.predict(x), whole)


def test_other_lengths_between_steps_leave_training_as_it_was(data):
    x, y = data
    model, twin = recurrent(), recurrent()
    for m in (model, twin):
        m.fit(x, y, epochs=2, verbose=0)
    model.predict(x[:, :4])
    model.evaluate(x[:, :7], y)
    np.testing.assert_array_equal(
        model.fit(x, y, epochs=2, verbose=0).history["loss"], twin.fit(x, y, epochs=2, verbose=0).history["loss"]
    )
    assert model.step == twin.step


def test_trains_on_batches_of_several_lengths(data):
    x, y = data
    model, twin = recurrent(), recurrent()
    lengths = (4, 9, 4, 12)
    losses = [model.train_on_batch(x[:, :t], y)[0] for t in lengths]
    masked = [twin.train_on_batch(x[:, :t], y)[0] for t in lengths]
    assert losses == masked
    history = recurrent().fit(((x[:, :t], y) for t in lengths), steps_per_epoch=4, verbose=0)
    np.testing.assert_allclose(history.history["loss"], np.mean(losses), rtol=1e-6)


def test_gradients_after_a_change_of_length(data):
    x, _ = data
    model = recurrent()
    model.forward(x)
    model.forward(x[:, :5])
    model.backward(np.ones((24, 1), np.float32))
    alone = nn.Sequential(nn.GRU(3, 8), nn.Linear(8, 1)).build((5, 3))
    alone.load_state_dict(model.state_dict())
    alone.forward(x[:, :5])
    alone.backward(np.ones((24, 1), np.float32))
    for name, gradient in alone.gradients.items():
        np.testing.assert_array_equal(model.gradients[name], gradient)


def test_what_depends_on_the_length_refuses_another(data):
    x, y = data
    model = nn.Sequential(nn.Flatten(), nn.Linear(36, 1))
    model(x)
    with pytest.raises(nn.errors.ShapeError, match=r"\(24, 5, 3\)"):
        model(x[:, :5])
    with pytest.raises(nn.errors.ShapeError, match=r"\[\*, 12, 3\]|N, 12, 3"):
        recurrent().fit(x, y, validation_data=(x[:, :5], y), verbose=0)
