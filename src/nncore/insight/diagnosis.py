"""diagnose: why a net does not learn."""

from __future__ import annotations

from math import isfinite
from typing import Any

import numpy as np

from .._checks import whole
from .._declarations import explained
from ..errors import ArgumentError
from . import course, data, sequences, structure
from .case import Case
from .reading import require_compiled, rows_of
from .report import Report, in_order
from .verdict import CODES, Verdict

DEFAULT_STEPS = 600
#: What explains a loss that is no number.
_CAUSES_OF_INFINITY = {
    "lr_too_high", "exploding_gradient", "loss_mismatch", "bad_init", "inputs_unscaled", "targets_unscaled", "non_finite_data"
}  # fmt: skip
#: What is left out if one of the others was found to be serious.
_EXPLAINED_BY: dict[str, set[str]] = {
    "underfitting": {*CODES},
    "labels_unrelated": {"inputs_constant", "padding_dominates", "class_imbalance", "loss_mismatch"},
    "lr_too_high": {"loss_mismatch", "targets_unscaled", "bad_init"},
    "lr_too_low": {"loss_mismatch", "targets_unscaled", "labels_unrelated"},
    "class_imbalance": {"loss_mismatch"},
}


@explained
def diagnose(
    model: Any,
    x: Any,
    y: Any = None,
    *,
    steps: int = DEFAULT_STEPS,
    validation_data: Any = None,
    batch_size: int = 32,
    lengths: Any = None,
) -> Report:
    """Find out why a model does not learn, or whether it does.

    Copies of the model are trained for a bounded number of steps. The model itself, its optimizer and its random numbers stay as
    they are, to the bit. A suspicion is tried out before it becomes a verdict: a copy with another learning rate, standardised
    inputs or usual weights is trained as well, and the evidence says what became of it.

    Parameters
    ----------
    model : Sequential or Model
        Compiled. It need not be built, and may have been trained.
    x, y : array_like
        Inputs and targets, as for `Model.fit`: arrays, frames, for several inputs or outputs a list or a dict by name. Without y, x
        is a loader or another iterable of batches, of which the first 256 are used. Of more than 20,000 rows, as many are drawn.
    steps : int, default 600
        Steps of the first training, rounded up to whole epochs. Others have half as many.
    validation_data : tuple of array_like, optional
        ``(x, y)`` or ``(x, y, lengths)``. If None, a fifth of the rows is held out.
    batch_size : int, default 32
        Rows per step, as for `Model.fit`.
    lengths : array_like of int, optional
        [N], valid time steps of each sequence.

    Returns
    -------
    Report
        ``print(report)`` shows all verdicts; ``report.verdicts`` is the list, ``report.healthy`` whether nothing serious was found.

    Raises
    ------
    NotCompiledError
        The model is not compiled.
    ShapeError, EmptyDataError, LabelError, ArgumentError
        The data do not fit the model or its loss.

    Examples
    --------
    >>> import numpy as np
    >>> import nncore as nn
    >>> x = np.random.default_rng(0).normal(size=(400, 2))
    >>> y = x[:, :1] * x[:, 1:]
    >>> model = nn.Sequential(nn.Linear(2, 32), nn.ReLU(), nn.Linear(32, 1), seed=0)
    >>> model.compile(loss="mse", optimizer=nn.optim.SGD(lr=1e-6))
    >>> report = nn.diagnose(model, x, y)
    >>> report.verdicts[0].code, report.verdicts[0].where
    ('lr_too_low', 'optimizer')
    >>> print(report.verdicts[0].advice)
    Raise the learning rate; nn.find_lr(model, X, y) shows which ones work:
    """
    require_compiled("diagnose", model)
    steps, size = whole("diagnose", "steps", steps, 20), whole("diagnose", "batch_size", batch_size, 1)
    rows = rows_of("diagnose", model, x, y, lengths)
    held = None
    if validation_data is not None:
        if not isinstance(validation_data, list | tuple) or len(validation_data) not in (2, 3):
            raise ArgumentError("diagnose: validation_data must be (x, y) or (x, y, lengths)")
        held = rows_of("diagnose: validation_data", model, *validation_data[:2], *validation_data[2:] or (None,))
    case = Case(model, rows, held, size, steps)
    if lost := [*structure.lost_weights(case)]:
        return Report(case, lost)
    found = _explained([*data.examine(case), *structure.examine(case), *course.examine(case), *sequences.examine(case)])
    serious = {each.code for each in found if each.severity == "serious"}
    if case.is_finite and not isfinite(case.first.after) and not serious & _CAUSES_OF_INFINITY:
        found.append(_diverged(case))
    elif not serious:
        found.append(_healthy(case))
    return Report(case, in_order(found))


def _explained(verdicts: list[Verdict]) -> list[Verdict]:
    """Leave out what another serious verdict explains."""
    serious = {each.code for each in verdicts if each.severity == "serious"}
    if "sequence_too_long" in serious:  # the labels may depend on what was too long ago
        verdicts = [each._replace(severity="warning") if each.code == "labels_unrelated" else each for each in verdicts]
        serious.discard("labels_unrelated")
    return [each for each in verdicts if not serious & _EXPLAINED_BY.get(each.code, set()) - {each.code}]


def _diverged(case: Case) -> Verdict:
    """The verdict on a loss that is no number, whatever the learning rate."""
    last = np.flatnonzero(np.isfinite(case.first.steps))
    return Verdict(
        "exploding_gradient",
        "serious",
        "model",
        f"The loss is no finite number after {last[-1] + 2 if len(last) else 1} steps, with lower learning rates, too.",
        "Somewhere numbers grow until they overflow: large weights, a loss without a bound, or a layer that divides by almost 0.",
        "Take the usual initial weights, limit the norm of the gradient, and look at the data:",
        "model.compile(..., optimizer=nn.optim.Adam(clip_norm=1.0), check_finite=True)",
        {"loss before": case.first.before, "steps with a finite loss": len(last)},
    )


def _healthy(case: Case) -> Verdict:
    first = case.first
    learns = first.relative <= course.NOTHING
    return Verdict(
        "healthy",
        "note",
        "model",
        "Nothing serious was found: the net learns."
        if learns
        else f"Nothing serious was found, but in {len(first.steps)} steps the net has learned next to nothing.",
        "",
        "" if learns else "Try more steps:",
        "" if learns else f"nn.diagnose(model, X, y, steps={10 * case.steps})",
        {"loss before": first.before, "loss after": first.after, "of a constant answer": first.chance, "steps": len(first.steps)},
    )
