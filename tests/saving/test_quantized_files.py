"""Files of quantized models: the same bits after loading, a quarter of the size, and what damaged ones say."""

import json
import os
import struct

import numpy as np
import pytest

import nncore as nn
from nncore.errors import ArgumentError, FileFormatError

F = np.float32


def recurrent():
    return nn.Sequential(nn.Linear(24, 32), nn.ReLU(), nn.GRU(32, 40, bidirectional=True), nn.Linear(80, 3), seed=0).build((5, 24))


def graph():
    x = nn.Input((5, 24), name="x")
    h = nn.LSTM(24, 32, name="cell")(x)
    return nn.Model(x, {"a": nn.Linear(32, 16, name="a")(h), "b": nn.Linear(32, 2, name="b")(nn.BatchNorm1d(32)(h))}, seed=0)


def nested():
    return nn.Sequential(nn.Sequential(nn.Linear(24, 32), nn.ReLU(), seed=1), nn.LSTM(32, 16), seed=0).build((5, 24))


def changed(path, change):
    """Apply a change to the header and the bytes of a safetensors file."""
    raw = path.read_bytes()
    (length,) = struct.unpack("<Q", raw[:8])
    header, body = json.loads(raw[8 : 8 + length]), bytearray(raw[8 + length :])
    change(header, body)
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + bytes(body))


@pytest.mark.parametrize("make", [recurrent, graph, nested])
def test_a_loaded_model_has_the_same_bits(make, tmp_path, rng):
    quantized, x = make().quantize("int8"), rng.normal(size=(7, 5, 24)).astype(F)
    quantized.save(tmp_path / "q.safetensors")
    again = nn.load(tmp_path / "q.safetensors")
    assert type(again) is type(quantized)
    assert repr(again) == repr(quantized)
    for found, wanted in zip(*([y.values() if isinstance(y, dict) else [y] for y in (again(x), quantized(x))]), strict=True):
        assert found.tobytes() == wanted.tobytes()
    ours, theirs = quantized.state_dict(), again.state_dict()
    assert list(ours) == list(theirs)
    assert all(ours[name].tobytes() == theirs[name].tobytes() for name in ours)
    with pytest.raises(AttributeError, match="inference"):
        again.fit  # noqa: B018
    again.save(tmp_path / "again.safetensors")
    assert (tmp_path / "again.safetensors").read_bytes() == (tmp_path / "q.safetensors").read_bytes()


def test_the_file_is_about_a_quarter(tmp_path):
    model = nn.Sequential(nn.Linear(256, 512), nn.LSTM(512, 128), seed=0).build((2, 256))
    model.save(tmp_path / "f.safetensors")
    model.quantize("int8").save(tmp_path / "q.safetensors")
    assert os.path.getsize(tmp_path / "q.safetensors") < 0.27 * os.path.getsize(tmp_path / "f.safetensors")


def test_the_loss_and_the_metrics_are_in_the_file(tmp_path, rng):
    model = recurrent()
    model.compile("mse", "adam", metrics=["mae"])
    quantized, x, y = model.quantize("int8"), rng.normal(size=(6, 5, 24)), rng.normal(size=(6, 3))
    for include in (True, False):
        quantized.save(tmp_path / "q.safetensors", include_training=include)
        again = nn.load(tmp_path / "q.safetensors")
        if include:
            assert again.evaluate(x, y) == quantized.evaluate(x, y)
        else:
            with pytest.raises(nn.errors.NotCompiledError):
                again.evaluate(x, y)


def test_a_model_whose_number_of_steps_is_open(tmp_path, rng):
    quantized, x = nn.Sequential(nn.LSTM(16, 20), seed=0).quantize("int8"), rng.normal(size=(3, 4, 16)).astype(F)
    quantized.save(tmp_path / "q.safetensors")
    assert nn.load(tmp_path / "q.safetensors")(x).tobytes() == quantized(x).tobytes()


def test_the_format_of_the_tensors(tmp_path):
    safetensors = pytest.importorskip("safetensors.numpy")
    quantized = recurrent().quantize("int8")
    quantized.save(tmp_path / "q.safetensors")
    found = safetensors.load_file(tmp_path / "q.safetensors")
    assert found["0.weight"].dtype == np.int8
    assert found["0.weight_scale"].dtype == F
    assert found["3.weight"].dtype == F
    assert {name: value.tobytes() for name, value in found.items()} == {
        name: value.tobytes() for name, value in quantized.state_dict().items()
    }


def test_compute_cannot_be_chosen(tmp_path):
    recurrent().quantize("int8").save(tmp_path / "q.safetensors")
    with pytest.raises(ArgumentError, match="quantized"):
        nn.load(tmp_path / "q.safetensors", compute="bfloat16")


def without_scale(header, body):
    name = "2.weight_hh_l0_scale"
    entry = header.pop(name)
    begin, end = entry["data_offsets"]
    del body[begin:end]
    for key, other in header.items():
        if key != "__metadata__" and other["data_offsets"][0] >= end:
            other["data_offsets"] = [each - (end - begin) for each in other["data_offsets"]]


def set_bytes(name, value):
    def change(header, body):
        begin = header[name]["data_offsets"][0]
        body[begin : begin + len(value)] = value

    return change


def computing_in(name):
    def change(header, _):
        document = json.loads(header["__metadata__"]["nncore"])
        document["model"]["compute"] = name
        header["__metadata__"]["nncore"] = json.dumps(document)

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (without_scale, "2.weight_hh_l0"),
        (set_bytes("0.weight", b"\x80"), "-128"),
        (set_bytes("0.weight_scale", struct.pack("<f", float("nan"))), "no scale"),
        (set_bytes("0.weight_scale", struct.pack("<f", -1.0)), "no scale"),
        (computing_in("bfloat16"), "0.weight"),
        (computing_in("int4"), "int4"),
    ],
)
def test_damaged_files(change, message, tmp_path):
    path = tmp_path / "q.safetensors"
    recurrent().quantize("int8").save(path)
    changed(path, change)
    with pytest.raises(FileFormatError, match=message):
        nn.load(path)


def test_parts_that_are_quantized_and_others(tmp_path):
    path = tmp_path / "q.safetensors"
    nested().quantize("int8").save(path)

    def change(header, _):
        document = json.loads(header["__metadata__"]["nncore"])
        del document["model"]["parts"][0]["compute"]
        header["__metadata__"]["nncore"] = json.dumps(document)

    changed(path, change)
    with pytest.raises(FileFormatError, match=r"model\.parts"):
        nn.load(path)
