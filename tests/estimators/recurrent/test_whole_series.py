"""What a fit on a series keeps of all of it: its end for forecasts, its labels, and weights in all calls."""

from __future__ import annotations

import numpy as np
import pytest

import nncore as nn

SERIES = np.sin(np.arange(80) / 3)
SMALL = {"window": 5, "hidden_sizes": 3, "epochs": 1, "random_state": 0}


def test_forecast_follows_the_part_that_early_stopping_holds_out() -> None:
    net = nn.estimators.RecurrentRegressor(early_stopping=True, validation_fraction=0.25, **SMALL).fit(SERIES)
    np.testing.assert_array_equal(net.forecast(3), net.forecast(3, SERIES))


def test_forecast_follows_the_last_series_of_a_warm_start_and_of_partial_fit() -> None:
    net = nn.estimators.RecurrentRegressor(warm_start=True, **SMALL).fit(SERIES).fit(SERIES[:33])
    np.testing.assert_array_equal(net.forecast(2), net.forecast(2, SERIES[:33]))
    net.partial_fit(SERIES[:50])
    np.testing.assert_array_equal(net.forecast(2), net.forecast(2, SERIES[:50]))


def test_partial_fit_takes_weights_of_steps_as_fit_does() -> None:
    weight = np.arange(80.0)
    once = nn.estimators.RecurrentRegressor(shuffle=False, **SMALL).fit(SERIES, sample_weight=weight)
    part = nn.estimators.RecurrentRegressor(shuffle=False, **SMALL).partial_fit(SERIES, sample_weight=weight)
    np.testing.assert_array_equal(once.predict(SERIES), part.predict(SERIES))
    labels = np.where(SERIES > 0, "up", "down")
    net = nn.estimators.RecurrentClassifier(**SMALL).partial_fit(SERIES, labels, ["down", "up"], weight)
    assert net.predict(SERIES).shape == (76,)


def test_a_single_weight_is_for_all_steps() -> None:
    nets = [nn.estimators.RecurrentRegressor(**SMALL).fit(SERIES, sample_weight=weight) for weight in (2.0, np.full(80, 2.0))]
    np.testing.assert_array_equal(nets[0].predict(SERIES), nets[1].predict(SERIES))


def test_labels_that_only_the_held_out_part_has_are_classes() -> None:
    labels = np.where(np.arange(80) > 75, "late", "early")
    net = nn.estimators.RecurrentClassifier(early_stopping=True, validation_fraction=0.25, **SMALL).fit(SERIES, labels)
    assert net.classes_.tolist() == ["early", "late"]


def test_too_few_steps_to_validate_on() -> None:
    net = nn.estimators.RecurrentRegressor(early_stopping=True, **SMALL)
    with pytest.raises(nn.errors.EmptyDataError, match="only 4 steps .* take 6. Increase validation_fraction=0.1"):
        net.fit(SERIES[:40])


@pytest.mark.parametrize(
    "changed",
    [{"hidden_sizes": 9}, {"cell": "lstm"}, {"bidirectional": True}, {"dropout": 0.5}, {"window": 6}, {"horizon": 3},
     {"window": None}, {"scale": False}],
    ids=str,
)  # fmt: skip
def test_warm_start_refuses_another_network(changed: dict[str, object]) -> None:
    labels = np.where(SERIES > 0, "up", "down")
    for net, y in ((nn.estimators.RecurrentRegressor(**SMALL), None), (nn.estimators.RecurrentClassifier(**SMALL), labels)):
        net.set_params(warm_start=True, hidden_sizes=[3]).fit(SERIES, y).set_params(hidden_sizes=3).fit(SERIES, y)
        before = net.model_.get_weights()
        name = next(iter(changed))
        with pytest.raises(ValueError, match=f"made with {name}=.* but now {name} is .*; use warm_start=False") as caught:
            net.set_params(**changed).fit(SERIES, y)
        assert "y must" not in str(caught.value)
        assert all(map(np.array_equal, net.model_.get_weights(), before))


def test_a_regressor_whose_windows_have_changed_asks_for_fit() -> None:
    net = nn.estimators.RecurrentRegressor(**SMALL).fit(SERIES).set_params(horizon=3)
    for call in (lambda: net.forecast(4), lambda: net.predict(SERIES), lambda: net.score(SERIES)):
        with pytest.raises(ValueError, match="made with horizon=1, but now horizon is 3; call fit again"):
            call()
    assert net.fit(SERIES).forecast(4).shape == (4,)
    with pytest.raises(ValueError, match="window is 7; call fit again"):
        net.set_params(window=7).forecast(1)
