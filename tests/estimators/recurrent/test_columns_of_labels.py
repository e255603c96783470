"""Several columns of labels for a sequence, and for each step of a series."""

import numpy as np
import pytest

from nncore.estimators import RecurrentClassifier

SMALL = {"hidden_sizes": (8,), "lr": 0.02, "epochs": 30, "random_state": 0}


@pytest.fixture(scope="module")
def rows():
    X = np.random.default_rng(0).normal(size=(90, 6))
    total = X.sum(axis=1)
    return X, np.column_stack([np.where(total > 0, "up", "down"), np.array(["low", "mid", "top"])[np.digitize(total, [-1, 1])]])


def test_each_column_has_an_output(rows):
    X, y = rows
    net = RecurrentClassifier(**SMALL).fit(X, y)
    assert [each.tolist() for each in net.classes_] == [["down", "up"], ["low", "mid", "top"]]
    found = net.predict_proba(X)
    assert [each.shape for each in found] == [(90, 2), (90, 3)]
    predicted = np.column_stack([c[p.argmax(axis=1)] for c, p in zip(net.classes_, found, strict=True)])
    np.testing.assert_array_equal(net.predict(X), predicted)
    right = predicted == y
    assert net.score(X, y) == pytest.approx(right.all(axis=1).mean())
    assert right.mean(axis=0).min() > 0.9
    lengths = np.full(90, 4)
    np.testing.assert_array_equal(net.predict(X, lengths=lengths), net.predict([row[:4, None] for row in X]))
    part = RecurrentClassifier(**SMALL).partial_fit(X[:9], y[:9], net.classes_)
    assert [each.shape for each in part.predict_log_proba(X)] == [(90, 2), (90, 3)]


def test_columns_of_the_steps_of_a_series():
    """A fit on a series is one on its windows, made by hand; classes that only the held out end has count."""
    series = np.random.default_rng(0).normal(size=100)
    y = np.column_stack([series > 0, np.digitize(series, [-0.5, 0.5])]).astype(int)
    net = RecurrentClassifier(window=4, scale=False, **SMALL).fit(series, y)
    x = np.lib.stride_tricks.sliding_window_view(series, 4)
    rows = RecurrentClassifier(**SMALL).fit(x[:, :, None], y[3:])
    np.testing.assert_array_equal(net.loss_curve_, rows.loss_curve_)
    np.testing.assert_array_equal(net.predict(series), rows.predict(x[:, :, None]))
    assert net.score(series, y) == pytest.approx((net.predict(series) == y[3:]).all(axis=1).mean())
    y[-2:, 1] = 7
    stopped = RecurrentClassifier(window=4, early_stopping=True, **SMALL).fit([series, series], [y, y])
    assert [each.tolist() for each in stopped.classes_] == [[0, 1], [0, 1, 2, 7]]
    both = RecurrentClassifier(window=4, early_stopping=True, **SMALL).fit(series, np.column_stack([series > 0, series > 1]))
    assert both.predict(series).shape == (97, 2)
