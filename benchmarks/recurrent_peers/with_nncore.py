"""The recurrent nets in nncore itself."""

from __future__ import annotations

from itertools import cycle, islice

import numpy as np
from peers.predictor import Predictor

from .nets import Net
from .stream import Stream


class NncoreTrainer:
    """One batch at a time (``train_on_batch``), or with ``fit`` in whole epochs, shuffling and gathering included.

    precision: arguments of the model, ``dtype`` or ``compute``."""

    def __init__(self, net: Net, threads: int, fit: bool = False, **precision: str) -> None:
        import nncore as nn

        nn.set_num_threads(threads)
        self.net, self.fit = net, fit
        layer = getattr(nn, net.cell)(net.inputs, net.hidden, bidirectional=net.bidirectional)
        head = nn.Linear(net.directions * net.hidden, 1)
        self.model = nn.Sequential(layer, head, seed=0, **precision).build((net.steps, net.inputs))
        self.model.compile(loss="mse", optimizer=nn.optim.SGD(lr=net.lr))
        weight, bias = net.head()
        self.model.load_state_dict({f"0.{k}": v for k, v in net.parameters().items()} | {"1.weight": weight, "1.bias": bias})
        self.x, self.y = net.data()
        self.data = list(zip(np.split(self.x, net.batches), np.split(self.y, net.batches), strict=True))

    def losses(self, steps: int) -> np.ndarray:
        if self.fit:
            history = self.model.fit(
                self.x, self.y, epochs=-(-steps // self.net.batches), batch_size=self.net.batch, shuffle=False, verbose=0
            )
            return np.asarray(history.step_losses)[:steps]
        return np.array([self.model.train_on_batch(x, y) for x, y in islice(cycle(self.data), steps)], float)

    def run(self, steps: int) -> int:
        if self.fit:
            epochs = -(-steps // self.net.batches)
            self.model.fit(self.x, self.y, epochs=epochs, batch_size=self.net.batch, verbose=0)
            return epochs * self.net.batches
        train = self.model.train_on_batch
        for x, y in islice(cycle(self.data), steps):
            train(x, y)
        return steps


def nncore_forward(net: Net, threads: int) -> Predictor:
    import nncore as nn

    nn.set_num_threads(threads)
    layer = getattr(nn, net.cell)(net.inputs, net.hidden, bidirectional=net.bidirectional, return_sequences=True)
    model = nn.Sequential(layer, seed=0).build((net.steps, net.inputs))
    model.load_state_dict({f"0.{k}": v for k, v in net.parameters().items()})
    x = net.data()[0]
    return Predictor(lambda: model(x))


def nncore_stream(net: Net, threads: int) -> Stream:
    import nncore as nn

    nn.set_num_threads(threads)
    model = nn.Sequential(getattr(nn, net.cell)(net.inputs, net.hidden), seed=0).build((net.steps, net.inputs))
    model.load_state_dict({f"0.{k}": v for k, v in net.parameters().items()})
    stream = model.stream(batch=net.batch)
    return Stream(net, stream.step, stream.reset)
