"""Conversion of samples into arrays that fit the inputs of a network. If the network is not built, it is built for their shapes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ..data import bind_inputs, check_finite
from ..data.batches import Rank
from ..data.by_name import align_to_names, argument_labels
from ..data.sequences import bind_lengths, without_padding
from ..errors import ShapeError
from .features import check_columns, remember_columns

if TYPE_CHECKING:
    from .network import Network


def ranks(network: Network) -> list[Rank]:
    """Return what is known of a sample of each input, so that samples and batches can be told apart."""
    if network.built:
        return [Rank(len(shape), shape == (1,)) for shape in network.input_shapes]
    return [Rank(network.connections.sample_rank()) for _ in network.input_names]


def bind(
    network: Network, x: Any, allow_empty: bool = False, any_length: bool = False, check_indices: bool = True
) -> list[np.ndarray]:
    """Convert x. Build the network if its input shape is open. any_length: also accept another number of time steps."""
    plan = network.plan
    layer = "the model" if network.connections.shown_inputs() else network.connections.layer_name(0)
    if isinstance(x, Mapping):
        x = align_to_names("x", x, network.input_names)
        x = x[0] if len(x) == 1 else x
    if any_length and network.built and (any(len(shape) > 1 for shape in network.input_shapes) or plan.holds_indices()):
        parts = x if len(network.input_shapes) > 1 and isinstance(x, list | tuple) else [x]
        network.set_sequence_lengths([np.shape(part)[1:] for part in parts])
    check_columns(network, x)
    arrays = bind_inputs(x, network.input_shapes if network.built else (), layer, network.dtype, allow_empty)
    if not network.built:
        network.build_first([a.shape[1:] for a in arrays])
        remember_columns(network, x)
    if check_indices:
        plan.check_indices(arrays)
    return arrays


def bind_with_lengths(network: Network, x: Any, lengths: Any, **options: bool) -> tuple[list[np.ndarray], np.ndarray | None]:
    """Convert x and its lengths. If padding contains invalid indices for an embedding, they are ignored."""
    if lengths is None:
        arrays = bind(network, x, **options)
        look_for_nonfinite(network, arrays, None)
        return arrays, None
    arrays = bind(network, x, check_indices=False, **options)
    counted = bind_lengths(lengths, len(arrays[0]), time_steps(network))
    if network.plan.holds_indices():
        network.plan.check_indices(unpadded(network, arrays, counted))
    look_for_nonfinite(network, arrays, counted)
    return arrays, counted


def look_for_nonfinite(network: Network, arrays: list[np.ndarray], lengths: np.ndarray | None) -> None:
    """Raise NonFiniteError if ``compile(check_finite=True)`` was called and an array is not finite outside of the padding."""
    if network.checks_finite:
        counted = arrays if lengths is None else unpadded(network, arrays, lengths)
        for array, name in zip(counted, argument_labels("x", network.input_names), strict=True):
            check_finite(array, name, network.dtype)


def unpadded(network: Network, arrays: list[np.ndarray], lengths: np.ndarray) -> list[np.ndarray]:
    """Return the arrays of the inputs. Arrays with time steps are copies with zeros in the padding."""
    timed = network.plan.timed(range(len(arrays)))
    return [without_padding(array, lengths, "values", 0) if has else array for array, has in zip(arrays, timed, strict=True)]


def time_steps(network: Network) -> int:
    """Return the number of time steps to which lengths refer, or raise ShapeError."""
    steps = network.plan.time_steps()
    if not steps:
        mixing = network.plan.mixing()
        raise ShapeError(f"lengths: {mixing}" if mixing else "lengths need an input with a time dimension, [N, time, features]")
    return steps
