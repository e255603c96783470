r"""
Activation functions and their derivatives
==========================================

The function between two layers decides what a net can express, and how well it learns: in the backward pass the gradient is
multiplied by the function's **derivative**. Where the derivative is 0, nothing is learned.

* **Sigmoid**, :math:`\sigma(x) = 1 / (1 + e^{-x})`: between 0 and 1, a probability. Its derivative :math:`\sigma (1 - \sigma)` is
  at most 1/4, and nearly 0 beyond ±5.
* **Tanh**: the same shape between -1 and 1, with a derivative of up to 1.
* **ReLU**, :math:`\max(0, x)`: the derivative is 1 for every positive input, so that deep nets learn; and 0 for every negative one.
* **LeakyReLU, ELU, GELU, SiLU** and others: ReLUs that pass something on below 0.

All of them, drawn by the core itself: the curve is the forward pass, the dashed line the backward pass.
"""

import matplotlib.pyplot as plt
import numpy as np

import nncore as nn

KINDS = [
    nn.Step, nn.Sigmoid, nn.Tanh, nn.Softsign, nn.Hardsigmoid, nn.Hardtanh, nn.ReLU,
    nn.ReLU6, nn.LeakyReLU, nn.ELU, nn.SELU, nn.CELU, nn.Softplus, nn.GELU, nn.SiLU,
    nn.Mish, nn.Hardswish, nn.LogSigmoid, nn.Hardshrink, nn.Softshrink,
    nn.Tanhshrink,
]  # fmt: skip
x = np.linspace(-4, 4, 401)[:, None]
figure, panels = plt.subplots(
    11, 2, figsize=(5.6, 19), layout="constrained", sharex=True
)
panels[-1, -1].axis("off")
figure.supxlabel("x")
for axes, kind in zip(panels.flat, KINDS, strict=False):
    model = nn.Sequential(kind(), dtype="float64").build((1,))
    y = model.forward(x)
    slope = model.backward(np.ones_like(y))
    axes.plot(x, y, color="#0072b2")
    axes.plot(x, slope, "--", color="#e69f00")
    axes.set_title(kind.__name__)
    axes.grid(alpha=0.3)

# %%
# Softmax is another kind: it takes all scores of a row and makes probabilities of them that add up to 1,
# :math:`p_k = e^{x_k} / \sum_j e^{x_j}`. It belongs at the end of a net that chooses one of several classes.

print(np.asarray(nn.Softmax()(np.array([[2.0, 1.0, 0.0]]))).round(3))

# %%
# **Try next:** ``nn.insight.plot_activation(nn.LeakyReLU(0.3))``. Which of the functions above have a derivative above 1?
#
# .. question:: Ten layers of Sigmoid: how much smaller is the gradient of the first layer, at least?
#
#    Each Sigmoid multiplies it by at most 1/4, and :math:`(1/4)^{10}` is about one millionth, weights aside. This is the
#    vanishing gradient.
