"""Whether products of low precision give the same bits everywhere: whole runs of training, and predictions of quantized nets.

    python benchmarks/bits.py              compare all instruction sets of this CPU, in half a minute
    python benchmarks/bits.py --digests    digests of this process's instruction set, as JSON

A run is repeated on every instruction set (each in a process of its own, with NNCORE_ISA), with 1, 2, 3 and 7 threads, and resumed
from a file in its middle. Its digest covers the loss of every step, all parameters and the moments. Batches have 1, 31, 33 and 64
rows; none of them divides the number of rows, so that the last batch of an epoch is shorter.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

ROWS, STEPS, BATCHES, THREADS = 100, 7, (1, 31, 33, 64), (1, 2, 3, 7)
CELLS = ("RNN", "GRU", "LSTM")

#: case -> how it was computed -> digest.
Digests = dict[str, dict[str, str]]


def perceptron():
    """Sides that are no multiples of 32, and layers that stay in float32 between them."""
    import nncore as nn

    layers = [nn.Linear(40, 48), nn.LayerNorm(48), nn.ReLU(), nn.Linear(48, 33), nn.Tanh(), nn.Dropout(0.1), nn.Linear(33, 17)]
    return nn.Sequential(*layers, nn.Softmax(), seed=0, compute="bfloat16")


def recurrent(cell: str):
    import nncore as nn

    layer = getattr(nn, cell)(20, 40, bidirectional=True)
    return nn.Sequential(layer, nn.Linear(80, 17), nn.Softmax(), seed=0, compute="bfloat16")


def data(cell: str) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    shape = (ROWS, STEPS, 20) if cell else (ROWS, 40)
    return rng.standard_normal(shape, dtype=np.float32), rng.integers(0, 17, ROWS)


def digest(*arrays: np.ndarray) -> str:
    return hashlib.sha256(b"".join(np.ascontiguousarray(a).tobytes() for a in arrays)).hexdigest()[:16]


def trained(cell: str, batch: int, resumed: bool) -> str:
    """Digest of two epochs."""
    import nncore as nn

    model, (x, y) = (recurrent(cell) if cell else perceptron()), data(cell)
    model.compile(loss="sparse_categorical_crossentropy", optimizer=nn.optim.Adam())
    losses = list(model.fit(x, y, batch_size=batch, epochs=1, verbose=0).step_losses)
    if resumed:
        with tempfile.TemporaryDirectory() as folder:
            model.save(Path(folder) / "model.safetensors")
            model = nn.load(Path(folder) / "model.safetensors")
    losses += list(model.fit(x, y, batch_size=batch, epochs=2, initial_epoch=1, verbose=0).step_losses)
    buffers = model._plan.buffers()
    return digest(np.asarray(losses), *(buffers[name] for name in sorted(buffers) if name != "grads"))


def predicted(cell: str, batch: int) -> str:
    """Digest of what a quantized model predicts."""
    model, (x, _) = (recurrent(cell) if cell else perceptron()), data(cell)
    if cell:
        model.build(x.shape[1:])
    quantized = model.quantize("int8")
    return digest(np.concatenate([quantized(x[i : i + batch]) for i in range(0, ROWS, batch)]))


def digests() -> Digests:
    """All of this process."""
    from nncore import _core

    found: Digests = {}
    for cell in ("", *CELLS):
        name = cell or "perceptron"
        for threads in THREADS:
            _core.force_threads(threads)
            said = f"{threads} thread{'s'[: threads - 1]}"
            for batch in BATCHES:
                found.setdefault(f"{name}, batch {batch}", {})[said] = trained(cell, batch, False)
                found.setdefault(f"{name}, int8 predictions", {})[f"{said}, batch {batch}"] = predicted(cell, batch)
            _core.force_threads(0)
        for batch in BATCHES:
            found[f"{name}, batch {batch}"]["resumed"] = trained(cell, batch, True)
    return found


def compare(say: Callable[[str], None]) -> dict:
    """runs: of each instruction set; different: instruction set -> "case: how" of those that differ from the best one's."""
    from nncore import _core

    found = {isa: _ask(isa) for isa in _core.isas()}
    best = found[_core.isas()[-1]]
    truth, runs = {case: next(iter(ways.values())) for case, ways in best.items()}, sum(map(len, best.values()))
    different = {
        isa: [f"{case}: {way}" for case, ways in cases.items() for way, each in ways.items() if each != truth[case]]
        for isa, cases in found.items()
    }
    for isa, names in different.items():
        say(f"  {isa}: {len(names)} of {runs} runs differ from those of the best instruction set")
    return {"runs": runs, "different": different}


def _ask(isa: str) -> Digests:
    command = [sys.executable, __file__, "--digests"]
    done = subprocess.run(command, env={**os.environ, "NNCORE_ISA": isa}, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{isa}: {done.stderr}")
    return json.loads(done.stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--digests", action="store_true", help="print those of this process")
    if parser.parse_args().digests:
        print(json.dumps(digests()))
        return
    found = compare(lambda line: print(line, flush=True))
    different = [f"{isa}, {name}" for isa, names in found["different"].items() for name in names]
    print("\n".join(different) or "all equal")
    sys.exit(bool(different))


if __name__ == "__main__":
    main()
