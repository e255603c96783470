"""Everything from inside: a model used, from places where nncore calls Python, by the very call that is under way.

Four attacks. Methods: every method of the model from every such place. Exceptions: every kind of them raised there. Liars: arrays
whose shape, type or length is not what they say. Memory: every k-th allocation of an operation fails. None may crash, hang or leave
the model claimed.
"""

from __future__ import annotations

import copy
import io
import itertools
import os
import pickle
import sys
import threading
from collections.abc import Mapping
from functools import partial

import numpy as np
import running
from nets import KINDS, are_finite, as_list, equal_weights

import nncore as nn
from nncore import _core
from nncore.errors import ConcurrentUseError, NncoreError

X = np.random.default_rng(0).normal(size=(40, 6)).astype(np.float32)
Y = np.random.default_rng(1).normal(size=(40, 3)).astype(np.float32)


class Wrong(Exception):
    """A result that is not what it should be."""


# Places: where nncore calls Python ----------------------------------------------------------------------------------------


class Trap:
    """What happens at a place, once."""

    place, act = "", None

    def set(self, place, act):
        self.place, self.act = place, act

    def at(self, place):
        if place == self.place and self.act is not None:
            act, self.act = self.act, None
            act()


TRAP = Trap()


def loss(y_true, y_pred):
    TRAP.at("loss")
    error = y_pred - y_true
    return (error**2).mean(axis=1), 2 * error / error.shape[1]


def metric(y_true, y_pred):
    TRAP.at("metric")
    return abs(y_true - y_pred).max(axis=1)


class Account:
    """A metric that keeps its own account."""

    name = "account"

    def reset_state(self):
        TRAP.at("metric.reset_state")
        self.total = 0.0

    def update_state(self, y_true, y_pred, sample_weight=None):
        TRAP.at("metric.update_state")
        self.total += float(abs(y_true - y_pred).sum())

    def result(self):
        TRAP.at("metric.result")
        return self.total

    def __deepcopy__(self, memo):
        TRAP.at("metric.deepcopy")
        return Account()


class Scale(nn.PythonLayer):
    def build(self, input_shape):
        TRAP.at("layer.build")
        self.add_weight("scale", input_shape, init=ones)

    def output_shape(self, input_shape):
        TRAP.at("layer.output_shape")
        return input_shape

    def config(self):
        TRAP.at("layer.config")
        return {}

    def forward(self, x, training=False):
        TRAP.at("layer.forward")
        return x * self.scale

    def backward(self, dy, x, y):
        TRAP.at("layer.backward")
        self.grads["scale"][...] = (dy * x).sum(axis=0)
        return dy * self.scale


class Passing(nn.PythonLayer):
    """A layer for any shape."""

    def build(self, input_shape):
        TRAP.at("layer.build")

    def output_shape(self, input_shape):
        TRAP.at("layer.output_shape")
        return input_shape

    def forward(self, x):
        return x

    def backward(self, dy, x, y):
        return dy


def ones(shape, rng):
    TRAP.at("init")
    return np.ones(shape)


def negated(x):
    TRAP.at("lambda.forward")
    return -x


def negated_back(dy, x, y):
    TRAP.at("lambda.backward")
    return -dy


def rate(step):
    TRAP.at("schedule")
    return 1e-4


HOOKS = [name for name in vars(nn.callbacks.Callback) if name.startswith("on_")]


class Watching(nn.callbacks.Callback):
    """A callback with every hook."""

    def get_state(self):
        TRAP.at("callback.get_state")
        return {"n": 1}

    def set_state(self, state):
        TRAP.at("callback.set_state")

    def set_model(self, model):
        TRAP.at("callback.set_model")
        super().set_model(model)

    def set_params(self, params):
        TRAP.at("callback.set_params")
        super().set_params(params)

    def before_fit(self, model):
        TRAP.at("callback.before_fit")
        return False

    def close(self):
        TRAP.at("callback.close")


for _hook in HOOKS:
    setattr(Watching, _hook, lambda self, *arguments, _hook=_hook: TRAP.at(f"callback.{_hook}"))


class Batches:
    """An iterable of batches."""

    def __iter__(self):
        TRAP.at("batches.iter")
        return self._each()

    def __len__(self):
        TRAP.at("batches.len")
        return 2

    def _each(self):
        for _ in range(2):
            TRAP.at("batches.next")
            yield X, Y


class ArrayLike:
    """What NumPy makes an array of."""

    def __init__(self, array):
        self.array = array

    def __array__(self, dtype=None, copy=None):
        TRAP.at("__array__")
        return self.array if dtype is None else self.array.astype(dtype)


class Names(Mapping):
    """A state dict."""

    def __init__(self, state):
        self.state = state

    def __getitem__(self, name):
        TRAP.at("mapping.getitem")
        return self.state[name]

    def __iter__(self):
        TRAP.at("mapping.iter")
        return iter(self.state)

    def __len__(self):
        return len(self.state)


class Path:
    """A path."""

    def __init__(self, path):
        self.path = path

    def __fspath__(self):
        TRAP.at("path")
        return self.path


class Screen(io.StringIO):
    """What is printed to."""

    def write(self, text):
        TRAP.at("screen")
        return super().write(text)

    def isatty(self):
        return True


def plain():
    """A model in Python where it can be."""
    model = nn.Sequential(nn.Linear(6, 8), Scale(), nn.Tanh(), nn.Linear(8, 3), seed=0)
    model.compile(loss, nn.optim.SGD(lr=1e-4, ema_momentum=0.9), [metric, Account()])
    return model


def with_lambda():
    model = nn.Sequential(nn.Linear(6, 8), nn.Lambda(negated, negated_back), nn.Linear(8, 3), seed=0)
    model.compile("mse", "sgd")
    return model


def for_any_shape():
    model = nn.Sequential(nn.Linear(6, 8), Passing(), nn.Linear(8, 3), seed=0)
    model.compile(loss, "sgd", [metric])
    return model


def with_schedule():
    model = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3), seed=0)
    model.compile("mse", nn.optim.SGD(lr=rate))
    return model


def unbuilt():
    model = nn.Sequential(nn.Flatten(), nn.Linear(6, 8), Scale(), nn.Linear(8, 3), seed=0)
    model.compile(loss, "sgd", [metric])
    return model


def fit(model, folder):
    model.fit(X, Y, batch_size=16, verbose=0, validation_split=0.2, callbacks=[Watching()])


def fit_on(model, folder):
    model.fit(X, Y, epochs=1, verbose=0, callbacks=[Watching()])
    model.fit(X, Y, epochs=2, verbose=0, callbacks=[Watching()], resume=True)


def fit_batches(model, folder):
    model.fit(Batches(), verbose=0)


def fit_shown(model, folder):
    before, sys.stderr = sys.stderr, Screen()
    try:
        model.fit(X, Y, verbose=2)
    finally:
        sys.stderr = before


def evaluate(model, folder):
    model.evaluate(X, Y, callbacks=[Watching()])


def predict(model, folder):
    model.predict(X, callbacks=[Watching()])


def by_hand(model, folder):
    model.backward(np.ones_like(model.forward(X, training=True)))


def array_as(name):
    arguments = {"x": X, "y": Y}

    def act(model, folder):
        model.train_on_batch(**{**arguments, name: ArrayLike(arguments[name])})

    return act


def weights_of(model, folder):
    model.fit(X, Y, sample_weight=ArrayLike(np.ones(40)), verbose=0)


def shown_summary(model, folder):
    before, sys.stdout = sys.stdout, Screen()
    try:
        model.summary()
    finally:
        sys.stdout = before


#: In the midst of a step that trains; of a call that only reads; of one that gives the model its shape; or none of these.
STEP, READING, BUILDING, BETWEEN = "step", "reading", "building", "between"

#: (place, what of the model, the call that comes by there, in the midst of what)
PLACES = [
    *((place, plain, fit, STEP) for place in ("loss", "metric.update_state", "layer.forward", "layer.backward")),
    *(("metric", plain, act, BETWEEN) for act in (fit, evaluate)),  # a function of all rows, after the last of them
    *((place, plain, lambda m, f: m.train_on_batch(X, Y), STEP) for place in ("loss", "metric", "layer.forward", "layer.backward")),
    *((place, with_lambda, fit, STEP) for place in ("lambda.forward", "lambda.backward")),
    *((place, plain, by_hand, STEP) for place in ("layer.forward", "layer.backward")),
    *((place, plain, evaluate, READING) for place in ("loss", "metric.update_state", "layer.forward")),
    *((place, plain, act, READING) for place in ("layer.forward",) for act in (predict, lambda m, f: m(X))),
    ("lambda.forward", with_lambda, predict, READING),
    *((f"metric.{name}", plain, act, BETWEEN) for name in ("reset_state", "result", "deepcopy") for act in (fit, evaluate)),
    *((f"callback.{name}", plain, fit, BETWEEN) for name in HOOKS if "test" not in name and "predict" not in name),
    *((f"callback.{name}", plain, evaluate, BETWEEN) for name in HOOKS if "test" in name),
    *((f"callback.{name}", plain, fit, BETWEEN) for name in HOOKS if "test" in name),
    *((f"callback.{name}", plain, predict, BETWEEN) for name in HOOKS if "predict" in name),
    *(
        (f"callback.{name}", plain, fit_on, BETWEEN)
        for name in ("get_state", "set_state", "set_model", "set_params", "before_fit", "close")
    ),
    ("schedule", with_schedule, fit, BETWEEN),
    ("schedule", with_schedule, lambda m, f: m.train_on_batch(X, Y), BETWEEN),
    *((f"batches.{name}", plain, fit_batches, BETWEEN) for name in ("iter", "len", "next")),
    *(("__array__", plain, array_as(name), BETWEEN) for name in ("x", "y")),
    ("__array__", plain, weights_of, BETWEEN),
    ("__array__", plain, lambda m, f: m.predict(ArrayLike(X)), BETWEEN),
    ("__array__", plain, lambda m, f: m(ArrayLike(X)), BETWEEN),
    ("__array__", plain, lambda m, f: m.forward(ArrayLike(X)), BETWEEN),
    ("__array__", plain, lambda m, f: m.evaluate(X, ArrayLike(Y)), BETWEEN),
    ("__array__", plain, lambda m, f: m.load_state_dict({k: ArrayLike(v) for k, v in m.state_dict().items()}), BETWEEN),
    *((f"mapping.{name}", plain, lambda m, f: m.load_state_dict(Names(m.state_dict())), BETWEEN) for name in ("getitem", "iter")),
    ("path", plain, lambda m, f: m.save(Path(os.path.join(f, "path"))), BETWEEN),
    ("path", plain, lambda m, f: m.save_weights(Path(os.path.join(f, "path"))), BETWEEN),
    ("layer.config", plain, lambda m, f: m.save(os.path.join(f, "path")), BETWEEN),
    ("metric.deepcopy", plain, lambda m, f: copy.deepcopy(m), BETWEEN),
    ("screen", plain, fit_shown, BETWEEN),
    ("screen", plain, shown_summary, BETWEEN),
    *((place, unbuilt, act, BUILDING) for place in ("layer.build", "layer.output_shape", "init") for act in (predict, fit)),
    *((place, for_any_shape, lambda m, f: m.build((3, 6)), BUILDING) for place in ("layer.build", "layer.output_shape")),
    ("metric.deepcopy", plain, lambda m, f: m.compile(loss, "sgd", [metric, Account()]), BETWEEN),
]


# Methods ------------------------------------------------------------------------------------------------------------------


class Elsewhere(threading.Thread):
    """Another thread that calls act: it has a moment while this thread is inside, and the rest afterwards."""

    def __init__(self, act):
        super().__init__(daemon=True)
        self.act, self.error = act, None
        self.start()
        self.join(0.3)

    def run(self):
        try:
            self.act()
        except Exception as error:
            self.error = error


def other_thread(act):
    """Call act in another thread, wait for it, and raise what it raises."""
    thread = Elsewhere(act)
    thread.join(20)
    if thread.is_alive():
        raise Wrong("another thread hangs")
    if thread.error is not None:
        raise thread.error


def averaged(model, folder):
    with model.averaged_weights():
        model.predict(X)


def drop_layers(model, folder):
    for name in ("layers", "_ops"):
        try:
            delattr(model, name)
        except (AttributeError, TypeError, NncoreError):
            continue


def share(model, folder):
    a = nn.Input((6,))
    nn.Model(a, nn.Linear(3, 2)(model(a))).predict(X)


def settings(model, folder):
    model.step, model.seed, model.stop_training = 3, 5, False
    model.optimizer.lr = 1e-3


READS, CHANGES, COPIES, WAITS, SETS = "reads", "changes", "copies", "waits", "sets"
METHODS = {
    "predict": (READS, lambda m, f: m.predict(X)),
    "call": (READS, lambda m, f: m(X)),
    "call_out": (READS, lambda m, f: m(X, out=np.empty((40, 3), np.float32))),
    "evaluate": (READS, lambda m, f: m.evaluate(X, Y)),
    "test_on_batch": (READS, lambda m, f: m.test_on_batch(X[:3], Y[:3])),
    "state_dict": (READS, lambda m, f: m.state_dict()),
    "summary": (READS, lambda m, f: m.summary(show=False)),
    "views": (READS, lambda m, f: [m.parameters(), m.gradients, m[0].weight.sum(), m.step, m.optimizer, m.metrics_names]),
    "predict_elsewhere": (READS, lambda m, f: Elsewhere(lambda: m.predict(X))),
    "layer_alone": (READS, lambda m, f: m[0](X.reshape(40, -1))),
    "fit": (CHANGES, lambda m, f: m.fit(X, Y, verbose=0)),
    "train_on_batch": (CHANGES, lambda m, f: m.train_on_batch(X, Y)),
    "train_elsewhere": (CHANGES, lambda m, f: Elsewhere(lambda: m.train_on_batch(X, Y))),
    "compile": (CHANGES, lambda m, f: m.compile("mse", "adam")),
    "compile_elsewhere": (CHANGES, lambda m, f: Elsewhere(lambda: m.compile("mse", "adam"))),
    "build": (CHANGES, lambda m, f: m.build((2, 6))),
    "forward": (CHANGES, lambda m, f: m.forward(X, training=True)),
    "apply_gradients": (CHANGES, lambda m, f: m.apply_gradients()),
    "averaged_weights": (CHANGES, averaged),
    "share": (CHANGES, share),
    "deepcopy_elsewhere": (WAITS, lambda m, f: Elsewhere(lambda: copy.deepcopy(m))),
    "save_elsewhere": (WAITS, lambda m, f: Elsewhere(lambda: m.save(os.path.join(f, "elsewhere")))),
    "deepcopy": (COPIES, lambda m, f: copy.deepcopy(m)),
    "slice": (COPIES, lambda m, f: m[:1].predict(X)),
    "pickle": (COPIES, lambda m, f: pickle.loads(pickle.dumps(m))),
    "save": (COPIES, lambda m, f: m.save(os.path.join(f, "inside"))),
    "save_weights": (COPIES, lambda m, f: m.save_weights(os.path.join(f, "inside"))),
    "load_state_dict": (SETS, lambda m, f: m.load_state_dict(m.state_dict())),
    "load_weights": (SETS, lambda m, f: (m.save_weights(os.path.join(f, "inside")), m.load_weights(os.path.join(f, "inside")))),
    "settings": (SETS, settings),
    "stream": (SETS, lambda m, f: m.stream()),
    "drop_layers": (SETS, drop_layers),
}


def verdict(sort, inside, outcome):
    """Return what is wrong with how a method went in the midst of something, or ""."""
    waited = elsewhere = False
    if isinstance(outcome, Elsewhere):
        elsewhere, waited, outcome = True, outcome.is_alive(), outcome.error
    if waited:
        return "had to wait" if (sort == READS and inside != BUILDING) or (sort == CHANGES and inside == STEP) else ""
    if isinstance(outcome, ConcurrentUseError):
        return "was refused" if sort == WAITS or (sort == READS and inside != BUILDING) else ""
    if isinstance(outcome, NncoreError):
        return "failed" if sort == READS and inside in (STEP, READING) else ""
    if isinstance(outcome, Exception):
        return "failed with another error"
    if inside == STEP and sort in (CHANGES, COPIES):
        return "was not refused in the midst of a step"
    return "was not refused in the midst of a call that reads" if inside == READING and sort == CHANGES and not elsewhere else ""


def methods(storm, rng, place):
    """Every method from every place, in some order."""
    for number in rng.permutation(len(PLACES) * len(METHODS)):
        at, make, act, inside = PLACES[number // len(METHODS)]
        name = list(METHODS)[number % len(METHODS)]
        where = f"{name} at {at} of {named(act)}"
        if not storm.wanted(where):
            continue
        if make is with_lambda and "save" in name:
            continue  # it cannot be saved at all
        sort, method = METHODS[name]
        model = make()
        outcome = []

        TRAP.set(at, partial(from_inside, storm, where, partial(method, model, place), sort, inside, outcome))
        try:
            with storm.call(f"outer {where}"):
                act(model, place)
        except NncoreError as error:
            explained = isinstance(error, ConcurrentUseError) and name == "compile_elsewhere"  # sums cannot be of two losses
            if inside in (STEP, READING) and not explained:
                storm.fail_by(f"{where}: the outer call", error)
        except Exception as error:
            if name != "drop_layers":
                storm.fail_by(f"{where}: the outer call", error)
        finally:
            TRAP.set("", None)
        if len(outcome) == 2 and outcome[1]:
            error = getattr(outcome[0], "error", outcome[0])
            if isinstance(error, Exception):
                storm.fail_by(f"{name} {outcome[1]} in the midst of {inside}", error, f"{where}\n")
            else:
                storm.fail(f"{name} {outcome[1]}", where)
        if outcome and isinstance(outcome[0], Elsewhere):
            outcome[0].join(10)
            if outcome[0].is_alive():
                storm.fail(f"{name}: another thread does not come back afterwards", where)
            elif inside != BUILDING and not isinstance(outcome[0].error, ConcurrentUseError | None):
                storm.fail_by(f"{name}: in another thread", outcome[0].error, f"{where}\n")
        if name != "drop_layers":
            usable(storm, model, where)
        yield


def from_inside(storm, where, method, sort, inside, outcome):
    """Call a method at a place; note what came of it, and what is wrong with that."""
    outcome.append(None)
    try:
        with storm.call(f"method {where}"):
            outcome[0] = method()
    except Exception as error:
        outcome[0] = error
    outcome.append(verdict(sort, inside, outcome[0]))


def named(act):
    return act.__name__ if act.__name__ != "<lambda>" else f"line {act.__code__.co_firstlineno}"


def usable(storm, model, where):
    """See that the model can be used, here and elsewhere."""
    try:
        with storm.call(f"afterwards {where}"):
            shape = model.input_shapes[0]
            rng = np.random.default_rng(0)
            x, y = rng.normal(size=(4, *shape)), rng.normal(size=(4, *model.output_shapes[0]))

            def use():
                if not are_finite(model.predict(x)):
                    raise Wrong("predictions are not finite")
                model.train_on_batch(x, y)
                model.fit(x, y, verbose=0)
                copy.deepcopy(model)

            use()
            other_thread(use)
            model.compile("mse", "sgd")
            other_thread(use)
    except Exception as error:
        storm.fail_by("afterwards", error, f"{where}\n")


# Exceptions ---------------------------------------------------------------------------------------------------------------

KINDS_OF_ERRORS = [ValueError, AttributeError, MemoryError, KeyboardInterrupt, SystemExit, GeneratorExit]


def exceptions(storm, rng, place):
    """Every kind of exception from every place."""
    for number in rng.permutation(len(PLACES) * len(KINDS_OF_ERRORS)):
        at, make, act, _ = PLACES[number // len(KINDS_OF_ERRORS)]
        kind = KINDS_OF_ERRORS[number % len(KINDS_OF_ERRORS)]
        where = f"{kind.__name__} at {at} of {named(act)}"
        if not storm.wanted(where):
            continue
        model, raised = make(), []

        def throw(kind=kind, raised=raised):
            raised.append(True)
            raise kind("on purpose")

        TRAP.set(at, throw)
        try:
            with storm.call(f"exception {where}"):
                act(model, place)
            if raised and kind is not AttributeError:
                storm.fail(f"{kind.__name__} was swallowed at {at}", where)
        except BaseException as error:
            if type(error) is not kind and not (issubclass(kind, Exception) and isinstance(error, NncoreError)):
                storm.fail(f"{kind.__name__} became {type(error).__name__} at {at}", f"{where}: {error}")
            del error
        finally:
            TRAP.set("", None)
        if model.built or make is not unbuilt:
            usable(storm, model, where)
        else:
            try:
                with storm.call(f"first use {where}"):
                    model.predict(X)
                usable(storm, model, where)
            except Exception as error:
                storm.fail_by("first use after an exception", error, f"{where}\n")
        yield


# Liars --------------------------------------------------------------------------------------------------------------------


class Flags:
    c_contiguous = aligned = writeable = contiguous = True

    def __getitem__(self, name):
        return True


WANTED = [(40, 3), (40, 6), (40,), (20,), (4, 6), (20, 5, 6)]  # what the arguments below should have
TINY = np.zeros((1, 1), np.float32)
LIES = {
    **{f"shape {shape}": {"shape": property(lambda self, shape=shape: shape)} for shape in WANTED},
    "larger shape": {"shape": property(lambda self: (100_000, 3))},
    "smaller shape": {"shape": property(lambda self: (1, 3))},
    "no shape": {"shape": property(lambda self: ())},
    "negative shape": {"shape": property(lambda self: (-1, 3))},
    "dtype": {"dtype": property(lambda self: np.dtype("float64"))},
    "long": {"__len__": lambda self: 100_000},
    "short": {"__len__": lambda self: 1},
    "ndim": {"ndim": property(lambda self: 5)},
    "size": {"size": property(lambda self: 10**9)},
    "strides": {"strides": property(lambda self: (10**6, 4))},
    "itemsize": {"itemsize": property(lambda self: 1)},
    "flags": {"flags": property(lambda self: Flags())},
    "astype": {"astype": lambda self, *a, **k: TINY},
    "reshape": {"reshape": lambda self, *a, **k: TINY},
    "copy": {"copy": lambda self, *a, **k: TINY},
    "getitem": {"__getitem__": lambda self, key: TINY},
    "array": {"__array__": lambda self, *a, **k: TINY},
    "ufunc": {"__array_ufunc__": lambda self, *a, **k: TINY},
    "function": {"__array_function__": lambda self, *a, **k: TINY},
    "interface": {
        "__array_interface__": property(lambda self: {"shape": (10**6,), "typestr": "<f4", "data": (8, False), "version": 3})
    },
    "iter": {"__iter__": lambda self: iter([TINY] * 1000)},
    "equality": {"__eq__": lambda self, other: True, "__hash__": None},
    "raising": {"__getattribute__": lambda self, name: (_ for _ in ()).throw(ValueError("no attributes"))},
}


def liar(array, lie):
    return array.view(type("Liar", (np.ndarray,), dict(LIES[lie])))


def liars(storm, rng, place):
    """Arrays that are not what they say, in every argument that takes an array."""
    gru = KINDS[2].model()
    series, value, _ = KINDS[2].data(np.random.default_rng(0), 20)
    lengths = np.full(20, 3)
    narrow = np.ones((40, 2), np.float32)  # what really lies there does not fit

    def out(model, lie, real):
        result = liar(np.empty(real, np.float32), lie)
        model(X, out=result)
        if np.ndarray.shape.__get__(result) != (40, 3):
            raise Wrong(f"out= was accepted, though it really has shape {real}")

    def rows(model, array):
        found = model.predict(array)
        if len(found) != np.ndarray.__len__(array):
            raise Wrong(f"{np.ndarray.__len__(array)} rows gave {len(found)}")

    uses = {
        "predict x": lambda m, lie: rows(m, liar(X, lie)),
        "predict narrow x": lambda m, lie: rows(m, liar(narrow, lie)),
        "call x": lambda m, lie: m(liar(X, lie)),
        "call narrow x": lambda m, lie: m(liar(narrow, lie)),
        "forward x": lambda m, lie: m.forward(liar(X, lie)),
        "backward": lambda m, lie: (m.forward(X), m.backward(liar(Y, lie))),
        "backward narrow": lambda m, lie: (m.forward(X), m.backward(liar(Y[:2], lie))),
        "train x": lambda m, lie: m.train_on_batch(liar(X, lie), Y),
        "train y": lambda m, lie: m.train_on_batch(X, liar(Y, lie)),
        "train narrow y": lambda m, lie: m.train_on_batch(X, liar(narrow, lie)),
        "train short y": lambda m, lie: m.train_on_batch(X, liar(Y[:3], lie)),
        "fit x": lambda m, lie: m.fit(liar(X, lie), Y, verbose=0),
        "fit short x": lambda m, lie: m.fit(liar(X[:3], lie), Y, verbose=0),
        "fit y": lambda m, lie: m.fit(X, liar(Y, lie), verbose=0, validation_split=0.2),
        "fit weights": lambda m, lie: m.fit(X, Y, sample_weight=liar(np.ones(40), lie), verbose=0),
        "fit short weights": lambda m, lie: m.fit(X, Y, sample_weight=liar(np.ones(2), lie), verbose=0),
        "fit groups": lambda m, lie: m.fit(X, Y, groups=liar(np.arange(40) // 4, lie), validation_split=0.3, verbose=0),
        "evaluate": lambda m, lie: m.evaluate(liar(X, lie), liar(Y, lie)),
        "out": lambda m, lie: out(m, lie, (40, 3)),
        "short out": lambda m, lie: out(m, lie, (2, 3)),
        "narrow out": lambda m, lie: out(m, lie, (40, 1)),
        "state": lambda m, lie: m.load_state_dict({name: liar(a, lie) for name, a in m.state_dict().items()}),
        "short state": lambda m, lie: m.load_state_dict({name: liar(a[:1], lie) for name, a in m.state_dict().items()}),
        "weights": lambda m, lie: m.set_weights([liar(a, lie) for a in m.get_weights()]),
        "lengths": lambda m, lie: gru.evaluate(series, value, lengths=liar(lengths, lie)),
        "short lengths": lambda m, lie: gru.fit(series, value, lengths=liar(lengths[:2], lie), verbose=0),
        "stream": lambda m, lie: gru.stream(4).step(liar(np.ones((4, 6), np.float32), lie)),
        "short stream": lambda m, lie: gru.stream(4).step(liar(np.ones((1, 6), np.float32), lie)),
    }
    for number in rng.permutation(len(uses) * len(LIES)):
        use, lie = list(uses)[number // len(LIES)], list(LIES)[number % len(LIES)]
        where = f"liar ({lie}) as {use}"
        if not storm.wanted(where):
            continue
        model = with_schedule()
        try:
            with storm.call(where):
                uses[use](model, lie)
        except Wrong as error:
            storm.fail_by(f"liar ({lie}) as {use}", error)
        except (ValueError, TypeError, AttributeError, IndexError, OverflowError, MemoryError):
            pass  # of ours, or of NumPy's
        except Exception as error:
            storm.fail_by(f"liar ({lie}) as {use}", error)
        if are_finite(list(model.state_dict().values())):  # what a liar brought into the weights is its own affair
            usable(storm, model, where)
        if not are_finite(list(gru.state_dict().values())):
            gru = KINDS[2].model()
        yield


# Memory -------------------------------------------------------------------------------------------------------------------


def memory(storm, rng, place):
    """Every k-th allocation of an operation fails."""
    path = os.path.join(place, "memory.safetensors")

    def averaged(kind, model, data):
        with model.averaged_weights():
            model.predict(data[0])

    def shared(kind, model, data):
        a = nn.Input(kind.shape(5))
        outputs = model(a)
        nn.Model(a, nn.Linear(outputs.shape[-1], 2)(outputs)).predict(data[0])

    def stream(kind, model, data):
        stream = model.stream(batch=4)
        stream.step(np.ones((4, 6), np.float32))
        stream.reset()

    acts = {
        "make": (lambda k, m, d: k.model().predict(d[0]), False),
        "compile": (lambda k, m, d: k.compile(m), False),
        "build": (
            lambda k, m, d: m.build(k.shape(8) if k.timed else (2, 6)) if k.name in ("dense", "gru", "words") else None,
            False,
        ),
        "predict": (lambda k, m, d: m.predict(d[0]), False),
        "predict another length": (lambda k, m, d: m.predict(k.data(np.random.default_rng(0), 9, 9)[0]), False),
        "call": (lambda k, m, d: m(d[0]), False),
        "evaluate": (lambda k, m, d: m.evaluate(d[0], d[1], lengths=d[2]), False),
        "fit": (lambda k, m, d: m.fit(d[0], d[1], lengths=d[2], verbose=0), True),
        "train_on_batch": (lambda k, m, d: m.train_on_batch(d[0], d[1], lengths=d[2]), True),
        "forward": (lambda k, m, d: m.forward(d[0]), False),
        "deepcopy": (lambda k, m, d: copy.deepcopy(m), False),
        "pickle": (lambda k, m, d: pickle.loads(pickle.dumps(m)), False),
        "save and load": (lambda k, m, d: (m.save(path), nn.load(path, k.custom)), False),
        "averaged_weights": (averaged, False),
        "stream": (stream, False),
        "share": (shared, False),
        "slice": (lambda k, m, d: m[:1] if k.one_input else None, False),
    }
    for number in rng.permutation(len(acts) * len(KINDS)):
        name, kind = list(acts)[number // len(KINDS)], KINDS[number % len(KINDS)]
        if not storm.wanted(f"memory {name} {kind.name}"):
            continue
        if (name == "stream" and not kind.streams) or (name == "share" and not kind.one_input):
            continue
        act, moves = acts[name]
        data = kind.data(np.random.default_rng(5), 50)
        for k in itertools.count(1):
            where = f"memory: {name} of {kind.name}, allocation {k}"
            model = kind.model()
            x, y, lengths = kind.data(np.random.default_rng(6), 8)
            model.train_on_batch(x, y, lengths=lengths)
            before = model.state_dict()
            failed = False
            try:
                with storm.call(where):
                    _core.alloc_fail_at(k)
                    try:
                        act(kind, model, data)
                    finally:
                        _core.alloc_fail_at(0)
            except MemoryError:
                failed = True
            except Exception as error:
                failed = True
                storm.fail_by(f"memory: {name} of {kind.name}", error, f"{where}\n")
            try:
                with storm.call(f"afterwards {where}"):
                    if not moves and not equal_weights(model.state_dict(), before):
                        raise Wrong("the weights have changed")
                    act(kind, model, data)
                    if not (name == "build" and kind.name == "dense"):
                        other_thread(lambda m=model, d=data: m.fit(d[0], d[1], lengths=d[2], verbose=0))
                        if not are_finite(as_list(copy.deepcopy(model).predict(data[0]))):
                            raise Wrong("predictions are not finite")
            except Exception as error:
                storm.fail_by(f"memory: after {name} of {kind.name}", error, f"{where}\n")
            if not failed or storm.left() < 0:
                break
            yield


ATTACKS = {"methods": methods, "exceptions": exceptions, "liars": liars, "memory": memory}


def options(parser):
    parser.add_argument("--attacks", default=",".join(ATTACKS), help="which, by comma")


def main(storm):
    done = dict.fromkeys(storm.options.attacks.split(","), 0)
    whole = dict.fromkeys(done, 0)
    with running.folder() as place:
        running_now = {name: ATTACKS[name](storm, storm.rng(i), place) for i, name in enumerate(done)}
        while storm.left() > 0:
            for name in done:
                try:
                    next(running_now[name])
                    done[name] += 1
                except StopIteration:
                    whole[name] += 1
                    running_now[name] = ATTACKS[name](storm, storm.rng(whole[name], len(name)), place)
    return storm.finish(**done, whole_rounds="/".join(map(str, whole.values())))


if __name__ == "__main__":
    running.run(main, "storm_inside", options)
