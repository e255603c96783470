r"""
Over-fitting, and what helps against it
=======================================

A large net can learn a few rows by heart, with whatever is accidental in them. It is then right on the rows that it has seen,
and wrong on new ones: it **over-fits**. The sign is a gap. The loss of the training rows falls on and on, and that of other rows, the **validation** rows, rises
again.

The best remedy is more rows. If there are none:

* **L2** adds the squares of the weights to the loss, :math:`L + \text{l2} \sum w^2`. Small weights make smooth answers.
* **Dropout** sets each unit to 0 with probability :math:`p` in every training step, and multiplies the others by :math:`1 / (1 - p)`. No
  unit can rely on another one.
* **Noise** on the inputs, :math:`x + \mathcal{N}(0, \text{stddev}^2)`: each row is somewhere else each time, so that no row can be learned
  by heart.
* **Early stopping** ends the training when the validation loss has not become smaller for some epochs, and takes the best weights back.

Fifty rows of two half-moons that overlap, and a net that is far too large for them:
"""

import matplotlib.pyplot as plt
import numpy as np

import nncore as nn

rng = np.random.default_rng(5)
REMEDIES = {
    "no remedy": {},
    "L2": {"l2": 0.003},
    "dropout": {"p": 0.5},
    "noise": {"stddev": 0.3},
    "early stopping": {"patience": 20},
}


def moons(n):
    """Return n points, and the half-moon to which each belongs."""
    y, angle = rng.integers(0, 2, n), rng.uniform(0, np.pi, n)
    x = np.stack([np.cos(angle) + y, (1 - 2 * y) * np.sin(angle) + y / 2], axis=1)
    return x + rng.normal(0, 0.35, (n, 2)), y


def train(l2=0.0, p=0.0, stddev=0.0, patience=None):
    """Return a trained net and its history. Layers with p=0 or stddev=0 do nothing."""
    layers = [nn.GaussianNoise(stddev)]
    for inputs in (2, 64):
        layers += [nn.Linear(inputs, 64), nn.ReLU(), nn.Dropout(p)]
    model = nn.Sequential(*layers, nn.Linear(64, 1), nn.Sigmoid(), seed=0)
    model.compile("binary_crossentropy", nn.optim.Adam(lr=0.01), ["log_loss"], l2=l2)
    best = nn.callbacks.EarlyStopping(patience=patience or 0, restore_best_weights=True)
    how = {"callbacks": [best] if patience else [], "epochs": 150, "batch_size": 20}
    return model, model.fit(x, y, validation_data=new, verbose=0, **how).history


# %%
# Left: the training rows, and where the net answers with one class or the other. Right: the loss of the training rows, and of 400
# validation rows, with a dot where that is lowest. The title says how many of the validation rows the net gets right in the end.

(x, y), new = moons(50), moons(400)
sides = np.meshgrid(np.linspace(-2, 3, 150), np.linspace(-1.5, 2, 150))
figure, panels = plt.subplots(5, 2, figsize=(5.6, 12), layout="constrained")
for (left, right), (name, options) in zip(panels, REMEDIES.items(), strict=True):
    model, losses = train(**options)
    answers = model.predict(np.stack(sides, -1).reshape(-1, 2)).reshape(150, 150)
    left.contourf(*sides, answers, [0, 0.5, 1], colors=["#9fcbe6", "#f7d994"])
    left.scatter(*x.T, c=np.where(y, "#d55e00", "#0072b2"), s=12)
    left.set(title=name, xlabel="x1", ylabel="x2")
    seen, other = losses["log_loss"], losses["val_log_loss"]
    epochs, best = range(1, len(seen) + 1), [np.argmin(other)]
    right.plot(epochs, other, "C1o-", markevery=best, label="validation")
    right.plot(epochs, seen, "k--", label="training")
    share = nn.metrics.accuracy(new[1], model.predict(new[0]))
    right.set(title=f"{share:.0%} right", xlabel="epoch", ylabel="loss", ylim=(0, 1.9))
    right.legend()

# %%
# Without a remedy, the border winds around single rows. The validation loss is lowest after about ten epochs, and then rises to three times
# that. Each remedy makes the border smoother, and gets more of the new rows right. With dropout the validation loss still rises, only
# later. Early stopping takes the weights from before the rise; it costs nothing, and can be combined with any of the others.
#
# **Try next:** ``moons(500)`` in place of ``moons(50)``: is a remedy still needed? Then ``"l2": 0.1``: what has become of the border?
#
# .. question:: Early stopping has chosen the weights by the validation rows. May you report how many of these are right?
#
#    No, that number is a little too good: among many epochs, the one was chosen that happens to suit these rows. The same is true
#    of the strength of L2, if you try several. Keep a third part, the test rows, and look at it once, at the very end.
