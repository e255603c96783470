"""Slice and Take against NumPy and PyTorch: alone, in models, as indices of values, with lengths, and what they refuse."""

import numpy as np
import pytest

import nncore as nn
from nncore.errors import ArgumentError, ShapeError

PARTS = [
    ((5, 6), 1, slice(2, 5)),
    ((5, 6), -1, slice(-2, None)),
    ((5, 6), 1, slice(None, 99)),
    ((5, 6), 1, slice(-99, -1, 3)),
    ((5, 70), 1, slice(1, 70, 2)),
    ((4, 3, 7), 2, slice(1, 4)),
    ((4, 5, 3), 1, slice(1, 4)),
    ((4, 5, 3), -2, slice(0, 5, 2)),
    ((3, 2, 4, 5), 2, slice(3, 4)),
]


def full(shape, axis, part):
    return (*[slice(None)] * (axis % len(shape)), part)


def compare(layer, chosen, shape, dtype, rng):
    """Output and gradient of the input are those of an index of NumPy, to the bit where no gradients are added."""
    x = rng.normal(size=shape).astype(dtype)
    wanted = x[chosen]
    np.testing.assert_array_equal(layer(x), wanted)
    model = nn.Sequential(layer, dtype=np.dtype(dtype).name).build(shape[1:])
    np.testing.assert_array_equal(model.forward(x, training=True), wanted)
    dy = rng.normal(size=wanted.shape).astype(dtype)
    gradient = np.zeros(shape, dtype)
    np.add.at(gradient, chosen, dy)
    np.testing.assert_allclose(model.backward(dy), gradient, rtol=4 * np.finfo(dtype).eps)


@pytest.mark.parametrize(("shape", "axis", "part"), PARTS)
def test_slice(shape, axis, part, dtype, rng):
    compare(nn.Slice(part.start, part.stop, part.step or 1, axis), full(shape, axis, part), shape, dtype, rng)


@pytest.mark.parametrize("part", [slice(None, None, -1), slice(-1, 0, -2), slice(3, -99, -1), slice(99, 1, -1)])
@pytest.mark.parametrize(("shape", "axis"), [((5, 6), 1), ((4, 6, 3), 1), ((2, 3, 6), -1)])
def test_backwards(shape, axis, part, dtype, rng):
    compare(nn.Slice(part.start, part.stop, part.step, axis), full(shape, axis, part), shape, dtype, rng)


@pytest.mark.parametrize("indices", [[3, 1, 0], [-1], [2, 2, 0, 2], list(range(6)) * 4])
@pytest.mark.parametrize(("shape", "axis"), [((5, 6), 1), ((4, 6, 3), 1), ((2, 3, 6), -1)])
def test_take(indices, shape, axis, dtype, rng):
    compare(nn.Take(indices, axis), full(shape, axis, indices), shape, dtype, rng)
    compare(nn.Take(np.array(indices, np.int32), axis), full(shape, axis, indices), shape, dtype, rng)


def test_repr():
    assert repr(nn.Slice(1, None)) == "Slice(start=1, stop=None)"
    assert repr(nn.Slice(None, None, -1, axis=1)) == "Slice(start=None, stop=None, step=-1, axis=1)"
    assert repr(nn.Take(range(3))) == "Take(indices=(0, 1, 2))"


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda: nn.Slice(), ArgumentError, "start"),
        (lambda: nn.Slice(1.5, 3), ArgumentError, "start must be a whole number"),
        (lambda: nn.Slice(0, True), ArgumentError, "stop must be a whole number"),
        (lambda: nn.Slice(0, 2, 0), ArgumentError, "step must be a whole number other than 0"),
        (lambda: nn.Slice(0, 2, axis=0), ArgumentError, "which is the batch"),
        (
            lambda: nn.Slice(2, 2)(np.zeros((2, 3))),
            ShapeError,
            r"takes nothing of \[\*, 3\] from the input: dimension 1 has the indices 0 to 2",
        ),
        (lambda: nn.Slice(0, 1, axis=2)(np.zeros((2, 3))), ShapeError, r"axis=2 does not name a dimension of \[\*, 3\]"),
        (
            lambda: nn.Sequential(nn.Linear(2, 3), nn.Slice(3, 5)),
            ShapeError,
            r"layer 1 \(Slice\) takes nothing of \[\*, 3\] from layer 0",
        ),
        (lambda: nn.Take([]), ArgumentError, "indices must be whole numbers in a list"),
        (lambda: nn.Take(3), ArgumentError, "indices must be whole numbers in a list"),
        (lambda: nn.Take([[1]]), ArgumentError, "indices must be whole numbers in a list"),
        (lambda: nn.Take([0.5]), ArgumentError, "each of indices must be a whole number"),
        (lambda: nn.Take([0], axis=0), ArgumentError, "which is the batch"),
        (lambda: nn.Take([0], axis=-3)(np.zeros((2, 3))), ShapeError, r"axis=-3 does not name"),
        (
            lambda: nn.Take([1, -4])(np.zeros((2, 3))),
            ShapeError,
            r"takes index -4 of \[\*, 3\] from the input: dimension 1 has the indices 0 to 2",
        ),
        (lambda: nn.Take(list(range(20)))(np.zeros((2, 19))), ShapeError, r"takes index 19"),
    ],
)
def test_what_does_not_fit_is_refused(make, error, text):
    with pytest.raises(error, match=text):
        make()


# Indices of values ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "take", "kinds"),
    [
        ((6,), lambda x: x[:, 2:5], ["Slice"]),
        ((6,), lambda x: x[..., 2:5], ["Slice"]),
        ((6,), lambda x: x[..., ::-1], ["Slice"]),
        ((6,), lambda x: x[:, [3, 1, 0]], ["Take"]),
        ((6,), lambda x: x[:, np.array([3, -1])], ["Take"]),
        ((6,), lambda x: x[:, None], ["Reshape"]),
        ((6,), lambda x: x[:, :, None], ["Reshape"]),
        ((4, 6), lambda x: x[:, -1], ["LastStep"]),
        ((4, 6), lambda x: x[:, 0], ["Slice", "Flatten"]),
        ((4, 6), lambda x: x[:, -2], ["Slice", "Flatten"]),
        ((4, 6), lambda x: x[:, :, 3], ["Slice", "Flatten"]),
        ((4, 6), lambda x: x[..., -1], ["Slice", "Flatten"]),
        ((4, 6), lambda x: x[:, 1:3, ::2], ["Slice", "Slice"]),
        ((4, 6), lambda x: x[:, :, None, 1], ["Reshape", "Slice", "Reshape"]),
        ((3, 4, 5), lambda x: x[:, 1, 2:], ["Slice", "Reshape", "Slice"]),
        ((3, 4, 5), lambda x: x[:, ..., 2], ["Slice", "Reshape"]),
        ((3, 4, 5), lambda x: x[:, :, np.int64(-1)], ["Slice", "Reshape"]),
    ],
)
def test_indices_of_values(shape, take, kinds, dtype, rng):
    value = nn.Input(shape)
    model = nn.Model(value, take(value), dtype=np.dtype(dtype).name)
    assert [type(layer).__name__ for layer in model.layers] == kinds
    x = rng.normal(size=(3, *shape)).astype(dtype)
    np.testing.assert_array_equal(model(x), take(x))


def test_the_whole_is_the_value_itself():
    x = nn.Input((4, 6))
    assert x[:] is x
    assert x[...] is x
    assert x[:, :, :] is x


@pytest.mark.parametrize(
    ("shape", "take", "text"),
    [
        ((6,), lambda x: x[2], "the first index is that of the batch, which stays whole"),
        ((6,), lambda x: x[1:, 2:], "the first index is that of the batch"),
        ((6,), lambda x: x[()], "the first index is that of the batch"),
        ((6,), lambda x: x[:, 2], r"no dimension would be left beside the batch; write x\[:, 2:3\]"),
        ((6,), lambda x: x[:, -1], r"write x\[:, -1:\]"),
        ((6,), lambda x: x[:, 1:2, 0:1], "more indices than it has dimensions"),
        ((4, 6), lambda x: x[:, 4], r"\[\*, 4, 6\]: its dimension 1 has no index 4"),
        ((4, 6), lambda x: x[:, True], "lists of numbers, None and ... are possible"),
        ((4, 6), lambda x: x[:, "a"], "lists of numbers, None and ... are possible"),
        ((4, 6), lambda x: x[:, 0.5], "whole number"),
        ((4, 6), lambda x: x[:, 0:2:0], "step"),
        ((4, 6), lambda x: x[:, ..., ...], "the index Ellipsis; numbers"),
    ],
)
def test_indices_that_are_refused(shape, take, text):
    with pytest.raises(ArgumentError, match=text):
        take(nn.Input(shape))


def test_values_are_still_not_iterable():
    with pytest.raises(TypeError, match="not iterable"):
        list(nn.Input((3,)))


# In models --------------------------------------------------------------------------------------------------------------------


def test_training_as_torch_does(rng):
    """A net that splits, shares a layer between the parts and joins them again: the same gradients as torch's."""
    torch = pytest.importorskip("torch", reason="PyTorch is the independent truth here")
    x = nn.Input((6,))
    shared = nn.Linear(3, 4)
    h = nn.concatenate([nn.Tanh()(shared(x[:, :3])), nn.Tanh()(shared(x[:, [5, 3, 3]]))])
    model = nn.Model(x, nn.Linear(4, 2)(h[:, ::2]) + h[:, 6:], seed=0, dtype="float64")
    w, b, v, c = (torch.tensor(p, requires_grad=True) for p in model.state_dict().values())
    data = torch.tensor(rng.normal(size=(5, 6)))
    g = torch.cat([torch.tanh(data[:, :3] @ w.T + b), torch.tanh(data[:, [5, 3, 3]] @ w.T + b)], 1)
    y = g[:, ::2] @ v.T + c + g[:, 6:]
    dy = rng.normal(size=(5, 2))
    y.backward(torch.tensor(dy))
    np.testing.assert_allclose(model.forward(data.numpy(), training=True), y.detach(), rtol=1e-12)
    model.backward(dy)
    for found, wanted in zip(model.gradients.values(), (w, b, v, c), strict=True):
        np.testing.assert_allclose(found, wanted.grad, rtol=1e-10, atol=1e-12)


def test_save_and_load(tmp_path, rng):
    model = nn.Sequential(nn.Linear(4, 6), nn.Slice(None, None, -2), nn.Take([2, 0, 0]), nn.ReLU(), seed=0)
    model.save(tmp_path / "m.safetensors")
    again, x = nn.load(tmp_path / "m.safetensors"), rng.normal(size=(3, 4)).astype(np.float32)
    assert repr(again) == repr(model)
    np.testing.assert_array_equal(again(x), model(x))


def test_bfloat16(rng):
    """Around a Slice, products read rows of float32 or operands of bfloat16, as a plan without bfloat16 would, to its precision."""

    def model(compute):
        parts = [nn.Linear(32, 64), nn.ReLU(), nn.Slice(8, 40), nn.Linear(32, 32), nn.Take(range(31, -1, -1)), nn.Linear(32, 16)]
        return nn.Sequential(*parts, seed=0, compute=compute)

    low, exact = model("bfloat16"), model("float32")
    x, y = rng.normal(size=(64, 32)).astype(np.float32), rng.normal(size=(64, 16)).astype(np.float32)
    np.testing.assert_allclose(low(x), exact(x), atol=0.05)
    for model in (low, exact):
        model.compile(loss="mse", optimizer=nn.optim.SGD(lr=0.01))
        model.train_on_batch(x, y)
    for a, b in zip(low.gradients.values(), exact.gradients.values(), strict=True):
        assert np.linalg.norm(a - b) < 0.05 * np.linalg.norm(b)


# Lengths and streams ----------------------------------------------------------------------------------------------------------


def test_lengths(rng):
    """Parts of features, and the first step, are those of each sequence alone."""
    x = nn.Input((6, 5))
    h = nn.GRU(3, 4, return_sequences=True)(x[:, :, 1:4])
    parts = [
        nn.LastStep()(h[..., [3, 0]]),
        nn.Flatten()(nn.Slice(0, 1, axis=1)(h)),
        nn.Flatten()(nn.Take([0], axis=1)(h)),
        h[:, -1],
    ]
    model = nn.Model(x, nn.concatenate(parts), seed=0, dtype="float64")
    data, lengths = rng.normal(size=(4, 6, 5)), [6, 1, 3, 4]
    found = model.predict(data, lengths=lengths)
    for row, n in enumerate(lengths):
        np.testing.assert_allclose(found[row], model.predict(data[row : row + 1, :n])[0], rtol=1e-12)


@pytest.mark.parametrize(
    "part", [nn.Slice(1, None, axis=1), nn.Slice(-1, None, axis=-2), nn.Slice(None, None, -1, axis=1), nn.Take([1, 0], axis=1)]
)
def test_steps_with_lengths_are_refused(part, rng):
    model, x = nn.Sequential(part, nn.GRU(3, 2), seed=0), rng.normal(size=(2, 5, 3)).astype(np.float32)
    assert model.predict(x).shape == (2, 2)
    with pytest.raises((ArgumentError, ShapeError), match="takes some of the steps"):
        model.predict(x, lengths=[5, 3])


def test_other_numbers_of_steps(rng):
    model = nn.Sequential(nn.Slice(1, None, axis=1), nn.GRU(3, 2), seed=0, dtype="float64")
    layer = nn.Sequential(nn.GRU(3, 2), seed=1, dtype="float64").build((4, 3))
    model.build((5, 3))
    layer.load_state_dict(dict(zip(layer.state_dict(), model.state_dict().values(), strict=True)))
    for steps in (5, 2, 9):
        x = rng.normal(size=(3, steps, 3))
        np.testing.assert_array_equal(model(x), layer(x[:, 1:]))
    with pytest.raises(ShapeError, match=r"\(3, 1, 3\)"):
        model(rng.normal(size=(3, 1, 3)))


def test_streams(rng):
    model, x = nn.Sequential(nn.Slice(0, 2), nn.GRU(2, 3), nn.Take([2, 0]), seed=0), rng.normal(size=(1, 4, 5)).astype(np.float32)
    model.build((4, 5))
    stream = model.stream()
    for t in range(4):
        y = stream.step(x[:, t])
    np.testing.assert_allclose(y, model(x), rtol=1e-6)
    for part in (nn.Slice(0, 1, axis=1), nn.Take([0], axis=1)):
        with pytest.raises(ShapeError, match="it takes the first one"):
            nn.Sequential(part, nn.Flatten(), nn.Linear(3, 1), seed=0).build((4, 3)).stream()
