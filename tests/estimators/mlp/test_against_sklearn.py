"""The same numbers as scikit-learn's classes: with one random_state both draw the same weights, rows and orders.

Everything that a user can see is compared in float64, to rounding: losses, scores, weights, probabilities, the number of epochs.
"""

import warnings

import numpy as np
import pytest
import sklearn
import sklearn.neural_network as peers
from sklearn.datasets import make_classification, make_regression
from sklearn.exceptions import ConvergenceWarning

from nncore import estimators

if tuple(map(int, sklearn.__version__.split(".")[:2])) < (1, 9):
    pytest.skip("older classes of scikit-learn take neither weights nor every loss", allow_module_level=True)

RNG = np.random.RandomState(3)
X, MANY = make_classification(160, 9, n_informative=5, n_classes=3, random_state=1)
TWO = np.array(["no", "yes"])[(MANY == 1).astype(int)]
LABELS = np.c_[MANY == 1, MANY == 2, RNG.rand(160) > 0.5].astype(int)
XR, ONE = make_regression(160, 6, noise=3.0, random_state=2)
ONE = ONE / 100
SEVERAL = np.c_[ONE, ONE**2, RNG.randn(160)]
COUNTS = RNG.poisson(np.exp(np.clip(ONE, -2, 1)))
WEIGHTS = RNG.rand(160) + 0.2
CLASSES = {"many": MANY, "two": TWO, "labels": LABELS}
NUMBERS = {"one": ONE, "several": SEVERAL}
NET = {"hidden_layer_sizes": (7, 5), "random_state": 0, "max_iter": 12, "batch_size": 32}


def both(kind, arguments, x, y, weight=None):
    found = []
    for module in (estimators, peers):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            found.append(getattr(module, kind)(**{**NET, **arguments}).fit(x, y, weight))
    return found


def assert_same(kind, arguments, x, y, weight=None, rtol=1e-9):
    ours, peer = both(kind, arguments, x, y, weight)
    for name in ("n_iter_", "t_", "n_layers_", "n_outputs_", "out_activation_", "n_features_in_"):
        assert getattr(ours, name, None) == getattr(peer, name, None), name
    np.testing.assert_allclose(ours.loss_, peer.loss_, rtol=rtol)
    for name in ("loss_curve_", "best_loss_", "validation_scores_", "best_validation_score_"):
        theirs = getattr(peer, name, None)
        assert (getattr(ours, name, None) is None) == (theirs is None), name
        if theirs is not None:
            np.testing.assert_allclose(getattr(ours, name), theirs, rtol=rtol, err_msg=name)
    for mine, theirs in zip([*ours.coefs_, *ours.intercepts_], [*peer.coefs_, *peer.intercepts_], strict=True):
        assert mine.dtype == theirs.dtype
        np.testing.assert_allclose(mine, theirs, rtol=rtol, atol=rtol)
    np.testing.assert_array_equal(ours.predict(x), peer.predict(x)) if kind == "MLPClassifier" else None
    call = "predict_proba" if kind == "MLPClassifier" else "predict"
    np.testing.assert_allclose(getattr(ours, call)(x), getattr(peer, call)(x), rtol=rtol, atol=rtol)
    return ours


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("solver", ["adam", "sgd"])
@pytest.mark.parametrize("targets", CLASSES)
def test_classes(targets, solver, weighted):
    assert_same("MLPClassifier", {"solver": solver, "alpha": 0.1}, X, CLASSES[targets], WEIGHTS if weighted else None)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("solver", ["adam", "sgd"])
@pytest.mark.parametrize("targets", NUMBERS)
def test_numbers(targets, solver, weighted):
    arguments = {"solver": solver, "alpha": 0.1, "learning_rate_init": 0.01}
    assert_same("MLPRegressor", arguments, XR, NUMBERS[targets], WEIGHTS if weighted else None)


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
def test_counts(weighted, shuffle):
    if not hasattr(peers.MLPRegressor(), "loss"):
        pytest.skip("this scikit-learn has no Poisson deviance")
    # nncore's logarithm is of the rate + 1e-7
    assert_same("MLPRegressor", {"loss": "poisson", "shuffle": shuffle}, XR, COUNTS, WEIGHTS if weighted else None, rtol=1e-5)
    assert_same("MLPRegressor", {"loss": "poisson", "solver": "lbfgs", "max_iter": 5}, XR, COUNTS, rtol=1e-4)


@pytest.mark.parametrize("activation", ["identity", "logistic", "tanh", "relu"])
def test_activations(activation):
    assert_same("MLPClassifier", {"activation": activation}, X, MANY)
    assert_same("MLPClassifier", {"activation": activation, "hidden_layer_sizes": ()}, X, MANY)


@pytest.mark.parametrize(("momentum", "nesterov"), [(0.9, True), (0.9, False), (0, True)])
@pytest.mark.parametrize("rate", ["constant", "invscaling", "adaptive"])
def test_learning_rates(rate, momentum, nesterov):
    arguments = {"momentum": momentum, "nesterovs_momentum": nesterov, "learning_rate_init": 0.05, "power_t": 0.3, "max_iter": 40}
    assert_same("MLPClassifier", {"solver": "sgd", "learning_rate": rate, "tol": 1e-2, "n_iter_no_change": 2, **arguments}, X, MANY)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("targets", [*CLASSES, *NUMBERS])
def test_early_stopping(targets, weighted):
    kind, x = ("MLPClassifier", X) if targets in CLASSES else ("MLPRegressor", XR)
    arguments = {"early_stopping": True, "max_iter": 30, "learning_rate_init": 0.02, "n_iter_no_change": 3}
    ours = assert_same(kind, arguments, x, {**CLASSES, **NUMBERS}[targets], WEIGHTS if weighted else None)
    assert len(ours.validation_loss_curve_) == ours.n_iter_


def test_a_single_class_with_rows_held_out():
    assert_same("MLPClassifier", {"early_stopping": True}, X, np.zeros(len(X)))


def test_without_shuffling_and_in_one_batch():
    assert_same("MLPClassifier", {"shuffle": False}, X, MANY)
    assert_same("MLPClassifier", {"batch_size": "auto", "tol": 1e-2, "max_iter": 60}, X, MANY)
    assert_same("MLPClassifier", {"hidden_layer_sizes": [], "max_iter": 5}, X, MANY)
    with pytest.warns(UserWarning, match="It is going to be clipped"):
        assert_same("MLPClassifier", {"batch_size": 1000}, X, MANY)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("targets", [*CLASSES, "one"])
def test_lbfgs(targets, weighted):
    kind, x = ("MLPClassifier", X) if targets in CLASSES else ("MLPRegressor", XR)
    assert_same(
        kind, {"solver": "lbfgs", "alpha": 0.1}, x, {**CLASSES, **NUMBERS}[targets], WEIGHTS if weighted else None, rtol=1e-6
    )


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("targets", ["many", "labels", "one"])
def test_lbfgs_makes_sparse_rows_dense_in_blocks(monkeypatch, targets, weighted):
    """The search over blocks of 7 rows is that of scikit-learn, which keeps them sparse."""
    sparse = pytest.importorskip("scipy.sparse", reason="SciPy is not installed")
    kind, x = ("MLPClassifier", X) if targets in CLASSES else ("MLPRegressor", XR)
    monkeypatch.setattr("nncore.estimators.mlp.base.BLOCK", 7 * x.shape[1])
    rows, made = sparse.csr_matrix(np.where(x > 0, x, 0)), []
    dense = type(rows).toarray
    monkeypatch.setattr(type(rows), "toarray", lambda own, *a, **k: made.append(own.shape[0]) or dense(own, *a, **k))
    settings = {"solver": "lbfgs", "alpha": 0.1, "activation": "tanh"}
    assert_same(kind, settings, rows, {**CLASSES, **NUMBERS}[targets], WEIGHTS if weighted else None, rtol=1e-6)
    assert 7 in made
    assert {*made} <= {7, 160 % 7, 160}  # 160: predictions, whose blocks are larger
    for further, y in (({}, SEVERAL), ({"batch_norm": True}, ONE)):  # the squared errors, and statistics of all rows
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            net = estimators.MLPRegressor(**{**NET, **settings, **further})
            blocks, whole = (net.fit(each, y).loss_ for each in (sparse.csr_matrix(XR), XR))
        np.testing.assert_allclose(blocks, whole, rtol=1e-7)


@pytest.mark.parametrize("limit", [{"max_fun": 10}, {"tol": 0.05, "max_iter": 1000}, {"max_iter": 3}])
def test_limits_of_lbfgs(limit):
    messages = []
    for module in (estimators, peers):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            module.MLPClassifier(**{**NET, "solver": "lbfgs", **limit}).fit(X, MANY)
        messages.append([str(each.message) for each in caught if each.category is ConvergenceWarning])
    assert messages[0] == messages[1]
    assert_same("MLPClassifier", {"solver": "lbfgs", **limit}, X, MANY, rtol=1e-7)


@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_partial_fit_and_warm_start(solver):
    made = []
    for module in (estimators, peers):
        own = module.MLPClassifier(**{**NET, "solver": solver, "max_iter": 4, "warm_start": True})
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            for _ in range(3):
                own.partial_fit(X[:90], MANY[:90], classes=[0, 1, 2])
            own.fit(X, MANY).fit(X, MANY)
            own.partial_fit(X, MANY)
        made.append(own)
    ours, peer = made
    np.testing.assert_allclose(ours.loss_curve_, peer.loss_curve_, rtol=1e-9)
    np.testing.assert_allclose(ours.coefs_[0], peer.coefs_[0], rtol=1e-9)
    assert (ours.t_, ours.n_iter_) == (peer.t_, peer.n_iter_)


def test_a_generator_is_moved_on_as_scikit_learn_moves_it():
    left = []
    for module in (estimators, peers):
        generator = np.random.RandomState(8)
        arguments = {**NET, "random_state": generator, "early_stopping": True, "max_iter": 3}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # the batch is larger than the data
            module.MLPClassifier(**arguments).fit(X, MANY)
            module.MLPClassifier(**{**arguments, "batch_size": 500, "early_stopping": False}).partial_fit(
                X[:9], MANY[:9], classes=[0, 1, 2]
            )
        left.append(generator.randint(2**31))
    assert left[0] == left[1]


def test_sparse_input_is_the_dense_one():
    sparse = pytest.importorskip("scipy.sparse")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        for solver, stops in (("adam", False), ("adam", True), ("lbfgs", False)):
            made = [
                estimators.MLPClassifier(**NET, solver=solver, early_stopping=stops).fit(each, MANY, WEIGHTS)
                for each in (X, sparse.csr_matrix(X), sparse.csc_array(X))
            ]
            for other in made[1:]:
                np.testing.assert_allclose(other.loss_, made[0].loss_, rtol=1e-9)
                np.testing.assert_allclose(other.predict_proba(sparse.coo_matrix(X)), made[0].predict_proba(X), rtol=1e-8)


def test_the_parameters_are_those_of_scikit_learn():
    """Names, order and defaults; nncore's own follow."""
    import inspect

    for kind in ("MLPClassifier", "MLPRegressor"):
        ours, theirs = (list(inspect.signature(getattr(module, kind)).parameters.values()) for module in (estimators, peers))
        if theirs[0].name != ours[0].name:  # before 1.7 there was no loss
            ours = ours[1:]
        assert [(p.name, p.default) for p in ours[: len(theirs)]] == [(p.name, p.default) for p in theirs]
