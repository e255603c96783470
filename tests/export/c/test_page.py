"""The program of docs/c.md prints what the page says."""

import contextlib
import io
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest

PAGE = Path(__file__).resolve().parents[3] / "docs" / "c.md"


@pytest.mark.filterwarnings("ignore")
def test_the_first_program(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    page = PAGE.read_text("utf-8")
    python, c, console = (re.search(rf"^```{kind}\n(.*?)^```$", page, re.M | re.S)[1] for kind in ("python", "c", "console"))
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(python, {})
    figures, predicted = printed.getvalue().splitlines()
    assert f"# {figures}\n" in python
    Path("main.c").write_text(c)
    build, start, *output = console.splitlines()
    subprocess.run(build.removeprefix("$ ").split(), check=True)
    ran = subprocess.run(start.removeprefix("$ "), check=True, capture_output=True, text=True).stdout.splitlines()
    assert ran == output
    np.testing.assert_allclose(np.fromstring(predicted.strip("[]"), sep=" "), np.fromstring(ran[0], sep=" "), atol=1e-4)
