"""What a layer is: a declaration of op records, parameters and how they start. It holds no numbers of its own and computes nothing.

To add a layer, write one class: the constructor checks its arguments and hands them to ``super().__init__``, ``ops`` says which op
records it stands for, and, where it has parameters, ``parameter_shapes`` and ``initializer`` say what they look like and how they
start. repr, config, copying, pickling, `weight`-like attributes and calling it alone follow from that.
"""

from __future__ import annotations

import copy
import weakref
from _thread import get_ident
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Self, TypeVar, overload

import numpy as np

from .. import _hooks
from .._checks import flag
from .._declarations import DeclarationType, refuse_unknown
from ..data.arrays import copy_into
from ..errors import ArgumentError, NotBuiltError
from ..graph import Value, call, checked_name, is_symbolic
from ..init import InitSpec
from ..records import Op, Parameter, ParameterOptions, Shape

if TYPE_CHECKING:
    from ..network.network import Network
    from ..typing import ArrayLike

_Array = TypeVar("_Array")


#: What classes of layers could say in earlier versions -> what it is called now.
_RENAMED = {
    "quiet": "repr_defaults",
    "transparent": "init_looks_through",
    "takes": "input_count",
    "n_results": "output_count",
    "feeding_init": "preferred_init",
}


class ParameterView(Generic[_Array]):
    """An attribute such as ``layer.weight``: reading gives a live view into the model's buffer, assigning copies into it.

    Its type is ``np.ndarray`` where the parameter always exists, and ``np.ndarray | Any`` where the arguments decide that: type
    checkers then neither ask for a test of None nor object to one.
    """

    def __init__(self, doc: str) -> None:
        self.__doc__ = doc

    def __set_name__(self, owner: type, name: str) -> None:
        self.role = name

    @overload
    def __get__(self, layer: None, owner: type | None = None) -> Self: ...
    @overload
    def __get__(self, layer: Layer, owner: type | None = None) -> _Array: ...
    def __get__(self, layer: Layer | None, owner: type | None = None) -> Any:
        return self if layer is None else layer._view(self.role)

    def __set__(self, layer: Layer, value: ArrayLike) -> None:
        layer._assign(self.role, value)


class LayerType(DeclarationType):
    """The type of layer classes: every one takes ``name=``, also where a constructor of the user's does not list it."""

    if not TYPE_CHECKING:  # type checkers look at the constructor itself

        def __call__(cls, *args: Any, **kwargs: Any) -> Any:
            name = kwargs.get("name")
            if name is not None and not _lists_name(cls):
                del kwargs["name"]
            layer = super().__call__(*args, **kwargs)
            if name is not None and layer.name is None:
                layer.name = name
            return layer

        @property
        def __signature__(cls) -> Any:
            """The constructor's, with ``name``: what `help` shows."""
            import inspect

            given = list(inspect.signature(cls.__init__).parameters.values())[1:]
            if given and given[-1].kind is inspect.Parameter.VAR_KEYWORD:
                given.pop()  # of the base: what a subclass passes on
            if not any(each.name == "name" for each in given):
                given.append(inspect.Parameter("name", inspect.Parameter.KEYWORD_ONLY, default=None, annotation="str | None"))
            return inspect.Signature(given)


def _lists_name(cls: type) -> bool:
    """Whether the constructor takes ``name`` itself; the code tells it sooner than `inspect` does."""
    code = getattr(cls.__init__, "__code__", None)  # type: ignore[misc]
    return code is not None and "name" in code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]


class Layer(metaclass=LayerType):
    """Base of all layers.

    Parameters
    ----------
    name : str, optional
        What its parameters are found under in a model that is a graph. Every layer takes it, also one of your own that does not
        list it. Any text will do that is not empty, has no dot, slash or control character, neither begins nor ends with a blank,
        and is not "training".
    **arguments
        The constructor's arguments, checked; they become read-only attributes, the repr and `config`.

    Examples
    --------
    >>> import nncore as nn
    >>> isinstance(nn.ReLU(), nn.Layer)
    True
    """

    #: What `repr` leaves out while it has this value.
    repr_defaults: ClassVar[dict[str, object]] = {}
    #: The arguments that may be changed later; the next ``compile`` sees the change.
    mutable: ClassVar[tuple[str, ...]] = ("trainable",)
    #: The output has the shape of the input, whatever that is.
    preserves_shape: ClassVar[bool] = False
    #: A layer before this one looks through it for the activation that its weights should suit.
    init_looks_through: ClassVar[bool] = False

    #: Weights that feed this layer should start as it asks for, see `preferred_init`.
    is_activation: ClassVar[bool] = False

    #: How many inputs the layer is called on: least and most, None for any number.
    input_count: ClassVar[tuple[int, int | None]] = (1, 1)

    def __init_subclass__(cls, **arguments: Any) -> None:
        super().__init_subclass__(**arguments)
        for old in _RENAMED.keys() & vars(cls).keys():
            raise ArgumentError(f"{cls.__name__}.{old} is called {_RENAMED[old]} now; rename it, as it would have no effect")

    @property
    def output_count(self) -> int:
        """How many values a call of the layer gives."""
        return 1

    _family: ClassVar[str] = "nncore.layers"
    _always: ClassVar[tuple[str, ...]] = ("name",)  #: what every constructor takes, by its metaclass

    trainable: bool
    name: str | None  #: what its parameters are found under in a model that is a graph; None leaves it to the model

    _names: tuple[str, ...] = ()  # of the constructor's arguments
    _bound: dict[str, Parameter]  # views into the buffers of the model, by role
    _pending: dict[str, np.ndarray]  # values to start from
    _users: tuple[weakref.ref[Network], ...]  # the networks that it is part of
    _standalone: Network | None  # the private network for calls of this layer by itself

    def __init__(self, *, name: str | None = None, **arguments: Any) -> None:
        if arguments and type(self).__init__ is Layer.__init__:
            refuse_unknown(type(self), arguments)
        if name is not None:
            name = checked_name(type(self).__name__, name)
        for key in arguments.keys() & self.mutable:
            arguments[key] = self._check_mutable(key, arguments[key])
        # Straight into the dict: an argument may be called like a parameter (bias=True), whose view then hides it.
        self.__dict__.update(trainable=True, name=name, _names=tuple(arguments))
        self.__dict__.update(_bound={}, _pending={}, _users=(), _standalone=None)
        self.__dict__.update(arguments)

    # What a layer declares ------------------------------------------------------------------------------------------------

    def ops(self, name: str, inputs: tuple[int, ...], value: int) -> list[Op]:
        """Return the op records of this layer; the first one's result is number ``value``, the last one's is the layer's."""
        raise NotImplementedError(f"{type(self).__name__} declares no ops")

    def output_ops(self, ops: Sequence[Op]) -> tuple[int, ...]:
        """Return which of the layer's op records give its results; the first of these is what a Sequential passes on."""
        return (len(ops) - 1,)

    def parameter_shapes(self) -> dict[str, Shape]:
        """Return the shape of each parameter by its role, as PyTorch has them."""
        return {}

    def may_have_parameters(self) -> bool:
        """Return whether the layer has parameters, or will have once it knows its input: then it belongs to one model."""
        return bool(self.parameter_shapes() or self.state_shapes())

    def state_shapes(self) -> dict[str, Shape]:
        """Return the shape of each running statistic by its role: what training learns, but not by gradients."""
        return {}

    def initializer(self, role: str, activation: Layer | None) -> InitSpec:
        """Return how a parameter starts; ``activation`` is the one that follows this layer, if any."""
        raise NotImplementedError(f"{type(self).__name__} does not say how {role} starts")

    def has_matrix(self, role: str) -> bool:
        """Return whether a parameter is a weight matrix: what the penalties of ``compile`` are for."""
        return len(self.parameter_shapes()[role]) > 1

    def preferred_init(self) -> InitSpec:
        """Return how the weights of a layer that feeds this one should start."""
        return "xavier_uniform"

    def options(self, role: str) -> ParameterOptions:
        """Return how a parameter is trained."""
        return ParameterOptions(trainable=self.trainable)

    def input_shape(self) -> Shape | None:
        """Return the shape of one sample, without the batch, if the layer's arguments determine it."""
        return None

    def check(self, name: str, shape: Shape) -> None:
        """Raise ShapeError if the layer cannot take samples of this shape, where the core does not see that by itself."""

    def check_call(self, name: str, shapes: Sequence[Shape]) -> None:
        """Raise ShapeError or ArgumentError if the layer cannot be called on values of these shapes."""

    def macs(self, shape: Shape, out: Shape) -> int:
        """Return how many multiply-adds one sample costs in matrix products."""
        return 0

    # What follows from it -------------------------------------------------------------------------------------------------

    def config(self) -> dict[str, Any]:
        """Return the constructor's arguments, so that ``type(layer)(**layer.config())`` is a new layer like this one.

        Examples
        --------
        >>> import nncore as nn
        >>> nn.LeakyReLU().config()
        {'negative_slope': 0.01}
        """
        return {name: self.__dict__[name] for name in self._names}

    @property
    def grads(self) -> dict[str, np.ndarray]:
        """Views of the gradients by parameter, as the last backward pass left them.

        Examples
        --------
        >>> import nncore as nn
        >>> layer = nn.Linear(2, 1)
        >>> model = nn.Sequential(layer)
        >>> layer.grads["weight"].shape
        (1, 2)
        """
        return {role: self._parameter(role).grad for role in self.parameter_shapes()}

    def __repr__(self) -> str:
        shown = {k: v for k, v in self.config().items() if not (k in self.repr_defaults and self.repr_defaults[k] == v)}
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in shown.items())})"

    if not TYPE_CHECKING:  # type checkers know the attributes themselves

        def __setattr__(self, name: str, value: Any) -> None:
            if name == "name":
                value = None if value is None else checked_name(type(self).__name__, value)
            elif name in self.mutable:
                value = self._check_mutable(name, value)
            elif name in self._names and not isinstance(getattr(type(self), name, None), ParameterView):
                raise AttributeError(f"{type(self).__name__}.{name} is fixed when the layer is made; make a new layer")
            super().__setattr__(name, value)

    def _check_mutable(self, name: str, value: Any) -> Any:
        return flag(type(self).__name__, name, value)

    @overload
    def __call__(self, x: Value | Sequence[Value], training: bool = False) -> Value: ...
    @overload
    def __call__(self, x: ArrayLike | Sequence[ArrayLike], training: bool = False) -> np.ndarray: ...
    def __call__(self, x: Any, training: bool = False) -> Any:
        """Apply the layer to an array by itself, through a private model of this one layer; or record a call on an `nncore.Input`.

        A layer that already belongs to a model uses that model's weights as they stand. Without parameters it computes in the type
        of ``x`` where that is float32 or float64; otherwise in the type of its parameters, float32 unless its model says so.

        Parameters
        ----------
        x : array_like or Value
            A batch [N, ...]; activations take any shape. What `nncore.Input` or another layer gave: a place in a network. A list
            for layers that take several.
        training : bool
            Whether to behave as in training (dropout drops).

        Returns
        -------
        numpy.ndarray or Value
            The output, [N, ...].

        Examples
        --------
        >>> import nncore as nn
        >>> nn.ReLU()([[-1.0, 2.0]])
        array([[0., 2.]])
        >>> nn.ReLU()(nn.Input((2,)))
        <Value [*, 2] from ReLU>
        """
        if is_symbolic(x):
            return call(self, x)
        return _hooks.call_layer(self, x, training)

    # Parameters -----------------------------------------------------------------------------------------------------------

    def _parameter(self, role: str) -> Parameter:
        if role not in self._bound:
            raise NotBuiltError(
                f"{self!r} has no {role} yet: parameters are made when the layer becomes part of a model (nn.Sequential(...)) "
                f"whose input shape is known"
            )
        return self._bound[role]

    def _has(self, role: str) -> bool:
        return role in self.parameter_shapes() or role in self.state_shapes()

    def _view(self, role: str) -> np.ndarray | None:
        return self._parameter(role).value if self._has(role) else None

    def _assign(self, role: str, value: Any) -> None:
        if not self._has(role):
            raise ArgumentError(f"{self!r} was made without {role}")
        copy_into(self._parameter(role).value, value, f"{type(self).__name__}.{role}")

    def _claim(self, owner: Network) -> None:
        users = [weakref.ref(each) for each in self._networks() if each is not owner]
        self.__dict__.update(_users=(*users, weakref.ref(owner)), _standalone=None)

    def _bind(self, parameters: dict[str, Parameter]) -> None:
        self.__dict__.update(_bound=parameters, _pending={})

    def _initial_values(self) -> dict[str, np.ndarray]:
        """Values to start from instead of drawing: those of the layer this one is a copy of, or of its last model."""
        bound = {role: np.array(parameter.value, order="C") for role, parameter in self._bound.items()}
        return bound or self._pending

    def _networks(self) -> list[Network]:
        """The networks that it is part of, but for its private one."""
        return [network for ref in self._users if (network := ref()) is not None and network is not self._standalone]

    def _belongs_elsewhere(self) -> bool:
        return bool(self._networks())

    def __getstate__(self) -> dict[str, Any]:
        state = {name: self.__dict__[name] for name in (*self._names, *self.mutable, "name")}
        return {**state, "_names": self._names, "_pending": ValuesAtOnce.of(self) or self._initial_values()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update({"name": None, **state, "_bound": {}, "_users": (), "_standalone": None})

    def __copy__(self) -> Self:
        return copy.deepcopy(self)


if TYPE_CHECKING:

    class AnyLayer(Layer):
        """A layer of a class that type checkers do not know, as ``model[0]`` is: whatever attribute is asked for may be there.

        For the attributes of one class, such as `Linear`, narrow it: ``isinstance(layer, nn.Linear)``.
        """

        def __getattr__(self, name: str) -> Any: ...
        def __setattr__(self, name: str, value: Any) -> None: ...

else:
    AnyLayer = Layer


class ValuesAtOnce:
    """The values of a model's layers at one moment. A pickler comes to the layers later, one by one, when another thread may train.

    It is pickled with the model, so that the pickler keeps it as long as it needs it; the values go into the pickle once.
    """

    __slots__ = ("__weakref__", "values")

    def __init__(self, layers: Sequence[Layer]) -> None:
        self.values = [dict(layer._initial_values()) for layer in layers]
        for number, layer in enumerate(layers):
            entries = layer.__dict__.setdefault("_taken", {})  # one per thread, each put and taken away by itself
            for thread, entry in list(entries.items()):
                if entry[0]() is None:
                    entries.pop(thread, None)
            entries[get_ident()] = weakref.ref(self), number

    @staticmethod
    def of(layer: Layer) -> dict[str, np.ndarray] | None:
        """Return the values that this thread is pickling, if it is."""
        entry = layer.__dict__.get("_taken", {}).get(get_ident())
        taken = None if entry is None else entry[0]()
        return None if taken is None else taken.values[entry[1]]
