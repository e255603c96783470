"""Train and predict with many models of low precision, and print the name and a digest of all numbers of each.

``fits.py threads [name …]``
"""

import hashlib
import itertools
import sys
import tempfile

import numpy as np

import nncore as nn
from nncore import _core


def classifier(widths, batch, rows, optimizer="adam", layer=nn.ReLU, **compiled):
    """A net of linear layers, and what it learns from random rows; the last batch may be short."""
    r = np.random.default_rng(0)
    layers = [part for i, o in itertools.pairwise(widths) for part in (nn.Linear(i, o), layer())][:-1]
    model = nn.Sequential(*layers, seed=0, compute="bfloat16")
    model.compile(nn.losses.SparseCategoricalCrossentropy(from_logits=True), optimizer, **compiled)
    x, y = r.normal(size=(rows, widths[0])).astype("f4"), r.integers(0, widths[-1], rows)
    model.fit(x, y, batch_size=batch, epochs=2, verbose=0)
    return [*parameters(model), *(model.predict(x[:n]) for n in (1, 2, 17, rows))]


def recurrent(cell, units=32, inputs=20, batch=5, lengths=False, **arguments):
    """A recurrent layer and a linear one, trained on sequences; with states from step to step in prediction."""
    r = np.random.default_rng(0)
    model = nn.Sequential(
        getattr(nn, cell)(inputs, units, **arguments),
        nn.Linear(units * (1 + arguments.get("bidirectional", 0)), 16),
        seed=0,
        compute="bfloat16",
    )
    model.compile("mse", nn.optim.Adam(lr=1e-2))
    rows, steps = 3 * batch // 2, 7
    x, y = r.normal(size=(rows, steps, inputs)).astype("f4"), r.normal(size=(rows, steps, 16)).astype("f4")
    if not arguments.get("return_sequences"):
        y = y[:, 0]
    given = {"lengths": r.integers(1, steps + 1, rows)} if lengths else {}
    model.fit(x, y, batch_size=batch, epochs=2, verbose=0, **given)
    return [*parameters(model), model.predict(x, **given), model.predict(x[:1])]


def graph():
    """Two ways that meet, a shared layer, normalisation and dropout between."""
    r = np.random.default_rng(0)
    first = nn.Input((40,))
    shared = nn.Linear(48, 48)
    a = nn.ReLU()(nn.Linear(40, 48)(first))
    b = shared(nn.Dropout(0.3)(shared(a)))
    model = nn.Model(first, nn.Linear(48, 33)(nn.LayerNorm(48)(a + b)), seed=0, compute="bfloat16")
    model.compile("mse", "adamw")
    x, y = r.normal(size=(100, 40)).astype("f4"), r.normal(size=(100, 33)).astype("f4")
    model.fit(x, y, batch_size=33, epochs=2, verbose=0)
    return [*parameters(model), model.predict(x)]


def by_hand():
    """Forward, backward and update as single calls."""
    r = np.random.default_rng(0)
    model = nn.Sequential(nn.Linear(64, 96), nn.Tanh(), nn.Linear(96, 20), seed=0, compute="bfloat16")
    model.compile("mse", "sgd")
    x = r.normal(size=(35, 64)).astype("f4")
    y = model.forward(x, training=True)
    dx = model.backward(np.cos(y))
    gradients = [np.array(g) for g in model.gradients.values()]
    model.apply_gradients()
    return [y, dx, *gradients, *parameters(model)]


def around():
    """Float32 parts on both sides: an embedding, a layer in Python, normalisation; a penalty and a constraint."""

    class Half(nn.PythonLayer):
        def forward(self, x):
            return x / 2

        def backward(self, dy, x, y):
            return dy / 2

    r = np.random.default_rng(0)
    model = nn.Sequential(
        nn.Embedding(50, 24), nn.GRU(24, 32), Half(), nn.Linear(32, 64, l2=1e-3, max_norm=2.0), nn.BatchNorm1d(64), nn.ReLU(),
        nn.Dropout(0.2), nn.Linear(64, 20), seed=0, compute="bfloat16",
    )  # fmt: skip
    model.compile(nn.losses.SparseCategoricalCrossentropy(from_logits=True), "adam", metrics=["accuracy"])
    x, y = r.integers(0, 50, (70, 6)), r.integers(0, 20, 70)
    history = model.fit(x, y, batch_size=32, epochs=2, verbose=0, validation_data=(x[:20], y[:20]))
    return [*parameters(model), *(np.float64(v) for v in history.history.values()), model.predict(x)]


def resumed():
    """Saved and loaded between two epochs, to the bits of training without a break."""
    r = np.random.default_rng(0)
    x, y = r.normal(size=(50, 40)).astype("f4"), r.normal(size=(50, 17)).astype("f4")
    model = nn.Sequential(nn.Linear(40, 33), nn.Tanh(), nn.Linear(33, 17), seed=0, compute="bfloat16")
    model.compile("mse", "adam")
    model.fit(x, y, batch_size=32, epochs=1, verbose=0)
    with tempfile.TemporaryDirectory() as folder:
        model.save(f"{folder}/model.safetensors")
        other = nn.load(f"{folder}/model.safetensors")
    for each in (model, other):
        each.fit(x, y, batch_size=32, epochs=2, initial_epoch=1, verbose=0)
    assert all(np.array_equal(a, b) for a, b in zip(parameters(model), parameters(other), strict=True))
    return [*parameters(other), other.predict(x)]


def streamed():
    """One step after the other, with the states that are carried."""
    r = np.random.default_rng(0)
    model = nn.Sequential(nn.LSTM(20, 48, return_sequences=True), nn.Linear(48, 16), seed=0, compute="bfloat16")
    x = r.normal(size=(3, 5, 20)).astype("f4")
    stream = model.build((5, 20)).stream(3)
    steps = [np.array(stream.step(x[:, t])) for t in range(5)]
    return [*steps, model.predict(x)]


def quantized():
    """Predictions in 8-bit integers: one row, a few, whole tiles and more; and of sequences."""
    r = np.random.default_rng(0)
    dense = nn.Sequential(nn.Linear(70, 300), nn.ReLU(), nn.Linear(300, 40), nn.Tanh(), nn.Linear(40, 10), seed=0).quantize("int8")
    x = r.normal(size=(70, 70)).astype("f4")
    cell = nn.Sequential(nn.GRU(20, 48, bidirectional=True), nn.Linear(96, 17), seed=0).build((5, 20)).quantize("int8")
    sequences = r.normal(size=(37, 5, 20)).astype("f4")
    return [*(dense.predict(x[:n]) for n in (1, 3, 4, 16, 17, 33, 70)), cell.predict(sequences), cell.predict(sequences[:1])]


def parameters(model):
    return list(model.state_dict().values())


MODELS = {
    "one batch of one row": lambda: classifier([40, 32, 16], 1, 3),
    "31 rows": lambda: classifier([33, 64, 20], 31, 40),
    "33 rows, a short last batch": lambda: classifier([64, 65, 31, 17], 33, 70),
    "a side under 16": lambda: classifier([784, 96, 10], 64, 100),
    "wide": lambda: classifier([300, 257, 130], 70, 140, nn.optim.SGD(lr=0.1, momentum=0.9)),
    "sigmoid": lambda: classifier([48, 50, 20], 32, 64, layer=nn.Sigmoid),
    "clipped": lambda: classifier([48, 50, 20], 32, 64, nn.optim.Adam(lr=1e-2, clip_norm=0.1)),
    "graph": graph,
    "by hand": by_hand,
    "float32 parts around": around,
    "resumed": resumed,
    "streamed": streamed,
    "quantized": quantized,
    "rnn": lambda: recurrent("RNN"),
    "rnn, relu": lambda: recurrent("RNN", nonlinearity="relu", return_sequences=True),
    "gru": lambda: recurrent("GRU", 48, return_sequences=True),
    "lstm": lambda: recurrent("LSTM", 40, 33),
    "lstm, 33 rows": lambda: recurrent("LSTM", batch=33),
    "gru, reset before": lambda: recurrent("GRU", 48, return_sequences=True, reset_after=False),
    "gru, reset before, both directions, lengths": lambda: recurrent("GRU", lengths=True, bidirectional=True, reset_after=False),
    "gru, both directions, lengths": lambda: recurrent("GRU", lengths=True, bidirectional=True),
    "lstm, both directions, lengths": lambda: recurrent("LSTM", lengths=True, bidirectional=True, return_sequences=True),
}

if __name__ == "__main__":
    _core.force_threads(int(sys.argv[1]))
    for name in sys.argv[2:] or MODELS:
        digest = hashlib.sha256()
        for array in MODELS[name]():
            assert np.isfinite(array).all(), name
            digest.update(np.ascontiguousarray(array).tobytes())
        print(f"{name}: {digest.hexdigest()}")
