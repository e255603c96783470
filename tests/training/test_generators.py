"""``fit(shuffle=generator)``: the orders of the rows come from NumPy."""

import numpy as np
import pytest

import nncore as nn
from nncore.errors import ArgumentError


def net():
    model = nn.Sequential(nn.Linear(3, 1), seed=0)
    model.compile("mse", nn.optim.SGD(0.1))
    return model


@pytest.mark.parametrize("make", [np.random.RandomState, np.random.default_rng])
@pytest.mark.parametrize("split", [0.0, 0.25])
def test_each_epoch_shuffles_the_order_before(make, split, rng):
    x, y = rng.normal(size=(16, 3)).astype(np.float32), rng.normal(size=(16, 1)).astype(np.float32)
    model, own, twin = net(), net(), make(5)
    model.fit(x, y, epochs=3, batch_size=5, shuffle=make(5), validation_split=split, validation="last" if split else None)
    rows = 16 - round(16 * split)
    order = np.arange(rows)
    for _ in range(3):
        twin.shuffle(order)
        for at in range(0, rows, 5):
            own.train_on_batch(x[order[at : at + 5]], y[order[at : at + 5]])
    np.testing.assert_array_equal(model[0].weight, own[0].weight)


def test_a_single_batch_draws_an_order_too(rng):
    generator, twin = np.random.RandomState(1), np.random.RandomState(1)
    net().fit(rng.normal(size=(4, 3)), rng.normal(size=4), epochs=2, batch_size=None, shuffle=generator)
    for _ in range(2):
        twin.shuffle(np.arange(4))
    assert generator.randint(1000) == twin.randint(1000)


def test_such_training_cannot_be_resumed(rng):
    model, data = net(), (rng.normal(size=(4, 3)), rng.normal(size=4))
    model.fit(*data, shuffle=np.random.default_rng(0))
    with pytest.raises(ArgumentError, match="a generator has drawn are gone"):
        model.fit(*data, epochs=2, resume=True, shuffle=np.random.default_rng(0))
    with pytest.raises(ArgumentError, match="shuffle must be"):
        model.fit(*data, shuffle="rows")


def test_data_in_parts_have_orders_of_their_own(rng):
    parts = nn.data.parts([(rng.normal(size=(4, 3)), rng.normal(size=4))])
    with pytest.raises(ArgumentError, match="a generator shuffles the rows of arrays"):
        net().fit(parts, shuffle=np.random.default_rng(0))
