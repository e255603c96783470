"""One estimator of each class of nncore.estimators, small enough for tests, and what kind of estimator it is.

A class that is not named in `SETTINGS` is made without arguments: a new one is tested without any entry here.
"""

import numpy as np
from sklearn.base import BaseEstimator, is_classifier, is_regressor

from nncore import estimators

#: What only costs time. The rest are the defaults, which are what has to pass.
SETTINGS = {
    "MLPClassifier": {"max_iter": 100},
    "MLPRegressor": {"max_iter": 100},
    "RecurrentClassifier": {"hidden_sizes": (8,), "lr": 0.02, "epochs": 40},
    "RecurrentRegressor": {"hidden_sizes": (8,), "lr": 0.05, "epochs": 40},
}


def make(name, **settings):
    """An estimator of the class with this name; arguments that its class does not have are left out."""
    cls = getattr(estimators, name)
    known = set(cls().get_params(deep=False))
    return cls(**{key: value for key, value in {**SETTINGS.get(name, {}), **settings}.items() if key in known})


NAMES = [
    name for name in estimators.__all__ if isinstance(found := getattr(estimators, name), type) and issubclass(found, BaseEstimator)
]
CLASSIFIERS = [name for name in NAMES if is_classifier(make(name))]
REGRESSORS = [name for name in NAMES if is_regressor(make(name))]
PROBABLE = [name for name in CLASSIFIERS if hasattr(make(name), "predict_proba")]


def rows_for(name, rows=60, classes=3, seed=0):
    """x [rows, 4] and y [rows] that the estimator can learn: labels for a classifier, numbers for a regressor."""
    rng = np.random.default_rng(seed)
    if name not in CLASSIFIERS:
        x = rng.normal(size=(rows, 4))
        return x, x @ [1.0, -2.0, 0.5, 0.0] + 0.1 * rng.normal(size=rows)
    y = np.arange(rows) % (2 if not can_tell_three(name) else classes)
    return rng.normal(size=(rows, 4)) + 3 * np.eye(4)[y], y


def can_tell_three(name):
    """Whether a classifier takes more than two classes."""
    return make(name).__sklearn_tags__().classifier_tags.multi_class
