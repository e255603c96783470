"""Two ranks of one thread each against one process with two threads: 784-512-256-10, Adam, a global batch of 256 rows; and the
constants of Allreduce.

    python benchmarks/distributed.py [--ranks 2] [--rounds 15] [--epochs 2] [arguments for mpiexec]

starts itself under mpiexec. Both sides take turns, round by round, so that other work on the machine hits both. It prints

- the median time of a step on each side, and their ratio;
- how far the weights are apart after 200 steps, beside how far they are in one process that adds the gradients of two halves of
  each batch, which rounds as two ranks do; and whether the ranks have the same bits;
- latency (alpha) and time per byte (beta) of Allreduce, fitted to the times of several sizes.

Run it on a quiet machine, and bind processes to cores: ``--bind-to core``. In some containers Open MPI copies faster without the
help of the kernel: ``--mca smsc ^cma``.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

ROWS, BATCH, SIZES = 12800, 256, (784, 512, 256, 10)
ROOT = ("OMPI_ALLOW_RUN_AS_ROOT", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "PRTE_ALLOW_RUN_AS_ROOT", "PRTE_ALLOW_RUN_AS_ROOT_CONFIRM")


def make(distributed, nn):
    layers = [layer for a, b in itertools.pairwise(SIZES) for layer in (nn.Linear(a, b), nn.ReLU())][:-1]
    model = nn.Sequential(*layers, seed=0)
    model.compile(nn.losses.SparseCategoricalCrossentropy(from_logits=True), nn.optim.Adam(lr=1e-3), distributed=distributed)
    return model


def data():
    """Like images of digits: ten patterns, with noise that hides much of them."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, SIZES[-1], ROWS)
    patterns = rng.uniform(size=(SIZES[-1], SIZES[0]))
    return (patterns[labels] * rng.uniform(size=(ROWS, SIZES[0]))).astype(np.float32), labels


def distance(one, other):
    """Return the largest difference of two models' weights."""
    return max(float(np.abs(a - b).max()) for a, b in zip(one.get_weights(), other.get_weights(), strict=True))


def seconds_of_a_step(model, x, y, epochs):
    start = time.perf_counter()
    model.fit(x, y, epochs=epochs, batch_size=BATCH, verbose=0)
    return (time.perf_counter() - start) / (epochs * ROWS // BATCH)


def allreduce(ranks, sizes, repeats):
    """Return the least time of each size in bytes."""
    found = []
    for size in sizes:
        numbers, best = np.zeros(size // 4, np.float32), 9.0
        for _ in range(repeats):
            ranks.exchange(None)
            start = time.perf_counter()
            ranks.sum(numbers)
            best = min(best, time.perf_counter() - start)
        slowest = np.zeros(ranks.size)
        slowest[ranks.rank] = best
        ranks.sum(slowest)
        found.append(float(slowest.max()))
    return found


def program(rounds, epochs):
    """What every rank runs."""
    import nncore as nn

    ranks, (x, y) = nn.distributed.MPI(), data()
    alone, together = make(None, nn), make(ranks, nn)
    cores = sorted(os.sched_getaffinity(0))
    every = sorted({core for each in ranks.exchange(cores) for core in each})
    apart = floor = -1.0
    nn.set_num_threads(1)
    together.fit(x, y, epochs=4, batch_size=BATCH, verbose=0)  # 200 steps
    digests = ranks.exchange(hashlib.sha256(b"".join(each.tobytes() for each in together.get_weights())).hexdigest())
    if ranks.rank == 0:
        halves = make(None, nn)
        alone.fit(x, y, epochs=4, batch_size=BATCH, verbose=0)
        halves.fit(x, y, epochs=4, batch_size=BATCH // ranks.size, accumulate=ranks.size, verbose=0)
        apart, floor = distance(alone, together), distance(alone, halves)
    times = {"one process": [], "ranks": []}
    for _ in range(rounds):
        ranks.exchange(None)
        if ranks.rank == 0:
            os.sched_setaffinity(0, every)
            nn.set_num_threads(ranks.size)
            times["one process"].append(seconds_of_a_step(alone, x, y, epochs))
            nn.set_num_threads(1)
            os.sched_setaffinity(0, cores)
        wait(ranks)
        times["ranks"].append(seconds_of_a_step(together, x, y, epochs))
    sizes = [64 << i for i in range(0, 18)]
    costs = allreduce(ranks, sizes, 30)
    if ranks.rank:
        return
    one, several = (float(np.median(times[side])) for side in ("one process", "ranks"))
    print(f"one process, {ranks.size} threads: {one * 1e6:.0f} us a step; least {min(times['one process']) * 1e6:.0f}")
    print(f"{ranks.size} ranks, 1 thread each:  {several * 1e6:.0f} us a step; least {min(times['ranks']) * 1e6:.0f}")
    least = min(times["one process"]) / min(times["ranks"])
    print(f"speed of the ranks: {one / several:.3f} of one process; by least times {least:.3f}")
    print(f"after 200 steps: largest difference {apart:.1e} (in one process, by halves: {floor:.1e})")
    print(f"the same bits on all ranks: {len(set(digests)) == 1}")
    for size, cost in zip(sizes, costs, strict=True):
        print(f"Allreduce of {size:>8} bytes: {cost * 1e6:8.1f} us")
    beta, alpha = np.polyfit(sizes, costs, 1, w=1 / np.array(costs))
    print(f"alpha {alpha * 1e6:.2f} us, beta {beta * 1e9:.4f} ns per byte ({1e-9 / beta:.1f} GB/s)")


def wait(ranks):
    """Sleep until rank 0 has ended its turn. A rank that waits within MPI would take a core."""
    request = ranks._comm.Ibarrier()
    while not request.Test():
        time.sleep(0.001)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--epochs", type=int, default=2, help="of 50 steps, in a round")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    arguments, more = parser.parse_known_args()
    if arguments.child:
        program(arguments.rounds, arguments.epochs)
        return
    mpiexec = Path(sys.executable).with_name("mpiexec")
    command = [
        str(mpiexec) if mpiexec.exists() else "mpiexec",
        *more,
        "-n",
        str(arguments.ranks),
        sys.executable,
        __file__,
        "--child",
    ]
    command += ["--rounds", str(arguments.rounds), "--epochs", str(arguments.epochs)]
    subprocess.run(command, check=True, env={**os.environ, **dict.fromkeys(ROOT, "1")})


if __name__ == "__main__":
    main()
