"""clone, reset_parameters and set_seed: models that begin again, and the seeds of models that are made without one."""

import copy
import threading

import numpy as np
import pytest

import nncore as nn
from nncore.errors import ArgumentError

X, Y = np.random.default_rng(0).normal(size=(32, 4)), np.random.default_rng(1).normal(size=(32, 2))


def chain(seed=3):
    layers = nn.Linear(4, 5), nn.BatchNorm1d(5), nn.Mish(), nn.Dropout(0.2), nn.Linear(5, 2, weight_init="orthogonal")
    return nn.Sequential(*layers, seed=seed)


def graph(seed=3):
    x = nn.Input((4,), name="x")
    shared = nn.Linear(4, 4, name="shared")
    h = shared(nn.Tanh()(shared(x)))
    return nn.Model(x, nn.Linear(4, 2, name="y")(h + x), seed=seed)


def same(a, b):
    return [name for name, value in a.state_dict().items() if not np.array_equal(value, b.state_dict()[name])] == []


def train(model, epochs=3):
    return model.fit(X, Y, epochs=epochs, batch_size=8, verbose=0).history["loss"]


@pytest.mark.parametrize("make", [chain, graph])
def test_a_clone_is_the_model_that_is_made_with_its_seed(make):
    model = make()
    model.compile("mse", nn.optim.Adam(lr=0.01), metrics=["mae"])
    losses = train(model)
    model.optimizer.lr = 1e-9
    assert same(model.clone(seed=3), make())
    assert same(model.clone(seed=4), make(4))
    clone = model.clone(seed=3)
    assert type(clone) is type(model)
    assert repr(clone) == repr(model)
    assert (clone.step, clone.seed, clone.optimizer.lr) == (0, 3, 0.01)
    assert train(clone) == losses  # the same optimizer, from its first step and with its first rate
    assert not same(model.clone(), model.clone())
    assert not np.shares_memory(model.parameters()[0], model.clone().parameters()[0])
    again = model.clone(seed=3)
    again.compile("mae", "sgd")
    assert np.isfinite(train(again)).all()


@pytest.mark.parametrize("make", [chain, graph])
def test_a_reset_model_is_one_that_has_just_been_made(make):
    model = make()
    model.compile("mse", nn.optim.Adam(lr=0.01))
    views = model.parameters()
    losses = train(model)
    model.optimizer.lr = 1e-9
    model.reset_parameters(seed=3)
    assert same(model, make())
    assert (model.step, model.optimizer.lr) == (0, 0.01)
    assert all(np.shares_memory(a, b) for a, b in zip(views, model.parameters(), strict=True))
    assert train(model) == losses
    model.reset_parameters()
    assert model.seed != 3
    assert same(model, make(model.seed))
    fresh = make()
    fresh.reset_parameters(seed=9)
    assert same(fresh, make(9))


def test_clone_and_reset_before_the_shape_is_known():
    model = nn.Sequential(nn.Flatten(), nn.Linear(6, 2), seed=1)
    model.compile("mse", "sgd")
    clone = model.clone(seed=5)
    model.reset_parameters(seed=5)
    x = np.ones((3, 2, 3))
    wanted = nn.Sequential(nn.Flatten(), nn.Linear(6, 2), seed=5)(x)
    np.testing.assert_array_equal(clone(x), wanted)
    np.testing.assert_array_equal(model(x), wanted)
    clone.fit(x, np.ones((3, 2)), verbose=0)
    recurrent = nn.Sequential(nn.GRU(3, 4), nn.Linear(4, 2), seed=0)
    assert same(recurrent.clone(seed=8), nn.Sequential(nn.GRU(3, 4), nn.Linear(4, 2), seed=8))
    recurrent.reset_parameters(seed=8)
    assert same(recurrent, nn.Sequential(nn.GRU(3, 4), nn.Linear(4, 2), seed=8))


def test_clones_of_stateful_and_python_layers():
    class Scale(nn.PythonLayer):
        def build(self, input_shape):
            self.add_weight("scale", input_shape, init="normal")

        def forward(self, x, training=False):
            return x * self.scale

        def backward(self, dy, x, y):
            self.grads["scale"][...] = (dy * x).sum(axis=0)
            return dy * self.scale

    model = nn.Sequential(nn.Linear(4, 3), Scale(), nn.Linear(3, 2), seed=2).build((4,))
    wanted = {key: value.copy() for key, value in model.state_dict().items()}
    model.compile("mse", "adam")
    train(model)
    clone = model.clone(seed=2)
    assert {key: value.tobytes() for key, value in clone.state_dict().items()} == {k: v.tobytes() for k, v in wanted.items()}


def test_layers_are_reset_by_themselves():
    model = chain()
    model.compile("mse", nn.optim.Adam(lr=0.01))
    train(model)
    others = {key: value for key, value in model.state_dict().items() if not key.startswith("1.")}
    assert model[1].running_mean.any()
    model[1].reset_parameters()
    assert not model[1].running_mean.any()
    np.testing.assert_array_equal(model[1].weight, 1)
    assert all(np.array_equal(value, model.state_dict()[key]) for key, value in others.items())
    model[4].reset_parameters(seed=3)
    np.testing.assert_array_equal(model[4].weight, chain()[4].weight)
    assert model.step == 12
    model[2].reset_parameters()  # has none


def test_a_layer_in_no_model_is_reset_too():
    layer = nn.Linear(3, 2)
    first = layer(np.ones((1, 3))).copy()
    layer.reset_parameters()
    assert not np.array_equal(layer(np.ones((1, 3))), first)
    copied = copy.deepcopy(chain()[0])  # it has the weights for its next model
    before = copy.deepcopy(copied)
    copied.reset_parameters()
    assert not np.array_equal(nn.Sequential(copied, seed=5)[0].weight, nn.Sequential(before, seed=5)[0].weight)
    nn.Linear(3, 2).reset_parameters(seed=1)


def test_what_makes_no_sense_is_refused_and_changes_nothing():
    model = chain()
    before = model.state_dict()
    for call in (model.reset_parameters, model.clone, model[0].reset_parameters, nn.set_seed):
        for seed in (-1, "a", 0.5):
            with pytest.raises(ArgumentError, match="seed"):
                call(seed)
    assert all(np.array_equal(value, model.state_dict()[key]) for key, value in before.items())


@pytest.fixture
def seeded():
    yield nn.set_seed
    nn.set_seed(None)


def test_set_seed_makes_programs_repeatable(seeded):
    def program():
        seeded(11)
        first, second, third = chain(None), chain(None), nn.Linear(4, 3)
        first.compile("mse", "adam")
        losses = first.fit(X, Y, epochs=2, validation_split=0.25, verbose=0).history["val_loss"]
        return first.seed, second.seed, losses, third(X).tobytes(), second.clone().seed

    once, again = program(), program()
    assert once == again
    assert once[0] != once[1]
    seeded(12)
    assert chain(None).seed not in once[:2]
    assert chain(7).seed == 7
    seeded(None)
    assert chain(None).seed != chain(None).seed


def test_threads_never_get_the_same_seed(seeded):
    seeded(5)
    found = []
    threads = [threading.Thread(target=lambda: found.extend(nn.Sequential(nn.ReLU()).seed for _ in range(50))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 200
    seeded(5)
    assert {nn.Sequential(nn.ReLU()).seed for _ in range(200)} == set(found)
