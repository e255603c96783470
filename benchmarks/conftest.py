"""The fixture ``versus``: a benchmark of nncore with NumPy's time for the same thing beside it, and the verdict at the end.

Only ratios (NumPy's time / nncore's) are compared with baseline.json: they move little with the machine's mood, because the two
are timed in turn, a millisecond each, on one thread. They are written to out/ratios.json, from which compare.py works.
"""

import json
import time

import compare
import numpy as np
import pytest
import threadpoolctl

from nncore import _core

ROUNDS, SLICE = 15, 1e-3
ratios: dict[str, float] = {}


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    """Both sides on one thread: what is compared is kernels, not thread pools."""
    threads = _core.get_num_threads()
    _core.set_num_threads(1)
    with threadpoolctl.threadpool_limits(1, user_api="blas"):
        yield
    _core.set_num_threads(threads)


@pytest.fixture
def versus(benchmark, request):
    """Call with two functions that do the same: checks that the results agree, then times them in turn.

    ``theirs`` may be None where NumPy has no counterpart written down; then only nncore is timed. ``same=False``: the results
    are not comparable (random masks), or there are none.
    """

    def run(ours, theirs=None, rtol=1e-4, atol=1e-5, same=True):
        if theirs is not None and same:
            _agree(ours(), theirs(), rtol, atol)
        benchmark(ours)
        if theirs is not None:
            mine, other = _in_turn(ours, theirs)
            ratios[request.node.nodeid] = benchmark.extra_info["ratio"] = round(other / mine, 3)

    return run


def _agree(a, b, rtol, atol):
    for x, y in zip(a if isinstance(a, tuple) else (a,), b if isinstance(b, tuple) else (b,), strict=True):
        np.testing.assert_allclose(x, y, rtol, atol)


def _in_turn(*functions):
    counts = [max(1, int(SLICE / _time(f, 1))) for f in functions]
    counts = [max(1, int(SLICE / (_time(f, n) / n))) for f, n in zip(functions, counts, strict=True)]
    best = [np.inf] * len(functions)
    for _ in range(ROUNDS):
        for i, (f, n) in enumerate(zip(functions, counts, strict=True)):
            best[i] = min(best[i], _time(f, n) / n)
    return best


def _time(f, n):
    start = time.perf_counter()
    for _ in range(n):
        f()
    return time.perf_counter() - start


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter):
    if not ratios:
        return
    compare.RESULTS.parent.mkdir(exist_ok=True)
    compare.RESULTS.write_text(json.dumps(compare.record(ratios), indent=1) + "\n")
    terminalreporter.section("NumPy's time / nncore's time")
    for line in compare.verdict(compare.record(ratios), compare.load(compare.BASELINE)):
        terminalreporter.write_line(line)
