"""The pictures of docs/saving.md: what lies in a file, and training that goes on from one."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from drawing import BLUE, GREEN, INK, ORANGE, RED, plain
from matplotlib.figure import Figure
from matplotlib.patches import Patch

import nncore as nn

PARTS = {"description, as JSON": INK, "weights": BLUE, "first moments of Adam": ORANGE, "second moments of Adam": GREEN}


def _model() -> tuple[nn.Sequential, np.ndarray, np.ndarray]:
    """Return the net of the page with its data."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2000, 20))
    y = x[:, :3].argmax(axis=1)
    model = nn.Sequential(nn.Linear(20, 32), nn.ReLU(), nn.Linear(32, 3), nn.Softmax(), seed=0)
    model.compile(loss="sparse_categorical_crossentropy", optimizer="adam", metrics=["accuracy"])
    return model, x, y


def file() -> Figure:
    """The bytes of the file of a compiled model, from its first to its last."""
    model, x, y = _model()
    model.fit(x, y, epochs=2, verbose=0)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.safetensors"
        model.save(path)
        content = path.read_bytes()
    head = 8 + int.from_bytes(content[:8], "little")
    tensors = {name: entry["data_offsets"] for name, entry in json.loads(content[8:head]).items() if name != "__metadata__"}
    figure, axes = plt.subplots(figsize=(5.6, 1.9), layout="constrained")
    pieces = [(0, head, "description, as JSON")]
    for name, (start, end) in tensors.items():
        kind = "first moments of Adam" if "moment0" in name else "second moments of Adam" if "moment1" in name else "weights"
        pieces.append((head + start, head + end, kind))
    for start, end, kind in pieces:
        axes.barh(0, (end - start) / 1000, left=start / 1000, height=0.5, facecolor=(PARTS[kind], 0.3), edgecolor=PARTS[kind])
    axes.set(xlabel="place in the file, kB", yticks=[], xlim=(0, len(content) / 1000))
    axes.spines[["top", "right", "left"]].set_visible(False)
    handles = [Patch(facecolor=(colour, 0.3), edgecolor=colour, label=kind) for kind, colour in PARTS.items()]
    figure.legend(handles=handles, loc="outside upper center", ncols=2, frameon=False, fontsize=10)
    return figure


def resume() -> Figure:
    """The loss of each step, in one go and with a stop in the middle of an epoch."""
    model, x, y = _model()
    whole = model.fit(x, y, epochs=4, batch_size=100, verbose=0)
    stopped, _, _ = _model()

    class Stop(nn.callbacks.Callback):
        def on_train_batch_end(self, batch: int, logs: object = None) -> None:
            if self.model.step == 33:
                self.model.stop_training = True

    first = stopped.fit(x, y, epochs=4, batch_size=100, verbose=0, callbacks=[Stop()])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.safetensors"
        stopped.save(path)
        again = nn.load(path)
    rest = again.fit(x, y, epochs=4, batch_size=100, verbose=0, resume=True)
    figure, axes = plt.subplots(figsize=(5.6, 2.9), layout="constrained")
    axes.plot(whole.steps, whole.step_losses, color=INK, linewidth=1.2, label="in one go")
    for start, run, colour, mark, name in ((0, first, BLUE, "o", "until the stop"), (33, rest, RED, "D", "from the file")):
        axes.plot(np.array(run.steps) + start, run.step_losses, mark, color=colour, markersize=4, label=name)
    axes.axvline(33, color=INK, linewidth=1, linestyle=":")
    axes.set(xlabel="update", ylabel="loss of the step")
    plain(axes)
    figure.legend(loc="outside upper center", ncols=3, frameon=False, fontsize=10)
    return figure
