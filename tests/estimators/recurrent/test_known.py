"""Forecasts with columns that are known ahead."""

import copy
import pickle

import numpy as np
import pandas
import pytest
import sklearn
from sklearn.metrics import r2_score
from sklearn.model_selection import TimeSeriesSplit, cross_val_score

from nncore.estimators import RecurrentRegressor

RNG = np.random.default_rng(0)
EXOG = np.column_stack([RNG.random(260) < 0.3, RNG.normal(size=260)]).astype(float)
SERIES = (5 * np.sin(np.arange(260) / 4) + EXOG @ [6.0, 1.0])[:240]
SMALL = {"window": 8, "horizon": 3, "hidden_sizes": 4, "lr": 0.02, "epochs": 2, "random_state": 0}


def by_hand(series, exog, window, horizon):
    """What the network reads of each window, from the definition: rows of the window, then those to come without the series."""
    rows = []
    for at in range(len(exog) - window - horizon + 1):
        past = [[series[t], 0.0, *exog[t]] for t in range(at, at + window)]
        rows.append(past + [[0.0, 1.0, *exog[t]] for t in range(at + window, at + window + horizon)])
    return np.array(rows)


def test_the_network_reads_the_known_columns_of_the_steps_to_come():
    net = RecurrentRegressor(**SMALL, scale=False).fit(SERIES, exog=EXOG)
    x = by_hand(SERIES, EXOG[:240], 8, 3)
    y = np.array([SERIES[at + 8 : at + 11] for at in range(len(x))])
    rows = RecurrentRegressor(**{**SMALL, "window": None}).fit(x, y)
    np.testing.assert_array_equal(net.loss_curve_, rows.loss_curve_)
    np.testing.assert_array_equal(net.predict(SERIES, exog=EXOG[:240]), rows.predict(x))
    whole = net.predict(SERIES, exog=EXOG[:243])
    np.testing.assert_array_equal(whole, rows.predict(by_hand(np.append(SERIES, [0] * 3), EXOG[:243], 8, 3)))
    np.testing.assert_array_equal(net.predict(SERIES, exog=EXOG), whole)
    assert net.score(SERIES, exog=EXOG) == pytest.approx(r2_score(y, whole[:-3]))


def test_known_columns_make_forecasts_better():
    net = RecurrentRegressor(**{**SMALL, "hidden_sizes": 16, "epochs": 60})
    coming = 5 * np.sin(np.arange(240, 260) / 4) + EXOG[240:] @ [6.0, 1.0]
    without = np.abs(net.fit(SERIES).forecast(20) - coming).mean()
    assert np.abs(net.fit(SERIES, exog=EXOG).forecast(20) - coming).mean() < 0.5 * without


def test_forecasts_take_rows_from_where_they_are():
    """Of fit, of the call, or behind those of X. The last predictions end where the known rows do."""
    net = RecurrentRegressor(**SMALL).fit(SERIES, exog=EXOG)
    found = net.forecast(7)
    np.testing.assert_array_equal(RecurrentRegressor(**SMALL).fit(SERIES, exog=EXOG[:240]).forecast(7, exog=EXOG[240:247]), found)
    np.testing.assert_array_equal(net.forecast(7, SERIES, exog=EXOG[:247]), found)
    np.testing.assert_array_equal(net.forecast(), net.predict(SERIES, exog=EXOG)[-1])
    np.testing.assert_array_equal(found[:3], net.forecast())
    longer = net.predict(np.append(SERIES, found[:4]), exog=EXOG[:247])[-1]  # the block of steps 4, 5, 6
    np.testing.assert_allclose(found[6], longer[2], rtol=1e-12)
    for same in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        np.testing.assert_array_equal(same.forecast(7), found)
    stopped = RecurrentRegressor(**SMALL, early_stopping=True).fit(SERIES, exog=EXOG)
    np.testing.assert_array_equal(stopped.forecast(7), stopped.forecast(7, SERIES, exog=EXOG))
    parts = {"validation_data": (SERIES[216:], None, None, EXOG[216:]), "exog": EXOG[:216]}
    own = RecurrentRegressor(**SMALL, early_stopping=True).fit(SERIES[:216], **parts)
    np.testing.assert_array_equal(own.validation_loss_curve_, stopped.validation_loss_curve_)


def test_several_series_and_more_training():
    many, known = [SERIES[:110], SERIES[110:]], [EXOG[:110], EXOG[110:]]
    net = RecurrentRegressor(**SMALL).fit(many, exog=known)
    assert net.predict(many, exog=known).shape == (100 + 123, 3)
    one_by_one = [net.predict(each, exog=rows) for each, rows in zip(many, known, strict=True)]
    np.testing.assert_array_equal(net.predict(many, exog=known), np.concatenate(one_by_one))
    assert net.partial_fit(many, exog=known).forecast(5).shape == (5,)
    targets = RecurrentRegressor(**SMALL, early_stopping=True).fit(many, [each**2 for each in many], exog=known)
    assert targets.forecast().shape == (3,)


def test_known_columns_in_cross_validation():
    sklearn.set_config(enable_metadata_routing=True)
    try:
        net = RecurrentRegressor(**SMALL).set_fit_request(exog=True).set_score_request(exog=True)
        scores = cross_val_score(net, SERIES, cv=TimeSeriesSplit(2), params={"exog": EXOG[:240]})
    finally:
        sklearn.set_config(enable_metadata_routing=False)
    expected = RecurrentRegressor(**SMALL).fit(SERIES[:160], exog=EXOG[:160]).score(SERIES[160:], exog=EXOG[160:240])
    assert scores[1] == pytest.approx(expected)


def test_mistakes_are_named():
    frame = pandas.DataFrame(EXOG, pandas.date_range("2024-01-01", periods=260), ["promo", "price"])
    series = pandas.Series(SERIES, frame.index[:240])
    net = RecurrentRegressor(**SMALL).fit(series, exog=frame)
    later = frame.iloc[240:]
    np.testing.assert_array_equal(net.forecast(5), net.forecast(5, exog=later))
    for call, said in (
        (
            lambda: net.forecast(5, exog=later[["price", "promo"]]),
            r"exog has the columns \['price', 'promo'\], but .* in this ord",
        ),
        (lambda: net.forecast(5, exog=later[["price"]]), r"exog has \[1\] columns, but RecurrentRegressor is expecting 2"),
        (lambda: net.forecast(5, exog=frame), "exog begins at 2024-01-01 .*, but the series ends at 2024-08-27"),
        (lambda: net.forecast(5, exog=later[:4]), r"the values of 4 steps to come; forecast\(5\) needs those of 5"),
        (lambda: net.forecast(1, exog=later[:2]), r"forecast\(1\) needs those of 3"),
        (lambda: net.forecast(1, series), "was fitted with exog; pass exog"),
        (lambda: net.predict(series), "was fitted with exog; pass exog"),
        (lambda: net.predict(series[:9], exog=frame[:9]), "exog has 9 rows, fewer than window=8 and horizon=3 take"),
        (lambda: net.predict(series, exog=frame[:9]), "exog has 9 rows, but the series has 240 steps"),
        (lambda: net.predict(series, exog=frame[1:]), "exog has other times than the series"),
        (lambda: net.predict(np.zeros((2, 8, 1)), exog=np.zeros((2, 8, 2))), r"shape \(2, 8, 2\), .* need \(2, 11, 2\)"),
        (lambda: RecurrentRegressor(**SMALL).fit([series, series], exog=[frame]), "X has 2 series and exog has 1"),
        (lambda: RecurrentRegressor(**SMALL).fit(series).predict(series, exog=frame), "was fitted without exog; leave exog out"),
        (lambda: RecurrentRegressor(**SMALL).fit(series).forecast(1, exog=later), "was fitted without exog"),
        (lambda: RecurrentRegressor().fit(np.zeros((4, 3)), np.zeros(4), exog=np.zeros((4, 1))), "exog is for series; set window"),
        (lambda: RecurrentRegressor(**SMALL).fit(series, exog=np.full((240, 1), np.nan)), "Input exog contains NaN"),
    ):
        with pytest.raises(ValueError, match=said):
            call()
