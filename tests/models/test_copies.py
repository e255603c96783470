"""Copies, pickles and subclasses."""

import copy
import pickle

import numpy as np
import pytest
from models.nets import network, small

import nncore as nn

DUPLICATES = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "pickle": lambda model: pickle.loads(pickle.dumps(model)),
    "oldest pickle": lambda model: pickle.loads(pickle.dumps(model, protocol=2)),
}


@pytest.mark.parametrize("duplicate", DUPLICATES.values(), ids=DUPLICATES)
def test_copies_are_equal_and_independent(duplicate, dtype, rng):
    model, x = network(dtype.name), rng.normal(size=(4, 5)).astype(dtype)
    model[3].trainable = False
    again = duplicate(model)
    assert type(again) is nn.Sequential
    assert repr(again) == repr(model)
    assert (again.seed, again.dtype, again[3].trainable) == (model.seed, model.dtype, False)
    np.testing.assert_array_equal(again(x), model(x))
    before = model(x)
    again[0].weight = np.zeros((7, 5))
    np.testing.assert_array_equal(model(x), before)


@pytest.mark.parametrize("duplicate", DUPLICATES.values(), ids=DUPLICATES)
def test_copies_train_on_independently(duplicate, rng):
    model, x, y = small(), rng.normal(size=(4, 3)), rng.normal(size=(4, 2))
    model.compile(loss="mse", optimizer="adam")
    model.train_on_batch(x, y)
    again = duplicate(model)
    assert again.train_on_batch(x, y) == model.train_on_batch(x, y)
    assert again.step == model.step == 2
    again.train_on_batch(x, y)
    assert model.step == 2


def test_copy_of_a_model_that_is_not_built():
    model = nn.Sequential(nn.Flatten(), nn.Linear(4, 2), seed=2)
    again = copy.deepcopy(model)
    assert not again.built
    x = np.ones((1, 2, 2))
    np.testing.assert_array_equal(again(x), model(x))


def test_copy_of_a_model_built_for_another_shape():
    again = pickle.loads(pickle.dumps(small().build((5, 3))))
    assert again.input_shapes == [(5, 3)]


class Regressor(nn.Sequential):
    """A subclass with a constructor of its own."""

    def __init__(self, width):
        super().__init__(nn.Linear(2, width), nn.Tanh(), nn.Linear(width, 1), seed=0)


def test_subclass():
    model = Regressor(3)
    again = pickle.loads(pickle.dumps(model))
    assert type(again) is Regressor
    assert repr(model).startswith("Regressor(\n  (0): Linear")
    np.testing.assert_array_equal(again([[1, 2]]), model([[1, 2]]))


class Tagged(nn.Sequential):
    """A model as PyTorch's users write it: attributes of its own, some of which are its layers, and one that is the model."""

    def __init__(self, width):
        first = nn.Linear(2, width)
        super().__init__(first, nn.Linear(width, 1), seed=0)
        self.first, self.notes, self.whole = first, {"width": width}, self


@pytest.mark.parametrize(
    "duplicate", [copy.deepcopy, copy.copy, lambda m: pickle.loads(pickle.dumps(m)), lambda m: m.clone(seed=1)], ids=str
)
def test_attributes_of_a_users_class_are_copied(duplicate):
    model = Tagged(3)
    model.compile("mse", "sgd")
    model.fit([[1.0, 2.0]], [1.0], verbose=0)
    twin = duplicate(model)
    assert type(twin) is Tagged
    assert twin.notes == {"width": 3}
    assert twin.notes is not model.notes
    assert twin.whole is twin
    assert twin.first is twin[0]
    assert twin.first is not model.first
    twin.train_on_batch([[1.0, 2.0]], [3.0])
