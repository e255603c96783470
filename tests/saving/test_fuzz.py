"""Files with random damage: loading succeeds, or ends in a typed error, without asking for more memory than the file is worth.

Damage of two kinds: to the bytes, which mostly meets the checks of the format, and to the document within, put together again
with lengths that are right, which meets those behind it. NNCORE_FUZZ says how many of each (`make fuzz` sets it higher).
"""

import copy
import json
import os
import tracemalloc

import pytest
from saving.nets import BATCH, ROWS, data, put_together, take_apart

import nncore as nn
from nncore.errors import NncoreError

TIMES = int(os.environ.get("NNCORE_FUZZ", "500"))
#: What Python itself needs to read a small file: the parsed header, the layers, the messages.
SLACK = 300_000
NASTY = [
    None, True, False, 0, 1, -1, 3, 7, 64, 2**31, 2**53 + 1, 2**63 - 1, 2**63, 2**64, 10**30, -(2**63), 0.5, -0.5, 1e308, 1e-308,
    "", "x", "F32", "F64", "I64", "float32", "Linear", "Sequential", "__class__", "os.system", "\x00", "\ud800", "a" * 300,
    [], [[]], [0], [1, 2, 3], [None], {}, {"class": "Linear", "arguments": {}}, {"class": "Constant", "arguments": {"value": 1}},
]  # fmt: skip


def net(dtype="float32"):
    """Small, but with something of everything."""
    layers = (nn.Linear(4, 3, weight_init=nn.init.he_normal()), nn.BatchNorm1d(3), nn.Dropout(0.3), nn.Linear(3, 3), nn.Softmax())
    model = nn.Sequential(*layers, seed=1, dtype=dtype)
    model[3].trainable = False
    model.compile("sparse_categorical_crossentropy", "adam", ["accuracy", nn.metrics.F1(average="macro")])
    return model


def graph():
    """A shared layer, a branch and a merge of each kind."""
    x, shared = nn.Input((4,), name="x"), nn.Linear(4, 4, name="twice")
    h = nn.BatchNorm1d(4)(shared(nn.Tanh()(shared(x)))) * (1 - x)
    model = nn.Model(x, {"y": nn.Softmax()(nn.Linear(8, 3)(nn.concatenate([h, nn.add([x, h, x])])))}, seed=1)
    model.compile("sparse_categorical_crossentropy", "adam", ["accuracy"])
    return model


@pytest.fixture(params=["float32", "float64", "graph"])
def good(request, tmp_path):
    path = tmp_path / "model.safetensors"
    model = graph() if request.param == "graph" else net(request.param)

    def stop(batch, logs):
        model.stop_training = model.step == ROWS // BATCH + 3  # in the middle of the second epoch

    best = nn.callbacks.EarlyStopping("loss", restore_best_weights=True)
    model.fit(*data(), epochs=2, batch_size=BATCH, callbacks=[best, nn.callbacks.LambdaCallback(on_train_batch_end=stop)])
    assert model.step % -(-ROWS // BATCH)
    model.save(path)
    return path


def damage_bytes(raw, rng):
    """Overwrite, cut out, insert, repeat or truncate; half of the time within the header."""
    raw = bytearray(raw)
    end = 8 + int.from_bytes(raw[:8], "little") if rng.random() < 0.7 else len(raw)
    for _ in range(rng.integers(1, 4)):
        at, length = int(rng.integers(0, max(1, min(end, len(raw))))), int(rng.integers(1, 9))
        match rng.integers(0, 6):
            case 0:
                raw[at : at + 1] = bytes([int(rng.integers(0, 256))])
            case 1:
                raw[at : at + 1] = rng.choice(list(b'0123456789{}[],:"-e')).tobytes()[:1]
            case 2:
                del raw[at : at + length]
            case 3:
                raw[at:at] = rng.bytes(length)
            case 4:
                other = int(rng.integers(0, len(raw) or 1))
                raw[at : at + length] = raw[other : other + length]
            case 5:
                del raw[int(rng.integers(0, len(raw) or 1)) :]
    return bytes(raw)


def places(value, found):
    """Every (container, key) in a JSON value."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in pairs:
        found.append((value, key))
        places(each, found)
    return found


def damage_values(root, rng):
    """Replace, drop or double a few values, wherever they stand."""
    for _ in range(rng.integers(1, 4)):
        found = places(root, [])
        if not found:
            return
        container, key = found[rng.integers(0, len(found))]
        match rng.integers(0, 4):
            case 0 | 1:
                container[key] = copy.deepcopy(NASTY[rng.integers(0, len(NASTY))])
            case 2:
                del container[key]
            case 3:
                other, name = found[rng.integers(0, len(found))]
                container[key] = copy.deepcopy(other[name])


def load_within_bounds(path, what):
    """Load, and return how it ended."""
    size = path.stat().st_size
    outcome = "loaded"
    tracemalloc.reset_peak()
    before = tracemalloc.get_traced_memory()[0]
    try:
        nn.load(path)
    except (NncoreError, OSError) as error:
        outcome = type(error).__name__
    except Exception as error:
        raise AssertionError(f"{type(error).__name__} for {what}") from error
    reached = tracemalloc.get_traced_memory()[1] - before
    assert reached < 2 * size + SLACK, f"{reached} bytes for a file of {size}: {what}"
    return outcome


@pytest.fixture
def traced():
    tracemalloc.start()
    yield
    tracemalloc.stop()


def test_damaged_bytes(good, traced, rng):
    raw = good.read_bytes()
    nn.load(good)
    outcomes = set()
    for _ in range(TIMES):
        damaged = damage_bytes(raw, rng)
        good.write_bytes(damaged)
        outcomes.add(load_within_bounds(good, damaged[:3000]))
    assert {"loaded", "FileFormatError"} <= outcomes  # a byte of a weight does no harm


def test_damaged_documents(good, traced, rng):
    header, document, body = take_apart(good)
    nn.load(good)
    outcomes = set()
    for i in range(TIMES):
        damaged, entries = copy.deepcopy(document), copy.deepcopy(header)
        metadata = entries.pop("__metadata__")
        damage_values(entries if i % 4 == 0 else damaged, rng)
        put_together(good, {**entries, "__metadata__": metadata}, damaged, body)
        outcomes.add(load_within_bounds(good, json.dumps(damaged if i % 4 else entries)))
    assert {"loaded", "FileFormatError"} <= outcomes


# A damaged number may be too large for the model's type: NumPy says so, and that is no fault of the reader.
@pytest.mark.filterwarnings("ignore:overflow encountered in cast:RuntimeWarning")
def test_damaged_weights(good, rng):
    """The same for load_weights, which must leave the model as it was."""
    raw, model = good.read_bytes(), net()
    before = model.state_dict()
    for _ in range(TIMES // 10):
        good.write_bytes(damage_bytes(raw, rng))
        try:
            model.load_weights(good)
        except (NncoreError, OSError):
            assert all((value == before[name]).all() for name, value in model.state_dict().items())
        before = model.state_dict()
