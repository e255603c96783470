"""Perceptron, SoftmaxRegression and LinearSVM against scikit-learn's Perceptron, LogisticRegression, LinearSVC and SVC."""

import copy
import pickle
import warnings

import numpy as np
import pytest
from scipy.sparse import csr_array
from sklearn import linear_model, svm
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_iris, make_classification
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV
from sklearn.preprocessing import scale
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.estimator_checks import check_estimator

import nncore as nn
from nncore.estimators import LinearSVM, Perceptron, SoftmaxRegression

ALL = [Perceptron, SoftmaxRegression, LinearSVM]


@pytest.mark.parametrize("cls", ALL)
def test_checks_of_scikit_learn(cls):
    results = check_estimator(cls(), on_fail=None, on_skip=None)
    assert {each["check_name"]: each["exception"] for each in results if each["status"] == "failed"} == {}
    assert {each["check_name"] for each in results if each["status"] == "skipped"} <= {"check_array_api_input"}


@pytest.fixture(scope="module", params=["two", "three"])
def data(request):
    """Two classes that can be told apart by a line but for few, and three."""
    X, y = load_breast_cancer(return_X_y=True) if request.param == "two" else load_iris(return_X_y=True)
    rng = np.random.default_rng(0)
    order = rng.permutation(len(X))[:150]
    return scale(X)[order, :6], np.array(["a", "b", "c"])[y[order]], rng.integers(0, 4, size=150).astype(float)


# Perceptron -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"tol": None, "max_iter": 7},
        {"eta0": 0.3, "fit_intercept": False},
        {"penalty": "l2", "alpha": 0.01, "tol": None, "max_iter": 9},
        {"class_weight": {"a": 0.5, "b": 2.0}, "tol": None, "max_iter": 9},
        {"class_weight": "balanced", "tol": None, "max_iter": 9},
        {"n_iter_no_change": 2, "tol": 0.1},
    ],
    ids=str,
)
def test_without_shuffling_the_weights_are_those_of_scikit_learn(given, data):
    X, y, weight = data
    if "class_weight" in given:  # of three classes, the meaning differs
        y = np.where(y == "c", "b", y)
    own, peer = Perceptron(shuffle=False, **given).fit(X, y), linear_model.Perceptron(shuffle=False, **given).fit(X, y)
    np.testing.assert_allclose(own.coef_, peer.coef_, rtol=1e-9)
    np.testing.assert_allclose(own.intercept_, peer.intercept_, rtol=1e-9, atol=1e-12)
    np.testing.assert_array_equal(own.predict(X), peer.predict(X))
    np.testing.assert_allclose(own.decision_function(X), peer.decision_function(X), rtol=1e-8, atol=1e-9)
    assert own.n_iter_ == peer.n_iter_
    assert own.t_ == peer.t_
    assert own.coef_.shape == peer.coef_.shape
    assert own.score(X, y) == peer.score(X, y)
    if given.get("tol", 0) is None and given.get("class_weight") != "balanced":
        own, peer = clone(own).fit(X, y, sample_weight=weight), clone(peer).fit(X, y, sample_weight=weight)
        np.testing.assert_allclose(own.coef_, peer.coef_, rtol=1e-9)


def test_steps_of_the_perceptron(data):
    X, y, _ = data
    own, peer = Perceptron(shuffle=False), linear_model.Perceptron(shuffle=False)
    for at in (0, 50, 100):
        part = slice(at, at + 50)
        own.partial_fit(X[part], y[part], classes=np.unique(y))
        peer.partial_fit(X[part], y[part], classes=np.unique(y))
        np.testing.assert_allclose(own.coef_, peer.coef_, rtol=1e-9)
    start = {"coef_init": peer.coef_.copy(), "intercept_init": peer.intercept_.copy()}
    np.testing.assert_allclose(own.fit(X, y, **start).coef_, peer.fit(X, y, **start).coef_, rtol=1e-9)
    warm = Perceptron(shuffle=False, warm_start=True, tol=None, max_iter=3).fit(X, y).fit(X, y)
    np.testing.assert_array_equal(warm.coef_, Perceptron(shuffle=False, tol=None, max_iter=6).fit(X, y).coef_)


def test_the_rule_in_words():
    """Rosenblatt's rule by hand, on a problem that can be solved: it ends with no error."""
    X, y = make_classification(60, 2, n_redundant=0, n_clusters_per_class=1, class_sep=2.5, random_state=1)
    w, b, errors = np.zeros(2), 0.0, 1
    for _ in range(100):
        errors = 0
        for x, sign in zip(X, 2 * y - 1, strict=True):
            if sign * (w @ x + b) <= 0:
                w, b, errors = w + sign * x, b + sign, errors + 1
        if errors == 0:
            break
    assert errors == 0
    net = Perceptron(shuffle=False, n_iter_no_change=100).fit(X, y)
    np.testing.assert_allclose(net.coef_[0], w)
    np.testing.assert_allclose(net.intercept_[0], b)
    shuffled = [Perceptron(random_state=state).fit(X, y) for state in (0, 0, 1)]
    np.testing.assert_array_equal(shuffled[0].coef_, shuffled[1].coef_)
    assert (shuffled[0].coef_ != shuffled[2].coef_).any()
    assert all(each.score(X, y) == 1 for each in shuffled)


def test_perceptron_ends(data, capsys):
    X, y, _ = data
    net = Perceptron(early_stopping=True, n_iter_no_change=3, verbose=1).fit(X, y)
    assert net.n_iter_ < 100
    assert "accuracy" in capsys.readouterr().out
    with pytest.warns(ConvergenceWarning, match="Maximum number of iteration reached"):
        Perceptron(max_iter=2).fit(X, y)
    with pytest.raises(ValueError, match="classes must be passed"):
        Perceptron().partial_fit(X, y)
    with pytest.raises(ValueError, match="'balanced' is not supported for partial_fit"):
        Perceptron(class_weight="balanced").partial_fit(X, y, classes=np.unique(y))
    assert np.linalg.norm(Perceptron(penalty="l1", alpha=0.05).fit(X, y).coef_) < np.linalg.norm(Perceptron().fit(X, y).coef_)


def test_a_weight_is_a_number_of_rows(rng):
    X, y = rng.integers(0, 3, size=(60, 4)).astype(float), rng.integers(0, 3, size=60)
    weight = rng.integers(0, 4, size=60)
    order = rng.permutation(60)
    for given in ({}, {"class_weight": {0: 2.0, 1: 0.5}}, {"early_stopping": True}):
        rows = Perceptron(**given).fit(X.repeat(weight, axis=0), y.repeat(weight))
        weighted = Perceptron(**given).fit(X[order], y[order], sample_weight=weight[order])
        np.testing.assert_array_equal(rows.coef_, weighted.coef_)
        np.testing.assert_array_equal(rows.intercept_, weighted.intercept_)


# Softmax regression -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("given", [{}, {"C": 0.01}, {"fit_intercept": False}, {"class_weight": "balanced"}], ids=str)
@pytest.mark.parametrize("weighted", [False, True])
def test_the_minimum_is_that_of_logistic_regression(given, weighted, data):
    """Both searches end where the loss no longer changes: the coefficients agree to 1e-5."""
    X, y, weight = data
    weight = weight if weighted else None
    own = SoftmaxRegression(tol=1e-9, **given).fit(X, y, weight)
    if weighted and given == {"class_weight": "balanced"}:  # a row of weight 2 counts as two
        sums = {label: weight[y == label].sum() for label in np.unique(y)}
        weight, given = weight * np.array([weight.sum() / len(sums) / sums[label] for label in y]), {}
    with warnings.catch_warnings():  # older ones pass SciPy what newer ones deprecate
        warnings.simplefilter("ignore", DeprecationWarning)
        peer = linear_model.LogisticRegression(tol=1e-9, max_iter=5000, **given).fit(X, y, weight)
    np.testing.assert_allclose(own.coef_, peer.coef_, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(own.intercept_, peer.intercept_ if own.fit_intercept else 0, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(own.predict_proba(X), peer.predict_proba(X), atol=1e-5)
    np.testing.assert_allclose(own.predict_log_proba(X), peer.predict_log_proba(X), atol=1e-4)
    np.testing.assert_array_equal(own.predict(X), peer.predict(X))


def test_adam_ends_near_the_minimum(data):
    X, y, _ = data
    near = SoftmaxRegression(solver="adam", C=0.1, tol=1e-6, random_state=0).fit(X, y)
    exact = SoftmaxRegression(C=0.1).fit(X, y)
    np.testing.assert_allclose(near.predict_proba(X), exact.predict_proba(X), atol=0.02)
    again = SoftmaxRegression(solver="adam", C=0.1, tol=1e-6, random_state=0).fit(X, y)
    np.testing.assert_array_equal(near.coef_, again.coef_)


def test_no_penalty_and_no_convergence(data):
    X, y, _ = data
    free = SoftmaxRegression(C=np.inf, max_iter=20)
    with pytest.warns(ConvergenceWarning, match="has not converged after max_iter=20 iterations"):
        free.fit(X, y)
    assert free.n_iter_ == 20
    warm = SoftmaxRegression(warm_start=True).fit(X, y)
    assert warm.fit(X, y).n_iter_ <= 2


# Support vector machine -------------------------------------------------------------------------------------------------------


def objective(net, X, y, C, power, weight):
    """What LinearSVM minimises, from its definition, for each class."""
    signs = np.where(y[:, None] == (net.classes_ if len(net.classes_) > 2 else net.classes_[1:]), 1, -1)
    missing = np.maximum(0, 1 - signs * (X @ net.coef_.T + net.intercept_)) ** power
    return 0.5 * (net.coef_**2).sum(axis=1) + C * (weight[:, None] * missing).sum(axis=0)


@pytest.mark.parametrize("C", [0.05, 1.0])
@pytest.mark.parametrize("loss", ["squared_hinge", "hinge"])
@pytest.mark.parametrize("weighted", [False, True])
def test_without_intercept_the_minimum_is_that_of_linear_svc(C, loss, weighted, data):
    """Squared hinge: coefficients to 1e-5. Hinge: the objective to 1e-5, coefficients to 2e-3 of the largest one."""
    X, y, weight = data
    weight = weight if weighted else np.ones(len(X))
    given = {"C": C, "loss": loss, "fit_intercept": False}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # liblinear reaches the tolerance late
        peer = svm.LinearSVC(tol=1e-9, max_iter=200000, dual=loss == "hinge", random_state=0, **given).fit(X, y, weight)
    own = LinearSVM(tol=1e-9, max_iter=5000, **given).fit(X, y, weight)
    power = 1 if loss == "hinge" else 2
    np.testing.assert_allclose(objective(own, X, y, C, power, weight), objective(peer, X, y, C, power, weight), rtol=1e-5)
    tolerance = 2e-3 * np.abs(peer.coef_).max() if loss == "hinge" else 1e-5
    np.testing.assert_allclose(own.coef_, peer.coef_, atol=tolerance)


def test_the_intercept_is_that_of_svc(data):
    """SVC, too, has no penalty on the intercept. It is for two classes, one against the rest."""
    X, y, _ = data
    own = LinearSVM(loss="hinge", tol=1e-9, max_iter=5000).fit(X, y == "a")
    peer = svm.SVC(kernel="linear", tol=1e-9).fit(X, y == "a")
    np.testing.assert_allclose(own.coef_, peer.coef_, atol=2e-3 * np.abs(peer.coef_).max())
    np.testing.assert_allclose(own.decision_function(X), peer.decision_function(X), atol=1e-2)
    balanced = LinearSVM(class_weight="balanced", tol=1e-8).fit(X, y)
    weights = compute_sample_weight("balanced", y)
    np.testing.assert_allclose(balanced.coef_, LinearSVM(tol=1e-8).fit(X, y, weights).coef_, rtol=1e-6, atol=1e-7)


# All --------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cls", ALL)
def test_sparse_input_copies_and_searches(cls, data):
    X, y, _ = data
    net = cls().fit(X, y)
    np.testing.assert_allclose(cls().fit(csr_array(X), y).decision_function(csr_array(X)), net.decision_function(X))
    for other in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        np.testing.assert_array_equal(other.predict(X), net.predict(X))
    assert clone(net).get_params() == net.get_params()
    assert not hasattr(cls(), "coef_")
    net.coef_ = np.zeros_like(net.coef_)
    assert (net.predict(X) == net.predict(X)[0]).all()
    name = "alpha" if cls is Perceptron else "C"
    assert GridSearchCV(cls(), {name: [0.01, 1.0]}, cv=3).fit(X, y).best_score_ > 0.7


@pytest.mark.parametrize("value", [-1.0, float("nan"), float("inf")])
@pytest.mark.parametrize(
    "kind", ["Classifier", "MLPClassifier", "RecurrentClassifier", "SoftmaxRegression", "LinearSVM", "Perceptron"]
)
def test_class_weights_that_cannot_be_are_named(kind, value):
    X, y = make_classification(30, 4, random_state=0)
    with pytest.raises(ValueError, match=rf"class_weight must have finite weights of at least 0, but that of 1 is {value}"):
        getattr(nn.estimators, kind)(class_weight={0: 1.0, 1: value}).fit(X, y)
