"""A small recurrent layer, ours and PyTorch's with the same weights, and what PyTorch makes of sequences of several lengths."""

import pytest

import nncore as nn

torch = pytest.importorskip("torch", reason="PyTorch is the independent truth here")
torch_reset = pytest.importorskip("truth.torch_reset", reason="PyTorch is the independent truth here")

N, T, F, H = 11, 9, 3, 5
CELLS = {
    "tanh": ("RNN", {}),
    "relu": ("RNN", {"nonlinearity": "relu"}),
    "gru": ("GRU", {}),
    "lstm": ("LSTM", {}),
    "gru_before": ("GRU", {"reset_after": False}),
}
SHAPES = [(1, False), (1, True), (2, False), (2, True)]


def pair(cell, layers, bidirectional, dtype, hidden=H, **options):
    """The same layer twice; ours stands in no model yet."""
    name, own = CELLS[cell]
    arguments = {"num_layers": layers, "bidirectional": bidirectional}
    ours = getattr(nn, name)(F, hidden, **arguments, **own, **options)
    if cell == "gru_before":
        kind, own = torch_reset.GRU, {}
    else:
        kind = getattr(torch.nn, name)
    theirs = kind(F, hidden, batch_first=True, bias=options.get("bias", True), **arguments, **own)
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
