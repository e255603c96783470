"""Streaming: a model of sequences, fed one time step at a time, with the state inside."""

from __future__ import annotations

import copy
from math import prod
from typing import TYPE_CHECKING

import numpy as np

from . import _core
from ._checks import addressable, whole
from .errors import ArgumentError, ShapeError
from .saving.training import between_steps

if TYPE_CHECKING:
    from .assembly import Assembly


class Stream(_core.StreamCore):
    """A model that takes one time step per call; ``model.stream()`` makes it.

    What `step` gives is, to the bit, what the model gives for the sequence so far: its output at this step where the model returns
    sequences, else its output for the sequence that ends here. A step allocates nothing.

    The weights are a copy of those that the model had when the stream was made or last `reset`, so that training on, in this thread
    or in another one, changes nothing in the midst of a sequence.

    Parameters
    ----------
    model : Model
        Built, with one input [time, features], or [time] for indices into an `Embedding`. No layer looks ahead, and none but the
        recurrent ones mixes time steps.
    batch : int
        How many sequences run side by side.

    Attributes
    ----------
    result : numpy.ndarray
        [batch, outputs], what `step` returns.

    Examples
    --------
    >>> import numpy as np
    >>> import nncore as nn
    >>> model = nn.Sequential(nn.GRU(2, 8, return_sequences=True), nn.Linear(8, 1), seed=0).build((5, 2))
    >>> x = np.random.default_rng(0).normal(size=(1, 5, 2)).astype(np.float32)
    >>> stream = model.stream()
    >>> steps = [stream.step(x[:, t]).copy() for t in range(5)]
    >>> bool((np.stack(steps, 1) == model.predict(x)).all())
    True
    """

    def __init__(self, model: Assembly, batch: int = 1) -> None:
        batch = whole("stream", "batch", batch)
        with model._access.reading():
            model._require_built("stream")
            shapes = model.input_shapes
            if len(shapes) != 1 or len(model.output_shapes) != 1 or not 1 <= len(shapes[0]) <= 2:
                raise ShapeError(f"stream: the model needs one input [N, time, features] and one output, not {shapes}")
            for op in model._ops:
                if op.kind == "recurrent" and op.field("bidirectional"):
                    raise ArgumentError(
                        f"stream: {op.name} is bidirectional, and needs the end of a sequence before its first output"
                    )
                if op.kind == "recurrent" and len(op.inputs) > 1:
                    raise ArgumentError(f"stream: {op.name} begins with a state that other layers give, which a step cannot know")
            _require_step_by_step(model)
            self._parts = {id(op.part): copy.copy(op.part) for op in model._ops if op.part is not None}
            ops = [op if op.part is None else op._replace(part=self._parts[id(op.part)]) for op in model._ops]
            network = _core.Network()
            network._assemble([(1, *shapes[0][1:])], ops, model._outputs, model.dtype.name)
            _require_steps_apart(network)
            row = (network._carry() + prod(model.output_shapes[0])) * model.dtype.itemsize
            addressable("stream", "batch", batch, row)
            for part in self._parts.values():  # what is written in Python computes with this network's weights, too
                part._bind({p.role: p for p in network._parameters() if ops[p.op].part is part})
        self._model, self._network = model, network
        self._open(network, batch)
        self.reset()

    def reset(self) -> None:
        """Go back to the initial state, and copy the model's weights as they are now.

        Examples
        --------
        >>> import nncore as nn
        >>> nn.Sequential(nn.RNN(2, 3)).build((5, 2)).stream(batch=4).reset()
        """
        model, at, state = self._model, 0, self._state()
        fresh = np.zeros_like(state)
        with self._network._access.training(), between_steps(model):
            for op, owner in zip(model._ops, model._owners, strict=True):
                layer = model.layers[owner]
                for kind in getattr(layer, "states", ()) if op.kind == "recurrent" else ():
                    learned = layer._bound.get(f"{kind}_0_l{op.field('sublayer')}")
                    fresh[:, at : at + op.field("hidden_size")] = 0 if learned is None else np.ravel(learned.value)
                    at += op.field("hidden_size")
            views = [p.value for p in self._network._parameters() + self._network._states()]
            values = [p.value for p in model._parameters() + model._states()]

            def take() -> None:
                _core.copy_all([*views, state], [*values, fresh])
                self._freeze()

            _core.uninterrupted(take)  # the weights, what is derived from them, and the state belong together


def _require_steps_apart(network: _core.Network) -> None:
    """Raise ShapeError where an op mixes time steps, or there are none."""
    mixing = network._mixing()
    if mixing or not network._steps():
        raise ShapeError(f"stream: {mixing or 'the model has no time dimension, [time, features]'}")


def _require_step_by_step(model: Assembly) -> None:
    """Raise ShapeError where a step depends on others by more than the states that a stream keeps."""
    _require_steps_apart(model)
    first = len(model.input_shapes)
    timed = model._timed(range(first + len(model._ops)))
    for i, op in enumerate(model._ops):
        if op.kind == "recurrent" and not timed[op.inputs[0]]:
            raise ShapeError(
                f"stream: {op.name} runs over what is no sequence of the stream's own steps, and would carry its state from one of "
                "them to the next"
            )
        if timed[first + i] and not all(timed[value] for value in op.inputs):
            raise ShapeError(
                f"stream: {op.name} brings into each step what depends on the whole sequence, and needs its end before the first "
                "output"
            )
