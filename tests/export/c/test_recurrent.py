"""to_c of recurrent networks, whole sequences and one time step at a time, against nncore in float64 and PyTorch."""

import os

import numpy as np
import pytest
from export.c_files import compiled, pointer, run

import nncore as nn

NETS = int(os.environ.get("NNCORE_FUZZ", "100"))
STEPS = 5


def layer(rng, inputs, sequences, direction=True):
    cell = [nn.RNN, nn.GRU, nn.LSTM][rng.integers(3)]
    more = {"nonlinearity": ["tanh", "relu"][rng.integers(2)]} if cell is nn.RNN else {}
    learned = bool(rng.integers(2))
    return cell(
        inputs,
        int(rng.integers(1, 11)),
        num_layers=int(rng.integers(1, 4)),
        bias=bool(rng.random() < 0.8),
        bidirectional=direction and bool(rng.integers(2)),
        return_sequences=sequences,
        learn_initial_state=learned,
        **more,
    )


def between(rng, n):
    """Layers that keep the time steps apart."""
    return [
        [nn.Linear(n, n), nn.Tanh()],
        [nn.LayerNorm(n), nn.Dropout(0.3)],
        [nn.BatchNorm1d(n, axis=-1), nn.ReLU()],
        [],
    ][rng.integers(4)]


def stack(seed, dtype, direction=True):
    """Recurrent layers one after another, with random numbers for all parameters and running statistics."""
    rng = np.random.default_rng(seed)
    width = int(rng.integers(1, 6))
    layers, n = [], width
    for more in range(int(rng.integers(0, 2)), -1, -1):
        one = layer(rng, n, more > 0 or bool(rng.integers(2)), direction)
        n = one.hidden_size * one.directions
        layers += [one, *between(rng, n)]
    layers += [nn.Linear(n, int(rng.integers(1, 6)))]
    return filled(nn.Sequential(*layers, seed=seed, dtype=dtype).build((STEPS, width)), seed)


def filled(model, seed):
    rng = np.random.default_rng(seed)
    state = model.state_dict()
    for name, value in sorted(state.items()):
        numbers = rng.uniform(-1, 1, value.shape) / np.sqrt(max(value.shape[-1:], default=1))
        state[name] = (np.abs(numbers) + 0.5 if "var" in name else numbers).astype(value.dtype)
    model.load_state_dict({name: value.astype("f").astype(value.dtype) for name, value in state.items()})
    return model


def check(got, ours, exact):
    """At most 4 units of the last place of the largest number, and 4 times the error of nncore in float32, away from float64."""
    eps = np.finfo("f").eps
    limit = 4 * (eps * np.abs(exact).max() + np.abs(ours - exact).max())
    assert np.abs(got - exact).max() <= limit


def predictions(model, x):
    found = model.predict(x)
    return list(found.values()) if isinstance(found, dict) else found if isinstance(found, list) else [found]


def sequence(library, found, x, steps):
    """What NAME_predict_steps says for a shorter sequence."""
    y = np.full(found.outputs[0].size, 7, "f")
    getattr(library, f"{found.name}_predict_steps")(pointer(x), steps, pointer(y))
    return y


def stepped(library, found, x):
    """What NAME_step says for each time step."""
    state, columns = np.full(found.state // 4, np.nan, "f"), found.outputs[0].shape[-1]
    y = np.empty((len(x), columns), "f")
    getattr(library, f"{found.name}_reset")(pointer(state))
    for t in range(len(x)):
        getattr(library, f"{found.name}_step")(pointer(state), pointer(x[t]), pointer(y[t]))
    return y


def test_random_nets(tmp_path):
    """Whole sequences of any stack; of those without a reverse direction steps and shorter sequences too."""
    nets = [stack(seed, "float32", direction=seed % 3 == 0) for seed in range(NETS)]
    files = [model.to_c(name=f"net{seed}") for seed, model in enumerate(nets)]
    library = compiled("\n".join(each.source for each in files), tmp_path, optimize="-O0")
    for seed, (model, found) in enumerate(zip(nets, files, strict=True)):
        exact, x = (
            stack(seed, "float64", direction=seed % 3 == 0),
            np.random.default_rng(seed).normal(size=(4, *model.input_shapes[0])),
        )
        x = x.astype("f")
        check(run(found, library, [x])[0], model.predict(x), exact.predict(x.astype(float)))
        is_one_way = all(not op.field("bidirectional") for op in model._network.plan.ops if op.kind == "recurrent")
        assert bool(found.state) == is_one_way
        if not is_one_way:
            continue
        stream, truth = model.stream(), exact.stream()
        got, wanted = stepped(library, found, x[0]), [[s.step(x[:1, t])[0].copy() for t in range(STEPS)] for s in (stream, truth)]
        check(got, np.array(wanted[0]), np.array(wanted[1]))
        last, y = got[2], sequence(library, found, x[0], 3)
        want = got[:3].ravel() if len(found.outputs[0].shape) == 2 else last
        np.testing.assert_array_equal(y[: want.size], want)
        assert (y[want.size :] == 7).all()


def given_states(seed, dtype):
    """An encoder and a decoder that begins with its states; all states are outputs too."""
    rng = np.random.default_rng(seed)
    cell, two, deep = [nn.RNN, nn.GRU, nn.LSTM][seed % 3], bool(seed & 4), 1 + seed // 8 % 2
    source, target = nn.Input((STEPS, 3), "source"), nn.Input((4, 2), "t")
    n = int(rng.integers(1, 9))
    common = {"num_layers": deep, "bidirectional": two, "return_state": True, "return_sequences": bool(seed & 1)}
    encoded, state = cell(3, n, **common)(source)
    decoded, last = cell(2, n, **common)(target, state)
    states = [*(state if isinstance(state, tuple) else [state]), *(last if isinstance(last, tuple) else [last])]
    return filled(nn.Model([source, target], [encoded, decoded, *states], seed=0, dtype=dtype), seed)


def test_given_states_and_last_states(tmp_path):
    models = [given_states(seed, "float32") for seed in range(24)]
    files = [model.to_c(name=f"net{seed}") for seed, model in enumerate(models)]
    library = compiled("\n".join(each.source for each in files), tmp_path, optimize="-O0")
    for seed, (model, found) in enumerate(zip(models, files, strict=True)):
        rng = np.random.default_rng(seed)
        x = [rng.normal(size=(3, *shape)).astype("f") for shape in model.input_shapes]
        exact = predictions(given_states(seed, "float64"), [a.astype(float) for a in x])
        for got, ours, want in zip(run(found, library, x), predictions(model, x), exact, strict=True):
            check(got, ours, want)


@pytest.mark.parametrize("cell", ["RNN", "GRU", "LSTM"])
def test_streams_of_1000_steps(cell, tmp_path):
    def built(dtype):
        recurrent = getattr(nn, cell)(3, 32, num_layers=2, return_sequences=True)
        return filled(nn.Sequential(recurrent, nn.Linear(32, 4), dtype=dtype).build((1000, 3)), 1)

    model, exact = built("float32"), built("float64")
    found = model.to_c()
    library = compiled(found.source, tmp_path)
    x = np.random.default_rng(0).normal(size=(1000, 3)).astype("f")
    check(stepped(library, found, x), model.predict(x[None])[0], exact.predict(x[None].astype(float))[0])
    rows = {"RNN": 1, "GRU": 4, "LSTM": 4}[cell]  # sums of gates; [x, h, h], and c of two sublayers
    assert (found.state, found.ram) == (4 * (3 + 64 + 64 * (cell == "LSTM")), found.state + 4 * rows * 32)


def test_equals_torch(tmp_path):
    torch = pytest.importorskip("torch")
    for cell in ("RNN", "GRU", "LSTM"):
        peer = getattr(torch.nn, cell)(3, 8, num_layers=2, bidirectional=True, batch_first=True)
        recurrent = getattr(nn, cell)(3, 8, num_layers=2, bidirectional=True, return_sequences=True)
        model = nn.Sequential(recurrent).build((6, 3))
        recurrent.load_state_dict(peer.state_dict())
        found = model.to_c(name=cell.lower())
        x = np.random.default_rng(0).normal(size=(2, 6, 3)).astype("f")
        with torch.no_grad():
            want = peer(torch.tensor(x))[0].numpy()
        got = run(found, compiled(found.source, tmp_path, name=cell), [x])[0]
        np.testing.assert_allclose(got, want, atol=2e-6)


@pytest.mark.parametrize("compiler", [("clang", "-std=c99"), ("g++", "-x", "c++", "-std=c++17")])
def test_compilers_and_a_workspace_of_the_caller(compiler, tmp_path):
    """Compiled with checks of undefined behaviour; with stateful layers, which begin with zeros, and in float64."""
    gru = nn.GRU(2, 5, stateful=True, return_sequences=True)
    model = filled(nn.Sequential(gru, nn.LSTM(5, 6), nn.Linear(6, 2), dtype="float64").build((STEPS, 2)), 0)
    found = model.to_c(workspace="caller")
    flags = ["-fsanitize=undefined", "-fno-sanitize-recover=all"] if compiler[0] != "clang" else []
    library = compiled(found.source, tmp_path, *flags, compiler=compiler)
    x = np.random.default_rng(0).normal(size=(3, STEPS, 2))
    work = np.full(found.ram // 8 + 3, 7.0)
    np.testing.assert_allclose(run(found, library, [x], work)[0], model.predict(x), rtol=1e-12, atol=1e-14)
    assert (work[-3:] == 7).all()
    state, y = np.empty(found.state // 8), np.empty(2)
    library.net_reset(pointer(state))
    for t in range(STEPS):
        library.net_step(pointer(state), pointer(x[0, t].copy()), pointer(y), pointer(work))
    np.testing.assert_allclose(y, model.predict(x)[0], rtol=1e-12, atol=1e-14)


def test_formats_of_weights(tmp_path):
    """Weights in 16 bits are those that nncore computes with after they were rounded."""
    model = filled(nn.Sequential(nn.GRU(3, 7, return_sequences=True), nn.LSTM(7, 5)).build((STEPS, 3)), 0)
    x = np.random.default_rng(0).normal(size=(2, STEPS, 3)).astype("f")
    found = model.to_c(weights="float16", name="half")
    rounded = {k: v.astype("e").astype("f") if "weight" in k else v for k, v in model.state_dict().items()}
    got = run(found, compiled(found.source, tmp_path, name="half"), [x])[0]
    assert np.abs(got - model.predict(x)).max() > 1e-6
    model.load_state_dict(rounded)
    np.testing.assert_allclose(got, model.predict(x), atol=1e-6)


def test_bidirectional_nets_have_no_steps():
    source = nn.Sequential(nn.GRU(2, 3, bidirectional=True)).build((STEPS, 2)).to_c()
    assert "net_step" not in source.source
    assert source.state == 0
