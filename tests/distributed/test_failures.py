"""A rank that raises or dies ends the others within seconds; ranks that differ all get an error that says in what."""

import copy
import os
import pickle
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from mpi_programs import run, start, succeed

import nncore as nn

DIFFERENT = """
import numpy as np
import nncore as nn
from checks import RANKS, data, net, say

x, y = data()
R = RANKS.rank


def refused(call, words, error=nn.errors.RanksError):
    try:
        call()
    except error as caught:
        assert all(word in str(caught) for word in words), (words, str(caught))
    else:
        raise AssertionError(words)


def fit(model, n=203, **more):
    return lambda: model.fit(x[:n], y[:n], **({"epochs": 1, "batch_size": 48, "verbose": 0} | more))


refused(fit(net(RANKS, optimizer=["sgd", "adam"][R])), ["the arguments of compile", "Adam"])
refused(fit(net(RANKS, middle=[nn.Tanh] * R)), ["the layers"])
refused(fit(net(RANKS), epochs=1 + R), ["the argument epochs of fit", "'1'", "'2'"])
refused(fit(net(RANKS), batch_size=48 + R), ["the argument batch_size"])
refused(fit(net(RANKS), n=200 + R), ["the number of rows", "200", "201"])
refused(fit(net(RANKS), validation_split=0.25 * R), ["the kind of data"])
refused(fit(net(RANKS), sample_weight=[None, np.ones(203)][R]), ["x, y and weights (seed what is drawn at random", "none"])
refused(fit(net(RANKS), validation_data=(x[R:9], y[R:9])), ["the validation data (seed", "9 rows", "8 rows"])
x = x + 0.5 * R
refused(fit(net(RANKS)), ["x, y and weights (seed what is drawn at random, or pass MPI(sharded=True)"])
x = x - 0.5 * R + 1e-9 * R  # what another processor has rounded
model = net(RANKS)
refused(fit(model, batch_size=48 - 48 * R), ["rank 1", "batch_size"] if R == 0 else ["batch_size"], nn.errors.NncoreError)
refused(fit(model, callbacks=[nn.callbacks.ModelCheckpoint("{nothing}.safetensors")]), ["nothing"], nn.errors.NncoreError)
refused(fit(model, callbacks=[nn.callbacks.EarlyStopping("val_loss")]), ["val_loss"], nn.errors.ArgumentError)
small = net(nn.distributed.MPI(batch_norm="local"), middle=[lambda: nn.BatchNorm1d(32)])
refused(fit(small, n=49), ["1 row"], nn.errors.ShapeError)


class Raise(nn.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        raise KeyError("all of them")


refused(fit(model, callbacks=[Raise()]), ["all of them"], KeyError)  # as in one process: a program may go on


class Change(nn.callbacks.Callback):
    def on_train_end(self, logs=None):
        self.model[0].weight[0, 0] += R


refused(fit(model, callbacks=[Change()]), ["the parameters of rank 1"])
history = fit(model)()
assert history.epoch == [0]
say("went on")
"""

ENDS = """
import os, sys, time
import nncore as nn
from checks import RANKS, data, net

x, y = data()


class Fail(nn.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        if epoch == 3 and RANKS.rank == 1:
            if sys.argv[1] == "raises":
                raise KeyError("on one rank")
            print("ready", os.getpid(), flush=True)
            while True:
                time.sleep(1)


keep = nn.callbacks.ModelCheckpoint("kept.safetensors")
if sys.argv[1] == "between":
    net(RANKS, optimizer="adam").fit(x, y, epochs=3, batch_size=48, callbacks=[keep], verbose=0)
    if RANKS.rank == 1:
        raise KeyError("on one rank")
net(RANKS, optimizer="adam").fit(x, y, epochs=10**6, batch_size=48, callbacks=[Fail(), keep], verbose=0)
"""


def test_ranks_that_differ(tmp_path):
    assert "went on" in succeed(DIFFERENT, 2, tmp_path)


@pytest.mark.parametrize("where", ["raises", "between"])
def test_a_rank_that_raises_ends_the_others(tmp_path, where):
    began = time.monotonic()
    code, _, err = run(ENDS, 2, tmp_path, where, limit=40)
    assert code
    assert "on one rank" in err
    assert "rank 1 of 2" in err
    assert time.monotonic() - began < 30
    resume_alone(tmp_path)


def test_a_rank_that_is_killed_ends_the_others(tmp_path):
    process = start(ENDS, 2, tmp_path, "is killed")
    line = process.stdout.readline().split()
    assert line[0] == "ready", process.communicate(timeout=30)
    began = time.monotonic()
    os.kill(int(line[1]), signal.SIGKILL)
    process.communicate(timeout=30)
    assert process.returncode
    assert time.monotonic() - began < 10
    resume_alone(tmp_path)


def resume_alone(folder, epochs=6):
    """The last checkpoint is whole, and one process goes on."""
    import numpy as np

    model = nn.load(folder / "kept.safetensors")
    rng = np.random.default_rng(0)
    x = rng.normal(size=(203, 8)).astype(np.float32)
    history = model.fit(x, rng.integers(0, 3, 203), epochs=epochs, batch_size=48, resume=True, verbose=0)
    assert history.epoch[-1] == epochs - 1


def test_without_mpi4py(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "mpi4py.MPI", None)
    with pytest.raises(nn.errors.MissingExtraError, match=r"pip install .nncore\[mpi\]"):
        nn.distributed.MPI()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"comm": 3}, "communicator"),
        ({"sharded": "yes"}, "sharded"),
        ({"batch_norm": "global"}, "batch_norm"),
        ({"sync_every": 0}, "sync_every"),
        ({"sync_every": 2, "batch_norm": "synchronized"}, "sync_every"),
    ],
)
def test_wrong_arguments(arguments, words, tmp_path):
    with pytest.raises(nn.errors.ArgumentError, match=words):
        nn.distributed.MPI(**arguments)
    with pytest.raises(nn.errors.ArgumentError, match="distributed"):
        nn.Sequential(nn.Linear(1, 1)).compile("mse", "sgd", distributed="mpi")


@pytest.mark.exhaustive
@pytest.mark.parametrize("seed", range(20))
def test_random_kills(tmp_path, seed):
    """Whenever a rank is killed: the others end, and what has been written is whole."""
    rng = random.Random(seed)
    process = start(
        ENDS.replace('print("ready"', 'keep and print("ready"').replace("epoch == 3", "epoch == -1"), 3, tmp_path, "storm"
    )
    while not (tmp_path / "kept.safetensors").exists() and process.poll() is None:
        time.sleep(0.01)
    time.sleep(rng.uniform(0, 1))
    ranks = [int(each) for each in subprocess.check_output(["pgrep", "-f", str(tmp_path / "program.py")], text=True).split()]
    ranks = [
        each
        for each in ranks
        if each != process.pid and Path(f"/proc/{each}/cmdline").read_bytes().startswith(sys.executable.encode())
    ]
    began = time.monotonic()
    os.kill(rng.choice(ranks), signal.SIGKILL)
    process.communicate(timeout=30)
    assert process.returncode
    assert time.monotonic() - began < 10
    model = nn.load(tmp_path / "kept.safetensors")
    resume_alone(tmp_path, model.step // 5 + 3)


def test_copies():
    ranks = nn.distributed.MPI(sharded=True, batch_norm="local")
    assert repr(pickle.loads(pickle.dumps(ranks))) == repr(ranks)
    model = nn.Sequential(nn.Linear(2, 1), seed=0)
    model.compile("mse", "sgd", distributed=ranks)
    model.train_on_batch([[1.0, 2.0]], [[1.0]])
    assert copy.deepcopy(model).distributed is ranks
    other = pickle.loads(pickle.dumps(model))
    assert other.step == 1
    other.distributed = None
    assert other.distributed is None
    assert other.step == 1
