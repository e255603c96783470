"""Build configuration, number of threads, and the seed of the process."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from . import _core
from ._checks import whole

MOST = 2**31 - 1  # threads: a C int


def show_config() -> None:
    """Print the version, the compiler, the instruction set in use, the number of threads and the version of NumPy.

    It also tells how ``compute="bfloat16"`` multiplies on this CPU. The results are the same everywhere, but only tiles of AMX are
    faster than float32 in training.

    Examples
    --------
    >>> import nncore as nn
    >>> nn.show_config()  # doctest: +ELLIPSIS
    nncore ...
    """
    found = _core.config()
    print(f"nncore           {found['version']}")
    print(f"compiler         {found['compiler']}")
    print(f"instruction set  {found['isa']} (this CPU has {', '.join(found['isas'])})")
    print(f"bfloat16         by {found['bfloat16']}")
    print(f"threads          {found['threads']}")
    print(f"NumPy            {np.__version__}")


def get_num_threads() -> int:
    """Return the largest number of threads that one call may use.

    Examples
    --------
    >>> import nncore as nn
    >>> nn.get_num_threads() >= 1
    True
    """
    return _core.get_num_threads()


def set_num_threads(n: int) -> None:
    """Set the largest number of threads that one call may use. Results do not depend on it.

    Parameters
    ----------
    n : int
        1 or more; 0 restores the default. Small networks always use one thread.

    Examples
    --------
    >>> import nncore as nn
    >>> before = nn.get_num_threads()
    >>> nn.set_num_threads(1)
    >>> nn.get_num_threads()
    1
    >>> nn.set_num_threads(before)
    """
    _core.set_num_threads(min(whole("set_num_threads", "n", n, 0), MOST))


@contextmanager
def threads(n: int) -> Iterator[None]:
    """Use at most ``n`` threads inside a ``with`` block. The number applies to the whole process, not to one Python thread.

    Parameters
    ----------
    n : int
        1 or more.

    Examples
    --------
    >>> import nncore as nn
    >>> with nn.threads(1):
    ...     nn.get_num_threads()
    1
    """
    before = _core.set_num_threads(min(whole("threads", "n", n, 0), MOST))
    try:
        yield
    finally:
        _core.set_num_threads(before)


#: The seed of the process and the numbers of the seeds that were derived from it; None for seeds of the operating system.
_derived: tuple[int, Iterator[int]] | None = None


def set_seed(seed: int | None) -> None:
    """Set the seed of the process: models made without ``seed=`` get seeds that are derived from it, one after the other.

    The seed of a model determines its initial weights, dropout masks, the shuffling of rows and validation splits. So a program
    that calls `set_seed` first gives the same results each time, if it makes its models in the same order. ``seed=`` of a model
    takes precedence, and ``model.seed`` tells what a model got. Threads share the seed of the process: no two models get the same
    derived seed, but which thread gets which depends on timing. A forked child goes on with the numbers of its parent. NumPy's and
    Python's own generators are not touched.

    Parameters
    ----------
    seed : int or None
        0 or more. None is the state at the start: each model draws its seed from the operating system.

    Examples
    --------
    >>> import nncore as nn
    >>> nn.set_seed(0)
    >>> first, second = nn.Sequential(nn.Linear(2, 1)), nn.Sequential(nn.Linear(2, 1))
    >>> first.seed == second.seed
    False
    >>> nn.set_seed(0)
    >>> nn.Sequential(nn.Linear(2, 1)).seed == first.seed
    True
    >>> nn.set_seed(None)
    """
    global _derived
    _derived = None if seed is None else (whole("set_seed", "seed", seed, 0), itertools.count())


def fresh_seed() -> int:
    """Return a seed for what was made without one: the next that is derived from `set_seed`, or a random one."""
    derived: Any = _derived  # read once, as another thread may set it
    source = np.random.SeedSequence() if derived is None else np.random.SeedSequence(derived[0], spawn_key=(next(derived[1]),))
    return int(source.generate_state(1, np.uint64)[0] >> np.uint64(1))
