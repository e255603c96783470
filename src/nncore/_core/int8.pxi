# int8.pxi: weights of 8-bit integers as arrays, and as the core packs them (csrc/ops/int8.h).


def quantize_int8(cnp.ndarray w not None):
    """The 8-bit integers [out, in] and the scales [out] of a contiguous weight of float32 [out, in]."""
    cdef size_t n = w.shape[0], k = w.shape[1], good
    cdef cnp.ndarray q = np.empty((n, k), np.int8), scale = np.empty(n, np.float32)
    cdef int8_t *to = <int8_t *>cnp.PyArray_DATA(q)
    cdef float *scales = <float *>cnp.PyArray_DATA(scale)
    cdef const float *numbers = <const float *>cnp.PyArray_DATA(w)
    if w.dtype != np.float32 or not cnp.PyArray_IS_C_CONTIGUOUS(w):
        raise ValueError("w: expected contiguous float32")
    with nogil:
        good = nnc_low_kernels_for(ISA_IN_USE).int8_quantize_weight(to, scales, numbers, n, k)
    if good < n:
        column = int(np.flatnonzero(~np.isfinite(w[good]))[0])
        raise ValueError(f"{w[good, column]} at ({good}, {column})")
    return q, scale


def pack_int8(cnp.ndarray packed not None, cnp.ndarray q not None, cnp.ndarray scale not None):
    """Write a weight into the memory of a parameter."""
    cdef size_t n = q.shape[0], k = q.shape[1]
    need_packed(packed, n, k)
    if not (q.strides[0] or q.strides[1] or scale.strides[0]):  # zeros without memory, as which the parameter begins
        return
    if q.dtype != np.int8 or scale.dtype != np.float32 or scale.shape[0] != <cnp.npy_intp>n:
        raise ValueError("expected int8 [out, in] and float32 [out]")
    q, scale = np.ascontiguousarray(q), np.ascontiguousarray(scale)
    cdef nnc_int8_weight to = nnc_int8_weight_at(cnp.PyArray_DATA(packed), k, n)
    nnc_low_kernels_for(ISA_IN_USE).int8_pack(&to, <const int8_t *>cnp.PyArray_DATA(q), <const float *>cnp.PyArray_DATA(scale))


def unpack_int8(cnp.ndarray packed not None, size_t n, size_t k):
    """The 8-bit integers [n, k] and the scales [n] of a parameter."""
    need_packed(packed, n, k)
    cdef cnp.ndarray q = np.empty((n, k), np.int8), scale = np.empty(n, np.float32)
    cdef nnc_int8_weight of = nnc_int8_weight_at(cnp.PyArray_DATA(packed), k, n)
    nnc_low_kernels_for(ISA_IN_USE).int8_unpack(<int8_t *>cnp.PyArray_DATA(q), <float *>cnp.PyArray_DATA(scale), &of)
    return q, scale


cdef int need_packed(cnp.ndarray packed, size_t n, size_t k) except -1:
    if packed.dtype != np.uint8 or packed.ndim != 1 or <size_t>packed.shape[0] != nnc_int8_bytes(k, n) or not cnp.PyArray_IS_C_CONTIGUOUS(packed):
        raise ValueError(f"expected the bytes of a packed weight [{n}, {k}]")
    return 0
