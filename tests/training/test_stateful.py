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
        twin.forward(x, training=True)  # more rows than any batch has: the arena grows


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
