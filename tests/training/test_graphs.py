"""compile, fit, evaluate and predict with several inputs and outputs, by position and by name; copies, files and threads."""

import copy
import pickle

import numpy as np
import pytest
from graph import graphs

import nncore as nn
from nncore import errors

LOSSES = {"number": "mse", "kind": "sparse_categorical_crossentropy"}


def compiled(**options):
    model = graphs.two_by_two()
    options = {"metrics": {"kind": ["accuracy"], "number": "mae"}, "loss_weights": {"kind": 0.5}, **options}
    model.compile(LOSSES, nn.optim.Adam(lr=0.01), **options)
    return model


def data(rng, rows=50):
    model = graphs.two_by_two()
    return graphs.inputs_of(model, rng, rows), graphs.targets_of(model, rng, rows)


def test_lists_and_names_are_the_same(rng):
    (x, z), (number, kind) = data(rng)
    by_list, by_name = compiled(), compiled()
    valid = data(rng, 20)
    one = by_list.fit([x, z], [number, kind], epochs=3, batch_size=16, validation_data=(valid[0], valid[1]))
    named = {"z": valid[0][1], "x": valid[0][0]}, {"kind": valid[1][1], "number": valid[1][0]}
    two = by_name.fit({"z": z, "x": x}, {"kind": kind, "number": number}, epochs=3, batch_size=16, validation_data=named)
    assert one.history == two.history
    logged = ["loss", "number_loss", "kind_loss", "number_mae", "kind_accuracy"]
    assert list(one.history) == [*logged, *(f"val_{name}" for name in logged), "learning_rate"]
    for name in ("", "val_"):
        total = np.array(one.history[f"{name}number_loss"]) + 0.5 * np.array(one.history[f"{name}kind_loss"])
        np.testing.assert_allclose(one.history[f"{name}loss"], total, rtol=1e-12)
    assert by_list.evaluate([x, z], [number, kind]) == by_name.evaluate({"x": x, "z": z}, {"number": number, "kind": kind})
    predicted = by_list.predict([x, z])
    assert list(predicted) == ["number", "kind"]
    np.testing.assert_array_equal(predicted["kind"], by_name.predict({"x": x, "z": z})["kind"])
    np.testing.assert_array_equal(by_list([x, z])["number"], predicted["number"])
    e, p = predicted["number"] - number, predicted["kind"][np.arange(50), kind]
    expected = [(e**2).mean() - 0.5 * np.log(p).mean(), (e**2).mean(), -np.log(p).mean(), np.abs(e).mean()]
    assert by_list.evaluate([x, z], [number, kind])[:4] == pytest.approx(expected)
    assert by_list.metrics_names == logged
    assert by_list.train_on_batch([x, z], [number, kind]) == by_name.train_on_batch(
        {"x": x, "z": z}, {"kind": kind, "number": number}
    )


def test_weights_of_samples_weigh_every_output(rng):
    x, y = data(rng)
    weight = rng.integers(0, 3, 50).astype(float)
    repeated = np.repeat(np.arange(50), weight.astype(int))
    some, others = compiled(metrics=()), compiled(metrics=())
    losses = np.array(some.evaluate(x, y, sample_weight=weight)) * 50 / weight.sum()
    assert losses == pytest.approx(others.evaluate([each[repeated] for each in x], [each[repeated] for each in y]))


@pytest.mark.parametrize("reduction", ["mean", "sum", "mean_with_sample_weight"])
def test_weights_of_samples_for_each_output(reduction, rng):
    """Each output's loss, gradient and metrics are those that its own weights alone would give it."""
    x, y = data(rng)
    weights = {"number": rng.uniform(0, 2, 50), "kind": rng.integers(0, 2, 50)}
    losses = [nn.losses.MeanSquaredError(reduction), nn.losses.SparseCategoricalCrossentropy(reduction=reduction)]
    seen = {}

    class Seen:
        name = "seen"

        def update_state(self, y_true, y_pred, sample_weight=None):
            seen.setdefault(y_pred.shape[1], []).append(sample_weight)

        def result(self):
            return 0.0

    def made(loss_weights=(1.0, 0.5), metrics=("mae", "accuracy")):
        model = graphs.two_by_two()
        model.compile(losses, nn.optim.SGD(lr=0.1), weighted_metrics=[[m] for m in metrics], loss_weights=loss_weights)
        return model

    one = made()
    logs = one.evaluate(x, y, sample_weight=weights, return_dict=True)
    number, kind = (made().evaluate(x, y, sample_weight=weights[name], return_dict=True) for name in ("number", "kind"))
    for key in logs:
        if key != "loss":
            assert logs[key] == pytest.approx((number if key.startswith("number") else kind)[key], rel=1e-12), key
    assert logs["loss"] == pytest.approx(logs["number_loss"] + 0.5 * logs["kind_loss"], rel=1e-12)
    history = made().fit(x, y, sample_weight=[weights["number"], weights["kind"]], batch_size=None, validation_data=(x, y, weights))
    for key, value in logs.items():
        assert history.history[key][0] == pytest.approx(value, rel=1e-9), key

    steps = []
    for own, loss_weights in ((weights, (1.0, 0.5)), (weights["number"], (1.0, 0.0)), (weights["kind"], (0.0, 0.5))):
        for threads in (1, 2):
            model = made(loss_weights)
            before = model.get_weights()
            with nn.threads(threads):
                model.fit(x, y, sample_weight=own, batch_size=20, shuffle=False, epochs=1, callbacks=[stop_after_one()])
            steps.append([a - b for a, b in zip(before, model.get_weights(), strict=True)])
    for both, same, first, second in zip(steps[0], steps[1], steps[2], steps[4], strict=True):
        np.testing.assert_array_equal(both, same)
        np.testing.assert_allclose(both, first + second, rtol=1e-9, atol=1e-12)

    watched = made(metrics=(Seen(), Seen()))
    watched.evaluate(x, y, sample_weight=weights)
    given = {width: np.concatenate(parts) for width, parts in seen.items()}
    np.testing.assert_allclose(given[y[0].shape[1]], weights["number"][weights["number"] > 0])
    np.testing.assert_allclose(given[4], weights["kind"][weights["kind"] > 0])


def stop_after_one():
    class Stop(nn.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            self.model.stop_training = True

    return Stop()


def test_one_output_alone_may_be_weighed(rng):
    x, y = data(rng)
    weight = rng.uniform(0, 2, 50)
    model = compiled()
    found = model.evaluate(x, y, sample_weight={"kind": weight})
    assert model.evaluate(x, y, sample_weight=[None, weight]) == found
    assert model.evaluate(x, y, sample_weight=[np.ones(50), weight.tolist()]) == found
    assert model.evaluate(x, y, sample_weight={}) == model.evaluate(x, y)
    batches = [([a[i : i + 25] for a in x], [b[i : i + 25] for b in y], {"kind": weight[i : i + 25]}) for i in (0, 25)]
    assert model.evaluate(batches) == pytest.approx(found, rel=1e-12)
    model.fit(batches, epochs=2)
    model.train_on_batch(x, y, sample_weight={"kind": weight})
    single = nn.Sequential(nn.Linear(2, 1, name="y"), seed=0)
    single.compile("mse", "sgd")
    assert single.evaluate(x[0][:, :2], y[0][:, :1], sample_weight={single.output_names[0]: weight}) == single.evaluate(
        x[0][:, :2], y[0][:, :1], sample_weight=weight
    )


@pytest.mark.parametrize(
    ("weight", "error", "text"),
    [
        ({"other": [1.0]}, errors.ArgumentError, r"unknown \['other'\]"),
        ([[1.0] * 50], errors.ArgumentError, "list of 2"),
        ({"kind": [1.0] * 49}, errors.ShapeError, r"sample_weight\['kind'\]"),
        ([None, [-1.0] * 50], errors.ArgumentError, r"sample_weight\['kind'\]"),
        (np.ones((50, 2)), errors.ShapeError, "one weight per row"),
    ],
)
def test_weights_that_do_not_fit(weight, error, text, rng):
    x, y = data(rng)
    with pytest.raises(error, match=text):
        compiled().fit(x, y, sample_weight=weight)


def test_batches_of_lists(rng):
    x, y = data(rng, 48)
    parts = [slice(i, i + 16) for i in range(0, 48, 16)]
    whole, batches = compiled(), compiled()
    one = whole.fit(x, y, batch_size=16, shuffle=False, epochs=2)
    two = batches.fit([([a[p] for a in x], {"number": y[0][p], "kind": y[1][p]}) for p in parts], epochs=2)
    for name, values in one.history.items():
        assert values == pytest.approx(two.history[name], rel=1e-12)


@pytest.mark.parametrize("reduction", ["mean", "sum", "mean_with_sample_weight"])
def test_losses_of_the_outputs_are_those_of_the_rows(reduction, rng):
    """At a learning rate of 0 an epoch of uneven batches logs what evaluate does, weighted or not."""
    x, y = data(rng)
    model = graphs.two_by_two()
    losses = [nn.losses.MeanSquaredError(reduction=reduction), nn.losses.SparseCategoricalCrossentropy(reduction=reduction)]
    model.compile(losses, nn.optim.SGD(lr=0.0), loss_weights=[2.0, 0.5])
    for weight in (None, rng.uniform(0.5, 2, 50)):
        logs = model.evaluate(x, y, sample_weight=weight, return_dict=True)
        history = model.fit(x, y, batch_size=16, sample_weight=weight).history
        assert {name: history[name][0] for name in model.metrics_names} == pytest.approx(logs, rel=1e-12)
        one = model.train_on_batch(x, y, sample_weight=weight, return_dict=True)
        assert one == pytest.approx(logs, rel=1e-12)
        assert model.train_on_batch(x, y, sample_weight=weight, return_dict=True) == one


def test_it_learns(rng):
    """A residual net on a problem that a chain of the same depth finds no easier."""
    x = rng.uniform(-1, 1, (400, 6)).astype(np.float32)
    y = np.stack([x[:, 0] * x[:, 1], np.sin(2 * x[:, 2])], 1)
    model = graphs.residual(dtype="float32")
    model.compile("mse", nn.optim.Adam(lr=0.01))
    assert model.fit(x, y, epochs=150, batch_size=32).history["loss"][-1] < 0.1 * np.var(y)


@pytest.mark.parametrize("kind", graphs.GRAPHS)
@pytest.mark.parametrize("way", ["deepcopy", "pickle", "file"])
def test_copies_and_files_train_on(kind, way, rng, tmp_path):
    make, _ = graphs.GRAPHS[kind]
    model = make(seed=3)
    x, y = graphs.only(graphs.inputs_of(model, rng)), graphs.only(graphs.targets_of(model, rng))
    model.compile(graphs.losses_of(model), "adam", loss_weights=[0.3, 2.0][: len(model.output_names)])
    model.fit(x, y, epochs=2, batch_size=16)
    if way == "file":
        model.save(tmp_path / "model.safetensors")
        again = nn.load(tmp_path / "model.safetensors")
    else:
        again = copy.deepcopy(model) if way == "deepcopy" else pickle.loads(pickle.dumps(model))
    assert repr(again) == repr(model)
    assert (again.input_names, again.output_names) == (model.input_names, model.output_names)
    assert str(again.summary(show=False)) == str(model.summary(show=False))
    for each in (model, again):
        each.fit(x, y, epochs=2, batch_size=16)
    assert graphs.numbers(again).keys() == graphs.numbers(model).keys()
    for name, value in graphs.numbers(model).items():
        np.testing.assert_array_equal(graphs.numbers(again)[name], value)
    own, other = graphs.as_list(model.predict(x)), graphs.as_list(again.predict(x))
    np.testing.assert_array_equal(own[-1], other[-1])
    assert type(model.predict(x)) is type(again.predict(x))


def test_the_same_bits_for_any_number_of_threads(rng):
    x, y = data(rng, 200)
    states = []
    for threads in (1, 2, 5):
        with nn.threads(threads):
            model = compiled()
            model.fit(x, y, epochs=2, batch_size=64)
        states.append(model.state_dict())
    for state in states[1:]:
        for name, value in states[0].items():
            np.testing.assert_array_equal(state[name], value)


def test_a_shared_layer_has_one_set_of_weights():
    model = graphs.siamese()
    assert list(model.state_dict()) == [f"{layer}.{role}" for layer in ("first", "second", "y") for role in ("weight", "bias")]
    assert model.summary(show=False).total_parameters == 7 * 7 + 5 * 8 + 26
    assert model.summary(show=False).rows[2].macs == 2 * 6 * 7
    other = graphs.siamese(seed=1)
    other.load_state_dict(model.state_dict())
    np.testing.assert_array_equal(other.get_layer("first").weight, model.get_layer("first").weight)


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda m, x, y: m.fit(x[0], y), errors.ShapeError, "pass a list of 2 arrays"),
        (lambda m, x, y: m.fit(x[:1], y), errors.ShapeError, "pass a list of 2 arrays"),
        (lambda m, x, y: m.fit([x[0], x[1][:9]], y), errors.ShapeError, "different numbers of rows"),
        (lambda m, x, y: m.fit([x[1], x[0]], y), errors.ShapeError, r"x\[0\] has shape \(50, 3\)"),
        (lambda m, x, y: m.fit({"x": x[0]}, y), errors.ArgumentError, r"missing are \['z'\], unknown \[\]"),
        (lambda m, x, y: m.fit({"x": x[0], "w": x[1]}, y), errors.ArgumentError, r"unknown \['w'\]"),
        (lambda m, x, y: m.fit(x, y[0]), errors.ArgumentError, "y: pass a list of 2 arrays, for number, kind, or a dict"),
        (lambda m, x, y: m.fit(x, {"number": y[0]}), errors.ArgumentError, r"missing are \['kind'\]"),
        (lambda m, x, y: m.fit(x, [y[0], y[1] + 0.5]), errors.LabelError, r"y\['kind'\] is"),
        (lambda m, x, y: m.fit(x, y, class_weight="balanced"), errors.ArgumentError, "say by name which one"),
        (lambda m, x, y: m.compile({"number": "mse"}, "sgd"), errors.ArgumentError, r"compile: loss: .* missing are \['kind'\]"),
        (lambda m, x, y: m.compile(LOSSES, "sgd", {"a": "mae"}), errors.ArgumentError, r"compile: metrics: .* unknown \['a'\]"),
        (lambda m, x, y: m.compile(LOSSES, "sgd", loss_weights={"b": 1}), errors.ArgumentError, r"loss_weights: .*unknown \['b'\]"),
        (lambda m, x, y: m.predict([x[0]]), errors.ShapeError, "pass a list of 2 arrays"),
        (lambda m, x, y: m.forward(x[0]), errors.ArgumentError, "x: pass a list of 2 arrays, for x, z, or a dict by name"),
        (lambda m, x, y: m.forward([x[0], x[1][:3]]), errors.ShapeError, r"x\['z'\] has 3 rows, but the first input has 50"),
        (lambda m, x, y: m.build((4,)), errors.ArgumentError, "make another nn.Input"),
        (lambda m, x, y: m.get_layer("q"), errors.ArgumentError, "there is no 'q'; the layers are concatenate, join"),
    ],
)
def test_what_does_not_fit_is_refused(call, error, text, rng):
    x, y = data(rng)
    model = compiled()
    kept = model.state_dict()
    with pytest.raises(error, match=text):
        call(model, x, y)
    for name, value in model.state_dict().items():
        np.testing.assert_array_equal(value, kept[name])
    model.fit(x, y)
