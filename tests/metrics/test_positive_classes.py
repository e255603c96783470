"""Which class is positive, and which targets mix two notations, against scikit-learn."""

import numpy as np
import pytest

import nncore as nn
from nncore import errors, metrics

sk = pytest.importorskip("sklearn.metrics")

S = np.array([[0.6, 0.4], [0.3, 0.7], [0.8, 0.2], [0.45, 0.55], [0.1, 0.9]])
T = np.array([0, 1, 1, 0, 1])


def passing(columns, *last):
    """A model that gives what it gets."""
    model = nn.Sequential(nn.Linear(columns, columns, bias=False), *last, seed=0, dtype="float64").build((columns,))
    model.layers[0].weight[...] = np.eye(columns)
    return model


@pytest.mark.parametrize("label", [0, 1])
@pytest.mark.parametrize("form", ["indices", "one-hot"])
def test_average_precision_of_two_columns_takes_the_positive_one(label, form):
    t = T if form == "indices" else np.eye(2)[T]
    expected = sk.average_precision_score(T, S[:, label], pos_label=label)
    assert metrics.average_precision(t, S, pos_label=label) == pytest.approx(expected)
    assert metrics.roc_auc(t, S) == pytest.approx(sk.roc_auc_score(T, S[:, 1]))
    for from_logits in (False, True):
        loss = nn.losses.SparseCategoricalCrossentropy if form == "indices" else nn.losses.CategoricalCrossentropy
        model = passing(2, *(() if from_logits else (nn.Softmax(),)))
        model.compile(loss(from_logits=from_logits), "sgd", [metrics.AveragePrecision(pos_label=label), "roc_auc"])
        found = model.evaluate(np.log(S), t)
        assert found[1:] == [pytest.approx(expected), pytest.approx(sk.roc_auc_score(T, S[:, 1]))]


def test_two_labels_per_row_are_averaged_even_if_each_row_has_one():
    scores = np.c_[S[:, 0], S[::-1, 1]]
    for average in ("macro", "micro"):
        expected = sk.average_precision_score(np.eye(2)[T], scores, average=average)
        assert metrics.average_precision(np.eye(2)[T], scores, average=average) == pytest.approx(expected)
        model = passing(2, nn.Sigmoid())
        model.compile("bce", "sgd", [metrics.AveragePrecision(average)])
        assert model.evaluate(np.log(scores / (1 - scores)), np.eye(2)[T])[1] == pytest.approx(expected)


@pytest.mark.parametrize(("label", "negative"), [(0, 0), (1, 0), (-1, -1), (1, -1), (0, -1), (-1, 0)])
@pytest.mark.parametrize("loss", ["hinge", "mse"])
def test_sides_of_a_single_output(loss, label, negative):
    x, t = S[:, 1:] - 0.5, np.where(T, 1, negative)
    model = passing(1)
    model.compile(loss, nn.optim.SGD(lr=0.0), [metrics.AveragePrecision(pos_label=label)])
    expected = sk.average_precision_score(T, x, pos_label=int(label == 1))
    assert model.evaluate(x, t)[1] == pytest.approx(expected)
    assert model.fit(x, t, batch_size=2).history["average_precision"] == [pytest.approx(expected)]


def test_no_such_positive_class():
    three = np.full((3, 3), 1 / 3)
    for target in ([0, 1, 2], np.eye(3)):
        with pytest.raises(errors.ArgumentError, match="pos_label=0 is for two classes"):
            metrics.average_precision(target, three, pos_label=0)
    for label in (2, "yes"):
        with pytest.raises(errors.ArgumentError, match="is not among the labels"):
            metrics.average_precision(T, S, pos_label=label)
    for model, loss, label in (
        (passing(3, nn.Softmax()), "sparse_categorical_crossentropy", 0),
        (passing(2, nn.Sigmoid()), "bce", 0),
        (passing(1, nn.Sigmoid()), "bce", 2),
        (passing(2, nn.Softmax()), "categorical_crossentropy", "yes"),
    ):
        with pytest.raises(errors.ArgumentError, match=r"average_precision: pos_label"):
            model.compile(loss, "sgd", [metrics.AveragePrecision(pos_label=label)])


@pytest.mark.parametrize("shape", [(), (1,), (2,), (3,)])
def test_ranks_without_weight_are_nan(shape):
    scores = np.full((4, *shape), 0.5)
    targets = [[0, 1, 0, 1]] if shape in ((), (1,)) else [[0, 1, 0, 1], np.eye(*shape)[[0, 1, 0, 1]], np.ones((4, *shape))]
    for target in targets:
        for function in (metrics.roc_auc, metrics.average_precision):
            for average in ("macro", "micro", "weighted", None):
                assert np.isnan(function(target, scores, np.zeros(4), average=average)).all()


@pytest.mark.parametrize("metric", ["accuracy", "f1", "mcc", "balanced_accuracy", "confusion_matrix"])
@pytest.mark.parametrize("threshold", [None, 0.2])
def test_two_notations_in_two_batches_give_nan(metric, threshold):
    x = np.array([[0.3], [0.7], [-0.3], [0.7]])
    model = passing(1)
    metric = type(metrics.get(metric))(threshold=threshold)
    model.compile("mse", nn.optim.SGD(lr=0.0), [metric])
    mixed = [(x, [0, 1, 0, 1]), (x, [-1, 1, -1, 1])]
    assert np.isnan(model.fit(mixed).history[metric.name][0]).all()
    assert np.isnan(model.evaluate(mixed)[1]).all()
    assert not np.isnan(model.evaluate(mixed[:1])[1]).any()
    assert not np.isnan(model.evaluate(mixed[1:])[1]).any()
