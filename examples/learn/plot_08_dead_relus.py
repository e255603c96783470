r"""
Dead ReLUs
==========

A ReLU is :math:`\max(0, z)`. Where :math:`z` is negative, its derivative is 0, and no gradient passes. If :math:`z` is negative **for every
row**, the unit gets no gradient from any of them. Its weights never change again, so it stays at 0 for ever: the unit is dead.

One step that is too long is enough. It makes the biases so negative that no row gets above 0 any more.
"""

import matplotlib.pyplot as plt
import numpy as np

import nncore as nn

rng = np.random.default_rng(1)
x = rng.normal(size=(400, 10))
y = 2 * abs(x[:, 0]) - 5


def train(activation, lr):
    """Return the share of dead units in the second hidden layer, and the losses, by epoch."""
    layers = [nn.Linear(10, 64), activation(), nn.Linear(64, 64), activation()]
    model = nn.Sequential(*layers, nn.Linear(64, 1), seed=0)
    model.compile("mse", nn.optim.Adam(lr=lr))
    seen = nn.callbacks.Diagnostics(every=1)
    history = model.fit(x, y, epochs=40, batch_size=40, callbacks=[seen], verbose=0)
    return list(seen.dead_fraction.values())[1], history.history["loss"]


plt.style.use("tableau-colorblind10")
figure, (upper, lower) = plt.subplots(2, 1, figsize=(5.6, 6.6), layout="constrained")
for name, activation, lr in (
    ("ReLU, lr 0.3", nn.ReLU, 0.3),
    ("ReLU, lr 0.003", nn.ReLU, 0.003),
    ("LeakyReLU, lr 0.3", nn.LeakyReLU, 0.3),
):
    dead, losses = train(activation, lr)
    upper.plot(range(1, 41), dead, label=name)
    lower.plot(range(1, 41), losses, label=name)
    print(f"{name:18} {dead[-1]:4.0%} dead, loss {losses[-1]:.2f}")
upper.set(xlabel="epoch", ylabel="share of dead units", ylim=(-0.02, 1.05))
lower.set(xlabel="epoch", ylabel="loss", yscale="log")
lower.legend()

# %%
# With a high rate all units die in the first epochs, and the net answers with a constant. A lower rate keeps nearly all of them alive.
# LeakyReLU, which passes a hundredth of what is below 0, cannot die: its derivative is nowhere 0.
#
# **Try next:** start with ``bias_init=nn.init.Constant(-5)`` and a low rate. Do the units come back?
#
# .. question:: Is a unit that is 0 for half of the rows dead?
#
#    No. It learns from the other half. That units are 0 for many rows is what makes ReLU nets work: different rows use
#    different units.
