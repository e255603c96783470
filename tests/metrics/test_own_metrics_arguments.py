"""A metric object gets the weights as its update_state takes them, or not at all."""

import numpy as np
import pytest

import nncore as nn


class Base:
    def __init__(self):
        self.seen = []

    def reset_state(self):
        self.seen = []

    def result(self):
        return float(np.sum(self.seen))


class Two(Base):
    def update_state(self, t, p):
        self.seen.append(abs(t - p).sum())


class Keyword(Base):
    def update_state(self, t, p, *, sample_weight=None):
        self.seen.append((abs(t - p).sum(axis=1) * (1 if sample_weight is None else sample_weight)).sum())


class Any(Base):
    def update_state(self, t, p, **more):
        self.seen.append((abs(t - p).sum(axis=1) * more["sample_weight"]).sum())


class Third(Base):
    def update_state(self, t, p, w=None):
        self.seen.append((abs(t - p).sum(axis=1) * w).sum())


@pytest.mark.parametrize(("cls", "expected"), [(Two, 3.0), (Keyword, 7.0), (Any, 7.0), (Third, 7.0)])
def test_weights_as_it_takes_them(cls, expected):
    model = nn.Sequential(nn.Linear(1, 1, weight_init="ones"))
    model.compile("mse", "sgd", weighted_metrics=[cls()])
    x, y, weight = [[1.0], [2.0]], [[0.0], [0.0]], [1.0, 3.0]
    assert model.evaluate(x, y, sample_weight=weight)[1] == expected
    assert model.fit(x, y, sample_weight=weight, batch_size=None).history[cls.__name__] == [expected]
