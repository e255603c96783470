r"""
How weights begin
=================

Training begins with random weights. Their size decides whether anything arrives at the last layer. A layer with :math:`n` inputs adds
:math:`n` products; if the weights have the variance :math:`v`, the sum has about :math:`n v` times the variance of the inputs:

* **zeros**: all units are equal, get equal gradients and stay equal. The net is as good as one unit.
* **too small**: :math:`n v < 1`. Each layer makes the differences between rows smaller.
* **too large**: :math:`n v \gg 1`. Tanh and Sigmoid saturate, ReLUs explode.
* **Xavier** (Glorot and Bengio, 2010), for Tanh and Sigmoid: :math:`v = 2 / (n_\text{in} + n_\text{out})`.
* **He** (He et al., 2015), for ReLU, which halves the variance: :math:`v = 2 / n_\text{in}`.
"""

import matplotlib.pyplot as plt
import numpy as np

import nncore as nn

x = np.random.default_rng(0).normal(size=(1000, 64))
STARTS = {
    "zeros": ("zeros", nn.Tanh),
    "normal 0.01": (nn.init.Normal(std=0.01), nn.Tanh),
    "normal 1": (nn.init.Normal(std=1.0), nn.Tanh),
    "Xavier": ("xavier_normal", nn.Tanh),
    "He, ReLU": ("he_normal", nn.ReLU),
}

figure, panels = plt.subplots(
    len(STARTS), 5, figsize=(5.6, 8), layout="constrained", sharex="row"
)
for row, (name, (start, activation)) in zip(panels, STARTS.items(), strict=True):
    h, sizes = x, []
    for k, axes in enumerate(row):
        layer = nn.Sequential(
            nn.Linear(64, 64, weight_init=start), activation(), seed=k
        )
        h = layer.predict(h)
        if k == 0:
            reach = 1.1 * np.abs(h).max() or 0.5
        axes.hist(h.ravel(), np.linspace(-reach, reach, 40), color="#0072b2")
        axes.set(yticks=[], title=f"layer {k + 1}" if name == "zeros" else "")
        axes.set_xticks([0, round(reach / 1.1, 2)])
        axes.tick_params(labelsize=7)
        sizes.append(f"{h.std():.1e}")
    row[0].set_ylabel(name)
    print(f"{name:12} standard deviation by layer: {', '.join(sizes)}")
figure.supxlabel("answer of a unit")

# %%
# What the units of five layers answer, from left to right. Zeros: nothing at all. Too small: it dies away. Too large: everything sits at
# -1 and 1, where Tanh is flat. Xavier and He: the answers stay spread out in all layers. ``weight_init="auto"``, the default,
# takes the one that belongs to the activation.
#
# **Try next:** Xavier with ReLU, and twenty layers.
#
# .. question:: May the biases begin at 0?
#
#    Yes. The random weights make the units differ already; the biases then get different gradients.
