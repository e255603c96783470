"""Layers as declarations: repr, arguments, op records; and called alone, against torch in float64."""

import copy
import gc
import inspect
import pickle

import numpy as np
import pytest

import nncore as nn
from nncore import _core
from nncore.layers.activations import Activation
from nncore.records import Op, ParameterOptions

#: An nncore expression; the torch one is the same.
ACTIVATIONS = [
    "Identity()",
    "Sigmoid()",
    "Tanh()",
    "ReLU()",
    "LeakyReLU()",
    "LeakyReLU(0.3)",
    "LeakyReLU(negative_slope=0.0)",
    "ELU()",
    "ELU(alpha=0.4)",
    "SELU()",
    "GELU()",
    "GELU(approximate='tanh')",
    "SiLU()",
    "Softplus()",
    "Softplus(beta=2.0, threshold=3.0)",
    "Softsign()",
    "Hardtanh()",
    "Hardtanh(-0.5, 2.0)",
    "Softmax(dim=-1)",
    "Softmax(dim=1)",
    "LogSoftmax(dim=-1)",
    "ReLU6()",
    "Hardsigmoid()",
    "Hardswish()",
    "Mish()",
    "CELU()",
    "CELU(0.4)",
    "LogSigmoid()",
    "Tanhshrink()",
]
#: Those that torch shows in another way.
SHOWN_OTHERWISE = ["Hardshrink(0.3)", "Softshrink(0.3)", "Threshold(0.1, -2.0)"]


def made(cls):
    """An object of the class, with arguments where it needs them."""
    return nn.Threshold(0.1, -2.0) if cls is nn.Threshold else cls()


def every_activation():
    """The concrete classes, Step included."""
    public = [getattr(nn, name) for name in nn.__all__]
    found = [value for value in public if isinstance(value, type) and issubclass(value, Activation)]
    return sorted(found, key=lambda cls: cls.__name__)


@pytest.mark.parametrize("expression", [*ACTIVATIONS, "Linear(3, 2)", "Linear(3, 2, bias=False)", "Flatten()", "Flatten(2, 3)"])
def test_repr_is_that_of_torch(expression):
    torch = pytest.importorskip("torch")
    assert repr(eval(f"nn.{expression}")) == repr(eval(expression, vars(torch.nn)))


def test_repr_of_what_torch_does_not_have():
    assert repr(nn.Dropout(0.2)) == "Dropout(p=0.2)"
    assert repr(nn.Step()) == "Step()"
    assert repr(nn.Step(1)) == "Step(threshold=1.0)"
    layer = nn.Linear(3, 2, weight_init="he_normal", l2=0.1, trainable=False)
    assert repr(layer) == "Linear(in_features=3, out_features=2, bias=True, weight_init='he_normal', l2=0.1, trainable=False)"


def test_every_activation_of_the_registry_has_a_class():
    codes = {made(cls).registry_code() for cls in every_activation()} | {nn.GELU("tanh").registry_code()}
    assert codes == {op["name"] for op in _core.OPS["activation"]}


@pytest.mark.parametrize("cls", every_activation())
def test_attributes_are_those_of_the_registry(cls):
    (op,) = made(cls).ops("name", (4,), 5)
    (wanted,) = (entry["attributes"] for entry in _core.OPS["activation"] if entry["name"] == op.code)
    assert list(cls.attributes) == ([] if cls is nn.ReLU6 else list(wanted))
    assert len(op.attributes) == len(wanted)
    assert op == Op.of("activation", "name", (4,), code=op.code, **{a: op.field(a) for a in wanted})


@pytest.mark.parametrize("expression", [*ACTIVATIONS, *SHOWN_OTHERWISE])
@pytest.mark.parametrize("shape", [(5, 7), (2, 3, 4)])
def test_activation_alone_against_torch(expression, shape, dtype, rng):
    torch = pytest.importorskip("torch")
    if "dim=1" in expression and len(shape) != 2:
        pytest.skip("dim=1 is the last dimension of a matrix only")
    x = (3 * rng.normal(size=shape)).astype(dtype)
    out = eval(f"nn.{expression}")(x)
    expected = eval(expression, vars(torch.nn))(torch.tensor(x, dtype=torch.float64)).numpy()
    assert out.dtype == dtype
    np.testing.assert_allclose(out, expected, rtol=50 * np.finfo(dtype).eps, atol=50 * np.finfo(dtype).eps)


def test_exp_alone(dtype):
    x = np.linspace(-4, 4, 9, dtype=dtype)[None]
    np.testing.assert_allclose(nn.Exp()(x), np.exp(x), rtol=4 * np.finfo(dtype).eps)
    assert repr(nn.Exp()) == "Exp()"


def test_step_alone():
    np.testing.assert_array_equal(nn.Step()([[-1.0, 0.0, 1e-30, 3.0]]), [[0, 0, 1, 1]])
    np.testing.assert_array_equal(nn.Step(threshold=2)([[1.0, 2.0, 3.0]]), [[0, 0, 1]])


@pytest.mark.parametrize("cls", every_activation())
def test_activation_alone_takes_any_shape(cls, rng):
    x = rng.normal(size=6)
    layer = made(cls)
    row = layer(x)
    assert row.shape == (6,)
    np.testing.assert_allclose(row, layer(x[None])[0], rtol=1e-15)
    assert layer(x.reshape(3, 2)).shape == (3, 2)
    assert layer(0.5).shape == ()


def test_dtype_alone():
    assert nn.ReLU()(np.float32([[1]])).dtype == np.float32
    assert nn.ReLU()([[1.5]]).dtype == np.float64
    assert nn.ReLU()([[1]]).dtype == np.float32
    assert nn.ReLU()(np.float16([[1]])).dtype == np.float32
    assert nn.Linear(1, 1)([[1.5]]).dtype == np.float32


def test_no_rows_alone():
    assert nn.ReLU()(np.zeros((0, 3))).shape == (0, 3)
    assert nn.Linear(3, 2)(np.zeros((0, 3))).shape == (0, 2)


def test_text_alone():
    with pytest.raises(nn.errors.DTypeError):
        nn.ReLU()([["a"]])


def test_linear_alone_keeps_its_weights(rng):
    x = rng.normal(size=(4, 3)).astype(np.float32)
    layer = nn.Linear(3, 2)
    first = layer(x)
    np.testing.assert_allclose(first, x @ layer.weight.T + layer.bias, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(layer(x), first)
    layer.weight = np.ones((2, 3))
    layer.bias = [1.0, 2.0]
    np.testing.assert_allclose(layer(x), x.sum(1, keepdims=True) + [[1, 2]], rtol=1e-5, atol=1e-5)
    assert layer(np.ones((5, 4, 3))).shape == (5, 4, 2)
    np.testing.assert_array_equal(layer.weight, np.ones((2, 3)))  # kept although the shape changed


def test_linear_alone_names_both_shapes():
    layer = nn.Linear(3, 2)
    with pytest.raises(nn.errors.ShapeError, match=r"layer 0 \(Linear\).*\[\*, 3\].*\[\*, 4\]"):
        layer(np.ones((2, 4)))
    assert layer(np.ones((2, 3))).shape == (2, 2)
    with pytest.raises(nn.errors.ShapeError, match="needs a batch"):
        layer(1.0)


def test_layer_of_a_model_called_alone_uses_its_weights(rng):
    model = nn.Sequential(nn.Linear(3, 2), nn.ReLU(), seed=0)
    layer, x = model[0], rng.normal(size=(4, 3)).astype(np.float32)
    np.testing.assert_allclose(layer(x), x @ layer.weight.T, rtol=1e-5, atol=1e-6)
    layer.weight = -layer.weight
    np.testing.assert_allclose(layer(x), x @ model[0].weight.T, rtol=1e-5, atol=1e-6)
    assert np.shares_memory(layer.weight, model.parameters()[0])  # it still belongs to the model


def test_layer_called_alone_may_join_a_model(rng):
    layer, x = nn.Linear(3, 2), rng.normal(size=(4, 3)).astype(np.float32)
    before = layer(x)
    model = nn.Sequential(layer, nn.Identity(), seed=0)
    np.testing.assert_array_equal(model(x), before)
    model[0].bias = [5.0, 5.0]
    np.testing.assert_allclose(layer(x), before + 5, rtol=1e-6)


def test_dropout_alone():
    x = np.ones((200, 300))
    assert (nn.Dropout(0.3)(x) == 1).all()
    y = nn.Dropout(0.3)(x, training=True)
    np.testing.assert_allclose(np.unique(y), [0.0, 1 / 0.7], rtol=1e-6)
    assert (nn.Dropout(0.0)(x, training=True) == 1).all()
    assert (nn.Dropout(1.0)(x, training=True) == 0).all()


def test_flatten_alone():
    torch = pytest.importorskip("torch")
    x = np.arange(120.0).reshape(2, 3, 4, 5)
    for args in [(), (2,), (1, 2), (-2, -1), (2, -1), (1, 1)]:
        np.testing.assert_array_equal(nn.Flatten(*args)(x), torch.nn.Flatten(*args)(torch.tensor(x)).numpy())


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: nn.Linear(0, 2), "Linear: in_features must be a whole number of at least 1, not 0"),
        (lambda: nn.Linear(2, 2.5), "Linear: out_features must be a whole number of at least 1, not 2.5"),
        (lambda: nn.Linear(2, True), "out_features must be a whole number of at least 1, not True"),
        (lambda: nn.Linear(2, 3, 4), "Linear: bias must be True or False, not 4"),
        (lambda: nn.Linear(2, 3, l1=-0.1), "Linear: l1 must be a finite number of at least 0, not -0.1"),
        (lambda: nn.Linear(2, 3, l2=float("nan")), "Linear: l2 must be"),
        (lambda: nn.Linear(2, 3, trainable="no"), "Linear: trainable must be True or False, not 'no'"),
        (lambda: nn.Dropout(1.5), "Dropout: p must be a finite number of at least 0 and at most 1, not 1.5"),
        (lambda: nn.Dropout("half"), "Dropout: p must be"),
        (lambda: nn.LeakyReLU(-0.1), "negative_slope must be a finite number of at least 0"),
        (lambda: nn.ELU(-1), "alpha must be a finite number of at least 0"),
        (lambda: nn.GELU("erf"), "GELU: approximate must be 'none' or 'tanh', not 'erf'"),
        (lambda: nn.Softplus(beta=0), "beta must be a finite number above 0"),
        (lambda: nn.Hardtanh(1, 1), "min_val must be below max_val, but they are 1"),
        (lambda: nn.Softmax(dim=0), "dim must be -1 or the number of the last dimension"),
        (lambda: nn.Softmax(dim=None), "Softmax: dim must be a whole number, not None"),
        (lambda: nn.Flatten(0), "dimension 0 is the batch"),
        (lambda: nn.Flatten(3, 2), r"start_dim \(3\) must not lie after end_dim \(2\)"),
        (lambda: nn.Flatten(1.0), "start_dim must be a whole number"),
        (lambda: nn.Step("x"), "threshold must be a finite number"),
    ],
)
def test_bad_arguments(make, message):
    with pytest.raises(nn.errors.ArgumentError, match=message):
        make()


def test_sizes_beyond_counting():
    with pytest.raises(nn.errors.SizeError, match="in_features"):
        nn.Linear(2**63, 1)


def test_numpy_integers_are_sizes():
    assert repr(nn.Linear(np.int64(3), np.uint8(2), np.True_)) == "Linear(in_features=3, out_features=2, bias=True)"


def test_softmax_over_another_dimension_is_refused():
    assert nn.Softmax(dim=2)(np.zeros((2, 3, 4))).shape == (2, 3, 4)
    with pytest.raises(nn.errors.ShapeError, match=r"dim=1, but the last dimension of \[\*, 3, 4\] is 2"):
        nn.Softmax(dim=1)(np.zeros((2, 3, 4)))
    with pytest.raises(nn.errors.ShapeError, match=r"layer 1 \(Softmax\): dim=2"):
        nn.Sequential(nn.Linear(3, 2), nn.Softmax(dim=2))


def test_op_records():
    assert nn.Linear(3, 2).ops("n", (0,), 1) == [Op.of("linear", "n", (0,), in_features=3, out_features=2, has_bias=True)]
    assert nn.Linear(3, 2, bias=False).ops("n", (4,), 5) == [
        Op.of("linear", "n", (4,), in_features=3, out_features=2, has_bias=False)
    ]
    assert nn.Dropout(0.25).ops("n", (0,), 1) == [Op.of("dropout", "n", (0,), p=0.25)]
    assert nn.Flatten(1, -2).ops("n", (0,), 1) == [Op.of("flatten", "n", (0,), start_dim=1, end_dim=-2)]
    assert nn.Hardtanh(-2, 3).ops("n", (0,), 1) == [Op.of("activation", "n", (0,), code="hardtanh", min_val=-2.0, max_val=3.0)]


def test_arguments_are_fixed_but_training_options_are_not():
    layer = nn.Linear(3, 2)
    for name in ("in_features", "out_features", "weight_init"):
        with pytest.raises(AttributeError, match=f"Linear.{name} is fixed"):
            setattr(layer, name, 4)
    with pytest.raises(AttributeError, match="p is fixed"):
        nn.Dropout().p = 0.1
    layer.trainable, layer.l1 = False, 0.5
    assert layer.options("weight") == ParameterOptions(trainable=False, l1=0.5)
    assert layer.options("bias") == ParameterOptions(trainable=False)
    with pytest.raises(nn.errors.ArgumentError, match="l1 must be"):
        layer.l1 = -1
    with pytest.raises(nn.errors.ArgumentError, match="trainable must be"):
        layer.trainable = None
    assert layer.config()["l1"] == 0.5


@pytest.mark.parametrize("layer", [nn.Linear(3, 2, False, l1=0.5), nn.Softplus(2, 3), nn.Flatten(2), nn.Dropout(0.1)], ids=repr)
def test_config_makes_the_layer_again(layer):
    again = type(layer)(**layer.config())
    assert again is not layer
    assert repr(again) == repr(layer)


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, lambda layer: pickle.loads(pickle.dumps(layer))])
def test_copies_carry_the_weights(duplicate):
    model = nn.Sequential(nn.Linear(3, 2, weight_init="he_normal", l2=0.1), seed=0)
    model[0].trainable = False
    again = duplicate(model[0])
    assert repr(again) == repr(model[0])
    assert again.trainable is False
    other = nn.Sequential(again, seed=1)
    np.testing.assert_array_equal(other[0].weight, model[0].weight)
    other[0].weight[...] = 0
    assert model[0].weight.any()


def test_parameters_before_there_are_any():
    layer = nn.Linear(3, 2)
    for touch in (lambda: layer.weight, lambda: layer.bias, lambda: layer.grads):
        with pytest.raises(nn.errors.NotBuiltError, match="has no (weight|bias) yet.*Sequential"):
            touch()
    with pytest.raises(nn.errors.NotBuiltError, match="has no weight yet"):
        layer.weight = np.ones((2, 3))
    assert nn.ReLU().grads == {}


def test_layer_without_bias():
    layer = nn.Linear(3, 2, bias=False)
    assert layer.bias is None
    nn.Sequential(layer)
    assert layer.bias is None
    assert list(layer.grads) == ["weight"]
    with pytest.raises(nn.errors.ArgumentError, match="was made without bias"):
        layer.bias = [1, 2]


def test_assigning_weights_is_checked():
    model = nn.Sequential(nn.Linear(3, 2), seed=0)
    before = model[0].weight.copy()
    with pytest.raises(nn.errors.ShapeError, match=r"Linear.weight has shape \(2, 3\); an array of shape \(3, 2\)"):
        model[0].weight = np.ones((3, 2))
    with pytest.raises(nn.errors.ShapeError, match=r"shape \(\)"):  # no broadcasting
        model[0].weight = 1.0
    with pytest.raises(nn.errors.ArgumentError, match="must be real numbers"):
        model[0].weight = np.ones((2, 3), complex)
    np.testing.assert_array_equal(model[0].weight, before)
    view = model[0].weight
    model[0].weight = np.ones((2, 3), int)
    assert (view == 1).all()


def test_a_layer_belongs_to_one_model():
    layer = nn.Linear(3, 2)
    model = nn.Sequential(layer, seed=0)
    with pytest.raises(nn.errors.ArgumentError, match=r"layer 0, Linear\(.*already belongs to another model.*deepcopy"):
        nn.Sequential(layer)
    weight = model[0].weight.copy()
    del model
    gc.collect()
    np.testing.assert_array_equal(nn.Sequential(layer, seed=1)[0].weight, weight)


def test_a_layer_twice_in_one_model():
    relu, layer = nn.ReLU(), nn.Linear(3, 3)
    assert len(nn.Sequential(nn.Linear(3, 3), relu, nn.Linear(3, 3), relu)) == 4
    with pytest.raises(nn.errors.ArgumentError, match=r"layers 0 and 2 are one object, Linear\(.*deepcopy"):
        nn.Sequential(layer, relu, layer)


def test_a_layer_of_ones_own():
    class Halve(nn.Layer):
        """An average of two columns, from ops that exist."""

        weight = type(nn.Linear.weight)("[1, 2], a live view.")

        def ops(self, name, inputs, value):
            return [
                Op.of("linear", name, inputs, in_features=2, out_features=1, has_bias=False),
                Op.of("activation", name, (value,), code="relu"),
            ]

        def parameter_shapes(self):
            return {"weight": (1, 2)}

        def initializer(self, role, activation):
            return nn.init.constant(0.5)

        def input_shape(self):
            return (2,)

    model = nn.Sequential(Halve(), nn.Linear(1, 1, weight_init="ones"))
    np.testing.assert_array_equal(model([[1.0, 3.0], [-1.0, -1.0]]), [[2.0], [0.0]])
    assert list(model.state_dict()) == ["0.weight", "1.weight", "1.bias"]
    assert repr(model[0]) == "Halve()"
    assert copy.deepcopy(model)([[1.0, 3.0]]) == [[2.0]]


def test_signatures_are_those_of_the_constructors():
    shown = inspect.signature(nn.GRU)
    assert list(shown.parameters)[:3] == ["input_size", "hidden_size", "num_layers"]
    assert list(shown.parameters)[-1] == "name"
    assert list(inspect.signature(nn.ReLU).parameters) == ["name"]
    assert str(inspect.signature(nn.Lambda)).startswith("(forward")


def test_reshape_takes_a_tuple_as_keras_does():
    assert nn.Reshape((3, -1)).shape == nn.Reshape(3, -1).shape == nn.Reshape(shape=[3, -1]).shape
