"""Pictures that explain: an activation with its derivative, a decision boundary, the gradient of a sequence by time step."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from .._checks import real, whole
from ..errors import ArgumentError, ShapeError, require
from ..layers import Layer
from ..models import Sequential
from .case import Case
from .reading import require_compiled, rows_of
from .sequences import norms_by_step

_POINTS = 1001  #: of a curve


def plot_activation(layer: Layer, low: float = -5.0, high: float = 5.0) -> Any:
    """Draw an activation and its derivative, both computed by the core.

    Parameters
    ----------
    layer : Layer
        An activation of one number, such as ``nn.GELU()``.
    low, high : float
        The range of its input.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ArgumentError
        The layer is no activation of single numbers, or low is not below high.
    MissingExtraError
        matplotlib is not installed.

    Examples
    --------
    >>> import nncore as nn
    >>> figure = nn.insight.plot_activation(nn.Tanh())
    >>> [line.get_label() for line in figure.axes[0].lines]
    ['Tanh()', 'derivative']
    """
    low, high = real("plot_activation", "low", low), real("plot_activation", "high", high)
    if low >= high:
        raise ArgumentError(f"plot_activation: low={low:g} must be below high={high:g}")
    if not isinstance(layer, Layer) or not layer.is_activation or type(layer).__name__ in ("Softmax", "LogSoftmax"):
        raise ArgumentError(f"plot_activation: an activation of single numbers, such as nn.GELU(), is needed, not {layer!r}")
    require("matplotlib.figure", "plot", "plot_activation")
    from ..foreign.figure import new_figure, style

    model = Sequential(copy.deepcopy(layer), dtype="float64").build((1,))
    x = np.linspace(low, high, _POINTS)[:, None]
    y = model.forward(x)
    slope = model.backward(np.ones_like(y))
    with style():
        figure = new_figure(5, 3.6)
        axes = figure.subplots()
        axes.plot(x[:, 0], y[:, 0], label=repr(layer))
        axes.plot(x[:, 0], slope[:, 0], "--", label="derivative")
        axes.set(xlabel="input", ylabel="output")
        axes.legend()
    return figure


def plot_decision_boundary(model: Any, x: Any, y: Any = None, *, resolution: int = 200, threshold: float = 0.5) -> Any:
    """Draw what a model answers in a plane, with the rows that lie in it.

    Parameters
    ----------
    model : Model or estimator
        Anything with ``predict`` for [N, 2]. One output column is drawn by its values, with the line where they pass the threshold;
        several columns, or classes, by the class with the greatest one.
    x : array_like
        [N, 2].
    y : array_like, optional
        [N] classes, which give the points their colours.
    resolution : int, default 200
        Points of the grid along each axis.
    threshold : float, default 0.5
        Of one output column. 0 for logits.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ShapeError
        x does not have two columns.
    MissingExtraError
        matplotlib is not installed.

    Examples
    --------
    >>> import numpy as np
    >>> import nncore as nn
    >>> x = np.random.default_rng(0).normal(size=(50, 2))
    >>> model = nn.Sequential(nn.Linear(2, 1), nn.Sigmoid(), seed=0)
    >>> figure = nn.insight.plot_decision_boundary(model, x, x[:, 0] > 0)
    >>> figure.axes[0].get_xlabel()
    'x1'
    """
    points = np.asarray(x, np.float64)
    if points.ndim != 2 or points.shape[1] != 2 or len(points) == 0:
        raise ShapeError(f"plot_decision_boundary: x must have the shape [N, 2], N at least 1, not {points.shape}")
    resolution = whole("plot_decision_boundary", "resolution", resolution, 2)
    threshold = real("plot_decision_boundary", "threshold", threshold)
    require("matplotlib.figure", "plot", "plot_decision_boundary")
    from ..foreign.figure import COLOURS, new_figure, of_classes, of_two_classes, style

    low, high = points.min(0), points.max(0)
    margin = 0.08 * np.maximum(high - low, 1e-3)
    sides = [np.linspace(a, b, resolution) for a, b in zip(low - margin, high + margin, strict=True)]
    grid = np.stack(np.meshgrid(*sides), -1)
    answers = np.asarray(model.predict(grid.reshape(-1, 2))).reshape(resolution * resolution, -1)
    with style():
        figure = new_figure(5.5, 4.5)
        axes = figure.subplots()
        axes.grid(visible=False)
        if answers.shape[1] > 1 or answers.dtype.kind not in "f":
            classes = answers.argmax(1) if answers.shape[1] > 1 else np.unique(answers, return_inverse=True)[1]
            count = max(answers.shape[1], int(classes.max()) + 1)
            colours: Any = {"cmap": of_classes(count), "vmin": -0.5, "vmax": count - 0.5}
            axes.pcolormesh(*sides, classes.reshape(resolution, resolution), shading="nearest", alpha=0.3, **colours)
        else:
            values = answers.reshape(resolution, resolution)
            reach = max(float(np.abs(values - threshold).max()), 1e-12)
            limits: Any = {"vmin": threshold - reach, "vmax": threshold + reach}
            drawn = axes.pcolormesh(*sides, values, cmap=of_two_classes(), shading="nearest", alpha=0.5, **limits)
            figure.colorbar(drawn, ax=axes, label="output")
            if values.min() < threshold < values.max():
                axes.contour(*sides, values, [threshold], colors="black", linewidths=1.2)
        labels = [None] if y is None else np.unique(np.asarray(y).reshape(len(points)))
        for k, label in enumerate(labels):
            chosen = points if label is None else points[np.asarray(y).reshape(len(points)) == label]
            name = None if label is None else str(label)
            marker = "os^D"[k // len(COLOURS) % 4]  # where colours come again
            size = max(16, min(90, 2000 / len(points)))
            axes.scatter(chosen[:, 0], chosen[:, 1], s=size, marker=marker, edgecolors="white", linewidths=0.5, label=name)
        if y is not None:
            axes.legend(title="class", ncols=6, loc="lower left", bbox_to_anchor=(0, 1))  # above the picture, which is full
        axes.set(xlabel="x1", ylabel="x2")
    return figure


def plot_sequence_gradient(model: Any, x: Any, y: Any = None, *, lengths: Any = None) -> Any:
    """Draw how far back in time the gradient of each recurrent layer reaches, before any training of a copy.

    Parameters
    ----------
    model : Model
        Compiled, with recurrent layers.
    x, y : array_like
        Inputs and targets, or batches, as for `diagnose`; the first 64 rows are used.
    lengths : array_like of int, optional
        [N], valid time steps of each sequence.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    NotCompiledError
        The model is not compiled.
    ArgumentError
        The model has no recurrent layers.
    MissingExtraError
        matplotlib is not installed.

    Examples
    --------
    >>> import numpy as np
    >>> import nncore as nn
    >>> model = nn.Sequential(nn.RNN(1, 8), nn.Linear(8, 1), seed=0)
    >>> model.compile(loss="mse", optimizer="adam")
    >>> figure = nn.insight.plot_sequence_gradient(model, np.ones((8, 40, 1)), np.ones(8))
    >>> figure.axes[0].get_yscale()
    'log'
    """
    require_compiled("plot_sequence_gradient", model)
    rows = rows_of("plot_sequence_gradient", model, x, y, lengths)
    case = Case(model, rows, rows, len(rows), 20)
    norms = norms_by_step(case, rows.take(slice(0, 64)))
    if not norms:
        raise ArgumentError("plot_sequence_gradient: the model has no recurrent layers")
    require("matplotlib.figure", "plot", "plot_sequence_gradient")
    from ..foreign.figure import new_figure, style, whole_numbers

    with style():
        figure = new_figure(6, 4)
        axes = figure.subplots()
        for key, values in norms.items():
            axes.plot(np.arange(len(values)), np.where(values > 0, values, np.nan), label=f"layer {key}")
        axes.set(xlabel="time step", ylabel="norm of the gradient", yscale="log", xlim=(0, max(map(len, norms.values())) - 1))
        whole_numbers(axes)
        axes.legend()
    return figure
