"""The picture of a report: the losses, the gradients by layer, and the units of each activation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..foreign.figure import BLUE, ORANGE, RED, new_figure, style

if TYPE_CHECKING:
    from .report import Report


def draw(report: Report) -> Any:
    """Return the figure of `Report.plot`."""
    names, layers = list(report.gradients), list(report.units)
    norms = np.array([report.gradients[name] for name in names])
    norms = np.where((norms > 0) & (norms < np.inf), norms, np.nan)
    with style():
        heights = [2.6, *(max(1.8, 0.9 + 0.2 * len(each)) for each in (names, layers))]
        figure = new_figure(5.6, sum(heights))  # one above the other: a phone shows 5.6 inches legibly
        losses, gradients, units = figure.subplots(3, height_ratios=heights)
        _draw_losses(losses, report)
        gradients.barh(range(len(names)), norms, color=BLUE)
        gradients.set(title="gradient of the weights", xlabel="norm", xscale="log", yticks=range(len(names)), yticklabels=names)
        gradients.xaxis.set_minor_formatter("")
        if np.isfinite(norms).any():  # whole powers of ten, so that their labels have room
            gradients.set_xlim(10 ** np.floor(np.log10(np.nanmin(norms)) - 0.01), 10 ** np.ceil(np.log10(np.nanmax(norms)) + 0.01))
        for offset, (label, color) in enumerate((("dead", RED), ("saturated", ORANGE))):
            at = [i + 0.4 * offset - 0.2 for i in range(len(layers))]
            units.barh(at, [100 * report.units[name][offset] for name in layers], 0.38, color=color, label=label)
        units.set(title="units", xlabel="per cent", xlim=(0, 100), yticks=range(len(layers)), yticklabels=layers)
        for axes, count in ((gradients, len(names)), (units, len(layers))):
            axes.set_ylim(max(count, 1) - 0.5, -0.5)  # the first layer above
            axes.tick_params(axis="y", labelsize=9)
        if layers:
            units.legend()
    return figure


def _draw_losses(axes: Any, report: Report) -> None:
    """Draw the loss of each step, their running mean, and the loss of a constant answer."""
    count, shown = len(report.losses), np.where(np.isfinite(report.losses), report.losses, np.nan)
    steps = np.arange(1, count + 1)
    axes.plot(steps, shown, color="0.7", linewidth=0.8, label="each step")
    if count > 20:
        width = max(5, count // 30)
        mean = np.convolve(shown, np.full(width, 1 / width), "valid")
        axes.plot(steps[width - 1 :], mean, color=BLUE, label=f"mean of {width} steps")
    if np.isfinite(report.chance):
        axes.axhline(report.chance, color=ORANGE, linestyle="--", label="a constant answer")
    axes.set(title=", ".join(each.code for each in report.verdicts[:2]), xlabel="step", ylabel="loss", xlim=(0, max(count, 1)))
    if (lost := count - int(np.isfinite(report.losses).sum())) or not count:
        said = f"no finite number in {lost:,} of {count:,} steps" if count else "nothing was trained"
        axes.text(0.5, 0.5, said, ha="center", transform=axes.transAxes)
    if count:
        axes.legend()
