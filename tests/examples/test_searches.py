"""The searches on clusters: they find what the same search finds without a cluster, and leave nothing behind."""

import importlib.util
import os
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parent.parent.parent / "examples"
LINUX = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks at /proc")


def marked(mark):
    """Return the processes that have this mark in their environment."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if mark.encode() in (folder / "environ").read_bytes() and (folder / "cmdline").read_bytes():
                found.append(int(folder.name))
        except OSError:  # it has ended, or is another user's
            continue
    return found


def run(program, *options, folder):
    """Run an example; return the lines that it prints. Processes that it leaves behind fail the test."""
    mark = f"nncore-test-{uuid.uuid4()}"
    kept = {key: value for key, value in os.environ.items() if key != "OMP_NUM_THREADS"}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", EXAMPLES / program, *options],
        cwd=folder,
        env={**kept, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "PYTHONWARNINGS": "ignore", "MARK": mark}
        | {"TMPDIR": str(folder), "RAY_TMPDIR": str(folder), "RAY_USAGE_STATS_ENABLED": "0"},
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    until = time.monotonic() + 10
    while (left := marked(mark)) and time.monotonic() < until:
        time.sleep(0.1)
    for process in left:
        os.kill(process, 9)
    assert done.returncode == 0, done.stdout + done.stderr
    assert not left
    return done.stdout.splitlines()


def load(program):
    """Import an example."""
    spec = importlib.util.spec_from_file_location(Path(program).stem, EXAMPLES / program)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def folder():
    """A folder with a short path, as sockets need."""
    with tempfile.TemporaryDirectory(prefix="nnc") as path:
        yield Path(path)


@LINUX
@pytest.mark.filterwarnings("ignore")
def test_search_on_dask(folder, capsys):
    pytest.importorskip("distributed")
    first, *rest = run("search_dask.py", "--rows", "200", "--epochs", "4", folder=folder)
    assert first == "2 workers, each with 1 thread for a fit"
    module = load("search_dask.py")
    module.report(module.search(200, 4))
    assert rest == capsys.readouterr().out.splitlines()
    assert len(rest) == 5


@LINUX
@pytest.mark.filterwarnings("ignore")
def test_search_on_ray(folder, capsys):
    pytest.importorskip("ray")
    shared = set(os.listdir("/dev/shm"))
    first, *rest = run("search_ray.py", "--rows", "200", "--epochs", "4", "--candidates", "3", folder=folder)
    assert first == "2 workers, each with 1 thread for a fit"
    module = load("search_ray.py")
    module.report(module.search(200, 4, 3))
    assert rest == capsys.readouterr().out.splitlines()
    assert not [name for name in set(os.listdir("/dev/shm")) - shared if "plasma" in name]


@LINUX
def test_search_with_optuna(folder):
    pytest.importorskip("optuna")
    first, best = run("search_optuna.py", "--rows", "200", "--epochs", "4", "--trials", "7", folder=folder)
    assert first.startswith("7 trials by 2 processes")
    assert float(best.split()[1]) > 0.3
    assert "learning_rate_init" in best
