"""Turns the results of precision.py and accuracy.py into the tables of docs/precision.md, between the markers that stand there, and
into the picture beside them, docs/precision.svg.

python benchmarks/precision_tables.py       write them anew from docs/benchmarks_precision.json
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import report
from precision_contests import NNCORE, RESULTS, Claim, Contest, contests, identity, with_before
from rows import best, least, span

ISAS = {"baseline": "scalar", "avx2": "AVX2", "avx512": "AVX-512", "amx": "AMX"}
WHEEL = 2.0  #: MB at most
NO_AMX = "skipped: this CPU has no AMX"
NAMES = {"nncore fit": "float32", "nncore model(x)": "float32", "nncore bfloat16": "bfloat16", "nncore int8": "int8"}


class Line(NamedTuple):
    """One line of the table of claims."""

    what: str
    measured: str
    wanted: str
    verdict: str


def write(root: Path, results: dict) -> None:
    blocks = {}
    if "contests" in results:
        blocks |= {"precision-machine": about(results), "precision": claims(results), "precision-detail": detail(results)}
    if "accuracy" in results:
        from curves import draw

        blocks["accuracy"] = accuracy(results["accuracy"])
        draw(results["accuracy"], root / "docs" / "precision.svg")
    report.splice(root / "docs" / "precision.md", blocks)


def about(results: dict) -> str:
    m, load = results["machine"], results["load"]
    isas = ", ".join(ISAS.get(isa, isa) for isa in results["isas"])
    amx = "" if "amx" in results["isas"] else " This CPU has no AMX."
    busy = f" Other programs kept {load:.1f} processors busy, so: a first impression." if load > report.BUSY else ""
    versions = ", ".join(f"{p} {m[p]}" for p in ("numpy", "torch", "onnxruntime") if m[p] != "not installed")
    return (
        f"{m['cpu']}, {m['cores']} cores ({isas}); {versions}. Minimum of {results['rounds']} interleaved rounds, two threads "
        f"unless said.{amx}{busy}"
    )


def claims(results: dict) -> str:
    lines = ["| | measured | must reach | reached |", "|---|---:|---:|---|"]
    return "\n".join(lines + [f"| {line.what} | {line.measured} | {line.wanted} | {line.verdict} |" for line in every(results)])


def every(results: dict) -> Iterator[Line]:
    """Each claim as one line; contests that were not measured are left out."""
    for each in contests():
        rows = results["contests"].get(identity(each))
        if rows:
            yield from (_line(results, each, claim, rows) for claim in each.claims)
            if each.of_limit:
                yield _of_limit(results, each, rows)
    if results.get("before"):
        yield _slowest(results["before"])
    if results.get("wheel"):
        size = results["wheel"] / 1e6
        yield Line("size of the wheel", f"{size:.2f} MB", f"≤ {WHEEL:.1f} MB", _verdict(size <= WHEEL))
    if "bits" in results:
        yield _bits(results["bits"])
    for name, task in results.get("accuracy", {}).get("tasks", {}).items():
        yield Line(
            f"accuracy of bfloat16, {name}: mean of {len(task['bfloat16']['accuracies'])} seeds against float32",
            f"{task['difference']:+.4f}",
            f"± {task['float32']['sd']:.4f}, the deviation of float32 over seeds",
            _verdict(abs(task["difference"]) <= task["float32"]["sd"]),
        )


def _verdict(reached: bool) -> str:
    return "yes" if reached else "**no**"


def _named(names: tuple[str, ...]):
    return lambda r: r["name"].split(", ")[0] in names and not r["name"].endswith(", before")


def _line(results: dict, each: Contest, claim: Claim, rows: dict) -> Line:
    def called(name: str) -> str:
        return NAMES.get(name, name)

    against = " or ".join(called(name) for name in claim.theirs)
    threads = ", one thread" if each.threads == 1 else ", two threads" if each.kind == "inference" else ""
    what = f"{each.title}{threads}: {called(claim.ours)} against {against}"
    wanted = f"≤ {1 / claim.least:.2g}x the time" if claim.as_time else f"≥ {claim.least:g}x"
    ours, theirs = best(rows, _named((claim.ours,))), best(rows, _named(claim.theirs))
    if claim.amx and "amx" not in results["isas"]:
        return Line(what, "", wanted, NO_AMX)
    if not ours or not theirs:
        return Line(what, "", wanted, "not measured")
    times = theirs["min"] / ours["min"]
    found = f"{1 / times:.2f}x the time" if claim.as_time else f"{times:.2f}x"
    return Line(what, f"{found} ({least(ours)} against {least(theirs)})", wanted, _verdict(times >= claim.least))


def _of_limit(results: dict, each: Contest, rows: dict) -> Line:
    """Of float32: the same share as in docs/benchmarks.md; said of a machine at rest only."""
    what, wanted = f"{each.title}: float32, part of the limit", f"≥ {100 * each.of_limit:.0f} %"
    ours = best(rows, _named((NNCORE,)))
    if not ours or results["load"] > report.BUSY:
        return Line(what, "", wanted, "not measured: other programs ran")
    part = report.part_of_limit(results, each.work, ours)
    return Line(what, f"{100 * part:.0f} %", wanted, _verdict(part >= each.of_limit))


def before(results: dict) -> Iterator[tuple[float, str]]:
    """Of each row that an earlier nncore took part in: how many times as fast as that one it is, and what it is."""
    for each in with_before():
        for claim in each.claims:
            rows = results.get(identity(each), {})
            ours = best(rows, lambda r, claim=claim: r["name"] == claim.ours)
            theirs = best(rows, lambda r, claim=claim: r["name"] in claim.theirs)
            if ours and theirs:
                yield theirs["min"] / ours["min"], f"{each.title}, {'float64' if 'float64' in claim.ours else 'float32'}"


def _slowest(results: dict) -> Line:
    times, what = min(before(results))
    slower = sum(ratio < 0.97 for ratio, _ in before(results))
    return Line(
        "float32 and float64 against nncore before: the slowest row",
        f"{times:.2f}x as fast ({what}); {slower} of {len(list(before(results)))} below 0.97x",
        "≥ 0.97x",
        _verdict(times >= 0.97),
    )


def _bits(found: dict) -> Line:
    equal = [ISAS.get(isa, isa) for isa, names in found["different"].items() if not names]
    other = [f"{ISAS.get(isa, isa)}: {len(names)} differ" for isa, names in found["different"].items() if names]
    return Line(
        f"bits of {found['runs']} runs on each instruction set: 1, 2, 3 and 7 threads, batches of 1, 31, 33 and 64 with a short "
        "last one, resumed from a file, int8 predictions",
        "; ".join([f"equal on {', '.join(equal)}", *other]),
        "equal on all",
        _verdict(not other),
    )


def detail(results: dict) -> str:
    """Every contestant, minimum and median."""
    parts = []
    for title, rows in results["contests"].items():
        lines = [f"### {title[0].upper()}{title[1:]}", "", "| contestant | threads | minimum | median |", "|---|---:|---:|---:|"]
        fastest_first = sorted(rows.values(), key=lambda r: r["min"])
        lines += [f"| {r['name']} | {r['threads']} | {least(r)} | {span(r['median'])} |" for r in fastest_first]
        parts.append("\n".join(lines))
    if results.get("before"):
        lines = ["### Float32 and float64 against nncore before", "", "| | times as fast |", "|---|---:|"]
        parts.append("\n".join(lines + [f"| {what} | {times:.2f}x |" for times, what in before(results["before"])]))
    return "\n\n".join(parts)


def accuracy(found: dict) -> str:
    """One row for each task; a cell is the mean over the seeds and their standard deviation."""
    heads = list(next(iter(found["tasks"].values()))["shown"])
    columns = ["float32", "bfloat16", "bfloat16 minus float32", "largest of one seed", *heads]
    lines = [f"| test accuracy, {found['seeds']} seeds | {' | '.join(columns)} |", "|---|" + "---:|" * len(columns)]
    for name, task in found["tasks"].items():

        def cell(column: str, task: dict = task) -> str:
            one = task.get(column)
            return f"{one['mean']:.4f} ± {one['sd']:.4f}" if one else ""

        others = " | ".join(cell(head) for head in heads)
        lines.append(
            f"| {name} | {cell('float32')} | {cell('bfloat16')} | {task['difference']:+.4f} | {task['largest']:.4f} | {others} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    write(RESULTS.parent.parent, json.loads(RESULTS.read_text()))
