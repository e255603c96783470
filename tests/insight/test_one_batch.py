"""nn.overfit_one_batch: sound models learn a few rows by heart, and others do not."""

import copy

import numpy as np
import pytest
from insight.planted import digits, friedman, frozen, mlp, recurrent, spirals, tones, vanishing

import nncore as nn
from nncore.errors import NotCompiledError


@pytest.mark.parametrize("data", [digits, spirals, friedman, tones])
def test_sound_models_learn_some_rows(data):
    x, y = data()
    y = np.random.default_rng(0).permutation(y)
    model = (recurrent if data is tones else mlp)(x, y, 0)
    result = nn.overfit_one_batch(model, x, y, rows=16)
    assert result.solved, str(result)
    assert result.after <= 0.05 * result.chance
    assert len(result.losses) <= 1000
    assert "can learn" in str(result)


@pytest.mark.parametrize("fault", [vanishing, frozen])
def test_others_do_not(fault):
    given = fault(digits, 1)
    model = given["model"]
    if fault is frozen:
        model.trainable = False
        model.compile("sparse_categorical_crossentropy", "adam")
    result = nn.overfit_one_batch(model, given["x"], given["y"], steps=200)
    assert not result.solved
    assert "diagnose" in str(result)


def test_dropout_is_left_out_and_the_model_stays():
    x, y = digits()
    model = mlp(x, y, 0, between=lambda units: [nn.BatchNorm1d(units), nn.Dropout(0.9)])
    twin = copy.deepcopy(model)
    assert nn.overfit_one_batch(model, x, y).solved
    assert model.train_on_batch(x, y) == twin.train_on_batch(x, y)


def test_a_model_that_is_not_compiled():
    with pytest.raises(NotCompiledError, match="overfit_one_batch: compile"):
        nn.overfit_one_batch(nn.Sequential(nn.Linear(1, 1)), [[0.0]], [[0.0]])
