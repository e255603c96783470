"""overfit_one_batch: whether a model can learn a few rows by heart, the first thing to try if it learns nothing."""

from __future__ import annotations

import copy
import warnings
from math import isfinite
from typing import Any, NamedTuple

import numpy as np

from .._checks import whole
from .._declarations import explained
from .case import Case, without_dropout
from .reading import require_compiled, rows_of
from .verdict import wrapped

_SOLVED = 0.05  #: of the way from the loss of a constant answer to the least possible one, the part that may be left
_LEAST = 1e-3


class OneBatch(NamedTuple):
    """The result of `overfit_one_batch`.

    Examples
    --------
    >>> import nncore as nn
    >>> model = nn.Sequential(nn.Linear(1, 1), seed=0)
    >>> model.compile(loss="mse", optimizer=nn.optim.SGD(lr=0.1))
    >>> found = nn.overfit_one_batch(model, [[0.0], [1.0]], [[1.0], [3.0]])
    >>> found.solved, found.chance  # the mean of the targets is 1 away from each
    (True, 1.0)
    """

    solved: bool  #: whether the loss went 95 % of the way from that of a constant answer to the least possible one
    before: float  #: the loss of the rows before
    after: float  #: and afterwards
    chance: float  #: that of the best answer that is the same for every row
    losses: np.ndarray  #: float64 [steps]

    def __str__(self) -> str:
        figures = f"{len(self.losses)} steps: loss {self.before:.3g} -> {self.after:.3g} (a constant answer: {self.chance:.3g})."
        if self.solved:
            return wrapped(f"The model can learn these rows by heart. {figures}")
        return wrapped(
            f"The model cannot learn even these rows by heart. {figures} So the fault is in the model, its loss, its learning rate "
            "or the data, and more rows will not help; nn.diagnose(model, X, y) looks for it."
        )


@explained
def overfit_one_batch(model: Any, x: Any, y: Any = None, *, rows: int = 32, steps: int = 1000, lengths: Any = None) -> OneBatch:
    """Try whether a copy of a model can learn a few rows by heart. A sound model and loss can, whatever the task.

    Dropout and noise are left out. The model, its optimizer and its random numbers stay as they are, to the bit.

    Parameters
    ----------
    model : Sequential or Model
        Compiled.
    x, y : array_like
        Inputs and targets, or batches, as for `diagnose`.
    rows : int, default 32
        So many rows, drawn at random, are one batch.
    steps : int, default 1000
        Steps on this batch at most. It ends earlier if the rows are learned.
    lengths : array_like of int, optional
        [N], valid time steps of each sequence.

    Returns
    -------
    OneBatch
        ``print(result)`` says it in words, ``result.solved`` is True or False.

    Raises
    ------
    NotCompiledError
        The model is not compiled.

    Examples
    --------
    >>> import numpy as np
    >>> import nncore as nn
    >>> rng = np.random.default_rng(0)
    >>> x, y = rng.normal(size=(100, 8)), rng.integers(0, 3, 100)
    >>> model = nn.Sequential(
    ...     nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 3), nn.Softmax(), seed=0
    ... )
    >>> model.compile(
    ...     loss="sparse_categorical_crossentropy", optimizer=nn.optim.Adam(lr=0.01)
    ... )
    >>> nn.overfit_one_batch(model, x, y).solved
    True
    """
    require_compiled("overfit_one_batch", model)
    count, steps = whole("overfit_one_batch", "rows", rows, 1), whole("overfit_one_batch", "steps", steps, 1)
    given = rows_of("overfit_one_batch", model, x, y, lengths)
    batch = given.take(np.sort(np.random.default_rng(0).permutation(len(given))[:count]))
    case = Case(model, batch, None, count, steps)
    arguments: Any = {"batch_size": len(batch), "shuffle": False, "verbose": 0, **batch.sequence}
    trained = copy.deepcopy(case.start)
    without_dropout(trained)
    before, chance = case.learned(trained, batch), case.measure.chance(batch)
    floor = case.measure.floor(batch)
    goal = max(floor + _SOLVED * ((chance if chance > 0 else abs(before)) - floor), _LEAST)
    losses: list[float] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        while len(losses) < steps:
            history = trained.fit(batch.x, batch.y, epochs=min(50, steps - len(losses)), **arguments)
            losses += history.step_losses.tolist()
            if case.learned(trained, batch) <= goal or not isfinite(losses[-1]):
                break
    after = case.learned(trained, batch)
    return OneBatch(isfinite(after) and after <= goal, before, after, chance, np.array(losses))
