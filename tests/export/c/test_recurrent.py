"""to_c of recurrent networks, whole sequences and one time step at a time, against nncore in float64 and PyTorch."""

import os
import subprocess
from functools import partial

import numpy as np
import pytest
from export.c_files import compiled, pointer, run
from export.rounding import units

import nncore as nn

NETS = int(os.environ.get("NNCORE_FUZZ", "100"))
STEPS = 5


BEFORE = partial(nn.GRU, reset_after=False)
CELLS = {"RNN": nn.RNN, "GRU": nn.GRU, "GRU before": BEFORE, "LSTM": nn.LSTM}


def layer(rng, inputs, sequences, direction=True):
    cell = [nn.RNN, nn.GRU, nn.LSTM][rng.integers(3)]
    more = {"nonlinearity": ["tanh", "relu"][rng.integers(2)]} if cell is nn.RNN else {}
    learned, units = bool(rng.integers(2)), int(rng.integers(1, 11))
    if cell is nn.GRU:
        more["reset_after"] = units % 2 == 0
    return cell(
        inputs,
        units,
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


def stack(seed, direction=True):
    """Recurrent layers one after another, with random numbers for all parameters and running statistics."""
    rng = np.random.default_rng(seed)
    width = int(rng.integers(1, 6))
    layers, n = [], width
    for more in range(int(rng.integers(0, 2)), -1, -1):
        one = layer(rng, n, more > 0 or bool(rng.integers(2)), direction)
        n = one.hidden_size * one.directions
        layers += [one, *between(rng, n)]
    layers += [nn.Linear(n, int(rng.integers(1, 6)))]
    return filled(nn.Sequential(*layers, seed=seed).build((STEPS, width)), seed)


def filled(model, seed):
    rng = np.random.default_rng(seed)
    state = model.state_dict()
    for name, value in sorted(state.items()):
        numbers = rng.uniform(-1, 1, value.shape) / np.sqrt(max(value.shape[-1:], default=1))
        state[name] = (np.abs(numbers) + 0.5 if "var" in name else numbers).astype(value.dtype)
    model.load_state_dict({name: value.astype("f").astype(value.dtype) for name, value in state.items()})
    return model


def check(got, outputs, model, x):
    """At most 4 scaled units of the last place away from the outputs of nncore; `units` says how they are scaled."""
    want = outputs(model, x)
    assert got.shape == want.shape
    assert units(got, want, outputs, model, x) <= 4


def predict(model, x):
    return model.predict(x[0])


def predictions(model, x):
    found = model.predict(x)
    return list(found.values()) if isinstance(found, dict) else found if isinstance(found, list) else [found]


def sequence(library, found, x, steps):
    """What NAME_predict_steps says for a shorter sequence."""
    y, x = np.full(found.outputs[0].size, 7, "f"), x[:steps].copy()
    getattr(library, f"{found.name}_predict_steps")(pointer(x), int(steps), pointer(y))
    return y


def rng_lengths(seed, count):
    return np.random.default_rng(seed).integers(1, STEPS + 1, count)


def stepped(library, found, x):
    """What NAME_step says for each time step."""
    state, columns = np.full(found.state // 4, np.nan, "f"), found.outputs[0].shape[-1]
    y = np.empty((len(x), columns), "f")
    getattr(library, f"{found.name}_reset")(pointer(state))
    for t in range(len(x)):
        getattr(library, f"{found.name}_step")(pointer(state), pointer(x[t : t + 1]), pointer(y[t]))
    return y


def streamed(model, x):
    """What `Model.stream` says for each time step of the first sequence."""
    stream = model.stream()
    return np.array([stream.step(x[0][:1, t])[0].copy() for t in range(x[0].shape[1])])


def test_random_nets(tmp_path):
    """Whole sequences of any stack; of those without a reverse direction steps and shorter sequences too."""
    nets = [stack(seed, direction=seed % 3 == 0) for seed in range(NETS)]
    files = [model.to_c(name=f"net{seed}") for seed, model in enumerate(nets)]
    library = compiled("\n".join(each.source for each in files), tmp_path, optimize="-O0")
    for seed, (model, found) in enumerate(zip(nets, files, strict=True)):
        x, lengths = np.random.default_rng(seed).normal(size=(4, *model.input_shapes[0])).astype("f"), rng_lengths(seed, 4)
        check(run(found, library, [x])[0], predict, model, [x])
        for i, steps in enumerate(lengths):
            y = sequence(library, found, x[i], steps)
            size = steps * found.outputs[0].shape[-1] if len(found.outputs[0].shape) == 2 else y.size

            def shorter(model, x, i=i, size=size, lengths=lengths):
                return model.predict(x[0], lengths=lengths)[i].ravel()[:size]

            check(y[:size], shorter, model, [x])
            assert (y[size:] == 7).all()
        is_one_way = all(not op.field("bidirectional") for op in model._network.plan.ops if op.kind == "recurrent")
        assert bool(found.state) == is_one_way
        if is_one_way:
            check(stepped(library, found, x[0]), streamed, model, [x[:1]])


def given_states(seed):
    """An encoder and a decoder that begins with its states; all states are outputs too."""
    rng = np.random.default_rng(seed)
    cell, two, deep = [nn.RNN, nn.GRU, nn.LSTM, BEFORE][seed % 4], bool(seed & 4), 1 + seed // 8 % 2
    source, target = nn.Input((STEPS, 3), "source"), nn.Input((4, 2), "t")
    n = int(rng.integers(1, 9))
    common = {"num_layers": deep, "bidirectional": two, "return_state": True, "return_sequences": bool(seed & 1)}
    encoded, state = cell(3, n, **common)(source)
    decoded, last = cell(2, n, **common)(target, state)
    states = [*(state if isinstance(state, tuple) else [state]), *(last if isinstance(last, tuple) else [last])]
    return filled(nn.Model([source, target], [encoded, decoded, *states], seed=0), seed)


def test_given_states_and_last_states(tmp_path):
    models = [given_states(seed) for seed in range(24)]
    files = [model.to_c(name=f"net{seed}") for seed, model in enumerate(models)]
    library = compiled("\n".join(each.source for each in files), tmp_path, optimize="-O0")
    for seed, (model, found) in enumerate(zip(models, files, strict=True)):
        rng = np.random.default_rng(seed)
        x = [rng.normal(size=(3, *shape)).astype("f") for shape in model.input_shapes]
        for i, got in enumerate(run(found, library, x)):
            check(got, lambda m, x, i=i: predictions(m, x)[i], model, x)


def long_stream(cell, seed):
    """One or two layers of a cell, of up to 64 units, and a product."""
    rng = np.random.default_rng(seed)
    inputs, units, more = int(rng.integers(1, 9)), int(rng.integers(4, 65)), {}
    if cell == "RNN":
        more = {"nonlinearity": ["tanh", "relu"][seed // 4 % 2]}
    recurrent = CELLS[cell](inputs, units, num_layers=1 + seed // 2 % 2, return_sequences=True, **more)
    return filled(nn.Sequential(recurrent, nn.Linear(units, 4)).build((1000, inputs)), seed)


@pytest.mark.parametrize("cell", CELLS)
def test_streams_of_1000_steps(cell, tmp_path):
    """NNCORE_FUZZ=2000: 200 nets of each cell. Every other one has the functions of the library, the others those of the file."""
    models = [long_stream(cell, seed) for seed in range(max(NETS // 10, 4))]
    files = [model.to_c(name=f"net{seed}", exp=["libm", "fast"][seed % 2]) for seed, model in enumerate(models)]
    library = compiled("\n".join(found.source for found in files), tmp_path, optimize="-O1")
    for seed, (model, found) in enumerate(zip(models, files, strict=True)):
        x = np.random.default_rng(seed).normal(size=(1, *model.input_shapes[0])).astype("f")
        y = sequence(library, found, x[0], 1000).reshape(1, 1000, 4)
        check(y, predict, model, [x])


@pytest.mark.parametrize("cell", CELLS)
def test_a_stream_is_the_sequence(cell, tmp_path):
    """Bit for bit, after any number of steps; and what it takes."""
    recurrent = CELLS[cell](3, 32, num_layers=2, return_sequences=True)
    model = filled(nn.Sequential(recurrent, nn.Linear(32, 4)).build((1000, 3)), 1)
    found = model.to_c()
    library = compiled(found.source, tmp_path)
    x = np.random.default_rng(0).normal(size=(1000, 3)).astype("f")
    np.testing.assert_array_equal(stepped(library, found, x).ravel(), sequence(library, found, x, 1000))
    rows = {"RNN": 1, "GRU": 4, "GRU before": 3, "LSTM": 4}[cell]  # sums of gates; [x, h, h], and c of two sublayers
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


def graph():
    """A stream with branches: two cells that read one value, a layer that is called twice, and steps joined with states."""
    x = nn.Input((STEPS,))
    embedded, shared = nn.Embedding(9, 4)(x), nn.GRU(4, 4, return_sequences=True)
    once = shared(embedded)
    twice = shared(once + embedded)
    last = nn.Concatenate()([nn.LSTM(4, 6)(twice), nn.RNN(4, 3)(once)])
    return filled(nn.Model(x, nn.Softmax()(nn.Linear(9, 3)(last)), seed=0), 0)


def test_graphs_with_states(tmp_path):
    model = graph()
    found = model.to_c()
    library = compiled(found.source, tmp_path, "-fsanitize=undefined", "-fno-sanitize-recover=all")
    x = np.random.default_rng(0).integers(0, 9, (3, STEPS)).astype(np.intc)
    check(run(found, library, [x])[0], predict, model, [x])
    for steps in range(1, STEPS + 1):
        check(sequence(library, found, x[0], steps), lambda m, x: predict(m, x)[0], model, [x[:1, :steps]])
    check(stepped(library, found, x[0])[-1], lambda m, x: predict(m, x)[0], model, [x[:1]])


def test_long_sequences_need_no_room(tmp_path):
    """No memory, and no numbers in the file: its self-test has the steps of a short sequence."""
    model = nn.Sequential(nn.GRU(2, 8), nn.Linear(8, 1), seed=0).build((STEPS, 2))
    short, long = model.to_c(), model.to_c(time_steps=20000)
    assert (long.ram, long.flash) == (short.ram, short.flash)
    assert len(long.source) < len(short.source)
    path = tmp_path / "net.c"
    path.write_text(long.source)
    subprocess.run(["gcc", "-std=c99", "-DNET_SELFTEST", path, "-o", tmp_path / "net", "-lm"], check=True)
    assert subprocess.run([tmp_path / "net"], capture_output=True, text=True, check=True).stdout == "ok\n"


def test_who_has_steps():
    """What `Model.stream` and ``lengths=`` refuse, C does not have."""
    both = nn.Sequential(nn.GRU(2, 3, bidirectional=True)).build((STEPS, 2)).to_c()
    assert ("net_step" in both.source, both.state, "net_predict_steps" in both.source) == (False, 0, True)
    over_time = nn.Sequential(nn.LayerNorm((STEPS, 2)), nn.GRU(2, 3)).build((STEPS, 2)).to_c()
    assert ("net_step" in over_time.source, "net_predict_steps" in over_time.source) == (False, False)
    forward = nn.Sequential(nn.Linear(2, 3)).build((STEPS, 2)).to_c()
    assert ("net_step" in forward.source, "net_predict_steps" in forward.source) == (False, False)


@pytest.mark.parametrize("after", [True, False])
@pytest.mark.parametrize("kind", ["float16", "bfloat16", "int8"])
def test_formats_of_weights(kind, after, tmp_path):
    """Rounded weights are all that differs: 16 bits in each weight, 8 bits with a scale for each sum of a gate."""
    layers = [nn.GRU(3, 7, return_sequences=True, reset_after=after), nn.LSTM(7, 5)]
    model = filled(nn.Sequential(*layers).build((STEPS, 3)), 0)
    x = np.random.default_rng(0).normal(size=(2, STEPS, 3)).astype("f")
    found = model.to_c(weights=kind)
    got = run(found, compiled(found.source, tmp_path), [x])[0]
    state = model.state_dict()
    assert 1e-5 < np.abs(got - model.predict(x)).max() < 0.02

    def nearest(rows):
        if kind == "int8":
            scale = np.abs(rows).max(axis=1, keepdims=True) / 127
            return np.rint(rows / scale) * scale
        return rows.astype("e") if kind == "float16" else ((rows.view("u4") + 0x8000) & 0xFFFF0000).view("f")

    for i, n in ((0, 7), (1, 5)):
        w, v = state[f"{i}.weight_ih_l0"], state[f"{i}.weight_hh_l0"]
        split = 2 * n if i == 0 else 4 * n  # the new gate of a GRU has two sums if it resets after the product
        together = nearest(np.concatenate([w[:split], v[:split]], 1))
        w[:split], v[:split] = together[:, : w.shape[1]], together[:, w.shape[1] :]
        if split < len(w) and after:
            w[split:], v[split:] = nearest(w[split:].copy()), nearest(v[split:].copy())
        elif split < len(w):
            together = nearest(np.concatenate([w[split:], v[split:]], 1))
            w[split:], v[split:] = together[:, : w.shape[1]], together[:, w.shape[1] :]
    model.load_state_dict(state)
    np.testing.assert_allclose(got, model.predict(x), atol=1e-6)
