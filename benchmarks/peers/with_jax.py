"""The net in JAX, compiled: one step at a time, or one pass over all batches."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from workloads import Workload

from .predictor import Predictor, row
from .with_numpy import BETA1, BETA2, EPS


class JaxTrainer:
    """One jitted step with donated state, or, with ``scan``, one jitted pass over all batches. Waits for the last result only."""

    def __init__(self, work: Workload, scan: bool = False) -> None:
        import jax
        import jax.numpy as jnp

        self.jax = jax
        self.parameters = jax.tree.map(jnp.array, work.parameters())
        if work.optimizer == "adam":
            zeros = (jax.tree.map(jnp.zeros_like, self.parameters) for _ in range(2))
            self.moments = (*zeros, jnp.zeros((), jnp.float32))
        else:
            self.moments = ()

        def loss_of(parameters, x, y):
            return jax_loss(jax, work, _jax_forward(jax, work, parameters, x), y)

        def update(state, batch):
            parameters, moments = state
            loss, gradients = jax.value_and_grad(loss_of)(parameters, *batch)
            if not moments:
                return (jax.tree.map(lambda p, g: p - work.lr * g, parameters, gradients), ()), loss
            return jax_adam(jax, work, parameters, moments, gradients), loss

        self._compile(work, scan, update)

    def _compile(self, work: Workload, scan: bool, update: Callable) -> None:
        """``update`` takes (state, batch) and gives (state, loss); a state is (parameters, whatever else)."""
        jax, jnp = self.jax, self.jax.numpy
        x, y = work.data()
        labels = y.astype(np.float32)[:, None] if work.binary else y.astype(np.int32)
        self.batches = work.batches
        xs, ys = (jnp.array(a.reshape(work.batches, work.batch, *a.shape[1:])) for a in (x, labels))
        self.data = list(zip(list(xs), list(ys), strict=True))
        self.stacked = (xs, ys)
        self.scan = scan
        self.step = jax.jit(update, donate_argnums=0)
        self.epoch = jax.jit(lambda state, data: jax.lax.scan(update, state, data), donate_argnums=0)

    def losses(self, steps: int) -> np.ndarray:
        state, losses = (self.parameters, self.moments), []
        if self.scan:
            while len(losses) < steps:
                state, some = self.epoch(state, self.stacked)
                losses += some.tolist()
        else:
            for i in range(steps):
                state, loss = self.step(state, self.data[i % self.batches])
                losses.append(float(loss))
        self.parameters, self.moments = state
        return np.array(losses[:steps])

    def run(self, steps: int) -> int:
        state, done = (self.parameters, self.moments), 0
        if self.scan:
            while done < steps:
                state, _ = self.epoch(state, self.stacked)
                done += self.batches
        else:
            for done in range(1, steps + 1):
                state, _ = self.step(state, self.data[(done - 1) % self.batches])
        self.parameters, self.moments = self.jax.block_until_ready(state)
        return done


def jax_loss(jax, work: Workload, z, y):
    if work.binary:
        return (jax.nn.softplus(z) - z * y).mean()
    return -jax.numpy.take_along_axis(jax.nn.log_softmax(z), y[:, None], 1).mean()


def jax_adam(jax, work: Workload, parameters, moments, gradients):
    jnp = jax.numpy
    m, v, t = moments
    t = t + 1
    m = jax.tree.map(lambda m, g: BETA1 * m + (1 - BETA1) * g, m, gradients)
    v = jax.tree.map(lambda v, g: BETA2 * v + (1 - BETA2) * g * g, v, gradients)
    rate, scale = work.lr / (1 - BETA1**t), 1 / jnp.sqrt(1 - BETA2**t)
    return jax.tree.map(lambda p, m, v: p - rate * m / (jnp.sqrt(v) * scale + EPS), parameters, m, v), (m, v, t)


def _jax_forward(jax, work: Workload, parameters, x):
    act = jax.nn.relu if work.activation == "relu" else jax.nn.sigmoid
    for w, b in parameters[:-1]:
        x = act(x @ w + b)
    w, b = parameters[-1]
    return x @ w + b


def jax_predictor(work: Workload) -> Predictor:
    import jax
    import jax.numpy as jnp

    parameters, x = jax.tree.map(jnp.array, work.parameters()), jnp.array(row(work))

    def forward(parameters, x):
        z = _jax_forward(jax, work, parameters, x)
        return jax.nn.sigmoid(z) if work.binary else jax.nn.softmax(z)

    compiled = jax.jit(forward)
    return Predictor(lambda: compiled(parameters, x).block_until_ready())
