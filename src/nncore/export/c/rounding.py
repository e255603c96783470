"""What the rounding of weights does: a network with the numbers that the file reads, and how far its results are from the model."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from ...errors import EmptyDataError
from ...network.connecting import connect, connections_of
from ...network.network import Network
from ...network.parameters import load_state_dict
from ...network.prediction import bind_rows, predict_rows
from ..walk import Walk
from .recurrent import stored_together
from .weights import rounded

#: The kinds of ops whose matrices are stored in the format that is asked for.
MATRICES = ("linear", "recurrent", "embedding")


class RoundingError(NamedTuple):
    """How far rounded weights, or results with them, are from those of the model. Numbers are shares of the spread, the standard
    deviation."""

    of: str  #: "outputs" on the data for calibration, or "weights" if there are none
    max: float  #: the largest error
    mean: float  #: the mean absolute error
    samples: int  #: how many samples the data have, or 0

    def __str__(self) -> str:
        found = f"max {self.max:.2g}, mean {self.mean:.2g} of the spread of the {self.of}"
        return found + (f", on {self.samples} samples" if self.samples else "; no data were given")


def rounded_tensors(net: Walk, kind: str | None) -> dict[str, np.ndarray]:
    """Return the tensors of a network with the numbers that a file with this format of weights has."""
    tensors = dict(net.tensors)
    for step in net.steps:
        if step.op.kind == "recurrent":
            for blocks in stored_together(step):
                _round_together(tensors, net.tensors, blocks, kind)
        elif step.op.kind in MATRICES:
            name = step.parameters["weight"]
            if step.op.kind == "embedding":  # which reads rows
                tensors[name] = rounded(net.tensors[name], kind, name)
            else:
                tensors[name] = np.ascontiguousarray(rounded(net.tensors[name].T, kind, name).T)
    return tensors


def _round_together(
    tensors: dict[str, np.ndarray], exact: Mapping[str, np.ndarray], blocks: list[tuple[str, slice]], kind: str | None
) -> None:
    """Round rows of tensors that are one matrix in the file."""
    matrix = np.concatenate([exact[name][rows] for name, rows in blocks], axis=1)
    found, begin = rounded(matrix.T, kind, blocks[0][0]).T, 0
    for name, rows in blocks:
        if tensors[name] is exact[name]:
            tensors[name] = exact[name].copy()
        columns = exact[name].shape[1]
        tensors[name][rows] = found[:, begin : begin + columns]
        begin += columns


def twin(network: Network, tensors: dict[str, np.ndarray]) -> Network:
    """Return an independent network with these tensors, which computes in the type of its parameters."""
    with network.access.between_steps():
        layers, connections = copy.deepcopy(network.layers), connections_of(network)
    found = connect(layers, connections, network.plan.seed, network.dtype.name, network.label)
    load_state_dict(found, tensors, True)
    return found


def predicted(network: Network, x: Any) -> list[np.ndarray]:
    """Return the outputs of a network as C computes them: statistics of a batch are those of one sample."""
    data = bind_rows(network, x, None)
    if not data.rows:
        raise EmptyDataError("to_c: calibration has no samples")
    if not any(op.kind == "batch_norm" and not op.field("track_running_stats") for op in network.plan.ops):
        return predict_rows(network, data)
    rows = [[each[i : i + 1] for each in data.x] for i in range(data.rows)]
    found = [predict_rows(network, bind_rows(network, row if len(row) > 1 else row[0], None)) for row in rows]
    return [np.concatenate(each) for each in zip(*found, strict=True)]


def rounding_error(network: Network, other: Network, net: Walk, x: Any) -> RoundingError:
    """Compare the outputs of a network with those of its twin on data; without data, their weights."""
    if x is not None:
        pairs = list(zip(predicted(network, x), predicted(other, x), strict=True))
        return RoundingError("outputs", *_shares(pairs), len(pairs[0][0]))
    tensors = dict(other.named_state("to_c"))
    names = {
        name
        for step in net.steps
        if step.op.kind in MATRICES
        for role, name in step.parameters.items()
        if role.startswith("weight")
    }
    return RoundingError("weights", *_shares([(net.tensors[name], tensors[name].value) for name in names]), 0)


def _shares(pairs: list[tuple[np.ndarray, np.ndarray]]) -> tuple[float, float]:
    """Return the largest and the mean error of arrays, each by the spread of its first array, the worst of them."""
    largest, mean = 0.0, 0.0
    for wanted, found in pairs:
        error, finite = difference(found, wanted), wanted[np.isfinite(wanted)]
        if error.any():
            spread = float(finite.std(dtype=np.float64)) if finite.size else 0.0
            share = error / spread if spread > 0 else np.full_like(error, np.inf)
            largest, mean = max(largest, float(share.max())), max(mean, float(share.mean()))
    return largest, mean


def difference(found: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Return how far numbers of two arrays are apart. Equal infinities and NaN agree; NaN is infinitely far from a number."""
    found, wanted = found.astype(np.float64), wanted.astype(np.float64)
    with np.errstate(invalid="ignore"):
        error = np.where((found == wanted) | (np.isnan(found) & np.isnan(wanted)), 0, np.abs(found - wanted))
    return np.where(np.isnan(error), np.inf, error)
