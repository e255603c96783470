"""Metrics called alone equal scikit-learn's; what a model needs for them; combinations that make no sense."""

import numpy as np
import pytest

import nncore as nn
from nncore import errors, metrics

sk = pytest.importorskip("sklearn.metrics")

RATIOS = {"precision": sk.precision_score, "recall": sk.recall_score, "f1": sk.f1_score}


def sample_weights(rng, n):
    return [None, rng.random(n) + 0.1]


@pytest.mark.parametrize("name", RATIOS)
def test_binary_ratios_equal_sklearn(name, rng):
    for n in (1, 2, 5, 50):
        t, p = rng.integers(2, size=n), rng.integers(2, size=n)
        for w in sample_weights(rng, n):
            expected = RATIOS[name](t, p, sample_weight=w, zero_division=0)
            ours = getattr(metrics, name)
            assert ours(t, p, w) == pytest.approx(expected)
            assert ours(t.astype(bool), p.astype(bool), w) == pytest.approx(expected)
            assert ours(2 * t - 1, 2 * p - 1, w) == pytest.approx(expected)
            assert ours(t[:, None], np.where(p, 0.7, 0.2), w) == pytest.approx(expected)


@pytest.mark.parametrize("average", ["macro", "micro", "weighted", None])
@pytest.mark.parametrize("name", RATIOS)
def test_multiclass_ratios_equal_sklearn(name, average, rng):
    for n in (1, 3, 60):
        t, scores = rng.integers(5, size=n), rng.normal(size=(n, 5))
        p = scores.argmax(1)
        for w in sample_weights(rng, n):
            ours = getattr(metrics, name)(t, p, w, average=average)
            np.testing.assert_allclose(ours, RATIOS[name](t, p, sample_weight=w, average=average, zero_division=0))
            if average is not None:
                assert getattr(metrics, name)(t, scores, w, average=average) == pytest.approx(ours)
                assert getattr(metrics, name)(np.eye(5)[t], scores, w, average=average) == pytest.approx(ours)


def test_accuracy_and_confusion_matrix_equal_sklearn(rng):
    t, p = rng.integers(4, size=40), rng.integers(4, size=40)
    for w in sample_weights(rng, 40):
        assert metrics.accuracy(t, p, w) == pytest.approx(sk.accuracy_score(t, p, sample_weight=w))
        np.testing.assert_allclose(metrics.confusion_matrix(t, p, w), sk.confusion_matrix(t, p, sample_weight=w))
    names = np.array(["cat", "dog", "eel", "fox"])
    np.testing.assert_array_equal(metrics.confusion_matrix(names[t], names[p]), sk.confusion_matrix(names[t], names[p]))
    np.testing.assert_array_equal(metrics.confusion_matrix([1, 1], [1, 1]), [[2]])
    assert metrics.confusion_matrix(t, p).dtype.kind == "i"


def test_specificity_is_the_recall_of_the_negative_class(rng):
    t, p = rng.integers(2, size=30), rng.integers(2, size=30)
    assert metrics.specificity(t, p) == pytest.approx(sk.recall_score(t, p, pos_label=0))
    t, p = rng.integers(3, size=30), rng.integers(3, size=30)
    expected = [sk.recall_score(t == c, p == c, pos_label=False) for c in range(3)]
    np.testing.assert_allclose(metrics.specificity(t, p, average=None), expected)


@pytest.mark.parametrize("columns", [1, 3])
def test_regression_metrics_equal_sklearn(columns, rng):
    t = rng.normal(size=(25, columns)) + 100  # far from 0: the variance must not cancel
    p = t + rng.normal(size=t.shape)
    if columns == 1:
        t, p = t[:, 0], p[:, 0]
    for w in sample_weights(rng, 25):
        assert metrics.mse(t, p, w) == pytest.approx(sk.mean_squared_error(t, p, sample_weight=w))
        assert metrics.rmse(t, p, w) == pytest.approx(sk.root_mean_squared_error(t, p, sample_weight=w))
        assert metrics.mae(t, p, w) == pytest.approx(sk.mean_absolute_error(t, p, sample_weight=w))
        assert metrics.mape(t, p, w) == pytest.approx(100 * sk.mean_absolute_percentage_error(t, p, sample_weight=w))
        assert metrics.r2(t, p, w) == pytest.approx(sk.r2_score(t, p, sample_weight=w))


def test_r2_of_constant_targets():
    assert metrics.r2([2.0, 2.0], [2.0, 2.0]) == sk.r2_score([2.0, 2.0], [2.0, 2.0]) == 1.0
    assert metrics.r2([2.0, 2.0], [2.0, 3.0]) == sk.r2_score([2.0, 2.0], [2.0, 3.0]) == 0.0


def test_threshold_and_names():
    assert metrics.accuracy([0, 1], [0.6, 0.9], threshold=0.7) == 1.0
    assert metrics.accuracy([0, 1], [-0.5, 0.4], threshold=0.0) == 1.0
    assert metrics.get("acc").name == "acc"
    assert metrics.get(metrics.F1(name="f1_macro", average="macro")).name == "f1_macro"
    assert isinstance(metrics.get(metrics.f1), metrics.F1)
    assert isinstance(metrics.get(metrics.R2), metrics.R2)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: metrics.get("acuracy"), "did you mean 'accuracy'"),
        (lambda: metrics.get(3), "3 is no metric; use a name, such as 'accuracy', .* or an object with update_state"),
        (lambda: metrics.f1([0, 1, 2], [0, 1, 2]), "needs an average"),
        (lambda: metrics.F1(average="mean"), "average must be"),
        (lambda: metrics.accuracy([0, 1], [1]), "same number of rows"),
        (lambda: metrics.accuracy([], []), "at least one"),
        (lambda: metrics.accuracy([0, 3], np.zeros((2, 3))), "class indices in .0, 3."),
        (lambda: metrics.accuracy([[1, 2], [0, 1]], np.zeros((2, 2))), "class indices .N., or 0 and 1"),
        (lambda: metrics.accuracy([0, 2], [0.5, 0.7]), "y_pred holds probabilities"),
        (lambda: metrics.mse([1.0], [1.0, 2.0]), "must be the same"),
        (lambda: metrics.mse([1.0, 2.0], [1.0, 2.0], [1.0]), "one weight per row"),
        (lambda: metrics.statistics([metrics.MAE()], metrics.Task("classes", 3)), "targets are class indices"),
        (lambda: metrics.statistics([metrics.F1()], metrics.Task("classes", 3)), "needs an average"),
        (lambda: metrics.statistics([metrics.F1(pos_label=2)], metrics.Task("classes", 2)), "pos_label=2 is not among the labels"),
        (lambda: metrics.statistics([metrics.ConfusionMatrix()], metrics.Task("classes", 2049)), "up to 2048 classes"),
        (lambda: metrics.statistics([metrics.LogLoss()], metrics.Task("values", 1)), "needs probabilities"),
        (lambda: metrics.statistics([metrics.TopKAccuracy()], metrics.Task("probabilities", 3)), "one class for each row"),
        (lambda: metrics.statistics([metrics.get("hinge")], metrics.Task("probabilities", 3)), "targets of another form"),
        (lambda: metrics.statistics([metrics.get("hinge")], metrics.Task("values", 1)), "targets of another form"),
        (lambda: metrics.F1(average="samples"), "only counts are kept"),
        (lambda: metrics.accuracy([0.5, 1.5], [0.5, 1.5]), "y_true holds 0.5, but metrics of classes"),
        (lambda: metrics.f1(["a", "b"], ["a", "a"]), "pos_label=1 is not among the labels 'a' and 'b'"),
        (lambda: metrics.confusion_matrix(range(3000), range(3000)), "up to 2048 classes"),
        (lambda: metrics.log_loss([0, 1], [-0.5, 2.0]), "apply a sigmoid or softmax"),
        (lambda: metrics.matthews_correlation([[1, 1], [0, 1]], [[1, 0], [0, 1]]), "each row has several labels"),
    ],
)
def test_what_makes_no_sense_is_refused(call, text):
    with pytest.raises(errors.NncoreError, match=text):
        call()


@pytest.mark.parametrize(
    ("task", "expected"),
    [
        (("probabilities", 1, False, "sigmoid"), [("decisions", 0.5)]),
        (("probabilities", 1, True, ""), [("decisions", 0.0)]),
        (("probabilities", 5, False, "sigmoid"), [("decisions", 0.5)]),
        (("signs", 1, False, ""), [("decisions", 0.0)]),
        (("signs", 1, False, "step"), [("decisions", 0.5)]),
        (("values", 1, False, "tanh"), [("decisions", 0.5), ("decisions", 0.0)]),
        (("values", 1, False, ""), [("decisions", 0.5), ("decisions", 0.0)]),
        (("values", 1, False, "sigmoid"), [("decisions", 0.5)]),
        (("values", 3, False, ""), [("classes", 0.5)]),
        (("classes", 2, False, "softmax"), [("classes", 0.5)]),
        (("one_hot", 7, True, ""), [("classes", 0.5)]),
    ],
)
def test_what_the_core_counts(task, expected):
    """Two numbers and what all counts have in common are enough for accuracy, whatever the number of classes."""
    found, _ = metrics.statistics([metrics.Accuracy()], metrics.Task(*task))
    assert [(each.kind, each.threshold) for each in found.of] == expected
    assert found.size(task[1]) == 5 * len(expected)


def test_metrics_share_their_sums():
    task = metrics.Task("classes", 100)
    found, _ = metrics.statistics([metrics.get(name) for name in ("acc", "mcc", "balanced_accuracy", "roc_auc")], task)
    assert (found.size(100), found.called) == (5 + 300, True)
    found, _ = metrics.statistics([metrics.get(name) for name in ("confusion_matrix", "acc", "mcc", "top_k_accuracy")], task)
    assert found.size(100) == 5 + 100**2 + 5


class TestRocAuc:
    def test_binary(self, rng):
        t, p = rng.integers(0, 2, 60), rng.normal(size=60).round(1)  # with ties
        for w in sample_weights(rng, 60):
            expected = sk.roc_auc_score(t, p, sample_weight=w)
            for labels in (t, 2 * t - 1, t.astype(bool), np.array(["no", "yes"])[t], t[:, None]):
                assert metrics.roc_auc(labels, p, w) == pytest.approx(expected, rel=1e-12)
            assert metrics.roc_auc(t, np.stack([-p, p], axis=1), w) == pytest.approx(expected, rel=1e-12)

    @pytest.mark.parametrize("average", ["macro", "weighted", None])
    def test_classes(self, average, rng):
        t, p = rng.integers(0, 4, 80), rng.dirichlet(np.ones(4), size=80)
        for w in sample_weights(rng, 80):
            options = {} if average is None else {"multi_class": "ovr"}
            expected = sk.roc_auc_score(np.eye(4)[t] if average is None else t, p, average=average, sample_weight=w, **options)
            np.testing.assert_allclose(metrics.roc_auc(t, p, w, average=average), expected, rtol=1e-12)
            np.testing.assert_allclose(metrics.roc_auc(np.eye(4)[t], p, w, average=average), expected, rtol=1e-12)

    def test_several_labels_per_row(self, rng):
        t, p = rng.integers(0, 2, (50, 3)), rng.normal(size=(50, 3))
        assert metrics.roc_auc(t, p) == pytest.approx(sk.roc_auc_score(t, p), rel=1e-12)

    def test_classes_that_do_not_occur(self, rng):
        t, p = rng.integers(0, 2, 30), rng.dirichlet(np.ones(3), size=30)
        areas = metrics.roc_auc(t, p, average=None)
        assert np.isnan(areas[2])
        assert metrics.roc_auc(t, p) == pytest.approx(areas[:2].mean())
        assert np.isnan(metrics.roc_auc(np.ones(5), p[:5, 0]))
        assert np.isnan(metrics.roc_auc([0, 1], [0.5, np.nan]))

    @pytest.mark.parametrize(
        ("t", "p", "text"),
        [
            ([0, 1, 2], [0.1, 0.2, 0.3], "more than two labels"),
            ([0, 3], [[0.1, 0.2, 0.7]] * 2, "class indices in .0, 3."),
            ([[0.5, 0.5]], [[0.1, 0.9]], "must hold 0 and 1"),
            ([0, 1], [0.1], "y_true has shape"),
            ([[0, 1]], [[0.1, 0.2, 0.3]], "y_true has shape"),
        ],
    )
    def test_refusals(self, t, p, text):
        with pytest.raises(errors.NncoreError, match=text):
            metrics.roc_auc(t, p)
        with pytest.raises(errors.ArgumentError, match="average must be"):
            metrics.RocAuc(average="binary")

    @pytest.mark.parametrize("form", ["one", "signs", "classes", "one_hot", "labels", "steps"])
    def test_in_a_model(self, form, rng, tmp_path):
        """Beside a metric of another kind, with weights and validation, and from a file."""
        x, kind = rng.normal(size=(90, 3)), rng.integers(0, 2 if form in ("one", "signs") else 3, 90)
        loss, last, width, y = {
            "one": ("binary_crossentropy", [nn.Sigmoid()], 1, kind),
            "signs": ("hinge", [], 1, 2 * kind - 1),
            "classes": ("sparse_categorical_crossentropy", [nn.Softmax()], 3, kind),
            "one_hot": ("categorical_crossentropy", [nn.Softmax()], 3, np.eye(3)[kind]),
            "labels": ("binary_crossentropy", [nn.Sigmoid()], 3, rng.integers(0, 2, (90, 3))),
            "steps": ("sparse_categorical_crossentropy", [nn.Softmax()], 3, rng.integers(0, 3, (90, 4))),
        }[form]
        if form == "steps":
            x = rng.normal(size=(90, 4, 3))
        model = nn.Sequential(nn.Linear(3, width), *last, seed=0, dtype="float64").build(x.shape[1:])
        model.compile(loss, nn.optim.SGD(lr=0.0), weighted_metrics=["roc_auc", "accuracy"])
        w = rng.uniform(0.1, 2, 90)
        p = model.predict(x).reshape(-1, width)
        flat = y.reshape(-1, 3) if form == "labels" else y.reshape(-1) if form != "one_hot" else y
        expected = metrics.roc_auc(flat, p[:, 0] if width == 1 else p, np.repeat(w, len(p) // 90))
        assert model.evaluate(x, y, sample_weight=w, return_dict=True)["roc_auc"] == pytest.approx(expected, rel=1e-12)
        history = model.fit(x, y, sample_weight=w, batch_size=16, validation_data=(x, y, w)).history
        assert history["roc_auc"] == history["val_roc_auc"] == [pytest.approx(expected, rel=1e-12)]
        model.save(tmp_path / "model.safetensors")
        again = nn.load(tmp_path / "model.safetensors")
        assert again.evaluate(x, y, sample_weight=w, return_dict=True)["roc_auc"] == pytest.approx(expected, rel=1e-12)

    def test_the_larger_the_better(self):
        model = nn.Sequential(nn.Linear(1, 1), nn.Sigmoid())
        model.compile("bce", "sgd", ["auc"])
        stop = nn.callbacks.EarlyStopping("val_auc", patience=1)
        model.fit([[0.0], [1.0], [2.0]] * 4, [0, 1, 1] * 4, validation_split=0.5, callbacks=[stop], epochs=3)
