"""Ensembles and other estimators of scikit-learn around ours."""

import numpy as np
import pytest
from estimator_instances import CLASSIFIERS, PROBABLE, REGRESSORS, make, rows_for
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import make_multilabel_classification
from sklearn.ensemble import (
    AdaBoostClassifier,
    AdaBoostRegressor,
    BaggingClassifier,
    BaggingRegressor,
    StackingClassifier,
    StackingRegressor,
    VotingClassifier,
    VotingRegressor,
)
from sklearn.feature_selection import SequentialFeatureSelector
from sklearn.linear_model import Ridge
from sklearn.multiclass import OneVsOneClassifier, OneVsRestClassifier, OutputCodeClassifier
from sklearn.multioutput import ClassifierChain, MultiOutputClassifier, MultiOutputRegressor, RegressorChain
from sklearn.naive_bayes import GaussianNB
from sklearn.preprocessing import StandardScaler
from sklearn.semi_supervised import SelfTrainingClassifier

from nncore.estimators import MLPClassifier, MLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

LABELS = np.array(["ant", "bee", "cow"])


def net(name="MLPClassifier", **settings):
    return make(name, hidden_layer_sizes=(10,), learning_rate_init=0.01, random_state=0, **settings)


@pytest.mark.parametrize("name", CLASSIFIERS)
@pytest.mark.parametrize("method", ["sigmoid", "isotonic"])
def test_calibration(name, method):
    x, y = rows_for(name)
    found = CalibratedClassifierCV(net(name), method=method, cv=2).fit(x, LABELS[y], sample_weight=np.ones(len(x)))
    assert found.score(x, LABELS[y]) > 0.8
    np.testing.assert_allclose(found.predict_proba(x).sum(axis=1), 1)


def test_calibration_of_a_fitted_net():
    from sklearn.frozen import FrozenEstimator

    x, y = rows_for("MLPClassifier")
    fitted = net().fit(x, y)
    found = CalibratedClassifierCV(FrozenEstimator(fitted)).fit(x, y)
    assert found.score(x, y) > 0.9


@pytest.mark.parametrize("name", PROBABLE)
def test_voting_and_stacking_of_classifiers(name):
    x, y = rows_for(name)
    members = [("net", net(name)), ("line", GaussianNB())]
    voting = VotingClassifier(members, voting="soft", n_jobs=2).fit(x, LABELS[y])
    mean = (clone(members[0][1]).fit(x, y).predict_proba(x) + GaussianNB().fit(x, y).predict_proba(x)) / 2
    np.testing.assert_allclose(voting.predict_proba(x), mean, rtol=1e-6)
    stacking = StackingClassifier(members, final_estimator=net(name), cv=2, passthrough=True).fit(x, LABELS[y])
    assert stacking.score(x, LABELS[y]) > 0.8


@pytest.mark.parametrize("name", REGRESSORS)
def test_voting_and_stacking_of_regressors(name):
    x, y = rows_for(name)
    members = [("net", net(name)), ("line", Ridge())]
    voting = VotingRegressor(members).fit(x, y)
    mean = (clone(members[0][1]).fit(x, y).predict(x) + Ridge().fit(x, y).predict(x)) / 2
    np.testing.assert_allclose(voting.predict(x), mean, rtol=1e-6)
    assert StackingRegressor(members, cv=2).fit(x, y).score(x, y) > 0.8


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_bagging_and_boosting_of_classifiers(name):
    x, y = rows_for(name)
    bags = BaggingClassifier(net(name), n_estimators=3, max_features=0.75, n_jobs=2, random_state=0)
    assert bags.fit(x, LABELS[y]).score(x, LABELS[y]) > 0.7
    seeds = {member.random_state for member in bags.estimators_ if hasattr(member, "random_state")}
    assert len(seeds) in (0, 3)  # scikit-learn gives each its own
    boosted = AdaBoostClassifier(net(name), n_estimators=3, random_state=0).fit(x, LABELS[y])
    assert boosted.score(x, LABELS[y]) > 0.7


@pytest.mark.parametrize("name", REGRESSORS)
def test_bagging_and_boosting_of_regressors(name):
    x, y = rows_for(name)
    assert BaggingRegressor(net(name), n_estimators=3, random_state=0).fit(x, y).score(x, y) > 0.5
    assert AdaBoostRegressor(net(name), n_estimators=3, random_state=0).fit(x, y).score(x, y) > 0.5


def test_weights_of_boosting_reach_the_net():
    """AdaBoost weighs rows; a net that ignores weights would be the same each time. alpha is divided by the sum of the weights."""
    x, y = rows_for("MLPClassifier", rows=40)
    y = np.where(np.arange(40) % 7 == 0, 1 - y % 2, y % 2)  # some labels are wrong, so that there is something to boost
    first, second = AdaBoostClassifier(net(max_iter=20, alpha=0.0), n_estimators=2, random_state=0).fit(x, y).estimators_
    np.testing.assert_allclose(first.predict_proba(x), clone(first).fit(x, y).predict_proba(x), rtol=1e-5)
    assert not np.allclose(second.predict_proba(x), clone(second).fit(x, y).predict_proba(x), rtol=1e-2)


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_one_against_others(name):
    x, y = rows_for("MLPClassifier")
    for wrapper in (OneVsRestClassifier, OneVsOneClassifier):
        assert wrapper(net(name), n_jobs=2).fit(x, LABELS[y]).score(x, LABELS[y]) > 0.7
    coded = OutputCodeClassifier(net(name), code_size=3, random_state=0)
    assert coded.fit(x, LABELS[y]).score(x, LABELS[y]) > 0.5


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_several_labels_by_wrappers(name):
    x, y = make_multilabel_classification(80, 6, n_classes=3, random_state=0)
    x = StandardScaler().fit_transform(x)
    for wrapped in (MultiOutputClassifier(net(name)), ClassifierChain(net(name), random_state=0), OneVsRestClassifier(net(name))):
        found = wrapped.fit(x, y).predict(x)
        assert found.shape == y.shape
        assert np.mean(found == y) > 0.75


def test_chains_and_outputs_of_regressors():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(80, 3))
    y = np.c_[x[:, 0] + x[:, 1], x[:, 2] - x[:, 0]]
    for wrapped in (MultiOutputRegressor(net("MLPRegressor")), RegressorChain(net("MLPRegressor")), net("MLPRegressor")):
        found = wrapped.fit(x, y).predict(x)
        assert found.shape == y.shape
        assert np.mean((found - y) ** 2) < 0.2


def test_outputs_of_wrappers_are_those_of_each_column():
    x, y = make_multilabel_classification(60, 4, n_classes=2, random_state=0)
    wrapped = MultiOutputClassifier(net()).fit(x, y)
    alone = clone(net()).fit(x, y[:, 1])
    np.testing.assert_array_equal(wrapped.predict_proba(x)[1], alone.predict_proba(x))


def test_partial_fit_by_wrappers():
    x, y = make_multilabel_classification(60, 4, n_classes=2, random_state=0)
    wrapped = MultiOutputClassifier(net()).partial_fit(x, y, classes=[[0, 1]] * 2).partial_fit(x, y)
    alone = net().partial_fit(x, y[:, 1], classes=[0, 1]).partial_fit(x, y[:, 1])
    np.testing.assert_array_equal(wrapped.predict_proba(x)[1], alone.predict_proba(x))


def test_transformed_target():
    from sklearn.compose import TransformedTargetRegressor

    x, y = rows_for("MLPRegressor")
    for target in (1000 * y + 5000, np.c_[1000 * y + 5000, -y]):
        found = TransformedTargetRegressor(net("MLPRegressor"), transformer=StandardScaler()).fit(x, target)
        assert found.predict(x).shape == target.shape
        assert found.score(x, target) > 0.8


def test_self_training():
    x, y = rows_for("MLPClassifier", rows=90)
    partly = np.where(np.arange(90) < 60, y, -1)
    assert SelfTrainingClassifier(net(), threshold=0.9).fit(x, partly).score(x, y) > 0.9


def test_selection_of_features():
    """RFE and SelectFromModel need one coefficient per feature, which a net does not have; sequential selection needs scores."""
    x, y = rows_for("MLPRegressor")
    kept = SequentialFeatureSelector(net("MLPRegressor", max_iter=30), n_features_to_select=2, cv=2).fit(x, y).get_support()
    assert kept.tolist() == [True, True, False, False]


def test_copies_of_estimators_in_containers():
    """The kinds of scikit-learn tell apart, and so do tags."""
    from sklearn.base import is_classifier, is_regressor

    assert is_classifier(MLPClassifier())
    assert is_regressor(MLPRegressor())
    assert not is_regressor(MLPClassifier())
    assert MLPClassifier().__sklearn_tags__().target_tags.required
