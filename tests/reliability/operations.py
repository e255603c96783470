"""What threads do to a model in storm_threads.py: each operation, what it may be refused with, and what it checks.

An operation gets a `Case` and the random numbers of its thread. What it finds wrong it says through ``case.wrong``.
"""

from __future__ import annotations

import copy
import os
import pickle
from dataclasses import dataclass, field

import numpy as np
from nets import are_finite, as_list, equal_weights, same

import nncore as nn
from nncore.errors import ArgumentError, ConcurrentUseError, NotBuiltError

LENGTHS = (3, 5, 8)  # time steps, for nets that have time
ROWS = (1, 7, 32, 100)


class Wrong(Exception):
    """A result that is not what it should be."""


@dataclass
class Case:
    """A model that several threads use, and what it should give.

    ``still``: nobody trains it, so that every prediction is known to the bit.
    """

    kind: object
    model: object
    still: bool
    folder: str
    inputs: dict = field(default_factory=dict)  # from (rows, steps) to (x, y, lengths)
    outputs: dict = field(default_factory=dict)  # from (rows, steps) to what predict gives, while it is still
    weights: dict = field(default_factory=dict)  # at the beginning
    scores: dict = field(default_factory=dict)  # what evaluate gives, while it is still
    shared_stream: object = None
    kept: list = field(default_factory=list)  # results with what they should still be later

    def pick(self, rng, training=False):
        """Return the key of a batch; batch norm trains on no single row."""
        return int(rng.choice(ROWS[1:] if training else ROWS)), int(rng.choice(LENGTHS if self.kind.timed else (5,)))

    def check(self, key, outputs):
        """Look at predictions for a batch."""
        rows = key[0]
        if any(len(each) != rows for each in as_list(outputs)):
            raise Wrong(f"{rows} rows gave {[each.shape for each in as_list(outputs)]}")
        if self.still and not same(outputs, self.outputs[key]):
            off = max(float(abs(a - b).max()) for a, b in zip(as_list(outputs), as_list(self.outputs[key]), strict=True))
            raise Wrong(f"other numbers than in one thread for {key} rows, steps: off by {off:g}")
        if not are_finite(outputs):
            raise Wrong("a prediction is not finite")

    def path(self, rng):
        return os.path.join(self.folder, f"{int(rng.integers(4))}.safetensors")


def prepare(kind, still, folder):
    """Return a case, with what its model gives when one thread has it."""
    case = Case(kind, kind.model(), still, folder)
    model = kind.model()
    rng = np.random.default_rng(7)
    for rows in ROWS:
        for steps in LENGTHS if kind.timed else (5,):
            x, y, lengths = case.inputs[rows, steps] = kind.data(rng, rows, steps)
            case.outputs[rows, steps] = model.predict(x)
            case.scores[rows, steps] = model.evaluate(x, y, lengths=lengths, return_dict=True)
    case.weights = case.model.state_dict()
    if kind.streams:
        case.shared_stream = case.model.stream(batch=4)
    return case


@dataclass
class Operation:
    """What a thread does, and the errors that the others may bring it: pairs of a type and a part of the message."""

    name: str
    act: object
    refusals: tuple
    moves_weights: bool  # not for still models
    fits: object  # whether a kind of net can do it

    def allows(self, error):
        return any(isinstance(error, kind) and part in str(error) for kind, part in self.refusals)


OPERATIONS: list[Operation] = []
BUSY = (ConcurrentUseError, "")
#: Training is refused while another thread has put the average of the weights in their place.
AVERAGED = (ArgumentError, "average")
SHARED = (ArgumentError, "shares its layers")


def reads(*refusals, fits=lambda kind: True):
    """Mark an operation that others must not disturb: nothing refuses it, unless it is said here."""
    return _mark(refusals, False, fits)


def writes(*refusals, moves_weights=False, fits=lambda kind: True):
    """Mark an operation that is refused while another thread trains, compiles or builds."""
    return _mark((BUSY, AVERAGED, *refusals), moves_weights, fits)


def _mark(refusals, moves_weights, fits):
    def mark(act):
        OPERATIONS.append(Operation(act.__name__.rstrip("_"), act, refusals, moves_weights, fits))
        return act

    return mark


def timed(kind):
    return kind.timed


def one_input(kind):
    return kind.one_input


# Training -----------------------------------------------------------------------------------------------------------------


@writes(moves_weights=True)
def fit(case, rng):
    x, y, lengths = case.inputs[case.pick(rng, training=True)]
    history = case.model.fit(x, y, epochs=int(rng.integers(1, 4)), batch_size=8, verbose=0, lengths=lengths)
    if not np.isfinite(history.history["loss"]).all():
        raise Wrong("a loss is not finite")


@writes(moves_weights=True)
def fit_validation(case, rng):
    x, y, lengths = case.inputs[100, case.pick(rng)[1]]
    given = case.inputs[case.pick(rng)]
    other = given if given[2] is None else (given[0], given[1], None, given[2])
    data = {"validation_split": 0.2} if rng.random() < 0.5 else {"validation_data": other[: 2 if given[2] is None else 4]}
    case.model.fit(x, y, epochs=2, verbose=0, lengths=lengths, **data)


@writes(moves_weights=True)
def fit_callbacks(case, rng):
    x, y, lengths = case.inputs[32, case.pick(rng)[1]]
    callbacks = [
        nn.callbacks.EarlyStopping(monitor="loss", patience=1),
        nn.callbacks.ModelCheckpoint(case.path(rng), monitor="loss"),
        nn.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: case.model.predict(case.inputs[7, 5][0])),
    ]
    case.model.fit(x, y, epochs=2, batch_size=16, verbose=0, lengths=lengths, callbacks=callbacks)


@writes(moves_weights=True)
def fit_generator(case, rng):
    keys = [case.pick(rng, training=True) for _ in range(4)]
    batches = (case.inputs[key] for key in keys)
    case.model.fit(((x, y) if lengths is None else (x, y, None, lengths) for x, y, lengths in batches), verbose=0)


@writes(moves_weights=True)
def train_on_batch(case, rng):
    x, y, lengths = case.inputs[case.pick(rng, training=True)]
    for _ in range(int(rng.integers(1, 20))):
        loss = as_list(case.model.train_on_batch(x, y, lengths=lengths))[0]
        if not np.isfinite(loss):
            raise Wrong(f"the loss is {loss}")


# Another thread's step may come between the three, and takes what backward needs.
@writes((NotBuiltError, "nothing to go back from"), moves_weights=True)
def by_hand(case, rng):
    x, _, _ = case.inputs[32, 5]
    outputs = case.model.forward(x, training=True)
    case.model.backward([np.ones_like(each) for each in outputs] if isinstance(outputs, list) else np.ones_like(outputs))
    case.model.apply_gradients()


@writes((NotBuiltError, "nothing to go back from"))
def forward_backward(case, rng):
    outputs = case.model.forward(case.inputs[32, 5][0])
    case.check((32, 5), outputs)
    case.model.backward([np.ones_like(each) for each in outputs] if isinstance(outputs, list) else np.ones_like(outputs))


@writes()
def compile_(case, rng):
    case.kind.compile(case.model)


@writes(SHARED, fits=timed)
def build(case, rng):
    case.model.build(case.kind.shape(int(rng.choice(LENGTHS))))


# Predicting ---------------------------------------------------------------------------------------------------------------


@reads()
def predict(case, rng):
    key = case.pick(rng)
    case.check(key, case.model.predict(case.inputs[key][0]))


@reads()
def call(case, rng):
    for _ in range(int(rng.integers(1, 10))):
        key = case.pick(rng)
        outputs = case.model(case.inputs[key][0])
        case.check(key, outputs)
        if case.still and isinstance(outputs, np.ndarray) and len(case.kept) < 50:
            case.kept.append((key, outputs))  # whoever holds a result has it for good
        elif case.kept and rng.random() < 0.2:
            case.check(*case.kept.pop())


@reads(fits=one_input)
def call_out(case, rng):
    key = case.pick(rng)
    x = case.inputs[key][0]
    out = np.full_like(case.outputs[key], np.nan)
    if case.model.predict_on_batch(np.ascontiguousarray(x, np.float32), out=out) is not out:
        raise Wrong("out= was not returned")
    case.check(key, out)


@reads((ConcurrentUseError, "compiled again during this call"))  # its sums cannot be of two losses
def evaluate(case, rng):
    key = case.pick(rng)
    x, y, lengths = case.inputs[key]
    found = case.model.evaluate(x, y, lengths=lengths, return_dict=True)
    if case.still and found != case.scores[key]:
        raise Wrong(f"evaluate gave {found}, in one thread {case.scores[key]}")


@reads(fits=lambda kind: kind.streams)
def stream(case, rng):
    key = 7, 5
    x = case.inputs[key][0]
    stream = case.model.stream(batch=7)
    for _ in range(2):
        for t in range(5):
            found = stream.step(np.ascontiguousarray(x[:, t]))
        case.check(key, found)
        stream.reset()


@reads(BUSY, fits=lambda kind: kind.streams)  # a step writes the state: two threads cannot step one stream
def shared_stream(case, rng):
    found = case.shared_stream.step(np.ones((4, 6), np.float32)).copy()
    if found.shape != (4, 3):
        raise Wrong(f"a step gave {found.shape}")
    if rng.random() < 0.2:
        case.shared_stream.reset()


# Copies and files ---------------------------------------------------------------------------------------------------------


def check_copy(case, other):
    if case.still:
        key = 7, 5
        case.check(key, other.predict(case.inputs[key][0]))
        if not equal_weights(other.state_dict(), case.weights):
            raise Wrong("a copy has other weights")
    x, y, lengths = case.inputs[7, 5]
    if not np.isfinite(as_list(other.train_on_batch(x, y, lengths=lengths))[0]):
        raise Wrong("a copy does not train")


@reads()
def deepcopy(case, rng):
    check_copy(case, copy.deepcopy(case.model))


@reads()
def pickled(case, rng):
    check_copy(case, pickle.loads(pickle.dumps(case.model)))


@reads()
def save_load(case, rng):
    path = os.path.join(case.folder, f"{int(rng.integers(1 << 40))}.safetensors")
    case.model.save(path)
    other = nn.load(path, case.kind.custom)
    os.unlink(path)
    check_copy(case, other)


@reads()
def save_onto_one_path(case, rng):
    path = case.path(rng)
    case.model.save(path)
    nn.load(path, case.kind.custom)


@reads()
def save_weights(case, rng):
    path = os.path.join(case.folder, f"{int(rng.integers(1 << 40))}.safetensors")
    case.model.save_weights(path)
    other = case.kind.model()
    other.load_weights(path)
    os.unlink(path)
    check_copy(case, other)


# Weights and settings -----------------------------------------------------------------------------------------------------


@reads()
def state_dict(case, rng):
    found = case.model.state_dict()
    if not are_finite(list(found.values())) or (case.still and not equal_weights(found, case.weights)):
        raise Wrong("state_dict has other weights")


@writes()
def load_state_dict(case, rng):
    case.model.load_state_dict(case.weights)


@writes()
def set_weights(case, rng):
    case.model.set_weights(list(case.weights.values()))


@reads()
def views(case, rng):
    for view in case.model.parameters():
        if not np.isfinite(view).all():
            raise Wrong("a weight is not finite")
    for layer in case.model.layers:
        if hasattr(layer, "weight"):
            layer.weight.sum()
    case.model.gradients  # noqa: B018


@writes(moves_weights=True)
def write_views(case, rng):
    for view in case.model.parameters():
        view[...] = view * np.float32(0.999)


@writes(moves_weights=True)
def averaged_weights(case, rng):
    with case.model.averaged_weights() as model:
        key = case.pick(rng)
        case.check(key, model.predict(case.inputs[key][0]))


@reads()
def summary(case, rng):
    str(case.model.summary(show=False))
    repr(case.model)
    case.model.metrics_names, case.model.input_shapes, case.model.output_shapes, case.model.step, case.model.built  # noqa: B018


@writes()
def settings(case, rng):
    case.model.seed = int(rng.integers(1000))
    case.model.step = int(rng.integers(1000))
    case.model.optimizer.lr = 1e-4
    case.model.stop_training = False


# Layers -------------------------------------------------------------------------------------------------------------------


@reads(fits=lambda kind: kind.name in ("dense", "normalised", "python"))
def layer_alone(case, rng):
    layer = case.model.layers[0]
    x = np.random.default_rng(int(rng.integers(5))).normal(size=(4, 6)).astype(np.float32)
    found = layer(x)
    if found.shape != (4, len(layer.bias)) or not np.isfinite(found).all():
        raise Wrong(f"a layer gave {found.shape}")
    if case.still and not np.allclose(found, x @ case.weights["0.weight"].T + case.weights["0.bias"], atol=1e-4):
        raise Wrong("a layer called alone gave other numbers")


@writes(fits=one_input)
def share(case, rng):
    key = case.pick(rng)
    a = nn.Input(case.kind.shape(key[1]))
    outputs = case.model(a)
    other = nn.Model(a, nn.Linear(outputs.shape[-1], 2, name="head")(outputs), seed=1)
    if other.predict(case.inputs[key][0]).shape != (key[0], 2):
        raise Wrong("a model that shares layers gave another shape")
    encoder = nn.Model(a, outputs, compute=case.model.compute)
    case.check(key, encoder.predict(case.inputs[key][0]))
