"""Accuracy: what products in bfloat16, and int8 after training, do to results. The same nets from ten seeds in each precision.

    python benchmarks/accuracy.py                       write the table and the picture of docs/precision.md, in about five minutes
    python benchmarks/accuracy.py --seeds 2 --no-write  a short run that only prints

A seed decides the initial weights and the order of the rows; the rows for training and for testing are the same for all. Float32
and bfloat16 start from the same weights and see the same batches. PyTorch starts from the same weights, and sees other batches.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from itertools import pairwise
from multiprocessing import get_context
from typing import NamedTuple

import numpy as np
from headline import ROOT, THREAD_VARIABLES, machine
from precision_contests import RESULTS

#: Train rows, train classes, test rows, test classes.
Data = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]
SYMBOLS, STEPS = 16, 30
CONVERGED = 0.98  #: what float32 must reach with every seed where a task says so


class Task(NamedTuple):
    """A net and how it is trained. The first size is that of the input; one size alone is an LSTM between input and classes."""

    name: str
    data: Callable[[], Data]
    sizes: tuple[int, ...]
    lr: float
    batch: int
    epochs: int
    recurrent: bool = False
    activation: str = "ReLU"
    optimizer: str = "Adam"
    momentum: float = 0.0
    clip_norm: float | None = None
    converges: bool = False  #: with every seed
    peers: tuple[str, ...] = ("PyTorch autocast",)


@cache
def digits() -> Data:
    """Scikit-learn's 1797 handwritten digits of 8 x 8 pixels, one in five for testing."""
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    x = (x / 16).astype(np.float32)
    order = np.random.default_rng(0).permutation(len(x))
    test, train = order[:360], order[360:]
    return x[train], y[train], x[test], y[test]


@cache
def mixture() -> Data:
    """Ten classes of 784 numbers: each is three Gaussian clouds that overlap with others."""
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((30, 784))

    def draw(rows: int) -> tuple[np.ndarray, np.ndarray]:
        cloud = rng.integers(0, 30, rows)
        return (centres[cloud] + 4 * rng.standard_normal((rows, 784))).astype(np.float32), cloud % 10

    return *draw(4000), *draw(2000)


@cache
def recall() -> Data:
    """Thirty symbols, one of them marked: which was it?"""
    rng = np.random.default_rng(0)

    def draw(rows: int) -> tuple[np.ndarray, np.ndarray]:
        symbols, marked = rng.integers(0, SYMBOLS, (rows, STEPS)), rng.integers(0, STEPS, rows)
        x = np.zeros((rows, STEPS, SYMBOLS + 1), np.float32)
        x[np.arange(rows)[:, None], np.arange(STEPS), symbols] = 1
        x[np.arange(rows), marked, SYMBOLS] = 1
        return x, symbols[np.arange(rows), marked]

    return *draw(4000), *draw(2000)


MASTERLESS = "PyTorch, weights in bfloat16"
BOTH = ("PyTorch autocast", MASTERLESS)
SMALL, MIDDLE, RECALL = (64, 128, 64, 10), (784, 512, 256, 10), (SYMBOLS + 1, 64, SYMBOLS)
TASKS = {
    task.name: task
    for task in (
        Task("digits, 64-128-64-10, Adam", digits, SMALL, 1e-3, 64, 40, peers=BOTH),
        Task("digits, tanh, SGD", digits, SMALL, 0.05, 64, 60, activation="Tanh", optimizer="SGD", momentum=0.9, peers=BOTH),
        Task("digits, Adam, rate 1e-5", digits, SMALL, 1e-5, 64, 250, peers=BOTH),
        Task("synthetic, 784-512-256-10, Adam", mixture, MIDDLE, 1e-3, 128, 8),
        Task("marked symbol, LSTM 64, 30 steps", recall, RECALL, 3e-3, 64, 20, True, clip_norm=1.0, converges=True),
    )
}
OURS = ("float32", "bfloat16")


def nncore_model(task: Task, seed: int, compute: str):
    import nncore as nn

    sizes = task.sizes
    if task.recurrent:
        layers: list[nn.Layer] = [nn.LSTM(*sizes[:2]), nn.Linear(*sizes[1:])]
    else:
        pairs = pairwise(sizes)
        layers = [each for pair in pairs for each in (nn.Linear(*pair), getattr(nn, task.activation)())][:-1]
    model = nn.Sequential(*layers, seed=seed, compute=compute)
    clipped = {"lr": task.lr, "clip_norm": task.clip_norm}
    rule = nn.optim.Adam(**clipped) if task.optimizer == "Adam" else nn.optim.SGD(**clipped, momentum=task.momentum)
    model.compile(nn.losses.SparseCategoricalCrossentropy(from_logits=True), rule, metrics=["accuracy"])
    return model


def train_nncore(task: Task, seed: int, compute: str) -> dict[str, list[float]]:
    """Precision -> test accuracy after each epoch; int8 has one, that of the net that was trained in float32."""
    x, y, x_test, y_test = task.data()
    model = nncore_model(task, seed, compute)
    history = model.fit(x, y, epochs=task.epochs, batch_size=task.batch, validation_data=(x_test, y_test), verbose=0)
    found = {compute: [float(each) for each in history.history["val_accuracy"]]}
    if compute == "float32":
        quantized = model.quantize("int8")
        found["int8 inference"] = [float((quantized.predict(x_test, verbose=0).argmax(1) == y_test).mean())]
    return found


def torch_net(task: Task, seed: int, torch):
    """The net with nncore's initial weights, and its forward pass."""
    sizes = task.sizes
    if task.recurrent:
        layers = [torch.nn.LSTM(*sizes[:2], batch_first=True), torch.nn.Linear(*sizes[1:])]
    else:
        pairs = pairwise(sizes)
        layers = [each for pair in pairs for each in (torch.nn.Linear(*pair), getattr(torch.nn, task.activation)())][:-1]
    net = torch.nn.Sequential(*layers)
    initial = nncore_model(task, seed, "float32").build(task.data()[0].shape[1:]).state_dict()
    net.load_state_dict({name: torch.from_numpy(np.array(value)) for name, value in initial.items()})
    return net, (lambda x: net[1](net[0](x)[1][0][0])) if task.recurrent else net


def train_torch(task: Task, seed: int, way: str) -> dict[str, list[float]]:
    """The same with ``autocast``, or with parameters, gradients and moments in bfloat16."""
    import torch

    torch.set_num_threads(1)
    net, forward = torch_net(task, seed, torch)
    if way == MASTERLESS:
        net.to(torch.bfloat16)
    rule = (
        torch.optim.Adam(net.parameters(), lr=task.lr)
        if task.optimizer == "Adam"
        else torch.optim.SGD(net.parameters(), lr=task.lr, momentum=task.momentum)
    )
    x, y, x_test, y_test = (torch.from_numpy(a) for a in task.data())
    if way == MASTERLESS:
        x, x_test = x.bfloat16(), x_test.bfloat16()
    order, curve = np.random.default_rng(seed), []
    for _ in range(task.epochs):
        for part in torch.from_numpy(order.permutation(len(x))).split(task.batch):
            rule.zero_grad(set_to_none=True)
            with torch.autocast("cpu", torch.bfloat16, enabled=way != MASTERLESS):
                loss = torch.nn.functional.cross_entropy(forward(x[part]), y[part])
            loss.backward()
            if task.clip_norm:
                torch.nn.utils.clip_grad_norm_(net.parameters(), task.clip_norm)
            rule.step()
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=way != MASTERLESS):
            curve.append(float((forward(x_test).argmax(1) == y_test).float().mean()))
    return {way: curve}


def run(name: str, way: str, seed: int) -> dict[str, list[float]]:
    """In a worker: one net from one seed."""
    if way in OURS:
        import nncore as nn

        nn.set_num_threads(1)
        return train_nncore(TASKS[name], seed, way)
    try:
        return train_torch(TASKS[name], seed, way)
    except ImportError:
        return {}


def summary(curves: list[list[float]]) -> dict:
    """Of one precision: the last accuracy of each seed, and the curve of all."""
    table = np.array(curves)
    last = table[:, -1]
    found = {"accuracies": last.tolist(), "mean": float(last.mean()), "sd": float(last.std(ddof=1)) if len(last) > 1 else 0.0}
    if table.shape[1] > 1:
        found["curve"] = {"mean": table.mean(0).tolist(), "low": table.min(0).tolist(), "high": table.max(0).tolist()}
    return found


def measure(names: list[str], seeds: int, workers: int, say: Callable[[str], None]) -> dict:
    results: dict = {"machine": machine(), "seeds": seeds, "tasks": {}}
    shown = ["int8 inference", *BOTH]
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, "1"))
    with ProcessPoolExecutor(workers, get_context("spawn")) as pool:
        for name in names:
            ways = (*OURS, *TASKS[name].peers)
            asked = {way: [pool.submit(run, name, way, seed) for seed in range(seeds)] for way in ways}
            curves: dict[str, list[list[float]]] = {}
            for futures in asked.values():
                for future in futures:
                    for way, curve in future.result().items():
                        curves.setdefault(way, []).append(curve)
            task = results["tasks"][name] = {way: summary(found) for way, found in curves.items()}
            if curves["bfloat16"] == curves["float32"]:
                raise SystemExit(f"{name}: bfloat16 gives what float32 gives in every epoch; nothing was rounded")
            changes = np.subtract(task["bfloat16"]["accuracies"], task["float32"]["accuracies"])
            task |= {"difference": float(changes.mean()), "largest": float(np.abs(changes).max()), "shown": shown}
            say(name)
            for way in curves:
                say(f"  {way:30s} {task[way]['mean']:.4f} ± {task[way]['sd']:.4f}")
            if TASKS[name].converges and min(task["float32"]["accuracies"]) < CONVERGED:
                raise SystemExit(f"{name}: float32 does not converge with every seed: {task['float32']['accuracies']}")
    return results


def main() -> None:
    from precision_tables import accuracy, write

    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)), help="processes, of one thread each")
    parser.add_argument("--only", nargs="+", default=[], metavar="WORD", help="tasks with one of these in their name")
    parser.add_argument("--no-write", action="store_true", help="print, and leave the files in docs/ alone")
    arguments = parser.parse_args()
    if not arguments.no_write and arguments.only:
        parser.error("--only needs --no-write: the docs have the whole table")
    names = [name for name in TASKS if not arguments.only or any(word in name for word in arguments.only)]
    results = measure(names, arguments.seeds, arguments.workers, lambda line: print(line, flush=True))
    print(accuracy(results))
    if not arguments.no_write:
        kept = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
        RESULTS.write_text(json.dumps(kept | {"accuracy": results}, indent=1) + "\n")
        write(ROOT, kept | {"accuracy": results})


if __name__ == "__main__":
    main()
