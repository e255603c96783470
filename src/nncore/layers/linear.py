"""Linear: y = x Wᵀ + b."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from .. import init
from .._checks import flag, whole
from ..init import InitSpec
from ..records import Op, Shape
from .base import Layer
from .parameter_views import ParameterView
from .regularized import NO_PENALTIES, Regularized, all_checked

if TYPE_CHECKING:
    import numpy as np


class Linear(Regularized):
    """Fully connected layer: ``y = x @ weight.T + bias`` over the last dimension of x.

    Parameters
    ----------
    in_features, out_features : int
        Size of the last dimension of the input and of the output.
    bias : bool
        Whether there is a bias.
    weight_init : str or callable
        A scheme of ``nn.init``. "auto" depends on the activation that follows: he_uniform for ReLU-like activations (ReLU,
        LeakyReLU with its slope, ELU, GELU, SiLU, Softplus), lecun_normal for SELU, xavier_uniform otherwise.
    bias_init : str or callable
        A scheme of ``nn.init`` that does not use fan_in or fan_out.
    l1, l2 : float, optional
        Penalties ``l1 * sum|w| + l2 * sum w**2`` on the weight, not on the bias, as Keras's kernel_regularizer. Both together are
        the elastic net. They are part of the reported loss. None uses those of ``compile``. They may be changed until ``compile``.
    max_norm : float, optional
        The largest Euclidean norm of a row of ``weight``, that is of the weights into one unit. Longer rows are scaled down after
        each update, as by Keras's MaxNorm. None sets no limit. It may be changed until ``compile``.
    trainable : bool
        Whether training changes the parameters. It may be changed until ``compile``.

    Attributes
    ----------
    weight : numpy.ndarray
        [out_features, in_features], a live view.
    bias : numpy.ndarray or None
        [out_features], a live view.

    See Also
    --------
    Dropout : against over-fitting.
    BatchNorm1d : for deep nets.

    Examples
    --------
    >>> import nncore as nn
    >>> nn.Linear(2, 3)
    Linear(in_features=2, out_features=3, bias=True)
    >>> model = nn.Sequential(nn.Linear(2, 3), seed=0)
    >>> model[0].weight.shape, model[0].bias.shape
    ((3, 2), (3,))
    """

    repr_defaults: ClassVar[dict[str, object]] = {
        "weight_init": "auto",
        "bias_init": "zeros",
        **NO_PENALTIES,
        "trainable": True,
    }

    in_features: int
    out_features: int
    weight_init: InitSpec | Literal["auto"]
    bias_init: InitSpec

    weight: ParameterView[np.ndarray] = ParameterView("[out_features, in_features], a live view.")
    bias: ParameterView[np.ndarray | Any] = ParameterView("[out_features], a live view; None without bias.")

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        *,
        weight_init: InitSpec | Literal["auto"] = "auto",
        bias_init: InitSpec = "zeros",
        l1: float | None = None,
        l2: float | None = None,
        max_norm: float | None = None,
        trainable: bool = True,
        name: str | None = None,
    ) -> None:
        super().__init__(
            in_features=whole("Linear", "in_features", in_features),
            out_features=whole("Linear", "out_features", out_features),
            bias=flag("Linear", "bias", bias),
            weight_init=init.checked("Linear", "weight_init", weight_init, "auto"),
            bias_init=init.checked("Linear", "bias_init", bias_init),
            **all_checked("Linear", l1, l2, max_norm),
            trainable=flag("Linear", "trainable", trainable),
            name=name,
        )

    def ops(self, name: str, inputs: tuple[int, ...], value: int) -> list[Op]:
        bias = self.config()["bias"]
        return [Op.of("linear", name, inputs, in_features=self.in_features, out_features=self.out_features, has_bias=bias)]

    def parameter_shapes(self) -> dict[str, Shape]:
        shapes: dict[str, Shape] = {"weight": (self.out_features, self.in_features)}
        return {**shapes, "bias": (self.out_features,)} if self.config()["bias"] else shapes

    def is_weight_matrix(self, role: str) -> bool:
        return role == "weight"

    def initializer(self, role: str, activation: Layer | None) -> InitSpec:
        if role == "bias":
            return self.bias_init
        if self.weight_init != "auto":
            return self.weight_init
        return activation.preferred_init() if activation is not None else "xavier_uniform"

    def input_shape(self) -> Shape | None:
        return (self.in_features,)

    def macs(self, shape: Shape, out: Shape) -> int:
        return self.in_features * prod(out)
