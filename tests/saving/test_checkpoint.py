"""ModelCheckpoint on scripted histories, as Keras has it, and in real training."""

import os

import numpy as np
import pytest
from saving.nets import BATCH, assert_identical, data, net

import nncore as nn
from nncore.errors import ArgumentError
from nncore.training.hooks import CallbackList

NAN = float("nan")


class Scripted:
    """Stands for a model: it notes what it is told to save."""

    metrics = (nn.metrics.Accuracy(), nn.metrics.MAE(), nn.metrics.ConfusionMatrix())

    def __init__(self):
        self.saved = []

    def save(self, path):
        self.saved.append(path)

    def save_weights(self, path):
        self.saved.append(f"weights {path}")


def play(values, key="val_loss", **options):
    """Give the callback one value per epoch; return the paths that it saved to."""
    callback, model = nn.callbacks.ModelCheckpoint("{epoch}", monitor=key, **options), Scripted()
    callback.set_model(model)
    callback.on_train_begin()
    for epoch, value in enumerate(values):
        callback.on_epoch_begin(epoch)
        callback.on_epoch_end(epoch, {key: value})
    return model.saved


SCRIPTS = [
    ([3, 2, 4, 1], {}, "1234"),
    ([3, 2, 4, 1], {"save_best_only": True}, "124"),
    ([3, 3, 3], {"save_best_only": True}, "1"),
    ([3, 2, 4, 1, 5], {"save_best_only": True, "mode": "max"}, "135"),
    ([0.3, 0.2, 0.4], {"save_best_only": True, "key": "val_accuracy"}, "13"),
    ([0.3, 0.2, 0.4], {"save_best_only": True, "key": "mae"}, "12"),
    ([0.3, 0.2, 0.4], {"save_best_only": True, "key": "mine", "mode": "max"}, "13"),
    ([NAN, 2, NAN, 1], {"save_best_only": True}, "24"),
    ([3, 2, 1], {"save_best_only": True, "initial_value_threshold": 2.5}, "23"),
]


@pytest.mark.parametrize(("values", "options", "saved"), SCRIPTS, ids=str)
def test_which_epochs_are_saved(values, options, saved):
    assert play(values, **options) == list(saved)
    assert play(values, **options, save_weights_only=True) == [f"weights {epoch}" for epoch in saved]


def test_unclear_direction():
    with pytest.raises(ArgumentError, match="mode='max' or mode='min'"):
        play([1], key="val_confusion_matrix", save_best_only=True)


def test_missing_quantity():
    callback = nn.callbacks.ModelCheckpoint("x", save_best_only=True)
    callback.set_model(Scripted())
    with pytest.warns(UserWarning, match="ModelCheckpoint monitors 'val_loss'.*validation_split"):
        callback.on_epoch_end(0, {"loss": 1.0})
    assert callback.model.saved == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mode": "up"}, "mode must be"),
        ({"save_freq": "batch"}, "save_freq must be 'epoch'"),
        ({"save_freq": 0}, "save_freq must be .* a number of batches, at least 1, not 0"),
        ({"save_best_only": "yes"}, "save_best_only"),
    ],
)
def test_wrong_arguments(options, message):
    with pytest.raises(ArgumentError, match=message):
        nn.callbacks.ModelCheckpoint("x", **options)


def test_wrong_template(tmp_path):
    callback = nn.callbacks.ModelCheckpoint(tmp_path / "{val_los:.2f}")
    with pytest.raises(ArgumentError, match="a field 'val_los', which fit will not log. It logs loss, accuracy, f1, epoch"):
        net().fit(*data(), callbacks=callback)


def test_in_training(tmp_path, capsys):
    """Files are named like Keras's, in a folder that is made; from any of them training goes on as it did."""
    model, (x, y) = net(), data()
    keep = nn.callbacks.ModelCheckpoint(tmp_path / "run" / "{epoch:02d}-{val_loss:.2f}.safetensors", verbose=1)
    history = model.fit(x, y, epochs=3, batch_size=BATCH, validation_split=0.2, callbacks=[keep])
    names = [f"{i + 1:02d}-{loss:.2f}.safetensors" for i, loss in enumerate(history.history["val_loss"])]
    assert sorted(os.listdir(tmp_path / "run")) == names
    assert "epoch 3: saved to" in capsys.readouterr().err
    again = nn.load(tmp_path / "run" / names[0])
    again.fit(x, y, epochs=3, initial_epoch=1, batch_size=BATCH, validation_split=0.2)
    assert_identical(again, model)


def test_best_weights(tmp_path):
    model, (x, y) = net(), data()
    path = tmp_path / "best.safetensors"
    keep = nn.callbacks.ModelCheckpoint(path, monitor="loss", mode="max", save_best_only=True, save_weights_only=True)
    history = model.fit(x, y, epochs=8, batch_size=BATCH, callbacks=[keep])
    best = int(np.argmax(history.history["loss"]))
    other = net()
    other.fit(x, y, epochs=best + 1, batch_size=BATCH)
    kept = net(seed=99)
    kept.load_weights(path)
    np.testing.assert_array_equal(kept.predict(x), other.predict(x))
    assert keep.best == history.history["loss"][best]


def test_every_few_batches(tmp_path):
    """Counted across epochs: of 2 epochs with 7 batches each, the 5th and the 10th."""
    model, (x, y) = net(), data()
    keep = nn.callbacks.ModelCheckpoint(tmp_path / "{epoch}-{batch}-{loss:.1f}", save_freq=5)
    model.fit(x, y, epochs=2, batch_size=BATCH, callbacks=[keep])
    assert [name[:4] for name in sorted(os.listdir(tmp_path))] == ["1-5-", "2-3-"]
    assert sorted(nn.load(tmp_path / name).step for name in os.listdir(tmp_path)) == [5, 10]


def test_that_epochs_stay_one_call():
    """A hook of batches would cost speed; the callback only has it where it needs it."""
    hooks = CallbackList([nn.callbacks.ModelCheckpoint("x")], None, {})
    assert not hooks.wants("on_train_batch_begin", "on_train_batch_end", "on_train_chunk_end")
