r"""
Gradient descent, one step at a time
====================================

The gradient of the loss says for every weight: if you make it a little larger, how does the loss change? Gradient descent goes a
step the other way:

.. math:: w \leftarrow w - \eta \, \frac{\partial L}{\partial w}

:math:`\eta` is the learning rate, ``lr`` in the code. Three kinds differ in how many rows they look at before each step:

* **gradient descent**: all rows. The direction is exact, and each step takes long.
* **stochastic gradient descent** (SGD): one row. The steps are quick, and each goes somewhat astray.
* **mini-batches**: some rows, such as 32. Nearly the right direction, for a fraction of the work. This is what everybody uses.

A net of one weight and one bias shows it: its loss is a valley over the plane of the two.
"""

import matplotlib.pyplot as plt
import numpy as np

import nncore as nn

rng = np.random.default_rng(0)
x = rng.normal(1, 1, (64, 1))
y = 2 * x - 1 + 0.5 * rng.normal(size=(64, 1))


class Path(nn.callbacks.Callback):
    """Writes down the weight and the bias after every step."""

    def on_train_begin(self, logs=None):
        self.points = [(-1.0, 2.0)]

    def on_train_batch_end(self, batch, logs=None):
        self.points.append((self.model[0].weight.item(), self.model[0].bias.item()))


# %%
# All start at the same point and see every row ten times. The exact way makes only ten steps, and gets a third of the way. The
# stochastic one makes 640, and trembles around the lowest point. Mini-batches get nearly there, for an eighth of the steps.

w, b = np.meshgrid(np.linspace(-2, 4, 80), np.linspace(-3, 3, 80))
height = ((w[..., None] * x[:, 0] + b[..., None] - y[:, 0]) ** 2).mean(-1)
figure, axes = plt.subplots(figsize=(6, 5), layout="constrained")
axes.contour(w, b, height, levels=np.geomspace(0.3, 30, 12), colors="0.7")
for (name, size), color in zip(
    {"all rows": 64, "mini-batches of 8": 8, "one row": 1}.items(),
    ("k", "#0072b2", "#e69f00"),
    strict=True,
):
    model, path = nn.Sequential(nn.Linear(1, 1), seed=0).build((1,)), Path()
    model[0].weight, model[0].bias = [[-1.0]], [2.0]
    model.compile(loss="mse", optimizer=nn.optim.SGD(lr=0.05))
    model.fit(x, y, epochs=10, batch_size=size, callbacks=[path], verbose=0)
    axes.plot(
        *np.array(path.points).T,
        ".-",
        color=color,
        linewidth=1,
        markersize=3,
        label=f"{name}: {len(path.points) - 1} steps",
    )
axes.set(xlabel="weight", ylabel="bias", xlim=(-2, 4), ylim=(-3, 3))
axes.legend()

# %%
# **Try next:** ``lr=0.5``, and ``nn.optim.SGD(lr=0.05, momentum=0.9)``, which rolls like a ball, and ``nn.optim.Adam(lr=0.2)``.
#
# .. question:: Why does SGD never come to rest at the lowest point?
#
#    At the lowest point the mean of the gradients is 0, but that of a single row is not. Each row pulls to its own side. Only
#    steps that become smaller bring it to rest: a learning rate that falls.
