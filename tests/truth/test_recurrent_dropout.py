"""Recurrent dropout: one mask per sequence and direction on h in the recurrent product, in training only.

The truth is PyTorch's arithmetic, written step by step in float64. The mask of a model depends on its seed and on the number of
updates and passes, not on its weights or its cell. So it can be read off a ReLU network with weights that show it.
"""

import copy
import functools
import os
import subprocess
import sys

import numpy as np
import pytest

import nncore as nn

N, T, F, H, P = 9, 6, 3, 5, 0.4
CELLS = ["RNN", "GRU", "LSTM", "GRU before"]


def class_of(cell):
    return functools.partial(nn.GRU, reset_after=False) if cell == "GRU before" else getattr(nn, cell)


def made(cell, seed=3, dtype="float64", **options):
    layer = class_of(cell)(F, H, return_sequences=True, recurrent_dropout=P, **options)
    return nn.Sequential(layer, seed=seed, dtype=dtype).build((T, F))


def masks(directions=1, **options):
    """The mask of each direction of the first training pass, [N, H], read off h' = relu(1 + 2 m h)."""
    probe = made("RNN", nonlinearity="relu", bidirectional=directions == 2, **options)
    for name, value in probe.named_parameters():
        value[...] = 2 * np.eye(H) if "hh" in name and "weight" in name else name.endswith(("bias_ih_l0", "bias_ih_l0_reverse"))
    y = probe.forward(np.zeros((N, T, F)), training=True)
    found = [(y[:, 1, :H] - 1) / 2, (y[:, -2, H:] - 1) / 2][:directions]
    np.testing.assert_allclose(y[:, 2, :H], 1 + 2 * found[0] * y[:, 1, :H])  # the same mask at each step
    return found


def by_torch(torch, cell, model, x, mask, suffix="", start=None):
    """The outputs of one direction with its mask, as differentiable tensors, and the parameters."""
    own = {
        name: torch.tensor(value, requires_grad=True) for name, value in model.state_dict().items() if name.endswith("l0" + suffix)
    }
    w, u, b, d = (own[f"0.{kind}_l0{suffix}"] for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"))
    mask = torch.from_numpy(mask)
    h = c = torch.zeros(N, H, dtype=torch.float64) if start is None else start
    outputs = [None] * T
    for t in range(T)[:: -1 if suffix else 1]:
        a, z = x[:, t] @ w.T + b, (h * mask) @ u.T + d
        if cell == "RNN":
            h = torch.tanh(a + z)
        elif cell == "GRU before":
            (ar, az, an), (zr, zz, _) = a.chunk(3, 1), z.chunk(3, 1)
            reset, update = torch.sigmoid(ar + zr), torch.sigmoid(az + zz)
            h = (1 - update) * torch.tanh(an + (reset * h * mask) @ u[2 * H :].T + d[2 * H :]) + update * h
        elif cell == "GRU":
            (ar, az, an), (zr, zz, zn) = a.chunk(3, 1), z.chunk(3, 1)
            update = torch.sigmoid(az + zz)
            h = (1 - update) * torch.tanh(an + torch.sigmoid(ar + zr) * zn) + update * h
        else:
            i, f, g, o = (a + z).chunk(4, 1)
            c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
            h = torch.sigmoid(o) * torch.tanh(c)
        outputs[t] = h
    return torch.stack(outputs, 1), own


@pytest.mark.parametrize("directions", [1, 2])
@pytest.mark.parametrize("cell", CELLS)
def test_against_the_arithmetic_of_torch(cell, directions, rng):
    torch = pytest.importorskip("torch", reason="PyTorch is the independent truth here")
    model = made(cell, bidirectional=directions == 2)
    x = rng.normal(size=(N, T, F))
    given = torch.tensor(x, requires_grad=True)
    parts = [by_torch(torch, cell, model, given, m, s) for m, s in zip(masks(directions), ("", "_reverse"), strict=False)]
    expected = torch.cat([part[0] for part in parts], 2)
    np.testing.assert_allclose(model.forward(x, training=True), expected.detach(), rtol=1e-11, atol=1e-13)
    dy = rng.normal(size=expected.shape)
    expected.backward(torch.from_numpy(dy))
    np.testing.assert_allclose(model.backward(dy), given.grad, rtol=1e-9, atol=1e-12)
    for _, own in parts:
        for name, value in own.items():
            np.testing.assert_allclose(model.gradients[name], value.grad, rtol=1e-9, atol=1e-12, err_msg=name)


@pytest.mark.parametrize(
    ("steps", "options"),
    [(40, {}), (T, {"truncate": T}), (T, {"learn_initial_state": True}), (20, {"num_layers": 2, "dropout": 0.2})],
)
@pytest.mark.parametrize("cell", CELLS)
def test_gradients_by_differences(cell, steps, options, rng):
    """Long and short sequences: weight gradients are summed by group, or as one product."""
    layer = class_of(cell)(F, H, recurrent_dropout=P, bidirectional="truncate" not in options, **options)
    model = nn.Sequential(layer, nn.Linear(layer.directions * H, 2), seed=1, dtype="float64").build((steps, F))
    if "learn_initial_state" in options:
        for name, value in model.named_parameters():
            if "_0_" in name:
                value[...] = rng.normal(size=value.shape)
    nn.check_gradients(model, rng.normal(size=(N, steps, F)), samples=6, raise_on_error=True)


def test_the_scale_and_share_of_masks():
    (mask,) = masks()
    assert set(np.round(np.unique(mask), 12)) == {0.0, round(1 / (1 - P), 12)}
    model = nn.Sequential(nn.RNN(1, 400, nonlinearity="relu", recurrent_dropout=P), seed=0).build((2, 1))
    for name, value in model.named_parameters():
        value[...] = np.eye(400) if name.endswith("weight_hh_l0") else name.endswith("bias_ih_l0")
    kept = model.forward(np.zeros((100, 2, 1)), training=True) > 1
    assert abs(kept.mean() - (1 - P)) < 0.01
    assert len(np.unique(kept, axis=0)) == 100  # each sequence has its own


@pytest.mark.parametrize("cell", CELLS)
def test_inference_knows_nothing_of_it(cell, rng):
    x = rng.normal(size=(N, T, F)).astype(np.float32)
    model = made(cell, dtype="float32")
    plain = nn.Sequential(class_of(cell)(F, H, return_sequences=True), seed=3).build((T, F))
    for use in (lambda m: m(x), lambda m: m.predict(x), lambda m: m.forward(x), lambda m: m[0](x)[0]):
        np.testing.assert_array_equal(use(model), use(plain))
    steps = [model.stream(N).step(x[:, 0])]
    np.testing.assert_array_equal(steps[0], plain.predict(x)[:, 0])


def test_layers_that_compute_as_at_inference(rng):
    """``layer.training = False`` turns it off in training, and the gradient of W_hh with it."""
    x = rng.normal(size=(N, T, F))
    model, plain = made("GRU"), nn.Sequential(nn.GRU(F, H, return_sequences=True), seed=3, dtype="float64").build((T, F))
    model.compile(loss="mse", optimizer="sgd")
    model[0].training = False
    model.compile(loss="mse", optimizer="sgd")
    np.testing.assert_array_equal(model.forward(x, training=True), plain.forward(x, training=True))
    for each in (model, plain):
        each.backward(np.ones((N, T, H)))
    np.testing.assert_array_equal(model.gradients["0.weight_hh_l0"], plain.gradients["0.weight_hh_l0"])


def test_each_pass_and_each_seed_draw_their_own(rng):
    x = rng.normal(size=(N, T, F))
    model = made("GRU")
    first, second = model.forward(x, training=True), model.forward(x, training=True)
    assert (first != second).any()
    np.testing.assert_array_equal(made("GRU").forward(x, training=True), first)
    other = made("GRU", seed=4)
    other.set_weights(model.get_weights())
    assert (other.forward(x, training=True) != first).any()
    layers = made("RNN", num_layers=2, bidirectional=True)
    assert (masks(2)[0] != masks(2)[1]).any()
    assert layers.forward(x, training=True).shape == (N, T, 2 * H)


def test_all_or_nothing_is_dropped(rng):
    """p = 1 cuts the recurrence of a tanh network, p = 0 is none."""
    x = rng.normal(size=(N, T, F))
    model = nn.Sequential(nn.RNN(F, H, return_sequences=True, recurrent_dropout=1.0), seed=0, dtype="float64")
    weights = model.state_dict()
    alone = np.tanh(x @ weights["0.weight_ih_l0"].T + weights["0.bias_ih_l0"] + weights["0.bias_hh_l0"])
    np.testing.assert_allclose(model.forward(x, training=True), alone, rtol=1e-12)
    model.backward(np.ones((N, T, H)))
    assert not model.gradients["0.weight_hh_l0"].any()
    model = nn.Sequential(nn.RNN(F, H, recurrent_dropout=0.0), seed=0, dtype="float64")
    np.testing.assert_array_equal(model.forward(x, training=True), model.predict(x))


def test_lengths_and_calls_by_itself(rng):
    """A sequence with a length gives what it gives without its padding, if it is the same row of a batch."""
    x, lengths = rng.normal(size=(N, T, F)), rng.integers(1, T + 1, N)
    model = made("LSTM", bidirectional=True)
    got = model.forward(x, training=True, lengths=lengths)
    for i in range(N):
        twin = made("LSTM", bidirectional=True)
        alone = twin.forward(x[:, : lengths[i]], training=True)
        np.testing.assert_array_equal(got[i, : lengths[i]], alone[i])
        assert not got[i, lengths[i] :].any()
    layer = nn.GRU(F, H, recurrent_dropout=P)
    quiet, _ = layer(x)
    noisy, _ = layer(x, training=True)
    np.testing.assert_allclose(noisy[:, 0], quiet[:, 0], rtol=1e-6)  # the first step has h = 0
    assert (np.abs(noisy[:, 1:] - quiet[:, 1:]).max(axis=(1, 2)) > 1e-4).all()


SCRIPT = """
import hashlib
import numpy as np
import nncore as nn
rng = np.random.default_rng(0)
x, y = rng.normal(size=(150, 30, 3)).astype("f"), rng.normal(size=(150, 1)).astype("f")
layers = nn.GRU(3, 40, num_layers=2, recurrent_dropout=0.3, bidirectional=True), nn.Linear(80, 1)
model = nn.Sequential(*layers, seed=0)
model.compile(loss="mse", optimizer="adam")
digest = hashlib.sha256()
for threads in (1, 2, 3, 7):
    model = nn.Sequential(*[type(l)(**l.config()) for l in layers], seed=0)
    model.compile(loss="mse", optimizer="adam")
    with nn.threads(threads):
        losses = model.fit(x, y, batch_size=50, epochs=2, verbose=0).step_losses
    print(hashlib.sha256(losses.tobytes() + b"".join(w.tobytes() for w in model.get_weights())).hexdigest())
"""


def test_the_same_bits_for_any_number_of_threads():
    env = {**os.environ, "OMP_NUM_THREADS": "8"}
    lines = subprocess.run(
        [sys.executable, "-c", SCRIPT], env=env, capture_output=True, text=True, check=True, timeout=120
    ).stdout.split()
    assert len(lines) == 4
    assert len(set(lines)) == 1


def test_training_learns_and_resumes(tmp_path, rng):
    x = rng.normal(size=(64, T, F))
    y = x[:, :, :1].sum(axis=1)

    def compiled():
        model = nn.Sequential(nn.LSTM(F, 12, recurrent_dropout=0.2), nn.Linear(12, 1), seed=0)
        model.compile(loss="mse", optimizer=nn.optim.Adam(lr=1e-2))
        return model

    whole, half = compiled(), compiled()
    history = whole.fit(x, y, epochs=8, verbose=0)
    assert history.history["loss"][-1] < history.history["loss"][0]
    half.fit(x, y, epochs=4, verbose=0)
    half.save(tmp_path / "m.safetensors")
    loaded = nn.load(tmp_path / "m.safetensors")
    assert loaded[0].recurrent_dropout == 0.2
    assert "recurrent_dropout=0.2" in repr(loaded[0])
    for model in (half, copy.deepcopy(loaded), loaded):
        model.fit(x, y, epochs=8, initial_epoch=4, verbose=0)
        for name, value in whole.state_dict().items():
            np.testing.assert_array_equal(model.state_dict()[name], value)


def test_what_is_refused_and_what_warns():
    for wrong in (-0.1, 1.5, "half", None):
        with pytest.raises(nn.errors.ArgumentError, match="recurrent_dropout"):
            nn.GRU(2, 3, recurrent_dropout=wrong)
    for cell in CELLS:
        with pytest.warns(UserWarning, match=rf"^{cell.split()[0]}: dropout=0.2 lies between layers.*num_layers=1") as caught:
            class_of(cell)(2, 3, dropout=0.2)
        assert caught[0].filename == __file__
        class_of(cell)(2, 3, dropout=0.2, num_layers=2)
        class_of(cell)(2, 3, recurrent_dropout=0.2)
    assert "recurrent_dropout=0.5" in str(nn.Sequential(nn.GRU(2, 3, recurrent_dropout=0.5)).summary(show=False))
