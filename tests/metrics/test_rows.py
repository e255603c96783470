"""Metrics that see the rows, functions and ranks, get all rows of batches whose shapes differ."""

import numpy as np
import pytest

import nncore as nn

sk = pytest.importorskip("sklearn.metrics")


def auc(true, pred):
    return sk.roc_auc_score(true.reshape(-1), pred.reshape(-1))


def steps(dtype="float64"):
    model = nn.Sequential(nn.GRU(3, 4, return_sequences=True), nn.Linear(4, 1), nn.Sigmoid(), seed=0, dtype=dtype)
    model.compile("bce", nn.optim.SGD(lr=0.0), ["roc_auc", auc], weighted_metrics=["average_precision"])
    return model


@pytest.mark.parametrize("kind", ["steps", "lengths", "some lengths", "weights", "row weights"])
def test_batches_of_different_shapes(kind, rng):
    model, batches, rows = steps(), [], []
    for i, (n, time) in enumerate(((4, 3), (4, 5), (2, 3))):
        time = 3 if kind in ("some lengths", "weights") else time
        x, y, w, counts = rng.normal(size=(n, time, 3)), rng.integers(2, size=(n, time, 1)), np.ones((n, time)), np.full(n, time)
        extra = ()
        if kind == "lengths" or (kind == "some lengths" and i == 1):
            counts = np.minimum(rng.integers(1, 6, n), time)
            extra = (None, counts)
        elif kind == "weights" and i < 2:
            w = rng.uniform(0.5, 2, (n, time) if i else (n, 1)) * np.ones((n, time))
            extra = (w if i else w[:, 0],)
        elif kind == "row weights" and i == 1:
            w = rng.uniform(0.5, 2, (n, 1)) * np.ones((n, time))
            extra = (w[:, 0],)
        batches.append((x, y, *extra))
        p = model.predict(x, lengths=counts)
        valid = np.arange(time) < counts[:, None]
        rows.append((y[valid][:, 0], p[valid][:, 0], w[valid]))
    t, p, w = (np.concatenate(each) for each in zip(*rows, strict=True))
    expected = sk.roc_auc_score(t, p), sk.average_precision_score(t, p, sample_weight=w)
    logs = model.fit(batches, validation_data=batches).history
    for prefix in ("", "val_"):
        assert logs[f"{prefix}roc_auc"] == [pytest.approx(expected[0], rel=1e-9)]
        assert logs[f"{prefix}auc"] == [pytest.approx(expected[0], rel=1e-9)]
        assert logs[f"{prefix}average_precision"] == [pytest.approx(expected[1], rel=1e-9)]


@pytest.mark.parametrize("shape", [(6,), (6, 4), (6, 2, 2)])
@pytest.mark.parametrize("ignored", ["none", "some", "one batch"])
def test_ignored_labels_leave_lines_of_one_shape(shape, ignored, rng):
    seen = []

    def shares(true, pred):
        seen.append((true.shape, pred.shape))
        return (true == pred.argmax(-1)).mean()

    x, y = rng.normal(size=(*shape, 3)), rng.permutation(np.arange(np.prod(shape)) % 3).reshape(shape)
    if ignored != "none":
        y[0].fill(-1) if ignored == "one batch" and len(shape) > 1 else y.reshape(-1).put([1], -1)
    model = nn.Sequential(nn.Linear(3, 3), nn.Softmax(), seed=0, dtype="float64").build((*shape[1:], 3))
    model.compile(nn.losses.SparseCategoricalCrossentropy(ignore_index=-1), nn.optim.SGD(lr=0.0), ["roc_auc", shares])
    logs = model.fit(x, y, batch_size=2, shuffle=False).history
    keep = y >= 0
    t, p = y[keep], model.predict(x)[keep]
    assert set(seen) == {((len(t),), (len(t), 3))}
    assert logs["shares"] == [pytest.approx((t == p.argmax(-1)).mean())]
    assert logs["roc_auc"] == [pytest.approx(sk.roc_auc_score(t, p, multi_class="ovr"), rel=1e-9)]
    assert model.evaluate(x, y)[1:] == [pytest.approx(logs["roc_auc"][0]), pytest.approx(logs["shares"][0])]
