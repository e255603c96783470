"""Networks with several inputs and outputs in Classifier and Regressor: heads for the columns of y, inputs for those of X."""

import pickle
import warnings

import numpy as np
import pandas
import pytest
import scipy.sparse
import sklearn
from sklearn.base import clone
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV, cross_val_score

import nncore as nn
from nncore.errors import ArgumentError, ShapeError
from nncore.estimators import Classifier, MLPRegressor, Regressor


def heads(n_features, n_outputs, units=16):
    x = nn.Input((n_features,))
    h = nn.ReLU()(nn.Linear(n_features, units)(x))
    return nn.Model(x, [nn.Linear(units, each)(h) for each in n_outputs])


@pytest.fixture(scope="module")
def columns():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(240, 4))
    colour = np.array(["red", "green", "blue"])[np.argmax(X[:, :3], axis=1)]
    return X, np.column_stack([colour, np.where(X[:, 3] > 0, "large", "small")])


def soft(z):
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("build", [None, heads])
def test_each_column_of_labels_has_a_head(columns, build):
    """Classes, shapes and types are those of RandomForestClassifier; probabilities are those of the layers."""
    X, y = columns
    forest = RandomForestClassifier(5, random_state=0).fit(X, y)
    net = Classifier(build, lr=0.02, epochs=30, random_state=0).fit(X, y)
    for own, theirs in zip(net.classes_, forest.classes_, strict=True):
        np.testing.assert_array_equal(own, theirs)
    assert net.model_.output_shapes == [(3,), (1,)]
    predicted, probabilities = net.predict(X), net.predict_proba(X)
    assert (predicted.shape, predicted.dtype) == (forest.predict(X).shape, forest.predict(X).dtype)
    assert [each.shape for each in probabilities] == [each.shape for each in forest.predict_proba(X)]
    state = [*net.model_.state_dict().values()]
    hidden = np.maximum(X @ state[0].T + state[1], 0)
    np.testing.assert_allclose(probabilities[0], soft(hidden @ state[2].T + state[3]), rtol=1e-6)
    np.testing.assert_allclose(probabilities[1][:, 1], 1 / (1 + np.exp(-(hidden @ state[4].T + state[5])[:, 0])), rtol=1e-6)
    for k, each in enumerate(probabilities):
        np.testing.assert_array_equal(predicted[:, k], net.classes_[k][each.argmax(axis=1)])
        np.testing.assert_allclose(np.exp(net.predict_log_proba(X)[k]), each)
    assert net.score(X, y) == (predicted == y).all(axis=1).mean() > 0.85
    weights = np.arange(len(X))
    assert net.score(X, y, weights) == pytest.approx(np.average((predicted == y).all(axis=1), weights=weights))
    copied = pickle.loads(pickle.dumps(net))
    np.testing.assert_array_equal(copied.predict(pandas.DataFrame(X)), predicted)


def test_the_loss_is_the_sum_of_the_columns(columns):
    X, y = columns
    weights = {"red": 1, "green": 2, "blue": 3}, {"large": 1, "small": 4}
    rows = np.array([weights[0][a] * weights[1][b] for a, b in y])
    still = Classifier(heads, optimizer="sgd", lr=1e-12, batch_size=None, epochs=1, random_state=0)
    for class_weight, own, expected in ((None, None, None), (list(weights), None, rows), ("balanced", np.ones(len(y)), None)):
        net = clone(still).set_params(class_weight=class_weight).fit(X, y, own)
        if class_weight == "balanced":
            expected = sklearn.utils.class_weight.compute_sample_weight("balanced", y)
        truth = sum(log_loss(y[:, k], each, sample_weight=expected) for k, each in enumerate(net.predict_proba(X)))
        np.testing.assert_allclose(net.loss_curve_[0], truth, rtol=1e-6)


def test_training_options_and_searches_with_several_columns(columns):
    X, y = columns
    net = Classifier(heads, lr=0.02, epochs=40, early_stopping=True, n_iter_no_change=3, random_state=0)
    net.fit(X, y, validation_data=(X[:50], y[:50]))
    assert len(net.validation_loss_curve_) == net.n_iter_
    assert net.fit(X, y).score(X, y) > 0.5
    assert (cross_val_score(net.set_params(early_stopping=False), X, y, cv=2) > 0.6).all()
    assert GridSearchCV(net, {"build__units": [4, 8]}, cv=2).fit(X, y).best_estimator_.predict(X).shape == y.shape


def test_partial_fit_with_classes_of_each_column(columns):
    X, y = columns
    classes = [np.unique(each) for each in y.T]
    net = Classifier(heads, lr=0.02, random_state=0)
    with pytest.raises(ValueError, match="classes must be a list with the classes of each"):
        net.partial_fit(X, y, classes[:1])
    few = y[:, 0] == "red"
    net.partial_fit(X[few], y[few], classes)
    for _ in range(30):
        net.partial_fit(X, y, classes)
    assert net.score(X, y) > 0.8
    with pytest.raises(ValueError, match="not the same as on last call"):
        net.partial_fit(X, y, classes[::-1])
    with pytest.raises(ValueError, match="classes not in"):
        net.partial_fit(X, np.where(y == "red", "pink", y))
    with pytest.raises(ValueError, match=r"y has the shape \(240, 1\).*2 columns of labels|y has the shape \(240,\)"):
        net.partial_fit(X, y[:, 0])
    binary = Classifier(heads, random_state=0).partial_fit(X[:4], [[0, 1], [1, 0], [0, 0], [1, 1]], [[0, 1], [0, 1, 2]])
    assert [each.shape for each in binary.predict_proba(X)] == [(240, 2), (240, 3)]


@pytest.mark.parametrize("kind", [np.asarray, scipy.sparse.csr_matrix])
def test_labels_at_once_are_dealt_to_heads_by_their_widths(columns, kind):
    X = columns[0]
    y = (np.column_stack([X[:, 0], X[:, 1], X[:, 2]]) > 0).astype(int)
    net = Classifier(lambda n, m: heads(n, [2, 1]), lr=0.02, epochs=40, random_state=0).fit(X, kind(y))
    found = net.predict(X)
    assert scipy.sparse.issparse(found) == (kind is not np.asarray)
    found = found.toarray() if scipy.sparse.issparse(found) else found
    assert net.predict_proba(X).shape == y.shape
    np.testing.assert_array_equal(found, net.predict_proba(X) > 0.5)
    assert net.score(X, kind(y)) > 0.7
    margins = clone(net).set_params(loss="hinge").fit(X, kind(y))
    assert margins.decision_function(X).shape == y.shape
    with pytest.raises(ShapeError, match=r"the outputs of the model are for 2 \+ 2 = 4 columns of y, but y has 3"):
        Classifier(heads(4, [2, 2])).fit(X, y)


def test_heads_of_numbers_take_columns_by_their_widths(columns, rng):
    X = columns[0]
    y = np.column_stack([X[:, 0], X[:, 1] - X[:, 0], X[:, 2] * 2])

    def names(n_features, n_outputs):
        x = nn.Input((n_features,))
        h = nn.Tanh()(nn.Linear(n_features, 16)(x))
        return nn.Model(x, {"two": nn.Linear(16, 2)(h), "one": nn.Linear(16, 1)(h)})

    net = Regressor(names, lr=0.02, epochs=40, random_state=0, loss={"two": "mse", "one": "huber"}).fit(X, y)
    assert net.score(X, y) > 0.9
    out = net.model_.predict(X)
    np.testing.assert_allclose(net.predict(X), np.hstack([out["two"], out["one"]]))
    still = clone(net).set_params(optimizer="sgd", lr=1e-12, batch_size=None, epochs=1).fit(X, y)
    d = still.predict(X) - y
    huber = np.where(np.abs(d[:, 2]) < 1, d[:, 2] ** 2 / 2, np.abs(d[:, 2]) - 0.5)
    np.testing.assert_allclose(still.loss_curve_[0], (d[:, :2] ** 2).mean() + huber.mean(), rtol=1e-6)
    spread = Regressor(lambda n, m: heads(n, [4, 1]), loss=["gaussian_nll", "mse"], lr=0.02, epochs=20, random_state=0).fit(X, y)
    assert spread.predict(X).shape == y.shape
    for given, wrong in (([1, 1], "1 \\+ 1 = 2 columns of y, but y has 3"), ([3, 1], "3 \\+ 1 = 4 columns")):
        with pytest.raises(ShapeError, match=wrong):
            Regressor(heads(4, given)).fit(X, y)
    for loss in (["mse"], {"two": "mse", "three": "mse"}):
        with pytest.raises(ArgumentError, match=r"loss must be one for all outputs, or one for each of \['two', 'one'\]"):
            clone(net).set_params(loss=loss).fit(X, y)
    steps = rng.normal(size=(30, 5, 2))
    x = nn.Input((5, 2))
    tagger = nn.Model(x, [nn.Linear(2, 1)(x), nn.Linear(2, 1)(x)])
    assert Regressor(tagger, epochs=50, lr=0.05, random_state=0).fit(steps, steps[..., ::-1]).score(steps, steps[..., ::-1]) > 0.9


def test_sparse_targets_of_regressors_are_made_dense(columns):
    X = columns[0]
    y = np.where(X[:, :2] > 0, X[:, :2], 0)
    for net in (Regressor(epochs=2, random_state=0), MLPRegressor(solver="lbfgs", max_iter=500, max_fun=100, random_state=0)):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            sparse = clone(net).fit(X, scipy.sparse.csr_matrix(y))
            np.testing.assert_array_equal(sparse.predict(X), clone(net).fit(X, y).predict(X))


def test_columns_of_a_table_are_dealt_to_inputs(rng):
    """An embedding of a number of a category beside numbers: a table that one layer alone cannot learn."""
    city, value = rng.integers(0, 6, 400), rng.normal(size=(400, 2))
    effect = np.array([3.0, -2, 5, 0, 1, -4])
    X, y = pandas.DataFrame({"a": value[:, 0], "b": value[:, 1], "city": city}), effect[city] + value[:, 0]

    def build(n_features, n_outputs):
        numbers, number = nn.Input((n_features - 1,)), nn.Input(())
        return nn.Model(
            [numbers, number], nn.Linear(n_features + 2, n_outputs)(nn.concatenate([numbers, nn.Embedding(6, 3)(number)]))
        )

    net = Regressor(build, lr=0.03, epochs=40, early_stopping=True, random_state=0).fit(X, y)
    assert net.score(X, y) > 0.97
    np.testing.assert_allclose(net.predict(X), net.model_.predict([value, city])[:, 0])
    labels = Classifier(build, lr=0.03, epochs=30, random_state=0).fit(X, y > 0, validation_data=(X, y > 0))
    assert labels.score(X, y > 0) > 0.9
    a, b = nn.Input((2,)), nn.Input((2,))
    with pytest.raises(ShapeError, match=r"the inputs of the model have 2 \+ 2 = 4 columns, but X has 3"):
        Regressor(nn.Model([a, b], nn.Linear(2, 1)(a + b))).fit(X, y)


def test_heads_that_do_not_fit_leave_the_estimator_as_it_was(columns):
    X, y = columns
    net = Classifier(heads, epochs=1, random_state=0).fit(X, y)
    before = net.predict_proba(X)[0]
    for build, wrong in (
        (lambda n, m: heads(n, [3]), r"y has 2 columns of labels, and each needs an output .* \[3, 1\] units; the model has 1"),
        (lambda n, m: heads(n, [3, 3]), r"output 'linear_2' gives \(N, 3\), but column 1 of y has two classes"),
    ):
        with pytest.raises(ShapeError, match=wrong):
            net.set_params(build=build).fit(X, y)
        np.testing.assert_array_equal(net.predict_proba(X)[0], before)
    with pytest.raises(
        ArgumentError, match=r"y has 2 columns of labels, so build gets n_outputs=\[3, 1\] for an output each: Linear"
    ):
        Classifier(lambda n, m: nn.Sequential(nn.Linear(n, m))).fit(X, y)
    alone = Classifier(epochs=1, warm_start=True, random_state=0).fit(X, y[:, 0])
    with pytest.raises(ValueError, match=r"y has the shape \(240, 2\), but the estimator was fitted with \(n_samples,\)"):
        alone.fit(X, np.column_stack([y[:, 0], y[:, 0]]))
    with pytest.raises(ShapeError, match=r"the model has 2 outputs .* y has class labels; one output is needed"):
        Classifier(heads(4, [3, 3])).fit(X, y[:, 0])
