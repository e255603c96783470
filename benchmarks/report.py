"""Turns the results of headline.py into the tables of docs/benchmarks.md and README.md, between the markers that stand there, and
into the picture beside them, docs/benchmarks.svg (chart.py).

python benchmarks/report.py       write them anew from docs/benchmarks.json
"""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

from rows import best, describe, is_peer, is_stepwise, least, named, ratio, span, who
from workloads import WORKLOADS

BUSY = 0.3  #: processors that other programs keep busy when measuring begins; beyond that nothing is said of limits

#: What each row was meant to reach: times faster than the best peer, or the time of a call. The docs say why some fall short.
AIMS = {
    "2-10-10-10-1": "20x",
    "64-128-64-10": "3.8x",
    "784-512-256-10": "1.8x",
    "784-512-256-10 regularised": "2x",
    "1024-2048-2048-100": "1.3x",
}
ONE_ROW_AIMS = {"2-10-10-10-1": "0.4 µs", "64-128-64-10": "1.2 µs", "784-512-256-10": "28 µs"}


def write(root: Path, results: dict) -> None:
    """Replace each marked block in the two files, and draw the picture."""
    from chart import draw

    splice(root / "docs" / "benchmarks.md", {"headline": headline(results), "machine": machine(results), "detail": detail(results)})
    splice(root / "README.md", {"headline": headline(results), "machine": machine(results)})
    draw(results, root / "docs" / "benchmarks.svg")


def splice(path: Path, blocks: dict[str, str]) -> None:
    """Put each text between <!-- name --> and <!-- /name -->; a marker that is missing is an error."""
    text = path.read_text()
    for name, block in blocks.items():
        before, opening, rest = text.partition(f"<!-- {name} -->")
        _, closing, after = rest.partition(f"<!-- /{name} -->")
        if not opening or not closing:
            raise SystemExit(f"{path} has no <!-- {name} --> ... <!-- /{name} -->")
        text = f"{before}{opening}\n{block}\n{closing}{after}"
    path.write_text(text)


def headline(results: dict) -> str:
    """One row per workload: nncore in its best thread count, the best peer, and the ratio whichever way it falls."""
    lines = [
        "| | nncore `fit` | best peer | `fit` is faster | aim | `train_on_batch` | best peer, by batch | faster | % of limit |",
        "|---|---:|---|---:|---:|---:|---|---:|---:|",
    ]
    for name, rows in results["training"].items():
        fit, single = best(rows, named("nncore fit")), best(rows, named("nncore train_on_batch"))
        peer, stepwise = best(rows, is_peer), best(rows, is_stepwise)
        ours = fit or single
        lines.append(
            f"| train {describe(name)} | {least(fit)} | {least(peer)} {who(peer)} | {ratio(peer, ours)} | {AIMS[name]} "
            f"| {least(single)} | {least(stepwise)} {who(stepwise)} | {ratio(stepwise, single)} "
            f"| {share(results, name, ours) if ours else ''} |"
        )
    for name, rows in results["inference"].items():
        ours, peer = best(rows, named("nncore model(x)")), best(rows, is_peer)
        end = f"{least(peer)} {who(peer)} | {ratio(peer, ours)} | {ONE_ROW_AIMS[name]} | | | | |"
        lines.append(f"| one row by `model(x)`, {name} | {least(ours)} | {end}")
    return "\n".join(lines)


def machine(results: dict) -> str:
    m, looks = results["machine"], list(results["limit"].values())
    rates = ", ".join(
        f"{min(look[t] for look in looks):.0f} to {max(look[t] for look in looks):.0f} GFLOP/s on {t} thread{'s'[: int(t) - 1]}"
        for t in looks[0]
    )
    packages = ("numpy", "torch", "jax", "scikit-learn", "onnxruntime")
    versions = ", ".join(f"{package} {m[package]}" for package in packages if m[package] != "not installed")
    load = results["load"]
    busy = f" Other programs kept {load:.1f} processors busy, so: a first impression." if load > BUSY else ""
    return (
        f"{m['cpu']}, {m['cores']} cores; {versions}. Minimum of {results['rounds']} interleaved rounds. "
        f"Limit: the best large float32 matrix product seen just before and after each row, {rates}.{busy}"
    )


def detail(results: dict) -> str:
    """Every contestant, minimum and median."""
    parts = []
    for kind in ("training", "inference"):
        for name, rows in results[kind].items():
            title = describe(name) if kind == "training" else f"one row through {name}"
            lines = [f"### {'Training ' if kind == 'training' else 'Predicting '}{title}", ""]
            lines += [
                "| contestant | threads | minimum | median | against best peer | % of limit |",
                "|---|---:|---:|---:|---:|---:|",
            ]
            peer = best(rows, is_peer)
            for r in sorted(rows.values(), key=lambda r: r["min"]):
                of_limit = share(results, name, r) if kind == "training" else ""
                lines.append(f"| {r['name']} | {r['threads']} | {least(r)} | {span(r['median'])} | {ratio(peer, r)} | {of_limit} |")
            parts.append("\n".join(lines))
    return "\n\n".join(parts)


def share(results: dict, name: str, r: dict) -> str:
    """Of the limit; nothing where the limits were found beside other programs."""
    return "" if results["load"] > BUSY else f"{100 * part_of_limit(results, name, r):.0f} %"


def part_of_limit(results: dict, name: str, r: dict) -> float:
    """The products at the best rate seen, then one pass that reads and writes parameters and moments, over the time taken."""
    threads = r["threads"]
    work = WORKLOADS[name]
    products = work.flops / 1e9 / results["limit"][name][str(threads)]
    update = min(u["min"] for u in results["update"][name].values() if u["threads"] == threads)
    if sum(a * b for a, b in pairwise(work.sizes)) < 4096:
        update = 0.0  # what was measured is the call, not the pass
    return (products + update) / r["min"]


if __name__ == "__main__":
    root = Path(__file__).resolve().parent.parent
    write(root, json.loads((root / "docs" / "benchmarks.json").read_text()))
