"""A PythonLoss that does not say how it is computed is refused by compile."""

import numpy as np
import pytest

import nncore as nn


class Both:
    def value(self, y_true, y_pred):
        return ((y_pred - y_true) ** 2).sum(axis=1)

    def gradient(self, y_true, y_pred):
        return 2 * (y_pred - y_true)


class Wrong(Both, nn.losses.PythonLoss):
    pass


class Nothing(nn.losses.PythonLoss):
    pass


def test_refused_by_compile():
    model = nn.Sequential(nn.Linear(1, 1, weight_init="ones"))
    with pytest.raises(nn.errors.ArgumentError, match="Wrong has no value_and_gradient.*leave the base class out"):
        model.compile(Wrong(), "sgd")
    with pytest.raises(nn.errors.ArgumentError, match="Nothing has no value_and_gradient"):
        model.compile(Nothing(), "sgd")
    model.compile(Both(), "sgd")
    assert model.evaluate([[1.0], [2.0]], [[0.0], [0.0]]) == np.mean([1.0, 4.0])
