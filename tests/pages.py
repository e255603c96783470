"""The README and the guides as programs: their sections, their blocks of code, and whether a block prints what the page says.

A page is written so that a reader can paste it from top to bottom, or its first block of Python and then any one section. What a
block prints stands in a block of text after it, or in a comment on the line of a print. If the first line of a block is a
comment with the name of a file, the block is that file.
"""

import ast
import contextlib
import importlib.util
import io
import os
import re
import shutil
import subprocess
import sys
import tokenize
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
PAGES = {path.name: path for path in (REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md")))}
PAGES["the first page"] = REPOSITORY / "index.md"
#: What a section may import that need not be installed. It runs where it is.
OPTIONAL = ("dask", "keras", "mpi4py", "onnx", "onnxruntime", "onnxscript", "skl2onnx", "tensorboardX", "torch")

PATH = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # python and mpiexec of this environment

_PART = re.compile(r"^```(?P<kind>\w*)\n(?P<text>.*?)^```$|^(?P<level>##+) (?P<heading>[^\n]+)$", re.MULTILINE | re.DOTALL)
_FILE = re.compile(r"(?:#|//|/\*|<!--) (\w+\.\w+)(?: \*/| -->)?\n")
_NUMBER = re.compile(r"(?:about )?(?<![\w.])[-+]?(?:\d[\d,]*\d|\d)(?:\.\d*)?(?:e[-+]?\d+)?(?![\w])")


@dataclass(frozen=True)
class Block:
    kind: str  # python, console, c, …
    text: str
    line: int  # of the page, on which it begins
    section: tuple[str, ...]  # headings above it: one of ##, one of ###
    output: str | None  # what the page says that it prints


def blocks(page):
    """Return the blocks of code of a page, in order."""
    text, found, section, end = page.read_text(encoding="utf-8"), [], (), -1
    for part in _PART.finditer(text):
        if part["level"]:
            section = (*section[: len(part["level"]) - 2], part["heading"])
        elif part["kind"] in ("", "text") and found and not text[end : part.start()].strip():
            found[-1] = Block(found[-1].kind, found[-1].text, found[-1].line, section, part["text"])
        else:
            found.append(Block(part["kind"], part["text"], text.count("\n", 0, part.start("text")), section, None))
        end = part.end()
    return found


def needed(page, section, before=None):
    """Return what a reader of one section pastes: the page's first block, those of the section above, its own, up to one."""
    found = blocks(page)
    first = next(block for block in found if block.kind == "python")
    stop = len(found) if before is None else before
    return [first, *(block for block in found[:stop] if block is not first and block.section in (section, section[:1]))]


def missing(some_blocks):
    """Return the first of OPTIONAL that blocks import or say that they need, or compiler that they call, that is not installed."""
    for block in some_blocks:
        for module in re.findall(r"# .*needs (\w+)", block.text):
            if module in OPTIONAL and importlib.util.find_spec(module) is None:
                return module
        for compiler in re.findall(r'cc="([\w-]+)"', block.text):
            if shutil.which(compiler) is None:
                return compiler
        for node in ast.walk(ast.parse(block.text)) if block.kind == "python" else ():
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [getattr(node, "module", None) or ""]
            for root in (name.partition(".")[0] for name in names):
                if root in OPTIONAL and importlib.util.find_spec(root) is None:
                    return root
    return None


def _units(number):
    """A number, and how far another one may be from it: one unit of its last digit; a whole number is exact."""
    about, digits = number.startswith("about "), number.removeprefix("about ").replace(",", "")
    value = float(digits)
    if about:
        return value, abs(value) / 2
    mantissa, _, exponent = digits.partition("e")
    return value, 10.0 ** (int(exponent or 0) - len(mantissa.partition(".")[2])) * 1.01 if "." in mantissa or exponent else 0.0


def agree(said, printed, more=False):
    """Whether a text is what was printed, with numbers as near as their digits say; ``more``: words may follow what was printed."""
    numbers, found = _NUMBER.findall(said), _NUMBER.findall(printed)
    words, others = ([" ".join(part.split()) for part in _NUMBER.split(text)] for text in (said, printed))
    if more and len(words) >= len(others):
        words = words[: len(others)]
        numbers, words[-1] = numbers[: len(found)], words[-1][: len(others[-1])]
    for number, value in zip_longest(numbers, found):
        if number is None or value is None:
            return False
        wanted, tolerance = _units(number)
        if abs(_units(value)[0] - wanted) > tolerance:
            return False
    return words == others


def _comments(text):
    """Comments that stand behind code, by line."""
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    return {t.end[0]: t.string[1:].strip() for t in tokens if t.type == tokenize.COMMENT and t.line[: t.start[1]].strip()}


def _is_print(statement):
    return (
        isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call) and ast.unparse(statement.value.func) == "print"
    )


def run(block, page, namespace):
    """Run a block as its kind is run: Python in a namespace, commands in the folder, a file of C is written there."""
    if found := _FILE.match(block.text):
        Path(found[1]).write_text(block.text, encoding="utf-8")
    if block.kind == "python":
        _run_python(block, page, namespace)
    elif block.kind == "console":
        _run_console(block, page)


def _run_python(block, page, namespace):
    """Run a block statement by statement, and compare what it prints with what the page says."""
    comments, everything = _comments(block.text), ""
    for statement in ast.parse(block.text, str(page)).body:
        said = comments.get(statement.end_lineno) if _is_print(statement) else None
        ast.increment_lineno(statement, block.line)  # errors name the line of the page
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            exec(compile(ast.Module([statement], []), str(page), "exec"), namespace)
        everything += printed.getvalue()
        if said is not None and not said.endswith("?"):  # a comment may also ask what comes
            where = f"{page.name}:{statement.end_lineno} says {said!r}, but prints {printed.getvalue()!r}"
            assert agree(said, printed.getvalue(), more=True), where
    if block.output is not None:
        assert agree(block.output, everything), f"{page.name}:{block.line} prints\n{everything}\nand not\n{block.output}"


def _commands(block):
    """Return the commands of a console block, each with what the page says that it prints."""
    found = []
    for line in block.text.replace("\\\n", " ").splitlines():
        if line.startswith("$ "):
            found.append([line[2:], ""])
        else:
            found[-1][1] += line + "\n"
    return found


def _run_console(block, page):
    """Run the commands of a block; its Python is this one."""
    environment = {
        **os.environ,
        "PATH": PATH,
        # Open MPI in containers: as root, and with fewer processors than ranks
        **dict.fromkeys(("OMPI_ALLOW_RUN_AS_ROOT", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM"), "1"),
        **dict.fromkeys(("PRTE_ALLOW_RUN_AS_ROOT", "PRTE_ALLOW_RUN_AS_ROOT_CONFIRM"), "1"),
        "PRTE_MCA_rmaps_default_mapping_policy": ":oversubscribe",
        "OMPI_MCA_mpi_yield_when_idle": "1",
        "OMP_NUM_THREADS": "1",
    }
    for command, said in _commands(block):
        done = subprocess.run(["bash", "-c", command], env=environment, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, f"{page.name}: {command}\n{done.stdout}{done.stderr}"
        assert agree(said, done.stdout), f"{page.name}: {command} prints\n{done.stdout}\nand not\n{said}"


def absent_tool(block):
    """Return the first program that a console block needs and that is not here; what the page builds itself begins with ./"""
    if block.kind != "console":
        return None
    tools = [each.strip().split()[0] for command, _ in _commands(block) for each in command.split("&&")]
    return next((tool for tool in tools if not tool.startswith("./") and shutil.which(tool, path=PATH) is None), None)


def skip_without(module):
    if module:
        pytest.skip(f"{module} is not installed")
