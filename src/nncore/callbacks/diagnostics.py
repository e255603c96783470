"""Diagnostics: statistics of every layer during training. They help to find out why a network does not learn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .. import _late_calls
from .._checks import flag, whole
from ..errors import EmptyDataError, require
from ..training.hooks import Callback, Logs

if TYPE_CHECKING:
    from ..insight import Verdict

_PARAMETERS = ("gradient_norm", "weight_norm", "update_norm", "update_ratio")
_UNITS = ("mean", "std", "zero_fraction", "dead_fraction", "saturated_fraction")
_KEPT_BYTES = 1 << 20  #: limit for the sums of epochs whose statistics have not been computed yet


def _of_units(sums: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return the statistics of one activation by epoch, from the sums [epochs, 4 * columns + 1]. The last column is the number of
    values per unit."""
    count, by_unit = sums[:, -1:], sums[:, :-1].reshape(len(sums), 4, -1)
    mean, square, zero, flat = (by_unit.sum(2) / (count * by_unit.shape[2])).T
    dead = np.where(count[:, 0] > 0, (by_unit[:, 2] == count).mean(1), np.nan)
    return mean, np.sqrt(np.maximum(0.0, square - mean * mean)), zero, dead, flat


class _Figure:
    """A statistic by name. It is computed when it is read, because computing it takes about as long as an epoch of a small
    network."""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, diagnostics: Diagnostics | None, owner: type | None = None) -> dict[str, list[float]]:
        if diagnostics is None:
            raise AttributeError(self._name)
        diagnostics._settle()
        return diagnostics._figures[self._name]


class Diagnostics(Callback):
    """Record norms of gradients and updates and the fractions of dead and saturated units in every epoch.

    The core computes the statistics between two steps, from values that are in memory already. Steps that are not sampled have no
    cost.

    Parameters
    ----------
    every : int, default 25
        Interval between two sampled training steps, starting with the first step of each epoch. 1 samples every step. With 25,
        training takes up to 5 % longer.
    verdicts : bool, default False
        Whether to say at the end of training, in plain words, what these statistics mean. It takes some milliseconds.

    Attributes
    ----------
    epoch : list of int
        The numbers of the epochs.
    gradient_norm, weight_norm, update_norm, update_ratio : dict of str to list of float
        By parameter ("0.weight", as in ``state_dict``): one value per epoch, the mean over the sampled steps. They are the
        Euclidean norms of the gradient (before clipping, without penalties), of the weight before the update, and of the update.
        update_ratio is the norm of the update divided by that of the weight.
    mean, std : dict of str to list of float
        By activation ("layer 1 (ReLU)"): mean and standard deviation over all its values.
    zero_fraction : dict of str to list of float
        The fraction of the values that are exactly 0.
    dead_fraction : dict of str to list of float
        The fraction of the units that were 0 for every sample in the sampled steps.
    saturated_fraction : dict of str to list of float
        The fraction of the values at which the derivative is nearly 0: Sigmoid outside of 0.01 to 0.99, Tanh beyond 0.98, Softsign
        beyond 0.8, Hardtanh, Hardsigmoid and ReLU6 at their bounds (ReLU6 at 6 only), ELU, CELU and SELU within 2 % of their lower
        bound. It is 0 for other activations.
    verdicts : list of nncore.insight.Verdict
        With ``verdicts=True``, after training: gradients that vanish or explode, dead and saturated units, steps that are too long
        or too short; the most serious first. `nn.diagnose` finds more, because it tries changes out.

    Notes
    -----
    A unit is a column, that is an index of the last dimension of the activation. Time steps beyond ``lengths`` do not count.
    Gradients vanish if those of the first layers are about a thousandth of those of the last layers. An update ratio far from 1e-3
    indicates an unsuitable learning rate. A dead ReLU does not learn any more.

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
    >>> figure = found.plot()
    """

    gradient_norm = _Figure()
    weight_norm = _Figure()
    update_norm = _Figure()
    update_ratio = _Figure()
    mean = _Figure()
    std = _Figure()
    zero_fraction = _Figure()
    dead_fraction = _Figure()
    saturated_fraction = _Figure()

    def __init__(self, every: int = 25, verdicts: bool = False) -> None:
        self.every = whole("Diagnostics", "every", every)
        self._with_verdicts = flag("Diagnostics", "verdicts", verdicts)
        self.verdicts: list[Verdict] = []
        self._clear()

    def _clear(self) -> None:
        self.epoch: list[int] = []
        self._figures: dict[str, dict[str, list[float]]] = {kind: {} for kind in (*_PARAMETERS, *_UNITS)}
        self._looked: list[tuple[int, np.ndarray, np.ndarray]] = []  # epochs whose statistics have not been computed yet
        self._bytes = 0

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self._clear()
        model = self.model
        plan = model._network.plan
        activations = {i: op.name for i, op in enumerate(plan.ops) if op.kind == "activation"}
        places = plan.start_probe(self.every, list(activations))
        self._parameters = [name for name, _ in model.named_parameters()]
        self._places = [(name, *places[op]) for op, name in activations.items()]
        for kinds, names in ((_PARAMETERS, self._parameters), (_UNITS, activations.values())):
            for kind in kinds:
                self._figures[kind] = {name: [] for name in names}

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        looked = self.model._network.plan.read_probe()
        if looked is None:
            return
        self.epoch.append(epoch)
        self._looked.append(looked)
        self._bytes += looked[1].nbytes + looked[2].nbytes
        if self._bytes > _KEPT_BYTES:
            self._settle()

    def _settle(self) -> None:
        """Compute the statistics of the epochs that have none yet."""
        if not self._looked:
            return
        counted, parameters, units = zip(*self._looked, strict=True)
        self._looked, self._bytes = [], 0
        steps = np.array(counted, np.float64)
        with np.errstate(divide="ignore", invalid="ignore"):  # an epoch without a sampled step has NaN
            means = np.stack(parameters) / steps[:, None, None]
            for kind, columns in zip(_PARAMETERS, np.moveaxis(means, 2, 0), strict=True):
                for name, values in zip(self._parameters, columns.T.tolist(), strict=True):
                    self._figures[kind][name] += values
            every = np.stack(units)
            for name, at, n in self._places:
                for kind, values in zip(_UNITS, _of_units(every[:, at : at + 4 * n + 1]), strict=True):
                    self._figures[kind][name] += values.tolist()

    def on_train_end(self, logs: Logs | None = None) -> None:
        self.close()
        if self._with_verdicts and self.epoch:
            self.verdicts = _late_calls.verdicts_of(self)

    def close(self) -> None:
        """Stop sampling."""
        if self.model is not None and self.model.built:
            self.model._network.plan.start_probe(0, [])

    def plot(self) -> Any:
        """Plot the norms of the weights' gradients, their update ratios, and the dead and saturated units over the epochs.

        Returns
        -------
        matplotlib.figure.Figure
            Four panels; epochs are counted from 1. A notebook shows the figure if it is the result of a cell.

        Raises
        ------
        MissingExtraError
            matplotlib is not installed.
        EmptyDataError
            No epoch has been recorded.
        """
        if not self.epoch:
            raise EmptyDataError("Diagnostics.plot: no epoch has been recorded; fit with it among the callbacks first")
        require("matplotlib.figure", "plot", "Diagnostics.plot")
        from ..foreign.figure import new_figure, style, whole_numbers

        weights = [name for name in self.gradient_norm if name.rpartition(".")[2].startswith("weight")] or list(self.gradient_norm)
        panels = (
            ("gradient norm", {name: self.gradient_norm[name] for name in weights}, "norm"),
            ("update / weight", {name: self.update_ratio[name] for name in weights}, "ratio"),
            ("dead units", self.dead_fraction, "fraction"),
            ("saturated", self.saturated_fraction, "fraction"),
        )
        with style():
            epochs = [epoch + 1 for epoch in self.epoch]
            columns = [max(1, 50 // (max(map(len, panels[k][1]), default=1) + 6)) for k in (0, 2)]
            lines = sum(-(-len(panels[k][1]) // n) for k, n in zip((0, 2), columns, strict=True))
            figure = new_figure(5.6, 8.5 + 0.2 * lines)  # one above the other: a phone shows 5.6 inches legibly
            for k, (axes, (title, curves, unit)) in enumerate(zip(figure.subplots(4), panels, strict=True)):
                for name, values in curves.items():
                    axes.plot(epochs, values, marker=None if len(values) > 1 else "o", label=name)
                axes.set(title=title, xlabel="epoch", ylabel=unit)
                whole_numbers(axes)
                if unit == "fraction":
                    top = max([0.05, *(1.1 * v for c in curves.values() for v in c if v == v)])
                    axes.set_ylim(-top / 30, top)  # lines at 0 are seen
                elif any(v > 0 for c in curves.values() for v in c):
                    axes.set_yscale("log")
                if curves and k % 2:  # below the two panels whose lines it names
                    axes.legend(ncols=columns[k // 2], loc="upper left", bbox_to_anchor=(-0.1, -0.35))
        return figure

    def __repr__(self) -> str:
        return f"Diagnostics(every={self.every}, {len(self.epoch)} epochs)"
