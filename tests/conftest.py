"""What every test may use: each instruction set, each dtype, and random numbers that a failure can be repeated with."""

import gc
import os
import sys
import zlib
from importlib.util import find_spec

import numpy as np
import pytest
from emulation import Amx

from nncore import _core

SEED = int(os.environ.get("NNCORE_TEST_SEED", "20260"))
NO_KERNELS = (
    "This nncore has no nncore._core.kernels, the extension for tests and benchmarks. Run make test, or install it by "
    "pip install -Ccmake.define.NNCORE_KERNELS=ON ."
)
# Folders and files whose tests look at Python, files, memory or threads. What the kernels compute is tested elsewhere.
ABOVE_THE_KERNELS = (
    *("callbacks", "csrc", "data", "distributed", "estimators", "examples", "export", "foreign", "reliability", "typing"),
    *(
        "base/test_forks.py",
        "base/test_no_threads.py",
        "plan/test_autotune.py",
        "models/test_huge_sizes.py",
        "models/test_many_layers.py",
    ),
    *("network/test_pools.py", "saving/test_fuzz.py", "training/test_larger_than_memory.py", "test_docs.py"),
)
# Tests that run each instruction set themselves, whichever is the default.
OVER_ALL_SETS = ("ops/test_same_bits.py", "truth/test_instruction_sets.py")


def pytest_addoption(parser):
    parser.addoption("--exhaustive", action="store_true", help="also run the tests marked exhaustive (minutes)")
    parser.addoption(
        "--without-isa-tests",
        action="store_true",
        help="leave out the tests that choose the set themselves, as those over the fixtures isa and amx: for a second run",
    )
    parser.addoption(
        "--kernels-again",
        action="store_true",
        help="--without-isa-tests, and leave out what does not depend on the kernels: for a second run with another NNCORE_ISA",
    )
    parser.addoption("--part", metavar="K/N", help="every N-th file, from the K-th on: for N runs at a time that share the files")


def pytest_report_header(config):
    return f"nncore {_core.__version__}, {_core.isa()} of {', '.join(_core.isas())}; NNCORE_TEST_SEED={SEED}"


def pytest_collection_modifyitems(config, items):
    again = config.getoption("kernels_again")
    without_isa_tests = again or config.getoption("without_isa_tests")
    number, parts = map(int, (config.getoption("part") or "1/1").split("/"))
    of_this_part = sorted({item.path for item in items})[number - 1 :: parts]
    above, over_all = (tuple(config.rootpath / "tests" / part for part in parts) for parts in (ABOVE_THE_KERNELS, OVER_ALL_SETS))

    def left_out(item):
        return (
            item.path not in of_this_part
            or (item.get_closest_marker("exhaustive") and not config.getoption("exhaustive"))
            or (without_isa_tests and ({"isa", "amx"} & set(item.fixturenames) or item.path in over_all))
            or (again and any(item.path.is_relative_to(part) for part in above))
        )

    deselected = [item for item in items if left_out(item)]
    if deselected:
        config.hook.pytest_deselected(items=deselected)
        items[:] = [item for item in items if not left_out(item)]


def pytest_collection_finish():
    """Tests collect garbage. They need not look at the other tests each time, which takes a tenth of a second."""
    gc.collect()
    gc.freeze()


@pytest.fixture
def only_own_collectors():
    """Interrupts are not lost in what other libraries (JAX) do at each garbage collection: Python drops exceptions there."""
    kept = gc.callbacks[:]
    gc.callbacks.clear()
    yield
    gc.callbacks[:] = kept


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector):
    report = yield
    if report.failed and find_spec("nncore._core.kernels") is None:
        report.sections.append(("nncore", NO_KERNELS))
    return report


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if report.failed and "rng" in item.fixturenames:
        report.sections.append(("seed", f"NNCORE_TEST_SEED={SEED}"))
    return report


@pytest.fixture(autouse=True)
def seeded_torch():
    """What PyTorch draws in a test does not depend on the tests before it."""
    if torch := sys.modules.get("torch"):
        torch.manual_seed(SEED)


@pytest.fixture(params=_core.isas())
def isa(request):
    """The name of each instruction set that this CPU has."""
    return request.param


@pytest.fixture(scope="session")
def amx(tmp_path_factory):
    """Where programs run on the instruction set ``amx``, on any CPU with AVX-512: an emulation.Amx."""
    return Amx(tmp_path_factory.mktemp("amx"))


@pytest.fixture(params=["float32", "float64"])
def dtype(request):
    """Each dtype, as a numpy.dtype."""
    return np.dtype(request.param)


@pytest.fixture
def rng(request):
    """A Generator that depends on the seed and on the name of the test alone, not on which tests ran before."""
    return np.random.default_rng([SEED, zlib.crc32(request.node.nodeid.encode())])


@pytest.fixture(autouse=True)
def restore_switches():
    """Put the process-wide switches of the core back after each test."""
    yield
    _core.alloc_fail_at(0)
    _core.set_num_threads(0)
