"""Graphs that Sequential never makes: values read twice or by nobody, several inputs and outputs, views of either."""

import numpy as np
import pytest
from truth import nets

from nncore import _core
from nncore.records import LossSpec, OutputStatistics, StatisticSpec


def numpy_net(net, x):
    """Parameters of the net as a list of (weight, bias)."""
    values = [np.array(p.value, np.float64) for p in net.parameters()]
    return x.astype(np.float64), [tuple(values[i : i + 2]) for i in range(0, len(values), 2)]


def test_a_value_read_by_two_ops(dtype, rng):
    ops = [nets.linear("a", 0, 4, 5), nets.activation("tanh", 1), nets.linear("b", 2, 5, 2), nets.linear("c", 2, 5, 3)]
    net = nets.assemble([(4,)], ops, [3, 4], dtype)
    x = rng.normal(size=(9, 4)).astype(dtype)
    z, ((wa, ba), (wb, bb), (wc, bc)) = numpy_net(net, x)
    h = np.tanh(z @ wa.T + ba)
    first, second = net.forward([x], False)
    np.testing.assert_allclose(first, h @ wb.T + bb, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(second, h @ wc.T + bc, rtol=1e-5, atol=1e-6)
    d1, d2 = rng.normal(size=(9, 2)).astype(dtype), rng.normal(size=(9, 3)).astype(dtype)
    (dx,) = net.backward([d1, d2])
    dh = (d1 @ wb + d2 @ wc) * (1 - h * h)
    np.testing.assert_allclose(dx, dh @ wa, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(net.parameters()[0].grad, dh.T @ z, rtol=1e-4, atol=1e-5)


def test_a_branch_that_nobody_reads(dtype, rng):
    kept = [nets.linear("a", 0, 4, 5), nets.activation("tanh", 1)]
    extra = [nets.linear("dead", 2, 5, 6), nets.activation("relu", 3), nets.linear("b", 2, 5, 2)]
    net = nets.compile_net(nets.assemble([(4,)], [*kept, *extra], dtype=dtype), optimizer=nets.ADAM)
    plain = nets.compile_net(nets.assemble([(4,)], [*kept, nets.linear("b", 2, 5, 2)], dtype=dtype), optimizer=nets.ADAM)
    live = [p for p in net.parameters() if p.op not in (2,)]
    for p, q in zip(live, plain.parameters(), strict=True):
        p.value[...] = q.value
    dead = [np.array(p.value) for p in net.parameters() if p.op == 2]
    x, y = rng.normal(size=(20, 4)).astype(dtype), rng.normal(size=(20, 2))
    np.testing.assert_array_equal(
        nets.train(net, x, y, steps=8, batch=7, lr=0.01), nets.train(plain, x, y, steps=8, batch=7, lr=0.01)
    )
    for p, q in zip(live, plain.parameters(), strict=True):
        np.testing.assert_array_equal(p.value, q.value)
    for p, old in zip([p for p in net.parameters() if p.op == 2], dead, strict=True):
        np.testing.assert_array_equal(p.value, old)
    np.testing.assert_array_equal(net(x), plain(x))


def test_two_inputs_and_two_outputs(dtype, rng):
    ops = [nets.linear("a", 0, 4, 3), nets.activation("sigmoid", 2), nets.linear("b", 1, 2, 5)]
    net = nets.assemble([(4,), (3, 2)], ops, [3, 4], dtype)
    x = [rng.normal(size=(11, 4)).astype(dtype), rng.normal(size=(11, 3, 2))]
    first, second = net.forward(x, False)
    assert first.shape == (11, 3)
    assert second.shape == (11, 3, 5)
    outs = [np.empty_like(first), np.empty_like(second)]
    assert net.predict(x, outs, 0) == 11
    for out, expected in zip(outs, (first, second), strict=True):
        np.testing.assert_array_equal(out, expected)
    dx = net.backward([np.ones_like(first), np.ones_like(second)])
    assert [d.shape for d in dx] == [(11, 4), (11, 3, 2)]


def test_views_of_inputs_and_outputs(dtype, rng):
    x = rng.normal(size=(600, 2, 3)).astype(dtype)
    # an output that is the input, one that is a view of it, and one behind a product
    ops = [nets.flatten(0), nets.linear("a", 1, 6, 4), nets.activation("identity", 2), nets.flatten(0, 1, 2)]
    net = nets.assemble([(2, 3)], ops, [1, 3], dtype)
    flat, out = net.forward([x], False)
    np.testing.assert_array_equal(flat, x.reshape(600, 6))
    outs = [np.empty((600, 6), dtype), np.empty((600, 4), dtype)]
    net.predict([x], outs, 0)
    np.testing.assert_array_equal(outs[0], flat)
    np.testing.assert_array_equal(outs[1], out)
    outs = [np.empty((600, 6), dtype), np.empty((600, 4), dtype)]
    net.predict([x.astype(np.int8)], outs, 0)
    np.testing.assert_array_equal(outs[0], x.astype(np.int8).reshape(600, 6))
    same = nets.assemble([(2, 3)], [], [0], dtype)
    np.testing.assert_array_equal(same(x), x)
    d = rng.normal(size=(600, 6)).astype(dtype), rng.normal(size=(600, 4)).astype(dtype)
    net.forward([x], False)
    (dx,) = net.backward(d)
    weight = np.array(net.parameters()[0].value, np.float64)
    np.testing.assert_allclose(dx.reshape(600, 6), d[0] + d[1] @ weight, rtol=1e-4, atol=1e-5)


def test_inference_does_not_write_into_its_input(dtype, rng):
    for ops in (
        [nets.activation("relu", 0)],
        [nets.flatten(0), nets.activation("sigmoid", 1)],
        [nets.activation("identity", 0), nets.activation("softmax", 1), nets.linear("a", 2, 6, 2)],
        [nets.dropout(0, 0.5), nets.activation("tanh", 1)],
    ):
        net = nets.assemble([(6,)], ops, dtype=dtype)
        x = rng.normal(size=(100, 6)).astype(dtype)
        x.flags.writeable = False
        kept = x.copy()
        net(x)
        net.forward([x], True)
        np.testing.assert_array_equal(x, kept)


@pytest.mark.parametrize("reader", ["linear", "output", "view"])
def test_a_sigmoid_that_others_read_is_not_fused_into_the_loss(reader, dtype, rng):
    ops = [nets.linear("a", 0, 4, 3), nets.activation("sigmoid", 1)]
    ops += {
        "linear": [nets.linear("b", 2, 3, 2)],
        "output": [nets.activation("tanh", 2)],
        "view": [nets.flatten(2), nets.linear("b", 3, 3, 2)],
    }[reader]
    last = len(ops)
    net = nets.assemble([(4,)], ops, [2, last], dtype)
    columns = net.shapes()[last][0]
    losses = [LossSpec("binary_crossentropy", attributes=(0.0,)), LossSpec("mean_squared_error")]
    nets.compile_net(net, losses, nets.SGD)
    x = rng.normal(size=(8, 4)).astype(dtype)
    y = [rng.integers(0, 2, (8, 3)), rng.normal(size=(8, columns))]
    p, q = (v.astype(np.float64) for v in net.forward([x], False))
    bce = -np.mean(y[0] * np.log(p) + (1 - y[0]) * np.log(1 - p))
    assert nets.train(net, x, y, lr=0.0)[0] == pytest.approx(bce + np.mean((q - y[1]) ** 2), rel=1e-5)
    # the gradient by hand: of both losses through the probabilities
    kept = [np.array(g.grad) for g in net.parameters()]
    net.forward([x], True)
    net.backward([((p - y[0]) / (p * (1 - p)) / p.size).astype(dtype), (2 * (q - y[1]) / q.size).astype(dtype)])
    for g, old in zip(net.parameters(), kept, strict=True):
        np.testing.assert_allclose(old, g.grad, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("before", [True, False])
def test_logits_that_others_read_through_a_view_keep_both_gradients(before, dtype, rng):
    # value 1 (logits) is seen by a softmax through a view, and by another op that comes before or after it
    other = nets.linear("other", 1, 3, 2)
    if before:
        ops, outputs = [nets.linear("a", 0, 4, 3), other, nets.flatten(1), nets.activation("softmax", 3)], [4, 2]
    else:
        ops, outputs = [nets.linear("a", 0, 4, 3), nets.flatten(1), nets.activation("softmax", 2), other], [3, 4]
    net = nets.assemble([(4,)], ops, outputs, dtype)
    losses = [LossSpec("categorical_crossentropy", attributes=(0.0,)), LossSpec("mean_squared_error")]
    nets.compile_net(net, losses, nets.SGD)
    x, y = rng.normal(size=(8, 4)).astype(dtype), [np.eye(3)[rng.integers(0, 3, 8)], rng.normal(size=(8, 2))]
    p, q = (v.astype(np.float64) for v in net.forward([x], False))
    nets.train(net, x, y)
    weights = {ops[g.op].name + g.role: np.array(g.value, np.float64) for g in net.parameters()}
    dz = (p - y[0]) / 8 + (2 * (q - y[1]) / q.size) @ weights["otherweight"]
    grads = {ops[g.op].name + g.role: g.grad for g in net.parameters()}
    np.testing.assert_allclose(grads["aweight"], dz.T @ x, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(grads["abias"], dz.sum(0), rtol=1e-4, atol=1e-5)


def test_the_fused_loss_is_stable_and_still_gives_probabilities(dtype):
    net = nets.assemble([(1,)], [nets.linear("a", 0, 1, 1), nets.activation("sigmoid", 1)], dtype=dtype)
    statistics = [OutputStatistics((StatisticSpec("decisions", "each"),))]
    nets.compile_net(net, LossSpec("binary_crossentropy", attributes=(0.0,)), nets.SGD, statistics=statistics)
    net.parameters()[0].value[...] = 200
    net.parameters()[1].value[...] = 0
    x, y, counts = np.array([[-1.0], [1.0]], dtype), np.array([[1.0], [0.0]]), np.zeros(8)
    assert nets.train(net, x, y, statistics=[counts])[0] == pytest.approx(200)
    np.testing.assert_allclose(net.parameters()[0].grad, 1.0)  # saturated, and it still learns
    np.testing.assert_array_equal(counts, [2, 0, 2, 0, 1, 0, 1, 1])
    np.testing.assert_allclose(net(x), [[0], [1]], atol=1e-6)
    assert nets.evaluate(net, x, y)[0, 0] == pytest.approx(400)


def siamese(dtype, width=96):
    """Two towers with one set of weights, joined in three ways, and two losses."""
    a, b = nets.linear("a", 0, 6, width), nets.linear("b", 4, width, width)
    ops = [
        a,  # 2
        nets.activation("relu", 2),
        nets.batch_norm(3, width),
        b,  # 5
        nets.activation("tanh", 5),
        nets.shared(a, 1, 0),  # 7
        nets.activation("relu", 7),
        nets.shared(nets.batch_norm(3, width), 8, 2),
        nets.shared(b, 9, 3),  # 10
        nets.activation("tanh", 10),
        nets.add(6, 11, rest=-1.0),
        nets.multiply(6, 11),
        nets.maximum(6, 11),
        nets.concat(12, 13, 14),
        nets.linear("c", 15, 3 * width, 4),
        nets.linear("d", 13, width, 2),
    ]
    ops[9 - 2] = ops[9 - 2]._replace(name="norm again")
    net = nets.assemble([(6,), (6,)], ops, [16, 17], dtype)
    return nets.compile_net(net, ["mean_squared_error", "mean_absolute_error"], nets.ADAM)


def test_shared_weights_are_the_same_bits_for_any_number_of_threads(dtype, rng):
    x = [rng.normal(size=(150, 6)).astype(dtype) for _ in range(2)]
    y = [rng.normal(size=(150, 4)), rng.normal(size=(150, 2))]
    states = []
    for threads in (1, 2, 3, 7):
        net = siamese(dtype)
        _core.set_num_threads(threads)
        try:
            nets.train(net, x, y, steps=6, batch=60, lr=0.01)
        finally:
            _core.set_num_threads(0)
        states.append(nets.snapshot(net))
        nets.assert_same_bits(states[0], states[-1])


def test_a_step_by_hand_has_the_same_gradients(dtype, rng):
    net = siamese(dtype)
    x = [rng.normal(size=(40, 6)).astype(dtype) for _ in range(2)]
    y = [rng.normal(size=(40, 4)).astype(dtype), rng.normal(size=(40, 2)).astype(dtype)]
    nets.train(net, x, y)
    kept = [np.array(p.grad) for p in net.parameters()]
    first, second = net.forward(x, True)
    net.backward([(2 * (first - y[0]) / first.size).astype(dtype), (np.sign(second - y[1]) / second.size).astype(dtype)])
    for p, old in zip(net.parameters(), kept, strict=True):
        np.testing.assert_allclose(old, p.grad, rtol=1e-4, atol=1e-6)


def test_any_allocation_may_fail(rng):
    x = [rng.normal(size=(40, 6)).astype(np.float32) for _ in range(2)]
    y = [rng.normal(size=(40, 4)), rng.normal(size=(40, 2))]
    failed = 0
    for k in range(1, 100):
        _core.alloc_fail_at(k)
        try:
            net = siamese("float32")
            nets.train(net, x, y, steps=3, batch=20)
            break
        except MemoryError:
            failed += 1
        finally:
            _core.alloc_fail_at(0)
    assert 5 < failed < 99


@pytest.mark.parametrize(
    ("inputs", "ops", "text"),
    [
        (
            [(3,), (4,)],
            [nets.add(0, 1)],
            r"add: its inputs must have one shape, or 1 where they differ, but are \[\*, 3\] from the input and \[\*, 4\]",
        ),
        ([(3,), (2, 1, 4)], [nets.multiply(0, 1)], "must have one shape"),
        ([(3,)], [nets.concat(0, 0, axis=2)], r"axis=2 does not name a dimension of \[\*, 3\]"),
        ([(3,)], [nets.concat(0, 0, axis=0)], "axis=0 does not name"),
        ([(2, 3), (3, 3)], [nets.concat(0, 1)], "must agree in all dimensions but axis -1"),
        ([(3,)], [nets.multiply(0, 0)._replace(inputs=(0, 0, 0))], "takes two inputs, not 3"),
        ([(3,)], [nets.linear("a", 0, 3, 3), nets.linear("b", 1, 3, 2)._replace(shares=0)], "not an earlier op like it"),
        ([(3,)], [nets.linear("a", 0, 3, 3), nets.linear("b", 1, 3, 3)._replace(shares=1)], "not an earlier op like it"),
        ([(3,)], [nets.linear("a", 0, 3, 3)._replace(shares=-2)], "not an earlier op like it"),
    ],
)
def test_what_cannot_be_joined_is_refused(inputs, ops, text):
    with pytest.raises(ValueError, match=text):
        nets.assemble(inputs, ops)
