"""Files with random damage: loading ends soon, well or in a typed error, without asking for more memory than the file is worth.

Damage of three kinds: to the bytes, which mostly meets the checks of the format; to the document within, put together again with
lengths that are right, which meets those behind it; and to the numbers, keys, lists and nesting of what is declared, for models of
every kind and every optimizer. NNCORE_FUZZ says how many of each (`make fuzz` sets it higher).
"""

import copy
import json
import os
import re
import sys
import time
import tracemalloc

import numpy as np
import pytest
from saving.nets import BATCH, ROWS, data, put_together, take_apart, write_raw

import nncore as nn
from nncore.errors import NncoreError
from nncore.optim import OPTIMIZERS

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


def quantized():
    """Weights of 8-bit integers, with both directions, and one that stays float32."""
    layers = (
        nn.Linear(4, 16),
        nn.Linear(16, 20),
        nn.Reshape(1, 20),
        nn.GRU(20, 16, bidirectional=True),
        nn.Linear(32, 3),
        nn.Softmax(),
    )
    model = nn.Sequential(*layers, seed=1)
    model.compile("sparse_categorical_crossentropy", "adam", ["accuracy"])
    return model.quantize("int8")


@pytest.fixture(params=["float32", "float64", "graph", "int8"])
def good(request, tmp_path):
    path = tmp_path / "model.safetensors"
    if request.param == "int8":
        quantized().save(path)
        return path
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


class Room:
    """Lets this process have only so much more address space meanwhile, so that whoever asks for more gets a MemoryError."""

    def __init__(self, more):
        self.more = more

    def __enter__(self):
        if sys.platform == "linux":
            import resource

            with open("/proc/self/statm") as file:
                now = int(file.read().split()[0]) * resource.getpagesize()
            self.before = resource.getrlimit(resource.RLIMIT_AS)
            resource.setrlimit(resource.RLIMIT_AS, (now + self.more, self.before[1]))

    def __exit__(self, *_):
        if sys.platform == "linux":
            import resource

            resource.setrlimit(resource.RLIMIT_AS, self.before)


def load_within_bounds(path, what):
    """Load, and return how it ended."""
    size = path.stat().st_size
    outcome = "loaded"
    tracemalloc.reset_peak()
    before, began = tracemalloc.get_traced_memory()[0], time.process_time()
    try:
        with Room(2 * size + (16 << 20)):
            nn.load(path)
    except (NncoreError, OSError) as error:
        outcome = type(error).__name__
    except Exception as error:
        raise AssertionError(f"{type(error).__name__} for {what}") from error
    took, reached = time.process_time() - began, tracemalloc.get_traced_memory()[1] - before
    assert took < 2, f"{took} s for a file of {size}: {what}"
    assert reached < 2 * size + SLACK, f"{reached} bytes for a file of {size}: {what}"
    return outcome


def test_that_the_bounds_are_noticed(tmp_path, monkeypatch):
    """What the tests below would see of a reader who asks for too much, or takes too long."""
    path = tmp_path / "file"
    path.write_bytes(b"")
    if sys.platform == "linux":
        monkeypatch.setattr(nn, "load", lambda path: np.empty(1 << 30, np.uint8))
        with pytest.raises(AssertionError, match="MemoryError for it"):
            load_within_bounds(path, "it")

    def slow(path):
        end = time.process_time() + 2.1
        while time.process_time() < end:
            pass

    monkeypatch.setattr(nn, "load", slow)
    with pytest.raises(AssertionError, match="s for a file of 0: it"):
        load_within_bounds(path, "it")


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


# What is declared, of models of every kind ----------------------------------------------------------------------------------


def recurrent():
    """Several sublayers and directions, states that are carried on and learned."""
    layers = (nn.GRU(3, 4, num_layers=2, bidirectional=True, return_sequences=True), nn.LSTM(8, 2, learn_initial_state=True))
    model = nn.Sequential(*layers, nn.Linear(2, 1), seed=1)
    model.compile("mse", nn.optim.RMSprop(nn.schedules.Warmup(nn.schedules.Cosine(1e-3, 9), 3)), ["mae", "r2"])
    model.train_on_batch(np.ones((2, 5, 3)), np.ones((2, 1)))
    return model


def stateful():
    model = nn.Sequential(nn.RNN(2, 3, stateful=True, truncate=2, return_sequences=True), nn.LayerNorm(3), nn.PReLU(), seed=1)
    model.compile("mae", nn.optim.SGD(nn.schedules.MultiStep(0.1, [2, 4]), momentum=0.5))
    model.train_on_batch(np.ones((2, 4, 2)), np.ones((2, 4, 3)))
    return model


def unbuilt():
    model = nn.Sequential(nn.Flatten(), nn.Reshape(3, 2), nn.GRU(2, 2, num_layers=3), nn.Embedding(4, 2))
    model.compile("huber", "lion", [nn.metrics.Accuracy(threshold=0.25)])
    return model


def trained(name):
    """A model whose optimizer has begun, with groups and clipping."""
    limit = None if name == "lbfgs" else 2.0
    table = nn.Sequential(nn.Linear(3, 4, l2=0.1, max_norm=limit), nn.Maxout(4, 2), nn.Rescaling(0.5, 0.1), seed=2)
    options = {} if name == "lbfgs" else {"clip_norm": 1.0, "ema_momentum": 0.9}
    settings = {"trainable": False} if name == "lbfgs" else {"weight_decay": 0, "lr_scale": 0.5}
    rule = OPTIMIZERS[name](groups=[{"params": "*.bias", **settings}], **options)
    table.compile(nn.losses.Huber(2.0), rule, ["mse"])
    if name != "lbfgs":
        table.train_on_batch(np.ones((2, 3)), np.ones((2, 2)))
    return table


KINDS = {
    "net": net,
    "graph": graph,
    "quantized": quantized,
    "recurrent": recurrent,
    "stateful": stateful,
    "unbuilt": unbuilt,
    **{cls.name: lambda cls=cls: trained(cls.name) for cls in dict.fromkeys(OPTIMIZERS.values())},
}
EXTREMES = [0, -1, 1, 2, 2**31 - 1, 2**31, 2**32, 2**53 + 1, 2**62, 2**63 - 1, 2**63, 2**64, -(2**63), 1e300, -1e300, 5e-324]
TOKENS = [
    "1e999",
    "-1e999",
    "NaN",
    "Infinity",
    "9" * 4000,
    "1" + "0" * 39,
    "-0",
    "1e-9999",
    "true",
    "null",
    '"1"',
    "[1]",
    '{"a": 1}',
]
NUMBER = re.compile(r"(?<=[\[:, ])-?[0-9][-+.eE0-9]*(?=[,\]} ])")
KEY = re.compile(r'"[a-z_]+": ')


def change(root, rng):
    """Change a few declarations where they stand: numbers, keys, nesting, lists."""
    for _ in range(rng.integers(1, 4)):
        found = places(root, [])
        if not found:
            return
        numbers = [(c, k) for c, k in found if isinstance(c[k], int | float)]
        lists = [(c, k) for c, k in found if isinstance(c[k], list) and c[k]]
        keys = [(c, k) for c, k in found if isinstance(c, dict)]
        container, key = found[rng.integers(0, len(found))]
        match rng.integers(0, 8):
            case 0 | 1 | 2 if numbers:
                container, key = numbers[rng.integers(0, len(numbers))]
                container[key] = EXTREMES[rng.integers(0, len(EXTREMES))]
            case 3 if lists:
                container, key = lists[rng.integers(0, len(lists))]
                container[key] = container[key] * int(rng.choice([2, 10, 100, 3000]))
            case 4:
                value = container[key]
                for _ in range(rng.choice([1, 5, 40, 300])):
                    value = {"class": "Warmup", "arguments": {"schedule": value, "steps": 1}} if rng.random() < 0.5 else [value]
                container[key] = value
            case 5 if keys:
                container, key = keys[rng.integers(0, len(keys))]
                del container[key]
            case 6 if keys:
                container, key = keys[rng.integers(0, len(keys))]
                container[str(rng.choice(["name", "_pending", "__class__", "x", "lr", "steps"]))] = container[key]
            case _:
                other, name = found[rng.integers(0, len(found))]
                container[key] = copy.deepcopy(other[name])


def rewrite(text, rng):
    """Write a number as no number is written, or a key twice."""
    pattern, new = (NUMBER, TOKENS[rng.integers(0, len(TOKENS))]) if rng.random() < 0.7 else (KEY, "")
    spots = list(pattern.finditer(text))
    if not spots:
        return text
    spot = spots[rng.integers(0, len(spots))]
    new = new or spot[0] + "1, " + spot[0]
    return text[: spot.start()] + new + text[spot.end() :]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.filterwarnings("ignore::RuntimeWarning", "ignore::UserWarning")
def test_damaged_declarations(kind, tmp_path, rng):
    path = tmp_path / "model.safetensors"
    KINDS[kind]().save(path)
    header, document, body = take_apart(path)
    nn.load(path)
    outcomes = set()
    for _ in range(-(-TIMES // 5)):
        entries, damaged = copy.deepcopy(header), copy.deepcopy(document)
        where = rng.random()
        if where < 0.7:
            change(damaged, rng)
        text = json.dumps(damaged)
        if where > 0.5:
            text = rewrite(text, rng)
        entries["__metadata__"]["nncore"] = text
        if rng.random() < 0.1:
            change({name: entry for name, entry in entries.items() if name != "__metadata__"}, rng)
        raw = json.dumps(entries)
        if rng.random() < 0.05:
            raw = rewrite(raw, rng)
        write_raw(path, raw.encode(), body)
        outcomes.add(load_within_bounds(path, raw[:20_000]))
    assert "FileFormatError" in outcomes
