"""The pages of the reference: they list public names by subject, and this extension writes an entry for each from its docstring.

A block of a page names a module and what it documents, one name a line, with those members that users call; a member may also have
an entry of its own, as ``Model.fit`` has:

    ```{names} nncore
    Linear
    GRU: gates
    Model.fit
    Sequential(*layers, seed=None)
    Report()
    ```

What stands in brackets replaces the signature; nothing in them: nncore makes such objects, and users do not.

``{summary}`` stands for a table of all names of the page, each with the first sentence of its docstring.
"""

from __future__ import annotations

import inspect
import re
import sys
from importlib import import_module
from itertools import groupby
from typing import Any, NamedTuple, get_args

from docutils import nodes
from sphinx.domains.python import PyObject
from sphinx.pycode import ModuleAnalyzer

BLOCK = re.compile(r"^```\{names\} (\S+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^## (.+)$", re.MULTILINE)
LINE = re.compile(r"([\w.]+)(\(.*\))?(?:: (.*))?")
SEVERAL = re.compile(r"(\nAttributes\n-+\n(?:.+\n)*?)(\w+(?:, \w+)+) : (.+\n(?: .+\n)*)")
SUMMARY = "```{summary}\n```\n"
CODE_OR_SIGN = re.compile(r"(``.*?``|`.*?`)|([*|]|(?<=\w)_(?!\w))")


def plain(line: str) -> str:
    """Docstrings are written for ``help()``: outside of code, ``*``, ``|`` and a ``_`` at the end of a word mean themselves."""
    return CODE_OR_SIGN.sub(lambda found: found[1] or "\\" + found[2], line)


class Entry(NamedTuple):
    """One name of a page."""

    group: str  # the heading above it
    module: str
    name: str
    signature: str
    members: str

    @property
    def value(self) -> Any:
        owner, _, member = self.name.partition(".")
        value = getattr(import_module(self.module), owner)
        return inspect.getattr_static(value, member) if member else value

    def directive(self) -> str:
        """Return the name of the directive that writes the entry."""
        value, is_member = self.value, "." in self.name
        if inspect.isclass(value):
            return "autoexception" if issubclass(value, BaseException) else "autoclass"
        if is_member:
            is_method = inspect.isroutine(value) or isinstance(value, classmethod | staticmethod)
            return "automethod" if is_method else "autoproperty" if isinstance(value, property) else "autoattribute"
        return "autofunction" if inspect.isroutine(value) else "py:data"

    def doc(self) -> list[str]:
        """Return the docstring by lines; that of a constant, an alias or a plain attribute is the comment beside it."""
        directive, key = self.directive(), self.name.rpartition(".")[::2]
        owner = getattr(import_module(self.module), key[0]) if key[0] else None
        if directive == "autoattribute":
            found = ModuleAnalyzer.for_module(owner.__module__).find_attr_docs().get(key, [])
            return [line for line in found if line] or (inspect.getdoc(self.value) or "").splitlines()
        if directive != "py:data":
            return (inspect.getdoc(self.value) or "").splitlines()
        for name in [self.module, *(each for each in sys.modules if each.startswith(f"{self.module}."))]:
            docs = ModuleAnalyzer.for_module(name).find_attr_docs() if getattr(sys.modules[name], "__file__", "") else {}
            if found := docs.get(("", self.name)):
                return [line for line in found if line]
        raise ValueError(f"{self.module}.{self.name} has no comment #: above it")

    def first_sentence(self) -> str:
        text = " ".join(inspect.cleandoc("\n".join(self.doc())).split("\n\n")[0].split())
        if self.directive() == "autoattribute":  # a comment beside it
            text = text[:1].upper() + text[1:].rstrip(".") + "."
        found = re.match(r"(.*?\.)(?= [A-Z`]|$)", text)
        return plain(found[1] if found else text)

    def text(self) -> str:
        """Return the entry in reStructuredText."""
        directive = self.directive()
        lines = [f".. {directive}:: {self.name}{self.signature}"]
        if directive == "py:data":
            lines += ["", *(f"   {plain(line)}" for line in self.doc())]
            if names := [each for each in get_args(self.value) if isinstance(each, str)]:
                lines += ["", f"   {', '.join(f'``{name!r}``' for name in names)}"]
        elif directive in ("autoclass", "autoexception"):
            lines += [f"   :members: {', '.join(self.members.split())}" if self.members else "   :no-members:"]
            lines += ["   :show-inheritance:"] if directive == "autoexception" else []
        return "\n".join([*lines, ""])


def entries(page: str) -> list[Entry]:
    """Return the entries of a page in order."""
    found = []
    for block in BLOCK.finditer(page):
        headings = HEADING.findall(page[: block.start()])
        for line in block[2].splitlines():
            name, signature, members = LINE.fullmatch(line).groups("")
            found.append(Entry(headings[-1] if headings else "", block[1], name, signature, members))
    return found


def table(listed: list[Entry]) -> str:
    """Return the summary of a page."""
    lines = [".. list-table::", "   :class: summary", "   :widths: auto", ""]
    for group, held in groupby(listed, key=lambda entry: entry.group):
        lines += [f"   * - **{group}**", "     -"] if group else []
        for entry in held:
            lines += [f"   * - :py:obj:`{entry.name} <{entry.module}.{entry.name}>`", f"     - {entry.first_sentence()}"]
    return "\n".join(lines)


def rst(text: str) -> str:
    return f"```{{eval-rst}}\n{text}\n```\n"


def write_entries(app: Any, page: str, source: list[str]) -> None:
    """Put the entries and the summary into a page."""
    if "/reference/" not in page:
        return
    listed = entries(source[0])
    declared = {"nncore", "nncore.models", "nncore.checking"}  # they have no page of their own

    def block(found: re.Match[str]) -> str:
        texts, module = [entry.text() for entry in entries(found[0])], found[1]
        directive = "currentmodule" if module in declared else "module"
        declared.add(module)
        return rst("\n".join([f".. py:{directive}:: {module}", "", *texts]))

    source[0] = BLOCK.sub(block, source[0])
    if SUMMARY in source[0]:
        source[0] = source[0].replace(SUMMARY, rst(table(listed)))


def escape(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Escape a docstring outside of its examples, and give each of several attributes a line of its own."""
    text, changes = "\n".join(lines), 1
    while changes:
        text, changes = SEVERAL.subn(each_by_itself, text)
    lines[:] = text.splitlines()
    is_example = False
    for i, line in enumerate(lines):
        is_example = bool(line.strip()) and (is_example or line.lstrip().startswith(">>>"))
        if not is_example:
            lines[i] = plain(line)


def each_by_itself(found: re.Match[str]) -> str:
    """Divide ``a, b : type`` and its description; napoleon does so for parameters only."""
    return found[1] + "".join(f"{name} : {found[3]}" for name in found[2].split(", "))


def shorten(app: Any, what: str, name: str, obj: Any, options: Any, signature: str | None, returned: str | None) -> Any:
    """Leave out the signature of what nncore makes, and give functions of metrics the options of their class."""
    if cls := getattr(obj, "metric", None):
        given = list(inspect.signature(obj).parameters.values())[:-1]
        own = [each.replace(kind=each.KEYWORD_ONLY) for each in inspect.signature(cls).parameters.values()]
        bare = [each.replace(annotation=each.empty) for each in (*given, *own)]
        return str(inspect.Signature(bare)), None
    return ("", None) if signature == "()" and what in ("class", "exception") else None


def find(app: Any, env: Any, node: nodes.Element, contnode: nodes.Element) -> nodes.Element | None:
    """Find what `Linear`, `Model.fit` or `fit` in a docstring means: the entry whose name ends so, nearby if there are several."""
    target, domain = node.get("reftarget", ""), env.domains["py"]
    if node.get("refdomain") != "py" or not target:
        return None
    target = f"nncore.{target[3:]}" if target.startswith("nn.") else target
    known = [name for name in domain.objects if name == target or name.endswith(f".{target}")]
    if node.get("reftype") == "class":  # a type of a parameter: "optimizer" is no method
        known = [name for name in known if domain.objects[name].objtype in ("class", "exception", "data")]
    if not known:
        return None
    near = f"{node.get('py:module')}."
    scope = f"{near}{node.get('py:class')}."
    best = min(known, key=lambda name: (not name.startswith(scope), not name.startswith(near), name.count("."), name))
    return domain.resolve_xref(env, node["refdoc"], app.builder, "obj", best, node, contnode)


def join_headings(app: Any, doctree: nodes.document) -> None:
    """Let the headings of a summary take both columns."""
    for row in list(doctree.findall(nodes.row)):
        if "summary" in row.parent.parent.parent["classes"] and not row[1].astext():
            row.pop()
            row[0]["morecols"] = 1


def setup(app: Any) -> dict[str, bool]:
    next(field for field in PyObject.doc_field_types if field.name == "variable").label = "Attributes"
    app.connect("source-read", write_entries)
    app.connect("autodoc-process-docstring", escape, priority=400)  # before napoleon, which writes such signs
    app.connect("autodoc-process-signature", shorten)
    app.connect("doctree-read", join_headings)
    app.add_css_file("reference.css")
    app.connect("missing-reference", find)
    return {"parallel_read_safe": True}
