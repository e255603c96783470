"""The net in NumPy, with preallocated buffers: the peer without a library, and in float64 the truth for the others."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from workloads import Workload

from .predictor import Predictor, row

BETA1, BETA2, EPS = 0.9, 0.999, 1e-8


class NumpyTrainer:
    """Preallocated buffers, one flat parameter vector, every operation in place. In float64 it is the truth for the others."""

    def __init__(self, work: Workload, dtype: type = np.float32) -> None:
        self.work = work
        parameters = [p.astype(dtype) for layer in self.initial(work) for p in layer]
        self.flat = np.concatenate([p.ravel() for p in parameters])
        self.flat_grad = np.zeros_like(self.flat)
        self.moments = [np.zeros_like(self.flat) for _ in range(2)]
        self.scratch = [np.empty_like(self.flat) for _ in range(2)]
        ends = np.cumsum([p.size for p in parameters])[:-1]
        views, grads = (
            [v.reshape(p.shape) for v, p in zip(np.split(a, ends), parameters, strict=True)] for a in (self.flat, self.flat_grad)
        )
        self.layers = list(zip(views[0::2], views[1::2], grads[0::2], grads[1::2], strict=True))
        x, y = work.data()
        self.values = [np.empty((work.batch, n), dtype) for n in work.sizes]
        self.deltas = [np.empty((work.batch, n), dtype) for n in work.sizes]
        self.masks = [np.empty((work.batch, n), bool) for n in work.sizes]
        self.rows = np.arange(work.batch)
        labels = y.astype(dtype)[:, None] if work.binary else y
        self.data = list(zip(np.split(x.astype(dtype), work.batches), np.split(labels, work.batches), strict=True))
        self.step_number = 0

    def initial(self, work: Workload) -> list[tuple[np.ndarray, np.ndarray]]:
        return work.parameters()

    def losses(self, steps: int) -> np.ndarray:
        return np.array([self.step(*self.data[i % len(self.data)]) for i in range(steps)])

    def run(self, steps: int) -> int:
        for i in range(steps):
            self.step(*self.data[i % len(self.data)])
        return steps

    def step(self, x: np.ndarray, y: np.ndarray) -> float:
        values, deltas, relu = self.values, self.deltas, self.work.activation == "relu"
        values[0] = x
        last = len(self.layers) - 1
        for i, (w, b, _, _) in enumerate(self.layers):
            z = np.matmul(values[i], w, out=values[i + 1])
            z += b
            if i == last:
                break
            if relu:
                np.maximum(z, 0, out=z)
            else:
                _sigmoid(z)
        loss = (_binary_loss if self.work.binary else self._class_loss)(values[-1], y, deltas[-1])
        for i in range(last, -1, -1):
            w, _, dw, db = self.layers[i]
            np.matmul(values[i].T, deltas[i + 1], out=dw)
            np.sum(deltas[i + 1], axis=0, out=db)
            if i == 0:
                break
            d = np.matmul(deltas[i + 1], w.T, out=deltas[i])
            if relu:
                d *= np.greater(values[i], 0, out=self.masks[i])
            else:
                d *= values[i]
                np.subtract(1, values[i], out=values[i])
                d *= values[i]
        self.update()
        return loss

    def _class_loss(self, z: np.ndarray, y: np.ndarray, dz: np.ndarray) -> float:
        z -= z.max(1, keepdims=True)
        np.exp(z, out=dz)
        total = dz.sum(1, keepdims=True)
        loss = float((np.log(total[:, 0]) - z[self.rows, y]).mean())
        dz /= total
        dz[self.rows, y] -= 1
        dz /= len(dz)
        return loss

    def update(self) -> None:
        (m, v), (a, b), g, lr = self.moments, self.scratch, self.flat_grad, self.work.lr
        self.step_number += 1
        if self.work.optimizer == "sgd":
            g *= lr
            self.flat -= g
            return
        m *= BETA1
        m += np.multiply(g, 1 - BETA1, out=a)
        v *= BETA2
        g *= g
        v += np.multiply(g, 1 - BETA2, out=a)
        np.sqrt(v, out=b)
        b *= 1 / float(np.sqrt(1 - BETA2**self.step_number))
        b += EPS
        np.divide(m, b, out=a)
        a *= lr / (1 - BETA1**self.step_number)
        self.flat -= a


def _sigmoid(z: np.ndarray) -> np.ndarray:
    np.negative(z, out=z)
    np.exp(z, out=z)
    z += 1
    return np.reciprocal(z, out=z)


def _binary_loss(z: np.ndarray, y: np.ndarray, dz: np.ndarray) -> float:
    loss = float((np.logaddexp(0, z) - z * y).mean())
    _sigmoid(z)
    np.subtract(z, y, out=dz)
    dz /= len(dz)
    return loss


def numpy_forward(work: Workload, x: np.ndarray) -> Callable[[], np.ndarray]:
    """The forward pass of a batch, in the dtype of x."""
    parameters = [(w.astype(x.dtype), b.astype(x.dtype)) for w, b in work.parameters()]

    def call() -> np.ndarray:
        a = x
        for w, b in parameters[:-1]:
            z = a @ w
            z += b
            a = np.maximum(z, 0, out=z) if work.activation == "relu" else _sigmoid(z)
        w, b = parameters[-1]
        z = a @ w
        z += b
        if work.binary:
            return _sigmoid(z)
        z -= z.max(1, keepdims=True)
        np.exp(z, out=z)
        z /= z.sum(1, keepdims=True)
        return z

    return call


def numpy_predictor(work: Workload, dtype: type = np.float32) -> Predictor:
    return Predictor(numpy_forward(work, row(work).astype(dtype)))
