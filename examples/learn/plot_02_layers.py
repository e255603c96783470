r"""
Layers: a net that learns XOR
=============================

One neuron draws one line. Several neurons side by side, a **hidden layer**, draw several lines, and the neuron behind them combines
the answers. Such a net is a multi-layer perceptron (MLP):

.. math:: h = \varphi(W_1 x + b_1), \qquad \hat y = \sigma(W_2 h + b_2)

:math:`W_1` has one row of weights per hidden neuron. The function :math:`\varphi` between the layers must not be linear: two linear
layers without it are one linear layer, :math:`W_2 (W_1 x) = (W_2 W_1) x`.
"""

import matplotlib.pyplot as plt
import numpy as np

import nncore as nn

X = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float32)
y = np.array([0, 1, 1, 0])


def net(*between):
    """Return a net with something between its layers, trained on XOR."""
    model = nn.Sequential(
        nn.Linear(2, 2), *between, nn.Linear(2, 1), nn.Sigmoid(), seed=0
    )
    model.compile(loss="binary_crossentropy", optimizer=nn.optim.Adam(lr=0.05))
    model.fit(X, y, epochs=500, batch_size=None, verbose=0)
    return model


bent, straight = net(nn.Tanh()), net()
for name, model in (("with Tanh", bent), ("without", straight)):
    print(f"{name:10}", model.predict(X)[:, 0].round(2))

# %%
# With Tanh between the layers, the net answers all four. Without, it is one straight line again, and its best answer is 0.5 for
# every row.

figure = nn.insight.plot_decision_boundary(bent, X, y)

# %%
# What do the two hidden neurons do? Each one draws a line. Together they move the four points to where one line can divide them:
# this is what every hidden layer does.

hidden = nn.Tanh()(bent[0](X))
figure, axes = plt.subplots(figsize=(4, 4), layout="constrained")
axes.scatter(
    *np.asarray(hidden).T, c=["#e69f00" if yes else "#0072b2" for yes in y], s=140
)
axes.set(
    xlabel="first hidden neuron",
    ylabel="second hidden neuron",
    xlim=(-1.2, 1.2),
    ylim=(-1.2, 1.2),
)
assert np.all((bent.predict(X)[:, 0] > 0.5) == y)

# %%
# **Try next:** another ``seed``. With two hidden neurons some starts get stuck; with eight, hardly any.
#
# .. question:: How many weights does this net have?
#
#    :math:`2 \times 2 + 2` in the hidden layer and :math:`2 + 1` in the last one: 9. ``bent.summary()`` counts them.
