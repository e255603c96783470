"""Every kernel gives the same bits on every instruction set that rounds a multiply-add once.

Each case below draws its inputs, for rows of n numbers, and gives a function of the instruction set. The best set of this CPU is
compared with the others. Any two NaN are equal: which of two NaN an operation passes on depends on the order of its operands, which
C leaves open.
"""

import numpy as np
import pytest
from ops.recurrent import recurrences

from nncore import _core
from nncore._core import kernels

FUSED = [isa for isa in _core.isas() if isa != "baseline"] or ["exact"]
LENGTHS = [*range(1, 71), 131]
ROWS = 3
SPECIAL = [0, -0.0, 1, -1, 0.5, np.inf, -np.inf, np.nan, 2**-126, -(2**-126), 2**-127, 1e-42, 3.4e38, -3.4e38, 1e-20, 88.7, -103.9]


class Draw:
    """Numbers near 1, of any size, or out of the ordinary."""

    def __init__(self, rng, kind, dtype):
        self.rng, self.kind, self.dtype = rng, kind, dtype

    def __call__(self, *shape):
        x = self.rng.normal(size=shape)
        if self.kind == "wide":
            x *= 2.0 ** self.rng.integers(-130, 120, size=shape)
        if self.kind == "special":
            x = np.where(self.rng.random(shape) < 0.1, self.rng.choice(SPECIAL, size=shape), x)
        return x.astype(self.dtype)

    def between(self, low, high, *shape):
        return self.rng.uniform(low, high, size=shape).astype(self.dtype)

    def whole(self, low, high, *shape):
        return self.rng.integers(low, high, size=shape).astype(self.dtype)


def bits(array):
    array = np.asarray(array)
    if array.dtype not in (np.float32, np.float64):
        return array
    return np.where(np.isnan(array), -1, array.view(np.int32 if array.dtype == np.float32 else np.int64))


def differences(of, isa):
    """The indices at which the results of `isa` differ in a bit from those of the best set."""
    best, other = ([bits(a) for a in of(i) if a is not None] for i in (FUSED[-1], isa))
    return [tuple(where) for a, b in zip(best, other, strict=True) for where in np.argwhere(a != b)]


ATTRIBUTES = {
    "alpha": 0.7, "beta": 1.3, "threshold": 0.4, "negative_slope": 0.1, "min_val": -0.8, "max_val": 1.1, "lambd": 0.3, "value": 2.0,
    "delta": 0.7, "label_smoothing": 0.1, "gamma": 1.5, "focal_alpha": 0.25, "eps": 1e-6, "full": 1.0, "log_variance": 1.0,
}  # fmt: skip


def attributes(record, n):
    """One number for each attribute, and one per column for the last where it may have that many."""
    found = []
    for name in record["attributes"]:
        found += [float(n), *np.linspace(0.2, 0.9, n)] if name.endswith("[]") else [ATTRIBUTES[name]]
    return found


def activation(record):
    def case(draw, n):
        x, dy, attr = draw(ROWS, n), draw(ROWS, n), attributes(record, n)

        def run(isa):
            y = kernels.activation_forward(record["name"], x, attr, isa=isa)
            saved = x if record["saves"] == "input" else kernels.activation_forward(record["name"], x, attr, isa=FUSED[-1])
            return y, kernels.activation_backward(record["name"], dy, saved, attr, isa=isa)

        return run

    return case


def targets(record, draw, n):
    name = record["name"]
    if record["target"] == "index":
        return draw.whole(-1, n, ROWS, 1)
    if "hinge" in name or name == "perceptron":
        return 2 * draw.whole(0, 2, ROWS, n) - 1
    return draw.between(0, 1, ROWS, n) if draw.rng.random() < 0.5 else draw(ROWS, n)


def loss(record):
    def case(draw, n):
        width = 2 * n if record["target"] == "half" else n
        domain = draw.between(0, 1, ROWS, width) if draw.kind == "near" and not record["name"].endswith("_logits") else None
        z, t = draw(ROWS, width) if domain is None else domain, targets(record, draw, n)
        weight, attr = draw.between(0, 2, ROWS), attributes(record, n)
        return lambda isa: (
            *kernels.loss(record["name"], z, t, scale=0.3, attr=attr, isa=isa),
            *kernels.loss(record["name"], z, t, weight=weight, scale=0.3, attr=attr, isa=isa),
            *kernels.loss(record["name"], np.hstack([z, z])[:, :width], t, scale=0.3, attr=attr, isa=isa),
        )

    return case


def optimizer(record):
    chosen = {
        "momentum": 0.9, "dampening": 0.1, "nesterov": 1.0, "lr_decay": 0.1, "initial_accumulator_value": 0.1, "alpha": 0.9,
        "centered": 1.0, "beta1": 0.9, "beta2": 0.99, "amsgrad": 1.0, "rho": 0.9, "eps": 1e-6, "momentum_decay": 0.004,
        "decoupled_weight_decay": 1.0, "epsilon_hat": 1.0, "lr_in_momentum": 1.0, "eta_minus": 0.5, "eta_plus": 1.2,
        "step_min": 1e-6, "step_max": 50.0,
    }  # fmt: skip

    def case(draw, n):
        given = [draw(n), draw(n), *(np.abs(draw(n)) for _ in range(record["moments"]))]

        def run(isa):
            found = []
            for switched in (0.0, 1.0):
                attr = [switched if chosen[a] == 1 else chosen[a] for a in record["attributes"]]
                for step in (1, 7):
                    for more in ({}, {"weight_decay": 0.1, "l1": 0.02, "l2": 0.03, "grad_scale": 0.6, "clip_value": 0.5}):
                        param, grad, *moments = (a.copy() for a in given)
                        kernels.optimizer_step(record["name"], param, grad, moments, lr=0.1, step=step, attr=attr, isa=isa, **more)
                        found += [param, *moments]
            return found

        return run

    return case


def product(draw, n):
    k, m = int(draw.rng.integers(1, 40)), int(draw.rng.integers(1, 40))
    a, b, bias, out = draw(m, k), draw(k, n), draw(n), draw(m, n)
    return lambda isa: (
        kernels.gemm(a, b, bias, isa=isa),
        kernels.gemm(a, b, out=out.copy(), accumulate=True, isa=isa),
        kernels.gemm(np.ascontiguousarray(a.T), b, transpose_a=True, isa=isa),
        kernels.gemm(a, np.ascontiguousarray(b.T), transpose_b=True, isa=isa),
        *kernels.linear_gradient(np.ascontiguousarray(a), out, isa=isa),
    )


def columns(draw, n):
    a, y = draw(11, n), draw(11, n)

    def run(isa):
        total = y.copy()
        kernels.accumulate(total, a, isa=isa)
        return kernels.column_sum(a, isa=isa), total, kernels.transpose(a, isa=isa)

    return run


def merges(draw, n):
    a, b, dy = draw(ROWS, n), draw(ROWS, n), draw(ROWS, n)
    return lambda isa: (
        kernels.combine(a, b, 0.3, -1.7, 0.2, isa=isa),
        kernels.combine(a, None, 0.3, 0, 0.2, isa=isa),
        kernels.multiply(a, b, isa=isa),
        kernels.multiply(a, b, out=dy.copy(), isa=isa),
        *(kernels.maximum(a, b, least, isa=isa) for least in (False, True)),
        *(kernels.maximum_backward(dy, a, b, least, isa=isa) for least in (False, True)),
    )


def randomness(draw, n):
    x, dy = draw(ROWS, n), draw(ROWS, n)

    def run(isa):
        mask = np.zeros((ROWS, n), np.int8)
        y = kernels.dropout(x, 0.3, (1, 2), (3, 4), mask=mask, isa=isa)
        return y, mask, kernels.dropout_backward(dy, mask, 0.3, isa=isa), kernels.gaussian_noise(x, 0.7, (1, 2), (3, 4), isa=isa)

    return run


def gather(draw, n):
    x = draw(9, n)
    with np.errstate(all="ignore"):
        sources = [x, x.astype(np.float64) * 1.0000001, x.astype(np.float16)]
    whole = draw.rng.integers(0, 2**63, size=(9, n))
    sources += [whole.astype(t) for t in (np.uint8, np.int8, np.uint16, np.int16, np.uint32, np.int32, np.uint64, np.int64)]
    index = draw.rng.integers(0, 9, size=5)
    return lambda isa: [kernels.gather(source, index, draw.dtype.name, isa=isa) for source in sources]


def weights(draw, n):
    w, mean = draw(5, n), draw(5, n)

    def run(isa):
        limited, average = w.copy(), mean.copy()
        kernels.max_norm(limited, 1.3, isa=isa)
        kernels.average(average, w, 0.9, isa=isa)
        sums = kernels.sum_squares(w, isa=isa), *kernels.sum_changes(w, mean, isa=isa), *kernels.sum_penalties(w, isa=isa)
        return limited, average, np.array(sums)

    return run


def statistics(draw, n):
    z, t, weight = draw(ROWS, n), draw(ROWS, n), draw.between(0, 2, ROWS)
    labels = draw.whole(0, n, ROWS, 1)
    return lambda isa: (
        kernels.unit_sums(z, 0.1, 0.9, isa=isa),
        kernels.count_classes(z, labels, weight, True, "pairs", isa=isa),
        kernels.count_classes(z, labels, None, True, "top", min(3, n), isa=isa),
        kernels.count_classes(z, t, weight, False, "each", isa=isa),
        kernels.count_decisions(z, t, weight, "each", 0.5, 0.5, isa=isa),
        kernels.count_decisions(z, t, None, "whole", 0.5, 0.5, isa=isa),
        kernels.sum_residuals(z, t, weight, isa=isa),
    )


def batch_norm(draw, n):
    x, dy, gamma, beta = draw(21, n), draw(21, n), draw(n), draw(n)

    def run(isa):
        mean, var = np.zeros_like(gamma), np.ones_like(gamma)
        y, center, spread = kernels.batch_norm_forward(x, gamma, beta, mean, var, isa=isa)
        back = kernels.batch_norm_backward(dy, x, center, spread, gamma, isa=isa)
        parts = kernels.batch_norm_in_parts(x, dy, gamma, beta, isa=isa)
        used = np.ones_like(gamma), np.abs(gamma)
        frozen = kernels.batch_norm_forward(x, gamma, beta, *used, frozen=True, isa=isa)
        frozen_back = kernels.batch_norm_backward(dy, x, *used, frozen=True, isa=isa)
        return y, center, spread, mean, var, *back, *parts, frozen[0], *frozen_back

    return run


def batch_norm_of_planes(draw, n):
    x, dy, gamma, beta = draw(5, 2 * n), draw(5, 2 * n), draw(2), draw(2)

    def run(isa):
        mean, var = np.zeros_like(gamma), np.ones_like(gamma)
        y, center, spread = kernels.batch_norm_forward(x, gamma, beta, mean, var, inner=n, isa=isa)
        back = kernels.batch_norm_backward(dy, x, center, spread, gamma, inner=n, isa=isa)
        return y, center, spread, mean, var, *back

    return run


def layer_norm(draw, n):
    n = n if draw.rng.random() < 0.7 else 3 * n + 100
    x, dy, gamma, beta = draw(ROWS, n), draw(ROWS, n), draw(n), draw(n)

    def run(isa):
        y, mean, rstd = kernels.layer_norm_forward(x, gamma, beta, isa=isa)
        plain = kernels.layer_norm_forward(x, isa=isa)
        saved = kernels.layer_norm_forward(x, isa=FUSED[-1])[1:]
        back = kernels.layer_norm_backward(dy, x, *saved, gamma, isa=isa), kernels.layer_norm_backward(dy, x, *saved, isa=isa)
        return y, mean, rstd, *plain, *back, *kernels.layer_norm_gradient(dy, x, *saved, isa=isa)

    return run


def learned_activations(draw, n):
    x, dy, slope, pieces = draw(5, n), draw(5, n), draw(n), draw(5, 3 * n)
    return lambda isa: (
        kernels.prelu_forward(x, slope, isa=isa),
        kernels.prelu_backward(dy, x, slope[:1].copy(), isa=isa),
        kernels.prelu_gradient(dy, x, isa=isa),
        kernels.prelu_gradient(dy, x, per_column=True, isa=isa),
        kernels.maxout_forward(pieces, 3, isa=isa),
        kernels.maxout_backward(dy, pieces, 3, isa=isa),
    )


def pools(draw, n):
    x, dy = draw(7, n), draw(1, n)

    def run(isa):
        found = []
        for pool in ("mean", "max", "last"):
            y = kernels.pool_forward(x, 5, pool, isa=isa)
            found += [y, kernels.pool_backward(dy, x, y, 5, pool, isa=isa)]
        return found

    return run


def embedding(draw, n):
    x, table, dy = draw.whole(0, 6, 4, 3), draw(6, n), draw(12, n)
    return lambda isa: (kernels.embedding_forward(x, table, isa=isa), kernels.embedding_gradient(x, dy, 6, isa=isa))


def elementary(draw, n):
    x = 20 * draw(n)
    return lambda isa: (kernels.exp(x, isa=isa), kernels.log(np.abs(x), isa=isa), kernels.log(x, isa=isa))


def recurrent(cell):
    def case(draw, n):
        steps, lengths = 4, np.array([4, 2, 3], np.int64)
        made = recurrences.make_case(draw.rng, cell, ROWS, steps, n, draw.dtype, lengths=lengths, mask=draw.rng.random() < 0.5)
        inputs = made["arrays"]["a"]
        if draw.kind != "near":
            inputs *= (2.0 ** draw.rng.integers(-40, 6, size=inputs.shape)).astype(draw.dtype)
        return lambda isa: recurrences.run(made, isa).values()

    return case


CASES = {
    **{f"activation {r['name']}": activation(r) for r in _core.OPS["activation"]},
    **{f"loss {r['name']}": loss(r) for r in _core.OPS["loss"]},
    **{f"optimizer {r['name']}": optimizer(r) for r in _core.OPS["optimizer"] if r["name"] != "lbfgs"},
    **{f"recurrent {cell}": recurrent(cell) for cell in recurrences.CELLS},
    **{
        f.__name__: f
        for f in (product, columns, merges, randomness, gather, weights, statistics, batch_norm, batch_norm_of_planes, layer_norm)
    },
    **{f.__name__: f for f in (learned_activations, pools, embedding, elementary)},
}


def others(dtype):
    """The sets that are compared with the best one. "exact" is float32 alone: the baseline whose multiply-adds are rounded once."""
    return [*FUSED[:-1], *(["exact"] if dtype == np.float32 else [])]


@pytest.mark.parametrize("kind", ["near", "wide", "special"])
@pytest.mark.parametrize("name", CASES)
def test_every_kernel(name, kind, dtype, rng):
    draw = Draw(rng, kind, dtype)
    with np.errstate(all="ignore"):
        for n in LENGTHS:
            of = CASES[name](draw, n)
            for isa in others(dtype):
                assert differences(of, isa) == [], (isa, n)
