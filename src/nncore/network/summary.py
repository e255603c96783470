"""The summary of a model as a table: output shape, parameters, computation and memory of each layer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from .._checks import shape_text
from ..layers.base import Layer
from ..records import Shape
from . import precision

if TYPE_CHECKING:
    from .network import Network

#: The shape of one sample, with None for a number of time steps that is not known yet.
OpenShape = tuple[int | None, ...]


class Row(NamedTuple):
    """One layer of a `Summary`.

    Examples
    --------
    >>> import nncore as nn
    >>> nn.Sequential(nn.Linear(2, 3)).summary(show=False).rows[0].macs
    6
    """

    name: str  #: the key of the layer in the state dict
    type: str  #: the class of the layer
    output_shape: OpenShape  #: the shape of one sample of the output, without the batch; None: the number of time steps is open
    parameters: int  #: number of parameter values
    trainable: int  #: number of parameter values that training changes
    macs: int  #: multiply-adds of the layer's matrix products for one sample, or for one time step if their number is open
    activation_bytes: int  #: memory of the output, likewise
    connected_to: str = ""  #: the inputs of the layer, in a model that is a graph
    training: str = ""  #: the regularization of the layer, or that it is frozen


class Summary:
    """Sizes and costs of a model. ``str()`` returns them as a table.

    The column of activations counts the output of every layer, as if all were kept. The memory that training really uses per row of
    a batch, including gradients, is ``training_bytes``. It differs because activations are computed in place if possible, and
    because rows are padded.

    Attributes
    ----------
    rows : list of Row
        One per layer.
    total_parameters, trainable_parameters, non_trainable_parameters : int
        Number of parameter values.
    parameter_bytes : int
        Memory of the parameters.
    macs : int
        Multiply-adds of the forward pass for one sample.
    activation_bytes : int
        Memory of the outputs of all layers for one sample.
    training_bytes : int or None
        Memory that the plan keeps per row of a training batch: input, activations and their gradients; None for a quantized model.
    training : list of str
        The arguments of ``compile``: the losses, the optimizer, the metrics.
    is_open : bool
        Whether the number of time steps is not known yet. The costs are then those of one step.

    Examples
    --------
    >>> import nncore as nn
    >>> print(nn.Sequential(nn.Linear(2, 3), nn.ReLU()).summary(show=False))
    Sequential, float32, input [*, 2]
    ----------------------------------------------------------------
    Layer     Output shape  Parameters  MACs/sample  Activations (B)
    ----------------------------------------------------------------
    0 Linear        [*, 3]           9            6               12
    1 ReLU          [*, 3]           0            0               12
    ----------------------------------------------------------------
    Total                            9            6               24
    ----------------------------------------------------------------
    Trainable parameters: 9, non-trainable: 0, memory: 36 B
    Training keeps 40 B per row of a batch
    """

    def __init__(
        self,
        model: str,
        dtype: str,
        input_shapes: Sequence[OpenShape],
        rows: list[Row],
        training_bytes: int | None,
        training: Sequence[str] = (),
        is_open: bool = False,
        parameter_bytes: int | None = None,
    ) -> None:
        self.model = model
        self.dtype = dtype
        self.input_shapes = list(input_shapes)
        self.rows = rows
        self.total_parameters = sum(row.parameters for row in rows)
        self.trainable_parameters = sum(row.trainable for row in rows)
        self.non_trainable_parameters = self.total_parameters - self.trainable_parameters
        self.parameter_bytes = (
            self.total_parameters * (8 if dtype == "float64" else 4) if parameter_bytes is None else parameter_bytes
        )
        self.macs = sum(row.macs for row in rows)
        self.activation_bytes = sum(row.activation_bytes for row in rows)
        self.training_bytes = training_bytes
        self.training = list(training)
        self.is_open = is_open
        self.is_shown = False  #: whether the text is on the screen already, so that a notebook need not show a table below it

    def __str__(self) -> str:
        graph = any(row.connected_to for row in self.rows)
        last = ("Connected to",) if graph else ()
        table: list[tuple[str, ...]] = [
            ("Layer", "Output shape", "Parameters", "MACs/step" if self.is_open else "MACs/sample", "Activations (B)", *last)
        ]
        for row in self.rows:
            counts = (f"{n:,}" for n in (row.parameters, row.macs, row.activation_bytes))
            name = f"{row.name} ({row.type})" if graph else f"{row.name} {row.type}"
            table.append((name, shape_text(row.output_shape), *counts, *((row.connected_to,) if graph else ())))
        totals = (f"{n:,}" for n in (self.total_parameters, self.macs, self.activation_bytes))
        table.append(("Total", "", *totals, *("" for _ in last)))
        widths = [max(_columns(line[i]) for line in table) for i in range(len(table[0]))]
        lines = [
            "  ".join(
                cell + blanks if i in (0, 5) else blanks + cell
                for i, (cell, width) in enumerate(zip(line, widths, strict=True))
                for blanks in [" " * (width - _columns(cell))]
            ).rstrip()
            for line in table
        ]
        rule = "-" * max(map(_columns, lines))
        inputs = ", ".join(map(shape_text, self.input_shapes))
        return "\n".join(
            [
                f"{self.model}, {self.dtype}, input {inputs}",
                rule,
                lines[0],
                rule,
                *lines[1:-1],
                rule,
                lines[-1],
                rule,
                f"Trainable parameters: {self.trainable_parameters:,}, non-trainable: {self.non_trainable_parameters:,}, "
                f"memory: {_bytes(self.parameter_bytes)}",
                *([] if self.training_bytes is None else [self._kept()]),
                *(f"{row.name} {row.type}: {row.training}" for row in self.rows if row.training),
                *self.training,
            ]
        )

    def _kept(self) -> str:
        return f"Training keeps {_bytes(self.training_bytes or 0)} per row of a batch{' and time step' if self.is_open else ''}"

    def _repr_html_(self) -> str | None:
        if self.is_shown:
            return None
        from .html import summary_table

        return summary_table(self)

    def __repr__(self) -> str:
        return f"<Summary: {sum(row.type != 'Input' for row in self.rows)} layers, {self.total_parameters:,} parameters>"


def _columns(text: str) -> int:
    """Return the number of terminal columns of a text. Names may be in any script."""
    if text.isascii():
        return len(text)
    from unicodedata import category, east_asian_width  # imported here because it is rarely needed

    return sum(0 if category(c) in ("Mn", "Me", "Cf") else 2 if east_asian_width(c) in "WF" else 1 for c in text)


def _bytes(n: int) -> str:
    size, unit = float(n), 0
    while size >= 1024 and unit < 4:
        size, unit = size / 1024, unit + 1
    return f"{n} B" if unit == 0 else f"{size:.2f} {('B', 'KiB', 'MiB', 'GiB', 'TiB')[unit]}"


def summarise(network: Network, trained: Sequence[str]) -> Summary:
    """Return the summary of a network. trained: the compiled losses, optimizer and metrics as text."""
    network.require_parameters("summary")
    plan, connections = network.plan, network.connections
    shapes, itemsize, first = plan.shapes(), network.dtype.itemsize, len(network.input_names)
    is_open = not network.built and shapes[0][0] == 1  # other numbers of steps are those that a Flatten needs
    shown = _with_open_time(network, shapes) if is_open else shapes
    rows = [Row(name, "Input", shape, 0, 0, 0, 0) for name, shape in zip(connections.shown_inputs(), shown, strict=False)]
    frozen = plan.trainer.frozen if plan.is_compiled else [not layer.trainable for layer in network.layers]
    trainable = _trainable_sizes(network)
    for i, layer in enumerate(network.layers):
        calls = connections.op_spans(i, plan.owners)
        sizes = {role: int(np.prod(s)) for role, s in layer.parameter_shapes().items()}
        memory = sum(int(np.prod(shapes[first + op])) for at, end in calls for op in range(at, end)) * itemsize
        results = [first + at + layer.output_ops(plan.ops[at:end])[0] for at, end in calls]
        outs = [shapes[value] for value in results]
        macs = sum(layer.macs(shapes[plan.ops[at].inputs[0]], out) for (at, _), out in zip(calls, outs, strict=True))
        numbers = (sum(sizes.values()), trainable[i], macs, memory)
        settings = _settings(layer, frozen[i] if sizes or layer.frozen_is_inference else False)
        if network.compute == "int8":
            settings = _in_int8(network, i)
        row = Row(
            connections.key(i), type(layer).__name__, tuple(shown[results[0]]), *numbers, connections.connected_to(i), settings
        )
        rows.append(row)
    kept: tuple[int | None, int | None] = plan.arena_bytes(1), None
    if network.compute == "int8":
        kept = None, sum(parameter.value.nbytes for parameter in plan.parameters())
    return Summary(network.label, precision.shown(network), shown[:first], rows, kept[0], trained, is_open, kept[1])


def _with_open_time(network: Network, shapes: Sequence[Shape]) -> list[OpenShape]:
    """Return the shapes of values with None for the number of time steps."""
    timed = network.plan.timed(range(len(shapes)))
    return [(None, *shape[1:]) if has_time else shape for shape, has_time in zip(shapes, timed, strict=True)]


def _trainable_sizes(network: Network) -> list[int]:
    """Return for each layer the number of parameter values that training changes: as compiled, or else as the layers say."""
    plan, found = network.plan, [0] * len(network.layers)
    options = plan.trainer.options if plan.is_compiled else network.parameter_options()
    for parameter, own in zip(plan.parameters(), options, strict=True):
        found[plan.owners[parameter.op]] += parameter.value.size if own.trainable else 0
    return found


def _in_int8(network: Network, i: int) -> str:
    """Return which weights of a layer of a quantized network are 8-bit integers, as text."""
    own = [p for p in network.plan.parameters() if network.plan.owners[p.op] == i]
    rest = [p.role for p in own if p.packed_shape is None and p.value.ndim > 1]
    if not any(p.packed_shape for p in own):
        return ""
    return f"int8 but for {', '.join(rest)}" if rest else "int8"


def _settings(layer: Layer, is_frozen: bool) -> str:
    """Return the regularization and the kind of a layer as text, whether it is frozen, and whether it computes as at inference."""
    names = ("p", "stddev", "dropout", "recurrent_dropout", "l1", "l2", "max_norm")
    found = [f"{name}={getattr(layer, name)!r}" for name in names if getattr(layer, name, None)]
    if not getattr(layer, "reset_after", True):
        found.insert(0, "reset_after=False")
    return ", ".join([*found, *(["frozen"] if is_frozen else []), *([] if layer.training else ["as at inference"])])
