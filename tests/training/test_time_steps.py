"""Sequences of other lengths than the first ones: the same parameters, moments and step under another plan."""

import gc

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
    x, _ = data
    model = nn.Sequential(nn.Flatten(), nn.Linear(36, 1))
    model(x)
    with pytest.raises(nn.errors.ShapeError, match=r"\(24, 5, 3\)"):
        model(x[:, :5])


class Halve(nn.PythonLayer):
    def forward(self, x):
        return x / 2

    def backward(self, dy, x, y):
        return dy / 2


def squared(y_true, y_pred):
    return (y_pred - y_true).mean(axis=1) ** 2, 2 * (y_pred - y_true) / y_pred.shape[1]


def largest(y_true, y_pred):
    return float(np.abs(y_pred - y_true).max())


def test_parts_in_python(data):
    x, y = data
    model = nn.Sequential(
        nn.GRU(3, 8, return_sequences=True),
        Halve(),
        nn.GRU(8, 4),
        nn.Lambda(np.tanh, lambda dy, x, y: dy * (1 - y * y)),
        nn.Linear(4, 1),
        seed=0,
    )
    twin = nn.Sequential(nn.GRU(3, 8, return_sequences=True), Halve(), nn.GRU(8, 4), nn.Tanh(), nn.Linear(4, 1), seed=0)
    for m in (model, twin):
        m.compile(loss=squared, optimizer="adam", metrics=[largest])
    for steps in (12, 5, 7, 12):
        gc.collect()
        np.testing.assert_allclose(model.train_on_batch(x[:, :steps], y), twin.train_on_batch(x[:, :steps], y), rtol=1e-5)
        np.testing.assert_allclose(model.predict(x[:, :steps]), twin.predict(x[:, :steps]), rtol=1e-5, atol=1e-6)


class Add(nn.PythonLayer):
    """Weights of the shape of a sample."""

    def build(self, input_shape):
        self.add_weight("shift", input_shape, init="ones")

    def forward(self, x):
        return x + self.shift

    def backward(self, dy, x, y):
        self.grads["shift"][...] = dy.sum(axis=0)
        return dy


def test_weights_of_a_layer_in_python_that_depend_on_the_length(data):
    x, _ = data
    model = nn.Sequential(Add(), nn.GRU(3, 2), seed=0)
    before = model(x)
    for steps in (5, 13):
        with pytest.raises(nn.errors.ShapeError, match=rf"\(24, {steps}, 3\)"):
            model(np.zeros((24, steps, 3), np.float32))
    assert model[0].shift.shape == model.state_dict()["0.shift"].shape == (12, 3)
    np.testing.assert_array_equal(model(x), before)
    model.compile(loss="mse", optimizer="sgd")
    model.fit(x, np.zeros((24, 2)), verbose=0)
    assert model.summary(show=False).total_parameters == 36 + 3 * 2 * (3 + 2 + 2)


class Picky(nn.PythonLayer):
    """Takes sequences of 12 steps, and says so in its own way."""

    def build(self, input_shape):
        if input_shape[0] != 12:
            raise LookupError("twelve")

    def forward(self, x):
        return x

    def backward(self, dy, x, y):
        return dy


def test_a_layer_in_python_that_fails_at_another_length(data):
    x, _ = data
    seen = []

    class Notes(Halve):
        def build(self, input_shape):
            seen.append(input_shape)

    model = nn.Sequential(Notes(), Picky(), nn.GRU(3, 2), seed=0)
    before = model(x)
    with pytest.raises(LookupError, match="twelve"):
        model(x[:, :5])
    assert (5, 3) in seen
    assert seen[-1] == (12, 3)  # as it was
    np.testing.assert_array_equal(model(x), before)


def test_the_average_of_the_weights_stays(data):
    x, y = data
    model, twin = recurrent(), recurrent()
    for m in (model, twin):
        m.compile(loss="mse", optimizer=nn.optim.Adam(lr=1e-2, ema_momentum=0.9))
        m.fit(x, y, epochs=2, verbose=0)
    model.predict(x[:, :4])
    with model.averaged_weights(), twin.averaged_weights():
        short = model.predict(x[:, :5])
        model.evaluate(x[:, :7], y)
        np.testing.assert_array_equal(model.predict(x), twin.predict(x))
        with pytest.raises(nn.errors.ArgumentError, match="average"):
            model.train_on_batch(x[:, :5], y)
        np.testing.assert_array_equal(short, twin.predict(x[:, :5]))
    for m in (model, twin):
        m.fit(x, y, epochs=1, verbose=0)
    for kind, buffer in model._plan.buffers().items():
        np.testing.assert_array_equal(buffer, twin._plan.buffers()[kind], err_msg=kind)


def test_carried_states_go_on(data):
    x, y = data
    model = nn.Sequential(nn.GRU(3, 8, stateful=True), nn.Linear(8, 1), seed=0)
    twin = nn.Sequential(nn.GRU(3, 8), nn.Linear(8, 1), seed=0)
    for m in (model, twin):
        m.compile(loss="mse", optimizer=nn.optim.SGD(lr=0.0))
    at = 0
    for steps in (5, 3, 4):  # the pieces of one sequence
        loss = model.train_on_batch(x[:, at : at + steps], y)
        at += steps
    assert loss == pytest.approx(twin.evaluate(x, y), rel=1e-6)
    model.reset_states()
    assert model.train_on_batch(x[:, :6], y) == pytest.approx(twin.evaluate(x[:, :6], y), rel=1e-6)


def test_diagnosis_goes_on(data):
    x, y = data
    layers = nn.GRU(3, 4, return_sequences=True), nn.ReLU(), nn.GRU(4, 2), nn.Linear(2, 1)
    model = nn.Sequential(*layers, seed=0)  # not built yet
    model.compile(loss="mse", optimizer=nn.optim.SGD(lr=0.0))
    seen = nn.callbacks.Diagnostics(every=1)
    lengths = (4, 9, 12, 4)
    model.fit(((x[:, :t], y) for t in lengths), epochs=2, steps_per_epoch=2, verbose=0, callbacks=[seen])
    hidden = nn.Sequential(nn.GRU(3, 4, return_sequences=True)).build((12, 3))
    hidden.load_state_dict({name: value for name, value in model.state_dict().items() if name.startswith("0.")})
    for epoch, steps in enumerate((lengths[:2], lengths[2:])):
        values = np.concatenate([np.maximum(hidden(x[:, :t]), 0).ravel() for t in steps])
        assert seen.zero_fraction["layer 1 (ReLU)"][epoch] == pytest.approx((values == 0).mean())
        assert seen.mean["layer 1 (ReLU)"][epoch] == pytest.approx(values.mean(), rel=1e-5)


def test_models_that_share_layers(data):
    x, y = data
    cell = nn.GRU(3, 8)
    first, second = nn.Input((12, 3)), nn.Input((12, 3))
    one, other = nn.Model(first, nn.Linear(8, 1)(cell(first)), seed=0), nn.Model(second, nn.Linear(8, 2)(cell(second)), seed=1)
    for m in (one, other):
        m.compile(loss="mse", optimizer="adam")
    for steps in (12, 5, 9):
        one.train_on_batch(x[:, :steps], y)
        other.train_on_batch(x[:, :steps], np.zeros((24, 2)))
        alone = nn.Sequential(nn.GRU(3, 8)).build((steps, 3))
        alone.load_state_dict({f"0.{role}": getattr(cell, role) for role in cell.parameter_shapes()})
        assert np.isfinite(alone(x[:, :steps])).all()
    np.testing.assert_array_equal(cell.weight_hh_l0, one.get_layer(one._network.connections.key(0)).weight_hh_l0)


class Predict(nn.callbacks.Callback):
    """Asks for other lengths in the midst of training."""

    def __init__(self, x):
        self.x = x

    def on_train_batch_end(self, batch, logs=None):
        self.model.predict(self.x)

    on_test_batch_end = on_train_batch_end


def test_validates_on_other_lengths_than_it_trains_on(data, rng):
    x, y = data
    longer = rng.standard_normal((7, 15, 3)).astype(np.float32)
    target = longer.sum((1, 2))[:, None]
    model, twin, third = recurrent(), recurrent(), recurrent()
    expected = []
    note = nn.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: expected.append(twin.evaluate(longer, target)))
    alone = twin.fit(x, y, epochs=3, batch_size=5, verbose=0, callbacks=[note]).history
    options = {"epochs": 3, "batch_size": 5, "verbose": 0}
    found = model.fit(x, y, validation_data=(longer, target), **options).history
    assert found["loss"] == alone["loss"]
    np.testing.assert_allclose(np.transpose([found["val_loss"], found["val_mae"]]), expected, rtol=1e-6)
    assert model.input_shapes == [(12, 3)]
    parts = [(longer[:3, :4], target[:3]), (longer[3:], target[3:])]
    assert third.fit(x, y, validation_data=parts, callbacks=[Predict(x[:, :7])], **options).history["loss"] == alone["loss"]
    with pytest.raises(nn.errors.ShapeError, match="3 rows and x has 7"):
        model.fit(x, y, validation_data=(longer, target[:3]), **options)
    assert model.input_shapes == [(12, 3)]


def test_lbfgs_validates_on_other_lengths(data):
    pytest.importorskip("scipy")
    x, y = data
    model, twin = recurrent(), recurrent()
    for m in (model, twin):
        m.compile(loss="mse", optimizer=nn.optim.LBFGS())
    found = model.fit(x, y, epochs=3, verbose=0, validation_data=(x[:, :5], y)).history
    assert found["loss"] == twin.fit(x, y, epochs=3, verbose=0).history["loss"]
    assert found["val_loss"][-1] == pytest.approx(model.evaluate(x[:, :5], y), rel=1e-6)


def test_an_epoch_of_batches_of_several_lengths_is_a_mean_over_steps(rng):
    """A step counts the same whatever batch it stands in, with lengths and without."""
    x, y = rng.standard_normal((10, 6, 3)), rng.standard_normal((10, 6, 2))
    model = nn.Sequential(nn.GRU(3, 5, return_sequences=True), nn.Linear(5, 2), seed=0, dtype="float64")
    model.compile(loss="mse", optimizer=nn.optim.SGD(lr=0.0))
    lengths = rng.integers(1, 7, 10)
    batches = [(x[i : i + 4], y[i : i + 4], None, lengths[i : i + 4]) for i in range(0, 10, 4)]
    loss = model.fit(batches, verbose=0).history["loss"][0]
    assert loss == pytest.approx(model.evaluate(x, y, lengths=lengths), rel=1e-12)
    loss = model.fit([(x[:4, :3], y[:4, :3]), (x[4:], y[4:])], verbose=0).history["loss"][0]
    sums = 12 * model.evaluate(x[:4, :3], y[:4, :3]), 36 * model.evaluate(x[4:], y[4:])
    assert loss == pytest.approx(sum(sums) / 48, rel=1e-12)


def test_single_batches_with_lengths(rng):
    x, y, lengths = rng.standard_normal((10, 6, 3)), rng.standard_normal((10, 6, 2)), rng.integers(1, 7, 10)
    y[np.arange(6) >= lengths[:, None]] = np.nan
    model, twin = (nn.Sequential(nn.GRU(3, 5, return_sequences=True), nn.Linear(5, 2), seed=0) for _ in range(2))
    for m in (model, twin):
        m.compile(loss="mse", optimizer="adam", metrics=["mae"])
    history = twin.fit(x, y, epochs=3, batch_size=10, lengths=lengths, verbose=0, shuffle=False).history
    got = [model.train_on_batch(x, y, lengths=lengths) for _ in range(3)]
    assert got == [[loss, mae] for loss, mae in zip(history["loss"], history["mae"], strict=True)]
    assert model.test_on_batch(x, y, lengths=lengths) == twin.evaluate(x, y, lengths=lengths)
