"""What the tests of training share: a linear model, data on a line, and copies of weights."""

import numpy as np

import nncore as nn


def linear(inputs=3, outputs=1, loss="mse", optimizer=None, metrics=(), dtype="float64", **options):
    model = nn.Sequential(nn.Linear(inputs, outputs), seed=1, dtype=dtype)
    model.compile(loss=loss, optimizer=optimizer or nn.optim.SGD(lr=0.1), metrics=metrics, **options)
    return model


def line(rng, rows, inputs=3):
    x = rng.normal(size=(rows, inputs))
    return x, x @ np.arange(1.0, inputs + 1)[:, None] + 0.5


def weights(model):
    return [w.copy() for w in model.get_weights()]


def assert_same(model, kept):
    for now, then in zip(model.get_weights(), kept, strict=True):
        np.testing.assert_array_equal(now, then)
