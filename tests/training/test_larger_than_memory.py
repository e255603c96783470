"""A memory map trains from disk: what the process itself takes does not grow with the file.

The file is sparse, so that it takes no disk. What is measured is the memory that belongs to the process alone (RssAnon): pages of
the file that have been read are the kernel's, which drops them when it needs room. NNCORE_MEMMAP_GIB makes the file larger.
"""

import os

import numpy as np
import pytest

import nncore as nn

GIB = float(os.environ.get("NNCORE_MEMMAP_GIB", "0.5"))
MIB = 1 << 20
FEATURES = 1024


def own_memory():
    """Bytes of memory of this process that no file backs."""
    with open("/proc/self/status", encoding="ascii") as status:
        fields = dict(line.split(":", 1) for line in status)
    return int(fields["RssAnon"].split()[0]) * 1024


pytestmark = pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="reads /proc")


def sparse(path, dtype, gib=GIB, order="C"):
    rows = int(gib * 2**30) // (FEATURES * np.dtype(dtype).itemsize)
    array = np.memmap(path, dtype, "w+", shape=(rows, FEATURES), order=order)
    array[:: max(1, rows // 50)] = 1  # a few pages that are not holes
    array.flush()
    del array
    return np.memmap(path, dtype, "r", shape=(rows, FEATURES), order=order)


@pytest.mark.parametrize(
    ("dtype", "order", "part"),
    [("float32", "C", 1), ("float16", "C", 1), ("uint8", "C", 1), ("<f4", "F", 4), (">f4", "C", 4), (np.longdouble, "C", 4)],
    ids=str,
)
def test_training_takes_no_more_than_its_batches(dtype, order, part, tmp_path, rng):
    x = sparse(tmp_path / "x", dtype, GIB / part, order)
    y = rng.integers(3, size=len(x))
    model = nn.Sequential(nn.Linear(FEATURES, 4), nn.ReLU(), nn.Linear(4, 3), nn.Softmax(), seed=0)
    model.compile("sparse_categorical_crossentropy", "adam", ["accuracy"], check_finite=True)
    model.fit(x[:1024], y[:1024], batch_size=256, validation_split=0.5)  # what is taken once
    before, seen = own_memory(), []
    watch = nn.callbacks.LambdaCallback(on_train_chunk_end=lambda step, logs: seen.append(own_memory()))
    model.fit(x, y, epochs=2, batch_size=256, callbacks=[watch], validation_split=0.5, groups=np.arange(len(x)) // 8)
    model.evaluate(x, y)
    model.predict(x)
    seen.append(own_memory())
    allowed = len(x) * 300 + 32 * MIB  # per row: its place in the order, its target, its group, its prediction
    assert allowed < x.nbytes / 2, "the bound would not notice that the file is loaded"
    assert max(seen) - before < allowed, f"{(max(seen) - before) / MIB:.1f} MiB more for a file of {GIB} GiB"


def test_the_measure_notices_what_is_loaded(tmp_path):
    x = sparse(tmp_path / "x", "float32")
    before = own_memory()
    loaded = np.array(x[: len(x) // 2])
    assert own_memory() - before > loaded.nbytes / 2
