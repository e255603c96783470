"""Shapes: many dimensions, Flatten, and the padding that wide rows have and lines have not."""

import numpy as np
import pytest
from truth import nets

from nncore.errors import ShapeError
from nncore.records import LossSpec


def test_shapes_of_all_values():
    ops = [
        nets.flatten(0, 1, 2),
        nets.linear("a", 1, 4, 70),
        nets.activation("relu", 2),
        nets.flatten(3),
        nets.linear("b", 4, 420, 2),
    ]
    net = nets.assemble([(2, 3, 4)], ops)
    assert net.shapes() == [(2, 3, 4), (6, 4), (6, 70), (6, 70), (420,), (2,)]


@pytest.mark.parametrize("shape", [(4,), (3, 4), (2, 3, 4), (1, 4), (1, 1, 70), (2, 70), (130,)])
@pytest.mark.parametrize("end", ["relu", "softmax", "log_softmax", "gelu", None])
def test_linear_on_many_dimensions(shape, end, dtype, rng):
    ops = [nets.linear("a", 0, shape[-1], 5)] + ([nets.activation(end, 1)] if end else [])
    net, flat = nets.assemble([shape], ops, dtype=dtype), nets.assemble([shape[-1:]], ops, dtype=dtype)
    x = rng.normal(size=(7, *shape)).astype(dtype)
    expected = flat.forward([x.reshape(-1, shape[-1])], False)[0].reshape(7, *shape[:-1], 5)
    np.testing.assert_array_equal(net(x), expected)
    np.testing.assert_array_equal(net.forward([x], True)[0], expected)


def test_softmax_of_lines_sums_to_one(dtype, rng):
    net = nets.assemble([(3, 4)], [nets.activation("softmax", 0)], dtype=dtype)
    y = net(rng.normal(size=(7, 3, 4)).astype(dtype))
    np.testing.assert_allclose(y.sum(-1), 1, rtol=1e-6)


@pytest.mark.parametrize("shape", [(), (5,), (2, 3), (2, 3, 4), (3, 1, 70), (1, 70), (1, 50, 2)])
@pytest.mark.parametrize(("start", "end"), [(1, -1), (2, -1), (1, 2), (-2, -1), (1, 1)])
def test_flatten(shape, start, end, dtype, rng):
    """As PyTorch numbers the dimensions, the batch being 0."""
    x = rng.normal(size=(6, *shape)).astype(dtype)
    rank = len(shape) + 1
    first, last = (d + rank if d < 0 else d for d in (start, end))
    if not shape and (start, end) == (1, -1):
        np.testing.assert_array_equal(nets.assemble([()], [nets.flatten(0)], dtype=dtype).forward([x], False)[0], x[:, None])
        return
    if not 1 <= first <= last < rank:
        with pytest.raises(ShapeError, match="flatten"):
            nets.assemble([shape], [nets.flatten(0, start, end)], dtype=dtype)
        return
    expected = x.reshape(*x.shape[:first], -1, *x.shape[last + 1 :])
    alone = nets.assemble([shape], [nets.flatten(0, start, end)], dtype=dtype)
    np.testing.assert_array_equal(alone(x), expected)
    behind = nets.assemble(
        [shape], [nets.activation("tanh", 0), nets.flatten(1, start, end), nets.activation("tanh", 2)], dtype=dtype
    )
    np.testing.assert_allclose(behind(x), np.tanh(np.tanh(expected)), rtol=1e-6)
    out = np.empty_like(expected)
    behind.predict([x], [out], 0)
    np.testing.assert_array_equal(out, behind(x))


def test_wide_flatten_then_softmax_counts_right(dtype, rng):
    """Lines are dense, wide rows are padded: logits and probabilities lie differently, and both loss and metric must not care."""
    ops = [nets.linear("a", 0, 5, 40), nets.flatten(1), nets.activation("softmax", 2)]
    net = nets.assemble([(3, 5)], ops, dtype=dtype)
    spec = LossSpec("sparse_categorical_crossentropy", attributes=(0.0,))
    nets.compile_net(net, spec, nets.SGD, statistics=[nets.PAIRS])
    x, y = rng.normal(size=(9, 3, 5)).astype(dtype), rng.integers(0, 120, 9)
    p = net(x)
    expected = np.zeros((120, 120))
    np.add.at(expected, (y, p.argmax(1)), 1)
    for run in (nets.evaluate, nets.train):
        sums, counts = nets.pairs(120)
        result = run(net, x, y, statistics=[sums])
        np.testing.assert_array_equal(counts, expected)
        loss = result[0, 0] / result[0, 1] if run is nets.evaluate else result[0]
        assert loss == pytest.approx(-np.log(p[np.arange(9), y].astype(np.float64)).mean(), rel=1e-5)
