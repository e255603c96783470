"""The pictures of docs/estimators.md: a forecast against what came, and the folds of WindowSplit."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
from drawing import BLUE, FAINT, INK, ORANGE, RED, plain
from matplotlib.figure import Figure
from matplotlib.patches import Patch

import nncore as nn
from nncore.estimators import RecurrentRegressor


def forecast() -> Figure:
    """The series of the page, its last 24 steps held out, beside the values of the last period."""
    time = np.arange(600)
    series = 20 + 5 * np.sin(time / 4) + 0.02 * time + np.random.default_rng(0).normal(size=600) / 2
    past, future = nn.split_series(series, validation=24)
    net = RecurrentRegressor(window=24, horizon=6, hidden_sizes=(16,), lr=0.01, epochs=20, random_state=0).fit(past)
    ahead = time[-24:]
    figure, axes = plt.subplots(figsize=(5.6, 3.1), layout="constrained")
    axes.axvline(575.5, color=INK, linewidth=1, linestyle=":")
    axes.plot(time[-84:-24], past[-60:], color=INK, linewidth=1.5, label="past")
    axes.plot(ahead, future, "o", color=INK, markersize=3.5, label="what came")
    axes.plot(ahead, net.forecast(24), color=BLUE, linewidth=2, label="forecast(24)")
    axes.plot(ahead, past[-25:-1], color=ORANGE, linewidth=1.6, linestyle="--", label="a period of 25 steps ago")
    axes.set(xlabel="time step", ylabel="value")
    plain(axes)
    figure.legend(loc="outside upper center", ncols=2, frameon=False, fontsize=10)
    return figure


def folds() -> Figure:
    """The windows that each fold trains on, leaves out and tests."""
    figure, axes = plt.subplots(figsize=(5.6, 2.5), layout="constrained")
    windows = np.zeros((176, 1))
    count = 0
    for fold, (train, test) in enumerate(nn.WindowSplit(4, length=24, horizon=1).split(windows)):
        first, last = test[0], test[-1] + 1
        for start, end, colour in ((train[0], train[-1] + 1, BLUE), (train[-1] + 1, first, FAINT), (first, last, RED)):
            axes.barh(fold + 1, end - start, left=start, height=0.62, facecolor=colour, edgecolor=colour)
        count = max(count, last)
    axes.set(xlabel="window, in the order of time", ylabel="fold", xlim=(0, count), yticks=range(1, 5))
    axes.invert_yaxis()
    plain(axes, grid="x")
    parts = {"training": BLUE, "left out: overlaps": FAINT, "test": RED}
    figure.legend(
        handles=[Patch(color=colour, label=word) for word, colour in parts.items()],
        loc="outside upper center",
        ncols=3,
        frameon=False,
        fontsize=10,
    )
    return figure
