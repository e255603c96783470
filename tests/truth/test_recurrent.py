"""Recurrent layers: forward, backward and 200 training steps against PyTorch, lengths, states, finite differences, bits."""

import copy
import pickle

import numpy as np
import pytest

import nncore as nn
from nncore import _core

torch = pytest.importorskip("torch", reason="PyTorch is the independent truth here")

N, T, F, H = 11, 9, 3, 5
TOLERANCE = {"float64": 1e-10, "float32": 1e-4}
CELLS = {"tanh": ("RNN", {}), "relu": ("RNN", {"nonlinearity": "relu"}), "gru": ("GRU", {}), "lstm": ("LSTM", {})}
SHAPES = [(1, False), (1, True), (2, False), (2, True)]


@pytest.fixture
def rng():
    return np.random.default_rng(20)


def pair(cell, layers, bidirectional, dtype, hidden=H, **options):
    """The same layer twice; ours stands in no model yet."""
    name, own = CELLS[cell]
    arguments = {"num_layers": layers, "bidirectional": bidirectional, **own}
    ours = getattr(nn, name)(F, hidden, **arguments, **options)
    theirs = getattr(torch.nn, name)(F, hidden, batch_first=True, bias=options.get("bias", True), **arguments)
    return ours, theirs.to(getattr(torch, dtype))


def with_head(cell, layers, bidirectional, dtype, sequences, out=2, seed=4, hidden=H, **options):
    ours, theirs = pair(cell, layers, bidirectional, dtype, hidden, return_sequences=sequences, **options)
    width = hidden * (2 if bidirectional else 1)
    model = nn.Sequential(ours, nn.Linear(width, out), seed=seed, dtype=dtype).build((T, F))
    head = torch.nn.Linear(width, out).to(getattr(torch, dtype))
    state = {key: torch.from_numpy(value.copy()) for key, value in model.state_dict().items()}
    theirs.load_state_dict({key[2:]: value for key, value in state.items() if key.startswith("0.")})
    head.load_state_dict({key[2:]: value for key, value in state.items() if key.startswith("1.")})
    return model, theirs, head


def run_torch(rnn, x, lengths=None):
    """Output [N, T, D H], zeros in the padding, and the final states concatenated [N, D H]."""
    if lengths is not None:
        packed = torch.nn.utils.rnn.pack_padded_sequence(x, torch.as_tensor(lengths), batch_first=True, enforce_sorted=False)
        output, state = rnn(packed)
        output, _ = torch.nn.utils.rnn.pad_packed_sequence(output, batch_first=True, total_length=x.shape[1])
    else:
        output, state = rnn(x)
    h = state[0] if isinstance(state, tuple) else state
    directions = 2 if rnn.bidirectional else 1
    return output, torch.cat(list(h[-directions:]), dim=1)


def some_lengths(rng):
    lengths = rng.integers(1, T + 1, N)
    lengths[:2] = T, 1
    return lengths


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("layers", "bidirectional"), SHAPES)
@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("padded", [False, True])
def test_alone(cell, layers, bidirectional, dtype, padded, rng):
    ours, theirs = pair(cell, layers, bidirectional, "float32")
    ours.load_state_dict(theirs.state_dict())  # a PyTorch module's, unchanged
    x = rng.normal(size=(N, T, F)).astype(np.float32)
    states = [rng.normal(size=(layers * (1 + bidirectional), N, H)).astype(np.float32) for _ in range(2)]
    given = tuple(states) if cell == "lstm" else states[0]
    as_torch = tuple(map(torch.from_numpy, states)) if cell == "lstm" else torch.from_numpy(states[0])
    lengths = some_lengths(rng) if padded else None
    if padded:
        order = torch.from_numpy(x)
        packed = torch.nn.utils.rnn.pack_padded_sequence(order, torch.as_tensor(lengths), batch_first=True, enforce_sorted=False)
        expected, final = theirs(packed, as_torch)
        expected, _ = torch.nn.utils.rnn.pad_packed_sequence(expected, batch_first=True, total_length=T)
        x[np.arange(T) >= lengths[:, None]] = np.nan
    else:
        expected, final = theirs(torch.from_numpy(x), as_torch)
    output, end = ours(x, given, lengths)
    np.testing.assert_allclose(output, expected.detach(), rtol=1e-5, atol=1e-6)
    for got, want in zip(end if cell == "lstm" else [end], final if cell == "lstm" else [final], strict=True):
        np.testing.assert_allclose(got, want.detach(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("sequences", [False, True])
@pytest.mark.parametrize(("layers", "bidirectional"), SHAPES)
@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("padded", [False, True])
def test_forward_and_backward(cell, layers, bidirectional, sequences, padded, rng):
    model, rnn, head = with_head(cell, layers, bidirectional, "float64", sequences)
    x = rng.normal(size=(N, T, F))
    lengths = some_lengths(rng) if padded else None
    as_torch = torch.from_numpy(x.copy()).requires_grad_()
    if padded:
        x[np.arange(T) >= lengths[:, None]] = np.nan
    output, last = run_torch(rnn, as_torch, lengths)
    expected = head(output if sequences else last)
    y = model.forward(x, training=True, lengths=lengths)
    np.testing.assert_allclose(y, expected.detach(), rtol=1e-10, atol=1e-12)
    np.testing.assert_array_equal(model.predict(np.nan_to_num(x), lengths=lengths), y)
    dy = rng.normal(size=y.shape)
    if padded and sequences:
        dy[np.arange(T) >= lengths[:, None]] = 0
    expected.backward(torch.from_numpy(dy))
    np.testing.assert_allclose(model.backward(dy), as_torch.grad, rtol=1e-9, atol=1e-12)
    wanted = {f"0.{k}": p.grad for k, p in rnn.named_parameters()} | {f"1.{k}": p.grad for k, p in head.named_parameters()}
    for name, gradient in model.gradients.items():
        np.testing.assert_allclose(gradient, wanted[name], rtol=1e-9, atol=1e-11, err_msg=name)


@pytest.mark.parametrize("rows", [N, 16])
@pytest.mark.parametrize("cell", CELLS)
def test_weights_that_are_large_against_the_steps(cell, rows, rng):
    """Their gradients are not summed up by groups of samples first."""
    model, rnn, head = with_head(cell, 1, True, "float64", False, hidden=24)
    x, dy = rng.normal(size=(rows, T, F)), rng.normal(size=(rows, 2))
    head(run_torch(rnn, torch.from_numpy(x))[1]).backward(torch.from_numpy(dy))
    model.forward(x, training=True)
    model.backward(dy)
    wanted = {f"0.{k}": p.grad for k, p in rnn.named_parameters()} | {f"1.{k}": p.grad for k, p in head.named_parameters()}
    for name, gradient in model.gradients.items():
        np.testing.assert_allclose(gradient, wanted[name], rtol=1e-9, atol=1e-11, err_msg=name)


def train_torch(rnn, head, x, y, lengths, batch, epochs, sequences, optimizer, loss):
    losses = []
    for _ in range(epochs):
        for first in range(0, len(x), batch):
            rows = slice(first, first + batch)
            output, last = run_torch(rnn, x[rows], None if lengths is None else lengths[rows])
            z, t = head(output if sequences else last), y[rows]
            if sequences and lengths is not None:
                counted = torch.arange(T) < torch.as_tensor(lengths[rows])[:, None]
                z, t = z[counted], t[counted]
            elif sequences:
                z, t = z.reshape(-1, z.shape[-1]), t.reshape(-1, *t.shape[2:])
            value = loss(z, t)
            optimizer.zero_grad()
            value.backward()
            optimizer.step()
            losses.append(value.item())
    return np.array(losses)


@pytest.mark.parametrize("sequences", [False, True])
@pytest.mark.parametrize(("layers", "bidirectional", "dtype"), [(1, False, "float32"), (1, True, "float64"), (2, True, "float64")])
@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("padded", [False, True])
def test_200_steps(cell, layers, bidirectional, sequences, padded, dtype, rng):
    model, rnn, head = with_head(cell, layers, bidirectional, dtype, sequences)
    x = rng.normal(size=(N, T, F)).astype(dtype)
    y = np.tanh(np.cumsum(x[..., :2], 1)).astype(dtype)
    y = y if sequences else y[:, -1]
    lengths = some_lengths(rng) if padded else None
    optimizer = torch.optim.Adam([*rnn.parameters(), *head.parameters()], lr=1e-2)
    args = (torch.from_numpy(x.copy()), torch.from_numpy(y.copy()), lengths, 4, 67, sequences, optimizer, torch.nn.MSELoss())
    expected = train_torch(rnn, head, *args)[:200]
    if padded:
        x[np.arange(T) >= lengths[:, None]] = np.nan
        if sequences:
            y[np.arange(T) >= lengths[:, None]] = np.nan
    model.compile(loss="mse", optimizer=nn.optim.Adam(lr=1e-2))
    history = model.fit(x, y, epochs=67, batch_size=4, shuffle=False, verbose=0, lengths=lengths)
    rtol = TOLERANCE[dtype]  # near 0, a float32 loss is the square of what rounding leaves
    atol = 0 if dtype == "float64" else 0.1 * rtol * expected.max()
    np.testing.assert_allclose(history.step_losses[:200], expected, rtol=rtol, atol=atol)


@pytest.mark.parametrize("padded", [False, True])
def test_classes_per_step(padded, rng):
    """Sparse targets [N, T]; what stands in the padding is no class, and does not count in loss or accuracy."""
    model, rnn, head = with_head("gru", 1, True, "float64", True, out=4)
    x, y = rng.normal(size=(N, T, F)), rng.integers(0, 4, (N, T))
    lengths = some_lengths(rng) if padded else None
    optimizer = torch.optim.SGD([*rnn.parameters(), *head.parameters()], lr=0.5)
    args = (torch.from_numpy(x), torch.from_numpy(y.copy()), lengths, 4, 10, True, optimizer, torch.nn.CrossEntropyLoss())
    expected = train_torch(rnn, head, *args)
    if padded:
        y[np.arange(T) >= lengths[:, None]] = -100
    loss = nn.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(loss=loss, optimizer=nn.optim.SGD(lr=0.5), metrics=["accuracy"])
    history = model.fit(x, y, epochs=10, batch_size=4, shuffle=False, verbose=0, lengths=lengths)
    np.testing.assert_allclose(history.step_losses, expected, rtol=1e-10)
    value, accuracy = model.evaluate(x, y, lengths=lengths)
    counted = np.ones((N, T), bool) if lengths is None else np.arange(T) < lengths[:, None]
    z = model.predict(x, lengths=lengths)
    assert accuracy == pytest.approx((z.argmax(-1) == y)[counted].mean())
    logs = z - np.log(np.exp(z).sum(-1, keepdims=True))
    assert value == pytest.approx(-np.take_along_axis(logs, np.where(counted, y, 0)[..., None], -1)[..., 0][counted].mean())


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("bidirectional", [False, True])
def test_each_sequence_is_as_if_alone(cell, bidirectional, rng):
    model = with_head(cell, 2, bidirectional, "float32", True)[0]
    x, lengths = rng.normal(size=(N, T, F)).astype(np.float32), some_lengths(rng)
    together = model.predict(x, lengths=lengths)
    for i, n in enumerate(lengths):
        own = copy.deepcopy(model).build((int(n), F))
        np.testing.assert_array_equal(own.predict(x[i : i + 1, :n])[0], together[i, :n])


@pytest.mark.parametrize("cell", ["tanh", "gru", "lstm"])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_same_bits_for_any_number_of_threads(cell, bidirectional, rng):
    runs = []
    x, y = rng.normal(size=(70, 40, F)).astype(np.float32), rng.normal(size=(70, 2)).astype(np.float32)
    lengths = rng.integers(1, 41, 70)
    for threads in (1, 2, 3):
        with nn.threads(threads):
            layer = pair(cell, 2, bidirectional, "float32", hidden=37, learn_initial_state=True)[0]
            model = nn.Sequential(layer, nn.Linear(37 * (1 + bidirectional), 2), seed=1).build((40, F))
            model.compile(loss="mse", optimizer="adam")
            losses = model.fit(x, y, epochs=3, batch_size=35, lengths=lengths, verbose=0).step_losses
            runs.append((losses, model.predict(x), model.state_dict()))
    for losses, predicted, state in runs[1:]:
        np.testing.assert_array_equal(losses, runs[0][0])
        np.testing.assert_array_equal(predicted, runs[0][1])
        for key, value in state.items():
            np.testing.assert_array_equal(value, runs[0][2][key])


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("bidirectional", [False, True])
def test_learned_initial_states_by_finite_differences(cell, bidirectional, rng):
    layer = pair(cell, 1, bidirectional, "float64", learn_initial_state=True)[0]
    model = nn.Sequential(layer, seed=0, dtype="float64").build((T, F))
    for name, value in model.named_parameters():
        value[...] = rng.normal(size=value.shape) * (0.3 if "weight" in name else 0.5)
    x, lengths = rng.normal(size=(N, T, F)), some_lengths(rng)
    dy = rng.normal(size=(N, H * (1 + bidirectional)))
    model.forward(x, training=True, lengths=lengths)
    model.backward(dy)
    gradients = {name: g.copy() for name, g in model.gradients.items()}
    for name, value in model.named_parameters():
        for index in list(np.ndindex(value.shape))[:: max(1, value.size // 7)]:
            before, sums = value[index], []
            for step in (1e-6, -1e-6):
                value[index] = before + step
                sums.append((model.predict(x, lengths=lengths) * dy).sum())
            value[index] = before
            assert gradients[name][index] == pytest.approx((sums[0] - sums[1]) / 2e-6, rel=1e-5, abs=1e-7), name


@pytest.mark.parametrize("cell", CELLS)
def test_truncated(cell, rng):
    """Windows of 4 steps: PyTorch detaches the state between them."""
    model, rnn, head = with_head(cell, 1, False, "float64", True, truncate=4)
    x, dy = rng.normal(size=(N, T, F)), rng.normal(size=(N, T, 2))
    state, outputs = None, []
    for first in range(0, T, 4):
        output, state = rnn(torch.from_numpy(x[:, first : first + 4]), state)
        state = tuple(s.detach() for s in state) if isinstance(state, tuple) else state.detach()
        outputs.append(output)
    expected = head(torch.cat(outputs, 1))
    np.testing.assert_allclose(model.forward(x, training=True), expected.detach(), rtol=1e-10)
    expected.backward(torch.from_numpy(dy))
    model.backward(dy)
    for name, p in rnn.named_parameters():
        np.testing.assert_allclose(model.gradients[f"0.{name}"], p.grad, rtol=1e-9, atol=1e-12, err_msg=name)


@pytest.mark.parametrize("steps", [1, 9, 40])
@pytest.mark.parametrize("window", [1, 4, 16, 40])
@pytest.mark.parametrize("cell", ["tanh", "gru", "lstm"])
def test_truncated_sequences_of_several_lengths(cell, window, steps, rng):
    """The gradient of a last state goes back to the beginning of the window in which its sequence ends, wherever that is."""
    layer, rnn = pair(cell, 2, False, "float64", truncate=window)
    model = nn.Sequential(layer, seed=3, dtype="float64").build((steps, F))
    rnn.load_state_dict({key[2:]: torch.from_numpy(value) for key, value in model.state_dict().items()})
    x, lengths = torch.from_numpy(rng.normal(size=(4, steps, F))).requires_grad_(), rng.integers(1, steps + 1, 4)
    last = []
    for row, n in zip(x, lengths, strict=True):
        state = None
        for first in range(0, n, window):
            output, state = rnn(row[None, first : min(first + window, n)], state)
            state = tuple(s.detach() for s in state) if isinstance(state, tuple) else state.detach()
        last.append(output[:, -1])
    expected = torch.cat(last)
    np.testing.assert_allclose(model.forward(x.detach().numpy(), lengths=lengths), expected.detach(), rtol=1e-10)
    dy = rng.normal(size=expected.shape)
    expected.backward(torch.from_numpy(dy))
    np.testing.assert_allclose(model.backward(dy), x.grad, rtol=1e-9, atol=1e-12)
    for name, p in rnn.named_parameters():
        np.testing.assert_allclose(model.gradients[f"0.{name}"], p.grad, rtol=1e-9, atol=1e-12, err_msg=name)


@pytest.mark.parametrize("cell", CELLS)
def test_stateful(cell, rng):
    """Three windows of one long series, trained one after the other with the state carried over."""
    model, rnn, head = with_head(cell, 1, False, "float64", True, stateful=True)
    x, y = rng.normal(size=(4, 3 * T, F)), rng.normal(size=(4, 3 * T, 2))
    windows = [slice(i * T, (i + 1) * T) for i in range(3)]
    optimizer, state, expected = torch.optim.SGD([*rnn.parameters(), *head.parameters()], lr=0.1), None, []
    for _ in range(2):
        state = None
        for window in windows:
            output, state = rnn(torch.from_numpy(x[:, window]), state)
            state = tuple(s.detach() for s in state) if isinstance(state, tuple) else state.detach()
            value = torch.nn.functional.mse_loss(head(output), torch.from_numpy(y[:, window]))
            optimizer.zero_grad()
            value.backward()
            optimizer.step()
            expected.append(value.item())
    model.compile(loss="mse", optimizer=nn.optim.SGD(lr=0.1))
    got = []
    for _ in range(2):
        model.reset_states()
        got += [model.train_on_batch(x[:, window], y[:, window]) for window in windows]
    np.testing.assert_allclose(got, expected, rtol=1e-10)
    again = with_head(cell, 1, False, "float64", True, stateful=True)[0]
    again.compile(loss="mse", optimizer=nn.optim.SGD(lr=0.1))
    rows = np.concatenate([x[:, w] for w in windows]), np.concatenate([y[:, w] for w in windows])
    history = again.fit(*rows, epochs=2, batch_size=4, shuffle=False, verbose=0)
    np.testing.assert_allclose(history.step_losses, expected, rtol=1e-10)
    with pytest.raises(nn.errors.ArgumentError, match="shuffle=False"):
        again.fit(*rows, batch_size=4)


@pytest.mark.parametrize("cell", CELLS)
def test_files_copies_and_pickles(cell, tmp_path, rng):
    layer = pair(cell, 2, True, "float32", dropout=0.3, learn_initial_state=True, return_sequences=True)[0]
    model = nn.Sequential(layer, nn.Linear(2 * H, 1), seed=0).build((T, F))
    x, y, lengths = rng.normal(size=(N, T, F)), rng.normal(size=(N, T, 1)), some_lengths(rng)
    model.compile(loss="mse", optimizer="adam")
    model.fit(x, y, epochs=2, batch_size=4, lengths=lengths, verbose=0)
    model.save(tmp_path / "m.nnc")
    others = [nn.load(tmp_path / "m.nnc"), copy.deepcopy(model), pickle.loads(pickle.dumps(model))]
    expected = model.fit(x, y, epochs=2, batch_size=4, lengths=lengths, verbose=0).step_losses
    for other in others:
        np.testing.assert_array_equal(other.fit(x, y, epochs=2, batch_size=4, lengths=lengths, verbose=0).step_losses, expected)
        np.testing.assert_array_equal(other.predict(x), model.predict(x))


def test_gradient_norms_per_step(rng):
    model, rnn, head = with_head("tanh", 1, False, "float64", False)
    x = rng.normal(size=(N, T, F))
    model.forward(x)
    model.backward(np.ones((N, 2)))
    weights = {k: p.detach().numpy() for k, p in rnn.named_parameters()}
    h, states = np.zeros((N, H)), []
    for t in range(T):
        h = np.tanh(
            x[:, t] @ weights["weight_ih_l0"].T + weights["bias_ih_l0"] + h @ weights["weight_hh_l0"].T + weights["bias_hh_l0"]
        )
        states.append(h)
    dh, expected = np.ones((N, 2)) @ head.weight.detach().numpy(), []
    for h in reversed(states):
        dz = dh * (1 - h * h)
        expected.append(np.linalg.norm(dz))
        dh = dz @ weights["weight_hh_l0"]
    np.testing.assert_allclose(model.step_gradient_norms()["0.0"], expected[::-1], rtol=1e-10)


def test_batch_first_false_and_single_sequences(rng):
    ours, theirs = pair("lstm", 1, True, "float32")
    ours.load_state_dict(theirs.state_dict())
    x = rng.normal(size=(T, F)).astype(np.float32)
    output, (h, c) = ours(x)
    expected, (h_n, c_n) = theirs(torch.from_numpy(x))
    np.testing.assert_allclose(output, expected.detach(), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(h, h_n.detach(), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(c, c_n.detach(), rtol=1e-5, atol=1e-6)
    turned = nn.LSTM(F, H, bidirectional=True, batch_first=False)
    turned.load_state_dict(theirs.state_dict())
    np.testing.assert_array_equal(turned(np.stack([x, x], 1))[0][:, 1], output)
    with pytest.raises(nn.errors.ArgumentError, match="batch_first"):
        nn.Sequential(turned, nn.Linear(2 * H, 1)).build((T, F))


REFUSED = [
    (lambda m, x, y: m.predict(x, lengths=[0] + [1] * (N - 1)), "between 1 and 9"),
    (lambda m, x, y: m.predict(x, lengths=[10] + [1] * (N - 1)), "between 1 and 9"),
    (lambda m, x, y: m.predict(x, lengths=[1, 2]), r"lengths has shape \(2,\)"),
    (lambda m, x, y: m.predict(x[..., :2]), r"takes \(N, 9, 3\)"),
    (lambda m, x, y: m.predict(x[:, 0]), "layer 0"),
    (lambda m, x, y: m[0](x, np.zeros((2, N, H))), r"h_0 has shape \(2, 11, 5\), but \(1, 11, 5\)"),
    (lambda m, x, y: m[0](x[..., :2]), r"\[N, time, 3\]"),
    (
        lambda m, x, y: nn.Sequential(nn.RNN(F, H), nn.RNN(H, H)).build((T, F)),
        r"layer 1 \(RNN\).*time, 5\].*return_sequences",
    ),
    (lambda m, x, y: nn.Sequential(nn.RNN(F, H), nn.Linear(H + 1, 1)).build((T, F)), r"layer 1 \(Linear\)"),
    (lambda m, x, y: nn.Sequential(nn.Flatten(), nn.Linear(T * F, 1)).build((T, F)).predict(x, lengths=[3] * N), "lengths need"),
]


@pytest.mark.parametrize(("action", "message"), REFUSED)
def test_refusals(action, message, rng):
    model = with_head("gru", 1, False, "float32", False)[0]
    with pytest.raises(nn.errors.ShapeError, match=message):
        action(model, rng.normal(size=(N, T, F)), None)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("sequences", [False, True])
@pytest.mark.parametrize("cell", CELLS)
def test_stream_gives_the_bits_of_the_whole_sequence(cell, sequences, dtype, rng):
    layer = pair(cell, 2, False, dtype, hidden=37, return_sequences=sequences, learn_initial_state=True)[0]
    model = nn.Sequential(layer, nn.Linear(37, 3), nn.Tanh(), seed=0, dtype=dtype).build((T, F))
    for value in model.parameters():
        value[...] = rng.normal(size=value.shape) * 0.4
    x = rng.normal(size=(N, T, F)).astype(dtype)
    whole = model.predict(x)
    for batch in (1, N):
        stream = model.stream(batch)
        for _ in range(2):
            stream.reset()
            steps = np.stack([stream.step(np.ascontiguousarray(x[:batch, t])).copy() for t in range(T)], 1)
            np.testing.assert_array_equal(steps if sequences else steps[:, -1], whole[:batch])
    allocations = _core.alloc_count()
    stream.step(np.ascontiguousarray(x[:, 0]))
    assert _core.alloc_count() == allocations
    with pytest.raises(nn.errors.ShapeError, match="one time step"):
        stream.step(x)
    with pytest.raises(nn.errors.ArgumentError, match="bidirectional"):
        nn.Sequential(nn.GRU(F, H, bidirectional=True)).build((T, F)).stream()


def test_a_stream_keeps_the_weights_that_it_began_with(rng):
    model = nn.Sequential(nn.Linear(F, 4), nn.GRU(4, H, return_sequences=True), nn.Linear(H, 1), seed=0).build((T, F))
    model.compile(loss="mse", optimizer="adam")
    x, before = rng.normal(size=(2, T, F)).astype(np.float32), model.state_dict()
    expected = model.predict(x)
    stream = model.stream(2)
    for t in range(T):
        np.testing.assert_array_equal(stream.step(x[:, t]), expected[:, t])
        model.fit(x, np.ones((2, T, 1)), verbose=0)
    stream.reset()
    steps = np.stack([stream.step(x[:, t]).copy() for t in range(T)], 1)
    np.testing.assert_array_equal(steps, model.predict(x))
    assert all((value != before[name]).any() for name, value in model.state_dict().items())


def test_streams_of_graphs(rng):
    """Layers that models share, last states as the output; a state that comes from elsewhere is refused."""
    x, cell = nn.Input((T, F)), nn.LSTM(F, H, num_layers=2, return_sequences=True, return_state=True)
    output, (h, c) = cell(x)
    one, other = nn.Model(x, nn.Linear(H, 2)(output), seed=0), nn.Model(x, c)
    data = rng.normal(size=(3, T, F)).astype(np.float32)
    streams = one.stream(3), other.stream(3)
    for t in range(T):
        results = [stream.step(data[:, t]) for stream in streams]
        np.testing.assert_array_equal(results[0], one.predict(data)[:, t])
    np.testing.assert_array_equal(results[1], other.predict(data))
    again = nn.LSTM(F, H, num_layers=2)(x, (h, c))
    with pytest.raises(nn.errors.ArgumentError, match="begins with a state"):
        nn.Model(x, again).stream()
    with pytest.raises(nn.errors.ShapeError, match="mixes the time steps"):
        nn.Sequential(nn.GRU(F, H, return_sequences=True), nn.Flatten()).build((T, F)).stream()


def test_indices_over_time(rng):
    """Behind an embedding: lengths, padding that is no index, other lengths, streams."""
    model = nn.Sequential(nn.Embedding(7, F), nn.GRU(F, H, return_sequences=True, bidirectional=True), nn.Linear(2 * H, 2), seed=0)
    x, lengths = rng.integers(0, 7, (N, T)), some_lengths(rng)
    padding = np.arange(T) >= lengths[:, None]
    model.compile(loss="mse", optimizer="sgd")
    whole = model.predict(np.where(padding, 3, x), lengths=lengths)
    np.testing.assert_array_equal(model.predict(np.where(padding, -1, x), lengths=lengths), whole)
    for i, n in enumerate(lengths):
        np.testing.assert_array_equal(model.predict(x[i : i + 1, :n])[0], whole[i, :n])
    y = rng.normal(size=(N, T, 2))
    losses = [copy.deepcopy(model).fit(np.where(padding, i, x), y, lengths=lengths, verbose=0).history for i in (0, 3, -1, 99)]
    assert all(each == losses[0] for each in losses)
    with pytest.raises(nn.errors.IndexRangeError, match="-1"):
        model.predict(np.where(padding, -1, x))
    single = nn.Sequential(nn.Embedding(7, F), nn.GRU(F, H, return_sequences=True), seed=0).build((T,))
    stream = single.stream(N)
    np.testing.assert_array_equal(np.stack([stream.step(x[:, t]).copy() for t in range(T)], 1), single.predict(x))
    with pytest.raises(nn.errors.IndexRangeError, match="9"):
        stream.step(np.full(N, 9))
    with pytest.raises(nn.errors.ShapeError, match=r"\(11,\)"):
        stream.step(x[:2, 0])


def test_metrics_in_python_see_the_steps_that_count(rng):
    model = nn.Sequential(nn.GRU(F, H, return_sequences=True), nn.Linear(H, 2), seed=0, dtype="float64").build((T, F))
    x, y, lengths, weight = rng.normal(size=(N, T, F)), rng.normal(size=(N, T, 2)), some_lengths(rng), rng.uniform(0.1, 2, N)
    y[np.arange(T) >= lengths[:, None]] = np.nan
    model.compile(loss="mse", optimizer=nn.optim.SGD(lr=0.0), metrics=["mae", lambda a, b: np.abs(a - b)])
    for options in ({}, {"sample_weight": weight}):
        _, own, theirs = model.evaluate(x, y, lengths=lengths, **options)
        assert own == pytest.approx(theirs, rel=1e-12)
        history = model.fit(x, y, batch_size=4, lengths=lengths, verbose=0, **options).history
        assert history["mae"][0] == pytest.approx(own, rel=1e-12)
        assert history["<lambda>"][0] == pytest.approx(own, rel=1e-12)


def test_dense_layers_before_a_recurrent_one(rng):
    """What comes first may be made before the number of steps is known."""
    model = nn.Sequential(nn.Linear(F, 4), nn.Tanh(), nn.GRU(4, H), nn.Linear(H, 1), seed=0)
    assert not model.built
    assert model.predict(rng.normal(size=(N, T, F))).shape == (N, 1)


def test_summary_counts_the_states_that_training_keeps():
    kept = [nn.Sequential(nn.LSTM(3, 64)).build((t, 3)).summary(show=False).training_bytes for t in (50, 100, 150)]
    assert kept[1] - kept[0] == pytest.approx(kept[2] - kept[1], rel=0.01)
    assert kept[1] - kept[0] > 50 * 4 * 64 * 6
