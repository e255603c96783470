"""The state of training, for copies and files. Training continues from it as without an interruption.

The state consists of: the configuration and the options of the parameters as the core has them (if a layer was frozen after
``compile``, it still trains); the number of updates, which determines dropout masks and the order of the rows, and the number of
forward passes since; the optimizer's moments by parameter, without the core's padding; the states of stateful layers; and the
progress of the last ``fit``. All of it is captured between two steps, even if another thread is training.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ..records import ParameterOptions
from ..training.configuration import Configuration
from ..training.progress import Progress
from ..training.trainer import Trainer

if TYPE_CHECKING:
    from ..network.network import Network


class TrainingState(NamedTuple):
    """The state of training of a model. The model is compiled, but need not have trained."""

    config: Configuration
    step: int
    options: list[ParameterOptions] | None  #: None: the plan has not been compiled yet
    moments: dict[str, dict[str, np.ndarray]]  #: by buffer of the optimizer, then by parameter
    progress: Progress | None = None  #: None: fit has not been called
    passes: int = 0  #: number of forward passes in training mode since the last update
    frozen: list[bool] | None = None  #: for each layer, whether it was frozen at compile; None: no layer
    carried: np.ndarray | None = None  #: [rows, states]: states of stateful layers for the next batch; None: zeros


def moments(network: Network) -> dict[str, dict[str, np.ndarray]]:
    """Return live views of the optimizer's buffers, in the shape of their parameters."""
    buffers = network.plan.buffers()
    start = buffers["gradients"].ctypes.data  # whose layout is that of the moments
    return {
        key: {
            name: np.ndarray(p.value.shape, buffer.dtype, buffer.data, p.grad.ctypes.data - start, p.grad.strides)
            for name, p in network.named_parameters("moments")
        }
        for key, buffer in buffers.items()
        if key.startswith("moment") or key == "average"
    }


def capture(network: Network) -> TrainingState | None:
    """Return the state of training between two steps, with the moments as live views. It is None if the model is not compiled."""
    plan, trainer = network.plan, network.plan.trainer
    if trainer is None:
        return None
    if not plan.is_compiled:
        return TrainingState(trainer.config, 0, None, {})
    begun: Progress | None = trainer.progress
    progress = None if begun is None or begun.start > plan.step else begun.snapshot(plan.step)  # step may have been set back
    options, taken = list(trainer.options), moments(network)
    return TrainingState(trainer.config, plan.step, options, taken, progress, plan.passes, list(trainer.frozen), plan.carried())


def restore(network: Network, state: TrainingState) -> dict[str, dict[str, np.ndarray]]:
    """Compile the network as it was. Return live views of the moments, which the caller must fill."""
    trainer = Trainer(state.config)
    if state.options is None:
        network.plan.trainer = trainer
        return {}
    trainer.attach(network, state.options, state.frozen or [False] * len(network.layers))
    network.plan.step, network.plan.passes = state.step, state.passes  # in this order: a new step starts new passes
    trainer.progress = state.progress
    if state.carried is not None:
        network.plan.carry_on(state.carried)
    return moments(network)


def copied(state: TrainingState | None) -> TrainingState | None:
    """Return the state with copies of the moments, so that a pickle does not contain the padding."""
    if state is None:
        return None
    return state._replace(
        moments={key: {name: np.array(view, order="C") for name, view in each.items()} for key, each in state.moments.items()}
    )


def resume(network: Network, state: TrainingState) -> None:
    """Restore a captured state in a copy of the network."""
    for key, views in restore(network, state).items():
        for name, view in views.items():
            view[...] = state.moments[key][name]
