"""Every example in a docstring runs, and everything public has one."""

import doctest
import importlib
import importlib.util
import inspect
import pkgutil

import pytest

import nncore as nn

MODULES = [
    "nncore",
    *(info.name for info in pkgutil.walk_packages(nn.__path__, "nncore.") if not info.name.startswith("nncore._core.")),
]
NAMESPACES = [nn, nn.init, nn.layers, nn.losses, nn.optim, nn.metrics, nn.callbacks, nn.errors]


#: What examples may import that need not be installed. They run where it is.
OPTIONAL = ("torch",)


def can_run(example):
    """Whether what a docstring imports is installed."""
    needed = (name for name in OPTIONAL if any(f"import {name}" in line.source for line in example.examples))
    return all(importlib.util.find_spec(name) for name in needed)


@pytest.mark.parametrize("name", MODULES)
def test_examples(name):
    runner = doctest.DocTestRunner()
    for example in doctest.DocTestFinder(exclude_empty=True).find(importlib.import_module(name), name):
        if can_run(example):
            runner.run(example)
    outcome = runner.summarize(verbose=False)
    assert outcome.failed == 0, f"{outcome.failed} of {outcome.attempted} examples in {name}; see the captured output"


def public():
    """Classes and functions that users reach by a name without underscore, under the namespace that defines them."""
    found = {}
    for space in NAMESPACES:
        for name in getattr(space, "__all__", None) or [n for n in vars(space) if not n.startswith("_")]:
            value = getattr(space, name)
            own = getattr(value, "__module__", "").startswith(space.__name__)
            if own and (inspect.isclass(value) or inspect.isfunction(value)):
                found[f"{value.__module__}.{value.__qualname__}"] = value
    return found


def needs_example(value):
    """What is used directly shows how; an exception or a base class does not have to."""
    base = inspect.isclass(value) and (issubclass(value, Exception) or value.__subclasses__())
    return not base and value.__name__ in (*nn.__all__, *nn.init.__all__, *nn.layers.__all__)


@pytest.mark.parametrize("value", public().values(), ids=public())
def test_public_things_are_documented(value):
    doc = inspect.getdoc(value) or ""
    assert doc, "no docstring"
    assert ">>>" in doc or not needs_example(value), "no runnable example"
