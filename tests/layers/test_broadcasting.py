"""Merges whose inputs are broadcast: gates and shifts for whole samples, time steps or channels, against NumPy and PyTorch."""

import copy

import numpy as np
import pytest

import nncore as nn
from nncore import errors

PAIRS = [
    ((5,), (1,)),
    ((1,), (5,)),
    ((4, 5), (4, 1)),
    ((4, 5), (1, 5)),
    ((4, 5), (5,)),
    ((4, 5), (1,)),
    ((1, 1), (4, 5)),
    ((4, 5), ()),
    ((2, 3, 4), (2, 1, 4)),
    ((2, 3, 33), (1, 3, 1)),
    ((2, 3, 4), (3, 1)),
    ((3, 1), (1, 1)),
]


def under(x, rank):
    """As NumPy broadcasts it, but after the batch."""
    return x.reshape(len(x), *(1,) * (rank - x.ndim + 1), *x.shape[1:])


@pytest.mark.parametrize(("one", "other"), PAIRS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_forward_and_backward(one, other, dtype, rng):
    torch = pytest.importorskip("torch")
    a, b = nn.Input(one), nn.Input(other)
    model = nn.Model([a, b], a * b, dtype=dtype)
    x = [rng.normal(size=(6, *shape)).astype(dtype) for shape in (one, other)]
    rank = max(len(one), len(other))
    expected = under(x[0], rank) * under(x[1], rank)
    np.testing.assert_array_equal(model(x), expected)
    assert model.output_shapes == [expected.shape[1:]]
    tensors = [torch.tensor(each, requires_grad=True) for each in x]
    y = tensors[0].reshape(under(x[0], rank).shape) * tensors[1].reshape(under(x[1], rank).shape)
    g = rng.normal(size=expected.shape).astype(dtype)
    (y * torch.tensor(g)).sum().backward()
    np.testing.assert_array_equal(model.forward(x), expected)
    for found, tensor in zip(model.backward(g), tensors, strict=True):
        np.testing.assert_allclose(found, tensor.grad, rtol=1e-12 if dtype == "float64" else 1e-5, atol=1e-6)


def excited(seed=0):
    """A gate from a summary of the features, read twice, and weights for the time steps."""
    x = nn.Input((7, 4), name="x")
    h = nn.Tanh()(nn.Linear(4, 6, name="up")(x))
    weight = nn.Sigmoid()(nn.Linear(6, 1, name="attention")(h))
    kept = nn.Multiply()([weight, h, nn.ReLU()(nn.Linear(6, 1, name="other")(h))])
    last = nn.GRU(6, 3, name="gru")(kept * h)
    gate = nn.Sigmoid()(nn.Linear(3, 1, name="gate")(last))
    return nn.Model(x, nn.Linear(3, 2, name="y")(gate * last), seed=seed, dtype="float64")


def test_gradients_where_values_are_read_again(rng):
    model = excited()
    model.compile("mse", "sgd")
    assert nn.check_gradients(model, rng.normal(size=(5, 7, 4)), rng.normal(size=(5, 2)))


def test_training_copies_files_and_threads(tmp_path, rng):
    x, y = rng.normal(size=(64, 7, 4)), rng.normal(size=(64, 2))
    reached = []
    for threads in (1, 2):
        model = excited()
        model.compile("mse", "adam")
        with nn.threads(threads):
            losses = model.fit(x, y, epochs=5, batch_size=24).history["loss"]
        assert losses[-1] < losses[0]
        reached.append([each.tobytes() for each in model.get_weights()])
    assert reached[0] == reached[1]
    model.save(tmp_path / "model.safetensors")
    np.testing.assert_array_equal(nn.load(tmp_path / "model.safetensors").predict(x), model.predict(x))
    assert "[*, 7, 6]" in str(model.summary(show=False))


def test_padding_stays_out(rng):
    """One factor for all steps does not hide which of them count."""
    x, z = nn.Input((7, 3), name="x"), nn.Input((1, 3), name="z")
    model = nn.Model([x, z], nn.Linear(3, 2)(x * z), seed=0, dtype="float64")
    model.compile("mse", "sgd")
    data = [rng.normal(size=(9, 7, 3)), rng.normal(size=(9, 1, 3))]
    y, lengths = rng.normal(size=(9, 7, 2)), rng.integers(1, 8, 9)
    counts = np.arange(7) < lengths[:, None]
    expected = ((model.predict(data) - y) ** 2).mean(axis=2)[counts].mean()
    data[0][~counts], y[~counts] = np.nan, np.nan
    assert model.evaluate(data, y, lengths=lengths) == pytest.approx(expected, rel=1e-12)


def test_alone():
    np.testing.assert_array_equal(nn.Multiply()([np.ones((2, 3)), np.array([[2.0], [3.0]])]), [[2, 2, 2], [3, 3, 3]])


MERGES = {
    "add": lambda torch, a, b: a + b,
    "subtract": lambda torch, a, b: a - b,
    "average": lambda torch, a, b: (a + b) / 2,
    "multiply": lambda torch, a, b: a * b,
    "maximum": lambda torch, a, b: torch.maximum(a, b),
    "minimum": lambda torch, a, b: torch.minimum(a, b),
}


@pytest.mark.parametrize(("one", "other"), [*PAIRS, ((3, 1), (1, 4)), ((2, 1, 3), (4, 1)), ((3,), (3, 1))])
@pytest.mark.parametrize("name", MERGES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_merge_broadcasts(name, one, other, dtype, rng):
    """Against PyTorch, in whole numbers, so that many are equal; both inputs are read once more, so that gradients add up."""
    torch = pytest.importorskip("torch")
    a, b = nn.Input(one, name="a"), nn.Input(other, name="b")
    y = getattr(nn, name)([a, b])
    model = nn.Model([a, b], [y, 2 * y, a * 3.0, b + 1.0], dtype=dtype)
    x = [rng.integers(-2, 3, size=(6, *shape)).astype(dtype) for shape in (one, other)]
    rank = max(len(one), len(other))
    tensors = [torch.tensor(each, requires_grad=True) for each in x]
    expected = MERGES[name](torch, *(t.reshape(under(each, rank).shape) for t, each in zip(tensors, x, strict=True)))
    np.testing.assert_array_equal(model(x)[0], expected.detach())
    assert model.output_shapes[0] == tuple(expected.shape[1:])
    g = [rng.normal(size=(6, *shape)).astype(dtype) for shape in model.output_shapes]
    loss = (expected * torch.tensor(g[0] + 2 * g[1])).sum() + (tensors[0] * 3 * torch.tensor(g[2])).sum()
    (loss + (tensors[1] * torch.tensor(g[3])).sum()).backward()
    np.testing.assert_array_equal(model.forward(x)[0], expected.detach())
    for found, tensor in zip(model.backward(g), tensors, strict=True):
        np.testing.assert_allclose(found, tensor.grad, rtol=1e-12 if dtype == "float64" else 1e-5, atol=1e-5)


@pytest.mark.parametrize("name", MERGES)
def test_every_merge_trains_and_is_kept(name, tmp_path, rng):
    """A value per sample, one per step and all of them, of more inputs than one op takes at once where that may be."""
    x = nn.Input((7, 4), name="x")
    h = nn.Tanh()(nn.Linear(4, 5, name="up")(x))
    each = nn.Linear(5, 1, name="each")(h)
    whole = nn.Linear(4, 5, name="whole")(nn.GRU(4, 4, name="gru")(x))
    parts = [whole, h] if name == "subtract" else [each, whole, h] * 4
    model = nn.Model(x, nn.Linear(5, 2, name="y")(getattr(nn, name)(parts, name="merged")), seed=1, dtype="float64")
    model.compile("mse", nn.optim.Adam(lr=0.01))
    data, y = rng.normal(size=(24, 7, 4)), rng.normal(size=(24, 7, 2))
    assert nn.check_gradients(model, data[:5], y[:5])
    twin = copy.deepcopy(model)
    reached = []
    for each, threads in ((model, 1), (twin, 2)):
        with nn.threads(threads):
            losses = each.fit(data, y, epochs=4, batch_size=8).history["loss"]
        assert losses[-1] < losses[0]
        reached.append([w.tobytes() for w in each.get_weights()])
    assert reached[0] == reached[1]
    model.save(tmp_path / "model.safetensors")
    np.testing.assert_array_equal(nn.load(tmp_path / "model.safetensors").predict(data), model.predict(data))
    assert "merged" in str(model.summary(show=False))


def test_a_sum_over_steps_knows_which_count(rng):
    x, z = nn.Input((7, 3), name="x"), nn.Input((3,), name="z")
    model = nn.Model([x, z], nn.Linear(3, 2)(x + z), seed=0, dtype="float64")
    model.compile("mse", "sgd")
    data = [rng.normal(size=(9, 7, 3)), rng.normal(size=(9, 3))]
    y, lengths = rng.normal(size=(9, 7, 2)), rng.integers(1, 8, 9)
    counts = np.arange(7) < lengths[:, None]
    expected = ((model.predict(data) - y) ** 2).mean(axis=2)[counts].mean()
    data[0][~counts], y[~counts] = np.nan, np.nan
    assert model.evaluate(data, y, lengths=lengths) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(("one", "other"), [((3,), (4,)), ((2, 3), (3, 2))])
@pytest.mark.parametrize("name", MERGES)
def test_what_cannot_be_broadcast_is_refused(name, one, other):
    with pytest.raises(errors.ShapeError, match="must have one shape, or 1 where they differ.*Reshape"):
        getattr(nn, name)([nn.Input(one), nn.Input(other)])
