"""Callbacks of Keras run unchanged. Keras is not installed here: these classes do with the model what Keras 3's do."""

import json
import os

import numpy as np
import pytest
from callbacks.scripts import X, Y, small

import nncore as nn
from nncore import callbacks, errors


class KerasCallback:
    """Keras's base class: every hook exists, and does nothing."""

    def __init__(self):
        self.params = self._model = None

    def set_params(self, params):
        self.params = params

    def set_model(self, model):
        self._model = model

    @property
    def model(self):
        return self._model


def nothing(self, *args, **kwargs):
    pass


nothing._is_default = True
for _hook in ("train", "test", "predict"):
    for _name in (f"on_{_hook}_begin", f"on_{_hook}_end", f"on_{_hook}_batch_begin", f"on_{_hook}_batch_end"):
        setattr(KerasCallback, _name, nothing)
KerasCallback.on_epoch_begin = KerasCallback.on_epoch_end = KerasCallback.on_batch_begin = KerasCallback.on_batch_end = nothing
KerasCallback.__module__ = "keras.src.callbacks.callback"


class Checkpoint(KerasCallback):
    """As keras.callbacks.ModelCheckpoint."""

    def __init__(self, filepath, weights_only=False):
        super().__init__()
        self.filepath, self.weights_only = filepath, weights_only

    def on_epoch_end(self, epoch, logs=None):
        if self.weights_only:
            self.model.save_weights(self.filepath, overwrite=True)
        else:
            self.model.save(self.filepath, overwrite=True)


class Backup(KerasCallback):
    """As keras.callbacks.BackupAndRestore."""

    def __init__(self, folder):
        super().__init__()
        self.weights, self.metadata = os.path.join(folder, "latest.weights.h5"), os.path.join(folder, "training_metadata.json")

    def on_train_begin(self, logs=None):
        assert self.model.built
        if os.path.exists(self.weights):
            if self.model.optimizer is not None and not self.model.optimizer.built:
                self.model.optimizer.build(self.model.trainable_variables)
            self.model.load_weights(self.weights)
        if os.path.exists(self.metadata):
            with open(self.metadata) as file:
                self.model._initial_epoch = json.load(file)["epoch"]

    def on_epoch_end(self, epoch, logs=None):
        self.model.save_weights(filepath=self.weights, overwrite=True)
        with open(self.metadata, "w") as file:
            json.dump({"epoch": epoch + 1}, file)


class Plateau(KerasCallback):
    """As keras.callbacks.ReduceLROnPlateau of the weights' best epoch."""

    def on_epoch_end(self, epoch, logs=None):
        logs["learning_rate"] = float(np.asarray(self.model.optimizer.learning_rate))
        self.directions = {metric.name: metric._direction for metric in self.model.metrics if hasattr(metric, "_direction")}
        self.iterations = self.model.optimizer.iterations
        self.model.optimizer.learning_rate = logs["learning_rate"] / 2
        if epoch == 2:
            self.model.set_weights([weight * 0 for weight in self.model.get_weights()])
            self.model.stop_training = True


@pytest.mark.parametrize(("name", "weights_only"), [("best.keras", False), ("a.weights.h5", True), ("b.safetensors", False)])
def test_checkpoints(name, weights_only, tmp_path):
    model, path = small(), tmp_path / name
    model.fit(X, Y, epochs=2, callbacks=Checkpoint(str(path), weights_only), verbose=0)
    assert [each.name for each in tmp_path.iterdir()] == [name]
    renamed = path.rename(tmp_path / "renamed.safetensors")
    again = small()
    if weights_only:
        again.load_weights(renamed)
    else:
        again = nn.load(renamed)
        assert again.step == 2
    np.testing.assert_array_equal(again[0].weight, model[0].weight)


def test_backups_continue_at_their_epoch(tmp_path):
    class Stop(callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            if epoch == 2:
                raise InterruptedError

    straight, model = small(), small()
    straight.fit(X, Y, epochs=5, batch_size=None, verbose=0)
    with pytest.raises(InterruptedError):
        model.fit(X, Y, epochs=5, batch_size=None, callbacks=[Backup(tmp_path), Stop()], verbose=0)
    again = small()
    history = again.fit(X, Y, epochs=5, batch_size=None, callbacks=Backup(tmp_path), verbose=0)
    assert history.epoch == [3, 4]
    np.testing.assert_array_equal(again[0].weight, straight[0].weight)  # SGD has no moments
    assert again.fit(X, Y, epochs=2, verbose=0).epoch == [0, 1]  # the epoch was for that fit only


def nearest(y_true, y_pred):
    return abs(y_true - y_pred)


@pytest.mark.parametrize("metric", ["mae", nearest, lambda y_true, y_pred: abs(y_true - y_pred)])
def test_backups_hold_the_moments_of_the_optimizer(metric, tmp_path):
    """As in Keras, whose files of weights have them; unless a part of the model has no name under which to find it again."""

    def made():
        model = nn.Sequential(nn.Linear(2, 4), nn.Dropout(0.3), nn.Linear(4, 1), seed=0)
        model.compile("mse", nn.optim.Adam(lr=nn.schedules.Cosine(0.1, 20)), [metric])
        return model

    def stop(epoch, logs):
        if epoch == 2:
            raise InterruptedError

    straight, again = made(), made()
    straight.fit(X, Y, epochs=5, batch_size=4, verbose=0)
    each = [Backup(tmp_path), callbacks.LambdaCallback(on_epoch_end=stop)]
    with pytest.raises(InterruptedError):
        made().fit(X, Y, epochs=5, batch_size=4, callbacks=each, verbose=0)
    assert again.fit(X, Y, epochs=5, batch_size=4, callbacks=Backup(tmp_path), verbose=0).epoch == [3, 4]
    is_same = all((a == b).all() for a, b in zip(again.get_weights(), straight.get_weights(), strict=True))
    assert is_same == (getattr(metric, "__name__", "") != "<lambda>")


def test_learning_rates_directions_and_weights():
    model, plateau = small(), Plateau()
    history = model.fit(X, Y, epochs=9, batch_size=5, callbacks=plateau, verbose=0)
    assert history.history["learning_rate"] == [0.01, 0.005, 0.0025]
    assert model.optimizer.lr == 0.00125
    assert plateau.directions == {"loss": "down", "mae": "down"}
    assert plateau.iterations == 6
    assert not model[0].weight.any()


def test_a_callback_of_keras_without_hooks_is_refused():
    class Misspelt(KerasCallback):
        def on_epoch_ends(self, epoch, logs=None):
            pass

    with pytest.raises(errors.ArgumentError, match="it has on_epoch_ends, did you mean 'on_epoch_end'"):
        small().fit(X, Y, callbacks=Misspelt(), verbose=0)


def test_other_objects_get_the_model_itself(tmp_path):
    class Mine:
        def set_model(self, model):
            self.model = model

        def on_epoch_end(self, epoch, logs=None):
            self.model.save(tmp_path / "a.safetensors", overwrite=True)
            self.model.save_weights(tmp_path / "b.safetensors", overwrite=True)

    model, mine = small(), Mine()
    model.fit(X, Y, epochs=2, callbacks=mine, verbose=0)
    assert mine.model is model
    for save in (model.save, model.save_weights):
        with pytest.raises(FileExistsError, match="exists; pass overwrite=True"):
            save(tmp_path / "a.safetensors", overwrite=False)
        save(tmp_path / "new.safetensors", overwrite=False)
        os.unlink(tmp_path / "new.safetensors")
        with pytest.raises(errors.ArgumentError, match="overwrite must be True or False"):
            save(tmp_path / "new.safetensors", overwrite="no")


def test_backup_and_restore_takes_the_arguments_of_keras(tmp_path):
    folder = tmp_path / "backup"
    keep = callbacks.BackupAndRestore(backup_dir=folder, save_freq="epoch", double_checkpoint=False, delete_checkpoint=False)
    assert small().fit(X, Y, epochs=2, callbacks=keep, verbose=0).epoch == [0, 1]
    assert [path.name for path in folder.iterdir()] == ["backup.safetensors"]
    again = callbacks.BackupAndRestore(folder, delete_checkpoint=False)  # a folder that exists
    assert small().fit(X, Y, epochs=3, callbacks=again, verbose=0).epoch == [2]
    with pytest.raises(errors.ArgumentError, match="needs path, the file, or backup_dir"):
        callbacks.BackupAndRestore()
    with pytest.raises(errors.ArgumentError, match="backup_dir must be the path"):
        callbacks.BackupAndRestore(backup_dir="")
