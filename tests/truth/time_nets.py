"""Random nets over time, as programs that can be built for any number of steps, and what must become of them.

The generator keeps its own account of which values have time steps, which instructions mix them and which look ahead. What the core
says is compared with that.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

import nncore as nn

TABLE = 7  # rows of every embedding
OTHER_STEPS = 9  # of sequences with a time of their own; more than STEPS
STEPS = 6


@dataclass
class Known:
    """What the generator knows of a value."""

    timed: bool
    shape: tuple[int, ...]  # of one step where it is timed, else of one sample
    indices: bool = False
    read: bool = False
    is_input: bool = False
    track: tuple[int, int] = (1, 0)  # of a sequence of n steps it has track[0] * n + track[1]

    def steps(self, length):
        return self.track[0] * length + self.track[1]


@dataclass
class Call:
    make: Any  # from the number of steps to a layer
    inputs: list[int]
    key: int  # calls with one key share a layer
    initial: list[int] = field(default_factory=list)
    listed: bool = False  # the layer takes a list


@dataclass
class Program:
    known: list[Known] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    mixes: bool = False
    looks_ahead: bool = False
    has_noise: bool = False
    has_truncation: bool = False
    outputs: list[int] = field(default_factory=list)

    @property
    def inputs(self):
        return [i for i, value in enumerate(self.known) if value.is_input]

    def build(self, steps, dtype):
        """The model for sequences of so many steps; weights are as the layers begin."""
        ends = [nn.Input((steps, *v.shape) if v.timed else v.shape, name=f"x{i}") for i, v in enumerate(self.known) if v.is_input]
        values, layers = list(ends), {}
        for call in self.calls:
            layer = layers.setdefault(call.key, None) or call.make(steps)
            layers[call.key] = layer
            given = [values[i] for i in call.inputs]
            state = tuple(values[i] for i in call.initial)
            more = [state[0] if len(state) == 1 else state] if state else []
            values += flat(layer(given if call.listed else given[0], *more))
        return nn.Model(ends, [values[i] for i in self.outputs], dtype=dtype, seed=0)


def flat(result):
    return [each for part in result for each in flat(part)] if isinstance(result, tuple | list) else [result]


class Scale(nn.PythonLayer):
    """Weights per feature; keeps steps apart."""

    timewise = True

    def build(self, input_shape):
        self.add_weight("scale", input_shape[-1], init="ones")

    def forward(self, x):
        return x * self.scale

    def backward(self, dy, x, y):
        self.grads["scale"][...] = (dy * x).reshape(-1, x.shape[-1]).sum(axis=0)
        return dy * self.scale


class Shares(nn.PythonLayer):
    """What numbers make of their sum at that step: NaN, forward and backward, where all are zeros."""

    timewise = True

    def forward(self, x):
        with np.errstate(invalid="ignore", divide="ignore"):
            return x / np.abs(x).sum(axis=-1, keepdims=True)

    def backward(self, dy, x, y):
        with np.errstate(invalid="ignore", divide="ignore"):
            total = np.abs(x).sum(axis=-1, keepdims=True)
            return (dy - np.sign(x) * (dy * y).sum(axis=-1, keepdims=True)) / total


class Backwards(nn.PythonLayer):
    """Turns time round, and does not say that it keeps steps apart."""

    def forward(self, x):
        return x[:, ::-1]

    def backward(self, dy, x, y):
        return dy[:, ::-1]


class Turned(nn.PythonLayer):
    """Turns the valid steps round; asks for lengths."""

    def forward(self, x, lengths=None):
        y = np.zeros_like(x)
        for i, n in enumerate(np.full(len(x), x.shape[1]) if lengths is None else lengths):
            y[i, :n] = x[i, :n][::-1]
        return y

    def backward(self, dy, x, y, lengths=None):
        return self.forward(dy, lengths)


class Weighed(nn.PythonLayer):
    """A sum over the valid steps, each weighed by its number; asks for lengths, and keeps no steps."""

    return_sequences = False

    def output_shape(self, shape):
        return shape[1:]

    def weights(self, x, lengths):
        steps = np.arange(x.shape[1], dtype=x.dtype).reshape(1, -1, *(1,) * (x.ndim - 2))
        valid = x.shape[1] if lengths is None else lengths.reshape(-1, *(1,) * (x.ndim - 1))
        return np.where(steps < valid, 1 / (1 + steps), 0).astype(x.dtype)

    def forward(self, x, training=False, lengths=None):
        assert not np.isnan(x).any()  # zeros in the padding
        y = np.zeros((len(x), *x.shape[2:]), x.dtype)
        for t in range(x.shape[1]):  # one after the other, to the bit for any number of steps
            y += (self.weights(x, lengths) * x)[:, t]
        return y

    def backward(self, dy, x, y, lengths=None):
        return dy[:, None] * self.weights(x, lengths)


class Generator:
    def __init__(self, rng):
        self.rng = rng
        self.program = Program()
        self.shareable = {}  # by what a layer takes: keys, and how it is made

    def chance(self, p):
        return self.rng.random() < p

    def one_of(self, *options):
        return options[int(self.rng.integers(len(options)))]

    def add(self, make, inputs, results, initial=(), listed=False, key=None):
        program = self.program
        for i in (*inputs, *initial):
            program.known[i].read = True
        program.calls.append(Call(make, list(inputs), len(program.calls) if key is None else key, list(initial), listed))
        program.known += results
        return len(program.known) - len(results)

    # Values ---------------------------------------------------------------------------------------------------------------

    def pick(self, wanted):
        """The number of a value like this, the latest and those that nobody reads before others; or None."""
        found = [i for i, value in enumerate(self.program.known) if not value.indices and wanted(value)]
        if not found:
            return None
        unread = [i for i in found if not self.program.known[i].read]
        return found[-1] if self.chance(0.4) else self.one_of(*unread) if unread and self.chance(0.6) else self.one_of(*found)

    def begin(self):
        rng, known = self.rng, self.program.known
        known.append(Known(True, () if (indices := self.chance(0.15)) else (int(rng.integers(1, 5)),), indices, is_input=True))
        while self.chance(0.3) and len(known) < 4:
            match rng.integers(6):
                case 0:
                    value = Known(True, (int(rng.integers(1, 5)),))
                case 1:
                    value = Known(False, (int(rng.integers(1, 5)),))
                case 2:
                    value = Known(False, (OTHER_STEPS, int(rng.integers(1, 5))))
                case 3:
                    value = Known(False, (1, int(rng.integers(1, 5))))
                case 4:
                    value = Known(True, (), indices=True)
                case _:
                    value = Known(False, (self.one_of(3, 8),), indices=True)
            value.is_input = True
            known.append(value)
        for i, value in enumerate(list(known)):
            if value.indices:
                width = int(rng.integers(1, 5))
                self.add(lambda steps, width=width: nn.Embedding(TABLE, width), [i], [Known(value.timed, (*value.shape, width))])

    # Instructions -----------------------------------------------------------------------------------------------------------

    def like(self, value, shape):
        """A result with the steps of a value."""
        return Known(value.timed, shape, track=value.track)

    def join(self):
        """One after the other in time: sequences, and what has no time and is taken as a whole."""
        i = self.pick(lambda v: v.timed and len(v.shape) == 1)
        if i is None:
            return
        known, width = self.program.known, self.program.known[i].shape[0]
        others = [self.pick(lambda v: len(v.shape) == (1 if v.timed else 2) and v.shape[-1] == width) for _ in range(2)]
        joined = [i, *[j for j in others if j is not None]]
        self.rng.shuffle(joined)
        tracks = [known[j].track if known[j].timed else (0, known[j].shape[0]) for j in joined]
        track = (sum(t[0] for t in tracks), sum(t[1] for t in tracks))
        axis = self.one_of(1, -2)
        self.program.looks_ahead = True
        self.add(lambda steps: nn.Concatenate(axis), [int(j) for j in joined], [Known(True, (width,), track=track)], listed=True)

    def pool(self):
        i = self.pick(lambda v: v.timed and v.shape)
        if i is None:
            return
        make = self.one_of(nn.GlobalAveragePooling1D, nn.GlobalMaxPooling1D, nn.LastStep, Weighed)
        self.program.looks_ahead = True
        self.add(lambda steps: make(), [i], [Known(False, self.program.known[i].shape)])

    def turn(self):
        i = self.pick(lambda v: v.timed and v.shape)
        if i is not None:
            self.program.looks_ahead = True
            self.add(lambda steps: Turned(), [i], [self.like(self.program.known[i], self.program.known[i].shape)])

    def dense(self):
        i = self.pick(lambda v: v.shape)
        value, out = self.program.known[i], int(self.rng.integers(1, 5))
        key = ("linear", value.shape[-1])
        if key in self.shareable and self.chance(0.5):
            shared, out, make = self.shareable[key]
            self.add(make, [i], [self.like(value, (*value.shape[:-1], out))], key=shared)
            return
        make = lambda steps, a=value.shape[-1], b=out: nn.Linear(a, b)  # noqa: E731
        self.add(make, [i], [self.like(value, (*value.shape[:-1], out))])
        self.shareable[key] = (len(self.program.calls) - 1, out, make)

    def elementwise(self):
        i = self.pick(lambda v: v.shape)
        value = self.program.known[i]
        make = self.one_of(
            lambda steps: nn.Tanh(),
            lambda steps: nn.ReLU(),
            lambda steps: nn.GELU(),
            lambda steps: nn.Softplus(),
            lambda steps: nn.Softmax(),
            lambda steps: nn.Identity(),
            lambda steps: nn.PReLU(),
            lambda steps: nn.Rescaling(0.5, 1.0),
            lambda steps: nn.Dropout(0.3),
            lambda steps: nn.GaussianNoise(0.3),
            lambda steps, n=value.shape[-1]: nn.LayerNorm(n),
            lambda steps, n=value.shape[-1]: nn.Maxout(n, 2, 3),
            lambda steps, n=value.shape[-1]: nn.BatchNorm1d(n, axis=-1),
            lambda steps: nn.Lambda(np.sin, lambda dy, x, y: dy * np.cos(x), timewise=True),
            lambda steps: Scale(),
        )
        made = make(STEPS)
        self.program.has_noise |= isinstance(made, nn.Dropout | nn.GaussianNoise | nn.BatchNorm1d)
        shape = (*value.shape[:-1], 2) if isinstance(made, nn.Maxout) else value.shape
        self.add(make, [i], [self.like(value, shape)])

    def shares(self):
        i = self.pick(lambda v: v.timed and v.is_input and len(v.shape) == 1)
        if i is not None:
            self.add(lambda steps: Shares(), [i], [Known(True, self.program.known[i].shape)])

    def recurrent(self):
        i = self.pick(lambda v: len(v.shape) == (1 if v.timed else 2))
        if i is None:
            return
        rng, value, program = self.rng, self.program.known[i], self.program
        cell, hidden, layers = self.one_of(nn.RNN, nn.GRU, nn.LSTM), int(rng.integers(1, 5)), self.one_of(1, 1, 2)
        both, sequences, gives = self.chance(0.25), self.chance(0.6), self.chance(0.25)
        options = {"num_layers": layers, "bidirectional": both, "return_sequences": sequences, "return_state": gives}
        blocks = layers * (2 if both else 1)
        of_states = 2 if cell is nn.LSTM else 1
        shape = (hidden,) if blocks == 1 else (blocks, hidden)
        initial = []
        if self.chance(0.2):
            fitting = [
                j for j, v in enumerate(program.known) if not v.timed and not v.indices and v.shape in (shape, (blocks * hidden,))
            ]
            fitting = [j for j in fitting if not (program.known[j].is_input and len(program.known[j].shape) > 1)]
            initial = [self.one_of(*fitting) for _ in range(of_states)] if fitting else []
        if not initial:
            options["learn_initial_state"] = self.chance(0.2)
            options["truncate"] = None if both else self.one_of(None, None, None, 2)
        if options.get("truncate"):
            program.has_truncation = True
        width = hidden * (2 if both else 1)
        steps_of = () if value.timed else value.shape[:1]
        results = [Known(value.timed and sequences, (*steps_of, width) if sequences else (width,), track=value.track)]
        if gives:
            results += [Known(False, shape) for _ in range(of_states)]
        program.looks_ahead |= both or not value.timed or bool(initial)
        key = ("recurrent", cell, value.shape[-1], tuple(options.items()), hidden, bool(initial))
        shared = self.shareable.get(key)
        make = lambda steps, f=value.shape[-1]: cell(f, hidden, **options)  # noqa: E731
        self.add(make, [i], results, initial, key=shared)
        self.shareable[key] = self.program.calls[-1].key

    def merge(self):
        i = self.pick(lambda v: len(v.shape) == 1)
        if i is None:
            return
        value = self.program.known[i]
        width = value.shape[0]

        def fits(v):
            if v.timed or not value.timed:
                return (
                    (v.timed == value.timed)
                    and v.track == value.track
                    and len(v.shape) == 1
                    and (v.shape[0] in (1, width) or width == 1)
                )
            return v.shape in ((width,), (1,), (1, width), (1, 1))

        j = self.pick(fits)
        if j is None:
            return
        other = self.program.known[j]
        make = self.one_of(nn.Add, nn.Subtract, nn.Average, nn.Multiply, nn.Maximum, nn.Minimum)
        shape = (max(width, other.shape[-1]),)
        order = [i, j] if self.chance(0.5) else [j, i]
        self.program.looks_ahead |= value.timed and not other.timed
        self.add(lambda steps: make(), order, [self.like(value, shape)], listed=True)

    def concatenate(self):
        i = self.pick(lambda v: len(v.shape) == 1)
        if i is None:
            return
        value = self.program.known[i]
        timed = value.timed
        fits = lambda v: v.timed == timed and v.track == value.track and len(v.shape) == 1  # noqa: E731
        others = [j for j in (self.pick(fits) for _ in range(2)) if j is not None]
        joined = [i, *others] if self.chance(0.8) else [i, *others] * 4  # more than one op takes at once
        width = sum(self.program.known[j].shape[0] for j in joined)
        axis = self.one_of(-1, 2 if timed else 1)
        self.add(lambda steps: nn.Concatenate(axis), joined, [self.like(value, (width,))], listed=True)

    def reshape(self):
        i = self.pick(lambda v: v.timed)
        if i is None:
            return
        value = self.program.known[i]
        if len(value.shape) == 2:
            shape = (value.shape[0] * value.shape[1],)
            make = self.one_of(lambda steps: nn.Flatten(2), lambda steps: nn.Flatten(-2), lambda steps: nn.Reshape(-1, *shape))
        else:
            shape = (1, *value.shape) if self.chance(0.5) else (*value.shape, 1)
            make = lambda steps: nn.Reshape(-1, *shape)  # noqa: E731
        self.add(make, [i], [self.like(value, shape)])

    def mixing(self):
        """One of the things that cannot be done with lengths or as a stream."""
        i = self.pick(lambda v: v.timed)
        if i is None:
            return
        value = self.program.known[i]
        size, shape, rank, all_steps = int(np.prod(value.shape)), value.shape, len(value.shape), value.steps(STEPS)
        whole = Known(False, (all_steps * size,))
        options = [
            (lambda steps: nn.Flatten(), [i], whole),
            (lambda steps: nn.Reshape(-1), [i], whole),
            (lambda steps: nn.Reshape(value.steps(steps), *shape), [i], Known(False, (all_steps, *shape))),
            (lambda steps: nn.Reshape(*shape, -1), [i], Known(False, (*shape, all_steps))),
            (lambda steps: nn.PReLU(value.steps(steps)), [i], Known(False, (all_steps, *shape))),
            (lambda steps: nn.LayerNorm((value.steps(steps), *shape)), [i], Known(False, (all_steps, *shape))),
            (lambda steps: Backwards(), [i], Known(False, (all_steps, *shape))),
            (lambda steps: nn.Lambda(np.tanh, lambda dy, x, y: dy * (1 - y * y)), [i], Known(False, (all_steps, *shape))),
        ]
        if rank == 1:
            options.append((lambda steps: nn.BatchNorm1d(value.steps(steps)), [i], Known(False, (all_steps, *shape))))
        make, inputs, result = self.one_of(*options)
        self.program.mixes = True
        self.add(make, inputs, [result], listed=len(inputs) > 1)

    def generate(self):
        """A program of a handful of instructions; one in five mixes time steps somewhere."""
        self.begin()
        steps = [
            self.dense,
            self.elementwise,
            self.recurrent,
            self.recurrent,
            self.merge,
            self.concatenate,
            self.reshape,
            self.shares,
            self.join,
            self.pool,
            self.turn,
        ]
        weights = np.array([3, 4, 3, 2, 3, 2, 1, 1, 2, 2, 1]) / 24
        count = int(self.rng.integers(1, 8))
        mixing_at = int(self.rng.integers(count)) if self.chance(0.2) else None
        for n in range(count):
            if n == mixing_at:
                self.mixing()
            steps[self.rng.choice(len(steps), p=weights)]()
        if not any(isinstance(call.make(STEPS), nn.RNN | nn.GRU | nn.LSTM) for call in self.program.calls):
            self.recurrent()
        program = self.program
        for i, value in list(enumerate(program.known)):
            if not value.read and not value.indices:
                width = value.shape[-1]
                at = self.add(lambda steps, width=width: nn.Linear(width, 2), [i], [self.like(value, (*value.shape[:-1], 2))])
                program.outputs.append(at)
        return program
