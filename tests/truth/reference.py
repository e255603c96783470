"""A second implementation, in NumPy alone and in float64: enough of it to train the networks that the tests compare with.

Written from the formulas, not from the core: every derivative is spelled out, and nothing is fused.
"""

from __future__ import annotations

import math

import numpy as np

SELU_SCALE, SELU_ALPHA = 1.0507009873554804934193349852946, 1.6732632423543772848170429916717

erf = np.vectorize(math.erf, otypes=[np.float64])


def sigmoid(x):
    return np.where(x >= 0, 1 / (1 + np.exp(-np.abs(x))), np.exp(-np.abs(x)) / (1 + np.exp(-np.abs(x))))


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


#: Name in the registry -> f(x, *attributes).
ACTIVATIONS = {
    "identity": lambda x: x,
    "step": lambda x, threshold: (x > threshold) * 1.0,
    "sigmoid": sigmoid,
    "tanh": np.tanh,
    "relu": lambda x: np.maximum(x, 0),
    "leaky_relu": lambda x, slope: np.where(x > 0, x, slope * x),
    "elu": lambda x, alpha: np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0))),
    "selu": lambda x: SELU_SCALE * np.where(x > 0, x, SELU_ALPHA * np.expm1(np.minimum(x, 0))),
    "gelu": lambda x: 0.5 * x * (1 + erf(x / np.sqrt(2))),
    "gelu_tanh": lambda x: 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))),
    "silu": lambda x: x * sigmoid(x),
    "softplus": lambda x, beta, threshold: np.where(beta * x > threshold, x, np.logaddexp(0, beta * x) / beta),
    "softsign": lambda x: x / (1 + np.abs(x)),
    "hardtanh": lambda x, low, high: np.clip(x, low, high),
    "hardsigmoid": lambda x: np.clip(x / 6 + 0.5, 0, 1),
    "hardswish": lambda x: x * np.clip(x / 6 + 0.5, 0, 1),
    "mish": lambda x: x * np.tanh(np.logaddexp(0, x)),
    "celu": lambda x, alpha: np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0) / alpha)),
    "exp": np.exp,
    "log_sigmoid": lambda x: -np.logaddexp(0, -x),
    "hardshrink": lambda x, lambd: np.where(np.abs(x) > lambd, x, 0),
    "softshrink": lambda x, lambd: np.sign(x) * np.maximum(np.abs(x) - lambd, 0),
    "tanhshrink": lambda x: x - np.tanh(x),
    "threshold": lambda x, threshold, value: np.where(x > threshold, x, value),
    "softmax": softmax,
    "log_softmax": lambda x: x - x.max(-1, keepdims=True) - np.log(np.exp(x - x.max(-1, keepdims=True)).sum(-1, keepdims=True)),
}

#: Derivative by the output, of those that `train` can use.
SLOPES = {"sigmoid": lambda y: y * (1 - y), "tanh": lambda y: 1 - y * y, "relu": lambda y: (y > 0) * 1.0}


class SGD:
    """Momentum as PyTorch has it: v = momentum v + g, w -= lr v; with Nesterov w -= lr (g + momentum v)."""

    def __init__(self, lr, momentum=0.0, nesterov=False, weight_decay=0.0):
        self.lr, self.momentum, self.nesterov, self.weight_decay, self.v = lr, momentum, nesterov, weight_decay, None

    def update(self, weights, grads):
        grads = [g + self.weight_decay * w for w, g in zip(weights, grads, strict=True)]
        self.v = grads if self.v is None else [self.momentum * v + g for v, g in zip(self.v, grads, strict=True)]
        for w, g, v in zip(weights, grads, self.v, strict=True):
            w -= self.lr * (g + self.momentum * v if self.nesterov else v)


class Adam:
    """Kingma and Ba 2015, algorithm 1; AMSGrad as in PyTorch (the maximum is taken before the bias correction)."""

    def __init__(self, lr, betas=(0.9, 0.999), eps=1e-8, amsgrad=False):
        self.lr, self.betas, self.eps, self.amsgrad, self.t = lr, betas, eps, amsgrad, 0

    def update(self, weights, grads):
        if not self.t:
            self.m, self.v, self.top = ([np.zeros_like(w) for w in weights] for _ in range(3))
        self.t += 1
        (b1, b2), t = self.betas, self.t
        for w, g, m, v, top in zip(weights, grads, self.m, self.v, self.top, strict=True):
            m[...] = b1 * m + (1 - b1) * g
            v[...] = b2 * v + (1 - b2) * g * g
            top[...] = np.maximum(top, v)
            spread = top if self.amsgrad else v
            w -= self.lr * (m / (1 - b1**t)) / (np.sqrt(spread / (1 - b2**t)) + self.eps)


def clip_by_norm(grads, limit):
    norm = math.sqrt(sum(float((g * g).sum()) for g in grads))
    return [g * min(1.0, limit / (norm + 1e-6)) for g in grads]


def train(weights, activations, end, x, y, batch, steps, optimizer, clip_norm=None):
    """Train a stack of Linear layers and return the loss of each step.

    weights: [w0, b0, w1, b1, ...], [out, in] and [out], changed in place; activations: after each layer but the last; end:
    "sigmoid" with binary cross-entropy over [N, 1], or "softmax" with cross-entropy over class indices.
    """
    losses, first = [], 0
    for _ in range(steps):
        xb, yb = x[first : first + batch], y[first : first + batch]
        first = first + batch if first + batch < len(x) else 0
        values = [xb]
        for i, name in enumerate(activations):
            values.append(ACTIVATIONS[name](values[-1] @ weights[2 * i].T + weights[2 * i + 1]))
        z = values[-1] @ weights[-2].T + weights[-1]
        if end == "sigmoid":
            p = sigmoid(z)
            losses.append(float(np.mean(np.maximum(z, 0) - z * yb + np.log1p(np.exp(-np.abs(z))))))
            dz = (p - yb) / len(xb)
        else:
            p = softmax(z)
            losses.append(float(np.mean(-np.log(p[np.arange(len(xb)), yb]))))
            dz = (p - np.eye(z.shape[1])[yb]) / len(xb)
        grads = []
        for i in range(len(values) - 1, -1, -1):
            grads = [dz.T @ values[i], dz.sum(0), *grads]
            if i:
                dz = (dz @ weights[2 * i]) * SLOPES[activations[i - 1]](values[i])
        optimizer.update(weights, grads if clip_norm is None else clip_by_norm(grads, clip_norm))
    return np.array(losses)
