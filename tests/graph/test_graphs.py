"""Values, names, and the graphs that are refused."""

import gc
import weakref

import numpy as np
import pytest

import nncore as nn
from nncore import errors
from nncore.graph import layer_names


def test_values_know_their_shapes():
    x = nn.Input((3, 4), name="x")
    assert x.shape == (3, 4)
    assert nn.Linear(4, 5)(x).shape == (3, 5)
    assert nn.Flatten()(x).shape == (12,)
    assert nn.concatenate([x, x], axis=1).shape == (6, 4)
    assert repr(x) == "<Input [*, 3, 4] 'x'>"
    assert repr(nn.Linear(4, 5, name="h")(x)) == "<Value [*, 3, 5] from h>"


def test_arithmetic(rng):
    a, b = nn.Input((3,)), nn.Input((3,))
    values = [a + b, a - b, a * b, a + 1, 2 + a, a - 3, 1 - a, a * 2.5, np.float64(2) * a, a / 4, -a, a + b + a + b]
    model = nn.Model([a, b], values, dtype="float64")
    x, y = rng.normal(size=(2, 7, 3))
    expected = [x + y, x - y, x * y, x + 1, 2 + x, x - 3, 1 - x, x * 2.5, 2 * x, x / 4, -x, x + y + x + y]
    for got, truth in zip(model.predict([x, y]), expected, strict=True):
        np.testing.assert_allclose(got, truth, rtol=1e-14)
    assert sum([a]) is a
    np.testing.assert_allclose(nn.Model([a, b], sum([a, b, a]), dtype="float64").predict([x, y]), 2 * x + y, rtol=1e-14)
    for bad in (lambda: a + np.ones(3), lambda: np.ones(3) * a, lambda: a * "x", lambda: a / b):
        with pytest.raises(errors.ArgumentError, match="takes (values of the network and single numbers|a number on its right)"):
            bad()


@pytest.mark.parametrize(
    ("make", "truth"),
    [
        (nn.add, lambda x: x.sum(0)),
        (nn.multiply, lambda x: x.prod(0)),
        (nn.average, lambda x: x.mean(0)),
        (nn.maximum, lambda x: x.max(0)),
        (nn.minimum, lambda x: x.min(0)),
        (nn.concatenate, lambda x: np.concatenate(list(x), -1)),
    ],
)
@pytest.mark.parametrize("count", [2, 3, 8, 9, 20])
def test_many_inputs(make, truth, count, rng):
    inputs = [nn.Input((5,)) for _ in range(count)]
    model = nn.Model(inputs, make(inputs), dtype="float64")
    x = rng.normal(size=(count, 6, 5))
    np.testing.assert_allclose(model.predict(list(x)), truth(x), rtol=1e-13, atol=1e-14)
    np.testing.assert_allclose(make(list(x)), truth(x), rtol=1e-13, atol=1e-14)


def test_names():
    x = nn.Input((2,))
    made = [
        nn.Linear(2, 2),
        nn.Linear(2, 2, name="linear"),
        nn.LeakyReLU(),
        nn.BatchNorm1d(2),
        nn.SiLU(),
        nn.Linear(2, 2),
        nn.ReLU(),
    ]
    assert layer_names(made) == ["linear_1", "linear", "leaky_relu", "batch_norm1d", "silu", "linear_2", "relu"]
    h = x
    for layer in made:
        h = layer(h)
    model = nn.Model({"data": x}, {"result": h})
    assert (model.input_names, model.output_names) == (["data"], ["result"])
    assert "linear_1.weight" in model.state_dict()
    with pytest.raises(errors.ArgumentError, match="two of the layers are called 'a'"):
        nn.Model(x, nn.Linear(2, 2, name="a")(nn.Linear(2, 2, name="a")(x)))
    for bad in ("", " a", "a.b", "training", 3):
        with pytest.raises(errors.ArgumentError, match="name must be"):
            nn.Linear(2, 2, name=bad)


def test_initial_weights_suit_the_activation_that_follows():
    x = nn.Input((400,))
    layer, other = nn.Linear(400, 300), nn.Linear(400, 300)
    nn.Model(x, [nn.ReLU()(nn.Dropout()(layer(x))), nn.Tanh()(other(x))], seed=0)
    assert np.var(layer.weight) == pytest.approx(2 / 400, rel=0.05)  # He
    assert np.var(other.weight) == pytest.approx(2 / 700, rel=0.05)  # Xavier


def test_a_model_of_an_intermediate_value(rng):
    x = nn.Input((3,))
    h = nn.Tanh()(x)
    model = nn.Model(h, nn.Rescaling(2.0)(h), dtype="float64")
    z = rng.normal(size=(4, 3))
    np.testing.assert_array_equal(model.predict(z), 2 * z)


def test_only_what_the_outputs_need_belongs_to_the_model():
    x = nn.Input((3,))
    used, unused = nn.Linear(3, 3), nn.Linear(3, 3)
    unused(x)
    assert nn.Model(x, used(x)).layers == (used,)
    assert nn.Sequential(unused).layers == (unused,)  # it is still free


A, B = nn.Input((3,), name="a"), nn.Input((3,), name="b")


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda: nn.Model(A, nn.add([A, B])), errors.ArgumentError, "depend on <Input .* 'b'>, which is not among the inputs"),
        (lambda: nn.Model([A, B], nn.Tanh()(A)), errors.ArgumentError, "no output depends on input 1, <Input .* 'b'>"),
        (lambda: nn.Model([A, A], nn.Tanh()(A)), errors.ArgumentError, "inputs 0 and 1 are the same value"),
        (lambda: nn.Model(A, [A, A]), errors.ArgumentError, "outputs 0 and 1 are the same value"),
        (lambda: nn.Model([], A), errors.ArgumentError, "at least one of inputs"),
        (lambda: nn.Model(A, nn.Tanh()), errors.ArgumentError, "output 0 is Tanh, not a value"),
        (lambda: nn.Model({"a/b": A}, nn.Tanh()(A)), errors.ArgumentError, "name must be"),
        (lambda: nn.Linear(4, 2, name="h")(A), errors.ShapeError, r"h expects input of shape \[\*, 4\] but gets \[\*, 3\]"),
        (lambda: nn.Linear(3, 2)([A, B]), errors.ArgumentError, "Linear takes 1 input, not 2"),
        (lambda: nn.Add()([A]), errors.ArgumentError, "Add takes at least 2 inputs, not 1"),
        (lambda: nn.Add()(A), errors.ArgumentError, "Add takes at least 2 inputs, not 1"),
        (lambda: nn.Subtract()([A, B, A]), errors.ArgumentError, "Subtract takes 2 inputs, not 3"),
        (lambda: nn.Add()([A, np.ones((2, 3))]), errors.ArgumentError, "input 1 is ndarray, which is no part of the network"),
        (
            lambda: nn.Add()([A, nn.Input((4,))]),
            errors.ShapeError,
            r"must have one shape, or 1 where they differ, but are \[\*, 3\] .* \[\*, 4\]",
        ),
        (lambda: nn.Add()(np.ones((2, 3))), errors.ArgumentError, "takes a list of arrays"),
        (lambda: nn.Concatenate(0), errors.ArgumentError, "axis must be"),
        (lambda: nn.Concatenate(2)([A, B]), errors.ShapeError, "axis=2 does not name"),
        (lambda: nn.Input(3), errors.ArgumentError, "shape is a tuple"),
        (lambda: nn.Input((0,)), errors.ArgumentError, "each dimension of shape must be"),
        (
            lambda: nn.Sequential(nn.Linear(3, 3), nn.Add()),
            errors.ArgumentError,
            "takes several inputs; connect layers with nn.Input",
        ),
        (lambda: nn.Softmax(dim=2)(A), errors.ShapeError, "dim=2"),
    ],
)
def test_what_is_no_graph_is_refused(make, error, text):
    with pytest.raises(error, match=text):
        make()


def test_isinstance_and_shapes():
    model = nn.Model(A, nn.Tanh()(A))
    assert isinstance(model, nn.Model)
    assert isinstance(nn.Sequential(nn.Tanh()), nn.Model)
    assert model.input_shapes == model.output_shapes == [(3,)]
    assert nn.Model(A, A)([[1.0, 2.0, 3.0]]).tolist() == [[1.0, 2.0, 3.0]]  # no layers at all


@pytest.mark.parametrize("shares", [False, True])
def test_a_dropped_model_frees_its_layers_at_once(shares):
    """Its weights do not wait for the garbage collection, which comes late where few objects hold much memory."""
    first, x = nn.Linear(3, 4), nn.Input((3,))
    gc.collect()
    gc.disable()
    try:
        for _ in range(2):
            _, state = nn.GRU(3, 4, return_state=True)(nn.Input((5, 3)))
            model = nn.Model(x, nn.Linear(4, 1)(nn.Tanh()((first if shares else nn.Linear(3, 4))(x))), seed=0)
            model.compile(loss="mse", optimizer="adam")
            model.fit(np.ones((4, 3)), np.ones(4), verbose=0)
            gone = [weakref.ref(model.layers[-1]), weakref.ref(state.node.layer)]
            del model, state, _
            assert [each() for each in gone] == [None, None]
    finally:
        gc.enable()
