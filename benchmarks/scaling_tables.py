"""The tables of docs/scaling.md and its picture, from what scaling.py has measured."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import report
from scaling_model import LSTM, MACHINES, NETWORKS, SMALLEST, Net, Network, allreduce, constants, step

#: Colours that the colour-blind can tell apart (Okabe and Ito), with a mark for each.
MARKS = {
    "1 Gb Ethernet": ("#D55E00", "o"),
    "10 Gb Ethernet": ("#E69F00", "s"),
    "25 Gb RDMA": ("#56B4E9", "^"),
    "100 Gb InfiniBand": ("#0072B2", "D"),
}
STYLE = {"svg.fonttype": "none", "svg.hashsalt": "nncore", "font.family": "sans-serif", "font.size": 11}
EVERY = (10, 100)


def nets(results: dict[str, Any]) -> dict[str, Net]:
    """Return the constants of the nets. What a step costs beside computation and sums is taken from the smallest net, for all."""
    found = {}
    for name, each in results["nets"].items():
        times = {int(rows): seconds for rows, seconds in each["times"].items()}
        found[name] = Net(each["batch"], each["parameters"], each["moments"], times, 0.0)
    beside = results["ranks"]["2"]["steps"][SMALLEST] - step(found[SMALLEST], 2, here(results), results["gamma"])
    return {name: net._replace(fixed=max(0.0, beside)) for name, net in found.items()}


def here(results: dict[str, Any]) -> Network:
    return constants({int(size): seconds for size, seconds in results["ranks"]["2"]["sums"].items()}, results["gamma"])


def blocks(results: dict[str, Any]) -> dict[str, str]:
    """Return each table by the name of its place in the page."""
    return {
        "scaling-machine": about(results),
        "scaling-constants": of_nets(results),
        "scaling-sums": sums(results),
        "scaling-check": check(results),
        "scaling-strong": strong(results),
        "scaling-weak": weak(results),
        "scaling-saving": saving(results),
    }


def write(root: Path, results: dict[str, Any]) -> None:
    report.splice(root / "docs" / "scaling.md", blocks(results))
    draw(results, root / "docs" / "scaling.svg")


def span(seconds: float) -> str:
    """Return a time with three digits and its unit."""
    for unit, factor in (("s", 1), ("ms", 1e3), ("µs", 1e6)):
        if seconds * factor >= 1 or unit == "µs":
            value = seconds * factor
            return f"{value:.0f} {unit}" if value >= 100 else f"{value:.1f} {unit}" if value >= 10 else f"{value:.2f} {unit}"
    raise AssertionError


def table(heads: list[str], rows: list[list[str]]) -> str:
    lines = [f"| {' | '.join(heads)} |", "|---|" + "---:|" * (len(heads) - 1)]
    return "\n".join(lines + [f"| {' | '.join(row)} |" for row in rows])


def about(results: dict[str, Any]) -> str:
    m, load, network = results["machine"], results["load"], here(results)
    busy = (
        f" Other programs kept {load:.1f} processors busy, so these figures are a first impression." if load > report.BUSY else ""
    )
    return (
        f"{m['cpu']}, {m['cores']} cores, one thread per rank; least times.{busy} Between two ranks here, a message takes "
        f"alpha = {span(network.alpha)} and 1/beta = {1e-9 / network.beta:.1f} GB/s; a sum of two arrays in memory takes gamma = "
        f"{1e9 * results['gamma']:.3f} ns per byte. Beside computation and sums, a step of ranks takes "
        f"{span(nets(results)[SMALLEST].fixed)}: Python and two calls of mpi4py."
    )


def of_nets(results: dict[str, Any]) -> str:
    rows = []
    for name, net in nets(results).items():
        sent, batch = net.parameters * 4, net.batch
        few = net.compute(max(1, batch / 16))
        size = f"{sent / 1e6:.1f} MB" if sent >= 1e6 else f"{sent / 1e3:.1f} kB"
        rows.append([name, str(batch), f"{net.parameters:,}", size, span(net.compute(batch)), span(few)])
    heads = ["net", "batch", "parameters", "gradient", "step", "step with 1/16 of the rows"]
    return table(heads, rows)


def sums(results: dict[str, Any]) -> str:
    network, gamma = here(results), results["gamma"]
    two, four = results["ranks"]["2"]["sums"], results["ranks"]["4"]["sums"]
    rows = [
        [f"{int(size):,}", span(two[size]), span(allreduce(int(size), 2, network, gamma)), span(four[size])]
        for size in sorted(two, key=int)
    ]
    return table(["bytes", "2 ranks, measured", "2 ranks, model", "4 ranks on the same cores, measured"], rows)


def check(results: dict[str, Any]) -> str:
    """The steps of ranks as measured and as the model has them. Ranks beyond the processors take turns."""
    network, gamma, cores = here(results), results["gamma"], int(results["machine"]["cores"])
    rows = []
    for name, net in nets(results).items():
        cells = [name, span(results["ranks"]["1"]["steps"][name])]
        for p in (2, 4):
            measured = results["ranks"][str(p)]["steps"][name]
            turns = max(1, p / cores)
            model = step(net, p, network, gamma) + (turns - 1) * (net.compute(net.batch / p) + net.fixed)
            cells += [span(measured), span(model), f"{model / measured - 1:+.0%}"]
        rows.append(cells)
    heads = ["net", "1 rank", "2 ranks, measured", "model", "off by", "4 ranks, measured", "model", "off by"]
    return table(heads, rows)


def _first(gains: Callable[[int], float]) -> str:
    """Say from how many machines on it is quicker than one, how many are best, and up to how many each does at least half."""
    found = {p: gains(p) for p in MACHINES}
    pays = [p for p, gain in found.items() if gain > 1]
    if not pays:
        return f"never (2: {found[2]:.2f}x)"
    best, half = max(found, key=lambda p: found[p]), max((p for p in pays if found[p] >= p / 2), default=0)
    worth = f"; each does half up to {half}" if half else ""
    return f"from {pays[0]}{worth}; best {found[best]:.3g}x with {best}"


def strong(results: dict[str, Any]) -> str:
    gamma = results["gamma"]
    rows = []
    for name, net in nets(results).items():
        most = [p for p in MACHINES if p <= net.batch]

        def gain(p: int, network: Network, net: Net = net, most: list[int] = most) -> float:
            return net.compute(net.batch) / step(net, p, network, gamma) if p in most else 0.0

        rows.append([name, *(_first(lambda p, network=network, gain=gain: gain(p, network)) for network in NETWORKS.values())])
    return table(["net, batch as above", *NETWORKS], rows)


def weak(results: dict[str, Any]) -> str:
    """The rows per second of so many machines that each have a whole batch, against one."""
    gamma, counts = results["gamma"], (2, 4, 16, 64)
    rows = []
    for name, net in nets(results).items():
        cells = []
        for network in NETWORKS.values():
            gains = [p * net.compute(net.batch) / step(net, p, network, gamma, rows=net.batch) for p in counts]
            cells.append(" / ".join(f"{gain:.2g}" if gain < 10 else f"{gain:.0f}" for gain in gains))
        rows.append([name, *cells])
    return table([f"rows per second with {', '.join(map(str, counts))} machines", *NETWORKS], rows)


def saving(results: dict[str, Any]) -> str:
    """What less communication changes with 8 machines: gradients of two bytes, and averages after k steps."""
    gamma, p = results["gamma"], 8
    rows = []
    for name, net in nets(results).items():
        for title in ("1 Gb Ethernet", "10 Gb Ethernet", "100 Gb InfiniBand"):
            network = NETWORKS[title]
            times = [step(net, p, network, gamma), step(net, p, network, gamma, size=2)]
            times += [step(net, p, network, gamma, every=k) for k in EVERY]
            rows.append([f"{name}, {title}", *(f"{net.compute(net.batch) / each:.2f}x" for each in times)])
    return table(["8 machines", "as it is", "bfloat16 gradients", *(f"`sync_every={k}`" for k in EVERY)], rows)


def draw(results: dict[str, Any], path: Path) -> None:
    """The gain of p machines over one with the same batch, a panel for each net; legible where it is 390 pixels wide."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator
    from picture import save

    shown = {name: net for name, net in nets(results).items() if name != LSTM}
    with plt.rc_context(STYLE):
        figure, panels = plt.subplots(len(shown), 1, figsize=(5.4, 2.6 * len(shown)), layout="constrained", sharex=True)
        for axes, (name, net) in zip(panels, shown.items(), strict=True):
            counts = [1, *(p for p in MACHINES if p <= min(net.batch, 128))]
            axes.axhline(1, color="#808080", linewidth=1)
            axes.plot(counts, counts, color="#808080", linestyle=":", label="ideal")
            for title, (colour, mark) in MARKS.items():
                gains = [1.0] + [net.compute(net.batch) / step(net, p, NETWORKS[title], results["gamma"]) for p in counts[1:]]
                axes.plot(counts, gains, color=colour, marker=mark, markersize=6, linewidth=1.8, label=title)
            axes.set(xscale="log", yscale="log", ylim=(0.02, 64), ylabel="times as fast as one")
            axes.set_title(f"{name}, batch {net.batch}", fontsize=11)
            axes.yaxis.set_major_locator(FixedLocator([0.1, 1, 10]))
            axes.yaxis.set_minor_locator(NullLocator())
            axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}x"))
            axes.grid(alpha=0.3)
        panels[-1].set_xlabel("machines (one thread each), same batch in all")
        panels[-1].xaxis.set_major_locator(FixedLocator([1, 2, 4, 8, 16, 32, 64, 128]))
        panels[-1].xaxis.set_minor_locator(NullLocator())
        panels[-1].xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=2, frameon=False, fontsize=10)
        save(figure, path)
