"""History: the result of fit. It records losses and metrics; matplotlib draws them."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import EmptyDataError, require
from .hooks import Callback, Logs


class History(Callback):
    """The losses and metrics of a training.

    Attributes
    ----------
    history : dict of str to list
        "loss", each metric, and with the prefix "val_" those of the validation data. There is one entry per epoch, or per validated
        epoch. The loss of an epoch equals the loss of all its rows as one batch, so a smaller last batch counts less.
    epoch : list of int
        The numbers of the epochs.
    step_losses : numpy.ndarray
        float64, the loss of every training step.

    Examples
    --------
    >>> import nncore as nn
    >>> model = nn.Sequential(nn.Linear(1, 1), seed=0)
    >>> model.compile(loss="mse", optimizer="sgd")
    >>> history = model.fit([[0.0], [1.0], [2.0]], [1.0, 3.0, 5.0], epochs=4, batch_size=2)
    >>> history.epoch, list(history.history), len(history.step_losses)
    ([0, 1, 2, 3], ['loss'], 8)
    """

    def __init__(self) -> None:
        self.history: dict[str, list[Any]] = {}
        self.epoch: list[int] = []
        self.params = {}
        self._steps: list[np.ndarray] = []
        self._epochs: dict[str, list[int]] = {}  # the epochs of each quantity, as validation may skip epochs

    def set_model(self, model: Any) -> None:
        """Do not store the model, because the model stores this history."""

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        self.epoch.append(epoch)
        for name, value in (logs or {}).items():
            self.history.setdefault(name, []).append(value)
            self._epochs.setdefault(name, []).append(epoch)

    @property
    def step_losses(self) -> np.ndarray:
        return np.concatenate(self._steps) if self._steps else np.empty(0)

    def record_steps(self, losses: np.ndarray) -> None:
        """Append the losses of steps. fit calls this."""
        self._steps.append(losses)

    def plot(self) -> Any:
        """Plot the loss and each metric over the epochs. Validation is dashed.

        Returns
        -------
        matplotlib.figure.Figure
            One panel per quantity. The figure is not shown.

        Raises
        ------
        MissingExtraError
            matplotlib is not installed.
        EmptyDataError
            No epoch has been recorded.
        """
        names = [n for n, v in self.history.items() if not n.startswith("val_") and np.ndim(v[0]) == 0]
        if not names:
            raise EmptyDataError("History.plot: no epoch has been recorded; fit with epochs >= 1 first")
        figure = require("matplotlib.figure", "plot", "History.plot").Figure(figsize=(4.5 * len(names), 3.5), layout="constrained")
        for axes, name in zip(figure.subplots(1, len(names), squeeze=False)[0], names, strict=True):
            for key, label, style in ((name, "training", "-"), (f"val_{name}", "validation", "--")):
                if key in self.history:
                    axes.plot(self._epochs[key], self.history[key], style, label=label)
            axes.set(title=name, xlabel="epoch")
            axes.legend()
        return figure

    def __repr__(self) -> str:
        last = ", ".join(f"{n}={v[-1]:.4g}" for n, v in self.history.items() if np.ndim(v[-1]) == 0)
        return f"History({len(self.epoch)} epochs{': ' + last if last else ''})"
