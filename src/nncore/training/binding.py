"""Conversion of samples, targets and weights into the arrays that a network and its configuration need."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from .._checks import shown
from ..data import (
    ClassWeight,
    bind_groups,
    bind_target,
    bind_weight,
    check_finite,
    check_labels,
    class_weights,
    labels_of,
    per_output,
    split_groups,
    split_rows,
)
from ..data.arrays import to_array
from ..data.batches import depth_of
from ..data.bound import Data
from ..data.by_name import align_to_names, argument_labels
from ..data.sequences import Steps, valid_steps
from ..data.targets import only_target
from ..errors import ArgumentError, NonFiniteError
from ..network import inputs
from .configuration import Configuration
from .trainer import ensure_same_config

if TYPE_CHECKING:
    from ..network.network import Network


def bind_batch(
    network: Network, config: Configuration, x: Any, y: Any, weight: Any, lengths: Any = None, any_length: bool = True
) -> Data:
    """Convert one batch. If the network is not built, build it for these samples and compile it."""
    with network.access.reading():
        if not network.built:
            inputs.bind(network, x)
        ensure_same_config(network, config)
        return bind(network, config, x, y, weight, lengths, any_length)


def bind(
    network: Network, config: Configuration, x: Any, y: Any, weight: Any, lengths: Any = None, any_length: bool = False
) -> Data:
    """Convert samples, targets, their weights, and lengths or a mask."""
    xs, steps = inputs.bind_with_steps(network, x, lengths, any_length=any_length)
    rows, shapes = len(xs[0]), network.output_shapes
    # Outputs without time have no padding, even if their first dimension has as many elements as there are steps.
    of_outputs = inputs.steps_of_outputs(network, steps)
    parts, names = align_to_names("y", y, network.output_names), argument_labels("y", network.output_names)
    if len(parts) == 1:
        parts, weight = [only_target(parts[0], shapes[0], rows)], only_target(weight, (), rows)
    if steps is not None:
        parts = [
            own.cleared(to_array(part), loss.targets, shape[-1])
            if own is not None and loss.targets != "values" and depth_of(part) > 1
            else part
            for part, loss, shape, own in zip(parts, config.losses, shapes, of_outputs, strict=True)
        ]
    ys = [
        bind_target(part, loss.targets, shape, rows, loss.name, network.dtype, name, ignored=loss.ignored)
        for part, loss, shape, name in zip(parts, config.losses, shapes, names, strict=True)
    ]
    for i, (array, name, own) in enumerate(zip(ys, names, of_outputs, strict=True)):
        for form, metric in config.forms(i).items():
            if form == "labels":
                counted = (array, None) if own is None else (own.gathered(array), own.lengths)
                check_labels(counted[0], config.columns[i], metric, name, counted[1])
            else:
                accepted = array if own is None else own.cleared(array, form, shapes[i][-1])
                bind_target(accepted, form, shapes[i], rows, f"metric {metric!r}", network.dtype, name)
    if config.check_finite:
        for array, name, own in zip(ys, names, of_outputs, strict=True):
            check_finite(_counted(array, own), name, network.dtype)
    weights = _weights(network, weight, rows, of_outputs)
    if steps is None:
        return Data(xs, ys, weights, None, network.input_shapes)
    xs = inputs.gathered(network, xs, steps)  # after all checks, which name places in the user's arrays
    ys = [array if own is None else own.gathered(array) for array, own in zip(ys, of_outputs, strict=True)]
    return Data(xs, ys, weights, steps.lengths, network.input_shapes, network.plan.timelines(network.plan.outputs))


def _weights(network: Network, given: Any, rows: int, steps: list[Steps | None]) -> list[np.ndarray | None] | None:
    """Convert the weights of samples or of time steps: one array for all outputs, a dict by name, or a list with one per output.

    ``steps``: one per output; None if the output has no padding.
    """
    names = network.output_names
    if given is None:
        return None
    if isinstance(given, Mapping):
        unknown = [key for key in given if key not in names]
        if unknown:
            raise ArgumentError(f"sample_weight: the outputs are {names}; unknown {shown(unknown)}")
        each = [given.get(name) for name in names]
    elif len(names) > 1 and isinstance(given, list | tuple) and all(part is None or depth_of(part) for part in given):
        each = align_to_names("sample_weight", given, names)
    else:
        each, names = [given] * len(names), []
    labels = [f"sample_weight[{name!r}]" for name in names] or ["sample_weight"] * len(each)
    bound = [
        bind_weight(part, rows, name, shape[:-1], own, network.dtype)
        for part, name, shape, own in zip(each, labels, network.output_shapes, steps, strict=True)
    ]
    return None if all(part is None for part in bound) else bound


def _counted(array: np.ndarray, steps: Steps | None) -> np.ndarray:
    """Return the array with zeros in the padding."""
    return array if steps is None or array.ndim < 2 else steps.cleared(array)


def split(
    network: Network, config: Configuration, data: Data, fraction: float, last: bool, groups: Any = None
) -> tuple[np.ndarray, np.ndarray | slice]:
    """Return the rows for training and the rows for validation. last: take the last rows or groups for validation."""
    labels = labels_of(data.y[0], config.losses[0].targets) if len(data.y) == 1 else None
    labels = None if labels is None or labels.ndim > 1 else labels
    if labels is not None and config.losses[0].ignored is not None:  # a class of its own
        labels = np.where(labels == config.losses[0].ignored, labels.max() + 1, labels)
    seed = None if last else network.plan.seed
    if groups is not None:
        return split_groups(bind_groups(groups, data.rows), fraction, seed, labels)
    rows, held_out = split_rows(data.rows, fraction, seed, labels)
    return rows, slice(len(rows), None) if last else held_out


def apply_class_weight(
    config: Configuration, data: Data, rows: np.ndarray | None, class_weight: ClassWeight, dtype: np.dtype[Any]
) -> Data:
    """Multiply the weights of these rows by the class weights. rows: None means all. dtype: that of the network."""
    for i, own in enumerate(per_output(class_weight, config.names)):
        if own is None:
            continue
        trains = slice(None) if rows is None else rows
        target = data.y[i][trains]
        lengths = None if data.lengths is None else valid_steps(data.lengths[trains], data.timelines[i])
        name = f"class_weight[{config.names[i]!r}]" if len(config.names) > 1 else "class_weight"
        scale = class_weights(
            own, target, config.losses[i].targets, max(2, config.columns[i]), lengths, name, config.losses[i].ignored
        )
        data = data.scaled(i, scale, rows)
        weight = data.weight[i] if data.weight is not None else None
        if weight is not None and weight.size and weight.max() > np.finfo(dtype).max:
            raise NonFiniteError(f"{name}: a weight becomes {weight.max()}, which is infinite in {dtype}; pass smaller weights")
    return data
