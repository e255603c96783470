"""The bits of quantized models on every instruction set: one program, run under each of them."""

import pytest
from instruction_sets import printed

from nncore import _core

PROGRAM = """
import hashlib

import numpy as np
import nncore as nn

rng = np.random.default_rng(0)


def show(name, model, x, **options):
    quantized = model.quantize("int8")
    y = quantized.predict(x, **options)
    parts = [slice(i, i + 3) for i in range(0, len(x), 3)]
    rows = [quantized.predict(x[part], **{key: value[part] for key, value in options.items()}) for part in parts]
    assert np.concatenate(rows).tobytes() == y.tobytes(), name
    print(name, hashlib.sha256(y.tobytes()).hexdigest())


dense = nn.Sequential(nn.Linear(70, 100), nn.ReLU(), nn.Linear(100, 40), nn.LeakyReLU(), nn.Linear(40, 20), seed=0)
show("dense", dense, rng.normal(size=(41, 70)).astype("f"))
x = rng.normal(size=(19, 11, 20)).astype("f")
for cell in ("RNN", "GRU", "LSTM", "GRU before"):
    options = {"reset_after": False} if " " in cell else {}
    layer = getattr(nn, cell.split()[0])(20, 33, bidirectional=True, return_sequences=True, **options)
    model = nn.Sequential(layer, nn.Linear(66, 24), nn.Tanh(), nn.Linear(24, 3), nn.Softmax(), seed=1).build((11, 20))
    show(cell, model, x, lengths=rng.integers(1, 12, size=19))
"""


def test_instruction_sets_agree():
    found = {isa: printed(PROGRAM, isa).split("\n") for isa in _core.isas() if isa != "amx"}
    assert len({lines[0] for lines in found.values()}) == 1  # dense: integers, and float32 operations without chains
    rest = [lines for isa, lines in found.items() if isa != "baseline" or "avx2" not in found]  # SSE2 cannot fuse multiply-adds
    assert all(lines == rest[0] for lines in rest)


def test_tiles_agree(amx):
    best = next((isa for isa in reversed(_core.isas()) if isa != "amx"), None)
    if best != "avx512":
        pytest.skip("amx includes avx512, and this CPU has not got it")
    assert amx.run(PROGRAM) == printed(PROGRAM, best)
