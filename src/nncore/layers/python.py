"""Layers written in Python: a class with forward and backward. They can be used anywhere in a model.

The plan calls the layer with arrays and continues with the arrays that it returns. Each call costs some microseconds, and all other
threads wait meanwhile. Such layers are for experiments, not for speed.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np

from .._checks import flag, is_number, shape_text, shown, warn, whole
from .._core import ModelCore
from .._declarations import explained, missing_attribute, reject_unknown
from ..data.arrays import to_array
from ..errors import ArgumentError, ShapeError
from ..init import InitSpec
from ..init import checked as scheme_checked
from ..records import Op, ParameterOptions, Shape
from .base import Layer
from .regularized import checked

_MOST = 10  # the largest number of parameters of a layer; NNC_MAX_PARAMS in the core


class _Weight(NamedTuple):
    shape: Shape
    init: InitSpec
    trainable: bool
    l1: float | None
    l2: float | None


class PythonLayer(Layer):
    """Base of layers that compute in Python. Override `forward` and `backward`, and `build` if the layer has weights.

    Parameters
    ----------
    **arguments
        The arguments of the constructor of the subclass. They become read-only attributes, the repr and `config`. `nn.load` uses
        them to make the layer again: ``nn.load(path, custom_objects={"Scale": Scale})``.

    Notes
    -----
    During training, forward and backward get the whole batch. At inference, forward gets the rows in blocks. Several threads may
    call it at once if the program has several threads. The arrays are in the core's memory and are read-only. They are valid until
    backward returns; copy an array to keep it longer. An exception ends the call of ``fit`` or ``predict``, and the current step
    changes no parameter. `nn.check_gradients` tests backward.

    The library cannot know what a layer does with time steps. With ``lengths=``, it raises an error unless the class says how it
    treats them, in one of two ways:

    - ``timewise = True`` promises that step t of the result, [N, time, ...], depends only on step t of the input and on inputs
      without time, for any number of steps. `Model.stream` needs this, too. Beyond the length of a sequence, the values of x have
      no meaning; they are zeros if x is an input of the model.
    - An argument ``lengths`` of forward promises that the result of a sequence does not depend on the steps after its length. The
      layer may combine steps. ``lengths`` is int64 [N], the number of valid steps of each row of x, or None if all are valid. x is
      zero in the steps after them. Backward gets them too if it has the argument. The result has the steps of the input,
      [N, time, ...], and their lengths; if it has no time, declare ``return_sequences = False``. A layer cannot change the lengths.

    The results and gradients of the layer beyond the lengths are replaced by zeros.

    A layer that keeps the shape of its input and has no weights is an activation. A layer with several inputs gets a list of arrays
    as ``x`` and returns a list of gradients.

    Examples
    --------
    >>> import numpy as np
    >>> import nncore as nn
    >>> class Scale(nn.PythonLayer):
    ...     def __init__(self, start=1.0):
    ...         super().__init__(start=start)
    ...
    ...     def build(self, input_shape):
    ...         self.add_weight("scale", input_shape, init=nn.init.constant(self.start))
    ...
    ...     def forward(self, x, training=False):
    ...         return x * self.scale
    ...
    ...     def backward(self, dy, x, y):
    ...         self.grads["scale"][...] = (dy * x).sum(axis=0)
    ...         return dy * self.scale
    >>> model = nn.Sequential(
    ...     nn.Linear(3, 4), Scale(start=2.0), nn.Linear(4, 1), seed=0
    ... ).build((3,))
    >>> model[1].scale
    array([2., 2., 2., 2.], dtype=float32)
    >>> bool(nn.check_gradients(model, np.ones((5, 3))))
    True
    """

    _weights: dict[str, _Weight]
    _input_shapes: list[Shape] | None

    repr_defaults: ClassVar[dict[str, object]] = {"trainable": True}
    input_count: ClassVar[tuple[int, int | None]] = (1, None)

    #: Whether step t of the result depends only on step t of the input, for any number of steps.
    timewise: bool = False

    #: For a layer whose forward takes ``lengths``: whether the first dimension of the result is the time of the input.
    return_sequences: bool = True

    def __init__(self, *, name: str | None = None, **arguments: Any) -> None:
        if arguments and type(self).__init__ is PythonLayer.__init__:
            reject_unknown(type(self), arguments)
        super().__init__(name=name, **arguments)
        self.__dict__.update(_weights={}, _input_shapes=None)
        for key, value in arguments.items():
            _warn_of_parts(type(self).__name__, key, value)

    # Methods to override --------------------------------------------------------------------------------------------------

    def build(self, input_shape: Any, /) -> None:
        """Declare the weights with `add_weight`. The argument is the shape of one sample, or a list of shapes for several
        inputs."""

    def output_shape(self, input_shape: Any, /) -> Shape:
        """Return the shape of one sample of the result. The default is the shape of the input, or of the first input.

        Examples
        --------
        >>> import nncore as nn
        >>> class Half(nn.PythonLayer):
        ...     def output_shape(self, input_shape):
        ...         return (input_shape[0] // 2,)
        ...
        ...     def forward(self, x):
        ...         return x[:, ::2]
        >>> Half()([[1.0, 2.0, 3.0, 4.0]])
        array([[1., 3.]])
        """
        shape: Shape = input_shape[0] if isinstance(input_shape, list) else input_shape
        return shape

    if TYPE_CHECKING:  # an override may omit training

        def forward(self, x: Any, /, *args: Any, **kwargs: Any) -> Any:
            """Return the result for a batch: ``forward(self, x)``, with ``training=False`` and ``lengths=None`` if wanted."""

    else:

        def forward(self, x: Any, training: bool = False) -> Any:
            """Return the result for a batch.

            Parameters
            ----------
            x : numpy.ndarray or list of them
                [N, *input shape], in the model's dtype.
            training : bool
                Whether this is training. An override may omit the argument.
            lengths : numpy.ndarray or None
                int64 [N], the number of valid time steps of each row; None if all are valid. Only passed to an override that has
                this argument.

            Returns
            -------
            numpy.ndarray
                [N, *output shape]. It is copied.
            """
            raise _without(type(self), "forward")

    def backward(self, dy: np.ndarray, x: Any, y: np.ndarray, /) -> Any:
        """Return the derivative of the loss with respect to the input. Write those of the weights into ``self.grads[name][...]``.

        Parameters
        ----------
        dy : numpy.ndarray
            Derivative of the loss with respect to each element of the result.
        x, y : numpy.ndarray
            The argument of forward and its result.

        Returns
        -------
        numpy.ndarray or list of them
            With the shape of ``x``. None, if the layer passes no gradient on; if layers before it are to be trained, there is a
            warning, because a forgotten ``return`` looks the same. Zeros say that it is meant.
        """
        raise _without(type(self), "backward")

    # Methods to call ------------------------------------------------------------------------------------------------------

    def add_weight(
        self,
        name: str,
        shape: int | Sequence[int],
        init: InitSpec = "zeros",
        trainable: bool = True,
        *,
        l1: float | None = None,
        l2: float | None = None,
    ) -> None:
        """Declare a weight. It becomes an attribute, a key of `grads` and of the model's state dict, and is trained by the
        optimizer.

        Parameters
        ----------
        name : str
            An identifier that is not in use.
        shape : int or tuple of int
            Its shape.
        init : str or callable
            The initialization: a name or an object of `nn.init`, or ``callable(shape, rng)``.
        trainable : bool
            Whether training changes it.
        l1, l2 : float, optional
            Penalties ``l1 * sum|w| + l2 * sum w**2`` in the loss. None uses those of ``compile`` if the weight has two dimensions
            or more.
        """
        owner = type(self).__name__
        if not isinstance(name, str) or not name.isidentifier() or len(name.encode()) > 39 or hasattr(type(self), name):
            raise ArgumentError(f"{owner}: a weight cannot be called {name!r}; an identifier is needed that is not taken")
        if name in self._weights or name in self._names:
            raise ArgumentError(f"{owner}: {name!r} exists already")
        if len(self._weights) == _MOST:
            raise ArgumentError(f"{owner}: a layer can have {_MOST} weights at most")
        if not isinstance(shape, list | tuple) and not is_number(shape):
            raise ArgumentError(f"{owner}: shape of {name} must be a whole number or a tuple of them, not {shown(shape)}")
        sizes = shape if isinstance(shape, list | tuple) else (shape,)
        found = tuple(whole(owner, f"each dimension of {name}", d) for d in sizes)
        scheme = scheme_checked(owner, "init", init)
        trains = flag(owner, "trainable", trainable)
        self._weights[name] = _Weight(found, scheme, trains, checked(owner, "l1", l1), checked(owner, "l2", l2))

    # Called by the model and the core -------------------------------------------------------------------------------------

    def ops(self, name: str, inputs: tuple[int, ...], value: int) -> list[Op]:
        owner = type(self).__name__
        if type(self).forward is PythonLayer.forward and "forward" not in vars(self):
            raise _without(type(self), "forward")
        return [
            Op.of(
                "python",
                name,
                inputs,
                timewise=flag(owner, "timewise", self.timewise),
                takes_lengths=self.asks_for_lengths(),
                return_sequences=flag(owner, "return_sequences", self.return_sequences),
                part=self,
            )
        ]

    def parameter_shapes(self) -> dict[str, Shape]:
        return {name: weight.shape for name, weight in self._weights.items()}

    def may_have_parameters(self) -> bool:
        return type(self).build is not PythonLayer.build

    def initializer(self, role: str, activation: Layer | None) -> InitSpec:
        return self._weights[role].init

    def options(self, role: str) -> ParameterOptions:
        weight = self._weights[role]
        return ParameterOptions(trainable=self.trainable and weight.trainable, l1=weight.l1, l2=weight.l2)

    def _answer_shape(self, name: str, shapes: list[Shape], shared: bool = False) -> Shape:
        """Call `build` once for inputs of these shapes and return the shape of the result.

        If the weights exist, or the network has called the layer before (``shared``), new shapes must need the same weights.
        """
        given = shapes[0] if len(shapes) == 1 else list(shapes)
        if self._input_shapes != shapes:
            before = self._weights
            self.__dict__["_weights"] = {}
            try:
                self.build(given)
                if shared or self._bound or self._pending:
                    _require_same(name, self._input_shapes or [], shapes, before, self._weights)
            except BaseException:
                self.__dict__["_weights"] = before
                raise
            self.__dict__["_input_shapes"] = list(shapes)
        try:
            return tuple(whole(name, "each dimension of output_shape", d) for d in self.output_shape(given))
        except TypeError:
            raise ShapeError(f"{name}: output_shape must return a tuple of int, the shape of one sample") from None

    def _answer_forward(self, y: np.ndarray, xs: list[np.ndarray], training: bool, lengths: np.ndarray | None = None) -> None:
        x: Any = xs[0] if len(xs) == 1 else xs
        given = {"training": training, "lengths": lengths}
        result = to_array(self.forward(x, **{name: given[name] for name in self._extra("forward")}))
        _require(type(self).__name__, "forward", result, y.shape, xs)
        y[...] = result

    def _answer_backward(
        self,
        dxs: list[np.ndarray | None],
        adds: list[bool],
        adds_weights: bool,
        dy: np.ndarray,
        xs: list[np.ndarray],
        y: np.ndarray,
        lengths: np.ndarray | None = None,
    ) -> None:
        gradients = [parameter.grad for parameter in self._bound.values()]
        elsewhere = [grad.copy() for grad in gradients] if adds_weights else []
        for grad in gradients:
            grad[...] = 0
        more = {"lengths": lengths} if "lengths" in self._extra("backward") else {}
        result = self.backward(dy, xs[0] if len(xs) == 1 else xs, y, **more)
        for grad, other in zip(gradients, elsewhere, strict=False):
            grad += other
        if result is None and "_has_warned" not in self.__dict__:
            self._warn_of_no_gradient()
        several: Sequence[Any] = [result] if len(xs) == 1 else [None] * len(xs) if result is None else result
        if len(several) != len(xs):
            raise ShapeError(f"{type(self).__name__}.backward returned {len(several)} gradients for {len(xs)} inputs")
        for dx, add, each in zip(dxs, adds, several, strict=True):
            if dx is None:
                continue
            gradient = np.zeros((), dy.dtype) if each is None else to_array(each)
            if each is not None:
                _require(type(self).__name__, "backward", gradient, dx.shape, xs)
            if add:
                dx += gradient
            else:
                dx[...] = gradient

    def _warn_of_no_gradient(self) -> None:
        """Warn once if layers before this one are to be trained."""
        networks = [network for ref in self._observers if (network := ref()) is not None]
        self.__dict__["_has_warned"] = True
        if any(network.trains_before(self) for network in networks):
            warn(
                f"{type(self).__name__}.backward returned None, so that nothing before it is trained; return the gradient, or "
                "zeros if there is none"
            )

    def makes_weights(self) -> bool:
        """Return whether the class has a ``build`` of its own, in which a layer makes its weights."""
        return type(self).build is not PythonLayer.build

    def asks_for_lengths(self) -> bool:
        """Return whether forward has an argument ``lengths``."""
        return "lengths" in self._extra("forward")

    def _extra(self, method: str) -> tuple[str, ...]:
        """Return which of ``training`` and ``lengths`` a method takes. Only ``training`` is passed to ``**kwargs``, because a layer
        must ask for lengths by name."""
        found: tuple[str, ...] | None = self.__dict__.setdefault("_taken_arguments", {}).get(method)
        if found is None:
            found = self.__dict__["_taken_arguments"][method] = self._extra_of(method)
        return found

    def _extra_of(self, method: str) -> tuple[str, ...]:
        function = getattr(self, method)
        takes_all = any(p.kind is p.VAR_KEYWORD for p in inspect.signature(function).parameters.values())
        named = named_extra(function)
        return ("training", *named) if takes_all and "training" not in named else named

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("_") and name in self.__dict__.get("_weights", ()):
            return self._view(name)
        raise missing_attribute(type(self), name)

    def __setattr__(self, name: str, value: Any) -> None:
        if name in self.__dict__.get("_weights", ()):
            self._assign(name, value)
        else:
            super().__setattr__(name, value)
            _warn_of_parts(type(self).__name__, name, value)

    def __getstate__(self) -> dict[str, Any]:
        own = {
            k: v
            for k, v in self.__dict__.copy().items()
            if k not in ("_bound", "_users", "_observers", "_standalone", "_taken", "_taken_arguments", "_has_warned")
        }
        return {**own, **super().__getstate__()}


PythonLayer.add_weight = explained(PythonLayer.add_weight)  # type: ignore[method-assign]


def _without(cls: type[PythonLayer], method: str) -> ArgumentError:
    """Return the error for a class that lacks a method."""
    if cls.__name__ == "Lambda":
        return ArgumentError("Lambda was made without backward, so that nothing before it can be trained; pass backward(dy, x, y)")
    if method == "forward":
        renamed = "rename call to forward" if hasattr(cls, "call") else "define forward(self, x)"
        return ArgumentError(f"{cls.__name__} has no forward; {renamed}, and backward(self, dy, x, y)")
    return ArgumentError(
        f"{cls.__name__} has no backward, so that nothing before it can be trained; define backward(self, dy, x, y), as nothing is "
        "differentiated automatically"
    )


def _warn_of_parts(owner: str, name: str, value: Any) -> None:
    """Warn if an attribute holds layers or models that would be trained elsewhere, but not here."""
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else (value,)
    for part in parts:
        if isinstance(part, ModelCore) or (isinstance(part, Layer) and part.may_have_parameters()):
            if not getattr(part, "trainable", True):
                continue
            warn(
                f"{owner}.{name} holds {type(part).__name__}, whose weights are not trained, saved or counted with {owner}; put it "
                "into nn.Sequential or nn.Model beside this layer, or set its trainable = False first"
            )
            return


def named_extra(function: Any) -> tuple[str, ...]:
    """Return which of ``training`` and ``lengths`` a function has as arguments."""
    try:
        parameters = inspect.signature(function).parameters
    except (TypeError, ValueError):  # a function in C that does not tell its arguments
        return ()
    return tuple(name for name in ("training", "lengths") if name in parameters)


def _require_same(
    name: str, shapes: list[Shape], new_shapes: list[Shape], weights: dict[str, _Weight], new_weights: dict[str, _Weight]
) -> None:
    """Raise ShapeError if two inputs of one layer need different weights."""
    first, second = ({role: weight.shape for role, weight in each.items()} for each in (weights, new_weights))
    if first != second:
        built, asked = (" and ".join(map(shape_text, each)) for each in (shapes, new_shapes))
        raise ShapeError(
            f"{name}: its weights {first} are those for inputs {built}, but inputs {asked} need {second}; make another layer for "
            "these"
        )


def _require(owner: str, what: str, found: np.ndarray, shape: Shape, xs: list[np.ndarray]) -> None:
    if found.shape != shape:
        given = " and ".join(str(x.shape) for x in xs)
        hint = "; output_shape says what it should be" if what == "forward" else ""
        raise ShapeError(f"{owner}.{what} returned shape {found.shape} for x of shape {given}; {shape} is needed{hint}")
    if found.dtype.kind not in "fiub":
        raise ShapeError(f"{owner}.{what} returned {found.dtype}, not numbers")
