r"""
A forecast, honestly split
==========================

How many visitors will come a week from now? A series of the past is cut into **windows**: 28 days are the input, and the day a week after
the last of them is the target. Each day begins a new window, so neighbouring windows share nearly all of their days.

A net has to be judged by data that it has not seen, here by the mean absolute error of its forecasts:

.. math:: \text{error} = \frac{1}{N} \sum |\hat y - y|

But which data has it not seen? If some windows are held out **at random**, the net is trained on their neighbours. It sees the days
around the target, and targets that are nearly the same. The real future has no such neighbours. A **split in time** asks what the future
will ask: train on what was earlier, check on what came later.

And compare with something simple, a **baseline**: the number will be that of today, the same day of the week. A net that does no better is
of no use, however small its error looks.

The series has a weekly pattern, slow changes as of the weather, and chance. Three years are known. The fourth is the future, which shows
who was right:
"""

import matplotlib.pyplot as plt
import numpy as np

import nncore as nn

rng, days = np.random.default_rng(0), np.arange(4 * 365)
slow = np.zeros(len(days))
for t in days[1:]:
    slow[t] = 0.9 * slow[t - 1] + 2.6 * rng.normal()
series = 100 + 8 * np.sin(2 * np.pi * days / 7) + slow + 3 * rng.normal(size=len(days))
past, future = nn.split_series(series, validation=365)


def windows(part):
    """Return windows of 28 days, and the value 7 days after each, all scaled."""
    x, y = nn.make_windows((part - past.mean()) / past.std(), 28, horizon=7)
    return x[..., None], y[:, -1]


(x, y), new = windows(past), windows(future)
rows = np.split(rng.permutation(len(x)), [len(x) * 4 // 5])
at_random = [(x[some], y[some]) for some in rows]
in_time = [windows(part) for part in nn.split_series(past, validation=219)]
claims, truths = [], []
for train, check in (at_random, in_time):
    net = nn.Sequential(nn.GRU(1, 32), nn.Linear(32, 1), seed=0)
    net.compile("mae", nn.optim.Adam(lr=0.01))
    best = nn.callbacks.EarlyStopping(patience=100, restore_best_weights=True)
    net.fit(*train, epochs=100, validation_data=check, callbacks=[best], verbose=0)
    claims.append(past.std() * net.evaluate(*check))
    truths.append(past.std() * net.evaluate(*new))
baseline = past.std() * np.abs(new[0][:, -1, 0] - new[1]).mean()

figure, axes = plt.subplots(figsize=(5.5, 4), layout="constrained")
for k, (name, bars) in enumerate({"claimed": claims, "in year 4": truths}.items()):
    axes.bar_label(axes.bar([k, k + 3], bars, label=name), fmt="%.1f")
axes.axhline(baseline, color="k", linestyle="--", label=f"baseline: {baseline:.1f}")
axes.set_xticks([0.5, 3.5], ["random split", "split in time"])
axes.set(ylabel="error (visitors a day)", ylim=(0, 8))
axes.legend(ncols=3)

# %%
# By the random split the net errs by less than 4 visitors a day, much less than the baseline; in year 4 it is worse than the baseline. By
# the split in time, a net of the same kind promises less, and keeps the promise. Its forecast for some weeks of year 4:

figure, axes = plt.subplots(figsize=(5.5, 4), layout="constrained")
forecast = past.mean() + past.std() * net.predict(new[0])[:, 0]
axes.plot(range(35, 84), future[34:83], "k.-", label="visitors")
axes.plot(range(35, 84), future[27:76], ":", label="baseline: a week before")
axes.plot(range(35, 84), forecast[:49], linewidth=3, label="net")
axes.set(xlabel="day of year 4", ylabel="visitors a day", ylim=(75, 140))
axes.legend()

# %%
# Both have the weekly pattern. The baseline also repeats whatever happened by chance a week before; the net has learned not to.
#
# **Try next:** other series, ``default_rng(1)`` to ``default_rng(5)``. Is the random split ever right? And a net that is too small to learn
# much by heart, ``nn.GRU(1, 4)`` with ``nn.Linear(4, 1)``: what becomes of the promise, and of the error in year 4?
#
# .. question:: Your model beats the baseline on the held-out data of a split in time. May you now try a hundred models and take the best?
#
#    You may, but its error is then no longer honest: of a hundred, one is lucky on just these days. Choose by them, and then measure the
#    chosen one once on days that are later still, as year 4 is here.
