"""Counts of updates up to the largest that can be counted: numbers stay finite, and nothing wraps round."""

import time

import numpy as np
import pytest
from plan.random_nets import OPTIMIZERS

import nncore as nn
from nncore.errors import SizeError

LAST = 2**63 - 1


def model_of(optimizer="adam"):
    model = nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.5), nn.GaussianNoise(0.1), nn.Linear(8, 2), seed=0)
    model.compile("mse", optimizer)
    return model


def data(rows=32):
    rng = np.random.default_rng(0)
    return rng.normal(size=(rows, 4)).astype(np.float32), rng.normal(size=(rows, 2)).astype(np.float32)


@pytest.mark.parametrize("optimizer", range(len(OPTIMIZERS)))
@pytest.mark.parametrize("start", [2**31 - 2, 2**32 - 2, 2**53, LAST - 3])
def test_training_with_large_counts(optimizer, start):
    model, (x, y) = model_of(OPTIMIZERS[optimizer]()), data()
    model.train_on_batch(x, y)
    model.step = start
    begin = time.process_time()
    model.fit(x, y, batch_size=16, verbose=0)
    model.train_on_batch(x, y)
    assert model.step == start + 3
    assert all(np.isfinite(value).all() for value in model.state_dict().values())
    assert time.process_time() - begin < 1


def test_the_momenta_of_nadam_after_many_steps():
    """Their product, which is computed from the count of steps, in time that does not grow with it."""
    model, (x, y) = model_of(nn.optim.NAdam(betas=(1 - 1e-15, 0.999), momentum_decay=1e4)), data()
    model.step = LAST - 2
    begin = time.process_time()
    model.train_on_batch(x, y)
    assert time.process_time() - begin < 1
    assert all(np.isfinite(value).all() for value in model.state_dict().values())


def by_hand(model, x, y):
    model.backward(np.ones_like(model.forward(x)))
    model.apply_gradients()


@pytest.mark.parametrize(
    "use",
    [
        lambda model, x, y: model.fit(x, y, verbose=0),
        lambda model, x, y: model.fit(x, y, verbose=0, callbacks=[nn.callbacks.Diagnostics(every=1)]),
        lambda model, x, y: model.train_on_batch(x, y),
        by_hand,
    ],
    ids=["fit", "diagnosis", "train_on_batch", "by hand"],
)
def test_what_cannot_be_counted_is_refused(use):
    model, (x, y) = model_of(), data()
    model.step = LAST
    before = {name: value.copy() for name, value in model.state_dict().items()}
    with pytest.raises(SizeError, match="no more updates can be counted"):
        use(model, x, y)
    assert model.step == LAST
    for name, value in model.state_dict().items():
        np.testing.assert_array_equal(value, before[name])


def test_the_last_steps_that_can_be_counted():
    model, (x, y) = model_of(), data(64)
    model.step = LAST - 3
    with pytest.raises(SizeError, match="no more updates can be counted"):
        model.fit(x, y, batch_size=16, verbose=0)  # four batches
    assert model.step == LAST


def test_diagnosis_near_the_end():
    model, (x, y) = model_of(), data()
    model.step = LAST - 3
    model.fit(x, y, batch_size=16, verbose=0, callbacks=[nn.callbacks.Diagnostics(every=2**62)])
    assert model.step == LAST - 1
