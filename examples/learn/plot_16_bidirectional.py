r"""
Reading in both directions
==========================

You walk in fog, up and down, one metre up or down with each step. Was that the top? At the top itself you cannot know: only the next step
tells. Many answers depend on what comes **later**: where a word begins, what an ambiguous word means, where a heartbeat has its peak.

An RNN that reads from left to right knows the past only. A **bidirectional** one has two sets of weights. One reads the sequence from its
first step to its last, the other from its last to its first, and the answer at a step is made of both states:

.. math:: \overrightarrow{h}_t = \tanh(W_{ih} x_t + b_{ih} + W_{hh} \overrightarrow{h}_{t-1} + b_{hh})

.. math:: \overleftarrow{h}_t = \tanh(\tilde{W}_{ih} x_t + \tilde{b}_{ih} + \tilde{W}_{hh} \overleftarrow{h}_{t+1} + \tilde{b}_{hh})

.. math:: \hat y_t = \sigma(W [\overrightarrow{h}_t, \overleftarrow{h}_t] + b)

The task: for each step of a walk, is it a top, higher than the step before and the step after?
"""

import matplotlib.pyplot as plt
import numpy as np

import nncore as nn

rng = np.random.default_rng(0)
walks = np.cumsum(rng.choice([-1.0, 1.0], (2500, 20)), axis=1)
up = np.diff(walks) > 0
tops = np.pad(up[:, :-1] & ~up[:, 1:], ((0, 0), (1, 1)))
x, y = walks[..., None] / 4, tops[..., None]
new = slice(2000, None)  # walks that no net has seen

answers = {}
for name, both in {"forward only": False, "both directions": True}.items():
    rnn = nn.RNN(1, 16, bidirectional=both, return_sequences=True)
    head = nn.Linear(32 if both else 16, 1), nn.Sigmoid()
    model = nn.Sequential(rnn, *head, seed=0)
    model.compile("binary_crossentropy", nn.optim.Adam(lr=0.01))
    model.fit(x[:2000], y[:2000], epochs=30, verbose=0)
    answers[name] = model.predict(x[new])[..., 0]
    right = ((answers[name] > 0.5) == tops[new])[:, 1:-1].mean()
    print(f"{name:15}: {right:.1%} of the steps right")
print(f"always no      : {1 - tops[new][:, 1:-1].mean():.1%}")

# %%
# The first net is no better than one that always says no. After a step up, the next one goes up or down with equal chances, so that the
# best it can say is about one half. The second net sees the next step, and is right every time. One new walk, and what the two say of it:

figure, panels = plt.subplots(
    3, 1, figsize=(5.5, 6.5), layout="constrained", sharex=True
)
steps, walk, top = range(1, 21), walks[new][0], tops[new][0]
panels[0].plot(steps, walk, "k.-")
panels[0].scatter(
    np.flatnonzero(top) + 1, walk[top], s=120, c="#e69f00", label="it is a top"
)
panels[0].set(ylabel="height (m)")
panels[0].legend()
for axes, (name, p) in zip(panels[1:], answers.items(), strict=True):
    axes.bar(steps, p[0], color=np.where(top, "#e69f00", "#0072b2"))
    axes.axhline(0.5, color="k", linestyle=":")
    axes.set(ylabel="probability of a top", ylim=(0, 1.05))
    axes.set_title(f"{name} (blue: it is no top)")
panels[-1].set(xlabel="step", xticks=range(1, 21, 2))

# %%
# **Try next:** let the net that reads forward answer one step later: ``np.roll(y, 1, axis=1)`` as targets. How many are right now?
#
# .. question:: Can a bidirectional net forecast tomorrow's weather, day by day?
#
#    No. Its second direction begins at the end of the sequence, and has to wait for it. It is for sequences that are complete: texts,
#    recordings, last year's measurements. Where answers are needed as the data come, one direction has to do, perhaps a few steps
#    late.
