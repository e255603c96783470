"""What a model looks like: its repr, the sequence of its layers, its seed and type."""

import copy

import numpy as np
import pytest
from models.nets import LAYERS, small

import nncore as nn


def test_repr_is_that_of_torch():
    torch = pytest.importorskip("torch")
    layers = [layer for layer in LAYERS if "Dropout" not in layer]  # torch shows inplace
    ours = nn.Sequential(*[eval(f"nn.{layer}") for layer in layers])
    assert repr(ours) == repr(torch.nn.Sequential(*[eval(layer, vars(torch.nn)) for layer in layers]))


def test_one_list_is_as_good_as_many_arguments():
    layers = [nn.Linear(3, 2), nn.ReLU()]
    assert nn.Sequential(layers).layers == tuple(layers)
    assert list(nn.Sequential(tuple(map(copy.copy, layers)))) != layers


def test_sequence_protocol():
    model = small()
    assert len(model) == 3
    assert model[0] is model.layers[0]
    assert model[-1] is model.layers[2]
    assert [type(layer) for layer in model] == [nn.Linear, nn.ReLU, nn.Linear]
    assert model[1] in model
    with pytest.raises(IndexError):
        model[3]


def test_slice_is_a_copy(rng):
    model, x = small(), rng.normal(size=(5, 3)).astype(np.float32)
    front = model[:2]
    np.testing.assert_array_equal(model[2:](front(x)), model(x))
    front[0].weight = np.zeros((4, 3))
    assert model[0].weight.any()


def test_seed_is_drawn_and_told():
    a, b = small(seed=None), small(seed=None)
    assert a.seed != b.seed
    again = small(seed=a.seed)
    np.testing.assert_array_equal(again[0].weight, a[0].weight)


def test_dtype(dtype):
    for name in (dtype, dtype.name, dtype.type):
        model = small(dtype=name)
        assert model.dtype == dtype
        assert model[0].weight.dtype == model([[1, 2, 3]]).dtype == model.gradients["0.weight"].dtype == dtype


def test_output_activations():
    assert small().output_activations == [("", ())]
    assert nn.Sequential(nn.Linear(2, 1), nn.Hardtanh(-2, 2)).output_activations == [("hardtanh", (-2.0, 2.0))]
    assert nn.Sequential(nn.Linear(2, 1), nn.GELU("tanh")).output_activations == [("gelu_tanh", ())]
