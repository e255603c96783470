"""Lazy imports: a package offers names, and the module of a name is imported at its first use (PEP 562).

`import nncore` imports the core and little else. Type checkers do not run this code, so every package repeats the imports under
``TYPE_CHECKING``.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any


def lazily(
    package: str, names: Sequence[str], homes: Mapping[str, str], rest: str = ""
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Return the ``__getattr__`` and ``__dir__`` of a package.

    Parameters
    ----------
    package : str
        The ``__name__`` of the package.
    names : sequence of str
        The ``__all__`` of the package.
    homes : mapping from str to str
        From a module of the package to its names, separated by blanks. The key "" has the names of modules. These modules can also
        be accessed by their own names, as if the package had imported them. A key that begins with a dot is a module next to the
        package.
    rest : str
        The module with the names that ``homes`` does not list.

    Examples
    --------
    >>> __getattr__, __dir__ = lazily("nncore", ["Linear", "losses", "optim"], {"": "optim losses"}, rest="layers")
    >>> __getattr__("Linear")(3, 2)
    Linear(in_features=3, out_features=2, bias=True)
    >>> __getattr__("Quadratic")
    Traceback (most recent call last):
    AttributeError: module 'nncore' has no attribute 'Quadratic'
    """
    home = {name: module for module, held in homes.items() for name in held.split()}
    modules = {*homes, rest, *homes.get("", "").split()} - {""}

    def __getattr__(name: str) -> Any:
        if name in modules:
            return import_module(f".{name}", package)  # this also sets the attribute of the package
        if name not in names:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = getattr(import_module(f".{home.get(name, rest)}", package), name)
        setattr(sys.modules[package], name, value)  # later accesses do not call this function
        return value

    def __dir__() -> list[str]:
        return sorted(names)

    return __getattr__, __dir__
