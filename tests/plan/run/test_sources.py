"""Where data comes from: every dtype, strided rows, an order of rows; and what cannot be read."""

import numpy as np
import pytest
from truth import nets

from nncore.errors import ShapeError
from nncore.records import LossSpec


@pytest.mark.parametrize(
    "source", ["float32", "float64", "bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64"]
)
def test_sources_are_converted(source, dtype, rng):
    ops = [nets.linear("a", 0, 6, 3)]
    net = nets.compile_net(nets.assemble([(6,)], ops, dtype=dtype))
    x = (rng.integers(0, 2, (20, 6)) if source == "bool" else rng.integers(0, 100, (20, 6))).astype(source)
    y = rng.normal(size=(20, 3))
    weight, bias = (np.array(p.value, np.float64) for p in net.parameters())
    expected = x.astype(np.float64) @ weight.T + bias
    out = np.empty((20, 3), dtype)
    net.predict([x], [out], 0)
    np.testing.assert_allclose(out, expected, rtol=1e-5, atol=1e-4)
    np.testing.assert_array_equal(net.forward([x], False)[0], out)
    loss = np.mean((expected - y) ** 2)
    assert nets.train(net, x, y)[0] == pytest.approx(loss, rel=1e-5)
    sums = nets.evaluate(net, x, y)
    assert sums[0, 0] / sums[0, 1] == pytest.approx(loss, rel=1e-5)


@pytest.mark.parametrize("end", ["relu", "sigmoid", None])
def test_strided_rows(end, dtype, rng):
    ops = [nets.activation("softsign", 0), nets.linear("a", 1, 6, 3)] + ([nets.activation(end, 2)] if end else [])
    net = nets.compile_net(nets.assemble([(6,)], ops, dtype=dtype))
    wide = rng.normal(size=(40, 11)).astype(dtype)
    for view in (wide[:, 2:8], wide[::2, 3:9], wide[::-1, :6], wide[5:6, :6], np.broadcast_to(wide[0, :6], (40, 6))):
        dense, y = view.copy(), rng.normal(size=(len(view), 3))
        out, expected = np.empty((2, len(view), 3), dtype)
        net.predict([view], [out], 0)
        net.predict([dense], [expected], 0)
        np.testing.assert_array_equal(out, expected)
        np.testing.assert_array_equal(net.forward([view], False)[0], expected)
        np.testing.assert_array_equal(nets.evaluate(net, view, y), nets.evaluate(net, dense, y))
        assert nets.train(net, view, y) == nets.train(net, dense, y)
        order = rng.permutation(len(view))
        assert nets.train(net, view, y, order=order, batch=4) == nets.train(net, dense, y, order=order, batch=4)


def test_strided_input_straight_into_a_fused_loss(dtype, rng):
    net = nets.assemble([(3,)], [nets.activation("softmax", 0)], dtype=dtype)
    spec = LossSpec("sparse_categorical_crossentropy", attributes=(0.0,))
    nets.compile_net(net, spec, statistics=[nets.PAIRS])
    x, y = rng.normal(size=(30, 7)).astype(dtype)[:, 2:5], rng.integers(0, 3, 30)
    found = []
    for each in (x, x.copy()):
        sums, counts = nets.pairs(3)
        found.append((nets.evaluate(net, each, y, statistics=[sums]), counts))
    np.testing.assert_allclose(found[0][0], found[1][0])
    np.testing.assert_array_equal(found[0][1], found[1][1])
    assert found[0][1].sum() == 30


@pytest.mark.parametrize(
    "bad",
    [
        lambda x: x[:, ::2],
        lambda x: x[:, :5],
        lambda x: x[:-1],
        lambda x: x.T,
        lambda x: x.astype(np.complex64),
        lambda x: x.astype(object),
        lambda x: x.tolist(),
    ],
)
def test_sources_that_cannot_be_read_are_refused(bad, rng):
    net = nets.classifier()
    x, y = rng.normal(size=(12, 12)).astype(np.float32)[:, :6], rng.integers(0, 3, 12)
    before = nets.snapshot(net)
    with pytest.raises((ShapeError, TypeError)):
        net.train([bad(x)], [y], None, None, 4, 0, 3, np.zeros(3), np.zeros(3), [None])
    nets.assert_same_bits(nets.snapshot(net), before)


SPREAD = {
    "columns apart": lambda x: np.repeat(x, 2, axis=1)[:, ::2],
    "columns backwards": lambda x: x[:, ::-1].copy()[:, ::-1],
    "Fortran": np.asfortranarray,
    "the other byte order": lambda x: x.astype(x.dtype.newbyteorder()),
    "both": lambda x: np.asfortranarray(x.astype(x.dtype.newbyteorder())),
    "extended precision": lambda x: x.astype(np.longdouble),
    "unaligned": lambda x: np.frombuffer(b"." + x.tobytes(), x.dtype, x.size, 1).reshape(x.shape),
}


@pytest.mark.parametrize("how", SPREAD)
@pytest.mark.parametrize("stored", ["f2", "f4", "f8", "i2", "u8", "?"])
def test_numbers_that_do_not_lie_side_by_side(how, stored, rng):
    """Read one by one, with the bits that they have side by side; more columns than are brought together at once."""
    width, rows = 150, 13
    net = nets.compile_net(nets.assemble([(width,)], [nets.linear("a", 0, width, 2)], dtype="float64"))
    x, y = rng.integers(0, 2 if stored == "?" else 100, (rows, width)).astype(stored), rng.integers(9, size=(rows, 2))
    order = rng.permutation(rows)
    other, targets = SPREAD[how](x), SPREAD[how](y)
    expected = nets.train(net, x, y, steps=3, batch=5, order=order)
    np.testing.assert_array_equal(nets.train(net, other, targets, steps=3, batch=5, order=order), expected)
    np.testing.assert_array_equal(nets.evaluate(net, other, targets), nets.evaluate(net, x, y))


def test_the_order_decides_which_rows_come(dtype, rng):
    net = nets.compile_net(nets.assemble([(2,)], [nets.linear("a", 0, 2, 1)], dtype=dtype))
    x, y = rng.normal(size=(10, 2)).astype(dtype), rng.normal(size=(10, 1))
    order = np.array([7, 0, 0, 3, 9])
    losses = nets.train(net, x, y, steps=3, batch=2, order=order)
    rows = (net(x) - y)[order, 0] ** 2
    np.testing.assert_allclose(losses, [rows[:2].mean(), rows[2:4].mean(), rows[4]], rtol=1e-5)
