"""Write a wheel once more: without the comments of its Python files, and compressed by Zopfli. Takes a minute.

    python .ci/compress_wheel.py LIMIT WHEEL

The place of a comment stays empty, so that tracebacks name the same lines. Comments are an eightieth of the wheel; Zopfli saves a
twentieth. It is an error if the wheel is still larger than LIMIT bytes.
"""

import base64
import csv
import hashlib
import io
import os
import sys
import tokenize
import zipfile
from pathlib import Path


def without_comments(source: bytes) -> bytes:
    """Return the source of a module, all of its lines in their places, without comments."""
    lines = source.decode().splitlines(keepends=True)
    for token in tokenize.tokenize(io.BytesIO(source).readline):
        if token.type == tokenize.COMMENT:
            row, column = token.start
            lines[row - 1] = f"{lines[row - 1][:column].rstrip()}\n"
    return "".join(lines).encode()


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
            if name.endswith((".py", ".pyi")):
                contents[name] = without_comments(contents[name])
            elif name.endswith(".dist-info/RECORD"):  # the last file
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
