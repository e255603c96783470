"""split_series and WindowSplit: what is in which part follows from arithmetic on the numbers of the steps."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import TimeSeriesSplit, cross_val_score

import nncore as nn
from nncore import errors


def used(x, y):
    """The steps that windows and targets of a series 0, 1, 2, ... hold."""
    return set(np.ravel(x)), set(np.ravel(y))


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_windows_of_the_parts_share_no_step(data):
    draw = data.draw
    length, horizon, stride, gap = (
        draw(st.integers(1, 6)),
        draw(st.integers(0, 4)),
        draw(st.integers(1, 5)),
        draw(st.integers(0, 5)),
    )
    need = length + horizon
    sizes = [draw(st.integers(need, need + 20)) for _ in range(3)]
    steps = sum(sizes) + 2 * gap
    whole = draw(st.booleans())
    validation, test = sizes[1] + gap, sizes[2]
    if whole is False:
        validation, test = validation / steps, test / steps
    parts = nn.split_series(np.arange(steps), validation=validation, test=test, gap=gap)
    assert [len(part) for part in parts] == sizes
    windows = [used(*nn.make_windows(part, length, horizon=horizon, stride=stride)) for part in parts]
    for (x, y), (x_later, y_later) in pairwise(windows):
        assert not y & x_later  # no later window sees a target of training
        assert not (x | y) & y_later  # no target of the later part has been seen
        assert min(x_later | y_later) - max(x | y) > gap


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_window_split_is_honest_and_leaves_out_no_more_than_it_must(data):
    draw = data.draw
    length, horizon, stride, gap = (
        draw(st.integers(1, 8)),
        draw(st.integers(0, 4)),
        draw(st.integers(1, 6)),
        draw(st.integers(0, 4)),
    )
    splits = draw(st.integers(1, 4))
    size, most = draw(st.none() | st.integers(1, 5)), draw(st.none() | st.integers(1, 5))
    split = nn.WindowSplit(splits, length=length, horizon=horizon, stride=stride, gap=gap, test_size=size, max_train_size=most)
    rows = (splits + 1) * (size or 1) + split.omitted + draw(st.integers(0, 30))
    series = np.arange(length + horizon + (rows - 1) * stride)
    x, y = nn.make_windows(series, length, horizon=horizon, stride=stride)
    assert len(x) == rows
    found = list(split.split(x, y))
    assert len(found) == splits == split.get_n_splits()
    for train, test in found:
        assert len(train)
        assert most is None or len(train) <= most
        last, first = max(map(max, used(x[train], y[train]))), min(x[test[0]])
        assert first - last > gap
        assert first - last <= gap + stride  # one more window of training would come too near
    assert found[-1][1][-1] == rows - 1
    if size is not None:
        peers = TimeSeriesSplit(splits, test_size=size, max_train_size=most, gap=split.omitted).split(x) if splits > 1 else found
        for (train, test), (train_peer, test_peer) in zip(found, peers, strict=True):
            np.testing.assert_array_equal(train, train_peer)
            np.testing.assert_array_equal(test, test_peer)


def test_without_the_gap_training_sees_the_test():
    """Why the splitter exists: scikit-learn's own with its default does what this test would notice."""
    x, y = nn.make_windows(np.arange(60), 5, horizon=1)
    train, test = next(iter(TimeSeriesSplit(3).split(x)))
    assert set(y[train]) & set(np.ravel(x[test]))


def test_a_window_split_is_a_splitter_of_scikit_learn(rng):
    x, y = nn.make_windows(np.sin(np.arange(80) / 3), 6, horizon=1)
    scores = cross_val_score(LinearRegression(), x, y, cv=nn.WindowSplit(3, length=6))
    assert scores.shape == (3,)
    assert (scores > 0.99).all()
    assert repr(nn.WindowSplit(3, length=6)) == (
        "WindowSplit(n_splits=3, length=6, horizon=1, stride=1, gap=0, test_size=None, max_train_size=None)"
    )
    with pytest.warns(UserWarning, match="groups are not used"):
        list(nn.WindowSplit(2, length=2).split(x, groups=y))


def test_dates_and_frames():
    pandas, polars = pytest.importorskip("pandas"), pytest.importorskip("polars")
    dates = np.arange("2024-01-01", "2024-01-11", dtype="datetime64[D]")
    train, validation, test = nn.split_series(
        np.arange(10), validation="2024-01-05", test=np.datetime64("2024-01-08T12"), gap=1, index=dates
    )
    assert [*train, -1, *validation, -1, *test] == [0, 1, 2, -1, 4, 5, 6, -1, 8, 9]
    frame = pandas.DataFrame({"a": range(10), "b": range(10, 20)}, index=pandas.DatetimeIndex(dates))
    for zone in (None, "UTC"):
        first, second = nn.split_series(frame.tz_localize(zone), validation=pandas.Timestamp("2024-01-05"))
        assert list(first.columns) == ["a", "b"]
        assert [*first["a"], *second["b"]] == [0, 1, 2, 3, 14, 15, 16, 17, 18, 19]
    first, second = nn.split_series(polars.DataFrame({"a": range(10)}), validation=0.3)
    assert first["a"].to_list() == list(range(7))
    assert second.shape == (3, 1)
    by_dates = nn.split_series(polars.Series(range(10)), validation="2024-01-09", index=polars.Series(dates))
    assert by_dates[1].to_list() == [8, 9]


def test_parts_are_views_and_several_series_go_together():
    series, labels = np.arange(20.0).reshape(10, 2), list(range(10))
    train, validation, train_labels, validation_labels = nn.split_series(series, labels, validation=3)
    assert np.shares_memory(train, series)
    assert np.shares_memory(validation, series)
    np.testing.assert_array_equal(train_labels, range(7))
    np.testing.assert_array_equal(validation_labels, [7, 8, 9])
    longer = nn.split_series(np.arange(10), np.arange(100), validation=None, test=0.1)
    assert [len(part) for part in longer] == [9, 1, 90, 10]


DATES = np.arange("2024-01-01", "2024-01-11", dtype="datetime64[D]")


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"validation": 0}, errors.ArgumentError, "validation must be a whole number of at least 1, not 0"),
        ({"validation": 1.5}, errors.ArgumentError, "validation must be a fraction between 0 and 1, a whole number .*not 1.5"),
        ({"validation": True}, errors.ArgumentError, "not True"),
        ({"validation": "soon", "index": DATES}, errors.ArgumentError, "or a date, not 'soon'"),
        ({"validation": np.datetime64("NaT", "D"), "index": DATES}, errors.ArgumentError, "not .*NaT"),
        ({"validation": "2024-01-02"}, errors.ArgumentError, "pass index"),
        ({"validation": None}, errors.ArgumentError, "validation or test must be given"),
        ({"validation": 10}, errors.EmptyDataError, "validation=10 and gap=0 leave none of the 10 steps of series for training"),
        ({"validation": 3, "gap": 7}, errors.EmptyDataError, "gap=7 leave none .* for training"),
        ({"validation": 2, "test": 2, "gap": 2}, errors.EmptyDataError, "for validation"),
        ({"validation": "2024-02-01", "index": DATES}, errors.EmptyDataError, "for validation"),
        ({"validation": 2, "gap": -1}, errors.ArgumentError, "gap must be"),
        ({"validation": 2, "index": DATES[:4]}, errors.ShapeError, r"index has shape \(4,\), but series has 10 steps"),
        ({"validation": 2, "index": DATES[::-1]}, errors.ArgumentError, "index goes back at step 1; sort"),
        ({"validation": 2, "index": [*DATES[:9], "NaT"]}, errors.ArgumentError, "lacks the date of step 9"),
        ({"validation": 2, "index": ["x"] * 10}, errors.ArgumentError, "index must hold dates"),
    ],
)
def test_what_is_refused(arguments, error, message):
    with pytest.raises(error, match=message):
        nn.split_series(np.arange(10), **arguments)


def test_a_single_number_and_too_few_windows():
    with pytest.raises(errors.ShapeError, match="series is a single number"):
        nn.split_series(3.0)
    with pytest.raises(errors.EmptyDataError, match="9 windows are too few for 2 tests of 1 and 7 left out"):
        list(nn.WindowSplit(2, length=7, horizon=1).split(np.empty(9)))
    with pytest.raises(errors.ArgumentError, match="length must be"):
        nn.WindowSplit(length=0)
