"""The recurrent cells in NumPy, one row and one step at a time, as their formulas stand; and a run of the kernels beside them."""

import numpy as np

from nncore._core import kernels

CELLS = ("tanh", "relu", "gru", "lstm")
#: Columns per unit of the gates buffer, and of the weights.
GATES = {"tanh": 1, "relu": 1, "gru": 4, "lstm": 4}
PRODUCTS = {"tanh": 1, "relu": 1, "gru": 3, "lstm": 4}


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def step(cell, a, h, c, w, b, mask):
    """(h', c', saved) of one row: a is the input product, w [hidden, products * hidden], mask what the product sees of h."""
    z = (h * mask) @ w + b
    if cell == "tanh":
        return np.tanh(a + z), None, None
    if cell == "relu":
        return np.maximum(a + z, 0), None, None
    if cell == "gru":
        (ar, az, an), (zr, zz, q) = np.split(a, 3), np.split(z, 3)
        r, u = sigmoid(ar + zr), sigmoid(az + zz)
        n = np.tanh(an + r * q)
        return (1 - u) * n + u * h, None, np.concatenate([r, u, n, q])
    i, f, g, o = np.split(a + z, 4)
    i, f, g, o = sigmoid(i), sigmoid(f), np.tanh(g), sigmoid(o)
    new = f * c + i * g
    return o * np.tanh(new), new, np.concatenate([i, f, g, o])


def step_gradient(cell, dh, dc, saved, before, after, w, mask):
    """(dgates, dh, dc) before the step, from those after it; before and after are (h, c)."""
    (h, c), (new, new_c) = before, after
    if cell == "tanh":
        d = dh * (1 - new**2)
        return d, mask * (d @ w.T), None
    if cell == "relu":
        d = dh * (new > 0)
        return d, mask * (d @ w.T), None
    if cell == "gru":
        r, u, n, q = np.split(saved, 4)
        dn = dh * (1 - u) * (1 - n**2)
        dr, du, dq = dn * q * r * (1 - r), dh * (h - n) * u * (1 - u), dn * r
        return np.concatenate([dr, du, dn, dq]), dh * u + mask * (np.concatenate([dr, du, dq]) @ w.T), None
    i, f, g, o = np.split(saved, 4)
    t = np.tanh(new_c)
    dc = dc + dh * o * (1 - t**2)
    d = np.concatenate([dc * g * i * (1 - i), dc * c * f * (1 - f), dc * i * (1 - g**2), dh * t * o * (1 - o)])
    return d, mask * (d @ w.T), dc * f


def reference(case):
    """Everything that the kernels give for a case, in float64."""
    cell, (rows, steps, hidden) = case["cell"], case["shape"]
    f64 = {name: None if value is None else value.astype(np.float64) for name, value in case["arrays"].items()}
    w, b, width = f64["w"], f64["b"] if f64["b"] is not None else 0.0, GATES[cell] * hidden
    y, saved, dgates = np.zeros((rows, steps, hidden)), np.zeros((rows, steps, width)), np.zeros((rows, steps, width))
    h, c, dh = np.zeros((rows, steps + 1, hidden)), np.zeros((rows, steps + 1, hidden)), np.zeros((rows, steps, hidden))
    dh0, dc0 = np.zeros((rows, hidden)), np.zeros((rows, hidden))
    zero = np.zeros((rows, hidden))
    mask = np.ones((rows, hidden)) if f64["mask"] is None else f64["mask"]
    for n in range(rows):
        order = range(steps) if not case["reverse"] else range(steps - 1, -1, -1)
        counts = [case["lengths"] is None or t < case["lengths"][n] for t in range(steps)]
        shift = 1 if not case["reverse"] else 0
        state = (zero if f64["h0"] is None else f64["h0"])[n], (zero if f64["c0"] is None else f64["c0"])[n]
        h[n, -1 if case["reverse"] else 0], c[n, -1 if case["reverse"] else 0] = state
        for t in order:
            if counts[t]:
                new, new_c, kept = step(cell, f64["a"][n, t], *state, w, b, mask[n])
                state = new, new_c if new_c is not None else state[1]
                y[n, t] = new
                if kept is not None:
                    saved[n, t] = kept
            h[n, t + shift], c[n, t + shift] = state
        d = (zero if f64["dh_n"] is None else f64["dh_n"])[n]
        dc = (zero if f64["dc_n"] is None else f64["dc_n"])[n]
        for t in reversed(order):
            if not counts[t]:
                continue
            dh[n, t] = d if f64["dy"] is None else d + f64["dy"][n, t]
            before, after = (h[n, t + 1 - shift], c[n, t + 1 - shift]), (h[n, t + shift], c[n, t + shift])
            dgates[n, t], d, dc = step_gradient(cell, dh[n, t], dc, saved[n, t], before, after, w, mask[n])
        dh0[n] = d
        if cell == "lstm":
            dc0[n] = dc
    last = 0 if case["reverse"] else -1
    found = {"y": y, "h": h, "h_n": h[:, last], "dgates": dgates, "dh": dh, "dh0": dh0}
    if cell == "lstm":
        found |= {"c": c, "c_n": c[:, last], "dc0": dc0}
    return found


def make_case(
    rng, cell, rows, steps, hidden, dtype, *, reverse=False, lengths=None, initial=True, final=True, sequence=True, mask=False
):
    """Random inputs; padded steps hold NaN."""

    def normal(*shape, scale=1.0):
        return (scale * rng.standard_normal(shape)).astype(dtype)

    arrays = {
        "a": normal(rows, steps, PRODUCTS[cell] * hidden),
        "w": normal(hidden, PRODUCTS[cell] * hidden, scale=hidden**-0.5),
        "b": normal(PRODUCTS[cell] * hidden),
        "h0": normal(rows, hidden) if initial else None,
        "c0": normal(rows, hidden) if initial and cell == "lstm" else None,
        "dy": normal(rows, steps, hidden) if sequence else None,
        "dh_n": normal(rows, hidden) if final else None,
        "dc_n": normal(rows, hidden) if final and cell == "lstm" else None,
        "mask": (1.5 * (rng.random((rows, hidden)) < 0.6)).astype(dtype) if mask else None,
    }
    if lengths is not None:
        for name in ("a", "dy"):
            if arrays[name] is not None:
                arrays[name][np.arange(steps) >= lengths[:, None]] = np.nan
    return {"cell": cell, "shape": (rows, steps, hidden), "reverse": reverse, "lengths": lengths, "arrays": arrays}


def apart(shape, dtype, gap, time_major):
    """NaNs of a shape, as a view whose rows lie gap elements further apart than they need, by rows or by steps."""
    if len(shape) == 2:
        return np.full((shape[0], shape[1] + gap), np.nan, dtype)[:, : shape[1]]
    if time_major:
        return np.full((shape[1], shape[0], shape[2] + gap), np.nan, dtype).transpose(1, 0, 2)[:, :, : shape[2]]
    return np.full((shape[0], shape[1], shape[2] + gap), np.nan, dtype)[:, :, : shape[2]]


def packed(case, isa):
    w, b, cell = case["arrays"]["w"], case["arrays"]["b"], case["cell"]
    size = kernels.recurrent_packed_size(cell, len(w))
    forward, backward = np.full(size, np.nan, w.dtype), np.full(size, np.nan, w.dtype)
    kernels.recurrent_pack(cell, forward, backward, w, isa=isa)
    kernels.recurrent_pack_bias(cell, forward, b, len(w), isa=isa)
    return forward, backward


def run(case, isa, *, gap=0, time_major=False, training=True, packs=None):
    """What the kernels give for a case: that of forward and, where training, of backward."""
    cell, arrays = case["cell"], case["arrays"]
    rows, steps, hidden = case["shape"]
    dtype = arrays["a"].dtype
    forward, backward = packs or packed(case, isa)

    def like(*shape):
        return apart(shape, dtype, gap, time_major)

    gates = like(rows, steps, GATES[cell] * hidden)
    gates[:, :, : arrays["a"].shape[2]] = arrays["a"]
    out = {"y": like(rows, steps, hidden), "h_n": like(rows, hidden)}
    if training:
        out["h"] = like(rows, steps + 1, hidden)
    if cell == "lstm":
        out["c_n"] = like(rows, hidden)
        if training:
            out["c"] = like(rows, steps + 1, hidden)
    how = {"reverse": case["reverse"], "lengths": case["lengths"], "isa": isa}
    kernels.recurrent_forward(cell, gates, forward, h0=arrays["h0"], c0=arrays["c0"], mask=arrays["mask"], **out, **how)
    if not training:
        return out
    given = {}
    for name in ("dy", "dh_n", "dc_n"):
        if arrays[name] is not None:
            given[name] = like(*arrays[name].shape)
            given[name][...] = arrays[name]
    back = {"dh0": like(rows, hidden)}
    if cell == "lstm":
        back["dc0"] = like(rows, hidden)
    # dh shares its distances with h, which has one step more.
    back["dh"] = like(rows, steps + 1, hidden)[:, :steps]
    saved = {name: out[name] for name in ("h", "c") if name in out}
    kernels.recurrent_backward(cell, gates, backward, mask=arrays["mask"], **given, **back, **saved, **how)
    return out | back | {"dgates": gates}
