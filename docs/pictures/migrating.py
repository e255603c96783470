"""The picture of docs/migrating.md: which library's names a program has."""

from __future__ import annotations

from drawing import BLUE, GREEN, RED, box, canvas
from matplotlib.figure import Figure

PARTS = (
    ("as in PyTorch", BLUE, ("nn.Sequential(nn.Linear(8, 32), …)", "nn.optim.Adam(lr=1e-3)", "model.state_dict()")),
    ("as in Keras", RED, ("model.compile(loss=…, optimizer=…)", "model.fit(x, y, epochs=3)", "model.evaluate(x, y)")),
    ("as in scikit-learn", GREEN, ("nn.metrics.f1(y_true, y_pred)", "MLPClassifier((64, 32))", "clf.predict_proba(x)")),
)


def names() -> Figure:
    """Layers, training and metrics, with where their names and meanings come from."""
    figure, axes = canvas(5.6, 3.0)
    for place, (whence, colour, lines) in enumerate(PARTS):
        y = 2.5 - 0.98 * place
        box(axes, 1.87, y, 3.5, 0.88, "", colour)
        for row, line in enumerate(lines):
            axes.text(0.24, y + 0.25 * (1 - row), line, family="monospace", fontsize=10, va="center")
        axes.text(3.8, y, whence, va="center", fontsize=11.5, color=colour)
    return figure
