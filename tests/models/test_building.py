"""Building: when the shapes come, what cannot be made, and that a failure leaves the model open."""

import gc
import weakref

import numpy as np
import pytest
from models.nets import small

import nncore as nn


def test_built_at_construction_where_the_layers_say_the_shape():
    model = nn.Sequential(nn.Dropout(0.1), nn.Identity(), nn.Linear(3, 2))
    assert model.built
    assert model.input_shapes == [(3,)]
    assert model.output_shapes == [(2,)]


def test_built_on_first_use(rng):
    model = nn.Sequential(nn.Flatten(), nn.Linear(6, 2), seed=3)
    assert not model.built
    assert model.dtype == np.float32
    for what in ("input_shapes", "output_shapes", "gradients", "output_activations"):
        with pytest.raises(nn.errors.NotBuiltError, match=rf"Sequential.{what}: .*model.build\(input_shape\)"):
            getattr(model, what)
    for what in ("state_dict", "parameters", "named_parameters", "parameter_options", "summary"):
        with pytest.raises(nn.errors.NotBuiltError, match=f"Sequential.{what}: "):
            getattr(model, what)()
    with pytest.raises(nn.errors.NotBuiltError):
        model.backward([[1.0, 1.0]])
    assert "Flatten" in repr(model)
    x = rng.normal(size=(4, 2, 3)).astype(np.float32)
    out = model(x)
    assert model.built
    assert model.input_shapes == [(2, 3)]
    # The same weights as if it had been built at once.
    np.testing.assert_array_equal(out, nn.Sequential(nn.Flatten(), nn.Linear(6, 2), seed=3).build((2, 3))(x))


def test_a_failed_build_leaves_the_model_open():
    model = nn.Sequential(nn.Flatten(), nn.Linear(6, 2))
    with pytest.raises(nn.errors.ShapeError, match=r"layer 1 \(Linear\).*\[\*, 6\].*\[\*, 5\].*layer 0 \(Flatten\)"):
        model(np.zeros((1, 5)))
    assert not model.built
    assert model(np.zeros((1, 6))).shape == (1, 2)


def test_a_failed_initializer_leaves_the_model_open(rng):
    fails = [True]

    def scheme(shape, rng):
        if fails.pop():
            raise RuntimeError("no luck")
        return np.ones(shape)

    model = nn.Sequential(nn.Flatten(), nn.Linear(2, 1, weight_init=scheme))
    x = np.ones((1, 2), np.float32)
    with pytest.raises(RuntimeError, match="no luck"):
        model(x)
    assert not model.built
    fails.append(False)
    np.testing.assert_array_equal(model(x), [[2]])


def test_building_again_keeps_the_weights(rng):
    model, x = small(), rng.normal(size=(2, 5, 3)).astype(np.float32)
    rows = model(x.reshape(10, 3))
    with pytest.raises(nn.errors.ShapeError, match=r"model.build\(\(5, 3\)\)"):
        model(x)
    assert model.build((5, 3)) is model
    np.testing.assert_allclose(model(x), rows.reshape(2, 5, 2), rtol=1e-6)
    assert model.output_shapes == [(5, 2)]
    with pytest.raises(nn.errors.ShapeError, match=r"\[\*, 5, 4\]"):
        model.build((5, 4))
    np.testing.assert_allclose(model(x), rows.reshape(2, 5, 2), rtol=1e-6)  # as it was
    weight = model[0].weight
    model.build((5, 3))
    assert model[0].weight is weight or np.shares_memory(model[0].weight, weight)


def test_building_a_compiled_model_again(rng):
    model, x = nn.Sequential(nn.Linear(3, 1), seed=0), rng.normal(size=(4, 5, 3)).astype(np.float32)
    model.compile(loss="mse", optimizer="sgd")
    model.build((5, 3))
    model.forward(x)
    model.backward(np.ones((4, 5, 1)))
    before = model[0].bias.copy()
    model.apply_gradients()
    np.testing.assert_allclose(model[0].bias, before - 0.01 * 20, rtol=1e-5)


@pytest.mark.parametrize("shape", [(0,), (2.5,), (None, 3), "3", 3])
def test_bad_input_shape(shape):
    with pytest.raises(nn.errors.ArgumentError, match="input_shape"):
        nn.Sequential(nn.Flatten()).build(shape)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: nn.Sequential(), nn.errors.ArgumentError, "at least one layer"),
        (lambda: nn.Sequential([]), nn.errors.ArgumentError, "at least one layer"),
        (lambda: nn.Sequential(nn.Linear(2, 1), nn.ReLU), nn.errors.ArgumentError, r"layer 1 is the class ReLU; call it: ReLU\("),
        (
            lambda: nn.Sequential(nn.Linear(2, 1), "relu"),
            nn.errors.ArgumentError,
            "layer 1 is the text 'relu'; pass a layer, nn.ReLU",
        ),
        (lambda: nn.Sequential(nn.Linear(2, 1), seed=-1), nn.errors.ArgumentError, "seed must be a whole number of at least 0"),
        (lambda: nn.Sequential(nn.Linear(2, 1), seed=0.5), nn.errors.ArgumentError, "seed must be"),
        (lambda: nn.Sequential(nn.Linear(2, 1), dtype="float16"), nn.errors.DTypeError, '"float32" or "float64", not'),
        (lambda: nn.Sequential(nn.Linear(2, 1), dtype=None), nn.errors.DTypeError, "not None"),
        (lambda: nn.Sequential(nn.Linear(2**40, 2**40)), nn.errors.SizeError, r"layer 0 \(Linear\)"),
        (lambda: nn.Model([nn.Linear(2, 1)], None), TypeError, r"input 0 is Linear, not a value .* nn.Sequential\(\.\.\.\)"),
        (
            lambda: nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(5, 2)),
            nn.errors.ShapeError,
            r"layer 2 \(Linear\).*\[\*, 5\].*\[\*, 4\]",
        ),
    ],
)
def test_what_cannot_be_made(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_layers_of_a_failed_model_are_free():
    layer = nn.Linear(3, 4)
    with pytest.raises(nn.errors.ShapeError):
        nn.Sequential(layer, nn.Linear(5, 2))
    assert nn.Sequential(layer, nn.Linear(4, 2)).built


def test_a_model_is_freed():
    model = small()
    model[0](np.ones((2, 3)))  # the private model of a layer must not keep it
    gone = weakref.ref(model)
    del model
    gc.collect()
    assert gone() is None
