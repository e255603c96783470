"""The activations that act element by element. Softmax and LogSoftmax, which act on rows, are in softmax.py.

Names, arguments and defaults are PyTorch's. Each class names a function of the op registry and its attributes. The functions
themselves are in csrc/ops.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from .. import init
from .._checks import choice, real
from ..errors import ArgumentError
from ..init import InitSpec
from ..records import Op
from .base import Layer


class Activation(Layer):
    """Base of the activations.

    Examples
    --------
    >>> import nncore as nn
    >>> nn.Tanh().code
    'tanh'
    """

    is_activation: ClassVar[bool] = True

    #: The name in the op registry.
    code: ClassVar[str]
    #: The arguments that the core needs, by their names in the op registry.
    attributes: ClassVar[tuple[str, ...]] = ()
    preserves_shape: ClassVar[bool] = True

    def registry_code(self) -> str:
        """Return the registry name of the function that the arguments select."""
        return self.code

    def ops(self, name: str, inputs: tuple[int, ...], value: int) -> list[Op]:
        attributes = {a: self.config()[a] for a in self.attributes}
        return [Op.of("activation", name, inputs, code=self.registry_code(), **attributes)]


class Rectifier(Activation):
    """Base of the ReLU-like activations. The layer before one of them is initialized with He's variance.

    Examples
    --------
    >>> import nncore as nn
    >>> nn.SiLU().preferred_init()
    'he_uniform'
    """

    def preferred_init(self) -> InitSpec:
        return "he_uniform"


class Identity(Activation):
    """f(x) = x.

    Examples
    --------
    >>> import nncore as nn
    >>> nn.Identity()([[1.0, 2.0]])
    array([[1., 2.]])
    """

    code: ClassVar[str] = "identity"

    def __init__(self, *, name: str | None = None) -> None:
        super().__init__(name=name)


class Step(Activation):
    """f(x) = 1 if x > threshold, else 0: the unit of Rosenblatt's perceptron.

    The derivative is zero, so layers before Step get no gradient. To train a perceptron, use the loss ``"perceptron"`` on a Linear
    layer *without* Step; the gradient of this loss is the perceptron rule. Add Step to get decisions.

    Parameters
    ----------
    threshold : float
        The position of the step.

    Examples
    --------
    >>> import nncore as nn
    >>> nn.Step()([[-1.0, 0.0, 2.0]])
    array([[0., 0., 1.]])
    """

    code: ClassVar[str] = "step"
    attributes: ClassVar[tuple[str, ...]] = ("threshold",)
    repr_defaults: ClassVar[dict[str, object]] = {"threshold": 0.0}

    threshold: float

    def __init__(self, threshold: float = 0.0, *, name: str | None = None) -> None:
        super().__init__(threshold=real("Step", "threshold", threshold), name=name)


class Sigmoid(Activation):
    """f(x) = 1 / (1 + exp(-x)).

    See Also
    --------
    losses.BinaryCrossentropy : its loss, for 0 and 1.
    Softmax : for more than two classes.

    Examples
    --------
    >>> import nncore as nn
    >>> nn.Sigmoid()([[0.0]])
    array([[0.5]])
    """

    code: ClassVar[str] = "sigmoid"

    def __init__(self, *, name: str | None = None) -> None:
        super().__init__(name=name)


class Tanh(Activation):
    """f(x) = tanh(x).

    Examples
    --------
    >>> import nncore as nn
    >>> nn.Tanh()([[0.0]])
    array([[0.]])
    """

    code: ClassVar[str] = "tanh"

    def __init__(self, *, name: str | None = None) -> None:
        super().__init__(name=name)


class ReLU(Rectifier):
    """f(x) = max(0, x).

    See Also
    --------
    LeakyReLU : without units that stay 0.

    Examples
    --------
    >>> import nncore as nn
    >>> nn.ReLU()([[-1.0, 2.0]])
    array([[0., 2.]])
    """

    code: ClassVar[str] = "relu"

    def __init__(self, *, name: str | None = None) -> None:
        super().__init__(name=name)


class LeakyReLU(Rectifier):
    """f(x) = x if x > 0, else negative_slope * x.

    Parameters
    ----------
    negative_slope : float
        Zero or more. The derivative is computed from the output, whose sign must be that of the input.

    Examples
    --------
    >>> import nncore as nn
    >>> nn.LeakyReLU(0.5)([[-1.0, 2.0]])
    array([[-0.5,  2. ]])
    """

    code: ClassVar[str] = "leaky_relu"
    attributes: ClassVar[tuple[str, ...]] = ("negative_slope",)

    negative_slope: float

    def __init__(self, negative_slope: float = 0.01, *, name: str | None = None) -> None:
        super().__init__(negative_slope=real("LeakyReLU", "negative_slope", negative_slope, 0.0), name=name)

    def preferred_init(self) -> InitSpec:
        return init.he_uniform(nonlinearity="leaky_relu", negative_slope=self.negative_slope)


class ELU(Rectifier):
    """f(x) = x if x > 0, else alpha * (exp(x) - 1) (Clevert et al. 2016).

    Parameters
    ----------
    alpha : float
        Zero or more. The function approaches -alpha for x -> -infinity.

    Examples
    --------
    >>> import nncore as nn
    >>> nn.ELU()([[0.0, 2.0]])
    array([[0., 2.]])
    """

    code: ClassVar[str] = "elu"
    attributes: ClassVar[tuple[str, ...]] = ("alpha",)

    alpha: float

    def __init__(self, alpha: float = 1.0, *, name: str | None = None) -> None:
        super().__init__(alpha=real("ELU", "alpha", alpha, 0.0), name=name)


class SELU(Activation):
    """f(x) = scale * (x if x > 0, else alpha * (exp(x) - 1)), with the constants of Klambauer et al. 2017.

    Activations keep mean 0 and variance 1 if the weights are drawn by lecun_normal. ``weight_init="auto"`` does so before SELU.

    Examples
    --------
    >>> import nncore as nn
    >>> nn.SELU()([[1.0]]).round(6)
    array([[1.050701]])
    """

    code: ClassVar[str] = "selu"

    def __init__(self, *, name: str | None = None) -> None:
        super().__init__(name=name)

    def preferred_init(self) -> InitSpec:
        return "lecun_normal"


class GELU(Rectifier):
    """f(x) = x * Phi(x), where Phi is the distribution function of the standard normal (Hendrycks and Gimpel 2016).

    Parameters
    ----------
    approximate : {"none", "tanh"}
        "tanh" uses 0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))).

    Examples
    --------
    >>> import nncore as nn
    >>> nn.GELU()([[0.0]])
    array([[0.]])
    """

    code: ClassVar[str] = "gelu"

    approximate: Literal["none", "tanh"]

    def __init__(self, approximate: Literal["none", "tanh"] = "none", *, name: str | None = None) -> None:
        super().__init__(approximate=choice("GELU", "approximate", approximate, ("none", "tanh")), name=name)

    def registry_code(self) -> str:
        return "gelu_tanh" if self.approximate == "tanh" else "gelu"


class SiLU(Rectifier):
    """f(x) = x / (1 + exp(-x)), also called swish.

    Examples
    --------
    >>> import nncore as nn
    >>> nn.SiLU()([[0.0]])
    array([[0.]])
    """

    code: ClassVar[str] = "silu"

    def __init__(self, *, name: str | None = None) -> None:
        super().__init__(name=name)


class Softplus(Rectifier):
    """f(x) = log(1 + exp(beta * x)) / beta, a smooth ReLU.

    Parameters
    ----------
    beta : float
        Above 0. A larger beta is closer to ReLU.
    threshold : float
        The function is x itself if beta * x is above this.

    Examples
    --------
    >>> import nncore as nn
    >>> nn.Softplus()([[0.0, 30.0]]).round(6)
    array([[ 0.693147, 30.      ]])
    """

    code: ClassVar[str] = "softplus"
    attributes: ClassVar[tuple[str, ...]] = ("beta", "threshold")

    beta: float
    threshold: float

    def __init__(self, beta: float = 1.0, threshold: float = 20.0, *, name: str | None = None) -> None:
        super().__init__(
            beta=real("Softplus", "beta", beta, 0.0, open_low=True),
            threshold=real("Softplus", "threshold", threshold),
            name=name,
        )


class Softsign(Activation):
    """f(x) = x / (1 + abs(x)).

    Examples
    --------
    >>> import nncore as nn
    >>> nn.Softsign()([[1.0]])
    array([[0.5]])
    """

    code: ClassVar[str] = "softsign"

    def __init__(self, *, name: str | None = None) -> None:
        super().__init__(name=name)


class Hardtanh(Activation):
    """f(x) = x clipped to [min_val, max_val].

    Parameters
    ----------
    min_val, max_val : float
        The bounds. max_val must be above min_val.

    Examples
    --------
    >>> import nncore as nn
    >>> nn.Hardtanh()([[-3.0, 0.5]])
    array([[-1. ,  0.5]])
    """

    code: ClassVar[str] = "hardtanh"
    attributes: ClassVar[tuple[str, ...]] = ("min_val", "max_val")

    min_val: float
    max_val: float

    def __init__(self, min_val: float = -1.0, max_val: float = 1.0, *, name: str | None = None) -> None:
        least, most = real("Hardtanh", "min_val", min_val), real("Hardtanh", "max_val", max_val)
        if not least < most:
            raise ArgumentError(f"Hardtanh: min_val must be below max_val, but they are {least:g} and {most:g}")
        super().__init__(min_val=least, max_val=most, name=name)
