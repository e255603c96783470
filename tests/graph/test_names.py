"""Names of layers, inputs and outputs: any text in any script, in keys, files, logs, tables and messages."""

import copy
import csv
import json
import pickle

import numpy as np
import pytest
from safetensors.numpy import load_file

import nncore as nn
from nncore.errors import ArgumentError, FileFormatError, ShapeError

NAMES = {
    "korean": "출력",
    "blanks": "the last layer",
    "emoji": "🧠👩‍💻",  # the second one is three characters, one of them invisible
    "combining": "e\N{COMBINING ACUTE ACCENT}tage",
    "right to left": "שכבה",
    "digits": "3",
    "signs": 'a,b;"c"\'[d]*?{e}:\\|<&%',
    "no-break": "a\N{NO-BREAK SPACE}b",
    "like a metric": "val_loss",
    "astral": "\N{MATHEMATICAL DOUBLE-STRUCK CAPITAL X}",
    "long": "층" * 5000,
}

WRONG = {
    "empty": "",
    "dot": "a.b",
    "slash": "a/b",
    "null": "a\0b",
    "newline": "a\nb",
    "tab": "a\tb",
    "delete": "a\x7fb",
    "next line": "a\x85b",
    "line separator": "a\u2028b",
    "surrogate": "a\ud800",
    "leading blank": " a",
    "trailing blank": "a ",
    "ideographic blank": "a\u3000",
    "blank": " ",
    "invisible": "\u200b",
    "training": "training",
    "bytes": b"a",
    "number": 3,
    "None in a list": [None],
}


def made(name, outputs=2):
    """A model whose input, layers and outputs have the name, all different."""
    x = nn.Input((3,), name=name)
    h = nn.Tanh()(nn.Linear(3, 4, name=name)(x))
    ends = {name: nn.Linear(4, 1, name=f"{name}1")(h), f"{name}2": nn.Linear(4, 1)(h)}
    model = nn.Model(x, ends if outputs == 2 else ends[name], seed=0)
    model.compile(loss="mse", optimizer=nn.optim.Adam(groups=[{"params": f"{name}.weight", "lr_scale": 0.0}]), metrics=["mae"])
    return model


def data(name, rows=12):
    rng = np.random.default_rng(0)
    return {name: rng.normal(size=(rows, 3))}, {name: rng.normal(size=rows), f"{name}2": rng.normal(size=rows)}


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_models_with_such_names_train_and_are_kept(name, tmp_path):
    model, (x, y) = made(name), data(name)
    assert list(model.state_dict())[:2] == [f"{name}.weight", f"{name}.bias"]
    before = model.state_dict()
    history = model.fit(x, y, epochs=2, verbose=0, validation_split=0.25, callbacks=[nn.callbacks.CSVLogger(tmp_path / "log.csv")])
    assert {f"{name}_loss", f"{name}_mae", f"val_{name}_loss"} <= history.history.keys()
    assert (model.state_dict()[f"{name}.weight"] == before[f"{name}.weight"]).all()  # the group names this one, signs included
    assert (model.state_dict()[f"{name}.bias"] != before[f"{name}.bias"]).any()
    assert set(model.predict(x)) == {name, f"{name}2"}
    assert model.get_layer(name).name == name

    with open(tmp_path / "log.csv", newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    assert f"val_{name}_loss" in header
    assert len(rows) == 2

    path = tmp_path / "model.safetensors"
    model.save(path)
    model.save_weights(tmp_path / "weights.safetensors")
    assert load_file(tmp_path / "weights.safetensors").keys() == model.state_dict().keys()
    for again in (nn.load(path), pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
        assert again.input_names == [name]
        assert again.output_names == [name, f"{name}2"]
        assert [layer.name for layer in again.layers] == [layer.name for layer in model.layers]
        for key, value in model.state_dict().items():
            np.testing.assert_array_equal(again.state_dict()[key], value)
        assert again.train_on_batch(x, y) == copy.deepcopy(model).train_on_batch(x, y)


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_tags_tables_and_messages_have_the_name(name):
    tags = []

    class Writer:
        def add_scalar(self, tag, value, step):
            tags.append(tag)

    model, (x, y) = made(name), data(name)
    model.fit(x, y, verbose=0, callbacks=[nn.callbacks.TensorBoard(Writer()), nn.callbacks.Diagnostics()])
    assert {f"{name}_loss/train", f"{name.removeprefix('val_')}_loss/validation"} & {*tags}
    assert name in str(model.summary(show=False))
    assert name in repr(model)
    start = name[:20]
    with pytest.raises(ShapeError) as caught:
        nn.Linear(5, 2, name=name)(nn.Input((3,)))
    assert start in str(caught.value)
    assert "3" in str(caught.value)
    assert "5" in str(caught.value)
    assert "\N{REPLACEMENT CHARACTER}" not in str(caught.value)  # long names are cut between characters
    with pytest.raises(ArgumentError) as caught:
        model.predict({"other": x[name]})
    assert start in str(caught.value) or repr(name)[1:20] in str(caught.value)


@pytest.mark.parametrize("name", WRONG.values(), ids=WRONG)
def test_what_cannot_be_a_name(name):
    layer = nn.ReLU(name="a")
    with pytest.raises(ArgumentError, match="name must be text"):
        layer.name = name
    assert layer.name == "a"
    for make in (lambda: nn.Linear(3, 4, name=name), lambda: nn.Input((3,), name=name)):
        with pytest.raises(ArgumentError, match="name must be text"):
            make()
    if isinstance(name, str | bytes | int):
        x = nn.Input((3,))
        with pytest.raises(ArgumentError, match="name must be text"):
            nn.Model({name: x}, nn.ReLU()(x))
        with pytest.raises(ArgumentError, match="name must be text"):
            nn.Model(x, {name: nn.ReLU()(x)})


@pytest.mark.parametrize("name", [value for value in WRONG.values() if isinstance(value, str)])
@pytest.mark.parametrize("place", ["names", "inputs", "outputs"])
def test_files_with_such_names_are_refused(name, place, tmp_path):
    path = tmp_path / "model.safetensors"
    model = made("whole", outputs=1)
    model.save(path, include_training=False)
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    document = json.loads(header["__metadata__"]["nncore"])
    graph = document["model"]["graph"]
    if place == "names":
        graph["names"][0] = name
    else:
        graph[place][0][0] = name
    header["__metadata__"]["nncore"] = json.dumps(document)
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + content[8 + length :])
    with pytest.raises(FileFormatError):
        nn.load(path)


def test_two_forms_of_one_letter_are_two_names():
    x = nn.Input((3,))
    one, two = "\N{LATIN SMALL LETTER E WITH ACUTE}", "e\N{COMBINING ACUTE ACCENT}"
    model = nn.Model(x, {one: nn.ReLU()(x), two: nn.Tanh()(x)})
    assert model.output_names == [one, two]


def test_tables_count_columns_of_the_terminal():
    x = nn.Input((3,))
    model = nn.Model(x, nn.Linear(4, 1, name="출력")(nn.Linear(3, 4, name="e\N{COMBINING ACUTE ACCENT}tage")(x)))
    lines = str(model.summary(show=False)).splitlines()
    wide, plain, accented = (next(line for line in lines if part in line) for part in ("출력", "input (Input)", "tage"))
    assert wide.index("[*, 1]") + 2 == plain.index("[*, 3]") == accented.index("[*, 4]") - 1
