"""Dropout and GaussianNoise. They are random during training and return their input at inference."""

from __future__ import annotations

from typing import ClassVar

from .._checks import real
from ..records import Op
from .base import Layer


class Dropout(Layer):
    """Set each element to zero with probability p during training, and scale the rest by 1 / (1 - p) (Srivastava et al. 2014).

    At inference the output is x. The mask depends only on the model's seed, the number of updates done, the number of forward
    passes in training mode since then, the layer and the element. So each pass draws its own mask, and a run can be repeated and
    continued bitwise, with any number of threads.

    Parameters
    ----------
    p : float
        Probability of zero, in [0, 1].

    See Also
    --------
    Linear : has ``l1``, ``l2`` and ``max_norm``.
    callbacks.EarlyStopping : ends training before it over-fits.

    Examples
    --------
    >>> import nncore as nn
    >>> drop = nn.Dropout(p=0.5)
    >>> drop([[1.0, 2.0]])
    array([[1., 2.]])
    >>> set(drop([[1.0] * 50], training=True).ravel().tolist()) == {0.0, 2.0}
    True
    """

    preserves_shape: ClassVar[bool] = True
    init_looks_through: ClassVar[bool] = True

    p: float

    def __init__(self, p: float = 0.5, *, name: str | None = None) -> None:
        super().__init__(p=real("Dropout", "p", p, 0.0, 1.0), name=name)

    def ops(self, name: str, inputs: tuple[int, ...], value: int) -> list[Op]:
        return [Op.of("dropout", name, inputs, p=self.p)]


class GaussianNoise(Layer):
    """Add normal noise of mean 0 and standard deviation stddev during training. This is Keras's layer of the same name.

    At inference the output is x. As for `Dropout`, the noise depends only on the model's seed, the number of updates done, the
    number of forward passes since then, the layer and the element. It is the same for any number of threads. Between instruction
    sets the last bits may differ. The noise is computed from Philox4x32-10 by the method of Box and Muller (1958) and does not
    exceed 6.7 standard deviations.

    Parameters
    ----------
    stddev : float
        Standard deviation, at least 0.

    Examples
    --------
    >>> import nncore as nn
    >>> noise = nn.GaussianNoise(stddev=0.1)
    >>> noise([[1.0, 2.0]])
    array([[1., 2.]])
    >>> bool(0.05 < noise([[0.0] * 200], training=True).std() < 0.2)
    True
    """

    preserves_shape: ClassVar[bool] = True
    init_looks_through: ClassVar[bool] = True

    stddev: float

    def __init__(self, stddev: float, *, name: str | None = None) -> None:
        super().__init__(stddev=real("GaussianNoise", "stddev", stddev, 0.0), name=name)

    def ops(self, name: str, inputs: tuple[int, ...], value: int) -> list[Op]:
        return [Op.of("gaussian_noise", name, inputs, stddev=self.stddev)]
