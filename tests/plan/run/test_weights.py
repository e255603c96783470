"""Weights: of samples, under each reduction and in statistics; weight decay of single parameters."""

import numpy as np
import pytest
from truth import nets

from nncore.records import LossSpec, OptimizerSpec, OutputStatistics, ParameterOptions, StatisticSpec


@pytest.mark.parametrize("shape", [(3,), (2, 3), (1,)])
@pytest.mark.parametrize("reduction", ["mean", "sum", "mean_with_sample_weight"])
@pytest.mark.parametrize("weighted", [None, "float32", "float64", "zero", "strided"])
def test_reductions(shape, reduction, weighted, dtype, rng):
    inputs = (*shape[:-1], 4)
    net = nets.assemble([inputs], [nets.linear("a", 0, 4, shape[-1])], dtype=dtype)
    nets.compile_net(net, LossSpec("mean_squared_error", reduction=reduction), nets.SGD)
    x, y = rng.normal(size=(13, *inputs)).astype(dtype), rng.normal(size=(13, *shape))
    weight = {
        None: None,
        "zero": np.zeros(13),
        "strided": rng.uniform(0, 2, (13, 4))[:, 1],
    }.get(weighted, rng.uniform(0, 2, 13).astype(weighted if weighted in ("float32", "float64") else float))
    w = np.ones(13) if weight is None else weight.astype(np.float64)
    per_line = ((net(x).astype(np.float64) - y) ** 2).mean(-1).reshape(13, -1)
    lines = per_line.shape[1]

    def reduced(rows):
        total, count = (per_line[rows] * w[rows, None]).sum(), w[rows].sum() * lines
        divisor = {"mean": per_line[rows].size, "sum": 1, "mean_with_sample_weight": count or 1}[reduction]
        return total / divisor

    losses = nets.train(net, x, y, steps=4, batch=4, weight=weight)
    expected = [reduced(slice(i, min(i + 4, 13))) for i in range(0, 13, 4)]
    np.testing.assert_allclose(losses, expected, rtol=1e-5, atol=1e-12)
    sums = nets.evaluate(net, x, y, weight)
    counted = w.sum() * lines if reduction == "mean_with_sample_weight" else 13 * lines
    np.testing.assert_allclose(sums, [[(per_line * w[:, None]).sum(), counted]], rtol=1e-5, atol=1e-12)


@pytest.mark.parametrize("rows", [1, 2, 9])
def test_statistics_of_weighted_lines(rows, dtype, rng):
    """One weight per sample, several lines per sample; and a batch of one sample, where the two are easily confused."""
    net = nets.assemble([(3, 4)], [nets.linear("a", 0, 4, 2)], dtype=dtype)
    huber = LossSpec("huber", attributes=(1.0,))
    kinds = (StatisticSpec("classes", "pairs"), StatisticSpec("residuals"), StatisticSpec("loss", loss=huber))
    statistics = OutputStatistics((*kinds, StatisticSpec("decisions", "each", threshold=0.25)))
    nets.compile_net(net, statistics=[statistics])
    x, weight = rng.normal(size=(rows, 3, 4)).astype(dtype), rng.uniform(0.5, 2, rows).astype(np.float32)
    y = np.eye(2)[rng.integers(0, 2, (rows, 3))]
    z, w = net(x).reshape(-1, 2).astype(np.float64), np.repeat(weight, 3).astype(np.float64)
    t = y.reshape(-1, 2)
    matrix, e, guess = np.zeros((2, 2)), z - t, z > 0.25
    np.add.at(matrix, (t.argmax(1), z.argmax(1)), w)
    errors = [np.full(2, w.sum()), w @ (e * e), w @ np.abs(e)]
    loss = w @ np.where(np.abs(e) < 1, e * e / 2, np.abs(e) - 0.5).mean(1)
    each = [w @ (guess & (t > 0)), w @ t, w @ guess]
    for run in (nets.train, nets.evaluate):
        sums = np.zeros(statistics.size(2))
        run(net, x, y, weight=weight, statistics=[sums])
        pairs, residuals, losses, decisions = np.split(sums, np.cumsum([kind.size(2) for kind in kinds]))
        np.testing.assert_allclose(pairs, [w.sum(), matrix.trace(), w.sum(), 0, 0, *matrix.reshape(-1)], rtol=1e-5)
        assert residuals[2] == 3 * rows
        np.testing.assert_allclose(residuals[5:].reshape(2, 7).T[:3], errors, rtol=1e-5)
        np.testing.assert_allclose(losses, [w.sum(), loss], rtol=1e-5)
        np.testing.assert_allclose(decisions[:3], [2 * w.sum(), (w @ (guess == (t > 0))).sum(), w.sum()], rtol=1e-5)
        np.testing.assert_allclose(decisions[5:].reshape(2, 3).T, each, rtol=1e-5)


def test_each_parameter_has_its_own_weight_decay(dtype, rng):
    """AdamW on a zero gradient only decays."""
    net = nets.assemble([(4,)], [nets.linear("a", 0, 4, 3)], dtype=dtype)
    options = [ParameterOptions(weight_decay=0.0), ParameterOptions(weight_decay=0.5, lr_scale=2.0)]
    nets.compile_net(net, optimizer=OptimizerSpec("adamw", (0.9, 0.999, 1e-8, 0.0, 0.0), weight_decay=0.1), options=options)
    before = [np.array(p.value) for p in net.parameters()]
    x = rng.normal(size=(5, 4)).astype(dtype)
    nets.train(net, x, net(x), lr=0.1)
    np.testing.assert_array_equal(net.parameters()[0].value, before[0])
    np.testing.assert_allclose(net.parameters()[1].value, before[1] * (1 - 0.1 * 2 * 0.5), rtol=1e-6)
