"""The house: every import of the package points down, functions' imports counted, and no files import one another in a circle.

What a type checker alone reads (under TYPE_CHECKING) is no import. The floors are those of docs/design.md, from the highest to the
lowest; modules of one package may import one another.
"""

from __future__ import annotations

import ast
import shutil
from pathlib import Path

import pytest

import nncore

PACKAGE = Path(nncore.__file__).parent
FLOORS = (
    ("",),  # nncore/__init__.py, where the house is put together
    ("distributed",),
    ("checking", "estimators", "insight"),
    ("models",),
    ("export",),
    ("callbacks",),
    ("saving",),
    ("training",),
    ("network",),
    ("optim", "metrics"),
    ("losses",),
    ("layers",),
    ("graph",),
    ("data",),
    ("init", "schedules"),
    ("config",),
    ("_declarations",),
    ("_checks",),
    ("records",),
    ("_core",),
    ("_late_calls", "_lazy"),
    ("errors", "typing"),
    ("foreign",),
)
HEIGHT = {name: len(FLOORS) - i for i, names in enumerate(FLOORS) for name in names}


def imports_of(tree, module, is_package, known):
    """Return what a module imports of the package, by full name."""
    found = set()
    here = module.split(".") if is_package else module.split(".")[:-1]

    def visit(node):
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
                negated = isinstance(child.test, ast.UnaryOp)
                for each in child.body if negated else child.orelse:
                    visit(each)
                continue
            if isinstance(child, ast.Import):
                found.update(alias.name for alias in child.names if alias.name in known)
            if isinstance(child, ast.ImportFrom):
                base = here[: len(here) - child.level + 1] if child.level else []
                base = ".".join([*base, *([child.module] if child.module else [])])
                for alias in child.names:
                    found.update(name for name in (f"{base}.{alias.name}", base) if name in known and name != module)
            visit(child)

    visit(tree)
    return {name for name in found if not any(other.startswith(f"{name}.") for other in found)}  # the module, not its package too


def graph_of(package):
    """Return from each module of a package the modules of it that it imports."""
    files = {}
    for path in package.rglob("*.py"):
        parts = ("nncore", *path.relative_to(package).with_suffix("").parts)
        files[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    known = {*files, "nncore._core.plans"}
    return {
        name: imports_of(ast.parse(path.read_text("utf-8")), name, path.name == "__init__.py", known)
        for name, path in files.items()
    }


def floor_of(module):
    return (module.split(".") + [""])[1]


def arrows_up(graph):
    """Return the imports that point to a higher floor, or from one package to another of the same floor."""
    return [
        f"{module} imports {other}"
        for module, others in sorted(graph.items())
        for other in sorted(others)
        if floor_of(module) != floor_of(other) and HEIGHT[floor_of(module)] <= HEIGHT[floor_of(other)]
    ]


def circles(graph):
    """Return the groups of modules that import one another, directly or by way of others."""
    reach = {module: {*others} for module, others in graph.items()}
    for through in reach:
        for others in reach.values():
            if through in others:
                others |= reach[through]
    return sorted({tuple(sorted(m for m in reach if m in reach[module] and module in reach.get(m, ()))) for module in reach} - {()})


def test_every_module_has_a_floor():
    assert {floor_of(module) for module in graph_of(PACKAGE)} == {*HEIGHT}


def test_imports_point_down():
    assert arrows_up(graph_of(PACKAGE)) == []


def test_there_is_no_circle():
    assert circles(graph_of(PACKAGE)) == []


def test_the_root_holds_what_everybody_needs_and_no_more():
    root = {path.name for path in PACKAGE.glob("*.py")}
    assert root == {
        "__init__.py",
        "_checks.py",
        "_declarations.py",
        "_late_calls.py",
        "_lazy.py",
        "config.py",
        "errors.py",
        "typing.py",
    }


@pytest.mark.parametrize(
    ("file", "line", "found"),
    [
        ("layers/dropout.py", "from ..network.network import Network", "nncore.layers.dropout imports nncore.network.network"),
        ("errors.py", "def late():\n    from .models import Model", "nncore.errors imports nncore.models"),
        ("losses/base.py", "from ..metrics.base import Metric", "nncore.losses.base imports nncore.metrics.base"),
    ],
)
def test_a_planted_arrow_up_is_found(tmp_path, file, line, found):
    copy = tmp_path / "nncore"
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("*.so", "__pycache__"))
    (copy / file).write_text((copy / file).read_text("utf-8") + f"\n{line}\n", "utf-8")
    assert arrows_up(graph_of(copy)) == [found]


def test_a_planted_circle_is_found(tmp_path):
    copy = tmp_path / "nncore"
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("*.so", "__pycache__"))
    planted = copy / "layers/base.py"
    planted.write_text(planted.read_text("utf-8") + "\ndef late():\n    from .linear import Linear\n", "utf-8")
    (group,) = circles(graph_of(copy))
    assert {"nncore.layers.base", "nncore.layers.linear"} <= {*group}


def test_what_type_checkers_alone_read_does_not_count(tmp_path):
    copy = tmp_path / "nncore"
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("*.so", "__pycache__"))
    planted = copy / "layers/dropout.py"
    text = planted.read_text("utf-8") + "\nif TYPE_CHECKING:\n    from ..models import Model\n"
    planted.write_text(text, "utf-8")
    assert arrows_up(graph_of(copy)) == []


def ladder(cls):
    """Return how many classes of the package stand above a class."""
    return sum(base.__module__.split(".")[0] == "nncore" for base in cls.__mro__[1:])


def test_no_class_has_more_than_three_of_ours_above_it():
    import importlib
    import pkgutil

    classes = set()
    for info in pkgutil.walk_packages(nncore.__path__, "nncore."):
        module = importlib.import_module(info.name)
        classes |= {each for each in vars(module).values() if isinstance(each, type) and each.__module__.startswith("nncore")}
    from nncore import errors

    deep = {cls.__name__: ladder(cls) for cls in classes if ladder(cls) > 3 and not issubclass(cls, errors.NncoreError)}
    assert deep == {}
