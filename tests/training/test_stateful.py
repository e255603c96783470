"""Stateful recurrent layers: a batch begins where the one before ended, whatever comes in between, files and copies included."""

import copy
import pickle

import numpy as np
import pytest

import nncore as nn

B, T, F, H = 4, 6, 3, 5


@pytest.fixture
def data(rng):
    """Five windows of four long series, batch after batch."""
    return rng.standard_normal((5 * B, T, F)), rng.standard_normal((5 * B, T, 1))


def made(cell="LSTM", dtype="float64", **options):
    layer = getattr(nn, cell)(F, H, num_layers=2, dropout=0.2, return_sequences=True, stateful=True, **options)
    model = nn.Sequential(layer, nn.GRU(H, H, return_sequences=True), nn.Linear(H, 1), seed=3, dtype=dtype)
    model.compile(loss="mse", optimizer=nn.optim.Adam(lr=1e-2), metrics=["mae"])
    return model


class Stop(nn.callbacks.Callback):
    def __init__(self, after):
        self.after = after

    def on_train_batch_end(self, batch, logs=None):
        self.model.stop_training |= self.model.step == self.after


class Break(Stop):
    def on_train_batch_end(self, batch, logs=None):
        if self.model.step == self.after:
            raise KeyboardInterrupt


@pytest.mark.parametrize("how", ["file", "copy", "pickle", "itself"])
@pytest.mark.parametrize("after", [1, 3, 5, 7])
@pytest.mark.parametrize("cell", ["RNN", "GRU", "LSTM"])
def test_resumes_to_the_bit_from_any_step(cell, after, how, data, tmp_path):
    x, y = data
    whole = made(cell)
    expected = whole.fit(x, y, epochs=3, batch_size=B, shuffle=False, verbose=0)
    model = made(cell)
    first = model.fit(x, y, epochs=3, batch_size=B, shuffle=False, verbose=0, callbacks=[Stop(after)])
    if how == "file":
        model.save(tmp_path / "m.safetensors")
        model = nn.load(tmp_path / "m.safetensors")
    elif how == "copy":
        model = copy.deepcopy(model)
    elif how == "pickle":
        model = pickle.loads(pickle.dumps(model))
    second = model.fit(x, y, epochs=3, batch_size=B, shuffle=False, verbose=0, resume=True)
    losses = np.concatenate([first.step_losses, second.step_losses])
    np.testing.assert_array_equal(losses, expected.step_losses)
    for name, value in whole.state_dict().items():
        np.testing.assert_array_equal(model.state_dict()[name], value)


def test_backups_of_stateful_models(data, tmp_path):
    x, y = data
    expected = made().fit(x, y, epochs=3, batch_size=B, shuffle=False, verbose=0).step_losses
    path = tmp_path / "backup.safetensors"
    backup = [nn.callbacks.BackupAndRestore(path, save_freq=2), Break(8)]
    with pytest.raises(KeyboardInterrupt):
        made().fit(x, y, epochs=3, batch_size=B, shuffle=False, verbose=0, callbacks=backup)
    again = made().fit(x, y, epochs=3, batch_size=B, shuffle=False, verbose=0, callbacks=[nn.callbacks.BackupAndRestore(path)])
    np.testing.assert_array_equal(again.step_losses, expected[-len(again.step_losses) :])
    assert 0 < len(again.step_losses) < len(expected)


def test_other_calls_between_batches_leave_the_states_alone(data):
    x, y = data
    model, twin = made(), made()
    for first in range(0, len(x), B):
        rows = slice(first, first + B)
        assert model.train_on_batch(x[rows], y[rows]) == twin.train_on_batch(x[rows], y[rows])
        twin.predict(x)
        twin.evaluate(x, y)
        twin.forward(x)  # more rows than any batch has: the arena grows


def test_layers_that_are_not_stateful_begin_anew(data):
    """One stateful layer in a model does not make another one so."""
    x, y = data
    layers = nn.GRU(F, H, return_sequences=True, stateful=True), nn.GRU(H, H, return_sequences=True, bidirectional=True)
    model = nn.Sequential(*layers, nn.Linear(2 * H, 1), seed=0, dtype="float64")
    model.compile(loss="mse", optimizer=nn.optim.SGD(lr=0.0))
    model.build((T, F))
    model.train_on_batch(x[:B], y[:B])
    got = model.train_on_batch(x[B : 2 * B], y[B : 2 * B])
    _, state = layers[0](x[:B])
    lower, _ = layers[0](x[B : 2 * B], state)
    upper, _ = layers[1](lower)
    expected = np.mean((upper @ model[2].weight.T + model[2].bias - y[B : 2 * B]) ** 2)
    assert got == pytest.approx(expected, rel=1e-12)


def test_every_epoch_of_ready_made_batches_begins_afresh(data):
    x, y = data
    expected = made().fit(x, y, epochs=2, batch_size=B, shuffle=False, verbose=0).step_losses
    batches = [(x[i : i + B], y[i : i + B]) for i in range(0, len(x), B)]
    np.testing.assert_array_equal(made().fit(batches, epochs=2, verbose=0).step_losses, expected)


def test_rows(data):
    """Fewer rows may follow, as at the end of an epoch, but not more than there are states."""
    x, y = data
    model = made()
    model.train_on_batch(x[:B], y[:B])
    model.train_on_batch(x[:2], y[:2])
    with pytest.raises(nn.errors.ShapeError, match=r"4 rows.*had 2.*reset_states"):
        model.train_on_batch(x[:B], y[:B])
    with pytest.raises(nn.errors.ShapeError, match=r"4 rows.*had 2.*reset_states"):
        model.train_on_batch(x[:B].tolist(), y[:B].tolist())
    model.reset_states()
    model.train_on_batch(x[:B], y[:B])
    made().fit(x[:-1], y[:-1], epochs=2, batch_size=B, shuffle=False, verbose=0)


def by_hand(model, x, y):
    """One step of MSE and the model's optimizer, written by hand; return the loss."""
    out = model.forward(x, training=True)
    model.backward(2 * (out - y) / y.size)
    model.apply_gradients()
    return float(np.mean((out - y) ** 2))


@pytest.mark.parametrize("cell", ["RNN", "GRU", "LSTM"])
def test_loops_by_hand_carry_the_states_as_steps_do(cell, data):
    x, y = data
    model, twin = made(cell), made(cell)
    for first in range(0, len(x), B):
        rows = slice(first, first + B)
        assert by_hand(model, x[rows], y[rows]) == pytest.approx(twin.train_on_batch(x[rows], y[rows])[0], rel=1e-12)
    assert by_hand(model, x[:B], y[:B]) == pytest.approx(twin.train_on_batch(x[:B], y[:B])[0], rel=1e-12)  # and to and fro
    assert model.train_on_batch(x[:B], y[:B])[0] == pytest.approx(by_hand(twin, x[:B], y[:B]), rel=1e-12)


def test_the_states_of_a_forward_pass():
    """h = tanh(x + h'), with all weights 1 and no bias: the values are those of the formula."""
    model = nn.Sequential(nn.RNN(1, 1, bias=False, stateful=True), dtype="float64")
    model.build((1, 1))
    model.set_weights([[[1.0]], [[1.0]]])
    one = np.ones((1, 1, 1))
    first, second = np.tanh(1.0), np.tanh(1.0 + np.tanh(1.0))
    assert model.forward(one, training=True) == pytest.approx(first)
    assert model.forward(one) == pytest.approx(first)  # inference begins with zeros, and changes nothing
    assert model(one) == pytest.approx(first)
    assert model.predict(one) == pytest.approx(first)
    assert model.forward(one.tolist(), training=True) == pytest.approx(second)
    model.backward(np.ones((1, 1)))
    assert model.gradients["0.weight_hh_l0"] == pytest.approx((1 - second**2) * first)  # h' is a constant, as after detach()
    assert model.forward(one, training=True, lengths=[1]) == pytest.approx(np.tanh(1.0 + second))
    model.reset_states()
    assert model.forward(one, training=True) == pytest.approx(first)


def test_several_forward_passes_before_an_update(data):
    """A long series in windows, with lengths that end rows early: each pass goes on from the one before."""
    x, _ = data
    long = np.concatenate([x[i * B : (i + 1) * B] for i in range(3)], axis=1)
    model = nn.Sequential(nn.LSTM(F, H, return_sequences=True, stateful=True), dtype="float64", seed=0)
    expected = model.predict(long)
    got = [model.forward(long[:, i * T : (i + 1) * T], training=True) for i in range(3)]
    np.testing.assert_array_equal(np.concatenate(got, axis=1), expected)
    model.reset_states()
    model.forward(long[:, :T], training=True, lengths=[T, 2, 1, T])
    second = model.forward(long[:, T : 2 * T], training=True)
    np.testing.assert_array_equal(second[1], model.predict(np.concatenate([long[1:2, :2], long[1:2, T : 2 * T]], axis=1))[0, 2:])


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
def test_copies_of_models_that_are_not_compiled_go_on(duplicate, data):
    x, _ = data
    model = nn.Sequential(nn.GRU(F, H, stateful=True), seed=0, dtype="float64")
    model.forward(x[:B], training=True)
    other = duplicate(model)
    np.testing.assert_array_equal(other.forward(x[B : 2 * B], training=True), model.forward(x[B : 2 * B], training=True))


def test_rows_of_forward_passes(data):
    x, _ = data
    model = made()
    model.forward(x[:B], training=True)
    model.forward(x[:2], training=True)
    for given in (x[:B], x[:B].tolist()):
        with pytest.raises(nn.errors.ShapeError, match=r"4 rows.*had 2.*reset_states"):
            model.forward(given, training=True)
    model.forward(x[:B])
    model.reset_states()
    model.forward(x, training=True)  # the arena grows


def test_a_forward_pass_that_fails_leaves_the_states(data):
    class Failing(nn.PythonLayer):
        fails = False

        def output_shape(self, shape):
            return shape

        def forward(self, x):
            if Failing.fails:
                raise KeyboardInterrupt
            return x

        def backward(self, dy, x, y):
            return dy

    x, _ = data
    layers = nn.GRU(F, H, return_sequences=True, stateful=True), Failing()
    model = nn.Sequential(*layers, dtype="float64", seed=0)
    twin = nn.Sequential(copy.deepcopy(layers[0]), dtype="float64").build((T, F))
    twin.set_weights(model.build((T, F)).get_weights())
    for i in range(3):
        batch = x[i * B : (i + 1) * B]
        Failing.fails = True
        with pytest.raises(KeyboardInterrupt):
            model.forward(batch, training=True)
        Failing.fails = False
        np.testing.assert_array_equal(model.forward(batch, training=True), twin.forward(batch, training=True))


def test_gradients_of_stateful_models_are_checked(data):
    x, y = data
    model = nn.Sequential(nn.GRU(F, H, stateful=True), nn.Linear(H, 1), seed=0, dtype="float64")
    model.compile(loss="mse", optimizer="sgd")
    model.train_on_batch(x[:B], y[:B, -1])
    assert nn.check_gradients(model, x[:B])
    assert nn.check_gradients(model, x[:B], y[:B, -1])


def test_a_file_with_states_that_do_not_fit_is_refused(data, tmp_path):
    safetensors = pytest.importorskip("safetensors")
    from safetensors.numpy import load_file, save_file

    x, y = data
    model = made()
    model.fit(x[:8], y[:8], batch_size=B, shuffle=False, verbose=0, callbacks=[Stop(1)])
    path = tmp_path / "m.safetensors"
    model.save(path)
    with safetensors.safe_open(path, "np") as opened:
        metadata = opened.metadata()
    tensors = load_file(path)
    assert tensors["training.carried"].shape == (B, model._plan.carry())
    tensors["training.carried"] = tensors["training.carried"][:, 1:].copy()
    save_file(tensors, path, metadata)
    with pytest.raises(nn.errors.FileFormatError, match=r"training\.carried"):
        nn.load(path)
