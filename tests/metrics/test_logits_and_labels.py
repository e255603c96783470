"""Which predictions are logits, which labels: cross-entropies that are named, and whole numbers passed alone."""

import numpy as np
import pytest

import nncore as nn
from nncore import metrics

sk = pytest.importorskip("sklearn.metrics")


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


@pytest.mark.parametrize("form", ["binary", "indices", "one-hot"])
@pytest.mark.parametrize("from_logits", [True, False])
def test_the_name_of_a_cross_entropy_follows_the_output(form, from_logits, rng, tmp_path):
    columns = 1 if form == "binary" else 3
    x, t = rng.normal(size=(20, columns)), rng.permutation(np.arange(20) % max(columns, 2))
    p = sigmoid(x)[:, 0] if columns == 1 else np.exp(x) / np.exp(x).sum(axis=1, keepdims=True)
    y = np.eye(columns)[t] if form == "one-hot" else t
    loss, focal = {
        "binary": (nn.losses.BinaryCrossentropy, "binary_focal_crossentropy"),
        "indices": (nn.losses.SparseCategoricalCrossentropy, "sparse_categorical_focal_crossentropy"),
        "one-hot": (nn.losses.CategoricalCrossentropy, "categorical_focal_crossentropy"),
    }[form]
    last = () if from_logits else (nn.Sigmoid() if columns == 1 else nn.Softmax(),)
    model = nn.Sequential(nn.Linear(columns, columns, bias=False), *last, dtype="float64").build((columns,))
    model.layers[0].weight[...] = np.eye(columns)
    named = [loss.name, focal]
    model.compile(loss(from_logits=from_logits, label_smoothing=0.1), nn.optim.SGD(lr=0.0), named)
    logs = model.evaluate(x, y, return_dict=True)
    assert logs[loss.name] == pytest.approx(sk.log_loss(t, p, labels=range(max(columns, 2))))
    of_truth = np.where(t, p, 1 - p) if columns == 1 else p[np.arange(20), t]
    power, alpha = (1 - of_truth) ** 2.0, 1.0 if form == "binary" else 0.25  # Keras' defaults
    assert logs[focal] == pytest.approx((-alpha * power * np.log(of_truth)).mean())
    model.fit(x, y)
    model.save(tmp_path / "m.safetensors")
    assert nn.load(tmp_path / "m.safetensors").evaluate(x, y, return_dict=True) == logs
    model.compile(loss(from_logits=from_logits), "sgd", [loss])
    assert model.evaluate(x, y)[1] == pytest.approx(logs[loss.name])


@pytest.mark.parametrize(
    ("true", "pred"),
    [
        ([1.0, 1.0], [1.0, 2.0]),
        ([1], [5.0]),
        ([0, 1], [0.0, 3.0]),
        ([0.0, 1.0, 0.0], [2.0, 1.0, 2.0]),
        ([-1, 1, 1], [-1.0, 1.0, 2.0]),
        ([0, 1, 2], [0.0, 2.0, 2.0]),
    ],
)
def test_whole_numbers_are_labels(true, pred):
    for function, expected in (
        (metrics.accuracy, sk.accuracy_score(true, pred)),
        (metrics.confusion_matrix, sk.confusion_matrix(true, pred)),
        (metrics.matthews_correlation, sk.matthews_corrcoef(true, pred)),
    ):
        np.testing.assert_allclose(function(true, np.array(pred)), expected)
        np.testing.assert_allclose(function(true, np.array(pred)[:, None]), expected)


@pytest.mark.parametrize(
    ("true", "pred", "threshold"),
    [
        ([0, 1, 1], [-3.0, 2.0, -1.0], 0),
        ([-1, 1, 1], [-3.0, 2.0, -1.0], 0),
        ([0, 1, 1], [0.2, 0.7, 0.4], 0.5),
        ([0, 1, 1], [0.0, 0.7, 0.4], 0.5),
        ([0, 1, 1], [0.5, 2.0, 7.0], 0),
    ],
)
def test_scores_stay_scores(true, pred, threshold):
    guess = np.where(np.array(pred) > threshold, 1, min(true))
    assert metrics.accuracy(true, pred) == pytest.approx(sk.accuracy_score(true, guess))
    assert metrics.f1(true, pred) == pytest.approx(sk.f1_score(true, guess))


@pytest.mark.parametrize("classes", [2, 3, 5])
@pytest.mark.parametrize("one_hot", [False, True])
def test_logits_of_classes_rank_as_their_probabilities(classes, one_hot, rng):
    """A logit alone ranks otherwise: the others of its row decide, too. A constant added to a row changes nothing."""
    x, t = rng.normal(size=(60, 4)), np.arange(60) % classes
    loss = nn.losses.CategoricalCrossentropy if one_hot else nn.losses.SparseCategoricalCrossentropy
    model = nn.Sequential(nn.Linear(4, classes), seed=3)
    model.compile(loss(from_logits=True), "sgd", ["roc_auc", "average_precision"])
    y = np.eye(classes)[t] if one_hot else t
    z = model.predict(x).astype(np.float64)
    p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    scores, truth = (p[:, 1], t) if classes == 2 else (p, np.eye(classes)[t])
    expected = [sk.roc_auc_score(truth, scores), sk.average_precision_score(truth, scores)]
    np.testing.assert_allclose(model.evaluate(x, y)[1:], expected)
    np.testing.assert_allclose(model.evaluate([(x[:7], y[:7]), (x[7:], y[7:])])[1:], expected)
    shifted = z + rng.normal(size=(60, 1)) * 100
    np.testing.assert_allclose(metrics.roc_auc(t, shifted), expected[0])
    np.testing.assert_allclose(metrics.roc_auc(t, p), expected[0])
    if classes == 2:
        np.testing.assert_allclose(metrics.average_precision(t, shifted), expected[1])


def test_large_logits_are_not_rounded_to_equal_ranks():
    z = np.array([[0.0, 800.0], [0.0, 900.0], [0.0, 1000.0], [-850.0, 0.0]])
    assert metrics.roc_auc([0, 0, 1, 1], z) == 0.75  # of four pairs, only 850 against 900 is in the wrong order
    assert metrics.roc_auc([0, 0, 1, 1], z[:, ::-1]) == 0.25
    assert np.isnan(metrics.roc_auc([0, 1], [[0.0, np.inf], [1.0, 2.0]]))
