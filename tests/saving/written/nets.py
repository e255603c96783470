"""The nets of the files in this folder, and how they are trained on: on data without random numbers or functions of a library.

``python tests/saving/written/nets.py FOLDER`` writes the files with the nncore that is installed; it is run once per version.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from pathlib import Path

import numpy as np

import nncore as nn
from nncore import _core


def numbers(*shape: int, step: int = 37) -> np.ndarray:
    """Numbers from -1 to 1 that every machine has to the bit."""
    return ((np.arange(np.prod(shape)) * step % 64 - 32) / 32).reshape(shape).astype(np.float32)


def mlp() -> nn.Model:
    layers = [nn.Linear(6, 9, l2=0.01), nn.BatchNorm1d(9), nn.ReLU(), nn.Dropout(0.25), nn.Linear(9, 3, max_norm=2.0), nn.Softmax()]
    model = nn.Sequential(*layers, seed=3)
    model.compile(
        "sparse_categorical_crossentropy", nn.optim.Adam(lr=nn.schedules.MultiStep(0.01, [3, 6], gamma=0.5)), ["accuracy"]
    )
    return model


def sequence() -> nn.Model:
    model = nn.Sequential(nn.GRU(3, 5, num_layers=2, return_sequences=True), nn.Linear(5, 2), seed=4).build((7, 3))
    model.compile("mse", nn.optim.RMSprop(lr=0.01, momentum=0.5, clip_norm=1.0))
    return model


def graph() -> nn.Model:
    x, state = nn.Input((4,), name="x"), nn.Input((4,), name="state")
    shared = nn.Linear(4, 4, name="shared")
    h = nn.Tanh()(shared(x)) * nn.Sigmoid()(shared(state)) + 0.5
    outputs = {"value": nn.Linear(4, 1, name="value")(h), "kind": nn.Linear(4, 2, name="kind")(nn.LayerNorm(4)(h))}
    model = nn.Model([x, state], outputs, seed=5, dtype="float64")
    losses = {"value": "huber", "kind": nn.losses.CategoricalCrossentropy(from_logits=True)}
    model.compile(losses, nn.optim.SGD(lr=0.05, momentum=0.9, ema_momentum=0.75), loss_weights={"value": 0.5, "kind": 1.0})
    return model


NETS = {"mlp": mlp, "sequence": sequence, "graph": graph}
DATA = {
    "mlp": (numbers(40, 6), np.arange(40) * 5 % 3),
    "sequence": (numbers(20, 7, 3), numbers(20, 7, 2, step=11)),
    "graph": (
        {"x": numbers(24, 4), "state": numbers(24, 4, step=23)},
        {"value": numbers(24, 1, step=5), "kind": np.eye(2)[np.arange(24) % 2]},
    ),
}


class Half(nn.callbacks.Callback):
    """Ends a training in the middle of its second epoch."""

    def on_train_batch_end(self, batch: int, logs: object = None) -> None:
        if self.model.step == 4:
            self.model.stop_training = True


def train(model: nn.Model, name: str, epochs: int, **options: object) -> nn.History:
    x, y = DATA[name]
    return model.fit(x, y, epochs=epochs, batch_size=16, verbose=0, **options)


def digest(model: nn.Model, history: nn.History) -> str:
    """All bits of the weights and of the losses."""
    found = hashlib.sha256()
    for name, value in model.state_dict().items():
        found.update(name.encode() + np.ascontiguousarray(value).tobytes())
    found.update(np.array(history.history["loss"]).tobytes() + history.step_losses.tobytes())
    return found.hexdigest()


def write(folder: Path) -> None:
    """Write each net after six steps, and what becomes of it in three more epochs."""
    expected = json.loads((folder / "expected.json").read_text()) if (folder / "expected.json").exists() else {}
    for name, make in NETS.items():
        path = folder / f"{_core.__version__}-{name}.safetensors"
        if not path.exists():
            model = make()
            train(model, name, 4, callbacks=[Half()])
            model.save(path)
        model = nn.load(path)
        expected.setdefault(path.name, {})[_core.isa()] = digest(model, train(model, name, 5, resume=True))
    (folder / "expected.json").write_text(json.dumps(expected, indent=1, sort_keys=True) + os.linesep)


if __name__ == "__main__":
    write(Path(sys.argv[1]))
