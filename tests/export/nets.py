"""Random networks of every layer, with random weights, for tests of exporters."""

import numpy as np

import nncore as nn
from nncore.errors import ArgumentError

STEPS, OTHER_STEPS, TABLE = 4, 3, 6

ACTIVATIONS = [
    lambda c: nn.Identity(),
    lambda c: nn.Step(c.number(-0.5, 0.5)),
    lambda c: nn.Sigmoid(),
    lambda c: nn.Tanh(),
    lambda c: nn.ReLU(),
    lambda c: nn.ReLU6(),
    lambda c: nn.LeakyReLU(c.number(0.01, 0.3)),
    lambda c: nn.ELU(c.number(0.5, 2)),
    lambda c: nn.SELU(),
    lambda c: nn.CELU(c.number(0.5, 2)),
    lambda c: nn.GELU(),
    lambda c: nn.GELU(approximate="tanh"),
    lambda c: nn.SiLU(),
    lambda c: nn.Softplus(*c.of((), (c.number(0.5, 3), c.number(0.5, 4)))),
    lambda c: nn.Softsign(),
    lambda c: nn.Hardtanh(-c.number(0.3, 1), c.number(0.3, 1)),
    lambda c: nn.Softmax(),
    lambda c: nn.LogSoftmax(),
    lambda c: nn.Hardsigmoid(),
    lambda c: nn.Hardswish(),
    lambda c: nn.Mish(),
    lambda c: nn.Exp(),
    lambda c: nn.LogSigmoid(),
    lambda c: nn.Hardshrink(c.number(0.1, 0.6)),
    lambda c: nn.Softshrink(c.number(0.1, 0.6)),
    lambda c: nn.Tanhshrink(),
    lambda c: nn.Threshold(c.number(-0.5, 0.5), c.number(-1, 1)),
    lambda c: nn.Dropout(0.4),
    lambda c: nn.GaussianNoise(0.4),
    lambda c: nn.Rescaling(c.number(-2, 2), c.of(0.0, c.number(-1, 1))),
    lambda c: nn.PReLU(),
]


class Generator:
    """Grows a graph, layer by layer."""

    def __init__(self, rng, turn=0):
        self.rng, self.turn = rng, turn  # the activation whose turn it is
        self.inputs, self.known, self.read = [], [], set()
        self.shared = {}  # shape -> layers that take it

    def of(self, *options):
        return options[int(self.rng.integers(len(options)))]

    def chance(self, p):
        return bool(self.rng.random() < p)

    def size(self, most=5):
        return int(self.rng.integers(1, most + 1))

    def number(self, low, high):
        return float(np.round(self.rng.uniform(low, high), 3))

    def note(self, values, *given):
        self.read |= {id(each) for each in given}
        for each in values if isinstance(values, tuple | list) else [values]:
            if isinstance(each, tuple):
                self.note(each)
            else:
                self.known.append(each)

    def pick(self, wanted=lambda v: True):
        found = [v for v in self.known if wanted(v)]
        unread = [v for v in found if id(v) not in self.read]
        if not found:
            return None
        return self.of(*unread) if unread and self.chance(0.6) else self.of(*found[-4:]) if self.chance(0.5) else self.of(*found)

    def begin(self):
        for n in range(1 + self.chance(0.4) + self.chance(0.2)):
            kind = self.of("vector", "vector", "sequence", "sequence", "other", "indices", "index", "number", "images")
            name = self.of(None, f"in {n}", f"입력{n}")
            shape = {
                "vector": (self.size(),),
                "sequence": (STEPS, self.size()),
                "other": (OTHER_STEPS, self.size()),
                "indices": (STEPS,),
                "index": (),
                "number": (),
                "images": (2, self.size(3), self.size(3)),
            }[kind]
            value = nn.Input(shape, name)
            self.inputs.append(value)
            if kind in ("indices", "index"):
                seen = nn.Flatten()(value) if kind == "indices" and self.chance(0.2) else value
                self.note(nn.Embedding(TABLE, self.size(), padding_idx=self.of(None, 0))(seen))
                self.read.add(id(value))
            else:
                self.note(nn.Flatten()(value) if kind == "number" and self.chance(0.7) else value)
                self.read.add(id(value))

    # One layer more -----------------------------------------------------------------------------------------------------------

    def activation(self):
        v = self.pick()
        self.note(ACTIVATIONS[self.turn % len(ACTIVATIONS)](self)(v), v)
        self.turn = int(self.rng.integers(len(ACTIVATIONS)))

    def dense(self):
        v = self.pick(lambda v: v.shape)
        if v is None:
            return
        key = ("dense", v.shape[-1])
        if key in self.shared and self.chance(0.4):
            self.note(self.shared[key](v), v)
            return
        n = v.shape[-1]
        layer = self.of(
            nn.Linear(n, self.size(), bias=self.chance(0.8)),
            nn.Linear(n, 2 * self.size(3)),
            nn.Maxout(n, self.size(), self.size(3), bias=self.chance(0.7)),
        )
        self.shared[key] = layer
        self.note(layer(v), v)

    def norm(self):
        v = self.pick(lambda v: v.shape)
        if v is None:
            return
        n, rank = v.shape[-1], len(v.shape)
        eps = self.of(1e-3, 1e-2)  # numbers that are almost equal amplify rounding by up to 1 / sqrt(eps)
        batch_norm = {"affine": self.chance(0.7), "track_running_stats": self.chance(0.8), "eps": eps}
        options = [
            lambda: nn.BatchNorm1d(n, axis=-1, **batch_norm),
            lambda: nn.LayerNorm(n, eps, bias=self.chance(0.5)),
            lambda: nn.LayerNorm(v.shape if self.chance(0.5) else n, eps, elementwise_affine=self.chance(0.5)),
        ]
        if rank <= 2:
            options.append(lambda: nn.BatchNorm1d(v.shape[0], **batch_norm))
        options.append(lambda: nn.PReLU(v.shape[0]))
        if n % 2 == 0:
            options += [lambda: nn.GLU()] * 3
        layer = self.of(*options)()
        self.note(layer(v), v)

    def shape(self):
        v = self.pick(lambda v: v.shape)
        if v is None:
            return
        s, rank = v.shape, len(v.shape)
        if rank == 1:
            layer = self.of(nn.RepeatVector(self.size(4)), nn.Reshape(-1, 1), nn.Reshape(1, -1), self.part(s))
        else:
            start = int(self.rng.integers(1, rank + 1))
            layer = self.of(
                nn.Flatten(),
                nn.Flatten(start, int(self.rng.integers(start, rank + 1))),
                nn.Permute(*(self.rng.permutation(rank) + 1).tolist()),
                nn.Reshape(-1, *s[1:]),
                nn.Reshape(-1),
                nn.Reshape(-1, int(np.prod(s[1:])), 1),
                nn.Reshape(*s),
                self.part(s),
                self.part(s),
            )
        self.note(layer(v), v)

    def part(self, shape):
        """A layer that takes some indices of a dimension; of time, those that shorter sequences have as well."""
        axis = int(self.rng.integers(1, len(shape) + 1))
        n = min(shape[axis - 1], OTHER_STEPS - 1)
        given = self.of(axis, axis - len(shape) - 1)
        i = int(self.rng.integers(0, n))
        return self.of(
            nn.Slice(i, self.of(None, i + 1, -1 if shape[axis - 1] > i + 2 else 99), axis=given),
            nn.Slice(self.of(0, None), self.of(n, None), self.of(1, 2), given),
            nn.Slice(-n, None, self.of(1, 2), given),
            nn.Slice(self.of(None, -1, n - 1), None, -self.size(3), given),
            nn.Take(self.rng.integers(-n, n, self.size(6)).tolist(), given),
        )

    def recurrent(self):
        v = self.pick(lambda v: len(v.shape) == 2)
        if v is None:
            return
        key = ("recurrent", v.shape[-1])
        if key in self.shared and self.chance(0.3):
            self.note(self.shared[key](v), v)
            return
        cell, hidden, layers, both = self.of(nn.RNN, nn.GRU, nn.LSTM), self.size(), self.of(1, 1, 2, 3), self.chance(0.3)
        options = {
            "num_layers": layers,
            "bidirectional": both,
            "bias": self.chance(0.8),
            "return_sequences": self.chance(0.6),
            "return_state": self.chance(0.3),
        }
        if cell is nn.GRU:
            options["reset_after"] = (hidden + layers) % 2 == 0
        if cell is nn.RNN:
            options["nonlinearity"] = self.of("tanh", "relu")
        if layers > 1:
            options["dropout"] = self.of(0.0, 0.3)
        options["recurrent_dropout"] = self.of(0.0, 0.2)
        blocks = layers * (1 + both)
        given = []
        if self.chance(0.3):
            for _ in range(1 + (cell is nn.LSTM)):
                source = self.pick(lambda v: len(v.shape) == 1)
                if source is None:
                    break
                flat = nn.Linear(source.shape[0], blocks * hidden)(source)
                given.append(nn.Reshape(blocks, hidden)(flat) if self.chance(0.5) else flat)
                self.read.add(id(source))
        if len(given) != 1 + (cell is nn.LSTM):
            given = []
            options["learn_initial_state"] = self.chance(0.3)
        layer = cell(v.shape[-1], hidden, **options)
        if not given:
            self.shared[key] = layer
        self.note(layer(v, tuple(given) if len(given) > 1 else given[0]) if given else layer(v), v)

    def pool(self):
        v = self.pick(lambda v: len(v.shape) >= 2)
        if v is not None:
            self.note(self.of(nn.GlobalAveragePooling1D, nn.GlobalMaxPooling1D, nn.LastStep)()(v), v)

    def merge(self):
        v = self.pick()
        if v is None:
            return

        def fits(w):
            pairs = list(zip(v.shape[::-1], w.shape[::-1], strict=False))
            return all(a == b or 1 in (a, b) for a, b in pairs)

        w = self.pick(fits)
        u = self.of(v, w)
        how = self.of(
            lambda: nn.add([v, w, u]),
            lambda: v - w,
            lambda: nn.average([v, w, u]),
            lambda: v * w,
            lambda: nn.multiply([v, w, u]),
            lambda: nn.maximum([v, w, u]),
            lambda: nn.minimum([v, w]),
            lambda: 1 - v / 3,
            lambda: nn.add([v, w] * 6),
        )
        self.note(how(), v, w)

    def concatenate(self):
        v = self.pick(lambda v: v.shape)
        if v is None:
            return
        axis = int(self.rng.integers(1, len(v.shape) + 1))

        def fits(w):
            return len(w.shape) == len(v.shape) and all(
                a == b for d, (a, b) in enumerate(zip(v.shape, w.shape, strict=True), 1) if d != axis
            )

        others = [self.pick(fits) for _ in range(self.of(1, 1, 2, 9))]
        given = axis if self.chance(0.5) else axis - len(v.shape) - 1
        self.note(nn.Concatenate(given)([v, *others]), v, *others)

    def model(self, dtype="float32"):
        self.begin()
        steps = [self.activation, self.dense, self.norm, self.shape, self.recurrent, self.pool, self.merge, self.concatenate]
        chances = np.array([5, 4, 3, 2, 4, 1, 3, 2]) / 24
        for _ in range(int(self.rng.integers(2, 11))):
            steps[self.rng.choice(len(steps), p=chances)]()
        ends = [v for v in self.known if id(v) not in self.read]
        ends += [v for v in self.known if id(v) in self.read and self.chance(0.1)]
        needed = {id(each) for v in ends for each in inputs_below(v)}
        for v in self.inputs:  # what nothing has read yet
            if id(v) not in needed:
                ends.append(next(each for each in self.known if any(below is v for below in inputs_below(each))))
                needed |= {id(each) for each in inputs_below(ends[-1])}
        ends = list({id(v): v for v in ends}.values())
        self.rng.shuffle(ends)
        outputs = {f"out {i}": v for i, v in enumerate(ends)} if self.chance(0.3) else ends
        model = nn.Model(self.inputs, outputs, seed=int(self.rng.integers(1 << 30)), dtype=dtype)
        randomize(model, self.rng)
        return model


def random_model(seed, dtype="float32"):
    """A model, and its generator of random numbers. One seed gives the same model in both dtypes."""
    rng = np.random.default_rng([40, seed])
    while True:
        try:
            return Generator(rng, seed).model(dtype), rng
        except ArgumentError as error:
            if "are the same numbers" not in str(error):  # of two outputs that are views of one value
                raise


def inputs_below(value):
    """The inputs on which a value depends."""
    waiting, found, seen = [value], [], set()
    while waiting:
        v = waiting.pop()
        if id(v) in seen:
            continue
        seen.add(id(v))
        if v.node is None:
            found.append(v)
        else:
            waiting += v.node.inputs
    return found


def randomize(model, rng):
    """Give all parameters and running statistics values other than those with which they start."""
    state = {}
    for name, value in model.state_dict().items():
        if name.endswith("running_var"):
            state[name] = rng.uniform(0.5, 2, value.shape)
        elif value.dtype.kind == "i":
            state[name] = value
        else:
            state[name] = rng.normal(size=value.shape) * (0.6 if value.ndim < 2 else 1 / np.sqrt(value.shape[-1]))
    model.load_state_dict(state)


def arrays_for(model, rng, rows, shapes, indices):
    """Samples of these shapes; whole numbers for inputs of indices."""
    return [
        rng.integers(0, TABLE, (rows, *shape)) if i in indices else rng.normal(size=(rows, *shape)).astype(model.dtype)
        for i, shape in enumerate(shapes)
    ]
