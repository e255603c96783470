"""Names and contents of other formats, folders that are missing, and functions without a name: each is refused by a sentence."""

import functools
import io
import json
import pickle

import numpy as np
import pytest

import nncore as nn
from nncore.errors import ArgumentError, FileFormatError


def model(loss="mse", optimizer="sgd", metrics=(), layers=()):
    found = nn.Sequential(nn.Linear(2, 1), *layers, seed=0)
    found.compile(loss, optimizer, metrics=list(metrics))
    return found


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("m.keras", "the format of Keras"),
        ("m.h5", "the format of Keras"),
        ("m.weights.h5", "the format of Keras"),
        ("m.hdf5", "the format of Keras"),
        ("m.pt", r"the format of PyTorch; for PyTorch, save model.state_dict\(\) with torch.save"),
        ("m.pth", "the format of PyTorch"),
        ("m.tflite", "TensorFlow Lite"),
        ("m.pb", "TensorFlow's format"),
        ("m.pkl", r"a pickle; use pickle.dump\(model, file\)"),
        ("m.pickle", "a pickle"),
        ("m.joblib", r"joblib.dump\(model, path\)"),
        ("m.npz", r"np.savez\(path, \*\*model.state_dict\(\)\)"),
        ("m.json", "JSON, which cannot hold the weights"),
        ("m.c", r"C, .*; model.to_c\(path\) writes"),
    ],
)
def test_names_of_other_formats_are_refused(name, text, tmp_path):
    path = tmp_path / name
    for owner, call in (
        ("save: path", lambda: model().save(path)),
        ("save: path", lambda: model().save(str(path), include_training=False)),
        ("save_weights: path", lambda: model().save_weights(path)),
        ("ModelCheckpoint: filepath", lambda: nn.callbacks.ModelCheckpoint(path)),
        ("BackupAndRestore: path", lambda: nn.callbacks.BackupAndRestore(path)),
    ):
        with pytest.raises(ArgumentError, match=rf"^{owner} .* promises .*{text}.*\. Name it '([^']*/)?m.safetensors'"):
            call()
    assert list(tmp_path.iterdir()) == []


def test_names_of_unknown_formats_are_refused(tmp_path):
    path = tmp_path / "m.xyz"
    with pytest.raises(
        ArgumentError, match=r"^save: path .*m.xyz' ends in '.xyz', which is no known format; known are .safetensors and .onnx$"
    ):
        model().save(path)
    for call in (
        lambda: model().save_weights(path),
        lambda: nn.callbacks.ModelCheckpoint(path),
        lambda: nn.callbacks.BackupAndRestore(path),
    ):
        with pytest.raises(ArgumentError, match=r"ends in '.xyz', which is no known format; known is .safetensors$"):
            call()
    assert list(tmp_path.iterdir()) == []


def test_only_save_writes_onnx(tmp_path):
    path = tmp_path / "m.ONNX"
    for call in (
        lambda: model().save_weights(path),
        lambda: nn.callbacks.ModelCheckpoint(path),
        lambda: nn.callbacks.BackupAndRestore(path),
    ):
        with pytest.raises(ArgumentError, match=r"promises ONNX, .* model.to_onnx\(path\) .*Name it '.*m.safetensors'"):
            call()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("export", "own", "others"),
    [
        ("to_c", ".c", [".onnx", ".PY", ".keras", ".safetensors"]),
        ("to_numpy", ".py", [".npz", ".c", ".pt", ".json"]),
        ("to_onnx", ".onnx", [".c", ".tflite", ".pkl", ".safetensors"]),
    ],
)
def test_exporters_refuse_names_of_other_formats(export, own, others, tmp_path):
    if export == "to_onnx":
        pytest.importorskip("onnx", reason="to_onnx needs it")
    write = getattr(model(), export)
    for ending in others:
        with pytest.raises(ArgumentError, match=rf"{export}: path '.*net{ending}' promises .*Name it '.*net{own}'"):
            write(tmp_path / f"net{ending}")
    assert list(tmp_path.iterdir()) == []
    for name in (f"net{own}", "net", "net.v2", "net.txt"):
        write(tmp_path / name)
        assert (tmp_path / name).stat().st_size


@pytest.mark.parametrize("name", ["m.safetensors", "m", "m.nncore", "m.ckpt", "m.v1.2", "onnx", ".h5"])
def test_other_names_are_accepted(name, tmp_path):
    model().save(tmp_path / name)
    assert nn.load(tmp_path / name).layers[0].in_features == 2


def test_a_missing_folder_is_named_and_not_a_temporary_file(tmp_path):
    for call in (model().save, model().save_weights):
        with pytest.raises(FileNotFoundError, match="the folder '.*not there' does not exist; make it first") as caught:
            call(tmp_path / "not there" / "m.safetensors")
        assert ".tmp" not in str(caught.value)
    (tmp_path / "file").write_text("")
    with pytest.raises(NotADirectoryError, match="file' is a file, not a folder"):
        model().save(tmp_path / "file" / "m.safetensors")
    with pytest.raises(IsADirectoryError, match="is a folder; a file is needed"):
        model().save(tmp_path)


def torch_file(path, legacy=False):
    torch = pytest.importorskip("torch")
    torch.save({"weight": torch.zeros(2)}, path, _use_new_zipfile_serialization=not legacy)


def numpy_file(path, save):
    with path.open("wb") as file:
        save(file, np.zeros(3))


def onnx_file(path):
    onnx = pytest.importorskip("onnx")
    graph = onnx.helper.make_graph([], "g", [], [])
    path.write_bytes(onnx.helper.make_model(graph, producer_name="x").SerializeToString())


@pytest.mark.parametrize(
    ("write", "text"),
    [
        (torch_file, "a zip archive, such as PyTorch, Keras and NumPy write; .*model.load_state_dict"),
        (lambda path: torch_file(path, legacy=True), "a file of torch.save"),
        (onnx_file, "an ONNX file; read it with nn.from_onnx"),
        (lambda path: numpy_file(path, np.savez), "a zip archive"),
        (lambda path: numpy_file(path, np.save), "an array of NumPy"),
        (lambda path: path.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100)), "an HDF5 file, such as Keras writes"),
        (lambda path: path.write_bytes(pickle.dumps([1, 2, "x" * 100])), r"a pickle; .*pickle.load"),
        (lambda path: path.write_bytes(pickle.dumps([1, 2, "x" * 100], protocol=2)), "a pickle"),
        (lambda path: path.write_text(json.dumps({"a": list(range(100))})), "a text file, such as JSON"),
        (lambda path: path.write_bytes(b"\x1c\0\0\0TFL3" + bytes(100)), "a TensorFlow Lite file"),
    ],
    ids=["torch", "torch legacy", "onnx", "npz", "npy", "hdf5", "pickle", "pickle 2", "json", "tflite"],
)
def test_a_file_of_another_kind_is_called_what_it_looks_like(write, text, tmp_path):
    path = tmp_path / "m.safetensors"
    write(path)
    for call in (nn.load, model().load_weights):
        with pytest.raises(
            FileFormatError, match=f"m.safetensors: header length: there is none, as this is no safetensors file, but {text}"
        ):
            call(path)


def test_damage_is_still_called_damage(tmp_path):
    path = tmp_path / "m.safetensors"
    model().save(path)
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(FileFormatError, match="tensor") as caught:
        nn.load(path)
    assert "no safetensors file" not in str(caught.value)


class Own(nn.PythonLayer):
    def __init__(self, f=np.tanh):
        super().__init__(f=f)

    def forward(self, x):
        return self.f(x)


def squared(y_true, y_pred):
    return ((y_true - y_pred) ** 2).mean(axis=1), 2 * (y_pred - y_true)


@pytest.mark.parametrize(
    ("made", "text"),
    [
        (lambda: model(lambda t, p: squared(t, p)), "the loss is <function .*lambda.*write it with def"),
        (lambda: model(functools.partial(squared)), r"the loss is functools.partial.*write it with def"),
        (lambda: model(metrics=[lambda t, p: 0.0]), "the metric '<lambda>' is"),
        (lambda: model(metrics=[nn.metrics.PythonMetric(lambda t, p: 0.0, name="z")]), "the metric 'z' is"),
        (lambda: model(metrics=[nn.metrics.PythonMetric(functools.partial(squared), name="z")]), "the metric 'z' is"),
        (lambda: model(optimizer=nn.optim.SGD(lr=lambda step: 0.1)), "the optimizer's lr is .* use one of nn.schedules"),
        (lambda: model(optimizer=nn.optim.SGD(lr=functools.partial(max, 0))), "the optimizer's lr is"),
        (lambda: model(optimizer=nn.optim.SGD(lr=nn.schedules.Warmup(lambda step: 0.1, 3))), "the optimizer's lr is"),
        (lambda: model(layers=[nn.Lambda(lambda x: x, lambda dy, x, y: dy)]), r"layer 1 \(Lambda\): Lambda contains functions"),
        (lambda: model(layers=[Own(lambda x: x)]), r"layer 1 \(Own\): f is <function .*let the constructor take its name"),
        (lambda: model(layers=[Own()]), r"layer 1 \(Own\): f is <ufunc 'tanh'>"),
    ],
)
def test_functions_without_a_name_are_refused_at_save_and_before_training(made, text, tmp_path):
    path = tmp_path / "m.safetensors"
    with pytest.raises(ArgumentError, match=text):
        made().save(path)
    x, y = np.ones((4, 2)), np.ones((4, 1))
    for callback in (nn.callbacks.ModelCheckpoint(path), nn.callbacks.BackupAndRestore(path)):
        found = made()
        with pytest.raises(ArgumentError, match=text):
            found.fit(x, y, callbacks=callback)
        assert found.step == 0
    assert list(tmp_path.iterdir()) == []
    made().save_weights(path)


def test_what_has_a_name_is_saved_and_loaded(tmp_path):
    path = tmp_path / "m.safetensors"
    found = model(squared, metrics=[squared_error], optimizer=nn.optim.SGD(lr=halved))
    found.save(path)
    again = nn.load(path, custom_objects={"squared": squared, "squared_error": squared_error, "halved": halved})
    x, y = np.ones((4, 2)), np.ones((4, 1))
    assert again.train_on_batch(x, y) == found.train_on_batch(x, y)
    plain = model(lambda t, p: squared(t, p))
    plain.save(path, include_training=False)
    nn.load(path)


def squared_error(y_true, y_pred):
    return float(((y_true - y_pred) ** 2).mean())


def halved(step):
    return 0.1 * 0.5**step


def test_initial_values_of_ones_own_are_not_needed_once_they_are_drawn(tmp_path):
    path = tmp_path / "m.safetensors"
    found = nn.Sequential(nn.Linear(2, 1, weight_init=lambda shape, rng: np.full(shape, 3.0)))
    found.save(path)
    np.testing.assert_array_equal(nn.load(path)[0].weight, [[3.0, 3.0]])
    stream = io.BytesIO()
    np.savez(stream, **found.state_dict())  # what the messages recommend
    stream.seek(0)
    nn.Sequential(nn.Linear(2, 1)).load_state_dict(np.load(stream))
