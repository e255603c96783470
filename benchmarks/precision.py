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
from collections.abc import Callable
from functools import partial
from pathlib import Path

import bits
import peers
import recurrent_peers
from headline import ROOT, Contestant, between, contest, machine, others, tell
from precision_contests import RESULTS, Contest, contests, identity, with_before
from precision_tables import claims, write
from workloads import WORKLOADS


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


def chosen(each: Contest, only: list[str]) -> bool:
    return chosen_name(identity(each), only)


def chosen_name(name: str, only: list[str]) -> bool:
    return not only or any(word in name for word in only)


def main() -> None:
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
