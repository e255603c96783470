"""nn.find_lr: the suggested rate trains, and the model stays as it was."""

import copy

import numpy as np
import pytest
from insight.planted import digits, friedman, mlp, recurrent, spirals, tones

import nncore as nn
from nncore.errors import ArgumentError, NotCompiledError


@pytest.mark.filterwarnings("ignore:fit. the loss is")
@pytest.mark.parametrize("data", [digits, spirals, friedman, tones])
@pytest.mark.parametrize("optimizer", [nn.optim.SGD(lr=1.0), nn.optim.Adam(lr=1.0)])
def test_the_suggestion_is_near_the_best_rate(data, optimizer):
    """Trained for some epochs, its loss is at most half as far from chance as the best of a grid."""
    x, y = data()
    make = recurrent if data is tones else mlp
    model = make(x, y, 0, optimizer=optimizer)
    test = nn.find_lr(model, x, y)

    def after(lr):
        trained = copy.deepcopy(model)
        trained.compile(model._trainer.config.losses[0], type(optimizer)(lr=lr))
        trained.fit(x, y, epochs=8, verbose=0)
        return trained.evaluate(x, y)

    before = model.evaluate(x, y)
    best = min(found for found in (after(lr) for lr in np.geomspace(1e-4, 1, 5)) if np.isfinite(found))
    assert before - after(test.lr) > 0.5 * (before - best)


def test_rates_grow_by_the_same_factor_and_the_model_stays():
    x, y = digits()
    model = mlp(x, y, 0, between=lambda units: [nn.Dropout(0.2)])
    twin = copy.deepcopy(model)
    test = nn.find_lr(model, x, y, lowest=1e-5, highest=1e-1, steps=50)
    np.testing.assert_allclose(test.rates, np.geomspace(1e-5, 1e-1, 50)[: len(test.rates)])
    assert len(test.rates) == len(test.losses)
    assert model.optimizer.lr == twin.optimizer.lr
    assert model.train_on_batch(x, y) == twin.train_on_batch(x, y)


def test_a_loss_that_does_not_fall_has_no_suggestion():
    x, y = digits()
    model = mlp(x, y, 0)
    model.trainable = False
    model.compile("sparse_categorical_crossentropy", "sgd")
    test = nn.find_lr(model, x, y)
    assert np.isnan(test.lr)
    assert "diagnose" in str(test)


def test_what_is_shown():
    pytest.importorskip("matplotlib")
    x, y = friedman()
    test = nn.find_lr(mlp(x, y, 0), x, y)
    (axes,) = test.plot().axes
    assert axes.get_xlabel() == "learning rate"
    assert axes.get_xscale() == "log"
    assert f"nn.optim.Adam(lr={test.lr:.2g})" in str(test)
    assert repr(test).startswith("RateTest(lr=")


@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        ({"model": nn.Sequential(nn.Linear(10, 1))}, NotCompiledError, "find_lr: compile the model first"),
        ({"lowest": 1.0, "highest": 0.1}, ArgumentError, "lowest=1 must be below highest=0.1"),
        ({"lowest": 0.0}, ArgumentError, "lowest"),
        ({"steps": 2}, ArgumentError, "steps"),
    ],
)
def test_what_is_refused(change, error, text):
    x, y = friedman()
    with pytest.raises(error, match=text):
        nn.find_lr(**{"model": mlp(x, y, 0), "x": x, "y": y} | change)
    model = mlp(x, y, 0, optimizer=nn.optim.LBFGS())
    with pytest.raises(ArgumentError, match="LBFGS searches its own step lengths"):
        nn.find_lr(model, x, y)
