"""The report of a quantized model: how far its outputs and weights are from those of the model that was quantized."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..errors import ArgumentError
from ..records import Parameter, Shape
from ..training.evaluation import evaluate, predict

if TYPE_CHECKING:
    from ..network.network import Network
    from .predicting import Predictor


class OutputError(NamedTuple):
    """How far an output is from that of the float32 model."""

    name: str
    rms: float  #: root mean square of the differences, divided by that of the float32 model's numbers
    largest: float  #: the largest difference, divided by the largest of the float32 model's numbers
    agreement: float | None  #: the part of the rows with the same class or decision; None if the output does not classify


class WeightError(NamedTuple):
    """A weight of a quantized layer, or one that stayed as it is."""

    name: str  #: as in the state dict
    shape: Shape
    is_quantized: bool
    rms: float  #: root mean square of the differences, divided by that of the weight
    largest: float  #: the largest difference, divided by the largest number of the weight
    bytes_before: int
    bytes_after: int  #: scales included


class QuantizationReport:
    """What `QuantizedModel.report` returns. ``print`` shows it as a table.

    Attributes
    ----------
    rows : int
        Number of samples.
    outputs : list of OutputError
        Per output: ``name``, ``rms`` and ``largest``, the errors relative to the float32 model's output, and ``agreement``, the
        part of the rows in which both models choose the same class (the largest of several outputs), or make the same decision
        (above 0.5 or not, after a sigmoid). It is None for outputs that do neither. Outputs choose classes if they end in a
        softmax, or if the loss of the model takes classes.
    weights : list of WeightError
        Per weight matrix of a `Linear` or recurrent layer: whether it ``is_quantized``, its errors, and its size.
    metrics : dict
        With targets: name -> (value of the float32 model, value of the quantized one).
    bytes_before, bytes_after : int
        Memory of all parameters and running statistics.

    Examples
    --------
    >>> import numpy as np
    >>> import nncore as nn
    >>> model = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 2), seed=0)
    >>> rows = np.random.default_rng(0).normal(size=(200, 64))
    >>> report = model.quantize("int8").report(rows)
    >>> [(each.name, each.is_quantized) for each in report.weights]
    [('0.weight', True), ('2.weight', False)]
    """

    def __init__(
        self,
        rows: int,
        outputs: list[OutputError],
        weights: list[WeightError],
        metrics: dict[str, tuple[float, float]],
        bytes_before: int,
        bytes_after: int,
    ) -> None:
        self.rows, self.outputs, self.weights, self.metrics = rows, outputs, weights, metrics
        self.bytes_before, self.bytes_after = bytes_before, bytes_after

    def __str__(self) -> str:
        share = self.bytes_after / max(self.bytes_before, 1)
        lines = [f"int8: {self.bytes_before:,} -> {self.bytes_after:,} bytes ({share:.0%}), compared on {self.rows:,} rows"]
        table: list[tuple[str, ...]] = [("Output", "rms error", "largest error", "same class")]
        for out in self.outputs:
            same = "" if out.agreement is None else f"{out.agreement:.2%}"
            table.append((out.name, f"{out.rms:.2%}", f"{out.largest:.2%}", same))
        lines += _aligned(table)
        table = [("Weight", "shape", "type", "rms error", "largest error", "bytes")]
        for w in self.weights:
            errors = (f"{w.rms:.2%}", f"{w.largest:.2%}") if w.is_quantized else ("", "")
            kind = "int8" if w.is_quantized else "float32"
            table.append((w.name, str(w.shape), kind, *errors, f"{w.bytes_before:,} -> {w.bytes_after:,}"))
        lines += _aligned(table)
        if self.metrics:
            table = [("Metric", "float32", "int8")]
            table += [(name, f"{before:.6g}", f"{after:.6g}") for name, (before, after) in self.metrics.items()]
            lines += _aligned(table)
        return "\n".join(lines)

    __repr__ = __str__


def _aligned(table: Sequence[tuple[str, ...]]) -> list[str]:
    """Return the lines of a table: the first column from the left, the others from the right."""
    widths = [max(len(row[i]) for row in table) for i in range(len(table[0]))]
    return [
        "  ".join(
            cell.ljust(width) if i == 0 else cell.rjust(width) for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in table
    ]


def compare(quantized: Predictor, model: Predictor, x: Any, y: Any, lengths: Any) -> QuantizationReport:
    """Return the report on two models; see `QuantizedModel.report`."""
    weights, before, after = _compare_weights(quantized._network, model._network)
    wanted, found = (_outputs(each, x, lengths) for each in (model, quantized))
    kinds = _kinds(quantized._network)
    outputs = [
        _compare_output(name, a, b, kind) for name, a, b, kind in zip(quantized.output_names, wanted, found, kinds, strict=True)
    ]
    metrics = {} if y is None else _compare_metrics(model, quantized, x, y, lengths)
    return QuantizationReport(len(wanted[0]), outputs, weights, metrics, before, after)


def _outputs(model: Predictor, x: Any, lengths: Any) -> list[np.ndarray]:
    plain: dict[str, Any] = {"batch_size": None, "verbose": 0, "callbacks": (), "steps": None}
    found = predict(model._as_learner, x, lengths=lengths, **plain)
    found = list(found.values()) if isinstance(found, dict) else found if isinstance(found, list) else [found]
    return [np.asarray(each, np.float64) for each in found]


def _relative(error: np.ndarray, size: np.ndarray) -> tuple[float, float]:
    """Return the root mean square and the largest of errors, relative to those of what they are errors of."""
    if not error.size:
        return 0.0, 0.0
    largest, most = float(np.abs(error).max()), float(np.abs(size).max())
    rms, typical = float(np.sqrt(np.mean(error**2))), float(np.sqrt(np.mean(size**2)))
    return _ratio(rms, typical), _ratio(largest, most)


def _ratio(a: float, b: float) -> float:
    return a / b if b else 0.0 if a == 0 else float("inf")


def _kinds(network: Network) -> list[str]:
    """Return for each output what it says: "classes", "decisions" or "numbers", by its activation and its loss."""
    trainer = network.plan.trainer
    targets = ["" for _ in network.output_names] if trainer is None else [loss.targets for loss in trainer.config.losses]
    return [
        "classes"
        if activation in ("softmax", "log_softmax") or target in ("classes", "one_hot")
        else "decisions"
        if activation == "sigmoid"
        else "numbers"
        for (activation, _), target in zip(network.output_activations, targets, strict=True)
    ]


def _compare_output(name: str, wanted: np.ndarray, found: np.ndarray, kind: str) -> OutputError:
    agreement = None
    if kind == "classes" and wanted.size:
        agreement = float(np.mean(wanted.argmax(-1) == found.argmax(-1)))
    elif kind == "decisions" and wanted.size:
        agreement = float(np.mean((wanted > 0.5) == (found > 0.5)))
    return OutputError(name, *_relative(found - wanted, wanted), agreement)


def _compare_metrics(model: Predictor, quantized: Predictor, x: Any, y: Any, lengths: Any) -> dict[str, tuple[float, float]]:
    plain: dict[str, Any] = {"batch_size": None, "verbose": 0, "sample_weight": None, "callbacks": (), "steps": None}
    before, after = (evaluate(each._as_learner, x, y, return_dict=True, lengths=lengths, **plain) for each in (model, quantized))
    return {name: (float(before[name]), float(value)) for name, value in after.items() if np.ndim(value) == 0 and name in before}


def _compare_weights(quantized: Network, model: Network) -> tuple[list[WeightError], int, int]:
    """Return the errors of the weights, and the bytes of all parameters and running statistics of both."""
    ours, theirs = quantized.named_state("report"), model.named_state("report")
    if [(name, _shape(p)) for name, p in ours] != [(name, _shape(p)) for name, p in theirs]:
        raise ArgumentError("QuantizedModel.report: the model with which to compare has other layers")
    weights, before, after = [], 0, 0
    for (name, own), (_, other) in zip(ours, theirs, strict=True):
        # The sizes of float32, whatever the dtype of the model with which to compare: that is what could be used otherwise.
        full = 4 * other.value.size
        size = full if own.packed_shape is None else own.value.size
        before, after = before + full, after + size
        if quantized.plan.ops[own.op].kind in ("linear", "recurrent") and len(_shape(own)) > 1:
            number = other.view().astype(np.float64)
            errors = _relative(own.view() - number, number) if own.packed_shape else (0.0, 0.0)
            weights.append(WeightError(name, _shape(own), own.packed_shape is not None, *errors, full, size))
    return weights, before, after


def _shape(parameter: Parameter) -> Shape:
    return parameter.packed_shape or parameter.value.shape
