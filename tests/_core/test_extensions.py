"""The extensions of the boundary have one core between them, and refuse a core of another build."""

import ctypes
import os
import re
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from nncore import _core
from nncore._core import files, kernels, plans

LARGE = np.ones((300, 300), np.float32)  # its product copies parts of it, into memory of the thread


def in_new_thread(function):
    """What a function returns in a thread that has nothing of the core yet."""
    results = []
    thread = threading.Thread(target=lambda: results.append(function()))
    thread.start()
    thread.join()
    return results[0]


def blocks_of_two_products():
    """How many blocks each of two products asks the core for."""
    counts = []
    for _ in range(2):
        before = _core.alloc_count()
        np.testing.assert_array_equal(kernels.gemm(LARGE, LARGE), np.full((300, 300), 300, np.float32))
        counts.append(_core.alloc_count() - before)
    return counts


def test_allocations_are_counted_together():
    assert in_new_thread(blocks_of_two_products) == [1, 0]


def test_allocations_fail_together():
    """What is switched on in one extension is seen by the other: the first product gets no memory, the second asks again."""

    def without_memory():
        _core.alloc_fail_at(1)
        try:
            return blocks_of_two_products()
        finally:
            _core.alloc_fail_at(0)

    assert in_new_thread(without_memory) == [1, 1]


def test_kernels_use_the_instruction_set_of_the_plans():
    code = "from nncore import _core; from nncore._core import kernels; import numpy as np; x = np.float32([[0.1, 0.7, -3.0]]); "
    code += (
        "print(kernels.activation_forward('tanh', x).tobytes() == kernels.activation_forward('tanh', x, isa=_core.isa()).tobytes())"
    )
    for isa in _core.isas():
        assert run(code, NNCORE_ISA=isa).stdout.split() == ["True"]


def test_kernels_hold_no_core_of_their_own():
    """The core makes up most of a file that has it, and brings the library of its threads."""
    held = {module: Path(module.__file__).read_bytes() for module in (plans, kernels, files)}
    assert [re.search(rb"lib\w*omp[-.\w]*\.so", content) is not None for content in held.values()] == [True, False, False]
    assert len(held[kernels]) < len(held[plans]) / 4


def run(code, **environment):
    return subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **environment}, capture_output=True, text=True, timeout=60, check=False
    )


def capsule_name():
    name = ctypes.pythonapi.PyCapsule_GetName
    name.restype, name.argtypes = ctypes.c_char_p, [ctypes.py_object]
    return name(plans.kernel_interface).decode()


#: A capsule with this name, around these sizes, in the place of the real one.
FORGED = """
import ctypes
from nncore._core import plans
get, new = ctypes.pythonapi.PyCapsule_GetPointer, ctypes.pythonapi.PyCapsule_New
get.restype, get.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
new.restype, new.argtypes = ctypes.py_object, [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
real = get(plans.kernel_interface, {own!r})
sizes = (ctypes.c_size_t * 64)(*(ctypes.c_size_t * 4).from_address(real))
ctypes.memmove(sizes, real, sizes[0])
sizes[{at}] += {more}
name = {name!r}
plans.kernel_interface = new(ctypes.addressof(sizes), name, None)
from nncore._core import kernels
print(kernels.exp(__import__("numpy").zeros(1)))
"""
REFUSED = "ImportError: nncore._core.kernels ({}) and nncore._core.plans are not of one build of nncore; install it anew"


@pytest.mark.parametrize("at", range(4))
def test_interface_of_another_size_is_refused(at):
    own = capsule_name().encode()
    assert run(FORGED.format(own=own, name=own, at=at, more=0)).stdout.split() == ["[1.]"]
    process = run(FORGED.format(own=own, name=own, at=at, more=8))
    assert process.stderr.splitlines()[-1] == REFUSED.format(_core.__version__)


def test_interface_of_another_version_is_refused():
    own = capsule_name().encode()
    assert own.endswith(b" " + _core.__version__.encode())
    process = run(FORGED.format(own=own, name=own.replace(_core.__version__.encode(), b"0.0.7"), at=0, more=0))
    assert process.stderr.splitlines()[-1] == REFUSED.format(_core.__version__)


@pytest.mark.parametrize("found", [None, 7, "capsule"])
def test_what_is_no_interface_is_refused(found):
    process = run(f"from nncore._core import plans; plans.kernel_interface = {found!r}; from nncore._core import kernels")
    assert process.stderr.splitlines()[-1] == REFUSED.format(_core.__version__)
