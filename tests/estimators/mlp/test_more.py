"""What scikit-learn's MLP does not offer: dropout, batch normalisation, class weights, losses, callbacks, solvers, and so on."""

import warnings

import numpy as np
import pytest
import sklearn.neural_network
from scipy.sparse import csr_matrix
from sklearn.base import clone
from sklearn.datasets import make_classification, make_regression
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import log_loss, recall_score

import nncore as nn
from nncore.errors import ArgumentError
from nncore.estimators import MLPClassifier, MLPRegressor

X, Y = make_classification(240, 8, n_informative=5, n_classes=3, random_state=0)
TWO = (Y == 1).astype(int)
XR, YR = make_regression(200, 5, noise=5.0, random_state=0)
YR = YR / YR.std()

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def test_dropout_and_batch_normalisation_are_layers():
    clf = MLPClassifier((16, 8), dropout=[0.5, 0.0], batch_norm=True, max_iter=60, learning_rate_init=0.01, random_state=0).fit(
        X, Y
    )
    kinds = [type(layer).__name__ for layer in clf.model_.layers]
    assert kinds == ["Linear", "BatchNorm1d", "ReLU", "Dropout", "Linear", "BatchNorm1d", "ReLU", "Linear", "Softmax"]
    assert clf.model_.layers[3].p == 0.5
    assert clf.score(X, Y) > 0.7
    again = clone(clf).fit(X, Y)
    np.testing.assert_array_equal(again.predict_proba(X), clf.predict_proba(X))
    other = clone(clf).set_params(random_state=1).fit(X, Y)
    assert not np.array_equal(other.predict_proba(X), clf.predict_proba(X))


def test_activations_per_layer():
    given = ["gelu", nn.LeakyReLU(0.2), nn.Tanh]
    clf = MLPClassifier((6, 5, 4), given, max_iter=2, random_state=0).fit(X, Y)
    assert [type(layer).__name__ for layer in clf.model_.layers[1::2]] == ["GELU", "LeakyReLU", "Tanh", "Softmax"]
    assert clf.model_.layers[3] is not given[1]
    with pytest.raises(ArgumentError, match="activation has 3 entries for 1 hidden layers"):
        MLPClassifier(5, given).fit(X, Y)


def test_class_weights():
    rare = np.where((TWO == 1) & (np.arange(240) % 8 > 0), False, True)
    x, y = X[rare], TWO[rare]
    names = np.array(["common", "rare"])[y]
    plain = MLPClassifier(6, random_state=0, max_iter=100).fit(x, names)
    balanced = MLPClassifier(6, random_state=0, max_iter=100, class_weight="balanced").fit(x, names)
    assert recall_score(names, balanced.predict(x), pos_label="rare") > recall_score(names, plain.predict(x), pos_label="rare")
    share = len(y) / (2 * np.bincount(y))
    by_hand = MLPClassifier(6, random_state=0, max_iter=100, class_weight={"common": share[0], "rare": share[1]}).fit(x, names)
    as_rows = MLPClassifier(6, random_state=0, max_iter=100).fit(x, names, sample_weight=share[y])
    for other in (by_hand, as_rows):
        np.testing.assert_allclose(other.predict_proba(x), balanced.predict_proba(x), rtol=1e-9)


@pytest.mark.parametrize("loss", ["huber", "absolute_error", "log_cosh", nn.losses.Quantile(0.5), nn.losses.Huber(delta=0.5)])
def test_losses_of_regression(loss):
    dirty = YR.copy()
    dirty[::10] += 50
    robust = MLPRegressor(loss, 20, learning_rate_init=0.01, random_state=0).fit(XR, dirty)
    squared = MLPRegressor(hidden_layer_sizes=20, learning_rate_init=0.01, random_state=0).fit(XR, dirty)
    clean = np.arange(200) % 10 > 0
    errors = [np.abs(each.predict(XR)[clean] - YR[clean]).mean() for each in (robust, squared)]
    assert errors[0] < errors[1] / 2


@pytest.mark.parametrize("y", [Y, TWO, np.c_[TWO, Y == 2].astype(int)], ids=["many", "two", "labels"])
def test_focal_loss(y):
    clf = MLPClassifier(12, loss="focal", random_state=0, learning_rate_init=0.05, max_iter=100).fit(X, y)
    assert clf.score(X, y) > 0.6
    assert clf.loss_curve_[-1] < clf.loss_curve_[0]


def test_losses_of_ones_own():
    def cross_entropy(t, p):
        return -(t * np.log(p)).sum(axis=1), -t / p

    own = MLPClassifier(6, loss=cross_entropy, random_state=0, max_iter=5).fit(X, Y)
    built_in = MLPClassifier(6, random_state=0, max_iter=5).fit(X, Y)
    np.testing.assert_allclose(own.loss_curve_, built_in.loss_curve_, rtol=1e-9)
    np.testing.assert_allclose(own.predict_proba(X), built_in.predict_proba(X), rtol=1e-6)

    def squares(t, z):
        return 0.5 * ((z - t) ** 2).sum(axis=1), z - t

    made = [MLPRegressor(loss, 6, random_state=0, max_iter=5).fit(XR, YR) for loss in (squares, "squared_error")]
    np.testing.assert_allclose(made[0].loss_curve_, made[1].loss_curve_, rtol=1e-9)


@pytest.mark.parametrize(
    ("loss", "y"), [("hinge", TWO), ("Hinge", TWO), ("squared_hinge", TWO), ("hinge", Y), ("categorical_hinge", Y)]
)
def test_margins(loss, y):
    clf = MLPClassifier(8, loss=loss, random_state=0, learning_rate_init=0.01).fit(X, y)
    scores = clf.decision_function(X)
    assert clf.score(X, y) > 0.75
    chosen = scores.argmax(axis=1) if scores.ndim == 2 else (scores > 0).astype(int)
    np.testing.assert_array_equal(chosen, clf.predict(X))
    assert not hasattr(clf, "predict_proba")
    assert not hasattr(MLPClassifier(), "decision_function")


def test_hinge_of_each_class_against_the_rest():
    clf = MLPClassifier((), loss="hinge", solver="lbfgs", max_iter=10, alpha=0.5, random_state=0).fit(X, Y)
    signs = np.where(Y[:, None] == np.arange(3), 1, -1)
    loss = np.maximum(0, 1 - signs * (X @ clf.coefs_[0] + clf.intercepts_[0])).sum(axis=1).mean()
    np.testing.assert_allclose(clf.loss_, loss + 0.25 * (clf.coefs_[0] ** 2).sum() / len(X), rtol=1e-9)


def test_counts_that_are_text():
    with pytest.raises(TypeError, match="y has dtype <U1"):
        MLPRegressor(loss="poisson", max_iter=1).fit(np.zeros((3, 1)), np.array(["1", "2", "3"]))


def test_losses_that_do_not_fit():
    for cls, loss, y in (
        (MLPClassifier, "categorical_hinge", TWO),
        (MLPClassifier, "mse", Y),
        (MLPRegressor, "log_loss", YR),
        (MLPRegressor, "hinge", YR),
    ):
        if loss == "mse":
            cls(loss=loss, max_iter=1).fit(X, y)  # of one-hot targets and probabilities
            continue
        with pytest.raises(ValueError, match="loss"):
            cls(loss=loss, max_iter=1).fit(X if cls is MLPClassifier else XR, y)


@pytest.mark.parametrize("early", [False, True])
def test_rows_of_ones_own_to_validate_on(early):
    held = X[160:], Y[160:]
    clf = MLPClassifier(8, random_state=0, max_iter=30, early_stopping=early, learning_rate_init=0.01).fit(
        X[:160], Y[:160], validation_data=held
    )
    assert len(clf.validation_loss_curve_) == len(clf.validation_scores_) == clf.n_iter_
    assert clf.t_ == 160 * clf.n_iter_
    if early:
        assert clf.score(*held) == clf.best_validation_score_ == max(clf.validation_scores_)
    else:
        assert clf.score(*held) == clf.validation_scores_[-1]
        np.testing.assert_allclose(clf.validation_loss_curve_[-1], log_loss(held[1], clf.predict_proba(held[0])), rtol=1e-9)
    with pytest.raises(ValueError, match="validation_data must be"):
        MLPClassifier().fit(X, Y, validation_data=X)
    with pytest.raises(ValueError, match="features"):
        MLPClassifier().fit(X, Y, validation_data=(X[:, :3], Y))


def test_validation_of_regression_and_weights():
    weight = np.linspace(0.5, 2, 50)
    reg = MLPRegressor(hidden_layer_sizes=8, random_state=0, max_iter=5).fit(
        XR[:150], YR[:150], validation_data=(XR[150:], YR[150:], weight)
    )
    error = reg.predict(XR[150:]) - YR[150:]
    np.testing.assert_allclose(reg.validation_loss_curve_[-1], 0.5 * np.average(error**2, weights=weight), rtol=1e-9)
    np.testing.assert_allclose(reg.validation_scores_[-1], reg.score(XR[150:], YR[150:], weight), rtol=1e-9)


def test_callbacks():
    stop = nn.callbacks.EarlyStopping(monitor="val_loss", patience=2, restore_best_weights=True)
    clf = MLPClassifier(30, callbacks=[stop], random_state=0, max_iter=400, learning_rate_init=0.05)
    clf.fit(X[:120], Y[:120], validation_data=(X[120:], Y[120:]))
    assert clf.n_iter_ < 400
    losses = []
    log = nn.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: losses.append(logs["loss"]))
    clf = MLPClassifier(6, callbacks=log, random_state=0, max_iter=4).fit(X, Y)
    np.testing.assert_allclose(losses, clf.loss_curve_)


@pytest.mark.parametrize(
    "solver", [nn.optim.AdamW(lr=0.01), nn.optim.Lion(lr=1e-3), "rmsprop", "adagrad", "nadam", nn.optim.LBFGS()]
)
def test_other_solvers(solver):
    rate = 0.05 if solver == "adagrad" else 0.01
    clf = MLPClassifier(12, solver=solver, learning_rate_init=rate, random_state=0).fit(X, Y)
    assert clf.score(X, Y) > 0.7
    assert clone(clf).solver == solver or type(clone(clf).solver) is type(solver)


def test_an_optimizer_is_the_solver_of_its_name():
    """The penalty of an object is scaled as that of a name is."""
    named = MLPClassifier(6, solver="sgd", momentum=0, alpha=0.5, learning_rate_init=0.1, max_iter=10, random_state=0).fit(X, Y)
    given = MLPClassifier(6, solver=nn.optim.SGD(lr=0.1), alpha=0.5, max_iter=10, random_state=0).fit(X, Y)
    np.testing.assert_allclose(given.loss_curve_, named.loss_curve_, rtol=1e-12)
    scheduled = MLPClassifier(
        6, solver=nn.optim.Adam(lr=nn.schedules.Exponential(0.05, gamma=0.9)), max_iter=5, random_state=0
    ).fit(X, Y)
    assert scheduled.loss_curve_[-1] < scheduled.loss_curve_[0]


def test_sparse_rows_are_dense_in_batches_only(monkeypatch):
    sparse = pytest.importorskip("scipy.sparse")
    rows, made = sparse.random(3000, 400, 0.01, "csr", random_state=0, dtype=np.float32), []
    dense = type(rows).toarray
    monkeypatch.setattr(type(rows), "toarray", lambda own, *a, **k: made.append(own.shape[0]) or dense(own, *a, **k))
    clf = MLPClassifier(8, max_iter=2, random_state=0, batch_size=100).fit(rows, np.arange(3000) % 2)
    assert max(made) == 100
    assert clf.predict(rows).shape == (3000,)
    assert clf.coefs_[0].dtype == np.float32


def test_products_in_bfloat16():
    clf = MLPClassifier((32, 32), compute="bfloat16", dtype="float32", random_state=0, max_iter=30, learning_rate_init=0.01)
    assert clf.fit(np.repeat(X, 4, axis=1), Y).score(np.repeat(X, 4, axis=1), Y) > 0.7
    assert clf.model_.compute == "bfloat16"


def test_views_of_the_weights():
    clf = MLPClassifier(5, max_iter=1, random_state=0).fit(X, Y)
    before = clf.predict_proba(X)
    clf.coefs_[-1][...] = 0
    clf.intercepts_[-1] = np.zeros(3)
    np.testing.assert_allclose(clf.predict_proba(X), 1 / 3)
    clf.coefs_ = [each + 1 for each in clf.coefs_]
    assert not np.allclose(clf.predict_proba(X), before)
    with pytest.raises(ValueError, match="the weights have shape"):
        clf.coefs_[0] = np.zeros((2, 2))
    with pytest.raises(AttributeError, match="call fit first"):
        MLPClassifier().coefs_  # noqa: B018


def test_a_failed_fit_leaves_the_last_one():
    clf = MLPClassifier(5, max_iter=3, random_state=0).fit(X, Y)
    before = clf.predict_proba(X)
    with pytest.raises(ValueError, match="gaussian_nll"):
        clf.set_params(loss="gaussian_nll").fit(X, Y)
    clf.set_params(loss="log_loss")
    np.testing.assert_array_equal(clf.predict_proba(X), before)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        clf.fit(X, Y)
    np.testing.assert_array_equal(clf.predict_proba(X), before)


@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_partial_fit_takes_a_changed_alpha_as_scikit_learn_does(solver):
    """The optimizer goes on with its moments, and with its count of steps."""
    given = {"hidden_layer_sizes": 6, "solver": solver, "learning_rate_init": 0.02, "shuffle": False, "random_state": 0}
    theirs, ours = sklearn.neural_network.MLPClassifier(**given), MLPClassifier(**given)
    for alpha in (1e-4, 1e-4, 20.0, 20.0, 0.0):
        for each in (theirs, ours):
            each.set_params(alpha=alpha).partial_fit(X, Y, classes=[0, 1, 2])
        np.testing.assert_allclose(ours.loss_, theirs.loss_, rtol=1e-9)
        for mine, other in zip(ours.coefs_ + ours.intercepts_, theirs.coefs_ + theirs.intercepts_, strict=True):
            np.testing.assert_allclose(mine, other, rtol=1e-7, atol=1e-10)
    assert ours.t_ == theirs.t_ == 5 * len(X)


@pytest.mark.parametrize(
    ("rows", "given", "size"),
    [(41, 20, 19), (41, 1000, 41), (201, "auto", 199), (7, 3, 4), (7, 2, 4), (13, 4, 5), (12, 5, 5), (2, 2, 2)],
)
def test_batch_normalisation_gets_no_batch_of_one_row(rows, given, size):
    x, y = np.resize(X, (rows, 8)), np.arange(rows) % 2
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of batches larger than the data
        nets = [
            MLPClassifier(4, batch_norm=True, batch_size=each, max_iter=3, random_state=0).fit(kind(x), y)
            for each, kind in ((given, np.array), (size, np.array), (given, csr_matrix))
        ]
    assert nets[0].model_.step == 3 * -(-rows // size)
    for net in nets[1:]:
        np.testing.assert_allclose(net.predict_proba(x), nets[0].predict_proba(x), rtol=1e-9)


def test_partial_fit_refuses_classes_that_are_not_the_columns_of_several_labels():
    several = np.eye(3, dtype=int)[Y]
    for given in ([0, 1], [5, 6, 7], ["a", "b", "c"]):
        for each in (sklearn.neural_network.MLPClassifier(), MLPClassifier(), nn.estimators.Classifier()):
            with pytest.raises(ValueError, match="`y` has classes not in `self.classes_`"):
                each.partial_fit(X, several, classes=given)
            assert not hasattr(each, "model_")
    for given in ([0, 1, 2], [3, 2, 1, 0]):
        theirs, ours = (each.partial_fit(X, several, classes=given).partial_fit(X, several, classes=given)
                        for each in (sklearn.neural_network.MLPClassifier(), MLPClassifier()))  # fmt: skip
        np.testing.assert_array_equal(ours.classes_, theirs.classes_)
        assert ours.predict_proba(X).shape == theirs.predict_proba(X).shape


@pytest.mark.parametrize("weights", [{0: 0, 1: 0, 2: 0}, {0: 0.0, 1: 0.0, 2: 0}])
def test_class_weights_that_leave_nothing(weights):
    with pytest.raises(ValueError, match="class_weight=.*no row"):
        MLPClassifier(4, class_weight=weights, max_iter=1).fit(X, Y)


def test_lbfgs_drops_other_units_in_each_block_of_sparse_rows(monkeypatch):
    """Of equal blocks that drop the same units, the loss would be that of one block."""
    monkeypatch.setattr("nncore.estimators.mlp.base.BLOCK", 4 * 8)
    x, y = np.random.default_rng(0).random((4, 8)), np.array([0, 1, 0, 1])
    nets = [
        MLPClassifier(30, solver="lbfgs", dropout=0.5, alpha=0.0, max_fun=1, max_iter=1, random_state=0).fit(
            csr_matrix(rows), labels
        )
        for rows, labels in ((x, y), (np.tile(x, (6, 1)), np.tile(y, 6)))
    ]
    assert abs(nets[0].loss_ - nets[1].loss_) > 1e-3
