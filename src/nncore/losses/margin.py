"""Losses of scores relative to a margin: csrc/ops/losses/margin.c."""

from __future__ import annotations

from .base import Loss


class Hinge(Loss):
    """max(0, 1 - t z), mean over the columns, targets -1/+1 or 0/1. With a linear output it gives the support vector machine.

    Examples
    --------
    >>> import nncore as nn
    >>> nn.losses.Hinge()([-1, 1], [0.5, 3.0])
    0.75
    """

    name, targets = "hinge", "signs"


class SquaredHinge(Loss):
    """max(0, 1 - t z)², mean over the columns, targets -1/+1 or 0/1. Unlike `Hinge`, it has a continuous gradient.

    Examples
    --------
    >>> import nncore as nn
    >>> nn.losses.SquaredHinge()([-1, 1], [0.5, 3.0])
    1.125
    """

    name, targets = "squared_hinge", "signs"


class CategoricalHinge(Loss):
    """max(0, 1 + max of (1 - t) z - Σ t z) over the classes, targets one-hot. As in Keras, the inner maximum is at least 0.

    Examples
    --------
    >>> import nncore as nn
    >>> nn.losses.CategoricalHinge()([[0, 1]], [[0.5, 1.0]])
    0.5
    """

    name, targets = "categorical_hinge", "one_hot"


class Perceptron(Loss):
    """max(0, -t z), mean over the columns, targets -1/+1 or 0/1. With a linear output it gives Rosenblatt's perceptron.

    Examples
    --------
    >>> import nncore as nn
    >>> nn.losses.Perceptron()([-1, 1], [0.5, 3.0])
    0.25
    """

    name, targets = "perceptron", "signs"
