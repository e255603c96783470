"""Every example in a docstring runs, and everything public has one."""

import doctest
import importlib
import importlib.util
import inspect
import pkgutil
import re

import public_names
import pytest

import nncore as nn

MODULES = [
    "nncore",
    *(info.name for info in pkgutil.walk_packages(nn.__path__, "nncore.") if not info.name.startswith("nncore._core.")),
]
LISTED = public_names.listed()

#: What examples may import that need not be installed. They run where it is.
OPTIONAL = ("torch",)


def can_run(example):
    """Whether what a docstring imports is installed."""
    needed = (name for name in OPTIONAL if any(f"import {name}" in line.source for line in example.examples))
    return all(importlib.util.find_spec(name) for name in needed)


def needs_example(path):
    """Whether it is a class or a function. An error shows itself where it is raised, a type stands in annotations."""
    value = public_names.reached(path)
    is_class = inspect.isclass(value) and not issubclass(value, Exception) and value is not nn.typing.SupportsDLPack
    return is_class or inspect.isroutine(value)


def home(path):
    """Return where a public thing is defined, as doctest names it."""
    value = public_names.reached(path)
    return f"{getattr(value, '__module__', '')}.{value.__qualname__}"


PUBLIC_NAMES = {home(each.path) for each in LISTED if needs_example(each.path)}


@pytest.mark.parametrize("name", MODULES)
def test_examples(name):
    """Those of public classes and functions run as they are pasted: they import what they use."""
    runner = doctest.DocTestRunner()
    for example in doctest.DocTestFinder(exclude_empty=True).find(importlib.import_module(name), name):
        if any(name in PUBLIC_NAMES for name in (example.name, example.name.rpartition(".")[0])):
            example.globs = {"__name__": "__main__"}
        if can_run(example):
            runner.run(example)
    outcome = runner.summarize(verbose=False)
    assert outcome.failed == 0, f"{outcome.failed} of {outcome.attempted} examples in {name}; see the captured output"


def doc(path):
    value = public_names.reached(path)
    return inspect.getdoc(getattr(value, "__func__", value)) or ""


@pytest.mark.parametrize("path", [each.path for each in LISTED if needs_example(each.path)])
def test_everything_public_has_an_example(path):
    assert "\n>>> " in doc(path), f"no runnable example in the docstring of {path}"


@pytest.mark.parametrize("path", public_names.members())
def test_methods_are_shown(path):
    """Each method that users call or write stands in an example: its own, or one of its class. One hook shows all."""
    owner, _, name = path.rpartition(".")
    value = public_names.reached(path)
    if not inspect.isroutine(value):  # an attribute
        return
    assert doc(path), f"{path} has no docstring"
    if name.startswith(("on_", "__")):
        return
    texts = [doc(owner), *(doc(each) for each in public_names.members() if each.startswith(f"{owner}."))]
    lines = [line for text in texts for line in text.splitlines() if line.startswith((">>>", "..."))]
    assert any(re.search(rf"\.{name}\(|def {name}\(", line) for line in lines), f"no example calls {path}"
