"""Names that a package offers without loading the modules behind them: each is imported when it is first asked for (PEP 562).

A program pays for what it uses; `import nncore` reads the core and little else. Type checkers do not run this: beside every use
stand the same imports under ``TYPE_CHECKING``.
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
        Its ``__name__``.
    names : sequence of str
        Its ``__all__``.
    homes : mapping from str to str
        Which of its modules holds which names, with spaces between; under "" are the names of modules themselves. These modules
        are found under their own names, too, as they would be if the package had imported them. A name that begins with a dot
        is that of a module beside the package.
    rest : str
        The module that holds what ``homes`` does not mention.

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
            return import_module(f".{name}", package)  # which makes it an attribute of the package
        if name not in names:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = getattr(import_module(f".{home.get(name, rest)}", package), name)
        setattr(sys.modules[package], name, value)  # found without this function from now on
        return value

    def __dir__() -> list[str]:
        return sorted(names)

    return __getattr__, __dir__
