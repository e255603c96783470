r"""
Which metric to trust
=====================

The loss is for training. A **metric** is for you: it says how good a net is, in a way that you can explain. Each looks at one side of the
matter, and some can be fooled.

A test for a disease that five in a hundred have. Every answer is one of four: sick and found (true positive, :math:`TP`), sick and missed
(false negative, :math:`FN`), healthy and left alone (true negative, :math:`TN`), healthy and frightened (false positive, :math:`FP`).

* **Accuracy**, :math:`(TP + TN) / (TP + TN + FP + FN)`: how many answers are right? All count alike, so that the many healthy decide.
* **Recall**, :math:`TP / (TP + FN)`: how many of the sick are found?
* **Precision**, :math:`TP / (TP + FP)`: how many of those whom it calls sick are sick?
* **F1**, :math:`2\,TP / (2\,TP + FP + FN)`: high only if recall and precision both are.
* **Specificity**, :math:`TN / (TN + FP)`: how many of the healthy are left alone?
"""

import matplotlib.pyplot as plt
import numpy as np

import nncore as nn

METRICS = ("specificity", "f1", "precision", "recall", "accuracy")
plt.style.use("seaborn-v0_8-colorblind")

rng = np.random.default_rng(2)
sick = rng.random(6000) < 0.05
measured = rng.normal(size=(6000, 2)) + 1.5 * sick[:, None]
model = nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Linear(8, 1), nn.Sigmoid(), seed=0)
model.compile("binary_crossentropy", nn.optim.Adam(lr=0.01))
model.fit(measured[:2000], sick[:2000], epochs=20, batch_size=50, verbose=0)
truth, p = sick[2000:], model.predict(measured[2000:])[:, 0]

# %%
# Three ways to answer for 4000 new people: "healthy" for everybody, "sick" where the net's probability is above 0.5, and "sick" where it is
# above 0.1.

figure, axes = plt.subplots(figsize=(5.6, 5), layout="constrained")
answers = {
    "always healthy": p > 1,
    "sick above 0.5": p > 0.5,
    "sick above 0.1": p > 0.1,
}
for k, (name, answer) in enumerate(answers.items()):
    values = [getattr(nn.metrics, metric)(truth, answer) for metric in METRICS]
    bars = axes.barh(np.arange(5) - 0.27 * k, values, 0.25, label=name)
    axes.bar_label(bars, fmt=" {:.0%}")
axes.set(yticks=np.arange(5) - 0.27, yticklabels=METRICS, xlabel="value", xlim=(0, 1.2))
figure.legend(loc="outside upper center", ncols=3)

# %%
# By accuracy all three are good, and the first, which is of no use to anybody, beats the third. Recall tells them apart: the first finds
# none of the sick, the second 37%, the third 78%. The price is precision: of those whom the third calls sick, only 29% are. F1, which
# weighs the two against each other, is 0 where nothing is found.
#
# Where to draw the border, 0.5 or elsewhere, is for you to decide, and every border is a trade:

cuts = np.linspace(0, 0.9, 91)
figure, axes = plt.subplots(figsize=(5.6, 4), layout="constrained")
for name in METRICS[1:]:
    axes.plot(cuts, [getattr(nn.metrics, name)(truth, p > c) for c in cuts], label=name)
axes.set(xlabel='"sick" above this probability', ylabel="value")
axes.legend()

# %%
# A low border misses few and frightens many, a high one the reverse. Accuracy hardly notices.
#
# **Numbers** have the same trouble. How many umbrellas does a shop sell in a day? With the target :math:`y` and the guess :math:`\hat y`,
# on :math:`N` days:
#
# * **MSE**, :math:`\frac{1}{N} \sum (y - \hat y)^2`: the mean squared error.
# * **MAE**, :math:`\frac{1}{N} \sum |y - \hat y|`: the mean absolute error.
# * **MAPE**, :math:`\frac{100}{N} \sum \frac{|y - \hat y|}{|y|}`: the mean absolute error in percent of the target.
#
# Let us guess the same number for every day. Which one does each metric like best?

guesses = np.linspace(0, 8, 81)
figure, panels = plt.subplots(3, 1, figsize=(5.6, 8), layout="constrained")
for axes, more in zip(panels, ([], [30], [0]), strict=True):
    y = [1, 2, 2, 3, 3, 3, 4, 4, 5, 6, *more]
    for name in ("mse", "mae", "mape"):
        e = np.array([getattr(nn.metrics, name)(y, [g] * len(y)) for g in guesses])
        axes.plot(guesses, e / e.min(), "o-", markevery=[e.argmin()], label=name)
    axes.set(title=f"sold: {y}", xlabel="guess", ylabel="error / best", ylim=(0.9, 3))
    axes.legend(loc="upper right")

# %%
# * **MSE** wants the mean, and a single day of 30 pulls it from 3.3 to 5.7: large errors count by their square.
# * **MAE** wants the middle one, 3, whatever the largest is.
# * **MAPE** likes guesses that are too low: they are wrong by 100% at most, and those that are too high by any percentage. And with a single
#   day of 0 it divides by 0 (nncore: by 0.0000001). Then only the guess 0 will do, and 3 is wrong by 270 million per cent.
#
# So say first what an error costs, and choose the metric that says the same. Look at two of them, and beside them at the simplest answer
# there is: "healthy" for everybody, or the same number every day.
#
# **Try next:** ``class_weight={0: 1, 1: 19}`` in ``fit``, so that the sick count as much as the healthy. What becomes of recall and precision
# at 0.5? Then add ``"rmse"`` to the three errors. Which guess
# does it like best, and why?
#
# .. question:: For a mail filter, "sick" is "spam". Which counts more, recall or precision?
#
#    Precision. A letter that is lost costs more than an advertisement that gets through. For the disease it is the other way round:
#    who is missed is not treated, and who is frightened gets a second test.
