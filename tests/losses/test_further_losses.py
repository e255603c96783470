"""Focal, weighted, ignoring, quantile, Gaussian losses against PyTorch and Keras's formulas; in training, metrics, files."""

import warnings

import numpy as np
import pytest

import nncore as nn
from nncore.errors import ArgumentError, LabelError, ShapeError

torch = pytest.importorskip("torch", reason="compares with torch.nn.functional")
functional = torch.nn.functional
L = nn.losses


def compare(loss, theirs, t, z, weight=None):
    """Value and gradient of the mean of the rows."""
    tensor = torch.tensor(z, requires_grad=True)
    rows = theirs(tensor, torch.tensor(t))
    rows = rows.reshape(len(z), -1).mean(1)
    total = rows.mean() if weight is None else (rows * torch.tensor(weight)).mean()
    total.backward()
    assert loss(t, z, weight) == pytest.approx(total.item(), rel=1e-9)
    np.testing.assert_allclose(loss.gradient(t, z, weight), tensor.grad.numpy(), rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize("columns", [1, 3, 20])
@pytest.mark.parametrize("weighted", [False, True])
def test_pos_weight_is_that_of_bce_with_logits(columns, weighted, rng):
    z, t = rng.normal(size=(9, columns)), rng.random((9, columns))
    weight = rng.random(9) if weighted else None
    for pos_weight in (3.0, 0.2, rng.random(columns) * 5):
        theirs = torch.tensor(pos_weight, dtype=torch.float64)
        loss = L.BinaryCrossentropy(from_logits=True, pos_weight=pos_weight)
        compare(
            loss,
            lambda z, t, w=theirs: functional.binary_cross_entropy_with_logits(z, t, pos_weight=w, reduction="none"),
            t,
            z,
            weight,
        )
        p = 1 / (1 + np.exp(-z))
        assert L.BinaryCrossentropy(pos_weight=pos_weight)(t, p, weight) == pytest.approx(loss(t, z, weight))


def torchvision_focal(z, t, alpha, gamma):
    """torchvision.ops.sigmoid_focal_loss."""
    p = torch.sigmoid(z)
    ce = functional.binary_cross_entropy_with_logits(z, t, reduction="none")
    p_t = p * t + (1 - p) * (1 - t)
    loss = ce * ((1 - p_t) ** gamma)
    return (alpha * t + (1 - alpha) * (1 - t)) * loss if alpha >= 0 else loss


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0, 5.0])
@pytest.mark.parametrize("alpha", [-1, 0.25, 0.9])
def test_binary_focal_is_that_of_torchvision(gamma, alpha, rng):
    z, t = 3 * rng.normal(size=(9, 4)), rng.integers(0, 2, (9, 4)).astype(float)
    options = {"apply_class_balancing": alpha >= 0, "alpha": max(alpha, 0), "gamma": gamma}
    loss = L.BinaryFocalCrossentropy(from_logits=True, **options)
    compare(loss, lambda z, t: torchvision_focal(z, t, alpha, gamma), t, z, rng.random(9))
    assert L.BinaryFocalCrossentropy(**options)(t, 1 / (1 + np.exp(-z))) == pytest.approx(loss(t, z), rel=1e-6)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_class_focal_is_keras_formula(gamma, smoothing, rng):
    z, labels = 2 * rng.normal(size=(9, 5)), rng.integers(0, 5, 9)
    alpha = rng.random(5)

    def theirs(z, t):
        t = t * (1 - smoothing) + smoothing / 5
        logs = functional.log_softmax(z, dim=1)
        return -(torch.tensor(alpha) * t * (1 - logs.exp()) ** gamma * logs).sum(1)

    options = {"alpha": alpha, "gamma": gamma, "label_smoothing": smoothing}
    compare(L.CategoricalFocalCrossentropy(from_logits=True, **options), theirs, np.eye(5)[labels], z, rng.random(9))
    sparse = L.SparseCategoricalFocalCrossentropy(from_logits=True, **options)
    assert sparse(labels, z) == pytest.approx(L.CategoricalFocalCrossentropy(from_logits=True, **options)(np.eye(5)[labels], z))
    p = np.exp(z) / np.exp(z).sum(1, keepdims=True)
    assert L.SparseCategoricalFocalCrossentropy(**options)(labels, p) == pytest.approx(sparse(labels, z), rel=1e-6)


def test_focal_losses_at_the_ends(dtype):
    """Certain and right, certain and wrong: finite, and no slope where nothing is wrong."""
    z = np.array([[200.0], [-200.0], [200.0], [-200.0]], dtype)
    t = np.array([[1.0], [0.0], [0.0], [1.0]], dtype)
    loss = L.BinaryFocalCrossentropy(from_logits=True, reduction="none")
    np.testing.assert_allclose(loss(t, z), [0, 0, 200, 200], atol=1e-20)
    np.testing.assert_allclose(loss.gradient(t, z)[:, 0], [0, 0, 1, -1], atol=1e-20)
    z = np.array([[200.0, 0.0], [0.0, 200.0]], dtype)
    loss = L.SparseCategoricalFocalCrossentropy(alpha=1.0, from_logits=True, reduction="none")
    np.testing.assert_allclose(loss([0, 0], z), [0, 200], atol=1e-20)
    np.testing.assert_allclose(loss.gradient([0, 0], z), [[0, 0], [-1, 1]], atol=1e-20)


@pytest.mark.parametrize("ignored", [-100, -1, 2, 255])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_ignored_targets_are_those_of_torch(ignored, smoothing, rng):
    z, t = rng.normal(size=(11, 4)), rng.integers(0, 4, 11)
    t[[0, 5, 6]] = ignored
    tensor = torch.tensor(z, requires_grad=True)
    total = functional.cross_entropy(tensor, torch.tensor(t), ignore_index=ignored, label_smoothing=smoothing)
    total.backward()
    loss = L.SparseCategoricalCrossentropy(from_logits=True, ignore_index=ignored, label_smoothing=smoothing)
    assert loss(t, z) == pytest.approx(total.item())
    np.testing.assert_allclose(loss.gradient(t, z), tensor.grad.numpy(), rtol=1e-9, atol=1e-15)
    p = np.exp(z) / np.exp(z).sum(1, keepdims=True)
    assert L.SparseCategoricalCrossentropy(ignore_index=ignored, label_smoothing=smoothing)(t, p) == pytest.approx(total.item())
    kept = t != ignored
    weight = rng.random(11)
    weighted = L.SparseCategoricalCrossentropy(from_logits=True, ignore_index=ignored, reduction="mean_with_sample_weight")
    plain = L.SparseCategoricalCrossentropy(from_logits=True, reduction="none")(t[kept], z[kept])
    assert weighted(t, z, weight) == pytest.approx(np.average(plain, weights=weight[kept]))
    assert L.SparseCategoricalCrossentropy(ignore_index=ignored)([ignored] * 11, p) == 0
    with pytest.raises(LabelError):
        L.SparseCategoricalCrossentropy(ignore_index=ignored)([-7] * 11, p)


@pytest.mark.parametrize("ignored", [-100, 1])
@pytest.mark.parametrize("lines", [(), (6,)])
@pytest.mark.parametrize("reduction", ["mean", "sum", "mean_with_sample_weight"])
def test_training_with_ignored_targets_is_that_of_torch(ignored, lines, reduction, rng):
    """Batches of which some have no target that counts; evaluation and accuracy leave the ignored ones out too."""
    x, t = rng.normal(size=(24, *lines, 3)), rng.integers(0, 4, (24, *lines))
    t[rng.random(t.shape) < 0.4] = ignored
    t[8:12] = ignored
    model = nn.Sequential(nn.Linear(3, 4), seed=0, dtype="float64").build((*lines, 3))
    linear = torch.nn.Linear(3, 4, dtype=torch.float64)
    linear.load_state_dict({key.split(".")[1]: torch.tensor(value) for key, value in model.state_dict().items()})
    loss = L.SparseCategoricalCrossentropy(from_logits=True, ignore_index=ignored, reduction=reduction)
    model.compile(loss, nn.optim.SGD(lr=0.1), metrics=["accuracy"])
    optimizer = torch.optim.SGD(linear.parameters(), lr=0.1)

    def theirs(x, t):
        t = torch.tensor(t)
        total = functional.cross_entropy(
            linear(torch.tensor(x)).reshape(-1, 4), t.reshape(-1), ignore_index=ignored, reduction="sum"
        )
        return total if reduction == "sum" else total / max((t != ignored).sum(), 1)

    losses = []
    for start in range(0, 24, 4):
        optimizer.zero_grad()
        found = theirs(x[start : start + 4], t[start : start + 4])
        found.backward()
        optimizer.step()
        losses.append(found.item())
    history = model.fit(x, t, batch_size=4, shuffle=False, verbose=0)
    np.testing.assert_allclose(model[0].weight, linear.weight.detach().numpy(), rtol=1e-10)
    if reduction != "sum":
        counts = [(t[start : start + 4] != ignored).sum() for start in range(0, 24, 4)]
        assert history.history["loss"][0] == pytest.approx(np.average(losses, weights=counts))
    found = model.evaluate(x, t, batch_size=5, verbose=0, return_dict=True)
    assert found["loss"] == pytest.approx(theirs(x, t).item())
    kept = t != ignored
    assert found["accuracy"] == pytest.approx((model.predict(x).argmax(-1) == t)[kept].mean())


def test_ignored_targets_with_weights_of_steps_and_lengths(rng):
    x, t = rng.normal(size=(8, 5, 3)), rng.integers(0, 4, (8, 5))
    t[rng.random(t.shape) < 0.3] = -100
    weight, lengths = rng.random((8, 5)), rng.integers(1, 6, 8)
    valid = (np.arange(5) < lengths[:, None]) & (t != -100)
    for reduction in ("mean", "mean_with_sample_weight"):
        model = nn.Sequential(nn.Linear(3, 4), seed=0, dtype="float64").build((5, 3))
        loss = L.SparseCategoricalCrossentropy(from_logits=True, ignore_index=-100, reduction=reduction)
        model.compile(loss, nn.optim.SGD(lr=0.0))
        z = model.predict(x)
        rows = functional.cross_entropy(torch.tensor(z)[valid], torch.tensor(t)[valid], reduction="none").numpy()
        divisor = valid.sum() if reduction == "mean" else weight[valid].sum()
        wanted = (rows * weight[valid]).sum() / divisor
        assert model.evaluate(x, t, sample_weight=weight, lengths=lengths, verbose=0) == pytest.approx(wanted)
        history = model.fit(x, t, sample_weight=weight, lengths=lengths, batch_size=8, verbose=0)
        assert history.history["loss"][0] == pytest.approx(wanted)


def test_ignored_targets_and_class_weights_splits_and_metrics_in_python(rng):
    x, t = rng.normal(size=(40, 3)), rng.integers(0, 3, 40)
    t[::4] = -100
    kept = t != -100
    seen = []

    def watch(y_true, y_pred):
        seen.append(len(y_true))
        return float((y_pred.argmax(1) == y_true).mean())

    model = nn.Sequential(nn.Linear(3, 3), nn.Softmax(), seed=0, dtype="float64")
    model.compile(L.SparseCategoricalCrossentropy(ignore_index=-100), nn.optim.SGD(lr=0.0), metrics=[watch])
    found = model.evaluate(x, t, batch_size=40, verbose=0, return_dict=True)
    assert found["watch"] == pytest.approx((model.predict(x).argmax(1) == t)[kept].mean())
    assert sum(seen) == kept.sum()
    p = model.predict(x)[kept]
    by_class = np.array([1.0, 2.0, 5.0])
    rows = -np.log(p[np.arange(len(p)), t[kept]]) * by_class[t[kept]]
    history = model.fit(x, t, batch_size=40, class_weight={1: 2.0, 2: 5.0}, verbose=0)
    assert history.history["loss"][0] == pytest.approx(rows.mean())
    balanced = kept.sum() / (3 * np.bincount(t[kept]))
    rows = -np.log(p[np.arange(len(p)), t[kept]]) * balanced[t[kept]]
    history = model.fit(x, t, batch_size=40, class_weight="balanced", verbose=0)
    assert history.history["loss"][0] == pytest.approx(rows.mean())
    model.fit(x, t, validation_split=0.25, verbose=0)
    model.fit(x, t, validation_split=0.25, groups=np.arange(40) // 4, verbose=0)
    assert model.train_on_batch(x, t)[0] == pytest.approx(-np.log(p[np.arange(len(p)), t[kept]]).mean(), rel=0.2)


@pytest.mark.parametrize("full", [False, True])
def test_gaussian_nll_is_that_of_torch(full, rng):
    z, t = rng.normal(size=(9, 6)), rng.normal(size=(9, 3))
    z[0, 3:] = -40.0
    for log_variance in (True, False):
        given = z if log_variance else np.c_[z[:, :3], np.exp(z[:, 3:])]

        def theirs(z, t, log_variance=log_variance):
            mean, var = z[:, :3], z[:, 3:].exp() if log_variance else z[:, 3:]
            return functional.gaussian_nll_loss(mean, t, var, full=full, reduction="none")

        loss = L.GaussianNLL(log_variance, full)
        if log_variance:  # torch's clamp is in the variance, where exp has no slope left
            given = np.maximum(given, -13.0)
        compare(loss, theirs, t, given, rng.random(9))


def test_gaussian_nll_learns_mean_and_variance(rng):
    x = rng.normal(size=(2000, 1))
    y = 2 * x[:, 0] + 1 + 0.5 * rng.normal(size=2000)
    model = nn.Sequential(nn.Linear(1, 2), seed=0)
    model.compile("gaussian_nll", nn.optim.Adam(lr=0.05), metrics=["mae"])
    model.fit(x, y, epochs=10, batch_size=64, verbose=0)
    mean, log_variance = model.predict(x).T
    assert np.exp(log_variance / 2).mean() == pytest.approx(0.5, rel=0.1)
    assert model.evaluate(x, y, verbose=0)[1] == pytest.approx(np.abs(mean - y).mean(), rel=1e-4)
    np.testing.assert_allclose([model[0].weight[0, 0], model[0].bias[0]], [2, 1], atol=0.1)


def test_metrics_of_a_predicted_distribution(rng):
    """They compare the means; a loss of the whole output sees the variances too; a metric of classes is refused."""
    x, y = rng.normal(size=(30, 3)), rng.normal(size=(30, 2))
    model = nn.Sequential(nn.Linear(3, 4), seed=0, dtype="float64")
    model.compile("gaussian_nll", nn.optim.SGD(lr=0.0), metrics=["mse", "r2", "huber", "gaussian_nll"])
    found = model.evaluate(x, y, batch_size=7, verbose=0, return_dict=True)
    z = model.predict(x)
    metrics = pytest.importorskip("sklearn.metrics")
    assert found["mse"] == pytest.approx(metrics.mean_squared_error(y, z[:, :2]))
    assert found["r2"] == pytest.approx(metrics.r2_score(y, z[:, :2]))
    assert found["huber"] == pytest.approx(functional.huber_loss(torch.tensor(z[:, :2]), torch.tensor(y)).item())
    assert found["gaussian_nll"] == pytest.approx(found["loss"]) == pytest.approx(L.GaussianNLL()(y, z))
    model.compile("gaussian_nll", "sgd", metrics=["accuracy"])
    with pytest.raises(LabelError, match="accuracy"):
        model.fit(x, y, verbose=0)
    model.compile(L.Quantile([0.1, 0.5, 0.7, 0.9]), "sgd", metrics=["mae", "quantile"])
    found = model.evaluate(x, y[:, 0], verbose=0, return_dict=True)
    assert found["mae"] == pytest.approx(np.abs(model.predict(x) - y[:, :1]).mean())
    assert found["quantile"] == pytest.approx(found["mae"] / 2)


@pytest.mark.filterwarnings("ignore:top_k_accuracy with k=5")  # of four classes
def test_losses_over_classes_as_metrics_leave_ignored_targets_out(rng):
    x, t = rng.normal(size=(30, 3)), rng.integers(0, 4, 30)
    t[::3] = 2
    model = nn.Sequential(nn.Linear(3, 4), nn.Softmax(), seed=0, dtype="float64")
    loss = L.SparseCategoricalCrossentropy(ignore_index=2)
    model.compile(loss, nn.optim.SGD(lr=0.0), metrics=["log_loss", "sparse_categorical_focal_crossentropy", "top_k_accuracy"])
    found = model.evaluate(x, t, batch_size=7, verbose=0, return_dict=True)
    kept = t != 2
    p = model.predict(x)[kept]
    assert found["log_loss"] == pytest.approx(found["loss"]) == pytest.approx(L.SparseCategoricalCrossentropy()(t[kept], p))
    focal = L.SparseCategoricalFocalCrossentropy()(t[kept], p)
    assert found["sparse_categorical_focal_crossentropy"] == pytest.approx(focal)


def test_several_quantiles_of_one_target(rng):
    y = rng.exponential(size=4000)
    x = np.zeros((4000, 1))
    model = nn.Sequential(nn.Linear(1, 3), seed=0)
    model.compile(L.Quantile([0.1, 0.5, 0.9]), nn.optim.Adam(lr=0.02))
    model.fit(x, y, epochs=25, batch_size=100, verbose=0)
    np.testing.assert_allclose(model[0].bias, np.quantile(y, [0.1, 0.5, 0.9]), atol=0.1)
    z = rng.normal(size=(7, 3))
    metrics = pytest.importorskip("sklearn.metrics")
    wanted = np.mean([metrics.mean_pinball_loss(y[:7], z[:, i], alpha=q) for i, q in enumerate((0.1, 0.5, 0.9))])
    assert L.Quantile([0.1, 0.5, 0.9])(y[:7], z) == pytest.approx(wanted)
    assert L.Quantile([0.1, 0.5, 0.9])(np.c_[y[:7], y[:7], y[:7]], z) == pytest.approx(wanted)
    assert L.Quantile(0.9)(y[:7], z[:, 0]) == pytest.approx(metrics.mean_pinball_loss(y[:7], z[:, 0], alpha=0.9))


def test_regression_losses_against_scikit_learn_and_torch(rng):
    metrics = pytest.importorskip("sklearn.metrics")
    z, t = rng.exponential(size=(9, 4)), rng.exponential(size=(9, 4))
    assert L.MeanSquaredLogarithmicError()(t, z) == pytest.approx(metrics.mean_squared_log_error(t, z))
    compare(L.MeanSquaredLogarithmicError(), lambda z, t: (torch.log1p(z) - torch.log1p(t)) ** 2, t, z)
    compare(L.LogCosh(), lambda z, t: torch.log(torch.cosh(z - t)), t, z)
    compare(L.SquaredHinge(), lambda z, t: torch.relu(1 - z * t) ** 2, np.sign(t - 1), z)
    compare(L.CosineSimilarity(), lambda z, t: -functional.cosine_similarity(z, t, dim=1), t, z)


def test_small_and_large_errors_of_log_cosh(dtype):
    small = np.array([[1e-4]], dtype)
    assert L.LogCosh()([[0.0]], small) == pytest.approx(0.5e-8, rel=1e-5)
    assert L.LogCosh()([[0.0]], np.array([[1e4]], dtype)) == pytest.approx(1e4 - np.log(2), rel=1e-6)


def test_cosine_similarity_of_zeros():
    assert L.CosineSimilarity()([[1.0, 2.0], [0.0, 0.0]], [[0.0, 0.0], [3.0, 4.0]]) == 0.0


@pytest.mark.parametrize(
    ("end", "loss", "logits"),
    [
        (nn.Sigmoid(), L.BinaryFocalCrossentropy(), L.BinaryFocalCrossentropy(from_logits=True)),
        (nn.Sigmoid(), L.BinaryCrossentropy(pos_weight=[2, 3, 4]), L.BinaryCrossentropy(True, pos_weight=[2, 3, 4])),
        (nn.Softmax(), L.SparseCategoricalFocalCrossentropy(), L.SparseCategoricalFocalCrossentropy(from_logits=True)),
        (nn.Softmax(), L.CategoricalFocalCrossentropy(), L.CategoricalFocalCrossentropy(from_logits=True)),
    ],
)
def test_a_last_sigmoid_or_softmax_is_fused_with_the_loss(end, loss, logits, rng):
    """So that logits far from 0 train like logits."""
    x = 100 * rng.normal(size=(12, 4))
    y = rng.integers(0, 3, 12)
    y = y if loss.targets == "classes" else np.eye(3)[y]
    ours = nn.Sequential(nn.Linear(4, 3), end, seed=0, dtype="float64")
    theirs = nn.Sequential(nn.Linear(4, 3), seed=0, dtype="float64")
    ours.compile(loss, nn.optim.SGD(lr=1e-3))
    theirs.compile(logits, nn.optim.SGD(lr=1e-3))
    for _ in range(3):
        assert ours.train_on_batch(x, y) == pytest.approx(theirs.train_on_batch(x, y), rel=1e-12)
    np.testing.assert_allclose(ours[0].weight, theirs[0].weight, rtol=1e-12)


def test_files_keep_the_arguments(tmp_path):
    for loss in (
        L.BinaryCrossentropy(pos_weight=[1, 2]),
        L.SparseCategoricalCrossentropy(True, ignore_index=-100),
        L.Quantile([0.1, 0.9]),
        L.GaussianNLL(False, full=True, eps=1e-3),
        L.CategoricalFocalCrossentropy(alpha=[0.1, 0.9], gamma=1),
        L.BinaryFocalCrossentropy(True, 0.3),
    ):
        model = nn.Sequential(nn.Linear(2, 2), nn.Hardtanh(0, 1), seed=0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model.compile(loss, "sgd")
            model.save(tmp_path / "model")
            again = nn.load(tmp_path / "model")
        assert repr(again._trainer.config.losses[0]) == repr(loss)


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: L.BinaryCrossentropy(pos_weight=-1), ArgumentError, "pos_weight"),
        (lambda: L.BinaryCrossentropy(pos_weight=[]), ArgumentError, "pos_weight must be a number, or one for each column"),
        (lambda: L.BinaryCrossentropy(pos_weight=["a"]), ArgumentError, "each of pos_weight"),
        (lambda: L.BinaryCrossentropy(pos_weight=[1, 2])([[1.0]], [[0.5]]), ShapeError, "2 numbers, but the output has 1"),
        (lambda: L.Quantile(1.0), ArgumentError, "quantile"),
        (lambda: L.Quantile([0.1, 0.5])([[1.0]], [[0.5]]), ShapeError, "quantile has 2 numbers"),
        (lambda: L.GaussianNLL()([[1.0]], [[1.0, 2.0, 3.0]]), ShapeError, "even number of outputs"),
        (lambda: L.GaussianNLL()([[1.0, 2.0]], [[1.0, 2.0]]), ShapeError, "y"),
        (lambda: L.SparseCategoricalCrossentropy(ignore_index=0.5), ArgumentError, "ignore_index"),
        (lambda: L.BinaryFocalCrossentropy(alpha=2), ArgumentError, "alpha"),
        (lambda: L.CategoricalFocalCrossentropy(gamma=-1), ArgumentError, "gamma"),
        (
            lambda: nn.Sequential(nn.Linear(2, 3)).compile(L.GaussianNLL(), "sgd"),
            ShapeError,
            "even number of outputs, means and then variances, but the model has 3",
        ),
        (lambda: nn.Sequential(nn.Linear(2, 3)).compile(L.Quantile([0.1, 0.9]), "sgd"), ShapeError, "the output has 3 columns"),
    ],
)
def test_what_makes_no_sense_is_refused(call, error, text):
    with pytest.raises(error, match=text):
        call()
