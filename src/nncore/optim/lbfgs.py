"""L-BFGS: declared here, run by SciPy; the loop between the two stands in training/lbfgs.py."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .._checks import real, whole
from ..errors import ArgumentError
from .base import Optimizer


class LBFGS(Optimizer):
    """Limited-memory BFGS (Liu & Nocedal, 1989; Zhu et al., 1997) through ``scipy.optimize``, for small nets on small data.

    ``fit`` runs one iteration per epoch on all rows together, whatever its ``batch_size``, and stops early where the search has
    converged. An iteration evaluates the net a few times; dropout keeps one mask, so that the loss is a function of the weights.
    Layers that are not trainable, penalties and metrics count as for other optimizers. There is no learning rate, and nothing
    is kept between two calls of ``fit``: the second starts to learn the curvature anew.

    Parameters
    ----------
    history_size : int, default 10
        How many past iterations approximate the curvature.
    tolerance_grad : float, default 1e-7
        Converged when the largest element of the gradient is at most this.
    tolerance_change : float, default 1e-9
        Converged when an iteration lowers the loss by less than this, relative to the loss where that is above 1.
    max_line_search : int, default 20
        Evaluations per iteration at most.
    groups : sequence of dict
        See `Optimizer`; learning rates in them mean nothing here.

    Examples
    --------
    >>> import numpy as np
    >>> import nncore as nn
    >>> x = np.linspace(-1, 1, 20)[:, None]
    >>> model = nn.Sequential(nn.Linear(1, 8), nn.Tanh(), nn.Linear(8, 1), seed=0, dtype="float64")
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

    def __init__(
        self,
        history_size: int = 10,
        tolerance_grad: float = 1e-7,
        tolerance_change: float = 1e-9,
        max_line_search: int = 20,
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
        )

    def config(self) -> dict[str, Any]:
        keys = ("history_size", "tolerance_grad", "tolerance_change", "max_line_search", "groups")
        return {key: vars(self)[key] for key in keys}

    def __repr__(self) -> str:
        return f"LBFGS({', '.join(f'{key}={value!r}' for key, value in self.config().items() if key != 'groups')})"
