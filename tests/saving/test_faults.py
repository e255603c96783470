"""A disk that fails at each call of save and load: the old file or the new one stands, and an OSError says what happened.

The calls fail in a child, in which faults.c stands before the C library.
"""

import errno
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or not shutil.which("cc"), reason="needs LD_PRELOAD, and a compiler to make the library that fails"
)

CHILD = """
import ctypes, json, os, sys
import numpy as np
import nncore as nn

folder, faults = sys.argv[1], ctypes.CDLL(sys.argv[2])
faults.faults_order.restype = ctypes.c_char_p
path = folder + "/model"
models = [nn.Sequential(nn.Linear(9, 9, weight_init=init)) for init in ("zeros", "ones")]
models[0].save(path)
nn.load(path)
for name, k, number, call in json.load(sys.stdin):
    models[0].save(path)
    before = len(os.listdir("/proc/self/fd"))
    faults.faults_set(name.encode(), k, number)
    try:
        models[1].save(path) if call == "save" else nn.load(path)
        outcome = None
    except OSError as error:
        outcome = error.errno
    order = faults.faults_order().decode().split()
    faults.faults_set(b"", 0, 0)
    left = [name for name in os.listdir(folder) if name != "model"]
    more = len(os.listdir("/proc/self/fd")) - before
    print(json.dumps([outcome, float(nn.load(path)[0].weight[0, 0]), left, more, order]))
"""
CASES = {
    "write": ("write", 1, errno.EIO, "save", errno.EIO, 0),
    "a later write": ("write", 3, errno.ENOSPC, "save", errno.ENOSPC, 0),
    "write interrupted": ("write", 1, errno.EINTR, "save", None, 1),
    "short writes": ("short", 0, 0, "save", None, 1),
    "mode": ("fchmod", 1, errno.EIO, "save", errno.EIO, 0),
    "no modes there": ("fchmod", 1, errno.EPERM, "save", None, 1),
    "fsync": ("fsync", 1, errno.EIO, "save", errno.EIO, 0),
    "fsync interrupted": ("fsync", 1, errno.EINTR, "save", None, 1),
    "close": ("close", 1, errno.EIO, "save", errno.EIO, 0),
    "close interrupted": ("close", 1, errno.EINTR, "save", None, 1),
    "rename": ("rename", 1, errno.ENOSPC, "save", errno.ENOSPC, 0),
    "fsync of the folder": ("fsync_folder", 1, errno.EIO, "save", errno.EIO, 1),
    "no fsync of folders there": ("fsync_folder", 1, errno.EINVAL, "save", None, 1),
    "read": ("read", 1, errno.EIO, "load", errno.EIO, 0),
    "a later read": ("read", 4, errno.EIO, "load", errno.EIO, 0),
    "read interrupted": ("read", 2, errno.EINTR, "load", None, 0),
    "short reads": ("short", 0, 0, "load", None, 0),
}


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("faults")
    library = folder / "faults.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, Path(__file__).with_name("faults.c"), "-ldl"], check=True)
    (folder / "files").mkdir()
    done = subprocess.run(
        [sys.executable, "-c", CHILD, folder / "files", library],
        input=json.dumps([case[:4] for case in CASES.values()]),
        env={**os.environ, "LD_PRELOAD": str(library)},
        capture_output=True,
        text=True,
        check=True,
    )
    return dict(zip(CASES, map(json.loads, done.stdout.splitlines()), strict=True))


@pytest.mark.parametrize("name", CASES)
def test_a_call_that_fails(name, outcomes):
    number, content, left, more, _ = outcomes[name]
    assert (number, content) == CASES[name][4:]
    assert left == []
    assert more == 0


def test_order_of_what_goes_to_disk(outcomes):
    """The content is forced to disk before the rename, the folder after it."""
    steps = [step for step in outcomes["short writes"][4] if step in ("fsync", "rename", "fsync_folder", "fchmod")]
    assert steps == ["fchmod", "fsync", "rename", "fsync_folder"]
