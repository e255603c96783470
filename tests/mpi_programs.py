"""Running scripts by several processes of MPI, with a time limit."""

import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import mpi4py  # the extra "mpi"; without it these tests cannot run

assert mpi4py

#: mpiexec of the same environment, as installed by the wheel of Open MPI, or any other.
MPIEXEC = next((str(p) for p in [Path(sys.executable).with_name("mpiexec")] if p.exists()), shutil.which("mpiexec"))

# In containers, tests may run as root, and with fewer processors than ranks.
_ENVIRONMENT = {
    "OMPI_ALLOW_RUN_AS_ROOT": "1",
    "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
    "PRTE_ALLOW_RUN_AS_ROOT": "1",
    "PRTE_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
    "PRTE_MCA_rmaps_default_mapping_policy": ":oversubscribe",
    "OMPI_MCA_mpi_yield_when_idle": "1",
    "OMP_NUM_THREADS": "1",
}


def start(script, ranks, folder, *arguments):
    """Start a program on some ranks. It may import tests/distributed/checks.py."""
    path = Path(folder) / "program.py"
    path.write_text(textwrap.dedent(script), "utf-8")
    environment = {**os.environ, **_ENVIRONMENT, "PYTHONPATH": str(Path(__file__).with_name("distributed"))}
    command = [MPIEXEC, "-n", str(ranks), sys.executable, str(path), *map(str, arguments)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, env=environment, cwd=folder, start_new_session=True, **pipes)


def run(script, ranks, folder, *arguments, limit=60):
    """Run a program on some ranks. Return its exit code, what it printed, and its errors."""
    process = start(script, ranks, folder, *arguments)
    try:
        out, err = process.communicate(timeout=limit)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, 9)
        out, err = process.communicate()
        raise AssertionError(f"after {limit} seconds:\n{out}\n{err[-4000:]}") from None
    return process.returncode, out, err


def succeed(script, ranks, folder, *arguments, limit=60):
    """Run a program on some ranks, and return what it printed. It must succeed."""
    code, out, err = run(script, ranks, folder, *arguments, limit=limit)
    assert code == 0, f"{out}\n{err[-6000:]}"
    return out
