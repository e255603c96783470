r"""
LSTM and GRU: a memory with gates
=================================

A plain RNN writes over its whole state at every step. The LSTM (Hochreiter and Schmidhuber, 1997) keeps a **cell** :math:`c` beside its
state :math:`h`, and **gates** guard it. A gate is a Sigmoid: 0 is closed, 1 is open. All have weights of their own:

.. math:: i, f, o = \sigma(W x_t + b + V h_{t-1} + d)

.. math:: g = \tanh(W_g x_t + b_g + V_g h_{t-1} + d_g)

.. math:: c_t = f \, c_{t-1} + i \, g

.. math:: h_t = o \, \tanh(c_t)

The forget gate :math:`f` says how much of the cell stays, the input gate :math:`i` how much of the new value :math:`g` comes in, and the
output gate :math:`o` how much the rest of the net gets to see. With :math:`f = 1` and :math:`i = 0` the cell stays as it is for any number
of steps. So does its gradient: on the way back it is multiplied by :math:`f`, and by no matrix.

The GRU (Cho et al., 2014) does the same with less. It has no cell; its gate :math:`z` keeps the state, and :math:`r` says how much of the
state the new value :math:`n` is made of:

.. math:: r = \sigma(W_{ir} x_t + b_{ir} + W_{hr} h_{t-1} + b_{hr})

.. math:: z = \sigma(W_{iz} x_t + b_{iz} + W_{hz} h_{t-1} + b_{hz})

.. math:: n = \tanh(W_{in} x_t + b_{in} + r \, (W_{hn} h_{t-1} + b_{hn}))

.. math:: h_t = (1 - z) \, n + z \, h_{t-1}

**The task:** each step brings a random number, and one of the first six is marked. Which number was it? The net has to say so after 40
steps. A gate that is half open loses half of the memory at every step, and hardly any gradient reaches the mark. So :math:`f` and :math:`z`
begin nearly open here (a bias of 3), and :math:`i` nearly closed.
"""

import matplotlib.pyplot as plt
import numpy as np

import nncore as nn

rng = np.random.default_rng(0)
x = rng.uniform(-1, 1, (2500, 40, 2))  # at each step a number, and whether it is marked
marked = rng.integers(0, 6, 2500)
x[..., 1] = np.arange(40) == marked[:, None]
y = x[np.arange(2500), marked, 0]

plt.style.use("tableau-colorblind10")
figure, axes = plt.subplots(figsize=(5.5, 3.6), layout="constrained")
for cell, style in {nn.RNN: ":", nn.GRU: "--", nn.LSTM: "-"}.items():
    model = nn.Sequential(cell(2, 4), nn.Linear(4, 1), seed=1)
    model[0].bias_ih_l0[4:8] = 3  # f of the LSTM, z of the GRU; the RNN has none
    model[0].bias_ih_l0[:4] -= 3 * (cell is nn.LSTM)  # i
    model.compile("mse", nn.optim.Adam(lr=0.02, clip_norm=1.0))
    seen = model.fit(x, y, epochs=20, validation_split=0.2, verbose=0).history
    axes.semilogy(range(1, 21), seen["val_loss"], style, label=cell.__name__)
axes.set(xlabel="epoch", ylabel="error on new sequences (mse)", xticks=range(2, 21, 2))
axes.legend()

# %%
# The RNN learns nothing: 1/3 is the error of a net that always says 0. GRU and LSTM find the number, and hardly err.
#
# How? Three sequences that differ in the marked number only go through the LSTM, computed by hand; the picture shows one of its four
# units:

lstm, s = model[0], nn.Sigmoid()
three = np.repeat(x[:1], 3, axis=0)
three[:, marked[0], 0] = -0.8, 0, 0.8
h, c, steps = np.zeros((3, 4)), np.zeros((3, 4)), []
for x_t in three.transpose(1, 0, 2):
    sums = x_t @ lstm.weight_ih_l0.T + h @ lstm.weight_hh_l0.T
    i, f, g, o = np.split(sums + lstm.bias_ih_l0 + lstm.bias_hh_l0, 4, axis=1)
    c = s(f) * c + s(i) * np.tanh(g)
    h = s(o) * np.tanh(c)
    steps.append((s(i)[2], s(f)[2], *c))
np.testing.assert_allclose(h, lstm(three)[0][:, -1], atol=1e-4)

unit, step = np.array(steps)[..., 1], range(1, len(steps) + 1)
figure, axes = plt.subplots(3, 1, figsize=(5.5, 7), layout="constrained", sharex=True)
axes[0].bar(step, three[2, :, 0], color=np.where(three[2, :, 1], "C1", "C7"))
axes[0].set(ylabel="input", title="Orange: the marked number")
axes[1].plot(step, unit[:, 0], step, unit[:, 1], "--")
axes[1].legend(["input gate i", "forget gate f"], loc="center right")
axes[1].set(ylabel="gates", ylim=(-0.05, 1.05))
axes[2].plot(step, unit[:, 2:], label=["-0.8 marked", "0 marked", "0.8 marked"])
axes[2].legend(ncols=3, loc="upper center")
axes[2].set(ylabel="cell c", xlabel="step", ylim=(-0.6, 0.8))

# %%
# The forget gate stays open. The input gate opens once, at the mark, and closes again. What came in then, the cell keeps to the end,
# whatever numbers follow.
#
# **Try next:** leave out the two lines that set the biases. What becomes of the LSTM, and of the GRU? And with them: how few steps, as in
# ``x[:, :10]``, does the RNN need to learn something?
#
# .. question:: How many parameters has an LSTM, compared to an RNN of the same size? And a GRU?
#
#    Four times as many: :math:`i`, :math:`f`, :math:`g` and :math:`o` each have weights like those of a whole RNN. A GRU has :math:`r`,
#    :math:`z` and :math:`n`: three times as many.
