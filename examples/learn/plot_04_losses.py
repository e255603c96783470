r"""
Losses: how wrong is an answer?
===============================

A loss is one number that says how wrong the answers are. Training makes it smaller. Which one fits depends on the task:

* **Numbers** (regression): the mean squared error :math:`\frac{1}{N} \sum (y - \hat y)^2`. Large errors count much. If a few
  targets are far off, the mean absolute error or the Huber loss count them less. Last layer: linear.
* **Yes or no**: the binary cross-entropy :math:`-y \log p - (1 - y) \log (1 - p)`. Last layer: Sigmoid, one output.
* **One of several classes**: the cross-entropy :math:`-\log p_y`, where :math:`p_y` is the probability of the true class.
  Last layer: Softmax, one output per class.

The cross-entropy grows without a bound where the net is sure and wrong. A squared error of the same answer is at most 1, and behind
a Sigmoid its gradient nearly vanishes there: such a net learns slowest where it is most wrong.
"""

import matplotlib.pyplot as plt
import numpy as np

import nncore as nn

error = np.linspace(-3, 3, 301)
score = np.linspace(-8, 8, 301)[:, None]
plt.style.use("tableau-colorblind10")
figure, axes = plt.subplots(figsize=(5, 3.6), layout="constrained")
for name in ("mse", "mae", "huber"):
    loss = nn.losses.get(name)
    axes.plot(error, [loss([[0.0]], [[e]]) for e in error], label=name)
axes.set(xlabel="answer - target", ylabel="loss", ylim=(0, 4))
axes.grid(alpha=0.3)
axes.legend()

# %%
# A net with a Sigmoid at its end gives some score for a row whose true answer is yes. What do the two losses say of each score, and
# what gradient do they send back to it?

net = nn.Sequential(nn.Sigmoid(), dtype="float64").build((1,))
figure, (upper, lower) = plt.subplots(2, 1, figsize=(5.6, 6.4), layout="constrained")
for name in ("mse", "binary_crossentropy"):
    loss, yes = nn.losses.get(name), np.ones((1, 1))
    p = net.forward(score)
    upper.plot(score, [loss(yes, q[None]) for q in p], label=name)
    slopes = net.backward(np.concatenate([loss.gradient(yes, q[None]) for q in p]))
    lower.plot(score, slopes, label=name)
upper.set(xlabel="score; the answer is yes", ylabel="loss")
lower.set(xlabel="score; the answer is yes", ylabel="gradient of the score")
for axes in (upper, lower):
    axes.legend()
    axes.grid(alpha=0.3)

# %%
# **Try next:** ``nn.losses.get("hinge")`` with targets -1 and 1. From which score on is it 0?
#
# .. question:: A net for three classes knows nothing yet. What is its cross-entropy?
#
#    It says 1/3 for each class: :math:`-\log(1/3) = 1.10`. Whatever the number of classes :math:`K`, it is :math:`\log K`. A
#    loss above that means that the net is sure, and wrong.
