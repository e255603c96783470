"""Recurrent layers against PyTorch: forward, backward and 200 training steps, lengths, truncation, states that are carried on."""

import numpy as np
import pytest
from truth.recurrent_pairs import CELLS, SHAPES, F, H, N, T, pair, run_torch, some_lengths, torch, with_head

import nncore as nn

TOLERANCE = {"float64": 1e-10, "float32": 1e-4}


@pytest.fixture
def rng():
    return np.random.default_rng(20)


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
@pytest.mark.parametrize(
    ("layers", "bidirectional", "dtype", "steps"), [(1, False, "float32", 200), (1, True, "float64", 120), (2, True, "float64", 40)]
)
@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("padded", [False, True])
def test_many_steps(cell, layers, bidirectional, sequences, padded, dtype, steps, rng):
    model, rnn, head = with_head(cell, layers, bidirectional, dtype, sequences)
    x = rng.normal(size=(N, T, F)).astype(dtype)
    y = np.tanh(np.cumsum(x[..., :2], 1)).astype(dtype)
    y = y if sequences else y[:, -1]
    lengths = some_lengths(rng) if padded else None
    epochs = steps // -(-N // 4) + 1
    optimizer = torch.optim.Adam([*rnn.parameters(), *head.parameters()], lr=1e-2)
    args = (torch.from_numpy(x.copy()), torch.from_numpy(y.copy()), lengths, 4, epochs, sequences, optimizer, torch.nn.MSELoss())
    expected = train_torch(rnn, head, *args)[:steps]
    if padded:
        x[np.arange(T) >= lengths[:, None]] = np.nan
        if sequences:
            y[np.arange(T) >= lengths[:, None]] = np.nan
    model.compile(loss="mse", optimizer=nn.optim.Adam(lr=1e-2))
    history = model.fit(x, y, epochs=epochs, batch_size=4, shuffle=False, verbose=0, lengths=lengths)
    rtol = TOLERANCE[dtype]  # near 0, a float32 loss is the square of what rounding leaves
    atol = 0 if dtype == "float64" else 0.1 * rtol * expected.max()
    np.testing.assert_allclose(history.step_losses[:steps], expected, rtol=rtol, atol=atol)


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
    hand = with_head(cell, 1, False, "float64", True, stateful=True)[0]
    hand.compile(loss="mse", optimizer=nn.optim.SGD(lr=0.1))
    got = []
    for _ in range(2):
        hand.reset_states()
        for window in windows:
            output = hand.forward(x[:, window], training=True)
            got.append(np.mean((output - y[:, window]) ** 2))
            hand.backward(2 * (output - y[:, window]) / output.size)
            hand.apply_gradients()
    np.testing.assert_allclose(got, expected, rtol=1e-10)
    again = with_head(cell, 1, False, "float64", True, stateful=True)[0]
    again.compile(loss="mse", optimizer=nn.optim.SGD(lr=0.1))
    rows = np.concatenate([x[:, w] for w in windows]), np.concatenate([y[:, w] for w in windows])
    history = again.fit(*rows, epochs=2, batch_size=4, shuffle=False, verbose=0)
    np.testing.assert_allclose(history.step_losses, expected, rtol=1e-10)
    with pytest.raises(nn.errors.ArgumentError, match="shuffle=False"):
        again.fit(*rows, batch_size=4)
