"""The pictures of docs/optimizers.md: the schedules of the page, and the paths of four optimizers."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
from drawing import BLUE, FAINT, GREEN, INK, ORANGE, RED, plain
from matplotlib.figure import Figure

import nncore as nn


def schedules() -> Figure:
    """The learning rates of the page over the updates."""
    rates = {
        "Warmup(Cosine)": nn.schedules.Warmup(nn.schedules.Cosine(3e-3, total_steps=400), steps=20),
        "PerEpoch": nn.schedules.PerEpoch(lambda epoch: 0.1 / (1 + epoch), steps_per_epoch=50),
        "Cyclic": nn.schedules.Cyclic(1e-4, 1e-2, step_size_up=50, mode="triangular2"),
        "Sequential": nn.schedules.Sequential(
            [nn.schedules.Constant(1e-2), nn.schedules.Exponential(1e-2, gamma=0.99)], milestones=[200]
        ),
        "StepDecay": nn.schedules.StepDecay(1e-2, 100, 0.5),
        "OneCycle": nn.schedules.OneCycle(1e-2, total_steps=400),
    }
    figure, panels = plt.subplots(3, 2, figsize=(5.6, 4.4), layout="constrained", sharex=True)
    for axes, (name, rate) in zip(panels.flat, rates.items(), strict=True):
        steps = np.arange(0, 400, 2)
        axes.plot(steps, [rate(int(step)) for step in steps], color=BLUE, linewidth=2)
        axes.set(title=name, xlim=(0, 400))
        axes.set_ylim(bottom=0)
        plain(axes)
    figure.supxlabel("update", fontsize=11)
    figure.supylabel("learning rate", fontsize=11)
    return figure


def paths() -> Figure:
    """Sixty updates of a linear neuron with two weights, whose columns have different scales."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 2)) * (1.0, 0.3)
    best = np.array([1.5, 2.0])
    y = x @ best[:, None]
    kinds = {
        "SGD": (nn.optim.SGD(lr=0.3), ORANGE, "o"),
        "SGD, momentum": (nn.optim.SGD(lr=0.02, momentum=0.9), BLUE, "s"),
        "RMSprop": (nn.optim.RMSprop(lr=0.1), RED, "^"),
        "Adam": (nn.optim.Adam(lr=0.2), GREEN, "D"),
    }
    figure, axes = plt.subplots(figsize=(5.6, 3.8), layout="constrained")
    a, b = np.meshgrid(np.linspace(-2.6, 4.4, 60), np.linspace(-2.6, 3.4, 60))
    moments = x.T @ x / len(x)
    da, db = a - best[0], b - best[1]
    loss = moments[0, 0] * da**2 + 2 * moments[0, 1] * da * db + moments[1, 1] * db**2
    axes.contour(a, b, loss, levels=[0.05, 0.3, 1, 2.5, 5, 9, 14], colors=FAINT, linewidths=1)
    for name, (optimizer, colour, mark) in kinds.items():
        model = nn.Sequential(nn.Linear(2, 1, bias=False), seed=0).build((2,))
        model.load_state_dict({"0.weight": np.array([[-2.0, -2.0]])})
        model.compile(loss="mse", optimizer=optimizer)
        places = [model[0].weight.ravel().copy()]
        for _ in range(60):
            model.train_on_batch(x, y)
            places.append(model[0].weight.ravel().copy())
        axes.plot(*np.array(places).T, color=colour, marker=mark, markersize=3.5, markevery=4, linewidth=1.6, label=name)
    axes.plot(-2, -2, "o", color=INK, markersize=6)
    axes.annotate("start", (-2, -2), (-2.45, -1.75), fontsize=10)
    axes.plot(*best, "*", color=INK, markersize=13, label="the lowest loss")
    axes.set(xlabel="weight of column 1", ylabel="weight of column 2", xlim=(-2.6, 4.4), ylim=(-2.6, 3.4))
    plain(axes)
    axes.grid(visible=False)
    figure.legend(loc="outside upper center", ncols=3, frameon=False, fontsize=10)
    return figure
