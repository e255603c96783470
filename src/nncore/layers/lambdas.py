"""Lambda: a layer made from functions in Python."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, ClassVar

import numpy as np

from .._checks import flag, function, shape_of_sample
from ..records import Shape
from .python import PythonLayer, named_extra


class Lambda(PythonLayer):
    """A layer made from two functions: ``forward(x)`` and ``backward(dy, x, y)``, which returns the derivative with respect to x.

    Parameters
    ----------
    forward : callable
        From the batch x [N, ...] to y.
    backward : callable, optional
        From dy, x and y to dx. Without it, layers before this one cannot be trained.
    output_shape : tuple of int or callable, optional
        Shape of one sample of the result, or a function from the shape of the input to it. By default the shape is that of the
        input.
    timewise : bool
        Whether each time step is computed independently. Streams need this; ``lengths=`` needs this, or a ``forward`` with an
        argument ``lengths``; see `PythonLayer`.
    return_sequences : bool
        For a ``forward`` with an argument ``lengths``: whether the first dimension of the result is the time of the input.

    Examples
    --------
    >>> import numpy as np
    >>> import nncore as nn
    >>> square = nn.Lambda(np.square, lambda dy, x, y: 2 * x * dy)
    >>> square([[1.0, 3.0]])
    array([[1., 9.]])
    >>> bool(nn.check_gradients(square, np.array([[1.0, 3.0]])))
    True
    """

    repr_defaults: ClassVar[dict[str, object]] = {**PythonLayer.repr_defaults, "timewise": False, "return_sequences": True}

    def __init__(
        self,
        forward: Callable[[Any], Any],
        backward: Callable[[Any, Any, Any], Any] | None = None,
        output_shape: Sequence[int] | Callable[[Any], Sequence[int]] | None = None,
        *,
        timewise: bool = False,
        return_sequences: bool = True,
        name: str | None = None,
    ) -> None:
        _checked_function("forward", forward, 1, "a function of x")
        if backward is not None:
            _checked_function("backward", backward, 3, "a function of dy, x and y")
        if callable(output_shape):
            function("Lambda", "output_shape", output_shape, 1, "a tuple or a function of the input's shape")
        elif output_shape is not None:
            output_shape = shape_of_sample("Lambda", "output_shape", output_shape)
        super().__init__(
            timewise=flag("Lambda", "timewise", timewise),
            return_sequences=flag("Lambda", "return_sequences", return_sequences),
            name=name,
        )
        self.__dict__["_functions"] = (forward, backward, output_shape)

    def config(self) -> dict[str, Any]:
        return {**dict(zip(("forward", "backward", "output_shape"), self.__dict__["_functions"], strict=True)), **super().config()}

    def output_shape(self, input_shape: Any, /) -> Shape:
        wanted = self.__dict__["_functions"][2]
        return super().output_shape(input_shape) if wanted is None else wanted(input_shape) if callable(wanted) else tuple(wanted)

    def _extra_of(self, method: str) -> tuple[str, ...]:
        forward, backward, _ = self.__dict__["_functions"]
        return named_extra(forward if method == "forward" else backward)

    def forward(self, x: Any, **more: Any) -> Any:
        return self.__dict__["_functions"][0](x, **more)

    def backward(self, dy: np.ndarray, x: Any, y: np.ndarray, /, **more: Any) -> Any:
        given = self.__dict__["_functions"][1]
        return super().backward(dy, x, y) if given is None else given(dy, x, y, **more)


def _checked_function(name: str, given: Any, arguments: int, what: str) -> None:
    """Raise ArgumentError if this is no function of so many arguments, besides ``training`` and ``lengths``."""
    extra = {} if isinstance(given, type) or not callable(given) else dict.fromkeys(named_extra(given))
    function("Lambda", name, partial(given, **extra) if extra else given, arguments, what)
