"""Programs that use tile instructions through forms.c."""

import re

import pytest

#: What every program begins with; its first argument is the library of forms.c.
PRELUDE = """
import ctypes, os, signal, sys, threading
import numpy as np

libc = ctypes.CDLL(None, use_errno=True)
forms = ctypes.CDLL(sys.argv[1])
REQUEST, DATA, ARCH_PRCTL = 0x1023, 18, 158

def permit():
    return libc.syscall(ARCH_PRCTL, REQUEST, DATA) and ctypes.get_errno()

def configuration(shapes):
    c = np.zeros(64, np.uint8)
    c[0] = 1
    for t, (rows, colsb) in enumerate(shapes):
        c[16 + 2 * t] = colsb
        c[48 + t] = rows
    return c

def at(array):
    return ctypes.c_void_p(array.ctypes.data)

FULL = configuration([(16, 64)] * 8)
A = np.arange(1024, dtype=np.uint8)

def product(name="tdpbuud", place=0):
    c = np.zeros((16, 16), np.int32)
    getattr(forms, name)(at(c), at(A), at(A), place)
    return c
"""


def dedented(code):
    """Code for after the prelude."""
    return re.sub(r"^    ", "", code, flags=re.MULTILINE)


@pytest.fixture(scope="module")
def program(amx):
    """Run code after the prelude, under the emulator where it is needed; it is given the path of the library of forms."""
    library = amx.build("forms.c")

    def run(code, *arguments, fails=False, **options):
        done = (amx.start if fails else amx.run)(PRELUDE + dedented(code), library, *arguments, isa="", **options)
        return (done.returncode, done.stderr) if fails else done.split()

    return run


@pytest.fixture
def emulated(amx):
    if not amx.emulated:
        pytest.skip("this CPU has AMX, so nothing is emulated")
