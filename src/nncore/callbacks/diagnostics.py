"""Diagnostics: figures of every layer while it trains, which tell why a net does not learn."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .._checks import whole
from ..errors import EmptyDataError, require
from .base import Callback, Logs

_PARAMETERS = ("gradient_norm", "weight_norm", "update_norm", "update_ratio")
_UNITS = ("mean", "std", "zero_fraction", "dead_fraction", "saturated_fraction")


class Diagnostics(Callback):
    """Collect, for every epoch, norms of gradients and updates, and how many units are dead or saturated.

    The core takes the figures between two steps, from numbers that are in memory anyway; steps that are not looked at cost nothing.

    Parameters
    ----------
    every : int, default 25
        Look at the first training step of each epoch, and from there at every so many; 1 looks at all. At 25, training takes up to
        5 % longer.

    Attributes
    ----------
    epoch : list of int
        The numbers of the epochs.
    gradient_norm, weight_norm, update_norm, update_ratio : dict of str to list of float
        By parameter ("0.weight", as in ``state_dict``), one number per epoch, the mean over the steps looked at: of the Euclidean
        norms of the gradient (before clipping; penalties are not in it), the weight before the update, and its change; and of the
        ratio of the last two.
    mean, std : dict of str to list of float
        By activation ("layer 1 (ReLU)"), over all its numbers.
    zero_fraction : dict of str to list of float
        The part of all numbers that are exactly 0.
    dead_fraction : dict of str to list of float
        The part of the units that were 0 for every sample looked at.
    saturated_fraction : dict of str to list of float
        The part of all numbers where the derivative is nearly 0: Sigmoid outside of 0.01 to 0.99; Tanh and Softsign beyond 0.98,
        Hardtanh at its ends, ELU and SELU within 2 % of their lower bound. Other activations have 0.

    Notes
    -----
    A unit is a column, the last dimension of the activation. A gradient in early layers that is a thousandth of that in the last
    ones vanishes; an update ratio far from 1e-3 points to a learning rate that is off; dead ReLUs learn no more.

    Examples
    --------
    >>> import numpy as np
    >>> import nncore as nn
    >>> model = nn.Sequential(nn.Linear(1, 8), nn.ReLU(), nn.Linear(8, 1), seed=0)
    >>> model.compile(loss="mse", optimizer="sgd")
    >>> found = nn.callbacks.Diagnostics(every=1)
    >>> _ = model.fit(np.ones((20, 1)), np.zeros((20, 1)), epochs=3, callbacks=[found])
    >>> list(found.gradient_norm), len(found.gradient_norm["0.weight"])
    (['0.weight', '0.bias', '2.weight', '2.bias'], 3)
    >>> list(found.dead_fraction)
    ['layer 1 (ReLU)']
    """

    gradient_norm: dict[str, list[float]]
    weight_norm: dict[str, list[float]]
    update_norm: dict[str, list[float]]
    update_ratio: dict[str, list[float]]
    mean: dict[str, list[float]]
    std: dict[str, list[float]]
    zero_fraction: dict[str, list[float]]
    dead_fraction: dict[str, list[float]]
    saturated_fraction: dict[str, list[float]]

    def __init__(self, every: int = 25) -> None:
        self.every = whole("Diagnostics", "every", every)
        self._clear()

    def _clear(self) -> None:
        self.epoch: list[int] = []
        for name in (*_PARAMETERS, *_UNITS):
            setattr(self, name, {})

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self._clear()
        model = self.model
        activations = {i: op.name for i, op in enumerate(model._ops) if op.kind == "activation"}
        model._probe(self.every, list(activations))
        # Found once, because an epoch of a small net takes less time than looking these up.
        self._curves = [[self._curve(kind, name) for kind in _PARAMETERS] for name, _ in model.named_parameters()]
        self._unit_curves = {op: [self._curve(kind, name) for kind in _UNITS] for op, name in activations.items()}

    def _curve(self, kind: str, name: str) -> list[float]:
        curve: list[float] = getattr(self, kind).setdefault(name, [])
        return curve

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        steps, parameters, units = self.model._probe_read()
        self.epoch.append(epoch)
        for curves, sums in zip(self._curves, parameters.tolist(), strict=True):
            for curve, value in zip(curves, sums, strict=True):
                curve.append(value / steps if steps else math.nan)
        for op, (figures, count) in units.items():
            for curve, value in zip(self._unit_curves[op], self._of_units(figures, count), strict=True):
                curve.append(value)

    def _of_units(self, sums: np.ndarray, count: float) -> tuple[float, ...]:
        """The figures of one activation; count: numbers per unit."""
        if not count:
            return (math.nan,) * len(_UNITS)
        columns = sums.shape[1]
        total, square, zero, flat = (value / (count * columns) for value in sums.sum(1).tolist())
        dead = int(np.count_nonzero(sums[2] == count)) / columns
        return total, math.sqrt(max(0.0, square - total * total)), zero, dead, flat

    def on_train_end(self, logs: Logs | None = None) -> None:
        self.close()

    def close(self) -> None:
        """Look no longer."""
        if self.model is not None and self.model.built:
            self.model._probe(0, [])

    def plot(self) -> Any:
        """Draw the norms of the weights' gradients, their update ratios, and the dead and saturated units over the epochs.

        Returns
        -------
        matplotlib.figure.Figure
            Four panels, not yet shown.

        Raises
        ------
        MissingExtraError
            matplotlib is not installed.
        EmptyDataError
            No epoch has been run.
        """
        if not self.epoch:
            raise EmptyDataError("Diagnostics.plot: no epoch has been recorded; fit with it among the callbacks first")
        figure = require("matplotlib.figure", "plot", "Diagnostics.plot").Figure(figsize=(12, 7), layout="constrained")
        weights = [name for name in self.gradient_norm if name.rpartition(".")[2].startswith("weight")] or list(self.gradient_norm)
        panels = (
            ("gradient norm", {name: self.gradient_norm[name] for name in weights}, "log"),
            ("update / weight", {name: self.update_ratio[name] for name in weights}, "log"),
            ("dead units", self.dead_fraction, "linear"),
            ("saturated", self.saturated_fraction, "linear"),
        )
        for axes, (title, curves, scale) in zip(figure.subplots(2, 2).flat, panels, strict=True):
            for name, values in curves.items():
                axes.plot(self.epoch, values, label=name)
            axes.set(title=title, xlabel="epoch", yscale=scale if any(v > 0 for c in curves.values() for v in c) else "linear")
            if curves:
                axes.legend(fontsize=7)
        return figure

    def __repr__(self) -> str:
        return f"Diagnostics(every={self.every}, {len(self.epoch)} epochs)"
