"""Metrics that the core adds up in evaluation and training are those of scikit-learn, for every loss and kind of output."""

import warnings

import numpy as np
import pytest

import nncore as nn
from nncore import errors, metrics

sk = pytest.importorskip("sklearn.metrics")

RATIOS = {
    "precision": (metrics.Precision, sk.precision_score),
    "recall": (metrics.Recall, sk.recall_score),
    "f1": (metrics.F1, sk.f1_score),
}
AVERAGES = ("macro", "micro", "weighted")


@pytest.fixture(autouse=True)
def without_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-learn warns of classes that do not occur
        yield


def shown(columns, *last, dtype="float64"):
    """A model that gives what it gets, through the last layers."""
    model = nn.Sequential(nn.Linear(columns, columns, bias=False), *last, seed=0, dtype=dtype).build((columns,))
    model.layers[0].weight[...] = np.eye(columns)
    return model


def sizes_and_weights(rng, count=12):
    for n in (1, 2, 3, 600, *rng.choice([5, 12, 40], count - 4)):
        weights = [None, rng.random(n) + 0.1, np.maximum(rng.integers(0, 3, n), np.arange(n) < 2).astype(float)]
        yield int(n), weights[rng.integers(3)]


def check(rng, model, loss, x, y, w, expected):
    """evaluate, an epoch in batches, validation and a single step give what is expected, a few metrics at a time."""
    chosen = [list(expected)[i] for i in rng.permutation(len(expected))[:9]]
    for i, metric in enumerate(chosen):
        metric.name = f"{metric.name}{i}"
    model.compile(loss, nn.optim.SGD(lr=0.0), weighted_metrics=chosen)
    found = [model.evaluate(x, y, sample_weight=w, return_dict=True)]
    validation = (x, y) if w is None else (x, y, w)
    history = model.fit(x, y, sample_weight=w, batch_size=int(rng.choice([1, 7, 64])), validation_data=validation).history
    found += [{m.name: history[prefix + m.name][0] for m in chosen} for prefix in ("", "val_")]
    found.append(model.train_on_batch(x, y, sample_weight=w, return_dict=True))
    for logs in found:
        for metric in chosen:
            ranks = metric.kind == "python"  # scores that are equal here may differ in their last bit in training
            tolerance = {"rtol": 1e-3 if ranks else 1e-6, "atol": 1e-9}
            np.testing.assert_allclose(logs[metric.name], expected[metric], **tolerance, err_msg=repr(metric))


def of_classes(true, pred, w, classes):
    """Metrics that need predicted classes, with their values."""
    options = {"sample_weight": w}
    found = {
        metrics.Accuracy(): sk.accuracy_score(true, pred, **options),
        metrics.BalancedAccuracy(): sk.balanced_accuracy_score(true, pred, **options),
        metrics.MatthewsCorrelation(): sk.matthews_corrcoef(true, pred, **options),
        metrics.ConfusionMatrix(): sk.confusion_matrix(true, pred, labels=range(classes), **options),
        metrics.FBeta(2.0, average="macro"): sk.fbeta_score(true, pred, beta=2, average="macro", zero_division=0, **options),
    }
    options["zero_division"] = 0
    for ours, theirs in RATIOS.values():
        found |= {ours(average=average): theirs(true, pred, average=average, **options) for average in AVERAGES}
        found[ours(average=None)] = theirs(true, pred, average=None, labels=range(classes), **options)
        if classes == 2:
            found[ours()] = theirs(true, pred, **options)
            found[ours(pos_label=0)] = theirs(true, pred, pos_label=0, **options)
    return found


@pytest.mark.parametrize("form", ["classes", "classes from logits", "one-hot", "one-hot with mse"])
def test_classes(form, rng):
    for n, w in sizes_and_weights(rng):
        classes = int(rng.integers(2, 6))
        x, true = rng.normal(size=(n, classes)).round(rng.choice([1, 6])), rng.integers(classes, size=n)
        last = [] if form == "classes from logits" else [nn.Softmax()]
        model, loss = shown(classes, *last), "mse" if "mse" in form else "sparse_categorical_crossentropy"
        if form == "classes from logits":
            loss = nn.losses.SparseCategoricalCrossentropy(from_logits=True)
        elif form == "one-hot":
            loss = "categorical_crossentropy"
        counts = np.ones(n, bool) if w is None else w > 0
        p, t, own = model.predict(x)[counts], true[counts], None if w is None else w[counts]
        expected = of_classes(t, p.argmax(axis=1), own, classes)
        if classes > 2:
            for k in (1, 2):
                value = sk.top_k_accuracy_score(t, p, k=k, labels=range(classes), sample_weight=own)
                expected[metrics.TopKAccuracy(k)] = value
        chances = p if last else (np.exp(p) / np.exp(p).sum(axis=1, keepdims=True)).round(12)
        if "mse" not in form:
            expected[metrics.LogLoss()] = sk.log_loss(t, chances, labels=range(classes), sample_weight=own)
        if "one-hot" in form:
            expected[metrics.MAE()] = sk.mean_absolute_error(np.eye(classes)[t], p, sample_weight=own)
            expected[metrics.R2()] = sk.r2_score(np.eye(classes)[t], p, sample_weight=own)
        if len(np.unique(t)) == classes > 2:
            for average in ("macro", "weighted", "micro", None):
                options = {"average": average, "sample_weight": own}
                expected[metrics.RocAuc(average)] = sk.roc_auc_score(np.eye(classes)[t], chances, **options)
                expected[metrics.AveragePrecision(average)] = sk.average_precision_score(t, chances, **options)
        check(rng, model, loss, x, np.eye(classes)[true] if "one-hot" in form else true, w, expected)


@pytest.mark.parametrize("from_logits", [False, True])
def test_several_labels_per_row(from_logits, rng):
    for n, w in sizes_and_weights(rng):
        width = int(rng.integers(2, 5))
        x, true = rng.normal(size=(n, width)).round(rng.choice([1, 6])), rng.integers(2, size=(n, width))
        model = shown(width, *([] if from_logits else [nn.Sigmoid()]))
        counts = np.ones(n, bool) if w is None else w > 0
        p, t, own = model.predict(x)[counts], true[counts], None if w is None else w[counts]
        pred = (x[counts] > 0).astype(int)
        expected = {
            metrics.Accuracy(): np.average((t == pred).mean(axis=1), weights=own),  # Keras's binary_accuracy
            metrics.Accuracy(subset=True): sk.accuracy_score(t, pred, sample_weight=own),
            metrics.ConfusionMatrix(): sk.multilabel_confusion_matrix(t, pred, sample_weight=own),
            metrics.MSE(): sk.mean_squared_error(t, p, sample_weight=own),
        }
        for average in (*AVERAGES, None):
            for ours, theirs in RATIOS.values():
                expected[ours(average=average)] = theirs(t, pred, average=average, zero_division=0, sample_weight=own)
            expected[metrics.AveragePrecision(average)] = sk.average_precision_score(t, p, average=average, sample_weight=own)
            if ((t.sum(axis=0) > 0) & (t.sum(axis=0) < len(t))).all():
                expected[metrics.RocAuc(average)] = sk.roc_auc_score(t, p, average=average, sample_weight=own)
        loss = np.logaddexp(0, np.where(t == 1, -x[counts], x[counts])).mean(axis=1)
        expected[metrics.LogLoss()] = np.average(loss, weights=own)
        check(rng, model, nn.losses.BinaryCrossentropy(from_logits=from_logits), x, true, w, expected)


ONE_OUTPUT = {  # loss, last layers, targets, threshold
    "probabilities": ("bce", [nn.Sigmoid()], (0, 1), 0.5),
    "logits": (nn.losses.BinaryCrossentropy(from_logits=True), [], (0, 1), 0.0),
    "hinge of signs": ("hinge", [], (-1, 1), 0.0),
    "hinge of 0/1": ("hinge", [], (0, 1), 0.0),
    "mse of 0/1": ("mse", [], (0, 1), 0.5),
    "mse of signs": ("mse", [], (-1, 1), 0.0),
    "mse of signs from tanh": ("mse", [nn.Tanh()], (-1, 1), 0.0),
    "mse of 0/1 from tanh": ("mse", [nn.Tanh()], (0, 1), 0.5),
    "mae of signs": ("mae", [], (-1, 1), 0.0),
}


@pytest.mark.parametrize("form", ONE_OUTPUT)
def test_one_output(form, rng):
    """With a loss of regression, the targets of all rows together tell the threshold."""
    loss, last, labels, threshold = ONE_OUTPUT[form]
    for n, w in sizes_and_weights(rng):
        x, yes = rng.normal(size=(n, 1)).round(rng.choice([1, 6])), rng.integers(2, size=n)
        yes[0] = 0  # ones alone would not tell
        model, y = shown(1, *last), np.array(labels)[yes]
        counts = np.ones(n, bool) if w is None else w > 0
        p, t, own = model.predict(x)[counts, 0], yes[counts], None if w is None else w[counts]
        expected = of_classes(t, (p > threshold).astype(int), own, 2)
        expected[metrics.Precision(threshold=0.3)] = sk.precision_score(t, p > 0.3, zero_division=0, sample_weight=own)
        expected[metrics.Specificity()] = sk.recall_score(t, p > threshold, pos_label=0, zero_division=0, sample_weight=own)
        expected[metrics.AveragePrecision()] = sk.average_precision_score(t, p, sample_weight=own)
        if len(np.unique(t)) == 2:
            expected[metrics.RocAuc()] = sk.roc_auc_score(t, p, sample_weight=own)
        if form == "probabilities":
            expected[metrics.LogLoss()] = sk.log_loss(t, p, labels=[0, 1], sample_weight=own)
        targets = (2 * t - 1) if "hinge" in form else y[counts]
        expected[metrics.MSE()] = sk.mean_squared_error(targets, p, sample_weight=own)
        expected[metrics.R2()] = sk.r2_score(targets, p, sample_weight=own)
        check(rng, model, loss, x, y, w, expected)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_steps_with_lengths_and_weights(dtype, rng):
    x, y = rng.normal(size=(9, 5, 3)).astype(dtype), rng.integers(3, size=(9, 5))
    lengths, w = rng.integers(1, 6, 9), rng.uniform(0.5, 2, 9)
    model = nn.Sequential(nn.RNN(3, 8, return_sequences=True), nn.Linear(8, 3), nn.Softmax(), seed=0, dtype=dtype)
    own = [metrics.F1(average="macro"), "mcc", metrics.TopKAccuracy(2), "log_loss", "accuracy"]
    model.compile("sparse_categorical_crossentropy", "sgd", weighted_metrics=own)
    valid = np.arange(5) < lengths[:, None]
    p, t, each = model.predict(x, lengths=lengths)[valid].astype(float), y[valid], np.repeat(w, lengths)
    found = model.evaluate(x, y, sample_weight=w, lengths=lengths, return_dict=True)
    assert found["f1"] == pytest.approx(sk.f1_score(t, p.argmax(1), average="macro", sample_weight=each), rel=1e-6)
    assert found["mcc"] == pytest.approx(sk.matthews_corrcoef(t, p.argmax(1), sample_weight=each), rel=1e-6)
    assert found["top_k_accuracy"] == pytest.approx(
        sk.top_k_accuracy_score(t, p, k=2, labels=range(3), sample_weight=each), rel=1e-6
    )
    assert found["log_loss"] == pytest.approx(-np.average(np.log(p[np.arange(len(t)), t]), weights=each), rel=1e-5)
    assert found["accuracy"] == pytest.approx(sk.accuracy_score(t, p.argmax(1), sample_weight=each), rel=1e-6)


def test_signs_are_told_by_all_rows_together():
    """The first batches have only +1, of which 0/1 cannot be told; 0.3 is right for -1/+1 alone."""
    x = np.array([[0.3]] * 8 + [[-0.3]] * 8)
    y = np.array([1] * 8 + [-1] * 8)
    model = shown(1)
    model.compile("mse", nn.optim.SGD(lr=0.0), ["accuracy", "mse", "f1"])
    history = model.fit(x, y, batch_size=4, shuffle=False).history
    assert history["accuracy"] == history["f1"] == [1.0]
    assert model.evaluate(x, y)[1] == 1.0
    assert model.evaluate(x[8:], y[8:])[1] == 1.0
    assert model.evaluate(x, y > 0)[1] == 0.5
    assert model.train_on_batch(x, y)[1] == 1.0


@pytest.mark.parametrize("metric", ["accuracy", "f1", "roc_auc", "average_precision"])
@pytest.mark.parametrize("y", [[0.5, 1.5, 2.0], [0, 1, 2], [-1, 0, 1]])
def test_classes_of_a_regression_are_refused_before_the_first_step(metric, y):
    x = np.ones((3, 1))
    model = nn.Sequential(nn.Linear(1, 1), seed=0).build((1,))
    model.compile("mse", "sgd", [metric])
    before = np.array(model.layers[0].weight)
    for call in (
        lambda: model.fit(x, y),
        lambda: model.evaluate(x, y),
        lambda: model.train_on_batch(x, y),
        lambda: model.train_on_batch(x.astype("f4"), np.array(y, "f4")[:, None]),
        lambda: model.fit([(x, y)]),
        lambda: model.fit(x, [0, 1, 1], validation_data=(x, y)),
    ):
        with pytest.raises(errors.LabelError, match=f"metric '{metric}' needs targets that are all in"):
            call()
    np.testing.assert_array_equal(model.layers[0].weight, before)
    model.fit(x, [0, 1, 1])


def test_rows_of_a_regression_are_no_classes():
    x, y = np.ones((4, 3)), np.random.default_rng(0).normal(size=(4, 3))
    model = nn.Sequential(nn.Linear(3, 3), seed=0)
    model.compile("mse", "sgd", ["accuracy"])
    for bad in (y, [[1, 1, 0]] * 4):
        with pytest.raises(errors.LabelError, match="needs one class for each row"):
            model.fit(x, bad)
    for fine in (np.eye(3)[[0, 1, 2, 0]], 2 * np.eye(3)[[0, 1, 2, 0]] - 1, np.full((4, 3), 1 / 3)):
        model.fit(x, fine)


def test_padding_is_no_label():
    x, y, lengths = np.ones((2, 3, 1)), np.array([[1, -1, 9], [1, 0.5, 0]])[..., None], np.array([2, 1])
    model = nn.Sequential(nn.RNN(1, 2, return_sequences=True), nn.Linear(2, 1), seed=0)
    model.compile("mse", "sgd", ["accuracy"])
    model.evaluate(x, y, lengths=lengths)
    model.evaluate(x, y[:, ::-1], mask=np.array([[False, True, True], [False, False, True]]))
    with pytest.raises(errors.LabelError, match="holds 9"):
        model.evaluate(x, y)


def test_nan_gives_nan():
    x, y = np.array([[0.2], [np.nan], [0.7]]), [0, 1, 1]
    model = shown(1)
    own = ["accuracy", "f1", "mcc", "roc_auc", "average_precision", "mse", "r2", metrics.F1(average="macro", name="macro")]
    model.compile("mse", nn.optim.SGD(lr=0.0), weighted_metrics=own)
    assert np.isnan(list(model.evaluate(x, y, return_dict=True).values())).all()
    logs = model.evaluate(x, y, sample_weight=[1, 0, 1], return_dict=True)
    assert logs["accuracy"] == logs["roc_auc"] == 1.0
    fine = np.nan_to_num(x)
    assert np.isnan(model.evaluate(fine, [0.0, np.nan, 1.0])[1:]).all()
    assert np.isnan(model.evaluate([[np.inf], [0.0]], [1, 0])[1])
    assert np.isnan(model.evaluate(fine[:1], y[:1], return_dict=True)["r2"])  # a single row


def test_metrics_of_any_kinds_on_one_output(tmp_path):
    x, y = np.linspace(-1, 1, 40)[:, None], np.repeat([0.0, 1.0], 20)
    model = nn.Sequential(nn.Linear(1, 4), nn.Tanh(), nn.Linear(4, 1), nn.Sigmoid(), seed=0)
    close = metrics.LossMetric(nn.losses.Huber(delta=0.1), name="close")
    own = ["accuracy", "mse", "auc", "r2", "huber", nn.losses.Poisson, close]
    model.compile("bce", "adam", [*own, metrics.PythonMetric(lambda t, p: np.median(p), name="middle")])
    model.fit(x, y, epochs=2)
    logs, p = model.evaluate(x, y, return_dict=True), model.predict(x)[:, 0].astype(float)
    e = np.abs(p - y)
    assert logs["accuracy"] == sk.accuracy_score(y, p > 0.5)
    assert logs["mse"] == pytest.approx((e * e).mean(), rel=1e-5)
    assert logs["auc"] == pytest.approx(sk.roc_auc_score(y, p))
    assert logs["r2"] == pytest.approx(sk.r2_score(y, p), rel=1e-5)
    assert logs["huber"] == pytest.approx((e * e / 2).mean(), rel=1e-5)
    assert logs["close"] == pytest.approx(np.where(e < 0.1, e * e / 2, 0.1 * e - 0.005).mean(), rel=1e-5)
    assert logs["poisson"] == pytest.approx((p - y * np.log(p + 1e-7)).mean(), rel=1e-5)
    assert logs["middle"] == pytest.approx(np.median(p), rel=1e-6)
    model.compile("bce", "adam", own)
    model.save(tmp_path / "model.safetensors")
    again = nn.load(tmp_path / "model.safetensors")
    expected = model.evaluate(x, y, return_dict=True)
    assert again.evaluate(x, y, return_dict=True) == expected


def test_cross_entropies_beside_a_loss_of_numbers(rng):
    """Their targets are checked, as the loss takes any."""
    x, yes = rng.normal(size=(30, 1)), rng.integers(2, size=30)
    model = shown(1, nn.Sigmoid())
    model.compile("mse", nn.optim.SGD(lr=0.0), ["binary_crossentropy", "log_loss", "mse"])
    logs, p = model.evaluate(x, yes, return_dict=True), model.predict(x)[:, 0]
    assert logs["binary_crossentropy"] == pytest.approx(sk.log_loss(yes, p))
    assert logs["log_loss"] == pytest.approx(sk.log_loss(yes, p))
    for bad in (2 * yes - 1, yes + 0.5):
        for call in (model.evaluate, model.fit, model.train_on_batch):
            with pytest.raises(errors.LabelError, match="metric 'binary_crossentropy' takes targets in .0, 1."):
                call(x, bad)
            with pytest.raises(errors.LabelError, match="takes targets in .0, 1."):
                call(x, bad[:, None].astype(float))
    x, kind = rng.normal(size=(30, 3)), rng.integers(3, size=30)
    model = shown(3, nn.Softmax())
    model.compile("mse", nn.optim.SGD(lr=0.0), ["categorical_crossentropy", "log_loss", "accuracy"])
    logs, p = model.evaluate(x, np.eye(3)[kind], return_dict=True), model.predict(x)
    assert logs["categorical_crossentropy"] == pytest.approx(sk.log_loss(kind, p, labels=range(3)))
    assert logs["log_loss"] == pytest.approx(sk.log_loss(kind, p, labels=range(3)))
    with pytest.raises(errors.LabelError, match="one class for each row"):
        model.fit(x, np.ones((30, 3)))


@pytest.mark.parametrize("name", sorted({cls.name for cls in nn.losses.LOSSES.values()}))
def test_every_loss_is_a_metric(name, rng):
    loss, x = nn.losses.LOSSES[name](), rng.uniform(0.1, 1, size=(30, 4))
    kind = rng.integers(4, size=30)
    y = {"classes": kind, "one_hot": np.eye(4)[kind], "signs": np.sign(x - 0.5), "probabilities": (x > 0.4) * 1.0}
    y = y | {"values": x[:, ::-1], "repeated": x[:, ::-1], "halved": x[:, :2]}
    model = shown(4, nn.Softmax())
    model.compile(loss, nn.optim.SGD(lr=0.0), [name, metrics.LossMetric(loss, "same")])
    logs = model.evaluate(x, y[loss.targets], return_dict=True)
    assert [logs[name], logs["same"]] == [pytest.approx(logs["loss"], rel=1e-6)] * 2
    assert model.fit(x, y[loss.targets], batch_size=7).history[name] == [pytest.approx(logs["loss"], rel=1e-6)]


def test_functions_get_all_rows(rng):
    """1,300 rows: more than a block of the core, and than a batch."""
    x = np.sort(rng.normal(size=(1300, 1)), axis=0)
    y = 2 * x + rng.normal(size=x.shape)

    def r2(true, pred):
        return 1 - ((true - pred) ** 2).sum() / ((true - true.mean()) ** 2).sum()

    def rmse(true, pred):
        return np.sqrt(((true - pred) ** 2).mean())

    def off(true, pred):
        return np.abs(true - pred) > 1

    def weighted(true, pred, sample_weight=None):
        return sk.r2_score(true, pred, sample_weight=sample_weight)

    model = shown(1)
    model.compile("mse", nn.optim.SGD(lr=0.0), weighted_metrics=[r2, rmse, off, weighted])
    w = rng.uniform(0, 1, 1300) * (rng.random(1300) < 0.9)
    for weights in (None, w):
        own = np.ones(1300) if weights is None else weights
        expected = {
            "r2": r2(y[own > 0], x[own > 0]),
            "rmse": rmse(y[own > 0], x[own > 0]),
            "off": np.average(off(y, x)[:, 0], weights=own),
            "weighted": sk.r2_score(y, x, sample_weight=own),
        }
        found = model.evaluate(x, y, sample_weight=weights, return_dict=True)
        logs = model.fit(x, y, sample_weight=weights, batch_size=100, validation_split=0.0).history
        for name, value in expected.items():
            assert found[name] == pytest.approx(value, rel=1e-9)
            assert logs[name] == [pytest.approx(value, rel=1e-9)]


def test_functions_with_lbfgs_get_the_rows_of_one_evaluation(rng):
    pytest.importorskip("scipy.optimize")
    x = rng.normal(size=(50, 2))
    y = x @ [1.0, -2.0] + rng.normal(size=50)
    model = nn.Sequential(nn.Linear(2, 1), seed=0, dtype="float64")
    model.compile("mse", nn.optim.LBFGS(), ["mse", "r2", lambda t, p: float(len(p)), metrics.PythonMetric(sk.r2_score, "theirs")])
    history = model.fit(x, y, epochs=4).history
    assert history["<lambda>"] == [50.0] * len(history["mse"])
    np.testing.assert_allclose(history["theirs"], history["r2"], rtol=1e-9)


def test_many_classes():
    """200,000 classes need two numbers for accuracy, and no more than a few for each class otherwise."""
    model = nn.Sequential(nn.Linear(2, 200_000, bias=False, weight_init="zeros"), nn.Softmax())
    own = ["accuracy", "top_k_accuracy", metrics.F1(average="macro"), "mcc", "balanced_accuracy"]
    model.compile("sparse_categorical_crossentropy", "sgd", own)
    found = model.evaluate(np.zeros((2, 2)), [0, 199_999], return_dict=True)
    assert found["accuracy"] == found["balanced_accuracy"] == 0.5
    assert found["top_k_accuracy"] == 0.5  # of equal scores, the last ones
    assert found["f1"] == pytest.approx((2 / 3 + 0) / 2)
    with pytest.raises(errors.LabelError, match="up to 2048 classes"):
        model.compile("sparse_categorical_crossentropy", "sgd", ["confusion_matrix"])


@pytest.mark.parametrize("monitor", ["val_a_accuracy", "a_mcc", "val_b_mae", "val_b_log_loss", "b_r2", "val_a_auc"])
def test_directions_of_metrics_of_several_outputs(monitor):
    x = nn.Input((2,))
    model = nn.Model(x, [nn.Sigmoid(name="a")(nn.Linear(2, 1)(x)), nn.Sigmoid(name="b")(nn.Linear(2, 1)(x))], seed=0)
    model.compile(["bce", "bce"], "sgd", {"a": ["accuracy", "mcc", "auc"], "b": ["mae", "log_loss", "r2"]})
    data = np.random.default_rng(0).normal(size=(8, 2)), [np.arange(8) % 2, np.arange(8) % 2]
    stop = nn.callbacks.EarlyStopping(monitor, patience=1)
    model.fit(*data, validation_data=data, callbacks=[stop], epochs=2)


def test_sums_of_older_files():
    """A matrix of the classes, one of yes and no, and residuals without the number of rows."""
    matrix = np.array([[5.0, 1.0, 0.0], [2.0, 4.0, 0.0], [0.0, 1.0, 7.0]])
    task = metrics.Task("classes", 3)
    true, pred = np.repeat(np.indices((3, 3)).reshape(2, -1), matrix.reshape(-1).astype(int), axis=1)
    for name, value in (
        ("accuracy", sk.accuracy_score(true, pred)),
        ("mcc", sk.matthews_corrcoef(true, pred)),
        ("confusion_matrix", matrix),
    ):
        found, (reader,) = metrics.statistics([metrics.get(name)], task)
        np.testing.assert_allclose(reader(metrics.from_old_sums(matrix, found, task)), value)
    for task, old in ((metrics.Task("probabilities", 1), matrix[:2, :2]), (metrics.Task("values", 1), matrix[:2, :2])):
        found, (f1, accuracy) = metrics.statistics([metrics.F1(), metrics.Accuracy()], task)
        sums = metrics.from_old_sums(old, found, task)
        assert f1(sums) == pytest.approx(2 * 4 / (2 * 4 + 1 + 2))
        assert accuracy(sums) == pytest.approx(9 / 12)
    task = metrics.Task("probabilities", 2)
    found, (f1, accuracy) = metrics.statistics([metrics.F1(), metrics.Accuracy()], task)
    sums = metrics.from_old_sums(np.pad(matrix[:2, :2], (0, 1)), found, task)
    assert np.isnan(f1(sums))  # of both labels together, which cannot be told apart any more
    found, (mse,) = metrics.statistics([metrics.MSE()], task)
    assert mse(metrics.from_old_sums(np.arange(14.0).reshape(2, 7) + 1, found, task)) == pytest.approx((2 / 1 + 9 / 8) / 2)
    assert metrics.from_old_sums(np.zeros((3, 4)), found, task) is None
