"""The programs of docs/c.md print what the page says."""

import contextlib
import io
import re
import subprocess
from pathlib import Path

import numpy as np

PAGE = Path(__file__).resolve().parents[3] / "docs" / "c.md"


def test_the_programs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    page = PAGE.read_text("utf-8")
    python, weights, verified = re.findall(r"^```python\n(.*?)^```$", page, re.M | re.S)[:3]
    c, console = (re.search(rf"^```{kind}\n(.*?)^```$", page, re.M | re.S)[1] for kind in ("c", "console"))
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(python + weights + verified, {})
    figures, predicted, error, ulp = printed.getvalue().splitlines()
    assert f"# {figures}\n" in python
    for said, text in ((error, weights), (ulp, verified)):
        said, text = (re.findall(r"\d+\.\d+", each) for each in (said, text))
        np.testing.assert_allclose(np.array(said, float), np.array(text, float), rtol=0.5)
    Path("main.c").write_text(c)
    build, start, *output = console.splitlines()
    subprocess.run(build.removeprefix("$ ").split(), check=True)
    ran = subprocess.run(start.removeprefix("$ "), check=True, capture_output=True, text=True).stdout.splitlines()
    assert ran == output
    np.testing.assert_allclose(np.fromstring(predicted.strip("[]"), sep=" "), np.fromstring(ran[0], sep=" "), atol=1e-4)
