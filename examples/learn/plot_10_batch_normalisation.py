r"""
Batch normalisation
===================

What arrives at an activation should be neither too small nor too large: near 0 a Tanh is almost a straight line, and beyond ±2 it is
flat. Good initial weights see to that at the beginning (the page before this one). Batch normalisation (Ioffe and Szegedy, 2015) sees
to it in every step. It is a layer in front of the activation. It takes each unit by itself, and looks at the values :math:`x` that the
rows of the batch have there:

.. math:: y = \frac{x - \text{mean}}{\sqrt{\text{var} + \varepsilon}} \cdot \text{weight} + \text{bias}

The fraction has mean 0 and variance 1, whatever the layers in front of it do. Weight and bias, two numbers per unit, are learned: a unit
that needs another mean or spread can have it.
"""

import matplotlib.pyplot as plt
import numpy as np

import nncore as nn

x, new = np.random.default_rng(0).uniform(-1, 1, (2, 1024, 2))
KINDS = {"without": "#0072b2", "with": "#e69f00"}


def net(std, kind):
    """Return five hidden layers; std is the standard deviation of the first weights."""
    layers, start = [], nn.init.Normal(std=std)
    for k in range(5):
        layers.append(nn.Linear(64 if k else 2, 64, weight_init=start))
        layers += [nn.BatchNorm1d(64) if kind == "with" else nn.Identity(), nn.Tanh()]
    return nn.Sequential(*layers, nn.Linear(64, 1), nn.Sigmoid(), seed=0).build((2,))


# %%
# What arrives at the Tanh of the first, third and fifth layer? Two nets, one whose weights begin too small, and one whose weights begin
# too large. On the grey ground Tanh is flat; between, it tells values apart. What lies outside is counted at the edge.

rows = [(0.03, "without"), (0.03, "with"), (1.0, "without"), (1.0, "with")]
figure, panels = plt.subplots(4, 3, figsize=(5.6, 7), layout="constrained")
for row, (std, kind) in zip(panels, rows, strict=True):
    row[0].set_ylabel(f"weights ±{std:g},\n{kind}")
    for axes, k in zip(row, (0, 2, 4), strict=True):
        z = net(std, kind)[: 3 * k + 2].forward(x, training=True).clip(-4, 4).ravel()
        axes.axvspan(-2, 2, color="white")
        axes.set(xticks=(-2, 0, 2), yticks=[])
        axes.hist(z, 40, range=(-4, 4), color=KINDS[kind])
        axes.set(xlabel=f"input of Tanh {k + 1}", facecolor="0.85")

# %%
# Without it, small weights leave nothing but zeros, and large ones drive everything to where Tanh is flat. With batch normalisation every
# layer gets the same spread, and both nets look alike. So it hardly matters any more how large the first weights are:

figure, axes = plt.subplots(figsize=(5.6, 3.6), layout="constrained")
for kind, color in KINDS.items():
    losses = {}
    for std in (0.01, 0.03, 0.1, 0.3, 1, 3, 10):
        model = net(std, kind)
        model.compile("binary_crossentropy", nn.optim.Adam(lr=3e-3))
        model.fit(x, x.prod(1) > 0, epochs=10, batch_size=64, verbose=0)
        losses[std] = model.evaluate(new, new.prod(1) > 0)
    axes.plot(losses.keys(), losses.values(), "o-", color=color, label=kind)
axes.set(xlabel="spread of the first weights", ylabel="loss of new rows", xscale="log")
axes.legend(title="batch normalisation")

# %%
# 0.69, the logarithm of 2, is the loss of a net that knows nothing.
#
# **At inference** a row must not get another answer because of the rows that happen to come with it. So the layer keeps a running mean
# and a running variance while it trains. Each batch moves them a little, by the momentum :math:`m` (0.1),
#
# .. math:: \text{running} \leftarrow (1 - m) \cdot \text{running} + m \cdot \text{batch}
#
# and at inference they are used as fixed numbers. The line is the answer at inference. Each dot is the answer in training:

values = np.random.default_rng(0).normal(5, 2, (4096, 1))
figure, panels = plt.subplots(1, 2, figsize=(5.6, 3.6), layout="constrained")
for axes, size in zip(panels, (2, 64), strict=True):
    norm = nn.Sequential(nn.BatchNorm1d(1))
    answers = [norm.forward(v, training=True) for v in np.split(values, 4096 // size)]
    axes.plot(values, np.concatenate(answers), ".", color="#0072b2", markersize=2)
    axes.plot(values, norm.predict(values), color="k")
    axes.set(title=f"batches of {size}", xlabel="input", ylabel="answer", ylim=(-4, 4))

# %%
# With two rows, one becomes -1 and the other 1, whatever they were. Only which of them is greater is left, and the layers behind learn
# from answers that they never meet at inference. With 64 rows, the mean and the variance are nearly those of all rows, and the dots lie
# close to the line. So use batches of at least 16, or ``nn.LayerNorm``, which looks at one row at a time.
#
# Batch normalisation is no cure for everything: with first weights of a good size (0.3 above), the net without it has the lower loss here.
#
# **Try next:** ``batch_size=2`` in the net with first weights of 0.3. With batch normalisation it learns nothing at all, without it
# does.
#
# .. question:: Does a Linear in front of batch normalisation need its bias?
#
#    No. A bias moves all values of a unit, and their mean, by the same amount. The difference, which is all that is left, stays as
#    it was. ``nn.Linear(64, 64, bias=False)`` saves the work.
