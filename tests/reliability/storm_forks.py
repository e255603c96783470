"""Forks at any moment: after other libraries' threads, while threads train, predict, save and compile, from callbacks, in pools.

Each child predicts, trains, saves and loads within a time limit, with the parent's model and with new ones.
"""

from __future__ import annotations

import copy
import importlib
import multiprocessing
import os
import signal
import threading
import time
import traceback

import numpy as np
import running
from nets import KINDS, are_finite, as_list

import nncore as nn

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(512, 256)).astype(np.float32), RNG.normal(size=(512, 10)).astype(np.float32)


def large(metrics=()):
    """A net whose steps are shared out among threads."""
    model = nn.Sequential(nn.Linear(256, 512), nn.ReLU(), nn.Linear(512, 10), seed=0)
    model.compile("mse", nn.optim.Adam(lr=1e-5), metrics)
    return model


def use(model, path, data=(X, Y)):
    """What a child does with a model."""
    x, y = data
    assert are_finite(model.predict(x))
    assert np.isfinite(as_list(model.train_on_batch(x, y))[0])
    model.fit(x, y, verbose=0)
    model.evaluate(x, y)
    assert are_finite(copy.deepcopy(model).predict(x))
    model.save(path)
    again = nn.load(path)
    os.unlink(path)
    assert (again.predict(x) == model.predict(x)).all()
    model.compile("mse", "sgd")
    model.train_on_batch(x, y)
    assert are_finite(list(model.state_dict().values()))


def work(model, place):
    """The whole of a child's work: with the parent's model, with a copy, and with a new one."""
    path = os.path.join(place, f"{os.getpid()}.safetensors")
    use(model, path)
    use(large(), path)
    kind = KINDS[2]  # recurrent
    x, y, _ = kind.data(np.random.default_rng(1), 64)
    use(kind.model(), path, (x, y))


def child(storm, where, act, seconds=20.0):
    """Fork, let the child act, and see that it comes to a good end in time."""
    with storm.call(f"fork_{where}"):
        pid = os.fork()
    if not pid:
        code = 1
        try:
            act()
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    return came_to_a_good_end(storm, where, pid, seconds)


def came_to_a_good_end(storm, where, pid, seconds=20.0):
    """Wait for a child; where it fails or hangs, say so."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            if status:
                how = f"signal {os.WTERMSIG(status)}" if os.WIFSIGNALED(status) else f"code {os.WEXITSTATUS(status)}"
                storm.fail(f"{where}: a child ended with {how}", f"--seed {storm.seed}")
            return not status
        time.sleep(0.002)
    os.kill(pid, signal.SIGABRT)  # faulthandler says where it stands
    time.sleep(0.5)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    storm.fail(f"{where}: a child hung", f"after {seconds} s; --seed {storm.seed}")
    return False


# What goes before ---------------------------------------------------------------------------------------------------------


def numpy_works():
    a = np.ones((600, 600))
    a @ a


def sklearn_works():
    from sklearn.cluster import KMeans

    KMeans(2, n_init=1).fit(np.random.default_rng(0).normal(size=(2000, 8)))


def torch_works():
    import torch

    torch.nn.Linear(256, 256)(torch.rand(4096, 256)).relu().sum().item()


def available():
    """The libraries that are here, by name."""
    found = {"numpy": numpy_works}
    for name, act in (("sklearn", sklearn_works), ("torch", torch_works)):
        try:
            importlib.import_module(name)
        except ImportError:
            continue
        found[name] = act
    return found


# Scenes -------------------------------------------------------------------------------------------------------------------


def after_libraries(storm, rng, place):
    """Everybody has worked on several threads, in some order."""
    model = large()
    before = [*available().items(), ("nncore", lambda: model.fit(X, Y, verbose=0))]
    rng.shuffle(before)
    chosen = before[: 1 + int(rng.integers(len(before)))]
    for _, act in chosen:
        act()
    where = "after " + ", ".join(sorted(name for name, _ in chosen))
    return [child(storm, where, lambda: work(model, place))]


def while_threads(storm, rng, place):
    """Other threads train, predict, save, compile and copy at the moment of the fork."""
    model, other = large(), large(["mae"])
    mine = os.path.join(place, "parent.safetensors")
    acts = {
        "fit": lambda: model.fit(X, Y, epochs=3, verbose=0),
        "train_on_batch": lambda: model.train_on_batch(X, Y),
        "predict": lambda: model.predict(X),
        "save": lambda: model.save(mine),
        "compile": lambda: model.compile("mse", "adam"),
        "deepcopy": lambda: copy.deepcopy(model),
        "new": large,
        "other": lambda: other.fit(X, Y, verbose=0),
    }
    names = [str(name) for name in rng.choice(list(acts), 3, replace=False)]
    stop = threading.Event()

    def repeat(act):
        while not stop.is_set():
            try:
                act()
            except nn.errors.ConcurrentUseError:
                time.sleep(0.001)

    threads = [threading.Thread(target=repeat, args=(acts[name],), daemon=True) for name in names]
    for thread in threads:
        thread.start()
    good = []
    where = "while " + ", ".join(sorted(names))
    for _ in range(3):
        time.sleep(float(rng.random()) * 0.02)
        good.append(child(storm, where, lambda: work(model, place)))
    stop.set()
    for thread in threads:
        with storm.call(f"join_{where}"):
            thread.join(10)
        if thread.is_alive():
            storm.fail(f"{where}: a thread of the parent hangs after a fork", f"--seed {storm.seed}")
    model.fit(X, Y, verbose=0)
    return good


def from_a_callback(storm, rng, place):
    """The fork comes between two steps of the thread that trains."""
    model, good = large(), []
    hook = str(rng.choice(["on_train_batch_end", "on_train_batch_begin", "on_epoch_end", "on_train_chunk_end", "on_train_end"]))

    def act():
        assert are_finite(model.predict(X))
        other = copy.deepcopy(model)
        path = os.path.join(place, f"{os.getpid()}.safetensors")
        use(other, path)
        model.save(path)
        nn.load(path)
        os.unlink(path)
        thread = threading.Thread(target=lambda: model.predict(X))
        thread.start()
        thread.join()

    def fork(*_):
        if not good:
            good.append(child(storm, f"from {hook}", act))

    class Fork(nn.callbacks.Callback):
        pass

    setattr(Fork, hook, lambda self, *arguments: fork())
    model.fit(X, Y, epochs=2, batch_size=64, verbose=0, callbacks=[Fork()])
    return good


def from_inside(storm, rng, place):
    """The fork comes from within a Python loss of a step; the child does its work there, or leaves the step first."""
    leaves = bool(rng.integers(2))
    where = "from inside a step, which the child leaves" if leaves else "from inside a step"
    parent, pids, good = os.getpid(), [], []

    class Leave(Exception):
        pass

    def use_new():
        use(large(), os.path.join(place, f"{os.getpid()}.safetensors"))

    def inside():
        assert are_finite(model.predict(X))
        use_new()

    def loss(y_true, y_pred):
        if os.getpid() == parent and not pids and not good:
            if leaves:
                pids.append(os.fork())
                if not pids[0]:
                    raise Leave
            else:
                good.append(child(storm, where, inside))
        return ((y_pred - y_true) ** 2).mean(axis=1), 2 * (y_pred - y_true) / y_true.shape[1]

    model = nn.Sequential(nn.Linear(256, 512), nn.ReLU(), nn.Linear(512, 10), seed=0)
    model.compile(loss, "sgd")
    try:
        model.train_on_batch(X, Y)
    except Leave:
        code = 1
        try:
            model.predict(X)
            model.train_on_batch(X, Y)
            copy.deepcopy(model).predict(X)
            use_new()
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    return [came_to_a_good_end(storm, where, pids[0])] if leaves else good


def child_of_child(storm, rng, place):
    """A child trains on threads of its own, and forks in its turn."""
    model = large()
    model.fit(X, Y, verbose=0)

    def inner():
        work(model, place)
        if not child(storm, "child of child, second", lambda: work(model, place)):
            raise RuntimeError("the grandchild failed")

    return [child(storm, "child of child", inner, 40.0)]


def in_pool(seed):
    """A task of a pool."""
    model = nn.Sequential(nn.Linear(256, 300), nn.Tanh(), nn.Linear(300, 10), seed=seed)
    model.compile("mse", "adam")
    return float(model.fit(X, Y, verbose=0).history["loss"][-1])


def pools(storm, rng, place):
    """Four pools at once, from four threads, while one more trains."""
    model = large()
    model.fit(X, Y, verbose=0)
    expected = [in_pool(seed) for seed in range(4)]
    good, stop = [], threading.Event()

    def train():
        while not stop.is_set():
            model.train_on_batch(X, Y)

    def run():
        with multiprocessing.get_context("fork").Pool(2) as pool:
            found = pool.map_async(in_pool, range(4))
            try:
                good.append(found.get(30) == expected)
            except multiprocessing.TimeoutError:
                good.append(False)
            except Exception as error:
                storm.fail_by("pools", error)
                good.append(False)
            if not good[-1]:
                storm.fail("pools: no result, or another than in the parent", f"--seed {storm.seed}")
                pool.terminate()

    trainer = threading.Thread(target=train, daemon=True)
    trainer.start()
    threads = [threading.Thread(target=run, daemon=True) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(40)
    stop.set()
    trainer.join(10)
    if len(good) < 4 or trainer.is_alive():
        storm.fail("pools: a thread of the parent hangs", f"--seed {storm.seed}")
    return good


SCENES = [after_libraries, while_threads, from_a_callback, from_inside, child_of_child, pools]


def options(parser):
    parser.add_argument("--forks", type=int, default=0, help="stop after so many children, whatever --seconds says; 0: never")


def main(storm):
    rng = storm.rng()
    scenes = [scene for scene in SCENES if storm.wanted(scene.__name__)]
    outcomes, number, limit = [], 0, storm.options.forks
    with running.folder() as place:
        work(
            large(), place
        )  # so that everything is imported: a child hangs where it needs a module that another thread was importing
        while storm.left() > 0 and not (limit and len(outcomes) >= limit):
            scene = scenes[number % len(scenes)]
            outcomes += scene(storm, rng, place)
            number += 1
        litter = [name for name in os.listdir(place) if name.endswith(".tmp")]
    good = sum(map(bool, outcomes))
    return storm.finish(scenes=number, children=len(outcomes), good=good, temporary_files_of_killed_children=len(litter))


if __name__ == "__main__":
    running.run(main, "storm_forks", options)
