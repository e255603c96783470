r"""
The perceptron, and what it cannot do
=====================================

A perceptron is one neuron. It multiplies each input by a weight, adds a bias, and answers yes if the sum is positive:

.. math:: \hat y = 1 \text{ if } w_1 x_1 + w_2 x_2 + b > 0, \text{ else } 0

Rosenblatt's rule (1958) learns the weights from examples. If the answer is right, nothing changes. If it is wrong, the weights move
by a small step :math:`\eta` (the learning rate, ``lr`` in the code) towards the right answer:

.. math:: w \leftarrow w + \eta\,(y - \hat y)\,x, \qquad b \leftarrow b + \eta\,(y - \hat y)

Where the sum is 0 lies a straight line. So a perceptron divides the plane by a line, and learns whatever a line can divide.
"""

import matplotlib.pyplot as plt
import numpy as np

import nncore as nn

X = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float32)
TASKS = {"AND": [0, 0, 0, 1], "OR": [0, 1, 1, 1], "XOR": [0, 1, 1, 0]}


def learn(y):
    """Return a perceptron that has seen the four rows 20 times, with -1 for 0."""
    model = nn.Sequential(nn.Linear(2, 1, bias_init=nn.init.Uniform(-1, 1)), seed=36)
    model.compile(loss="perceptron", optimizer=nn.optim.SGD(lr=0.07))
    model.fit(X, 2 * np.array(y) - 1, epochs=20, batch_size=1, verbose=0)
    return model


# %%
# AND and OR are learned: a line has the yes (orange) on one side and the no (blue) on the other. For XOR there is no such line, whatever the
# weights: the two yes lie on one diagonal, and the two no on the other.

figure, panels = plt.subplots(3, 1, figsize=(3.6, 10), layout="constrained")
for axes, (name, y) in zip(panels, TASKS.items(), strict=True):
    model = learn(y)
    right = int(np.sum((model.predict(X)[:, 0] > 0) == np.array(y)))
    (w1, w2), b = model[0].weight[0], model[0].bias[0]
    line = np.array([-0.5, 1.5])
    axes.plot(line, -(w1 * line + b) / w2, "k")
    axes.scatter(
        *X.T, c=["#e69f00" if yes else "#0072b2" for yes in y], s=140, zorder=2
    )
    axes.set(
        title=f"{name}: {right} of 4 right",
        xlabel="x1",
        ylabel="x2",
        xlim=(-0.5, 1.5),
        ylim=(-0.5, 1.5),
        aspect="equal",
    )
    print(f"{name}: {right} of 4 right")

# %%
# **Try next:** give the perceptron a third input, ``x1 * x2``, and 100 epochs. Does it learn XOR now? Why?
#
# .. question:: Why can no line divide XOR?
#
#    A line with (0, 1) and (1, 0) on its positive side needs :math:`w_2 + b > 0` and :math:`w_1 + b > 0`, which add up to
#    :math:`w_1 + w_2 + 2b > 0`. But (0, 0) and (1, 1) have to be on the other side: :math:`b \le 0` and
#    :math:`w_1 + w_2 + b \le 0`, which add up to :math:`w_1 + w_2 + 2b \le 0`. Both cannot hold.
