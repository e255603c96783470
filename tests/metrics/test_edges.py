"""Tensors, extreme weights, labels of two kinds, rows without weight, and metrics of an epoch that is resumed."""

import warnings

import numpy as np
import pytest

import nncore as nn
from nncore import errors, metrics

sk = pytest.importorskip("sklearn.metrics")

COUNTS = [metrics.accuracy, metrics.f1, metrics.matthews_correlation, metrics.confusion_matrix, metrics.roc_auc, metrics.log_loss]


@pytest.mark.parametrize("function", COUNTS)
def test_tensors_with_gradients(function):
    torch = pytest.importorskip("torch")
    true, pred = np.array([0.0, 1.0, 1.0]), np.array([0.2, 0.7, 0.4])
    expected = function(true, pred)
    for grads in ((False, True), (True, False), (True, True)):
        given = [torch.tensor(each, requires_grad=grad) for each, grad in zip((true, pred), grads, strict=True)]
        np.testing.assert_array_equal(function(*given), expected)
        np.testing.assert_array_equal(function(*map(list, given)), expected)
    for narrow in ((True, False), (False, True)):
        given = [torch.tensor(each).to(torch.bfloat16 if n else None) for each, n in zip((true, pred), narrow, strict=True)]
        with pytest.raises(errors.DTypeError, match="bfloat16, which NumPy does not have"):
            function(*given)


@pytest.mark.parametrize("scale", [1e-200, 1e-3, 1.0, 1e160])
def test_extreme_weights(scale):
    true, pred, w = [0, 1, 1, 0, 1], [0, 1, 0, 0.25, 0.75], np.array([1.0, 2.0, 0.5, 3.0, 1.0])
    hard = np.array(pred) > 0.5
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert metrics.matthews_correlation(true, hard, w * scale) == pytest.approx(
            sk.matthews_corrcoef(true, hard, sample_weight=w)
        )
        assert metrics.roc_auc(true, pred, w * scale) == pytest.approx(sk.roc_auc_score(true, pred, sample_weight=w))
        value = metrics.average_precision(true, pred, w * scale)
    assert value == pytest.approx(sk.average_precision_score(true, pred, sample_weight=w))


def test_numbers_and_texts_are_not_compared():
    for true, pred in (([1, 2], ["1", "2"]), (["1", "2"], [1, 2]), ([True, False], ["True", "x"]), ([1.0, 2.0], ["1.0", "2.0"])):
        for function in (metrics.accuracy, metrics.f1, metrics.confusion_matrix):
            with pytest.raises(errors.LabelError, match="labels of one kind"):
                function(true, pred)


def test_rows_without_weight():
    loss = metrics.LossMetric(nn.losses.Huber())
    assert loss([1.0, 2.0], [np.nan, 2.5], [0.0, 2.0]) == 0.125
    assert np.isnan(loss([1.0, 2.0], [np.nan, 2.5], [1.0, 2.0]))
    assert loss([1.0], [2.0], [0.0]) == 0.0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for name in ("mse", "huber", "bce"):
            found = nn.losses.get(name)
            found.reduction = "mean_with_sample_weight"
            assert found([0.0, 1.0], [0.5, 0.5], [0.0, 0.0]) == 0.0


def test_metrics_of_rows_are_nan_in_an_epoch_that_is_resumed(rng):
    x = rng.normal(size=(20, 2))
    y = (x[:, 0] > 0).astype(int)

    def build():
        model = nn.Sequential(nn.Linear(2, 2), nn.Softmax(), seed=0)
        own = ["accuracy", "roc_auc", metrics.AveragePrecision(None, "ap"), lambda t, p: float(len(p))]
        model.compile("sparse_categorical_crossentropy", "sgd", own)
        return model

    class Stop(nn.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            self.model.stop_training = batch == 1

    for batches in (False, True):
        model, whole = build(), build()
        data = ([(x[i : i + 4], y[i : i + 4]) for i in range(0, 20, 4)],) if batches else (x, y)
        more = {} if batches else {"batch_size": 4}
        model.fit(*data, epochs=2, callbacks=[Stop()], **more)
        history = model.fit(*data, epochs=2, resume=True, **more).history
        full = whole.fit(*data, epochs=2, **more).history
        for name in ("roc_auc", "ap", "<lambda>"):
            assert np.isnan(history[name][-2]).all()
            assert history[name][-1] == full[name][-1]
        assert history["accuracy"][-2:] == full["accuracy"]


def test_a_function_alone_gets_targets_in_the_shape_of_predictions():
    def mae(true, pred):
        return np.abs(true - pred).mean()

    for true in ([1.0, 2.0], [[1.0], [2.0]]):
        for pred in ([1.0, 3.0], [[1.0], [3.0]]):
            assert metrics.PythonMetric(mae)(true, pred) == sk.mean_absolute_error(true, pred) == 0.5
