"""Parts written in Python that the tests share: each has a twin among the built-in ones."""

import numpy as np

import nncore as nn


class PyLinear(nn.PythonLayer):
    """Linear, written out."""

    def __init__(self, units, start="xavier_uniform"):
        super().__init__(units=units, start=start)

    def build(self, input_shape):
        self.add_weight("weight", (self.units, input_shape[-1]), init=self.start)
        self.add_weight("bias", self.units)

    def output_shape(self, input_shape):
        return (*input_shape[:-1], self.units)

    def forward(self, x):
        return x @ self.weight.T + self.bias

    def backward(self, dy, x, y):
        flat = dy.reshape(-1, self.units)
        self.grads["weight"][...] = flat.T @ x.reshape(len(flat), -1)
        self.grads["bias"][...] = flat.sum(axis=0)
        return dy @ self.weight


class PyTanh(nn.PythonLayer):
    def forward(self, x, training=False):
        return np.tanh(x)

    def backward(self, dy, x, y):
        return dy * (1 - y * y)


class PySum(nn.PythonLayer):
    """The sum of several values."""

    def forward(self, x):
        return sum(x)

    def backward(self, dy, x, y):
        return [dy] * len(x)


class Explosive(PyTanh):
    """Raises what it is told to, in the method that it is told to."""

    def arm(self, method, error, training_only=False):
        self.__dict__["bomb"] = (method, error, training_only)

    def _maybe(self, method, training=True):
        armed, error, only = self.__dict__.get("bomb", (None, None, False))
        if armed == method and (training or not only):
            raise error

    def forward(self, x, training=False):
        self._maybe("forward", training)
        return super().forward(x)

    def backward(self, dy, x, y):
        self._maybe("backward")
        return super().backward(dy, x, y)


def squared(y_true, y_pred):
    """mean_squared_error as a function."""
    error = y_pred - y_true
    return (error * error).mean(axis=1), 2 * error / y_pred.shape[1]


class Squared:
    """The same as an object with value and gradient."""

    def value(self, y_true, y_pred):
        return squared(y_true, y_pred)[0]

    def gradient(self, y_true, y_pred):
        return squared(y_true, y_pred)[1]


class Huberish(nn.losses.PythonLoss):
    """Huber's loss with its argument."""

    def __init__(self, delta=1.0, reduction="mean"):
        super().__init__(reduction, delta=delta)

    def value_and_gradient(self, y_true, y_pred):
        e = y_pred - y_true
        near = abs(e) <= self.delta
        value = np.where(near, e * e / 2, self.delta * abs(e) - self.delta**2 / 2)
        return value.mean(axis=1), np.where(near, e, self.delta * np.sign(e)) / e.shape[1]


class LogLoss(nn.losses.PythonLoss):
    """Sparse categorical cross-entropy of probabilities."""

    targets = "classes"

    def value_and_gradient(self, y_true, y_pred):
        assert y_true.dtype == np.int64
        p = np.take_along_axis(y_pred, y_true[:, None], axis=1)[:, 0]
        grad = np.zeros_like(y_pred)
        np.put_along_axis(grad, y_true[:, None], (-1 / p)[:, None], axis=1)
        return -np.log(p), grad


def distance(y_true, y_pred):
    """The mean absolute error of each row."""
    return abs(y_true - y_pred).mean(axis=1)


class Largest:
    """A metric that is no mean: the largest error of all rows, in Keras's manner; it keeps what it is given."""

    def __init__(self):
        self.seen = []

    def reset_state(self):
        self.seen = []

    def update_state(self, y_true, y_pred, sample_weight=None):
        self.seen.append((y_true, y_pred))

    def result(self):
        return float(max(abs(t - p).max() for t, p in self.seen))


def data(rows=60, seed=0, dtype=np.float64):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, 3))
    return x.astype(dtype), np.stack([np.sin(x[:, 0]), x[:, 1] * x[:, 2]], axis=1).astype(dtype)
