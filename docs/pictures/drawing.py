"""What the pictures of the docs share: colours for light and dark, text as of a terminal, and how a figure becomes a file."""

from __future__ import annotations

import contextlib
import html
import io
import re
import tempfile
import textwrap
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.collections import Collection, QuadMesh
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

import nncore as nn

DOCS = Path(__file__).resolve().parent.parent
BLUE, ORANGE, GREEN, RED = "#0072b2", "#e69f00", "#009e73", "#d55e00"
INK, FAINT, PAPER = "#1f2328", "#d0d7de", "#ffffff"
#: What a colour becomes on a dark page. The others are legible on both.
DARK = {PAPER: "#131417", INK: "#e6edf3", FAINT: "#3d444d", BLUE: "#58a6ff", GREEN: "#3fb68b", RED: "#ff7b42", "#000000": "#e6edf3"}
DARK |= {"#dddddd": "#3d444d", "#d9d9d9": "#3d444d", "#e0e0e0": "#3d444d", "#666666": "#9da7b3", "#595959": "#9da7b3"}
DARK |= {"#006ba4": "#58a6ff", "#b00020": "#ff5d6e", "#9fcbe6": "#1d3f5e", "#f7d994": "#5c4a1e"}  # the last two are grounds
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
MANY = 500  # points or cells, which become an image in the file
WORDS = re.compile(r"(<text\b[^>]*>)([^<]+)(?=</text>)")
NUMBER = re.compile(r"(?<![\w.])[-\u2212]?\d+(?:(?:[.,]|, )\d+)*")  # or several with commas
PYTHON = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def stylesheet() -> str:
    """Return the rules by which a picture is dark on a dark page: one that shows it with ``color-scheme``, or a dark system."""
    rules = [f"text {{fill: {DARK[INK]}}}"]
    for light, dark in DARK.items():
        rules += [f'[style*="{kind}: {light}"] {{{kind}: {dark} !important}}' for kind in ("fill", "stroke")]
    return "\n".join(["", "@media (prefers-color-scheme: dark) {", *rules, "}", ""])


def as_svg(figure: Figure) -> str:
    """Return the file of a figure, which is dark on a dark page."""
    for axes in figure.axes:
        if axes.images:  # words upon an image keep their colour, as it does
            for text in axes.texts:
                text.set_color([0.99 * part + 0.005 for part in to_rgb(text.get_color())])
    for artist in figure.findobj():
        marked = isinstance(artist, Line2D) and artist.get_marker() not in ("", "None", None)
        points = len(artist.get_xdata()) if marked else len(artist.get_offsets()) if isinstance(artist, Collection) else 0
        if points > MANY or isinstance(artist, QuadMesh):
            artist.set_rasterized(True)
    file = io.StringIO()
    with plt.rc_context(STYLE):
        figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None})
    plt.close(figure)
    text = re.sub(r"[ \t]+$", "", file.getvalue(), flags=re.MULTILINE)
    # A hundredth of a point is enough. Words between tags, such as those of an axis, stay as they are.
    text = re.sub(r"<[^>]*>", lambda tag: re.sub(r"(\d\.\d\d)\d+", r"\1", tag[0]), text)
    text = re.sub(r'(<(?:path(?! id=)|use)\b[^>]*style=")(?![^"]*fill:)', r"\1fill: #000000; ", text)  # which matplotlib leaves out
    return text.replace("</style>", f"{stylesheet()}</style>", 1)


def key_of(text: str) -> str:
    """Return a text of a picture with {} for each number."""
    return NUMBER.sub("{}", text.strip())


def words_of(svg: str) -> list[str]:
    """Return the keys of the texts of a picture that may need a translation: neither numbers alone nor names such as ReLU."""
    keys = dict.fromkeys(key_of(html.unescape(text)) for _, text in WORDS.findall(svg))
    return [key for key in keys if re.search(r"[^\W\d_]", key) and not (key[0].isupper() and hasattr(nn, key))]


def translated(text: str, catalogue: dict[str, str]) -> str:
    """Return a text of a picture in the words of a catalogue, which may put its numbers into another order: {1}, {0}."""
    said = catalogue.get(key_of(text))
    return said.format(*NUMBER.findall(text)) if said else text


def translate(svg: str, catalogue: dict[str, str]) -> str:
    """Return a picture with other words."""
    return WORDS.sub(lambda found: found[1] + html.escape(translated(html.unescape(found[2]), catalogue), quote=False), svg)


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


def canvas(width: float, height: float) -> tuple[Figure, Axes]:
    """Return a figure for a diagram, and axes whose units are inches from the lower left corner."""
    figure = plt.figure(figsize=(width, height))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, width), ylim=(0, height))
    axes.axis("off")
    return figure, axes


def box(axes: Axes, x: float, y: float, width: float, height: float, text: str = "", colour: str = INK, **words: object) -> None:
    """Draw a box around its middle, tinted with its colour, and write in it."""
    shape = f"round,pad=0,rounding_size={min(0.07, height / 3)}"
    corner = (x - width / 2, y - height / 2)
    face = PAPER if colour == INK else (colour, 0.16)
    axes.add_patch(FancyBboxPatch(corner, width, height, boxstyle=shape, facecolor=face, edgecolor=colour, linewidth=1.3))
    axes.text(x, y, text, ha="center", va="center", **{"fontsize": 11, "linespacing": 1.25, **words})


def arrow(
    axes: Axes, start: tuple[float, float], end: tuple[float, float], colour: str = INK, bend: float = 0.0, **line: object
) -> None:
    """Draw an arrow."""
    path = f"arc3,rad={bend}"
    looks = {"arrowstyle": "-|>", "mutation_scale": 11, "linewidth": 1.4, "shrinkA": 0, "shrinkB": 0, **line}
    axes.add_patch(FancyArrowPatch(start, end, connectionstyle=path, color=colour, **looks))


def plain(*charts: Axes, grid: str = "both") -> None:
    """Give charts a faint grid and no frame."""
    for axes in charts:
        axes.grid(axis=grid, color=FAINT, linewidth=0.6)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
        axes.title.set_fontsize(11)
        axes.tick_params(labelsize=9.5)
