"""The nets that are attacked, with data that fit them, and the states that training brings a net to."""

from __future__ import annotations

import hashlib

import numpy as np

import nncore as nn


class Kind:
    """A kind of net.

    `model` makes one, compiled; `data` gives x, y and lengths (or None). Time steps may vary where ``timed``.
    """

    name = ""
    timed = False
    streams = False
    one_input = True
    custom: dict = {}  # what nn.load needs to be told  # noqa: RUF012
    loss: object = "mse"
    metrics: tuple = ("mae",)
    width = 6  # features

    def bare(self):
        """Return a model that is not compiled, and not built where the data say for what shape."""
        return nn.Sequential(*self.layers(), seed=3)

    def layers(self):
        raise NotImplementedError

    def optimizer(self):
        return nn.optim.Adam(lr=1e-4, ema_momentum=0.9)

    def compile(self, model):
        model.compile(self.loss, self.optimizer(), list(self.metrics))

    def model(self):
        model = self.bare()
        if not model.built:
            model.build(self.shape(5))
        self.compile(model)
        return model

    def shape(self, steps):
        return (steps, self.width) if self.timed else (self.width,)

    def data(self, rng, rows=32, steps=5):
        x = rng.normal(size=(rows, *self.shape(steps))).astype(np.float32)
        return x, self.targets(rng, rows), None

    def targets(self, rng, rows):
        return rng.normal(size=(rows, 3)).astype(np.float32)


class Dense(Kind):
    name = "dense"

    def layers(self):
        return nn.Linear(6, 16), nn.Tanh(), nn.Linear(16, 8), nn.ReLU(), nn.Linear(8, 3)


class Normalised(Kind):
    name = "normalised"
    loss, metrics = "sparse_categorical_crossentropy", ("accuracy", nn.metrics.F1(average="macro"))

    def layers(self):
        return nn.Linear(6, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.3), nn.Linear(16, 4), nn.Softmax()

    def targets(self, rng, rows):
        return np.arange(rows) % 4


class Gru(Kind):
    name = "gru"
    timed = streams = True

    def layers(self):
        return nn.GRU(6, 8), nn.Linear(8, 3)


class Words(Kind):
    name = "words"
    timed = True

    def layers(self):
        return nn.Embedding(20, 6), nn.LSTM(6, 5, bidirectional=True), nn.Linear(10, 3)

    def shape(self, steps):
        return (steps,)

    def data(self, rng, rows=32, steps=5):
        return rng.integers(0, 20, (rows, steps)), self.targets(rng, rows), rng.integers(1, steps + 1, rows)


class Graph(Kind):
    name = "graph"
    one_input = False
    metrics = (("mae",), ())

    def bare(self):
        a, b = nn.Input((6,), name="a"), nn.Input((4,), name="b")
        h = nn.Tanh()(nn.Linear(6, 8)(a)) + nn.Linear(4, 8)(b)
        both = nn.concatenate([h, a])
        return nn.Model([a, b], [nn.Linear(14, 3, name="p")(both), nn.Linear(8, 2, name="q")(h)], seed=3)

    def data(self, rng, rows=32, steps=5):
        x = [rng.normal(size=(rows, width)).astype(np.float32) for width in (6, 4)]
        return x, [rng.normal(size=(rows, width)).astype(np.float32) for width in (3, 2)], None


class Scale(nn.PythonLayer):
    """A layer in Python, with a weight."""

    def build(self, input_shape):
        self.add_weight("scale", input_shape, init="ones")

    def forward(self, x, training=False):
        return x * self.scale

    def backward(self, dy, x, y):
        self.grads["scale"][...] = (dy * x).sum(axis=0)
        return dy * self.scale


def squares(y_true, y_pred):
    error = y_pred - y_true
    return (error**2).mean(axis=1), 2 * error / error.shape[1]


def largest(y_true, y_pred):
    return abs(y_true - y_pred).max(axis=1)


class Negated(nn.PythonLayer):
    """A layer in Python, without one."""

    def forward(self, x):
        return -x

    def backward(self, dy, x, y):
        return -dy


class Python(Kind):
    name = "python"
    loss, metrics = staticmethod(squares), (largest,)
    custom = {each.__name__: each for each in (Scale, Negated, squares, largest)}  # noqa: RUF012

    def layers(self):
        return nn.Linear(6, 8), Scale(), nn.Tanh(), Negated(), nn.Linear(8, 3)


class Bfloat16(Kind):
    """Products in low precision, with a layer in Python between."""

    name = "bfloat16"
    timed = True
    width = 20
    custom = {"Scale": Scale}  # noqa: RUF012

    def bare(self):
        return nn.Sequential(*self.layers(), seed=3, compute="bfloat16")

    def layers(self):
        return nn.LSTM(20, 16), nn.Linear(16, 32), Scale(), nn.Tanh(), nn.Linear(32, 16), nn.ReLU(), nn.Linear(16, 3)


KINDS = [Dense(), Normalised(), Gru(), Words(), Graph(), Python(), Bfloat16()]


def as_list(outputs):
    return outputs if isinstance(outputs, list) else [outputs]


def same(a, b):
    """Whether predictions, or lists of them, are equal to the bit."""
    pairs = list(zip(as_list(a), as_list(b), strict=True))
    return all(one.shape == two.shape and one.tobytes() == two.tobytes() for one, two in pairs)


def are_finite(outputs):
    return all(np.isfinite(each).all() for each in as_list(outputs))


def equal_weights(a, b):
    """Whether two state dicts are equal to the bit."""
    return a.keys() == b.keys() and all(a[name].tobytes() == b[name].tobytes() for name in a)


class Trajectory:
    """The weights of a net after each of so many steps on one batch.

    `fit` over rows that repeat the batch, and `train_on_batch`, in any mixture, bring a net to just these states. So one look at
    the weights tells whether they are those of one moment.

    Parameters
    ----------
    kind : Kind
    steps : int
        How many.
    rows : int
        Of the batch.
    """

    def __init__(self, kind, steps, rows=32):
        self.kind, self.steps, self.rows = kind, steps, rows
        self.x, self.y, self.lengths = kind.data(np.random.default_rng(1), rows)
        model = kind.model()
        self._steps_of = {}  # from the name and the digest of a tensor to the steps after which it has that value
        self._values = []
        for step in range(steps + 1):
            if step:
                model.train_on_batch(self.x, self.y, lengths=self.lengths)
            values = {name: _digest(value) for name, value in model.state_dict().items()}
            self._values.append(values)
            for item in values.items():
                self._steps_of.setdefault(item, set()).add(step)

    def repeated(self, times):
        """The rows of the batch so many times over: `fit` without shuffling, in batches of so many rows, sees it at each step."""

        def repeat(array):
            return (
                array
                if array is None
                else [repeat(a) for a in array]
                if isinstance(array, list)
                else np.concatenate([array] * times)
            )

        return repeat(self.x), repeat(self.y), repeat(self.lengths)

    def fit(self, model, steps, **arguments):
        """Train for so many steps by one epoch of ``fit``."""
        x, y, lengths = self.repeated(steps)
        return model.fit(x, y, batch_size=self.rows, shuffle=False, verbose=0, lengths=lengths, **arguments)

    def train(self, model):
        """Train for one step."""
        return model.train_on_batch(self.x, self.y, lengths=self.lengths)

    def is_at(self, state_dict, step):
        """Whether these are the weights after so many steps."""
        return {name: _digest(value) for name, value in state_dict.items()} == self._values[step]

    def complaint(self, state_dict, steps=None):
        """Return what is wrong with weights, or "" where they are those of one moment, and of one of these steps if given."""
        found = {name: self._steps_of.get((name, _digest(value)), set()) for name, value in state_dict.items()}
        common = set.intersection(*found.values())
        if common and (steps is None or common & set(steps)):
            return ""
        each = ", ".join(f"{name}: {min(at) if at else 'never'}" for name, at in found.items())
        return f"weights of the steps {each}" + ("" if steps is None else f"; wanted: {sorted(steps)}")


def _digest(array):
    return hashlib.blake2b(np.ascontiguousarray(array).tobytes(), digest_size=8).digest()
