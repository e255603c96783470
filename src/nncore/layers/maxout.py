"""Maxout: the largest of several linear functions, per unit."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any, ClassVar

from .. import init
from .._checks import flag, whole
from ..init import InitSpec
from ..records import Op, Shape
from .base import Layer
from .parameter_views import ParameterView
from .regularized import NO_PENALTIES, Regularized, all_checked

if TYPE_CHECKING:
    import numpy as np


class Maxout(Regularized):
    """``y[..., j] = max over p of (x @ weight.T + bias)[..., p * out_features + j]`` (Goodfellow et al. 2013).

    One matrix product computes all pieces. The gradient goes to the piece with the maximum; if several are equal, to the first of
    them.

    Parameters
    ----------
    in_features, out_features : int
        Size of the last dimension of the input and of the output.
    pieces : int
        The number of linear functions of each unit.
    bias : bool
        Whether the linear functions have a bias.
    weight_init, bias_init : str or callable
        Schemes of ``nn.init``. The default, lecun_uniform, keeps the variance with two pieces. It is also suitable for more pieces.
    l1, l2, max_norm : float, optional
        Penalties on the weight, and a limit for each of its rows, as for `Linear`. Each piece counts as a unit.
    trainable : bool
        Whether training changes the parameters. It may be changed until ``compile``.

    Attributes
    ----------
    weight : numpy.ndarray
        [pieces * out_features, in_features], a live view. The first piece of all units comes first, then the second, ...
    bias : numpy.ndarray or None
        [pieces * out_features], a live view.

    Examples
    --------
    >>> import nncore as nn
    >>> model = nn.Sequential(nn.Maxout(1, 1, pieces=2))
    >>> model[0].weight = [[1.0], [-1.0]]
    >>> model([[3.0], [-2.0]])  # |x|
    array([[3.],
           [2.]], dtype=float32)
    """

    repr_defaults: ClassVar[dict[str, object]] = {
        "bias": True,
        "weight_init": "lecun_uniform",
        "bias_init": "zeros",
        **NO_PENALTIES,
        "trainable": True,
    }

    in_features: int
    out_features: int
    pieces: int
    weight_init: InitSpec
    bias_init: InitSpec

    weight: ParameterView[np.ndarray] = ParameterView("[pieces * out_features, in_features], a live view.")
    bias: ParameterView[np.ndarray | Any] = ParameterView("[pieces * out_features], a live view; None without bias.")

    def __init__(
        self,
        in_features: int,
        out_features: int,
        pieces: int = 2,
        bias: bool = True,
        *,
        weight_init: InitSpec = "lecun_uniform",
        bias_init: InitSpec = "zeros",
        l1: float | None = None,
        l2: float | None = None,
        max_norm: float | None = None,
        trainable: bool = True,
        name: str | None = None,
    ) -> None:
        super().__init__(
            in_features=whole("Maxout", "in_features", in_features),
            out_features=whole("Maxout", "out_features", out_features),
            pieces=whole("Maxout", "pieces", pieces),
            bias=flag("Maxout", "bias", bias),
            weight_init=init.checked("Maxout", "weight_init", weight_init),
            bias_init=init.checked("Maxout", "bias_init", bias_init),
            **all_checked("Maxout", l1, l2, max_norm),
            trainable=flag("Maxout", "trainable", trainable),
            name=name,
        )

    def ops(self, name: str, inputs: tuple[int, ...], value: int) -> list[Op]:
        wide = self.pieces * self.out_features
        return [
            Op.of("linear", name, inputs, in_features=self.in_features, out_features=wide, has_bias=self.config()["bias"]),
            Op.of("maxout", name, (value,), pieces=self.pieces),
        ]

    def parameter_shapes(self) -> dict[str, Shape]:
        wide = self.pieces * self.out_features
        shapes: dict[str, Shape] = {"weight": (wide, self.in_features)}
        return {**shapes, "bias": (wide,)} if self.config()["bias"] else shapes

    def initializer(self, role: str, activation: Layer | None) -> InitSpec:
        return self.bias_init if role == "bias" else self.weight_init

    def input_shape(self) -> Shape | None:
        return (self.in_features,)

    def macs(self, shape: Shape, out: Shape) -> int:
        return self.in_features * self.pieces * prod(out)
