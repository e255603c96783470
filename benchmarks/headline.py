"""The headline: training steps and one-row inference of nncore and its peers, timed in turn on one machine.

    python benchmarks/headline.py                    measure everything, write docs/benchmarks.{md,json} and the README's table
    python benchmarks/headline.py --quick --no-write a short run that only prints

Each contestant lives in a process of its own with its own thread count, so that one library's sleeping or spinning threads are not
another's handicap. Before anything is timed, every contestant must have reached the same losses (or outputs) as NumPy in float64.
Then come rounds: each contestant in turn repeats its step for at least 20 ms. The minimum over the rounds is the figure, because
whatever else the machine is doing can only add time; the median stands beside it in the JSON.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import platform
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from functools import cache, partial
from importlib.metadata import PackageNotFoundError, version
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import peers
import recurrent_peers
from workloads import INFERENCE, WORKLOADS, Workload

ROOT = Path(__file__).resolve().parent.parent
CHECKED_STEPS, TOLERANCE = 20, 1e-3  #: losses of so many steps agree this well, relative to the truth in float64
#: The same where a name says that products are computed from rounded numbers: 8 bits of significand in bfloat16, 7 in int8.
LOW_TOLERANCES = {"bfloat16": 2e-2, "int8": 1e-1}
LOW_LEAST = 1e-5  #: who is off by less has computed in float32
CHECKED_RECURRENT_STEPS = 6  #: the same for a recurrent net, whose steps take longer
#: No compiler processes of torch.compile that would wait beside those that are timed.
QUIET = {"TORCHINDUCTOR_COMPILE_THREADS": "1"}
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


class Contestant:
    """A child process that holds one library at one thread count and does what it is told.

    remark: what else its name in the results says. folder: where it finds another version of a library. environment: variables."""

    def __init__(self, name: str, threads: int, remark: str = "", folder: str = "", **environment: str) -> None:
        self.name, self.threads = name, threads
        self.title = f"{name}, {remark}" if remark else name
        context = multiprocessing.get_context("spawn")
        self.pipe, far = context.Pipe()
        settings = dict.fromkeys(THREAD_VARIABLES, str(threads)) | QUIET | environment
        if threads == 1:
            settings["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false"
        saved = {key: os.environ.get(key) for key in settings}
        os.environ.update(settings)  # read when the child imports its libraries
        self.process = context.Process(target=_serve, args=(far, name, threads, folder), daemon=True)
        self.process.start()
        for key, value in saved.items():
            if value is None:
                del os.environ[key]
            else:
                os.environ[key] = value
        far.close()

    @property
    def label(self) -> str:
        return f"{self.title}, {self.threads} thread{'s' if self.threads > 1 else ''}"

    def ask(self, *message: object):
        self.pipe.send(message)
        answer = self.pipe.recv()
        if isinstance(answer, Exception):
            raise answer
        return answer

    def close(self) -> None:
        self.pipe.send(None)
        self.process.join(5)


def _serve(pipe: Connection, name: str, threads: int, folder: str) -> None:
    """In the child: prepare a subject, check it, time it, until told to stop."""
    if folder:
        sys.path.insert(0, folder)
    if threads == 1:  # not every library heeds its settings
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    subject = None
    while (message := pipe.recv()) is not None:
        try:
            if message[0] == "prepare":
                subject = None  # free the one before
                subject = _prepare(name, threads, *message[1:])
                answer = True
            elif message[0] == "check":
                answer = subject.losses(message[1]) if message[1] else subject.predict()
            else:
                start = time.perf_counter()
                done = subject.run(message[1])
                answer = (time.perf_counter() - start, done)
        except Exception as error:
            answer = (
                error
                if isinstance(error, (ImportError, NotImplementedError))
                else RuntimeError(f"{name}: {type(error).__name__}: {error}")
            )
        pipe.send(answer)


def _prepare(name: str, threads: int, kind: str, workload: str, checked: bool = False):
    if kind in recurrent_peers.NETS:
        known = recurrent_peers.CONTESTANTS[kind] | (recurrent_peers.OTHER_TRAINERS if kind == "recurrent" else {})
        return known[name](recurrent_peers.NETS[kind][workload], threads)
    if kind == "product":
        return peers.PRODUCTS[name](threads)
    if kind == "update":
        return peers.Update(WORKLOADS[workload], threads)
    if kind == "inference":
        return (peers.PREDICTORS | peers.OTHER_PREDICTORS)[name](WORKLOADS[workload], threads)
    work = _without_chance(WORKLOADS[workload]) if checked else WORKLOADS[workload]
    return (peers.TRAINERS | peers.OTHER_TRAINERS)[name](work, threads)


def _without_chance(work: Workload) -> Workload:
    """What contestants can agree on: everybody drops units of their own."""
    return replace(work, dropout=0.0)


#: kind -> steps whose losses are compared; 0: outputs are.
CHECKS = {"training": CHECKED_STEPS, "inference": 0, "recurrent": CHECKED_RECURRENT_STEPS, "forward": 0, "stream": 0}


@cache
def _truth(kind: str, work: Workload | recurrent_peers.Net) -> np.ndarray:
    if isinstance(work, recurrent_peers.Net):
        return recurrent_peers.truth(kind, work, CHECKS[kind])
    if kind == "inference":
        return peers.numpy_predictor(work, np.float64).predict()
    return peers.numpy_trainer(_without_chance(work), np.float64).losses(CHECKED_STEPS)


def check(contestant: Contestant, kind: str, work: Workload | recurrent_peers.Net) -> float:
    """The largest relative distance from the truth; raises if it is more than rounding explains.

    Outputs of recurrent nets pass through zero, so theirs are relative to the largest. So are those of rounded products: the
    rounding of large terms of a sum is an error of small sums, too.
    """
    truth = _truth(kind, work)
    found = contestant.ask("check", CHECKS[kind])
    low = next((tolerance for word, tolerance in LOW_TOLERANCES.items() if word in contestant.name), None)
    scale = np.abs(truth).max() if kind in ("forward", "stream") or (low and kind == "inference") else np.abs(truth)
    error = float(np.max(np.abs(found - truth) / scale))
    if not error <= (low or TOLERANCE) or (low and error < LOW_LEAST):
        raise SystemExit(f"{contestant.label} disagrees on {work.name}: off by {error:.2e}\n{found}\nagainst\n{truth}")
    return error


def contest(
    contestants: list[Contestant],
    kind: str,
    work: Workload | recurrent_peers.Net | None,
    rounds: int,
    seconds: float,
    say: Callable[[str], None],
) -> dict:
    """Time the contestants in turn. Returns label -> {"name", "threads", "min", "median"} in seconds per step."""
    ready, counts, times, errors = [], {}, {}, {}
    chance = isinstance(work, Workload) and work.dropout > 0
    for c in contestants:
        try:
            c.ask("prepare", kind, work.name if work else "", *([True] if chance else []))
        except (ImportError, NotImplementedError) as error:
            say(f"  {c.label}: left out ({error})")
            continue
        if work and kind in CHECKS:
            errors[c.label] = check(c, kind, work)
        if chance:
            c.ask("prepare", kind, work.name)
        elapsed, done = c.ask("run", 1)  # first call: warm
        count = 1
        while elapsed < seconds:
            count = max(2 * count, int(1.2 * done * seconds / elapsed))
            elapsed, done = c.ask("run", count)
        counts[c.label] = max(1, int(1.2 * done * seconds / elapsed))
        times[c.label] = []
        ready.append(c)
    for _ in range(rounds):
        for c in ready:
            time.sleep(0.005)  # the last one's threads stop spinning
            c.ask("run", max(1, counts[c.label] // 10))  # and this one's caches fill
            elapsed, done = c.ask("run", counts[c.label])
            times[c.label].append(elapsed / done)
    return {
        c.label: {
            "name": c.title,
            "threads": c.threads,
            "min": min(times[c.label]),
            "median": float(np.median(times[c.label])),
            "error": errors.get(c.label),
        }
        for c in ready
    }


def measure(
    names: list[str], threads: list[int], workloads: list[str], rounds: int, seconds: float, say: Callable[[str], None]
) -> dict:
    """Everything: the limits, the training steps, the inference."""
    groups = {
        "update": ["NumPy"],
        "training": [n for n in peers.TRAINERS if not names or n.split()[0] in names],
        "inference": [n for n in peers.PREDICTORS if not names or n.split()[0] in names],
    }
    results: dict = {"machine": machine(), "load": others(), "threads": threads, "rounds": rounds}
    results |= {"limit": {}, "update": {}, "training": {}, "inference": {}}
    products = [Contestant(n, t) for t in threads for n in peers.PRODUCTS]
    for kind, members in groups.items():
        contestants = [Contestant(n, t) for t in threads for n in members]
        for name in workloads:
            if kind == "inference" and name not in INFERENCE:
                continue
            say(f"{kind}: {name}")
            run = partial(contest, contestants, kind, WORKLOADS[name], rounds, seconds, say)
            results[kind][name], limit = between(products, run, say) if kind == "training" else (run(), None)
            if limit:
                results["limit"][name] = limit
            tell(results[kind][name], say)
        for c in contestants:
            c.close()
    for c in products:
        c.close()
    return results


def between(products: list[Contestant], run: Callable[[], dict], say: Callable[[str], None]) -> tuple[dict, dict[str, float]]:
    """Run a contest between two looks at the limit, since machines change their pace: its rows, and the better look."""

    def look() -> dict[str, float]:
        return limits(contest(products, "product", None, 3, 0.05, say))

    before, rows, after = look(), run(), look()
    limit = {threads: max(rate, after[threads]) for threads, rate in before.items()}
    say(f"  limit: {limit} GFLOP/s")
    return rows, limit


def tell(rows: dict, say: Callable[[str], None]) -> None:
    """The fastest first."""
    for label, r in sorted(rows.items(), key=lambda item: item[1]["min"]):
        error = "" if r["error"] is None else f"   off by {r['error']:.0e}"
        say(f"  {label:36s} {1e6 * r['min']:10.2f} us   median {1e6 * r['median']:10.2f}{error}")


def limits(products: dict) -> dict[str, float]:
    """Threads -> best rate observed in GFLOP/s."""
    rates: dict[str, float] = {}
    for r in products.values():
        key = str(r["threads"])
        rates[key] = round(max(rates.get(key, 0.0), 2 * peers.Product.N**3 / r["min"] / 1e9), 1)
    return rates


def others(seconds: float = 2.0) -> float:
    """How many processors other programs keep busy while this one sleeps; the load average where the system does not tell."""
    stat = Path("/proc/stat")
    if not stat.exists():
        return os.getloadavg()[0]

    def idle() -> tuple[float, float]:
        ticks = [float(word) for word in stat.read_text().split("\n", 1)[0].split()[1:9]]
        return ticks[3] + ticks[4], sum(ticks)

    (before, start), _ = idle(), time.sleep(seconds)
    after, end = idle()
    return (os.cpu_count() or 1) * (1 - (after - before) / (end - start))


def machine() -> dict[str, str]:
    """The processor and the versions that the figures belong to."""
    cpu = platform.processor()
    if Path("/proc/cpuinfo").exists():
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        cpu = next((line.split(": ", 1)[1] for line in lines if line.startswith("model name")), cpu)
    found = {"cpu": cpu, "cores": str(len(os.sched_getaffinity(0))), "python": platform.python_version()}
    for package in ("nncore", "numpy", "torch", "jax", "scikit-learn", "onnxruntime"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


def main() -> None:
    from report import write

    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--quick", action="store_true", help="5 rounds")
    parser.add_argument("--slice", type=float, default=20, help="milliseconds of one turn; shorter on a busy machine")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--only", nargs="+", choices=WORKLOADS, default=list(WORKLOADS), metavar="WORKLOAD")
    parser.add_argument("--peers", nargs="+", default=[], help="first words of names, for example: nncore NumPy PyTorch")
    parser.add_argument("--no-write", action="store_true", help="print, and leave the files in docs/ and the README alone")
    arguments = parser.parse_args()
    rounds = 5 if arguments.quick else arguments.rounds
    results = measure(
        arguments.peers, arguments.threads, arguments.only, rounds, arguments.slice / 1e3, lambda line: print(line, flush=True)
    )
    if not arguments.no_write:
        (ROOT / "docs" / "benchmarks.json").write_text(json.dumps(results, indent=1) + "\n")
        write(ROOT, results)


if __name__ == "__main__":
    main()
