"""The walk that all exporters follow, and that every op of the registry has its entry in each of them."""

import re
from contextlib import nullcontext

import numpy as np
import pytest
from export.nets import random_model

import nncore as nn
from nncore import _core
from nncore.errors import ArgumentError, NotBuiltError, ShapeError
from nncore.export.c import activations as c_activations
from nncore.export.c import layers as c_layers
from nncore.export.numpy_file import activations as numpy_activations
from nncore.export.numpy_file import layers as numpy_layers
from nncore.export.onnx import activations, layers
from nncore.export.walk import REFUSED, VANISHING, walk

#: Exporter -> its entries for kinds of ops, and for activations.
EXPORTERS = {
    "onnx": (layers.LAYERS, activations.ACTIVATIONS),
    "c": (c_layers.LAYERS, c_activations.ACTIVATIONS),
    "numpy_file": (numpy_layers.LAYERS, numpy_activations.ACTIVATIONS),
}


def without_entry(ops, of_layers, of_activations):
    """The ops of a registry that an exporter cannot write."""
    kinds = {op["name"] for op in ops["layer"]} - VANISHING - REFUSED
    codes = {op["name"] for op in ops["activation"]} - {"identity"}
    return sorted(kinds - {*of_layers} | codes - {*of_activations})


@pytest.mark.parametrize("exporter", EXPORTERS)
def test_every_op_has_an_entry(exporter):
    of_layers, of_activations = EXPORTERS[exporter]
    assert without_entry(_core.OPS, of_layers, of_activations) == []
    assert {*of_layers} <= {op["name"] for op in _core.OPS["layer"]}
    assert {*of_activations} <= {op["name"] for op in _core.OPS["activation"]}
    more = {kind: [*_core.OPS[kind], {"name": f"new {kind}"}] for kind in ("layer", "activation")}
    assert without_entry(more, of_layers, of_activations) == ["new activation", "new layer"]


def test_steps_name_what_they_need():
    model = nn.Sequential(
        nn.Linear(3, 4),
        nn.Dropout(0.5),
        nn.BatchNorm1d(4),
        nn.Identity(),
        nn.ReLU(),
        nn.GaussianNoise(0.1),
        nn.Linear(4, 2, bias=False),
    )
    found = walk(model._network, "a test")
    assert [step.op.code or step.op.kind for step in found.steps] == ["linear", "batch_norm", "relu", "linear"]
    assert [step.op.inputs for step in found.steps] == [(0,), (1,), (3,), (5,)]
    assert found.outputs == [found.steps[-1].output]
    assert found.steps[0].parameters == {"weight": "0.weight", "bias": "0.bias"}
    assert found.steps[3].parameters == {"weight": "6.weight"}
    assert {*found.steps[1].parameters} == {"weight", "bias", "running_mean", "running_var", "num_batches_tracked"}
    for name, value in model.state_dict().items():
        np.testing.assert_array_equal(found.tensors[name], value)
    found.tensors["0.weight"][:] = 0  # a copy
    assert model[0].weight.any()


def test_calls_of_one_layer_share_tensors():
    a, b, layer = nn.Input((3,)), nn.Input((3,)), nn.GRU(1, 2, name="gru")
    u, v = (layer(nn.Reshape(-1, 1)(x)) for x in (a, b))
    found = walk(nn.Model([a, b], u - v)._network, "a test")
    first, second = (step.parameters for step in found.steps if step.op.kind == "recurrent")
    assert first == second
    assert first["weight_hh_l0"] == "gru.weight_hh_l0"


def test_what_nobody_reads_has_no_step():
    x = nn.Input((5, 3))
    _, (_h, c) = nn.LSTM(3, 4, return_state=True)(x)
    found = walk(nn.Model(x, c)._network, "a test")
    assert [(step.op.kind, step.op.field("is_cell_state")) for step in found.steps[1:]] == [("state", 1)]


def test_times():
    """Two sequences of one length, one of another, a picture, and an initial state."""
    x, y, z = nn.Input((4, 2), "x"), nn.Input((4, 2), "y"), nn.Input((3, 2), "z")
    p, h = nn.Input((2, 2), "p"), nn.Input((2, 3), "h")
    both = nn.GRU(2, 3, bidirectional=True)(x + y, h)
    found = walk(
        nn.Model([x, y, z, p, h], [both, nn.GRU(2, 2, return_sequences=True)(z), nn.Linear(4, 1)(nn.Flatten()(p))])._network,
        "a test",
    )
    assert [value.axes for value in found.values[:5]] == [("x_time", ""), ("x_time", ""), ("z_time", ""), ("", ""), ("", "")]
    assert found.values[found.outputs[1]].axes == ("z_time", "")
    single = walk(nn.Sequential(nn.RNN(2, 3, return_sequences=True), nn.Flatten())._network, "a test")  # not built
    assert single.values[0].axes == ("time", "")
    assert single.values[single.outputs[0]].axes[0] not in ("", "time")  # three times as much


@pytest.mark.parametrize("seed", range(0, 60, 2))
def test_no_stream_is_what_streams_say(seed):
    model, _ = random_model(seed)
    said = walk(model._network, "a test").no_stream
    with pytest.raises((ArgumentError, ShapeError), match="^stream: " + re.escape(said) + "$") if said else nullcontext():
        model.stream()


def test_no_stream():
    assert walk(nn.Sequential(nn.GRU(2, 3), nn.Linear(3, 1))._network, "a test").no_stream == ""  # not built
    assert walk(nn.Sequential(nn.Embedding(4, 2), nn.LSTM(2, 3))._network, "a test").no_stream == ""
    assert "is bidirectional" in walk(nn.Sequential(nn.GRU(2, 3, bidirectional=True))._network, "a test").no_stream
    assert "no time dimension" in walk(nn.Sequential(nn.Linear(2, 3))._network, "a test").no_stream


def test_indices():
    x, y = nn.Input((4,)), nn.Input(())
    model = nn.Model([x, y], [nn.Embedding(5, 2)(nn.Flatten()(x)), nn.Embedding(5, 2)(y), y * 2])
    assert walk(model._network, "a test").indices == {0}


class Twice(nn.PythonLayer):
    def forward(self, x):
        return 2 * x

    def backward(self, dy, x, y):
        return 2 * dy


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (
            lambda: nn.Sequential(nn.Linear(2, 2), Twice()),
            ArgumentError,
            r"a test: layer 1 \(Twice\) is written in Python.* export",
        ),
        (
            lambda: nn.Sequential(nn.Linear(2, 2), nn.Lambda(np.sin, lambda dy, x, y: dy * np.cos(x))),
            ArgumentError,
            r"layer 1 \(Lambda\)",
        ),
        (lambda: nn.Sequential(nn.Linear(16, 16)).quantize("int8"), ArgumentError, "export the model that was quantized"),
        (lambda: nn.Sequential(nn.ReLU()), NotBuiltError, "a test: the shape of the input is not known yet"),
    ],
)
def test_what_cannot_be_exported(make, error, text):
    with pytest.raises(error, match=text):
        walk(make()._network, "a test")


def test_the_generator_makes_every_op():
    """Over the nets of the normal tests, so that no op is left out of what they compare."""
    made = set()
    for seed in range(60):
        made |= {op.code or op.kind for op in random_model(seed)[0]._network.plan.ops}
    everything = {op["name"] for kind in ("layer", "activation") for op in _core.OPS[kind]} - {"activation", "python"}
    assert everything - made == set()
