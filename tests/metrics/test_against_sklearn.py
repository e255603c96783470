"""Metrics of random arrays equal scikit-learn's: every metric, average and kind of labels; weights, ties, missing classes."""

import warnings

import numpy as np
import pytest

from nncore import metrics

sk = pytest.importorskip("sklearn.metrics")

AVERAGES = ("macro", "micro", "weighted", None)
RATIOS = {"precision": sk.precision_score, "recall": sk.recall_score, "f1": sk.f1_score}
LABELS = {
    "0/1": np.array([0, 1]),
    "-1/+1": np.array([-1, 1]),
    "1/2": np.array([1, 2]),
    "bool": np.array([False, True]),
    "text": np.array(["no", "yes"]),
    "classes": np.arange(4),
}


@pytest.fixture(autouse=True)
def without_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-learn warns of classes that do not occur
        yield


def cases(rng, count):
    """Return numbers of rows, and weights that are not all 0."""
    for n in rng.choice([1, 2, 3, 5, 12, 40], count):
        weights = [None, rng.random(n) + 0.1, np.maximum(rng.integers(0, 3, n), np.arange(n) == 0).astype(float)]
        yield n, weights[rng.integers(3)]


def ties(rng, scores):
    return scores.round(rng.choice([1, 8]))


def same(ours, theirs, **kwargs):
    assert np.shape(ours) == np.shape(theirs), (ours, theirs)
    np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-12, **kwargs)


@pytest.mark.parametrize("kind", LABELS)
def test_labels(kind, rng):
    labels = LABELS[kind]
    for n, w in cases(rng, 20):
        true, pred = labels[rng.integers(len(labels), size=n)], labels[rng.integers(len(labels), size=n)]
        for average in AVERAGES:
            options = {"average": average, "zero_division": 0, "sample_weight": w}
            for name, theirs in RATIOS.items():
                same(getattr(metrics, name)(true, pred, w, average=average), theirs(true, pred, **options))
            beta = rng.choice([0.0, 0.5, 2.0])
            same(metrics.fbeta(true, pred, w, beta=beta, average=average), sk.fbeta_score(true, pred, beta=beta, **options))
        if len(labels) == 2:
            positive = labels[rng.integers(2)].item()
            for name, theirs in RATIOS.items():
                if len(np.unique([*true, *pred])) == 2 or kind != "text":  # of one text, scikit-learn refuses another pos_label
                    expected = theirs(true, pred, pos_label=positive, zero_division=0, sample_weight=w)
                    same(getattr(metrics, name)(true, pred, w, pos_label=positive), expected)
                if kind != "text":
                    same(getattr(metrics, name)(true, pred, w), theirs(true, pred, zero_division=0, sample_weight=w))
            negative = labels[0].item()
            if kind in ("0/1", "-1/+1", "bool"):
                expected = sk.recall_score(true, pred, pos_label=negative, zero_division=0, sample_weight=w)
                same(metrics.specificity(true, pred, w), expected if (true == negative).any() else 0.0)
        same(metrics.accuracy(true, pred, w), sk.accuracy_score(true, pred, sample_weight=w))
        same(metrics.balanced_accuracy(true, pred, w), sk.balanced_accuracy_score(true, pred, sample_weight=w))
        same(metrics.matthews_correlation(true, pred, w), sk.matthews_corrcoef(true, pred, sample_weight=w))
        same(metrics.confusion_matrix(true, pred, w), sk.confusion_matrix(true, pred, sample_weight=w))
        if len(np.unique(true)) > 1:
            expected = sk.balanced_accuracy_score(true, pred, sample_weight=w, adjusted=True)
            if w is None or w.all():
                same(metrics.balanced_accuracy(true, pred, w, adjusted=True), expected)


@pytest.mark.parametrize("columns", [3, 5])
def test_scores_of_classes(columns, rng):
    for n, w in cases(rng, 20):
        true, scores = rng.integers(columns, size=n), ties(rng, rng.dirichlet(np.ones(columns), n) + 1e-3)
        scores = scores / scores.sum(axis=1, keepdims=True)
        pred, given = scores.argmax(axis=1), (true, np.eye(columns)[true])[rng.integers(2)]
        for average in AVERAGES[:3] if w is None or w.all() else ():
            for name, theirs in RATIOS.items():
                expected = theirs(true, pred, average=average, zero_division=0, sample_weight=w)
                same(getattr(metrics, name)(given, scores, w, average=average), expected)
        for k in (1, 2, 3):
            expected = sk.top_k_accuracy_score(true, scores, k=k, labels=range(columns), sample_weight=w)
            same(metrics.top_k_accuracy(given, scores, w, k=k), expected)
        same(metrics.accuracy(given, scores, w), sk.accuracy_score(true, pred, sample_weight=w))
        same(metrics.log_loss(given, scores, w), sk.log_loss(true, scores, labels=list(range(columns)), sample_weight=w))
        if len(np.unique(true if w is None else true[w > 0])) == columns:
            for average in AVERAGES:
                options = {"average": average, "sample_weight": w}
                same(
                    metrics.average_precision(true, scores, w, average=average), sk.average_precision_score(true, scores, **options)
                )
                same(metrics.roc_auc(true, scores, w, average=average), sk.roc_auc_score(np.eye(columns)[true], scores, **options))


@pytest.mark.parametrize("kind", ["0/1", "-1/+1", "bool", "1/2", "text"])
def test_scores_of_one_class(kind, rng):
    """Probabilities and logits: the threshold is 0 if the labels are -1/+1, or if a score is no probability."""
    labels = LABELS[kind]
    for n, w in cases(rng, 20):
        yes = rng.random(n) < 0.5
        yes[: 2 if n > 1 else 0] = [True, False][:n]
        true, p = labels[yes.astype(int)], np.clip(ties(rng, rng.random(n)), 0.01, 0.99)
        if w is not None:
            w = w + 0.1
        if n > 1:
            same(metrics.roc_auc(true, p, w), sk.roc_auc_score(true, p, sample_weight=w))
            same(metrics.log_loss(true, p, w), sk.log_loss(true, p, sample_weight=w))
            positive = labels[rng.integers(2)].item()
            expected = sk.average_precision_score(true, p, pos_label=positive, sample_weight=w)
            same(metrics.average_precision(true, p, w, pos_label=positive), expected)
        if kind in ("1/2", "text"):
            continue
        logits = np.log(p / (1 - p)) + np.where(p == p.max(), 3.25, 0.0)  # at least one is no probability, nor whole
        for scores, pred in ((logits, logits > 0), (p, p > (0.0 if kind == "-1/+1" and n > 1 else 0.5))):
            if n == 1 and kind == "-1/+1" and scores is p:
                continue  # one label does not tell which kind it is
            pred = labels[pred.astype(int)]
            same(metrics.accuracy(true, scores, w), sk.accuracy_score(true, pred, sample_weight=w))
            same(metrics.matthews_correlation(true, scores, w), sk.matthews_corrcoef(true, pred, sample_weight=w))
            for name, theirs in RATIOS.items():
                same(getattr(metrics, name)(true, scores, w), theirs(true, pred, zero_division=0, sample_weight=w))
                for average in AVERAGES[:3]:
                    expected = theirs(true, pred, average=average, zero_division=0, sample_weight=w)
                    same(getattr(metrics, name)(true, scores, w, average=average), expected)


def test_several_labels_per_row(rng):
    for n, w in cases(rng, 20):
        width = rng.integers(2, 5)
        true, pred, scores = rng.integers(2, size=(n, width)), rng.integers(2, size=(n, width)), ties(rng, rng.random((n, width)))
        for average in AVERAGES:
            options = {"average": average, "zero_division": 0, "sample_weight": w}
            for name, theirs in RATIOS.items():
                ours = getattr(metrics, name)
                same(ours(true, pred, w, average=average), theirs(true, pred, **options))
                same(ours(true, scores, w, average=average, threshold=0.4), theirs(true, scores > 0.4, **options))
                if not (true.sum(axis=1) == 1).all():  # otherwise they are one-hot, with scores of classes
                    same(ours(true, scores, w, average=average), theirs(true, scores > 0.5, **options))
        same(metrics.confusion_matrix(true, pred, w), sk.multilabel_confusion_matrix(true, pred, sample_weight=w))
        same(metrics.Accuracy(subset=True)(true, pred, w), sk.accuracy_score(true, pred, sample_weight=w))
        if not (true.sum(axis=1) == 1).all():
            same(metrics.accuracy(true, pred, w), np.average((true == pred).mean(axis=1), weights=w))  # Keras's binary_accuracy
        if n > 2 and (w is None or w.all()):
            true[0], true[1] = 0, 1
            for average in AVERAGES:
                options = {"average": average, "sample_weight": w}
                same(metrics.roc_auc(true, scores, w, average=average), sk.roc_auc_score(true, scores, **options))
                same(
                    metrics.average_precision(true, scores, w, average=average), sk.average_precision_score(true, scores, **options)
                )


def test_numbers(rng):
    for n, w in cases(rng, 60):
        shape = (n, 3) if rng.integers(2) else n
        true, pred = rng.normal(size=shape) + 5, rng.normal(size=shape) + 5
        same(metrics.mse(true, pred, w), sk.mean_squared_error(true, pred, sample_weight=w))
        same(metrics.rmse(true, pred, w), sk.root_mean_squared_error(true, pred, sample_weight=w))
        same(metrics.mae(true, pred, w), sk.mean_absolute_error(true, pred, sample_weight=w))
        if w is None or np.count_nonzero(w) > 1 or n == 1:
            same(metrics.r2(true, pred, w), sk.r2_score(true, pred, sample_weight=w))


def test_the_positive_label_of_one_and_two_is_one():
    assert metrics.precision([1, 1, 1, 2, 2], [1, 1, 2, 2, 2]) == 1.0
    assert metrics.precision([1, 1, 1, 2, 2], [1, 1, 2, 2, 2], pos_label=2) == pytest.approx(2 / 3)
    assert metrics.specificity([2, 2], [2, 2]) == 1.0  # nothing is positive


NAN = float("nan")


@pytest.mark.parametrize("bad", [NAN, np.inf, -np.inf])
@pytest.mark.parametrize("name", ["accuracy", "f1", "balanced_accuracy", "matthews_correlation", "roc_auc", "average_precision"])
def test_scores_that_are_no_numbers(name, bad):
    metric = getattr(metrics, name)
    assert np.isnan(metric([0, 1, 1], [0.2, bad, 0.7]))
    assert metric([0, 1, 1], [0.2, bad, 0.7], [1, 0, 1]) == 1.0  # of weight 0


@pytest.mark.parametrize("name", sorted({cls.name for cls in metrics.METRICS.values()} - {"confusion_matrix"}))
def test_nan_gives_nan(name):
    metric = metrics.METRICS[name]()
    options = {"average": "macro"} if hasattr(metric, "average") else {}
    metric = type(metric)(**options)
    if name != "top_k_accuracy":
        assert np.isnan(metric([0.0, 1.0, 1.0], [0.2, NAN, 0.7]))
        assert np.isnan(metric([0.0, NAN, 1.0], [0.2, 0.3, 0.7]))
    scores = np.array([[0.1, 0.2, 0.7], [0.3, NAN, 0.7], [0.2, 0.5, 0.3]])
    true = np.eye(3)[[2, 2, 1]]
    assert np.isnan(metric(true, scores))
    true[0, 0], scores[1, 1] = NAN, 0.1
    assert np.isnan(metric(true, scores))


def test_nan_in_arrays_of_results():
    labels = np.array([[0, 1], [1, 1], [1, 0]])
    scores = np.array([[0.2, 0.7], [NAN, 0.6], [0.8, 0.3]])
    np.testing.assert_array_equal(metrics.f1(labels, scores, average=None), [NAN, NAN])
    np.testing.assert_array_equal(metrics.roc_auc(labels, scores, average=None), [NAN, 1.0])
    assert np.isnan(metrics.confusion_matrix([0, 1], [0.3, NAN])).all()
    assert metrics.accuracy([0, 2], [[-np.inf, -1.0, -2.0], [-1.0, -np.inf, 0.0]]) == 0.5  # masked classes are never chosen
    assert np.isnan(metrics.accuracy([0, 1, 2], [0.0, NAN, 2.0]))
    assert np.isnan(metrics.r2([1.0, NAN, 2.0], [1.0, 2.0, 3.0]))


def test_a_single_row():
    assert np.isnan(metrics.r2([1.0], [1.0]))
    assert np.isnan(metrics.r2([[1.0, 2.0]], [[1.0, 2.0]]))
    assert np.isnan(metrics.roc_auc([1], [0.3]))
    assert metrics.mse([1.0], [3.0]) == 4.0
    assert metrics.accuracy([1], [0.7]) == 1.0


def test_weights_that_are_all_zero_give_zero():
    for name in ("accuracy", "precision", "f1", "balanced_accuracy", "matthews_correlation", "log_loss", "mse", "r2"):
        assert getattr(metrics, name)([0, 1], [0.2, 0.7], [0.0, 0.0]) == 0.0


def test_many_classes_cost_what_they_hold():
    """Labels of 200,000 classes: nothing has the square of their number."""
    true = np.arange(200_000)
    assert metrics.accuracy(true, true) == 1.0
    assert metrics.f1(true, np.roll(true, 1), average="macro") == 0.0
    assert metrics.balanced_accuracy(true, true) == 1.0
