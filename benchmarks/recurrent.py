"""Recurrent nets: training steps, forward passes and streaming steps of nncore and its peers, timed in turn like the headline's.

    python benchmarks/recurrent.py   write the tables into docs/benchmarks.md, in about three minutes
    python benchmarks/recurrent.py --only stream --no-write   a short run that only prints

Processes, agreement, rounds and minima are those of headline.py; the truth is PyTorch in float64, without which nothing is timed.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import peers
import report
from headline import Contestant, between, contest, machine, others, tell
from recurrent_peers import CONTESTANTS, NETS, Net
from rows import best, is_peer, least, named, ratio, who

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "docs" / "benchmarks_recurrent.json"
#: What `fit`, or a call, was meant to reach: times faster than the best peer.
AIMS = {
    "recurrent": {
        "RNN i16 h32 T50 b32": 7,
        "RNN i32 h128 T100 b32": 3.2,
        "bidirectional RNN i32 h128 T100 b32": 3.2,
        "RNN i32 h512 T50 b64": 1.5,
        "GRU i32 h128 T100 b32": 2.4,
        "LSTM i32 h128 T100 b32": 1.45,
    },
    "forward": dict.fromkeys(NETS["forward"], 1),
    "stream": dict.fromkeys(NETS["stream"], 10),
}
TITLES = {"recurrent": "training step", "forward": "forward, outputs of all steps", "stream": "one step of a stream"}


def measure(names: list[str], threads: list[int], only: list[str], rounds: int, seconds: float, say: Callable[[str], None]) -> dict:
    """The limit, then each net with all its contestants. ``only`` keeps the nets whose kind or name has one of these in it."""
    results: dict = {"machine": machine(), "load": others(), "threads": threads, "rounds": rounds}
    held: dict[tuple[str, int], Contestant] = {}  # importing PyTorch and JAX takes longer than most of the timings

    def among(members: list[str]) -> list[Contestant]:
        for key in ((name, t) for t in threads for name in members):
            if key not in held:
                held[key] = Contestant(*key)
        return [held[name, t] for t in threads for name in members]

    results["limit"] = {}
    for kind, nets in NETS.items():
        members = [name for name in CONTESTANTS[kind] if not names or name.split()[0] in names]
        results[kind] = {}
        for net in nets.values():
            if only and not any(word in f"{kind} {net.name}" for word in only):
                continue
            say(f"{kind}: {net.name}")
            run = partial(contest, among(members), kind, net, rounds, seconds, say)
            results[kind][net.name], results["limit"][f"{kind} {net.name}"] = between(among(list(peers.PRODUCTS)), run, say)
            tell(results[kind][net.name], say)
    for contestant in held.values():
        contestant.close()
    return results


def tables(results: dict) -> str:
    """One table per kind; a cell has the time of each thread count, the ratio is between the best of each side."""
    parts = [report.machine(results)]
    for kind, title in TITLES.items():
        if not results[kind]:
            continue
        names = list(CONTESTANTS[kind])
        heads = [name.replace("nncore ", "") for name in names]
        lines = [f"| {title} | {' | '.join(heads)} | best peer | {heads[0]} is faster | aim | % of limit |"]
        lines.append("|---|" + "---:|" * len(names) + "---|---:|---:|---:|")
        for net, rows in results[kind].items():
            ours, peer = best(rows, named(names[0])), best(rows, is_peer)
            cells = [
                " / ".join(least(r) for r in sorted(rows.values(), key=lambda r: r["threads"]) if r["name"] == name)
                for name in names
            ]
            end = f"{who(peer)[1:-1]} | {ratio(peer, ours)} | {AIMS[kind][net]:g}x"
            end += f" | {_share(results, kind, NETS[kind][net], ours)}"
            lines.append(f"| {net} | {' | '.join(cells)} | {end} |")
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


def _share(results: dict, kind: str, net: Net, ours: dict | None) -> str:
    """The least time of all products at the best rate seen, over the time taken; nothing where the rate was found beside other
    programs, or where the call and not the arithmetic is what takes the time."""
    if not ours or results["load"] > report.BUSY or kind == "stream":
        return ""
    flops = net.flops if kind == "recurrent" else net.forward_flops
    return f"{100 * flops / 1e9 / results['limit'][f'{kind} {net.name}'][str(ours['threads'])] / ours['min']:.0f} %"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--slice", type=float, default=15, help="milliseconds of one turn, or one step where that takes longer")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument(
        "--only", nargs="+", default=[], metavar="WORD", help="nets with a word in their kind or name: stream, LSTM"
    )
    parser.add_argument("--peers", nargs="+", default=[], help="first words of names, for example: nncore PyTorch")
    parser.add_argument("--no-write", action="store_true", help="print, and leave the files in docs/ alone")
    arguments = parser.parse_args()
    if not arguments.no_write and (arguments.only or arguments.peers):
        parser.error("--only and --peers need --no-write: the docs have the whole table")
    results = measure(
        arguments.peers,
        arguments.threads,
        arguments.only,
        arguments.rounds,
        arguments.slice / 1e3,
        lambda line: print(line, flush=True),
    )
    if arguments.no_write:
        print(tables(results))
    else:
        RESULTS.write_text(json.dumps(results, indent=1) + "\n")
        report.splice(ROOT / "docs" / "benchmarks.md", {"recurrent": tables(results)})


if __name__ == "__main__":
    main()
