"""What tests of exported C have in common: compiling it, and calling it."""

import ctypes
import shutil
import subprocess

import numpy as np
import pytest

WARNINGS = ["-pedantic", "-Wall", "-Wextra", "-Wconversion", "-Werror"]
TYPES = {"float": np.float32, "double": np.float64, "int": np.intc}


def need(*programs):
    """Skip the test where one of these programs is not installed."""
    missing = [each for each in programs if shutil.which(each) is None]
    if missing:
        pytest.skip(f"{', '.join(missing)} not installed")


def compiled(source, folder, *flags, compiler=("gcc", "-std=c99"), name="net", optimize="-O2"):
    """The library of a file, compiled without a warning."""
    need(compiler[0])
    path, library = folder / f"{name}.c", folder / f"{name}.so"
    path.write_text(source, encoding="utf-8")
    subprocess.run([*compiler, optimize, *WARNINGS, *flags, "-shared", "-fPIC", "-o", library, path, "-lm"], check=True)
    return ctypes.CDLL(str(library))


def pointer(array):
    return array.ctypes.data_as(ctypes.c_void_p)


def run(found, library, x, *more):
    """The outputs of a C file for a batch of samples, of which there is one array for each input."""
    x = [np.ascontiguousarray(a, TYPES[each.ctype]) for a, each in zip(x, found.inputs, strict=True)]
    rows, guard = len(x[0]), 7  # numbers after each output that must stay as they are
    y = [np.full(rows * each.size + guard, 77, TYPES[each.ctype]) for each in found.outputs]
    getattr(library, f"{found.name}_predict_batch")(*map(pointer, x), rows, *map(pointer, y), *map(pointer, more))
    assert all((a[-guard:] == 77).all() for a in y)
    return [a[:-guard].reshape(rows, *each.shape) for a, each in zip(y, found.outputs, strict=True)]
