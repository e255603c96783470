"""Who may use a model now: what excludes what, who waits, who is refused, and that nothing stays entered."""

import copy
import io
import os
import pickle
import subprocess
import sys
import textwrap
import threading
import time

import numpy as np
import pytest

import nncore as nn
from nncore import _core
from nncore.errors import ConcurrentUseError

WAYS = ["reading", "training", "fitting", "between_steps", "changing", "patient"]


def use(access, way):
    return access.changing(patient=True) if way == "patient" else getattr(access, way)()


class Other:
    """Another thread that enters in a given way, and leaves when it is told to."""

    def __init__(self, access, way):
        self._leave, entered = threading.Event(), threading.Event()

        def run():
            with use(access, way):
                entered.set()
                self._leave.wait(30)

        self._thread = threading.Thread(target=run, daemon=True)
        self._thread.start()
        assert entered.wait(30)

    def leave(self):
        self._leave.set()
        self._thread.join(30)
        assert not self._thread.is_alive()


def outcome(access, way):
    """What becomes of this thread when it enters: "goes", "refused", or "waits"; what waits is let in when the other one leaves."""
    found, done = [], threading.Event()

    def run():
        try:
            with use(access, way):
                found.append("goes")
        except ConcurrentUseError:
            found.append("refused")
        finally:
            done.set()

    threading.Thread(target=run, daemon=True).start()
    return (found[0] if done.wait(0.05) else "waits"), done


# What one thread has entered, and what then becomes of another one; in the order of WAYS.
EXPECTED = {
    "reading": ["goes", "goes", "goes", "goes", "waits", "waits"],
    "training": ["goes", "refused", "refused", "waits", "refused", "waits"],
    "fitting": ["goes", "refused", "refused", "waits", "refused", "waits"],
    "between_steps": ["goes", "waits", "goes", "goes", "waits", "waits"],
    "changing": ["waits", "waits", "waits", "waits", "waits", "waits"],
    "patient": ["waits", "waits", "waits", "waits", "waits", "waits"],
}


@pytest.mark.parametrize("second", WAYS)
@pytest.mark.parametrize("first", WAYS)
def test_one_beside_the_other(first, second):
    access = _core.Access()
    other = Other(access, first)
    found, done = outcome(access, second)
    other.leave()
    assert found == EXPECTED[first][WAYS.index(second)]
    assert done.wait(10), "whoever waits comes in when the other one leaves"
    for way in WAYS:  # nothing stays entered
        assert outcome(access, way)[0] == "goes"


@pytest.mark.parametrize("second", WAYS)
@pytest.mark.parametrize("first", WAYS)
def test_calls_of_one_thread_nest(first, second):
    access = _core.Access()
    with use(access, first), use(access, second):
        pass
    assert outcome(access, "changing")[0] == "goes"


@pytest.mark.parametrize("way", WAYS)
def test_an_error_leaves(way):
    access = _core.Access()
    with pytest.raises(ZeroDivisionError), use(access, way):
        raise ZeroDivisionError
    assert outcome(access, "changing")[0] == "goes"


def test_what_is_entered_and_dropped_is_left():
    access = _core.Access()
    entered = access.training()
    entered.__enter__()
    assert outcome(access, "training")[0] == "refused"
    del entered
    assert outcome(access, "training")[0] == "goes"


def test_a_change_comes_in_though_readers_never_pause():
    access, stop, changes = _core.Access(), threading.Event(), []

    def read():
        while not stop.is_set():
            with access.reading():
                time.sleep(0.002)

    threads = [threading.Thread(target=read) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(20):
            begun = time.monotonic()
            with access.changing():
                changes.append(time.monotonic() - begun)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert max(changes) < 5


def test_two_readers_that_both_want_a_change_get_it():
    """Each has looked at the network and finds that it needs another plan: one goes first, the other looks again."""
    access, both, order = _core.Access(), threading.Barrier(2), []

    def run(name):
        with access.reading():
            both.wait(10)
            with access.changing(patient=True):
                order.append(name)

    threads = [threading.Thread(target=run, args=(name,), daemon=True) for name in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert sorted(order) == ["a", "b"]


def test_training_and_copies_take_turns():
    """Neither a loop of steps nor a loop of copies keeps the other one out."""
    access, stop, counts, longest = _core.Access(), threading.Event(), {"step": 0, "copy": 0}, {"step": 0.0, "copy": 0.0}

    def loop(name, enter):
        while not stop.is_set():
            begun = time.monotonic()
            with enter():
                counts[name] += 1
            longest[name] = max(longest[name], time.monotonic() - begun)

    threads = [threading.Thread(target=loop, args=("step", access.training))]
    threads += [threading.Thread(target=loop, args=("copy", access.between_steps)) for _ in range(3)]
    for thread in threads:
        thread.start()
    time.sleep(1)
    stop.set()
    for thread in threads:
        thread.join()
    assert min(counts.values()) > 20, counts
    assert max(longest.values()) < 1, longest


def model_with(part):
    """A net that calls ``part(model)`` in every call, from where the name of the test says."""
    kept = []

    class Calling(nn.PythonLayer):
        def forward(self, x):
            if kept:
                part(kept[0])
            return x

        def backward(self, grad_output, x, y):
            return grad_output

    model = nn.Sequential(nn.Linear(2, 3), Calling(), nn.Linear(3, 1), seed=0).build((2,))
    model.compile("mse", "sgd")
    kept.append(model)
    return model


REFUSED = {
    "train_on_batch": lambda m: m.train_on_batch(np.ones((4, 2)), np.ones((4, 1))),
    "fit": lambda m: m.fit(np.ones((4, 2)), np.ones((4, 1)), verbose=0),
    "build": lambda m: m.build((7, 2)),
    "compile": lambda m: m.compile("mse", "adam"),
    "forward": lambda m: m.forward(np.ones((4, 2))),
    "load_state_dict": lambda m: m.load_state_dict(m.state_dict()),
    "deepcopy": copy.deepcopy,
    "apply_gradients": lambda m: m.apply_gradients(),
}
CALLS = {
    "predict": lambda m: m.predict(np.ones((4, 2))),
    "call": lambda m: m(np.ones((4, 2), np.float32)),
    "train_on_batch": lambda m: m.train_on_batch(np.ones((4, 2)), np.ones((4, 1))),
    "fit": lambda m: m.fit(np.ones((4, 2)), np.ones((4, 1)), verbose=0),
    "evaluate": lambda m: m.evaluate(np.ones((4, 2)), np.ones((4, 1))),
}


# A prediction changes nothing, so that the model may be copied from inside it.
PAIRS = [(what, call) for what in REFUSED for call in CALLS if what != "deepcopy" or call in ("train_on_batch", "fit")]


@pytest.mark.parametrize(("what", "call"), PAIRS)
def test_from_inside_a_call_it_is_refused_at_once(what, call):
    model = model_with(REFUSED[what])
    before = {name: value.copy() for name, value in model.named_parameters()}
    begun = time.monotonic()
    with pytest.raises(ConcurrentUseError, match="has called this loss"):
        CALLS[call](model)
    assert time.monotonic() - begun < 1
    for name, value in model.named_parameters():
        np.testing.assert_array_equal(value, before[name])
    assert outcome(model._plan.access, "changing")[0] == "goes"


@pytest.mark.parametrize("call", CALLS)
def test_from_inside_a_call_reading_is_allowed(call):
    seen = []

    def part(model):
        if len(seen) < 3:
            seen.append(0)
            seen.append(model(np.ones((1, 2), np.float32)).shape)
            assert len(model.state_dict()) == 4
            assert model.evaluate(np.ones((2, 2)), np.ones((2, 1))) >= 0

    CALLS[call](model_with(part))
    assert (1, 1) in seen


def test_a_metric_that_evaluates_goes_on_seeing_its_own_data():
    seen = []

    def metric(y_true, y_pred):
        if len(seen) < 4:
            seen.append(len(y_true))
            model.evaluate(np.ones((2, 2)), np.ones((2, 1)))
        return float(len(y_true))

    model = nn.Sequential(nn.Linear(2, 1), seed=0)
    model.compile("mse", "sgd", metrics=[metric])
    history = model.fit(np.ones((8, 2)), np.ones((8, 1)), batch_size=8, epochs=2, verbose=0)
    assert history.history["metric"] == [8.0, 8.0]
    assert 8 in seen
    assert 2 in seen


def test_a_callback_that_cannot_tell_its_state_leaves_the_model_to_others():
    class Mute(nn.callbacks.Callback):
        def get_state(self):
            raise ValueError("no state")

    model = nn.Sequential(nn.Linear(2, 1), seed=0)
    model.compile("mse", "sgd")
    x, y = np.ones((8, 2)), np.ones((8, 1))
    with pytest.raises(ValueError, match="no state"):
        model.fit(x, y, verbose=0, callbacks=[Mute()])
    errors = []

    def train():
        try:
            model.fit(x, y, verbose=0)
            model.fit(x, y, epochs=2, verbose=0, resume=True)
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=train)
    thread.start()
    thread.join(30)
    assert not errors


def test_a_prediction_of_another_length_beside_training():
    """The thread that trains lets it in between two steps, and takes its own length again."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(64, 6, 3)).astype(np.float32), rng.normal(size=(64, 1)).astype(np.float32)

    def net():
        model = nn.Sequential(nn.GRU(3, 5), nn.Linear(5, 1), seed=0).build((6, 3))
        model.compile("mse", nn.optim.SGD(lr=0.01))
        return model

    straight, model, alone = net(), net(), net()
    straight.fit(x, y, epochs=60, batch_size=16, verbose=0)
    error = []
    slow = nn.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: time.sleep(0.005))  # the other thread gets its turn

    def train():
        try:
            model.fit(x, y, epochs=60, batch_size=16, verbose=0, callbacks=[slow])
        except BaseException as caught:
            error.append(caught)

    thread = threading.Thread(target=train)
    thread.start()
    predictions = 0
    while thread.is_alive():
        steps = 2 + predictions % 7
        assert model.predict(x[:, :1].repeat(steps, 1)).shape == (64, 1)
        predictions += 1
    thread.join()
    assert not error
    assert predictions > 3
    for one, two in zip(straight.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)
    for steps in (2, 9, 6):
        alone.load_state_dict(model.state_dict())
        long = x[:, :1].repeat(steps, 1)
        np.testing.assert_array_equal(model.predict(long), alone.predict(long))


@pytest.mark.parametrize("seed", [3, np.int64(3), np.uint8(3), 2**64 - 1])
def test_seeds_are_whole_numbers(seed):
    model = nn.Sequential(nn.Linear(2, 1))
    model.seed = seed
    assert model.seed == seed


@pytest.mark.parametrize("value", [None, "x", 1.5, True, np.float32(2), np.bool_(True), [1]])
@pytest.mark.parametrize("name", ["seed", "step"])
def test_what_is_no_whole_number_is_refused(name, value):
    model = nn.Sequential(nn.Linear(2, 1), seed=5)
    with pytest.raises(nn.errors.ArgumentError, match=rf"model\.{name}"):
        setattr(model, name, value)
    assert (model.seed, model.step) == (5, 0)


@pytest.mark.parametrize("value", [-1, 2**63, 2**70])
def test_steps_out_of_range_are_refused(value):
    with pytest.raises(nn.errors.ArgumentError, match=r"model\.step"):
        nn.Sequential(nn.Linear(2, 1)).step = value


def test_out_of_a_subclass_that_says_another_shape():
    class Lying(np.ndarray):
        shape = property(lambda self: (1000, 3))

    model = nn.Sequential(nn.Linear(4, 3))
    with pytest.raises(nn.errors.ShapeError):
        model(np.zeros((1000, 4), np.float32), out=np.zeros((2, 3), np.float32).view(Lying))
    right = np.zeros((1000, 3), np.float32).view(Lying)
    assert model(np.zeros((1000, 4), np.float32), out=right) is right


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.parametrize("way", WAYS)
def test_a_forked_child_forgets_the_other_threads(way):
    code = f"""
    import os, threading
    from nncore import _core
    access, entered = _core.Access(), threading.Event()

    def run():
        with {"access.changing(patient=True)" if way == "patient" else f"access.{way}()"}:
            entered.set()
            threading.Event().wait(30)

    threading.Thread(target=run, daemon=True).start()
    entered.wait(30)
    child = os.fork()
    if not child:
        with access.changing(), access.fitting(), access.training(), access.between_steps():
            os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
    os._exit(0)
    """
    paths = os.pathsep.join(filter(None, sys.path))
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout.strip() == "0", done.stderr


def test_an_interrupted_load_of_weights_is_all_or_nothing():
    """Writing begins when everything is ready, and nothing comes in between."""
    model = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1), seed=0)
    before = model.state_dict()

    class Interrupting(dict):
        def __getitem__(self, key):
            if key == "1.bias":
                raise KeyboardInterrupt
            return super().__getitem__(key)

    with pytest.raises(KeyboardInterrupt):
        model.load_state_dict(Interrupting({name: value + 1 for name, value in before.items()}))
    for name, value in model.state_dict().items():
        np.testing.assert_array_equal(value, before[name])


def test_a_build_that_fails_leaves_the_model_as_it_was():
    model = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1), seed=0)
    model.compile("mse", "adam")
    model.train_on_batch(np.ones((4, 2)), np.ones((4, 1)))
    twin = copy.deepcopy(model)
    with pytest.raises(nn.errors.ShapeError):
        model.build((5, 7))
    for each in (model, twin):
        each.train_on_batch(np.ones((4, 2)), np.ones((4, 1)))
    for one, two in zip(model.get_weights(), twin.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)


def test_interrupts_are_raised_when_what_must_be_done_is_done():
    calls = []

    def function():
        calls.append(0)
        if len(calls) < 3:
            raise KeyboardInterrupt(len(calls))
        return "done"

    with pytest.raises(KeyboardInterrupt) as caught:
        _core.uninterrupted(function)
    assert caught.value.args == (1,)
    assert len(calls) == 3
    assert _core.uninterrupted(function) == "done"
    with pytest.raises(ZeroDivisionError):
        _core.uninterrupted(lambda: 1 / 0)


def test_a_reader_inside_the_core_and_a_trainer_that_waits_for_it():
    """The metric of an evaluation may read the weights while another thread waits for the evaluation to end."""
    model = nn.Sequential(nn.GRU(2, 3), nn.Linear(3, 1), seed=0).build((5, 2))
    started, found = threading.Event(), []

    def metric(y_true, y_pred):
        if threading.current_thread() is reader:
            started.set()
            time.sleep(0.2)  # the other thread comes to where it waits
            begun = time.monotonic()
            model.state_dict()
            found.append(time.monotonic() - begun)
        return 0.0

    model.compile("mse", "sgd", metrics=[metric])
    reader = threading.Thread(target=lambda: model.evaluate(np.ones((4, 5, 2)), np.ones((4, 1))))
    reader.start()
    assert started.wait(10)
    model.train_on_batch(np.ones((4, 7, 2)), np.ones((4, 1)))  # another length: a change, for which the reader has to leave
    reader.join(10)
    assert found
    assert found[0] < 5


def test_models_that_change_together_are_waited_for_without_holding_any():
    """One thread joins two models; the reader of the second one, for which it waits, predicts with the first."""
    one = nn.Sequential(nn.Linear(2, 3), seed=0)
    started, took = threading.Event(), []

    class Reading(nn.PythonLayer):
        def forward(self, x):
            if threading.current_thread() is reader:
                started.set()
                time.sleep(0.2)
                begun = time.monotonic()
                one.predict(np.ones((1, 2)))
                took.append(time.monotonic() - begun)
            return x

    reader = None
    two = nn.Sequential(nn.Linear(2, 3), Reading(), seed=0).build((2,))
    reader = threading.Thread(target=lambda: two.predict(np.ones((1, 2))))
    reader.start()
    assert started.wait(10)
    a = nn.Input((2,))
    nn.Model(a, nn.add([one(a), two(a)]))
    reader.join(10)
    assert took
    assert took[0] < 5


def test_the_block_of_averaged_weights_is_entered_once():
    model = nn.Sequential(nn.Linear(2, 1), seed=0)
    model.compile("mse", nn.optim.SGD(lr=0.1, ema_momentum=0.9))
    x, y = np.ones((4, 2)), np.ones((4, 1))
    block = model.averaged_weights()
    with block, pytest.raises(nn.errors.ArgumentError, match="entered already"):
        block.__enter__()
    with model.averaged_weights(), pytest.raises(nn.errors.ArgumentError, match="outside of averaged_weights"):
        model.train_on_batch(x, y)
    assert outcome(model._plan.access, "training")[0] == "goes"
    model.train_on_batch(x, y)


def test_pickles_are_of_one_moment():
    """The pickler comes to the layers when the model has been let go of: here they are changed in between."""
    model = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1), seed=0)
    before = model.state_dict()

    class Changing(pickle.Pickler):
        def reducer_override(self, value):
            if isinstance(value, nn.Linear):
                for parameter in model.parameters():
                    parameter += 1
            return NotImplemented

    file = io.BytesIO()
    Changing(file).dump(model)
    again = pickle.loads(file.getvalue())
    for name, value in again.state_dict().items():
        np.testing.assert_array_equal(value, before[name])
    assert (pickle.loads(pickle.dumps(model)).get_weights()[0] == model.get_weights()[0]).all()


def test_an_interrupted_lbfgs_stands_where_its_last_iteration_ended():
    pytest.importorskip("scipy.optimize", reason="L-BFGS is SciPy's")
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(50, 3)), rng.normal(size=(50, 1))
    model = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 1), seed=0, dtype="float64")
    model.compile("mse", nn.optim.LBFGS())
    seen = []

    def interrupt(epoch, logs=None):
        seen.append((model.step, model.get_weights()))

    class Stop(nn.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 4:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        model.fit(x, y, epochs=10, verbose=0, callbacks=[nn.callbacks.LambdaCallback(on_epoch_end=interrupt), Stop()])
    step, weights = seen[-1]
    assert model.step == step == 4
    for one, two in zip(model.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(one, two)
    model.fit(x, y, epochs=10, verbose=0, resume=True)


@pytest.mark.parametrize("make", [lambda: nn.Linear(3, 4), lambda: nn.GRU(3, 4)], ids=["linear", "gru"])
def test_threads_that_call_a_new_layer_find_the_same_weights(make):
    x, interval = np.ones((2, 5, 3), np.float32), sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for _ in range(20):
            layer, start, found = make(), threading.Barrier(4), []

            def call(layer=layer, start=start, found=found):
                start.wait(10)
                out = layer(x)
                found.append(out[0] if isinstance(out, tuple) else out)

            threads = [threading.Thread(target=call) for _ in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(30)
            assert len(found) == 4
            for each in found[1:]:
                np.testing.assert_array_equal(each, found[0])
    finally:
        sys.setswitchinterval(interval)


def test_heads_made_in_threads_share_one_encoder():
    """Each thread makes models on one encoder and trains them; nobody's numbers are lost."""
    encoder = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), seed=0)
    before, errors, kept = encoder[0].weight.copy(), [], []

    def work(seed):
        try:
            for _ in range(15):
                a = nn.Input((3,))
                try:
                    model = nn.Model(a, nn.Linear(4, 2)(encoder(a)), seed=seed)
                except ConcurrentUseError:
                    continue
                kept.append(model)
                np.testing.assert_array_equal(model.layers[0].weight, before)
                assert model.predict(np.ones((2, 3))).shape == (2, 2)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not errors
    assert kept
    encoder[0].weight[...] = 7
    for model in kept:
        np.testing.assert_array_equal(model.get_weights()[0], np.full((4, 3), 7, np.float32))


def test_another_thread_cannot_build_between_two_steps():
    model = nn.Sequential(nn.Linear(2, 1), seed=0)
    model.compile("mse", "sgd")
    refused = []

    def build(epoch, logs):
        def other():
            try:
                model.build((5, 2))
            except ConcurrentUseError:
                refused.append(epoch)

        thread = threading.Thread(target=other)
        thread.start()
        thread.join(10)

    callback = nn.callbacks.LambdaCallback(on_epoch_end=build)
    model.fit(np.ones((4, 2)), np.ones((4, 1)), epochs=3, verbose=0, callbacks=[callback])
    assert refused == [0, 1, 2]
    assert model.input_shapes == [(2,)]


def test_evaluating_a_model_that_another_thread_builds_or_compiles_anew():
    """Built anew, it is still the same loss; compiled anew, the sums so far would be of another one."""
    x, y = np.ones((64, 2)), np.ones((64, 1))

    class Meanwhile(nn.callbacks.Callback):
        def __init__(self, do):
            self.do = do

        def on_test_batch_end(self, batch, logs=None):
            if batch == 0:
                thread = threading.Thread(target=self.do)
                thread.start()
                thread.join(10)

    model = nn.Sequential(nn.Linear(2, 1), seed=0)
    model.compile("mse", "sgd")
    right = model.evaluate(x, y)
    built = Meanwhile(lambda: model.build((3, 2)) and model.build((2,)))
    assert model.evaluate(x, y, batch_size=16, callbacks=[built]) == pytest.approx(right)
    with pytest.raises(ConcurrentUseError, match="compiled again"):
        model.evaluate(x, y, batch_size=16, callbacks=[Meanwhile(lambda: model.compile("mae", "sgd"))])
    assert model.evaluate(x, y) > 0


def test_a_step_that_is_set_back_does_not_spoil_the_file(tmp_path):
    model = nn.Sequential(nn.Linear(2, 1), seed=0)
    model.compile("mse", "sgd")
    model.fit(np.ones((8, 2)), np.ones((8, 1)), epochs=2, batch_size=4, verbose=0)
    model.step = 0
    model.save(tmp_path / "model")
    again = nn.load(tmp_path / "model")
    assert again.step == copy.deepcopy(model).step == 0
    again.fit(np.ones((8, 2)), np.ones((8, 1)), resume=True, verbose=0)


def test_an_interrupt_while_a_layer_is_asked_for_its_parameters():
    """It is raised, and not taken for a layer without parameters."""
    asked = []

    class Scale(nn.PythonLayer):
        def build(self, input_shape):
            self.add_weight("scale", input_shape, init="ones")

        def parameter_shapes(self):
            asked.append(0)
            if len(asked) == wanted:
                raise KeyboardInterrupt
            return super().parameter_shapes()

        def forward(self, x):
            return x * self.scale

        def backward(self, grad_output, x, y):
            return grad_output * self.scale

    wanted = 0
    nn.Sequential(nn.Linear(2, 3), Scale(), seed=0).build((2,))
    for wanted in range(1, len(asked) + 1):  # noqa: B007 (the class reads it)
        asked.clear()
        with pytest.raises(KeyboardInterrupt):
            nn.Sequential(nn.Linear(2, 3), Scale(), seed=0).build((2,))
