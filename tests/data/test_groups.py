"""Validation splits that divide no group."""

import numpy as np
import pytest

import nncore as nn
from nncore import errors
from nncore.data import bind_groups, split_groups


def drawn(rng, rows=400, groups=40):
    return rng.integers(groups, size=rows)


@pytest.mark.parametrize("fraction", [0.1, 0.25, 0.5])
@pytest.mark.parametrize("seed", [None, 0, 1])
@pytest.mark.parametrize("classes", [None, 3])
def test_whole_groups_of_about_the_right_size(fraction, seed, classes, rng):
    groups = bind_groups(drawn(rng), 400)
    labels = None if classes is None else rng.integers(classes, size=400)
    train, held_out = split_groups(groups, fraction, seed, labels)
    assert sorted([*train, *held_out]) == list(range(400))
    assert not {*groups[train]} & {*groups[held_out]}
    # Half a group off at most; where classes are to be shared out evenly, too, a little more.
    largest = np.bincount(groups).max()
    assert abs(len(held_out) - 400 * fraction) <= largest * (0.5 if classes is None else 2.0)
    again = split_groups(groups, fraction, seed, labels)
    np.testing.assert_array_equal(again[1], held_out)


def test_the_seed_draws_the_groups(rng):
    groups = bind_groups(drawn(rng), 400)
    found = {tuple(np.unique(groups[split_groups(groups, 0.2, seed, None)[1]])) for seed in range(10)}
    assert len(found) == 10


def test_classes_are_shared_out(rng):
    """Every group has one class, as patients have one diagnosis; a fifth of each class validates."""
    kinds = np.repeat([0, 1, 2], [60, 30, 10])
    groups = np.repeat(np.arange(100), 5)
    labels = kinds[groups]
    for seed in range(5):
        _, held_out = split_groups(groups, 0.2, seed, labels)
        np.testing.assert_allclose(np.bincount(labels[held_out]), [60, 30, 10], atol=5)


def test_without_shuffling_the_last_groups(rng):
    groups = np.repeat(np.arange(10), 3)
    train, held_out = split_groups(groups, 0.3, None, None)
    assert {*groups[held_out]} == {7, 8, 9}
    assert len(train) == 21


def test_no_side_is_empty():
    for groups in ([0] * 99 + [1], [0] + [1] * 99, [0, 1]):
        for fraction in (0.01, 0.5, 0.99):
            for seed in (None, 3):
                train, held_out = split_groups(np.array(groups), fraction, seed, None)
                assert len(train)
                assert len(held_out)
    with pytest.raises(errors.EmptyDataError, match="all rows are of one group"):
        split_groups(np.zeros(5, np.int64), 0.5, 0, None)


def test_groups_of_any_kind(rng):
    codes = drawn(rng, 50, 6)
    names = np.array(["ada", "bob", "cyd", "dan", "eve", "fay"])
    expected = bind_groups(codes, 50)
    for given in (codes.tolist(), names[codes], names[codes].tolist(), names[codes].astype(object), codes[:, None], codes * 0.5):
        np.testing.assert_array_equal(bind_groups(given, 50), expected)
    pandas = pytest.importorskip("pandas")
    np.testing.assert_array_equal(bind_groups(pandas.Series(names[codes]), 50), expected)
    np.testing.assert_array_equal(bind_groups(pandas.Series(names[codes], dtype="category"), 50), expected)


@pytest.mark.parametrize(
    ("groups", "error", "text"),
    [
        ([1, 2], errors.ShapeError, r"shape \(2,\), but there are 3 rows"),
        ([[1, 2]] * 3, errors.ShapeError, "one group per row"),
        ([1.0, np.nan, 2.0], errors.NonFiniteError, "nan.* at row 1"),
        (np.array(["a", None, "b"], object), errors.NonFiniteError, "None at row 1"),
        (np.array(["a", 1, "b"], object), errors.ArgumentError, "all of one kind"),
    ],
)
def test_refusals(groups, error, text):
    with pytest.raises(error, match=text):
        bind_groups(groups, 3)


def test_in_fit(rng):
    """A net that knows the group by heart has nothing of it in validation."""
    groups = np.repeat(np.arange(20), 10)
    x, y = np.eye(20)[groups], rng.normal(size=20)[groups]
    model = nn.Sequential(nn.Linear(20, 1), seed=0)
    model.compile("mse", nn.optim.SGD(lr=0.5))
    history = model.fit(x, y, epochs=60, validation_split=0.25, groups=groups).history
    assert history["loss"][-1] < 1e-3
    assert history["val_loss"][-1] > 0.1
