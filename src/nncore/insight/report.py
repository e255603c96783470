"""The report of `diagnose`: its verdicts, most serious first, as text, as a dict, as a table in a notebook, and as a picture."""

from __future__ import annotations

from math import isfinite
from typing import Any

import numpy as np

from ..errors import require
from .case import Case
from .verdict import CODES, SEVERITIES, Verdict, wrapped


class Report:
    """The result of `diagnose`.

    Attributes
    ----------
    verdicts : list of Verdict
        The most serious first; causes before what follows from them. If nothing serious was found, one of them is "healthy".
    rows : int
        The rows that were given.
    losses : numpy.ndarray
        float64 [steps], of the first training of a copy.
    before, after, chance : float
        The loss of training rows before and after it, and that of the best answer that is the same for every row. NaN if the data
        have NaN or infinity, so that nothing was trained; chance is NaN, too, if it is not known for the loss.
    gradients : dict of str to float
        By weight: the norm of its gradient in the first epoch.
    units : dict of str to tuple of float
        By activation: the fractions of dead units and of saturated values in the last epoch.

    Examples
    --------
    >>> import numpy as np
    >>> import nncore as nn
    >>> model = nn.Sequential(nn.Linear(1, 1), seed=0)
    >>> model.compile(loss="mse", optimizer="sgd")
    >>> report = nn.diagnose(model, np.array([[1.0], [np.nan]] * 20), np.ones(40))
    >>> report
    Report(non_finite_data)
    >>> report.healthy, report.steps, report.to_dict()["rows"]
    (False, 0, 40)
    >>> figure = report.plot()
    """

    def __init__(self, case: Case, verdicts: list[Verdict]) -> None:
        self.verdicts, self.rows = verdicts, len(case.whole)
        self.losses: np.ndarray = np.empty(0)
        self.before = self.after = self.chance = float("nan")
        self.gradients: dict[str, float] = {}
        self.units: dict[str, tuple[float, float]] = {}
        if not case.is_trained:
            return
        first = case.first
        found = first.found
        self.losses, self.before, self.after, self.chance = first.steps, first.before, first.after, first.chance
        self.gradients = {name: norms[0] for name, norms in found.gradient_norm.items() if "weight" in name and norms}
        self.units = {name: (found.dead_fraction[name][-1], each[-1]) for name, each in found.saturated_fraction.items() if each}

    @property
    def steps(self) -> int:
        """The steps of the first training of a copy."""
        return len(self.losses)

    @property
    def healthy(self) -> bool:
        """Whether nothing serious was found."""
        return all(each.severity != "serious" for each in self.verdicts)

    def to_dict(self) -> dict[str, Any]:
        """Return everything as a dict of plain numbers and text, for a log or for JSON."""
        return {
            "healthy": self.healthy,
            "rows": self.rows,
            "steps": self.steps,
            "loss_before": self.before,
            "loss_after": self.after,
            "chance": self.chance,
            "verdicts": [each.to_dict() for each in self.verdicts],
        }

    def plot(self) -> Any:
        """Plot the losses of the first training, the gradients by layer, and the units of each activation.

        Returns
        -------
        matplotlib.figure.Figure

        Raises
        ------
        MissingExtraError
            matplotlib is not installed.
        """
        require("matplotlib.figure", "plot", "Report.plot")
        from .picture import draw

        return draw(self)

    def __str__(self) -> str:
        head = f"{self.rows:,} rows"
        if self.steps:
            head += f", {self.steps:,} steps of a copy: loss {self.before:.3g} -> {self.after:.3g}"
            head += f" (a constant answer: {self.chance:.3g})" if isfinite(self.chance) else ""
        return "\n\n".join([wrapped(head), *(f"{i}. {each}" for i, each in enumerate(self.verdicts, 1))])

    def __repr__(self) -> str:
        return f"Report({', '.join(each.code for each in self.verdicts)})"

    def _repr_html_(self) -> str:
        from ..network.html import table

        rows = [(each.severity, each.code, each.where, each.text, each.advice, each.code_line) for each in self.verdicts]
        return table(["severity", "code", "where", "what", "do", "code"], rows, "diagnose")


def in_order(verdicts: list[Verdict]) -> list[Verdict]:
    """Return verdicts, the most serious first; of equal ones those first that cause others, "healthy" being the last of all."""
    codes = list(CODES)
    return sorted(verdicts, key=lambda each: (SEVERITIES.index(each.severity), codes.index(each.code)))
