"""Layers of the user's own that would not learn, or could not run: each mistake is named."""

import warnings

import numpy as np
import pytest

import nncore as nn

X, Y = np.linspace(-1, 1, 8).reshape(4, 2), np.ones((4, 1))


class Double(nn.PythonLayer):
    def forward(self, x):
        return 2 * x

    def backward(self, dy, x, y):
        return 2 * dy


class Forgets(Double):
    def backward(self, dy, x, y):
        2 * dy


def compiled(*layers):
    model = nn.Sequential(*layers, seed=0)
    model.compile("mse", "sgd")
    return model


def test_backward_without_a_result_warns_once():
    model = compiled(nn.Linear(2, 2), Forgets(), nn.Linear(2, 1))
    with pytest.warns(UserWarning, match="Forgets.backward returned None") as found:
        model.fit(X, Y, epochs=3)
    assert len(found) == 1


def test_nothing_to_train_before_it_is_no_mistake():
    compiled(Forgets(), nn.Linear(2, 1)).fit(X, Y)
    first = nn.Linear(2, 2)
    first.trainable = False
    compiled(first, Forgets(), nn.Linear(2, 1)).fit(X, Y)


@pytest.mark.parametrize(
    "part",
    [
        lambda: nn.Linear(2, 2),
        lambda: nn.Sequential(nn.Linear(2, 2)),
        lambda: [nn.ReLU(), nn.Linear(2, 2)],
        lambda: {"a": nn.GRU(2, 2)},
    ],
    ids=["layer", "model", "list", "dict"],
)
def test_layers_inside_of_a_layer_warn(part):
    layer = Double()
    with pytest.warns(UserWarning, match=r"Double.inner holds .* nn\.Sequential"):
        layer.inner = part()

    class Holds(Double):
        def __init__(self, inner):
            super().__init__(inner=inner)

    with pytest.warns(UserWarning, match=r"Holds.inner holds"):
        Holds(part())


def test_parts_without_weights_of_their_own_do_not_warn():
    teacher = nn.Linear(2, 2)
    teacher.trainable = False
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        layer = Double()
        layer.act, layer.teacher, layer.sizes, layer.texts = nn.ReLU(), teacher, [1, 2], {"a": "b"}


def test_a_layer_of_keras_is_told_the_names():
    class Keras(nn.PythonLayer):
        def call(self, x):
            return x

    with pytest.raises(nn.errors.ArgumentError, match="Keras has no forward; rename call to forward"):
        nn.Sequential(Keras()).build((2,))
    with pytest.raises(nn.errors.ArgumentError, match=r"add_weight takes no argument 'initializer'. It takes name, shape, init"):
        Double().add_weight("w", (2,), initializer="zeros")


def test_without_backward():
    class Forward(nn.PythonLayer):
        def forward(self, x):
            return x

    for layer, text in ((Forward(), "Forward has no backward"), (nn.Lambda(np.square), "Lambda was made without backward")):
        model = compiled(nn.Linear(2, 1), layer)
        assert model.predict(X).shape == (4, 1)
        with pytest.raises(nn.errors.ArgumentError, match=text):
            model.fit(X, Y)
        assert model.step == 0
