"""What is public, as `__all__` says it and as the pages of the reference list it."""

import inspect
import re
import types
from pathlib import Path
from typing import Any, NamedTuple

import nncore as nn

PAGES = Path(__file__).resolve().parent.parent / "docs" / "reference"
BLOCK = re.compile(r"^```\{names\} nncore(\S*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINE = re.compile(r"([\w.]+)(\(.*\))?(?:: (.*))?")

#: Classes that users get and never name, in packages that `nn` does not offer.
RESULTS = {"nn.models.QuantizationReport", "nn.checking.GradientReport", "nn.checking.GradientEntry"}


def reached(path):
    """Return what ``nn.Model.fit`` is, without what a property or a descriptor would compute."""
    value: Any = nn
    for name in path.split(".")[1:]:
        value = inspect.getattr_static(value, name) if isinstance(value, type) else getattr(value, name)
    return value


def public():
    """Return the path of every name of an `__all__`: the shortest, where a name has several."""
    modules = [name for name in nn.__all__ if isinstance(getattr(nn, name), types.ModuleType)]
    found = {}
    for path, space in (("nn", nn), *((f"nn.{name}", getattr(nn, name)) for name in modules)):
        for name in set(space.__all__) - {*modules, "__version__"}:
            found.setdefault((name, id(getattr(space, name))), f"{path}.{name}")
    return list(found.values())


class Listed(NamedTuple):
    """A line of a page."""

    page: str
    path: str  # nn.losses.Huber, nn.Model.fit
    members: list[str]


def listed():
    """Return what the pages list."""
    found = []
    for page in sorted(PAGES.glob("*.md")):
        for block in BLOCK.finditer(page.read_text(encoding="utf-8")):
            for line in block[2].splitlines():
                name, _, members = LINE.fullmatch(line).groups("")
                found.append(Listed(page.name, f"nn{block[1]}.{name}", members.split()))
    return found


def members():
    """Return the path of every method and attribute that the pages list."""
    own = [f"{each.path}.{member}" for each in listed() for member in each.members]
    return own + [each.path for each in listed() if isinstance(reached(each.path.rpartition(".")[0]), type)]
