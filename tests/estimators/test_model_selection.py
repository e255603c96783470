"""scikit-learn's searches, cross-validation and inspection around the estimators: each agrees with the estimator alone."""

import pickle
import warnings

import numpy as np
import pytest
from estimator_instances import CLASSIFIERS, NAMES, PROBABLE, make, rows_for
from sklearn.base import clone, is_classifier
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.inspection import PartialDependenceDisplay, partial_dependence, permutation_importance
from sklearn.model_selection import (
    GridSearchCV,
    HalvingRandomSearchCV,
    KFold,
    RandomizedSearchCV,
    StratifiedKFold,
    TunedThresholdClassifierCV,
    cross_val_predict,
    cross_val_score,
    cross_validate,
    learning_curve,
    validation_curve,
)
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

import nncore as nn
from nncore.estimators import MLPClassifier, MLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture
def digits():
    x, y = load_digits(return_X_y=True)
    return (x[:400] / 16).astype(np.float32), y[:400]


@pytest.mark.parametrize("name", NAMES)
def test_cross_validation_is_fits_and_scores(name):
    x, y = rows_for(name)
    net = make(name, random_state=0)
    folds = StratifiedKFold(3) if name in CLASSIFIERS else KFold(3)
    found = cross_val_score(net, x, y, cv=folds, error_score="raise")
    by_hand = [clone(net).fit(x[train], y[train]).score(x[test], y[test]) for train, test in folds.split(x, y)]
    np.testing.assert_array_equal(found, by_hand)
    assert np.mean(found) > 0.5


@pytest.mark.parametrize("name", PROBABLE)
@pytest.mark.parametrize("method", ["predict_proba", "predict_log_proba", "decision_function", "predict"])
def test_cross_val_predict(name, method):
    x, y = rows_for(name)
    labels = np.array(["ant", "bee", "cow"])[y]
    net = make(name, random_state=0)
    if not hasattr(net, method):
        return
    found = cross_val_predict(net, x, labels, method=method, cv=3)
    folds = list(StratifiedKFold(3).split(x, labels))
    train, test = folds[1]
    np.testing.assert_array_equal(found[test], getattr(clone(net).fit(x[train], labels[train]), method)(x[test]))


def test_a_class_that_a_fold_lacks():
    """scikit-learn fills its column; it needs ``classes_`` of each fold."""
    x, y = rows_for("MLPClassifier")
    y = np.where(np.arange(60) < 3, 3, y)  # the fourth class is in one fold only
    with pytest.warns(RuntimeWarning, match="Number of classes"):
        found = cross_val_predict(make("MLPClassifier", random_state=0), x, y, method="predict_proba", cv=KFold(5))
    assert found.shape == (60, 4)
    np.testing.assert_array_equal(found[:12, 3], 0)
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-6)


def test_grid_search_in_two_processes(digits):
    """Scores and the best net are those of one process, and a search can be pickled."""
    x, y = digits
    grid = {"net__hidden_layer_sizes": [(16,), (16, 8)], "net__solver__lr": [1e-3, 1e-2], "net__dropout": [0.0, 0.2]}
    net = Pipeline([("scale", StandardScaler()), ("net", MLPClassifier(solver=nn.optim.AdamW(), max_iter=5, random_state=0))])
    found = [GridSearchCV(net, grid, cv=2, n_jobs=jobs, error_score="raise").fit(x, y) for jobs in (1, 2)]
    for key in ("mean_test_score", "std_test_score", "split0_test_score"):
        np.testing.assert_array_equal(found[0].cv_results_[key], found[1].cv_results_[key])
    assert found[0].best_params_ == found[1].best_params_
    assert found[0].best_params_["net__solver__lr"] == 1e-2
    assert found[1].best_estimator_["net"].solver.lr == 1e-2
    np.testing.assert_array_equal(found[0].predict_proba(x), found[1].predict_proba(x))
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(found[1])).predict_proba(x), found[1].predict_proba(x))


def test_search_over_optimizers_and_own_parts(digits):
    """Objects as candidates: each fit gets a copy, and results name them."""
    x, y = digits
    rules = [nn.optim.SGD(lr=1e-9), nn.optim.Adam(lr=1e-2), "adam"]
    found = GridSearchCV(MLPClassifier(max_iter=5, random_state=0), {"solver": rules}, cv=2, error_score="raise").fit(x, y)
    assert found.best_params_["solver"] is rules[1]
    assert found.best_estimator_.solver is not rules[1]
    assert (rules[0].lr, rules[1].lr) == (1e-9, 1e-2)
    assert found.cv_results_["param_solver"].tolist() == rules


def test_randomised_search_by_halving(digits):
    x, y = digits
    choices = {"hidden_layer_sizes": [(4,), (16,), (32,)], "learning_rate_init": [1e-5, 1e-3, 1e-2], "alpha": [1e-4, 1e-2]}
    net = MLPClassifier(random_state=0)
    by_rows = HalvingRandomSearchCV(clone(net).set_params(max_iter=10), choices, cv=2, random_state=0, min_resources=80).fit(x, y)
    assert by_rows.n_resources_[0] == 80
    assert len(by_rows.n_candidates_) >= 2
    by_epochs = HalvingRandomSearchCV(
        net, choices, cv=2, random_state=0, resource="max_iter", max_resources=18, min_resources=2, n_candidates=9, n_jobs=2
    ).fit(x, y)
    assert by_epochs.n_resources_ == [2, 6, 18]
    assert by_epochs.best_estimator_.n_iter_ == 18
    assert by_epochs.best_score_ > 0.8


def test_several_scores_and_failing_candidates(digits):
    x, y = digits
    grid = {"activation": ["relu", "nonsense"], "max_iter": [3]}
    search = GridSearchCV(MLPClassifier(random_state=0), grid, cv=2, scoring=["accuracy", "neg_log_loss"], refit="neg_log_loss")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        search.fit(x, y)
    assert any("2 fits failed out of a total of 4" in str(warning.message) for warning in caught)
    assert np.isnan(search.cv_results_["mean_test_accuracy"]).tolist() == [False, True]
    assert search.best_params_ == {"activation": "relu", "max_iter": 3}


@pytest.mark.parametrize("name", NAMES)
def test_learning_curve(name):
    x, y = rows_for(name)
    sizes, train, test = learning_curve(
        make(name, random_state=0), x, y, cv=3, train_sizes=[0.5, 1.0], shuffle=True, random_state=0
    )
    assert sizes.tolist() == [20, 40]
    assert np.isfinite(train).all()
    assert np.isfinite(test).all()


def test_incremental_learning_curve():
    """By `partial_fit`, which goes on from the smaller part."""
    x, y = rows_for("MLPClassifier")
    net = make("MLPClassifier", random_state=0)
    sizes, train, _ = learning_curve(net, x, y, cv=2, train_sizes=[10, 20, 30], exploit_incremental_learning=True)
    assert sizes.tolist() == [10, 20, 30]
    rows, _ = next(iter(StratifiedKFold(2).split(x, y)))
    twin = clone(net).partial_fit(x[rows[:10]], y[rows[:10]], classes=np.unique(y))
    assert train[0, 0] == twin.score(x[rows[:10]], y[rows[:10]])
    assert train[1, 0] == twin.partial_fit(x[rows[10:20]], y[rows[10:20]]).score(x[rows[:20]], y[rows[:20]])


def test_validation_curve():
    x, y = rows_for("MLPRegressor")
    train, _ = validation_curve(
        make("MLPRegressor", random_state=0), x, y, param_name="learning_rate_init", param_range=[1e-6, 1e-2], cv=2
    )
    assert train[1].min() > train[0].max()


def test_cross_validate_returns_estimators_and_times():
    x, y = rows_for("MLPRegressor")
    found = cross_validate(make("MLPRegressor", random_state=0), x, y, cv=2, return_estimator=True, return_train_score=True)
    assert [type(net) for net in found["estimator"]] == [MLPRegressor] * 2
    assert all(net.loss_ > 0 for net in found["estimator"])


@pytest.mark.parametrize("name", NAMES)
def test_importance_of_features(name):
    """The last column says nothing about y."""
    x, y = rows_for(name, rows=120)
    net = make(name, random_state=0).fit(x, y)
    found = permutation_importance(net, x, y, n_repeats=5, random_state=0).importances_mean
    useful = found[:3] if name not in CLASSIFIERS or len(net.classes_) > 2 else found[:2]
    assert useful.max() > 0.1
    assert found[3] < 0.3 * useful.max()


@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith("MLP")])
def test_partial_dependence(name):
    x, y = rows_for(name)
    net = make(name, random_state=0).fit(x, y)
    found = partial_dependence(net, x, [0], kind="both", grid_resolution=5)
    value, moved = found["grid_values"][0][2], x.copy()
    moved[:, 0] = value
    if is_classifier(net):
        np.testing.assert_allclose(found["average"][1, 2], net.predict_proba(moved)[:, 1].mean(), rtol=1e-6)
    else:
        np.testing.assert_allclose(found["average"][0, 2], net.predict(moved).mean(), rtol=1e-6)
    pytest.importorskip("matplotlib").use("agg")
    PartialDependenceDisplay.from_estimator(net, x, [0, (0, 1)], target=1 if is_classifier(net) else None, grid_resolution=4)


def test_tuned_threshold():
    x, y = rows_for("MLPClassifier", rows=120)
    rare = (y == 2).astype(int)
    found = TunedThresholdClassifierCV(make("MLPClassifier", random_state=0), scoring="balanced_accuracy", cv=3).fit(x, rare)
    assert found.score(x, rare) > 0.8


def test_warnings_of_convergence_come_from_the_callers_line(digits):
    """Where a user has to look: not inside of nncore."""
    x, y = digits
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        MLPClassifier(max_iter=2, random_state=0).fit(x, y)
    assert [w.category for w in caught] == [ConvergenceWarning]
    assert "Maximum iterations (2) reached" in str(caught[0].message)
    assert caught[0].filename == __file__


def test_randomised_search_takes_distributions(digits):
    from scipy.stats import loguniform

    x, y = digits
    choices = {"learning_rate_init": loguniform(1e-4, 1e-1), "solver": ["adam", "sgd"], "batch_size": [32, 100]}
    found = RandomizedSearchCV(MLPClassifier(max_iter=3, random_state=0), choices, n_iter=3, cv=2, random_state=0).fit(x, y)
    assert len(found.cv_results_["params"]) == 3
