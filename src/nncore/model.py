"""The model: layers assembled into op records, and their parameters by name. How it is trained stands in training.py.

A model is built once the shape of its input is known: at construction where the first layers say it (a leading Linear), otherwise
on first use or by `Model.build`. The numbers live in two contiguous buffers of the core, parameters and gradients; everything here
that looks like a weight is a view into them.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self, cast

import numpy as np

from . import _core, init
from ._checks import float_dtype, shape_text, whole
from .data.arrays import as_array
from .errors import ArgumentError, EmptyDataError, NotBuiltError, NotCompiledError, ShapeError
from .layers.base import Layer
from .parameters import Parameters
from .saving import Savable
from .schedules import learning_rates
from .spec import Op, Parameter, ParameterOptions, Shape
from .summary import Row, Summary
from .training import Trainable

if TYPE_CHECKING:
    from .saving.training import TrainingState


class Model(_core.Network, Parameters, Trainable, Savable):
    """Base of the models: everything but the way in which the layers are connected. Make a `Sequential`.

    Attributes
    ----------
    layers : tuple of Layer
        In order.
    seed : int
        What initial weights, dropout masks and shuffling derive from.
    dtype : numpy.dtype
        float32 or float64.

    Examples
    --------
    >>> import nncore as nn
    >>> isinstance(nn.Sequential(nn.Linear(2, 1)), nn.Model)
    True
    """

    layers: tuple[Layer, ...]
    _ops: list[Op]
    _owners: list[int]  # of each op: the index of its layer
    _outputs: list[int]

    def __init__(self, layers: Sequence[Layer], seed: int | None, dtype: Any) -> None:
        if type(self) is Model:
            raise TypeError("Model is the base class; make an nn.Sequential")
        name = type(self).__name__
        _check_layers(name, layers)
        self._dtype = np.dtype(float_dtype(name, dtype))
        self.seed = _fresh_seed() if seed is None else whole(name, "seed", seed, 0)
        self.layers = tuple(layers)
        self._built_for: list[Shape] | None = None
        shape = self._known_input()
        if shape is not None:
            self._build([shape])
        for layer in self.layers:
            if layer.parameter_shapes():
                layer._claim(self)

    # How layers become ops --------------------------------------------------------------------------------------------------

    def _wire(self) -> tuple[list[Op], list[int], list[int]]:
        """Return the op records, the layer of each, and the values that are the outputs."""
        raise NotImplementedError

    def _known_input(self) -> Shape | None:
        """Return the shape of one sample as far as the layers alone determine it."""
        raise NotImplementedError

    def _activation_after(self, index: int) -> Layer | None:
        """Return the activation that the result of layer ``index`` goes through, if any."""
        raise NotImplementedError

    def _layer_name(self, index: int) -> str:
        return f"layer {index} ({type(self.layers[index]).__name__})"

    def _build(self, input_shapes: Sequence[Shape]) -> None:
        """Assemble for inputs of these shapes, and give every parameter its initial value, or the one it already has."""
        ops, owners, outputs = self._wire()
        rehearsal = _core.Network()  # what fails, fails here, and leaves the model as it was
        rehearsal._assemble(input_shapes, ops, outputs, self._dtype.name)
        shapes = rehearsal._shapes()
        for op, owner in zip(ops, owners, strict=True):
            self.layers[owner].check(op.name, shapes[op.inputs[0]])
        values = self._initial_values(rehearsal._parameters() + rehearsal._states(), owners)
        del rehearsal  # and its buffers, before there are others
        self._assemble(input_shapes, ops, outputs, self._dtype.name)
        bound: list[dict[str, Parameter]] = [{} for _ in self.layers]
        for parameter, value in zip(self._parameters() + self._states(), values, strict=True):
            parameter.value[...] = value
            bound[owners[parameter.op]][parameter.role] = parameter
        for layer, parameters in zip(self.layers, bound, strict=True):
            if parameters:
                layer._bind(parameters)
        # What compile declared is attached to the new shapes when it is needed.
        self._attached = self._batch = self._progress = None
        self._built_for = [tuple(shape) for shape in input_shapes]
        self._ops, self._owners, self._outputs = ops, owners, outputs

    def _initial_values(self, parameters: Sequence[Parameter], owners: Sequence[int]) -> list[np.ndarray]:
        """Draw each parameter, except where a layer brings values along."""
        values = []
        kept = [layer._initial_values() for layer in self.layers]
        streams: dict[int, np.random.Generator] = {}
        for op, role, view, _ in parameters:
            i = owners[op]
            if role not in kept[i]:
                # One stream per layer, so that changing one layer leaves the others' weights as they were.
                rng = streams.setdefault(i, np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=(i,))))
                scheme = self.layers[i].initializer(role, self._activation_after(i))
                kept[i] = {**kept[i], role: init.draw(scheme, view.shape, rng, self._dtype, f"{self._layer_name(i)}: {role}")}
            values.append(kept[i][role])
        return values

    def build(self, input_shape: Shape) -> Self:
        """Fix the shape of one sample, where the first layer leaves it open.

        A model that is built may be built again for another shape that fits its layers, such as (time, features) where the first
        layer is Linear. It keeps its weights, but in new memory: views taken before are of the old. The optimizer starts anew.

        Parameters
        ----------
        input_shape : tuple of int
            Shape of one sample, without the batch.

        Returns
        -------
        Model
            The model itself.

        Raises
        ------
        ShapeError
            If the layers do not fit such an input.

        Examples
        --------
        >>> import nncore as nn
        >>> model = nn.Sequential(nn.Flatten(), nn.Linear(6, 1)).build((2, 3))
        >>> model.output_shapes
        [(1,)]
        """
        name = type(self).__name__
        if isinstance(input_shape, (str, bytes)) or not isinstance(input_shape, Sequence):
            raise ArgumentError(f"{name}.build: input_shape is a tuple, the shape of one sample, not {input_shape!r}")
        shape = tuple(whole(f"{name}.build", "each dimension of input_shape", d) for d in input_shape)
        if self._built_for != [shape]:
            self._build([shape])
        return self

    @property
    def dtype(self) -> np.dtype:
        """What everything is computed in, float32 or float64.

        Examples
        --------
        >>> import nncore as nn
        >>> nn.Sequential(nn.Linear(2, 1), dtype="float64").dtype
        dtype('float64')
        """
        return self._dtype

    @property
    def built(self) -> bool:
        """Whether the input shape is known and the parameters exist.

        Examples
        --------
        >>> import nncore as nn
        >>> nn.Sequential(nn.Linear(2, 1)).built, nn.Sequential(nn.Flatten(), nn.Linear(2, 1)).built
        (True, False)
        """
        return self._built_for is not None

    def _require_built(self, what: str) -> None:
        if self._built_for is None:
            raise NotBuiltError(
                f"{type(self).__name__}.{what}: the shape of the input is not known yet; call model.build(input_shape) with the "
                f"shape of one sample, or use the model once"
            )

    @property
    def input_shapes(self) -> list[Shape]:
        """Shape of one sample of each input, without the batch.

        Examples
        --------
        >>> import nncore as nn
        >>> nn.Sequential(nn.Linear(2, 1)).input_shapes
        [(2,)]
        """
        self._require_built("input_shapes")
        return list(self._built_for or ())

    @property
    def output_shapes(self) -> list[Shape]:
        """Shape of one sample of each output, without the batch.

        Examples
        --------
        >>> import nncore as nn
        >>> nn.Sequential(nn.Linear(2, 1)).output_shapes
        [(1,)]
        """
        self._require_built("output_shapes")
        shapes = self._shapes()
        return [tuple(shapes[value]) for value in self._outputs]

    @property
    def output_activations(self) -> list[tuple[str, tuple[float, ...]]]:
        """Registry name and attributes of the activation that each output comes from; "" where it comes from none.

        Examples
        --------
        >>> import nncore as nn
        >>> nn.Sequential(nn.Linear(2, 1), nn.Sigmoid()).output_activations
        [('sigmoid', ())]
        """
        self._require_built("output_activations")
        found = []
        for value in self._outputs:
            op = self._ops[value - len(self.input_shapes)]
            found.append((op.code, op.attributes) if op.kind == "activation" else ("", ()))
        return found

    def parameter_options(self) -> list[ParameterOptions]:
        """Return how each parameter is trained, in the order of `parameters`.

        Examples
        --------
        >>> import nncore as nn
        >>> nn.Sequential(nn.Linear(2, 1, trainable=False)).parameter_options()[0].trainable
        False
        """
        self._require_built("parameter_options")
        return [self.layers[self._owners[p.op]].options(p.role) for p in self._parameters()]

    def _named(self, what: str) -> list[tuple[str, Parameter]]:
        self._require_built(what)
        return [(f"{self._owners[p.op]}.{p.role}", p) for p in self._parameters()]

    def _named_all(self, what: str) -> list[tuple[str, Parameter]]:
        self._require_built(what)
        everything = sorted(self._parameters() + self._states(), key=lambda p: p.op)  # stable: parameters first
        return [(f"{self._owners[p.op]}.{p.role}", p) for p in everything]

    # One batch --------------------------------------------------------------------------------------------------------------

    def _convert(self, x: Any) -> np.ndarray:
        """Return a batch as a C-contiguous array of the model's dtype, building the model if need be."""
        array = as_array(x, "x", self._dtype)
        if array.ndim == 0:
            raise ShapeError("x is a single number; a batch [N, ...] is needed")
        if self._built_for is None:
            self._build([array.shape[1:]])
        (expected,) = self.input_shapes
        if array.shape[1:] != expected:
            hint = _hint(array.shape, expected)
            raise ShapeError(f"x has shape {array.shape}, but the model takes batches of shape {shape_text(expected)}{hint}")
        return np.ascontiguousarray(array, dtype=self._dtype)

    def forward(self, x: Any, training: bool = False) -> np.ndarray:
        """Compute the output for one batch, and keep what `backward` needs.

        Parameters
        ----------
        x : array_like
            [N, *input shape].
        training : bool
            Whether layers behave as in training (dropout drops).

        Returns
        -------
        numpy.ndarray
            [N, *output shape].

        Raises
        ------
        ShapeError
            If the batch does not fit the model.
        EmptyDataError
            If it has no rows.

        Examples
        --------
        A training step by hand, for the loss 0.5 * sum((y - t)**2):

        >>> import numpy as np
        >>> import nncore as nn
        >>> model = nn.Sequential(nn.Linear(1, 1, weight_init="ones"))
        >>> model.compile(loss="half_squared_error", optimizer=nn.optim.SGD(lr=0.1))
        >>> y = model.forward([[2.0]], training=True)
        >>> model.backward(y - 1.0)
        array([[1.]], dtype=float32)
        >>> model.gradients["0.weight"]
        array([[2.]], dtype=float32)
        >>> model.apply_gradients()
        >>> model[0].weight.round(3)
        array([[0.8]], dtype=float32)
        """
        batch = self._convert(x)
        if not len(batch):
            raise EmptyDataError("forward: x has no rows, so that there is nothing to go back through; model(x) takes it")
        (out,) = self._forward([batch], bool(training))
        return out

    def backward(self, grad_output: Any) -> np.ndarray:
        """Compute the gradients of the last `forward`, overwriting those in `gradients`.

        Parameters
        ----------
        grad_output : array_like
            Derivative of the loss by each element of the output, [N, *output shape].

        Returns
        -------
        numpy.ndarray
            Derivative of the loss by each element of the input, [N, *input shape].

        Examples
        --------
        >>> import nncore as nn
        >>> model = nn.Sequential(nn.Linear(2, 1, weight_init="ones"))
        >>> _ = model.forward([[1.0, 2.0]])
        >>> model.backward([[3.0]])
        array([[3., 3.]], dtype=float32)
        """
        self._require_built("backward")
        grad = np.ascontiguousarray(as_array(grad_output, "grad_output", self._dtype), dtype=self._dtype)
        (expected,) = self.output_shapes
        if grad.shape[1:] != expected:
            raise ShapeError(f"grad_output has shape {grad.shape}, but the model gives batches of shape {shape_text(expected)}")
        (grad_input,) = self._backward([grad])
        return grad_input

    def apply_gradients(self) -> None:
        """Let the optimizer update the parameters from what is in `gradients`.

        Raises
        ------
        NotCompiledError
            If the model has no optimizer.

        Examples
        --------
        >>> import nncore as nn
        >>> model = nn.Sequential(nn.Linear(1, 1, weight_init="ones"))
        >>> model.compile(loss="mse", optimizer=nn.optim.SGD(lr=0.5))
        >>> model.gradients["0.weight"][...] = 1.0
        >>> model.apply_gradients()
        >>> model[0].weight
        array([[0.5]], dtype=float32)
        """
        optimizer = self.optimizer
        if optimizer is None:
            raise NotCompiledError("apply_gradients needs an optimizer: call model.compile(loss=..., optimizer=...) first")
        self._apply_gradients(float(learning_rates(optimizer.lr, self.step, 1)[0]))

    def summary(self, show: bool = True) -> Summary:
        """Print and return a table of the layers: shapes, parameters, multiply-adds and memory.

        Parameters
        ----------
        show : bool
            Whether to print it; ``str()`` of what is returned gives the same text.

        Returns
        -------
        Summary
            The figures.

        Raises
        ------
        NotBuiltError
            If the shape of the input is not known yet.

        Examples
        --------
        >>> import nncore as nn
        >>> nn.Sequential(nn.Linear(2, 3), nn.ReLU()).summary(show=False).total_parameters
        9
        """
        self._require_built("summary")
        shapes, itemsize = self._shapes(), self._dtype.itemsize
        rows = []
        for i, layer in enumerate(self.layers):
            at = [k for k, owner in enumerate(self._owners) if owner == i]
            shape, out = shapes[self._ops[at[0]].inputs[0]], shapes[len(self.input_shapes) + at[-1]]
            sizes = {role: int(np.prod(s)) for role, s in layer.parameter_shapes().items()}
            trainable = sum(size for role, size in sizes.items() if layer.options(role).trainable)
            memory = sum(int(np.prod(shapes[len(self.input_shapes) + k])) for k in at) * itemsize
            rows.append(
                Row(str(i), type(layer).__name__, tuple(out), sum(sizes.values()), trainable, layer.macs(shape, out), memory)
            )
        found = Summary(type(self).__name__, self._dtype.name, self.input_shapes, rows, self._arena_bytes(1))
        if show:
            print(found)
        return found

    # Copies -----------------------------------------------------------------------------------------------------------------

    def __reduce__(self) -> tuple[Any, ...]:
        # Layers carry their values along, the state of training goes with them: a copy trains on as the original would.
        from .saving.training import between_steps, capture, copied

        with between_steps(self):
            # What another thread trains is another moment later: its values are taken now.
            layers = copy.deepcopy(self.layers) if self._is_elsewhere else self.layers
            state = copied(capture(self))
        return _restore, (type(self), layers, self.seed, self._dtype.name, self._built_for, state)

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        from .saving.training import between_steps, capture, copied

        with between_steps(self):
            layers = copy.deepcopy(self.layers, memo)
            state = copied(capture(self))
        if state is not None:
            state = state._replace(compiled=copy.deepcopy(state.compiled, memo))
        model = _restore(type(self), layers, self.seed, self._dtype.name, self._built_for, state)
        memo[id(self)] = model
        return cast("Self", model)

    def __copy__(self) -> Self:
        return copy.deepcopy(self)


def _check_layers(name: str, layers: Sequence[Any]) -> None:
    if not layers:
        raise ArgumentError(f"{name} needs at least one layer")
    for i, layer in enumerate(layers):
        if isinstance(layer, Model):
            raise ArgumentError(f"{name}: layer {i} is a model; put its layers in instead: copy.deepcopy(model.layers)")
        if isinstance(layer, type) and issubclass(layer, Layer):
            raise ArgumentError(f"{name}: layer {i} is the class {layer.__name__}; call it: {layer.__name__}(...)")
        if not isinstance(layer, Layer):
            raise ArgumentError(f"{name}: layer {i} is no layer but {layer!r}")
        if layer._belongs_elsewhere():
            raise ArgumentError(
                f"{name}: layer {i}, {layer!r}, already belongs to another model, which holds its parameters; "
                f"copy.deepcopy(layer) gives an independent one with the same weights"
            )
        if layer.parameter_shapes() and (first := [earlier is layer for earlier in layers].index(True)) < i:
            raise ArgumentError(
                f"{name}: layers {first} and {i} are one object, {layer!r}, and would share parameters, which is not possible yet; "
                f"use copy.deepcopy for a second one"
            )


def _fresh_seed() -> int:
    return int(np.random.SeedSequence().generate_state(1, np.uint64)[0] >> np.uint64(1))


def _hint(shape: Shape, expected: Shape) -> str:
    if shape == expected:
        return "; for one sample, add the batch dimension: x[None]"
    if (*shape, 1) == (*shape[:1], *expected):
        return "; for one feature, add its dimension: x[:, None]"
    if len(shape) - 1 > len(expected) and shape[len(shape) - len(expected) :] == expected:
        return f"; for samples of shape {shape[1:]}, call model.build({shape[1:]}) first"
    return ""


def _restore(
    cls: type[Model],
    layers: Sequence[Layer],
    seed: int,
    dtype: str,
    built_for: Sequence[Shape] | None,
    training: TrainingState | None = None,
) -> Model:
    """Make a model again from what pickle kept, whatever arguments the constructor of a subclass takes."""
    model = cls.__new__(cls)
    Model.__init__(model, layers, 0, dtype)
    model.seed = seed
    if built_for is not None and model._built_for != built_for:
        model._build(built_for)
    if training is not None:
        from .saving.training import resume

        resume(model, training)
    return model
