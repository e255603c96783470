"""A memory map trains from disk: what the process itself takes does not grow with the file.

The file is sparse, so that it takes no disk. What is measured is the memory that belongs to the process alone (RssAnon): pages of
the file that have been read are the kernel's, which drops them when it needs room. NNCORE_MEMMAP_GIB makes the file larger.
"""

import os
import subprocess
import sys

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


PROGRAM = """
import sys
import numpy as np, pyarrow as pa, pyarrow.dataset, pyarrow.parquet as pq
import nncore as nn

path, columns, rows, groups = sys.argv[1], 16, 1 << 16, int(sys.argv[2])
rng = np.random.default_rng(0)
block = {f"c{i}": rng.integers(256, size=rows).astype(np.float32) for i in range(columns)} | {"y": rng.integers(3, size=rows)}
block = pa.table(block)
with pq.ParquetWriter(path, block.schema) as writer:
    for _ in range(groups):
        writer.write_table(block)
del block

def resident():
    with open("/proc/self/status", encoding="ascii") as status:
        fields = dict(line.split(":", 1) for line in status)
    return int(fields["VmRSS"].split()[0]) * 1024

model = nn.Sequential(nn.Linear(columns, 8), nn.ReLU(), nn.Linear(8, 3), nn.Softmax(), seed=0)
model.compile("sparse_categorical_crossentropy", "adam")
model.fit(rng.normal(size=(1000, columns)), rng.integers(3, size=1000))
pa.default_memory_pool().release_unused()
before, seen = resident(), []
watch = nn.callbacks.LambdaCallback(on_train_chunk_end=lambda step, logs: seen.append(resident()))
data = nn.data.parquet(path, target="y", buffer=1 << 16)
model.fit(data, batch_size=1024, callbacks=[watch])
model.evaluate(data)
seen.append(resident())
print(data.rows * columns * 4, max(seen) - before)
"""


def test_parquet_takes_no_more_than_its_blocks(tmp_path):
    """200 MiB of numbers: what the process takes grows by two blocks of 4 MiB, and by what pyarrow decodes at a time."""
    command = [sys.executable, "-c", PROGRAM, tmp_path / "rows.parquet", "50"]
    found = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120, cwd=tmp_path)
    size, growth = map(int, found.stdout.split())
    assert size == 200 * MIB
    assert growth < 60 * MIB, f"{growth / MIB:.1f} MiB more for {size / MIB:.0f} MiB of rows"


@pytest.mark.parametrize("shuffle", [True, False])
def test_a_memory_map_in_parts_is_read_in_runs(shuffle, tmp_path, rng):
    """Shuffled rows of a map are read here and there; in parts they are read in runs, in any order of the runs."""
    x = sparse(tmp_path / "x", "float32", 0.125)
    y = rng.integers(3, size=len(x))
    model = nn.Sequential(nn.Linear(FEATURES, 3), nn.Softmax(), seed=0)
    model.compile("sparse_categorical_crossentropy", "adam")
    model.fit(x[:1024], y[:1024], batch_size=256)
    before, seen = own_memory(), []
    watch = nn.callbacks.LambdaCallback(on_train_chunk_end=lambda step, logs: seen.append(own_memory()))
    model.fit(nn.data.parts(x, y, buffer=1024), epochs=2, batch_size=256, callbacks=[watch], shuffle=shuffle)
    assert model.step == 4 + 2 * len(x) // 256
    assert max(seen) - before < 48 * MIB < x.nbytes / 2
