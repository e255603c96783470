"""What estimators refuse, and say of it: the errors are those of scikit-learn's own MLP for the same data."""

import re

import numpy as np
import pytest
from estimator_instances import CLASSIFIERS, NAMES, make, rows_for
from scipy import sparse
from sklearn.exceptions import NotFittedError
from sklearn.neural_network import MLPClassifier as TheirClassifier
from sklearn.neural_network import MLPRegressor as TheirRegressor

from nncore.estimators import MLPClassifier, MLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X, Y = np.arange(24.0).reshape(8, 3), np.arange(8) % 2


def put(value, at=(1, 2)):
    x = X.astype(object) if isinstance(value, str) else X.copy()
    x[at] = value
    return x


DATA = {
    "NaN": (put(np.nan), Y),
    "infinity": (put(np.inf), Y),
    "too large for float32": (put(-np.inf).astype(np.float32), Y),
    "text": (put("a"), Y),
    "one dimension": (X[:, 0], Y),
    "three dimensions": (X[:, :, None], Y),
    "no rows": (X[:0], Y[:0]),
    "no columns": (X[:, :0], Y),
    "complex": (X + 1j, Y),
    "fewer y": (X, Y[:5]),
    "no y": (X, None),
    "y of three dimensions": (X, np.zeros((8, 2, 2))),
    "NaN in y": (X, np.where(Y, np.nan, 1.0)),
    "infinity in y": (X, np.where(Y, np.inf, 1.0)),
    "a scalar": (3.0, Y),
    "sparse with NaN": (sparse.csr_matrix(put(np.nan)), Y),
}
TARGETS = {
    "numbers as labels": (X, Y + 0.5),
    "mixed labels": (X, np.array(["a", 1] * 4, dtype=object)),
    "several columns of several classes": (X, np.arange(16).reshape(8, 2) % 3),
    "None as a label": (X, np.array(["a", None] * 4, dtype=object)),
}
WEIGHTS = {
    "fewer": np.ones(5),
    "two dimensions": np.ones((8, 2)),
    "NaN": np.full(8, np.nan),
    "negative": -np.ones(8),
    "text": "balanced",
}


def both(case, ours, theirs, said_by):
    """The types of both errors are the same, and the messages but for the names of the classes."""
    with pytest.raises(Exception) as their:  # noqa: PT011
        said_by(theirs)
    with pytest.raises(Exception) as our:  # noqa: PT011
        said_by(ours)
    kind = next(base for base in (ValueError, TypeError, Exception) if isinstance(their.value, base))
    assert isinstance(our.value, kind), (case, our.value)
    return str(our.value), str(their.value)


@pytest.mark.parametrize("case", [*DATA, *TARGETS])
@pytest.mark.parametrize("name", ["MLPClassifier", "MLPRegressor"])
def test_data_for_fit(name, case):
    if name == "MLPRegressor" and case in TARGETS:
        return
    x, y = {**DATA, **TARGETS}[case]
    theirs = TheirClassifier if name == "MLPClassifier" else TheirRegressor
    ours = make(name)
    our, their = both(case, ours, theirs(max_iter=3), lambda net: net.fit(x, y))
    if case == "numbers as labels":  # ours says more
        our, their = our[:20], their[:20]
    assert our == their
    with pytest.raises(NotFittedError):
        ours.predict(X)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("case", DATA)
def test_data_for_every_estimator(name, case):
    """Where an estimator takes other shapes (sequences), it says so; the fit before is kept."""
    net = make(name, random_state=0).fit(X, Y)
    before = net.predict(X)
    x, y = DATA[case]
    if case == "three dimensions" and net.__sklearn_tags__().input_tags.three_d_array:
        return
    with pytest.raises((ValueError, TypeError)) as said:
        net.fit(x, y)
    assert len(str(said.value)) > 20
    assert not re.search(r"\b_\w+|nncore\.", str(said.value))  # no internal name
    np.testing.assert_array_equal(net.predict(X), before)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "case", ["NaN", "infinity", "text", "one dimension", "no rows", "no columns", "a scalar", "sparse with NaN"]
)
def test_data_for_predict(name, case):
    net, theirs = make(name).fit(X, Y), TheirClassifier(max_iter=3).fit(X, Y)
    if case == "sparse with NaN" and not net.__sklearn_tags__().input_tags.sparse:
        return
    our, their = both(case, net, theirs, lambda each: each.predict(DATA[case][0]))
    assert our == their.replace("MLPClassifier", name)


@pytest.mark.parametrize("case", WEIGHTS)
@pytest.mark.parametrize("name", NAMES)
def test_weights(name, case):
    from inspect import signature

    if "sample_weight" not in signature(make(name).fit).parameters:
        return
    net = make(name)
    with pytest.raises((ValueError, TypeError), match=r"(?i)sample.?weight|weights|string|float"):
        net.fit(X, Y, sample_weight=WEIGHTS[case])
    with pytest.raises(NotFittedError):
        net.predict(X)


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_labels_of_every_kind(name):
    x, y = rows_for(name)
    kinds = [
        np.array(["ant", "bee", "cow"])[y],
        np.array(["ant", "bee", "cow"], dtype=object)[y],
        np.array([-1, 7, 10**12])[y],
        np.array([0.0, 1.0, 5.0])[y],
        np.array([2, 0, 255], np.uint8)[y],
        y % 2 == 1,
        list("abc"[i] for i in y),  # noqa: C400
        np.array([b"a", b"b", b"c"])[y],
    ]
    if name == "MLPClassifier":
        kinds.append(np.array(["naïve", "日本", "🙂"])[y])
    for labels in kinds:
        net, theirs = make(name, random_state=0), TheirClassifier(max_iter=2)
        try:
            theirs.fit(x, labels)
        except (TypeError, ValueError, FutureWarning) as error:  # bytes
            with pytest.raises(type(error)):
                net.fit(x, labels)
            continue
        found = net.fit(x, labels).predict(x)
        assert found.dtype == theirs.predict(x).dtype
        assert net.classes_.tolist() == theirs.classes_.tolist()
        assert np.mean(found == labels) > 0.8


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_one_class(name):
    """One label for all rows: as scikit-learn asks, either an error that says so, or that label predicted."""
    x, _ = rows_for(name)
    net = make(name)
    try:
        net.fit(x, ["only"] * len(x))
    except ValueError as error:
        assert "class" in str(error)  # noqa: PT017
        return
    assert set(net.predict(x)) == {"only"}
    assert net.classes_.tolist() == ["only"]


@pytest.mark.parametrize("early_stopping", [True, False])
def test_few_rows_of_a_class(early_stopping):
    """A class with one row cannot be in both parts of a stratified split."""
    x, y = rows_for("MLPClassifier", rows=30)
    y = np.where(np.arange(30) == 0, 7, y)
    net = MLPClassifier(max_iter=3, early_stopping=early_stopping, random_state=0)
    if early_stopping:
        try:
            net.fit(x, y)
        except ValueError as error:
            assert "class" in str(error)  # noqa: PT017
            return
    net.fit(x, y)
    assert net.classes_.tolist() == [0, 1, 2, 7]


def test_string_labels_and_early_stopping():
    x, y = rows_for("MLPClassifier")
    net = MLPClassifier(early_stopping=True, max_iter=10, random_state=0).fit(x, np.array(["a", "b", "c"])[y])
    assert len(net.validation_scores_) == net.n_iter_


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("cls", [MLPClassifier, MLPRegressor])
@pytest.mark.parametrize("early_stopping", [True, False])
def test_diverging_fits(cls, early_stopping):
    """Weights that overflow: an error that says so, not one of a scorer in the middle of fit; or the best weights before that."""
    x, y = rows_for(cls.__name__)
    net = cls(solver="sgd", learning_rate_init=1e30, max_iter=20, early_stopping=early_stopping, random_state=0)
    try:
        net.fit(x * 1e20, y)
    except ValueError as error:
        assert "Solver produced non-finite parameter weights" in str(error)  # noqa: PT017
    else:
        assert early_stopping
        assert all(np.isfinite(weight).all() for weight in net.coefs_)


@pytest.mark.parametrize("cls", [MLPClassifier, MLPRegressor])
def test_sparse_formats(cls):
    x, y = rows_for(cls.__name__)
    x[np.abs(x) < 0.5] = 0
    dense = cls(max_iter=5, random_state=0).fit(x, y)
    for form in (sparse.csr_matrix, sparse.csc_matrix, sparse.coo_matrix, sparse.lil_matrix, sparse.csr_array, sparse.coo_array):
        net = cls(max_iter=5, random_state=0).fit(form(x), y)
        np.testing.assert_allclose(net.predict(form(x)), dense.predict(x), rtol=1e-6, atol=1e-6)
        np.testing.assert_array_equal(net.predict(x), net.predict(form(x)))


@pytest.mark.parametrize("cls", [MLPClassifier, MLPRegressor])
@pytest.mark.parametrize("form", [np.float16, np.int8, np.uint64, bool, ">f8", np.longdouble, object])
def test_types_of_numbers(cls, form):
    x, y = rows_for(cls.__name__)
    x = x.round().astype(form)
    plain = cls(max_iter=5, random_state=0).fit(x.astype(np.float64), y)
    np.testing.assert_allclose(cls(max_iter=5, random_state=0).fit(x, y).predict(x), plain.predict(x.astype(float)), rtol=1e-5)


@pytest.mark.parametrize("cls", [MLPClassifier, MLPRegressor])
def test_layouts_in_memory(cls):
    x, y = rows_for(cls.__name__)
    plain = cls(max_iter=5, random_state=0).fit(x, y)
    wide = np.zeros((60, 8))
    wide[:, ::2] = x
    read_only = x.copy()
    read_only.flags.writeable = False
    for each in (np.asfortranarray(x), wide[:, ::2], x[::-1].copy()[::-1], read_only, x.tolist()):
        np.testing.assert_array_equal(cls(max_iter=5, random_state=0).fit(each, y).predict(each), plain.predict(x))


def test_float32_stays_float32():
    x, y = rows_for("MLPRegressor")
    for dtype in (np.float32, np.float64):
        net = MLPRegressor(max_iter=3).fit(x.astype(dtype), y)
        assert net.coefs_[0].dtype == dtype
        assert net.predict(x.astype(dtype)).dtype == dtype
    proba = MLPClassifier(max_iter=3).fit(x.astype(np.float32), y > 0).predict_proba(x.astype(np.float32))
    assert proba.dtype == np.float32
