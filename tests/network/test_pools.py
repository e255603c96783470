"""Models that come and go around layers they share: what lives keeps its numbers, and what is gone takes no memory."""

import copy
import gc
import tracemalloc
import weakref

import numpy as np
import pytest

import nncore as nn
from nncore import errors
from nncore.network import sharing


def encoder_of(size=8, dtype="float32"):
    return nn.Sequential(nn.Linear(6, size), nn.BatchNorm1d(size), nn.Tanh(), seed=1, dtype=dtype)


def head_on(encoder, units=3, **options):
    x = nn.Input((6,))
    return nn.Model(x, nn.Linear(encoder.output_shapes[0][0], units)(encoder(x)), dtype=encoder.dtype, **options)


def memory_of(array):
    """The array that owns the memory."""
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array


def numbers_of(pool):
    return len(pool.parameters) + len(pool.states)


class Mirror:
    """The values of layers as they should be, kept in arrays of their own, and models made and dropped at random."""

    def __init__(self, rng, dtype):
        self.rng, self.dtype = rng, dtype
        self.encoders = [encoder_of(8, dtype), encoder_of(5, dtype)]
        self.models = list(self.encoders)  # those that live, with these two for good
        self.held = []  # layers of models that are gone
        self.values = {}
        for model in self.models:
            self.note(model.layers)

    def note(self, layers):
        for layer in layers:
            if layer.may_have_parameters():
                self.values[layer] = {role: view.value.copy() for role, view in layer._bound.items()}

    def data(self, model):
        x = [self.rng.normal(size=(8, *shape)) for shape in model.input_shapes]
        return (x if len(x) > 1 else x[0]), self.rng.normal(size=(8, *model.output_shapes[0]))

    def make(self):
        x = nn.Input((6,))
        bases = [m for m in self.models if m.input_shapes == [(6,)] and len(m.output_shapes[0]) == 1]
        chosen = self.rng.choice(len(bases), size=min(len(bases), int(self.rng.integers(1, 3))), replace=False)
        parts = [bases[i](x) for i in chosen]
        value = parts[0] if len(parts) == 1 else nn.concatenate(parts)
        layer = nn.Linear(value.shape[0], int(self.rng.integers(1, 40)))
        if self.held and self.rng.random() < 0.3:  # a layer of a model that is gone, in a new one
            old = self.held[int(self.rng.integers(len(self.held)))]
            if isinstance(old, nn.Linear) and old.in_features == value.shape[0]:
                layer = old
                self.held = [each for each in self.held if each is not old]
        value = layer(value)
        if self.rng.random() < 0.5:
            value = nn.BatchNorm1d(value.shape[0])(value)
        model = nn.Model(x, value, dtype=self.dtype, seed=int(self.rng.integers(100)))
        if layer in self.values:
            self.check_layer(layer)
        self.note(each for each in model.layers if each not in self.values)
        if self.rng.random() < 0.7:
            rule = [nn.optim.SGD(lr=0.01), nn.optim.Adam(lr=0.01, clip_norm=1.0)][int(self.rng.integers(2))]
            model.compile("mse", rule)
        self.models.append(model)

    def drop(self):
        if len(self.models) <= 2:
            return
        model = self.models.pop(int(self.rng.integers(2, len(self.models))))
        kept, gone = list(model.layers), weakref.ref(model)
        del model
        gc.collect()
        assert gone() is None
        for layer in kept:
            if layer in self.values and not layer._networks():
                if self.rng.random() < 0.5:
                    self.held.append(layer)
                else:
                    del self.values[layer]

    def train(self):
        model = self.models[int(self.rng.integers(len(self.models)))]
        if model._trainer is None:
            model.compile("mse", nn.optim.SGD(lr=0.01, momentum=0.9))
        twin = copy.deepcopy(model)
        x, y = self.data(model)
        for each in (model, twin):
            each.fit(x, y, epochs=1, batch_size=4)
        for name, value in twin.state_dict().items():
            np.testing.assert_array_equal(model.state_dict()[name], value)
        self.note(model.layers)

    def assign(self):
        layer = list(self.values)[int(self.rng.integers(len(self.values)))]
        value = self.rng.normal(size=layer.weight.shape).astype(self.dtype)
        layer.weight = value
        self.values[layer]["weight"] = value

    def check_layer(self, layer):
        for role, value in self.values[layer].items():
            np.testing.assert_array_equal(layer._bound[role].value, value)

    def check(self):
        for layer in self.values:
            self.check_layer(layer)
        for model in self.models:
            for parameter in model._plan.parameters() + model._plan.states():
                layer = model.layers[model._plan.owners[parameter.op]]
                np.testing.assert_array_equal(parameter.value, self.values[layer][parameter.role])
            x, _ = self.data(model)
            assert np.isfinite(model.predict(x)).all()


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_any_order_of_making_training_and_dropping(seed, dtype):
    rng = np.random.default_rng(seed)
    mirror = Mirror(rng, dtype)
    for _ in range(60):
        wanted = ["make", "train", "assign"] if len(mirror.models) < 6 else ["drop"]
        if len(mirror.models) > 2:
            wanted.append("drop")
        getattr(mirror, wanted[int(rng.integers(len(wanted)))])()
        mirror.check()


@pytest.mark.parametrize("is_compiled", [False, True])
@pytest.mark.parametrize("overlaps", [False, True], ids=["dropped first", "made first"])
def test_heads_that_come_and_go_take_no_memory(is_compiled, overlaps):
    count = 1000 if is_compiled and overlaps else 200
    encoder = encoder_of(64)
    before = encoder.state_dict()
    sizes, memory, head = [], [], None
    tracemalloc.start()
    try:
        for i in range(count):
            if not overlaps:
                head = None
            head = head_on(encoder, 8 + i % 5)
            if is_compiled:
                head.compile("mse", "adam")
            sizes.append(numbers_of(encoder._network.pool))
            if i in (count // 2, count - 1):
                gc.collect()
                memory.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
    assert max(sizes[count // 2 :]) <= max(sizes[: count // 2])
    assert max(sizes) < 4 * (64 * 16 + 64 * 16 + 8 * 64)  # encoder, and two heads at once
    assert memory[1] - memory[0] < 100_000
    for name, value in encoder.state_dict().items():
        np.testing.assert_array_equal(value, before[name])


def test_layers_of_a_model_that_is_gone_keep_their_values_and_not_the_pool(rng):
    encoder = encoder_of(64)
    pools, layers, values = [], [], []
    for _ in range(3):
        head = head_on(encoder)
        layer = head.layers[-1]
        layer.weight = rng.normal(size=layer.weight.shape)
        layers.append(layer)
        values.append(layer.weight.copy())
        pools.append(weakref.ref(memory_of(encoder._network.pool.parameters)))
        del head
        gc.collect()
    for layer, value in zip(layers, values, strict=True):
        np.testing.assert_array_equal(layer.weight, value)
    head_on(encoder)
    gc.collect()
    assert [ref() is None for ref in pools] == [True] * 3
    for layer, value in zip(layers, values, strict=True):
        np.testing.assert_array_equal(layer.weight, value)
    np.testing.assert_allclose(layers[1](np.eye(64, dtype=np.float32)), values[1].T + layers[1].bias, rtol=1e-5)
    x = nn.Input((6,))
    again = nn.Model(x, layers[0](encoder(x)))  # a new model takes the layer, with its values
    np.testing.assert_array_equal(again.layers[-1].weight, values[0])
    assert np.shares_memory(layers[0].weight, again.parameters()[-2])


def test_an_array_of_an_old_pool_keeps_its_values(rng):
    encoder = encoder_of(8)
    head = head_on(encoder)
    kept = head.layers[-1].weight
    value = kept.copy()
    del head
    gc.collect()
    for _ in range(5):
        other = head_on(encoder)
        other.layers[-1].weight = rng.normal(size=other.layers[-1].weight.shape)
    np.testing.assert_array_equal(kept, value)


def test_what_a_gap_held_is_not_seen_by_its_next_owner(rng):
    """Rows are padded, and nobody writes the padding again: it must be zero."""
    encoder = encoder_of(9)
    values = encoder.get_weights()
    first, second = head_on(encoder, 7), head_on(encoder, 7)
    first._plan.buffers()["parameters"][...] = 1e30  # the padding as well
    encoder.set_weights(values)
    del first
    gc.collect()
    third = head_on(encoder, 7)
    stretch = third._network.pool.members[-1].parameters
    assert stretch.whole.end < len(third._network.pool.parameters)  # it lies in the gap, with the second one behind it
    for block, parameter in zip(stretch.blocks, third._plan.parameters(), strict=True):
        if third.layers[third._plan.owners[parameter.op]] not in encoder.layers:
            assert np.abs(third._network.pool.parameters[block.first : block.end]).max() < 10
    assert np.isfinite(third.predict(rng.normal(size=(5, 6)))).all()
    assert second.built


def test_where_one_of_the_others_cannot_move_all_stay(monkeypatch, rng):
    one, two = encoder_of(8), encoder_of(5)
    heads = [head_on(one), head_on(two)]
    x = nn.Input((6,))
    values = [model.state_dict() for model in (one, two, *heads)]
    pools = [model._network.pool for model in (one, two, *heads)]
    calls = []
    move = sharing._move

    def failing(model, pool, member):
        calls.append(model)
        if len(calls) >= 3 and pool not in pools:
            raise errors.ConcurrentUseError("in use")
        move(model, pool, member)

    monkeypatch.setattr(sharing, "_move", failing)
    with pytest.raises(errors.ConcurrentUseError):
        nn.Model(x, nn.add([nn.Linear(8, 2)(one(x)), nn.Linear(5, 2)(two(x))]))
    monkeypatch.undo()
    assert len(calls) > 3 + 4  # two were moved, it was tried again, and all were put where they had been
    data = rng.normal(size=(8, 6))
    for model, state, pool in zip((one, two, *heads), values, pools, strict=True):
        assert model._network.pool is pool
        for name, value in model.state_dict().items():
            np.testing.assert_array_equal(value, state[name])
    for model, encoder in zip(heads, (one, two), strict=True):
        model.compile("mse", "sgd")
        model.fit(data, np.zeros((8, 3)))
        np.testing.assert_array_equal(encoder[0].weight, model.layers[0].weight)
        assert np.shares_memory(encoder.parameters()[0], model.parameters()[0])
    nn.Model(x, nn.add([nn.Linear(8, 2)(one(x)), nn.Linear(5, 2)(two(x))]))
    assert one._network.pool is two._network.pool


def test_the_average_of_one_model_leaves_the_weights_of_others_alone(rng):
    encoder = encoder_of(8)
    one, two = head_on(encoder), head_on(encoder)
    two.compile("mse", nn.optim.SGD(lr=0.1, ema_momentum=0.9))
    x = rng.normal(size=(8, 6))
    two.fit(x, np.zeros((8, 3)))
    before = one.layers[-1].weight.copy()
    with two.averaged_weights():
        np.testing.assert_array_equal(one.layers[-1].weight, before)
