"""Ctrl-C at any moment of anything, and a look at what it leaves.

Each action is prepared, interrupted after a random part of the time that it takes, and looked at: the weights are those of before
or of after, no files or descriptors are left, and the model predicts, trains, compiles, copies and saves, in this thread and in
another. Long calls into the core are interrupted as well, to see how long an interrupt takes to come through.
"""

from __future__ import annotations

import copy
import gc
import os
import pickle
import queue
import signal
import sys
import threading
import time

import numpy as np
import running
from nets import KINDS, Trajectory, are_finite, as_list, equal_weights, same

import nncore as nn

ACTIONS = {}
STEPS = 40  # of the trajectories
BEGUN = 3  # steps that a model has trained before it is interrupted
KEPT = {"model.safetensors", "weights.safetensors"}  # files that an action may leave


class Wrong(Exception):
    """Something is not as it was or should be."""


def action(make):
    """Mark what makes an action: from a Lab to (model, act, check); check is called with whether act came to its end."""
    ACTIONS[make.__name__] = make
    return make


class Lab:
    """A kind of net, with the states that it goes through, and a folder."""

    def __init__(self, kind, folder, rng):
        self.kind, self.folder, self.rng = kind, folder, rng
        self.path, self.weights_path = os.path.join(folder, "model.safetensors"), os.path.join(folder, "weights.safetensors")
        self.trajectory = Trajectory(kind, STEPS)
        self.x, self.y, self.lengths = kind.data(np.random.default_rng(2), 100)
        self.longer, self.longer_y, self.longer_lengths = kind.data(np.random.default_rng(3), 40, 8)
        self._trained = pickle.dumps(self._train())
        self.fitted = self.fit(kind.model(), epochs=3).state_dict()
        other = kind.model()
        for weight in other.parameters():
            weight += 1
        self.other = other.state_dict()

    def _train(self):
        model = self.kind.model()
        for _ in range(BEGUN):
            self.trajectory.train(model)
        return model

    def trained(self):
        """A model that has trained a little, and its weights."""
        model = pickle.loads(self._trained)
        return model, model.state_dict()

    def fit(self, model, **arguments):
        model.fit(self.x, self.y, batch_size=16, verbose=0, lengths=self.lengths, **arguments)
        return model

    def train(self, model):
        x, y, lengths = self.fitting(model)
        return model.train_on_batch(x, y, lengths=lengths)

    def fitting(self, model):
        """Data for the shape that the model has now."""
        shape = model.input_shapes[0] if model.built else None
        if not self.kind.timed and shape is not None and len(shape) > 1:
            rng = np.random.default_rng(4)
            return rng.normal(size=(8, *shape)).astype("f4"), rng.normal(size=(8, *model.output_shapes[0])).astype("f4"), None
        return self.x, self.y, self.lengths


def unchanged(model, before):
    found = model.state_dict()
    if not equal_weights(found, before):
        off = [name for name in before if found[name].tobytes() != before[name].tobytes()]
        raise Wrong(f"other weights than before: {', '.join(off)} of {', '.join(before)}")


def one_or_other(model, before, after):
    found = model.state_dict()
    if not equal_weights(found, before) and not equal_weights(found, after):
        old = [name for name in before if found[name].tobytes() == before[name].tobytes()]
        new = [name for name in after if found[name].tobytes() == after[name].tobytes()]
        raise Wrong(f"neither the weights before nor those after: old are {old}, new are {new}, of {list(before)}")


# Training -----------------------------------------------------------------------------------------------------------------


@action
def fit(lab):
    model = lab.kind.model()

    def check(done):
        if not are_finite(list(model.state_dict().values())):
            raise Wrong("weights are not finite")
        if lab.rng.random() < 0.3:
            copy_of(model)
        lab.fit(model, epochs=3, resume=True)
        if not equal_weights(model.state_dict(), lab.fitted):
            raise Wrong("fit(resume=True) ends with other weights than a fit that was never interrupted")

    return model, lambda: lab.fit(model, epochs=3), check


@action
def fit_straight(lab):
    model, _ = lab.trained()

    def check(done):
        if wrong := lab.trajectory.complaint(model.state_dict(), [model.step]):
            raise Wrong(f"at step {model.step}, {wrong}")

    return model, lambda: lab.trajectory.fit(model, 20), check


@action
def fit_callbacks(lab):
    model = lab.kind.model()
    callbacks = [
        nn.callbacks.ModelCheckpoint(lab.path),
        nn.callbacks.EarlyStopping(patience=1, restore_best_weights=True),
        nn.callbacks.ReduceLROnPlateau(),
        nn.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: None),
    ]

    if os.path.exists(lab.path):  # of another kind of net
        os.unlink(lab.path)

    def act():
        lab.fit(model, epochs=3, validation_split=0.3, callbacks=callbacks)

    def check(done):
        if os.path.exists(lab.path):
            nn.load(lab.path, lab.kind.custom)
        lab.fit(model, epochs=4, validation_split=0.3, resume=True, callbacks=callbacks)

    return model, act, check


@action
def fit_generator(lab):
    model = lab.kind.model()
    batch = (lab.x, lab.y) if lab.lengths is None else (lab.x, lab.y, None, lab.lengths)
    return model, lambda: model.fit((batch for _ in range(5)), verbose=0), lambda done: None


@action
def train_on_batch(lab):
    model, _ = lab.trained()
    at = model.step

    def check(done):
        if wrong := lab.trajectory.complaint(model.state_dict(), [at + 1] if done else [at, at + 1]):
            raise Wrong(wrong)
        if wrong := lab.trajectory.complaint(model.state_dict(), [model.step]):
            raise Wrong(f"at step {model.step}, {wrong}")

    return model, lambda: lab.trajectory.train(model), check


@action
def first_train_on_batch(lab):
    model = lab.kind.model()

    def check(done):
        if wrong := lab.trajectory.complaint(model.state_dict(), [model.step]):
            raise Wrong(f"at step {model.step}, {wrong}")

    return model, lambda: lab.trajectory.train(model), check


@action
def by_hand(lab):
    model, _ = lab.trained()

    def act():
        outputs = model.forward(lab.x, training=True)
        model.backward([np.ones_like(each) for each in outputs] if isinstance(outputs, list) else np.ones_like(outputs))
        model.apply_gradients()

    return model, act, lambda done: None


@action
def compile_(lab):
    model, before = lab.trained()
    return model, lambda: lab.kind.compile(model), lambda done: unchanged(model, before)


@action
def build_for_another_shape(lab):
    model, before = lab.trained()
    if not lab.kind.one_input:
        return None
    shape = lab.kind.shape(8) if lab.kind.timed else (4, 6) if lab.kind.name == "dense" else None
    if shape is None:
        return None
    return model, lambda: model.build(shape), lambda done: unchanged(model, before)


@action
def averaged_weights(lab):
    model, before = lab.trained()

    def act():
        with model.averaged_weights():
            model.predict(lab.x)

    return model, act, lambda done: unchanged(model, before)


# Using --------------------------------------------------------------------------------------------------------------------


def uses(act):
    """Make an action of what changes no weights."""

    def make(lab):
        model, before = lab.trained()
        return model, lambda: act(lab, model), lambda done: unchanged(model, before)

    ACTIONS[act.__name__] = make
    return act


@uses
def predict(lab, model):
    model.predict(lab.x)


@uses
def predict_another_length(lab, model):
    model.predict(lab.longer)
    model.predict(lab.x)


@uses
def call(lab, model):
    model(lab.x)
    model(lab.longer)


@uses
def evaluate(lab, model):
    model.evaluate(lab.x, lab.y, lengths=lab.lengths)


@uses
def evaluate_another_length(lab, model):
    model.evaluate(lab.longer, lab.longer_y, lengths=lab.longer_lengths)


@uses
def forward(lab, model):
    model.forward(lab.longer)


@uses
def save(lab, model):
    model.save(lab.path)


@uses
def save_weights(lab, model):
    model.save_weights(lab.weights_path)


@uses
def deepcopy(lab, model):
    copy.deepcopy(model)


@uses
def pickled(lab, model):
    pickle.loads(pickle.dumps(model))


@uses
def state_dict(lab, model):
    model.state_dict()
    model.get_weights()


@uses
def summary(lab, model):
    str(model.summary(show=False))
    repr(model)


@uses
def layer_alone(lab, model):
    if lab.kind.name in ("dense", "normalised", "python"):
        model.layers[0](lab.x)


@action
def stream(lab):
    if not lab.kind.streams:
        return None
    model, before = lab.trained()
    old = model.stream(batch=len(lab.x))
    expected = model.predict(lab.x)
    steps = [np.ascontiguousarray(lab.x[:, t]) for t in range(5)]

    def run(stream):
        for step in steps:
            found = stream.step(step)
        return found

    def act():
        run(old)
        old.reset()
        run(model.stream(batch=len(lab.x)))

    def check(done):
        unchanged(model, before)
        old.reset()
        for each in (old, model.stream(batch=len(lab.x))):
            if not same(run(each), expected):
                raise Wrong("a stream gives other numbers than the model")

    return model, act, check


@action
def load(lab):
    model, before = lab.trained()
    model.save(lab.path)
    return model, lambda: nn.load(lab.path, lab.kind.custom), lambda done: unchanged(model, before)


# Weights ------------------------------------------------------------------------------------------------------------------


@action
def load_state_dict(lab):
    model, before = lab.trained()
    return model, lambda: model.load_state_dict(lab.other), lambda done: one_or_other(model, before, lab.other)


@action
def set_weights(lab):
    model, before = lab.trained()
    return model, lambda: model.set_weights(list(lab.other.values())), lambda done: one_or_other(model, before, lab.other)


@action
def load_weights(lab):
    model, before = lab.trained()
    other = lab.kind.model()
    other.load_state_dict(lab.other)
    other.save_weights(lab.weights_path)
    return model, lambda: model.load_weights(lab.weights_path), lambda done: one_or_other(model, before, lab.other)


# Making -------------------------------------------------------------------------------------------------------------------


@action
def first_use(lab):
    model = lab.kind.bare()
    lab.kind.compile(model)
    first = [lambda: model.predict(lab.x), lambda: model(lab.x), lambda: lab.fit(model), lambda: lab.trajectory.train(model)]
    return model, first[int(lab.rng.integers(4))], lambda done: None


@action
def construct(lab):
    if not lab.kind.one_input:
        return None
    layers = lab.kind.layers()
    model = []

    def check(done):
        if not model:
            gc.collect()  # a half-made model may stand in a circle of references
            model.append(nn.Sequential(*layers, seed=3))
        lab.kind.compile(model[0])
        lab.train(model[0])

    return None, lambda: model.append(nn.Sequential(*layers, seed=3)), check


@action
def share_layers(lab):
    if not lab.kind.one_input:
        return None
    model, before = lab.trained()
    expected = model.predict(lab.x)
    a = nn.Input(lab.kind.shape(5))
    heads = [
        nn.Model(a, nn.Linear(3 if lab.kind.name != "normalised" else 4, 2)(model(a))) for _ in range(int(lab.rng.integers(2)))
    ]
    on_them = [head.predict(lab.x) for head in heads]

    def act():
        outputs = model(a)
        return nn.Model(a, nn.Linear(outputs.shape[-1], 2)(outputs))

    def check(done):
        unchanged(model, before)
        for each, wanted in zip(
            [model, *heads, nn.Model(a, model(a), compute=model.compute)], [expected, *on_them, expected], strict=True
        ):
            if not same(each.predict(lab.x), wanted):
                raise Wrong("a model that shares layers predicts other numbers")
        lab.train(model)
        if not same(nn.Model(a, model(a), compute=model.compute).predict(lab.x), model.predict(lab.x)):
            raise Wrong("models that share layers have drifted apart")

    return model, act, check


# What an interrupt leaves -------------------------------------------------------------------------------------------------


class Helper:
    """Another thread that does what it is asked to."""

    def __init__(self):
        self._asked, self._answers = queue.SimpleQueue(), queue.SimpleQueue()
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGALRM})
        while True:
            work = self._asked.get()
            try:
                work()
                self._answers.put(None)
            except Exception as error:
                self._answers.put(error)

    def do(self, work, seconds):
        """Do this there; raise what it raises, or Wrong where it does not come back."""
        self._asked.put(work)
        try:
            error = self._answers.get(timeout=seconds)
        except queue.Empty:
            raise Wrong("hangs") from None
        if error is not None:
            raise error


def copy_of(model):
    other = copy.deepcopy(model)
    if not equal_weights(other.state_dict(), model.state_dict()):
        raise Wrong("a copy has other weights")
    return other


def probe(lab, model, helper, limit, thorough):
    """Use the model here and there."""
    x, y, lengths = lab.fitting(model)

    def use():
        if not are_finite(model.predict(x)):
            raise Wrong("predictions are not finite")
        if not np.isfinite(as_list(model.train_on_batch(x, y, lengths=lengths))[0]):
            raise Wrong("the loss is not finite")

    def use_all():
        use()
        model.fit(x, y, verbose=0, lengths=lengths)
        model.evaluate(x, y, lengths=lengths)
        other = copy_of(model)
        model.save(lab.path)
        again = nn.load(lab.path, lab.kind.custom)
        if not same(other.predict(x), model.predict(x)) or not same(again.predict(x), model.predict(x)):
            raise Wrong("a copy predicts other numbers")
        if wrong := [name for name, view in model.state_dict().items() if not np.isfinite(view).all()]:
            raise Wrong(f"{wrong} are not finite")
        lab.kind.compile(model)
        if lab.kind.timed:
            model.predict(lab.longer)
        use()

    work = use_all if thorough else use
    if lab.rng.random() < 0.5:
        use()
        where = "another thread"
        try:
            helper.do(work, limit)
        except Exception as error:
            error.add_note(f"in {where}")
            raise
    else:
        helper.do(use, limit)
        work()


def interrupted(act, delay):
    """Call act, and interrupt it after so many seconds. Returns whether it came to its end, and how late that was (or None)."""
    done, late, due = False, None, time.monotonic() + delay
    try:
        try:
            signal.setitimer(signal.ITIMER_REAL, delay)
            act()
            done = True
        finally:
            left = signal.setitimer(signal.ITIMER_REAL, 0)[0]
        if not left and time.monotonic() - due > 1e-3:  # sooner, less than the microsecond that setitimer counts in may be left
            late = float("nan")  # it came, and somebody swallowed it
    except KeyboardInterrupt:
        late = time.monotonic() - due
    return done, late


# Long calls ---------------------------------------------------------------------------------------------------------------


def long_calls():
    """Calls that spend most of their time in the core: from name to act."""
    model = nn.Sequential(nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 256), nn.ReLU(), nn.Linear(256, 10), seed=0)
    model.compile("mse", "adam")
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(20_000, 784)).astype(np.float32), rng.normal(size=(20_000, 10)).astype(np.float32)
    recurrent = nn.Sequential(nn.GRU(16, 64), nn.Linear(64, 1), seed=0).build((50, 16))
    recurrent.compile("mse", "adam")
    series, value = rng.normal(size=(8_000, 50, 16)).astype(np.float32), rng.normal(size=(8_000, 1)).astype(np.float32)
    return {
        "long_fit": (model, lambda: model.fit(x, y, batch_size=128, verbose=0)),
        "long_predict": (model, lambda: model.predict(x)),
        "long_call": (model, lambda: model(x)),
        "long_evaluate": (model, lambda: model.evaluate(x, y)),
        "long_fit_gru": (recurrent, lambda: recurrent.fit(series, value, verbose=0)),
        "long_predict_gru": (recurrent, lambda: recurrent.predict(series)),
    }


# The storm ----------------------------------------------------------------------------------------------------------------


def options(parser):
    parser.add_argument("--latency", type=float, default=0.1, help="seconds that 99 of 100 interrupts of long calls may take")
    parser.add_argument("--long-part", type=float, default=0.25, help="of the time: spent on long calls")


def main(storm):
    signal.signal(signal.SIGALRM, signal.default_int_handler)
    unraisable = []
    sys.unraisablehook = lambda found: unraisable.append(repr(found.object))
    sys.setswitchinterval(1e-3)
    short, late = [], {}
    tried = 0
    part = storm.options.long_part
    with running.folder() as place:
        rng = storm.rng()
        labs = [Lab(kind, place, rng) for kind in KINDS if storm.wanted(kind.name)] or [Lab(kind, place, rng) for kind in KINDS]
        names = [name for name in ACTIONS if storm.wanted(name)]
        longs = {name: call for name, call in (long_calls() if part else {}).items() if storm.wanted(name)}
        helper = Helper()
        takes = {}
        files = [running.open_files()]
        until = storm.options.seconds * part if names else 0
        while names and storm.left() > until:
            name, lab = names[rng.integers(len(names))], labs[rng.integers(len(labs))]
            tried += 1
            helper = once(storm, lab, name, tried, takes, short, helper, files)
        while longs and storm.left() > 0:
            name = list(longs)[rng.integers(len(longs))]
            model, act = longs[name]
            _, how_late = interrupted(act, rng.random() * 0.15)
            if how_late is not None:
                late.setdefault(name, []).append(how_late)
            if not are_finite(list(model.state_dict().values())):
                storm.fail(f"{name}: weights are not finite", f"seed {storm.seed}")
    swallowed = sum(np.isnan(each) for each in short)
    if swallowed > len(unraisable):
        storm.fail(
            "an interrupt was swallowed",
            f"{swallowed} of {len(short)}; {len(unraisable)} of them in a destructor: {unraisable[:5]}",
        )
    every_long = [each for found in late.values() for each in found]
    if every_long and np.quantile(every_long, 0.99) > storm.options.latency:
        each = ", ".join(f"{name} {quantiles(found)}" for name, found in late.items())
        storm.fail("interrupts of long calls come too late", each)
    return storm.finish(
        actions=tried,
        interrupts=len(short) + len(every_long),
        late_ms_p50_p99_max=quantiles(short),
        long_calls_late_ms_p50_p99_max=quantiles(every_long),
        in_destructors=len(unraisable),
    )


def quantiles(seconds):
    seconds = [each for each in seconds if not np.isnan(each)]
    return "/".join(f"{1e3 * value:.2f}" for value in np.quantile(seconds, [0.5, 0.99, 1.0])) if seconds else "-"


def once(storm, lab, name, number, takes, late, helper, files):
    """One action, interrupted, and a look at what is left. Returns the helper, a new one where the old one hangs."""
    where = f"{name} [{lab.kind.name}, number {number}]"
    try:
        with storm.call(f"prepare_{where}"):
            made = ACTIONS[name](lab)
    except Exception as error:
        storm.fail_by(f"{name} {lab.kind.name}: prepare", error)
        return helper
    if made is None:
        return helper
    model, act, check = made
    times = takes.setdefault((name, lab.kind.name), [])
    how_late = None
    try:
        with storm.call(where):
            if len(times) < 3:  # to see how long it takes
                begun = time.monotonic()
                act()
                done = True
                times.append(time.monotonic() - begun)
            else:
                delay = max(1e-6, lab.rng.random() * 1.1 * min(times))
                done, how_late = interrupted(act, delay)
    except Exception as error:
        storm.fail_by(f"{name} {lab.kind.name}: during the interrupt", error, f"{where}\n")
        done = False
    if how_late is not None:
        late.append(how_late)
    detail = f"{where}, {'came to its end' if done else 'interrupted'}; --seed {storm.seed}\n"
    try:
        with storm.call(f"check_{where}"):
            check(done)
    except Exception as error:
        storm.fail_by(f"{name} {lab.kind.name}: check", error, detail)
    litter = set(os.listdir(lab.folder)) - KEPT
    if litter:
        storm.fail(f"{name}: files are left", f"{detail}{litter}")
        for each in litter:
            os.unlink(os.path.join(lab.folder, each))
    if running.open_files() > files[0]:
        gc.collect()
        more, files[0] = running.open_files() - files[0], max(files[0], running.open_files())
        if more > 0:
            storm.fail(f"{name}: descriptors are left", f"{more}; {detail}")
    if model is not None:
        try:
            with storm.call(f"probe_{where}"):
                probe(lab, model, helper, max(2.0, storm.options.longest), number % 5 == 0)
        except Exception as error:
            storm.fail_by(f"{name} {lab.kind.name}: afterwards", error, detail)
            if "hangs" in str(error):
                return Helper()
    return helper


if __name__ == "__main__":
    running.run(main, "storm_interrupts", options)
