"""find_lr: the learning-rate range test of Smith (2017), "Cyclical Learning Rates for Training Neural Networks"."""

from __future__ import annotations

import copy
import warnings
from math import isfinite
from typing import Any

import numpy as np

from .._checks import real, whole
from .._declarations import explained
from ..errors import ArgumentError, NonFiniteError, require
from .case import Case
from .reading import require_compiled, rows_of

_ABOVE = 4.0  #: the test ends where the loss is so many times that of the start
_TRIED = 7  #: rates that are tried from the start
_NEARLY = 0.03  #: of the rates that are so near to the best one, the lowest is taken
_TESTED = 256  #: rows on which the loss is measured


class RateTest:
    """The result of `find_lr`.

    Attributes
    ----------
    lr : float
        The suggestion. Some rates, from where the loss fell to where it was least, were tried from the start; this one is the
        lowest of those that did well. NaN if the loss never fell.
    rates, losses : numpy.ndarray
        float64 [steps]: the rate of each step, and the loss of the same rows after it.

    Examples
    --------
    >>> import numpy as np
    >>> import nncore as nn
    >>> x = np.random.default_rng(0).normal(size=(400, 8))
    >>> model = nn.Sequential(nn.Linear(8, 1), seed=0)
    >>> model.compile(loss="mse", optimizer="sgd")
    >>> test = nn.find_lr(model, x, x[:, :1])
    >>> bool((np.diff(test.rates) > 0).all()), len(test.rates) == len(test.losses)
    (True, True)
    >>> figure = test.plot()
    """

    def __init__(self, lr: float, rates: np.ndarray, losses: np.ndarray, optimizer: str) -> None:
        self.lr, self.rates, self.losses, self._optimizer = lr, rates, losses, optimizer

    def plot(self) -> Any:
        """Plot the loss over the rate, with the suggestion.

        Returns
        -------
        matplotlib.figure.Figure

        Raises
        ------
        MissingExtraError
            matplotlib is not installed.
        """
        require("matplotlib.figure", "plot", "RateTest.plot")
        from ..foreign.figure import RED, new_figure, style

        with style():
            figure = new_figure(6, 4)
            axes = figure.subplots()
            axes.plot(self.rates, self.losses, label="loss")
            if isfinite(self.lr):
                axes.axvline(self.lr, color=RED, linestyle="--", label=f"suggested: {self.lr:.2g}")
            axes.set(xscale="log", xlabel="learning rate", ylabel="loss")
            axes.legend()
        return figure

    def __repr__(self) -> str:
        return f"RateTest(lr={self.lr:.3g}, {len(self.rates)} steps from {self.rates[0]:.2g} to {self.rates[-1]:.2g})"

    def __str__(self) -> str:
        if not isfinite(self.lr):
            return "The loss did not fall at any learning rate; nn.diagnose(model, X, y) looks for the reason."
        return f"Suggested learning rate: {self.lr:.2g}, as in optimizer=nn.optim.{self._optimizer}(lr={self.lr:.2g})"


@explained
def find_lr(
    model: Any,
    x: Any,
    y: Any = None,
    *,
    lowest: float = 1e-7,
    highest: float = 10.0,
    steps: int = 200,
    batch_size: int = 32,
    lengths: Any = None,
) -> RateTest:
    """Find a learning rate: train a copy with rates that grow from step to step, until the loss leaves all bounds.

    The model, its optimizer and its random numbers stay as they are, to the bit.

    Parameters
    ----------
    model : Sequential or Model
        Compiled. Its optimizer is used, with other rates.
    x, y : array_like
        Inputs and targets, or batches, as for `diagnose`.
    lowest, highest : float
        The rates of the first and of the last step. They grow by the same factor in each step.
    steps : int, default 200
        Number of steps. Fewer are made if the loss grows to four times that of the start.
    batch_size : int, default 32
        Rows per step.
    lengths : array_like of int, optional
        [N], valid time steps of each sequence.

    Returns
    -------
    RateTest
        ``.lr`` is the suggestion, ``.plot()`` shows how the loss depends on the rate.

    Raises
    ------
    NotCompiledError
        The model is not compiled.
    ArgumentError
        The optimizer has no steps (`nn.optim.LBFGS`), or the rates are not in order.
    NonFiniteError
        The data have NaN or infinity.

    Examples
    --------
    >>> import numpy as np
    >>> import nncore as nn
    >>> x = np.random.default_rng(0).normal(size=(400, 8))
    >>> model = nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Linear(16, 1), seed=0)
    >>> model.compile(loss="mse", optimizer="adam")
    >>> test = nn.find_lr(model, x, x[:, :1] * x[:, 1:2])
    >>> bool(1e-4 < test.lr < 1)
    True
    """
    require_compiled("find_lr", model)
    lowest, highest = (
        real("find_lr", name, value, 0.0, open_low=True) for name, value in (("lowest", lowest), ("highest", highest))
    )
    steps, size = whole("find_lr", "steps", steps, 10), whole("find_lr", "batch_size", batch_size, 1)
    if lowest >= highest:
        raise ArgumentError(f"find_lr: lowest={lowest:g} must be below highest={highest:g}")
    rows = rows_of("find_lr", model, x, y, lengths)
    case = Case(model, rows, None, size, 2 * steps)  # its trials have half of them
    name = type(case.rule).__name__
    if case.rule.full_batch:
        raise ArgumentError(f"find_lr: {name} searches its own step lengths; there is no rate to find")
    if not case.is_finite:
        raise NonFiniteError("find_lr: the data have NaN or infinity; nn.diagnose(model, X, y) says where")
    rates = np.geomspace(lowest, highest, steps)
    losses = _losses(case, rates)
    rates = rates[: len(losses)]
    return RateTest(_suggested(case, rates, losses), rates, losses, name)


def _losses(case: Case, rates: np.ndarray) -> np.ndarray:
    """Return the losses of the same rows after a step with each rate, as far as the test goes."""
    size = min(case.batch_size, len(case.train))
    rng, rows = np.random.default_rng(0), case.train
    order = np.concatenate([rng.permutation(len(rows)) for _ in range(-(-len(rates) * size // len(rows)))])
    tested = case.tested.take(slice(0, _TESTED))
    trained = copy.deepcopy(case.start)
    start = case.learned(trained, tested)
    losses: list[float] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        case.changed(lr=float(rates[0]))(trained)
        for step, rate in enumerate(rates):
            batch = rows.take(order[step * size : (step + 1) * size])
            trained.optimizer.lr = float(rate)
            trained.train_on_batch(batch.x, batch.y, **batch.sequence)
            loss = case.learned(trained, tested)
            if not isfinite(loss):
                break
            losses.append(loss)
            if loss > _ABOVE * max(abs(start), abs(min(losses))):
                break
    return np.array(losses)


def _suggested(case: Case, rates: np.ndarray, losses: np.ndarray) -> float:
    """Return the rate to take: the lowest of those that do well in trials from the start."""
    if len(losses) < 5 or losses[0] - losses.min() < 0.01 * abs(losses[0]):
        return float("nan")
    least = int(losses.argmin())
    smooth = np.convolve(np.pad(losses, 2, "edge"), np.full(5, 0.2), "valid")
    fastest = int(np.gradient(smooth, np.log(rates))[: least + 1].argmin())
    low, high = min(rates[least] / 10, rates[fastest]) / 2, max(rates[least], rates[fastest])
    tried = {
        float(rate): case.trial(f"lr {rate:g}", case.changed(lr=float(rate))).after for rate in np.geomspace(low, high, _TRIED)
    }
    best = min(tried.values())
    good = [rate for rate, loss in tried.items() if isfinite(loss) and loss - best <= _NEARLY * (losses[0] - best)]
    return min(good, default=float("nan"))
