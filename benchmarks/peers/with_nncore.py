"""The net in nncore itself: in float32, in float64, with products in bfloat16, and quantized to int8 for predictions."""

from __future__ import annotations

import numpy as np
from workloads import Workload

from .predictor import Predictor, row


class NncoreTrainer:
    """nncore one batch at a time (``train_on_batch``), or with ``fit`` in whole epochs, shuffling and gathering included.

    precision: arguments of the model, ``dtype`` or ``compute``."""

    def __init__(self, work: Workload, threads: int, fit: bool = False, **precision: str) -> None:
        import nncore as nn

        nn.set_num_threads(threads)
        self.model = nncore_model(work, **precision)
        optimizer = nn.optim.Adam(lr=work.lr) if work.optimizer == "adam" else nn.optim.SGD(lr=work.lr)
        self.model.compile(loss="binary_crossentropy" if work.binary else "sparse_categorical_crossentropy", optimizer=optimizer)
        x, y = work.data()
        self.work, self.fit = work, fit
        self.x, self.y = x, y.astype(np.float32)[:, None] if work.binary else y
        self.data = list(zip(np.split(self.x, work.batches), np.split(self.y, work.batches), strict=True))

    def losses(self, steps: int) -> np.ndarray:
        if self.fit:
            epochs = -(-steps // self.work.batches)
            history = self.model.fit(self.x, self.y, epochs=epochs, batch_size=self.work.batch, shuffle=False, verbose=0)
            return np.asarray(history.step_losses)[:steps]
        return np.array([self.model.train_on_batch(*self.data[i % len(self.data)]) for i in range(steps)], float)

    def run(self, steps: int) -> int:
        if self.fit:
            epochs = -(-steps // self.work.batches)
            self.model.fit(self.x, self.y, epochs=epochs, batch_size=self.work.batch, verbose=0)
            return epochs * self.work.batches
        data, n, train = self.data, len(self.data), self.model.train_on_batch
        for i in range(steps):
            train(*data[i % n])
        return steps


def nncore_model(work: Workload, **precision: str):
    """The net as nncore writes it, with the common weights."""
    import nncore as nn

    hidden = nn.ReLU if work.activation == "relu" else nn.Sigmoid
    layers: list[nn.Layer] = []
    weights = {}
    for w, b in work.parameters():
        weights[f"{len(layers)}.weight"], weights[f"{len(layers)}.bias"] = w.T, b
        norm = [nn.BatchNorm1d(len(b))] if work.batch_norm else []
        layers += [nn.Linear(*w.shape), *norm, hidden(), *([nn.Dropout(work.dropout)] if work.dropout else [])]
    while not isinstance(layers[-1], nn.Linear):
        layers.pop()
    model = nn.Sequential(*layers, nn.Sigmoid() if work.binary else nn.Softmax(), seed=0, **precision)
    model.load_state_dict(weights, strict=False)  # scale and shift of a norm stay 1 and 0
    return model


def nncore_predictor(work: Workload, threads: int, way: str = "call") -> Predictor:
    """way: "call" is ``model(x)``, "predict" ``model.predict(x)``, "into" ``model.predict_on_batch(x, out=out)``, which makes no
    array."""
    import nncore as nn

    nn.set_num_threads(threads)
    model, x = nncore_model(work), row(work)
    if way == "into":
        out, predict = model(x), model.predict_on_batch
        return Predictor(lambda: predict(x, out=out))
    return Predictor((lambda: model.predict(x)) if way == "predict" else lambda: model(x))


def nncore_low_predictor(work: Workload, threads: int, precision: str) -> Predictor:
    """``model(x)`` with products in "bfloat16", or of the model quantized to "int8"."""
    import nncore as nn

    nn.set_num_threads(threads)
    model = nncore_model(work).quantize("int8") if precision == "int8" else nncore_model(work, compute=precision)
    x = row(work)
    return Predictor(lambda: model(x))
