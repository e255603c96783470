"""BatchNorm1d against PyTorch: outputs, gradients, running statistics, and whole training runs."""

import numpy as np
import pytest

import nncore as nn
from nncore.errors import ShapeError

torch = pytest.importorskip("torch", reason="PyTorch is the reference of this file; install the extra test peers")

SHAPES = [(16, 5), (2, 3), (16, 37), (8, 5, 7), (8, 3, 33), (1, 4, 2)]


def tolerance(dtype):
    return {"rtol": 1e-10, "atol": 1e-11} if dtype == np.float64 else {"rtol": 2e-4, "atol": 2e-5}


def twins(channels, dtype, rng, affine=True, momentum=0.1):
    layer = nn.BatchNorm1d(channels, momentum=momentum, affine=affine)
    twin = torch.nn.BatchNorm1d(channels, momentum=momentum, affine=affine, dtype=getattr(torch, np.dtype(dtype).name))
    model = nn.Sequential(layer, dtype=np.dtype(dtype).name)
    return model, twin


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("momentum", [0.1, 0.9, None])
def test_like_torch(shape, affine, momentum, dtype, rng):
    model, twin = twins(shape[1], dtype, rng, affine, momentum)
    model.build(shape[1:])
    if affine:
        for name in ("weight", "bias"):
            values = rng.normal(size=shape[1])
            setattr(model[0], name, values)
            getattr(twin, name).data = torch.tensor(values, dtype=getattr(twin, name).dtype)
    for training in (True, True, False, True):
        x, dy = ((3 * rng.normal(size=shape) + 1).astype(dtype) for _ in range(2))
        twin.train(training)
        twin.zero_grad()
        tx = torch.tensor(x, requires_grad=True)
        ty = twin(tx)
        ty.backward(torch.tensor(dy))
        np.testing.assert_allclose(model.forward(x, training=training), ty.detach().numpy(), **tolerance(dtype))
        np.testing.assert_allclose(model.backward(dy), tx.grad.numpy(), **tolerance(dtype))
        for name, gradient in model.gradients.items():
            np.testing.assert_allclose(gradient, getattr(twin, name.split(".")[1]).grad.numpy(), **tolerance(dtype))
    ours, theirs = model.state_dict(), twin.state_dict()
    assert [name.split(".")[1] for name in ours] == list(theirs)
    for name, value in ours.items():
        there = theirs[name.split(".")[1]].numpy()
        assert (value.dtype.kind, value.shape) == (there.dtype.kind, there.shape)
        np.testing.assert_allclose(value, there, **tolerance(dtype))
    twin.eval()
    np.testing.assert_allclose(model(x), twin(torch.tensor(x)).detach().numpy(), **tolerance(dtype))


def test_state_dict_goes_to_torch_and_back(rng):
    model, twin = twins(4, np.float32, rng)
    model.forward(rng.normal(size=(8, 4)), training=True)
    twin.load_state_dict({name.split(".")[1]: torch.tensor(value) for name, value in model.state_dict().items()})
    other = nn.Sequential(nn.BatchNorm1d(4))
    other.load_state_dict({f"0.{name}": value for name, value in twin.state_dict().items()})
    assert all(np.array_equal(a, b) for a, b in zip(model.state_dict().values(), other.state_dict().values(), strict=True))


@pytest.mark.parametrize("activation", ["ReLU", "GELU"])
@pytest.mark.parametrize("threads", [1, 2])
def test_training_follows_torch(activation, threads, dtype, rng):
    before = nn.get_num_threads()
    nn.set_num_threads(threads)
    try:
        model = nn.Sequential(
            nn.Linear(20, 300), nn.BatchNorm1d(300), getattr(nn, activation)(), nn.Linear(300, 50), nn.BatchNorm1d(50), nn.Tanh(),
            nn.Linear(50, 3), dtype=np.dtype(dtype).name, seed=1,
        )  # fmt: skip
        kind = getattr(torch, np.dtype(dtype).name)
        t = torch.nn
        twin = t.Sequential(
            t.Linear(20, 300),
            t.BatchNorm1d(300),
            getattr(t, activation)(),
            t.Linear(300, 50),
            t.BatchNorm1d(50),
            t.Tanh(),
            t.Linear(50, 3),
        ).to(kind)
        twin.load_state_dict({name: torch.tensor(value) for name, value in model.state_dict().items()})
        model.compile(loss="mse", optimizer=nn.optim.SGD(lr=0.02, momentum=0.9))
        optimizer = torch.optim.SGD(twin.parameters(), lr=0.02, momentum=0.9)
        for _ in range(60):
            x, y = rng.normal(size=(64, 20)).astype(dtype), rng.normal(size=(64, 3)).astype(dtype)
            loss = t.functional.mse_loss(twin(torch.tensor(x)), torch.tensor(y))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            assert model.train_on_batch(x, y) == pytest.approx(loss.item(), rel=1e-10 if dtype == np.float64 else 1e-4)
        for name, value in twin.state_dict().items():
            np.testing.assert_allclose(
                model.state_dict()[name],
                value.numpy(),
                rtol=1e-8 if dtype == np.float64 else 2e-3,
                atol=1e-10 if dtype == np.float64 else 1e-4,
            )
    finally:
        nn.set_num_threads(before)


def test_a_batch_of_one_is_refused_and_nothing_changes(rng):
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 1), seed=0)
    model.compile(loss="mse", optimizer="sgd")
    before = model.state_dict()
    x, y = rng.normal(size=(9, 3)), rng.normal(size=9)
    for call in (
        lambda: model.train_on_batch(x[:1], y[:1]),
        lambda: model.fit(x, y, batch_size=4),  # 4 + 4 + 1
        lambda: model.forward(x[:1], training=True),
    ):
        with pytest.raises(ShapeError, match=r"layer 1 \(BatchNorm1d\).*at least 2 rows"):
            call()
    assert all(np.array_equal(a, b) for a, b in zip(before.values(), model.state_dict().values(), strict=True))
    assert model(x[:1]).shape == (1, 1)


def test_one_number_per_channel_is_refused_as_in_torch(rng):
    model, twin = twins(3, np.float32, rng)
    x = rng.normal(size=(1, 3, 1)).astype(np.float32)
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        twin(torch.tensor(x))
    model.build((3, 1))
    with pytest.raises(ShapeError, match=r"layer 0 \(BatchNorm1d\).*at least 2 rows"):
        model.forward(x, training=True)
    assert model(x).shape == (1, 3, 1)


@pytest.mark.parametrize("shape", [(13, 7), (9, 1), (65, 33), (3, 5, 11), (2, 4, 1), (257, 17)])
@pytest.mark.parametrize("momentum", [0.3, None])
def test_a_mean_far_above_the_spread(shape, momentum, dtype, rng):
    """A thousand or a million times; a variance from the mean of squares would have lost most or all of its digits."""
    spread, within = (0.01, 1e-8) if dtype == np.float64 else (10, 2e-4)
    model, twin = twins(shape[1], dtype, rng, momentum=momentum)
    model.build(shape[1:])
    axes = (0,) if len(shape) == 2 else (0, 2)
    for _ in range(3):
        x, dy = (1e4 + spread * rng.normal(size=shape)).astype(dtype), rng.normal(size=shape).astype(dtype)
        exact = x.astype(np.longdouble)
        exact -= exact.mean(axes, keepdims=True)
        normal = exact / np.sqrt((exact**2).mean(axes, keepdims=True) + 1e-5)
        np.testing.assert_allclose(model.forward(x, training=True), normal, rtol=0, atol=within * 10)
        tx = torch.tensor(x, requires_grad=True)
        twin(tx).backward(torch.tensor(dy))
        scale = float(abs(tx.grad).max())
        np.testing.assert_allclose(model.backward(dy), tx.grad.numpy(), rtol=0, atol=100 * within * scale)
    for name in ("running_mean", "running_var"):
        np.testing.assert_allclose(getattr(model[0], name), getattr(twin, name).numpy(), rtol=100 * within)
    assert model[0].num_batches_tracked == 3


def test_wrong_width_names_the_layer():
    with pytest.raises(ShapeError, match=r"layer 1 \(BatchNorm1d\) expects input of shape \[\*, 5\].*gets \[\*, 4\] from layer 0"):
        nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(5))


@pytest.mark.parametrize("stranger", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("momentum", [0.1, None])
def test_a_batch_that_is_not_finite_leaves_the_running_statistics_alone(stranger, momentum, rng):
    model = nn.Sequential(nn.BatchNorm1d(2, momentum=momentum))
    model.forward(rng.normal(size=(8, 2)), training=True)
    before = np.array(model[0].running_mean), np.array(model[0].running_var)
    x = rng.normal(size=(8, 2))
    x[3, 0] = stranger
    y = model.forward(x, training=True)
    assert np.isnan(y[:, 0]).all()
    assert np.isfinite(y[:, 1]).all()
    assert model[0].running_mean[0] == before[0][0]
    assert model[0].running_var[0] == before[1][0]
    assert model[0].running_mean[1] != before[0][1]


def test_a_variance_that_overflows_leaves_the_mean_alone_too(rng):
    model = nn.Sequential(nn.BatchNorm1d(2))
    x = rng.normal(size=(8, 2)).astype(np.float32)
    x[3, 0] = 1e30
    model.forward(x, training=True)
    assert (model[0].running_mean[0], model[0].running_var[0]) == (0, 1)
    assert model[0].running_mean[1] != 0


@pytest.mark.parametrize("shape", [(8, 5), (4, 5, 3)])
@pytest.mark.parametrize("bad", [{0}, {1}, {0, 2}])
def test_a_plain_average_is_one_over_the_finite_batches(shape, bad, rng):
    model = nn.Sequential(nn.BatchNorm1d(5, momentum=None), dtype="float64").build(shape[1:])
    batches = 7 + rng.normal(size=(4, *shape))
    for i, batch in enumerate(batches):
        x = batch.copy()
        if i in bad:
            x[0] = np.inf
        model.forward(x, training=True)
    good = [batch for i, batch in enumerate(batches) if i not in bad]
    axes = (0,) if len(shape) == 2 else (0, 2)
    np.testing.assert_allclose(model[0].running_mean, np.mean([b.mean(axes) for b in good], 0), rtol=1e-12)
    np.testing.assert_allclose(model[0].running_var, np.mean([b.var(axes, ddof=1) for b in good], 0), rtol=1e-12)
    assert model[0].num_batches_tracked == len(good)


def test_a_layer_that_takes_more_dimensions_may_come_before_flatten(rng):
    model = nn.Sequential(nn.BatchNorm1d(3), nn.Flatten(), nn.Linear(12, 2), dtype="float64", seed=0)
    twin = torch.nn.Sequential(torch.nn.BatchNorm1d(3), torch.nn.Flatten(), torch.nn.Linear(12, 2)).double()
    x = rng.normal(size=(6, 3, 4))
    y = model.forward(x, training=True)
    twin.load_state_dict({name: torch.tensor(value) for name, value in model.state_dict().items()})
    np.testing.assert_allclose(y, twin(torch.tensor(x)).detach().numpy(), rtol=1e-10, atol=1e-12)
    with pytest.raises(ShapeError, match=r"layer 2 \(Linear\) expects input of shape \[\*, 12\] but gets \[\*, 9\]"):
        nn.Sequential(nn.BatchNorm1d(3), nn.Flatten(), nn.Linear(12, 2)).build((3, 3))
    with pytest.raises(ShapeError, match="layer 1"):  # no layer in between that could make it right
        nn.Sequential(nn.BatchNorm1d(3), nn.Linear(12, 2))
