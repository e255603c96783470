# What ops compute, in NumPy. `sources` copies from here what a network needs; nncore itself never runs it.
import functools
import math

import numpy as np

# Activations ------------------------------------------------------------------------------------------------------------------


def relu(x):
    return np.maximum(x, 0)


def leaky_relu(x, slope):
    return np.where(x > 0, x, slope * x)


def step(x, threshold):
    return np.where(np.isnan(x), x, x > threshold)


def sigmoid(x):
    e = np.exp(-np.abs(x))  # never above 1, so that nothing overflows
    return np.where(x < 0, e, 1) / (1 + e)


def elu(x, alpha):
    return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))


def celu(x, alpha):
    return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0) / alpha))


def selu(x):
    return 1.0507009873554804934 * elu(x, 1.6732632423543772848)


erfc = np.vectorize(math.erfc, otypes=[float])


def gelu(x):
    y = x * erfc(-x * math.sqrt(0.5)) / 2  # x times the normal distribution function
    return y.astype(x.dtype)


def gelu_tanh(x):
    return x * sigmoid(2 * math.sqrt(2 / math.pi) * (x + 0.044715 * x * x * x))


def silu(x):
    return x * sigmoid(x)


def softplus(x, beta=1.0, threshold=math.inf):
    return np.where(beta * x > threshold, x, np.logaddexp(0, beta * x) / beta)


def softsign(x):
    return x / (1 + np.abs(x))


def hardsigmoid(x):
    return np.clip(x + 3, 0, 6) / 6


def mish(x):
    return x * np.tanh(softplus(x))


def log_sigmoid(x):
    return -softplus(-x)


def hardshrink(x, limit):
    return np.where(np.abs(x) <= limit, 0, x)


def softshrink(x, limit):
    return np.sign(x) * np.maximum(np.abs(x) - limit, 0)


def threshold(x, limit, value):
    return np.where(x <= limit, value, x)


def softmax(x):
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def log_softmax(x):
    x = x - x.max(axis=-1, keepdims=True)
    return x - np.log(np.exp(x).sum(axis=-1, keepdims=True))


def glu(x):
    values, gates = np.split(x, 2, axis=-1)
    return values * sigmoid(gates)


# Layers -----------------------------------------------------------------------------------------------------------------------


def linear(x, weight, bias=None):
    y = x @ weight.T
    return y if bias is None else y + bias


def embedding(x, table):
    index = x.astype(np.int64)
    if (index != x).any() or (index < 0).any() or (index >= len(table)).any():
        raise ValueError(f"an index is a whole number from 0 to {len(table) - 1}")
    return table[index]


def affine(x, scale=None, shift=None):
    x = x if scale is None else x * scale
    return x if shift is None else x + shift


def batch_norm(x, mean, variance, eps, scale=None, shift=None, axis=-1):
    x = np.moveaxis(x, axis, -1)
    y = affine((x - mean) / np.sqrt(variance + eps), scale, shift)
    return np.moveaxis(y, -1, axis)


def batch_norm_of_batch(x, eps, scale=None, shift=None, axis=-1, counts=None):
    """With the mean and the variance of the batch. counts: of how many steps of each sequence."""
    if counts is None:
        valid, n = True, math.prod(x.shape) // x.shape[axis]
    else:
        valid = valid_steps(x, counts)
        n = counts.sum() * math.prod(x.shape[2:-1])
    if n == 1:
        raise ValueError("one row has no variance to normalise by; pass at least 2 rows at once")
    x = np.moveaxis(x, axis, -1)
    axes = tuple(range(x.ndim - 1))
    centred = x - np.where(valid, x, 0).sum(axis=axes) / x.dtype.type(n)
    variance = np.where(valid, centred * centred, 0).sum(axis=axes) / x.dtype.type(n)
    return np.moveaxis(affine(centred / np.sqrt(variance + eps), scale, shift), -1, axis)


def layer_norm(x, dimensions, eps, scale=None, shift=None):
    axes = tuple(range(-dimensions, 0))
    centred = x - x.mean(axis=axes, keepdims=True)
    variance = (centred * centred).mean(axis=axes, keepdims=True)
    return affine(centred / np.sqrt(variance + eps), scale, shift)


def maxout(x, pieces):
    return x.reshape(*x.shape[:-1], pieces, x.shape[-1] // pieces).max(axis=-2)


def flatten(x, start, end):
    return x.reshape(*x.shape[:start], math.prod(x.shape[start : end + 1]), *x.shape[end + 1 :])


def reshape(x, *sizes):
    """Give each sample other sizes; -1 stands for what is left."""
    left = math.prod(x.shape[1:]) // -math.prod(sizes)
    return x.reshape(len(x), *(left if size == -1 else size for size in sizes))


def maximum(*arrays):
    return functools.reduce(np.maximum, arrays)


def minimum(*arrays):
    return functools.reduce(np.minimum, arrays)


# Time: x is [N, T, ...], and counts are the valid steps of each sequence, [N], or None if all are -----------------------------


def valid_steps(x, counts):
    valid = np.arange(x.shape[1]) < counts[:, None]
    return valid.reshape(valid.shape + (1,) * (x.ndim - 2))


def without_padding(x, counts):
    return x if counts is None else np.where(valid_steps(x, counts), x, 0)


def mean_over_time(x, counts=None):
    if counts is None:
        return x.mean(axis=1)
    total = np.where(valid_steps(x, counts), x, 0).sum(axis=1)
    return total / counts.astype(x.dtype).reshape((-1,) + (1,) * (x.ndim - 2))


def max_over_time(x, counts=None):
    return (x if counts is None else np.where(valid_steps(x, counts), x, -np.inf)).max(axis=1)


def last_step(x, counts=None):
    return x[:, -1] if counts is None else x[np.arange(len(x)), counts - 1]


def joined_counts(parts, counts):
    if all(each is None for each in counts):
        return None
    return sum(x.shape[1] if n is None else n for x, n in zip(parts, counts))


def join_in_time(parts, counts):
    """Let the sequences follow one another, the valid steps of all before the padding."""
    joined = np.concatenate(parts, axis=1)
    if all(each is None for each in counts):
        return joined
    valid = [np.ones(x.shape[:2], bool) if n is None else np.arange(x.shape[1]) < n[:, None] for x, n in zip(parts, counts)]
    valid = np.concatenate(valid, axis=1)
    order = np.argsort(~valid, axis=1, kind="stable")
    return without_padding(joined[np.arange(len(joined))[:, None], order], valid.sum(axis=1))


# Recurrent layers: each returns the outputs [N, T, hidden] and the last states [N, hidden] ------------------------------------


def run(cell, given, hidden, start, counts, backwards):
    """Let a cell go through the time steps of what it is given, [N, T, gates * hidden]."""
    states = [np.broadcast_to(state, (len(given), hidden)) for state in start]
    outputs = np.empty((*given.shape[:2], hidden), given.dtype)
    for t in reversed(range(given.shape[1])) if backwards else range(given.shape[1]):
        new = cell(given[:, t], *states)
        if counts is not None:  # beyond its end, a sequence keeps its states
            valid = (t < counts)[:, None]
            new = [np.where(valid, after, before) for after, before in zip(new, states)]
        states = new
        outputs[:, t] = states[0]
    return without_padding(outputs, counts), states


def rnn(x, w_ih, w_hh, b_ih=None, b_hh=None, *, activation=np.tanh, start=None, counts=None, backwards=False):
    def cell(given, h):
        return [activation(given + linear(h, w_hh, b_hh))]

    zero = x.dtype.type(0)
    return run(cell, linear(x, w_ih, b_ih), w_hh.shape[1], start or [zero], counts, backwards)


def gru(x, w_ih, w_hh, b_ih=None, b_hh=None, *, start=None, counts=None, backwards=False):
    def cell(given, h):
        (r, z, n), (hr, hz, hn) = np.split(given, 3, axis=-1), np.split(linear(h, w_hh, b_hh), 3, axis=-1)
        r, z = sigmoid(r + hr), sigmoid(z + hz)
        n = np.tanh(n + r * hn)
        return [n + z * (h - n)]

    zero = x.dtype.type(0)
    return run(cell, linear(x, w_ih, b_ih), w_hh.shape[1], start or [zero], counts, backwards)


def gru_before(x, w_ih, w_hh, b_ih=None, b_hh=None, *, start=None, counts=None, backwards=False):
    """With the reset before the product."""
    hidden = w_hh.shape[1]
    (w, v), (b, d) = np.split(w_hh, [2 * hidden]), (None, None) if b_hh is None else np.split(b_hh, [2 * hidden])

    def cell(given, h):
        r, z = np.split(sigmoid(given[:, : 2 * hidden] + linear(h, w, b)), 2, axis=-1)
        n = np.tanh(given[:, 2 * hidden :] + linear(r * h, v, d))
        return [n + z * (h - n)]

    zero = x.dtype.type(0)
    return run(cell, linear(x, w_ih, b_ih), hidden, start or [zero], counts, backwards)


def lstm(x, w_ih, w_hh, b_ih=None, b_hh=None, *, start=None, counts=None, backwards=False):
    def cell(given, h, c):
        i, f, g, o = np.split(given + linear(h, w_hh, b_hh), 4, axis=-1)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        return [sigmoid(o) * np.tanh(c), c]

    zero = x.dtype.type(0)
    return run(cell, linear(x, w_ih, b_ih), w_hh.shape[1], start or [zero, zero], counts, backwards)


def both_ways(layer, x, forwards, backwards, start=None, counts=None):
    """A layer from the first step on, and one from the last step on, with their weights; the results stand side by side."""
    hidden = forwards[1].shape[1]
    halves = [[h[:, :hidden] for h in start], [h[:, hidden:] for h in start]] if start else [None, None]
    y, states = layer(x, *forwards, start=halves[0], counts=counts)
    y_back, states_back = layer(x, *backwards, start=halves[1], counts=counts, backwards=True)
    return np.concatenate([y, y_back], axis=-1), [np.concatenate(pair, axis=-1) for pair in zip(states, states_back)]
