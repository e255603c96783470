"""Random PyTorch modules for the tests of from_torch."""

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

ACTIVATIONS = (
    nn.ReLU,
    nn.ReLU6,
    nn.Sigmoid,
    nn.Tanh,
    nn.SiLU,
    nn.SELU,
    nn.Softsign,
    nn.Mish,
    nn.LogSigmoid,
    nn.Tanhshrink,
    nn.Hardsigmoid,
    nn.Hardswish,
    nn.Identity,
    nn.Softplus,
    nn.Hardshrink,
    nn.Softshrink,
    lambda: nn.LeakyReLU(0.2),
    lambda: nn.ELU(0.7),
    lambda: nn.CELU(0.7),
    lambda: nn.GELU("tanh"),
    nn.GELU,
    lambda: nn.Hardtanh(-0.5, 2.0),
    lambda: nn.Threshold(0.1, -0.2),
    lambda: nn.Softplus(2.0, 10.0),
    lambda: nn.Softmax(dim=-1),
    lambda: nn.LogSoftmax(dim=-1),
    lambda: nn.ReLU(inplace=True),
)
FUNCTIONS = (
    torch.relu,
    torch.sigmoid,
    torch.tanh,
    F.gelu,
    F.silu,
    F.softplus,
    F.mish,
    F.hardtanh,
    lambda x: F.leaky_relu(x, 0.3),
    lambda x: F.elu(x, alpha=0.5),
    lambda x: x.relu(),
    lambda x: x.tanh_(),
    lambda x: F.relu(x, inplace=True) + x,
    lambda x: x * 2 - 0.5,
    lambda x: 1 - x,
    lambda x: -x / 4,
    lambda x: x**2,
    lambda x: torch.add(x, x, alpha=0.5),
    lambda x: x.clamp(-1, 1),
    lambda x: x.clamp(min=0.1),
    lambda x: torch.maximum(x, -x),
    lambda x: F.softmax(x, dim=-1),
    lambda x: F.log_softmax(x, -1),
)


class Dense(nn.Module):
    """A net of features with random steps: layers, functions, residual connections, gates, joins, shared layers, reshapes."""

    def __init__(self, rng):
        super().__init__()
        self.sizes = [int(rng.integers(2, 7))]
        self.parts = nn.ModuleList()
        self.steps = []
        width = self.sizes[0]
        for _ in range(rng.integers(2, 7)):
            kind = str(rng.choice(["linear", "block", "function", "residual", "gate", "cat", "shared", "reshape", "glu", "norm"]))
            wide = int(rng.integers(2, 7))
            made, after = _part(rng, kind, width, wide)
            self.parts.append(made)
            self.steps.append((kind, FUNCTIONS[rng.integers(len(FUNCTIONS))]))
            width = after
        self.head = nn.Linear(width, 3)

    def forward(self, x):
        for part, (kind, function) in zip(self.parts, self.steps, strict=True):
            if kind == "function":
                x = function(part(x) * 1.5)
            elif kind == "residual":
                x = part(x) + x
            elif kind == "gate":
                x = torch.sigmoid(part(x)) * x
            elif kind == "cat":
                x = torch.cat([part(x), x], dim=1)
            elif kind == "shared":
                x = part(torch.tanh(part(x)))
            elif kind == "reshape":
                x = part(torch.stack([x, x * 0.5], dim=1).view(x.size(0), -1))
            elif kind == "glu":
                x = F.glu(part(x), dim=-1)
            else:
                x = part(x)
        return self.head(x)

    def example(self, rng, rows):
        return (torch.from_numpy(rng.normal(size=(rows, self.sizes[0]))),)


def _part(rng, kind, width, wide):
    """Return the module of a step, and the number of features after it."""
    if kind == "linear":
        return nn.Linear(width, wide, bias=bool(rng.integers(2))), wide
    if kind == "block":
        return _block(rng, width, wide), wide
    if kind == "cat":
        return nn.Linear(width, wide), width + wide
    if kind == "reshape":
        return nn.Linear(2 * width, wide), wide
    if kind == "glu":
        return nn.Linear(width, 2 * wide), wide
    made = {"function": nn.Identity(), "residual": _block(rng, width, width), "norm": _norm(rng, width)}
    return made.get(kind, nn.Linear(width, width)), width


def _norm(rng, width):
    return [
        lambda: nn.BatchNorm1d(width, eps=1e-3, momentum=0.2),
        lambda: nn.BatchNorm1d(width, affine=False, momentum=None),
        lambda: nn.LayerNorm(width, eps=1e-3),
        lambda: nn.LayerNorm(width, elementwise_affine=False),
        lambda: nn.LayerNorm(width, bias=False),
        lambda: nn.PReLU(width),
        nn.PReLU,
    ][rng.integers(7)]()


def _block(rng, width, wide):
    """A nested Sequential."""
    activation = ACTIVATIONS[rng.integers(len(ACTIVATIONS))]()
    inner = nn.Sequential(activation, nn.Dropout(0.0))
    return nn.Sequential(nn.Linear(width, wide), *([_norm(rng, wide)] if rng.integers(2) else []), inner)


class Chain(nn.Module):
    """A Sequential alone."""

    def __new__(cls, rng):
        width = int(rng.integers(2, 7))
        parts = []
        for _ in range(rng.integers(1, 4)):
            wide = int(rng.integers(2, 7))
            parts.append(_block(rng, width, wide))
            width = wide
        found = nn.Sequential(*parts, nn.Flatten(), nn.Linear(width, 2))
        rows = parts[0][0].in_features
        found.example = lambda rng, n: (torch.from_numpy(rng.normal(size=(n, rows))),)
        return found


class Sequence(nn.Module):
    """A recurrent net: an embedding or features, one or two recurrent layers, and what is read of them."""

    def __init__(self, rng):
        super().__init__()
        self.is_indices = bool(rng.integers(2))
        width = int(rng.integers(2, 5))
        self.embedding = nn.Embedding(9, width, padding_idx=0) if self.is_indices else nn.Linear(width, width)
        kinds = (nn.LSTM, nn.GRU, nn.RNN, lambda *a, **k: nn.RNN(*a, nonlinearity="relu", **k))
        self.batch_first = bool(rng.integers(2))
        both, hidden = bool(rng.integers(2)), int(rng.integers(2, 6))
        layers = int(rng.integers(1, 3))
        self.rnn = kinds[rng.integers(4)](
            width, hidden, layers, bias=bool(rng.integers(4)), batch_first=self.batch_first, bidirectional=both
        )
        ways = ["last", "mean", "max", "sequence", "zeros"]
        ways += ["two"] if layers == 1 or not both else []
        self.read = str(rng.choice([*ways, "final", "final"]))
        wide = hidden * (1 + both)
        stacked = self.read not in ("final", "two") and rng.integers(2)
        self.second = nn.GRU(wide, hidden, batch_first=self.batch_first) if stacked else None
        self.head = nn.Linear(hidden if stacked else wide, 2)
        self.width = width

    def states(self, state):
        h = state[0] if isinstance(self.rnn, nn.LSTM) else state
        return torch.cat((h[-2], h[-1]), dim=1) if self.rnn.bidirectional else h[-1]

    def forward(self, x):
        time = 1 if self.batch_first else 0
        x = torch.tanh(self.embedding(x))
        if self.read == "zeros":
            batch = x.size(1 - time)
            zeros = torch.zeros((1 + self.rnn.bidirectional) * self.rnn.num_layers, batch, self.rnn.hidden_size).to(x)
            output, state = self.rnn(x, (zeros, zeros) if isinstance(self.rnn, nn.LSTM) else zeros)
        else:
            output, state = self.rnn(x)
        if self.read == "final":
            return self.head(self.states(state))
        if self.read == "two":
            pooled = output.mean(dim=time)
            return self.head(self.states(state) + pooled)
        if self.second is not None:
            output, _ = self.second(output)
        if self.read == "mean":
            output = output.mean(dim=time)
        elif self.read == "max":
            output = output.max(dim=time)[0] if self.batch_first else torch.amax(output, dim=time)
        elif self.read != "sequence":
            output = output[:, -1, :] if self.batch_first else output[-1]
        return self.head(output)

    def example(self, rng, rows):
        shape = (rows, 5) if self.batch_first else (5, rows)
        if self.is_indices:
            return (torch.from_numpy(rng.integers(0, 9, shape)),)
        return (torch.from_numpy(rng.normal(size=(*shape, self.width))),)


def random_module(seed):
    """Return a module in float32 or float64, and the generator that continues."""
    rng = np.random.default_rng(seed)
    torch.manual_seed(seed)
    module = (Dense, Chain, Sequence)[seed % 3](rng)
    for each in module.modules():
        if isinstance(each, nn.BatchNorm1d):
            each.running_mean.uniform_(-1, 1)
            each.running_var.uniform_(0.5, 2)
        if getattr(each, "weight", None) is not None and each.weight.dim() == 1:
            with torch.no_grad():
                each.weight.uniform_(0.5, 1.5)
    return (module.double() if rng.integers(2) else module.float()), rng


def batch_first(module, tensor):
    """Return an array of a module with the batch first, as nncore has it."""
    array = tensor.detach().numpy()
    is_time_first = getattr(module, "batch_first", True) is False and array.ndim > 1
    return np.swapaxes(array, 0, 1) if is_time_first else array
