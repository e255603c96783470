"""The picture of a report: the losses, the gradients by layer, and the units of each activation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..foreign.figure import BLUE, ORANGE, RED, new_figure, style

if TYPE_CHECKING:
    from .report import Report


def draw(report: Report) -> Any:
    """Return the figure of `Report.plot`."""
    with style():
        figure = new_figure(12, 4)
        losses, gradients, units = figure.subplots(1, 3)
        steps = np.arange(1, len(report.losses) + 1)
        losses.plot(steps, report.losses, color="0.7", linewidth=0.8, label="each step")
        if len(report.losses) > 20:
            width = max(5, len(report.losses) // 30)
            smooth = np.convolve(report.losses, np.full(width, 1 / width), "valid")
            losses.plot(steps[width - 1 :], smooth, color=BLUE, label=f"mean of {width} steps")
        if np.isfinite(report.chance):
            losses.axhline(report.chance, color=ORANGE, linestyle="--", label="a constant answer")
        losses.set(title=", ".join(each.code for each in report.verdicts[:2]), xlabel="step", ylabel="loss")
        losses.legend(fontsize=8)
        names = list(report.gradients)
        gradients.barh(range(len(names)), [max(report.gradients[name], 1e-30) for name in names], color=BLUE)
        gradients.set(title="gradient of the weights", xlabel="norm", xscale="log", yticks=range(len(names)), yticklabels=names)
        gradients.invert_yaxis()
        layers = list(report.units)
        for offset, (label, color) in enumerate((("dead", RED), ("saturated", ORANGE))):
            at = [i + 0.4 * offset - 0.2 for i in range(len(layers))]
            units.barh(at, [100 * report.units[name][offset] for name in layers], 0.38, color=color, label=label)
        units.set(title="units", xlabel="per cent", xlim=(0, 100), yticks=range(len(layers)), yticklabels=layers)
        if layers:
            units.invert_yaxis()
            units.legend(fontsize=8)
    return figure
