r"""
Backpropagation by hand
=======================

Where does the gradient come from? From the chain rule, applied backward through the net. A net of two inputs, two hidden neurons
and one output is small enough to do it by hand:

.. math:: z = W_1 x + b_1, \qquad h = \sigma(z), \qquad \hat y = W_2 h + b_2, \qquad L = (\hat y - y)^2

Backward, from the loss to the first weights. :math:`\delta` is the gradient of what its index names:

.. math:: \delta_{\hat y} = 2 (\hat y - y)

.. math:: \frac{\partial L}{\partial W_2} = \delta_{\hat y} \, h^T, \qquad \frac{\partial L}{\partial b_2} = \delta_{\hat y}

.. math:: \delta_z = (W_2^T \delta_{\hat y}) \cdot h (1 - h)

.. math:: \frac{\partial L}{\partial W_1} = \delta_z \, x^T, \qquad \frac{\partial L}{\partial b_1} = \delta_z

Each layer needs only what comes back from the layer behind it, and what it had computed itself on the way forward.
"""

import matplotlib.pyplot as plt
import numpy as np

import nncore as nn

model = nn.Sequential(
    nn.Linear(2, 2), nn.Sigmoid(), nn.Linear(2, 1), seed=0, dtype="float64"
).build((2,))
W1, b1, W2, b2 = (np.array(p) for p in model.parameters())
x, y = np.array([0.5, -1.0]), np.array([2.0])

# Forward, by hand
z = W1 @ x + b1
h = 1 / (1 + np.exp(-z))
answer = W2 @ h + b2

# Backward, by hand
d_answer = 2 * (answer - y)
d_z = (W2.T @ d_answer) * h * (1 - h)
by_hand = {
    "0.weight": np.outer(d_z, x),
    "0.bias": d_z,
    "2.weight": np.outer(d_answer, h),
    "2.bias": d_answer,
}

# %%
# The same by the core: it gets the gradient of the loss for its answer, and computes those of all weights.

predicted = model.forward(x[None])
model.backward(2 * (predicted - y))
for name, gradient in model.gradients.items():
    np.testing.assert_allclose(gradient, by_hand[name], rtol=1e-12)
    print(f"{name:9} by hand {np.ravel(by_hand[name]).round(4)}")
    print(f"{'':9} nncore  {np.ravel(gradient).round(4)}")

figure, axes = plt.subplots(figsize=(6, 3.4), layout="constrained")
names = [f"{name} [{i}]" for name, each in by_hand.items() for i in range(each.size)]
axes.barh(
    names, np.concatenate([each.ravel() for each in by_hand.values()]), color="#0072b2"
)
axes.invert_yaxis()
axes.set(xlabel="gradient: how the loss changes if this one grows")

# %%
# **Try next:** a step against the gradient, ``W1 - 0.1 * by_hand["0.weight"]`` and so on. Is the loss smaller? With 10 instead of
# 0.1?
#
# .. question:: Why does the factor :math:`h (1 - h)` make deep nets of Sigmoids learn slowly?
#
#    It is the derivative of the Sigmoid, at most 1/4. Each layer on the way back multiplies by it, so that little is left for
#    the first ones.
