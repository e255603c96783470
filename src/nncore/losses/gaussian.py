"""The loss of a predicted normal distribution: csrc/ops/losses/gaussian.c."""

from __future__ import annotations

from .._checks import flag, real
from ..errors import ShapeError
from .base import Loss, Reduction


class GaussianNLL(Loss):
    """½ (log v + (mean - target)² / v), the negative log-likelihood of a normal distribution (Nix & Weigend, 1994).

    For targets with k columns the output has 2 k columns: k means, then k logarithms of variances. So a `Linear` layer can be the
    last one. Metrics such as "mae" compare the means with the targets.

    Parameters
    ----------
    log_variance : bool, default True
        Whether the second half of the columns holds log v. If False, it holds the variances v themselves, as in PyTorch's
        GaussianNLLLoss.
    full : bool, default False
        Whether to add the constant ½ log 2π.
    eps : float, default 1e-6
        Smaller variances count as eps. Their gradient is not 0, as in PyTorch.
    reduction : str
        See `Loss`.

    Notes
    -----
    The loss of a row is the mean over its k columns.

    Examples
    --------
    >>> import nncore as nn
    >>> loss = nn.losses.GaussianNLL()
    >>> loss([[2.0]], [[1.0, 0.0]])  # mean 1, variance exp(0)
    0.5
    >>> nn.losses.GaussianNLL(log_variance=False)([[2.0]], [[1.0, 1.0]])
    0.5
    """

    name, aliases, targets = "gaussian_nll", ("gnll", "GaussianNLLLoss"), "halved"
    attributes = ("eps", "full", "log_variance")

    def __init__(self, log_variance: bool = True, full: bool = False, eps: float = 1e-6, reduction: Reduction = "mean") -> None:
        super().__init__(reduction)
        self.log_variance = flag("GaussianNLL", "log_variance", log_variance)
        self.full = flag("GaussianNLL", "full", full)
        self.eps = real("GaussianNLL", "eps", eps, 0.0, open_low=True)

    def check_columns(self, columns: int) -> None:
        if columns % 2:
            raise ShapeError(
                f"GaussianNLL needs an even number of outputs, means and then variances, but the model has {columns}; let the last "
                "layer have twice as many outputs as the targets have columns"
            )
