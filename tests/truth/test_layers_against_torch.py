"""LayerNorm, PReLU, Embedding, Maxout and untracked batch norm against PyTorch: one batch, and training runs of 200 steps."""

import copy
import pickle

import numpy as np
import pytest

import nncore as nn
from nncore.errors import ArgumentError, IndexRangeError, ShapeError

torch = pytest.importorskip("torch", reason="PyTorch is the reference of this file; install the extra test peers")


def tolerance(dtype):
    return {"rtol": 1e-10, "atol": 1e-11} if dtype == np.float64 else {"rtol": 2e-4, "atol": 3e-5}


class TorchMaxout(torch.nn.Module):
    def __init__(self, fan_in, fan_out, pieces):
        super().__init__()
        inner = torch.nn.Linear(fan_in, pieces * fan_out)
        self.weight, self.bias, self.pieces = inner.weight, inner.bias, pieces

    def forward(self, x):
        z = torch.nn.functional.linear(x, self.weight, self.bias)
        return z.unflatten(-1, (self.pieces, -1)).max(-2).values


CASES = {
    "layer norm": ("LayerNorm(37)", (37,)),
    "wide layer norm": ("LayerNorm(300, eps=1e-3)", (300,)),
    "layer norm of lines": ("LayerNorm(5)", (7, 5)),
    "layer norm of planes": ("LayerNorm((7, 5))", (3, 7, 5)),
    "layer norm, no bias": ("LayerNorm((4, 5), bias=False)", (4, 5)),
    "layer norm, plain": ("LayerNorm(9, elementwise_affine=False)", (9,)),
    "one slope": ("PReLU()", (11,)),
    "one slope of planes": ("PReLU(init=-0.3)", (3, 4, 5)),
    "slopes of columns": ("PReLU(70)", (70,)),
    "slopes of channels": ("PReLU(3, 0.1)", (3, 8)),
    "slopes of planes": ("PReLU(3)", (3, 4, 5)),
    "maxout": ("Maxout(6, 10, 3)", (6,)),
    "maxout of lines": ("Maxout(6, 10, 2)", (4, 6)),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("training", [True, False])
def test_like_torch(case, training, dtype, rng):
    expression, shape = CASES[case]
    layer = eval(f"nn.{expression}")
    kind = getattr(torch, dtype.name)
    twin = eval(expression, {**vars(torch.nn), "Maxout": TorchMaxout}).to(kind)
    model = nn.Sequential(layer, dtype=dtype.name, seed=3).build(shape)
    for name, own in model.named_parameters():
        theirs = getattr(twin, name.split(".")[1])
        assert own.shape == tuple(theirs.shape)
        own[...] = rng.normal(size=own.shape)
        theirs.data = torch.from_numpy(np.array(own))
    x, (x_torch, dy) = rng.normal(1, 2, (6, *shape)).astype(dtype), (None, None)
    x_torch = torch.tensor(x, requires_grad=True)
    y = twin(x_torch)
    dy = rng.normal(size=tuple(y.shape)).astype(dtype)
    y.backward(torch.tensor(dy))
    np.testing.assert_allclose(model.forward(x, training=training), y.detach().numpy(), **tolerance(dtype))
    np.testing.assert_allclose(model.backward(dy), x_torch.grad.numpy(), **tolerance(dtype))
    np.testing.assert_allclose(model(x), y.detach().numpy(), **tolerance(dtype))
    for name, gradient in model.gradients.items():
        expected = getattr(twin, name.split(".")[1]).grad.numpy()
        np.testing.assert_allclose(gradient, expected, **{**tolerance(dtype), "atol": tolerance(dtype)["atol"] * 10})


def nets(dtype):
    t = torch.nn
    ours = nn.Sequential(
        nn.Linear(7, 70), nn.LayerNorm(70), nn.ReLU(), nn.Maxout(70, 20, 3), nn.PReLU(20), nn.LayerNorm(20), nn.Linear(20, 2),
        seed=5, dtype=dtype.name,
    )  # fmt: skip
    theirs = t.Sequential(
        t.Linear(7, 70), t.LayerNorm(70), t.ReLU(), TorchMaxout(70, 20, 3), t.PReLU(20), t.LayerNorm(20), t.Linear(20, 2)
    ).to(getattr(torch, dtype.name))
    theirs.load_state_dict({k: torch.from_numpy(v) for k, v in ours.state_dict().items()})
    return ours, theirs


def follow(ours, theirs, batches, dtype, lr=1e-2):
    ours.compile(loss="mse", optimizer=nn.optim.Adam(lr=lr))
    optimizer = torch.optim.Adam(theirs.parameters(), lr=lr)
    for x, y in batches:
        optimizer.zero_grad()
        loss = torch.nn.functional.mse_loss(theirs(torch.from_numpy(x)), torch.from_numpy(y))
        loss.backward()
        optimizer.step()
        got = ours.train_on_batch(x.astype(dtype) if x.dtype.kind == "f" else x, y)
        assert got == pytest.approx(loss.item(), rel=1e-10 if dtype == np.float64 else 1e-4)


@pytest.mark.parametrize("threads", [1, 2])
def test_training_follows_torch(threads, dtype, rng):
    ours, theirs = nets(dtype)
    x, y = rng.normal(size=(64, 7)).astype(dtype), rng.normal(size=(64, 2)).astype(dtype)
    with nn.threads(threads):
        # Where two pieces are nearly equal, rounding decides who gets the gradient, so in float32 not forever.
        follow(ours, theirs, [(x, y)] * (200 if dtype == np.float64 else 30), dtype, lr=1e-2 if dtype == np.float64 else 1e-3)


@pytest.mark.parametrize("padding", [None, 0, -1])
def test_embeddings_follow_torch(padding, dtype, rng):
    t, kind = torch.nn, getattr(torch, dtype.name)
    ours = nn.Sequential(
        nn.Embedding(50, 8, padding_idx=padding),
        nn.Flatten(),
        nn.Linear(48, 3),
        nn.Tanh(),
        nn.Linear(3, 1),
        dtype=dtype.name,
        seed=1,
    )
    ours.build((6,))
    theirs = t.Sequential(t.Embedding(50, 8, padding_idx=padding), t.Flatten(), t.Linear(48, 3), t.Tanh(), t.Linear(3, 1)).to(kind)
    if padding is not None:
        assert not ours[0].weight[padding].any()
    theirs.load_state_dict({k: torch.from_numpy(v) for k, v in ours.state_dict().items()})
    x, y = rng.integers(0, 50, (32, 6)), rng.normal(size=(32, 1)).astype(dtype)
    follow(ours, theirs, [(x, y)] * 200, dtype)
    np.testing.assert_allclose(ours[0].weight, theirs[0].weight.detach().numpy(), atol=1e-9 if dtype == np.float64 else 1e-3)


def everything(seed=2):
    return nn.Sequential(
        nn.Embedding(20, 6, padding_idx=0), nn.GaussianNoise(0.2), nn.LayerNorm((4, 6)), nn.PReLU(4), nn.Reshape(-1),
        nn.Reshape(2, 12),
        nn.Maxout(12, 5), nn.Flatten(), nn.Dropout(0.2), nn.BatchNorm1d(10, track_running_stats=False), nn.Linear(10, 3),
        nn.Softmax(), nn.Identity(), seed=seed,
    ).build((4,))  # fmt: skip


def data(rng, rows=96):
    x = rng.integers(0, 20, (rows, 4))
    return x, (x.sum(1) % 3)


def test_everything_trains_saves_copies_and_shows(tmp_path, rng):
    x, y = data(rng)
    model = everything()
    model.compile(loss="sparse_categorical_crossentropy", optimizer=nn.optim.Adam(lr=1e-2), metrics=["accuracy"])
    losses = model.fit(x, y, epochs=30, batch_size=16, verbose=0).history["loss"]
    assert losses[-1] < 0.8 * losses[0]
    text = str(model.summary(show=False))
    for layer in model.layers:
        assert type(layer).__name__ in text
    model.save(tmp_path / "net.safetensors")
    for other in (nn.load(tmp_path / "net.safetensors"), pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
        np.testing.assert_array_equal(other(x), model(x))
        again = copy.deepcopy(model)
        for each in (other, again):
            each.fit(x, y, epochs=2, batch_size=16, verbose=0)
        assert all(np.array_equal(a, b) for a, b in zip(other.get_weights(), again.get_weights(), strict=True))


def test_the_same_bits_for_any_number_of_threads(rng):
    x, y = data(rng, 302)
    weights = []
    for threads in (1, 2, 3, 5):
        model = nn.Sequential(
            nn.Embedding(20, 64), nn.GaussianNoise(0.2), nn.LayerNorm((4, 64)), nn.PReLU(4), nn.Flatten(), nn.Maxout(256, 300),
            nn.BatchNorm1d(300, track_running_stats=False), nn.ReLU(), nn.LayerNorm(300), nn.Tanh(), nn.PReLU(300),
            nn.Linear(300, 3),
            nn.Softmax(), seed=4,
        ).build((4,))  # fmt: skip
        model.compile(loss="sparse_categorical_crossentropy", optimizer="adam")
        with nn.threads(threads):
            model.fit(x, y, epochs=2, batch_size=75, verbose=0)
            weights.append([*model.get_weights(), model(x), model.forward(x)])
    for other in weights[1:]:
        assert all(np.array_equal(a, b) for a, b in zip(weights[0], other, strict=True))


@pytest.mark.parametrize("bad", [-1, 20, 2.5, np.nan, 2**40])
def test_what_is_no_index_is_refused_and_nothing_changes(bad, rng):
    x, y = data(rng)
    model = nn.Sequential(nn.Embedding(20, 6), nn.Flatten(), nn.Linear(24, 3), seed=0).build((4,))
    model.compile(loss=nn.losses.SparseCategoricalCrossentropy(from_logits=True), optimizer="adam")
    before = model.get_weights()
    wrong = x.astype(np.float64) if isinstance(bad, float) else x.copy()
    wrong[-1, 2] = bad
    calls = (
        lambda: model.fit(wrong, y, epochs=1, batch_size=8, verbose=0),
        lambda: model.train_on_batch(wrong, y),
        lambda: model.train_on_batch(wrong.astype(np.float32), y),
        lambda: model.evaluate(wrong, y),
        lambda: model.predict(wrong),
        lambda: model(wrong),
        lambda: model(wrong.astype(np.float32)),
        lambda: model.forward(wrong, training=True),
    )
    for call in calls:
        with pytest.raises(IndexRangeError, match=r"\(95, 2\).*whole numbers from 0 to 19"):
            call()
    assert model.step == 0
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))


def test_embeddings_refuse_what_cannot_work():
    with pytest.raises(ArgumentError, match="16777216 indices apart.*float64"):
        nn.Sequential(nn.Embedding(2**24 + 1, 1)).build((1,))
    with pytest.raises(ShapeError, match=r"layer 1 \(Embedding\) takes indices.*layer 0 \(Linear\)"):
        nn.Sequential(nn.Linear(3, 3), nn.Embedding(4, 2))
    for arguments in ((0, 1), (4, 0), (4, 2, 4), (4, 2, -5)):
        with pytest.raises(ArgumentError):
            nn.Embedding(*arguments)


def test_shapes_that_do_not_fit_name_the_layer():
    with pytest.raises(ShapeError, match=r"layer 1 \(LayerNorm\).*\[\*, 5\].*\[\*, 4\] from layer 0"):
        nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(5))
    with pytest.raises(ShapeError, match=r"layer 1 \(PReLU\): num_parameters=3"):
        nn.Sequential(nn.Linear(3, 4), nn.PReLU(3))
    with pytest.raises(ShapeError, match=r"layer 1 \(Reshape\) cannot turn \[\*, 4\].*into \[\*, 3, 1\]"):
        nn.Sequential(nn.Linear(3, 4), nn.Reshape(3, -1)).build((3,))
    makers = [nn.Reshape, lambda: nn.Reshape(-1, -1), lambda: nn.Reshape(0), lambda: nn.LayerNorm(()), lambda: nn.Maxout(1, 1, 0)]
    for make in makers:
        with pytest.raises(ArgumentError):
            make()


@pytest.mark.parametrize("shape", [(16, 5), (8, 5, 7)])
def test_batch_norm_without_running_statistics(shape, dtype, rng):
    kind = getattr(torch, dtype.name)
    twin = torch.nn.BatchNorm1d(5, track_running_stats=False).to(kind)
    model = nn.Sequential(nn.BatchNorm1d(5, track_running_stats=False), dtype=dtype.name).build(shape[1:])
    assert [name.split(".")[1] for name in model.state_dict()] == list(twin.state_dict())
    assert model[0].running_mean is None
    x, dy = rng.normal(3, 2, shape).astype(dtype), rng.normal(size=shape).astype(dtype)
    for training in (True, False):
        twin.train(training)
        tx = torch.tensor(x, requires_grad=True)
        ty = twin(tx)
        ty.backward(torch.tensor(dy))
        np.testing.assert_allclose(model.forward(x, training=training), ty.detach().numpy(), **tolerance(dtype))
        np.testing.assert_allclose(model.backward(dy), tx.grad.numpy(), **tolerance(dtype))
    for y in (model(x), model.predict(x)):
        np.testing.assert_allclose(y, ty.detach().numpy(), **tolerance(dtype))
    if len(shape) == 2:
        for call in (lambda: model(x[:1]), lambda: model.predict(x[:1]), lambda: model.forward(x[:1])):
            with pytest.raises(ShapeError, match=r"layer 0 \(BatchNorm1d\).*at least 2 rows"):
                call()


def test_untracked_batch_norm_takes_all_rows_as_one_batch(rng):
    model = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8, track_running_stats=False), nn.Linear(8, 1), seed=0)
    x = rng.normal(size=(5000, 4)).astype(np.float32)
    z = x.astype(np.float64) @ np.array(model[0].weight, np.float64).T
    normed = (z - z.mean(0)) / np.sqrt(z.var(0) + 1e-5)
    expected = normed @ np.array(model[2].weight, np.float64).T
    for y in (model(x), model.predict(x), model.forward(x)):
        np.testing.assert_allclose(y, expected, atol=1e-4)


@pytest.mark.parametrize("views", [(), ("Flatten",), ("Identity",), ("Identity", "Flatten")])
@pytest.mark.parametrize("norm", [True, False])
def test_a_view_behind_the_activation_keeps_the_stable_loss(views, norm):
    """A logit of 200: as a probability it is 1, and its gradient would be lost."""
    model = nn.Sequential(
        nn.Linear(1, 1, weight_init="ones"), *([nn.LayerNorm(1)] if norm else []), nn.Sigmoid(), *(getattr(nn, v)() for v in views)
    )
    model.compile(loss="binary_crossentropy", optimizer="sgd", metrics=["accuracy"])
    if norm:
        model[1].bias = [200.0]
    assert model.train_on_batch([[200.0]], [[0.0]])[0] == pytest.approx(200.0)
    assert model.gradients["1.bias" if norm else "0.bias"] == 1.0
    soft = nn.Sequential(nn.Linear(1, 2), nn.Softmax(), *(getattr(nn, v)() for v in views), dtype="float64")
    soft[0].weight = [[1.0], [-1.0]]
    soft.compile(loss="sparse_categorical_crossentropy", optimizer="sgd")
    assert soft.train_on_batch([[500.0]], [1]) == pytest.approx(1000.0)


def test_noise_only_while_training(rng):
    model = nn.Sequential(nn.GaussianNoise(0.5), nn.Linear(50, 1, bias=False, weight_init="ones"), seed=3)
    x = np.zeros((400, 50), np.float32)
    assert not model(x).any()
    assert not model.forward(x, training=False).any()
    noisy = model.forward(x, training=True)
    assert noisy.std() == pytest.approx(0.5 * np.sqrt(50), rel=0.2)
    assert not np.array_equal(model.forward(x, training=True), noisy)  # each pass draws its own
    model.compile(loss="mse", optimizer=nn.optim.SGD(lr=1e-6))
    model.train_on_batch(x, np.zeros((400, 1)))
    assert not np.array_equal(model.forward(x, training=True), noisy)
