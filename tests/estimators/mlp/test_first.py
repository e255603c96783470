"""The two estimators do what a user of scikit-learn does first: fit, predict, score, pickle, clone, and all of check_estimator."""

import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_digits

import nncore as nn


def test_digits_are_learnt():
    X, y = load_digits(return_X_y=True)
    X = X / 16
    model = nn.estimators.MLPClassifier(max_iter=60, learning_rate_init=3e-3, tol=0.0, random_state=1)
    with pytest.warns(UserWarning, match="Maximum iterations"):
        model.fit(X[:1200], y[:1200])
    assert model.score(X[1200:], y[1200:]) > 0.91
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict_proba(X[:50]), model.predict_proba(X[:50]))
    assert not hasattr(clone(model), "coefs_")
    assert [each.shape for each in model.coefs_] == [(64, 100), (100, 10)]


def test_lines_are_learnt():
    X = np.linspace(-1, 1, 100)[:, None]
    model = nn.estimators.MLPRegressor(solver="lbfgs", random_state=0).fit(X, 2 * X[:, 0] + 1)
    np.testing.assert_allclose(model.predict(X), 2 * X[:, 0] + 1, atol=0.02)
