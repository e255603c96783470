"""Layers written in Python: they train as their built-in twins do, and what they raise leaves the model as it was."""

import copy
import pickle
import threading

import numpy as np
import pytest
from own_parts import Explosive, PyLinear, PySum, PyTanh, data
from truth import nets

import nncore as nn
from nncore.records import Op


def pair(dtype="float64"):
    """The same net in Python and built in, with the same weights."""
    ours = nn.Sequential(PyLinear(8), PyTanh(), PyLinear(2), seed=1, dtype=dtype).build((3,))
    theirs = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 2), seed=1, dtype=dtype)
    theirs.load_state_dict(ours.state_dict())
    return ours, theirs


@pytest.mark.parametrize("optimizer", [nn.optim.Adam(lr=0.01), nn.optim.SGD(lr=0.05, momentum=0.9, clip_norm=0.5)])
def test_two_hundred_steps_as_the_built_in_twin(optimizer):
    x, y = data(96)
    for model in (models := pair()):
        model.compile("mse", copy.deepcopy(optimizer))
        model.fit(x, y, epochs=67, batch_size=32, verbose=0)
    assert models[0].step == 201
    for (name, a), (_, b) in zip(*(m.named_parameters() for m in models), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12, err_msg=name)
    np.testing.assert_allclose(models[0].predict(x), models[1].predict(x), rtol=1e-10, atol=1e-12)


def test_lines(rng):
    x = rng.normal(size=(10, 4, 3))
    model = nn.Sequential(PyLinear(5), nn.Tanh(), PyLinear(2), dtype="float64", seed=0).build((4, 3))
    assert model.output_shapes == [(4, 2)]
    assert nn.check_gradients(model, x)
    twin = nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 2), dtype="float64").build((4, 3))
    twin.load_state_dict(model.state_dict())
    np.testing.assert_allclose(model.predict(x), twin.predict(x), rtol=1e-12)


@pytest.mark.parametrize("width", [1, 3, 17, 300])
def test_widths_between_built_in_layers(width, rng):
    """Rows are padded in the core; lent arrays must not show it."""
    model = nn.Sequential(nn.Linear(3, width), PyTanh(), nn.Linear(width, width), nn.ReLU(), PyTanh(), nn.Linear(width, 1), seed=0)
    assert nn.check_gradients(model, rng.normal(size=(6, 3)), samples=10)


def test_same_bits_for_any_number_of_threads():
    x, y = data(512, dtype=np.float32)
    found = []
    for threads in (1, 2, 3):
        model = nn.Sequential(nn.Linear(3, 400), PyTanh(), nn.Linear(400, 400), nn.ReLU(), PyLinear(2), seed=3)
        model.compile("mse", "adam")
        with nn.threads(threads):
            model.fit(x, y, epochs=2, batch_size=256, verbose=0)
            found.append((model.state_dict(), model.predict(x)))
    for state, out in found[1:]:
        np.testing.assert_array_equal(out, found[0][1])
        for name, value in state.items():
            np.testing.assert_array_equal(value, found[0][0][name], err_msg=name)


def test_several_python_threads_predict_at_once():
    model = nn.Sequential(nn.Linear(3, 64), PyTanh(), PyLinear(2), seed=0)
    xs = [data(700, seed, np.float32)[0] for seed in range(8)]
    expected = [model.predict(x) for x in xs]
    wrong = []

    def work(i):
        same = [np.array_equal(f(xs[i]), expected[i]) for f in (model.predict, model) for _ in range(20)]
        wrong.extend([i] * same.count(False))

    threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong


@pytest.mark.parametrize("method", ["forward", "backward"])
@pytest.mark.parametrize("error", [ZeroDivisionError("boom"), KeyboardInterrupt()], ids=["error", "interrupt"])
@pytest.mark.parametrize("threads", [1, 2])
def test_what_is_raised_ends_fit_and_changes_no_parameter(method, error, threads):
    x, y = data(512, dtype=np.float32)
    model = nn.Sequential(nn.Linear(3, 400), Explosive(), nn.Linear(400, 400), nn.Linear(400, 2), seed=0)
    model.compile("mse", "adam")
    with nn.threads(threads):
        model.fit(x, y, batch_size=128, verbose=0)
        before, step = model.state_dict(), model.step
        model[1].arm(method, error)
        for call in (
            lambda: model.fit(x, y, batch_size=128, verbose=0),
            lambda: model.train_on_batch(x, y),
            lambda: (model.forward(x, training=True), model.backward(y)),
        ):
            with pytest.raises(type(error)) as caught:
                call()
            assert f"{method} of layer 1 (Explosive)" in "".join(caught.value.__notes__)
        assert model.step == step
        for name, value in model.state_dict().items():
            np.testing.assert_array_equal(value, before[name])
        model[1].arm(None, None)
        assert np.isfinite(model.fit(x, y, verbose=0).history["loss"]).all()


def test_what_forward_raises_ends_prediction_and_evaluation():
    x, y = data(1000)
    model = nn.Sequential(nn.Linear(3, 4), Explosive(), nn.Linear(4, 2))
    model.compile("mse", "sgd")
    expected = model.predict(x)
    model[1].arm("forward", ZeroDivisionError("boom"))
    for call in (lambda: model.predict(x), lambda: model(x[:1]), lambda: model(x), lambda: model.evaluate(x, y)):
        with pytest.raises(ZeroDivisionError, match="boom"):
            call()
    model[1].arm(None, None)
    np.testing.assert_array_equal(model.predict(x), expected)


def test_wrong_shapes_are_named():
    class Wrong(PyTanh):
        def forward(self, x):
            return x[:, :1]

    model = nn.Sequential(nn.Linear(3, 4), Wrong())
    with pytest.raises(nn.errors.ShapeError, match=r"Wrong.forward returned shape \(2, 1\).*\(2, 4\) is needed") as caught:
        model.predict(np.zeros((2, 3)))
    assert "layer 1 (Wrong)" in caught.value.__notes__[0]

    class Odd(PyTanh):
        def backward(self, dy, x, y):
            return dy[:, 0]

    model = nn.Sequential(nn.Linear(3, 4), Odd())
    model.forward(np.zeros((2, 3)))
    with pytest.raises(nn.errors.ShapeError, match=r"Odd.backward returned shape \(2,\)"):
        model.backward(np.zeros((2, 4)))


def test_what_build_and_output_shape_raise_stops_building():
    class Picky(PyTanh):
        def build(self, input_shape):
            raise LookupError("no")

    with pytest.raises(LookupError, match="no"):
        nn.Sequential(nn.Linear(3, 4), Picky())

    class Vague(PyTanh):
        def output_shape(self, input_shape):
            return 4

    with pytest.raises(nn.errors.ShapeError, match="Vague.*output_shape must return a tuple"):
        nn.Sequential(nn.Linear(3, 4), Vague())


def test_lent_arrays_are_read_only_and_outlive_the_model():
    kept = []

    class Keeps(PyTanh):
        def forward(self, x):
            kept.append(x)
            return super().forward(x)

        def backward(self, dy, x, y):
            kept.extend([dy, y])
            return super().backward(dy, x, y)

    model = nn.Sequential(nn.Linear(3, 50), Keeps(), nn.Linear(50, 2), seed=0)
    model.compile("mse", "sgd")
    x, y = data(64)
    model.train_on_batch(x[:8], y[:8])
    model.fit(x, y, batch_size=64, verbose=0)  # another arena
    model.predict(x)
    del model
    assert all(np.isfinite(a).all() for a in kept)  # under a sanitizer this would find memory that is gone
    for array in kept:
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0


def test_several_inputs_read_twice(rng):
    ops = [
        nets.linear("a", 0, 4, 3),
        nets.activation("tanh", 2),
        Op.of("python", "sum", (3, 1, 3), timewise=False, takes_lengths=False, return_sequences=True, part=PySum()),
        nets.linear("b", 4, 3, 2),
    ]
    net = nets.assemble([(4,), (3,)], ops)
    x = [rng.normal(size=(7, 4)), rng.normal(size=(7, 3))]
    h = np.tanh(x[0] @ net.parameters()[0].value.T + net.parameters()[1].value)
    (out,) = net.forward(x, True)
    wb, bb = net.parameters()[2].value, net.parameters()[3].value
    np.testing.assert_allclose(out, (2 * h + x[1]) @ wb.T + bb, rtol=1e-12)
    dy = rng.normal(size=out.shape)
    dx = net.backward([dy])
    np.testing.assert_allclose(dx[1], dy @ wb, rtol=1e-12)
    np.testing.assert_allclose(dx[0], (2 * (dy @ wb) * (1 - h * h)) @ net.parameters()[0].value, rtol=1e-12)


def test_ops_that_share_a_layer_add_up_their_gradients(rng):
    layer = PyLinear(3)
    ops = [
        Op.of("python", "a", (0,), timewise=False, takes_lengths=False, return_sequences=True, part=layer),
        nets.activation("tanh", 1),
        Op.of("python", "b", (2,), timewise=False, takes_lengths=False, return_sequences=True, part=layer, shares=0),
    ]
    net = nets.assemble([(3,)], ops)
    layer._bind({p.role: p for p in net.parameters()})
    assert len(net.parameters()) == 2
    twin = nets.assemble([(3,)], [nets.linear("a", 0, 3, 3), ops[1], nets.linear("b", 2, 3, 3)._replace(shares=0)])
    for p, q in zip(net.parameters(), twin.parameters(), strict=True):
        q.value[...] = p.value
    x, dy = rng.normal(size=(5, 3)), rng.normal(size=(5, 3))
    np.testing.assert_allclose(net.forward([x], True)[0], twin.forward([x], True)[0], rtol=1e-12)
    np.testing.assert_allclose(net.backward([dy])[0], twin.backward([dy])[0], rtol=1e-12)
    for p, q in zip(net.parameters(), twin.parameters(), strict=True):
        np.testing.assert_allclose(p.grad, q.grad, rtol=1e-12)


def test_in_a_graph(tmp_path):
    x = nn.Input((3,), name="x")
    shared = PyLinear(3, name="shared")
    h = nn.Tanh()(shared(x))
    out = PyLinear(2, name="last")(PySum()([shared(h), h, x]))
    model = nn.Model(x, out, seed=0)
    assert list(model.state_dict()) == ["shared.weight", "shared.bias", "last.weight", "last.bias"]
    model.compile("mse", "adam")
    data_x, y = data(20)
    assert nn.check_gradients(model, data_x, y)
    model.fit(data_x, y, epochs=2, verbose=0)
    model.save(tmp_path / "m.safetensors")
    again = nn.load(tmp_path / "m.safetensors", custom_objects={"PyLinear": PyLinear, "PySum": PySum})
    np.testing.assert_array_equal(again.predict(data_x), model.predict(data_x))
    assert again.fit(data_x, y, verbose=0).history == model.fit(data_x, y, verbose=0).history


def test_frozen_weights_stay():
    class Half(PyLinear):
        def build(self, input_shape):
            self.add_weight("weight", (self.units, input_shape[-1]), init="ones", trainable=False)
            self.add_weight("bias", self.units)

    model = nn.Sequential(Half(2), seed=0)
    model.compile("mse", "adam")
    model.fit(*data(), verbose=0)
    assert (model[0].weight == 1).all()
    assert (model[0].bias != 0).all()


def test_summary_copies_and_pickles():
    model, _ = pair("float32")
    x, y = data()
    model.compile("mse", "adam")
    model.fit(x, y, verbose=0)
    text = str(model.summary(show=False))
    assert "0 PyLinear" in text
    assert model.summary(show=False).total_parameters == 3 * 8 + 8 + 8 * 2 + 2
    for twin in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        np.testing.assert_array_equal(twin.predict(x), model.predict(x))
        expected = copy.deepcopy(model).fit(x, y, verbose=0).history["loss"]
        assert twin.fit(x, y, verbose=0).history["loss"] == expected
    assert list(model.state_dict()) == ["0.weight", "0.bias", "2.weight", "2.bias"]
    layer = model[0]
    with pytest.raises(nn.errors.ArgumentError, match="already belongs to another model"):
        nn.Sequential(layer)
    layer.bias = np.ones(8)
    assert (model.state_dict()["0.bias"] == 1).all()


def test_alone():
    np.testing.assert_allclose(PyTanh()([[0.5]]), np.tanh([[0.5]]))
    layer = PyLinear(2, start="ones")
    np.testing.assert_array_equal(layer([[1.0, 2.0]]), [[3.0, 3.0]])
    assert repr(layer) == "PyLinear(units=2, start='ones')"


@pytest.mark.parametrize(
    ("name", "shape", "message"),
    [
        ("not a name", 2, "an identifier"),
        ("forward", 2, "an identifier"),
        ("units", 2, "exists already"),
        ("w", (0,), "at least 1"),
    ],
)
def test_add_weight_refuses(name, shape, message):
    with pytest.raises(nn.errors.ArgumentError, match=message):
        PyLinear(2).add_weight(name, shape)


class Scale(nn.PythonLayer):
    """A weight for each feature, or one for all."""

    def __init__(self, single=False):
        super().__init__(single=single)

    def build(self, input_shape):
        self.add_weight("scale", () if self.single else input_shape, init="ones")

    def forward(self, x, training=False):
        return x * self.scale

    def backward(self, dy, x, y):
        self.grads["scale"][...] = (dy * x).sum(axis=None if self.single else 0)
        return dy * self.scale


def called_twice(layer, shapes):
    inputs = [nn.Input(shape) for shape in shapes]
    return nn.Model(inputs, [layer(each) for each in inputs], seed=0, dtype="float64")


def test_one_layer_over_inputs_of_two_shapes(rng):
    """It works where the weights are the same for both, and is refused where they are not."""
    model = called_twice(Scale(single=True), [(3,), (4,)])
    x = [rng.normal(size=(5, 3)), rng.normal(size=(5, 4))]
    assert nn.check_gradients(model, x)
    model.compile("mse", "sgd")
    model.fit(x, [2 * each for each in x], epochs=300, verbose=0)
    assert model.state_dict()["scale.scale"] == pytest.approx(2, abs=1e-2)

    with pytest.raises(nn.errors.ShapeError, match=r"inputs \[\*, 3\], but inputs \[\*, 4\] need"):
        called_twice(Scale(), [(3,), (4,)])


def test_a_layer_with_weights_stays_with_its_shape(rng):
    model = nn.Sequential(Scale(), seed=0).build((3,))
    for call in (lambda: model[0](np.ones((2, 4))), lambda: model[0](nn.Input((4,))), lambda: model.build((4,))):
        with pytest.raises(nn.errors.ShapeError, match="make another layer"):
            call()
        assert model[0].parameter_shapes() == {"scale": (3,)}
        assert model(np.ones((2, 3))).shape == (2, 3)
    assert model.build((3,)) is model
