"""Random networks of every kind of layer that has parameters, and all numbers that a use of one gives."""

import hashlib

import numpy as np

import nncore as nn
from nncore import _core

ACTIVATIONS = (nn.Tanh, nn.ReLU, nn.Sigmoid, nn.GELU, nn.SELU, nn.Identity)
OPTIMIZERS = (
    lambda **o: nn.optim.SGD(lr=0.05, momentum=0.9, nesterov=True, **o),
    lambda **o: nn.optim.SGD(lr=0.1, **o),
    lambda **o: nn.optim.Adagrad(lr=0.05, **o),
    lambda **o: nn.optim.Adadelta(**o),
    lambda **o: nn.optim.RMSprop(lr=1e-3, momentum=0.5, centered=True, **o),
    lambda **o: nn.optim.Adam(lr=1e-2, amsgrad=True, **o),
    lambda **o: nn.optim.Adam(lr=1e-2, weight_decay=1e-3, **o),
    lambda **o: nn.optim.AdamW(lr=1e-2, **o),
    lambda **o: nn.optim.Adamax(lr=1e-2, **o),
    lambda **o: nn.optim.NAdam(lr=1e-2, **o),
    lambda **o: nn.optim.RAdam(lr=1e-2, **o),
    lambda **o: nn.optim.Lion(lr=1e-3, **o),
    lambda **o: nn.optim.Rprop(lr=1e-3, **o),
)


def width(rng):
    return int(rng.integers(1, 71))


def regularised(rng):
    """What a layer with weights may be told of them."""
    options = {}
    if rng.random() < 0.2:
        options["l1"] = 1e-3
    if rng.random() < 0.2:
        options["l2"] = 1e-3
    if rng.random() < 0.2:
        options["max_norm"] = 0.5
    return options


def linear(rng, h, out=None):
    out = out or width(rng)
    return nn.Linear(h.shape[-1], out, bias=rng.random() < 0.8, **regularised(rng))(h)


def twice(rng, h):
    """One layer with parameters, used two or three times."""
    n = h.shape[-1]
    layer = nn.Linear(n, n, **regularised(rng)) if rng.random() < 0.7 else nn.LayerNorm(n)
    for _ in range(int(rng.integers(2, 4))):
        h = nn.Tanh()(layer(h))
    return h


def merged(rng, h):
    n = width(rng)
    branches = [nn.Tanh()(linear(rng, h, n)) for _ in range(2)]
    merge = (nn.Add, nn.Multiply, nn.Maximum, nn.Concatenate)[rng.integers(4)]
    return merge()(branches)


def normed(rng, h):
    if rng.random() < 0.5:
        return nn.LayerNorm(h.shape[-1], bias=rng.random() < 0.7)(h)
    return nn.BatchNorm1d(h.shape[0], track_running_stats=rng.random() < 0.7)(h)


def bent(rng, h):
    """Activations, with and without parameters of their own, and what draws random numbers."""
    kind = rng.integers(4)
    if kind == 0:
        return nn.PReLU(h.shape[0] if rng.random() < 0.5 else 1)(h)
    if kind == 1:
        return nn.Dropout(0.3)(h)
    if kind == 2:
        return nn.GaussianNoise(0.1)(h)
    return ACTIVATIONS[rng.integers(len(ACTIVATIONS))]()(h)


def maxout(rng, h):
    return nn.Maxout(h.shape[-1], width(rng), pieces=int(rng.integers(1, 4)), **regularised(rng))(h)


def recurrent(rng, h, sequences):
    kind, hidden = (nn.RNN, nn.GRU, nn.LSTM)[rng.integers(3)], int(rng.integers(1, 25))
    options = {
        "num_layers": int(rng.integers(1, 3)),
        "bidirectional": rng.random() < 0.4,
        "learn_initial_state": rng.random() < 0.3,
    }
    return kind(h.shape[-1], hidden, return_sequences=sequences, **options, **regularised(rng))(h)


BLOCKS = (linear, linear, linear, twice, merged, normed, bent, maxout)


def body(rng, h):
    for _ in range(int(rng.integers(1, 6))):
        h = BLOCKS[rng.integers(len(BLOCKS))](rng, h)
        if rng.random() < 0.4:
            h = ACTIVATIONS[rng.integers(len(ACTIVATIONS))]()(h)
    return h


def inputs(rng):
    """An input, what follows it at once, and data for it of so many rows."""
    kind = rng.integers(4)
    if kind < 2:
        x = nn.Input((width(rng),))
        return x, x, lambda rows: rng.normal(size=(rows, *x.shape))
    steps = int(rng.integers(1, 7))
    if kind == 2:
        x = nn.Input((steps, int(rng.integers(1, 17))))
        h, data = x, lambda rows: rng.normal(size=(rows, *x.shape))
    else:
        x, words = nn.Input((steps,)), int(rng.integers(2, 200))
        table = nn.Embedding(words, int(rng.integers(1, 25)), padding_idx=0 if rng.random() < 0.3 else None, **regularised(rng))
        h, data = table(x), lambda rows: rng.integers(0, words, (rows, steps))
        if rng.random() < 0.2:
            h = nn.Add()([h, table(x)])
    for _ in range(int(rng.integers(0, 2))):
        h = recurrent(rng, h, True)
    return x, recurrent(rng, h, False) if rng.random() < 0.7 else nn.Flatten()(h), data


class Case:
    """A network, data, and how it is trained, all from one number."""

    def __init__(self, seed):
        self.seed = seed
        rng = np.random.default_rng(seed)
        self.dtype = ("float32", "float64")[rng.integers(2)]
        self.classes = rng.random() < 0.5
        self.batch = int(rng.integers(2, 49))
        self.rows = self.batch + int(rng.integers(2, self.batch + 1))  # two batches, the second one smaller
        self.clip = [{}, {}, {"clip_norm": 0.5}, {"clip_norm_each": 0.3}, {"clip_value": 0.05}][rng.integers(5)]
        if rng.random() < 0.25:
            self.clip["ema_momentum"] = 0.9
        self.optimizer = int(rng.integers(len(OPTIMIZERS)))
        self.model()
        data = np.random.default_rng([seed, 1])
        self.x = np.asarray(self.draw(self.rows), self.dtype)
        self.y = (
            data.integers(0, self.out, self.rows) if self.classes else data.normal(size=(self.rows, self.out)).astype(self.dtype)
        )
        self.grad = data.normal(size=(self.rows, self.out)).astype(self.dtype)

    def model(self):
        """The network as it begins, always the same."""
        rng = np.random.default_rng([self.seed, 2])
        x, h, self.draw = inputs(rng)
        h = body(rng, h)
        self.out = int(rng.integers(2, 35))
        y = nn.Linear(h.shape[-1], self.out)(h)
        model = nn.Model(x, nn.Softmax()(y) if self.classes else y, seed=self.seed, dtype=self.dtype)
        rule = OPTIMIZERS[self.optimizer](**self.clip)
        model.compile(
            "sparse_categorical_crossentropy" if self.classes else "mse", rule, metrics=["accuracy"] if self.classes else ["mae"]
        )
        return model

    def use(self):
        """Every number that using the network gives, by name."""
        model = self.model()
        found = {"loss": np.array(model.fit(self.x, self.y, batch_size=self.batch, epochs=1, verbose=0).history["loss"])}
        found["one batch"] = np.array(model.train_on_batch(self.x[: self.batch], self.y[: self.batch]))
        found["evaluation"] = np.array(model.evaluate(self.x, self.y, verbose=0))
        found["prediction"] = model.predict(self.x, verbose=0)
        found["result"] = model.forward(self.x, training=True)
        found["input gradient"] = model.backward(self.grad)
        found |= {f"gradient of {name}": value.copy() for name, value in model.gradients.items()}
        model.apply_gradients()
        found |= {f"buffer {name}": value.copy() for name, value in model._plan.buffers().items()}
        return found


def with_threads(case, n, lose=0):
    _core.force_threads(n, lose)
    try:
        return case.use()
    finally:
        _core.force_threads(0)


def difference(one, other):
    """The first name under which two uses differ in a bit, or None."""
    assert one.keys() == other.keys()
    for name, value in one.items():
        if value.dtype != other[name].dtype or value.shape != other[name].shape or value.tobytes() != other[name].tobytes():
            return name
    return None


def digest(found):
    return hashlib.sha256(b"".join(value.tobytes() for value in found.values())).hexdigest()
