"""PReLU: a rectifier with a learned slope on the negative side."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from .. import init as schemes
from .._checks import flag, real, whole
from ..init import InitSpec
from ..records import Op, Shape
from .base import Layer
from .parameter_views import ParameterView

if TYPE_CHECKING:
    import numpy as np


class PReLU(Layer):
    """f(x) = x if x > 0, else weight * x, with a learned weight (He et al. 2015).

    Parameters
    ----------
    num_parameters : int
        1 for one slope in total, or the number of channels. Channels are the first dimension after the batch, as in PyTorch.
    init : float
        Initial value of the slopes.
    trainable : bool
        Whether training changes the slopes. It may be changed until ``compile``.

    Attributes
    ----------
    weight : numpy.ndarray
        [num_parameters], a live view.

    Notes
    -----
    Weight decay pulls the slopes towards 0, that is to ReLU. The paper uses none.

    Examples
    --------
    >>> import nncore as nn
    >>> nn.PReLU()([[-2.0, 2.0]])
    array([[-0.5,  2. ]], dtype=float32)
    """

    repr_defaults: ClassVar[dict[str, object]] = {"trainable": True}
    preserves_shape: ClassVar[bool] = True
    is_activation: ClassVar[bool] = True

    num_parameters: int
    init: float

    weight: ParameterView[np.ndarray] = ParameterView("[num_parameters], a live view.")

    def __init__(self, num_parameters: int = 1, init: float = 0.25, *, trainable: bool = True, name: str | None = None) -> None:
        super().__init__(
            num_parameters=whole("PReLU", "num_parameters", num_parameters),
            init=real("PReLU", "init", init),
            trainable=flag("PReLU", "trainable", trainable),
            name=name,
        )

    def ops(self, name: str, inputs: tuple[int, ...], value: int) -> list[Op]:
        return [Op.of("prelu", name, inputs, num_parameters=self.num_parameters)]

    def parameter_shapes(self) -> dict[str, Shape]:
        return {"weight": (self.num_parameters,)}

    def initializer(self, role: str, activation: Layer | None) -> InitSpec:
        return schemes.constant(self.init)

    def preferred_init(self) -> InitSpec:
        return schemes.he_uniform(nonlinearity="leaky_relu", negative_slope=self.init)
