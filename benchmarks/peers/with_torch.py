"""The net in PyTorch with its fused optimizers: eager, compiled, with products in bfloat16, quantized to int8 for predictions."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from workloads import Workload

from .predictor import Predictor, row


class TorchTrainer:
    """Eager PyTorch with the fused optimizer; the loss takes logits and stays a tensor."""

    def __init__(self, work: Workload, threads: int) -> None:
        import torch

        torch.set_num_threads(threads)
        hidden = torch.nn.ReLU if work.activation == "relu" else torch.nn.Sigmoid
        layers: list[torch.nn.Module] = []
        for w, b in work.parameters():
            linear = torch.nn.Linear(*w.shape)
            with torch.no_grad():
                linear.weight.copy_(torch.from_numpy(w.T))
                linear.bias.copy_(torch.from_numpy(b))
            norm = [torch.nn.BatchNorm1d(len(b))] if work.batch_norm else []
            layers += [linear, *norm, hidden(), *([torch.nn.Dropout(work.dropout)] if work.dropout else [])]
        while not isinstance(layers[-1], torch.nn.Linear):
            layers.pop()
        self.model = torch.nn.Sequential(*layers)
        kind = torch.optim.Adam if work.optimizer == "adam" else torch.optim.SGD
        self.optimizer = kind(self.model.parameters(), lr=work.lr, fused=True)
        f = torch.nn.functional
        self.loss = f.binary_cross_entropy_with_logits if work.binary else f.cross_entropy
        x, y = (torch.from_numpy(a) for a in work.data())
        labels = y.float()[:, None] if work.binary else y
        self.data = list(zip(x.chunk(work.batches), labels.chunk(work.batches), strict=True))

    def forward(self, x, y):
        return self.loss(self.model(x), y)

    def step(self, i: int):
        x, y = self.data[i % len(self.data)]
        self.optimizer.zero_grad(set_to_none=True)
        loss = self.forward(x, y)
        loss.backward()
        self.optimizer.step()
        return loss

    def losses(self, steps: int) -> np.ndarray:
        return np.array([self.step(i).item() for i in range(steps)])

    def run(self, steps: int) -> int:
        for i in range(steps):
            self.step(i)
        return steps


class TorchCompiledTrainer(TorchTrainer):
    """Forward, loss and backward compiled by ``torch.compile`` for the shapes of the batch; the fused optimizer as it is."""

    def __init__(self, work: Workload, threads: int) -> None:
        super().__init__(work, threads)
        self.forward = _compiled(super().forward)


class TorchBfloat16Trainer(TorchTrainer):
    """Eager, forward and loss under ``autocast``, as PyTorch's documentation says: parameters, gradients and moments in float32."""

    def forward(self, x, y):
        import torch

        with torch.autocast("cpu", torch.bfloat16):
            return super().forward(x, y)


def _compiled(function: Callable):
    import torch

    return torch.compile(function, fullgraph=True, dynamic=False)


def torch_predictor(work: Workload, threads: int) -> Predictor:
    import torch

    final = torch.nn.Sigmoid() if work.binary else torch.nn.Softmax(1)
    model = torch.nn.Sequential(*TorchTrainer(work, threads).model, final).eval()
    x = torch.from_numpy(row(work))

    def call() -> torch.Tensor:
        with torch.inference_mode():
            return model(x)

    return Predictor(call)


def torch_compiled_predictor(work: Workload, threads: int) -> Predictor:
    """Compiled under ``inference_mode``, with constant weights."""

    predictor = torch_predictor(work, threads)
    predictor.call = _compiled(predictor.call)
    return predictor


def torch_bfloat16_predictor(work: Workload, threads: int) -> Predictor:
    """Weights and activations in bfloat16, which is faster than to convert weights in each call, as ``autocast`` does."""
    import torch

    final = torch.nn.Sigmoid() if work.binary else torch.nn.Softmax(1)
    model = torch.nn.Sequential(*TorchTrainer(work, threads).model, final).eval().to(torch.bfloat16)
    x = torch.from_numpy(row(work))

    def call() -> torch.Tensor:
        with torch.inference_mode():
            return model(x.bfloat16())

    return Predictor(call, lambda p: p.float().numpy())


def torch_int8_predictor(work: Workload, threads: int) -> Predictor:
    """Dynamic quantization: weights beforehand, each input when it comes."""
    import warnings

    import torch

    final = torch.nn.Sigmoid() if work.binary else torch.nn.Softmax(1)
    model = torch.nn.Sequential(*TorchTrainer(work, threads).model, final).eval()
    with warnings.catch_warnings():  # it is going to move to a package of its own
        warnings.simplefilter("ignore")
        try:
            model = torch.ao.quantization.quantize_dynamic(model, {torch.nn.Linear}, torch.qint8)
        except (AttributeError, RuntimeError) as error:  # it has moved, or has no engine for this CPU
            raise NotImplementedError(f"no dynamic quantization: {error}") from error
    x = torch.from_numpy(row(work))

    def call() -> torch.Tensor:
        with torch.inference_mode():
            return model(x)

    return Predictor(call)
