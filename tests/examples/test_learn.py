"""The learner's path: each page is a program that runs in seconds, draws, and asks a question."""

import ast
import io
import json
import os
import subprocess
import sys
import tokenize
from pathlib import Path

import pytest
from examples.test_translations import CATALOGUES, messages

pytest.importorskip("matplotlib")

REPOSITORY = Path(__file__).resolve().parent.parent.parent
LEARN = REPOSITORY / "examples" / "learn"
RUN = """
import json, runpy, sys
import matplotlib.pyplot as plt
runpy.run_path(sys.argv[1])
figures = [plt.figure(number) for number in plt.get_fignums()]
assert figures
sys.path.append(sys.argv[2])
from drawing import as_svg, words_of
print(json.dumps([word for figure in figures for word in words_of(as_svg(figure))]))
"""
PAGES = sorted(LEARN.glob("plot_*.py"))


def lines_of_code(text):
    """Return the lines that are neither comments nor docstrings nor empty."""
    tree = ast.parse(text)
    strings = [node for node in ast.walk(tree) if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)]
    without = {line for node in strings for line in range(node.lineno, node.end_lineno + 1)}
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    code = (tokenize.NAME, tokenize.OP, tokenize.NUMBER, tokenize.STRING)
    found = {line for token in tokens if token.type in code for line in range(token.start[0], token.end[0] + 1)}
    return found - without


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_page(page, tmp_path):
    text = page.read_text(encoding="utf-8")
    assert len(lines_of_code(text)) <= 40
    for part in ("math:", "**Try next:**", ".. question:: "):
        assert part in text
    environment = {**os.environ, "MPLBACKEND": "Agg", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-W", "error", "-c", RUN, str(page), str(REPOSITORY / "docs" / "pictures")]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    korean = dict(messages(CATALOGUES / "pictures.po"))
    assert [word for word in json.loads(done.stdout.splitlines()[-1]) if word not in korean] == []


def test_pages_are_numbered_in_order():
    assert [int(page.stem.split("_")[1]) for page in PAGES] == list(range(1, len(PAGES) + 1))
