"""Lazy imports: a package offers names, and the module of a name is imported at its first use (PEP 562).

`import nncore` imports the core and little else. Type checkers do not run this code, so every package repeats the imports under
``TYPE_CHECKING``.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any

from .errors import UnknownAttributeError


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
    >>> __getattr__, __dir__ = lazily(
    ...     "nncore", ["Linear", "losses", "optim"], {"": "optim losses"}, rest="layers"
    ... )
    >>> __getattr__("Linear")(3, 2)
    Linear(in_features=3, out_features=2, bias=True)
    >>> __getattr__("Quadratic")
    Traceback (most recent call last):
        ...
    nncore.errors.UnknownAttributeError: module 'nncore' has no attribute 'Quadratic'
    """
    home = {name: module for module, held in homes.items() for name in held.split()}
    modules = {*homes, rest, *homes.get("", "").split()} - {""}

    def __getattr__(name: str) -> Any:
        if name in modules:
            return import_module(f".{name}", package)  # this also sets the attribute of the package
        if name not in names:
            raise unknown_attribute(package, name, names)
        value = getattr(import_module(f".{home.get(name, rest)}", package), name)
        setattr(sys.modules[package], name, value)  # later accesses do not call this function
        return value

    def __dir__() -> list[str]:
        return sorted(names)

    return __getattr__, __dir__


def unknown_attribute(package: str, name: str, names: Sequence[str]) -> UnknownAttributeError:
    """Return the error for a name that a package does not have. It says what to use instead, if that is known.

    Parameters
    ----------
    package : str
        The ``__name__`` of the package.
    name : str
        The name that was asked for.
    names : sequence of str
        The ``__all__`` of the package.
    """
    said = f"module {package!r} has no attribute {name!r}"
    if name.startswith("_"):  # the import system and tools ask for these, and no person
        return UnknownAttributeError(said)
    from .foreign import attributes

    if hint := attributes.hint(package, name):
        return UnknownAttributeError(f"{said}: {hint}")
    from difflib import get_close_matches

    lower = {each.lower(): each for each in names}
    near = [repr(lower[each]) for each in get_close_matches(name.lower(), list(lower), n=3)]
    return UnknownAttributeError(said + (f"; did you mean {' or '.join(near)}?" if near else ""))


def refusing(package: str, names: Sequence[str]) -> Callable[[str], Any]:
    """Return the ``__getattr__`` of a package that imports all its names at once."""

    def __getattr__(name: str) -> Any:
        raise unknown_attribute(package, name, names)

    return __getattr__
