"""BatchNorm1d and LayerNorm."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from .._checks import flag, integer, is_number, real, shown, whole
from ..errors import ArgumentError
from ..init import InitSpec
from ..records import Op, Shape
from .base import Layer
from .parameter_views import ParameterView

if TYPE_CHECKING:
    import numpy as np


class BatchNorm1d(Layer):
    """Batch normalisation: ``y = (x - mean) / sqrt(var + eps) * weight + bias``, per feature or channel (Ioffe and Szegedy 2015).

    During training, mean and (biased) variance are those of the batch. At inference they are the running statistics:
    ``running = (1 - momentum) * running + momentum * batch``. The running variance uses the unbiased variance of the batch. A
    batch whose statistics are not finite does not change the running statistics.

    Parameters
    ----------
    num_features : int
        Number of features of [N, features], or of channels of [N, channels, length]. With ``axis=-1``, number of features of
        [N, time, features].
    eps : float
        Added to the variance.
    momentum : float or None
        Weight of the new statistics in the running ones. None computes the plain average over all batches with finite statistics.
    affine : bool
        Whether there are a weight and a bias.
    track_running_stats : bool
        Whether to keep running statistics. Without them the statistics of the batch are used at inference too. The batch is then
        all rows of one call of ``predict``, ``evaluate`` or the model; it needs at least two rows.
    axis : int
        The dimension of the features: 1, as in PyTorch, or -1, the last one, as in Keras. With -1, mean and variance are over all
        samples and time steps. If there are ``lengths=``, only the valid steps count.
    trainable : bool
        Whether training changes weight and bias. It may be changed until ``compile``. A frozen layer, trainable=False, computes as
        at inference: it normalises with the running statistics and does not change them, as in Keras. (PyTorch's would change
        them.) So a pretrained network that is frozen stays as it is.

    Attributes
    ----------
    weight, bias : numpy.ndarray or None
        [num_features], live views.
    running_mean, running_var : numpy.ndarray or None
        [num_features], live views.
    num_batches_tracked : numpy.ndarray or None
        How many batches the running statistics include. If momentum is None, batches that are not finite in every channel do not
        count.

    Notes
    -----
    A training batch of one sample [1, features], or of one valid step, has no variance. It raises an error before anything is
    trained.

    See Also
    --------
    LayerNorm : the same for each row by itself, for small batches and for sequences.

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

    Features of sequences; the padding does not count:

    >>> model = nn.Sequential(nn.BatchNorm1d(1, axis=-1)).build((2, 1))
    >>> x = [[[1.0], [99.0]], [[2.0], [3.0]]]
    >>> model.forward(x, training=True, lengths=[1, 2]).round(3)[..., 0]
    array([[-1.225,  0.   ],
           [ 0.   ,  1.225]], dtype=float32)
    """

    repr_defaults: ClassVar[dict[str, object]] = {"track_running_stats": True, "axis": 1, "trainable": True}
    init_looks_through: ClassVar[bool] = True
    frozen_is_inference: ClassVar[bool] = True

    num_features: int
    eps: float
    momentum: float | None
    affine: bool
    track_running_stats: bool
    axis: Literal[1, -1]

    weight: ParameterView[np.ndarray | Any] = ParameterView("[num_features], a live view; None where affine is False.")
    bias: ParameterView[np.ndarray | Any] = ParameterView("[num_features], a live view; None where affine is False.")
    running_mean: ParameterView[np.ndarray | Any] = ParameterView("[num_features], a live view; None where nothing is tracked.")
    running_var: ParameterView[np.ndarray | Any] = ParameterView("[num_features], a live view; None where nothing is tracked.")
    num_batches_tracked: ParameterView[np.ndarray | Any] = ParameterView(
        "How many batches the running statistics have seen, a live view; None likewise."
    )

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        *,
        axis: Literal[1, -1] = 1,
        trainable: bool = True,
        name: str | None = None,
    ) -> None:
        if integer("BatchNorm1d", "axis", axis) not in (1, -1):
            raise ArgumentError(
                f"BatchNorm1d: axis must be 1, [N, features] or [N, channels, length], or -1, [N, time, features], not {axis}"
            )
        super().__init__(
            num_features=whole("BatchNorm1d", "num_features", num_features),
            eps=real("BatchNorm1d", "eps", eps, 0.0),
            momentum=None if momentum is None else real("BatchNorm1d", "momentum", momentum, 0.0, 1.0),
            affine=flag("BatchNorm1d", "affine", affine),
            track_running_stats=flag("BatchNorm1d", "track_running_stats", track_running_stats),
            axis=int(axis),
            trainable=flag("BatchNorm1d", "trainable", trainable),
            name=name,
        )

    def ops(self, name: str, inputs: tuple[int, ...], value: int) -> list[Op]:
        momentum = -1.0 if self.momentum is None else self.momentum
        return [
            Op.of(
                "batch_norm",
                name,
                inputs,
                num_features=self.num_features,
                affine=self.affine,
                track_running_stats=self.track_running_stats,
                features_last=self.axis == -1,
                eps=self.eps,
                momentum=momentum,
            )
        ]

    def parameter_shapes(self) -> dict[str, Shape]:
        shape = (self.num_features,)
        return {"weight": shape, "bias": shape} if self.affine else {}

    def state_shapes(self) -> dict[str, Shape]:
        if not self.track_running_stats:
            return {}
        shape = (self.num_features,)
        return {"running_mean": shape, "running_var": shape, "num_batches_tracked": ()}

    def initializer(self, role: str, activation: Layer | None) -> InitSpec:
        return "ones" if role in ("weight", "running_var") else "zeros"

    def input_shape(self) -> Shape | None:
        return (self.num_features,)


class LayerNorm(Layer):
    """Layer normalisation: ``y = (x - mean) / sqrt(var + eps) * weight + bias`` over the last dimensions (Ba et al. 2016).

    Mean and (biased) variance are computed per sample, or per part of it. Training and inference are the same.

    Parameters
    ----------
    normalized_shape : int or sequence of int
        The last dimensions of the input, over which to normalise; at most 6.
    eps : float
        Added to the variance.
    elementwise_affine : bool
        Whether there is a weight.
    bias : bool
        Whether there is a bias as well.
    trainable : bool
        Whether training changes them. It may be changed until ``compile``.

    Attributes
    ----------
    weight, bias : numpy.ndarray or None
        [*normalized_shape], live views.

    See Also
    --------
    BatchNorm1d : over the rows of a batch.

    Examples
    --------
    >>> import nncore as nn
    >>> nn.LayerNorm(4)([[1.0, 2.0, 3.0, 4.0]]).round(3)
    array([[-1.342, -0.447,  0.447,  1.342]], dtype=float32)
    """

    repr_defaults: ClassVar[dict[str, object]] = {"trainable": True}
    init_looks_through: ClassVar[bool] = True

    normalized_shape: Shape
    eps: float
    elementwise_affine: bool

    weight: ParameterView[np.ndarray | Any] = ParameterView(
        "[*normalized_shape], a live view; None where elementwise_affine is False."
    )
    bias: ParameterView[np.ndarray | Any] = ParameterView("[*normalized_shape], a live view; None where there is none.")

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
        *,
        trainable: bool = True,
        name: str | None = None,
    ) -> None:
        dims: Any = (normalized_shape,) if is_number(normalized_shape) else normalized_shape
        if not isinstance(dims, list | tuple) or not 1 <= len(dims) <= 6:
            raise ArgumentError(f"LayerNorm: normalized_shape is a whole number or 1 to 6 of them, not {shown(normalized_shape)}")
        super().__init__(
            normalized_shape=tuple(whole("LayerNorm", "each of normalized_shape", d) for d in dims),
            eps=real("LayerNorm", "eps", eps, 0.0),
            elementwise_affine=flag("LayerNorm", "elementwise_affine", elementwise_affine),
            bias=flag("LayerNorm", "bias", bias),
            trainable=flag("LayerNorm", "trainable", trainable),
            name=name,
        )

    def ops(self, name: str, inputs: tuple[int, ...], value: int) -> list[Op]:
        shapes = self.parameter_shapes()
        return [
            Op.of(
                "layer_norm",
                name,
                inputs,
                has_weight="weight" in shapes,
                has_bias="bias" in shapes,
                normalized_shape=self.normalized_shape,
                eps=self.eps,
            )
        ]

    def parameter_shapes(self) -> dict[str, Shape]:
        if not self.elementwise_affine:
            return {}
        shapes: dict[str, Shape] = {"weight": self.normalized_shape}
        return {**shapes, "bias": self.normalized_shape} if self.config()["bias"] else shapes

    def initializer(self, role: str, activation: Layer | None) -> InitSpec:
        return "ones" if role == "weight" else "zeros"

    def is_weight_matrix(self, role: str) -> bool:
        return False  # they are gains, not weight matrices, whatever their shape

    def input_shape(self) -> Shape | None:
        return self.normalized_shape
