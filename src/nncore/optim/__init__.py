"""Optimizers: declarations of the update rules in csrc/ops, with PyTorch's names, signatures and defaults.

Examples
--------
>>> import nncore as nn
>>> nn.optim.SGD(lr=0.1, momentum=0.9)
SGD(lr=0.1, momentum=0.9, dampening=0.0, nesterov=False, weight_decay=0.0)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .._checks import not_foreign, shown
from .._declarations import table
from .._lazy import refusing
from ..errors import ArgumentError, lookup
from .adam import Adam, Adamax, AdamW, NAdam, RAdam
from .base import Optimizer
from .lbfgs import LBFGS
from .names import OptimizerLike, OptimizerName
from .scaled import Adadelta, Adagrad, RMSprop
from .sgd import SGD
from .sign import Lion, Rprop

__all__ = [
    "LBFGS",
    "OPTIMIZERS",
    "SGD",
    "Adadelta",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "Lion",
    "NAdam",
    "Optimizer",
    "OptimizerLike",
    "OptimizerName",
    "RAdam",
    "RMSprop",
    "Rprop",
    "get",
]

#: Maps every name that ``compile`` accepts to its optimizer.
OPTIMIZERS: dict[str, type[Optimizer]] = table(globals(), Optimizer)


def get(optimizer: OptimizerLike) -> Optimizer:
    """Return ``optimizer`` itself, or the optimizer with this name and default arguments.

    Raises
    ------
    UnknownNameError
        No optimizer has this name. The message lists similar names.

    Examples
    --------
    >>> import nncore as nn
    >>> nn.optim.get("sgd")
    SGD(lr=0.01, momentum=0.0, dampening=0.0, nesterov=False, weight_decay=0.0)
    """
    if isinstance(optimizer, Optimizer):
        return optimizer
    if isinstance(optimizer, str):
        cls: Any = lookup("optimizer", optimizer, OPTIMIZERS)
        made: Optimizer = cls()
        return made
    not_foreign("optimizer", optimizer, "optim")
    if isinstance(optimizer, type):
        raise ArgumentError(f"optimizer: {optimizer.__name__} is a class; pass an object, {optimizer.__name__}()")
    raise ArgumentError(
        f"optimizer must be a name or an object of nn.optim, such as nn.optim.Adam(lr=1e-3), not {shown(optimizer)}"
    )


if not TYPE_CHECKING:
    __getattr__ = refusing(__name__, __all__)


def __dir__() -> list[str]:
    return sorted(__all__)
