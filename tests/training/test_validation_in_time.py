"""validation="last": the last rows validate while the others are shuffled."""

import numpy as np
import pytest

import nncore as nn
from nncore import errors


def at_rest(outputs=1):
    """A model that does not move: its losses are those of the same numbers in NumPy."""
    x = nn.Input((3,))
    heads = [nn.Linear(3, 1, name=f"y{i}")(x) for i in range(outputs)]
    model = nn.Model(x, heads if outputs > 1 else heads[0], seed=0, dtype="float64")
    model.compile("mse", nn.optim.SGD(lr=0.0))
    return model


def losses(model, x, y, rows, output=0):
    layer = model.layers[output]
    return ((x[rows] @ layer.weight[0] + layer.bias[0] - y[rows]) ** 2).mean()


@pytest.fixture
def xy(rng):
    return rng.normal(size=(20, 3)), np.arange(20.0)


@pytest.mark.parametrize("shuffle", [True, False])
def test_the_last_rows(xy, shuffle):
    x, y = xy
    model = at_rest()
    found = model.fit(x, y, validation_split=0.25, validation="last", shuffle=shuffle, batch_size=4, verbose=0)
    assert found.history["loss"] == [pytest.approx(losses(model, x, y, slice(15)))]
    assert found.history["val_loss"] == [pytest.approx(losses(model, x, y, slice(15, None)))]
    in_order = [losses(model, x, y, slice(i, min(i + 4, 15))) for i in range(0, 15, 4)]
    assert np.allclose(found.step_losses, in_order) == (not shuffle)


@pytest.mark.parametrize("labels", [False, True])
def test_labels_do_not_move_the_split(rng, labels):
    """Class labels would stratify a random split; the last rows stay the last ones."""
    x, y = rng.normal(size=(20, 3)), np.repeat([0, 1], 10)
    model = nn.Sequential(nn.Linear(3, 1), nn.Sigmoid(), seed=0)
    model.compile("bce" if labels else "mse", nn.optim.SGD(lr=0.0))
    history = model.fit(x, y, validation_split=0.25, validation="last", verbose=0).history
    assert history["val_loss"] == [pytest.approx(model.evaluate(x[15:], y[15:]), rel=1e-6)]


def test_random_rows_in_order(xy):
    """The split is that of shuffle=True, and the training rows keep their order."""
    x, y = xy
    model = at_rest()
    one = model.fit(x, y, validation_split=0.25, verbose=0).history
    two = model.fit(x, y, validation_split=0.25, validation="random", shuffle=False, verbose=0).history
    three = model.fit(x, y, validation_split=0.25, validation="random", verbose=0).history
    assert two["val_loss"] == three["val_loss"] == one["val_loss"]
    assert one["val_loss"] != [pytest.approx(losses(model, x, y, slice(15, None)))]
    last = model.fit(x, y, validation_split=0.25, shuffle=False, verbose=0).history
    assert last["val_loss"] == [pytest.approx(losses(model, x, y, slice(15, None)))]


def test_several_outputs(xy):
    x, y = xy
    model = at_rest(2)
    history = model.fit(x, [y, -y], validation_split=0.25, validation="last", verbose=0).history
    for i, target in enumerate((y, -y)):
        assert history[f"val_y{i}_loss"] == [pytest.approx(losses(model, x, target, slice(15, None), i))]
        assert history[f"y{i}_loss"] == [pytest.approx(losses(model, x, target, slice(15), i))]


@pytest.mark.parametrize(
    ("groups", "fraction", "held_out"),
    [
        (np.repeat([3, 1, 2, 0, 9], 4), 0.2, slice(16, None)),
        (np.repeat([3, 1, 2, 0, 9], 4), 0.3, slice(12, None)),  # six rows are as far from one group as from two: the nearer prefix
        (np.repeat(["a", "b", "c"], [6, 6, 8]), 0.05, slice(12, None)),  # one group at least, although it is large
        (np.repeat(["a", "b"], [1, 19]), 0.05, slice(1, None)),
        (np.repeat(["a", "b"], [19, 1]), 0.9, slice(19, None)),
    ],
)
def test_the_last_groups(xy, groups, fraction, held_out):
    x, y = xy
    model = at_rest()
    history = model.fit(x, y, validation_split=fraction, validation="last", groups=groups, verbose=0).history
    possible = [held_out, slice(16, None)] if fraction == 0.3 else [held_out]
    assert history["val_loss"][0] in [pytest.approx(losses(model, x, y, rows)) for rows in possible]


def test_classes_do_not_choose_the_last_groups(rng):
    x, groups = rng.normal(size=(20, 3)), np.repeat(np.arange(5), 4)
    y = np.repeat([0, 0, 1, 0, 1], 4)
    model = nn.Sequential(nn.Linear(3, 1), nn.Sigmoid(), seed=0)
    model.compile("bce", nn.optim.SGD(lr=0.0))
    for options in ({"validation": "last"}, {"shuffle": False}):
        history = model.fit(x, y, validation_split=0.4, groups=groups, verbose=0, **options).history
        assert history["val_loss"] == [pytest.approx(model.evaluate(x[12:], y[12:]), rel=1e-6)]


def test_refusals(xy):
    model = at_rest()
    for options, text in (
        ({"validation": "last"}, "pass validation_split too"),
        ({"validation": "last", "validation_data": xy}, "pass validation_split too"),
        ({"validation": "first", "validation_split": 0.2}, "validation must be 'random' or 'last'"),
        ({"validation": xy, "validation_split": 0.2}, "validation must be"),
    ):
        with pytest.raises(errors.ArgumentError, match=text):
            model.fit(*xy, **options)
    with pytest.raises(errors.ArgumentError, match="need y"):
        model.fit([xy], validation_split=0.2, validation="last")
