"""Many Python threads, forked processes, Ctrl-C, and what the worker threads do when there is nothing to do.

What may hang, or needs a process of its own, runs in one, with a time limit.
"""

import os
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

LINUX = pytest.mark.skipif(not os.path.isdir("/proc/self/task"), reason="reads /proc")
FORK = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")


def model_of(width=64, seed=0):
    layers = [nn.Linear(6, width), nn.Tanh(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 3), nn.Softmax(dim=-1)]
    model = nn.Sequential(layers, seed=seed)
    model.compile(loss="sparse_categorical_crossentropy", optimizer="adam", metrics=["accuracy"])
    return model


def problem(rows, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(rows, 6)).astype(np.float32), rng.integers(0, 3, rows)


def at_once(functions):
    """Run each in a thread of its own, all starting together; raise what they raise; return their results."""
    start, results, errors = threading.Barrier(len(functions)), [None] * len(functions), []

    def run(i, function):
        try:
            start.wait(10)
            results[i] = function()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=each, daemon=True) for each in enumerate(functions)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive(), "a thread hangs"
    if errors:
        raise errors[0]
    return results


def python(code, timeout=120, **env):
    """Run a script; return what it prints. A script that hangs or fails fails the test."""
    paths = os.pathsep.join(filter(None, sys.path))
    done = subprocess.run(
        [sys.executable, "-c", PRELUDE + textwrap.dedent(code)],
        env={**{k: v for k, v in os.environ.items() if k != "OMP_NUM_THREADS"}, "PYTHONPATH": paths, **env},
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.strip()


PRELUDE = textwrap.dedent(
    """
    import os, signal, sys, threading, time
    import numpy as np
    import nncore as nn

    def tasks():
        return os.listdir("/proc/self/task")

    def cpu_ticks():
        total = 0
        for task in tasks():
            with open(f"/proc/self/task/{task}/stat") as f:
                fields = f.read().rsplit(")", 1)[1].split()
            total += int(fields[11]) + int(fields[12])
        return total

    def make(width=64):
        layers = [nn.Linear(6, width), nn.Tanh(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 3), nn.Softmax(dim=-1)]
        model = nn.Sequential(layers, seed=0)
        model.compile(loss="sparse_categorical_crossentropy", optimizer="adam")
        return model

    rng = np.random.default_rng(0)

    def problem(rows):
        return rng.normal(size=(rows, 6)).astype(np.float32), rng.integers(0, 3, rows)
    """
)


# Python threads


@pytest.mark.parametrize("threads", [1, 2])
def test_eight_threads_call_one_model(threads):
    _core.set_num_threads(threads)
    model = model_of()
    rows = [1, 3, 64, 200, 513, 1500, 1, 5000]
    inputs = [problem(n, seed)[0] for seed, n in enumerate(rows)]
    expected = [model(x) for x in inputs]

    def call(x, right):
        for i in range(60):
            got = model(x) if i % 2 else model.predict(x)
            np.testing.assert_array_equal(got, right)

    at_once([lambda x=x, right=right: call(x, right) for x, right in zip(inputs, expected, strict=True)])


@pytest.mark.parametrize("first", ["nn.LSTM(8, 8)", "nn.Embedding(50, 8), nn.LSTM(8, 8)"])
def test_threads_take_turns_with_lengths(first):
    """Each of six predicts sequences of a length of its own with one model, which is assembled anew for each length."""
    code = f"""
    import numpy as np
    model = nn.Sequential({first}, nn.Linear(8, 3), seed=0)
    shape = (8,) if "{first}".startswith("nn.LSTM") else ()
    rng = np.random.default_rng(0)
    samples = [rng.integers(0, 50, (64, steps, *shape)) for steps in (3, 40, 1000)]
    expected = [model(x).copy() for x in samples]
    wrong = []

    def work(x, y):
        try:
            for _ in range(25):
                if not np.array_equal(model(x), y):
                    wrong.append(x.shape)
        except Exception as error:
            wrong.append(error)

    sys.setswitchinterval(1e-5)
    threads = [threading.Thread(target=work, args=each) for each in zip(samples * 2, expected * 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong, wrong
    print("done")
    """
    assert python(code) == "done"


def test_eight_threads_evaluate_one_model():
    _core.set_num_threads(2)
    model = model_of()
    data = [problem(n, seed) for seed, n in enumerate([1, 10, 100, 700, 1500, 3000, 64, 511])]
    expected = [model.evaluate(x, y) for x, y in data]

    def evaluate(x, y, right):
        for _ in range(20):
            assert model.evaluate(x, y) == right

    at_once([lambda x=x, y=y, right=right: evaluate(x, y, right) for (x, y), right in zip(data, expected, strict=True)])


def test_one_model_cannot_be_trained_twice_at_once():
    """Whoever comes second is refused; between two chunks of a fit that may be the fit."""
    model = model_of(256)
    x, y = problem(4000)
    stop, refused, failed = threading.Event(), [], []

    def keep_training():
        while not stop.is_set():
            try:
                model.fit(x, y, verbose=0)
            except ConcurrentUseError:
                pass
            except BaseException as error:
                failed.append(error)
                return

    thread = threading.Thread(target=keep_training, daemon=True)
    thread.start()
    attempts = {
        "train": lambda: model.train_on_batch(x[:32], y[:32]),
        "forward": lambda: model.forward(x[:32]),
        "apply": model.apply_gradients,
        "compile": lambda: model.compile(loss="sparse_categorical_crossentropy", optimizer="adam", metrics=["accuracy"]),
    }
    try:
        for name, attempt in attempts.items():
            until = time.monotonic() + 60
            while name not in refused and time.monotonic() < until:
                time.sleep(0.003)  # lets the other thread start a chunk
                try:
                    attempt()
                except ConcurrentUseError:
                    refused.append(name)
        assert np.isfinite(model(x)).all()  # reading is allowed
    finally:
        stop.set()
        thread.join(30)
    assert not thread.is_alive()
    assert not failed
    assert refused == list(attempts)
    assert np.isfinite(model.train_on_batch(x[:32], y[:32])).all()


def test_different_models_train_at_once():
    _core.set_num_threads(2)
    x, y = problem(600)

    def train(seed):
        model = model_of(100, seed)
        model.fit(x, y, epochs=5, batch_size=50, verbose=0)
        return np.concatenate([p.ravel() for p in model.parameters()])

    expected = [train(seed) for seed in range(4)]
    for got, right in zip(at_once([lambda seed=seed: train(seed) for seed in range(4)]), expected, strict=True):
        np.testing.assert_array_equal(got, right)


def test_other_python_threads_run_while_the_core_does():
    model = model_of(256)
    x, y = problem(3000)
    ticks, stop = [], threading.Event()

    def tick():
        while not stop.is_set():
            ticks.append(time.monotonic())
            time.sleep(0.001)

    thread = threading.Thread(target=tick)
    thread.start()
    try:
        start, used = time.monotonic(), time.process_time()
        model.fit(x, y, epochs=4, verbose=0)
        end, used = time.monotonic(), time.process_time() - used
    finally:
        stop.set()
        thread.join()
    seen = [t for t in ticks if start < t < end]
    assert len(seen) > 10 * used  # far fewer than the 1000 per second that an idle machine gives; a stopped process gets none


def test_a_net_without_products_lets_other_threads_run_too():
    _core.set_num_threads(1)  # so that it takes its time
    model = nn.Sequential(nn.Softmax(dim=-1)).build((10,))
    x = np.zeros((2_000_000, 10), np.float32)
    model(x[:1000])
    seen = []
    for _ in range(10):
        ticks, stop = [], threading.Event()

        def tick(ticks=ticks, stop=stop):
            while not stop.is_set():
                ticks.append(time.monotonic())
                time.sleep(0.0002)

        thread = threading.Thread(target=tick)
        thread.start()
        start = time.monotonic()
        model(x)
        end = time.monotonic()
        stop.set()
        thread.join()
        seen.append(sum(start < t < end for t in ticks))
        if seen[-1] >= 3:
            break
    assert seen[-1] >= 3, seen


def test_a_million_threads_are_a_thousand():
    nn.set_num_threads(10**6)
    assert nn.get_num_threads() == 1024


def test_a_thread_may_have_a_limit_of_its_own():
    """What one thread asks for holds for its calls alone, and lasts where several threads set and reset it at the same time."""
    _core.set_num_threads(4)
    seen, meet = {}, threading.Barrier(2)

    def work(name, own):
        before = _core.limit_own_threads(own)
        meet.wait()
        seen[name] = (before, nn.get_num_threads())
        meet.wait()
        with nn.threads(2):  # a callback of a limited fit may do this
            pass
        seen[name] += (_core.limit_own_threads(before), nn.get_num_threads())

    threads = [threading.Thread(target=work, args=arguments) for arguments in (("a", 1), ("b", 3))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == {"a": (0, 1, 1, 4), "b": (0, 3, 3, 4)}
    assert nn.get_num_threads() == 4


@LINUX
def test_calls_of_a_thread_keep_to_its_limit():
    code = """
    nn.set_num_threads(3)
    model = nn.Sequential(nn.Linear(400, 400), nn.ReLU(), nn.Linear(400, 400), seed=0)
    x = np.ones((400, 400), np.float32)
    model.compile(loss="mse", optimizer="sgd")
    before = len(tasks())
    nn._core.limit_own_threads(1)
    model.fit(x, x, verbose=0); model(x)
    alone = len(tasks()) - before
    nn._core.limit_own_threads(0)
    model.fit(x, x, verbose=0)
    print(alone, len(tasks()) - before)
    """
    assert python(code) == "0 2"


# Processes


@LINUX
def test_importing_starts_no_thread():
    out = python("import importlib; before = len(tasks()); importlib.reload(nn); make(); print(len(tasks()) - before)")
    assert out == "0"
    code = "import os, numpy; n = len(os.listdir('/proc/self/task')); import nncore; print(len(os.listdir('/proc/self/task')) - n)"
    paths = os.pathsep.join(filter(None, sys.path))
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": paths}, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "0"


@LINUX
@pytest.mark.parametrize("cell", [None, "RNN", "GRU", "LSTM"])
def test_threads_need_little_stack(cell):
    """128 KB is what musl gives a thread; without scratch of their own, the products of large layers would need more."""
    code = f"""
    import numpy as np
    rng, cell = np.random.default_rng(0), {cell!r}
    if cell:
        model = nn.Sequential(getattr(nn, cell)(64, 128), nn.Linear(128, 10), seed=0)
        x = rng.normal(size=(128, 20, 64)).astype(np.float32)
    else:
        model = nn.Sequential(nn.Linear(660, 530), nn.BatchNorm1d(530), nn.ReLU(), nn.Linear(530, 10), seed=0)
        x = rng.normal(size=(512, 660)).astype(np.float32)
    model.compile(loss="mse", optimizer="adam")
    before = len(tasks())
    model.fit(x, np.ones((len(x), 10), np.float32), batch_size=256, verbose=0)
    model.predict(x)
    print(len(tasks()) - before)
    """
    assert int(python(code, OMP_STACKSIZE="128K", OMP_NUM_THREADS="3")) > 0


@LINUX
def test_omp_num_threads_is_respected():
    code = """
    model, (x, y) = make(256), problem(2000)
    before = len(tasks())
    model.fit(x, y, epochs=2, batch_size=256, verbose=0)
    model.predict(x)
    print(nn.get_num_threads(), len(tasks()) - before)
    """
    assert python(code, OMP_NUM_THREADS="1") == "1 0"
    assert python(code, OMP_NUM_THREADS="3").split()[0] == "3"
    assert python(code, OMP_NUM_THREADS="2,4").split()[0] == "2"
    assert python("print(nn.get_num_threads())", OMP_NUM_THREADS="1000000") == "1024"


@LINUX
def test_threads_are_really_used():
    code = """
    nn.set_num_threads(2)
    model, (x, y) = make(256), problem(2000)
    before = len(tasks())
    model.fit(x, y, epochs=5, batch_size=256, verbose=0)  # the first steps are on one thread, for comparison
    print(len(tasks()) - before)
    """
    assert python(code) == "1"


@FORK
@pytest.mark.parametrize("threads", [1, 2])
def test_fork_after_use(threads):
    out = python(
        f"""
        nn.set_num_threads({threads})
        model, (x, y) = make(200), problem(1000)
        model.fit(x, y, epochs=2, batch_size=100, verbose=0)
        expected = model.predict(x)
        twin = make(200)
        sys.stdout.flush()
        child = os.fork()
        if not child:
            status = 1
            try:
                same = np.array_equal(model.predict(x), expected) and np.array_equal(model(x[:1]), expected[:1])
                before = [p.copy() for p in model.parameters()]
                model.fit(x, y, epochs=2, batch_size=100, verbose=0)
                twin.fit(x, y, epochs=4, batch_size=100, verbose=0)  # as the parent began
                grown = all(np.array_equal(a, b) for a, b in zip(model.parameters(), twin.parameters()))
                moved = not np.array_equal(before[0], model.parameters()[0])
                status = 0 if same and moved and grown else 2
            finally:
                os._exit(status)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        model.fit(x, y, epochs=1, batch_size=100, verbose=0)  # and the parent goes on
        print(bool(np.isfinite(model.predict(x)).all()))
        """
    )
    assert out.split() == ["0", "True"]


INTERRUPT = """
nn.set_num_threads(THREADS)
model, (x, y) = make(300), problem(60_000)
model.fit(x[:64], y[:64], verbose=0)
delays = []
while len(delays) < 8 and not min(delays, default=1) < 0.1:  # other processes may delay this one
    sent = []
    def interrupt():
        time.sleep(0.15)
        sent.append(time.monotonic())
        os.kill(os.getpid(), signal.SIGINT)
    threading.Thread(target=interrupt).start()
    try:
        while True:
            CALL
    except KeyboardInterrupt:
        delays.append(time.monotonic() - sent[0])
before = model.step
assert np.isfinite(model.fit(x[:640], y[:640], verbose=0).history["loss"][0])
assert model.step == before + 20
assert np.isfinite(model.predict(x[:100])).all()
print(min(delays))
"""


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize(
    "call", ["model.fit(x, y, epochs=1000, verbose=0)", "model.predict(x)", "model(x)", "model.evaluate(x, y)"]
)
def test_ctrl_c_within_100_ms(call, threads):
    delay = float(python(INTERRUPT.replace("CALL", call).replace("THREADS", str(threads))))
    assert 0 <= delay < 0.1


@LINUX
def test_no_thread_is_busy_after_training():
    out = python(
        """
        nn.set_num_threads(2)
        model, (x, y) = make(256), problem(2000)
        model.fit(x, y, epochs=3, batch_size=256, verbose=0)
        model.predict(x)
        assert len(tasks()) >= 2
        time.sleep(0.2)
        before = cpu_ticks()
        time.sleep(0.5)
        print(cpu_ticks() - before)
        """
    )
    assert int(out) <= 5  # of 50, at 100 a second: each busy thread would use them all; a loaded machine costs a few


def test_many_threads_on_few_processors_come_to_an_end():
    out = python(
        """
        nn.set_num_threads(16)
        model, (x, y) = make(300), problem(2000)
        start = time.monotonic()
        model.fit(x, y, epochs=2, batch_size=500, verbose=0)
        print(time.monotonic() - start)
        """
    )
    assert float(out) < 30  # a fraction of a second, unless the threads wait for one another by spinning
