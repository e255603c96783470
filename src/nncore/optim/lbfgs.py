"""L-BFGS: the declaration. SciPy runs the algorithm; training/lbfgs.py connects it to the model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .._checks import optional_whole, real, whole
from ..errors import ArgumentError
from .base import Optimizer


class LBFGS(Optimizer):
    """Limited-memory BFGS (Liu & Nocedal, 1989; Zhu et al., 1997) through ``scipy.optimize``, for small networks and small data
    sets.

    ``fit`` runs one iteration per epoch on all rows together and ignores ``batch_size``. It stops early if the search has
    converged. An iteration evaluates the network several times. Dropout keeps the same mask, so that the loss is a function of the
    weights. Layers that are not trainable, penalties and metrics work as with other optimizers. There is no learning rate. No state
    is kept between two calls of ``fit``: the second call estimates the curvature anew.

    Parameters
    ----------
    history_size : int, default 10
        Number of past iterations that approximate the curvature.
    tolerance_grad : float, default 1e-7
        The search has converged if the largest element of the gradient is at most this.
    tolerance_change : float, default 1e-9
        The search has converged if an iteration lowers the loss by less than this. The change is relative to the loss if that is
        above 1.
    max_line_search : int, default 20
        The largest number of evaluations per iteration.
    max_eval : int, optional
        The largest number of evaluations per `fit`: the iteration that exceeds it is the last. None sets no limit.
    groups : sequence of dict
        See `Optimizer`. Learning rates in groups have no effect.

    Examples
    --------
    >>> import numpy as np
    >>> import nncore as nn
    >>> x = np.linspace(-1, 1, 20)[:, None]
    >>> model = nn.Sequential(
    ...     nn.Linear(1, 8), nn.Tanh(), nn.Linear(8, 1), seed=0, dtype="float64"
    ... )
    >>> model.compile(loss="mse", optimizer=nn.optim.LBFGS())
    >>> losses = model.fit(x, x**2, epochs=100).history["loss"]
    >>> bool(losses[-1] < 1e-4)
    True
    """

    name = "lbfgs"
    full_batch = True
    _options = ()

    history_size: int
    tolerance_grad: float
    tolerance_change: float
    max_line_search: int
    max_eval: int | None

    def __init__(
        self,
        history_size: int = 10,
        tolerance_grad: float = 1e-7,
        tolerance_change: float = 1e-9,
        max_line_search: int = 20,
        max_eval: int | None = None,
        *,
        groups: Sequence[Mapping[str, Any]] = (),
    ) -> None:
        super().__init__(1.0, 0.0, {"groups": groups})
        if any("max_norm" in group or "weight_decay" in group for group in self.groups):
            raise ArgumentError("LBFGS: groups cannot have max_norm or weight_decay; l2 is the penalty that counts in the loss")
        vars(self).update(
            history_size=whole("LBFGS", "history_size", history_size),
            tolerance_grad=real("LBFGS", "tolerance_grad", tolerance_grad, 0.0),
            tolerance_change=real("LBFGS", "tolerance_change", tolerance_change, 0.0),
            max_line_search=whole("LBFGS", "max_line_search", max_line_search),
            max_eval=optional_whole("LBFGS", "max_eval", max_eval),
        )

    def config(self) -> dict[str, Any]:
        keys = ("history_size", "tolerance_grad", "tolerance_change", "max_line_search", "max_eval", "groups")
        return {key: vars(self)[key] for key in keys}

    def __repr__(self) -> str:
        shown = {key: value for key, value in self.config().items() if key != "groups" and value is not None}
        return f"LBFGS({', '.join(f'{key}={value!r}' for key, value in shown.items())})"
