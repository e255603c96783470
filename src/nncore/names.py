"""Tables from names to declaration classes, derived from the classes themselves.

A declaration (loss, optimizer, metric) carries its ``name`` and ``aliases``; the table of its module is read off the module's
namespace, so that there is no second list to keep in step. Looking a name up, with near matches, is ``errors.lookup``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

T = TypeVar("T")


def table(namespace: Mapping[str, Any], base: type[T]) -> dict[str, type[T]]:
    """Map ``name``, every alias and the class name to each class of ``namespace`` that derives from ``base`` and has a name."""
    found: dict[str, type[T]] = {}
    for cls in list(namespace.values()):
        if isinstance(cls, type) and issubclass(cls, base) and "name" in vars(cls):
            for key in (vars(cls)["name"], *vars(cls).get("aliases", ()), cls.__name__):
                if found.setdefault(key, cls) is not cls:
                    raise ValueError(f"{key!r} names both {found[key].__name__} and {cls.__name__}")
    return found


def describe(declaration: object, attributes: tuple[str, ...]) -> str:
    """``ClassName(attribute=value, ...)``, the repr of a declaration."""
    return f"{type(declaration).__name__}({', '.join(f'{a}={getattr(declaration, a)!r}' for a in attributes)})"
