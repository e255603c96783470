"""The training toolkit by itself: batch normalisation, the update of every optimizer, and what looking on costs.

    python benchmarks/toolkit.py              measure, print, and write the tables into docs/benchmarks.md
    python benchmarks/toolkit.py --no-write   only print

Each row times its ways in turn; a figure is the minimum over the rounds. The net with batch normalisation and dropout as a whole is
a workload of headline.py.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
from conditions import ROOT, Row, in_turn, table
from report import splice

import nncore as nn

ROWS, CHANNELS, EPS = 128, 512, 1e-5
REPEATS = 50  #: calls of a few microseconds that are timed together
SIDE = 2560  #: of the square weight that the optimizers update: 6.55 million parameters
#: Every optimizer as it is by default, and how many moments that uses; where a choice adds one, that too.
OPTIMIZERS: dict[str, tuple[Callable[[], nn.optim.Optimizer], int]] = {
    "SGD": (lambda: nn.optim.SGD(lr=1e-3), 0),
    "SGD, momentum": (lambda: nn.optim.SGD(lr=1e-3, momentum=0.9), 1),
    "Adagrad": (nn.optim.Adagrad, 1),
    "RMSprop": (nn.optim.RMSprop, 1),
    "RMSprop, centered, momentum": (lambda: nn.optim.RMSprop(momentum=0.9, centered=True), 3),
    "Adadelta": (nn.optim.Adadelta, 2),
    "Adam": (nn.optim.Adam, 2),
    "Adam, amsgrad": (lambda: nn.optim.Adam(amsgrad=True), 3),
    "AdamW": (nn.optim.AdamW, 2),
    "Adamax": (nn.optim.Adamax, 2),
    "NAdam": (nn.optim.NAdam, 2),
    "RAdam": (nn.optim.RAdam, 2),
    "Lion": (nn.optim.Lion, 1),
    "Rprop": (nn.optim.Rprop, 2),
}


def repeated(call: Callable[[], object]) -> Callable[[], object]:
    def run() -> None:
        for _ in range(REPEATS):
            call()

    return run


def numpy_batch_norm(x: np.ndarray, dy: np.ndarray) -> Callable[[], np.ndarray]:
    """Forward and backward in buffers that are made beforehand; returns dx."""
    gamma, beta = np.ones(CHANNELS, x.dtype), np.zeros(CHANNELS, x.dtype)
    running_mean, running_var = np.zeros(CHANNELS, x.dtype), np.ones(CHANNELS, x.dtype)
    normal, product, y, dx = (np.empty_like(x) for _ in range(4))

    def call() -> np.ndarray:
        nonlocal running_mean, running_var
        mean = x.mean(0)
        np.subtract(x, mean, out=normal)
        np.multiply(normal, normal, out=product)
        var = product.mean(0)
        rstd = 1 / np.sqrt(var + x.dtype.type(EPS))
        running_mean += 0.1 * (mean - running_mean)
        running_var += 0.1 * (var * (ROWS / (ROWS - 1)) - running_var)
        np.multiply(normal, rstd, out=normal)
        np.multiply(normal, gamma, out=y)
        np.add(y, beta, out=y)
        dbeta = dy.sum(0)
        dgamma = np.multiply(dy, normal, out=product).sum(0)
        np.subtract(dy, dbeta / ROWS, out=dx)
        np.multiply(normal, dgamma / ROWS, out=product)
        np.subtract(dx, product, out=dx)
        return np.multiply(dx, gamma * rstd, out=dx)

    return call


def torch_batch_norm(x: np.ndarray, dy: np.ndarray, threads: int) -> Callable[[], np.ndarray]:
    import torch

    torch.set_num_threads(threads)
    norm = torch.nn.BatchNorm1d(CHANNELS)
    tx, g = torch.tensor(x, requires_grad=True), torch.tensor(dy)

    def call() -> np.ndarray:
        tx.grad = norm.weight.grad = norm.bias.grad = None
        norm(tx).backward(g)
        return tx.grad.numpy()

    return call


def batch_norm(rounds: int) -> list[Row]:
    """Forward and backward alone, the layer as users call it: it takes arrays and gives new ones."""
    rng = np.random.default_rng(0)
    x, dy = (rng.standard_normal((ROWS, CHANNELS), dtype=np.float32) for _ in range(2))
    model = nn.Sequential(nn.BatchNorm1d(CHANNELS), seed=0).build((CHANNELS,))

    def layer() -> np.ndarray:
        model.forward(x, training=True)
        return model.backward(dy)

    peers = {"NumPy": (numpy_batch_norm(x, dy), ">= 5x faster")}
    try:
        for threads in (1, 2):
            what = f"PyTorch on {threads} thread{'s' if threads > 1 else ''}"
            peers[what] = (torch_batch_norm(x, dy, threads), ">= 2x faster")
    except ImportError:
        print("PyTorch is not installed: its rows are left out")
    rows = []
    for name, (call, wanted) in peers.items():
        np.testing.assert_allclose(layer(), call(), rtol=1e-3, atol=1e-5)
        mine, theirs = in_turn(rounds, repeated(layer), repeated(call))
        found = f"{theirs / mine:.1f}x faster ({1e6 * mine / REPEATS:.0f} against {1e6 * theirs / REPEATS:.0f} µs)"
        rows.append(Row(f"`BatchNorm1d` on [{ROWS}, {CHANNELS}], forward and backward, against {name}", found, wanted))
    return rows


def bandwidth(threads: int) -> tuple[Callable[[], object], int]:
    """Reads and writes as much memory in place as Adam does, and how many bytes that is."""
    parts = np.array_split(np.ones(3 * SIDE * SIDE, np.float32), threads)
    pool = ThreadPoolExecutor(threads)

    def run() -> None:
        list(pool.map(lambda part: np.multiply(part, np.float32(1), out=part), parts))

    return run, 2 * 4 * 3 * SIDE * SIDE


def updates(rounds: int, threads: int) -> str:
    """Each optimizer's update of 6.55 million parameters, in GB/s of what it has to read and write."""
    copy, copied = bandwidth(threads)
    best, lines = 0.0, []
    with nn.threads(threads):
        for name, (make, moments) in OPTIMIZERS.items():
            model = nn.Sequential(nn.Linear(SIDE, SIDE, bias=False), seed=0)
            model.compile(loss="mse", optimizer=make())
            model.gradients["0.weight"][...] = np.random.default_rng(0).standard_normal((SIDE, SIDE), dtype=np.float32)
            ours, limit = in_turn(rounds, model.apply_gradients, copy)
            best = max(best, copied / limit)
            lines.append((name, ours, 4 * SIDE * SIDE * (3 + 2 * moments) / ours))
    head = [f"| update | time | GB/s | of the {best / 1e9:.1f} GB/s of an in-place pass |", "|---|---:|---:|---:|"]
    return "\n".join(head + [f"| {n} | {1e3 * t:.2f} ms | {rate / 1e9:.1f} | {rate / best:.0%} |" for n, t, rate in lines])


def classifier(sizes: tuple[int, ...]) -> nn.Sequential:
    """The nets of the headline: sigmoids and SGD where there is one output, else ReLUs and Adam."""
    binary = sizes[-1] == 1
    hidden = nn.Sigmoid if binary else nn.ReLU
    layers: list[nn.Layer] = []
    for fan_in, fan_out in pairwise(sizes):
        layers += [nn.Linear(fan_in, fan_out), hidden()]
    model = nn.Sequential(*layers[:-1], nn.Sigmoid() if binary else nn.Softmax(), seed=0)
    optimizer = nn.optim.SGD(lr=0.1) if binary else nn.optim.Adam()
    model.compile(loss="binary_crossentropy" if binary else "sparse_categorical_crossentropy", optimizer=optimizer)
    return model


def fits(
    sizes: tuple[int, ...], batch: int, steps: int, callbacks: Callable[[], list[nn.callbacks.Callback]]
) -> Callable[[], object]:
    """Two epochs of a net that is made once."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((batch * steps, sizes[0]), dtype=np.float32)
    y = rng.integers(0, max(2, sizes[-1]), batch * steps)
    model = classifier(sizes)
    return lambda: model.fit(x, y, epochs=2, batch_size=batch, callbacks=callbacks(), verbose=0)


def diagnostics(rounds: int) -> list[Row]:
    """`fit` with the callback at its default, against without."""
    rows = []
    for sizes, batch, steps in (((2, 10, 10, 10, 1), 32, 2000), ((64, 128, 64, 10), 64, 400), ((784, 512, 256, 10), 128, 50)):
        without = fits(sizes, batch, steps, list)
        watched = fits(sizes, batch, steps, lambda: [nn.callbacks.Diagnostics()])
        plain, with_it = in_turn(rounds, without, watched)
        what = f"`fit` of {'-'.join(map(str, sizes))} with `Diagnostics()`, against without, {steps} steps an epoch"
        rows.append(Row(what, f"{with_it / plain:.3f}x the time", "<= 1.05x"))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--only", nargs="+", choices=("norm", "updates", "diagnostics"), default=["norm", "updates", "diagnostics"])
    parser.add_argument("--no-write", action="store_true", help="print, and leave docs/benchmarks.md alone")
    arguments = parser.parse_args()
    blocks, rows = {}, []
    if "norm" in arguments.only:
        rows += batch_norm(arguments.rounds)
    if "diagnostics" in arguments.only:
        rows += diagnostics(arguments.rounds)
    if rows:
        print(table(rows))
        blocks["toolkit"] = table(rows)
    if "updates" in arguments.only:
        blocks["updates"] = updates(arguments.rounds, min(2, len(os.sched_getaffinity(0))))
        print(blocks["updates"])
    if not arguments.no_write and len(arguments.only) == 3:
        splice(ROOT / "docs" / "benchmarks.md", blocks)


if __name__ == "__main__":
    main()
