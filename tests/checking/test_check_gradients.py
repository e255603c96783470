"""check_gradients: built-in parts pass, planted errors are found, and the model stays as it was."""

import numpy as np
import pytest
from own_parts import Huberish, PyLinear, PyTanh, data, squared

import nncore as nn
from nncore.layers import activations

X, Y = data(12)
ACTIVATIONS = [
    name
    for name, layer in vars(activations).items()
    if isinstance(layer, type) and issubclass(layer, nn.layers.activations.Activation) and name in nn.__all__
]


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_built_in_activations(name, rng):
    report = nn.check_gradients(getattr(nn, name)(), rng.normal(size=(6, 5)))
    assert report, str(report)


@pytest.mark.parametrize(
    "loss", ["mse", "mae", "huber", "poisson", "hinge", "binary_crossentropy", "categorical_crossentropy", squared]
)
def test_losses(loss, rng):
    p = rng.uniform(0.1, 0.9, (7, 3))
    t = np.eye(3)[rng.integers(0, 3, 7)]
    report = nn.check_gradients(nn.losses.get(loss), p, t)
    assert report, str(report)
    assert report.entries[0].shape == (7, 3)


def test_class_losses(rng):
    loss = nn.losses.SparseCategoricalCrossentropy(from_logits=True)
    assert nn.check_gradients(loss, rng.normal(size=(7, 3)), rng.integers(0, 3, 7))


def everything():
    model = nn.Sequential(
        nn.Linear(3, 8), nn.BatchNorm1d(8), nn.LeakyReLU(), nn.Dropout(0.3), PyLinear(6), PyTanh(), nn.Linear(6, 2), seed=4
    )  # fmt: skip
    model.compile("mse", "adam")
    return model


def test_a_model_as_it_trains_stays_as_it_was():
    model = everything()
    model.fit(X, Y, verbose=0)
    before, moments, step = model.state_dict(), {k: v.copy() for k, v in model._plan.buffers().items()}, model.step
    report = nn.check_gradients(model, X, Y)
    assert report, str(report)
    assert [e.name for e in report.entries] == [*(name for name, _ in model.named_parameters()), "x"]
    assert nn.check_gradients(model, X)
    assert model.step == step
    for name, value in model.state_dict().items():
        np.testing.assert_array_equal(value, before[name])
    for name, value in model._plan.buffers().items():
        np.testing.assert_array_equal(value, moments[name])
    assert model.dtype == np.float32


class WrongWeight(PyLinear):
    def backward(self, dy, x, y):
        dx = super().backward(dy, x, y)
        self.grads["bias"][...] *= 1.0001
        return dx


class WrongInput(PyTanh):
    def backward(self, dy, x, y):
        return super().backward(dy, x, y) * 1.0001


class WrongLoss(Huberish):
    def value_and_gradient(self, y_true, y_pred):
        value, grad = super().value_and_gradient(y_true, y_pred)
        return value, grad * 1.0001


@pytest.mark.parametrize(
    ("layers", "wrong"),
    [((WrongWeight(4), nn.Linear(4, 2)), ["0.bias"]), ((PyLinear(2), WrongInput()), ["0.weight", "0.bias", "x"])],
)
@pytest.mark.parametrize("targets", [None, Y])
def test_planted_errors_in_layers(layers, wrong, targets):
    model = nn.Sequential(*[type(layer)(**layer.config()) for layer in layers], seed=0).build((3,))
    model.compile("mse", "sgd")
    report = nn.check_gradients(model, X, targets)
    assert not report
    assert [e.name for e in report.entries if not e.ok] == wrong
    assert all(5e-5 < e.error < 2e-4 for e in report.entries if not e.ok)
    assert "DIFFER" in str(report)
    with pytest.raises(nn.errors.GradientError, match=wrong[0]):
        nn.check_gradients(model, X, targets, raise_on_error=True)


def test_a_planted_error_in_a_loss():
    report = nn.check_gradients(WrongLoss(), X[:, :2], Y)
    assert not report
    assert report.worst.error == pytest.approx(1e-4, rel=0.1)
    assert nn.check_gradients(Huberish(), X[:, :2], Y)


def test_the_report_says_what_was_found_and_what_is_allowed():
    report = nn.check_gradients(nn.Sigmoid(), X)
    (entry,) = report.entries
    assert 0 < entry.error < 1e-8
    assert 1e-5 < entry.allowed < 2e-5
    assert f"error {entry.error:.1e}, allowed {entry.allowed:.1e}" in str(report)


def test_a_gradient_of_zero_is_told_from_a_wrong_one():
    """Batch norm takes the mean away, so that a bias before it has no gradient but what rounding makes of it."""
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2), seed=0)
    model.compile("mse", "sgd")
    report = nn.check_gradients(model, X, Y)
    assert report
    (line,) = [line for line in str(report).splitlines() if "rounding" in line]
    assert line.split()[0] == "0.bias"


def test_kinks_beside_the_point():
    near = np.array([[3e-6, -2e-6, 0.5]])
    assert nn.check_gradients(nn.ReLU(), near)


def test_parameters_of_a_layer_alone():
    report = nn.check_gradients(PyLinear(2), X)
    assert report
    assert [e.name for e in report.entries] == ["weight", "bias", "x"]
    assert "agree" in str(report)
    layer = nn.Linear(3, 2)
    model = nn.Sequential(layer)
    before = model.state_dict()["0.weight"]
    assert nn.check_gradients(layer, X)
    np.testing.assert_array_equal(layer.weight, before)


def test_refusals():
    with pytest.raises(nn.errors.ArgumentError, match="compile the model first"):
        nn.check_gradients(nn.Sequential(nn.Linear(3, 2)), X, Y)
    with pytest.raises(nn.errors.ArgumentError, match="predictions and targets"):
        nn.check_gradients(nn.losses.Huber(), X)
    with pytest.raises(nn.errors.ArgumentError, match="no targets"):
        nn.check_gradients(nn.Tanh(), X, Y)
    draw = np.random.default_rng(0)
    with pytest.raises(nn.errors.ArgumentError, match="different values"):
        nn.check_gradients(nn.Lambda(lambda x: x + draw.normal(), lambda dy, x, y: dy), X)


class Weighted(nn.PythonLayer):
    """Penalties that a layer in Python declares for its own weight."""

    def build(self, input_shape):
        self.add_weight("scale", (input_shape[-1],), init="ones", l1=0.3, l2=0.5)

    def forward(self, x, training):
        return x * self.scale

    def backward(self, dy, x, y):
        self.grads["scale"] += (dy * x).sum(0)
        return dy * self.scale


def test_penalties_of_weights_in_python_are_left_out(rng):
    model = nn.Sequential(Weighted(), nn.Linear(3, 1), seed=0)
    model.compile("mse", "sgd")
    assert nn.check_gradients(model, rng.normal(size=(5, 3)), rng.normal(size=(5, 1)))


def test_the_model_stays_as_it_is(rng):
    """Not even what compile declared is attached to the shapes of the data."""
    model = nn.Sequential(nn.Flatten(), nn.Linear(4, 1), seed=0)
    model.compile("mse", "sgd")
    model.build((2, 2))
    assert not model._plan.is_compiled
    assert nn.check_gradients(model, rng.normal(size=(5, 2, 2)), rng.normal(size=(5, 1)))
    assert not model._plan.is_compiled


def test_no_rows_are_refused():
    with pytest.raises(nn.errors.EmptyDataError, match="no rows"):
        nn.check_gradients(nn.Sequential(nn.Linear(2, 1)), np.zeros((0, 2)))
