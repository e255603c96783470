"""The tests of low precision once more under the emulator of AMX, in a pytest of their own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[2]
#: Files and folders, and what of them: of tests over the fixture isa, those for amx. Each line is one process.
SUITES = {
    "kernels": ("amx", "ops/bf16", "ops/int8"),
    "models": (
        "", "models/test_compute.py", "models/test_quantized.py", "plan/layers/test_linear_bf16.py", "truth/test_bf16_recurrent.py",
        "truth/test_instruction_sets.py",
    ),
    "recurrent": ("instruction_set or streams", "plan/layers/test_recurrent_bf16.py"),
    "forks": ("children", "reliability"),
}  # fmt: skip


@pytest.mark.parametrize("which", SUITES)
def test_a_suite_passes_on_amx(amx, which):
    words, *paths = SUITES[which]
    if not amx.emulated:
        pytest.skip("this CPU has AMX, so that the suite itself runs on it")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "-k", words, *(TESTS / path for path in paths)],
        cwd=TESTS.parent, env={**os.environ, **amx.environment, "NNCORE_ISA": "amx"},
        capture_output=True, text=True, timeout=1800, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert " passed" in done.stdout
