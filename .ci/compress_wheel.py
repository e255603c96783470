"""Write a wheel once more, its Python without comments and docstrings of private names, compressed by Zopfli. Takes a minute.

    python .ci/compress_wheel.py LIMIT WHEEL

Their places stay empty, so that tracebacks name the same lines. They are a fiftieth of the wheel; Zopfli saves a twentieth.
Files whose text is a part of what nncore writes stay as they are. It is an error if the wheel is still larger than LIMIT bytes.
"""

import ast
import base64
import csv
import hashlib
import io
import os
import sys
import tokenize
import zipfile
from collections.abc import Iterator
from pathlib import Path

WRITTEN = "nncore/export/numpy_file/"  # to_numpy copies functions from there


def private_docstrings(tree: ast.AST) -> Iterator[ast.stmt]:
    """Return the docstrings of functions and classes whose names begin with one underscore, where something follows."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) or ast.get_docstring(node) is None:
            continue
        is_private = node.name.startswith("_") and not node.name.startswith("__")
        if (
            is_private
            and len(node.body) > 1
            and node.body[1].lineno > node.body[0].end_lineno
            and node.lineno < node.body[0].lineno
        ):
            yield node.body[0]


def without_notes(source: bytes) -> bytes:
    """Return the source of a module, all of its lines in their places, without comments and docstrings of private names."""
    lines = source.decode().splitlines(keepends=True)
    for docstring in private_docstrings(ast.parse(source)):
        lines[docstring.lineno - 1 : docstring.end_lineno] = ["\n"] * (docstring.end_lineno - docstring.lineno + 1)
    source = "".join(lines).encode()
    for token in tokenize.tokenize(io.BytesIO(source).readline):
        if token.type == tokenize.COMMENT:
            row, column = token.start
            lines[row - 1] = f"{lines[row - 1][:column].rstrip()}\n"
    return "".join(lines).encode()


def shipped(name: str, content: bytes) -> bytes:
    """Return what the wheel has of a file."""
    return without_notes(content) if name.endswith((".py", ".pyi")) and WRITTEN not in name else content


def record(text: str, contents: dict[str, bytes]) -> bytes:
    """Return RECORD, the hashes and sizes of the files of a wheel, with those of other contents."""
    rows = list(csv.reader(io.StringIO(text)))
    for row in rows:
        if row[1]:
            content = contents[row[0]]
            row[1:] = ["sha256=" + base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode(), len(content)]
    written = io.StringIO()
    csv.writer(written, lineterminator="\n").writerows(rows)
    return written.getvalue().encode()


def compress(wheel: Path) -> tuple[int, int]:
    """Replace the wheel by the smaller one; return its sizes before and after."""
    import zopfli  # zopflipy on PyPI

    before, smaller = wheel.stat().st_size, wheel.with_suffix(".smaller")
    with zipfile.ZipFile(wheel) as old, zopfli.ZipFile(smaller, "w", block_splitting_max=0) as new:
        contents = {name: old.read(name) for name in old.namelist()}
        for name in contents:
            contents[name] = shipped(name, contents[name])
            if name.endswith(".dist-info/RECORD"):  # the last file
                contents[name] = record(contents[name].decode(), contents)
        for entry in old.infolist():
            new.writestr(entry, contents[entry.filename])
    os.replace(smaller, wheel)
    return before, wheel.stat().st_size


def main() -> None:
    limit, wheel = int(sys.argv[1]), Path(sys.argv[2])
    before, after = compress(wheel)
    print(f"{wheel}: {after:,} bytes, {before:,} before, {limit:,} at most")
    if after > limit:
        sys.exit(f"{wheel} is larger than {limit:,} bytes")


if __name__ == "__main__":
    main()
