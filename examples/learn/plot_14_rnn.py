r"""
A net with a memory: the RNN
============================

A sentence, a melody, a price: what a value means depends on what came before it. A recurrent neural network (RNN) reads such a sequence
one step at a time, and keeps a **state** :math:`h`. At each step it makes the new state of the new input :math:`x_t` and of the old
state :math:`h_{t-1}`:

.. math:: h_t = \tanh(W_{ih} x_t + b_{ih} + W_{hh} h_{t-1} + b_{hh})

It begins with :math:`h_0 = 0`. The weights are **the same at every step**. So the net takes sequences of any length, and the state is all that it knows of the past.

A net of two units is small enough for three steps by hand. Its weights are chosen so that unit 1 hardly listens to its old state (weight
0.1), and unit 2 does (weight 0.9). The biases are 0. Two sequences, of three steps each:
"""

import matplotlib.pyplot as plt
import numpy as np

import nncore as nn

net = nn.Sequential(nn.RNN(1, 2, return_sequences=True), dtype="float64").build((3, 1))
W_ih, W_hh = np.array([[1.0], [1.0]]), np.array([[0.1, 0.0], [0.0, 0.9]])
net[0].weight_ih_l0, net[0].weight_hh_l0 = W_ih, W_hh
net[0].bias_ih_l0, net[0].bias_hh_l0 = np.zeros((2, 2))


def by_hand(x):
    """Return the state after each step."""
    h, states = np.zeros(2), []
    for x_t in x:
        h = np.tanh(W_ih @ [x_t] + W_hh @ h)
        states.append(h)
    return np.array(states)


SEQUENCES = [1.0, 0.0, 0.5], [-1.0, 0.0, 0.5]
for x in SEQUENCES:
    core = net.predict(np.reshape(x, (1, 3, 1)))[0]
    np.testing.assert_allclose(core, by_hand(x), rtol=1e-12)
    print("by hand", *by_hand(x).round(3), "\nnncore ", *core.round(3))

# %%
# Both give the same. A net that is drawn once for every step is called **unrolled**: it is one net with one set of weights, and the
# arrows from left to right are its memory. The two sequences differ in their first input only. At step 3, unit 1 has nearly forgotten
# the difference: 0.47 and 0.46. Unit 2 has not: 0.78 and -0.04.

figure, panels = plt.subplots(2, 1, figsize=(5.5, 7), layout="constrained")
middle = {"ha": "center", "va": "center", "size": 14}
for axes, x in zip(panels, SEQUENCES, strict=True):
    for t, (x_t, h) in enumerate(zip(x, by_hand(x), strict=True), 1):
        axes.text(t, 0, f"{x_t:g}", **middle)
        axes.scatter([t, t], [1, 2], 2000, plt.cm.PuOr_r(0.5 + h / 3), ec="k")
        for unit in (0, 1):
            axes.text(t, unit + 1, f"{h[unit]:.2f}", color="#222", **middle)
            up = {"arrowstyle": "->", "connectionstyle": f"arc3,rad={-0.5 * unit}"}
            axes.annotate("", (t - unit / 5, unit + 0.7), (t, 0.2), arrowprops=up)
            on = {"arrowstyle": "->", "lw": 4 * W_hh[unit, unit] * (t > 1)}
            axes.annotate("", (t - 0.23, unit + 1), (t - 0.77, unit + 1), arrowprops=on)
    axes.set(title=f"first input: {x[0]:g}", xlabel="step", xticks=[1, 2, 3])
    axes.axis([0.5, 3.5, -0.4, 2.5])
    axes.set_yticks([0, 1, 2], ["input", "unit 1\nforgets", "unit 2\nkeeps"])

# %%
# How long does a unit remember? It gets a single 1, and then nothing but zeros:

figure, axes = plt.subplots(figsize=(5.5, 3.6), layout="constrained")
for w, style in {1.1: "-", 0.9: "--", 0.5: "-.", 0.1: ":"}.items():
    net[0].weight_hh_l0 = w * np.eye(2)
    states = net.predict(np.eye(1, 30)[..., None])[0]
    axes.plot(range(1, 31), states[:, 0], style, label=f"weight {w}")
axes.set(xlabel="step", ylabel="state of the unit", ylim=(None, 1))
axes.legend()

# %%
# With a weight below 1 the memory fades, the sooner the smaller the weight is. With 1.1 it stays for ever: the weight lifts what the tanh
# takes away, and the two balance at 0.5. An RNN has to find weights near this edge to remember anything for long.
#
# **Try next:** the weights of a shift register, ``W_ih = [[1], [0]]`` and ``W_hh = [[0, 0], [1, 0]]``. What does unit 2 know at each step?
# And what becomes of the single 1 with the weight -0.9?
#
# .. question:: How many parameters has ``nn.RNN(1, 2)``? How many for a sequence of 1000 steps?
#
#    :math:`2 \times 1` weights of the input, :math:`2 \times 2` of the state and :math:`2 + 2` biases: 10. For 1000 steps it is the
#    same 10, since each step uses the same ones.
