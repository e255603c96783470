"""What a user of scikit-learn's MLP relies on: learning, warnings, verbose output, stopping, labels, dtypes, names, pickles."""

import copy
import pickle
import re
import warnings

import numpy as np
import pytest
import sklearn.neural_network
from sklearn.datasets import load_digits, load_iris, make_multilabel_classification, make_regression
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.linear_model import PoissonRegressor
from sklearn.metrics import roc_auc_score
from sklearn.preprocessing import MinMaxScaler, scale

import nncore as nn
from nncore.estimators import MLPClassifier, MLPRegressor

DIGITS, WHICH = load_digits(return_X_y=True)
ACTIVATIONS = ["identity", "logistic", "tanh", "relu"]
BOTH = pytest.mark.parametrize("cls", [MLPClassifier, MLPRegressor])
IRIS = load_iris(return_X_y=True)
XR, YR = make_regression(200, 10, bias=20.0, noise=100.0, random_state=7)
YR = scale(YR)


def digits(classes, rows=200):
    chosen = classes > WHICH
    return MinMaxScaler().fit_transform(DIGITS[chosen][:rows]), WHICH[chosen][:rows]


def quietly(call):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return call()


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("classes", [2, 3])
def test_lbfgs_learns_digits(classes, activation):
    X, y = digits(classes)
    clf = MLPClassifier(50, activation, solver="lbfgs", max_iter=150, random_state=1).fit(X[:150], y[:150])
    assert clf.score(X[:150], y[:150]) > 0.95
    assert (clf.predict(X[150:]).shape, clf.predict(X).dtype.kind) == ((50,), "i")


def test_all_digits_are_learnt():
    clf = quietly(lambda: MLPClassifier(max_iter=60, learning_rate_init=5e-3, random_state=0).fit(DIGITS[:1200] / 16, WHICH[:1200]))
    assert clf.score(DIGITS[1200:] / 16, WHICH[1200:]) > 0.92
    assert clf.score(DIGITS[:1200] / 16, WHICH[:1200]) > 0.99


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_exclusive_or(solver):
    X, y = np.array([[0, 0], [0, 1], [1, 0], [1, 1]]), [0, 1, 1, 0]
    clf = MLPClassifier(16, "tanh", solver=solver, learning_rate_init=0.05, random_state=1, max_iter=500)
    assert clf.fit(X, y).score(X, y) == 1


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_lbfgs_learns_numbers(activation):
    reg = quietly(
        lambda: MLPRegressor(hidden_layer_sizes=50, activation=activation, solver="lbfgs", tol=1e-3, random_state=1).fit(XR, YR)
    )
    assert reg.score(XR, YR) > (0.80 if activation == "identity" else 0.98)


def test_several_outputs():
    X, y = make_regression(200, n_targets=5, random_state=11)
    reg = quietly(lambda: MLPRegressor(hidden_layer_sizes=50, solver="lbfgs", tol=1e-2, random_state=1).fit(X, y))
    assert reg.score(X, y) > 0.9
    assert reg.predict(X[:3]).shape == (3, 5)
    with pytest.raises(ValueError, match="y has 2 columns, but the estimator was fitted with 5"):
        MLPRegressor().partial_fit(X, y).partial_fit(X, y[:, :2])


def test_larger_alpha_means_smaller_weights():
    X, y = digits(2, 100)
    sums = [
        [np.abs(each).sum() for each in quietly(lambda a=alpha: MLPClassifier(10, alpha=a, random_state=1).fit(X, y)).coefs_]
        for alpha in (0, 1)
    ]
    assert (np.array(sums[0]) > sums[1]).all()


def test_one_step_worked_out_by_hand():
    """3-2-1 with logistic units, by the formulas: d2 = p - y, d1 = h (1 - h) w d2, and alpha / 1 times each weight."""
    X, y, rate, alpha = np.array([[0.6, 0.8, 0.7]]), np.array([0]), 0.1, 0.1
    clf = MLPClassifier(2, "logistic", solver="sgd", learning_rate_init=rate, alpha=alpha, momentum=0, random_state=1)
    clf.partial_fit(X, y, classes=[0, 1])
    w1, w2 = np.array([[0.1, 0.2], [0.3, 0.1], [0.5, 0]]), np.array([[0.1], [0.2]])
    b1, b2 = np.array([0.1, 0.1]), np.array([1.0])
    clf.coefs_ = [w1, w2]
    clf.intercepts_[0], clf.intercepts_[1] = b1, b2
    clf.partial_fit(X, y)
    h = 1 / (1 + np.exp(-(X @ w1 + b1)))
    p = 1 / (1 + np.exp(-(h @ w2 + b2)))
    d1 = h * (1 - h) * (p @ w2.T)
    np.testing.assert_allclose(clf.coefs_[0], w1 - rate * (X.T @ d1 + alpha * w1), rtol=1e-12)
    np.testing.assert_allclose(clf.coefs_[1], w2 - rate * (h.T @ p + alpha * w2), rtol=1e-12)
    np.testing.assert_allclose(clf.intercepts_[0], b1 - rate * d1[0], rtol=1e-12)
    np.testing.assert_allclose(clf.intercepts_[1], b2 - rate * p[0], rtol=1e-12)
    np.testing.assert_allclose(clf.loss_, -np.log(1 - p.item()) + 0.5 * alpha * ((w1**2).sum() + (w2**2).sum()), rtol=1e-12)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("labels", [2, 3])
def test_the_step_follows_finite_differences(labels, activation):
    """Plain descent moves each weight by minus the rate times the slope of the loss."""
    rng = np.random.RandomState(42)
    X, y, rate = rng.rand(5, 4), np.arange(5) % labels, 1e-3
    clf = MLPClassifier(3, activation, solver="sgd", momentum=0, alpha=1e-2, learning_rate_init=rate, random_state=1)
    clf.partial_fit(X, y, classes=range(labels))
    start, again = [each.copy() for each in clf.coefs_], copy.deepcopy(clf)

    def loss():
        log = np.log(again.predict_proba(X))
        return -log[np.arange(5), y].mean() + 0.5e-2 * sum((w**2).sum() for w in again.coefs_) / 5

    slopes = []
    for view in again.coefs_:
        slopes.append(np.empty_like(view))
        for index in np.ndindex(*view.shape):
            ends = []
            for step in (1e-5, -1e-5):
                kept = view[index]
                view[index] += step
                ends.append(loss())
                view[index] = kept
            slopes[-1][index] = (ends[0] - ends[1]) / 2e-5
    clf.partial_fit(X, y)
    for after, before, slope in zip(clf.coefs_, start, slopes, strict=True):
        np.testing.assert_allclose((before - after) / rate, slope, atol=1e-7)


def test_several_labels():
    X, Y = make_multilabel_classification(50, random_state=0)
    clf = quietly(lambda: MLPClassifier(50, "logistic", solver="lbfgs", alpha=1e-5, max_iter=150, random_state=0).fit(X, Y))
    assert clf.score(X, Y) > 0.97
    P = clf.predict_proba(X)
    np.testing.assert_array_equal(P > 0.5, clf.predict(X))
    assert np.abs(P.sum(axis=1) - 1).max() > 0.01
    np.testing.assert_allclose(clf.predict_log_proba(X), np.log(P))
    slowly = MLPClassifier(50, "logistic", solver="sgd", alpha=1e-5, learning_rate_init=0.2, random_state=0)
    for _ in range(100):
        slowly.partial_fit(X, Y, classes=range(5))
    assert slowly.score(X, Y) > 0.9
    sparse = pytest.importorskip("scipy.sparse")
    other = quietly(lambda: MLPClassifier(20, early_stopping=True, max_iter=5).fit(X, sparse.csr_matrix(Y)))
    assert sparse.issparse(other.predict(X))


@pytest.mark.parametrize("classes", [2, 3])
def test_epochs_one_by_one_are_a_fit(classes):
    X, y = digits(classes)
    given = {"solver": "sgd", "random_state": 1, "alpha": 1e-5, "learning_rate_init": 0.2}
    whole = quietly(lambda: MLPClassifier(max_iter=60, tol=0, **given).fit(X, y))
    single = MLPClassifier(**given)
    for _ in range(60):
        single.partial_fit(X, y, classes=np.unique(y))
    np.testing.assert_array_equal(whole.predict(X), single.predict(X))
    assert single.score(X, y) > 0.95


@pytest.mark.parametrize("momentum", [0, 0.9])
def test_epochs_one_by_one_are_a_fit_of_numbers(momentum):
    given = {"solver": "sgd", "learning_rate_init": 0.01, "batch_size": 200, "momentum": momentum, "random_state": 1}
    whole = quietly(lambda: MLPRegressor(max_iter=100, **given).fit(XR, YR))
    single = MLPRegressor(**given)
    for _ in range(100):
        single.partial_fit(XR, YR)
    np.testing.assert_allclose(whole.predict(XR), single.predict(XR))
    assert single.score(XR, YR) > 0.65


def test_partial_fit_refuses():
    X, y = [[3, 2], [1, 6]], [1, 0]
    with pytest.raises(ValueError, match="classes must be passed on the first call"):
        MLPClassifier().partial_fit(X, y)
    with pytest.raises(ValueError, match="classes not in"):
        MLPClassifier(solver="sgd").partial_fit(X, y, classes=[2])
    with pytest.raises(ValueError, match="is not the same as on last call"):
        MLPClassifier().partial_fit(X, y, classes=[0, 1]).partial_fit(X, y, classes=[1, 2])
    with pytest.raises(ValueError, match="balanced"):
        MLPClassifier(class_weight="balanced").partial_fit(X, y, classes=[0, 1])
    assert not hasattr(MLPClassifier(solver="lbfgs"), "partial_fit")
    assert not hasattr(MLPRegressor(solver=nn.optim.LBFGS()), "partial_fit")


def test_labels_that_the_first_rows_lack():
    clf = MLPClassifier(random_state=0)
    clf.partial_fit([[1], [2], [3]], ["a", "b", "c"], classes=["a", "b", "c", "d"]).partial_fit([[4]], ["d"])
    assert clf.score([[1], [2], [3], [4]], ["a", "b", "c", "d"]) > 0


@BOTH
def test_partial_fit_does_not_hold_out_rows(cls):
    own = quietly(lambda: cls(early_stopping=True, max_iter=3, random_state=0).fit(*IRIS))
    with pytest.raises(ValueError, match="partial_fit does not support early_stopping=True"):
        own.partial_fit(*IRIS)


def test_weights_that_become_infinite():
    X = np.finfo(np.float64).max * np.random.RandomState(0).uniform(size=(10, 2))
    with pytest.raises(ValueError, match="Solver produced non-finite parameter weights"):
        quietly(lambda: MLPRegressor().fit(X, np.arange(10) % 2))


def test_a_diverging_net_with_rows_held_out():
    reg = MLPRegressor(activation="identity", solver="sgd", learning_rate_init=1, max_iter=20, early_stopping=True, random_state=0)
    quietly(lambda: reg.fit(*IRIS))
    assert np.isnan(reg.validation_scores_[-1])
    assert all(np.isfinite(each).all() for each in reg.coefs_)


@pytest.mark.parametrize("classes", [2, 3])
def test_probabilities(classes):
    X, y = digits(classes, 50)
    clf = quietly(lambda: MLPClassifier(5, "logistic", random_state=1).fit(X, y))
    P = clf.predict_proba(X)
    assert P.shape == (50, classes)
    np.testing.assert_allclose(P.sum(axis=1), 1)
    np.testing.assert_allclose(clf.predict_log_proba(X), np.log(P))
    assert classes == 3 or roc_auc_score(y, P[:, 1]) == 1


def test_shuffling_matters():
    X, y = make_regression(50, 5, random_state=0)
    given = {"hidden_layer_sizes": 1, "max_iter": 1, "batch_size": 1, "random_state": 0}
    made = [quietly(lambda s=s: MLPRegressor(shuffle=s, **given).fit(X, y)).coefs_[0] for s in (True, True, False, False)]
    np.testing.assert_array_equal(made[0], made[1])
    np.testing.assert_array_equal(made[2], made[3])
    assert not np.array_equal(made[0], made[2])


def test_tolerance_ends_training():
    clf = MLPClassifier(tol=0.5, max_iter=3000, solver="sgd").fit([[3, 2], [1, 6]], [1, 0])
    assert clf.n_iter_ < 3000
    with pytest.warns(ConvergenceWarning, match=r"Maximum iterations \(2\) reached"):
        MLPClassifier(max_iter=2).fit([[3, 2], [1, 6]], [1, 0])


@pytest.mark.parametrize("count", [2, 10])
def test_epochs_without_improvement(count):
    X, y = digits(2, 100)
    clf = MLPClassifier(tol=0.01, max_iter=3000, solver="sgd", n_iter_no_change=count).fit(X, y)
    assert clf._no_improvement_count == count + 1
    assert clf.n_iter_ < 3000
    endless = quietly(lambda: MLPClassifier(tol=1e9, max_iter=60, solver="sgd", n_iter_no_change=np.inf).fit(X, y))
    assert endless.n_iter_ == 60
    assert endless._no_improvement_count == 59


def test_verbose(capsys):
    X, y = [[3, 2], [1, 6]], [1, 0]
    clf = quietly(lambda: MLPClassifier(2, solver="sgd", max_iter=2, verbose=10).fit(X, y))
    clf.partial_fit(X, y)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"Iteration 1, loss = {clf.loss_curve_[0]:.8f}"
    assert [line.split(",")[0] for line in lines] == ["Iteration 1", "Iteration 2", "Iteration 1"]
    MLPClassifier(tol=0.5, max_iter=300, solver="sgd", learning_rate="adaptive", verbose=True).fit(X, y)
    printed = capsys.readouterr().out
    assert (
        "Training loss did not improve more than tol=0.500000 for 10 consecutive epochs. Setting learning rate to 0.000200"
        in printed
    )
    assert printed.endswith("Learning rate too small. Stopping.\n")
    quietly(lambda: MLPRegressor(early_stopping=True, max_iter=2, verbose=True).fit(*IRIS))
    assert "Validation score: " in capsys.readouterr().out
    quietly(lambda: MLPRegressor(solver="lbfgs", max_iter=2, verbose=True).fit(*IRIS))
    assert "Iteration 2, loss = " in capsys.readouterr().out


@BOTH
def test_early_stopping(cls):
    X, y = digits(2, 100)
    own = cls(tol=0.2, max_iter=3000, solver="sgd", early_stopping=True).fit(X, y)
    scores, best = own.validation_scores_, own.best_validation_score_
    assert own.n_iter_ < 3000
    assert own.best_loss_ is None
    assert max(scores) == best
    assert best + 0.2 > max(scores[-2:])
    own = cls(tol=0.2, max_iter=3000, solver="sgd").fit(X, y)
    assert own.validation_scores_ is own.best_validation_score_ is own.validation_loss_curve_ is None


def test_early_stopping_of_few_rows():
    with pytest.raises(ValueError, match="The least populated class"):
        MLPClassifier(early_stopping=True).fit([[1, 2], [2, 3], [3, 4], [4, 5]], [0, 0, 0, 1])
    with pytest.raises(ValueError, match="The validation set is too small"):
        MLPRegressor(early_stopping=True).fit([[1.0], [2.0]], [1.0, 2.0])


def test_adaptive_rates_end_training():
    clf = MLPClassifier(tol=0.5, max_iter=3000, solver="sgd", learning_rate="adaptive").fit([[3, 2], [1, 6]], [1, 0])
    assert clf.n_iter_ < 3000
    assert clf.model_.optimizer.lr < 1e-6


def test_warm_start():
    X, y = IRIS
    given = {"hidden_layer_sizes": 2, "solver": "lbfgs", "warm_start": True, "random_state": 42, "tol": 1e-2}
    clf = quietly(lambda: MLPClassifier(**given).fit(X, y).fit(X, y))
    quietly(lambda: clf.fit(X, np.repeat([0, 1, 2], [40, 40, 70])))
    for others in (np.repeat([0, 1], 75), np.repeat([0, 1, 3], 50), np.repeat([0, 1, 2, 3], [37, 37, 38, 38])):
        said = f"Previously got [0 1 2], `y` has {np.unique(others)}"
        with pytest.raises(ValueError, match=re.escape(said)):
            clf.fit(X, others)
    with pytest.raises(ValueError, match="the layers have the sizes"):
        clf.set_params(hidden_layer_sizes=3).fit(X, y)


@BOTH
@pytest.mark.parametrize("solver", ["sgd", "adam", "lbfgs"])
def test_each_fit_of_a_warm_start_has_all_its_epochs(cls, solver):
    own = cls(hidden_layer_sizes=2, solver=solver, warm_start=True, n_iter_no_change=np.inf, random_state=0)
    for count in (3, 5):
        with pytest.warns(ConvergenceWarning):
            own.set_params(max_iter=count).fit(*IRIS)
        assert own.n_iter_ == count


@BOTH
@pytest.mark.parametrize("changed", [{"activation": "tanh"}, {"dtype": "float64"}, {"dropout": 0.5}, {"batch_norm": True}])
@pytest.mark.parametrize("solver", ["sgd", "lbfgs"])
def test_a_warm_start_with_other_layers_keeps_the_weights(cls, changed, solver):
    X, y = np.float32(IRIS[0]), IRIS[1]
    own = cls(
        hidden_layer_sizes=4, solver=solver, warm_start=True, max_iter=2, random_state=0, dtype="float32", learning_rate_init=1e-12
    )
    quietly(lambda: own.fit(X, y))
    before = [each.copy() for each in [*own.coefs_, *own.intercepts_]]
    model = own.model_
    quietly(lambda: own.fit(X, y))
    assert own.model_ is model
    before = [each.copy() for each in [*own.coefs_, *own.intercepts_]] if solver == "lbfgs" else before
    quietly(lambda: own.set_params(max_iter=1, max_fun=1, **changed).fit(X, y))
    assert own.model_ is not model
    assert own.model_.dtype == changed.get("dtype", "float32")
    layers = [type(layer).__name__ for layer in own.model_.layers]
    assert layers[1 : layers.index("Linear", 1)] == [
        *(["BatchNorm1d"] if "batch_norm" in changed else []),
        "Tanh" if "activation" in changed else "ReLU",
        *(["Dropout"] if "dropout" in changed else []),
    ]
    if solver == "sgd":
        for one, other in zip([*own.coefs_, *own.intercepts_], before, strict=True):
            np.testing.assert_allclose(one, other, atol=1e-6)


def test_a_warm_start_with_another_activation_is_scikit_learns():
    X, y = digits(3, 120)
    given = {"hidden_layer_sizes": 5, "warm_start": True, "max_iter": 3, "random_state": 0}
    own, peer = MLPClassifier(**given), sklearn.neural_network.MLPClassifier(**given)
    for each in (own, peer):
        quietly(lambda each=each: each.fit(X, y).set_params(activation="tanh").fit(X, y))
    np.testing.assert_allclose(own.predict_proba(X), peer.predict_proba(X), atol=1e-12)
    assert isinstance(own.partial_fit(X, y).set_params(activation="relu").partial_fit(X, y).model_.layers[1], nn.ReLU)


@pytest.mark.parametrize("given", [{"solver": "adam"}, {"solver": "sgd", "learning_rate": "invscaling"}])
def test_partial_fit_with_another_activation_keeps_the_optimizer_as_scikit_learn_does(given):
    X, y = digits(3, 120)
    given |= {"hidden_layer_sizes": 5, "random_state": 0, "learning_rate_init": 0.01, "batch_size": 50}
    own, peer = MLPClassifier(**given), sklearn.neural_network.MLPClassifier(**given)
    for each in (own, peer):
        for activation in ("relu", "relu", "tanh", "tanh"):
            each.set_params(activation=activation).partial_fit(X, y, classes=[0, 1, 2])
    np.testing.assert_allclose(own.predict_proba(X), peer.predict_proba(X), atol=1e-12)
    own.set_params(batch_norm=True).partial_fit(X, y)
    assert own.model_.step == 3  # the optimizer begins again with other parameters


def test_a_warm_start_keeps_learned_slopes():
    X, y = digits(3, 120)
    own = MLPRegressor(hidden_layer_sizes=(5, 4), activation=[nn.PReLU(5), "relu"], random_state=0, learning_rate_init=0.01)
    slopes = own.partial_fit(X, y).partial_fit(X, y).model_.layers[1].weight.copy()
    assert (slopes != 0.25).any()
    own.set_params(dropout=0.1, learning_rate_init=1e-9, warm_start=True, max_iter=1)
    np.testing.assert_allclose(quietly(lambda: own.fit(X, y)).model_.layers[1].weight, slopes, atol=1e-7)
    assert own.set_params(activation=["relu", nn.PReLU(4)]).partial_fit(X, y).model_.layers[4].weight.shape == (4,)


@BOTH
def test_warm_start_with_rows_held_out(cls):
    own = cls(max_iter=3, random_state=0, warm_start=True, early_stopping=True)
    quietly(lambda: own.fit(*IRIS))
    before = len(own.validation_scores_)
    quietly(lambda: own.fit(*IRIS))
    assert len(own.validation_scores_) > before


def test_labels_may_be_text():
    X, y = digits(3, 120)
    names = np.array(["zero", "one", "two"], object)[y]
    clf = quietly(lambda: MLPClassifier(early_stopping=True, max_iter=30, learning_rate_init=0.01, random_state=0).fit(X, names))
    assert list(clf.classes_) == ["one", "two", "zero"]
    assert clf.score(X, names) > 0.9
    assert len(clf.validation_scores_) == clf.n_iter_
    assert np.isfinite(clf.validation_scores_).all()


@BOTH
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dtypes_are_kept(cls, dtype):
    X, y = digits(2, 60)
    own = quietly(lambda: cls(alpha=1e-5, random_state=1, max_iter=5).fit(X.astype(dtype), y))
    assert {each.dtype for each in (*own.coefs_, *own.intercepts_)} == {np.dtype(dtype)}
    assert cls is MLPClassifier or own.predict(X.astype(dtype)).dtype == dtype
    assert quietly(lambda: cls(max_iter=1, dtype="float32").fit(X, y)).coefs_[0].dtype == np.float32


def test_float32_learns_what_float64_learns():
    X, y = DIGITS[:300] / 16, WHICH[:300]
    made = [quietly(lambda t=t: MLPClassifier((5, 3), alpha=1e-5, random_state=1, max_iter=60).fit(X.astype(t), y)) for t in "fd"]
    np.testing.assert_allclose(made[0].predict_proba(X), made[1].predict_proba(X), rtol=1e-2, atol=1e-5)


@BOTH
def test_names_of_features(cls):
    pd = pytest.importorskip("pandas")
    X = pd.DataFrame(np.random.RandomState(0).randn(10, 2), columns=["a", "b"])
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        warnings.simplefilter("ignore", ConvergenceWarning)
        own = cls(early_stopping=True, validation_fraction=0.2, max_iter=3).fit(X, pd.Series(np.full(10, 1)))
        own.predict(X)
    assert list(own.feature_names_in_) == ["a", "b"]
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        own.predict(X.to_numpy())
    with pytest.raises(ValueError, match="feature names should match"):
        own.predict(X.rename(columns={"a": "c"}))


@BOTH
def test_rows_to_predict_are_checked(cls):
    own = quietly(lambda: cls(max_iter=1).fit(*IRIS))
    row = IRIS[0][:1].copy()
    for wrong, said in (
        (row[:, :3], "3 features"),
        (row[0], "2D array"),
        (row * np.nan, "NaN"),
        (row * np.inf, "infinity"),
        (row[:0], "0 sample"),
    ):
        with pytest.raises(ValueError, match=said):
            own.predict(wrong)
    huge = np.full((1, 4), 1e308)  # whose sum is infinite
    assert own.predict(huge).shape == (1,)
    np.testing.assert_array_equal(own.predict(row.astype(int)), own.predict(row.astype(int).astype(float)))
    with pytest.raises(NotFittedError):
        cls().predict(row)


def test_copies_go_on_training():
    reg = MLPRegressor(hidden_layer_sizes=(42,), random_state=42, learning_rate_init=0.01).fit([[2]], [4])
    for other in (pickle.loads(pickle.dumps(reg)), copy.deepcopy(reg)):
        np.testing.assert_array_equal(other.predict([[2]]), reg.predict([[2]]))
        for _ in range(200):
            other.partial_fit([[2]], [1])
        np.testing.assert_allclose(other.predict([[2]]), 1, rtol=1e-4)
    assert reg.predict([[2]]) > 3.5


@BOTH
def test_an_interrupted_fit_keeps_what_it_has(cls):
    class Interrupt(nn.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            if epoch == 2:
                raise KeyboardInterrupt

    own = cls(callbacks=[Interrupt()], random_state=0)
    with pytest.warns(UserWarning, match="Training interrupted by user"):
        own.fit(*IRIS)
    assert own.n_iter_ == 3
    assert own.predict(IRIS[0]).shape == (150,)


def test_weights_of_ones_and_of_zero():
    X, y = make_regression(100, 2, random_state=42)
    given = {
        "hidden_layer_sizes": 10,
        "early_stopping": True,
        "tol": 1e-2,
        "learning_rate_init": 0.01,
        "batch_size": 10,
        "random_state": 42,
    }
    made = [quietly(lambda w=w: MLPRegressor(**given).fit(X, y, w)) for w in (None, np.ones(100))]
    np.testing.assert_allclose(made[0].predict(X), made[1].predict(X))
    wrong = np.where(np.arange(100) % 2, 1e3, y)
    half = quietly(lambda: MLPRegressor(random_state=0, shuffle=False).fit(X[::2], y[::2]))
    other = quietly(lambda: MLPRegressor(random_state=0, shuffle=False).fit(X, wrong, 1.0 - np.arange(100) % 2))
    np.testing.assert_allclose(half.predict(X), other.predict(X), rtol=1e-6, atol=1e-6)
    with pytest.raises(ValueError, match="Negative values"):
        MLPRegressor().fit(X, y, -np.ones(100))


@pytest.mark.filterwarnings("ignore:scipy.optimize:DeprecationWarning")  # of older scikit-learns
def test_poisson_is_the_linear_model():
    rng = np.random.default_rng(0)
    X = np.linspace(0, 1, 100)[:, None]
    y = rng.poisson(np.exp(X[:, 0] + 1))
    peer = PoissonRegressor(alpha=0, tol=1e-7).fit(X, y)
    given = {"hidden_layer_sizes": (), "alpha": 0, "solver": "lbfgs", "tol": 1e-7, "random_state": 1}
    np.testing.assert_allclose(MLPRegressor(loss="poisson", **given).fit(X, y).predict(X), peer.predict(X), rtol=1e-4)
    assert not np.allclose(MLPRegressor(**given).fit(X, y).predict(X), peer.predict(X), rtol=1e-4)
    with pytest.raises(ValueError, match="needs y >= 0"):
        MLPRegressor(loss="poisson").fit(X, -y)


@pytest.mark.parametrize(
    "wrong",
    [
        {"activation": "ghost"}, {"solver": "hadoken"}, {"alpha": -1}, {"batch_size": 0}, {"learning_rate": "converge"},
        {"learning_rate_init": -1}, {"power_t": -1}, {"max_iter": -1}, {"shuffle": "yes"}, {"random_state": "x"}, {"tol": -1},
        {"verbose": "x"}, {"warm_start": 3}, {"momentum": 2}, {"nesterovs_momentum": -0.5}, {"early_stopping": "True"},
        {"validation_fraction": 1}, {"beta_1": 1}, {"beta_2": -0.5}, {"epsilon": -0.5}, {"n_iter_no_change": 0}, {"max_fun": 0},
        {"hidden_layer_sizes": -1}, {"hidden_layer_sizes": (3, 0)}, {"dropout": 1.0}, {"batch_norm": 2}, {"loss": "nothing"},
        {"activation": ["relu", "tanh"]}, {"dropout": [0.5, 0.5]}, {"callbacks": [3]}, {"dtype": "f2"}, {"compute": "int8"},
    ],
)  # fmt: skip
@BOTH
def test_wrong_parameters(cls, wrong):
    own = cls(**wrong)
    with pytest.raises(ValueError, match=next(iter(wrong))):
        own.fit(*IRIS)
    assert not hasattr(own, "coefs_")


@pytest.mark.parametrize("kind", [nn.estimators.MLPClassifier, nn.estimators.MLPRegressor])
def test_half_a_unit_is_refused(kind: type) -> None:
    with pytest.raises(TypeError, match="'float' object cannot be interpreted as an integer"):
        kind(hidden_layer_sizes=(2.5,)).fit(np.eye(4), [0, 1, 0, 1])


def test_a_fit_that_is_refused_changes_nothing() -> None:
    X, y = load_iris(return_X_y=True)
    net = MLPClassifier(random_state=0, tol=1).fit(scale(X), y)
    before = net.predict_proba(X)
    for narrow in ({"validation_data": (X, y)}, {"validation_data": X}):
        with pytest.raises(ValueError, match=r"4 features|validation_data must be"):
            net.fit(X[:, :2], y, **narrow)
    with pytest.raises(ValueError, match="dropout has 3 entries"):
        net.set_params(dropout=[0.1] * 3).fit(X[:, :2], y)
    assert net.n_features_in_ == 4
    np.testing.assert_array_equal(net.predict_proba(X), before)
