"""The base class of layers. A layer declares op records, parameters and their initialization. It stores no values and computes
nothing.

To add a layer, write one class. Its constructor checks the arguments and passes them to ``super().__init__``. ``ops`` returns the
op records of the layer. If the layer has parameters, ``parameter_shapes`` and ``initializer`` describe them. The base class
provides the rest: repr, config, copying, pickling, attributes such as `weight`, and calls of the layer by itself.
"""

from __future__ import annotations

import copy
import weakref
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Self, overload

import numpy as np

from .. import _core, _late_calls
from .._checks import flag, whole
from .._declarations import is_own, put_elsewhere, refuse_setting, reject_unknown, visible
from ..config import fresh_seed
from ..data.arrays import copy_into
from ..errors import ArgumentError, NotBuiltError
from ..foreign import methods
from ..graph import Value, call, checked_name, is_symbolic
from ..init import InitSpec, draw
from ..records import Op, Parameter, ParameterOptions, Shape
from .layer_type import LayerType
from .parameter_views import ParameterView, WeightsSnapshot

if TYPE_CHECKING:
    from ..typing import ArrayLike

#: What classes of layers could say in earlier versions -> what it is called now.
_RENAMED = {
    "quiet": "repr_defaults",
    "transparent": "init_looks_through",
    "takes": "input_count",
    "n_results": "output_count",
    "feeding_init": "preferred_init",
}


def refuse_mode(owner: str, training: Any) -> None:
    """Raise ArgumentError if ``training`` is passed with a value of a network: it would have no effect."""
    if training is not None:
        raise ArgumentError(
            f"{owner}: training= is for calls with data. In a network, set training = False on the layer or the model that is "
            "called, so that it computes as at inference in fit, too; model(x, training=True) is a pass with dropout"
        )


class Layer(metaclass=LayerType):
    """Base of all layers.

    Parameters
    ----------
    name : str, optional
        The name of the layer in a model that is a graph. Keys of its parameters begin with it. Every layer accepts it, also a class
        of your own that does not list it. The name must not be empty or "training", contain a dot, slash or control character, or
        begin or end with a blank.
    **arguments
        The arguments of the constructor, checked. They become read-only attributes, the repr and `config`.

    Attributes
    ----------
    trainable : bool
        Whether training changes the weights. False freezes them, from the next `compile` on.
    training : bool
        False lets the layer compute as at inference in `fit`, too: dropout is off, and batch norm takes its running statistics.

    Examples
    --------
    >>> import nncore as nn
    >>> model = nn.Sequential(nn.Linear(2, 3, name="hidden"), nn.ReLU(), nn.Linear(3, 1))
    >>> isinstance(model[0], nn.Layer), model[0].name
    (True, 'hidden')
    >>> model[0].trainable = False  # freeze it
    >>> [each.trainable for each in model.parameter_options()]
    [False, False, True, True]
    """

    #: `repr` omits an argument that has this value.
    repr_defaults: ClassVar[dict[str, object]] = {}
    #: The arguments that may be changed later. The next ``compile`` uses the new values.
    mutable: ClassVar[tuple[str, ...]] = ("trainable",)
    #: If the layer is frozen, it computes as at inference in training, too.
    frozen_is_inference: ClassVar[bool] = False
    #: The output always has the shape of the input.
    preserves_shape: ClassVar[bool] = False
    #: When a layer looks for the activation that follows it, this layer is skipped.
    init_looks_through: ClassVar[bool] = False

    #: The layer before this one is initialized as `preferred_init` says.
    is_activation: ClassVar[bool] = False

    #: The input holds indices, and the output has one dimension more.
    takes_indices: ClassVar[bool] = False

    #: Least and greatest number of inputs of a call; None for no limit.
    input_count: ClassVar[tuple[int, int | None]] = (1, 1)

    def __init_subclass__(cls, **arguments: Any) -> None:
        super().__init_subclass__(**arguments)
        for old in _RENAMED.keys() & vars(cls).keys():
            raise ArgumentError(f"{cls.__name__}.{old} is called {_RENAMED[old]} now; rename it, as it would have no effect")

    @property
    def output_count(self) -> int:
        """Number of values that a call of the layer returns."""
        return 1

    _family: ClassVar[str] = "nncore.layers"
    _always: ClassVar[tuple[str, ...]] = ("name",)  #: what every constructor accepts, because of the metaclass

    trainable: bool
    #: Whether the layer takes part in training as such: False lets it compute as at inference in `fit` and in
    #: ``forward(training=True)``, too, from the next step on. Its weights are trained nevertheless; see `trainable`.
    training: bool
    name: str | None  #: the layer's name in a model that is a graph; None lets the model choose one

    _names: tuple[str, ...] = ()  # names of the constructor's arguments
    _bound: dict[str, Parameter]  # views into the buffers of the model, by role
    _pending: dict[str, Any]  # initial values for the next model, as arrays or as weights of 8-bit integers
    _users: tuple[weakref.ref[Any], ...]  # the networks that contain the layer, if it has parameters
    _observers: tuple[weakref.ref[Any], ...]  # all networks that contain the layer, its private one included
    _standalone: Any  # the private network for calls of this layer by itself

    def __init__(self, *, name: str | None = None, **arguments: Any) -> None:
        if arguments and type(self).__init__ is Layer.__init__:
            reject_unknown(type(self), arguments)
        if name is not None:
            name = checked_name(type(self).__name__, name)
        for key in arguments.keys() & self.mutable:
            arguments[key] = self._check_mutable(key, arguments[key])
        # Written into the dict directly, because an argument may have the name of a parameter (bias=True). Its view then hides the
        # argument.
        self.__dict__.update(trainable=True, training=True, name=name, _names=tuple(arguments))
        self.__dict__.update(_bound={}, _pending={}, _users=(), _observers=(), _standalone=None)
        self.__dict__.update(arguments)

    def require_init(self) -> None:
        """Raise ArgumentError if a subclass has not called the constructor of its base."""
        if "_bound" not in self.__dict__:
            name = type(self).__name__
            raise ArgumentError(f"{name}: the constructor of its base class has not run; call super().__init__() in __init__ first")

    # What a layer declares ------------------------------------------------------------------------------------------------

    def ops(self, name: str, inputs: tuple[int, ...], value: int) -> list[Op]:
        """Return the op records of this layer. The first result has the number ``value``; the last one is the output of the
        layer."""
        raise NotImplementedError(f"{type(self).__name__} declares no ops")

    def output_ops(self, ops: Sequence[Op]) -> tuple[int, ...]:
        """Return which op records compute the outputs of the layer. A Sequential passes on the first of these outputs."""
        return (len(ops) - 1,)

    def parameter_shapes(self) -> dict[str, Shape]:
        """Return the shape of each parameter by its role. Shapes are PyTorch's."""
        return {}

    def may_have_parameters(self) -> bool:
        """Return whether the layer has parameters now or once its input shape is known. Such a layer belongs to one model."""
        return bool(self.parameter_shapes() or self.state_shapes())

    def state_shapes(self) -> dict[str, Shape]:
        """Return the shape of each running statistic by its role. Training updates them without gradients."""
        return {}

    def initializer(self, role: str, activation: Layer | None) -> InitSpec:
        """Return the initialization of a parameter. ``activation`` is the activation that follows this layer, if there is one."""
        raise NotImplementedError(f"{type(self).__name__} does not say how {role} starts")

    def is_weight_matrix(self, role: str) -> bool:
        """Return whether a parameter is a weight matrix. The penalties of ``compile`` apply to those."""
        return len(self.parameter_shapes()[role]) > 1

    def preferred_init(self) -> InitSpec:
        """Return the initialization for the weights of the layer before this one."""
        return "xavier_uniform"

    def options(self, role: str) -> ParameterOptions:
        """Return the training options of a parameter."""
        return ParameterOptions(trainable=self.trainable)

    def input_shape(self) -> Shape | None:
        """Return the shape of one sample, without the batch, if the arguments of the layer determine it."""
        return None

    def check(self, name: str, shape: Shape) -> None:
        """Raise ShapeError if the layer cannot take samples of this shape. Only checks that the core does not make belong here."""

    def check_call(self, name: str, shapes: Sequence[Shape]) -> None:
        """Raise ShapeError or ArgumentError if the layer cannot be called on values of these shapes."""

    def macs(self, shape: Shape, out: Shape) -> int:
        """Return the number of multiply-adds of matrix products for one sample."""
        return 0

    # What the base class provides -----------------------------------------------------------------------------------------

    def config(self) -> dict[str, Any]:
        """Return the arguments of the constructor. ``type(layer)(**layer.config())`` makes a new layer like this one.

        Examples
        --------
        >>> import nncore as nn
        >>> nn.LeakyReLU().config()
        {'negative_slope': 0.01}
        """
        return {name: self.__dict__[name] for name in self._names}

    @property
    def grads(self) -> dict[str, np.ndarray]:
        """Views of the gradients by parameter. The last backward pass wrote them.

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
            elif name == "training" or name in self.mutable:
                self._change(
                    name, flag(type(self).__name__, name, value) if name == "training" else self._check_mutable(name, value)
                )
                return
            elif name in self._names and not isinstance(getattr(type(self), name, None), ParameterView):
                raise AttributeError(f"{type(self).__name__}.{name} is fixed when the layer is made; make a new layer")
            elif name[:1] != "_" and not hasattr(type(self), name) and name not in self.__dict__ and is_own(self):
                refuse_setting(self, name, (*self.mutable, "training", "name"), always=True)
            super().__setattr__(name, value)

    def _change(self, name: str, value: Any) -> None:
        """Set an attribute that may be changed, and let the models of the layer know."""
        before = self.__dict__[name]
        if value == before:
            return
        self.__dict__[name] = value
        try:
            for ref in self._observers:
                if (network := ref()) is not None:
                    network.layer_changed(name)
        except BaseException:  # another thread is training such a model
            self.__dict__[name] = before
            raise

    def _check_mutable(self, name: str, value: Any) -> Any:
        return flag(type(self).__name__, name, value)

    @overload
    def __call__(self, x: Value | Sequence[Value]) -> Value: ...
    @overload
    def __call__(self, x: ArrayLike | Sequence[ArrayLike], training: bool = False) -> np.ndarray: ...
    def __call__(self, x: Any, training: bool | None = None) -> Any:
        """Apply the layer by itself to an array, or record a call on an `nncore.Input`.

        On an array, a private model with this one layer computes the output. A layer that belongs to a model uses the weights of
        that model. A layer without parameters computes in the type of ``x`` if that is float32 or float64. Other layers compute in
        the type of their parameters: the type of their model, or float32.

        Parameters
        ----------
        x : array_like or Value
            A batch [N, ...]; activations accept any shape. Or a value that `nncore.Input` or another layer returned; the call then
            becomes part of a network. A list for layers with several inputs.
        training : bool, default False
            Whether to behave as in training; dropout is active then. Only for arrays: in a network, `training` of the layer, and
            of the call of the model, decide.

        Returns
        -------
        numpy.ndarray or Value
            The output, [N, ...].

        Raises
        ------
        ArgumentError
            ``training`` is passed for a value of a network.

        Examples
        --------
        >>> import nncore as nn
        >>> nn.ReLU()([[-1.0, 2.0]])
        array([[0., 2.]])
        >>> nn.ReLU()(nn.Input((2,)))
        <Value [*, 2] from ReLU>
        """
        if is_symbolic(x):
            if is_symbolic(training):
                raise ArgumentError(f"{type(self).__name__}: pass several inputs as a list, layer([a, b])")
            refuse_mode(type(self).__name__, training)
            return call(self, x)
        return _late_calls.call_layer(self, x, False if training is None else training)

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
        if not self._has(role):
            return None
        parameter = self._parameter(role)
        _core.count_change(parameter.value)
        return parameter.view()

    def _assign(self, role: str, value: Any) -> None:
        if not self._has(role):
            raise ArgumentError(f"{self!r} was made without {role}")
        parameter = self._parameter(role)
        copy_into(parameter.writable(), value, f"{type(self).__name__}.{role}")
        _core.count_change(parameter.value)

    def reset_parameters(self, seed: int | None = None) -> None:
        """Draw the parameters of this layer again, by its initialization. Running statistics start again, too.

        The state of the optimizer stays as it is; ``model.reset_parameters`` resets it as well. If models share the layer, it
        changes in all of them.

        Parameters
        ----------
        seed : int, optional
            With the seed of a model, the values are those with which that model began. None draws other values (see `nn.set_seed`).

        Examples
        --------
        >>> import nncore as nn
        >>> model = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1), seed=7)
        >>> before = model[2].weight.copy()
        >>> model[2].reset_parameters()
        >>> bool((model[2].weight == before).any())
        False
        >>> model[2].reset_parameters(seed=7)
        >>> bool((model[2].weight == before).all())
        True
        """
        seed = None if seed is None else whole(f"{type(self).__name__}.reset_parameters", "seed", seed, 0)
        networks = self._networks() or ([] if self._standalone is None else [self._standalone])
        if networks:
            networks[0].reset_parameters(seed, self)
            return
        self.__dict__["_pending"] = {}
        source = np.random.SeedSequence(fresh_seed() if seed is None else seed, spawn_key=(0,))
        rng = np.random.default_rng(source)
        for role, parameter in self._bound.items():  # the layer's model no longer exists
            to = parameter.writable()
            to[...] = draw(self.initializer(role, None), to.shape, rng, to.dtype, role)

    def _claim(self, owner: Any) -> None:
        users = [weakref.ref(each) for each in self._networks() if each is not owner]
        self.__dict__.update(_users=(*users, weakref.ref(owner)), _standalone=None)

    def _observe(self, owner: Any) -> None:
        self.__dict__["_observers"] = (*(ref for ref in self._observers if ref() is not None), weakref.ref(owner))

    def _bind(self, parameters: dict[str, Parameter]) -> None:
        self.__dict__.update(_bound=parameters, _pending={})

    def _initial_values(self) -> dict[str, Any]:
        """Return initial values that replace the drawn ones: those of the layer that was copied, or of the layer's last model."""
        bound = {role: parameter.stored() for role, parameter in self._bound.items()}
        return bound or self._pending

    def _networks(self) -> list[Any]:
        """Return the networks that contain the layer, except its private one."""
        return [network for ref in self._users if (network := ref()) is not None and network is not self._standalone]

    def _belongs_elsewhere(self, owner: Any = None) -> bool:
        return any(network is not owner for network in self._networks())

    def __getstate__(self) -> dict[str, Any]:
        state = {name: self.__dict__[name] for name in (*self._names, *self.mutable, "training", "name")}
        return {**state, "_names": self._names, "_pending": WeightsSnapshot.of(self) or self._initial_values()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(
            {"name": None, "training": True, **state, "_bound": {}, "_users": (), "_observers": (), "_standalone": None}
        )

    def __copy__(self) -> Self:
        return copy.deepcopy(self)

    __dir__ = visible


put_elsewhere(Layer, methods.OF_LAYERS)


if TYPE_CHECKING:

    class AnyLayer(Layer):
        """A layer whose class is unknown to type checkers, such as ``model[0]``. Type checkers allow any attribute of it.

        Use ``isinstance(layer, nn.Linear)`` to get the attributes of `Linear`; the same works for other classes.
        """

        def __getattr__(self, name: str) -> Any: ...
        def __setattr__(self, name: str, value: Any) -> None: ...

else:
    AnyLayer = Layer
