"""BatchNorm1d over the features of sequences, against PyTorch on the valid steps alone, one row each."""

import numpy as np
import pytest

import nncore as nn
from nncore.errors import ArgumentError, ShapeError

torch = pytest.importorskip("torch", reason="PyTorch is the reference of this file; install the extra test peers")


def tolerance(dtype):
    return {"rtol": 1e-9, "atol": 1e-11} if dtype == np.float64 else {"rtol": 1e-3, "atol": 5e-5}


def padded(rng, shape, lengths, dtype, filler=np.nan):
    x = (3 * rng.normal(size=shape) + 1).astype(dtype)
    x[~valid(shape, lengths)] = filler
    return x


def valid(shape, lengths):
    return np.arange(shape[1]) < np.asarray(lengths)[:, None]


@pytest.fixture(params=[1, 2])
def threads(request):
    before = nn.get_num_threads()
    nn.set_num_threads(request.param)
    yield
    nn.set_num_threads(before)


@pytest.mark.parametrize(
    ("shape", "lengths"),
    [
        ((3, 6, 4), [6, 1, 4]),
        ((3, 6, 4), None),
        ((19, 11, 37), "random"),
        ((2, 1, 5), [1, 1]),
        ((1, 20, 3), [17]),
        ((9, 8, 70), "random"),
        ((40, 9, 2), "random"),
        ((5, 4, 3, 6), [4, 1, 2, 3, 4]),
    ],
)
@pytest.mark.parametrize("track", [True, False])
@pytest.mark.parametrize("momentum", [0.1, None])
@pytest.mark.parametrize("after", [None, "Sigmoid", "GELU"])
def test_like_torch_on_the_valid_steps(shape, lengths, track, momentum, after, dtype, rng, threads):
    features = shape[-1]
    lengths = rng.integers(1, shape[1] + 1, shape[0]) if isinstance(lengths, str) else lengths
    counted = np.full(shape[0], shape[1]) if lengths is None else np.asarray(lengths)
    chosen = valid(shape, counted)
    layer = nn.BatchNorm1d(features, momentum=momentum, track_running_stats=track, axis=-1)
    twin = torch.nn.BatchNorm1d(features, momentum=momentum, track_running_stats=track, dtype=getattr(torch, np.dtype(dtype).name))
    model = nn.Sequential(layer, *([getattr(nn, after)()] if after else []), dtype=np.dtype(dtype).name).build(shape[1:])
    activation = getattr(torch.nn, after)() if after else torch.nn.Identity()
    for name in ("weight", "bias"):
        values = rng.normal(size=features)
        setattr(layer, name, values)
        getattr(twin, name).data = torch.tensor(values, dtype=getattr(twin, name).dtype)
    for training in (True, True, False, True):
        x, dy = padded(rng, shape, counted, dtype), padded(rng, shape, counted, dtype)
        twin.train(training)
        twin.zero_grad()
        tx = torch.tensor(x[chosen].reshape(-1, features), requires_grad=True)
        ty = activation(twin(tx))
        ty.backward(torch.tensor(dy[chosen].reshape(-1, features)))
        y = model.forward(x, training=training, lengths=lengths)
        np.testing.assert_allclose(y[chosen].reshape(-1, features), ty.detach().numpy(), **tolerance(dtype))
        dx = model.backward(dy)
        np.testing.assert_allclose(dx[chosen].reshape(-1, features), tx.grad.numpy(), **tolerance(dtype))
        assert not dx[~chosen].any()
        for name, gradient in model.gradients.items():
            np.testing.assert_allclose(gradient, getattr(twin, name.split(".")[1]).grad.numpy(), **tolerance(dtype))
    for name, value in model.state_dict().items():
        np.testing.assert_allclose(value, twin.state_dict()[name.split(".")[1]].numpy(), **tolerance(dtype))
    twin.eval()
    found = model.predict(x, lengths=lengths)[chosen].reshape(-1, features)
    np.testing.assert_allclose(found, activation(twin(torch.tensor(x[chosen].reshape(-1, features)))).detach(), **tolerance(dtype))


def test_training_follows_torch_on_the_valid_steps(dtype, rng, threads):
    """Through fit: shuffled rows and their lengths, several batches, two norms, one of them where another layer reads its input."""
    x = nn.Input((7, 5))
    h = nn.Linear(5, 24)(x)
    y = nn.Linear(24, 2)(nn.add([nn.Tanh()(nn.BatchNorm1d(24, axis=-1)(h)), nn.BatchNorm1d(24, axis=-1, affine=False)(h)]))
    model = nn.Model(x, y, dtype=np.dtype(dtype).name, seed=0)
    kind = getattr(torch, np.dtype(dtype).name)
    first, last = torch.nn.Linear(5, 24, dtype=kind), torch.nn.Linear(24, 2, dtype=kind)
    norms = torch.nn.BatchNorm1d(24, dtype=kind), torch.nn.BatchNorm1d(24, affine=False, dtype=kind)
    weights = [torch.tensor(value.copy()) for value in model.parameters()]
    with torch.no_grad():
        for to, value in zip(
            [first.weight, first.bias, norms[0].weight, norms[0].bias, last.weight, last.bias], weights, strict=True
        ):
            to.copy_(value)
    parameters = [p for part in (first, *norms, last) for p in part.parameters()]
    model.compile(loss="mse", optimizer=nn.optim.SGD(lr=0.05, momentum=0.9))
    optimizer = torch.optim.SGD(parameters, lr=0.05, momentum=0.9)
    for _ in range(12):
        lengths = rng.integers(1, 8, 20)
        data, target = padded(rng, (20, 7, 5), lengths, dtype), rng.normal(size=(20, 7, 2)).astype(dtype)
        chosen = valid(data.shape, lengths)
        hidden = first(torch.tensor(data[chosen]))
        out = last(torch.tanh(norms[0](hidden)) + norms[1](hidden))
        loss = torch.nn.functional.mse_loss(out, torch.tensor(target[chosen]))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        found = model.train_on_batch(data, target, lengths=lengths)
        assert found == pytest.approx(loss.item(), rel=1e-8 if dtype == np.float64 else 2e-3)
    for own, theirs in zip(model.parameters(), parameters, strict=True):
        scale = {"rtol": 1e-6, "atol": 1e-8} if dtype == np.float64 else {"rtol": 2e-2, "atol": 2e-3}
        np.testing.assert_allclose(own, theirs.detach(), **scale)


def test_inference_gives_each_row_what_it_gives_alone(rng):
    model = nn.Sequential(nn.BatchNorm1d(3, axis=-1), nn.GRU(3, 4), seed=0).build((6, 3))
    model[0].running_mean[...], model[0].running_var[...] = [1, -2, 0.5], [2, 0.1, 1]
    x = padded(rng, (4, 6, 3), [2, 6, 4, 1], np.float32)
    found = model.predict(x, lengths=[2, 6, 4, 1])
    for i, n in enumerate([2, 6, 4, 1]):
        np.testing.assert_array_equal(found[i : i + 1], model.predict(x[i : i + 1, :n]))
    model.predict(np.nan_to_num(x))
    stream = model.stream(4)
    steps = [stream.step(np.ascontiguousarray(np.nan_to_num(x)[:, t])).copy() for t in range(6)]
    np.testing.assert_array_equal(steps[-1], model.predict(np.nan_to_num(x)))


def test_one_valid_step_has_no_variance(rng):
    model = nn.Sequential(nn.BatchNorm1d(3, axis=-1), nn.Linear(3, 1), seed=0).build((6, 3))
    model.compile(loss="mse", optimizer="sgd")
    before = {name: value.copy() for name, value in model.state_dict().items()}
    x, y = rng.normal(size=(3, 6, 3)).astype("f4"), np.zeros((3, 6, 1), "f4")
    for call in (
        lambda: model.train_on_batch(x[:1], y[:1], lengths=[1]),
        lambda: model.fit(x, y, lengths=[3, 4, 1], batch_size=2, shuffle=False),
        lambda: model.fit(x, y, lengths=[1, 2, 6], batch_size=1),
        lambda: model.forward(x[:1], training=True, lengths=[1]),
    ):
        with pytest.raises(ShapeError, match=r"layer 0 \(BatchNorm1d\): a training batch of one row of length 1 has no variance"):
            call()
    for name, value in model.state_dict().items():
        np.testing.assert_array_equal(value, before[name])
    model.train_on_batch(x[:1], y[:1], lengths=[2])
    model.fit(x, y, lengths=[1, 4, 2], batch_size=2, shuffle=False, verbose=0)
    model.forward(x[:1], lengths=[1])
    untracked = nn.Sequential(nn.BatchNorm1d(3, axis=-1, track_running_stats=False)).build((6, 3))
    untracked.predict(x[:1], lengths=[2])
    with pytest.raises(ShapeError, match="one step has no variance"):
        untracked.predict(x[:1], lengths=[1])


def test_the_axis_is_checked_and_named(rng):
    with pytest.raises(ArgumentError, match="axis must be 1"):
        nn.BatchNorm1d(3, axis=2)
    with pytest.raises(ShapeError, match=r"expects input of shape \[\*, 3\] or \[\*, 3, length\] but gets \[\*, 6, 3\].*axis=-1"):
        nn.BatchNorm1d(3)(nn.Input((6, 3)))
    with pytest.raises(ShapeError, match=r"last dimension is 3 \(axis=-1\) but gets \[\*, 3, 6\]"):
        nn.BatchNorm1d(3, axis=-1)(nn.Input((3, 6)))
    with pytest.raises(ShapeError, match=r"channels are the time steps; use axis=-1"):
        nn.Sequential(nn.BatchNorm1d(6)).build((6, 3)).predict(rng.normal(size=(2, 6, 3)), lengths=[3, 6])
    assert "axis" not in repr(nn.BatchNorm1d(3))
    same = nn.Sequential(nn.BatchNorm1d(3, axis=-1))  # of [N, features], the last dimension is the first
    x = rng.normal(size=(5, 3))
    np.testing.assert_array_equal(same.forward(x, training=True), nn.Sequential(nn.BatchNorm1d(3)).forward(x, training=True))
    with pytest.raises(ShapeError, match="stream: .*statistics of the whole sequence"):
        nn.Sequential(nn.BatchNorm1d(3, axis=-1, track_running_stats=False), nn.GRU(3, 2)).build((6, 3)).stream()


def test_a_model_with_it_is_saved_and_loaded(tmp_path, rng):
    model = nn.Sequential(nn.BatchNorm1d(3, axis=-1), nn.Linear(3, 1), seed=0).build((6, 3))
    x = rng.normal(size=(4, 6, 3))
    model.forward(x, training=True)
    model.save(tmp_path / "m.safetensors")
    again = nn.load(tmp_path / "m.safetensors")
    assert again[0].axis == -1
    np.testing.assert_array_equal(again.predict(x), model.predict(x))
