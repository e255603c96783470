"""Models with parts in Python in files: names and arguments are kept, the code is passed to load."""

import numpy as np
import pytest
from own_parts import Huberish, Largest, PyLinear, PyTanh, data, distance, squared

import nncore as nn

OBJECTS = {"PyLinear": PyLinear, "PyTanh": PyTanh, "Huberish": Huberish, "distance": distance, "Largest": Largest}


def trained(epochs=2):
    model = nn.Sequential(PyLinear(8), PyTanh(), nn.Linear(8, 2), seed=1)
    model.compile(Huberish(0.5), nn.optim.Adam(lr=0.01), [distance, nn.metrics.PythonMetric(Largest(), name="top"), "mae"])
    model.fit(*data(), epochs=epochs, verbose=0)
    return model


def test_training_goes_on_to_the_bit(tmp_path):
    model, path = trained(), tmp_path / "m.safetensors"
    model.save(path)
    again = nn.load(path, custom_objects=OBJECTS)
    assert type(again[0]) is PyLinear
    assert again[0].units == 8
    assert again.metrics_names == model.metrics_names
    x, y = data()
    np.testing.assert_array_equal(again.predict(x), model.predict(x))
    assert again.fit(x, y, verbose=0).history == model.fit(x, y, verbose=0).history
    for a, b in zip(again.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_function_as_loss(tmp_path):
    model, path = nn.Sequential(nn.Linear(3, 2)), tmp_path / "m.safetensors"
    model.compile(squared, "sgd")
    model.save(path)
    again = nn.load(path, custom_objects={"squared": squared})
    assert again.evaluate(*data()) == model.evaluate(*data())


@pytest.mark.parametrize("name", ["PyLinear", "Huberish", "distance"])
def test_without_the_code_the_error_says_how(tmp_path, name):
    path = tmp_path / "m.safetensors"
    trained().save(path)
    given = {key: value for key, value in OBJECTS.items() if key != name}
    with pytest.raises(nn.errors.FileFormatError, match=rf"custom_objects=\{{'{name}': {name}\}}"):
        nn.load(path, custom_objects=given)
    with pytest.raises(nn.errors.FileFormatError, match="custom_objects"):
        nn.load(path)


def test_a_model_that_is_not_built(tmp_path):
    path = tmp_path / "m.safetensors"
    nn.Sequential(PyLinear(4), nn.Tanh(), seed=0).save(path)
    again = nn.load(path, OBJECTS)
    assert not again.built
    assert again.build((3,)).output_shapes == [(4,)]


def test_what_the_code_makes_of_it_is_checked(tmp_path):
    path = tmp_path / "m.safetensors"
    trained().save(path)

    class Wider(PyLinear):
        def __init__(self, units, start):
            super().__init__(units + 1, start)

    for wrong, message in (
        (Wider, "shape"),
        (nn.Tanh, "PyLinear"),
        (PyTanh, "PyTanh takes no argument .units."),
        (3, "PythonLayer"),
    ):
        with pytest.raises(nn.errors.FileFormatError, match=message):
            nn.load(path, {**OBJECTS, "PyLinear": wrong})


def test_functions_are_refused(tmp_path):
    with pytest.raises(nn.errors.ArgumentError, match="Lambda contains functions"):
        nn.Sequential(nn.Linear(1, 1), nn.Lambda(np.square)).save(tmp_path / "m.safetensors")
