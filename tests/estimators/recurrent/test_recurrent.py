"""RecurrentClassifier and RecurrentRegressor: rows, arrays and lists of sequences, and series by windows."""

import copy
import pickle

import numpy as np
import pandas
import pytest
from sklearn.base import clone
from sklearn.metrics import accuracy_score, r2_score
from sklearn.model_selection import GridSearchCV, TimeSeriesSplit, cross_val_score
from sklearn.utils.estimator_checks import check_estimator

import nncore as nn
from nncore.errors import EmptyDataError
from nncore.estimators import RecurrentClassifier, RecurrentRegressor

SMALL = {"hidden_sizes": (8,), "lr": 0.02, "epochs": 30, "random_state": 0}


@pytest.mark.parametrize(
    "estimator",
    [RecurrentClassifier(hidden_sizes=8, lr=0.02, epochs=40), RecurrentRegressor(hidden_sizes=8, lr=0.02, epochs=40)],
    ids=lambda each: type(each).__name__,
)
def test_checks_of_scikit_learn(estimator):
    results = check_estimator(estimator, on_fail=None, on_skip=None)
    assert {each["check_name"]: each["exception"] for each in results if each["status"] == "failed"} == {}
    skipped = {each["check_name"] for each in results if each["status"] == "skipped"}
    assert skipped <= {"check_array_api_input", "check_classifiers_multilabel_output_format_decision_function"}


# Sequences --------------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def rows():
    X = np.random.default_rng(0).normal(size=(120, 9))
    return X, np.where(X.sum(axis=1) > 0, "rise", "fall")


@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_a_row_is_a_sequence_of_numbers(cell, bidirectional, rows):
    X, y = rows
    net = RecurrentClassifier(cell=cell, bidirectional=bidirectional, **SMALL).fit(X, y)
    kinds = {"rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}
    assert isinstance(net.model_[0], kinds[cell])
    assert net.model_[0].bidirectional is bidirectional
    assert net.score(X, y) > 0.9
    assert net.n_features_in_ == 9
    same = RecurrentClassifier(cell=cell, bidirectional=bidirectional, **SMALL).fit(X[:, :, None], y)
    np.testing.assert_array_equal(net.predict_proba(X), same.predict_proba(X[:, :, None]))
    assert same.n_features_in_ == 1
    np.testing.assert_array_equal(same.predict_proba(X[:, :4]), same.predict_proba(X[:, :4, None]))


def test_layers_are_those_that_were_asked_for(rows):
    net = RecurrentClassifier(hidden_sizes=(6, 5), dropout=0.1, bidirectional=True, epochs=1).fit(*rows)
    kinds = [type(layer).__name__ for layer in net.model_.layers]
    assert kinds == ["GRU", "Dropout", "GRU", "Dropout", "Linear"]
    assert [net.model_[i].hidden_size for i in (0, 2)] == [6, 5]
    assert net.model_[0].return_sequences
    with pytest.raises(ValueError, match="hidden_sizes must be positive"):
        RecurrentClassifier(hidden_sizes=(4, 0)).fit(*rows)


def test_lists_of_sequences_and_lengths(rows):
    X, y = rows
    lengths = np.random.default_rng(1).integers(2, 10, size=len(X))
    short = [row[:n] for row, n in zip(X, lengths, strict=True)]
    nets = [RecurrentClassifier(**SMALL).fit(short, y), RecurrentClassifier(**SMALL).fit(X, y, lengths=lengths)]
    np.testing.assert_allclose(nets[0].predict_proba(short), nets[1].predict_proba(X, lengths=lengths), rtol=1e-9)
    wide = [np.column_stack([each, each**2]) for each in short]
    net = RecurrentRegressor(**SMALL).fit(wide, [each.mean() for each in short])
    assert net.score(wide, [each.mean() for each in short]) > 0.8
    assert net.n_features_in_ == 2


def test_search_over_rows(rows):
    search = GridSearchCV(RecurrentClassifier(**SMALL), {"cell": ["rnn", "gru"], "hidden_sizes": [(4,), (4, 4)]}, cv=2)
    assert search.fit(*rows).best_score_ > 0.8


# Series -----------------------------------------------------------------------------------------------------------------------

TIME = np.arange(240)
WAVE = 50 + 10 * np.sin(TIME / 4)


def windows_by_hand(series, window, horizon):
    """Windows and what follows, from the definition."""
    starts = range(len(series) - window - horizon + 1)
    return np.array([series[i : i + window] for i in starts]), np.array([series[i + window : i + window + horizon] for i in starts])


def test_a_forecast_of_one_series():
    past, future = WAVE[:200], WAVE[200:]
    net = RecurrentRegressor(window=20, horizon=4, hidden_sizes=16, lr=0.01, epochs=60, random_state=0).fit(past)
    x, y = windows_by_hand(past, 20, 4)
    found = net.predict(past)
    assert found.shape == (200 - 20 + 1, 4)
    np.testing.assert_allclose(found[:-4], y, atol=1)
    np.testing.assert_allclose(found[-1], future[:4], atol=1)
    np.testing.assert_array_equal(net.predict(x[:, :, None]), found[:-4])
    np.testing.assert_array_equal(net.forecast(), found[-1])
    forecast = net.forecast(11)
    second = np.concatenate([past, forecast[:4]])
    np.testing.assert_array_equal(forecast[:4], found[-1])
    np.testing.assert_allclose(forecast[4:8], net.predict(second)[-1])
    np.testing.assert_allclose(forecast, future[:11], atol=2)
    np.testing.assert_array_equal(net.forecast(3, past[:100]), net.predict(past[:100])[-1][:3])
    np.testing.assert_allclose(net.score(past), r2_score(y, found[:-4]))
    np.testing.assert_array_equal(net.predict(pandas.Series(past)), found)


def test_training_is_that_on_windows_that_were_scaled():
    """A fit on a series is a fit on the windows of the standardised series, made by hand."""
    mean, spread = WAVE.mean(), WAVE.std()
    x, y = windows_by_hand((WAVE - mean) / spread, 12, 2)
    by_hand = RecurrentRegressor(hidden_sizes=8, epochs=3, random_state=0).fit(x, y)
    net = RecurrentRegressor(hidden_sizes=8, epochs=3, random_state=0, window=12, horizon=2).fit(WAVE)
    np.testing.assert_allclose(net.loss_curve_, by_hand.loss_curve_, rtol=1e-9)
    np.testing.assert_allclose(net.predict(WAVE)[:-2], by_hand.predict(x) * spread + mean, rtol=1e-9)
    plain = clone(net).set_params(scale=False).fit((WAVE - mean) / spread)
    np.testing.assert_allclose(plain.loss_curve_, by_hand.loss_curve_, rtol=1e-9)
    strided = clone(net).set_params(stride=3, batch_size=None, epochs=1).fit(WAVE, sample_weight=np.arange(240.0))
    weights = np.arange(240.0)[12:239:3]
    expected = RecurrentRegressor(hidden_sizes=8, epochs=1, random_state=0, batch_size=None).fit(x[::3], y[::3], weights)
    np.testing.assert_allclose(strided.loss_curve_, expected.loss_curve_, rtol=1e-9)


def test_several_features_and_targets_of_their_own():
    both = np.column_stack([WAVE, 5 + np.cos(TIME / 4)])
    net = RecurrentRegressor(window=10, horizon=3, hidden_sizes=16, lr=0.01, epochs=40, random_state=0).fit(both)
    assert net.predict(both).shape == (231, 3, 2)
    assert net.forecast(7).shape == (7, 2)
    assert net.score(both) > 0.95
    frame = pandas.DataFrame(both, columns=["a", "b"])
    named = clone(net).set_params(epochs=1).fit(frame, frame["b"])
    assert list(named.feature_names_in_) == ["a", "b"]
    assert named.predict(frame).shape == (231, 3)
    assert named.forecast().shape == (3,)
    with pytest.raises(ValueError, match="at most horizon=3, as y is not the series itself"):
        named.forecast(4)
    with pytest.raises(ValueError, match="feature names should match"):
        named.predict(frame[["b", "a"]])
    now = RecurrentRegressor(window=6, horizon=0, hidden_sizes=16, lr=0.01, epochs=60, random_state=0).fit(both, WAVE**2)
    assert now.predict(both).shape == (235,)
    np.testing.assert_allclose(now.predict(both), WAVE[5:] ** 2, rtol=0.1)
    assert now.score(both, WAVE**2) > 0.98
    with pytest.raises(ValueError, match="a horizon of at least 1"):
        now.forecast()


def test_several_series_of_different_lengths():
    many = [WAVE[:90], WAVE[100:180] * 1.5, WAVE[180:]]
    net = RecurrentRegressor(window=10, hidden_sizes=16, lr=0.01, epochs=30, random_state=0).fit(many)
    assert net.predict(many).shape == (81 + 71 + 51,)
    assert net.score(many) > 0.9
    np.testing.assert_allclose(net.forecast(1), net.predict(many)[-1:])
    labels = [each > 50 for each in many]
    labelled = RecurrentClassifier(window=5, **SMALL).fit(many, labels)
    assert labelled.score(many, labels) > 0.9


def test_a_list_of_series_has_lists_beside_it():
    two = [WAVE, WAVE[:100]]
    net = RecurrentRegressor(window=6, hidden_sizes=(4,), epochs=1, random_state=0)
    for given, wrong in (((WAVE,), "y"), ((two, WAVE), "sample_weight")):
        with pytest.raises(ValueError, match=f"X is a list of series, so {wrong} must be a list with an array for each"):
            net.fit(two, *given)
    with pytest.raises(ValueError, match="y must be a list with an array for each"):
        RecurrentClassifier(window=6, early_stopping=True).fit(two, WAVE > 50)


def test_labels_of_steps():
    y = np.where(WAVE > 50, "high", "low")
    now = RecurrentClassifier(window=5, **SMALL).fit(WAVE, y)
    np.testing.assert_allclose(now.score(WAVE, y), accuracy_score(y[4:], now.predict(WAVE)))
    assert now.score(WAVE, y) > 0.95
    weights = np.linspace(0, 1, 240)
    expected = accuracy_score(y[4:], now.predict(WAVE), sample_weight=weights[4:])
    np.testing.assert_allclose(now.score(WAVE, y, weights), expected)
    later = RecurrentClassifier(window=5, horizon=3, **SMALL).fit(WAVE, y)
    np.testing.assert_allclose(later.score(WAVE, y), accuracy_score(y[7:], later.predict(WAVE)[:-3]))
    assert later.score(WAVE, y) > 0.9
    with pytest.raises(ValueError, match="requires y to be passed"):
        RecurrentClassifier(window=5).fit(WAVE, None)


def test_times_of_frames_have_to_increase():
    """A frame with times is the array of its values; in another order it is refused, as its forecast would be from another end."""
    times = pandas.date_range("2024-01-31", periods=60, freq="D")
    series = pandas.Series(np.sin(np.arange(60) / 3), times)
    net = RecurrentRegressor(window=6, horizon=2, hidden_sizes=(4,), epochs=2, random_state=0)
    expected = clone(net).fit(series.to_numpy()).forecast(3)
    for given in (series, series.to_period()):
        np.testing.assert_array_equal(clone(net).fit(given).forecast(3), expected)
        for wrong in (given[::-1], [given, given.sample(frac=1, random_state=0)], given[::-1].to_frame("load")):
            with pytest.raises(ValueError, match=r"RecurrentRegressor: the times of the series do not increase; .*sort_index"):
                clone(net).fit(wrong)
    with pytest.raises(ValueError, match="do not increase"):
        net.fit(series).forecast(3, X=series[::-1])


@pytest.mark.parametrize("freq", ["D", "h", "7min", "B", "MS", "ME", "QE", "YS", "W-TUE", "2W-MON", "bh"])
def test_times_that_are_missing_are_refused(freq):
    """Whatever the frequency; complete times pass, also without a frequency in the index, and from a zone with summer time."""
    times = pandas.date_range("2024-02-20 10:00", periods=90, freq=freq, tz="Europe/Berlin")
    given = pandas.Series(np.sin(np.arange(90) / 3), times)
    net = RecurrentRegressor(window=6, hidden_sizes=(2,), epochs=1, random_state=0)
    expected = net.fit(given.to_numpy()).forecast(2)
    unknown = [] if freq == "bh" else [given.set_axis(pandas.DatetimeIndex(times.to_list()))]
    for complete in (given, *unknown):  # pandas does not know business hours again without their name
        np.testing.assert_array_equal(clone(net).fit(complete).forecast(2), expected)
    for lost in (40, slice(50, 53)):
        with pytest.raises(ValueError, match="times of the series have gaps: .* is followed by") as caught:
            net.fit(given.drop(times[lost]))
        if freq == "bh":
            continue
        at = times[39:42:2] if lost == 40 else times[49:54:4]
        assert f"{at[0]} is followed by {at[1]}." in str(caught.value)


def test_periods_and_twice_the_same_time():
    net = RecurrentRegressor(window=6, hidden_sizes=(2,), epochs=1, random_state=0)
    months = pandas.Series(np.sin(np.arange(60) / 3), pandas.period_range("2020-01", periods=60, freq="M"))
    net.fit(months)
    for lost, said in ((10, "2020-10 is followed by 2020-12"), (1, "2020-01 is followed by 2020-03")):
        with pytest.raises(ValueError, match=f"gaps: {said}"):
            net.fit(months.drop(months.index[lost]))
    net.fit(months.set_axis(pandas.period_range("2020-01", periods=60, freq="2M")))
    with pytest.raises(ValueError, match="the times of the series have 2020-05 twice"):
        net.fit(months.iloc[[*range(5), *range(4, 60)]])
    with pytest.raises(ValueError, match="the times of exog have gaps"):
        net.fit(months[:40], exog=months.drop(months.index[50]))


def test_early_stopping_holds_out_the_end():
    """The loss of validation is that of the windows of the last part alone, scaled as in training."""
    net = RecurrentRegressor(window=10, hidden_sizes=8, epochs=3, early_stopping=True, validation_fraction=0.25, random_state=0)
    net.fit(WAVE)
    own = clone(net).fit(WAVE[:180], validation_data=(WAVE[180:], None))
    np.testing.assert_array_equal(net.validation_loss_curve_, own.validation_loss_curve_)
    x, y = windows_by_hand(WAVE[180:], 10, 1)
    truth = ((net.predict(x[:, :, None]) - y[:, 0]) ** 2).mean() / WAVE[:180].var()
    np.testing.assert_allclose(truth, min(net.validation_loss_curve_), rtol=1e-6)
    with pytest.raises(EmptyDataError, match="only 24 steps .* take 31"):
        RecurrentRegressor(window=30, early_stopping=True).fit(WAVE)


def test_cross_validation_over_time():
    net = RecurrentRegressor(window=10, hidden_sizes=8, lr=0.02, epochs=40, random_state=0)
    assert (cross_val_score(net, WAVE, cv=TimeSeriesSplit(3)) > 0.8).all()
    search = GridSearchCV(net, {"window": [8, 12]}, cv=TimeSeriesSplit(2)).fit(WAVE)
    assert search.best_estimator_.forecast(5).shape == (5,)


def test_copies_of_forecasters_and_more_training():
    net = RecurrentRegressor(window=10, hidden_sizes=4, epochs=2, warm_start=True, random_state=0).fit(WAVE)
    for other in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        np.testing.assert_array_equal(other.forecast(5), net.forecast(5))
    assert net.fit(WAVE).n_iter_ == 4
    assert net.partial_fit(WAVE, None).n_iter_ == 5
    with pytest.raises(ValueError, match="y must be what it was in the first fit"):
        net.fit(WAVE, WAVE)
    with pytest.raises(ValueError, match="lengths and mask are for window=None"):
        net.fit(WAVE, lengths=[3])
    with pytest.raises(ValueError, match="forecast is for estimators with window"):
        RecurrentRegressor(epochs=1).fit(WAVE.reshape(24, 10), np.arange(24)).forecast()
    with pytest.raises(ValueError, match="fewer than window=10"):
        net.forecast(2, WAVE[:4])


def test_uncertain_forecasts():
    noisy = WAVE + np.random.default_rng(0).normal(size=240)
    spread = RecurrentRegressor(window=10, horizon=2, loss="gaussian_nll", **SMALL).fit(noisy)
    assert spread.predict(noisy).shape == (231, 2)
    quantiles = RecurrentRegressor(window=10, loss=nn.losses.Quantile([0.1, 0.9]), **SMALL).fit(noisy)
    found = quantiles.predict(noisy)[:-1]
    assert ((noisy[10:] > found[:, 0]) & (noisy[10:] < found[:, 1])).mean() > 0.6
    with pytest.raises(ValueError, match="several quantiles"):
        quantiles.forecast()
