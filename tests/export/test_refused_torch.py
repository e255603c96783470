"""from_torch names what it cannot make a model of, and leaves the module as it was."""

import contextlib
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from export.torch_modules import module_of

import nncore as nn
from nncore.errors import ArgumentError, DTypeError, MissingExtraError


@pytest.fixture(scope="module")
def torch():
    return pytest.importorskip("torch")


def test_everything_unknown_is_named_at_once(torch):
    def forward(self, x):
        y = self.body["conv"](x.unsqueeze(1)).flatten(1)
        return self.cross(y, y).cumsum(1)

    body = torch.nn.ModuleDict({"conv": torch.nn.Conv1d(1, 2, 3)})
    module = module_of(torch, forward, body=body, cross=torch.nn.Bilinear(4, 4, 2))
    with pytest.raises(ArgumentError) as caught:
        nn.from_torch(module, example=torch.zeros(2, 4))
    for part in ("3 parts", "'body.conv' (Conv1d)", "'cross' (Bilinear)", "no bilinear layer", "cumsum in forward"):
        assert part in str(caught.value)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda t: t.nn.LSTM(3, 4, proj_size=2), "proj_size=2 has no counterpart"),
        (lambda t: t.nn.Sequential(t.nn.Linear(2, 2), t.nn.Conv1d(1, 1, 1)), r"'1' \(Conv1d\)"),
        (lambda t: t.nn.Sequential(t.nn.LazyLinear(2)), "call the module once with data"),
        (lambda t: t.nn.Sequential(t.nn.Flatten(0)), "start_dim=0 is the batch"),
        (lambda t: t.nn.Sequential(t.nn.Softmax(dim=0)), "dim=0 is the batch"),
        (lambda t: t.nn.Sequential(t.nn.Embedding(3, 2, scale_grad_by_freq=True)), "scale_grad_by_freq=True"),
        (lambda t: t.nn.Sequential(t.nn.Embedding(3, 2, max_norm=1.0, norm_type=1.0)), "norm_type=1"),
        (lambda t: t.nn.Sequential(t.nn.RReLU()), "its slope is random"),
        (lambda t: t.nn.Sequential(t.nn.BatchNorm2d(3)), "nncore has no images"),
        (lambda t: t.nn.Sequential(t.nn.utils.parametrizations.weight_norm(t.nn.Linear(2, 2))), "remove_parametrizations"),
        (lambda t: t.nn.Sequential(t.nn.AdaptiveAvgPool1d(2)), "output_size=2; only 1 is possible"),
        (lambda t: t.nn.LSTMCell(2, 2), "over the whole sequence"),
        (lambda t: t.nn.TransformerEncoderLayer(4, 2), "TransformerEncoderLayer: nncore has no attention"),
        (lambda t: module_of(t, packed, rnn=t.nn.GRU(3, 4)), "packs sequences; leave that out, and pass lengths="),
        (lambda t: module_of(t, lambda self, x: self.rnn(x)[1][2], rnn=t.nn.GRU(3, 4, 2)), r"h_n\[2\] of rnn, which has 2"),
        (lambda t: module_of(t, lambda self, x: self.a(x, x, x)[0], a=t.nn.MultiheadAttention(4, 2)), "nncore has no attention"),
        (
            lambda t: module_of(t, lambda self, x, hidden: self.rnn(x, hidden)[0], rnn=t.nn.LSTM(3, 4)),
            "let it take two, h_0 and c_0",
        ),
        (lambda t: tied(t), "its weight is also that of '0'"),
        (lambda t: hooked(t), "0 has a forward hook"),
        (lambda t: t.nn.Sequential(t.nn.Linear(2, 2, device="meta")), "on the device meta"),
    ],
)
def test_refused_modules(torch, make, message):
    with pytest.raises(ArgumentError, match=message):
        nn.from_torch(make(torch))


def packed(self, x):
    import torch

    return self.rnn(torch.nn.utils.rnn.pack_padded_sequence(x, [3, 2]))[1]


def tied(torch):
    found = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Linear(2, 2))
    found[1].weight = found[0].weight
    return found


def hooked(torch):
    found = torch.nn.Sequential(torch.nn.Linear(2, 2))
    found[0].register_forward_hook(lambda module, x, y: y * 2)
    return found


@pytest.mark.parametrize(
    ("forward", "message"),
    [
        (lambda self, x: self.fc(x) if x.sum() > 0 else x, "cannot be followed"),
        (lambda self, x: self.fc(x).view(-1, 2), r"view\(-1, 2\) of a tensor \[N, 4\] mixes the batch"),
        (lambda self, x: self.fc(x).view(5, 4), "fixes its size"),
        (lambda self, x: self.fc(x) * self.gain, "'gain', a tensor that is no weight of a layer"),
        (lambda self, x: self.fc(x) / self.fc(x), "only other numbers can divide"),
        (lambda self, x: self.fc(x).div(2, rounding_mode="floor"), "a division that rounds"),
        (lambda self, x: self.fc(x).int().float(), "only an input may become whole numbers"),
        (lambda self, x: self.fc(x).mean(), "mean with dim=None"),
        (lambda self, x: self.fc(x).softmax(0), "softmax with dim=0, which is the batch"),
        (lambda self, x: self.fc(x).flatten(), "would merge the batch"),
        (lambda self, x: self.fc(x) @ self.gain, "matmul in forward"),
        (lambda self, x: self.fc(x).detach(), "gradients pass everything"),
        (lambda self, x: dropout_in_eval(self.fc(x)), "active in eval mode"),
    ],
)
def test_refused_calls(torch, forward, message):
    module = module_of(torch, forward, fc=torch.nn.Linear(3, 4))
    module.gain = torch.nn.Parameter(torch.ones(4))
    with pytest.raises(ArgumentError, match=message):
        nn.from_torch(module)


@pytest.mark.parametrize("name", ["int32", "int64", "bool"])
def test_computed_numbers_keep_their_fractions(torch, name):
    module = module_of(torch, lambda self, x: self.fc(x).to(getattr(torch, name)).float(), fc=torch.nn.Linear(3, 4))
    with pytest.raises(ArgumentError, match="only an input may become whole numbers"):
        nn.from_torch(module)


def dropout_in_eval(x):
    import torch

    return torch.nn.functional.dropout(x, 0.5)


def test_refused_arguments(torch):
    with pytest.raises(ArgumentError, match=r"takes a torch\.nn\.Module, not int"):
        nn.from_torch(3)
    mixed = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Linear(2, 2).double())
    with pytest.raises(DTypeError, match="float32, float64; make them one type"):
        nn.from_torch(mixed)


def test_torch_is_not_imported_by_nncore():
    code = "import sys, nncore as nn\ntry:\n nn.from_torch(3)\nexcept nn.errors.ArgumentError: print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


def test_a_missing_torch_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingExtraError, match=r'needs torch, which is not installed: pip install "nncore\[torch\]"'):
        nn.Sequential(nn.Linear(2, 1)).state_dict(torch=True)
    with pytest.raises(ArgumentError, match="takes a torch"):
        nn.from_torch(nn.Linear(2, 1))


# What becomes of the module --------------------------------------------------------------------------------------------------


def test_the_module_stays_as_it_was(torch):
    def forward(self, x):
        self.hidden = self.fc(x)
        return self.hidden + torch.ones(2, 4) if self.adds else torch.relu(self.hidden)

    module = module_of(torch, forward, fc=torch.nn.Linear(3, 4))
    for module.adds in (False, True):
        module.train().fc.eval()
        before = [dict(each.__dict__) for each in module.modules()]
        with pytest.raises(ArgumentError, match="one number for each feature") if module.adds else contextlib.nullcontext():
            nn.from_torch(module)
        assert [each.__dict__ for each in module.modules()] == before


def test_several_threads_follow_one_module(torch):
    def forward(self, x):
        for _ in range(20):
            x = torch.relu(self.fc(x))
        return x

    module, call = module_of(torch, forward, fc=torch.nn.Linear(4, 4)), torch.nn.Module.__call__
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: len(nn.from_torch(module).layers), range(24)))
    assert len({*found}) == 1
    assert all(each.training for each in module.modules())
    assert torch.nn.Module.__call__ is call
