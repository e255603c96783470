"""A weight's gradient, its update and its operands in one pass: the bits of three kernels one after the other."""

import numpy as np
import pytest

from nncore._core import kernels

OPTIMIZERS = {
    "sgd": ((0.9, 0.0, 1.0, 0.0), 1),
    "adam": ((0.9, 0.999, 1e-8, 0.0, 0.0), 2),
    "rmsprop": ((0.99, 1e-8, 0.9, 1.0), 3),
}
SHAPES = [(1, 1, 1), (40, 33, 70), (64, 64, 33), (33, 560, 40), (64, 530, 1100), (3, 2100, 5)]


def steps_of(name, shape, gap, isa, rng):
    """Two steps, both ways: (parameters, moments, forms) of the one pass, and of three."""
    m, n, k = shape
    attr, count = OPTIMIZERS[name]
    x, dz = rng.normal(size=(k, m)).astype(np.float32), rng.normal(size=(k, n)).astype(np.float32)
    a, b = kernels.bf16_pack(x, "at", isa=isa), kernels.bf16_pack(dz, "b", isa=isa)
    whole = [np.full((m, n + gap), 7, np.float32) for _ in range(1 + count)]
    for array in whole:
        array[:, :n] = 0
    whole[0][:, :n] = rng.normal(size=(m, n))
    param, *moments = (array[:, :n] for array in whole)
    other, *others = (array.copy() for array in (param, *moments))
    for step in (1, 2):
        made = kernels.bf16_update(
            name, param, a, b, moments, ("a", "at", "b", "bt"), lr=0.01, step=step, attr=attr, weight_decay=0.1, isa=isa
        )
        kernels.optimizer_step(
            name,
            other,
            kernels.bf16_product(a, b, m, n, isa=isa, transposed=True),
            others,
            lr=0.01,
            step=step,
            attr=attr,
            weight_decay=0.1,
            isa=isa,
        )
        assert all((array[:, n:] == 7).all() for array in whole)
    return (param, *moments, *made), (other, *others, *kernels.bf16_pack(other, ("a", "at", "b", "bt"), isa=isa))


@pytest.mark.parametrize("gap", [0, 5])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_one_pass_gives_the_bits_of_three(name, shape, gap, isa, rng):
    one, three = steps_of(name, shape, gap, isa, rng)
    for mine, truth in zip(one, three, strict=True):
        assert np.ascontiguousarray(mine).tobytes() == truth.tobytes()


def test_threads_may_divide_the_rows(isa, rng):
    """Rows of blocks by themselves: what they give does not depend on the others."""
    x, dz = rng.normal(size=(70, 96)).astype(np.float32), rng.normal(size=(70, 50)).astype(np.float32)
    a, b = kernels.bf16_pack(x, "at", isa=isa), kernels.bf16_pack(dz, "b", isa=isa)
    start = rng.normal(size=(96, 50)).astype(np.float32)
    whole, parts = start.copy(), start.copy()
    kernels.bf16_update("sgd", whole, a, b, lr=0.1, step=1, attr=(0.0, 0.0, 0.0, 0.0), isa=isa)
    for first in (0, 32, 64):
        kernels.bf16_update(
            "sgd", parts[first : first + 32], a[first // 32 :][:1], b, lr=0.1, step=1, attr=(0.0, 0.0, 0.0, 0.0), isa=isa
        )
    assert whole.tobytes() == parts.tobytes()
    assert np.abs(whole - (start - 0.1 * x.T @ dz)).max() < 0.1
