"""SGD: stochastic gradient descent."""

from __future__ import annotations

from typing import Unpack

from .._checks import flag
from ..errors import ArgumentError
from ..schedules import Schedule
from .base import Optimizer, Options


class SGD(Optimizer):
    """Stochastic gradient descent, with momentum and Nesterov's variant.

    Parameters
    ----------
    lr : float or callable, default 1e-2
        The learning rate, or a schedule of it.
    momentum : float, default 0
        The part of the last step that the next one keeps.
    dampening : float, default 0
        The gradient enters the momentum with the factor ``1 - dampening``.
    weight_decay, **options
        See `Optimizer`.
    nesterov : bool, default False
        Whether to use Nesterov's momentum. It needs momentum > 0 and dampening 0.
    lr_in_momentum : bool, default False
        Whether lr multiplies the gradient before it enters the momentum, as in Sutskever et al. 2013, Keras and scikit-learn. That
        differs where lr changes: past gradients keep the rates with which they came.

    Notes
    -----
    As in PyTorch, ``v = momentum * v + (1 - dampening) * g`` and ``w -= lr * v``: lr multiplies the whole velocity. In Sutskever et
    al., 2013, lr multiplies only the gradient; ``lr_in_momentum=True`` does that.

    See Also
    --------
    nn.find_lr : finds a learning rate.
    schedules.Cosine : a rate that falls.

    Examples
    --------
    >>> import nncore as nn
    >>> nn.optim.SGD(lr=0.1, momentum=0.9)
    SGD(lr=0.1, momentum=0.9, dampening=0.0, nesterov=False, weight_decay=0.0)
    >>> model = nn.Sequential(nn.Linear(1, 1, weight_init="zeros"))
    >>> model.compile(loss="mse", optimizer=nn.optim.SGD(lr=0.1))
    >>> loss = model.train_on_batch([[1.0]], [[2.0]])
    >>> model[0].weight.round(3)  # 0 - lr * 2 * (0 - 2)
    array([[0.4]], dtype=float32)
    """

    name = "sgd"
    attributes = ("momentum", "dampening", "nesterov", "lr_in_momentum")
    rare = ("lr_in_momentum",)

    momentum: float
    dampening: float
    nesterov: bool
    lr_in_momentum: bool

    def __init__(
        self,
        lr: float | Schedule = 1e-2,
        momentum: float = 0.0,
        dampening: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
        lr_in_momentum: bool = False,
        **options: Unpack[Options],
    ) -> None:
        momentum, dampening = self._positive("momentum", momentum), self._positive("dampening", dampening)
        nesterov = flag("SGD", "nesterov", nesterov)
        if nesterov and (momentum == 0 or dampening != 0):
            raise ArgumentError("SGD: nesterov needs momentum > 0 and dampening == 0")
        inside = flag("SGD", "lr_in_momentum", lr_in_momentum)
        own = {"momentum": momentum, "dampening": dampening, "nesterov": nesterov, "lr_in_momentum": inside}
        super().__init__(lr, weight_decay, options, **own)
