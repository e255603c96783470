"""How the pictures of the benchmarks become files: as those of the docs (docs/pictures/drawing.py), dark where the page is."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from matplotlib.figure import Figure

_HOW = Path(__file__).resolve().parent.parent / "docs" / "pictures" / "drawing.py"


def save(figure: Figure, path: Path) -> None:
    """Write a figure, and close it."""
    spec = importlib.util.spec_from_file_location("drawing", _HOW)
    assert spec is not None
    assert spec.loader is not None
    drawing = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(drawing)
    path.write_text(drawing.as_svg(figure), encoding="utf-8")
