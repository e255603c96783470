"""Precision: what products in bfloat16 and int8 gain over float32 and over other libraries, against what they must reach.

    python benchmarks/precision.py                    write the tables of docs/precision.md, in about ten minutes
    python benchmarks/precision.py --quick --no-write a short run that only prints
    python benchmarks/precision.py --before FOLDER    also compare float32 and float64 with an earlier nncore, which
                                                      `pip install --target FOLDER` has put there: about ten minutes more

Processes, agreement, rounds and minima are those of headline.py. A claim is a ratio of minima of one contest. Those that need AMX
are skipped where the CPU has none. `accuracy.py` measures what rounding does to results, `bits.py` that they are equal everywhere.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

import bits
import peers
import recurrent_peers
from headline import ROOT, Contestant, between, contest, machine, others, tell
from workloads import INFERENCE, WORKLOADS

RESULTS = ROOT / "docs" / "benchmarks_precision.json"
NNCORE, PYTORCH = "nncore fit", ("PyTorch", "PyTorch bfloat16")
SMALL, MIDDLE, WIDE = "64-128-64-10", "784-512-256-10", "1024-2048-2048-100"
CELLS = ("LSTM", "GRU", "RNN")


class Claim(NamedTuple):
    """``ours`` is at least so many times as fast as the fastest of ``theirs``; with ``as_time``, said as a part of their time."""

    ours: str
    theirs: tuple[str, ...]
    least: float
    amx: bool = False  #: holds on CPUs with AMX only
    as_time: bool = False


class Contest(NamedTuple):
    """Contestants that take turns. The peers may take fewer threads, if that is faster."""

    title: str
    kind: str
    work: str
    names: tuple[str, ...]
    claims: tuple[Claim, ...]
    threads: int = 2
    isa: str = ""  #: the instruction set of nncore, if not the best
    of_limit: float = 0.0  #: the part of the limit that float32 must reach


def contests() -> list[Contest]:
    names = (NNCORE, "nncore bfloat16", *PYTORCH)
    trained = {
        MIDDLE: (
            Claim("nncore bfloat16", ("PyTorch bfloat16",), 4, amx=True),
            Claim("nncore bfloat16", (NNCORE,), 3.5, amx=True),
            Claim(NNCORE, ("PyTorch",), 2),
        ),
        WIDE: (
            Claim("nncore bfloat16", ("PyTorch bfloat16",), 2.5, amx=True),
            Claim("nncore bfloat16", (NNCORE,), 5.5, amx=True),
            Claim(NNCORE, ("PyTorch",), 1),
        ),
        SMALL: (Claim("nncore bfloat16", (NNCORE,), 2, amx=True),),
    }
    found = [
        Contest(f"train {work}", "training", work, names, claims, of_limit=0.85 if work == MIDDLE else 0)
        for work, claims in trained.items()
    ]
    for cell, least in zip(CELLS, (3.0, 2.8, 2.2), strict=True):
        claims = (Claim("nncore bfloat16", (NNCORE,), least, amx=True),)
        if cell == "LSTM":
            claims += (Claim("nncore bfloat16", PYTORCH, 4, amx=True),)
        found.append(Contest(f"train {recurrent(cell)}", "recurrent", recurrent(cell), names, claims))
    return [*found, *one_row(), *without_amx()]


def recurrent(cell: str) -> str:
    return f"{cell} i32 h128 T100 b32"


def one_row() -> Iterator[Contest]:
    ours = ("nncore model(x)", "nncore bfloat16", "nncore int8")
    names = (*ours, "PyTorch", "PyTorch bfloat16", "PyTorch int8", "onnxruntime", "onnxruntime int8")
    full, ort = (ours[0],), ("onnxruntime int8",)
    middle = (
        Claim("nncore bfloat16", full, 1 / 0.4, amx=True, as_time=True),
        Claim("nncore int8", full, 1 / 0.2, amx=True, as_time=True),
        Claim("nncore int8", ort, 3, amx=True),
    )
    yield Contest(f"one row {MIDDLE}", "inference", MIDDLE, names, middle, threads=1)
    for threads in (1, 2):
        wide = (Claim("nncore int8", full, 1 / 0.3, as_time=True), Claim("nncore int8", ort, 1))
        yield Contest(f"one row {WIDE}", "inference", WIDE, names, wide, threads)
    yield Contest(
        f"one row {WIDE}, AVX2",
        "inference",
        WIDE,
        ours,
        (Claim("nncore bfloat16", full, 1 / 0.6, as_time=True),),
        threads=1,
        isa="avx2",
    )


def without_amx() -> Iterator[Contest]:
    """Training on the instruction sets below, which CPUs with AMX have as well."""
    claims = (Claim("nncore bfloat16", (NNCORE,), 0.85),)
    for isa, said in (("avx512", "AVX-512"), ("avx2", "AVX2")):
        for work in (MIDDLE, WIDE, SMALL):
            yield Contest(f"train {work}, {said}", "training", work, (NNCORE, "nncore bfloat16"), claims, isa=isa)
        for cell in CELLS:
            net = recurrent(cell)
            yield Contest(f"train {net}, {said}", "recurrent", net, (NNCORE, "nncore bfloat16"), claims, isa=isa)


def with_before() -> Iterator[Contest]:
    """All rows of today's tables in float32, and their training in float64, beside the nncore before."""
    for kind, works in (("training", WORKLOADS), ("recurrent", recurrent_peers.NETS["recurrent"])):
        for work in works:
            names = (NNCORE, "nncore float64")
            yield Contest(f"train {work}", kind, work, names, tuple(Claim(n, (f"{n}, before",), 0.97) for n in names))
    for kind, works, name in (
        ("inference", INFERENCE, "nncore model(x)"),
        ("forward", recurrent_peers.NETS["forward"], "nncore"),
        ("stream", recurrent_peers.NETS["stream"], "nncore"),
    ):
        for work in works:
            yield Contest(f"{kind} {work}", kind, work, (name,), (Claim(name, (f"{name}, before",), 0.97),), threads=1)


class Measurement:
    """Contestants that are kept from one contest to the next, and how to measure with them."""

    def __init__(self, rounds: int, seconds: float, cores: int, say: Callable[[str], None]) -> None:
        self.rounds, self.seconds, self.cores, self.say = rounds, seconds, cores, say
        self.held: dict[tuple[str, ...], Contestant] = {}
        self.limit: dict[str, dict[str, float]] = {}
        self.update: dict[str, dict] = {}

    def contestant(self, name: str, threads: int, isa: str = "", folder: str = "") -> Contestant:
        key = (name, str(threads), isa, folder)
        if key not in self.held:
            environment = {"NNCORE_ISA": isa} if isa else {}
            self.held[key] = Contestant(name, threads, isa or ("before" if folder else ""), folder, **environment)
        return self.held[key]

    def run(self, each: Contest, folder: str = "") -> dict:
        """The rows of one contest; with a folder, the nncore that lies there takes part."""
        threads = min(each.threads, self.cores)
        taking = [self.contestant(name, threads, each.isa) for name in each.names]
        if folder:
            taking += [self.contestant(name, threads, folder=folder) for name in each.names]
        for fewer in range(1, threads):
            taking += [self.contestant(name, fewer) for name in each.names if not name.startswith("nncore")]
        self.say(f"{each.title}, {threads} thread{'s'[: threads - 1]}")
        work = recurrent_peers.NETS[each.kind][each.work] if each.kind in recurrent_peers.NETS else WORKLOADS[each.work]
        run = partial(contest, taking, each.kind, work, self.rounds, self.seconds, self.say)
        if each.of_limit:
            self.update[each.work] = contest(
                [self.contestant("NumPy", threads)], "update", work, self.rounds, self.seconds, self.say
            )
            rows, self.limit[each.work] = between([self.contestant(n, threads) for n in peers.PRODUCTS], run, self.say)
        else:
            rows = run()
        tell(rows, self.say)
        return rows

    def close(self) -> None:
        for contestant in self.held.values():
            contestant.close()
        self.held.clear()


def measure(arguments: argparse.Namespace, say: Callable[[str], None]) -> dict:
    """Everything but accuracy, as the JSON has it."""
    from nncore import _core

    cores = len(os.sched_getaffinity(0))
    rounds = 3 if arguments.quick else arguments.rounds
    measuring = Measurement(rounds, arguments.slice / 1e3, cores, say)
    results: dict = {"machine": machine(), "load": others(), "rounds": rounds, "isas": _core.isas(), "contests": {}, "before": {}}
    wheels = sorted((ROOT / "dist").glob("nncore-*.whl"), key=lambda path: path.stat().st_mtime)
    results["wheel"] = wheels[-1].stat().st_size if wheels else None
    for each in contests():
        if each.isa in ("", *results["isas"]) and chosen(each, arguments.only):
            results["contests"][identity(each)] = measuring.run(each)
    measuring.close()
    if arguments.before:
        for each in with_before():
            if chosen(each, arguments.only):
                results["before"][identity(each)] = measuring.run(each, str(Path(arguments.before).resolve()))
    measuring.close()
    results |= {"limit": measuring.limit, "update": measuring.update}
    if chosen_name("bits", arguments.only):
        say("bits")
        results["bits"] = bits.compare(say)
    return results


def identity(each: Contest) -> str:
    return f"{each.title}, {each.threads} thread{'s'[: each.threads - 1]}"


def chosen(each: Contest, only: list[str]) -> bool:
    return chosen_name(identity(each), only)


def chosen_name(name: str, only: list[str]) -> bool:
    return not only or any(word in name for word in only)


def main() -> None:
    from precision_tables import claims, write

    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--quick", action="store_true", help="3 rounds")
    parser.add_argument("--slice", type=float, default=20, help="milliseconds of one turn, or one step where that takes longer")
    parser.add_argument("--before", metavar="FOLDER", help="where an earlier nncore is installed")
    parser.add_argument("--only", nargs="+", default=[], metavar="WORD", help="rows with one of these in their name: LSTM, bits")
    parser.add_argument("--no-write", action="store_true", help="print, and leave the files in docs/ alone")
    arguments = parser.parse_args()
    if not arguments.no_write and arguments.only:
        parser.error("--only needs --no-write: the docs have the whole table")
    results = measure(arguments, lambda line: print(line, flush=True))
    print(claims(results))
    if not arguments.no_write:
        kept = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
        results |= {"accuracy": kept["accuracy"]} if "accuracy" in kept else {}
        if not arguments.before and "before" in kept:
            results["before"] = kept["before"]
        RESULTS.write_text(json.dumps(results, indent=1) + "\n")
        write(ROOT, results)


if __name__ == "__main__":
    main()
