"""Python programs on the instruction set ``amx``: the CPU's own tiles, or the emulator in csrc/amx where it has none."""

import os
import platform
import shlex
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

SOURCES = Path(__file__).parent / "csrc" / "amx"
CC = shutil.which(os.environ.get("CC", "cc"))


def cpu_has(*flags):
    """Whether this CPU has what Linux calls so."""
    try:
        return set(flags) <= set(Path("/proc/cpuinfo").read_text().split())
    except OSError:
        return False


class Amx:
    """Where programs with tile instructions run; the fixture ``amx`` makes it.

    Parameters
    ----------
    folder : pathlib.Path
        An empty folder, for what is compiled.

    Attributes
    ----------
    emulated : bool
        Whether the emulator runs them. Then ``amx_emulator_count`` and the like (csrc/amx/emulator.h) are in ctypes.CDLL(None).
    environment : dict
        What a program needs for that.
    """

    def __init__(self, folder):
        if sys.platform != "linux" or platform.machine() not in ("x86_64", "AMD64"):
            pytest.skip("AMX needs Linux on x86-64")
        self.folder = folder
        self.emulated = not cpu_has("amx_tile", "amx_bf16", "amx_int8")
        self.environment = {}
        if self.emulated:
            if not CC:
                pytest.skip("this CPU has no AMX, and there is no C compiler for the emulator")
            if not cpu_has("avx512f", "avx512dq", "avx512bw", "avx512vl", "avx512_bf16"):
                pytest.skip("this CPU has no AVX-512 with BF16, which the instruction set amx includes")
            if self.preloaded != os.environ.get("LD_PRELOAD", "").split():
                return  # this program runs under the emulator itself
            # Behind what is preloaded already, as a sanitizer has to be the first.
            self.environment["LD_PRELOAD"] = " ".join([*self.preloaded, str(self.build("emulator.c", "-ldl", "-lm"))])

    @property
    def preloaded(self):
        """What is preloaded besides the emulator, such as the runtime of a sanitizer."""
        return [each for each in os.environ.get("LD_PRELOAD", "").split() if not each.endswith("/emulator.so")]

    def without(self):
        """Return the variables with which a program runs without the emulator."""
        return {"LD_PRELOAD": " ".join(self.preloaded)}

    def build(self, source, *options):
        """Compile a C file of csrc/amx, or another one, to a library, and return its path."""
        if not CC:
            pytest.skip("no C compiler")
        made = self.folder / f"{Path(source).stem}.so"
        command = [CC, "-std=gnu11", "-O2", "-ffp-contract=off", "-shared", "-fPIC", SOURCES / source, "-o", made, *options]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{shlex.join(map(str, command))} fails: {done.stderr[-1000:]}"
        return made

    def start(self, code, *arguments, isa="amx", timeout=600, **env):
        """Run a program under NNCORE_ISA=isa to its end, however it ends, and return subprocess.CompletedProcess, with text."""
        return subprocess.run(
            [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)],
            env={**os.environ, **self.environment, "NNCORE_ISA": isa, **env},
            capture_output=True, text=True, timeout=timeout, check=False,
        )  # fmt: skip

    def run(self, code, *arguments, **options):
        """Return what a program printed, which has to end well; options as for start()."""
        done = self.start(code, *arguments, **options)
        assert done.returncode == 0, (done.returncode, done.stdout, done.stderr[-4000:])
        return done.stdout
