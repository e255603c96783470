"""GLU, Permute and RepeatVector against PyTorch and NumPy: alone, in models, with lengths, and what they refuse."""

import numpy as np
import pytest

import nncore as nn
from nncore.errors import ArgumentError, ShapeError

torch = pytest.importorskip("torch", reason="compares with torch.nn")


def compare(layer, theirs, shape, dtype, rng):
    """Output and gradient of the input."""
    x = rng.normal(size=shape).astype(dtype)
    tensor = torch.tensor(x, requires_grad=True)
    wanted = theirs(tensor)
    dy = rng.normal(size=wanted.shape).astype(dtype)
    wanted.backward(torch.tensor(dy))
    tolerance = 100 * np.finfo(dtype).eps
    np.testing.assert_allclose(layer(x), wanted.detach().numpy(), rtol=tolerance, atol=tolerance)
    model = nn.Sequential(layer, dtype=np.dtype(dtype).name).build(shape[1:])
    model.forward(x, training=True)
    np.testing.assert_allclose(model.backward(dy), tensor.grad.numpy(), rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("shape", [(5, 2), (7, 6), (4, 3, 34), (2, 3, 4, 8)])
def test_glu(shape, dtype, rng):
    compare(nn.GLU(), torch.nn.GLU(), shape, dtype, rng)
    compare(nn.GLU(dim=len(shape) - 1), torch.nn.GLU(dim=len(shape) - 1), shape, dtype, rng)
    assert repr(nn.GLU()) == repr(torch.nn.GLU())


@pytest.mark.parametrize(
    ("shape", "dims"),
    [
        ((5, 3, 4), (2, 1)),
        ((5, 3, 4), (1, 2)),
        ((4, 2, 3, 5), (3, 1, 2)),
        ((4, 2, 3, 5), (2, 1, 3)),
        ((3, 2, 3, 4, 5), (4, 2, 3, 1)),
    ],
)
def test_permute(shape, dims, dtype, rng):
    for layer in (nn.Permute(*dims), nn.Permute(dims), nn.Permute(0, *dims), nn.Permute(dims=(0, *dims))):
        assert layer.dims == dims
    compare(nn.Permute(dims), lambda x: x.permute(0, *dims), shape, dtype, rng)
    assert repr(nn.Permute(2, 1)) == "Permute(dims=(2, 1))"


@pytest.mark.parametrize("n", [1, 4])
def test_repeat_vector(n, dtype, rng):
    compare(nn.RepeatVector(n), lambda x: x[:, None].expand(-1, n, -1), (5, 3), dtype, rng)
    compare(nn.RepeatVector(n), lambda x: x[:, None].expand(-1, n, -1), (5, 70), dtype, rng)


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda: nn.GLU(dim=0), ArgumentError, "dim must be -1"),
        (lambda: nn.GLU()(np.zeros((2, 3))), ShapeError, "must be even"),
        (lambda: nn.Sequential(nn.Linear(2, 3), nn.GLU()), ShapeError, r"layer 1 \(GLU\).*must be even.*\[\*, 3\] from layer 0"),
        (lambda: nn.GLU(dim=1)(np.zeros((2, 3, 4))), ShapeError, "use dim=-1"),
        (lambda: nn.Permute(), ArgumentError, "dims"),
        (lambda: nn.Permute(()), ArgumentError, "each dimension after the batch once"),
        (lambda: nn.Permute(1, 1), ArgumentError, "each dimension after the batch once"),
        (lambda: nn.Permute(1, 0, 2), ArgumentError, "each dimension after the batch once"),
        (lambda: nn.Permute(2, 1)(np.zeros((2, 3))), ShapeError, r"each dimension of \[\*, 3\]"),
        (lambda: nn.Permute(2, 1)(np.zeros((2, 3, 4, 5))), ShapeError, r"1 to 3"),
        (lambda: nn.RepeatVector(0), ArgumentError, "n must be"),
        (lambda: nn.RepeatVector(2)(np.zeros((2, 3, 4))), ShapeError, r"repeats vectors, \[\*, features\], but gets \[\*, 3, 4\]"),
    ],
)
def test_what_does_not_fit_is_refused(make, error, text):
    with pytest.raises(error, match=text):
        make()


def test_lengths(rng):
    """GLU and a Permute behind time leave the steps apart: the result of a padded sequence is that of the sequence alone."""
    model = nn.Sequential(
        nn.Linear(6, 8), nn.GLU(), nn.Reshape(-1, 2, 2), nn.Permute(1, 3, 2), nn.Flatten(2), nn.GRU(4, 3), seed=0, dtype="float64"
    )
    x, lengths = rng.normal(size=(3, 5, 6)), np.array([5, 2, 3])
    found = model.predict(x, lengths=lengths)
    for i, length in enumerate(lengths):
        np.testing.assert_array_equal(found[i], model.predict(x[i : i + 1, :length])[0])
    x[0, 4] = np.nan
    assert np.isfinite(model.predict(x, lengths=[4, 2, 3])).all()


def test_moving_time_with_lengths_is_refused(rng):
    x = rng.normal(size=(3, 5, 5))
    for layers, text in (
        ((nn.Permute(2, 1), nn.GRU(5, 2)), "moves the time steps"),
        ((nn.GRU(5, 4, return_sequences=True), nn.Permute(2, 1), nn.Flatten(), nn.Linear(20, 1)), "moves the time steps"),
    ):
        model = nn.Sequential(*layers, seed=0)
        model.predict(x)
        with pytest.raises(ShapeError, match=text):
            model.predict(x, lengths=[5, 2, 3])


def test_an_autoencoder_of_sequences(rng):
    """The encoder respects the lengths; the decoder has steps of its own, all of which count."""
    model = nn.Sequential(
        nn.GRU(2, 8), nn.RepeatVector(5), nn.GRU(8, 8, return_sequences=True), nn.Linear(8, 2), seed=0, dtype="float64"
    )
    x, lengths = rng.normal(size=(6, 5, 2)), np.array([5, 2, 3, 1, 4, 5])
    found = model.predict(x, lengths=lengths)
    for i, length in enumerate(lengths):
        np.testing.assert_allclose(found[i], model.predict(x[i : i + 1, :length])[0], rtol=1e-12)
    model.compile("mse", nn.optim.Adam(lr=0.01))
    assert model.evaluate(x, x, lengths=lengths, verbose=0) == pytest.approx(((found - x) ** 2).mean())
    first = model.fit(x, x, lengths=lengths, verbose=0).history["loss"][0]
    assert model.fit(x, x, lengths=lengths, epochs=60, verbose=0).history["loss"][-1] < 0.7 * first


def test_in_graphs_and_files(tmp_path, rng):
    x = nn.Input((4, 6), name="x")
    h = nn.GLU()(x)
    y = nn.Permute(2, 1)(h)
    z = nn.RepeatVector(3)(nn.Flatten()(y))
    model = nn.Model(x, z, seed=0)
    data = rng.normal(size=(5, 4, 6)).astype(np.float32)
    half = data[..., :3] / (1 + np.exp(-data[..., 3:]))
    wanted = np.repeat(half.transpose(0, 2, 1).reshape(5, 1, 12), 3, axis=1)
    np.testing.assert_allclose(model(data), wanted, rtol=1e-5, atol=1e-6)
    model.save(tmp_path / "model")
    np.testing.assert_array_equal(nn.load(tmp_path / "model")(data), model(data))
