"""Graphs whose recurrent layers are loops with a body, as tf2onnx writes those of Keras."""

import numpy as np
from export.onnx_graphs import graph_of

BLOCKS = {"RNN": 1, "GRU": 3, "GRU before": 3, "LSTM": 4}
HIDDEN = 4
CELLS = {
    "RNN": "g = Add(a, m) n = Tanh(g)",
    "GRU": "b0, b1 = Split <axis = 0> (bias) s0 = Squeeze(b0, zeros) s1 = Squeeze(b1, zeros) "
    "p = Add(a, s0) q = Add(m, s1) pz, pr, ph = Split <axis = -1> (p) "
    "qz, qr, qh = Split <axis = -1> (q) az = Add(pz, qz) z = Sigmoid(az) ar = Add(pr, qr) "
    "r = Sigmoid(ar) rh = Mul(r, qh) ah = Add(ph, rh) cand = Tanh(ah) o = Sub(one, z) zh = Mul(z, h) "
    "ow = Mul(o, cand) n = Add(zh, ow)",
    "GRU before": "p = Add(a, bias) pz, pr, ph = Split <axis = -1> (p) "
    "v0 = Slice(vk, at0, at8, along) v1 = Slice(vk, at8, at12, along) q = MatMul(h, v0) "
    "qz, qr = Split <axis = -1> (q) az = Add(pz, qz) z = Sigmoid(az) ar = Add(pr, qr) "
    "r = Sigmoid(ar) rh = Mul(r, h) qh = MatMul(rh, v1) ah = Add(ph, qh) cand = Tanh(ah) o = Sub(one, z) zh = Mul(z, h) "
    "ow = Mul(o, cand) n = Add(zh, ow)",
    "LSTM": "p = Add(a, m) q = Add(p, bias) qi, qf, qc, qo = Split <axis = -1> (q) i1 = Sigmoid(qi) f1 = Sigmoid(qf) "
    "c1 = Tanh(qc) o1 = Sigmoid(qo) fc = Mul(f1, c) ic = Mul(i1, c1) nc = Add(fc, ic) tc = Tanh(nc) n = Mul(o1, tc)",
}


def body(kind, limit, mask, blank):
    """The body of a loop over x [T, N, F], with the state h, the index t and weights that stay as they are."""
    cell = CELLS[kind].replace("g = Add(a, m)", "d = Add(a, bias) g = Add(d, m)")
    carried = ["int32 t", *(["float[N, 4] u"] if mask else []), "float[N, 4] h", *(["float[N, 4] c"] if kind == "LSTM" else [])]
    after = ["int32 t2", *(["float[N, 4] u2"] if mask else []), "float[N, 4] h2", *(["float[N, 4] c2"] if kind == "LSTM" else [])]
    choose = f"u2 = Identity({'lh' if blank else 'h2'})" if mask else ""
    for new, old in (("n", "h"), ("nc", "c"))[: 2 if kind == "LSTM" else 1]:
        wanted = f"{old}2"
        if mask:  # as Where of one opset looks in older ones
            choose = f"k{old} = Mul(mn, {old}) l{old} = Mul(mf, {new}) {wanted} = Add(l{old}, k{old}) {choose}"
        else:
            choose += f"{wanted} = Identity({new}) "
    if mask:
        choose = f"mt = Gather(mask, t) mf = Cast <to = 1> (mt) mo = Not(mt) mn = Cast <to = 1> (mo) {choose} y = Identity(u2)"
    else:
        choose += "y = Identity(h2)"
    return (
        f"body = b (int64 i, bool e, {', '.join(carried)}, float[F, G] wk, float[4, G] vk) => "
        f"(bool more, {', '.join(after)}, float[F, G] wk, float[4, G] vk, float[N, 4] y) {{ xt = Gather(x, t) a = MatMul(xt, wk) "
        f"{'' if kind == 'GRU before' else 'm = MatMul(h, vk) '}{cell} {choose} "
        f"t2 = Add(t, unit) tf = Cast <to = 1> (t2) lf = Cast <to = 1> ({limit}) "
        f"more = Less(tf, lf) }}"
    )


def loop_graph(numbers, kind="GRU", steps="T", back=False, mask=None, read="last", start=False, features=3, opset=15, blank=False):
    """A net of one loop and one Linear.

    steps: a number, or "T", which is open. back: whether it reads the steps backwards. mask: the number that stands for padding.
    read: "last", "all", or "state", the last one that is carried. start: whether the state is an input of the graph.
    blank: whether outputs at masked steps are zeros, and not those of the step before.
    """
    blocks, h = BLOCKS[kind], HIDDEN
    constants = {
        "kernel": numbers(features, blocks * h) / 2, "recurrence": numbers(h, blocks * h) / 2,
        "bias": numbers(*((2, 3 * h) if kind == "GRU" else (blocks * h,))), "head": numbers(h, 2), "shift": numbers(2),
        "zero": np.int32(0), "unit": np.int32(1), "zeros": np.int64([0]), "ones": np.int64([1]), "width": np.int32([h]),
        "at0": np.int64([0]), "at8": np.int64([2 * h]), "at12": np.int64([3 * h]), "along": np.int64([1]),
        "from": np.int64([-1]), "to": np.int64([2**31 - 1]), "nothing": np.float32(0), "one": np.float32(1),
    }  # fmt: skip
    text = "s = Shape(in) si = Cast <to = 6> (s) n1 = Slice(si, zeros, ones, zeros) t1 = Slice(si, ones, two, zeros) "
    constants["two"] = np.int64([2])
    text += "nh = Concat <axis = 0> (n1, width) wide = Cast <to = 7> (nh) state = Expand(nothing, wide) "
    source = "in"
    if mask is not None:
        constants["padding"] = np.float32(mask)
        text += "eq = Equal(in, padding) ne = Not(eq) nf = Cast <to = 1> (ne) any = ReduceSum <keepdims = 1> (nf, from) "
        text += "valid = Greater(any, nothing) vf = Cast <to = 1> (valid) masked = Mul(vf, in) "
        source = "masked"
    text += f"x{'0' if back else ''} = Transpose <perm = [1, 0, 2]> ({source}) "
    turn = "{y} = ReverseSequence <batch_axis = 1, time_axis = 0> ({x}, lengths) "
    if back:
        text += "l1 = Cast <to = 7> (t1) n64 = Cast <to = 7> (n1) lengths = Expand(l1, n64) " + turn.format(y="x", x="x0")
    if mask is not None:
        text += f"mask{'0' if back else ''} = Transpose <perm = [1, 0, 2]> (valid) " + (
            turn.format(y="mask", x="mask0") if back else ""
        )
    if steps == "T":
        text += "count = Squeeze(t1, zeros) trips = Cast <to = 7> (count) tf0 = Cast <to = 1> (count) run = Less(nothing, tf0) "
    else:
        constants |= {"trips": np.int64(steps), "count": np.int32(steps), "run": np.bool_(True)}
    carried = ["zero", *(["state"] if mask is not None else []), *["h0" if start else "state"] * (2 if kind == "LSTM" else 1)]
    made = ["t_", *(["u_"] if mask is not None else []), "h_", *(["c_"] if kind == "LSTM" else [])]
    text += f"{', '.join(made)}, w_, v_, every = Loop <{body(kind, 'count', mask is not None, blank)}> "
    text += f"(trips, run, {', '.join(carried)}, kernel, recurrence) "
    if read == "last":
        text += "cut = Slice(every, from, to, zeros) last = Squeeze(cut, zeros) "
    elif read == "state":
        text += f"last = Identity({made[-1]}) "
    else:
        text += turn.format(y="straight", x="every") if back else "straight = Identity(every) "
        text += "last = Transpose <perm = [1, 0, 2]> (straight) "
    text += "p = MatMul(last, head) out = Add(p, shift)"
    inputs = f"float[N, {steps}, {features}] in" + (", float[N, 4] h0" if start else "")
    result = f"float[N, {steps}, 2] out" if read == "all" else "float[N, 2] out"
    used = {
        name: value
        for name, value in constants.items()
        if f"{name}" in text.replace(",", " ").replace("(", " ").replace(")", " ").split()
    }
    return graph_of(f"g ({inputs}) => ({result}) {{ {text} }}", opset, **used)
