"""The rows that headline.py has measured: what a workload is called, which contestants to compare, and times and ratios as text."""

from __future__ import annotations

from workloads import WORKLOADS


def describe(name: str) -> str:
    work = WORKLOADS[name]
    kind = {"sgd": "SGD", "adam": "Adam"}[work.optimizer]
    norm = "BatchNorm, " if work.batch_norm else ""
    dropout = f", Dropout {work.dropout:g}" if work.dropout else ""
    return f"{name.split()[0]} {norm}{work.activation}{dropout}, batch {work.batch}, {kind}"


def named(name: str):
    return lambda r: r["name"] == name


def is_peer(r: dict) -> bool:
    return not r["name"].startswith("nncore")


def is_stepwise(r: dict) -> bool:
    """A peer that is called once per batch, as train_on_batch is; the others get many batches in one call."""
    return is_peer(r) and r["name"] not in ("JAX scan", "scikit-learn")


def best(rows: dict, test) -> dict | None:
    return min((r for r in rows.values() if test(r)), key=lambda r: r["min"], default=None)


def span(seconds: float) -> str:
    value, unit = (1e6 * seconds, "µs") if seconds < 1e-3 else (1e3 * seconds, "ms")
    return f"{value:.{2 if value < 10 else 1 if value < 100 else 0}f} {unit}"


def least(r: dict | None) -> str:
    return span(r["min"]) if r else ""


def who(r: dict | None) -> str:
    return f"({r['name']}, {r['threads']} thr.)" if r else ""


def ratio(peer: dict | None, ours: dict | None) -> str:
    """How many times faster than the peer; below 1 the peer wins, and the table says so."""
    if not peer or not ours:
        return ""
    times = peer["min"] / ours["min"]
    return f"{times:.{0 if times >= 20 else 1 if times >= 2 else 2}f}x"
