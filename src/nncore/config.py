"""Build configuration and number of threads."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from . import _core
from ._checks import whole


def show_config() -> None:
    """Print the version, the compiler, the instruction set in use, the number of threads and the version of NumPy.

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
    _core.set_num_threads(min(whole("set_num_threads", "n", n, 0), 2**31 - 1))


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
    before = get_num_threads()
    set_num_threads(n)
    try:
        yield
    finally:
        _core.set_num_threads(before)
