"""Conversion of samples into arrays that fit the inputs of a network. If the network is not built, it is built for their shapes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ..data import bind_inputs, check_finite
from ..data.arrays import as_array
from ..data.batches import Rank, single
from ..data.by_name import align_to_names, argument_labels
from ..data.sequences import Steps, bind_steps, valid_steps
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
    if type(x) is not np.ndarray and isinstance(x, Mapping):
        x = align_to_names("x", x, network.input_names)
        x = x[0] if len(x) == 1 else x
    check_columns(network, x)
    if isinstance(x, list | tuple) and len(network.input_names) == 1:
        x = single(x, ranks(network)[0])
    shapes = plan.built_for or ()  # () as long as the network is not built
    if any_length and shapes and (max(map(len, shapes)) > 1 or plan.holds_indices()):
        several = len(shapes) > 1 and isinstance(x, list | tuple)
        names = [f"x[{i}]" for i in range(len(x))] if several else ["x"]
        parts = [as_array(*each, network.dtype, as_mapped=True) for each in zip(x if several else [x], names, strict=True)]
        network.set_sequence_lengths([part.shape[1:] for part in parts])
        x, shapes = parts if several else parts[0], plan.built_for or ()
    arrays = bind_inputs(x, shapes, network.first_name, network.dtype, allow_empty)
    if not shapes:
        network.build_first([a.shape[1:] for a in arrays])
        remember_columns(network, x)
    if check_indices:
        plan.check_indices(arrays)
    return arrays


def bind_with_steps(network: Network, x: Any, lengths: Any, **options: bool) -> tuple[list[np.ndarray], Steps | None]:
    """Convert x and its lengths or mask. If padding contains invalid indices for an embedding, they are ignored.

    The steps of the arrays are where they were; see `gathered`.
    """
    if lengths is None:
        arrays = bind(network, x, **options)
        look_for_nonfinite(network, arrays, None)
        return arrays, None
    arrays = bind(network, x, check_indices=False, **options)
    steps = bind_steps(lengths, len(arrays[0]), time_steps(network))
    require_places(network, steps)
    if network.plan.holds_indices():
        network.plan.check_indices(unpadded(network, arrays, steps))
    look_for_nonfinite(network, arrays, steps)
    return arrays, steps


def look_for_nonfinite(network: Network, arrays: list[np.ndarray], steps: Steps | None) -> None:
    """Raise NonFiniteError if ``compile(check_finite=True)`` was called and an array is not finite outside of the padding."""
    if network.checks_finite:
        counted = arrays if steps is None else unpadded(network, arrays, steps)
        for array, name in zip(counted, argument_labels("x", network.input_names), strict=True):
            check_finite(array, name, network.dtype)


def unpadded(network: Network, arrays: list[np.ndarray], steps: Steps) -> list[np.ndarray]:
    """Return the arrays of the inputs. Arrays with time steps are copies with zeros in the padding."""
    timed = network.plan.timed(range(len(arrays)))
    return [steps.cleared(array) if has else array for array, has in zip(arrays, timed, strict=True)]


def gathered(network: Network, arrays: list[np.ndarray], steps: Steps | None) -> list[np.ndarray]:
    """Return the arrays of the inputs as the core reads them: the valid steps first."""
    if steps is None or steps.mask is None:
        return arrays
    timed = network.plan.timed(range(len(arrays)))
    return [steps.gathered(array) if has else array for array, has in zip(arrays, timed, strict=True)]


def steps_of_outputs(network: Network, steps: Steps | None) -> list[Steps | None]:
    """Return the valid steps of each output; None if it has no time, or no padding."""
    if steps is None:
        return [None] * len(network.plan.outputs)
    found: list[Steps | None] = []
    for timeline in network.plan.timelines(network.plan.outputs):
        lengths = valid_steps(steps.lengths, timeline)
        found.append(None if lengths is None else steps if timeline == (1, 0) else Steps(lengths))
    return found


def require_places(network: Network, steps: Steps) -> None:
    """Raise ShapeError if an output joins sequences in time, so that a mask does not tell which of its steps are valid."""
    if steps.mask is not None and any(line not in (None, (1, 0)) for line in network.plan.timelines(network.plan.outputs)):
        raise ShapeError(
            "mask: an output joins sequences in time, so that the mask does not say where its steps are; put the valid steps first "
            "and pass lengths"
        )


def time_steps(network: Network) -> int:
    """Return the number of time steps to which lengths refer, or raise ShapeError."""
    steps = network.plan.time_steps()
    if not steps:
        mixing = network.plan.mixing()
        raise ShapeError(
            f"lengths: {mixing}" if mixing else "lengths and masks need an input with a time dimension, [N, time, features]"
        )
    return steps
