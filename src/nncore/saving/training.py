"""The state of training: what a copy or a file needs so that training goes on from it as if it had never stopped.

That is what compile was told (as the core was told it: a layer frozen since then still trains), the number of updates, from which
dropout masks and the order of the rows follow, the optimizer's moments, by parameter, without the padding of the core, what
stateful layers carry from batch to batch, and where the last ``fit`` stands within its epochs. All of it is taken between two
steps, whoever trains meanwhile.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ..records import ParameterOptions
from ..training.configuration import Configuration
from ..training.progress import Progress
from ..training.trainer import Trainer

if TYPE_CHECKING:
    from ..network.network import Network


class TrainingState(NamedTuple):
    """The state of training of a model, or that of a model that is compiled and has not begun."""

    config: Configuration
    step: int
    options: list[ParameterOptions] | None  #: None: the core has not been told yet
    moments: dict[str, dict[str, np.ndarray]]  #: by buffer of the optimizer, then by parameter
    progress: Progress | None = None  #: None: no fit has begun
    carried: np.ndarray | None = None  #: [rows, states]: what stateful layers begin the next batch with; None: with zeros


def moments(network: Network) -> dict[str, dict[str, np.ndarray]]:
    """Return live views of the optimizer's buffers, oriented as the parameters that they belong to."""
    buffers = network.plan.buffers()
    start = buffers["parameters"].ctypes.data
    return {
        key: {
            name: np.ndarray(p.value.shape, buffer.dtype, buffer.data, p.value.ctypes.data - start, p.value.strides)
            for name, p in network.named_parameters("moments")
        }
        for key, buffer in buffers.items()
        if key.startswith("moment") or key == "average"
    }


def capture(network: Network) -> TrainingState | None:
    """Return the state of training, the moments as live views, between two steps; None where the model is not compiled."""
    plan, trainer = network.plan, network.plan.trainer
    if trainer is None:
        return None
    if not plan.is_compiled:
        return TrainingState(trainer.config, 0, None, {})
    begun: Progress | None = trainer.progress
    progress = None if begun is None or begun.start > plan.step else begun.copied(plan.step)  # the step may have been set back
    return TrainingState(trainer.config, plan.step, list(trainer.options), moments(network), progress, plan.carried())


def restore(network: Network, state: TrainingState) -> dict[str, dict[str, np.ndarray]]:
    """Compile the network as it was; return live views of the moments, which are yet to be filled."""
    trainer = Trainer(state.config)
    if state.options is None:
        network.plan.trainer = trainer
        return {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # whoever compiled it has been warned
        trainer.attach(network, state.options)
    network.plan.step = state.step
    trainer.progress = state.progress
    if state.carried is not None:
        network.plan.carry_on(state.carried)
    return moments(network)


def copied(state: TrainingState | None) -> TrainingState | None:
    """Return the state with copies of the moments, so that a pickle does not hold the padding."""
    if state is None:
        return None
    return state._replace(
        moments={key: {name: np.array(view, order="C") for name, view in each.items()} for key, each in state.moments.items()}
    )


def resume(network: Network, state: TrainingState) -> None:
    """Bring a copy of a network to the state that was captured."""
    for key, views in restore(network, state).items():
        for name, view in views.items():
            view[...] = state.moments[key][name]
