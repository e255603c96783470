"""The estimators beside scikit-learn and skorch: fit with default arguments, accuracy over seeds, predict of one row.

    python benchmarks/estimators.py             measure, print a table, and write docs/benchmarks_estimators.json
    python benchmarks/estimators.py --short     small data and few rounds, to see that it works; writes nothing

Both sides of a row get the same arrays and the same number of threads, in turn; a figure is the minimum over the rounds. "Epochs"
are those that each side ran.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.datasets import load_digits, make_classification
from sklearn.neural_network import MLPClassifier as Peer
from threadpoolctl import threadpool_limits

import nncore as nn
from nncore.estimators import MLPClassifier

#: Seconds before each turn, in which the threads of the turn before stop spinning.
REST = 0.2
TARGET = Path(__file__).resolve().parent.parent / "docs" / "benchmarks_estimators.json"


def rounds(ways: dict[str, Callable[[], Any]], threads: int, count: int) -> dict[str, float]:
    """The least seconds of each way; the ways take turns, and the turn begins with another one each time."""
    least = dict.fromkeys(ways, float("inf"))
    names = list(ways)
    with threadpool_limits(threads), nn.threads(threads):  # entering takes milliseconds, so it is not timed
        for number in range(count):
            for name in names[number % len(names) :] + names[: number % len(names)]:
                time.sleep(REST)
                before = time.perf_counter()
                ways[name]()
                least[name] = min(least[name], time.perf_counter() - before)
    return least


def digits() -> tuple[np.ndarray, np.ndarray]:
    X, y = load_digits(return_X_y=True)
    return X / 16, y


def large(rows: int) -> tuple[np.ndarray, np.ndarray]:
    return make_classification(rows, 50, n_informative=20, n_classes=5, n_clusters_per_class=3, flip_y=0.05, random_state=0)


def fits(name: str, data: tuple[np.ndarray, np.ndarray], threads: int, count: int, **settings: Any) -> dict[str, Any]:
    """Both classifiers with default arguments, until they have converged or for 200 epochs."""
    X, y = data
    fitted: dict[str, Any] = {}

    def way(cls: type, key: str) -> Callable[[], Any]:
        return lambda: fitted.__setitem__(key, cls(random_state=0, **settings).fit(X, y))

    least = rounds({"nncore": way(MLPClassifier, "nncore"), "scikit-learn": way(Peer, "scikit-learn")}, threads, count)
    row = {"what": f"fit, {name}, {X.dtype}", "threads": threads, "nncore": least["nncore"], "peer": least["scikit-learn"]}
    row |= {"peer_name": "scikit-learn", "epochs": [fitted[key].n_iter_ for key in ("nncore", "scikit-learn")]}
    return row | {"ratio": row["peer"] / row["nncore"]}


def accuracy(data: tuple[np.ndarray, np.ndarray], seeds: int, **settings: Any) -> dict[str, Any]:
    """Accuracy on a third of the rows over seeds, in float64 and in float32."""
    X, y = data
    held = np.arange(len(X)) % 3 == 0
    found: dict[str, list[float]] = {"nncore": [], "nncore float32": [], "scikit-learn": []}
    for seed in range(seeds):
        for key, cls, dtype in (
            ("nncore", MLPClassifier, X.dtype),
            ("nncore float32", MLPClassifier, "f4"),
            ("scikit-learn", Peer, X.dtype),
        ):
            Z = X.astype(dtype)
            found[key].append(cls(random_state=seed, **settings).fit(Z[~held], y[~held]).score(Z[held], y[held]))
    return {key: {"mean": float(np.mean(each)), "std": float(np.std(each)), "each": each} for key, each in found.items()}


def one_row(data: tuple[np.ndarray, np.ndarray], count: int) -> dict[str, Any]:
    X, y = data
    ours, peer = (cls(random_state=0, max_iter=5).fit(X, y) for cls in (MLPClassifier, Peer))
    row, repeats = X[:1].copy(), 200

    def way(model: Any) -> Callable[[], Any]:
        return lambda: [model.predict(row) for _ in range(repeats)]

    least = rounds({"nncore": way(ours), "scikit-learn": way(peer)}, 1, count)
    found = {
        "what": "predict, one row of 64",
        "threads": 1,
        "nncore": least["nncore"] / repeats,
        "peer": least["scikit-learn"] / repeats,
    }
    return found | {"peer_name": "scikit-learn", "ratio": found["peer"] / found["nncore"]}


def beside_skorch(data: tuple[np.ndarray, np.ndarray], threads: int, count: int, epochs: int) -> dict[str, Any] | None:
    """The same net, loss, optimizer, batches and epochs, in float32; neither side validates or prints."""
    try:
        import torch
        from skorch import NeuralNetClassifier
    except ImportError:
        return None
    X, y = data[0].astype(np.float32), data[1].astype(np.int64)
    torch.set_num_threads(threads)

    def module() -> Any:
        return torch.nn.Sequential(torch.nn.Linear(X.shape[1], 100), torch.nn.ReLU(), torch.nn.Linear(100, int(y.max()) + 1))

    def skorch() -> Any:
        net = NeuralNetClassifier(
            module, criterion=torch.nn.CrossEntropyLoss, optimizer=torch.optim.Adam, lr=1e-3, batch_size=200, max_epochs=epochs,
            train_split=None, verbose=0, iterator_train__shuffle=True,
        )  # fmt: skip
        return net.fit(X, y)

    def ours() -> Any:
        return MLPClassifier(max_iter=epochs, n_iter_no_change=epochs, alpha=0.0, random_state=0).fit(X, y)

    least = rounds({"nncore": ours, "skorch": skorch}, threads, count)
    row = {"what": f"fit, {len(X)} x {X.shape[1]}, {epochs} epochs, float32", "threads": threads, "nncore": least["nncore"]}
    return row | {"peer": least["skorch"], "peer_name": "skorch", "ratio": least["skorch"] / least["nncore"]}


def shown(seconds: float) -> str:
    return f"{seconds * 1e6:.1f} µs" if seconds < 1e-3 else f"{seconds * 1e3:.1f} ms" if seconds < 1 else f"{seconds:.2f} s"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    short, threads = options.short, options.threads
    small, big = digits(), large(5000 if short else 100_000)
    count, few = (2, 1) if short else (7, 2)
    limit = {"max_iter": 10} if short else {}
    rows = []
    for number in sorted({1, threads}):
        for dtype in ("float64", "float32"):
            rows.append(fits("digits", (small[0].astype(dtype), small[1]), number, count, **limit))
            if number == threads:  # scikit-learn takes half a minute
                rows.append(fits(f"{len(big[0]):,} x 50", (big[0].astype(dtype), big[1]), number, few, **limit))
    rows.append(one_row(small, count))
    rows += [row for number in sorted({1, threads}) if (row := beside_skorch(small, number, few, 5 if short else 50))]
    print("| | threads | nncore | peer | times | epochs |\n|---|---|---|---|---|---|")
    for row in rows:
        peer, epochs = f"{row['peer_name']} {shown(row['peer'])}", row.get("epochs", "")
        print(f"| {row['what']} | {row['threads']} | {shown(row['nncore'])} | {peer} | {row['ratio']:.1f} | {epochs} |")
    found = {}
    for name, data in (("digits", small), ("100,000 x 50", big)):
        found[f"accuracy on {name}"] = seeds = accuracy(data, 2 if short else 10, **limit)
        for key, each in seeds.items():
            print(f"accuracy on {name}, {key}: {each['mean']:.4f} ± {each['std']:.4f}")
    if not short:
        TARGET.write_text(json.dumps({"rows": rows} | found, indent=1) + "\n", encoding="utf-8")
        print(f"wrote {TARGET}", file=sys.stderr)


if __name__ == "__main__":
    main()
