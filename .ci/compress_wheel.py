"""Write a wheel once more, compressed by Zopfli: the same files, which any unzip reads, in a twentieth less. Takes a minute.

    python .ci/compress_wheel.py LIMIT WHEEL

It is an error if the wheel is still larger than LIMIT bytes.
"""

import os
import sys
import zipfile
from pathlib import Path

import zopfli  # zopflipy on PyPI


def compress(wheel: Path) -> tuple[int, int]:
    """Replace the wheel by the smaller one; return its sizes before and after. RECORD holds hashes of files: it stays right."""
    before, smaller = wheel.stat().st_size, wheel.with_suffix(".smaller")
    with zipfile.ZipFile(wheel) as old, zopfli.ZipFile(smaller, "w", block_splitting_max=0) as new:
        for entry in old.infolist():
            new.writestr(entry, old.read(entry))
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
