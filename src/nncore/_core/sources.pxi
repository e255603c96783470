# sources.pxi: common parts of all calls into a plan: exceptions from status codes, aligned buffers, and the conversion of arrays into
# sources from which the core gathers rows.

from libc.string cimport memcpy, memset, strcmp

from cpython.exc cimport PyErr_CheckSignals
from cpython.mem cimport PyMem_Calloc, PyMem_Free, PyMem_Realloc
from cpython.pythread cimport PyThread_get_thread_ident
from cpython.ref cimport Py_REFCNT, PyObject
from operator import index
from time import monotonic, sleep
from _thread import get_ident  # importing threading is slow
from ..errors import (
    ArgumentError, ConcurrentUseError, DTypeError, IndexRangeError, NotBuiltError, NotCompiledError, ShapeError, SizeError)

cdef extern from *:
    PyObject **PyObject_GET_WEAKREFS_LISTPTR(PyObject *)

cdef dict STATUS = {NNC_ERROR_MEMORY: MemoryError, NNC_ERROR_SIZE: SizeError, NNC_ERROR_SHAPE: ShapeError, NNC_ERROR_VALUE: ArgumentError}

cdef int[24] GATHERED  # nnc_source_type by NumPy's type number, or -1
for _number in range(24):
    GATHERED[_number] = -1
for _type in map(np.dtype, "efd?bBhHiIlLqQ"):
    GATHERED[<int>_type.num] = SOURCE_TYPES[_type.kind, _type.itemsize]


def shuffle(cnp.ndarray order, object seed, object epoch):
    """Fill ``order`` (int64, contiguous) with the permutation that ``seed`` and ``epoch`` determine."""
    if cnp.PyArray_TYPE(order) != cnp.NPY_INT64 or not cnp.PyArray_ISCARRAY(order):
        raise DTypeError("shuffle: order must be a writable, contiguous int64 array")
    cdef size_t n = cnp.PyArray_SIZE(order)
    cdef uint64_t s = <uint64_t>(seed & 0xFFFFFFFFFFFFFFFF), e = <uint64_t>epoch
    cdef int64_t *at = <int64_t *>cnp.PyArray_DATA(order)
    with nogil:
        nnc_shuffle(at, n, s, e, ISA_IN_USE)


def alloc_count():
    """Number of blocks that the core has allocated so far. Tests assert that a step allocates none."""
    return nnc_alloc_count()


def alloc_fail_at(size_t k):
    """Let the k-th allocation of the core from now on fail. 0 disables this. For tests."""
    nnc_alloc_fail_at(k)


cdef inline void breathe(int i) noexcept:
    """Release the GIL now and then, because loops in C do not do it by themselves."""
    if i % 2048 == 2047:
        with nogil:
            pass


cdef inline unsigned long this_thread() noexcept:
    return <unsigned long>PyThread_get_thread_ident()


cdef int raise_error(const nnc_error *error) except -1:
    raise STATUS[error.status](error.message.decode(errors="replace"))  # a long message may end in the middle of a character


def aligned_zeros(size_t elements, object dtype):
    """A zeroed 1-D array, aligned to a cache line. A large one is aligned to a page of 2 MB, for which NumPy asks from 4 MB on."""
    size = elements * np.dtype(dtype).itemsize
    alignment, spare = (64, 64) if size < 1 << 20 else (2 << 20, 4 << 20) if size < 4 << 20 else (2 << 20, 2 << 20)
    block = np.zeros(size + spare, np.uint8)
    skip = -block.ctypes.data % alignment
    return block[skip : skip + size].view(dtype)


cdef enum:
    LINE = 64
    KEPT = 4  # a loop refers to the results of the previous step while it requests those of the next
    LEAST_KEPT = 32 << 10  # the C library reuses smaller blocks by itself
    MOST_KEPT = 4 << 20  # larger blocks use huge pages


cdef class Results:
    """Arrays for the results of repeated calls. Their data are aligned to a cache line. NumPy's are not, so each stored vector would touch
    two lines. The memory of the last results is used again as soon as there are no references to the array or a view of it. The C library
    would return it to the system and request it again page by page, which can take longer than the call.
    """

    cdef list blocks  # arrays of bytes, the bases of the results; the last used one is first

    def __cinit__(self):
        self.blocks = []

    cdef cnp.ndarray take(self, int rank, cnp.npy_intp *dims, int typenum):
        cdef int d
        cdef cnp.npy_intp size = 8 if typenum == cnp.NPY_DOUBLE else 4
        cdef double bytes = size
        for d in range(rank):
            size *= dims[d]
            bytes *= dims[d]
        if bytes < LEAST_KEPT or bytes > MOST_KEPT:
            return cnp.PyArray_EMPTY(rank, dims, typenum, 0)
        cdef cnp.ndarray block = self._block(size + LINE)
        cdef char *at = <char *>cnp.PyArray_DATA(block)
        at += (LINE - <size_t>at % LINE) % LINE
        cdef cnp.ndarray array = <cnp.ndarray>cnp.PyArray_New(
            cnp.ndarray, rank, dims, typenum, NULL, at, 0, cnp.NPY_ARRAY_CARRAY, None)
        cnp.set_array_base(array, block)
        return array

    cdef cnp.ndarray _block(self, cnp.npy_intp size):
        cdef cnp.ndarray block
        cdef int i, n = len(self.blocks)
        for i in range(n):
            block = <cnp.ndarray>self.blocks[i]
            if Py_REFCNT(block) == 2 and cnp.PyArray_SIZE(block) == size:  # the list and this variable
                if i:
                    self.blocks.insert(0, self.blocks.pop(i))
                return block
        block = cnp.PyArray_EMPTY(1, &size, cnp.NPY_UINT8, 0)
        self.blocks.insert(0, block)
        del self.blocks[KEPT:]
        return block


cdef bint is_strided(cnp.ndarray a):
    """Whether the elements of its rows are not contiguous and must be collected one by one."""
    cdef int number = cnp.PyArray_TYPE(a), d
    cdef cnp.npy_intp expected = cnp.PyArray_ITEMSIZE(a)
    if number == cnp.NPY_LONGDOUBLE:
        return cnp.PyArray_ISNOTSWAPPED(a)
    if number >= 24 or GATHERED[number] < 0:
        return False
    if not cnp.PyArray_ISNOTSWAPPED(a) or not cnp.PyArray_ISALIGNED(a):
        return True
    for d in range(cnp.PyArray_NDIM(a) - 1, 0, -1):
        if cnp.PyArray_DIM(a, d) > 1 and cnp.PyArray_STRIDE(a, d) != expected:
            return True
        expected *= cnp.PyArray_DIM(a, d)
    return False


cdef int bind_strided(nnc_source *source, nnc_strided *strided, cnp.ndarray a, size_t rows, size_t width, str what) except -1:
    """`bind_source` for an array from which the core cannot gather directly."""
    cdef int number = cnp.PyArray_TYPE(a), d
    cdef size_t got = 1
    if cnp.PyArray_NDIM(a) == 0 or <size_t>cnp.PyArray_DIM(a, 0) != rows or cnp.PyArray_NDIM(a) > NNC_MAX_RANK + 1:
        raise ShapeError(f"{what}: expected {rows} rows, got shape {shape_of(a)}")
    strided.rank = cnp.PyArray_NDIM(a) - 1
    for d in range(strided.rank):
        strided.dim[d] = cnp.PyArray_DIM(a, d + 1)
        strided.step[d] = cnp.PyArray_STRIDE(a, d + 1)
        got *= strided.dim[d]
    if got != width:
        raise ShapeError(f"{what}: expected {width} numbers per row, got {got} (shape {shape_of(a)})")
    strided.data = <const char *>cnp.PyArray_DATA(a)
    strided.is_extended = number == cnp.NPY_LONGDOUBLE
    strided.type = NNC_SOURCE_F64 if strided.is_extended else <nnc_source_type>GATHERED[number]
    strided.bytes = cnp.PyArray_ITEMSIZE(a)
    strided.is_swapped = not cnp.PyArray_ISNOTSWAPPED(a)
    strided.row = cnp.PyArray_STRIDE(a, 0)
    source.data = strided
    source.type = <nnc_source_type><int>NNC_SOURCE_STRIDED
    source.stride = 0
    return 0


cdef int bind_source(
    nnc_source *source, object array, size_t rows, size_t width, str what, nnc_strided *strided=NULL
) except -1:
    """Check that `array` has `rows` rows of `width` numbers from which the core can gather, and set the source.

    strided: memory for the description of other layouts, which memory maps may have; NULL: they raise an error.
    """
    if not isinstance(array, np.ndarray):
        raise DTypeError(f"{what}: expected an array, got {type(array).__name__}")
    cdef cnp.ndarray a = array
    cdef int number = cnp.PyArray_TYPE(a), ndim = cnp.PyArray_NDIM(a), d
    cdef size_t got = 1
    cdef cnp.npy_intp item = cnp.PyArray_ITEMSIZE(a), expected = item
    if strided != NULL and rows and is_strided(a):
        return bind_strided(source, strided, a, rows, width, what)
    if number >= 24 or GATHERED[number] < 0 or not cnp.PyArray_ISNOTSWAPPED(a) or not cnp.PyArray_ISALIGNED(a):
        raise DTypeError(f"{what}: dtype {array.dtype} cannot be read; convert it to float32")
    if ndim == 0 or <size_t>cnp.PyArray_DIM(a, 0) != rows:
        raise ShapeError(f"{what}: expected {rows} rows, got shape {array.shape}")
    for d in range(ndim - 1, 0, -1):
        if cnp.PyArray_DIM(a, d) > 1 and cnp.PyArray_STRIDE(a, d) != expected and rows:  # without rows strides have no meaning
            raise ShapeError(f"{what}: the numbers of a row must lie side by side (strides {array.strides}); pass a C-contiguous copy")
        expected *= cnp.PyArray_DIM(a, d)
        got *= cnp.PyArray_DIM(a, d)
    if got != width:
        raise ShapeError(f"{what}: expected {width} numbers per row, got {got} (shape {array.shape})")
    if cnp.PyArray_STRIDE(a, 0) % item and rows > 1:
        raise ShapeError(f"{what}: rows must lie a whole number of elements apart (strides {array.strides})")
    source.data = cnp.PyArray_DATA(a)
    source.type = <nnc_source_type>GATHERED[number]
    source.stride = cnp.PyArray_STRIDE(a, 0) // item if rows > 1 else <ptrdiff_t>width
    return 0


cdef size_t rows_of(object array) except? 0:
    """The first dimension from NumPy's C interface. A subclass may report another value in Python."""
    if isinstance(array, np.ndarray) and cnp.PyArray_NDIM(<cnp.ndarray>array) > 0:
        return cnp.PyArray_DIM(<cnp.ndarray>array, 0)
    return len(array)


cdef object whole_number(str name, object value, object least, object most):
    """The value of a model attribute as a whole number. NumPy's integers are accepted too."""
    try:
        number = None if isinstance(value, (bool, np.bool_)) else index(value)
    except TypeError:
        number = None
    if number is None or not least <= number <= most:
        raise ArgumentError(f"model.{name}: expected a whole number from {least} to {most}, got {value!r}")
    return number


cdef double *float64_out(object array, size_t n, str what) except? NULL:
    if array is None:
        return NULL
    cdef cnp.ndarray a = array
    if cnp.PyArray_TYPE(a) != cnp.NPY_DOUBLE or not cnp.PyArray_ISCARRAY(a) or <size_t>cnp.PyArray_SIZE(a) < n:
        raise ShapeError(f"{what}: expected a writable, contiguous float64 array of at least {n} elements")
    return <double *>cnp.PyArray_DATA(a)


cdef size_t size_of(tuple shape) except? 0:
    cdef size_t size = 1
    for d in shape:
        size *= <size_t>d
    return size


cdef object last_of(tuple shape):
    return shape[len(shape) - 1] if shape else 1
