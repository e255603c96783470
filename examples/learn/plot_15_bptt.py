r"""
Back through time, and where it gives up
========================================

An RNN is trained like any net. Unrolled, it has one layer per step, and backpropagation goes from the last step to the first: this is
**backpropagation through time** (BPTT). Let :math:`\delta_t` be the gradient of the loss with respect to what goes into the tanh at
step :math:`t`. If the loss depends on the last state only, each step back is

.. math:: \delta_{t-1} = (W_{hh}^T \, \delta_t) \cdot (1 - h_{t-1}^2)

It multiplies by the same :math:`W_{hh}` every time, and by the derivative of the tanh. So what step :math:`t` does to the last state is
a product of as many matrices as there are steps between, and products of many factors vanish or explode:

.. math:: \frac{\partial h_T}{\partial h_t} = J_T \, J_{T-1} \cdots J_{t+1}

.. math:: J_k = \frac{\partial h_k}{\partial h_{k-1}} = \mathrm{diag}(1 - h_k^2) \, W_{hh}

All steps share their weights. So the gradients of the weights are sums over the steps:

.. math:: \frac{\partial L}{\partial W_{hh}} = \sum_t \delta_t \, h_{t-1}^T

Here :math:`W_{hh}` turns the state without making it longer or shorter, times a factor. The lines are the core's gradients, the dots
those by hand:
"""

import matplotlib.pyplot as plt
import numpy as np

import nncore as nn

x = np.random.default_rng(0).normal(size=(100, 32, 40, 1))  # 100 batches of 32 rows
y = 3 * x[:, :, -20:].mean(2)


def net(factor):
    """Return an RNN of 32 units whose recurrent weights are a rotation times a factor."""
    model = nn.Sequential(nn.RNN(1, 32), nn.Linear(32, 1), seed=0, dtype="float64")
    turn = np.linalg.qr(np.random.default_rng(1).normal(size=(32, 32)))[0]
    model[0].weight_hh_l0 = factor * turn
    return model


plt.style.use("tableau-colorblind10")
steps = range(1, 41)
figure, axes = plt.subplots(figsize=(5.5, 4.2), layout="constrained")
for factor, style in {2.0: "-", 1.0: "--", 0.8: "-.", 0.5: ":"}.items():
    model = net(factor)
    model.forward(x[0, :1])
    model.backward(np.ones((1, 1)))
    core = model.step_gradient_norms()["0.0"]
    axes.semilogy(steps, core, style, label=f"rotation times {factor}")
    print(f"rotation times {factor}: first / last step = {core[0] / core[-1]:.0e}")

    # By hand: the states of all steps, and then back from the last one
    h, W_hh, delta = model[0](x[0, :1])[0][0], model[0].weight_hh_l0, np.zeros((40, 32))
    delta[-1] = model[1].weight[0] * (1 - h[-1] ** 2)
    for t in reversed(range(39)):
        delta[t] = (W_hh.T @ delta[t + 1]) * (1 - h[t] ** 2)
    axes.semilogy(steps[::3], np.linalg.norm(delta, axis=1)[::3], "k.")
    by_hand = delta[1:].T @ h[:-1]  # the sum over the steps
    np.testing.assert_allclose(model.gradients["0.weight_hh_l0"], by_hand, rtol=1e-6)
axes.set(xlabel="step; the loss is behind step 40", ylabel="norm of the gradient")
axes.legend()

# %%
# With 0.5, about a trillionth of the gradient reaches the first step: what happened there is not learned. With 2, thousands of times as
# much as at the last step. ``nn.insight.plot_sequence_gradient`` draws this curve for any recurrent net. This one is as it comes, before
# training; its weights are small, and of 40 steps it would learn from the last ten or so:

model = nn.Sequential(nn.RNN(1, 32), nn.Linear(32, 1), seed=0)
model.compile("mse", "adam")
figure = nn.insight.plot_sequence_gradient(model, x[0], y[0])

# %%
# Two remedies are common:
#
# * **Truncation** for what vanishes: ``nn.RNN(..., truncate=20)`` goes back 20 steps at most. It saves work, and gives up what is further
#   away.
# * **Clipping** against what explodes: if the gradient :math:`g` of all weights together is longer than :math:`c`, it is shortened to that
#   length, :math:`g \leftarrow g \cdot \min(1, c / \lVert g \rVert)`. Its direction stays.
#
# The same net, with a rotation times 1.5, with and without clipping. Without, the first steps throw the weights so far that a hundred steps
# do not bring them back:

figure, axes = plt.subplots(figsize=(5.5, 3.6), layout="constrained")
for clip, style in {None: "-", 1.0: "--"}.items():
    model = net(1.5)
    model.compile("mse", nn.optim.SGD(lr=0.1, clip_norm=clip))
    losses = list(map(model.train_on_batch, x, y))
    axes.semilogy(losses, style, label=f"clip_norm={clip}")
axes.set(xlabel="training step (one batch each)", ylabel="loss", ylim=(0.03, 1e6))
axes.legend()

# %%
# **Try next:** ``truncate=10`` in the net of the second picture. And ``nn.LSTM`` there: does it fare any better as it comes? The page on
# LSTM says what it lacks.
#
# .. question:: Would a rotation times 1 without the tanh solve it all?
#
#    The gradient would then keep its length over any number of steps. But a net without a tanh is linear: it adds up turned inputs, and
#    cannot decide what to keep. The next but one page shows how LSTM and GRU get both.
