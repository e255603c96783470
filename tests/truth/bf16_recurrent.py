"""Recurrent layers whose products take bfloat16, in NumPy: every operand is rounded where the core rounds it, all else is float64.

So what remains of a difference is float32's own rounding.
"""

import numpy as np
from plan import bf16

#: A layer with fewer units stays float32, and so do the input products of one with fewer inputs.
SIDE = 16


def rounded(x):
    return bf16.rounded(x).astype(np.float64)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


class Direction:
    """One direction of a layer over a batch. cell: as in test_bf16_recurrent.py; w_ih [gates * hidden, features], as in PyTorch."""

    def __init__(self, cell, w_ih, w_hh, b_ih, b_hh, reverse=False, truncate=None):
        self.cell, self.w_ih, self.w_hh = cell, np.float64(w_ih).T, np.float64(w_hh).T
        self.b_ih, self.b_hh, self.reverse, self.truncate = np.float64(b_ih), np.float64(b_hh), reverse, truncate
        self.features, self.hidden = self.w_ih.shape[0], self.w_hh.shape[0]
        self.state_operand = rounded if self.hidden >= SIDE else np.float64
        self.input_operand = rounded if self.hidden >= SIDE and self.features >= SIDE else np.float64

    def forward(self, x, lengths=None, h0=None, c0=None, mask=None):
        """(outputs [n, steps, hidden], last h, last c)."""
        n, steps, _ = x.shape
        self.x, self.mask = np.float64(x), np.ones((n, self.hidden)) if mask is None else mask
        self.counts = np.arange(steps) < (np.full(n, steps) if lengths is None else np.asarray(lengths))[:, None]
        h = np.zeros((n, self.hidden)) if h0 is None else np.float64(h0)
        c = np.zeros((n, self.hidden)) if c0 is None else np.float64(c0)
        y, self.saved = np.zeros((n, steps, self.hidden)), {}
        for t in range(steps)[:: -1 if self.reverse else 1]:
            a = self.input_operand(self.x[:, t]) @ self.input_operand(self.w_ih) + self.b_ih
            z = self.state_operand(h * self.mask) @ self.state_operand(self.w_hh) + self.b_hh
            new, new_c, gates = self.step(a, z, h, c)
            on = self.counts[:, t, None]
            self.saved[t] = h, c, np.where(on, new, h), np.where(on, new_c, c), gates
            h, c = self.saved[t][2:4]
            y[:, t] = np.where(on, new, 0)
        return y, h, c

    def step(self, a, z, h, c):
        if self.cell in ("tanh", "relu"):
            return (np.tanh(a + z) if self.cell == "tanh" else np.maximum(a + z, 0)), c, ()
        if self.cell == "gru":
            (ar, az, an), (zr, zz, q) = np.split(a, 3, 1), np.split(z, 3, 1)
            r, u = sigmoid(ar + zr), sigmoid(az + zz)
            new = np.tanh(an + r * q)
            return new + u * (h - new), c, (r, u, new, q)
        if self.cell == "gru_before":
            (ar, az, an), (zr, zz, _), two = np.split(a, 3, 1), np.split(z, 3, 1), 2 * self.hidden
            r, u = sigmoid(ar + zr), sigmoid(az + zz)
            p = r * (h * self.mask)
            new = np.tanh(
                an + self.state_operand(p) @ self.state_operand(self.w_hh)[:, two:] + (self.b_hh[two:] if self.b_hh.ndim else 0)
            )
            return new + u * (h - new), c, (r, u, new, p)
        i, f, g, o = np.split(a + z, 4, 1)
        i, f, g, o = sigmoid(i), sigmoid(f), np.tanh(g), sigmoid(o)
        new_c = f * c + i * g
        return o * np.tanh(new_c), new_c, (i, f, g, o)

    def backward(self, dy, dh=None, dc=None):
        """Gradients by name: x, w_ih, w_hh (as in PyTorch), b_ih, b_hh, h0, c0."""
        n, steps, _ = self.x.shape
        dh = np.zeros((n, self.hidden)) if dh is None else np.float64(dh)
        dc = np.zeros((n, self.hidden)) if dc is None else np.float64(dc)
        found = {"x": np.zeros_like(self.x), "w_ih": 0, "w_hh": 0, "b_ih": 0, "b_hh": 0}
        for t in range(steps)[:: 1 if self.reverse else -1]:
            h, c, new, new_c, gates = self.saved[t]
            on = self.counts[:, t, None]
            of_input, of_state, before, before_c = self.step_gradient(dh + dy[:, t], dc, h, c, new, new_c, gates)
            of_input, of_state = np.where(on, of_input, 0), np.where(on, of_state, 0)
            own = 2 * self.hidden if self.cell == "gru_before" else of_state.shape[1]  # columns whose operand is h
            through = self.mask * (self.state_operand(of_state)[:, :own] @ self.state_operand(self.w_hh)[:, :own].T)
            dh, dc = np.where(on, before + through, dh), np.where(on, before_c, dc)
            if self.truncate and t and t % self.truncate == 0:
                dh, dc = np.where(on, 0, dh), np.where(on, 0, dc)
            found["x"][:, t] = self.input_operand(of_input) @ self.input_operand(self.w_ih).T
            found["w_ih"] += self.input_operand(of_input).T @ self.input_operand(self.x[:, t])
            weights = self.state_operand(of_state).T @ self.state_operand(h * self.mask)
            if self.cell == "gru_before":
                weights[own:] = self.state_operand(of_state)[:, own:].T @ self.state_operand(gates[3])
            found["w_hh"] += weights
            found["b_ih"] += of_input.sum(0)
            found["b_hh"] += of_state.sum(0)
        return {**found, "h0": dh, "c0": dc}

    def step_gradient(self, dh, dc, h, c, new, new_c, gates):
        """The gradients of the sums with the input and with the state, and what of dh and dc goes around them."""
        if self.cell in ("tanh", "relu"):
            d = dh * (1 - new**2 if self.cell == "tanh" else new > 0)
            return d, d, np.zeros_like(dh), dc
        if self.cell == "gru":
            r, u, m, q = gates
            dn = dh * (1 - u) * (1 - m**2)
            dr, du, dq = dn * q * r * (1 - r), dh * (h - m) * u * (1 - u), dn * r
            return np.concatenate([dr, du, dn], 1), np.concatenate([dr, du, dq], 1), dh * u, dc
        if self.cell == "gru_before":
            r, u, m, p = gates
            dn, du = dh * (1 - u) * (1 - m**2), dh * (h - m) * u * (1 - u)
            dp = self.state_operand(dn) @ self.state_operand(self.w_hh)[:, 2 * self.hidden :].T
            d = np.concatenate([dp * p * (1 - r), du, dn], 1)
            return d, d, dh * u + dp * r * self.mask, dc
        i, f, g, o = gates
        bounded = np.tanh(new_c)
        dc = dc + dh * o * (1 - bounded**2)
        d = np.concatenate([dc * g * i * (1 - i), dc * c * f * (1 - f), dc * i * (1 - g**2), dh * bounded * o * (1 - o)], 1)
        return d, d, np.zeros_like(dh), dc * f


def directions(cell, state, layer=0, bidirectional=False, prefix="0.", **options):
    """The directions of one layer, from a state_dict."""
    found = []
    for suffix in ("", "_reverse")[: 1 + bidirectional]:
        own = [state.get(f"{prefix}{kind}_l{layer}{suffix}", 0) for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]
        found.append(Direction(cell, *own, reverse=bool(suffix), **options))
    return found
