"""Matrix products alone: shape by shape against OpenBLAS (NumPy's) and MKL (PyTorch's), in turn, in one process.

    python benchmarks/gemm.py                              measure, print, and write the tables into docs/benchmarks.md; a minute
    python benchmarks/gemm.py --only NN 513 --no-write     only what has one of these words in its name, and only print

NN is c = a b, as a forward pass needs it; TN is c = a^T b, the gradient of weights; NT is c = a b^T, the gradient of inputs.
Rows are contiguous for everybody. With two threads, nncore's each multiply their half of c again and again, of its rows or of its
columns, whichever there are more of, as the members of a training step do, which meet at barriers between phases only; the other
libraries divide each product by themselves.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
import threadpoolctl
from headline import machine, others
from report import BUSY, splice

from nncore._core import kernels

ROOT = Path(__file__).resolve().parent.parent
LAYOUTS = ("NN", "TN", "NT")
DTYPES = ("float32", "float64")
#: m, n, k. Few rows or small; then the sweep; then those that end beside tiles and cache lines.
SMALL = [(8, 8, 8), (32, 10, 10), (32, 32, 32), (64, 10, 64), (16, 256, 256)]
ROW = [(1, 128, 784), (1, 784, 128), (1, 512, 784), (1, 2048, 2048)]
SWEEP = [(64, 128, 128), (128, 256, 512), (128, 512, 784), (784, 512, 128), (64, 512, 512), (512, 512, 512), (2048, 128, 128)]
SWEEP += [(128, 128, 2048), (64, 2048, 2048), (256, 2048, 1024), (1024, 2048, 256), (768, 768, 768)]
ODD = [(65, 129, 131), (100, 300, 200), (127, 255, 383), (513, 513, 513), (2048, 2048, 64)]
WORTH_TWO_THREADS = 1e6  #: floating-point operations; below, a plan uses one
#: The threads of one library must not spin for 30 ms while the next one is timed: 0.1 ms, more than what lies between two calls.
SPIN = {"OPENBLAS_THREAD_TIMEOUT": "18", "GOMP_SPINCOUNT": "2000"}
PAUSE = 1e-3  #: seconds until they have stopped
SLICE = 1e-3  #: seconds of one turn; four times as many with two threads, which take some to meet


class Case(NamedTuple):
    """One product."""

    dtype: str
    layout: str
    m: int
    n: int
    k: int
    threads: int

    @property
    def name(self) -> str:
        return f"{self.dtype} {self.layout} {self.m}x{self.n}x{self.k} {self.threads}"

    @property
    def flops(self) -> int:
        return 2 * self.m * self.n * self.k

    @property
    def kind(self) -> str:
        if self.m == 1:
            return "one row"
        return "sweep" if (self.m, self.n, self.k) in SWEEP else "odd" if (self.m, self.n, self.k) in ODD else "small"

    def operands(self) -> tuple[np.ndarray, np.ndarray]:
        rng = np.random.default_rng(0)
        a = (self.k, self.m) if self.layout == "TN" else (self.m, self.k)
        b = (self.n, self.k) if self.layout == "NT" else (self.k, self.n)
        return rng.standard_normal(a).astype(self.dtype), rng.standard_normal(b).astype(self.dtype)


class Result(NamedTuple):
    case: Case
    ours: float  #: seconds
    peers: dict[str, float]
    rate: float  #: of ours, as a part of the peak

    @property
    def ratio(self) -> float:
        return min(self.peers.values()) / self.ours


#: What a contestant calls to do so many products, one function per thread of its own.
Ways = list[Callable[[int], object]]


def again(call: Callable[[], object]) -> Callable[[int], object]:
    """The call, so many times."""

    def repeat(count: int) -> None:
        for _ in range(count):
            call()

    return repeat


def nncore(case: Case, a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, Ways]:
    c = np.zeros((case.m, case.n), case.dtype)

    def rows(cut: slice) -> Callable[[int], object]:
        left = a[:, cut] if case.layout == "TN" else a[cut]
        return product(left, b, c[cut])

    def columns(cut: slice) -> Callable[[int], object]:
        right = b[cut] if case.layout == "NT" else b[:, cut]
        return product(a, right, c[:, cut])

    def product(left: np.ndarray, right: np.ndarray, out: np.ndarray) -> Callable[[int], object]:
        call = partial(kernels.gemm, left, right, None, out, False, case.layout == "TN", case.layout == "NT")
        return again(call) if case.threads == 1 else call  # called from two threads, they would wait for the interpreter

    if case.n > case.m:  # so that each thread reads half of the larger operand
        return c, [columns(cut) for cut in halves(case.n, case.threads)]
    return c, [rows(cut) for cut in halves(case.m, case.threads)]


def halves(n: int, parts: int) -> list[slice]:
    """Shares of whole cache lines, as equal as can be."""
    cuts = [min(n, -(-n * i // parts // 16) * 16 if i < parts else n) for i in range(parts + 1)]
    return [slice(*ends) for ends in pairwise(cuts)]


def openblas(case: Case, a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, Ways]:
    c = np.zeros((case.m, case.n), case.dtype)
    left, right = a.T if case.layout == "TN" else a, b.T if case.layout == "NT" else b
    return c, [again(lambda: np.matmul(left, right, out=c))]


def mkl(case: Case, a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, Ways]:
    import torch

    c = np.zeros((case.m, case.n), case.dtype)
    out, left, right = torch.from_numpy(c), torch.from_numpy(a), torch.from_numpy(b)
    left, right = left.T if case.layout == "TN" else left, right.T if case.layout == "NT" else right
    return c, [again(lambda: torch.mm(left, right, out=out))]


CONTESTANTS = {"nncore": nncore, "OpenBLAS": openblas, "MKL": mkl}


def use_threads(threads: int) -> None:
    import torch

    torch.set_num_threads(threads)
    threadpoolctl.threadpool_limits(threads, user_api="blas")


def clock(pool: ThreadPoolExecutor, ways: Ways, count: int) -> float:
    """Seconds per turn."""

    start = time.perf_counter()
    if len(ways) == 1:
        ways[0](count)
    else:
        list(pool.map(lambda way: way(count), ways))
    return (time.perf_counter() - start) / count


def peaks(pool: ThreadPoolExecutor, threads: list[int]) -> dict[tuple[str, int], float]:
    """Floating-point operations per second of multiply-adds in registers: the best of some millisecond-long runs."""
    rounds, found = 100_000, {}
    for dtype in DTYPES:
        for t in threads:
            call = partial(kernels.multiply_adds, rounds, dtype == "float64")
            found[dtype, t] = t * call() / min(clock(pool, [again(call)] * t, 3) for _ in range(20))
    return found


def contest(case: Case, pool: ThreadPoolExecutor, peak: float, budget: float) -> Result:
    """Check that the results agree, then time in turn: a slice or one product each, at least twice."""
    a, b = case.operands()
    ways, results, counts = {}, {}, {}
    for name, prepare in CONTESTANTS.items():
        results[name], ways[name] = prepare(case, a, b)
        clock(pool, ways[name], 1)
        counts[name] = max(1, math.ceil(SLICE * case.threads**2 / clock(pool, ways[name], 1)))
    for name, c in results.items():
        tolerance = 4 * case.k * np.finfo(case.dtype).eps
        np.testing.assert_allclose(c, results["OpenBLAS"], tolerance, 4 * tolerance, err_msg=f"{name}: {case.name}")
    best = dict.fromkeys(ways, math.inf)
    start, rounds = time.perf_counter(), 0
    while rounds < 2 or (time.perf_counter() - start < budget and rounds < 40):
        for name in ways:
            if case.threads > 1:
                time.sleep(PAUSE)
                clock(pool, ways[name], 1)
            best[name] = min(best[name], clock(pool, ways[name], counts[name]))
        rounds += 1
    ours = best.pop("nncore")
    return Result(case, ours, best, case.flops / ours / peak)


def cases(threads: list[int], only: list[str]) -> list[Case]:
    every = [
        Case(dtype, layout, *shape, t)
        for dtype in DTYPES
        for t in threads
        for shape in SMALL + ROW + SWEEP + ODD
        for layout in LAYOUTS
        if t == 1 or (shape in SWEEP and 2 * math.prod(shape) >= WORTH_TWO_THREADS)
    ]
    return [case for case in every if all(word in case.name for word in only)]


def geometric_mean(numbers: list[float]) -> float:
    return math.exp(sum(map(math.log, numbers)) / len(numbers))


def summary(results: list[Result]) -> str:
    """Means and worst cases by dtype, threads and layout."""
    lines = ["| | threads | layout | geometric mean | worst | percent of peak |", "|---|---:|---|---:|---|---:|"]
    for kind, title in (("sweep", "sweep"), ("odd", "odd sizes"), ("one row", "one row"), ("small", "small")):
        for dtype in DTYPES:
            for threads in (1, 2):
                for layout in LAYOUTS:
                    found = [
                        r
                        for r in results
                        if (r.case.kind, r.case.dtype, r.case.threads, r.case.layout) == (kind, dtype, threads, layout)
                    ]
                    if not found:
                        continue
                    worst = min(found, key=lambda r: r.ratio)
                    lines.append(
                        f"| {title}, {dtype} | {threads} | {layout} | {geometric_mean([r.ratio for r in found]):.2f}x "
                        f"| {worst.ratio:.2f}x ({size(worst.case)}) | {100 * geometric_mean([r.rate for r in found]):.0f} % |"
                    )
    return "\n".join(lines)


def size(case: Case) -> str:
    return f"{case.m} x {case.n} x {case.k}"


def table(results: list[Result], dtype: str, threads: int) -> str:
    """A cell: nncore's time, its ratio to the better of the two, percent of the peak."""
    rows: dict[str, dict[str, str]] = {}
    for r in results:
        if (r.case.dtype, r.case.threads) == (dtype, threads):
            rows.setdefault(size(r.case), {})[r.case.layout] = f"{1e6 * r.ours:.4g} µs, {r.ratio:.2f}x, {100 * r.rate:.0f} %"
    title = f"{dtype}, {threads} thread{'s' if threads > 1 else ''}: m x n x k"
    lines = [f"| {title} | {' | '.join(LAYOUTS)} |", "|---|---:|---:|---:|"]
    return "\n".join(
        lines + [f"| {name} | {' | '.join(cells.get(layout, '') for layout in LAYOUTS)} |" for name, cells in rows.items()]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2] if len(os.sched_getaffinity(0)) > 1 else [1])
    parser.add_argument(
        "--only", nargs="+", default=[], metavar="WORD", help="products with all of these in their name: float32 TN 784x"
    )
    parser.add_argument("--budget", type=float, default=50, help="seconds for all products together, more or less")
    parser.add_argument("--no-write", action="store_true", help="print, and leave docs/benchmarks.md alone")
    arguments = parser.parse_args()
    if SPIN.keys() - os.environ.keys():  # they are read when the libraries are loaded
        os.environ.update(SPIN)
        os.execv(sys.executable, [sys.executable, *sys.argv])
    if arguments.only and not arguments.no_write:
        parser.error("--only needs --no-write: the docs have the whole table")
    chosen, results, load = cases(arguments.threads, arguments.only), [], others()
    with ThreadPoolExecutor(max(arguments.threads)) as pool:
        peak = peaks(pool, arguments.threads)
        print(" ".join(f"{dtype} {t}: {rate / 1e9:.0f} GFLOP/s" for (dtype, t), rate in peak.items()), flush=True)
        for case in chosen:
            use_threads(case.threads)
            r = contest(case, pool, peak[case.dtype, case.threads], arguments.budget / len(chosen))
            results.append(r)
            peers = ", ".join(f"{name} {1e6 * seconds:.4g}" for name, seconds in r.peers.items())
            print(f"{case.name:34s} {1e6 * r.ours:9.4g} µs  {r.ratio:5.2f}x {100 * r.rate:4.0f} %   {peers}", flush=True)
    text = "\n\n".join([summary(results), *(table(results, d, t) for d in DTYPES for t in arguments.threads)])
    if arguments.no_write:
        print(summary(results))
        return
    rates = ", ".join(f"{rate / 1e9:.0f} GFLOP/s in {d} on {t} thread{'s' if t > 1 else ''}" for (d, t), rate in peak.items())
    found = machine()
    busy = f" Other programs kept {load:.1f} processors busy, so: a first impression." if load > BUSY else ""
    head = f"{found['cpu']}, {found['cores']} cores; numpy {found['numpy']}, torch {found['torch']}. Peak: {rates}.{busy}"
    splice(ROOT / "docs" / "benchmarks.md", {"gemm": f"{head}\n\n{text}"})


if __name__ == "__main__":
    main()
