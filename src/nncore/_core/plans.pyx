# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False
# cython: auto_pickle=False, binding=False, embedsignature=True, embedsignature.format=clinic
"""The boundary between Python and the C core: validate, release the GIL, call, raise. No maths here.

This extension is linked with the core, and every user imports it. `files` needs no core. `kernels`, an extension for tests and benchmarks,
gets the functions that it needs from here (kernel_interface). access.pxi is part of this unit, because every call into a plan uses its inlined functions, which
also ask the core whether the process has forked. In a separate module they would need pointers for that, and `import nncore` would load two
extensions.
"""

import numpy as np
from os import environ

from cpython.pycapsule cimport PyCapsule_New
from cpython.ref cimport PyObject
cimport numpy as cnp

from .c_ops cimport *
from .c_plan cimport *

cnp.import_array()

if nnc_guard_against_fork():
    raise MemoryError("no memory to watch for forks")

cdef extern from *:
    """
    #if defined(__clang__)
    #define NNCORE_COMPILER "Clang " __clang_version__
    #elif defined(__GNUC__)
    #define NNCORE_COMPILER "GCC " __VERSION__
    #else
    #error "GCC or Clang is needed: the kernels use their vector extension"
    #endif
    #ifdef Py_GIL_DISABLED
    #error "free-threaded builds of Python are not supported: a network's bookkeeping relies on the GIL; take a Python with it"
    #endif
    """
    const char *NNCORE_COMPILER

__version__ = NNCORE_VERSION.decode()

cdef tuple ISA_NAMES = tuple([nnc_isa_names[i].decode() for i in range(NNC_ISA_COUNT)])
cdef list ISAS = [ISA_NAMES[i] for i in range(NNC_ISA_COUNT) if nnc_cpu_has(<nnc_isa>i)]


cdef nnc_isa choose_isa() except *:
    """The best instruction set of this CPU, or the one that NNCORE_ISA selects, if the CPU has it."""
    wanted = environ.get("NNCORE_ISA", "")
    if not wanted:
        return nnc_cpu_best()
    if wanted not in ISAS:
        why = "this CPU does not have it" if wanted in ISA_NAMES else "no such instruction set"
        raise ImportError(f"NNCORE_ISA={wanted}: {why}; this CPU has {', '.join(ISAS)}")
    return <nnc_isa><int>ISA_NAMES.index(wanted)


cdef nnc_isa ISA_IN_USE = choose_isa()  # read once: the kernel tables must not change for a compiled plan


def isas():
    """The instruction sets that this CPU has and for which the library was built, from the lowest to the best."""
    return list(ISAS)


def isa():
    """The instruction set in use."""
    return ISA_NAMES[ISA_IN_USE]


cdef str describe_low_precision():
    """What multiplies in low precision. Whether the system allows tiles is known when the first plan has asked."""
    if isa() != "amx":
        return "instructions for float32"
    answer = nnc_tiles_answer()
    if answer < 0:
        return "instructions for float32, as the system does not let this process use the tiles of AMX"
    return "tiles of AMX" if answer else "tiles of AMX, if the system lets this process use them"


def config():
    """Build and runtime configuration of the core."""
    return {
        "version": __version__,
        "compiler": NNCORE_COMPILER.decode(),
        "isa": isa(),
        "isas": isas(),
        "threads": get_num_threads(),
        "dtypes": ["float32", "float64"],
        "bfloat16": describe_low_precision(),
    }


def measure_bf16():
    """How many times faster products are in bfloat16 than in float32 on this CPU; 0 where bfloat16 cannot be faster."""
    return nnc_measure_bf16(ISA_IN_USE)


def get_num_threads():
    """The largest number of threads that a call may use."""
    return nnc_get_num_threads()


def set_num_threads(int n):
    """Set the largest number of threads that a call may use. 0 restores the default. Returns the number before, or 0."""
    if n < 0:
        raise ValueError(f"n: expected a number of threads, or 0 for the default, got {n}")
    return nnc_set_num_threads(n)


def limit_own_threads(int n):
    """Limit the threads of calls from this Python thread alone; 0 ends the limit. Returns the limit before."""
    return nnc_limit_own_threads(max(n, 0))


def fork_count():
    """Number of forks between the process that imported nncore and this one."""
    return nnc_fork_count()


include "c_kernels.pxi"

core = nnc_get_kernel_interface()
kernel_interface = PyCapsule_New(<void *>core, NNCORE_KERNEL_INTERFACE, NULL)

include "registry.pxi"
include "codes.pxi"
include "arrays.pxi"
include "sources.pxi"
include "switches.pxi"
include "planning.pxi"
include "access.pxi"
include "memory.pxi"
include "lengths.pxi"
include "plan.pxi"
include "run.pxi"
include "guards.pxi"
include "calls.pxi"
include "stepping.pxi"
include "model.pxi"
include "stream.pxi"
include "int8.pxi"
include "scores.pxi"
