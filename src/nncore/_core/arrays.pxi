# arrays.pxi: checks of the array properties that kernels assume (dtype, shape, strides, alignment). Errors name the argument.

cdef struct Matrix:
    void *data
    size_t rows, cols, ld


cdef tuple shape_of(object array):
    """The shape as a tuple. For a typed array, Cython would return a pointer."""
    return array.shape


cdef tuple strides_of(object array):
    return array.strides


cdef int check_layout(str name, cnp.ndarray array, bint writable) except -1:
    if not cnp.PyArray_ISBEHAVED_RO(array):
        raise ValueError(f"{name}: the elements must be aligned and in native byte order")
    if writable and not cnp.PyArray_ISWRITEABLE(array):
        raise ValueError(f"{name}: the array is written to, but is read-only")
    return 0


cdef bint is_float64(str name, cnp.ndarray array) except -1:
    cdef int number = cnp.PyArray_TYPE(array)
    if number != cnp.NPY_FLOAT and number != cnp.NPY_DOUBLE:
        raise TypeError(f"{name}: expected dtype float32 or float64, got {array.dtype}")
    return number == cnp.NPY_DOUBLE


cdef int check_dtype(str name, cnp.ndarray array, bint f64) except -1:
    if is_float64(name, array) != f64:
        raise TypeError(f"{name}: expected dtype {'float64' if f64 else 'float32'}, got {array.dtype}")
    return 0


cdef size_t row_distance(str name, cnp.ndarray array) except? 0:
    """The distance between rows in elements. NumPy's stride has no meaning for a size of 0 or 1."""
    cdef cnp.npy_intp rows = cnp.PyArray_DIM(array, 0), cols = cnp.PyArray_DIM(array, 1)
    cdef cnp.npy_intp item = cnp.PyArray_ITEMSIZE(array), stride = cnp.PyArray_STRIDE(array, 0)
    if rows == 0 or cols == 0:
        return cols
    if cols > 1 and cnp.PyArray_STRIDE(array, 1) != item:
        raise ValueError(f"{name}: the elements of a row must be adjacent (strides {strides_of(array)}); pass a C-contiguous copy")
    if rows == 1:
        return cols
    if stride < cols * item or stride % item:
        raise ValueError(f"{name}: rows must not overlap or run backwards (strides {strides_of(array)}); pass a C-contiguous copy")
    return stride // item


cdef Matrix as_matrix(str name, cnp.ndarray array, bint f64, bint writable=False) except *:
    cdef Matrix m
    check_dtype(name, array, f64)
    check_layout(name, array, writable)
    if cnp.PyArray_NDIM(array) != 2:
        raise ValueError(f"{name}: expected 2 dimensions, got shape {shape_of(array)}")
    m.data = cnp.PyArray_DATA(array)
    m.rows = cnp.PyArray_DIM(array, 0)
    m.cols = cnp.PyArray_DIM(array, 1)
    m.ld = row_distance(name, array)
    return m


cdef void *as_vector(str name, cnp.ndarray array, bint f64, size_t n, bint writable=False) except? NULL:
    """The data of a contiguous 1-D array of n elements, or NULL for None."""
    if array is None:
        return NULL
    check_dtype(name, array, f64)
    if cnp.PyArray_NDIM(array) != 1 or <size_t>cnp.PyArray_DIM(array, 0) != n:
        raise ValueError(f"{name}: expected shape ({n},), got {shape_of(array)}")
    return as_flat(name, array, f64, writable)


cdef void *as_flat(str name, cnp.ndarray array, bint f64, bint writable=False) except? NULL:
    """The data of a contiguous array of any shape."""
    check_dtype(name, array, f64)
    check_layout(name, array, writable)
    if not cnp.PyArray_IS_C_CONTIGUOUS(array):
        raise ValueError(f"{name}: expected a C-contiguous array, got strides {strides_of(array)}")
    return cnp.PyArray_DATA(array)


cdef int check_shape(str name, const Matrix *m, size_t rows, size_t cols) except -1:
    if m.rows != rows or m.cols != cols:
        raise ValueError(f"{name}: expected shape ({rows}, {cols}), got ({m.rows}, {m.cols})")
    return 0


cdef cnp.ndarray empty(size_t rows, size_t cols, bint f64):
    cdef cnp.npy_intp[2] shape = [rows, cols]
    return cnp.PyArray_EMPTY(2, shape, cnp.NPY_DOUBLE if f64 else cnp.NPY_FLOAT, 0)


cdef cnp.ndarray empty_vector(size_t n, bint f64):
    cdef cnp.npy_intp size = n
    return cnp.PyArray_EMPTY(1, &size, cnp.NPY_DOUBLE if f64 else cnp.NPY_FLOAT, 0)
