"""Metadata: weights of rows and validation data go where they are asked for, through pipelines and searches."""

import numpy as np
import pytest
import sklearn
from estimator_instances import NAMES, make, rows_for
from sklearn.base import clone
from sklearn.exceptions import UnsetMetadataPassedError
from sklearn.model_selection import GridSearchCV, GroupKFold, StratifiedKFold, cross_validate
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.metadata_routing import get_routing_for_object

import nncore as nn
from nncore.estimators import Classifier, MLPClassifier

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture(autouse=True)
def routing():
    with sklearn.config_context(enable_metadata_routing=True):
        yield


@pytest.fixture
def data():
    x, y = rows_for("MLPClassifier")
    return x, y, np.linspace(0.1, 2, len(x))


def proba(net, x):
    return net.predict_proba(x)


def small(**settings):
    return make("MLPClassifier", random_state=0, max_iter=10, **settings)


@pytest.mark.parametrize("name", NAMES)
def test_what_may_be_asked_for(name):
    requests = get_routing_for_object(make(name))
    weighs = hasattr(make(name), "set_fit_request")
    assert weighs
    net = make(name).set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
    asked = get_routing_for_object(net)
    assert asked.fit.requests["sample_weight"] is True
    assert asked.score.requests["sample_weight"] is True
    assert requests.fit.requests["sample_weight"] is None


def test_weights_that_nobody_asked_for(data):
    x, y, weight = data
    net = Pipeline([("scale", StandardScaler()), ("net", small())])
    with pytest.raises(UnsetMetadataPassedError, match="sample_weight"):
        net.fit(x, y, sample_weight=weight)


def test_weights_in_a_pipeline(data):
    x, y, weight = data
    scaler = StandardScaler().set_fit_request(sample_weight=False)
    net = Pipeline([("scale", scaler), ("net", small().set_fit_request(sample_weight=True))]).fit(x, y, sample_weight=weight)
    scaled = StandardScaler().fit_transform(x)
    np.testing.assert_array_equal(proba(net, x), proba(small().fit(scaled, y, sample_weight=weight), scaled))
    assert not np.allclose(proba(net, x), proba(small().fit(scaled, y), scaled))


def test_weights_in_a_search(data):
    x, y, weight = data
    net = small().set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
    search = GridSearchCV(net, {"alpha": [1e-4]}, cv=GroupKFold(3), error_score="raise")
    groups = np.arange(60) // 10
    search.fit(x, y, sample_weight=weight, groups=groups)
    train, test = next(GroupKFold(3).split(x, y, groups))
    alone = small(alpha=1e-4).fit(x[train], y[train], sample_weight=weight[train])
    assert search.cv_results_["split0_test_score"][0] == alone.score(x[test], y[test], sample_weight=weight[test])


def test_partial_fit_requests():
    assert MLPClassifier().set_partial_fit_request(classes=True, sample_weight=True) is not None


def test_cross_validate_passes_weights(data):
    x, y, weight = data
    net = small().set_fit_request(sample_weight=True).set_score_request(sample_weight=False)
    plain = cross_validate(small(), x, y, cv=3)["test_score"]
    weighed = cross_validate(net, x, y, cv=3, params={"sample_weight": weight**4}, return_estimator=True)
    assert weighed["test_score"].shape == plain.shape
    assert not np.allclose(
        weighed["estimator"][0].coefs_[0], cross_validate(small(), x, y, cv=3, return_estimator=True)["estimator"][0].coefs_[0]
    )


def test_aliases(data):
    x, y, weight = data
    net = Pipeline([("net", small().set_fit_request(sample_weight="importance"))]).fit(x, y, importance=weight)
    np.testing.assert_array_equal(proba(net, x), proba(small().fit(x, y, sample_weight=weight), x))


def test_validation_data_are_transformed_by_a_pipeline(data):
    """scikit-learn's own names for them: a pipeline transforms X_val as it transforms X."""
    x, y, _ = data
    rng = np.random.default_rng(1)
    x_val, y_val = 5 + 2 * x[:20] + rng.normal(size=(20, 4)), y[:20]
    for name in ("MLPClassifier", "Classifier"):
        net = make(name, random_state=0, max_iter=5, epochs=5, early_stopping=True)
        request = clone(net).set_fit_request(X_val=True, y_val=True)
        pipeline = Pipeline([("scale", StandardScaler()), ("net", request)], transform_input=["X_val"])
        pipeline.fit(x, y, X_val=x_val, y_val=y_val)
        scale = StandardScaler().fit(x)
        alone = clone(net).fit(scale.transform(x), y, validation_data=(scale.transform(x_val), y_val))
        assert pipeline["net"].validation_loss_curve_ == alone.validation_loss_curve_
        assert len(alone.validation_loss_curve_) == alone.n_iter_
        np.testing.assert_array_equal(proba(pipeline, x), proba(alone, scale.transform(x)))


@pytest.mark.parametrize("name", ["MLPClassifier", "MLPRegressor", "Classifier", "Regressor"])
def test_validation_data_come_in_one_way(name):
    x, y = rows_for(name)
    net = make(name, max_iter=3, epochs=3)
    for given in ({"X_val": x}, {"y_val": y}, {"X_val": x, "y_val": y, "validation_data": (x, y)}):
        with pytest.raises(ValueError, match="X_val and y_val"):
            net.fit(x, y, **given)


def test_lengths_are_split_with_the_rows():
    """The padding has large numbers, so a net that saw it would not score as the one that is fitted by hand."""
    rng = np.random.default_rng(0)
    x, lengths = rng.normal(size=(60, 8, 2)), rng.integers(2, 9, 60)
    y = (np.array([s[:n, 0].mean() for s, n in zip(x, lengths, strict=True)]) > 0).astype(int)
    x[np.arange(8) >= lengths[:, None]] = 1e3

    def build(n_features, n_outputs):
        return nn.Sequential(nn.GRU(n_features, 8), nn.Linear(8, n_outputs))

    net = Classifier(build, epochs=10, lr=0.02, random_state=0)
    asking = clone(net).set_fit_request(lengths=True).set_score_request(lengths=True)
    folds = StratifiedKFold(2)
    found = cross_validate(asking, x, y, cv=folds, params={"lengths": lengths}, error_score="raise")["test_score"]
    by_hand = [clone(net).fit(x[a], y[a], lengths=lengths[a]).score(x[b], y[b], lengths=lengths[b]) for a, b in folds.split(x, y)]
    np.testing.assert_array_equal(found, by_hand)
    assert found.min() > 0.6
