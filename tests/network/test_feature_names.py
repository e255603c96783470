"""The names and the order of the columns of frames: remembered in training, required afterwards, never changed silently."""

import copy
import pickle

import numpy as np
import pytest

import nncore as nn
from nncore import errors

NAMES = ["age", "height", "weight"]


@pytest.fixture(params=["pandas", "polars"])
def frames(request):
    return pytest.importorskip(request.param)


def made(layers=lambda: [nn.Linear(3, 1)]):
    model = nn.Sequential(*layers(), seed=0)
    model.compile("mse", nn.optim.SGD(lr=0.01))
    return model


@pytest.fixture
def xy(rng):
    return rng.normal(size=(12, 3)), rng.normal(size=12)


def frame(frames, x, names=NAMES):
    return frames.DataFrame({name: x[:, NAMES.index(name) if name in NAMES else 0] for name in names})


TRAINERS = {
    "fit": lambda m, x, y: m.fit(x, y, verbose=0),
    "batches": lambda m, x, y: m.fit([(x, y)], verbose=0),
    "train_on_batch": lambda m, x, y: m.train_on_batch(x, y),
}
CALLS = {
    "predict": lambda m, x, y: m.predict(x),
    "predict batches": lambda m, x, y: m.predict(iter([x])),
    "predict pairs": lambda m, x, y: m.predict([(x, y)]),
    "call": lambda m, x, y: m(x),
    "predict_on_batch": lambda m, x, y: m.predict_on_batch(x),
    "forward": lambda m, x, y: m.forward(x),
    "evaluate": lambda m, x, y: m.evaluate(x, y),
    "evaluate batches": lambda m, x, y: m.evaluate([(x, y)]),
    "test_on_batch": lambda m, x, y: m.test_on_batch(x, y),
    "validation": lambda m, x, y: m.fit(np.ones((2, 3)), np.ones(2), validation_data=(x, y), verbose=0),
    "validation batches": lambda m, x, y: m.fit(np.ones((2, 3)), np.ones(2), validation_data=[(x, y)], verbose=0),
    **TRAINERS,
}


@pytest.mark.parametrize("train", TRAINERS.values(), ids=TRAINERS.keys())
def test_names_are_remembered_in_training(frames, xy, train):
    x, y = xy
    model = made()
    assert model.feature_names is None
    model.predict(frame(frames, x))
    model.evaluate(frame(frames, x), y)
    assert model.feature_names is None  # neither is training
    train(model, x, y)
    assert model.feature_names is None  # an array has no names
    train(model, frame(frames, x), y)
    assert model.feature_names == NAMES
    train(model, x, y)
    assert model.feature_names == NAMES


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
def test_other_columns_are_refused(frames, xy, call):
    x, y = xy
    model = made()
    model.fit(frame(frames, x), y, verbose=0)
    kept, step = model[0].weight.copy(), model.step
    order = r"another order than in training: column 0 is 'height' and was 'age'; pass x\[model\.feature_names\]"
    for names, text in (
        (["height", "age", "weight"], order),
        (["age", "height", "mass"], "missing are 'weight', new are 'mass'; rename them"),
        (["age", "height"], "missing are 'weight'; rename"),
        ([*NAMES, "mass"], "new are 'mass'"),
    ):
        with pytest.raises(errors.ArgumentError, match=text):
            call(model, frame(frames, x, names), y)
    assert model.feature_names == NAMES
    if call is not CALLS["validation batches"]:  # those come after the first epoch
        assert model.step == step
        np.testing.assert_array_equal(model[0].weight, kept)
    call(model, frame(frames, x), y)
    call(model, x, y)
    call(model, frame(frames, x, NAMES[::-1])[model.feature_names], y)


def test_numbers_of_columns_are_no_names(xy):
    pandas = pytest.importorskip("pandas")
    x, y = xy
    model = made()
    model.fit(pandas.DataFrame(x), y, verbose=0)
    assert model.feature_names is None
    model.fit(frame(pandas, x), y, verbose=0)
    np.testing.assert_array_equal(model.predict(pandas.DataFrame(x)), model.predict(x))
    several = pandas.DataFrame(x, columns=pandas.MultiIndex.from_tuples([("a", 1), ("a", 2), ("b", 1)]))
    other = made()
    other.fit(several, y, verbose=0)
    with pytest.raises(errors.ArgumentError, match="another order"):
        other.predict(several.iloc[:, ::-1])


def test_it_is_the_rule_of_scikit_learn(frames, xy):
    sklearn = pytest.importorskip("sklearn.linear_model")
    x, y = xy
    model, theirs = made(), sklearn.LinearRegression()
    model.fit(frame(frames, x), y, verbose=0)
    theirs.fit(frame(frames, x), y)
    assert model.feature_names == theirs.feature_names_in_.tolist()
    for names in (NAMES, NAMES[::-1], ["age", "height", "mass"], NAMES[:2]):
        outcomes = []
        for each in (model, theirs):
            try:
                each.predict(frame(frames, x, names))
            except ValueError:
                outcomes.append("refused")
            else:
                outcomes.append("taken")
        assert outcomes[0] == outcomes[1]


def test_arrow_tables(xy):
    """Their ``columns`` are the data, and ``column_names`` the names."""

    class Table:
        columns, column_names, shape = [*xy[0].T], NAMES, xy[0].shape

        def __array__(self, dtype=None, copy=None):
            return np.column_stack(self.columns)

    model = made()
    model.fit(Table(), xy[1], verbose=0)
    assert model.feature_names == NAMES


def test_a_model_that_data_build_remembers_what_built_it(frames, xy):
    x, _ = xy
    for call in (lambda m, x: m.predict(x), lambda m, x: m(x), lambda m, x: m.forward(x)):
        model = made(lambda: [nn.Flatten(), nn.Linear(3, 1)])
        call(model, frame(frames, x))
        assert model.feature_names == NAMES
        with pytest.raises(errors.ArgumentError, match="another order"):
            call(model, frame(frames, x, NAMES[::-1]))


def test_a_fit_that_fails_remembers_nothing(frames, xy):
    x, y = xy
    model = made()
    for options in (
        {"validation_data": (frame(frames, x, NAMES[::-1]), y)},
        {"validation_data": (x, y[:3])},
        {"class_weight": "balanced"},
        {"sample_weight": [1.0]},
    ):
        with pytest.raises(errors.NncoreError):
            model.fit(frame(frames, x), y, **options)
        assert model.feature_names is None
        assert model.step == 0
    with pytest.raises(errors.ShapeError):
        model.train_on_batch(frame(frames, x), y[:3])
    assert model.feature_names is None


@pytest.mark.parametrize("way", ["deepcopy", "copy", "pickle", "save", "save weights only"])
def test_names_go_where_the_model_goes(frames, xy, way, tmp_path):
    x, y = xy
    model = made()
    model.fit(frame(frames, x), y, verbose=0)
    if way.startswith("save"):
        model.save(tmp_path / "m", include_training=way == "save")
        other = nn.load(tmp_path / "m")
    else:
        other = {"deepcopy": copy.deepcopy, "copy": copy.copy, "pickle": lambda m: pickle.loads(pickle.dumps(m))}[way](model)
    assert other.feature_names == NAMES
    with pytest.raises(errors.ArgumentError, match="another order"):
        other.predict(frame(frames, x, NAMES[::-1]))
    other.feature_names = None
    assert model.feature_names == NAMES
    other.predict(frame(frames, x, NAMES[::-1]))


def two():
    a, b = nn.Input((2,), name="a"), nn.Input((2,), name="b")
    model = nn.Model({"a": a, "b": b}, nn.Linear(2, 1)(a + b), seed=0)
    model.compile("mse", "sgd")
    return model


def test_each_of_several_inputs_has_its_names(frames, rng, tmp_path):
    x, y = rng.normal(size=(6, 2)), np.zeros(6)

    def table(*names):
        return frames.DataFrame({name: x[:, i] for i, name in enumerate(names)})

    model = two()
    assert model.feature_names == {"a": None, "b": None}
    model.fit({"a": table("p", "q"), "b": x}, y, verbose=0)
    assert model.feature_names == {"a": ["p", "q"], "b": None}
    model.fit([x, table("r", "s")], y, verbose=0)
    assert model.feature_names == {"a": ["p", "q"], "b": ["r", "s"]}
    model.save(tmp_path / "m")
    for each in (model, copy.deepcopy(model), nn.load(tmp_path / "m")):
        each.predict({"a": table("p", "q"), "b": table("r", "s")})
        each([table("p", "q"), table("r", "s")])
        for wrong in ([table("p", "q"), table("s", "r")], {"b": table("s", "r"), "a": x}):
            for call in (
                each.predict,
                each,
                each.predict_on_batch,
                lambda w, m=each: m.fit(w, y),
                lambda w, m=each: m.predict(iter([(w, y)])),
            ):
                with pytest.raises(errors.ArgumentError, match=r"x\['b'\]: .* pass x\['b'\]\[model\.feature_names\['b'\]\]"):
                    call(wrong)
    model.feature_names = {"a": ["s", "r"], "b": None}
    model.predict([table("s", "r"), table("x", "y")])
    model.feature_names = None
    assert model.feature_names == {"a": None, "b": None}


def test_names_can_be_set(frames, xy):
    x, y = xy
    model = made()
    model.feature_names = ("height", "age", "weight")
    with pytest.raises(errors.ArgumentError, match="another order"):
        model.fit(frame(frames, x), y)
    model.feature_names = NAMES
    model.fit(frame(frames, x), y, verbose=0)
    for wrong, error in (
        ("age", errors.ArgumentError),
        ([1, 2, 3], errors.ArgumentError),
        (3, errors.ArgumentError),
        (["age"], errors.ShapeError),
    ):
        with pytest.raises(error, match="feature_names"):
            model.feature_names = wrong
    assert model.feature_names == NAMES
    with pytest.raises(errors.ArgumentError, match="feature_names"):
        two().feature_names = ["a", "b", "c"]


@pytest.mark.parametrize("wrong", ["text", [], [["a", 1, "b"]], [3], [None, None]])
def test_damaged_files(wrong, xy, tmp_path):
    import json
    import struct

    model = made()
    model.feature_names = NAMES
    path = tmp_path / "m"
    model.save(path)
    whole = path.read_bytes()
    (size,) = struct.unpack("<Q", whole[:8])
    header = json.loads(whole[8 : 8 + size])
    document = json.loads(header["__metadata__"]["nncore"])
    assert document["model"]["feature_names"] == [NAMES]
    document["model"]["feature_names"] = wrong
    header["__metadata__"]["nncore"] = json.dumps(document)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + whole[8 + size :])
    with pytest.raises(errors.FileFormatError, match="feature_names"):
        nn.load(path)


@pytest.mark.parametrize("kind", ["two levels", "mixed"])
def test_names_that_are_no_texts_are_not_offered_for_selection(kind):
    pd = pytest.importorskip("pandas")
    columns = pd.MultiIndex.from_tuples([("a", "x"), ("a", "y")]) if kind == "two levels" else ["a", 1]
    frame = pd.DataFrame(np.ones((4, 2)), columns=columns)
    model = nn.Sequential(nn.Linear(2, 1), seed=0)
    model.compile("mse", "sgd")
    model.fit(frame, np.ones((4, 1)), verbose=0)
    model.predict(frame)
    with pytest.raises(errors.ArgumentError, match="into the order of model.feature_names") as caught:
        model.predict(frame.iloc[:, ::-1])
    assert "[model" not in str(caught.value)


def test_a_missing_column_cannot_be_selected():
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(np.ones((4, 3)), columns=["a", "b", "c"])
    model = nn.Sequential(nn.Linear(2, 1), seed=0)
    model.compile("mse", "sgd")
    model.fit(frame[["a", "b"]], np.ones((4, 1)), verbose=0)
    with pytest.raises(errors.ArgumentError, match="missing are 'b'") as caught:
        model.predict(frame[["a", "c"]])
    assert "[model" not in str(caught.value)
    with pytest.raises(errors.ArgumentError, match=r"new are 'c'.*x\[model.feature_names\]"):
        model.predict(frame)
    model.predict(frame[model.feature_names])


def test_a_name_that_stands_twice():
    model = nn.Sequential(nn.Linear(2, 1))
    with pytest.raises(errors.ArgumentError, match="'a' stands there twice"):
        model.feature_names = ["a", "a"]


def test_a_lazy_frame_is_refused_without_warnings(recwarn):
    pl = pytest.importorskip("polars")
    model = nn.Sequential(nn.Linear(2, 1), seed=0)
    model.compile("mse", "sgd")
    frame = pl.DataFrame({"a": [1.0, 2.0], "b": [1.0, 2.0]})
    model.fit(frame, np.ones((2, 1)), verbose=0)
    with pytest.raises(errors.DTypeError, match="collect"):
        model.predict(frame.lazy())
    assert not recwarn.list
