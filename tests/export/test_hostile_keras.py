"""Files of Keras weights that are hostile or damaged: a typed error, and the model stays as it was."""

import contextlib
import os
import random
import re
import zipfile

import numpy as np
import pytest

import nncore as nn
from nncore.errors import FileFormatError, FileKindError, ShapeError, StateDictError


@pytest.fixture(scope="module")
def h5py():
    return pytest.importorskip("h5py")


def written(h5py, path, layers=None, **attributes):
    """Write a file as Keras 3 does, for a Dense layer."""
    with h5py.File(path, "w") as file:
        for name, array in (layers or {"layers/dense/vars/0": np.ones((3, 2)), "layers/dense/vars/1": np.zeros(2)}).items():
            file[name] = array
    return path


def test_a_file_of_the_right_form(h5py, tmp_path):
    model = nn.Sequential(nn.Linear(3, 2))
    model.load_keras_weights(written(h5py, tmp_path / "any name"))
    np.testing.assert_array_equal(model[0].weight, np.ones((2, 3)))


def test_hostile_files(h5py, tmp_path):
    model = nn.Sequential(nn.Linear(3, 2))
    before = model[0].weight.copy()
    path = tmp_path / "m.weights.h5"

    def refused(*errors, match=None):
        with pytest.raises(errors or FileFormatError, match=match):
            model.load_keras_weights(path)
        np.testing.assert_array_equal(model[0].weight, before)

    for content in (b"", b"\x89HDF\r\n\x1a\n", b"PK\x03\x04", b"something else"):
        path.write_bytes(content)
        refused()
    other = written(h5py, tmp_path / "other")
    with h5py.File(path, "w") as file:
        file["layers/dense/vars/0"] = h5py.ExternalLink(str(other), "layers/dense/vars/0")
    refused(match="a form that only the library of HDF5 reads")
    with h5py.File(path, "w") as file:
        file["layers/dense/vars/0"] = h5py.SoftLink("/layers/dense")
    refused(match="is a link to another place")
    with h5py.File(path, "w") as file:
        group = file.create_group("layers/dense/vars")
        group.create_dataset("0", (3, 2), "f4", external=[(str(other), 0, 24)])
    refused(match="are in another file")
    with h5py.File(path, "w") as file:
        group = file.create_group("layers/a")
        group["layers"] = file["layers"]  # a circle
    refused(match="nested too deeply")
    with h5py.File(path, "w") as file:
        group = file.create_group("layers/a")
        for _ in range(30):  # 2**30 ways through them
            inner = group.create_group("one")
            group["other"] = inner
            group = inner
    refused(match="too many parts|nested too deeply")
    with h5py.File(path, "w") as file:
        file.create_dataset("layers/dense/vars/0", (1 << 40, 1 << 10), "f4", chunks=(1, 1024))  # 4 PB of nothing
    refused(ShapeError, match=r"\(1099511627776, 1024\)")
    for array in (np.array([b"text"]), np.ones((3, 2), int), np.array([object()], h5py.string_dtype())[:0]):
        written(h5py, path, {"layers/dense/vars/0": array})
        refused()
    written(h5py, path, {"layers/dense/vars/zero": np.ones(2)})
    refused()
    written(h5py, path, {"other/dense": np.ones(2)})
    refused(match="it has no group 'layers'")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("config.json", "{}")
        archive.writestr("model.weights.h5", bytes(1 << 25))  # 32 kB that become 32 MB
    refused(match="larger than such an archive can hold")
    for document in ("[" * 100_000, "{}", '{"config": {"layers": [{"class_name": 3}]}}', "no JSON"):
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("config.json", document)
            archive.write(other, "model.weights.h5")
        refused()
    path.unlink()
    os.mkfifo(path)
    refused(FileKindError)
    path.unlink()
    refused(FileNotFoundError)
    path.mkdir()
    refused(IsADirectoryError)


def test_damaged_files(h5py, tmp_path):
    """Any damage is a typed error, or is in the numbers."""
    content = written(h5py, tmp_path / "m").read_bytes()
    model, path, rng = nn.Sequential(nn.Linear(3, 2)), tmp_path / "damaged", random.Random(0)
    for _ in range(400):
        changed = bytearray(content[: rng.randrange(8, len(content))] if rng.random() < 0.1 else content)
        for _ in range(rng.randrange(1, 4)):
            changed[rng.randrange(8, len(changed)) if len(changed) > 8 else 0] = rng.randrange(256)
        path.write_bytes(changed)
        with contextlib.suppress(FileFormatError, ShapeError, StateDictError):
            model.load_keras_weights(path)


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
def test_damaged_archives(tmp_path, method):
    model, path, rng = nn.Sequential(nn.Linear(3, 2)), tmp_path / "m.keras", random.Random(0)
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr("config.json", '{"config": {"layers": []}}' * 300)
    content = path.read_bytes()
    for _ in range(100):
        changed = bytearray(content)
        changed[rng.randrange(4, len(changed))] ^= rng.randrange(1, 256)
        path.write_bytes(changed)
        with pytest.raises(FileFormatError):
            model.load_keras_weights(path)


def test_texts_that_are_long_to_look_up(h5py, tmp_path):
    """4,000 texts, each behind 60,000 empty ones, are refused long before all steps are taken."""
    path = tmp_path / "m.weights.h5"
    with h5py.File(path, "w") as file:
        file.create_group("layers/dense/vars").attrs["name"] = np.array(["x"] * 4000, h5py.string_dtype())
    content = path.read_bytes()
    heaps = b"|".join(re.escape(each.start().to_bytes(8, "little")) for each in re.finditer(b"GCOL", content))
    place = rb"\x01\x00\x00\x00(" + heaps + b")...."
    objects = (b"\1" + bytes(15)) * 60_000 + b"\2" + bytes(7) + b"\1" + bytes(15)
    there = b"\1\0\0\0" + len(content).to_bytes(8, "little") + b"\2\0\0\0"
    changed = re.sub(place, lambda _: there, content, flags=re.DOTALL)
    path.write_bytes(changed + b"GCOL\1\0\0\0" + (16 + len(objects)).to_bytes(8, "little") + objects)
    with pytest.raises(FileFormatError, match="too many parts"):
        nn.Sequential(nn.Linear(3, 2)).load_keras_weights(path)
