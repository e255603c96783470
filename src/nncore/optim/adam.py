"""Adam and related optimizers, which use running means of the gradient and of its square."""

from __future__ import annotations

from typing import Unpack

from .._checks import flag
from ..schedules import Schedule
from .base import Optimizer, Options

BETAS = {"betas": ("beta1", "beta2")}


class Adam(Optimizer):
    """Adam (Kingma & Ba, 2015), optionally AMSGrad (Reddi, Kale & Kumar, 2018).

    Parameters
    ----------
    lr : float or callable, default 1e-3
        The learning rate, or a schedule of it.
    betas : tuple of two floats, default (0.9, 0.999)
        Decay of the running means of the gradient and of its square.
    eps : float, default 1e-8
        Added to the divisor.
    weight_decay, **options
        See `Optimizer`.
    amsgrad : bool, default False
        Whether to divide by the largest second moment so far.
    epsilon_hat : bool, default False
        Whether ``eps`` is the paper's epsilon-hat (end of section 2), as in Keras and scikit-learn: it is added before the bias of
        the second moment is corrected, so that it weighs more in the first steps. Without it, eps is that of algorithm 1 and of
        PyTorch.

    See Also
    --------
    AdamW : with weight decay beside the gradient.
    nn.find_lr : finds a learning rate.

    Examples
    --------
    >>> import nncore as nn
    >>> nn.optim.Adam(lr=1e-2)
    Adam(lr=0.01, betas=(0.9, 0.999), eps=1e-08, amsgrad=False, weight_decay=0.0)
    >>> model = nn.Sequential(nn.Linear(1, 1, weight_init="zeros"))
    >>> model.compile(loss="mse", optimizer=nn.optim.Adam(lr=0.5))
    >>> loss = model.train_on_batch([[1.0]], [[2.0]])
    >>> model[0].weight.round(3)  # the first step of Adam is lr long
    array([[0.5]], dtype=float32)
    """

    name = "adam"
    attributes = ("beta1", "beta2", "eps", "amsgrad", "epsilon_hat")
    pairs = BETAS
    rare = ("epsilon_hat",)

    beta1: float
    beta2: float
    eps: float
    amsgrad: bool
    epsilon_hat: bool

    def __init__(
        self,
        lr: float | Schedule = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        amsgrad: bool = False,
        epsilon_hat: bool = False,
        **options: Unpack[Options],
    ) -> None:
        beta1, beta2 = self._betas(betas)
        super().__init__(
            lr,
            weight_decay,
            options,
            beta1=beta1,
            beta2=beta2,
            eps=self._positive("eps", eps),
            amsgrad=flag(type(self).__name__, "amsgrad", amsgrad),
            epsilon_hat=flag(type(self).__name__, "epsilon_hat", epsilon_hat),
        )


class AdamW(Adam):
    """Adam with weight decay decoupled from the gradient (Loshchilov & Hutter, 2019).

    Parameters
    ----------
    lr, betas, eps, amsgrad, epsilon_hat, **options
        See `Adam`.
    weight_decay : float, default 1e-2
        Each step also multiplies the parameters by ``1 - lr * weight_decay``.

    Examples
    --------
    >>> import nncore as nn
    >>> nn.optim.AdamW()
    AdamW(lr=0.001, betas=(0.9, 0.999), eps=1e-08, amsgrad=False, weight_decay=0.01)
    """

    name = "adamw"

    def __init__(
        self,
        lr: float | Schedule = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        epsilon_hat: bool = False,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(lr, betas, eps, weight_decay, amsgrad, epsilon_hat, **options)


class Adamax(Optimizer):
    """Adamax (Kingma & Ba, 2015, section 7.1): Adam with the largest gradient in place of the second moment.

    Parameters
    ----------
    lr : float or callable, default 2e-3
        The learning rate, or a schedule of it.
    betas : tuple of two floats, default (0.9, 0.999)
        Decay of the running mean of the gradient and of the largest gradient.
    eps : float, default 1e-8
        Added to the divisor.
    weight_decay, **options
        See `Optimizer`.

    Examples
    --------
    >>> import nncore as nn
    >>> nn.optim.Adamax()
    Adamax(lr=0.002, betas=(0.9, 0.999), eps=1e-08, weight_decay=0.0)
    """

    name = "adamax"
    attributes = ("beta1", "beta2", "eps")
    pairs = BETAS

    beta1: float
    beta2: float
    eps: float

    def __init__(
        self,
        lr: float | Schedule = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        **options: Unpack[Options],
    ) -> None:
        beta1, beta2 = self._betas(betas)
        super().__init__(lr, weight_decay, options, beta1=beta1, beta2=beta2, eps=self._positive("eps", eps))


class NAdam(Optimizer):
    """NAdam (Dozat, 2016): Adam with Nesterov's momentum.

    Parameters
    ----------
    lr : float or callable, default 2e-3
        The learning rate, or a schedule of it.
    betas : tuple of two floats, default (0.9, 0.999)
        As for `Adam`.
    eps : float, default 1e-8
        Added to the divisor.
    weight_decay, **options
        See `Optimizer`.
    momentum_decay : float, default 4e-3
        The momentum of step t is ``beta1 * (1 - 0.5 * 0.96 ** (t * momentum_decay))``.
    decoupled_weight_decay : bool, default False
        Whether to decay the weights as `AdamW` does.

    Examples
    --------
    >>> import nncore as nn
    >>> nn.optim.NAdam()  # doctest: +ELLIPSIS
    NAdam(lr=0.002, betas=(0.9, 0.999), eps=1e-08, momentum_decay=0.004, ...)
    """

    name = "nadam"
    attributes = ("beta1", "beta2", "eps", "momentum_decay", "decoupled_weight_decay")
    pairs = BETAS

    beta1: float
    beta2: float
    eps: float
    momentum_decay: float
    decoupled_weight_decay: bool

    def __init__(
        self,
        lr: float | Schedule = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum_decay: float = 4e-3,
        decoupled_weight_decay: bool = False,
        **options: Unpack[Options],
    ) -> None:
        beta1, beta2 = self._betas(betas)
        own = {
            "momentum_decay": self._positive("momentum_decay", momentum_decay),
            "decoupled_weight_decay": flag("NAdam", "decoupled_weight_decay", decoupled_weight_decay),
        }
        super().__init__(lr, weight_decay, options, beta1=beta1, beta2=beta2, eps=self._positive("eps", eps), **own)


class RAdam(Optimizer):
    """RAdam (Liu et al., 2020): Adam with rectified variance. The first steps use only the momentum.

    Parameters
    ----------
    lr : float or callable, default 1e-3
        The learning rate, or a schedule of it.
    betas : tuple of two floats, default (0.9, 0.999)
        As for `Adam`.
    eps : float, default 1e-8
        Added to the divisor.
    weight_decay, **options
        See `Optimizer`.
    decoupled_weight_decay : bool, default False
        Whether to decay the weights as `AdamW` does.

    Examples
    --------
    >>> import nncore as nn
    >>> nn.optim.RAdam(decoupled_weight_decay=True, weight_decay=0.1)  # doctest: +ELLIPSIS
    RAdam(lr=0.001, ..., decoupled_weight_decay=True, weight_decay=0.1)
    """

    name = "radam"
    attributes = ("beta1", "beta2", "eps", "decoupled_weight_decay")
    pairs = BETAS

    beta1: float
    beta2: float
    eps: float
    decoupled_weight_decay: bool

    def __init__(
        self,
        lr: float | Schedule = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        decoupled_weight_decay: bool = False,
        **options: Unpack[Options],
    ) -> None:
        beta1, beta2 = self._betas(betas)
        own = {"decoupled_weight_decay": flag("RAdam", "decoupled_weight_decay", decoupled_weight_decay)}
        super().__init__(lr, weight_decay, options, beta1=beta1, beta2=beta2, eps=self._positive("eps", eps), **own)
