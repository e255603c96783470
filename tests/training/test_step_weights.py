"""Weights of time steps and of classes, per output, in losses, metrics, evaluation and validation, against NumPy and PyTorch."""

import numpy as np
import pytest

import nncore as nn
from nncore import errors

ROWS, STEPS, CLASSES = 11, 6, 3


def tagger(loss="sparse_categorical_crossentropy", dtype="float64", **options):
    """Classes per time step."""
    model = nn.Sequential(nn.GRU(2, 5, return_sequences=True), nn.Linear(5, CLASSES), nn.Softmax(), seed=1, dtype=dtype).build(
        (STEPS, 2)
    )
    model.compile(loss, nn.optim.SGD(lr=0.1), **options)
    return model


def two(reduction="mean", metrics=(), **options):
    """Classes per time step and a number per sequence."""
    x = nn.Input((STEPS, 2), name="x")
    h = nn.GRU(2, 5, return_sequences=True, name="gru")(x)
    tags = nn.Softmax(name="tags")(nn.Linear(5, CLASSES, name="l")(h))
    mark = nn.Linear(4, 1, name="mark")(nn.GRU(5, 4, name="last")(h))
    model = nn.Model(x, [tags, mark], seed=2, dtype="float64")
    losses = [nn.losses.SparseCategoricalCrossentropy(reduction=reduction), nn.losses.MeanSquaredError(reduction=reduction)]
    found = [["accuracy"], ["mae"]] if metrics else ()
    model.compile(losses, nn.optim.SGD(lr=0.1), weighted_metrics=found, loss_weights=[2.0, 0.5], **options)
    return model


@pytest.fixture
def data(rng):
    return rng.normal(size=(ROWS, STEPS, 2)), rng.integers(CLASSES, size=(ROWS, STEPS)), rng.uniform(0, 2, (ROWS, STEPS))


def surprise(p, y):
    return -np.log(np.take_along_axis(p, y[..., None], -1)[..., 0])


@pytest.mark.parametrize("reduction", ["mean", "sum", "mean_with_sample_weight"])
@pytest.mark.parametrize("with_lengths", [False, True])
@pytest.mark.parametrize("batch", [None, 4])
def test_loss_and_metrics(data, rng, reduction, with_lengths, batch):
    x, y, w = data
    lengths = rng.integers(1, STEPS + 1, ROWS) if with_lengths else np.full(ROWS, STEPS)
    counts = np.arange(STEPS) < lengths[:, None]
    seen = []

    def told(y_true, y_pred, sample_weight):
        seen.append((y_true, y_pred, sample_weight))
        return 0.0

    model = tagger(nn.losses.SparseCategoricalCrossentropy(reduction=reduction), weighted_metrics=["accuracy", told])
    p = model.predict(x)
    divisor = {"mean": counts.sum(), "sum": 1, "mean_with_sample_weight": w[counts].sum()}[reduction]
    expected = (surprise(p, y) * w)[counts].sum() / divisor
    accuracy = (w * (p.argmax(-1) == y))[counts].sum() / w[counts].sum()
    w[~counts], y[~counts] = np.nan, -5
    options = {"lengths": lengths} if with_lengths else {}
    found = model.evaluate(x, y, sample_weight=w[..., None], **options)
    np.testing.assert_allclose(found[:2], [expected, accuracy], rtol=1e-12)
    np.testing.assert_array_equal(np.concatenate([each[2] for each in seen]), w[counts])
    np.testing.assert_array_equal(np.concatenate([each[0] for each in seen]), y[counts])
    np.testing.assert_allclose(np.concatenate([each[1] for each in seen]), p[counts], rtol=1e-12)

    frozen = tagger(nn.losses.SparseCategoricalCrossentropy(reduction=reduction), weighted_metrics=["accuracy"])
    frozen.optimizer.lr = 0.0
    history = frozen.fit(x, y, sample_weight=w, batch_size=batch, validation_data=(x, y, w, options.get("lengths")), **options)
    for key, value in {"loss": expected, "accuracy": accuracy}.items():
        np.testing.assert_allclose(history.history[key], value, rtol=1e-12)
        np.testing.assert_allclose(history.history[f"val_{key}"], value, rtol=1e-12)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("threads", [1, 2])
def test_200_steps_against_torch(data, dtype, threads):
    torch = pytest.importorskip("torch")
    x, y, w = data
    model = tagger(dtype=dtype)
    net = torch.nn.GRU(2, 5, batch_first=True).to(getattr(torch, dtype))
    last = torch.nn.Linear(5, CLASSES).to(getattr(torch, dtype))
    state = {key: torch.tensor(value) for key, value in model.state_dict().items()}
    net.load_state_dict({key[2:]: value for key, value in state.items() if key.startswith("0.")})
    last.load_state_dict({key[2:]: value for key, value in state.items() if key.startswith("1.")})
    rule = torch.optim.SGD([*net.parameters(), *last.parameters()], lr=0.1)
    xs, ys, ws = torch.tensor(x, dtype=getattr(torch, dtype)), torch.tensor(y), torch.tensor(w, dtype=getattr(torch, dtype))
    expected = []
    for _ in range(200):
        each = torch.nn.functional.cross_entropy(last(net(xs)[0]).transpose(1, 2), ys, reduction="none")
        loss = (each * ws).sum() / each.numel()
        rule.zero_grad()
        loss.backward()
        rule.step()
        expected.append(loss.item())
    with nn.threads(threads):
        found = [model.train_on_batch(x, y, sample_weight=w) for _ in range(200)]
    np.testing.assert_allclose(found, expected, rtol=1e-10 if dtype == "float64" else 1e-4)


def test_a_weight_for_several_lines(rng):
    """[N, time] weights of outputs [N, time, 2, 3]: each for the two lines of its step."""
    x, y, w = rng.normal(size=(5, 4, 2, 3)), rng.normal(size=(5, 4, 2, 3)), rng.uniform(size=(5, 4))
    model = nn.Sequential(nn.Linear(3, 3), seed=0, dtype="float64").build((4, 2, 3))
    model.compile("mse", nn.optim.SGD(lr=0.1), weighted_metrics=["mae"])
    e = model.predict(x) - y
    wide = np.repeat(w[:, :, None], 2, 2)
    expected = [((e**2).mean(-1) * wide).mean(), np.average(np.abs(e).mean(-1), weights=wide)]
    np.testing.assert_allclose(model.evaluate(x, y, sample_weight=w), expected, rtol=1e-12)
    np.testing.assert_allclose(model.evaluate(x, y, sample_weight=wide), expected, rtol=1e-12)
    twin = nn.Sequential(nn.Linear(3, 3), seed=0, dtype="float64").build((4, 2, 3))
    twin.compile("mse", nn.optim.SGD(lr=0.1), weighted_metrics=["mae"])
    np.testing.assert_allclose(
        model.train_on_batch(x, y, sample_weight=w), twin.train_on_batch(x, y, sample_weight=wide), rtol=1e-12
    )
    np.testing.assert_allclose(model[0].weight, twin[0].weight, rtol=1e-12)


def test_zeros_leave_steps_out(data):
    """What weighs nothing changes nothing: the gradients are those of other targets there."""
    x, y, w = data
    w[:, 4:] = 0
    other = y.copy()
    other[:, 4:] = (other[:, 4:] + 1) % CLASSES
    one, two = tagger(), tagger()
    for model, target in ((one, y), (two, other)):
        model.fit(x, target, sample_weight=w, epochs=3, batch_size=4)
    for now, then in zip(one.get_weights(), two.get_weights(), strict=True):
        np.testing.assert_array_equal(now, then)


def test_a_python_loss_is_weighed_alike(data):
    class Own(nn.losses.PythonLoss):
        def value_and_gradient(self, y_true, y_pred):
            return ((y_pred - y_true) ** 2).mean(-1), 2 * (y_pred - y_true) / y_pred.shape[-1]

    x, _, w = data
    y = x[..., :1] * x[..., 1:]
    reached = []
    for loss in (Own(), "mse"):
        model = nn.Sequential(nn.GRU(2, 5, return_sequences=True), nn.Linear(5, 1), seed=1, dtype="float64")
        model.compile(loss, nn.optim.SGD(lr=0.1))
        reached.append(model.fit(x, y, sample_weight=w, epochs=3, batch_size=4).history["loss"])
    np.testing.assert_allclose(*reached, rtol=1e-12)


@pytest.mark.parametrize("form", ["list", "dict"])
@pytest.mark.parametrize("reduction", ["mean", "mean_with_sample_weight"])
def test_per_output(data, rng, form, reduction):
    x, tags, w = data
    mark, own = rng.normal(size=ROWS), rng.uniform(0.1, 2, ROWS)
    model = two(reduction, metrics=True)
    p, m = model.predict(x)
    given = [w, own] if form == "list" else {"tags": w, "mark": own}
    divisors = (w.size, ROWS) if reduction == "mean" else (w.sum(), own.sum())
    parts = (surprise(p, tags) * w).sum() / divisors[0], ((m[:, 0] - mark) ** 2 * own).sum() / divisors[1]
    expected = {
        "loss": 2 * parts[0] + 0.5 * parts[1],
        "tags_loss": parts[0],
        "mark_loss": parts[1],
        "tags_accuracy": np.average(p.argmax(-1) == tags, weights=w),
        "mark_mae": np.average(np.abs(m[:, 0] - mark), weights=own),
    }
    found = model.evaluate(x, [tags, mark], sample_weight=given, return_dict=True)
    np.testing.assert_allclose(list(found.values()), [expected[key] for key in found], rtol=1e-12)
    model.optimizer.lr = 0.0
    history = model.fit(x, [tags, mark], sample_weight=given, batch_size=4, validation_data=(x, [tags, mark], given)).history
    for key, value in expected.items():  # the epoch's loss is exactly that of all its rows, whatever they weigh
        np.testing.assert_allclose(history[key] + history[f"val_{key}"], [value, value], rtol=1e-12)
    batches = [
        (x[i : i + 4], [tags[i : i + 4], mark[i : i + 4]], {"tags": w[i : i + 4], "mark": own[i : i + 4]}) for i in (0, 4, 8)
    ]
    history = model.fit(batches).history
    for key, value in expected.items():
        np.testing.assert_allclose(history[key], [value], rtol=1e-12)


def test_the_loss_of_an_epoch_with_penalties_and_lengths_of_several_outputs(data, rng):
    x, tags, w = data
    mark, lengths = rng.normal(size=ROWS), rng.integers(1, STEPS + 1, ROWS)
    model = two("mean_with_sample_weight", l2=0.1)
    model.optimizer.lr = 0.0
    given = {"sample_weight": [w, None], "lengths": lengths}
    history = model.fit(x, [tags, mark], batch_size=3, **given).history
    expected = model.evaluate(x, [tags, mark], return_dict=True, **given)
    for key, value in expected.items():
        np.testing.assert_allclose(history[key], [value], rtol=1e-12)


def test_the_loss_of_an_epoch_survives_a_stop(data, rng, tmp_path):
    x, tags, w = data
    mark = rng.normal(size=ROWS)

    class Stop(nn.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            self.model.stop_training = self.model.step == 5

    whole, model = two("mean_with_sample_weight"), two("mean_with_sample_weight")
    given = {"sample_weight": {"tags": w}, "batch_size": 3, "epochs": 3}
    expected = whole.fit(x, [tags, mark], **given).history
    model.fit(x, [tags, mark], callbacks=[Stop()], **given)
    model.save(tmp_path / "model.safetensors")
    found = nn.load(tmp_path / "model.safetensors").fit(x, [tags, mark], resume=True, **given).history
    assert {key: values[1:] for key, values in expected.items()} == found


@pytest.mark.parametrize("form", ["classes", "one_hot"])
@pytest.mark.parametrize("lengths", [None, [6, 2, 3, 6, 1, 4, 4, 5, 6, 2, 3]])
def test_class_weights_of_time_steps(data, form, lengths):
    x, y, w = data
    y[:, 0] = 2
    counted = y if lengths is None else y[np.arange(STEPS) < np.array(lengths)[:, None]]
    counts = np.bincount(counted.reshape(-1))
    balanced = counted.size / (CLASSES * counts)
    target = y if form == "classes" else np.eye(CLASSES)[y]
    loss = "sparse_categorical_crossentropy" if form == "classes" else "categorical_crossentropy"
    for table, given in ((balanced, "balanced"), (np.array([1, 3.0, 0.5]), {1: 3.0, 2: 0.5})):
        one, two = tagger(loss), tagger(loss)
        found = one.fit(x, target, class_weight=given, sample_weight=w, lengths=lengths, batch_size=4).history["loss"]
        assert found == two.fit(x, target, sample_weight=w * table[y], lengths=lengths, batch_size=4).history["loss"]
    np.testing.assert_allclose(
        one.train_on_batch(x, target, class_weight={1: 3.0}),
        two.train_on_batch(x, target, sample_weight=np.where(y == 1, 3.0, 1.0)),
    )


def test_class_weights_of_a_yes_or_no_at_each_step(rng):
    x, y = rng.normal(size=(9, 5, 2)), rng.integers(2, size=(9, 5, 1))
    models = [nn.Sequential(nn.Linear(2, 1), nn.Sigmoid(), seed=0).build((5, 2)) for _ in range(2)]
    for model in models:
        model.compile("binary_crossentropy", "sgd")
    one = models[0].fit(x, y, class_weight={1: 5.0}, sample_weight=np.arange(9.0)).history
    weights = np.where(y[..., 0] == 1, 5.0, 1.0) * np.arange(9.0)[:, None]
    assert one["loss"] == models[1].fit(x, y, sample_weight=weights).history["loss"]


def test_class_weights_per_output(data, rng):
    x, tags, w = data
    mark = rng.normal(size=ROWS)
    balanced = tags.size / (CLASSES * np.bincount(tags.reshape(-1), minlength=CLASSES))
    expected = two()
    expected = expected.fit(x, [tags, mark], sample_weight={"tags": w * balanced[tags]}, batch_size=4).history
    for given in ({"tags": "balanced"}, ["balanced", None]):
        assert two().fit(x, [tags, mark], sample_weight={"tags": w}, class_weight=given, batch_size=4).history == expected


@pytest.mark.parametrize(
    ("given", "error", "text"),
    [
        ({"sample_weight": np.ones((ROWS, STEPS + 1))}, errors.ShapeError, r"\(11, 7\).*\(11, 6\)"),
        ({"sample_weight": np.ones((STEPS, ROWS))}, errors.ShapeError, "its time steps may have their own"),
        ({"sample_weight": np.full((ROWS, STEPS), -1.0)}, errors.ArgumentError, "at row 0, step 0; weights must be"),
        ({"sample_weight": np.full((ROWS, STEPS), np.nan)}, errors.NonFiniteError, "nan at row 0, step 0"),
        ({"class_weight": {"other": {0: 1.0}}}, errors.LabelError, "dict from class indices"),
        ({"class_weight": {3: 1.0}}, errors.LabelError, "classes run from 0 to 2"),
        ({"class_weight": [1.0, 2.0]}, errors.ArgumentError, "must be a dict"),
    ],
)
def test_what_does_not_fit_is_refused(data, given, error, text):
    x, y, _ = data
    with pytest.raises(error, match=text):
        tagger().fit(x, y, **given)


@pytest.mark.parametrize(
    ("given", "error", "text"),
    [
        ({"class_weight": {"mark": "balanced"}}, errors.LabelError, r"class_weight\['mark'\] needs targets that give one class"),
        ({"class_weight": {"other": "balanced"}}, errors.ArgumentError, r"unknown \['other'\]"),
        ({"class_weight": ["balanced"]}, errors.ArgumentError, "a list of 2"),
        ({"class_weight": {0: 2.0}}, errors.ArgumentError, "say by name"),
        ({"sample_weight": np.ones((ROWS, STEPS))}, errors.ShapeError, "only an output with time steps"),
        ({"sample_weight": {"tags": np.ones(3)}}, errors.ShapeError, r"sample_weight\['tags'\]"),
    ],
)
def test_what_does_not_fit_several_outputs_is_refused(data, given, error, text):
    x, y, _ = data
    with pytest.raises(error, match=text):
        two().fit(x, [y, np.zeros(ROWS)], **given)
