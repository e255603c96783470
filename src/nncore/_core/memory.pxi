# memory.pxi: the memory of a network's parameters, with a counter of their changes. A plan in bfloat16 keeps its weights as operands for
# predictions; it must notice every change, also one through an array that a user has.
#
# Arrays are handed out by few functions here and in the layers, which count that as a change. A user's arrays, or arrays made from them,
# refer to the network's own view of the parameter. So if nothing else refers to that, nobody can write, and a copy of the weights stays
# valid until something is counted.

cdef extern from "Python.h":
    Py_ssize_t refcount "Py_REFCNT"(PyObject *) noexcept
    PyObject *tuple_item "PyTuple_GET_ITEM"(PyObject *, Py_ssize_t) noexcept
    PyObject *list_item "PyList_GET_ITEM"(PyObject *, Py_ssize_t) noexcept
    PyObject *dict_item "PyDict_GetItem"(PyObject *, object) noexcept


@cython.final
cdef class Memory:
    """Memory for parameters. It is the base of every view of a network."""

    cdef object block
    cdef uint64_t changes
    cdef object __weakref__
    cdef bint is_shared  # with another network, whose views are not known here


cdef cnp.ndarray over_memory(cnp.ndarray like, Memory memory):
    """The same numbers as another array, with `memory` as the base."""
    cdef cnp.ndarray found = cnp.PyArray_New(
        np.ndarray, cnp.PyArray_NDIM(like), cnp.PyArray_DIMS(like), cnp.PyArray_TYPE(like), cnp.PyArray_STRIDES(like),
        cnp.PyArray_DATA(like), 0, cnp.NPY_ARRAY_WRITEABLE | cnp.NPY_ARRAY_ALIGNED, None)
    cnp.set_array_base(found, memory)
    return found


cdef cnp.ndarray parameter_memory(size_t elements, object dtype):
    """Zeroed memory for parameters, as an array."""
    cdef Memory memory = Memory()
    memory.block = aligned_zeros(elements, dtype)
    return over_memory(memory.block, memory)


cdef Memory memory_of(object array):
    """The memory of an array that a network has of a parameter, or None."""
    base = cnp.get_array_base(<cnp.ndarray>array)
    return <Memory>base if isinstance(base, Memory) else None


cdef cnp.ndarray shared_view(cnp.ndarray view):
    """A view for another network that shares this parameter."""
    cdef Memory memory = memory_of(view)
    memory.is_shared = True
    return over_memory(view, memory)


cdef bint is_held(PyObject *view) noexcept:
    """Whether something besides a network refers to its view of a parameter, or may have views of its own."""
    return refcount(view) > 1 or (<Memory>cnp.get_array_base(<cnp.ndarray>view)).is_shared


def count_change(cnp.ndarray array not None):
    """Note that the values of a parameter may change: `array` is the network's view of it, which is handed out or has been written to."""
    cdef Memory memory = memory_of(array)
    if memory is not None:
        memory.changes += 1
