"""Network: a plan, layers, and the connections between the layers. Other modules here have the operations on networks.

A network is built as soon as the shapes of its inputs are known: in the constructor if the layers or inputs determine them,
otherwise at the first use or by `build`. If only the number of time steps is open, the parameters exist from the constructor on.
All parameters are in one contiguous buffer of the core, all gradients in another; the attributes of layers are views into them. A
network knows nothing about training, which is the task of the trainer.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any, ClassVar, cast

import numpy as np

from .. import _core, init
from .._checks import compute_type, float_dtype, whole
from ..config import fresh_seed
from ..data.names import Names
from ..errors import ArgumentError, NonFiniteError, NotBuiltError, ShapeError
from ..graph import Graph
from ..layers.base import Layer
from ..records import Int8Weight, Op, Parameter, ParameterOptions, Shape
from . import precision, sharing
from .chain import Chain, is_network


class Network:
    """Layers, the connections between them, and the plan that is compiled from them.

    Parameters
    ----------
    connections : Chain or Graph
        The layers and their connections.
    seed : int or None
        Seed of initial weights, dropout masks and shuffling. With None a seed is drawn.
    dtype : {"float32", "float64"}
        The type of the parameters and of all computation.
    label : str
        The name of the model in error messages.
    compute : {"float32", "bfloat16", "auto"}
        In what products are computed.
    draws : bool
        Whether the parameters may be drawn before the number of time steps is known.

    Attributes
    ----------
    plan : nncore._core.Plan
        The plan. It stays the same object when the network is built again.
    access : nncore._core.Access
        The lock that controls which threads may use the network.
    compute : str
        In what products are computed: "bfloat16", "int8" (for inference alone), or the name of the dtype. It is never "auto".
    is_stateful : bool
        Whether a layer starts a training batch with the states of the batch before.
    feature_names : list of tuple of str, or None
        For each input the names of the columns of the frames with which it was trained; None if they are not known.
    """

    feature_names: list[Names]
    is_network: ClassVar[bool] = True  #: by which it is told from a layer; see chain.py

    def __init__(
        self,
        connections: Chain | Graph,
        seed: int | None,
        dtype: Any,
        label: str,
        draws: bool = True,
        compute: Any = "float32",
    ) -> None:
        self.plan = _core.Plan()
        self.access = self.plan.access
        self.connections, self.label = connections, label
        self.remark = ""  # what its repr says besides
        self.type_name = float_dtype(label, dtype)  # dtype.name takes longer than a forward pass of a small network
        self.dtype: np.dtype[Any] = np.dtype(self.type_name)
        self.compute = (
            "int8"
            if isinstance(compute, str) and compute == "int8"
            else precision.settled(compute_type(label, compute, self.type_name))
        )
        self.feature_names = [None] * len(connections.input_names)
        self.plan.seed = fresh_seed() if seed is None else whole(label, "seed", seed, 0)
        self.layers = tuple(connections.layers)
        self.is_stateful = any(getattr(layer, "stateful", False) for layer in self.layers)
        shapes = connections.static_input_shapes()
        if shapes is not None:
            try:
                self.build(shapes)
            except ShapeError:
                if not connections.rank_is_open():
                    raise
        elif draws:
            self._draw_early()
        for layer in self.layers:
            layer._observe(self)
            if layer.may_have_parameters():
                layer._claim(self)

    # Building -----------------------------------------------------------------------------------------------------------------

    @cached_property
    def first_name(self) -> str:
        """What takes the inputs, in error messages."""
        return "the model" if self.connections.shown_inputs() else self.connections.layer_name(0)

    @property
    def built(self) -> bool:
        """Whether the input shapes are known and the parameters exist."""
        return self.plan.built_for is not None

    def require_built(self, what: str) -> None:
        """Raise NotBuiltError for a method of the model."""
        if self.plan.built_for is None:
            raise NotBuiltError(
                f"{self.label}.{what}: the shape of the input is not known yet; call model.build(input_shape) with the shape of "
                f"one sample, or use the model once"
            )

    @property
    def has_parameters(self) -> bool:
        """Whether the parameters exist. They may exist before the number of time steps is known."""
        return self.plan.ops is not None

    def require_parameters(self, what: str) -> None:
        """Raise NotBuiltError for a method of the model that needs the parameters."""
        if not self.has_parameters:
            self.require_built(what)

    def require_trainable(self, what: str) -> None:
        """Raise ArgumentError for a method that changes parameters, if they are those of a quantized model."""
        if self.compute == "int8":
            raise ArgumentError(
                f"{what}: a quantized model is for inference alone, and its weights are fixed; change or train the model that was "
                'quantized, and call its quantize("int8") again'
            )

    def _draw_early(self) -> None:
        """Make the parameters before the number of time steps is known, if everything else is.

        The plan is for a provisional number of steps, with which nothing can be computed. Parameters and their views stay when
        `build` states the real one.
        """
        if any(not part.has_parameters for part in self._parts()):
            return
        misfit: ShapeError | None = None
        for shape in self.connections.shapes_of_any_length():
            try:
                self._trial_plan([shape], *self.connections.to_ops())
            except (
                Exception
            ) as error:  # also of a user's output_shape; the data show what does not fit, and the error belongs there
                misfit = misfit or (error if isinstance(error, ShapeError) else None)
                continue
            self._build([shape], provisional=True)
            return
        if misfit is not None and isinstance(self.connections, Chain) and self.connections.surely_misfits():
            raise misfit

    def _set_time(self, input_shapes: Sequence[Shape]) -> None:
        """Replace the provisional number of time steps. The parameters stay where they are."""
        plan = self.plan
        with self.access.changing():
            with self.access.preparing():
                self._trial_plan(input_shapes, plan.ops, plan.owners, plan.outputs)
            plan.replan(input_shapes, plan.ops, plan.outputs)

    def build(self, input_shapes: Sequence[Shape]) -> None:
        """Build the network for inputs of these shapes. Parameters keep their values; new ones are initialized."""
        if self.has_parameters and not self.built:
            self._set_time(input_shapes)
            return
        if self.built and sharing.shared_layers(self):
            raise ArgumentError(
                f"{self.label}: another model shares its layers, so that it cannot be built again for another shape"
            )
        if isinstance(self.connections, Chain) and self.connections.is_nested:
            self._build_parts(self.connections, input_shapes)
        self._build(input_shapes)

    def _parts(self) -> list[Network]:
        """Return the networks of the models that are parts of this one."""
        return [part for part in self.connections.parts if is_network(part)] if isinstance(self.connections, Chain) else []

    def _build_parts(self, chain: Chain, input_shapes: Sequence[Shape]) -> None:
        """Build the models that are parts of this one and are not built yet."""
        if all(part.built for part in self._parts()):
            return
        trial = self._trial_plan(input_shapes, *chain.to_ops())
        shapes = trial.shapes()
        for part, value in chain.inner_values():
            if not part.built:
                part.build([tuple(shapes[value])])

    def _build(self, input_shapes: Sequence[Shape], provisional: bool = False) -> None:
        shared = sharing.shared_layers(self)
        sharing.check(self, shared)
        with sharing.exclusive_access([other for _, other in shared.values()]):
            self._assemble(input_shapes, provisional)

    def build_first(self, input_shapes: Sequence[Shape]) -> None:
        """Build the network for the first data, unless another thread has just done it."""
        with self.access.changing(patient=True):
            if not self.built:
                self.build(input_shapes)

    def build_for_one_step(self, what: str) -> None:
        """Build a network whose number of time steps is open for one step, or raise NotBuiltError for a method of the model."""
        self.require_parameters(what)
        if not self.built:
            self.build_first(self.plan.shapes()[: len(self.input_names)])

    def _assemble(self, input_shapes: Sequence[Shape], provisional: bool = False) -> None:
        with self.access.changing():
            with self.access.preparing():  # an error here leaves the model unchanged
                ops, owners, outputs = self.connections.to_ops()
                trial = self._trial_plan(input_shapes, ops, owners, outputs)
                borrowed = sharing.borrow(self, trial, owners)
                parameters = trial.parameters() + trial.states()
                drawn = [each for each, is_borrowed in zip(parameters, borrowed, strict=True) if not is_borrowed]
                needed = {owners[each.op] for each in drawn}
                kept = [layer._initial_values() if i in needed else {} for i, layer in enumerate(self.layers)]
                for parameter, value in zip(drawn, self._initial_values(drawn, owners, kept), strict=True):
                    self._store(parameter, value, owners)
            bound: list[dict[str, Parameter]] = [{} for _ in self.layers]
            for parameter in parameters:
                bound[owners[parameter.op]][parameter.role] = parameter
            trial.set_inference(self.op_inference(owners))
            self.plan.adopt(trial, input_shapes, ops, owners, outputs, self.layers, bound, provisional)

    def _store(self, parameter: Parameter, value: np.ndarray | Int8Weight, owners: Sequence[int]) -> None:
        """Write the value of a parameter, as numbers or as 8-bit integers, or raise NonFiniteError if it has none of these."""
        try:
            parameter.store(value)
        except ValueError as error:
            name = self.connections.layer_name(owners[parameter.op])
            raise NonFiniteError(
                f"{name}: {parameter.role} holds {error}, which no 8-bit integer stands for; train the model without it, or load "
                "weights that are finite, and quantize again"
            ) from None

    def op_inference(self, owners: Sequence[int], frozen: Sequence[bool] | None = None) -> list[bool]:
        """Return for each op whether it computes as at inference in training, too. frozen: a flag per layer, as compiled."""
        modes = [
            not layer.training or (layer.frozen_is_inference and (frozen[i] if frozen is not None else not layer.trainable))
            for i, layer in enumerate(self.layers)
        ]
        return [modes[owner] for owner in owners]

    def layer_changed(self, name: str) -> None:
        """Take over ``training`` of a layer, which has changed. Other attributes wait for ``compile``; the trainer warns."""
        plan = self.plan
        if name == "training" or not plan.is_compiled:
            if self.has_parameters:
                plan.set_inference(self.op_inference(plan.owners, plan.trainer.frozen if plan.is_compiled else None))
            return
        plan.trainer.layer_changed(name, plan.is_claimed)

    def trains_before(self, layer: Layer) -> bool:
        """Return whether the input of a layer depends on parameters that are trained."""
        plan, first = self.plan, len(self.input_shapes)
        if not self.has_parameters:
            return False
        waiting = [v for i, op in enumerate(plan.ops) if self.layers[plan.owners[i]] is layer for v in op.inputs]
        before: set[int] = set()
        while waiting:
            i = waiting.pop() - first
            if i >= 0 and i not in before:
                before |= {i, plan.ops[i].shares}  # the parameters of a layer that is called several times are at its first call
                waiting += plan.ops[i].inputs
        return any(p.op in before and self.layers[plan.owners[p.op]].options(p.role).trainable for p in plan.parameters())

    def _trial_plan(
        self, input_shapes: Sequence[Shape], ops: Sequence[Op], owners: Sequence[int], outputs: Sequence[int]
    ) -> _core.Plan:
        """Assemble a temporary plan for inputs of these shapes, and let the layers check the shapes of their inputs."""
        trial = _core.Plan()
        trial.assemble(input_shapes, ops, outputs, self.type_name, self.compute)
        shapes = trial.shapes()
        for op, owner in zip(ops, owners, strict=True):
            self.layers[owner].check(op.name, shapes[op.inputs[0]])
        return trial

    def _initial_values(
        self, parameters: Sequence[Parameter], owners: Sequence[int], kept: list[dict[str, Any]], seed: int | None = None
    ) -> list[np.ndarray | Int8Weight]:
        """Return the initial value of each parameter. It is drawn, unless its layer already has a value in ``kept``."""
        values = []
        seed = self.plan.seed if seed is None else seed
        streams: dict[int, np.random.Generator] = {}
        for op, role, view, _, packed_shape in parameters:
            i = owners[op]
            if role not in kept[i]:
                # One random generator per layer: a change of one layer does not change the weights of the others.
                if i not in streams:  # to make one takes a tenth of the time that a small network takes
                    streams[i] = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(i,)))
                scheme = self.layers[i].initializer(role, self.connections.activation_after(i))
                name = f"{self.connections.layer_name(i)}: {role}"
                kept[i] = {**kept[i], role: init.draw(scheme, packed_shape or view.shape, streams[i], self.dtype, name)}
            values.append(kept[i][role])
        return values

    def reset_parameters(self, seed: int | None, only: Layer | None = None) -> int:
        """Draw all parameters again, or those of one layer. Running statistics start again too. Return the seed."""
        self.require_trainable("reset_parameters")
        seed = fresh_seed() if seed is None else seed
        with self.access.training():
            if not self.has_parameters:
                for layer in self.layers if only is None else [only]:
                    layer.__dict__["_pending"] = {}
                return seed
            found = self.plan.parameters() + self.plan.states()
            found = [each for each in found if only is None or self.layers[self.plan.owners[each.op]] is only]
            values = self._initial_values(found, self.plan.owners, [{} for _ in self.layers], seed)
            _core.copy_all([each.value for each in found], cast("list[np.ndarray]", values))
        return seed

    # Sequences of other lengths -----------------------------------------------------------------------------------------------

    def set_sequence_lengths(self, input_shapes: Sequence[Shape]) -> bool:
        """Plan again for samples that differ from the previous ones only in the number of time steps. The parameters stay.

        Return whether this was done. The result is False if another thread has done it already. It is also False, and nothing is
        changed, if the network cannot take such samples; a later check raises the error.
        """
        shapes = [tuple(shape) for shape in input_shapes]
        if self.plan.built_for == shapes:
            return False
        if self.plan.switch(shapes):
            return True
        with self.access.changing(patient=True):
            return self._set_sequence_lengths(input_shapes)

    def _set_sequence_lengths(self, input_shapes: Sequence[Shape]) -> bool:
        plan, before = self.plan, self.plan.built_for
        if before is None or len(before) != len(input_shapes) or before == [tuple(shape) for shape in input_shapes]:
            return False
        for i, (old, new) in enumerate(zip(before, input_shapes, strict=True)):
            timed = len(old) > 1 or (len(old) == 1 and plan.holds_indices(i))  # indices of an embedding may be a sequence
            if old != new and (not timed or len(new) != len(old) or old[1:] != tuple(new[1:]) or not new[0]):
                return False
        try:
            with self.access.preparing():
                trial = self._trial_plan(input_shapes, plan.ops, plan.owners, plan.outputs)
            for own, its in zip(plan.parameters() + plan.states(), trial.parameters() + trial.states(), strict=True):
                if own.value.shape != its.value.shape:
                    raise ShapeError(f"{own.role} has another shape")
            shapes = trial.shapes()
            # The trainer makes its records again, because the shapes of the outputs have changed.
            records = (
                plan.trainer.training_records(self, [tuple(shapes[value]) for value in plan.outputs]) if plan.is_compiled else None
            )
            plan.replan(input_shapes, plan.ops, plan.outputs, records)
        except BaseException as error:  # including an interrupt
            # Layers in Python have seen the new shapes. Show them the shapes of the plan again.
            _core.uninterrupted(lambda: self._trial_plan(plan.built_for or before, plan.ops, plan.owners, plan.outputs))
            if isinstance(error, ShapeError):
                return False
            raise
        return True

    def ensure_shapes(self, shapes: Sequence[Shape]) -> None:
        """Plan for the shapes of the bound data, because a validation or a callback may have used other shapes meanwhile."""
        if shapes and self.plan.built_for != shapes:
            self.set_sequence_lengths(shapes)
        if shapes and self.plan.built_for != shapes:
            raise ShapeError(f"the model takes {self.input_shapes} now, but the data were of {list(shapes)}")

    @property
    def checks_finite(self) -> bool:
        """Whether data must be finite: ``compile(check_finite=True)``."""
        trainer = self.plan.trainer
        return trainer is not None and bool(trainer.config.check_finite)

    # Properties ---------------------------------------------------------------------------------------------------------------

    @property
    def input_names(self) -> list[str]:
        """The names of the inputs."""
        return list(self.connections.input_names)

    @property
    def output_names(self) -> list[str]:
        """The names of the outputs."""
        return list(self.connections.output_names)

    @property
    def input_shapes(self) -> list[Shape]:
        """Shape of one sample of each input, without the batch."""
        self.require_built("input_shapes")
        return list(self.plan.built_for or ())

    @property
    def output_shapes(self) -> list[Shape]:
        """Shape of one sample of each output, without the batch."""
        self.require_built("output_shapes")
        shapes = self.plan.shapes()
        return [tuple(shapes[value]) for value in self.plan.outputs]

    @property
    def output_activations(self) -> list[tuple[str, tuple[float, ...]]]:
        """Registry name and attributes of the activation that computes each output. The name is "" if there is no activation."""
        self.require_built("output_activations")
        ops, first = self.plan.ops, len(self.input_shapes)
        found = []
        for value in self.plan.outputs:
            op = ops[value - first]
            while _is_view(op) and op.inputs[0] >= first:
                op = ops[op.inputs[0] - first]
            found.append((op.code, op.attributes) if op.kind == "activation" else ("", ()))
        return found

    def parameter_options(self) -> list[ParameterOptions]:
        """Return the training options of each parameter, as its layer states them."""
        self.require_parameters("parameter_options")
        if self.compute == "int8":
            return [ParameterOptions(trainable=False) for _ in self.plan.parameters()]
        return [self.layers[self.plan.owners[p.op]].options(p.role) for p in self.plan.parameters()]

    def named_parameters(self, what: str) -> list[tuple[str, Parameter]]:
        """Return (name, parameter) in order, or raise NotBuiltError for the method ``what``."""
        self.require_parameters(what)
        return self._named(self.plan.parameters())

    def named_state(self, what: str) -> list[tuple[str, Parameter]]:
        """Return (name, tensor) of the parameters and running statistics, in the order of PyTorch's state dict."""
        self.require_parameters(what)
        return self._named(sorted(self.plan.parameters() + self.plan.states(), key=lambda p: p.op))  # stable: parameters first

    def _named(self, parameters: Sequence[Parameter]) -> list[tuple[str, Parameter]]:
        return [(f"{self.connections.key(self.plan.owners[p.op])}.{p.role}", p) for p in parameters]

    def get_layer(self, name: Any) -> Layer | None:
        """Return the layer with this name, or None."""
        return next((layer for i, layer in enumerate(self.layers) if self.connections.key(i) == name), None)

    def __repr__(self) -> str:
        title = "Model" if isinstance(self.connections, Graph) and self.compute != "int8" else self.label
        remarks = [each for each in (self.remark, precision.remark(self)) if each]
        title += f"(  # {', '.join(remarks)}" if remarks else "("
        return "\n".join([title, *(f"  {line}" for line in self.connections.repr_lines(self.plan.built_for or ())), ")"])

    # One batch ----------------------------------------------------------------------------------------------------------------

    def infer(self, x: Any, out: np.ndarray | None = None) -> Any:
        """Return the outputs for an x that needs checks or conversion; see ``batches.infer``."""
        from .batches import infer

        return infer(self, x, out)


def _is_view(op: Op) -> bool:
    return op.kind in ("flatten", "reshape") or op.code == "identity"
