"""Initial and last states of recurrent layers as values of a network: encoders, decoders, states that the network computes."""

import copy
import pickle

import numpy as np
import pytest

import nncore as nn

torch = pytest.importorskip("torch", reason="PyTorch is the independent truth here")
torch_reset = pytest.importorskip("truth.torch_reset", reason="PyTorch is the independent truth here")

N, S, T, F, G, H = 11, 7, 5, 3, 4, 5
CELLS = {
    "tanh": ("RNN", {}),
    "relu": ("RNN", {"nonlinearity": "relu"}),
    "gru": ("GRU", {}),
    "lstm": ("LSTM", {}),
    "gru_before": ("GRU", {"reset_after": False}),
}
SHAPES = [(1, False), (1, True), (2, False), (3, True)]


@pytest.fixture
def rng():
    return np.random.default_rng(21)


def both(cell, features, layers, bidirectional, **options):
    name, own = CELLS[cell]
    arguments = {"num_layers": layers, "bidirectional": bidirectional}
    ours = getattr(nn, name)(features, H, **arguments, **own, **options)
    if cell == "gru_before":
        return ours, torch_reset.GRU(features, H, batch_first=True, **arguments).double()
    return ours, getattr(torch.nn, name)(features, H, batch_first=True, **arguments, **own).double()


def load(theirs, model, key):
    own = {name: torch.from_numpy(value.copy()) for name, value in model.state_dict().items() if name.startswith(f"{key}.")}
    theirs.load_state_dict({name[len(key) + 1 :]: value for name, value in own.items()})


def batch_first(state):
    """PyTorch's [blocks, N, H] as ours."""
    return state[0] if len(state) == 1 else state.transpose(0, 1)


def compare_gradients(model, modules):
    for key, module in modules.items():
        for name, p in module.named_parameters():
            np.testing.assert_allclose(model.gradients[f"{key}.{name}"], p.grad, rtol=1e-9, atol=1e-11, err_msg=f"{key}.{name}")


@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("sequences", [False, True])
@pytest.mark.parametrize(("layers", "bidirectional"), SHAPES)
@pytest.mark.parametrize("cell", CELLS)
def test_encoder_and_decoder(cell, layers, bidirectional, sequences, padded, rng):
    """Outputs, last states and all gradients; the encoder's output is used besides its states, or not."""
    encoder, their_encoder = both(cell, F, layers, bidirectional, return_state=True, return_sequences=sequences, name="encoder")
    decoder, their_decoder = both(cell, G, layers, bidirectional, return_state=True, return_sequences=True, name="decoder")
    source, target = nn.Input((S, F)), nn.Input((T, G))
    encoded, state = encoder(source)
    decoded, last = decoder(target, state)
    ends = list(last) if cell == "lstm" else [last]
    outputs = [decoded, *ends, *([nn.Linear(encoded.shape[-1], 2, name="head")(encoded)] if sequences else [])]
    model = nn.Model([source, target], outputs, seed=2, dtype="float64")
    load(their_encoder, model, "encoder")
    load(their_decoder, model, "decoder")
    modules = {"encoder": their_encoder, "decoder": their_decoder}

    x, y = rng.normal(size=(N, S, F)), rng.normal(size=(N, T, G))
    x_t, y_t = torch.from_numpy(x.copy()).requires_grad_(), torch.from_numpy(y.copy()).requires_grad_()
    lengths = rng.integers(1, S + 1, N) if padded else None
    if padded:
        x[np.arange(S) >= lengths[:, None]] = np.nan
        packed = torch.nn.utils.rnn.pack_padded_sequence(x_t, torch.as_tensor(lengths), batch_first=True, enforce_sorted=False)
        encoded, state = their_encoder(packed)
        encoded, _ = torch.nn.utils.rnn.pad_packed_sequence(encoded, batch_first=True, total_length=S)
    else:
        encoded, state = their_encoder(x_t)
    decoded, last = their_decoder(y_t, state)
    expected = [decoded, *map(batch_first, last if cell == "lstm" else [last])]
    if sequences:
        modules["head"] = torch.nn.Linear(encoded.shape[-1], 2).double()
        load(modules["head"], model, "head")
        expected.append(modules["head"](encoded))

    got = model.forward([x, y], training=True, lengths=lengths)
    for one, other in zip(got, expected, strict=True):
        np.testing.assert_allclose(one, other.detach(), rtol=1e-10, atol=1e-12)
    for one, other in zip(model.predict([x, y], lengths=lengths), got, strict=True):
        np.testing.assert_array_equal(one, other)
    grads = [rng.normal(size=each.shape) for each in got]
    if padded and sequences:
        grads[-1][np.arange(S) >= lengths[:, None]] = 0
    torch.autograd.backward(expected, [torch.from_numpy(g) for g in grads])
    dx, dy = model.backward(grads)
    np.testing.assert_allclose(dx, x_t.grad, rtol=1e-9, atol=1e-11)
    np.testing.assert_allclose(dy, y_t.grad, rtol=1e-9, atol=1e-11)
    compare_gradients(model, modules)


@pytest.mark.parametrize("flat", [False, True])
@pytest.mark.parametrize(("layers", "bidirectional"), SHAPES)
@pytest.mark.parametrize("cell", CELLS)
def test_computed_initial_states(cell, layers, bidirectional, flat, rng):
    """States that a Linear makes of another input, in both shapes, and one that is an input itself, which two layers share."""
    blocks = layers * (1 + bidirectional)
    layer, theirs = both(cell, F, layers, bidirectional, return_sequences=True, name="layer")
    other, their_other = both(cell, F, layers, bidirectional, name="other")
    x, z = nn.Input((S, F)), nn.Input((6,))
    given = nn.Input((blocks * H,) if flat else (blocks, H))
    made = nn.Tanh()(nn.Linear(6, blocks * H, name="bridge")(z))
    made = made if flat else nn.Reshape(blocks, H)(made)
    lstm = cell == "lstm"
    model = nn.Model(
        [x, z, given],
        [layer(x, (made, given) if lstm else made), other(x, (given, given) if lstm else given)],
        seed=3,
        dtype="float64",
    )
    bridge = torch.nn.Linear(6, blocks * H).double()
    for module, key in ((theirs, "layer"), (their_other, "other"), (bridge, "bridge")):
        load(module, model, key)
    arrays = [rng.normal(size=(N, *value.shape)) for value in (x, z, given)]
    as_torch = [torch.from_numpy(a.copy()).requires_grad_() for a in arrays]
    made_t = torch.tanh(bridge(as_torch[1])).reshape(N, blocks, H).transpose(0, 1).contiguous()
    given_t = as_torch[2].reshape(N, blocks, H).transpose(0, 1).contiguous()
    output, _ = theirs(as_torch[0], (made_t, given_t) if lstm else made_t)
    _, last = their_other(as_torch[0], (given_t, given_t) if lstm else given_t)
    last = last[0] if lstm else last
    expected = [output, torch.cat(list(last[-1 - bidirectional :]), 1)]
    got = model.forward(arrays)
    for one, two in zip(got, expected, strict=True):
        np.testing.assert_allclose(one, two.detach(), rtol=1e-10, atol=1e-12)
    grads = [rng.normal(size=each.shape) for each in got]
    torch.autograd.backward(expected, [torch.from_numpy(g) for g in grads])
    for one, two in zip(model.backward(grads), as_torch, strict=True):
        np.testing.assert_allclose(one, two.grad, rtol=1e-9, atol=1e-11)
    compare_gradients(model, {"layer": theirs, "other": their_other, "bridge": bridge})


def translator(dtype="float32", seed=0):
    source, target = nn.Input((S, F), name="source"), nn.Input((T, G), name="target")
    _, state = nn.LSTM(F, H, num_layers=2, return_state=True, dropout=0.3)(source)
    decoded = nn.LSTM(G, H, num_layers=2, return_sequences=True)(target, state)
    model = nn.Model([source, target], nn.Linear(H, 2)(decoded), seed=seed, dtype=dtype)
    model.compile(loss="mse", optimizer=nn.optim.Adam(lr=1e-2))
    return model


def test_training_against_torch(rng):
    x, y = rng.normal(size=(N, S, F)), rng.normal(size=(N, T, G))
    z = rng.normal(size=(N, T, 2))
    source, target = nn.Input((S, F)), nn.Input((T, G))
    _, state = nn.GRU(F, H, return_state=True, name="encoder")(source)
    decoded = nn.GRU(G, H, return_sequences=True, name="decoder")(target, state)
    model = nn.Model([source, target], nn.Linear(H, 2, name="head")(decoded), seed=5, dtype="float64")
    modules = {
        "encoder": torch.nn.GRU(F, H, batch_first=True).double(),
        "decoder": torch.nn.GRU(G, H, batch_first=True).double(),
        "head": torch.nn.Linear(H, 2).double(),
    }
    for key, module in modules.items():
        load(module, model, key)
    optimizer = torch.optim.Adam([p for m in modules.values() for p in m.parameters()], lr=1e-2)
    expected = []
    for _ in range(100):
        for rows in (slice(0, 6), slice(6, N)):
            _, state = modules["encoder"](torch.from_numpy(x[rows]))
            decoded, _ = modules["decoder"](torch.from_numpy(y[rows]), state)
            loss = torch.nn.functional.mse_loss(modules["head"](decoded), torch.from_numpy(z[rows]))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            expected.append(loss.item())
    model.compile(loss="mse", optimizer=nn.optim.Adam(lr=1e-2))
    history = model.fit([x, y], z, epochs=100, batch_size=6, shuffle=False, verbose=0)
    np.testing.assert_allclose(history.step_losses, expected, rtol=1e-10)


def test_same_bits_for_any_number_of_threads_and_after_copies_and_files(tmp_path, rng):
    x, y, z = (rng.normal(size=(70, *shape)).astype(np.float32) for shape in ((S, F), (T, G), (T, 2)))
    lengths = rng.integers(1, S + 1, 70)
    runs = []
    for threads in (1, 2, 3):
        with nn.threads(threads):
            model = translator()
            losses = model.fit([x, y], z, epochs=2, batch_size=35, lengths=lengths, verbose=0).step_losses
            runs.append((losses, model.predict([x, y])))
    for losses, predicted in runs[1:]:
        np.testing.assert_array_equal(losses, runs[0][0])
        np.testing.assert_array_equal(predicted, runs[0][1])
    model.save(tmp_path / "m.safetensors")
    others = [nn.load(tmp_path / "m.safetensors"), copy.deepcopy(model), pickle.loads(pickle.dumps(model))]
    expected = model.fit([x, y], z, epochs=1, lengths=lengths, verbose=0).step_losses
    for other in others:
        np.testing.assert_array_equal(other.fit([x, y], z, epochs=1, lengths=lengths, verbose=0).step_losses, expected)


def test_decoding_step_by_step_with_shared_layers(rng):
    """The encoder, and one step of the decoder, as models of their own over the same weights, as one decodes after training."""
    source, target = nn.Input((S, F)), nn.Input((T, G))
    encoder, head = nn.GRU(F, H, return_state=True), nn.Linear(H, 2)
    decoder = nn.GRU(G, H, return_sequences=True, return_state=True)
    _, state = encoder(source)
    decoded, _ = decoder(target, state)
    model = nn.Model([source, target], head(decoded), seed=1)
    x, y = rng.normal(size=(N, S, F)).astype(np.float32), rng.normal(size=(N, T, G)).astype(np.float32)
    whole = model.predict([x, y])
    one, before = nn.Input((1, G)), nn.Input((H,))
    output, after = decoder(one, before)
    encode, step = nn.Model(source, state), nn.Model([one, before], [head(output), after])
    h = encode.predict(x)
    for t in range(T):
        out, h = step.predict([y[:, t : t + 1], h])
        np.testing.assert_allclose(out[:, 0], whole[:, t], rtol=1e-5, atol=1e-6)


def test_such_a_layer_alone(rng):
    """Alone, a layer always gives its last states."""
    x, layer = rng.normal(size=(N, S, F)).astype(np.float32), nn.LSTM(F, H, return_state=True)
    twin = nn.LSTM(F, H)
    twin.load_state_dict(layer.state_dict())
    (output, (h, c)), (expected, last) = layer(x), twin(x)
    for got, wanted in zip((output, h, c), (expected, *last), strict=True):
        np.testing.assert_array_equal(got, wanted)


def test_summary_and_description():
    model = translator()
    text = str(model.summary(show=False))
    assert "target, lstm, lstm" in text
    shapes = [row.output_shape for row in model.summary(show=False).rows]
    assert shapes == [(S, F), (T, G), (H,), (T, H), (T, 2)]


REFUSED = [
    (lambda x, s: nn.GRU(F, H)(x, nn.Input((6,))), nn.errors.ShapeError, r"h_0 has shape \(N, 6\), but \(N, 1, 5\) or \(N, 5\)"),
    (lambda x, s: nn.GRU(F, H, num_layers=2)(x, s), nn.errors.ShapeError, r"\(N, 2, 5\) or \(N, 10\)"),
    (lambda x, s: nn.LSTM(F, H)(x, s), nn.errors.ArgumentError, "pair"),
    (lambda x, s: nn.LSTM(F, H)(x, (s,)), nn.errors.ArgumentError, "pair"),
    (lambda x, s: nn.GRU(F, H)(x, np.zeros((1, N, H))), nn.errors.ArgumentError, "ndarray.*no part of the network"),
    (lambda x, s: nn.GRU(F, H, learn_initial_state=True)(x, s), nn.errors.ArgumentError, "learn_initial_state=True"),
    (lambda x, s: nn.GRU(F, H, stateful=True)(x, s), nn.errors.ArgumentError, "stateful=True"),
    (lambda x, s: nn.GRU(F, H)(x, lengths=[1]), nn.errors.ArgumentError, "lengths belong to data"),
    (lambda x, s: nn.Sequential(nn.GRU(F, H, return_state=True)), nn.errors.ArgumentError, "several results"),
]


@pytest.mark.parametrize(("action", "error", "message"), REFUSED)
def test_refusals(action, error, message):
    with pytest.raises(error, match=message):
        action(nn.Input((S, F)), nn.Input((H,)))
