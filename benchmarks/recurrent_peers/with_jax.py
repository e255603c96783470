"""The recurrent nets in JAX: a scan over the steps, compiled."""

from __future__ import annotations

from itertools import cycle, islice

import numpy as np
from peers.predictor import Predictor

from .nets import Net
from .stream import Stream

UNROLL = 2  #: steps per turn of JAX's loop; more were no faster, and compile longer


def _jax_cell(net: Net, jax):
    """(state, input product of one step, recurrent weight and bias) -> (state, output)."""
    np_, sigmoid, hidden = jax.numpy, jax.nn.sigmoid, net.hidden

    def rnn(h, a, w, b):
        h = np_.tanh(a + h @ w + b)
        return h, h

    def gru(h, a, w, b):
        g = h @ w + b
        r, z = np_.split(sigmoid(a[:, : 2 * hidden] + g[:, : 2 * hidden]), 2, 1)
        n = np_.tanh(a[:, 2 * hidden :] + r * g[:, 2 * hidden :])
        h = n + z * (h - n)
        return h, h

    def lstm(state, a, w, b):
        h, c = state
        i, f, g, o = np_.split(a + h @ w + b, 4, 1)
        c = sigmoid(f) * c + sigmoid(i) * np_.tanh(g)
        h = sigmoid(o) * np_.tanh(c)
        return (h, c), h

    return {"RNN": rnn, "GRU": gru, "LSTM": lstm}[net.cell]


def _jax_layer(net: Net, jax, parameters, x):
    """Final states [batch, directions * hidden] and outputs [steps, batch, hidden] per direction; one product of the inputs before
    the loop."""
    cell, zeros = _jax_cell(net, jax), jax.numpy.zeros((x.shape[0], net.hidden), x.dtype)
    finals, outputs = [], []
    for suffix in ("", "_reverse")[: net.directions]:
        w_ih, w_hh, b_ih, b_hh = (parameters[f"{role}_l0{suffix}"] for role in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"))
        a = x.swapaxes(0, 1) @ w_ih.T + b_ih
        w = w_hh.T
        state, y = jax.lax.scan(
            lambda s, row, w=w, b=b_hh: cell(s, row, w, b),
            (zeros, zeros) if net.cell == "LSTM" else zeros,
            a,
            reverse=bool(suffix),
            unroll=UNROLL,
        )
        finals.append(state[0] if net.cell == "LSTM" else state)
        outputs.append(y)
    return jax.numpy.concatenate(finals, 1), outputs


class JaxTrainer:
    """One jitted step with donated parameters; waits for the last result only."""

    def __init__(self, net: Net) -> None:
        import jax
        import jax.numpy as jnp

        self.jax = jax
        self.state = jax.tree.map(jnp.array, (net.parameters(), net.head()))

        def loss_of(state, x, y):
            layer, (weight, bias) = state
            final, _ = _jax_layer(net, jax, layer, x)
            return ((final @ weight.T + bias - y) ** 2).mean()

        def update(state, x, y):
            loss, gradients = jax.value_and_grad(loss_of)(state, x, y)
            return jax.tree.map(lambda p, g: p - net.lr * g, state, gradients), loss

        self.step = jax.jit(update, donate_argnums=0)
        self.data = [tuple(map(jnp.array, pair)) for pair in zip(*(np.split(a, net.batches) for a in net.data()), strict=True)]

    def losses(self, steps: int) -> np.ndarray:
        losses = []
        for x, y in islice(cycle(self.data), steps):
            self.state, loss = self.step(self.state, x, y)
            losses.append(float(loss))
        return np.array(losses)

    def run(self, steps: int) -> int:
        state = self.state
        for x, y in islice(cycle(self.data), steps):
            state, _ = self.step(state, x, y)
        self.state = self.jax.block_until_ready(state)
        return steps


def jax_forward(net: Net) -> Predictor:
    import jax
    import jax.numpy as jnp

    parameters, x = jax.tree.map(jnp.array, net.parameters()), jnp.array(net.data()[0])
    compiled = jax.jit(lambda parameters, x: jnp.concatenate(_jax_layer(net, jax, parameters, x)[1], 2).swapaxes(0, 1))
    return Predictor(lambda: compiled(parameters, x).block_until_ready())


def jax_stream(net: Net) -> Stream:
    import jax
    import jax.numpy as jnp

    parameters, cell = jax.tree.map(jnp.array, net.parameters()), _jax_cell(net, jax)

    @jax.jit
    def compiled(h, x, p):
        return cell(h, x @ p["weight_ih_l0"].T + p["bias_ih_l0"], p["weight_hh_l0"].T, p["bias_hh_l0"])[0]

    zeros = jnp.zeros((net.batch, net.hidden), jnp.float32)
    state = zeros

    def step(x):
        nonlocal state
        state = compiled(state, x, parameters).block_until_ready()
        return state

    def reset() -> None:
        nonlocal state
        state = zeros

    return Stream(net, step, reset, jnp.array)
