"""Why a net does not learn: gradients that vanish in ten layers, and ReLUs that die. With pictures.

    python examples/vanishing_gradients.py (needs matplotlib)

The first part is a chain of ten Sigmoid layers. The gradient becomes smaller in every layer. It does not vanish with LeakyReLU
and He initialization, or with BatchNorm.

The second part has ReLUs and a learning rate that is far too high. After a large step, some units are 0 for all data. They pass
no gradient on, so they stay at 0. They are dead, and the net returns a constant. Then LeakyReLUs replace the ReLUs, with the same
weights. They pass the gradient on, and the net learns again.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

import nncore as nn

OUT = Path(__file__).resolve().parent.parent / "out"
DEPTH, WIDTH, EPOCHS = 10, 32, 40


def chain(kind: str) -> nn.Sequential:
    """Return a model of ten hidden layers of one kind."""
    layers: list[nn.Layer] = []
    for i in range(DEPTH):
        layers.append(nn.Linear(WIDTH if i else 2, WIDTH, weight_init="he_normal" if kind == "LeakyReLU, He" else "xavier_uniform"))
        if kind == "BatchNorm, Sigmoid":
            layers.append(nn.BatchNorm1d(WIDTH))
        layers.append(nn.LeakyReLU() if kind == "LeakyReLU, He" else nn.Sigmoid())
    model = nn.Sequential(*layers, nn.Linear(WIDTH, 1), nn.Sigmoid(), seed=0)
    model.compile(loss="binary_crossentropy", optimizer=nn.optim.SGD(lr=0.01, momentum=0.9), metrics=["accuracy"])
    return model


def norms(model: nn.Sequential, found: nn.callbacks.Diagnostics, epoch: int) -> list[float]:
    """Return the gradient norm of the weight of each Linear layer, from the first to the last."""
    return [found.gradient_norm[f"{i}.weight"][epoch] for i, layer in enumerate(model) if isinstance(layer, nn.Linear)]


def vanishing() -> Figure:
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (1000, 2)).astype(np.float32)
    y = (x[:, 0] * x[:, 1] > 0).astype(np.float32)
    figure = Figure(figsize=(11, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    print(f"{'gradient of layer':22}{'1':>10}{DEPTH + 1:>10}     ratio   accuracy after {EPOCHS} epochs")
    for kind in ("Sigmoid", "LeakyReLU, He", "BatchNorm, Sigmoid"):
        model, found = chain(kind), nn.callbacks.Diagnostics(every=1)
        history = model.fit(x, y, epochs=EPOCHS, batch_size=50, callbacks=[found], verbose=0).history
        first = norms(model, found, 0)
        print(f"{kind:22}{first[0]:10.1e}{first[-1]:10.1e}{first[0] / first[-1]:10.1e}   {history['accuracy'][-1]:.0%}")
        left.plot(range(1, DEPTH + 2), first, "o-", label=kind)
        right.plot(range(1, EPOCHS + 1), history["accuracy"], label=kind)
    left.set(xlabel="layer", ylabel="norm of its gradient", yscale="log", title="first epoch")
    right.set(xlabel="epoch", ylabel="accuracy", title="what becomes of it")
    left.legend()
    right.legend()
    return figure


def two_layers(activation: type[nn.Layer], lr: float) -> nn.Sequential:
    model = nn.Sequential(nn.Linear(10, 64), activation(), nn.Linear(64, 64), activation(), nn.Linear(64, 1), seed=0)
    model.compile(loss="mse", optimizer=nn.optim.Adam(lr=lr))
    return model


def dead(found: nn.callbacks.Diagnostics) -> list[float]:
    """Return the fraction of dead units in the second layer, per epoch."""
    (second,) = (values for name, values in found.dead_fraction.items() if name.startswith("layer 3"))
    return second


def dying() -> Figure:
    rng = np.random.default_rng(1)
    x = rng.normal(size=(400, 10)).astype(np.float32)
    y = 2 * abs(x[:, 0]) - 5
    figure = Figure(figsize=(11, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    victim, found = two_layers(nn.ReLU, 0.3), nn.callbacks.Diagnostics(every=1)
    loss = victim.fit(x, y, epochs=20, batch_size=40, callbacks=[found], verbose=0).history["loss"]
    print(f"{'':30}{'loss':>7}   dead units of layer 2   gradient of layer 1")
    report("ReLU, learning rate 0.3", found, loss)
    left.plot(range(1, 21), dead(found), "k", label="ReLU, learning rate 0.3")
    right.plot(range(1, 21), loss, "k", label="ReLU, learning rate 0.3")
    for label, activation, style in (
        ("ReLU, learning rate 0.01", nn.ReLU, "--"),
        ("LeakyReLU, the same weights", nn.LeakyReLU, "-"),
    ):
        model, later = two_layers(activation, 1e-2), nn.callbacks.Diagnostics(every=1)
        model.load_state_dict(victim.state_dict())
        then = model.fit(x, y, epochs=120, batch_size=40, callbacks=[later], verbose=0).history["loss"]
        report(label, later, then)
        left.plot(range(21, 141), dead(later), style, label=label)
        right.plot(range(21, 141), then, style, label=label)
    left.set(xlabel="epoch", ylabel="dead units", ylim=(-0.02, 1.02), title="units of layer 2 that are 0 for every sample")
    right.set(xlabel="epoch", ylabel="loss", yscale="log", title="loss")
    left.legend(loc="center right")
    right.legend(loc="upper right")
    left.set_ylim(-0.02, 1.1)
    return figure


def report(label: str, found: nn.callbacks.Diagnostics, loss: list[float]) -> None:
    print(f"{label:30}{loss[-1]:7.3f}{dead(found)[-1]:24.0%}{found.gradient_norm['0.weight'][-1]:22.1e}")


def main() -> None:
    OUT.mkdir(exist_ok=True)
    for name, draw in (("vanishing", vanishing), ("dying", dying)):
        path = OUT / f"gradients-{name}.png"
        draw().savefig(path, dpi=120)
        print(f"picture: {os.path.relpath(path)}\n")


if __name__ == "__main__":
    main()
