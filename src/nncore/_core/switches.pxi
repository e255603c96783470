# switches.pxi: what tests switch on in the core, and ask it, to see what cannot be seen from outside.


def force_threads(int n, int lose=0):
    """Let every phase have n threads, however little there is to do; 0 switches it off. lose: parts of the parameter tasks that
    nobody does, a fault that a test has to find."""
    if n < 0 or lose < 0:
        raise ValueError(f"n={n}, lose={lose}: expected a number of threads, or 0, and a number of parts")
    nnc_force_threads(n, lose)


def find_bad_partition(double[::1] work, size_t[::1] rows, int most):
    """The first number of threads, up to `most`, that do not have all rows of the tasks of so much work between them; 0: none."""
    if len(work) != len(rows) or not len(work):
        raise ValueError("expected as many works as rows, and at least one")
    cdef int bad = nnc_find_bad_partition(&work[0], &rows[0], len(work), most)
    if bad < 0:
        raise MemoryError("no memory for the tasks")
    return bad
