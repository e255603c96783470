"""callbacks.Diagnostics(verdicts=True): what a training's statistics mean."""

import numpy as np
import pytest
from insight.planted import SEEDS, dead, digits, friedman, large_init, mlp, saturated, spirals, vanishing, wine

import nncore as nn
from nncore.errors import ArgumentError


def watched(given, epochs=3):
    found = nn.callbacks.Diagnostics(verdicts=True)
    given["model"].fit(given["x"], given["y"], epochs=epochs, verbose=0, callbacks=[found])
    return found


CODE = {vanishing: "vanishing_gradient", dead: "dead_units", saturated: "saturated_units", large_init: "saturated_units"}


@pytest.mark.parametrize(
    ("fault", "code", "seed"),
    [(fault, code, seed) for fault, code in CODE.items() for seed in range(SEEDS) if fault is not large_init or seed % 2 == 0],
)
def test_faults_that_the_statistics_show(fault, code, seed):
    found = watched(fault(digits, seed))
    assert code in [each.code for each in found.verdicts[:2]]


@pytest.mark.parametrize("data", [digits, spirals, wine, friedman])
def test_sound_trainings_have_no_serious_verdict(data):
    x, y = data()
    assert [each for each in watched({"model": mlp(x, y, 0), "x": x, "y": y}, 10).verdicts if each.severity == "serious"] == []


def test_steps_that_are_too_long_or_too_short():
    x, y = digits()
    for lr, code in ((50.0, "lr_too_high"), (1e-8, "lr_too_low")):
        model = mlp(x, y, 0, optimizer=nn.optim.Adam(lr=lr))
        assert code in [each.code for each in watched({"model": model, "x": x, "y": y}).verdicts]


def test_without_being_asked_there_are_none():
    x, y = digits()
    found = nn.callbacks.Diagnostics()
    mlp(x, y, 0, (24,) * 10, nn.Sigmoid).fit(x, y, verbose=0, callbacks=[found])
    assert found.verdicts == []
    with pytest.raises(ArgumentError, match="verdicts"):
        nn.callbacks.Diagnostics(verdicts="yes")


def test_weights_stay_those_of_the_training():
    x, y = digits()
    one, other = (mlp(x, y, 0) for _ in range(2))
    watched({"model": one, "x": x, "y": y})
    other.fit(x, y, epochs=3, verbose=0)
    for name, value in other.state_dict().items():
        np.testing.assert_array_equal(one.state_dict()[name], value)
