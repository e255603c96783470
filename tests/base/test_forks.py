"""Forked children: they run on one thread, whoever else has used the same OpenMP runtime before.

Each test is a process of its own.
"""

import os
import shutil
import subprocess
import sys
import textwrap

import pytest

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here"),
    pytest.mark.skipif(not os.path.isdir("/proc/self/task"), reason="reads /proc"),
]

PRELUDE = """
import ctypes, os, sys, tempfile, time
import numpy as np
import nncore as nn
from nncore import _core

R = np.random.default_rng(0)
x, y = R.normal(size=(512, 256)).astype("f4"), R.normal(size=(512, 10)).astype("f4")

def make():
    model = nn.Sequential(nn.Linear(256, 512), nn.ReLU(), nn.Linear(512, 10), seed=0)
    model.compile("mse", "adam")
    return model

def use(model):
    '''Train, predict and save, from the beginning on.'''
    model.train_on_batch(x, y)
    model.fit(x, y, batch_size=128, verbose=0)
    with tempfile.TemporaryDirectory() as folder:
        model.save(folder + "/model.safetensors")
    return model.predict(x)

def in_child(function):
    '''What a forked child exits with: 0 where function returned true, 1 where not; -9 where it hung.'''
    sys.stdout.flush()
    child = os.fork()
    if not child:
        code = 1
        try:
            code = 0 if function() else 1
        finally:
            os._exit(code)
    for _ in range(3000):
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.01)
    os.kill(child, 9)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

with nn.threads(1):
    expected = use(make())
"""


def run(code, **env):
    done = subprocess.run(
        [sys.executable, "-c", PRELUDE + textwrap.dedent(code)],
        env={**os.environ, **env}, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, (done.returncode, done.stdout, done.stderr)
    return done.stdout.split()


OTHER = """
#include <omp.h>
int work(int threads) {
  int sum = 0;
#pragma omp parallel num_threads(threads) reduction(+ : sum)
  sum += omp_get_num_threads();
  return sum;
}
"""


@pytest.fixture(scope="module")
def other(tmp_path_factory):
    """Another library that works in parallel, by the same runtime."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    folder = tmp_path_factory.mktemp("other")
    (folder / "other.c").write_text(OTHER)
    built = compiler and subprocess.run(
        [compiler, "-fopenmp", "-shared", "-fPIC", "other.c", "-o", "other.so"], cwd=folder, check=False
    )
    if not built or built.returncode:
        pytest.skip("needs a C compiler with OpenMP")
    return str(folder / "other.so")


def test_after_another_library_has_worked_in_parallel(other):
    """nncore itself has not run in parallel, so that it cannot know of the threads that are missing in the child."""
    out = run(
        f"""
        assert ctypes.CDLL("{other}").work(3) == 9
        nn.set_num_threads(3)
        print(in_child(lambda: np.array_equal(use(make()), expected)))
        print(np.array_equal(use(make()), expected))
        """
    )
    assert out == ["0", "True"]


def test_children_of_children_are_counted():
    out = run(
        """
        nn.set_num_threads(3)
        assert _core.fork_count() == 0 and np.array_equal(use(make()), expected)
        def child():
            def grandchild():
                return _core.fork_count() == 2 and np.array_equal(use(make()), expected)
            return _core.fork_count() == 1 and in_child(grandchild) == 0 and np.array_equal(use(make()), expected)
        print(in_child(child), _core.fork_count())
        """
    )
    assert out == ["0", "0"]


def test_a_model_that_was_trained_in_parallel_goes_on_in_a_child():
    out = run(
        """
        nn.set_num_threads(3)
        model, twin = make(), make()
        use(model)
        with nn.threads(1):
            use(twin)
        print(in_child(lambda: np.array_equal(use(model), use(twin))))
        """
    )
    assert out == ["0"]


def test_many_forks_one_after_another():
    out = run(
        """
        nn.set_num_threads(2)
        for _ in range(20):
            assert np.array_equal(use(make()), expected)
            assert in_child(lambda: np.array_equal(use(make()), expected)) == 0
        print("fine")
        """
    )
    assert out == ["fine"]


def test_importing_starts_no_thread_and_counts_from_there():
    code = "import os, nncore as nn\nfrom nncore import _core\nprint(len(os.listdir('/proc/self/task')), _core.fork_count())"
    env = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.split() == ["1", "0"]
