"""Models that come and go around layers they share: what lives keeps its numbers, and what is gone takes no memory."""

import copy
import gc
import pathlib
import tracemalloc
import weakref

import numpy as np
import pytest
from own_parts import PyLinear

import nncore as nn
from nncore import errors


def encoder_of(size=8, dtype="float32"):
    return nn.Sequential(nn.Linear(6, size), nn.BatchNorm1d(size), nn.Tanh(), seed=1, dtype=dtype)


def head_on(encoder, units=3, **options):
    x = nn.Input((6,))
    return nn.Model(x, nn.Linear(encoder.output_shapes[0][0], units)(encoder(x)), dtype=encoder.dtype, **options)


def memory_of(array):
    """The object that owns the memory."""
    while isinstance(array, np.ndarray) and array.base is not None:
        array = array.base
    return array


def resident():
    """Memory of the process in bytes."""
    return int(pathlib.Path("/proc/self/statm").read_text().split()[1]) * 4096


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
    count = 400 if is_compiled and overlaps else 200
    encoder = encoder_of(64)
    before = encoder.state_dict()
    memory, head = [], None
    tracemalloc.start()
    try:
        for i in range(count):
            if not overlaps:
                head = None
            head = head_on(encoder, 8 + i % 5)
            if is_compiled:
                head.compile("mse", "adam")
            if i in (count // 2, count - 1):
                gc.collect()
                memory.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
    assert memory[1] - memory[0] < 100_000
    for name, value in encoder.state_dict().items():
        np.testing.assert_array_equal(value, before[name])


def test_memory_of_the_process_with_heads_that_train():
    """Sixty heads of 2 MB each, trained and dropped: the memory of a few of them stays, and not that of all."""
    encoder = nn.Sequential(nn.Linear(6, 6), nn.ReLU(), seed=0)
    sizes = []
    for i in range(60):
        x = nn.Input((6,))
        head = nn.Model(x, nn.Linear(700, 1)(nn.ReLU()(nn.Linear(700, 700)(nn.Linear(6, 700)(encoder(x))))), seed=i)
        head.compile("mse", "sgd")
        head.fit(np.zeros((8, 6)), np.zeros(8))
        del head, x
        gc.collect()
        sizes.append(resident())
    assert sizes[-1] - sizes[10] < 20 * 2**20


def test_a_head_takes_its_own_size():
    encoder = encoder_of(1000)  # 8,000 numbers
    head = head_on(encoder, 2)
    assert len(head._plan.buffers()["parameters"]) < 2100
    assert len(head._plan.buffers()["states"]) == 0
    own = [encoder._plan.buffers()[kind] for kind in ("parameters", "states")]
    for parameter in (head._plan.parameters() + head._plan.states())[:4]:
        assert any(np.shares_memory(parameter.value, buffer) for buffer in own)


def test_models_keep_their_places_when_others_come_and_go(rng):
    """Arrays that users hold stay live views."""
    encoder = encoder_of(8)
    view = encoder[0].weight
    heads = [head_on(encoder) for _ in range(3)]
    del heads[1]
    gc.collect()
    encoder[0].weight = rng.normal(size=view.shape)
    np.testing.assert_array_equal(view, encoder[0].weight)
    for head in heads:
        np.testing.assert_array_equal(head.layers[0].weight, view)
        assert np.shares_memory(head.parameters()[0], view)


def test_layers_of_a_model_that_is_gone_keep_their_values_and_not_other_models(rng):
    encoder = encoder_of(64)
    memories, layers, values = [], [], []
    for _ in range(3):
        head = head_on(encoder)
        layer = head.layers[-1]
        layer.weight = rng.normal(size=layer.weight.shape)
        layers.append(layer)
        values.append(layer.weight.copy())
        memories.append(weakref.ref(memory_of(head._plan.buffers()["parameters"])))
        del head
        gc.collect()
    for layer, value in zip(layers, values, strict=True):
        np.testing.assert_array_equal(layer.weight, value)
    del layers[2], layer
    gc.collect()
    assert [ref() is None for ref in memories] == [False, False, True]
    np.testing.assert_allclose(layers[1](np.eye(64, dtype=np.float32)), values[1].T + layers[1].bias, rtol=1e-5)
    x = nn.Input((6,))
    again = nn.Model(x, layers[0](encoder(x)))  # a new model takes the layer, with its values
    np.testing.assert_array_equal(again.layers[-1].weight, values[0])
    assert np.shares_memory(layers[0].weight, again.parameters()[-2])


def test_a_part_outlives_the_whole(rng):
    x = nn.Input((6,))
    code = nn.Tanh()(nn.Linear(6, 3)(x))
    whole = nn.Model(x, nn.Linear(3, 6)(code), seed=0)
    part = nn.Model(x, code)
    whole.compile("mse", "adam")
    data = rng.normal(size=(20, 6))
    whole.fit(data, data)
    expected = np.tanh(data @ whole.layers[0].weight.T + whole.layers[0].bias)
    del whole
    gc.collect()
    np.testing.assert_allclose(part.predict(data), expected, rtol=1e-5, atol=1e-6)
    part.compile("mse", "sgd")
    part.fit(data, np.zeros((20, 3)))
    np.testing.assert_allclose(part.predict(data), np.tanh(data @ part.layers[0].weight.T + part.layers[0].bias), atol=1e-6)


def test_an_array_of_a_model_that_is_gone_keeps_its_values(rng):
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


def test_where_a_model_cannot_be_made_the_others_stay(rng):
    one, two = encoder_of(8), encoder_of(5)
    values = [model.state_dict() for model in (one, two)]
    x = nn.Input((6,))

    def fails(shape, generator):
        raise KeyError("no")

    value = nn.add([nn.Linear(8, 2)(one(x)), nn.Linear(5, 2, weight_init=fails)(two(x))])
    with pytest.raises(KeyError, match="no"):
        nn.Model(x, value)
    for model, state in zip((one, two), values, strict=True):
        for name, value in model.state_dict().items():
            np.testing.assert_array_equal(value, state[name])
    joined = nn.Model(x, nn.add([nn.Linear(8, 2)(one(x)), nn.Linear(5, 2)(two(x))]))
    for encoder in (one, two):
        assert any(np.shares_memory(encoder[0].weight, each) for each in joined.parameters())


def test_a_shared_model_is_not_built_for_another_shape():
    encoder = nn.Sequential(nn.Flatten(), nn.Linear(6, 4)).build((2, 3))
    x = nn.Input((2, 3))
    head = nn.Model(x, nn.Linear(4, 1)(encoder(x)))
    with pytest.raises(errors.ArgumentError, match="shares"):
        encoder.build((3, 2))
    del head, x
    gc.collect()
    value = encoder[1].weight.copy()
    encoder.build((3, 2))  # nobody shares its layers any more
    np.testing.assert_array_equal(encoder[1].weight, value)


def test_lbfgs_and_files_with_borrowed_weights(rng, tmp_path):
    encoder = nn.Sequential(nn.Linear(6, 3), nn.Tanh(), seed=1, dtype="float64")
    x = nn.Input((6,))
    head = nn.Model(x, nn.Linear(3, 1)(encoder(x)), seed=2, dtype="float64")
    twin = copy.deepcopy(head)
    data, target = rng.normal(size=(30, 6)), rng.normal(size=(30, 1))
    for model in (head, twin):
        model.compile("mse", nn.optim.LBFGS())
        model.fit(data, target, epochs=5)
        model.compile("mse", nn.optim.Adam(lr=0.01, ema_momentum=0.5))
        model.fit(data, target, epochs=2)
    head.save(tmp_path / "m.safetensors")
    for model in (twin, nn.load(tmp_path / "m.safetensors")):
        for name, value in head.state_dict().items():
            np.testing.assert_array_equal(model.state_dict()[name], value)
        with head.averaged_weights(), model.averaged_weights():
            np.testing.assert_array_equal(head.predict(data), model.predict(data))
    np.testing.assert_array_equal(encoder[0].weight, head.layers[0].weight)


def test_layers_in_python_write_the_gradients_of_the_model_that_calls(rng):
    x = nn.Input((4,))
    base = nn.Sequential(PyLinear(4), dtype="float64", seed=0).build((4,))
    head = nn.Model(x, nn.Linear(4, 4, weight_init="ones")(base(x)), dtype="float64")
    other = nn.Model(x, nn.Tanh()(base(x)), dtype="float64")
    data, grad = rng.normal(size=(5, 4)), rng.normal(size=(5, 4))
    base.forward(data)
    base.backward(grad)
    np.testing.assert_allclose(base.gradients["0.weight"], grad.T @ data, rtol=1e-12)
    head.forward(data)
    head.backward(grad)
    name = next(name for name in head.gradients if name.startswith("py_linear"))
    through = np.repeat(grad.sum(axis=1, keepdims=True), 4, axis=1)
    np.testing.assert_allclose(head.gradients[name], through.T @ data, rtol=1e-12)
    np.testing.assert_allclose(base.gradients["0.weight"], grad.T @ data, rtol=1e-12)
    assert not any(value.any() for value in other.gradients.values())


def test_the_average_of_one_model_leaves_the_weights_of_others_alone(rng):
    encoder = encoder_of(8)
    one, two = head_on(encoder), head_on(encoder)
    two.compile("mse", nn.optim.SGD(lr=0.1, ema_momentum=0.9))
    x = rng.normal(size=(8, 6))
    two.fit(x, np.zeros((8, 3)))
    before = one.layers[-1].weight.copy()
    with two.averaged_weights():
        np.testing.assert_array_equal(one.layers[-1].weight, before)
