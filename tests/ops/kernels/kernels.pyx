# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False
# cython: auto_pickle=False, binding=False, embedsignature=True, embedsignature.format=clinic
"""Single kernels of the core, for tests and benchmarks. The package does not import this module and its wheel does not have it: only builds
with the CMake option NNCORE_KERNELS do.

The module is not linked with the core. It gets the addresses of all functions from `plans`, so that a process has only one core. Those that
the package calls as well are functions of `plans`.
"""

import numpy as np

from cpython.pycapsule cimport PyCapsule_GetPointer, PyCapsule_IsValid
cimport numpy as cnp

from nncore._core.c_ops cimport *
from nncore._core.plans import (
    OPS, count_classes, count_decisions, isa as isa_in_use, isas, kernel_interface, row_losses as loss, sum_residuals)

include "c_kernels.pxi"

cnp.import_array()


cdef const nnc_kernel_interface *open_interface(object capsule) except NULL:
    """The content of the capsule, after checking that it was built together with this module."""
    cdef const nnc_kernel_interface *found
    if PyCapsule_IsValid(capsule, NNCORE_KERNEL_INTERFACE):
        found = <const nnc_kernel_interface *>PyCapsule_GetPointer(capsule, NNCORE_KERNEL_INTERFACE)
        if (found.size == sizeof(nnc_kernel_interface) and found.table_size == sizeof(nnc_kernels_f32)
                and found.update_size == sizeof(nnc_update) and found.recurrence_size == sizeof(nnc_recurrence)
                and found.low_table_size == sizeof(nnc_low_kernels)):
            return found
    raise ImportError(
        f"nncore._core.kernels ({NNCORE_VERSION.decode()}) and nncore._core.plans are not of one build of nncore; install it anew",
        name="nncore._core.kernels")


core = open_interface(kernel_interface)

cdef tuple ISA_NAMES = tuple([core.isa_names[i].decode() for i in range(NNC_ISA_COUNT)])
cdef list ISAS = isas()
cdef nnc_isa ISA_IN_USE = <nnc_isa><int>ISA_NAMES.index(isa_in_use())

include "codes.pxi"
include "arrays.pxi"
include "op_kernels.pxi"
include "matrix_kernels.pxi"
include "step_kernels.pxi"
include "layer_kernels.pxi"
include "recurrent_kernels.pxi"
include "low_kernels.pxi"
