"""How far data-parallel training scales: a model of the step from latency, bandwidth and computation, with constants measured here.

    python benchmarks/scaling.py             measure, check the model against steps of 1, 2 and 4 ranks, and write docs/scaling.md,
                                             docs/scaling.svg and docs/benchmarks_scaling.json: about two minutes
    python benchmarks/scaling.py --tables    write the page and the picture anew from the JSON file
    python benchmarks/scaling.py --quick --no-write   a short run that only prints

What is measured: the step of each net with fewer and fewer rows (one thread), a sum of two arrays, `Allreduce` of mpi4py over sizes
between 2 and 4 processes, and steps of `fit` with nncore.distributed. All figures are minima, in seconds and bytes.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from itertools import pairwise
from math import ceil
from pathlib import Path
from shutil import which
from typing import Any

import numpy as np
from headline import machine, others
from scaling_model import FLOAT, LSTM, SMALLEST
from scaling_tables import blocks, write
from workloads import WORKLOADS

import nncore as nn

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "docs" / "benchmarks_scaling.json"
DENSE = (SMALLEST, "64-128-64-10", "784-512-256-10", "1024-2048-2048-100")
NETS = {name: WORKLOADS[name].batch for name in DENSE} | {LSTM: 32}
SIZES = [8, 64, 512, 4096, 1 << 14, 1 << 16, 1 << 18, 1 << 20, 1 << 22, 1 << 24]
#: In containers, programs run as root, and with fewer processors than ranks.
ENVIRONMENT = {
    "OMPI_ALLOW_RUN_AS_ROOT": "1",
    "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
    "PRTE_ALLOW_RUN_AS_ROOT": "1",
    "PRTE_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
    "PRTE_MCA_rmaps_default_mapping_policy": ":oversubscribe",
    "OMPI_MCA_mpi_yield_when_idle": "1",
    "OMP_NUM_THREADS": "1",
}


def build(name: str, ranks: Any = None) -> tuple[nn.Sequential, tuple[int, ...], int]:
    """Return a compiled net, the shape of a row, and the number of classes."""
    if name == LSTM:
        model = nn.Sequential(nn.LSTM(32, 128), nn.Linear(128, 10), nn.Softmax(), seed=0)
        shape, classes, loss, rule = (100, 32), 10, "sparse_categorical_crossentropy", "adam"
    else:
        work = WORKLOADS[name]
        layers: list[nn.Layer] = []
        for a, b in pairwise(work.sizes):
            layers += [nn.Linear(a, b), nn.Sigmoid() if work.activation == "sigmoid" else nn.ReLU()]
        model = nn.Sequential(*layers[:-1], nn.Sigmoid() if work.binary else nn.Softmax(), seed=0)
        shape, classes, rule = work.sizes[:1], max(2, work.sizes[-1]), work.optimizer
        loss = "binary_crossentropy" if work.binary else "sparse_categorical_crossentropy"
    model.compile(loss=loss, optimizer=rule, distributed=ranks)
    return model, shape, classes


def epochs(name: str, batch: int, seconds: float, ranks: Any = None, most: float = 0.2) -> float:
    """Return the least seconds of a step of `fit` with batches of so many rows. With ranks, all measure the same number."""
    model, shape, classes = build(name, ranks)
    rng, steps = np.random.default_rng(0), 4
    together = ranks.together if ranks is not None else lambda value: value

    def data(steps: int) -> tuple[np.ndarray, np.ndarray]:
        rows = min(steps, 64) * batch
        tiles = ceil(steps * batch / rows)
        x = np.tile(rng.standard_normal((rows, *shape), dtype=np.float32), (tiles, *[1] * len(shape)))[: steps * batch]
        return x, rng.integers(classes, size=len(x))

    x, y = data(steps)
    model.fit(x, y, batch_size=batch, shuffle=False)
    start = time.perf_counter()
    model.fit(x, y, batch_size=batch, shuffle=False)
    each = max(1e-6, (time.perf_counter() - start) / steps)
    steps = int(together(min(2000, max(8, int(most / each)), (1 << 28) // x[:batch].nbytes)))
    x, y = data(steps)
    seen: list[float] = []
    end = time.perf_counter() + seconds
    while together(len(seen) < 3 or time.perf_counter() < end):
        start = time.perf_counter()
        model.fit(x, y, batch_size=batch, shuffle=False)
        seen.append((time.perf_counter() - start) / steps)
    return min(seen)


def summing() -> float:
    """Return the seconds per byte of a sum of two arrays of floats."""
    a, b = np.ones((2, 1 << 18), np.float32)
    best = 1e9
    for _ in range(50):
        start = time.perf_counter()
        np.add(a, b, out=a)
        best = min(best, time.perf_counter() - start)
    return best / a.nbytes


def messages(comm: Any, seconds: float) -> dict[int, float]:
    """Return the least seconds of an Allreduce of floats, by its bytes; the slowest rank counts."""
    from mpi4py import MPI

    found: dict[int, float] = {}
    for size in SIZES:
        buffer = np.ones(max(1, size // FLOAT), np.float32)
        for _ in range(5):
            comm.Allreduce(MPI.IN_PLACE, buffer)
            buffer[...] = 1
        best, end = 1e9, time.perf_counter() + seconds
        repeats = max(1, min(200, (1 << 22) // size))
        while comm.allreduce(time.perf_counter() < end):
            comm.Barrier()
            start = time.perf_counter()
            for _ in range(repeats):
                comm.Allreduce(MPI.IN_PLACE, buffer, MPI.MAX)  # as much work as a sum, without overflow
            best = min(best, comm.allreduce(time.perf_counter() - start, MPI.MAX) / repeats)
        found[size] = best
    return found


def of_ranks(ranks: int, seconds: float, say: Any) -> dict[str, Any]:
    """Run this file on some ranks, and return what rank 0 has measured."""
    launcher = next((str(path) for path in [Path(sys.executable).with_name("mpiexec")] if path.exists()), which("mpiexec"))
    if launcher is None:
        raise SystemExit('mpiexec is not installed: pip install "nncore[mpi]"')
    say(f"{ranks} ranks")
    command = [launcher, "-n", str(ranks), sys.executable, str(Path(__file__)), "--rank", "--seconds", str(seconds)]
    found = subprocess.run(command, env=os.environ | ENVIRONMENT, capture_output=True, text=True, timeout=600, check=False)
    if found.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{found.stdout}\n{found.stderr}")
    result: dict[str, Any] = json.loads(found.stdout.splitlines()[-1])
    return result


def as_rank(seconds: float) -> None:
    """Measure as one of several ranks."""
    from mpi4py import MPI

    nn.set_num_threads(1)
    ranks = nn.distributed.MPI()
    result = {"sums": messages(MPI.COMM_WORLD, seconds / 4) if ranks.size > 1 else {}}
    result["steps"] = {name: epochs(name, batch, seconds, ranks) for name, batch in NETS.items()}
    if ranks.rank == 0:
        print(json.dumps(result))


def measure(seconds: float, say: Any) -> dict[str, Any]:
    """Measure all that the model needs, and what it is checked against."""
    nn.set_num_threads(1)
    results: dict[str, Any] = {"machine": machine(), "load": others(), "gamma": summing(), "nets": {}, "ranks": {}}
    for name, batch in NETS.items():
        say(name)
        rows = sorted({1, 2, 4, batch // 16, batch // 8, batch // 4, batch // 2, batch} - {0})
        model, _, _ = build(name)
        model.build((100, 32)) if name == LSTM else None
        buffers = model._network.plan.buffers()
        results["nets"][name] = {
            "batch": batch,
            "parameters": int(sum(value.size for value in model.get_weights())),
            "moments": sum(key.startswith("moment") for key in buffers),
            "times": {n: epochs(name, n, seconds) for n in rows},
        }
    for ranks in (1, 2, 4):
        results["ranks"][ranks] = of_ranks(ranks, seconds, say)
    results["load"] = max(results["load"], others())
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seconds", type=float, default=1.0, help="for each figure")
    parser.add_argument("--quick", action="store_true", help="0.2 seconds for each figure")
    parser.add_argument("--tables", action="store_true", help="measure nothing, and write the page from the JSON file")
    parser.add_argument("--no-write", action="store_true", help="print, and leave the files in docs/ alone")
    parser.add_argument("--rank", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    seconds = 0.2 if arguments.quick else arguments.seconds
    if arguments.rank:
        as_rank(seconds)
        return
    if arguments.tables:
        results = json.loads(RESULTS.read_text())
    else:
        results = json.loads(json.dumps(measure(seconds, lambda what: print(what, file=sys.stderr, flush=True))))
    if arguments.no_write:
        print("\n\n".join(blocks(results).values()))
        return
    RESULTS.write_text(json.dumps(results, indent=1) + "\n")
    write(ROOT, results)


if __name__ == "__main__":
    main()
