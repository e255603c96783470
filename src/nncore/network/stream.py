"""Streaming: a model of sequences that gets one time step per call and keeps the state."""

from __future__ import annotations

import copy
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import _core
from .._checks import addressable, whole
from ..errors import ArgumentError, ShapeError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..records import Op, Shape
    from .network import Network


class Stream(_core.StreamCore):
    """A model that takes one time step per call. ``model.stream()`` makes it.

    The result of `step` is bitwise equal to the output of the model for the sequence so far. If the model returns sequences, it is
    the output at this step; otherwise it is the output for the sequence that ends with this step. A step allocates no memory.

    The weights are a copy, made when the stream is created and at every `reset`. Training the model meanwhile, in this or another
    thread, does not change the results of a running sequence.

    Parameters
    ----------
    model : Model
        A built model with one input [time, features], or [time] for indices into an `Embedding`. No layer may use later steps, and
        only recurrent layers may combine steps.
    batch : int
        How many sequences are processed in parallel.

    Attributes
    ----------
    result : numpy.ndarray
        [batch, outputs], the array that `step` returns.

    Examples
    --------
    >>> import numpy as np
    >>> import nncore as nn
    >>> model = nn.Sequential(
    ...     nn.GRU(2, 8, return_sequences=True), nn.Linear(8, 1), seed=0
    ... ).build((5, 2))
    >>> x = np.random.default_rng(0).normal(size=(1, 5, 2)).astype(np.float32)
    >>> stream = model.stream()
    >>> steps = [stream.step(x[:, t]).copy() for t in range(5)]
    >>> bool((np.stack(steps, 1) == model.predict(x)).all())
    True
    """

    def __init__(self, model: Any, batch: int = 1) -> None:
        network: Network = model._network
        batch = whole("stream", "batch", batch)
        with network.access.reading():
            network.build_for_one_step("stream")
            plan, shapes = network.plan, network.input_shapes
            require_step_by_step(plan, plan.ops, shapes, len(plan.outputs))
            self._parts = {id(op.part): copy.copy(op.part) for op in plan.ops if op.part is not None}
            ops = [op if op.part is None else op._replace(part=self._parts[id(op.part)]) for op in plan.ops]
            step = _core.Plan()
            step.assemble([(1, *shapes[0][1:])], ops, plan.outputs, network.dtype.name, network.compute)
            require_steps_apart(step)
            row = (step.carry() + prod(network.output_shapes[0])) * network.dtype.itemsize
            addressable("stream", "batch", batch, row)
            for part in self._parts.values():  # layers in Python must use the weights of this plan too
                part._bind({p.role: p for p in step.parameters() if ops[p.op].part is part})
        self._source, self._step_plan = network, step
        self._open(step, batch)
        self.reset()

    def reset(self) -> None:
        """Return to the initial state, and copy the current weights of the model.

        Examples
        --------
        >>> import nncore as nn
        >>> nn.Sequential(nn.RNN(2, 3)).build((5, 2)).stream(batch=4).reset()
        """
        network, step, at, state = self._source, self._step_plan, 0, self._state()
        fresh = np.zeros_like(state)
        with step.access.training(), network.access.between_steps():
            plan = network.plan
            for op, owner in zip(plan.ops, plan.owners, strict=True):
                layer = network.layers[owner]
                for kind in getattr(layer, "states", ()) if op.kind == "recurrent" else ():
                    learned = layer._bound.get(f"{kind}_0_l{op.field('sublayer')}")
                    fresh[:, at : at + op.field("hidden_size")] = 0 if learned is None else np.ravel(learned.value)
                    at += op.field("hidden_size")
            views = [p.value for p in step.parameters() + step.states()]
            values = [p.value for p in plan.parameters() + plan.states()]

            def take() -> None:
                _core.copy_all([*views, state], [*values, fresh])
                self._freeze()

            _core.uninterrupted(take)  # weights, values derived from them, and state must change together


def require_step_by_step(plan: _core.Plan, ops: Sequence[Op], inputs: Sequence[Shape], outputs: int) -> None:
    """Raise ArgumentError or ShapeError if a network cannot be computed one time step at a time.

    plan: of these ops, for inputs of these shapes. outputs: how many there are.
    """
    if len(inputs) != 1 or outputs != 1 or not 1 <= len(inputs[0]) <= 2:
        raise ShapeError(f"stream: the model needs one input [N, time, features] and one output, not {list(inputs)}")
    for op in ops:
        if op.kind == "recurrent" and op.field("bidirectional"):
            raise ArgumentError(f"stream: {op.name} is bidirectional, so its first output needs the end of the sequence")
        if op.kind == "recurrent" and len(op.inputs) > 1:
            raise ArgumentError(f"stream: {op.name} has an initial state from other layers, which a stream cannot compute")
    require_steps_apart(plan)
    timed, shapes = plan.timed(range(1 + len(ops))), plan.shapes()
    for i, op in enumerate(ops):
        reads = any(timed[value] for value in op.inputs)
        if reads and (how := _combines_steps(op, len(shapes[1 + i]))):
            raise ShapeError(f"stream: {op.name} mixes the time steps: {how}")
        if op.kind == "recurrent" and not timed[op.inputs[0]]:
            raise ShapeError(
                f"stream: {op.name} runs over a sequence that is not made of the stream's own steps; its state would be "
                "carried from one such sequence to the next"
            )
        if timed[1 + i] and not all(timed[value] for value in op.inputs):
            raise ShapeError(
                f"stream: {op.name} combines each step with a value that depends on the whole sequence, so the first output needs "
                "the end of the sequence"
            )


def require_steps_apart(plan: _core.Plan) -> None:
    """Raise ShapeError if an op combines time steps, or if there is no time dimension."""
    mixing = plan.mixing()
    if mixing or not plan.time_steps():
        raise ShapeError(f"stream: {mixing or 'the model has no time dimension, [time, features]'}")


def _combines_steps(op: Op, rank: int) -> str | None:
    """Return how an op combines the steps of a sequence with lengths, which a stream cannot do; None if it does not."""
    if op.kind == "batch_norm" and not op.field("track_running_stats"):
        return "it normalises by the statistics of the whole sequence; use track_running_stats=True"
    if op.kind == "pool":
        return "it needs the end of the sequence; a recurrent layer sums up the steps so far"
    if op.kind in ("slice", "take") and op.field("axis") in (1, -rank):
        return "it takes the first one; take parts of the features, or read the steps from the stream"
    if op.kind == "concat" and op.field("axis") in (1, -rank):
        return "it joins its inputs one after the other in time; join them along another axis"
    if op.kind == "python" and not op.field("timewise"):
        return "it is written in Python and may do so; where each step is computed by itself, declare timewise=True"
    return None
