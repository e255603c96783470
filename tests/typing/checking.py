"""Runs mypy and pyright over the scripts beside this file, against the installed package, as a user's editor does.

``python tests/typing/checking.py`` (part of ``make lint``) says where a checker finds what it should not, or misses a mistake.
"""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parents[1]
MISTAKES = HERE / "mistakes.py"
SCRIPTS = sorted(path for path in HERE.glob("*.py") if path.name not in ("checking.py", "test_typing.py", MISTAKES.name))

Found = dict[tuple[str, int], str]  # file and line -> what the checker says
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)

#: Pages import libraries that need not be installed; whether imports are right, tests/test_docs.py sees.
HEAD = "# pyright: reportMissingImports=false"


def mypy(files: list[Path], strict: bool = True) -> Found:
    """Return what mypy finds, not what it says of the package itself."""
    options = ["--strict"] if strict else ["--check-untyped-defs", "--ignore-missing-imports", "--allow-redefinition"]
    cache = REPOSITORY / ".mypy_cache" / "typing"
    with tempfile.TemporaryDirectory() as folder:
        settings = Path(folder, "mypy.ini")
        settings.write_text("[mypy]\n[mypy-torch.*,keras.*]\nfollow_imports = skip\n", encoding="utf-8")  # large
        command = ["-m", "mypy", *options, f"--config-file={settings}", f"--cache-dir={cache}", "--no-error-summary"]
        done = _run([*command, "--hide-error-context", *map(str, files)])
    lines = re.findall(r"^(.+?):(\d+): error: (.*)$", done.stdout, re.MULTILINE)
    if done.returncode not in (0, 1) or (done.returncode and not lines):
        raise RuntimeError(done.stdout + done.stderr)
    return {(Path(file).name, int(line)): message for file, line, message in reversed(lines)}


def pyright(files: list[Path], strict: bool = True) -> Found:
    """Return what pyright finds as errors, by its own standard, whatever is asked for."""
    done = _run(["-m", "pyright", "--pythonpath", sys.executable, "--outputjson", *map(str, files)])
    try:
        answer = json.loads(done.stdout[done.stdout.index("{") :])
    except ValueError:
        raise RuntimeError(done.stdout + done.stderr) from None
    if answer["summary"]["filesAnalyzed"] != len(files):
        raise RuntimeError(f"pyright looked at {answer['summary']['filesAnalyzed']} of {len(files)} files")
    return {
        (Path(each["file"]).name, each["range"]["start"]["line"] + 1): each["message"].partition("\n")[0]
        for each in reversed(answer["generalDiagnostics"])
        if each["severity"] == "error"
    }


CHECKERS: dict[str, Callable[..., Found]] = {"mypy": mypy, "pyright": pyright}


def missing(name: str) -> str:
    """Return why a checker cannot be run here; "" where it can."""
    if importlib.util.find_spec(name) is None:
        return f"{name} is not installed; the extra lint has it"
    done = _run(["-m", name, "--version"])  # pyright may have to be downloaded first
    return "" if done.returncode == 0 else f"{name} does not run here: {(done.stdout + done.stderr).strip()[-300:]}"


def marked(file: Path) -> set[tuple[str, int]]:
    """Return the lines that a checker has to refuse."""
    lines = file.read_text(encoding="utf-8").splitlines()
    return {(file.name, number) for number, line in enumerate(lines, 1) if line.endswith("# error")}


def differences(name: str, files: list[Path]) -> list[str]:
    """Return where a checker finds something else than what is marked."""
    found, wanted = CHECKERS[name](files), set[tuple[str, int]]().union(*map(marked, files))
    wrong = [f"{file}:{line}: {name} says: {message}" for (file, line), message in found.items() if (file, line) not in wanted]
    return wrong + [f"{file}:{line}: {name} misses the mistake" for file, line in sorted(wanted - found.keys())]


def in_the_docs(name: str, folder: Path) -> list[str]:
    """Return what a checker finds in the Python blocks of the README and the docs, which are written without annotations."""
    files, origin = [], {}
    for page in (REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md"))):
        text = page.read_text(encoding="utf-8")
        lines = [HEAD]
        for block in BLOCK.finditer(text):
            first = text.count("\n", 0, block.start(1)) + 1
            for number, line in enumerate(block[1].splitlines(), first):
                lines.append(line.replace("from sklearn.", "from unknown."))  # the types that pyright infers there are too wide
                origin[f"{page.stem}.py", len(lines)] = f"{page.name}:{number}"
        if len(lines) > 1:
            files.append(folder / f"{page.stem}.py")
            files[-1].write_text("\n".join(lines) + "\n", encoding="utf-8")
    assert files
    return [f"{origin.get(place, place)}: {name} says: {message}" for place, message in CHECKERS[name](files, strict=False).items()]


def _run(arguments: list[str]) -> subprocess.CompletedProcess[str]:
    with tempfile.TemporaryDirectory() as elsewhere:  # where nothing is imported from, and no settings are found, by accident
        return subprocess.run([sys.executable, *arguments], cwd=elsewhere, capture_output=True, text=True, timeout=600, check=False)


def main() -> int:
    """Print what is wrong; return 1 where something is."""
    wrong = []
    for name in CHECKERS:
        if why := missing(name):
            print(f"left out: {why}")
            continue
        with tempfile.TemporaryDirectory() as folder:
            wrong += [*differences(name, [*SCRIPTS, MISTAKES]), *in_the_docs(name, Path(folder))]
    print(*wrong, sep="\n", end="\n" if wrong else "")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
