"""The picture of a confusion matrix."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .._checks import flag, shown
from ..errors import ArgumentError, NonFiniteError, require
from .classification import ConfusionMatrix

if TYPE_CHECKING:
    from ..typing import ArrayLike

_MOST_NUMBERED = 20  #: so many classes get their number in each cell


def plot_confusion(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    sample_weight: ArrayLike | None = None,
    *,
    labels: Sequence[str] | None = None,
    normalize: bool = False,
) -> Any:
    """Draw the confusion matrix: a row per true class, a column per predicted one.

    Parameters
    ----------
    y_true, y_pred : array_like
        True classes, and predictions, as for `confusion_matrix`.
    sample_weight : array_like, optional
        [N].
    labels : sequence of str, optional
        The names of the classes, in order. None: their numbers, or the classes themselves if they are text.
    normalize : bool, default False
        Whether to show each row as shares of its true class, so that rare classes can be seen.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    MissingExtraError
        matplotlib is not installed.
    ArgumentError
        There are more or fewer labels than classes.
    NonFiniteError
        y_true or y_pred contains NaN, as after a training that diverged.

    Examples
    --------
    >>> import nncore as nn
    >>> figure = nn.metrics.plot_confusion(
    ...     [0, 1, 2, 2], [0, 2, 2, 2], labels=["ant", "bee", "cat"]
    ... )
    >>> figure.axes[0].get_xlabel(), figure.axes[0].get_ylabel()
    ('predicted', 'true')
    """
    normalize = flag("plot_confusion", "normalize", normalize)
    matrix = np.asarray(ConfusionMatrix()(y_true, y_pred, sample_weight), np.float64)
    if matrix.ndim != 2:
        raise ArgumentError("plot_confusion: y_true has several labels per row; draw one column at a time")
    classes = len(matrix)
    if not classes or not np.isfinite(matrix).all():
        raise NonFiniteError("plot_confusion: y_true or y_pred contains NaN or infinity; nn.diagnose says why a model does")
    given = np.concatenate([np.asarray(each).ravel() for each in (y_true, y_pred)]) if labels is None else np.empty(0)
    labels = np.unique(given).tolist() if given.dtype.kind in "UO" else labels
    if labels is not None and (isinstance(labels, str) or not isinstance(labels, Iterable)):
        raise ArgumentError(f"plot_confusion: labels must be a list of names, not {shown(labels)}")
    names = [str(each) for each in (range(classes) if labels is None else labels)]
    if len(names) != classes:
        raise ArgumentError(f"plot_confusion: labels has {len(names)} names for {classes} classes")
    require("matplotlib.figure", "plot", "plot_confusion")
    from ..foreign.figure import new_figure, style

    shares = matrix / np.maximum(matrix.sum(1, keepdims=True), 1e-300) if normalize else matrix
    side = min(10.0, 2.5 + 0.45 * classes)
    with style():
        figure = new_figure(side + 1, side)
        axes = figure.subplots()
        image = axes.imshow(shares, cmap="Blues", vmin=0)
        axes.grid(visible=False)
        axes.set(xlabel="predicted", ylabel="true", xticks=range(classes), yticks=range(classes), yticklabels=names)
        axes.set_xticklabels(names, rotation=45 if max(map(len, names)) > 3 else 0)
        figure.colorbar(image, ax=axes, label="share of the true class" if normalize else "rows")
        limit = 0.5 * shares.max(initial=0.0)
        for i, j in np.ndindex(shares.shape) if classes <= _MOST_NUMBERED else ():
            text = f"{shares[i, j]:.2f}" if normalize else f"{shares[i, j]:g}"
            axes.text(j, i, text, ha="center", va="center", color="white" if shares[i, j] > limit else "black", fontsize=9)
    return figure
