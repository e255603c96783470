"""Normalisation layers."""

from __future__ import annotations

from typing import ClassVar

from .._checks import flag, real, whole
from ..init import InitSpec
from ..spec import Op, Shape
from .base import Layer, ParameterView


class BatchNorm1d(Layer):
    """Batch normalisation: ``y = (x - mean) / sqrt(var + eps) * weight + bias``, per feature or channel (Ioffe and Szegedy 2015).

    While training, mean and (biased) variance are those of the batch; at inference, those that training has followed:
    ``running = (1 - momentum) * running + momentum * batch``, where the running variance takes the unbiased one. A batch whose
    statistics are not finite leaves the running ones as they were.

    Parameters
    ----------
    num_features : int
        Number of features of [N, features], or of channels of [N, channels, length].
    eps : float
        Added to the variance.
    momentum : float or None
        Weight of the new statistics in the running ones; None averages over all batches alike.
    affine : bool
        Whether there are a weight and a bias.
    trainable : bool
        Whether training changes them; may be changed until ``compile``.

    Attributes
    ----------
    weight, bias : numpy.ndarray or None
        [num_features], live views.
    running_mean, running_var : numpy.ndarray
        [num_features], live views.
    num_batches_tracked : numpy.ndarray
        How many batches they have seen.

    Notes
    -----
    A training batch of one sample [1, features] has no variance: it is refused, before anything is trained.

    Examples
    --------
    >>> import numpy as np
    >>> import nncore as nn
    >>> model = nn.Sequential(nn.BatchNorm1d(2))
    >>> y = model.forward(np.array([[0.0, 5.0], [2.0, 7.0]]), training=True)
    >>> y.round(3)
    array([[-1., -1.],
           [ 1.,  1.]], dtype=float32)
    >>> model[0].running_mean
    array([0.1, 0.6], dtype=float32)
    """

    quiet: ClassVar[dict[str, object]] = {"trainable": True}
    transparent: ClassVar[bool] = True

    num_features: int
    eps: float
    momentum: float | None
    affine: bool

    weight = ParameterView("[num_features], a live view; None where affine is False.")
    bias = ParameterView("[num_features], a live view; None where affine is False.")
    running_mean = ParameterView("[num_features], a live view.")
    running_var = ParameterView("[num_features], a live view.")
    num_batches_tracked = ParameterView("How many batches the running statistics have seen, a live view.")

    def __init__(
        self, num_features: int, eps: float = 1e-5, momentum: float | None = 0.1, affine: bool = True, *, trainable: bool = True
    ) -> None:
        super().__init__(
            num_features=whole("BatchNorm1d", "num_features", num_features),
            eps=real("BatchNorm1d", "eps", eps, 0.0),
            momentum=None if momentum is None else real("BatchNorm1d", "momentum", momentum, 0.0, 1.0),
            affine=flag("BatchNorm1d", "affine", affine),
            trainable=flag("BatchNorm1d", "trainable", trainable),
        )

    def ops(self, name: str, inputs: tuple[int, ...], value: int) -> list[Op]:
        momentum = -1.0 if self.momentum is None else self.momentum
        return [Op("batch_norm", name, inputs, sizes=(self.num_features, int(self.affine), 1), attributes=(self.eps, momentum))]

    def parameter_shapes(self) -> dict[str, Shape]:
        shape = (self.num_features,)
        return {"weight": shape, "bias": shape} if self.affine else {}

    def state_shapes(self) -> dict[str, Shape]:
        shape = (self.num_features,)
        return {"running_mean": shape, "running_var": shape, "num_batches_tracked": ()}

    def initializer(self, role: str, activation: Layer | None) -> InitSpec:
        return "ones" if role in ("weight", "running_var") else "zeros"

    def input_shape(self) -> Shape | None:
        return (self.num_features,)
