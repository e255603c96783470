"""What the pictures of the docs share: colours for light and dark, text as of a terminal, and how a figure becomes a file."""

from __future__ import annotations

import contextlib
import io
import re
import tempfile
import textwrap
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.figure import Figure

DOCS = Path(__file__).resolve().parent.parent
BLUE, ORANGE, GREEN, RED = "#0072b2", "#e69f00", "#009e73", "#d55e00"
INK, FAINT, PAPER = "#1f2328", "#d0d7de", "#ffffff"
#: What a colour becomes where the reader's system is dark. The others are legible on both.
DARK = {PAPER: "#131417", INK: "#e6edf3", FAINT: "#3d444d", BLUE: "#58a6ff", GREEN: "#3fb68b", RED: "#ff7b42", "#000000": "#e6edf3"}
#: Text stays text, and the same figures give the same file.
STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "nncore",
    "font.family": "sans-serif",
    "text.color": INK,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "grid.color": FAINT,
    "legend.edgecolor": FAINT,
}
PYTHON = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def stylesheet() -> str:
    """Return the rules by which a picture is dark where the reader's system is."""
    rules = [f"text {{fill: {DARK[INK]}}}"]
    for light, dark in DARK.items():
        rules += [f'[style*="{kind}: {light}"] {{{kind}: {dark} !important}}' for kind in ("fill", "stroke")]
    return "\n".join(["", "@media (prefers-color-scheme: dark) {", *rules, "}", ""])


def as_svg(figure: Figure) -> str:
    """Return the file of a figure, which is dark where the reader's system is."""
    file = io.StringIO()
    with plt.rc_context(STYLE):
        figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None})
    plt.close(figure)
    text = re.sub(r"[ \t]+$", "", file.getvalue(), flags=re.MULTILINE)
    text = re.sub(r"(\d\.\d\d)\d+", r"\1", text)  # a hundredth of a point is enough
    return text.replace("</style>", f"{stylesheet()}</style>", 1)


def figures_of(page: str) -> list[Figure]:
    """Run the Python blocks of a page of docs/ one after another, in an empty folder, and return the figures that they draw."""
    plt.close("all")
    path, namespace = DOCS / page, {"__name__": "page"}
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        for block in PYTHON.findall(path.read_text(encoding="utf-8")):
            exec(compile(block, str(path), "exec"), namespace)
    return [plt.figure(number) for number in plt.get_fignums()]


def write_text(figure: Figure, pieces: list[tuple[str, str, str]], top: float, size: float = 11, columns: int = 82) -> float:
    """Write pieces of (mark, text, colour) as a terminal would, the text wrapped beside the mark.

    `top` is the height of the first line above the lower edge, in inches; that below the last line is returned.
    """
    width, height = figure.get_size_inches()
    line, letter = 1.45 * size / 72, 0.602 * size / 72
    place: dict = {"family": "monospace", "fontsize": size, "va": "top"}
    for mark, text, colour in pieces:
        indent = len(mark) - len(mark.lstrip())  # SVG leaves out blanks in front
        figure.text((0.2 + letter * indent) / width, top / height, mark.strip(), color=INK, **place)
        for words in textwrap.wrap(text, columns - len(mark)):
            figure.text((0.2 + letter * len(mark)) / width, top / height, words, color=colour, **place)
            top -= line
    return top
