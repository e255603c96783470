"""``divide_penalties``: each step divides the penalties as it divides its loss. Against NumPy in float64."""

import numpy as np
import pytest

import nncore as nn

LR, L1, L2 = 0.1, 0.02, 0.3


def net(reduction="mean", **options):
    model = nn.Sequential(nn.Linear(3, 2), seed=0, dtype="float64")
    model.compile(nn.losses.HalfSquaredError(reduction=reduction), nn.optim.SGD(LR, divide_penalties=True, **options), l1=L1, l2=L2)
    return model


def steps(w, b, x, y, weight, size, clip=None):
    """The losses of an epoch without shuffling, and the weights after it."""
    losses = []
    for at in range(0, len(x), size):
        rows, own = x[at : at + size], weight[at : at + size]
        d = rows @ w.T + b - y[at : at + size]
        total = own.sum()
        losses.append((own @ (0.5 * (d * d).sum(axis=1)) + L1 * np.abs(w).sum() + L2 * (w * w).sum()) / total)
        d *= own[:, None]
        gw, gb = (d.T @ rows + L1 * np.sign(w) + 2 * L2 * w) / total, d.sum(axis=0) / total
        scale = 1 if clip is None else min(1, clip / (np.sqrt((gw**2).sum() + (gb**2).sum()) + 1e-6))
        w, b = w - LR * scale * gw, b - LR * scale * gb
    return losses, w, b


@pytest.mark.parametrize("clip", [None, 0.2])
@pytest.mark.parametrize("weighted", [False, True])
def test_each_step_divides_by_its_rows_or_weights(weighted, clip, rng):
    x, y, weight = rng.normal(size=(11, 3)), rng.normal(size=(11, 2)), rng.uniform(0.5, 2, 11)
    model = net("mean_with_sample_weight", clip_norm=clip)
    w, b = model[0].weight.copy(), model[0].bias.copy()
    history = model.fit(x, y, batch_size=4, shuffle=False, sample_weight=weight if weighted else None)
    losses, w, b = steps(w, b, x, y, weight if weighted else np.ones(11), 4, clip)
    np.testing.assert_allclose(history.step_losses, losses, rtol=1e-12)
    np.testing.assert_allclose(model[0].weight, w, rtol=1e-12)
    np.testing.assert_allclose(model[0].bias, b, rtol=1e-12)
    if not weighted:
        np.testing.assert_allclose(history.history["loss"][0], np.average(losses, weights=[4, 4, 3]), rtol=1e-12)


def test_evaluation_divides_by_all_rows(rng):
    x, y = rng.normal(size=(11, 3)), rng.normal(size=(11, 2))
    model = net()
    w, d = model[0].weight, model.predict(x) - y
    expected = (0.5 * (d * d).sum() + L1 * np.abs(w).sum() + L2 * (w * w).sum()) / 11
    np.testing.assert_allclose(model.evaluate(x, y), expected, rtol=1e-12)


def test_batches_of_a_step_count_together(rng):
    x, y = rng.normal(size=(12, 3)), rng.normal(size=(12, 2))
    whole, parts = net(), net()
    whole.fit(x, y, batch_size=12, shuffle=False)
    parts.fit(x, y, batch_size=4, accumulate=3, shuffle=False)
    np.testing.assert_allclose(parts[0].weight, whole[0].weight, rtol=1e-12)
    again = net()
    again.fit([(x[i : i + 4], y[i : i + 4]) for i in (0, 4, 8)], accumulate=3)
    np.testing.assert_allclose(again[0].weight, whole[0].weight, rtol=1e-12)
