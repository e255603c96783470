"""NumPy's version of each op, as one would write it in a notebook: the yardstick of bench_kernels.py, and a check before timing.

Keys are the names of the registry. An op without a twin is timed alone.
"""

import numpy as np

#: Attributes by name; softplus and rmsprop mean something else by two of them.
ATTRIBUTES = {
    "threshold": 0.0, "negative_slope": 0.01, "alpha": 1.0, "beta": 1.0, "min_val": -1.0, "max_val": 1.0,
    "delta": 1.0, "label_smoothing": 0.0, "lambd": 0.5, "value": 0.0,
    "gamma": 2.0, "focal_alpha": 0.25, "class_alpha[]": 0.25, "pos_weight[]": 2.0, "quantile[]": 0.9,
    "full": 0.0, "log_variance": 1.0,
    "momentum": 0.9, "dampening": 0.0, "nesterov": 0.0, "lr_decay": 0.0, "eps": 1e-8, "initial_accumulator_value": 0.0,
    "lr_in_momentum": 0.0, "epsilon_hat": 0.0, "centered": 0.0, "beta1": 0.9, "beta2": 0.999, "amsgrad": 0.0,
    "rho": 0.9, "momentum_decay": 4e-3, "decoupled_weight_decay": 0.0,
    "eta_minus": 0.5, "eta_plus": 1.2, "step_min": 1e-6, "step_max": 50.0,
}  # fmt: skip
EXCEPTIONS = {("softplus", "threshold"): 20.0, ("rmsprop", "alpha"): 0.99, ("rmsprop", "momentum"): 0.0}


def attributes(op: dict) -> tuple[float, ...]:
    """The numbers that the kernel gets; a name with [] stands for a count and so many."""
    given = ((a, EXCEPTIONS.get((op["name"], a), ATTRIBUTES[a])) for a in op["attributes"])
    return tuple(v for a, value in given for v in ((1.0, value) if a.endswith("[]") else (value,)))


def erf(x):
    from scipy.special import erf

    return erf(x)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def softmax(x):
    e = np.exp(x - x.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


def log_softmax(x):
    z = x - x.max(1, keepdims=True)
    return z - np.log(np.exp(z).sum(1, keepdims=True))


LAMBDA, ALPHA = 1.0507009873554805, 1.6732632423543772
ROOT_2, ROOT_2_OVER_PI = 2**0.5, (2 / np.pi) ** 0.5

FORWARD = {
    "identity": lambda x: x.copy(),
    "step": lambda x, threshold: (x > threshold).astype(x.dtype),
    "sigmoid": sigmoid,
    "tanh": np.tanh,
    "relu": lambda x: np.maximum(x, 0),
    "leaky_relu": lambda x, slope: np.where(x > 0, x, slope * x),
    "elu": lambda x, alpha: np.where(x > 0, x, alpha * np.expm1(x)),
    "selu": lambda x: LAMBDA * np.where(x > 0, x, ALPHA * np.expm1(x)),
    "gelu": lambda x: 0.5 * x * (1 + erf(x / ROOT_2)),
    "gelu_tanh": lambda x: 0.5 * x * (1 + np.tanh(ROOT_2_OVER_PI * (x + 0.044715 * x * x * x))),
    "silu": lambda x: x * sigmoid(x),
    "softplus": lambda x, beta, threshold: np.where(beta * x > threshold, x, np.log1p(np.exp(beta * x)) / beta),
    "softsign": lambda x: x / (1 + np.abs(x)),
    "hardtanh": np.clip,
    "hardsigmoid": lambda x: np.clip(x + 3, 0, 6) / 6,
    "hardswish": lambda x: x * np.clip(x + 3, 0, 6) / 6,
    "mish": lambda x: x * np.tanh(np.log1p(np.exp(x))),
    "celu": lambda x, alpha: np.where(x > 0, x, alpha * np.expm1(x / alpha)),
    "exp": np.exp,
    "log_sigmoid": lambda x: -np.log1p(np.exp(-x)),
    "hardshrink": lambda x, lambd: np.where(np.abs(x) > lambd, x, 0),
    "softshrink": lambda x, lambd: np.sign(x) * np.maximum(np.abs(x) - lambd, 0),
    "tanhshrink": lambda x: x - np.tanh(x),
    "threshold": lambda x, threshold, value: np.where(x > threshold, x, value),
    "softmax": softmax,
    "log_softmax": log_softmax,
}


def _gelu_tanh_backward(g, x):
    t = np.tanh(ROOT_2_OVER_PI * (x + 0.044715 * x * x * x))
    return g * (0.5 * (1 + t) + 0.5 * x * (1 - t * t) * ROOT_2_OVER_PI * (1 + 3 * 0.044715 * x * x))


def _silu_backward(g, x):
    s = sigmoid(x)
    return g * s * (1 + x * (1 - s))


def _mish_backward(g, x):
    w, s = np.tanh(np.log1p(np.exp(x))), sigmoid(x)
    return g * (w + x * (1 - w * w) * s)


#: Of dy and what is saved: y, or x for those that the registry says save their input.
BACKWARD = {
    "identity": lambda g, y: g.copy(),
    "step": lambda g, y, threshold: g * 0,  # zeros_like would leave the work to the first reader
    "sigmoid": lambda g, y: g * y * (1 - y),
    "tanh": lambda g, y: g * (1 - y * y),
    "relu": lambda g, y: g * (y > 0),
    "leaky_relu": lambda g, y, slope: np.where(y > 0, g, slope * g),
    "elu": lambda g, y, alpha: np.where(y > 0, g, g * (y + alpha)),
    "selu": lambda g, y: np.where(y > 0, LAMBDA * g, g * (y + LAMBDA * ALPHA)),
    "gelu": lambda g, x: g * (0.5 * (1 + erf(x / ROOT_2)) + x * np.exp(-0.5 * x * x) / (2 * np.pi) ** 0.5),
    "gelu_tanh": _gelu_tanh_backward,
    "silu": _silu_backward,
    "softplus": lambda g, x, beta, threshold: np.where(beta * x > threshold, g, g * sigmoid(beta * x)),
    "softsign": lambda g, y: g * (1 - np.abs(y)) ** 2,
    "hardtanh": lambda g, y, low, high: g * ((y > low) & (y < high)),
    "hardsigmoid": lambda g, y: g * ((y > 0) & (y < 1)) / 6,
    "hardswish": lambda g, x: g * np.where(x < -3, 0, np.where(x < 3, x / 3 + 0.5, 1)),
    "mish": _mish_backward,
    "celu": lambda g, y, alpha: np.where(y > 0, g, g * (1 + y / alpha)),
    "exp": lambda g, y: g * y,
    "log_sigmoid": lambda g, y: -g * np.expm1(y),
    "hardshrink": lambda g, y, lambd: g * (y != 0),
    "softshrink": lambda g, y, lambd: g * (y != 0),
    "tanhshrink": lambda g, x: g * np.tanh(x) ** 2,
    "threshold": lambda g, x, threshold, value: g * (x > threshold),
    "softmax": lambda g, y: y * (g - (g * y).sum(1, keepdims=True)),
    "log_softmax": lambda g, y: g - np.exp(y) * g.sum(1, keepdims=True),
}


def _mean(e):
    return e.mean(1)


def _huber(z, t, delta):
    e = z - t
    a = np.abs(e)
    return _mean(np.where(a <= delta, 0.5 * e * e, delta * (a - 0.5 * delta))), np.clip(e, -delta, delta) / e.shape[1]


def _mape(z, t):
    e, size = z - t, np.maximum(np.abs(t), 1e-7)
    return 100 * _mean(np.abs(e) / size), 100 * np.sign(e) / size / e.shape[1]


def _bce(p, t, _):
    p = np.clip(p, 1e-7, 1 - 1e-7)
    return -_mean(t * np.log(p) + (1 - t) * np.log1p(-p)), (p - t) / (p * (1 - p)) / p.shape[1]


def _bce_logits(z, t, _):
    p = sigmoid(z)
    return _mean(np.maximum(z, 0) - z * t + np.log1p(np.exp(-np.abs(z)))), (p - t) / z.shape[1], p


def _ce_logits(z, t, _):
    logp = log_softmax(z)
    p = np.exp(logp)
    return -(t * logp).sum(1), p - t, p


def _sparse_ce_logits(z, t, _):
    logp, rows, index = log_softmax(z), np.arange(len(z)), t[:, 0].astype(np.intp)
    p = np.exp(logp)
    grad = p.copy()
    grad[rows, index] -= 1
    return -logp[rows, index], grad, p


#: Of prediction (or logits) and target: (row loss, gradient) and, of logits, the probabilities.
LOSS = {
    "mean_squared_error": lambda z, t: (_mean((z - t) ** 2), 2 * (z - t) / z.shape[1]),
    "half_squared_error": lambda z, t: (0.5 * ((z - t) ** 2).sum(1), z - t),
    "mean_absolute_error": lambda z, t: (_mean(np.abs(z - t)), np.sign(z - t) / z.shape[1]),
    "mean_absolute_percentage_error": _mape,
    "huber": _huber,
    "binary_crossentropy": _bce,
    "binary_crossentropy_logits": _bce_logits,
    "categorical_crossentropy_logits": _ce_logits,
    "sparse_categorical_crossentropy_logits": _sparse_ce_logits,
    "hinge": lambda z, t: (_mean(np.maximum(1 - t * z, 0)), np.where(t * z < 1, -t, 0) / z.shape[1]),
    "perceptron": lambda z, t: (_mean(np.maximum(-t * z, 0)), np.where(t * z <= 0, -t, 0) / z.shape[1]),
}


def sgd(w, g, m, lr, t, momentum, dampening, nesterov, lr_in_momentum):
    if t == 1:
        m[0][...] = g
    else:
        m[0][...] = momentum * m[0] + (1 - dampening) * g
    w -= lr * m[0]


def adagrad(w, g, m, lr, t, lr_decay, eps, initial):
    m[0] += g * g
    w -= lr * g / (np.sqrt(m[0]) + eps)


def rmsprop(w, g, m, lr, t, alpha, eps, momentum, centered):
    m[0][...] = alpha * m[0] + (1 - alpha) * g * g
    w -= lr * g / (np.sqrt(m[0]) + eps)


def adam(w, g, m, lr, t, beta1, beta2, eps, amsgrad, epsilon_hat):
    m[0][...] = beta1 * m[0] + (1 - beta1) * g
    m[1][...] = beta2 * m[1] + (1 - beta2) * g * g
    w -= lr / (1 - beta1**t) * m[0] / (np.sqrt(m[1] / (1 - beta2**t)) + eps)


OPTIMIZER = {"sgd": sgd, "adagrad": adagrad, "rmsprop": rmsprop, "adam": adam, "adamw": adam}
