"""What callbacks need is checked before the first step: keys of the logs, directions, fields of paths, hooks."""

import re
import warnings

import numpy as np
import pytest
from callbacks.scripts import X, Y, small

import nncore as nn
from nncore import callbacks, errors

VALID = {"validation_data": (X, Y)}


def monitors(key, tmp_path, mode="auto"):
    """Each of the callbacks that monitor a quantity, monitoring this one."""
    return [
        callbacks.EarlyStopping(key, mode=mode),
        callbacks.ReduceLROnPlateau(key, mode=mode),
        callbacks.StopAtTarget(key, 0.5, mode=mode),
        callbacks.LossTolerance(monitor=key, mode=mode),
        callbacks.ModelCheckpoint(tmp_path / "a.safetensors", key, mode=mode, save_best_only=True),
    ]


def refused(callback, message, model=None, error=errors.ArgumentError, **options):
    """Assert that fit refuses the callback before any step, and leaves the model as it was."""
    model = model or small()
    before = model.state_dict()
    with pytest.raises(error, match=message):
        model.fit(X, Y, epochs=2, callbacks=callback, verbose=0, **options)
    assert model.step == 0
    for name, value in model.state_dict().items():
        np.testing.assert_array_equal(value, before[name])


@pytest.mark.parametrize(
    ("key", "options", "message"),
    [
        ("val_loss", {}, "monitors 'val_loss', which fit will not log. It logs loss, mae; pass validation_split or"),
        ("val_los", {}, "pass validation_split or validation_data"),
        ("val_mse", VALID, "It logs loss, mae, val_loss, val_mae; did you mean"),
        ("los", VALID, "did you mean 'loss'"),
        ("accuracy", VALID, "which fit will not log. It logs loss, mae, val_loss, val_mae$"),
    ],
)
def test_unknown_keys(key, options, message, tmp_path):
    for callback in monitors(key, tmp_path, "min"):
        refused(callback, f"{type(callback).__name__} .*{re.escape(message.rstrip('$'))}", **options)


def test_known_keys(tmp_path):
    for key, options in (
        ("loss", {}),
        ("mae", {}),
        ("val_loss", VALID),
        ("val_mae", VALID),
        ("val_loss", {"validation_split": 0.3}),
    ):
        for callback in monitors(key, tmp_path):
            small().fit(X, Y, callbacks=callback, verbose=0, **options)


def test_epochs_without_validation_are_no_reason_to_warn(tmp_path):
    for callback in monitors("val_loss", tmp_path):
        small().fit(X, Y, epochs=4, validation_freq=2, callbacks=callback, verbose=0, **VALID)  # a warning would be an error


def test_others_may_add_keys(tmp_path):
    class Adds(callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            logs["mine"] = 1.0 / (epoch + 1)

    adds = callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: logs.update(mine=1.0 / (epoch + 1)))
    for other in (Adds(), adds):
        for callback in monitors("mine", tmp_path, "min"):
            small().fit(X, Y, epochs=2, callbacks=[other, callback], verbose=0)
        refused([other, callbacks.EarlyStopping("mine")], "is a larger 'mine' better")
    silent = callbacks.LambdaCallback(on_train_end=lambda logs: None)
    refused([silent, callbacks.EarlyStopping("mine", mode="min")], "monitors 'mine'")


def two_outputs(metrics):
    x = nn.Input((2,), name="x")
    outputs = {"number": nn.Linear(2, 1)(x), "kind": nn.Sigmoid()(nn.Linear(2, 1)(x))}
    model = nn.Model(x, outputs, seed=0)
    model.compile({"number": "mse", "kind": "bce"}, "sgd", metrics)
    return model


@pytest.mark.parametrize(
    ("key", "values", "stopped"),
    [
        ("kind_accuracy", [0.1, 0.2, 0.1], 2),
        ("number_mae", [2, 1, 2], 2),
        ("kind_loss", [2, 1, 2], 2),
        ("val_kind_accuracy", [1, 2, 1], 2),
    ],
)
def test_directions_of_several_outputs_are_known(key, values, stopped):
    model = two_outputs({"number": ["mae"], "kind": ["accuracy"]})
    data = X, {"number": Y, "kind": Y > 5}
    stopper = callbacks.EarlyStopping(key)
    replay = callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: logs.update({key: values[epoch]}))
    model.fit(*data, epochs=3, validation_data=data, callbacks=[replay, stopper], verbose=0)
    assert stopper.stopped_epoch == stopped


def test_directions_and_arrays(tmp_path):
    def gap(y_true, y_pred):
        return float(np.abs(y_true - y_pred).max())

    model = nn.Sequential(nn.Linear(2, 3), nn.Softmax(), seed=0)
    metrics = [
        nn.metrics.ConfusionMatrix(name="table"),
        nn.metrics.F1(average=None, name="each"),
        nn.metrics.F1("macro", name="f1"),
    ]
    model.compile("sparse_categorical_crossentropy", "sgd", metrics)
    labels = np.arange(10) % 3
    for callback in monitors("table", tmp_path, "max") + monitors("each", tmp_path, "max"):
        with pytest.raises(errors.ArgumentError, match="is an array; monitor one number"):
            model.fit(X, labels, callbacks=callback, verbose=0)
    model.fit(X, labels, callbacks=monitors("f1", tmp_path), verbose=0)
    own = nn.Sequential(nn.Linear(2, 1), seed=0)
    own.compile("mse", "sgd", [gap])
    for callback in monitors("gap", tmp_path):
        refused(callback, "is a larger 'gap' better\\? Pass mode", own)


def test_paths_of_checkpoints(tmp_path):
    checkpoint = callbacks.ModelCheckpoint
    for wrong in ("{epoch", "{}.safetensors", "{epoch:zz}.safetensors", "epoch}"):
        with pytest.raises(errors.ArgumentError, match="ModelCheckpoint: filepath must have fields such as"):
            checkpoint(wrong)
    refused(checkpoint(tmp_path / "{val_los:.2f}.safetensors"), "a field 'val_los', .* did you mean 'val_loss'", **VALID)
    refused(checkpoint(tmp_path / "{val_loss}.safetensors"), "It logs loss, mae, epoch")
    refused(checkpoint(tmp_path / "{batch}.safetensors"), "a field 'batch'")
    refused(checkpoint(tmp_path), "is a folder")
    by_batch = checkpoint(tmp_path / "{val_loss}.safetensors", save_freq=2)
    refused(by_batch, "'val_loss', which fit will not log. It logs loss, mae, epoch, batch", **VALID)
    best = checkpoint(tmp_path / "a.safetensors", "val_loss", save_best_only=True, save_freq=2)
    refused(best, "monitors 'val_loss', which fit will not log. It logs loss, mae", **VALID)
    small().fit(X, Y, callbacks=checkpoint(tmp_path / "b{epoch:02d}-{mae:.1f}.safetensors"), verbose=0)  # val_loss is not needed
    assert len(list(tmp_path.iterdir())) == 1


class Misspelt(callbacks.Callback):
    def on_epoch_ends(self, epoch, logs=None):
        pass


class MisspeltAlone:
    def on_epoch_ends(self, epoch, logs=None):
        pass


class Empty(callbacks.Callback):
    def __init__(self):
        self.count = 0


@pytest.mark.parametrize(
    "callback", [Misspelt(), MisspeltAlone(), Empty(), callbacks.LambdaCallback()], ids=lambda c: type(c).__name__
)
def test_callbacks_without_a_hook_are_refused(callback):
    hint = "; it has on_epoch_ends, did you mean 'on_epoch_end'" if "Misspelt" in type(callback).__name__ else ""
    refused(callback, f"an object with hooks such as on_epoch_end is needed, not .*{hint}")
    refused([callbacks.ProgressBar(), callback], "an object with hooks")


def test_callbacks_with_another_way_to_take_part_are_not():
    class Knows(callbacks.Callback):
        def set_model(self, model):
            self.seen = model

    class Restores(callbacks.Callback):
        def before_fit(self, model):
            return False

    class Old:
        def on_batch_end(self, batch, logs=None):
            self.batch = batch

    for callback in (Knows(), Restores(), Old(), callbacks.Callback()):
        small().fit(X, Y, callbacks=callback, verbose=0)


@pytest.mark.parametrize(
    ("hook", "function", "message"),
    [
        ("on_epoch_end", lambda epoch: None, "on_epoch_end must be a function of epoch and logs"),
        ("on_train_batch_end", lambda: None, "on_train_batch_end must be a function of batch and logs"),
        ("on_train_chunk_end", lambda step: None, "on_train_chunk_end must be a function of step and logs"),
        ("on_train_end", lambda a, b: None, "on_train_end must be a function of logs"),
        ("on_train_begin", 3, "on_train_begin must be a function of logs, not 3"),
    ],
)
def test_lambda_callback_knows_the_arguments_of_its_hooks(hook, function, message):
    with pytest.raises(errors.ArgumentError, match=f"LambdaCallback: {message}"):
        callbacks.LambdaCallback(**{hook: function})


def test_a_value_that_is_an_array_is_refused_where_it_is_seen():
    adds = callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: logs.update(mine=np.zeros(2)))
    with pytest.raises(errors.ArgumentError, match="EarlyStopping: 'mine' is array.*; one number is needed"):
        small().fit(X, Y, callbacks=[adds, callbacks.EarlyStopping("mine", mode="min")], verbose=0)


def test_a_checkpoint_keeps_a_first_infinite_value_and_no_nan(tmp_path):
    for values, saved in (([np.inf, 5.0, 6.0], ["1", "2"]), ([np.nan, np.inf, 7.0], ["2", "3"])):
        replay = callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs, values=values: logs.update(loss=values[epoch]))
        keep = callbacks.ModelCheckpoint(tmp_path / "{epoch}.safetensors", "loss", save_best_only=True)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            small().fit(X, Y, epochs=3, callbacks=[replay, keep], verbose=0)
        assert sorted(path.stem for path in tmp_path.iterdir()) == saved
        for path in tmp_path.iterdir():
            path.unlink()


def test_a_checkpoint_computes_only_what_its_path_names(tmp_path, monkeypatch):
    """Saving after every batch must not rank all rows each time."""
    asked = []
    compute = nn.metrics.RocAuc._ranks
    monkeypatch.setattr(nn.metrics.RocAuc, "_ranks", lambda self, *given: asked.append(1) or compute(self, *given))
    model = nn.Sequential(nn.Linear(2, 1), nn.Sigmoid(), seed=0)
    model.compile("bce", "sgd", ["roc_auc"])
    keep = callbacks.ModelCheckpoint(tmp_path / "{batch}-{loss:.2f}.safetensors", save_freq=1)
    model.fit(X, Y > 4, batch_size=2, callbacks=keep, verbose=0)
    assert len(list(tmp_path.iterdir())) == 5
    assert len(asked) == 1


def test_a_name_that_is_begun_and_the_learning_rate():
    x, y = np.arange(8.0).reshape(4, 2) / 8, np.arange(4.0)[:, None] > 1
    model = nn.Sequential(nn.Linear(2, 1), nn.Sigmoid(), seed=0)
    model.compile("binary_crossentropy", nn.optim.SGD(lr=nn.schedules.StepDecay(0.1, step_size=2)), ["accuracy"])
    with pytest.raises(nn.errors.ArgumentError, match="did you mean 'accuracy'"):
        model.fit(x, y, callbacks=[nn.callbacks.EarlyStopping("acc")], verbose=0)
    stop = nn.callbacks.EarlyStopping("learning_rate", mode="min")
    history = model.fit(x, y, epochs=5, callbacks=[stop], verbose=0).history
    np.testing.assert_allclose(history["learning_rate"], [0.1, 0.1])  # stays for two steps: no improvement
    assert stop.best == 0.1


def test_a_checkpoint_says_short_numbers(tmp_path, capsys):
    model = nn.Sequential(nn.Linear(2, 1), seed=0)
    model.compile("mse", "sgd")
    keep = callbacks.ModelCheckpoint(tmp_path / "m.safetensors", "loss", save_best_only=True, verbose=1)
    model.fit(np.ones((4, 2)), np.ones(4), epochs=2, callbacks=keep, verbose=0)
    first, second = capsys.readouterr().err.splitlines()
    assert re.match(r"epoch 1: loss is [\d.e-]{1,9}, saved to ", first)
    assert re.match(r"epoch 2: loss went from [\d.e-]{1,9} to [\d.e-]{1,9}, saved to ", second)
