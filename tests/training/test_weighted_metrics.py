"""Metrics count every row once, weighted_metrics count the rows with their weights: as in Keras, in every call, against NumPy."""

import numpy as np
import pytest

import nncore as nn
from nncore import errors

ROWS = 60


def squared_error(y_true, y_pred, sample_weight=None):
    weight = np.ones(len(y_true)) if sample_weight is None else sample_weight
    return float(np.average((y_true[:, 0] - y_pred[:, 0]) ** 2, weights=weight))


class Kept:
    """A metric with a state of its own: the sum of the weights."""

    name = "kept"

    def reset_state(self):
        self.total = 0.0

    def update_state(self, y_true, y_pred, sample_weight=None):
        self.total += len(y_true) if sample_weight is None else sample_weight.sum()

    def result(self):
        return self.total


METRICS = ["accuracy", "mse", "roc_auc", "binary_crossentropy", "precision", squared_error, Kept()]


def binary(**options):
    model = nn.Sequential(nn.Linear(3, 1), nn.Sigmoid(), seed=0, dtype="float64")
    model.compile("bce", nn.optim.SGD(lr=0.0), **options)
    return model


def expected(y, p, weight):
    """What each metric is, with these weights."""
    sklearn = pytest.importorskip("sklearn.metrics")
    yes = p > 0.5
    return {
        "accuracy": np.average(yes == (y == 1), weights=weight),
        "mse": np.average((y - p) ** 2, weights=weight),
        "roc_auc": sklearn.roc_auc_score(y, p, sample_weight=weight),
        "binary_crossentropy": np.average(-np.log(np.where(y == 1, p, 1 - p)), weights=weight),
        "precision": sklearn.precision_score(y, yes, sample_weight=weight),
        "squared_error": np.average((y - p) ** 2, weights=weight),
        "kept": weight.sum(),
    }


@pytest.fixture
def given(rng):
    x = rng.normal(size=(ROWS, 3))
    y = (x[:, 0] + rng.normal(size=ROWS) > 0).astype(float)
    weight = rng.uniform(0, 2, ROWS)
    weight[:5] = 0.0
    return x, y, weight


def check(found, plain, weighted, loss):
    np.testing.assert_allclose(found["loss"], loss, rtol=1e-9)
    for key, value in plain.items():
        np.testing.assert_allclose(found[key], value, rtol=1e-9, err_msg=key)
        np.testing.assert_allclose(found[f"weighted_{key}"], weighted[key], rtol=1e-9, err_msg=f"weighted_{key}")


def test_every_call(given):
    x, y, weight = given
    model = binary(metrics=METRICS, weighted_metrics=METRICS)
    names = [getattr(each, "name", getattr(each, "__name__", each)) for each in METRICS]
    assert model.metrics_names == ["loss", *names, *(f"weighted_{name}" for name in names)]
    p = model.predict(x)[:, 0]
    ones = np.ones(ROWS)
    plain, weighted = expected(y, p, ones), expected(y, p, weight)
    loss = np.mean(weight * -np.log(np.where(y == 1, p, 1 - p)))
    check(model.evaluate(x, y, sample_weight=weight, return_dict=True), plain, weighted, loss)
    check(model.test_on_batch(x, y, sample_weight=weight, return_dict=True), plain, weighted, loss)
    check(model.train_on_batch(x, y, sample_weight=weight, return_dict=True), plain, weighted, loss)
    check(model.evaluate(x, y, return_dict=True), plain, expected(y, p, ones), np.mean(-np.log(np.where(y == 1, p, 1 - p))))
    batches = [(x[i : i + 16], y[i : i + 16], weight[i : i + 16]) for i in range(0, ROWS, 16)]
    check(model.evaluate(batches, return_dict=True), plain, weighted, loss)
    for data, options in (((x, y), {"sample_weight": weight, "batch_size": 16}), ((batches,), {})):
        history = model.fit(*data, epochs=2, validation_data=(x, y, weight), verbose=0, **options).history
        for epoch in range(2):
            check({key: values[epoch] for key, values in history.items()}, plain, weighted, loss)
            validated = {key.removeprefix("val_"): values[epoch] for key, values in history.items() if key.startswith("val_")}
            check(validated, plain, weighted, loss)


def test_weights_of_classes_are_weights_of_training_only(given):
    x, y, _ = given
    model = binary(metrics=["accuracy", "mse"], weighted_metrics=["accuracy", "mse"])
    p, weight = model.predict(x)[:, 0], np.where(y == 1, 5.0, 0.5)
    own = [np.average((p > 0.5) == (y == 1), weights=weight), np.average((y - p) ** 2, weights=weight)]
    plain = [np.mean((p > 0.5) == (y == 1)), np.mean((y - p) ** 2)]
    options = {"class_weight": {0: 0.5, 1: 5.0}}
    history = model.fit(x, y, validation_data=(x, y), batch_size=16, verbose=0, **options).history
    keys = ["accuracy", "mse"]
    np.testing.assert_allclose([history[key][0] for key in keys], plain)
    np.testing.assert_allclose([history[f"weighted_{key}"][0] for key in keys], own)
    np.testing.assert_allclose([history[f"val_{key}"][0] for key in keys], plain)
    np.testing.assert_allclose([history[f"val_weighted_{key}"][0] for key in keys], plain)
    found = model.train_on_batch(x, y, return_dict=True, **options)
    np.testing.assert_allclose([found[key] for key in (*keys, "weighted_accuracy", "weighted_mse")], [*plain, *own])


@pytest.mark.parametrize("with_lengths", [False, True])
def test_weights_of_time_steps(with_lengths, rng):
    x, y, weight = rng.normal(size=(9, 5, 3)), rng.integers(4, size=(9, 5)), rng.uniform(0, 2, (9, 5))
    lengths = rng.integers(1, 6, 9) if with_lengths else None
    counts = np.arange(5) < (np.full(9, 5) if lengths is None else lengths)[:, None]
    model = nn.Sequential(nn.GRU(3, 4, return_sequences=True), nn.Linear(4, 4), nn.Softmax(), seed=0, dtype="float64").build((5, 3))
    model.compile("sparse_categorical_crossentropy", nn.optim.SGD(lr=0.0), metrics=["accuracy"], weighted_metrics=["acc"])
    right = model.predict(x, lengths=lengths).argmax(-1) == y
    for own in (weight, weight[:, 0]):
        wide = np.broadcast_to(own.reshape(9, -1), (9, 5))
        found = model.evaluate(x, y, sample_weight=own, lengths=lengths, return_dict=True)
        assert found["accuracy"] == pytest.approx(right[counts].mean(), rel=1e-12)
        assert found["acc"] == pytest.approx(np.average(right[counts], weights=wide[counts]), rel=1e-12)
        history = model.fit(x, y, sample_weight=own, lengths=lengths, batch_size=4, verbose=0).history
        assert [history["accuracy"][0], history["acc"][0]] == pytest.approx([found["accuracy"], found["acc"]], rel=1e-12)


def ends(**options):
    x = nn.Input((3,), name="x")
    outputs = {"a": nn.Linear(3, 1, name="left")(x), "b": nn.Linear(3, 1, name="right")(x)}
    model = nn.Model(x, outputs, seed=0, dtype="float64")
    model.compile("mse", nn.optim.SGD(lr=0.0), **options)
    return model


def test_several_outputs(given):
    x, _, weight = given
    y = {"a": x[:, 0] * 2, "b": x[:, 1] - 1}
    model = ends(metrics=[["mae"], None], weighted_metrics={"a": "mae", "b": ["mae", "rmse"]})
    names = ["loss", "a_loss", "b_loss", "a_mae", "a_weighted_mae", "b_mae", "b_rmse"]
    assert model.metrics_names == names
    errors_of = {name: np.abs(model.predict(x)[name][:, 0] - y[name]) for name in "ab"}
    found = model.evaluate(x, y, sample_weight={"a": weight}, return_dict=True)
    assert found["a_mae"] == pytest.approx(errors_of["a"].mean())
    assert found["a_weighted_mae"] == pytest.approx(np.average(errors_of["a"], weights=weight))
    assert found["b_mae"] == pytest.approx(errors_of["b"].mean())


FORMS = {
    "nothing": (None, []),
    "an empty list": ([], []),
    "one name": ("mae", ["a_mae", "b_mae"]),
    "one for all": (["mae"], ["a_mae", "b_mae"]),
    "one for each": (["mae", "rmse"], ["a_mae", "b_rmse"]),
    "none of one": (["mae", None], ["a_mae"]),
    "lists": ([["mae", "rmse"], ["mse"]], ["a_mae", "a_rmse", "b_mse"]),
    "a list and none": ([["mse"], None], ["a_mse"]),
    "a list and a name": ([["mse", "mae"], "rmse"], ["a_mse", "a_mae", "b_rmse"]),
    "an empty one": ([[], ["mse"]], ["b_mse"]),
    "a tuple": ((("mse",), None), ["a_mse"]),
    "by name": ({"b": "mse"}, ["b_mse"]),
    "by name, none": ({"b": None, "a": ["mse", "mae"]}, ["a_mse", "a_mae"]),
    "losses": ([["huber", nn.losses.MeanSquaredError()], "poisson"], ["a_huber", "a_mean_squared_error", "b_poisson"]),
}


@pytest.mark.parametrize("form", FORMS)
def test_forms_of_several_outputs(form):
    given, names = FORMS[form]
    assert ends(metrics=given).metrics_names[3:] == names
    assert ends(weighted_metrics=given).metrics_names[3:] == names


def test_forms_of_one_output():
    for given in ("mse", ["mse"], [["mse"]], [["mse"], None], [None, "mse"], {"output": ["mse"]}, ("mse",)):
        assert binary(metrics=given).metrics_names == ["loss", "mse"], given
    assert binary(metrics=["mse", ["accuracy"]], weighted_metrics=["mse"]).metrics_names == [
        "loss",
        "mse",
        "accuracy",
        "weighted_mse",
    ]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["mae", "mse", "rmse"], "metrics has 3 entries for 2 outputs, a, b; pass one entry per output"),
        ([["mae"]], "metrics has 1 entries for 2 outputs"),
        ([None, None, None], "metrics has 3 entries"),
        ({"c": "mae"}, "metrics: the names are .*unknown"),
        ({"mae", "mse"}, "metrics must be a list, because a set has no order"),
    ],
)
def test_what_is_ambiguous_is_refused(given, message):
    with pytest.raises(errors.ArgumentError, match=f"compile: {message}"):
        ends(metrics=given)
    with pytest.raises(errors.ArgumentError, match=f"compile: weighted_{message}"):
        ends(weighted_metrics=given)


def test_files_keep_which_metrics_are_weighted(given, tmp_path):
    x, y, weight = given
    model = binary(metrics=["accuracy", "huber"], weighted_metrics=["accuracy", nn.metrics.F1(name="f")])
    model.fit(x, y, sample_weight=weight, verbose=0)
    model.save(tmp_path / "a.safetensors")
    again = nn.load(tmp_path / "a.safetensors")
    assert again.metrics_names == model.metrics_names == ["loss", "accuracy", "huber", "weighted_accuracy", "f"]
    assert again.evaluate(x, y, sample_weight=weight) == model.evaluate(x, y, sample_weight=weight)
    assert "Weighted metrics: weighted_accuracy, f" in str(again.summary(show=False))


def test_metrics_of_older_files_stay_weighted(given, tmp_path):
    """Versions that wrote no weighted_metrics weighted all metrics; what they wrote goes on to do so, under the same names."""
    import json
    import struct

    x, y, weight = given
    binary(weighted_metrics=["accuracy", "mse"]).save(tmp_path / "a.safetensors")
    written = (tmp_path / "a.safetensors").read_bytes()
    size = struct.unpack("<Q", written[:8])[0]
    header = json.loads(written[8 : 8 + size])
    document = json.loads(header["__metadata__"]["nncore"])
    document["training"]["metrics"] = document["training"].pop("weighted_metrics")
    header["__metadata__"]["nncore"] = json.dumps(document)
    text = json.dumps(header).encode()
    (tmp_path / "old.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + written[8 + size :])
    old = nn.load(tmp_path / "old.safetensors")
    assert old.metrics_names == ["loss", "accuracy", "mse"]
    p = old.predict(x)[:, 0]
    own = [np.average((p > 0.5) == (y == 1), weights=weight), np.average((y - p) ** 2, weights=weight)]
    np.testing.assert_allclose(old.evaluate(x, y, sample_weight=weight)[1:], own)


def test_monitoring_a_weighted_metric(given):
    x, y, weight = given
    model = binary(metrics=["accuracy"], weighted_metrics=["accuracy"])
    for key in ("val_weighted_accuracy", "weighted_accuracy"):
        stop = nn.callbacks.EarlyStopping(key)
        assert model.fit(x, y, epochs=5, validation_data=(x, y, weight), callbacks=stop, verbose=0).epoch == [0, 1]
