"""The functions of functions.py and program.py as text, and which of them call which others."""

from __future__ import annotations

import ast
import pkgutil
from collections.abc import Iterable
from functools import cache


@cache
def functions(module: str) -> dict[str, str]:
    """Return the source of each function, class and constant of a module beside this one, by name, in their order."""
    found = pkgutil.get_data(__package__ or "", f"{module}.py")
    assert found is not None
    text = found.decode("utf-8")
    return {
        name: ast.get_source_segment(text, node) or ""
        for node in ast.parse(text).body
        for name in ([node.name] if isinstance(node, ast.FunctionDef | ast.ClassDef) else _assigned(node))
    }


def needed(module: str, wanted: Iterable[str]) -> list[str]:
    """Return the names of the functions of a module that are wanted, and of those that they call, in their order."""
    known, found, waiting = functions(module), set(), [*wanted]
    while waiting:
        name = waiting.pop()
        if name in known and name not in found:
            found.add(name)
            waiting += names_in(known[name])
    return [name for name in known if name in found]


def names_in(text: str) -> set[str]:
    """Return the names that a program reads."""
    return {node.id for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}


def _assigned(node: ast.stmt) -> list[str]:
    targets = node.targets if isinstance(node, ast.Assign) else []
    return [target.id for target in targets if isinstance(target, ast.Name)]
