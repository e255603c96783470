"""The picture of docs/c.md: what storing weights in fewer bits saves and costs."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
from drawing import BLUE, ORANGE, plain
from matplotlib.figure import Figure

import nncore as nn

KINDS = (None, "float16", "bfloat16", "int8")


def bits() -> Figure:
    """Flash and largest error of a GRU of 32 units that was trained, for each way to store its weights."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(600, 20, 8)).astype(np.float32)
    y = np.stack([np.tanh(x[:, :, 0].mean(axis=1)), x[:, -1, 1]], axis=1)
    model = nn.Sequential(nn.GRU(8, 32), nn.Linear(32, 2), seed=0)
    model.compile(loss="mse", optimizer=nn.optim.Adam(lr=0.01))
    model.fit(x, y, epochs=10, verbose=0)
    files = [model.to_c(weights=kind, calibration=None if kind is None else x) for kind in KINDS]
    figure, (flash, error) = plt.subplots(1, 2, figsize=(5.6, 2.5), layout="constrained", sharey=True)
    labels = ["float32\n(default)", *KINDS[1:]]
    flash.barh(labels, [file.flash / 1000 for file in files], color=BLUE, height=0.6)
    flash.set(xlabel="constants in flash, kB")
    error.plot([100 * file.error.max for file in files[1:]], labels[1:], "o", color=ORANGE, markersize=9)
    error.set(xlabel="largest error, % of the spread", xscale="log", xlim=(0.02, 2))
    error.set_xticks([0.02, 0.05, 0.1, 0.2, 0.5, 1, 2], [".02", ".05", ".1", ".2", ".5", "1", "2"])
    error.minorticks_off()
    flash.invert_yaxis()
    plain(flash, error)
    return figure
