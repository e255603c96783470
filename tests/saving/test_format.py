"""The file itself: safetensors to others, and a typed error, naming file and field, where it is not what it should be."""

import ast
import json
import os
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from saving.nets import BATCH, data, net, put_together, take_apart, write_raw

import nncore as nn
from nncore.errors import ArgumentError, FileFormatError, FileKindError, NncoreError
from nncore.saving import tensors


@pytest.fixture
def path(tmp_path):
    """A file of a model that has trained."""
    x, y = data()
    model = net(dtype="float32")
    model.fit(x, y, batch_size=BATCH)
    model.save(tmp_path / "model.safetensors")
    return tmp_path / "model.safetensors"


# Peers -----------------------------------------------------------------------------------------------------------------------


def peer():
    return pytest.importorskip("safetensors.numpy", reason="safetensors is not installed: no peer to read the file")


def test_safetensors_reads_it(path, dtype):
    model = net(dtype=dtype.name)
    model.fit(*data())
    model.save(path)
    with peer().safe_open(path, "np") as file:
        names = list(file.keys())
        for name, value in model.state_dict().items():
            found = file.get_tensor(name)
            assert found.dtype == value.dtype
            np.testing.assert_array_equal(found, value)
        assert json.loads(file.metadata()["nncore"])["format_version"] == 1
    assert all(name in model.state_dict() or name.startswith("training.moment") for name in names)


def test_what_safetensors_writes_is_read(path):
    state = {name: value.astype(np.float16) for name, value in net().state_dict().items()}
    peer().save_file(state, path)
    model = net()
    model.load_weights(path)
    np.testing.assert_array_equal(model[0].weight, state["0.weight"])


def test_weights_of_pytorch(tmp_path, rng):
    torch = pytest.importorskip("torch")
    pytest.importorskip("safetensors", reason="safetensors is not installed")
    from safetensors.torch import save_file

    theirs = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4), torch.nn.Tanh(), torch.nn.Linear(4, 2)).eval()
    save_file(theirs.state_dict(), tmp_path / "torch.safetensors")
    ours = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Tanh(), nn.Linear(4, 2))
    ours.load_weights(tmp_path / "torch.safetensors")
    x = rng.normal(size=(5, 3)).astype(np.float32)
    with torch.no_grad():
        np.testing.assert_allclose(ours(x), theirs(torch.from_numpy(x)).numpy(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", tensors._TYPES)
def test_every_type(name, tmp_path, rng):
    for shape in ((), (3,), (0, 2), (2, 3, 4), (7, 300_000)):
        array = rng.integers(0, 2, shape).astype(tensors._TYPES[name])
        tensors.write(tmp_path / "t", {"a": array, "b": array.T}, {})
        with tensors.Reader(tmp_path / "t") as reader:
            np.testing.assert_array_equal(reader.read("a"), array)
            copied = np.empty(shape[::-1], array.dtype)
            reader.read_into("b", copied)
            np.testing.assert_array_equal(copied, array.T)
            assert reader.read("a").dtype == array.dtype


# Weights alone ---------------------------------------------------------------------------------------------------------------


def test_weights_alone(path, tmp_path):
    model, other = nn.load(path), net(dtype="float32", seed=5)
    model.save_weights(tmp_path / "weights")
    other.load_weights(tmp_path / "weights")
    np.testing.assert_array_equal(other.predict(data()[0]), model.predict(data()[0]))
    other.load_weights(path)  # a whole model has weights too
    with pytest.raises(FileFormatError, match="__metadata__.*load_weights"):
        nn.load(tmp_path / "weights")


def test_weights_of_another_model(path):
    model = nn.Sequential(nn.Linear(4, 7), seed=0)
    before = model.state_dict()
    with pytest.raises(nn.errors.StateDictError, match="unexpected keys"):
        model.load_weights(path)
    keys = model.load_weights(path, strict=False)
    assert keys.missing_keys == []
    assert not any(key.startswith("training") for key in keys.unexpected_keys)
    assert not np.array_equal(model[0].weight, before["0.weight"])
    with pytest.raises(nn.errors.ShapeError, match=r"0\.weight"):
        nn.Sequential(nn.Linear(4, 6)).load_weights(path, strict=False)


# Files that are not what they should be ----------------------------------------------------------------------------------------

DOCUMENTS = {
    "newer version": (lambda d: d.update(format_version=2), r"format_version: 2, but this .* reads 1; a newer nncore wrote it"),
    "older version": (lambda d: d.update(format_version=0), r"format_version: 0, but"),
    "no version": (lambda d: d.pop("format_version"), r"format_version: is missing"),
    "version as text": (lambda d: d.update(format_version="1"), r"format_version: must not be a string"),
    "no model": (lambda d: d.pop("model"), r"model: is missing"),
    "another class": (lambda d: d["model"].update({"class": "Graph"}), r"model\.class: 'Graph' is not known"),
    "unknown layer": (
        lambda d: d["model"]["layers"][3].update({"class": "Warp"}),
        r"model\.layers\[3\]: unknown layer 'Warp'; .*Dropout",
    ),
    "base class": (lambda d: d["model"]["layers"][3].update({"class": "Layer"}), r"unknown layer 'Layer'"),
    "dotted class": (lambda d: d["model"]["layers"][3].update({"class": "os.system"}), r"unknown layer 'os.system'"),
    "layer without class": (lambda d: d["model"]["layers"][0].pop("class"), r"model\.layers\[0\]: an object with class"),
    "argument missing": (
        lambda d: d["model"]["layers"][0]["arguments"].pop("in_features"),
        r"layers\[0\] \(Linear\): .*in_features",
    ),
    "argument unknown": (
        lambda d: d["model"]["layers"][0]["arguments"].update(x=1),
        r"layers\[0\]: Linear has no argument 'x'; it has in",
    ),
    "argument of the base": (lambda d: d["model"]["layers"][1]["arguments"].update(_pending={}), r"has no argument '_pending'"),
    "argument of every layer": (lambda d: d["model"]["layers"][0]["arguments"].update(name="x"), r"Linear has no argument 'name'"),
    "argument of no optimizer": (
        lambda d: d["training"]["optimizer"]["arguments"].update(momentum=1),
        r"training\.optimizer: Adam has no argument 'momentum'",
    ),
    "truth value": (
        lambda d: d["model"]["layers"][3]["arguments"].update(p=True),
        r"layers\[3\]\.p: p of Dropout is no truth value",
    ),
    "truth value in a list": (
        lambda d: d["training"]["optimizer"]["arguments"].update(betas=[True, 0.5]),
        r"optimizer\.betas: betas of Adam is no truth value",
    ),
    "argument out of range": (lambda d: d["model"]["layers"][3]["arguments"].update(p=2), r"layers\[3\] \(Dropout\): .*p must be"),
    "argument of objects": (lambda d: d["model"]["layers"][3]["arguments"].update(p=[{}]), r"layers\[3\]\.p: cannot be a list"),
    "initializer unknown": (
        lambda d: d["model"]["layers"][0]["arguments"].update(weight_init={"class": "eval", "arguments": {}}),
        r"layers\[0\]\.weight_init: unknown initializer 'eval'",
    ),
    "dtype": (lambda d: d["model"].update(dtype="float16"), r'model\.dtype: "float32" or "float64" is needed'),
    "compute": (lambda d: d["model"].update(compute="float16"), r'model\.compute: "bfloat16" or "int8" is possible here'),
    "compute as a number": (lambda d: d["model"].update(compute=16), r"model\.compute: must not be a number"),
    "compute in float64": (lambda d: d["model"].update(compute="bfloat16", dtype="float64"), r"model\.compute: .* of float32"),
    "seed": (lambda d: d["model"].update(seed=-1), r"model\.seed: a whole number"),
    "shape": (lambda d: d["model"].update(input_shapes=[[5]]), r"model: layer 0 \(Linear\)"),
    "shape of none": (lambda d: d["model"].update(input_shapes=None), r"tensor|model\.input_shapes: null"),
    "shapes": (lambda d: d["model"].update(input_shapes=[[4], [4]]), r"model\.input_shapes: a list of one shape"),
    "width": (lambda d: d["model"]["layers"][0]["arguments"].update(out_features=8), r"tensor '0\.weight': .*\[8, 4\] is needed"),
    "huge width": (lambda d: d["model"]["layers"][0]["arguments"].update(out_features=10**15), r"tensor '0\.weight'"),
    "weights too many": (lambda d: d["model"]["layers"].__delitem__(slice(7, 9)), r"tensor '7\.\w+': belongs to no layer"),
    "no training": (lambda d: d.update(training=None), r"tensor 'training\.moment0.*belongs to nothing"),
    "training as a list": (lambda d: d.update(training=[]), r"training: must not be a list"),
    "unknown loss": (lambda d: d["training"]["losses"][0].update({"class": "Loss"}), r"training\.losses\[0\]: unknown loss 'Loss'"),
    "loss that does not fit": (lambda d: d["training"].update(losses=[]), r"training\.losses: 0 for 1 outputs"),
    "unknown optimizer": (lambda d: d["training"]["optimizer"].update({"class": 1}), r"training\.optimizer: unknown optimizer '1'"),
    "lr": (lambda d: d["training"]["optimizer"]["arguments"].update(lr="fast"), r"training\.optimizer \(Adam\)"),
    "other optimizer": (
        lambda d: d["training"].update(optimizer={"class": "SGD", "arguments": {}}),
        r"tensor 'training\.moment0.*belongs to nothing",
    ),
    "more moments": (
        lambda d: d["training"]["optimizer"]["arguments"].update(amsgrad=True),
        r"tensor 'training\.moment2.*is missing",
    ),
    "metric name": (
        lambda d: d["training"]["metrics"][0][0]["arguments"].update(name=3),
        r"metrics\[0\]\[0\] \(Accuracy\): Accuracy: name must be",
    ),
    "metrics": (lambda d: d["training"].update(metrics=[3]), r"training\.metrics\[0\]: a list of metrics"),
    "step": (lambda d: d["training"]["state"].update(step=2**63), r"training\.state\.step: a whole number"),
    "step as truth": (lambda d: d["training"]["state"].update(step=True), r"training\.state\.step: must not be a truth value"),
    "options": (lambda d: d["training"]["state"].update(options=[]), r"training\.state\.options: 0 for 10 parameters"),
    "option": (lambda d: d["training"]["state"]["options"].__setitem__(1, [True]), r"training\.state\.options\[1\]"),
    "negative option": (
        lambda d: d["training"]["state"]["options"].__setitem__(0, [True, 1.0, None, -1.0, 0.0, 0.0]),
        r"training\.state\.options\[0\]: l1 must",
    ),
}


@pytest.mark.parametrize(("change", "message"), DOCUMENTS.values(), ids=DOCUMENTS)
def test_wrong_documents(change, message, path):
    header, document, body = take_apart(path)
    change(document)
    put_together(path, header, document, body)
    with pytest.raises(FileFormatError, match=message) as caught:
        nn.load(path)
    assert str(path) in str(caught.value)


def entry(shape, begin, end, dtype="F32"):
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


HEADERS = {
    "overlap": ({"a": entry([2], 0, 8), "b": entry([2], 4, 12)}, 12, r"tensor 'b': .*overlap or gap"),
    "the same": ({"a": entry([2], 0, 8), "b": entry([2], 0, 8)}, 8, "overlap or gap"),
    "gap": ({"a": entry([1], 0, 4), "b": entry([1], 8, 12)}, 12, "overlap or gap"),
    "gap at the start": ({"a": entry([1], 4, 8)}, 8, "overlap or gap"),
    "rest": ({"a": entry([1], 0, 4)}, 8, r"tensors: they end"),
    "beyond the end": ({"a": entry([2], 0, 8)}, 4, r"tensor 'a': bytes 0 to 8 of 4"),
    "backwards": ({"a": entry([1], 8, 4)}, 8, r"tensor 'a': bytes 8 to 4"),
    "size": ({"a": entry([3], 0, 8)}, 8, r"cannot hold shape \[3\] of F32, 12 bytes"),
    "huge shape": ({"a": entry([2**40, 2**40], 0, 8)}, 8, "more than can be counted"),
    "huge and empty": ({"a": entry([2**62, 0, 2**62], 0, 0)}, 0, "more than can be counted"),
    "many dimensions": ({"a": entry([1] * 33, 0, 4)}, 4, "at most 32 sizes"),
    "negative": ({"a": entry([-1, -1], 0, 4)}, 4, "shape must be a list"),
    "shape of floats": ({"a": entry([1.0], 0, 4)}, 4, "shape must be a list"),
    "shape of truth": ({"a": entry([True], 0, 4)}, 4, "shape must be a list"),
    "offsets": ({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0]}}, 4, "data_offsets must be two"),
    "type": ({"a": entry([2], 0, 4, "BF16")}, 4, "dtype 'BF16' is not one of"),
    "type of type": ({"a": entry([2], 0, 4, [])}, 4, r"dtype '\[\]' is not"),
    "no entry": ({"a": 3}, 0, "an object with dtype"),
    "more in the entry": ({"a": {**entry([1], 0, 4), "x": 1}}, 4, "an object with dtype"),
    "metadata": ({"__metadata__": {"nncore": 3}}, 0, "__metadata__: an object of strings"),
    "metadata as a list": ({"__metadata__": []}, 0, "__metadata__: an object of strings"),
    "list": ([], 0, "header: an object is needed, not a list"),
    "empty": ({}, 0, "__metadata__: the file contains no model of nncore"),
    "document": ({"__metadata__": {"nncore": "[]"}}, 0, "nncore: an object is needed"),
    "document cut": ({"__metadata__": {"nncore": "{"}}, 0, r"__metadata__\.nncore: not valid JSON"),
    "document too deep": ({"__metadata__": {"nncore": "[" * 100_000}}, 0, r"__metadata__\.nncore: nested 100000 deep"),
    "number too long": ({"__metadata__": {"nncore": "1" * 4000}}, 0, r"nncore: has a number of 4000 characters"),
    "infinity": ({"__metadata__": {"nncore": "[1e999]"}}, 0, r"nncore: not valid JSON .1e999 is no finite number"),
    "too many objects": ({"__metadata__": {"nncore": "[" + "{}," * 400_000 + "{}]"}}, 0, r"nncore: describes more than a file of"),
    "too many keys": ({"__metadata__": {str(i): "" for i in range(200_000)}}, 0, r"header: describes more than a file of"),
}


@pytest.mark.parametrize(("header", "size", "message"), HEADERS.values(), ids=HEADERS)
def test_wrong_headers(header, size, message, path):
    write_raw(path, json.dumps(header).encode(), bytes(size))
    with pytest.raises(FileFormatError, match=message) as caught:
        nn.load(path)
    assert str(path) in str(caught.value)


RAW = {
    "nothing": (b"", "header length: the file has 0 bytes"),
    "seven bytes": (bytes(7), "header length: the file has 7 bytes"),
    "no header": (bytes(8), "header: not valid JSON"),
    "header cut": ((100).to_bytes(8, "little") + b"{}", "header length: 100 bytes, but only 2 follow"),
    "huge header": (b"\xff" * 8 + b"{}", "header length: 18446744073709551615 bytes"),
    "key twice": ((14).to_bytes(8, "little") + b'{"a":1,"a":2}\n', "header: not valid JSON .a key occurs twice"),
    "no number": ((9).to_bytes(8, "little") + b'{"a":NaN}', "header: not valid JSON .NaN is no JSON"),
    "not UTF-8": ((2).to_bytes(8, "little") + b"\xff\xfe", "header: not valid UTF-8"),
    "pickle": (b"\x80\x04\x95" + bytes(20), "header length"),
    "zip": (b"PK\x03\x04" + bytes(60), "header length"),
}


@pytest.mark.parametrize(("raw", "message"), RAW.values(), ids=RAW)
@pytest.mark.parametrize("use", [nn.load, lambda path: net().load_weights(path)], ids=["load", "load_weights"])
def test_no_such_file_at_all(raw, message, use, path):
    path.write_bytes(raw)
    with pytest.raises(FileFormatError, match=message):
        use(path)


def test_longest_header(path):
    long = tensors.LONGEST_HEADER + 1
    write_raw(path, b"{" + b" " * (long - 2) + b"}", b"")
    with pytest.raises(FileFormatError, match="header length: .* are not read"):
        nn.load(path)


def test_paths(tmp_path):
    with pytest.raises(FileNotFoundError):
        nn.load(tmp_path / "none")
    with pytest.raises(IsADirectoryError):
        nn.load(tmp_path)
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(FileKindError, match="is a pipe; a regular file is needed"):
            nn.load(tmp_path / "pipe")
    for device in ("/dev/zero", "/dev/null"):
        with pytest.raises(FileKindError, match="is a character device"):
            nn.load(device)
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(OSError, match="Too many levels of symbolic links"):
        nn.load(tmp_path / "loop")
    for wrong in (None, 3, ["x"]):
        with pytest.raises(ArgumentError, match="load: path must be a string"):
            nn.load(wrong)


def test_every_cut(path):
    """Of any length but its own, the file is refused."""
    raw = path.read_bytes()
    for length in [*range(0, len(raw), 97), len(raw) - 1]:
        path.write_bytes(raw[:length])
        with pytest.raises(FileFormatError):
            nn.load(path)
    path.write_bytes(raw + b"\0")
    with pytest.raises(FileFormatError):
        nn.load(path)


def test_that_reading_knows_no_way_to_run_code():
    """No pickle, no eval, no import by name in the whole package; what files name is looked up in tables."""
    dangerous = {"pickle", "marshal", "importlib", "eval", "exec", "compile", "__import__", "shelve", "runpy", "ctypes"}
    for source in Path(tensors.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(source.read_text())):
            names = {alias.name for alias in node.names} if isinstance(node, ast.Import | ast.ImportFrom) else set()
            names |= {node.module} if isinstance(node, ast.ImportFrom) else {node.id} if isinstance(node, ast.Name) else set()
            assert not names & dangerous, f"{source.name}: {names & dangerous}"


# Memory ------------------------------------------------------------------------------------------------------------------------


def peak(function):
    tracemalloc.start()
    try:
        function()
    except NncoreError:
        pass
    finally:
        reached = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    return reached


@pytest.mark.parametrize("compiled", [False, True])
def test_memory_of_loading(compiled, tmp_path):
    """Parameters and gradients, and the moments; neither the initial weights nor the file as a whole. Buffers begin on pages of
    2 MB, so the net is one of 32.
    """
    model = nn.Sequential(nn.Linear(2000, 2000), nn.ReLU(), nn.Linear(2000, 2000))
    if compiled:
        model.compile("mse", "adam")
    model.save(tmp_path / "model")
    assert peak(lambda: nn.load(tmp_path / "model")) < 2.2 * (tmp_path / "model").stat().st_size


def test_memory_of_moments_that_are_not_there(tmp_path):
    path, model = tmp_path / "model", nn.Sequential(nn.Linear(2000, 4000))
    model.compile("mse", nn.optim.Adam(amsgrad=True))
    model.save(path)
    header, document, body = take_apart(path)
    kept = {name: each for name, each in header.items() if not name.startswith("training")}
    end = max(each["data_offsets"][1] for name, each in kept.items() if name != "__metadata__")
    put_together(path, kept, document, body[:end])
    with pytest.raises(FileFormatError, match=r"tensor 'training\.moment0\.0\.weight': is missing"):
        nn.load(path)
    assert peak(lambda: nn.load(path)) < 2.2 * path.stat().st_size


def claims(document):
    """Documents that claim much more than the file has."""

    def width(size):
        document["model"]["layers"][0]["arguments"].update(in_features=size, out_features=size)

    def many_outputs():
        document["model"].update(
            layers=[{"class": "Sigmoid", "arguments": {}}],
            input_shapes=[[10**6]],
        )
        document["training"]["losses"] = [{"class": "BinaryCrossentropy", "arguments": {}}]
        document["training"]["metrics"] = [[{"class": "Accuracy", "arguments": {}}]]
        document["training"]["state"]["options"] = []

    def no_shape():
        width(10**5)
        document["model"]["input_shapes"] = None

    return [lambda: width(10**5), many_outputs, no_shape]


@pytest.mark.parametrize("claim", range(3))
def test_memory_of_claims(claim, path):
    header, document, body = take_apart(path)
    claims(document)[claim]()
    if claim:
        header, body = {"__metadata__": header["__metadata__"]}, b""
    put_together(path, header, document, body)
    assert peak(lambda: nn.load(path)) < 300_000


@pytest.mark.parametrize("momentum", [0.1, None])
def test_trained_weights_go_to_pytorch_and_back_unchanged(tmp_path, rng, momentum):
    """Running statistics and their counter included; both read the other's file, and go on counting."""
    torch = pytest.importorskip("torch")
    files = pytest.importorskip("safetensors.torch", reason="safetensors is not installed")
    layers = [("Linear", 3, 4), ("BatchNorm1d", 4), ("ReLU",), ("Linear", 4, 2)]

    def made(of):
        options = {"BatchNorm1d": {"momentum": momentum}}
        return [getattr(of, name)(*sizes, **options.get(name, {})) for name, *sizes in layers]

    ours, theirs = nn.Sequential(*made(nn), seed=0), torch.nn.Sequential(*made(torch.nn))
    ours.compile("mse", "adam")
    x, y = rng.normal(size=(40, 3)).astype(np.float32), rng.normal(size=(40, 2)).astype(np.float32)
    ours.fit(x, y, epochs=3)
    ours.save_weights(tmp_path / "ours")
    theirs.load_state_dict(files.load_file(tmp_path / "ours"), strict=True)
    for name, value in theirs.state_dict().items():
        assert value.numpy().tobytes() == ours.state_dict()[name].tobytes(), name
        assert value.numpy().dtype == ours.state_dict()[name].dtype
    assert int(theirs[1].num_batches_tracked) == 6
    theirs.train()(torch.from_numpy(x))
    files.save_file(theirs.state_dict(), tmp_path / "theirs")
    ours.load_weights(tmp_path / "theirs")
    for name, value in theirs.state_dict().items():
        assert value.numpy().tobytes() == ours.state_dict()[name].tobytes(), name
    with torch.no_grad():
        np.testing.assert_allclose(ours(x), theirs.eval()(torch.from_numpy(x)).numpy(), rtol=1e-4, atol=1e-6)


# What a file describes against what it has ----------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [10_000, 3_000_000, 2**40])
def test_more_sublayers_than_the_file_has_room_for(number, path):
    nn.Sequential(nn.GRU(2, 3, num_layers=2), nn.Linear(3, 1)).build((4, 2)).save(path)
    header, document, body = take_apart(path)
    document["model"]["layers"][0]["arguments"]["num_layers"] = number
    put_together(path, header, document, body)
    tracemalloc.start()
    try:
        with pytest.raises(FileFormatError, match=r"model\.layers\[0\].*(describes more than a file of|at most 4096 are possible)"):
            nn.load(path)
        assert tracemalloc.get_traced_memory()[1] < 2_000_000
    finally:
        tracemalloc.stop()


def test_more_layers_than_the_file_has_room_for(path):
    nn.Sequential(nn.ReLU(), nn.Tanh()).build((4,)).save(path)
    header, document, body = take_apart(path)
    document["model"]["layers"] *= 4000
    put_together(path, header, document, body)
    with pytest.raises(FileFormatError, match=r"model\.layers\[\d+\]: describes more than a file of"):
        nn.load(path)


@pytest.mark.parametrize("layers", [[nn.ReLU] * 9000, [lambda: nn.GRU(1, 1, num_layers=3000)]], ids=["layers", "sublayers"])
def test_save_refuses_what_load_would_refuse(layers, path):
    model, before = nn.Sequential([make() for make in layers]), path.read_bytes()
    with pytest.raises(ArgumentError, match="more than a file can describe"):
        model.build((4, 1)).save(path)
    assert path.read_bytes() == before


def test_a_schedule_within_schedules(path):
    model = nn.Sequential(nn.Linear(2, 1))

    def compiled(depth):
        rate = 0.1
        for _ in range(depth):
            rate = nn.schedules.Warmup(rate, 2)
        model.compile("mse", nn.optim.SGD(rate))

    compiled(25)
    model.save(path)
    assert nn.load(path).optimizer.lr == model.optimizer.lr
    compiled(60)
    with pytest.raises(ArgumentError, match="nested .* deep"):
        model.save(path)
    nn.load(path)


def test_a_large_row_is_read_in_pieces(path):
    """Reading takes no copy of the whole tensor beside the one in the model."""
    nn.Sequential(nn.Linear(2_000_000, 1)).save(path)
    tracemalloc.start()
    try:
        nn.load(path)
        assert tracemalloc.get_traced_memory()[1] < 2 * path.stat().st_size + 6_000_000
    finally:
        tracemalloc.stop()


def test_losses_for_other_outputs(path):
    header, document, body = take_apart(path)
    document["training"]["metrics"] *= 5
    put_together(path, header, document, body)
    with pytest.raises(FileFormatError, match=r"training\.metrics: 5 for 1 outputs"):
        nn.load(path)
