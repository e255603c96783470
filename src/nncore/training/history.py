"""History: the result of fit. It records losses and metrics; matplotlib draws them."""

from __future__ import annotations

from typing import Any, Literal, NoReturn

import numpy as np

from .._checks import shown, whole
from .._declarations import explained, put_elsewhere, visible
from ..errors import ArgumentError, EmptyDataError, require
from ..foreign import methods
from .hooks import Callback, Logs

#: How many losses of steps a history keeps, if `fit` does not get another number.
STEPS_KEPT = 1 << 16
_WITH_DOTS = 10  # so few epochs get dots on the lines of a plot
_WAITING = 1 << 10  # the number of arrays of losses that wait to be added to the record


class History(Callback):
    """The losses and metrics of a training.

    Attributes
    ----------
    history : dict of str to list
        "loss", each metric, and with the prefix "val_" those of the validation data; and "learning_rate", the rate of the epoch's
        last step (L-BFGS has none). There is one entry per epoch, or per validated epoch. The loss of an epoch equals the loss of
        all its rows as one batch, so a smaller last batch counts less.
    epoch : list of int
        The numbers of the epochs, from 0. (What is printed and plotted counts from 1.)
    step_losses : numpy.ndarray
        float64, the losses of training steps: of every step, up to 65,536 steps. Of longer trainings every second step is kept,
        then every fourth and so on, so that the record covers the whole training and its memory stays constant.
        ``fit(step_losses="all")`` keeps all.
    search : dict or None
        What SciPy says of the search of `nn.optim.LBFGS`: its "status" (0: converged, 1: a limit was reached), "message", "nit",
        "nfev" and "fun".
    steps : numpy.ndarray
        int64, the numbers of these steps, from 0 at the start of this `fit`.

    Examples
    --------
    >>> import nncore as nn
    >>> model = nn.Sequential(nn.Linear(1, 1), seed=0)
    >>> model.compile(loss="mse", optimizer="sgd")
    >>> history = model.fit([[0.0], [1.0], [2.0]], [1.0, 3.0, 5.0], epochs=4, batch_size=2)
    >>> history.epoch, list(history.history), len(history.step_losses)
    ([0, 1, 2, 3], ['loss', 'learning_rate'], 8)
    """

    __dir__ = visible

    def __init__(self, step_losses: int | Literal["all"] = STEPS_KEPT) -> None:
        self.history: dict[str, list[Any]] = {}
        self.epoch: list[int] = []
        self.params = {}
        self.epoch_losses: list[np.ndarray] = []  #: of the steps of the current epoch, until its end
        self.search: dict[str, Any] | None = None
        self.learning_rate: float | None = None  #: that of the current epoch; fit sets it
        self._record = _StepLosses(steps_kept(step_losses))
        self._epochs: dict[str, list[int]] = {}  # the epochs of those quantities that some epochs do not have

    def set_model(self, model: Any) -> None:
        """Do not store the model, because the model stores this history."""

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        logged = logs or {}
        if self.learning_rate is not None and "learning_rate" not in logged:
            logged = {**logged, "learning_rate": self.learning_rate}
        done, history = len(self.epoch), self.history
        for name, value in logged.items():
            values = history.setdefault(name, [])
            if len(values) != done or name in self._epochs:  # some epochs do not have it
                self._epochs.setdefault(name, self.epoch[: len(values)]).append(epoch)
            values.append(value)
        self.epoch.append(epoch)
        self.epoch_losses = []

    def __getitem__(self, name: object) -> NoReturn:
        raise ArgumentError(f"History holds its values in a dict: use history.history[{shown(name)}]")

    def epochs_of(self, name: str) -> list[int]:
        """Return the epochs that have this quantity, because validation may skip epochs.

        Examples
        --------
        >>> import nncore as nn
        >>> model = nn.Sequential(nn.Linear(1, 1), seed=0)
        >>> model.compile(loss="mse", optimizer="sgd")
        >>> x, y = [[0.0], [1.0]], [1.0, 3.0]
        >>> model.fit(x, y, epochs=4, validation_data=(x, y), validation_freq=2).epochs_of(
        ...     "val_loss"
        ... )
        [1, 3]
        """
        return self._epochs.get(name, self.epoch[: len(self.history.get(name, ()))])

    @property
    def step_losses(self) -> np.ndarray:
        return self._record.losses()

    @property
    def steps(self) -> np.ndarray:
        return self._record.steps()

    def record_steps(self, losses: np.ndarray) -> None:
        """Append the losses of steps. fit calls this."""
        self._record.append(losses)
        self.epoch_losses.append(losses)

    @explained
    def plot(self) -> Any:
        """Plot the loss and each metric over the epochs, counted from 1. Validation is dashed.

        Returns
        -------
        matplotlib.figure.Figure
            One panel per quantity, in at most two columns; the learning rate has one if it changes. The epoch with the least loss
            of the validation is marked. ``plt.show()`` shows the figure in a script, and a notebook if it is the result of a cell.

        Raises
        ------
        MissingExtraError
            matplotlib is not installed.
        EmptyDataError
            No epoch has been recorded.

        Examples
        --------
        >>> import nncore as nn
        >>> model = nn.Sequential(nn.Linear(1, 1), seed=0)
        >>> model.compile(loss="mse", optimizer="sgd")
        >>> figure = model.fit([[0.0], [1.0]], [1.0, 3.0], epochs=5, verbose=0).plot()
        """
        drawn = {n: v for n, v in self.history.items() if np.ndim(v[0]) == 0 and not _is_constant_rate(n, v)}
        names = [name for name in drawn if not name.startswith("val_")]
        if not names:
            raise EmptyDataError("History.plot: no epoch has been recorded; fit with epochs >= 1 first")
        require("matplotlib.figure", "plot", "History.plot")
        from ..foreign.figure import new_figure, style

        columns = min(2, len(names))
        rows = -(-len(names) // columns)
        with style():
            figure = new_figure(5.0 if columns == 1 else 6.6, (3.4 if columns == 1 else 2.7) * rows)
            panels = figure.subplots(rows, columns, squeeze=False).ravel()
            for axes, name in zip(panels, names, strict=False):
                self._draw(axes, name)
            for axes in panels[len(names) :]:
                axes.remove()
        return figure

    def _draw(self, axes: Any, name: str) -> None:
        """Draw one quantity, with that of the validation."""
        from ..foreign.figure import whole_numbers

        validation = f"val_{name}"
        for key, label, line in ((name, "training", "-"), (validation, "validation", "--")):
            if key in self.history:
                epochs = [epoch + 1 for epoch in self.epochs_of(key)]
                axes.plot(epochs, self.history[key], line, marker="o" if len(epochs) <= _WITH_DOTS else None, label=label)
        if name == "loss" and len(self.history.get(validation, ())) > 1:
            values = np.array(self.history[validation])
            if np.isfinite(values).any():
                best = int(np.nanargmin(np.where(np.isfinite(values), values, np.inf)))
                at = self.epochs_of(validation)[best] + 1
                axes.plot(at, values[best], "*", markersize=12, color="C3", label=f"best: epoch {at}", zorder=3)
        axes.set(xlabel="epoch", ylabel=name.replace("_", " "))
        whole_numbers(axes)
        if validation in self.history:
            axes.legend()

    def _repr_html_(self) -> str:
        from ..network.html import table

        rows = []
        for name, values in self.history.items():
            if np.ndim(values[-1]):
                continue
            finite = [value for value in values if np.isfinite(value)]
            extremes = (min(finite), max(finite)) if finite else (values[-1], values[-1])
            rows.append((name, *(f"{value:.4g}" for value in (values[0], values[-1], *extremes))))
        return table(["", "first", "last", "smallest", "largest"], rows, f"History: {len(self.epoch)} epochs")

    def __repr__(self) -> str:
        last = ", ".join(f"{n}={v[-1]:.4g}" for n, v in self.history.items() if np.ndim(v[-1]) == 0 and n != "learning_rate")
        return f"History({len(self.epoch)} epochs{': ' + last if last else ''})"


def steps_kept(value: Any) -> int | None:
    """Return the argument ``step_losses`` of `fit`: a number, or None for "all"."""
    if value is None or (isinstance(value, str) and value == "all"):
        return None
    try:
        return whole("fit", "step_losses", value, 0)
    except ArgumentError:
        raise ArgumentError(f"fit: step_losses must be 'all' or the number of losses to keep, not {shown(value)}") from None


class _StepLosses:
    """The losses of every k-th step. As soon as there are more than ``most``, every second one is dropped and k is doubled."""

    _every, _seen, _waiting = 1, 0, 0

    def __init__(self, most: int | None) -> None:
        self._most = most
        self._blocks: list[np.ndarray] = []
        self._new: list[np.ndarray] = []

    def append(self, losses: np.ndarray) -> None:
        if self._most == 0:
            return
        self._new.append(losses)
        self._waiting += len(losses)
        if self._waiting > STEPS_KEPT or len(self._new) > _WAITING:
            self._settle()

    def _settle(self) -> None:
        """Add the new losses to the record, and thin it if necessary."""
        if not self._new:
            return
        losses = np.concatenate(self._new)
        self._blocks.append(losses[-self._seen % self._every :: self._every])
        self._new, self._waiting, self._seen = [], 0, self._seen + len(losses)
        if self._most is None:
            return
        kept = np.concatenate(self._blocks)
        while len(kept) > self._most:
            kept, self._every = kept[::2].copy(), 2 * self._every
        self._blocks = [kept]

    def losses(self) -> np.ndarray:
        self._settle()
        self._blocks = [np.concatenate(self._blocks)] if self._blocks else []
        return self._blocks[0].copy() if self._blocks else np.empty(0)

    def steps(self) -> np.ndarray:
        self._settle()
        return np.arange(sum(map(len, self._blocks))) * self._every


def _is_constant_rate(name: str, values: list[Any]) -> bool:
    return name == "learning_rate" and all(value == values[0] for value in values)


put_elsewhere(History, methods.OF_HISTORIES)
