"""fit, evaluate, predict, validation_data and the forms for one batch understand the same things as x, batches and their parts."""

import numpy as np
import pytest

import nncore as nn
from nncore import errors

torch = pytest.importorskip("torch")
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset  # noqa: E402

LENGTHS = [1, 2, 3, 4, 5, 5, 2]


def line_of(features):
    """A model whose outputs are w x + b, and the same in NumPy."""
    model = nn.Sequential(nn.Linear(features, 1), seed=0, dtype="float64")
    model.compile("mse", nn.optim.SGD(lr=0.0))
    w, b = model[0].weight.copy(), model[0].bias.copy()
    return model, lambda x: np.reshape(x, (-1, features)) @ w.T + b


@pytest.fixture
def xy(rng):
    x = rng.normal(size=(7, 3))
    return x, x[:, 0] + 1


@pytest.fixture
def series(rng):
    """Sequences, and a GRU with what PyTorch makes of them: the states at the end of each sequence, times a weight."""
    x = rng.normal(size=(7, 5, 3))
    theirs = torch.nn.GRU(3, 4, batch_first=True).double()
    end = torch.nn.Linear(4, 1).double()
    model = nn.Sequential(nn.GRU(3, 4), nn.Linear(4, 1), dtype="float64")
    model.build((5, 3))
    model.load_state_dict(
        {f"0.{k}": v for k, v in theirs.state_dict().items()} | {f"1.{k}": v for k, v in end.state_dict().items()}
    )
    model.compile("mse", nn.optim.SGD(lr=0.0))

    def truth(rows, lengths):
        with torch.no_grad():
            each = [theirs(torch.tensor(rows[i : i + 1, :n]))[1][0] for i, n in enumerate(lengths)]
            return end(torch.cat(each)).numpy()

    return model, x, truth


def parts_of(*arrays, size=3):
    n = len(arrays[0])
    return [tuple(None if a is None else a[i : i + size] for a in arrays) for i in range(0, n, size)]


# Lengths and buckets -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", [tuple, list])
@pytest.mark.parametrize("stream", [list, iter], ids=["list", "generator"])
def test_lengths_inside_batches_count_everywhere(series, form, stream):
    model, x, truth = series
    expected = truth(x, LENGTHS)
    y = np.arange(7.0)[:, None]
    loss = ((expected - y) ** 2).mean()
    batches = [form(part) for part in parts_of(x, y, None, np.array(LENGTHS))]
    np.testing.assert_allclose(model.predict(stream(batches)), expected, atol=1e-12)
    np.testing.assert_allclose(model(stream(batches)), expected, atol=1e-12)
    np.testing.assert_allclose(model.predict_on_batch(stream(batches)), expected, atol=1e-12)
    assert model.evaluate(stream(batches)) == pytest.approx(loss)
    found = model.fit(batches, validation_data=batches, verbose=0).history
    assert [found["loss"], found["val_loss"]] == [[pytest.approx(loss)]] * 2
    whole = form((x, y, None, LENGTHS))
    assert model.fit(x, y, lengths=LENGTHS, validation_data=whole, verbose=0).history["val_loss"] == [pytest.approx(loss)]
    assert model.train_on_batch(x, y, lengths=LENGTHS) == pytest.approx(loss)
    assert model.test_on_batch(x, y, lengths=LENGTHS) == pytest.approx(loss)


def test_batches_of_x_alone_may_have_lengths(series):
    model, x, truth = series
    given = ((rows, None, None, lengths) for rows, lengths in parts_of(x, LENGTHS))
    np.testing.assert_allclose(model.predict(given), truth(x, LENGTHS), atol=1e-12)


def test_lengths_beside_a_list_of_batches_are_those_of_all_rows(series):
    model, x, truth = series
    expected = truth(x, LENGTHS)
    y = np.arange(7.0)[:, None]
    mask = np.arange(x.shape[1]) < np.array(LENGTHS)[:, None]
    for cut in (1, 3, 7):
        batches = [(x[i : i + cut], y[i : i + cut]) for i in range(0, 7, cut)]
        for given in ({"lengths": LENGTHS}, {"mask": mask}):
            np.testing.assert_allclose(model.predict(batches, **given), expected, atol=1e-12)
            assert model.evaluate(batches, **given) == pytest.approx(((expected - y) ** 2).mean())
        for call in (model.evaluate, model.predict):
            with pytest.raises(errors.ShapeError, match=r"\(6,\), but the \d batches have 7 rows"):
                call(batches, lengths=LENGTHS[:6])
            with pytest.raises(errors.ArgumentError, match="not both"):
                call([(x, y, None, LENGTHS)], lengths=LENGTHS)


def test_lengths_beside_other_batches_are_refused(series):
    model, x, _ = series
    batches = [(x, np.zeros((7, 1)))]
    loader = DataLoader(TensorDataset(torch.tensor(x), torch.zeros(7, 1)), shuffle=True)
    for call, given in (
        (model.fit, batches),
        *((call, each) for call in (model.evaluate, model.predict) for each in (iter(batches), loader)),
    ):
        with pytest.raises(errors.ArgumentError, match="lengths"):
            call(given, lengths=LENGTHS)
    with pytest.raises(errors.ArgumentError, match="carry their own"):
        model.evaluate(batches, sample_weight=np.ones(7))


def test_batches_of_other_lengths(series):
    model, x, truth = series
    y = np.zeros((7, 1))
    buckets = [(x[:3, :2], y[:3]), (x[3:, :4], y[3:])]
    expected = np.concatenate([truth(x[:3], [2] * 3), truth(x[3:], [4] * 4)])
    for given in (buckets, iter(buckets), (rows for rows, _ in buckets), (list(each) for each in buckets)):
        np.testing.assert_allclose(model.predict(given), expected, atol=1e-12)
    loss = pytest.approx((expected**2).mean())
    assert model.evaluate(buckets) == loss
    history = model.fit(buckets, validation_data=buckets, verbose=0).history
    assert [history["loss"], history["val_loss"]] == [[loss]] * 2


def test_outputs_of_other_lengths_are_no_array(rng):
    model = nn.Sequential(nn.GRU(2, 3, return_sequences=True), seed=0)
    with pytest.raises(errors.ShapeError, match=r"batch 1 have shape \(2, 4, 3\) and those of the first one \(2, 5, 3\)"):
        model.predict(iter([rng.normal(size=(2, 5, 2)), rng.normal(size=(2, 4, 2))]))


# Loaders -------------------------------------------------------------------------------------------------------------------------


class Stream(IterableDataset):
    """Data whose number nobody knows: the ``len`` of a loader over it raises TypeError."""

    def __init__(self, *arrays):
        self.arrays = [torch.tensor(a) for a in arrays]

    def __iter__(self):
        return zip(*self.arrays, strict=True)


@pytest.mark.parametrize("size", [1, 2, 7])
@pytest.mark.parametrize("kind", [TensorDataset, Stream])
def test_loaders_of_torch(xy, size, kind):
    x, y = xy
    model, truth = line_of(3)
    arrays = (x, y) if kind is Stream else map(torch.tensor, (x, y))
    loader = DataLoader(kind(*arrays), batch_size=size)
    loss = pytest.approx(((truth(x)[:, 0] - y) ** 2).mean())
    np.testing.assert_allclose(model.predict(loader), truth(x))
    assert model.evaluate(loader) == loss
    history = model.fit(loader, epochs=2, validation_data=loader, verbose=0)
    assert [history.history["loss"], history.history["val_loss"]] == [[loss, loss]] * 2
    assert len(history.step_losses) == 2 * -(-7 // size)
    assert model.fit(loader, validation_data=list(loader), verbose=2).history["val_loss"] == [loss]
    np.testing.assert_allclose(model.predict(list(loader)), truth(x))


@pytest.mark.parametrize("size", [1, 2, 7])
@pytest.mark.parametrize("shape", [(7,), (7, 1)], ids=str)
@pytest.mark.parametrize("y_shape", [(7,), (7, 1)], ids=str)
def test_one_feature_is_a_row_per_number(size, shape, y_shape):
    x, y, w = np.linspace(0, 1, 7).reshape(shape), (10 + 2 * np.linspace(0, 1, 7)).reshape(y_shape), np.arange(1.0, 8)
    model, truth = line_of(1)
    expected = truth(x)
    e = (expected[:, 0] - y.ravel()) ** 2
    np.testing.assert_allclose(model.predict(x), expected)
    np.testing.assert_allclose(model(x), expected)
    np.testing.assert_allclose(model.forward(x), expected)
    np.testing.assert_allclose(model(x[:1]), expected[:1])
    for arrays, loss in (((x, y), e.mean()), ((x, y, w), (w * e).mean())):
        loader = DataLoader(TensorDataset(*map(torch.tensor, arrays)), batch_size=size)
        for given in (loader, list(loader), iter(loader), (tuple(each) for each in loader)):
            np.testing.assert_allclose(model.predict(given), expected)
        assert model.evaluate(loader) == pytest.approx(loss)
        history = model.fit(loader, validation_data=list(loader), verbose=0).history
        assert [history["loss"], history["val_loss"]] == [[pytest.approx(loss)]] * 2
        one = next(iter(loader))
        first = ((w if len(arrays) > 2 else w**0) * e)[:size].mean()
        assert model.train_on_batch(*one) == pytest.approx(first)
        assert model.test_on_batch(*one) == pytest.approx(first)


def test_a_model_that_was_never_built_takes_batches_for_what_they_are(rng):
    x, y = rng.normal(size=(6, 5, 3)), rng.normal(size=(6, 1))
    loader = DataLoader(TensorDataset(torch.tensor(x), torch.tensor(y)), batch_size=2)
    for layers in (lambda: (nn.GRU(3, 4), nn.Linear(4, 1)), lambda: (nn.Linear(3, 2), nn.LSTM(2, 4)), lambda: (nn.Flatten(),)):
        built = nn.Sequential(*layers(), seed=0).build((5, 3))
        for given in (loader, iter(loader), list(loader), iter([x[:4], x[4:]])):
            model = nn.Sequential(*layers(), seed=0)
            np.testing.assert_allclose(model.predict(given), built.predict(x), rtol=1e-5)
    rows = list(x)  # six samples, as a list
    np.testing.assert_array_equal(nn.Sequential(nn.GRU(3, 4), seed=0).predict(rows), nn.Sequential(nn.GRU(3, 4), seed=0).predict(x))
    indices, word = rng.integers(9, size=(6, 5)), rng.normal(size=6)
    reader = nn.Sequential(nn.Embedding(9, 2), nn.GRU(2, 3), seed=0)
    found = reader.predict(DataLoader(TensorDataset(torch.tensor(indices), torch.tensor(word)), batch_size=4))
    np.testing.assert_allclose(found, reader.predict(indices), rtol=1e-5)


class Numbered:
    """What Keras calls a Sequence: batches by their number."""

    def __init__(self, parts):
        self.parts, self.ended = parts, 0

    def __len__(self):
        return len(self.parts)

    def __getitem__(self, i):
        return self.parts[i % len(self.parts)]  # it never says that there are no more

    def on_epoch_end(self):
        self.ended += 1


def test_batches_by_number(xy):
    x, y = xy
    model, truth = line_of(3)
    batches = Numbered(parts_of(x, y))
    loss = pytest.approx(((truth(x)[:, 0] - y) ** 2).mean())
    assert model.fit(batches, epochs=3, verbose=0).history["loss"] == [loss] * 3
    assert batches.ended == 3
    assert model.evaluate(batches) == loss
    assert model.fit(x, y, validation_data=batches, verbose=0).history["val_loss"] == [loss]
    np.testing.assert_allclose(model.predict(batches), truth(x))


def test_endless_generators_with_steps(xy):
    x, y = xy

    def forever():
        while True:
            yield from parts_of(x, y)

    model, truth = line_of(3)
    np.testing.assert_allclose(model.predict(forever(), steps=2), truth(x[:6]))
    assert model.evaluate(forever(), steps=3) == pytest.approx(((truth(x)[:, 0] - y) ** 2).mean())
    assert len(model.fit(forever(), epochs=2, steps_per_epoch=4, verbose=0).step_losses) == 8


def test_samples_of_a_dataset_are_no_batches(xy):
    class Rows(Dataset):
        def __len__(self):
            return 7

        def __getitem__(self, i):
            return xy[0][i], xy[1][i]

    for call in ("fit", "evaluate", "predict"):
        with pytest.raises(errors.ShapeError, match=r"shape \(3,\).*x\[None\]"):
            getattr(line_of(3)[0], call)(Rows())


# Several inputs and outputs ------------------------------------------------------------------------------------------------------


def two_inputs():
    a, b = nn.Input((3,), name="a"), nn.Input((1,), name="b")
    model = nn.Model([a, b], {"sum": nn.Linear(1, 1, name="sum")(b), "c": nn.Linear(3, 1, name="c")(a)}, seed=0, dtype="float64")
    model.compile("mse", nn.optim.SGD(lr=0.0))
    return model


def test_batches_of_several_inputs(xy, rng):
    x, y = xy
    b = rng.normal(size=(7, 1))
    model = two_inputs()
    c, s = (model.get_layer(name) for name in ("c", "sum"))
    right = {"sum": b * s.weight + s.bias, "c": x @ c.weight.T + c.bias}
    targets = {"sum": y, "c": y[::-1]}
    loss = sum(((right[name][:, 0] - targets[name]) ** 2).mean() for name in right)
    for size in (1, 3):
        cut = [slice(i, i + size) for i in range(0, 7, size)]
        forms = {
            "dicts": [{"a": x[p], "b": b[p]} for p in cut],
            "lists": [[x[p], b[p]] for p in cut],
            "tuples of arrays": [(x[p], b[p, 0]) for p in cut],
            "tuples of lists": [([x[p], b[p]],) for p in cut],
            "dicts with targets": [({"a": x[p], "b": b[p]}, {k: v[p] for k, v in targets.items()}) for p in cut],
            "lists with targets": [([x[p], b[p]], [targets["sum"][p], targets["c"][p]]) for p in cut],
            "lists of lists": [[[x[p], b[p]], [targets["sum"][p], targets["c"][p]]] for p in cut],
            "tensors": [
                [[torch.tensor(x[p]), torch.tensor(b[p])], {k: torch.tensor(v[p].copy()) for k, v in targets.items()}] for p in cut
            ],
        }
        for name, batches in forms.items():
            found = model.predict(iter(batches))
            for key, values in right.items():
                np.testing.assert_allclose(found[key], values, err_msg=name)
            if "tensors" in name or "targets" in name or name == "lists of lists":
                np.testing.assert_allclose(model.predict(batches)["c"], right["c"], err_msg=name)
                assert model.evaluate(batches, return_dict=True)["loss"] == pytest.approx(loss), name
                history = model.fit(batches, validation_data=batches, verbose=0).history
                assert [history["loss"], history["val_loss"]] == [[pytest.approx(loss)]] * 2, name
    history = model.fit([x, b], targets, validation_data=[[x, b], [y, y[::-1]]], verbose=0).history
    assert history["val_loss"] == [pytest.approx(loss)]


def test_validation_data_of_every_form(xy):
    x, y = xy
    w = np.arange(7.0)
    model, truth = line_of(3)
    e = (truth(x)[:, 0] - y) ** 2
    loader = DataLoader(TensorDataset(torch.tensor(x), torch.tensor(y)), batch_size=3)
    forms = [
        (x, y),
        [x, y],
        (x, y, None),
        [x, y, None, None],
        (x.tolist(), y.tolist()),
        [x.tolist(), y.tolist()],
        (list(x), list(y)),
    ]
    forms += [[tuple(x), tuple(y)], loader, list(loader), tuple(loader), parts_of(x, y), parts_of(x.tolist(), y.tolist())]
    forms += [[list(each) for each in parts_of(x, y)], Numbered(parts_of(x, y)), [(x, y)], [[x, y]]]
    for i, form in enumerate(forms):
        assert model.fit(x, y, validation_data=form, verbose=0).history["val_loss"] == [pytest.approx(e.mean())], i
    for form in ((x, y, w), [x, y, w], [(x, y, w)], [[x, y, w]]):
        assert model.fit(x, y, validation_data=form, verbose=0).history["val_loss"] == [pytest.approx((w * e).mean())]


# Refusals ------------------------------------------------------------------------------------------------------------------------


NO_BATCHES = {
    "array and nothing": lambda x, y: [[x], y],
    "array": lambda x, y: [x, x],
    "pair and array": lambda x, y: [(x, y), x[:, 0]],
    "None": lambda x, y: [None],
    "a generator of None": lambda x, y: iter([None]),
    "a generator of numbers": lambda x, y: iter([3.0]),
    "a generator of text": lambda x, y: iter(["text"]),
    "other features": lambda x, y: [(x, y), (x[:, :2], y)],
    "an unknown name": lambda x, y: [{"nothing": x}],
    "a dict of no names": lambda x, y: {1: x},
    "text": lambda x, y: "text",
    "bytes": lambda x, y: b"text",
    "a number": lambda x, y: 3,
    "an object": lambda x, y: object(),
    "five parts": lambda x, y: [(x, y, None, None, None)],
    "a tuple and a number": lambda x, y: [(x, y), 5],
}
NO_TARGETS = {
    "no y": lambda x, y: [(x,), (x,)],
    "y is None": lambda x, y: [(x, None)],
    "y of fewer rows": lambda x, y: [(x, y), (x, y[:3])],
    "x for y": lambda x, y: [(x, x)],
}


LEARNING, CALLS = ["evaluate", "fit", "validate"], ["predict", "__call__", "predict_on_batch"]


@pytest.mark.parametrize(
    ("call", "name"),
    [(call, name) for call in LEARNING + CALLS for name in NO_BATCHES if (call, name) != ("validate", "array and nothing")]
    + [(call, name) for call in LEARNING for name in NO_TARGETS],  # [[x], y] for validation is x in a list, and y
)
def test_whatever_is_no_batch_is_a_typed_error(xy, call, name):
    x, y = xy
    given = {**NO_BATCHES, **NO_TARGETS}[name](x, y)
    model = line_of(3)[0]
    before = model[0].weight.copy()
    steps = 1 if hasattr(given, "__next__") else None
    validate = lambda given: model.fit(x, y, validation_data=given, validation_steps=steps, verbose=0)  # noqa: E731
    with pytest.raises(errors.NncoreError):
        (validate if call == "validate" else getattr(model, call))(given)
    np.testing.assert_array_equal(model[0].weight, before)


def test_one_batch_needs_targets(xy):
    model = line_of(3)[0]
    for call in (model.train_on_batch, model.test_on_batch):
        with pytest.raises(errors.NncoreError, match="y is None"):
            call(xy[0], None)


def test_a_call_on_batches_has_no_memory_for_its_result(xy):
    with pytest.raises(TypeError, match="out= is for one batch"):
        line_of(3)[0](iter([xy]), out=np.empty((7, 1)))


def test_metrics_of_classes_look_at_labels_within_lengths(rng):
    """A regression loss beside accuracy: only the steps that count must hold labels."""
    x, y = rng.normal(size=(4, 5, 3)), rng.integers(0, 2, size=(4, 5, 1)).astype(float)
    y[0, 3], lengths = 7.5, [3, 5, 5, 5]
    model = nn.Sequential(nn.GRU(3, 1, return_sequences=True), seed=0, dtype="float64")
    model.compile("mse", "sgd", ["accuracy"])
    _, accuracy = model.evaluate(x, y, lengths=lengths)
    assert 0 <= accuracy <= 1
    assert model.evaluate([(x, y, None, lengths)])[1] == accuracy
    with pytest.raises(errors.LabelError, match="7.5"):
        model.evaluate(x, y)
    with pytest.raises(errors.LabelError, match="7.5"):
        model.evaluate([(x, y, None, [4, 5, 5, 5])])


@pytest.mark.parametrize("layers", [lambda: [nn.GRU(3, 1)], lambda: [nn.Flatten(), nn.Linear(15, 1)]])
def test_evaluate_builds_a_model_from_its_first_batch(rng, layers):
    x, y = rng.normal(size=(6, 5, 3)), np.zeros((6, 1))
    for given in ([(x[:4], y[:4]), (x[4:], y[4:])], iter([(x[:4], y[:4]), (x[4:], y[4:])])):
        model = nn.Sequential(*layers(), seed=0, dtype="float64")
        model.compile("mse", "sgd")
        found = model.evaluate(given)
        assert found == pytest.approx((model.predict(x) ** 2).mean())
    empty = nn.Sequential(*layers())
    empty.compile("mse", "sgd")
    with pytest.raises(errors.EmptyDataError, match="no batches"):
        empty.evaluate(iter(()))


@pytest.mark.parametrize(
    "wrong", [[[[1.0, 2, 3]], [[1.0, 2, 3]] * 2], [[1.0], [2.0, 3.0]], [[], []], None, "text", object(), [None]], ids=str
)
def test_samples_that_are_no_array_are_typed_errors_for_sequences_too(wrong):
    model = nn.Sequential(nn.GRU(3, 2), seed=0).build((4, 3))
    model.compile("mse", "sgd")
    for call in (
        lambda: model.predict(wrong),
        lambda: model(wrong),
        lambda: model.forward(wrong),
        lambda: model.train_on_batch(wrong, np.zeros((2, 2))),
        lambda: model.evaluate([(wrong, np.zeros((2, 2)))]),
        lambda: model.evaluate(np.ones((2, 4, 3)), np.ones((2, 2)), sample_weight=wrong or "text"),
        lambda: model.evaluate(np.ones((2, 4, 3)), np.ones((2, 2)), lengths=wrong or "text"),
    ):
        with pytest.raises(errors.NncoreError):
            call()


@pytest.mark.parametrize("features", [1, 3])
def test_loaders_without_batches_are_not_taken_for_rows(features, rng):
    """batch_size=None gives single samples, which have no batch dimension."""
    x = torch.tensor(rng.normal(size=(7, features) if features > 1 else 7))
    loader = DataLoader(TensorDataset(x, torch.ones(7, dtype=torch.float64)), batch_size=None)
    model = line_of(features)[0]
    for call in (model.predict, model.evaluate, model.fit, model, lambda given: model.fit(x, x.sum(-1), validation_data=given)):
        with pytest.raises(errors.ShapeError, match=r"single number|x\[None\]"):
            call(loader)


def test_lists_of_arrays_for_one_input(xy):
    """They would be several inputs, or x and y: nothing of them is dropped, and nothing is joined."""
    x, y = xy
    for given in ([x, y], (x, y), [x, x], (x, x, x), [torch.tensor(x), torch.tensor(y)]):
        model = line_of(3)[0]
        for call in (model.predict, model, model.predict_on_batch, model.forward, lambda g, m=model: m.fit(g, y)):
            with pytest.raises(errors.ShapeError, match=r"arrays, and the model has one input; pass x alone"):
                call(given)
    model, truth = line_of(3)
    np.testing.assert_allclose(model.predict(list(x)), truth(x))
    np.testing.assert_allclose(model.predict(tuple(x)), truth(x))
    np.testing.assert_allclose(model.predict(iter([x[:4], x[4:]])), truth(x))


@pytest.mark.parametrize("stream", [list, iter], ids=["list", "generator"])
def test_batches_of_one_feature_in_nested_lists(stream):
    """Two lists of numbers are x and y; lists of one number each are rows."""
    x, y = [0.5, -1.0, 2.0, 0.25, 1.0], [1.0, 2.0, 3.0, 4.0, 5.0]
    model, truth = line_of(1)
    loss = pytest.approx(((truth(x)[:, 0] - y) ** 2).mean())
    for batches in ([[x[:3], y[:3]], [x[3:], y[3:]]], [(x[:2], y[:2]), [x[2:], y[2:]]]):
        np.testing.assert_allclose(model.predict(stream(batches)), truth(x))
        assert model.evaluate(stream(batches)) == loss
        assert model.fit(batches, validation_data=batches, verbose=0).history["val_loss"] == [loss]
    np.testing.assert_allclose(model.predict(iter([[[0.5], [-1.0]], [[2.0], [0.25], [1.0]]])), truth(x))
    assert model.fit(x, y, validation_data=[x, y], verbose=0).history["val_loss"] == [loss]
    assert model.fit(x, y, validation_data=[[[v] for v in x], y], verbose=0).history["val_loss"] == [loss]
