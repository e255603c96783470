"""Process-wide switches of the core are put back after each test."""

import pytest

from nncore import _core


@pytest.fixture(autouse=True)
def restore_switches():
    yield
    _core.alloc_fail_at(0)
    _core.set_num_threads(0)
