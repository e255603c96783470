"""A figure that notebooks show as the result of a cell. It is imported only to draw, because it needs matplotlib."""

from __future__ import annotations

import io

from matplotlib.figure import Figure


class NotebookFigure(Figure):
    """A figure of matplotlib that notebooks show even if pyplot has not been imported."""

    def _repr_png_(self) -> bytes:
        file = io.BytesIO()
        self.savefig(file, format="png")
        return file.getvalue()
