# switches.pxi: switches of the core for tests, and queries of its internal state.


def force_threads(int n, int lose=0):
    """Use n threads in every phase, even if there is little work. 0 disables this. lose: parts of the parameter tasks that are skipped, an
    error that a test must detect."""
    if n < 0 or lose < 0:
        raise ValueError(f"n={n}, lose={lose}: expected a number of threads, or 0, and a number of parts")
    nnc_force_threads(n, lose)


def force_operand_mode(str mode=""):
    """How plans in bfloat16 that are made from now on write operands: "separate", each layer its own from float32 rows; "woven", also in
    the update of weights; "" as suits the CPU. Results are the same."""
    nnc_force_operand_mode(["", "separate", "woven"].index(mode))


def find_bad_partition(cnp.ndarray work not None, cnp.ndarray rows not None, int most):
    """The first number of threads, up to `most`, that do not process all rows of tasks with this work; 0: none."""
    if len(work) != len(rows) or not len(work):
        raise ValueError("expected as many works as rows, and at least one")
    work, rows = np.ascontiguousarray(work, np.float64), np.ascontiguousarray(rows, np.uintp)
    cdef int bad = nnc_find_bad_partition(<const double *>cnp.PyArray_DATA(work), <const size_t *>cnp.PyArray_DATA(rows), len(work), most)
    if bad < 0:
        raise MemoryError("no memory for the tasks")
    return bad
