"""What tests of exported C have in common: compiling it, and calling it."""

import ctypes
import subprocess

WARNINGS = ["-pedantic", "-Wall", "-Wextra", "-Wconversion", "-Werror"]


def compiled(source, folder, *flags, compiler=("gcc", "-std=c99"), name="net"):
    """The library of a file, compiled without a warning."""
    path, library = folder / f"{name}.c", folder / f"{name}.so"
    path.write_text(source)
    subprocess.run([*compiler, "-O2", *WARNINGS, *flags, "-shared", "-fPIC", "-o", library, path, "-lm"], check=True)
    return ctypes.CDLL(str(library))


def pointer(array):
    return array.ctypes.data_as(ctypes.c_void_p)
