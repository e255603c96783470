"""Nested parallelism: one thread for each of several workers, so that there are never workers times threads."""

import os
import subprocess
import sys
import threading
import types
import warnings

import numpy as np
import pytest
from estimator_instances import make, rows_for
from joblib import Parallel, cpu_count, delayed, parallel_config
from sklearn.base import clone
from sklearn.model_selection import cross_val_score

import nncore as nn
from nncore.estimators import MLPClassifier

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


class Ask(nn.callbacks.Callback):
    """Notes how many threads the calls of this fit may use."""

    def __init__(self):
        self.threads = []

    def on_epoch_end(self, epoch, logs=None):
        self.threads.append(nn.get_num_threads())


def threads_of_a_fit(seed=0):
    """Fit, and return the numbers of threads during and after it."""
    asked = Ask()
    x, y = rows_for("MLPClassifier")
    MLPClassifier(max_iter=2, random_state=seed, callbacks=[asked]).fit(x, y)
    return [*asked.threads, nn.get_num_threads()]


@pytest.fixture
def eight():
    nn.set_num_threads(8)
    yield
    nn.set_num_threads(0)


def test_a_fit_alone_uses_all(eight):
    assert threads_of_a_fit() == [8, 8, 8]


@pytest.mark.parametrize("jobs", [1, 2])
def test_threads_of_joblib(eight, jobs):
    """Two threads get one each, at the same time as well; one job is no worker. The process keeps its number."""
    found = Parallel(n_jobs=jobs, backend="threading")(delayed(threads_of_a_fit)(i) for i in range(6))
    assert found == [[1, 1, 8] if jobs == 2 else [8, 8, 8]] * 6
    assert nn.get_num_threads() == 8


def test_an_error_in_a_worker_leaves_no_limit(eight):
    def fail():
        with pytest.raises(ValueError, match="alpha"):
            MLPClassifier(alpha=-1).fit([[0.0], [1.0]], [0, 1])
        return nn.get_num_threads()

    assert Parallel(n_jobs=2, backend="threading")(delayed(fail)() for _ in range(4)) == [8] * 4


def test_own_threads_are_the_users_choice(eight):
    """A thread that the user has started is no worker of joblib."""
    found = []
    thread = threading.Thread(target=lambda: found.extend(threads_of_a_fit()))
    thread.start()
    thread.join()
    assert found == [8, 8, 8]


def test_many_threads_that_fit_the_same_data():
    x, y = rows_for("MLPClassifier", rows=200)
    net = make("MLPClassifier", random_state=0, hidden_layer_sizes=(64, 64), max_iter=20)
    alone = clone(net).fit(x, y).predict_proba(x)
    with parallel_config(backend="threading", n_jobs=4):
        for found in Parallel()(delayed(lambda: clone(net).fit(x, y).predict_proba(x))() for _ in range(8)):
            np.testing.assert_array_equal(found, alone)


def test_processes_of_loky():
    """Its workers share the cores; threads inside of them get one each. The functions are local, so that they travel by value."""

    def fit(i):
        seen = []
        x = np.random.RandomState(0).normal(size=(60, 3))
        ask = nn.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(nn.get_num_threads()))
        MLPClassifier(max_iter=1, callbacks=[ask], tol=1e9, n_iter_no_change=1).fit(x, x[:, 0] > 0)
        return seen[0]

    def nested(i):
        return Parallel(n_jobs=2, backend="threading")(delayed(fit)(k) for k in range(2))

    share = int(os.environ.get("OMP_NUM_THREADS", max(1, cpu_count() // 2)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert Parallel(n_jobs=2, backend="loky")(delayed(fit)(i) for i in range(2)) == [share] * 2
        assert Parallel(n_jobs=2, backend="loky")(delayed(nested)(i) for i in range(2)) == [[1, 1]] * 2


WORK = """
import numpy as np
import nncore as nn
from nncore.estimators import MLPClassifier

class Ask(nn.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        self.seen = nn.get_num_threads()

def fit(i):
    asked = Ask()
    x = np.random.RandomState(0).normal(size=(60, 3))
    MLPClassifier(max_iter=1, callbacks=[asked], early_stopping=False).fit(x, x[:, 0] > 0)
    return asked.seen
"""
START = """
import work
from joblib import Parallel, delayed

if __name__ == "__main__":
    print(Parallel(n_jobs=2, backend="multiprocessing")(delayed(work.fit)(i) for i in range(2)))
"""


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_processes_of_multiprocessing(method, tmp_path):
    """Nothing tells them how many they are, so each uses one thread."""
    (tmp_path / "work.py").write_text(WORK)
    (tmp_path / "start.py").write_text(START)
    kept = {key: value for key, value in os.environ.items() if key != "OMP_NUM_THREADS"}
    paths = os.pathsep.join(filter(None, [str(tmp_path), *sys.path]))
    done = subprocess.run(
        [sys.executable, "-W", "ignore", str(tmp_path / "start.py")],
        env={**kept, "PYTHONPATH": paths, "PYTHONWARNINGS": "ignore", "JOBLIB_START_METHOD": method},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[1, 1]"


def test_dask_in_threads_of_this_process(eight, tmp_path, monkeypatch):
    """A cluster without processes: its workers are threads here. Its results are those without a cluster."""
    monkeypatch.chdir(tmp_path)
    distributed = pytest.importorskip("distributed")
    x, y = rows_for("MLPClassifier")
    net = make("MLPClassifier", random_state=0, max_iter=5)
    with (
        distributed.LocalCluster(
            n_workers=1, threads_per_worker=2, processes=False, dashboard_address=None, silence_logs=50
        ) as cluster,
        distributed.Client(cluster) as client,
        parallel_config(backend="dask", client=client),
    ):
        assert Parallel()(delayed(threads_of_a_fit)(i) for i in range(4)) == [[1, 1, 8]] * 4
        found = cross_val_score(net, x, y, cv=3)
    np.testing.assert_array_equal(found, cross_val_score(net, x, y, cv=3))


def test_a_module_of_the_user_may_have_the_name_of_dask_distributed(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", types.ModuleType("distributed"))
    assert threads_of_a_fit()[-1] == nn.get_num_threads()
