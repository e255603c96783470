"""What the tests of saving share: a net that carries everything along, its data, and files taken apart and put together."""

import json

import numpy as np

import nncore as nn
from nncore.saving.training import moments

ROWS, BATCH = 50, 8


def data():
    rng = np.random.default_rng(5)
    return rng.normal(size=(ROWS, 4)), rng.integers(0, 3, ROWS)


def net(optimizer="adam", dtype="float64", seed=11, **options):
    """Dropout depends on step and seed, batch norm has running statistics (one of them counts), the optimizer has moments."""
    model = nn.Sequential(
        nn.Linear(4, 7, l2=1e-3),
        nn.BatchNorm1d(7),
        nn.ReLU(),
        nn.Dropout(0.3),
        nn.Linear(7, 5),
        nn.BatchNorm1d(5, momentum=None),
        nn.Tanh(),
        nn.Linear(5, 3),
        nn.Softmax(),
        seed=seed,
        dtype=dtype,
    )
    model.compile("sparse_categorical_crossentropy", optimizer, ["accuracy", nn.metrics.F1(average="macro")], **options)
    return model


def numbers(model):
    """Everything that training changes, by name."""
    moved = {f"{key}.{name}": view.copy() for key, each in moments(model._network).items() for name, view in each.items()}
    return {**model.state_dict(), **moved, "step": model.step, "seed": model.seed}


def assert_identical(model, other):
    one, two = numbers(model), numbers(other)
    assert one.keys() == two.keys()
    for name, value in one.items():
        assert np.asarray(value).tobytes() == np.asarray(two[name]).tobytes(), name


def take_apart(path):
    """The header, the document in it, and the bytes of the tensors."""
    raw = path.read_bytes()
    end = 8 + int.from_bytes(raw[:8], "little")
    header = json.loads(raw[8:end])
    return header, json.loads(header["__metadata__"]["nncore"]), bytearray(raw[end:])


def put_together(path, header, document, body):
    header["__metadata__"]["nncore"] = json.dumps(document)
    write_raw(path, json.dumps(header).encode(), body)


def write_raw(path, header, body):
    path.write_bytes(len(header).to_bytes(8, "little") + header + body)


def set_tensor(header, body, name, value):
    """Overwrite every element of a tensor."""
    begin, end = header[name]["data_offsets"]
    dtype = {"F64": "<f8", "F32": "<f4", "I64": "<i8"}[header[name]["dtype"]]
    body[begin:end] = np.full((end - begin) // np.dtype(dtype).itemsize, value, dtype).tobytes()
