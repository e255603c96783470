"""Conditions that slow other programs down: denormal weights, steps too small to count, a busy neighbour, many nets at once.

    python benchmarks/conditions.py              measure, print, and write the table into docs/benchmarks.md
    python benchmarks/conditions.py --no-write   only print

Each row times two ways of doing the same work in turn, and its figure is a ratio of minima over the rounds. Rows that need a second
processor say so where there is only one.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib.util import find_spec
from itertools import pairwise
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NamedTuple

import numpy as np
from peers import NncoreTrainer
from report import splice
from workloads import WORKLOADS

import nncore as nn
from nncore import _core
from nncore._core import kernels

ROOT = Path(__file__).resolve().parent.parent


class Row(NamedTuple):
    """One line of the table."""

    what: str
    found: str
    wanted: str


def perceptron(*sizes: int, optimizer: nn.optim.Optimizer, seed: int = 0) -> nn.Sequential:
    """A ReLU net with a softmax at its end, compiled."""
    layers: list[nn.Layer] = []
    for fan_in, fan_out in pairwise(sizes):
        layers += [nn.Linear(fan_in, fan_out), nn.ReLU()]
    model = nn.Sequential(*layers[:-1], nn.Softmax(), seed=seed)
    model.compile(loss="sparse_categorical_crossentropy", optimizer=optimizer)
    return model


def batch(rows: int, columns: int, classes: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.standard_normal((rows, columns), dtype=np.float32), rng.integers(0, classes, rows)


def in_turn(rounds: int, *ways: Callable[[], object]) -> list[float]:
    """The least time of each way, in seconds; one call of each before the clock starts."""
    for way in ways:
        way()
    best = [float("inf")] * len(ways)
    for _ in range(rounds):
        for i, way in enumerate(ways):
            start = time.perf_counter()
            way()
            best[i] = min(best[i], time.perf_counter() - start)
    return best


def denormal_weights(rounds: int) -> Row:
    """Training steps at a learning rate of 0, so that the weights stay what they are."""
    x, y = batch(64, 64, 10)

    def steps(scale: float) -> Callable[[], object]:
        model = perceptron(64, 128, 64, 10, optimizer=nn.optim.SGD(lr=0.0))
        model.load_state_dict({k: (v * scale).astype(np.float32) for k, v in model.state_dict().items()})
        return lambda: [model.train_on_batch(x, y) for _ in range(100)]

    with nn.threads(1):
        normal, denormal = in_turn(rounds, steps(1.0), steps(1e-39))
    return Row("training step with weights full of denormals, against normal ones", f"{denormal / normal:.2f}x the time", "<= 1.2x")


def spin(stop) -> None:
    while not stop.is_set():
        for _ in range(100_000):
            pass


def second_thread(rounds: int, neighbour: bool) -> Row:
    """Training with two threads against one, alone or beside a process that keeps one processor busy."""
    x, y = batch(128 * 32, 784, 10)
    model = perceptron(784, 512, 256, 10, optimizer=nn.optim.Adam(lr=1e-3))

    def epoch(threads: int) -> Callable[[], object]:
        def run() -> None:
            with nn.threads(threads):
                model.fit(x, y, batch_size=128, verbose=0)

        return run

    context = multiprocessing.get_context("spawn")
    stop = context.Event()
    process = context.Process(target=spin, args=(stop,), daemon=True)
    if neighbour:
        process.start()
        time.sleep(0.5)
    try:
        one, two = in_turn(rounds, epoch(1), epoch(2))
    finally:
        stop.set()
        if neighbour:
            process.join(5)
    where = "beside a busy process" if neighbour else "on an idle machine"
    return Row(f"`fit` with two threads against one, {where}", f"{two / one:.2f}x the time", "<= 1.05x")


def fixed_cost(rounds: int) -> Row:
    """What `fit` adds to each step: shuffling, gathering shuffled rows, and Python around an epoch."""
    work = WORKLOADS["2-10-10-10-1"]
    trainer = NncoreTrainer(work, 1, fit=True)
    model, steps, epochs = trainer.model, work.batches, 10
    rates, losses, nothing = np.full(steps, work.lr), np.empty(steps), [None]

    def bare() -> None:
        for _ in range(epochs):
            model._plan.train([trainer.x], [trainer.y], None, None, work.batch, 0, steps, rates, losses, nothing)

    with nn.threads(1):
        times = in_turn(10 * rounds, lambda: trainer.run(steps * epochs), bare)
    whole, step = (1e6 * each / steps / epochs for each in times)
    return Row(
        "fixed cost of a step of 2-10-10-10-1 inside `fit`",
        f"{whole - step:.2f} µs ({whole:.2f} against {step:.2f} µs)",
        "<= 0.5 µs",
    )


NETS, PER_PROCESS = 100, 50


def small_nets(count: int, first: int = 0) -> list[Callable[[], object]]:
    """Give what fits so many small nets, each five epochs of a hundred steps."""
    x, y = batch(32 * 100, 16, 4)
    models = [perceptron(16, 32, 32, 4, optimizer=nn.optim.Adam(), seed=first + i) for i in range(count)]
    return [partial(model.fit, x, y, epochs=5, verbose=0) for model in models]


def serve_nets(pipe: Connection, first: int) -> None:
    """In a child: fit half of the nets whenever asked, until told to stop."""
    nn.set_num_threads(1)
    fits = small_nets(PER_PROCESS, first)
    while pipe.recv():
        for fit in fits:
            fit()
        pipe.send(True)


def many_nets(rounds: int) -> Row:
    """One hundred small nets, one after the other and by two Python threads; beside that, by two processes that share nothing."""
    fits = small_nets(NETS)
    context = multiprocessing.get_context("spawn")
    pipes = []
    for first in range(0, NETS, PER_PROCESS):
        near, far = context.Pipe()
        context.Process(target=serve_nets, args=(far, first), daemon=True).start()
        pipes.append(near)

    def pooled() -> None:
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda fit: fit(), fits))

    def one_after_the_other() -> None:
        for pipe in pipes:
            pipe.send(True)
            pipe.recv()

    def together() -> None:
        for pipe in pipes:
            pipe.send(True)
        for pipe in pipes:
            pipe.recv()

    with nn.threads(1):
        serial, both, apart, processes = in_turn(rounds, lambda: [fit() for fit in fits], pooled, one_after_the_other, together)
    for pipe in pipes:
        pipe.send(False)
    return Row(
        f"`fit` of {NETS} small nets from two Python threads, against one after the other",
        f"{serial / both:.2f}x faster; two processes: {apart / processes:.2f}x",
        ">= 1.8x",
    )


def beside_another_library(rounds: int) -> Row:
    """Steps that take turns with PyTorch's: the measured choice of the number of threads, against one and two."""
    from peers.with_torch import TorchTrainer

    x, y = batch(128, 784, 10)
    other = TorchTrainer(WORKLOADS["784-512-256-10"], 2)
    ways = {"measured": (2, 0), "one": (1, 0), "two": (2, 2)}
    models = {way: perceptron(784, 512, 256, 10, optimizer=nn.optim.Adam(lr=1e-3)) for way in ways}
    times: dict[str, list[float]] = {way: [] for way in ways}
    for number in range(rounds + 1):  # the first round is not counted
        for way, (threads, forced) in ways.items():
            with nn.threads(threads):
                _core.force_threads(forced)
                spent = 0.0
                for i in range(50):
                    start = time.perf_counter()
                    models[way].train_on_batch(x, y)
                    spent += time.perf_counter() - start
                    other.step(i)
                _core.force_threads(0)
            if number:
                times[way].append(spent / 50)
    free, one, two = (float(np.median(each)) for each in times.values())
    return Row(
        "`train_on_batch` of 784-512-256-10 in turn with a PyTorch step, against the better of one and two threads",
        f"{free / min(one, two):.2f}x the time ({1e3 * free:.2f} ms; one: {1e3 * one:.2f}, two: {1e3 * two:.2f})",
        "<= 1.10x",
    )


def idle_workers() -> Row:
    """Processor time that the process takes in the second after a fit on two threads has returned."""
    x, y = batch(128 * 16, 784, 10)
    with nn.threads(2):
        perceptron(784, 512, 256, 10, optimizer=nn.optim.Adam()).fit(x, y, batch_size=128, verbose=0)
    before = time.process_time()
    time.sleep(1)
    return Row(
        "processor time used in the second after `fit` has returned", f"{1e3 * (time.process_time() - before):.0f} ms", "about 0"
    )


def lower_instruction_set(rounds: int) -> Row:
    """A product on the AVX2 path against AVX-512, beside what the multipliers of the two can do."""
    rng = np.random.default_rng(0)
    a, b = (rng.standard_normal(shape, dtype=np.float32) for shape in ((256, 512), (512, 512)))
    out = np.empty((256, 512), np.float32)
    isas = "avx2", "avx512"
    products = [lambda isa=isa: [kernels.gemm(a, b, out=out, isa=isa) for _ in range(10)] for isa in isas]
    loops = [lambda isa=isa: kernels.multiply_adds(200_000, isa=isa) for isa in isas]
    times = in_turn(rounds, *products, *loops)
    peaks = [kernels.multiply_adds(1, isa=isa) * 200_000 / seconds for isa, seconds in zip(isas, times[2:], strict=True)]
    return Row(
        "float32 product of 256 x 512 by 512 x 512 with AVX2, against AVX-512",
        f"{times[0] / times[1]:.2f}x the time; multipliers: {peaks[1] / peaks[0]:.2f}x the rate",
        "<= 1.25x",
    )


def table(rows: list[Row]) -> str:
    return "\n".join(["| | measured | wanted |", "|---|---:|---:|", *(f"| {r.what} | {r.found} | {r.wanted} |" for r in rows)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--no-write", action="store_true", help="print, and leave docs/benchmarks.md alone")
    arguments = parser.parse_args()
    rows = [denormal_weights(arguments.rounds), fixed_cost(arguments.rounds)]
    if len(os.sched_getaffinity(0)) > 1:
        rows += [second_thread(arguments.rounds, False), second_thread(arguments.rounds, True), many_nets(arguments.rounds)]
        if find_spec("torch"):
            rows.append(beside_another_library(arguments.rounds))
        else:
            print("PyTorch is not installed: the row beside it is left out")
    else:
        print("one processor: the rows about threads are left out")
    rows.append(idle_workers())
    if "avx512" in _core.isas():
        rows.append(lower_instruction_set(arguments.rounds))
    print(table(rows))
    if not arguments.no_write:
        splice(ROOT / "docs" / "benchmarks.md", {"conditions": table(rows)})


if __name__ == "__main__":
    main()
