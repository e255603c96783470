"""The assembly: layers turned into op records, and their parameters by name.

It is the half of every model that knows the core; how a model is trained stands in training.py, how its layers are connected in
functional.py and sequential.py. A model is built once the shapes of its inputs are known: at construction where the layers or the
inputs say them, otherwise on first use or by `build`. The numbers live in two contiguous buffers of the core, parameters and
gradients; everything here that looks like a weight is a view into them.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from . import _core, init
from ._checks import flag, float_dtype, whole
from .errors import NotBuiltError, ShapeError
from .layers.base import Layer
from .parameters import Parameters
from .records import Op, Parameter, ParameterOptions, Shape
from .summary import Row, Summary

if TYPE_CHECKING:
    from .model import Model


class Assembly(_core.Network, Parameters):
    """What is common to all models, however their layers are connected.

    Attributes
    ----------
    layers : tuple of Layer
        In order.
    seed : int
        What initial weights, dropout masks and shuffling derive from.
    dtype : numpy.dtype
        float32 or float64.
    """

    layers: tuple[Layer, ...]

    def _begin(self, layers: Sequence[Layer], seed: int | None, dtype: Any) -> None:
        """Take the layers, and build where the shapes of the inputs are known."""
        name = type(self).__name__
        self._dtype = np.dtype(float_dtype(name, dtype))
        self.seed = _fresh_seed() if seed is None else whole(name, "seed", seed, 0)
        self.layers = tuple(layers)
        shapes = self._known_inputs()
        if shapes is not None:
            try:
                self._build(shapes)
            except ShapeError:
                if not self._may_be_deeper():
                    raise
        for layer in self.layers:
            if layer.may_have_parameters():
                layer._claim(cast("Model", self))

    # How layers become ops --------------------------------------------------------------------------------------------------

    def _wire(self) -> tuple[list[Op], list[int], list[int]]:
        """Return the op records, the layer of each, and the values that are the outputs."""
        raise NotImplementedError

    def _known_inputs(self) -> list[Shape] | None:
        """Return the shape of one sample of each input, if it is known without data."""
        raise NotImplementedError

    def _may_be_deeper(self) -> bool:
        """Return whether the inputs may have more dimensions than `_known_inputs` says, which only data or `build` can tell."""
        return False

    def _activation_after(self, index: int) -> Layer | None:
        """Return the activation that the result of layer ``index`` goes through, if any."""
        raise NotImplementedError

    def _layer_name(self, index: int) -> str:
        """Return how errors call a layer."""
        return f"layer {index} ({type(self.layers[index]).__name__})"

    @property
    def input_names(self) -> list[str]:
        """The names of the inputs."""
        raise NotImplementedError

    @property
    def output_names(self) -> list[str]:
        """The names of the outputs."""
        raise NotImplementedError

    def _key(self, index: int) -> str:
        """Return what the names of a layer's parameters begin with."""
        return str(index)

    def _build(self, input_shapes: Sequence[Shape]) -> None:
        """Assemble for inputs of these shapes, and give every parameter its initial value, or the one it already has."""
        with self._access.changing():
            with self._access.preparing():  # what fails, fails beside the model
                ops, owners, outputs = self._wire()
                network = self._rehearse(input_shapes, ops, owners, outputs)
                parameters = network._parameters() + network._states()
                for parameter, value in zip(parameters, self._initial_values(parameters, owners), strict=True):
                    parameter.value[...] = value
            bound: list[dict[str, Parameter]] = [{} for _ in self.layers]
            for parameter in parameters:
                bound[owners[parameter.op]][parameter.role] = parameter
            for i, layer in enumerate(self.layers):
                if any(model is not self for model in layer._models()):
                    bound[i] = {}  # it keeps the other model's, which this one is about to join
            self._adopt(network, input_shapes, ops, owners, outputs, self.layers, bound)

    def _build_first(self, input_shapes: Sequence[Shape]) -> None:
        """Build for the first data, unless another thread has just done so."""
        with self._access.changing(patient=True):
            if not self.built:
                self._build(input_shapes)

    def _rehearse(
        self, input_shapes: Sequence[Shape], ops: Sequence[Op], owners: Sequence[int], outputs: Sequence[int]
    ) -> _core.Network:
        """Assemble a network of its own for inputs of these shapes, and let the layers check what they are given."""
        rehearsal = _core.Network()
        rehearsal._assemble(input_shapes, ops, outputs, self._dtype.name)
        shapes = rehearsal._shapes()
        for op, owner in zip(ops, owners, strict=True):
            self.layers[owner].check(op.name, shapes[op.inputs[0]])
        return rehearsal

    def _stretch(self, input_shapes: Sequence[Shape]) -> bool:
        """Where samples differ from those so far in the number of time steps alone, assemble for them around the same parameters.

        Returns whether that was done: not where another thread has been quicker. Where the model cannot take them, nothing is done,
        and what comes next says what is wrong.
        """
        if self._built_for == [tuple(shape) for shape in input_shapes]:
            return False
        with self._access.changing(patient=True):
            return self._stretch_alone(input_shapes)

    def _stretch_alone(self, input_shapes: Sequence[Shape]) -> bool:
        before = self._built_for
        if before is None or len(before) != len(input_shapes) or before == [tuple(shape) for shape in input_shapes]:
            return False
        for i, (old, new) in enumerate(zip(before, input_shapes, strict=True)):
            timed = len(old) > 1 or (len(old) == 1 and self._holds_indices(i))  # a table's indices may be a sequence
            if old != new and (not timed or len(new) != len(old) or old[1:] != tuple(new[1:]) or not new[0]):
                return False
        try:
            with self._access.preparing():
                rehearsal = self._rehearse(input_shapes, self._ops, self._owners, self._outputs)
            for own, its in zip(self._parameters() + self._states(), rehearsal._parameters() + rehearsal._states(), strict=True):
                if own.value.shape != its.value.shape:
                    raise ShapeError(f"{own.role} has another shape")
            shapes = rehearsal._shapes()
            self._replan(input_shapes, self._ops, self._outputs, self._told([tuple(shapes[value]) for value in self._outputs]))
        except BaseException as error:  # an interrupt, too
            # Layers in Python know the shapes again that the plan is for.
            _core.uninterrupted(lambda: self._rehearse(self._built_for or before, self._ops, self._owners, self._outputs))
            if isinstance(error, ShapeError):
                return False
            raise
        return True

    def _told(self, output_shapes: Sequence[Shape]) -> _core.Told | None:
        """Return what the core knows of training, for outputs of these shapes."""
        raise NotImplementedError

    def _bind_layers(self) -> None:
        """Give the layers their views of the parameters."""
        bound: list[dict[str, Parameter]] = [{} for _ in self.layers]
        for parameter in self._parameters() + self._states():
            bound[self._owners[parameter.op]][parameter.role] = parameter
        for layer, parameters in zip(self.layers, bound, strict=True):
            if parameters:
                layer._bind(parameters)

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
            while _is_view(op) and op.inputs[0] >= len(self.input_shapes):
                op = self._ops[op.inputs[0] - len(self.input_shapes)]
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
        return [(f"{self._key(self._owners[p.op])}.{p.role}", p) for p in self._parameters()]

    def _named_all(self, what: str) -> list[tuple[str, Parameter]]:
        self._require_built(what)
        everything = sorted(self._parameters() + self._states(), key=lambda p: p.op)  # stable: parameters first
        return [(f"{self._key(self._owners[p.op])}.{p.role}", p) for p in everything]

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
        show = flag("summary", "show", show)
        with self._access.reading():
            found = self._summarised()
        if show:
            print(found)
        return found

    def _summarised(self) -> Summary:
        self._require_built("summary")
        shapes, itemsize, first = self._shapes(), self._dtype.itemsize, len(self.input_shapes)
        rows = [Row(name, "Input", shape, 0, 0, 0, 0) for name, shape in self._shown_inputs()]
        for i, layer in enumerate(self.layers):
            calls = self._calls(i)
            sizes = {role: int(np.prod(s)) for role, s in layer.parameter_shapes().items()}
            trainable = sum(size for role, size in sizes.items() if layer.options(role).trainable)
            memory = sum(int(np.prod(shapes[first + op])) for at, end in calls for op in range(at, end)) * itemsize
            outs = [shapes[first + at + layer.results(self._ops[at:end])[0]] for at, end in calls]
            macs = sum(layer.macs(shapes[self._ops[at].inputs[0]], out) for (at, _), out in zip(calls, outs, strict=True))
            out = tuple(outs[0])
            connected = self._connected_to(i)
            numbers = (sum(sizes.values()), trainable, macs, memory)
            rows.append(Row(self._key(i), type(layer).__name__, out, *numbers, connected, _trained(layer, bool(sizes))))
        return Summary(type(self).__name__, self._dtype.name, self.input_shapes, rows, self._arena_bytes(1), self._told_in_words())

    def _calls(self, index: int) -> list[tuple[int, int]]:
        """Return the ops [first, last) of each call of a layer."""
        return [(bisect_left(self._owners, index), bisect_right(self._owners, index))]  # of a chain: in order

    def _told_in_words(self) -> list[str]:
        """Return what was compiled, for the summary; nothing before that."""
        return []

    def _shown_inputs(self) -> list[tuple[str, Shape]]:
        """Return the inputs that the summary lists: none where the layers are a chain."""
        return []

    def _connected_to(self, index: int) -> str:
        """Return what a layer is called on, for the summary; "" where that goes without saying."""
        return ""


def _trained(layer: Layer, has_parameters: bool) -> str:
    """What regularises a layer, and whether it is frozen, for the summary."""
    found = [f"{name}={getattr(layer, name)!r}" for name in ("p", "stddev", "l1", "l2", "max_norm") if getattr(layer, name, None)]
    return ", ".join([*found, "frozen"] if has_parameters and not layer.trainable else found)


def _fresh_seed() -> int:
    return int(np.random.SeedSequence().generate_state(1, np.uint64)[0] >> np.uint64(1))


def _is_view(op: Op) -> bool:
    return op.kind in ("flatten", "reshape") or op.code == "identity"
