"""The recurrent nets in eager PyTorch; in float64, the truth for the others."""

from __future__ import annotations

from itertools import cycle, islice

import numpy as np
from peers.predictor import Predictor

from .nets import Net
from .stream import Stream


def _torch_layer(net: Net, threads: int, dtype: str):
    import torch

    torch.set_num_threads(threads)
    kind = getattr(torch, dtype)
    layer = getattr(torch.nn, net.cell)(net.inputs, net.hidden, batch_first=True, bidirectional=net.bidirectional)
    layer.load_state_dict({k: torch.from_numpy(v) for k, v in net.parameters().items()})
    return torch, layer.to(kind), [torch.from_numpy(a).to(kind) for a in net.data()]


class TorchTrainer:
    """Eager PyTorch with the fused optimizer; the head reads the final states, so that no slice of the outputs is made."""

    def __init__(self, net: Net, threads: int, dtype: str = "float32") -> None:
        torch, self.layer, (x, y) = _torch_layer(net, threads, dtype)
        self.head = torch.nn.Linear(net.directions * net.hidden, 1)
        with torch.no_grad():
            for own, given in zip((self.head.weight, self.head.bias), net.head(), strict=True):
                own.copy_(torch.from_numpy(given))
        self.head.to(x.dtype)
        parameters = [*self.layer.parameters(), *self.head.parameters()]
        self.optimizer = torch.optim.SGD(parameters, lr=net.lr, fused=True)
        self.net, self.torch, self.loss = net, torch, torch.nn.functional.mse_loss
        self.data = list(zip(x.chunk(net.batches), y.chunk(net.batches), strict=True))

    def forward(self, x, y):
        _, state = self.layer(x)
        h = state[0] if self.net.cell == "LSTM" else state
        return self.loss(self.head(self.torch.cat((h[0], h[1]), 1) if self.net.bidirectional else h[0]), y)

    def step(self, x, y):
        self.optimizer.zero_grad(set_to_none=True)
        loss = self.forward(x, y)
        loss.backward()
        self.optimizer.step()
        return loss

    def losses(self, steps: int) -> np.ndarray:
        return np.array([self.step(x, y).item() for x, y in islice(cycle(self.data), steps)])

    def run(self, steps: int) -> int:
        for x, y in islice(cycle(self.data), steps):
            self.step(x, y)
        return steps


class TorchBfloat16Trainer(TorchTrainer):
    """Forward and loss under ``autocast``; parameters and gradients in float32."""

    def forward(self, x, y):
        with self.torch.autocast("cpu", self.torch.bfloat16):
            return super().forward(x, y)


def torch_forward(net: Net, threads: int, dtype: str = "float32") -> Predictor:
    torch, layer, (x, _) = _torch_layer(net, threads, dtype)
    layer.eval()

    def call():
        with torch.inference_mode():
            return layer(x)[0]

    return Predictor(call)


def torch_stream(net: Net, threads: int, dtype: str = "float32") -> Stream:
    """With GRUCell, which is faster than GRU on sequences of one step."""
    torch, layer, (x, _) = _torch_layer(net, threads, dtype)
    cell = torch.nn.GRUCell(net.inputs, net.hidden, dtype=x.dtype)
    cell.load_state_dict({k.removesuffix("_l0"): v for k, v in layer.state_dict().items()})
    zeros = torch.zeros(net.batch, net.hidden, dtype=x.dtype)
    state = zeros

    def step(x):
        nonlocal state
        with torch.inference_mode():
            state = cell(x, state)
        return state

    def reset() -> None:
        nonlocal state
        state = zeros

    return Stream(net, step, reset, lambda a: torch.tensor(a, dtype=x.dtype))
