"""No thread to be had, or no memory for one: calls go on with those that there are, to the same bits.

Each test is a process of its own.
"""

import os
import shutil
import subprocess
import sys
import textwrap

import pytest

LINUX = pytest.mark.skipif(not os.path.isdir("/proc/self/task"), reason="reads /proc, and limits threads by it")

PRELUDE = """
import os, resource, sys, time
import numpy as np
import nncore as nn

def tasks():
    return len(os.listdir("/proc/self/task"))

def make():
    model = nn.Sequential(nn.Linear(256, 512), nn.ReLU(), nn.Linear(512, 10), seed=0)
    model.compile("mse", "adam")
    return model

R = np.random.default_rng(0)
x, y = R.normal(size=(256, 256)).astype("f4"), R.normal(size=(256, 10)).astype("f4")
alone = make()
with nn.threads(1):
    alone.train_on_batch(x, y)
    result = alone.predict(x)

def same(model):
    return all(np.array_equal(v, w) for v, w in zip(model.state_dict().values(), alone.state_dict().values()))
"""


def run(code, **env):
    done = subprocess.run(
        [sys.executable, "-c", PRELUDE + textwrap.dedent(code)],
        env={**os.environ, **env}, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, (done.returncode, done.stdout, done.stderr)
    return done.stdout.split()


@LINUX
@pytest.mark.parametrize("spare", [0, 64 << 10, 1 << 20, 2 << 20, 5 << 20, 9 << 20])
def test_no_memory_for_a_thread(spare):
    """Of address space, which a thread's stack takes some MB of."""
    code = f"""
    model, more = make(), []
    with nn.threads(1):
        model.forward(x)  # has the arena
    used = int(open("/proc/self/statm").read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    most = resource.getrlimit(resource.RLIMIT_AS)[1]
    resource.setrlimit(resource.RLIMIT_AS, (used + {spare}, most))
    with nn.threads(8):
        try:
            model.train_on_batch(x, y)
        except MemoryError:
            print("refused")
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    print(same(model) or model.step == 0)
    """
    assert run(code, OPENBLAS_NUM_THREADS="1")[-1] == "True"


CAP = """
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

/* As many threads as THREAD_CAP says, as a limit of the system would have it. */
int pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*run)(void *), void *context) {
  static int (*real)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
  const char *cap = getenv("THREAD_CAP");
  int count = -2; /* . and .. */
  if (!real) real = dlsym(RTLD_NEXT, "pthread_create");
  if (cap) {
    DIR *tasks = opendir("/proc/self/task");
    while (tasks && readdir(tasks)) count++;
    if (tasks) closedir(tasks);
    if (count >= atoi(cap)) return EAGAIN;
  }
  return real(thread, attr, run, context);
}
"""


@pytest.fixture(scope="module")
def capped(tmp_path_factory):
    """A library that limits the number of threads, to be loaded first."""
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if not compiler:
        pytest.skip("needs a C compiler")
    folder = tmp_path_factory.mktemp("cap")
    (folder / "cap.c").write_text(CAP)
    subprocess.run([compiler, "-shared", "-fPIC", "cap.c", "-o", "cap.so", "-ldl"], cwd=folder, check=True)
    return str(folder / "cap.so")


@LINUX
@pytest.mark.parametrize("spare", [0, 1, 2, 5])
def test_as_many_threads_as_there_are(capped, spare):
    code = f"""
    from nncore import _core
    begin = tasks()
    os.environ["THREAD_CAP"] = str(begin + {spare})
    model = make()
    _core.force_threads(4)
    model.train_on_batch(x, y)
    print(tasks() - begin, same(model), np.array_equal(model.predict(x), result))
    model(x[:1])
    del os.environ["THREAD_CAP"]
    time.sleep(1.1)
    model.train_on_batch(x, y)  # as soon as there are threads again
    print(tasks() - begin)
    """
    assert run(code, LD_PRELOAD=capped) == [str(min(spare, 3)), "True", "True", "3"]


@LINUX
def test_a_number_of_threads_that_grows_and_shrinks(capped):
    """The runtime ends threads when a smaller parallel region follows: a larger one needs new ones."""
    code = """
    from nncore import _core
    begin = tasks()
    for n, cap in ((4, 8), (2, 8), (6, 2), (3, 2), (8, 1), (2, 0), (5, 0)):
        os.environ["THREAD_CAP"] = str(begin + cap)
        model = make()
        _core.force_threads(n)
        model.train_on_batch(x, y)
        assert same(model) and np.array_equal(model.predict(x), result), (n, cap)
        time.sleep(0.3)
    print("fine")
    """
    assert run(code, LD_PRELOAD=capped) == ["fine"]


@LINUX
def test_no_helper_for_small_calls(capped):
    code = """
    os.environ["THREAD_CAP"] = str(tasks())
    wide = nn.Sequential(nn.Linear(512, 2048), nn.ReLU(), nn.Linear(2048, 10), seed=0).build((512,))
    row = np.ones((1, 512), "f4")
    with nn.threads(1):
        expected = wide(row).copy()
    with nn.threads(4):
        print(all(np.array_equal(wide(row), expected) for _ in range(2000)))
    """
    assert run(code, LD_PRELOAD=capped) == ["True"]
