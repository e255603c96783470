"""The contestants that need more than a flag to train a net with batch normalisation and dropout: NumPy and JAX.

Both normalise with the statistics of the batch, keep PyTorch's running ones (momentum 0.1, unbiased variance), and scale what
dropout keeps. Masks are drawn by whatever generator the library draws fastest with. Without dropout, NumPy in float64 is the truth.
"""

from __future__ import annotations

import numpy as np
from workloads import Workload

from .with_jax import JaxTrainer, jax_adam, jax_loss
from .with_numpy import NumpyTrainer

EPS, MOMENTUM = 1e-5, 0.1


class NumpyRegularised(NumpyTrainer):
    """Product, norm, ReLU, dropout; preallocated buffers, in place."""

    def __init__(self, work: Workload, dtype: type = np.float32) -> None:
        super().__init__(work, dtype)
        count = len(work.sizes) - 1
        self.layers, self.norms = self.layers[:count], self.layers[count:]
        hidden = work.sizes[1:-1]
        self.normal = [np.empty((work.batch, n), dtype) for n in hidden]
        self.centred = [np.empty((work.batch, n), dtype) for n in hidden]
        self.rstd = [np.empty(n, dtype) for n in hidden]
        self.running = [(np.zeros(n, dtype), np.ones(n, dtype)) for n in hidden]
        self.factor = [np.ones((work.batch, n), dtype) for n in hidden]
        self.rng = np.random.default_rng(3)

    def initial(self, work: Workload) -> list[tuple[np.ndarray, np.ndarray]]:
        return work.parameters() + [(np.ones(n, np.float32), np.zeros(n, np.float32)) for n in work.sizes[1:-1]]

    def step(self, x: np.ndarray, y: np.ndarray) -> float:
        values, deltas, last = self.values, self.deltas, len(self.layers) - 1
        values[0] = x
        for i, (w, b, _, _) in enumerate(self.layers):
            z = np.matmul(values[i], w, out=values[i + 1])
            z += b
            if i < last:
                self._normalise(i, z)
                np.maximum(z, 0, out=z)
                self._draw(i)
                z *= self.factor[i]
        loss = self._class_loss(values[-1], y, deltas[-1])
        for i in range(last, -1, -1):
            w, _, dw, db = self.layers[i]
            np.matmul(values[i].T, deltas[i + 1], out=dw)
            np.sum(deltas[i + 1], axis=0, out=db)
            if i == 0:
                break
            d = np.matmul(deltas[i + 1], w.T, out=deltas[i])
            d *= np.greater(values[i], 0, out=self.masks[i])  # what was dropped is 0, too
            if self.work.dropout:
                d *= d.dtype.type(1 / (1 - self.work.dropout))
            self._back(i - 1, d)
        self.update()
        return loss

    def _normalise(self, i: int, z: np.ndarray) -> None:
        gamma, beta, _, _ = self.norms[i]
        mean = z.mean(0)
        centred = np.subtract(z, mean, out=self.centred[i])
        np.multiply(centred, centred, out=z)
        variance = z.mean(0)
        np.reciprocal(np.sqrt(variance + z.dtype.type(EPS)), out=self.rstd[i])
        running_mean, running_var = self.running[i]
        running_mean += MOMENTUM * (mean - running_mean)
        running_var += MOMENTUM * (variance * (len(z) / (len(z) - 1)) - running_var)
        normal = np.multiply(centred, self.rstd[i], out=self.normal[i])
        np.multiply(normal, gamma, out=z)
        z += beta

    def _draw(self, i: int) -> None:
        if self.work.dropout:
            f = self.factor[i]
            self.rng.random(out=f, dtype=f.dtype.type)
            np.greater_equal(f, self.work.dropout, out=self.masks[i + 1])
            np.multiply(self.masks[i + 1], f.dtype.type(1 / (1 - self.work.dropout)), out=f)

    def _back(self, i: int, d: np.ndarray) -> None:
        gamma, _, dgamma, dbeta = self.norms[i]
        normal, product = self.normal[i], self.centred[i]
        np.sum(d, axis=0, out=dbeta)
        np.multiply(d, normal, out=product)
        np.sum(product, axis=0, out=dgamma)
        d -= dbeta / len(d)
        np.multiply(normal, dgamma / len(d), out=product)
        d -= product
        d *= gamma * self.rstd[i]


class JaxRegularised(JaxTrainer):
    """One jitted step, or a scan over all batches. The state carries the running statistics and the key of the masks."""

    def __init__(self, work: Workload, scan: bool = False) -> None:
        import jax
        import jax.numpy as jnp

        self.jax = jax
        layers = jax.tree.map(jnp.array, work.parameters())
        norms = [(jnp.ones(n), jnp.zeros(n)) for n in work.sizes[1:-1]]
        self.parameters = (layers, norms)
        zeros = (jax.tree.map(jnp.zeros_like, self.parameters) for _ in range(2))
        running = [(jnp.zeros(n), jnp.ones(n)) for n in work.sizes[1:-1]]
        key = jax.random.key(3, impl="rbg")  # draws faster on a CPU than the default, threefry
        self.moments = ((*zeros, jnp.zeros((), jnp.float32)), running, key)

        def loss_of(parameters, running, key, x, y):
            layers, norms = parameters
            after = []
            for i, ((w, b), (gamma, beta)) in enumerate(zip(layers, norms, strict=False)):
                z = x @ w + b
                mean = z.mean(0)
                centred = z - mean
                variance = (centred * centred).mean(0)
                unbiased = variance * (len(z) / (len(z) - 1))
                after.append(tuple(old + MOMENTUM * (new - old) for old, new in zip(running[i], (mean, unbiased), strict=True)))
                x = jax.nn.relu(centred * (jax.lax.rsqrt(variance + EPS) * gamma) + beta)
                if work.dropout:
                    kept = jax.random.bernoulli(jax.random.fold_in(key, i), 1 - work.dropout, x.shape)
                    x = jnp.where(kept, x / (1 - work.dropout), 0)
            w, b = layers[-1]
            return jax_loss(jax, work, x @ w + b, y), after

        def update(state, batch):
            parameters, (moments, running, key) = state
            key, now = jax.random.split(key)
            (loss, running), gradients = jax.value_and_grad(loss_of, has_aux=True)(parameters, running, now, *batch)
            parameters, moments = jax_adam(jax, work, parameters, moments, gradients)
            return (parameters, (moments, running, key)), loss

        self._compile(work, scan, update)
