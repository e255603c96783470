"""Trainer: who trains a network. It has a configuration, says it to the plan, and keeps what training needs from step to step.

The plan knows the losses and the rule of one trainer at a time. When a network has been built anew, the plan knows none; a new
trainer with the same configuration takes over as soon as one is needed, and optimizer and progress start anew.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..data.bound import Data
from ..errors import ArgumentError, ConcurrentUseError, NotCompiledError
from ..optim import Optimizer
from ..records import ParameterOptions, Shape
from ..schedules import learning_rates
from .configuration import Configuration, Sums, results
from .options import parameter_options
from .progress import Progress

if TYPE_CHECKING:
    from .._core import TrainingRecords
    from ..network.network import Network


class Trainer:
    """What a compiled model has besides its network.

    Parameters
    ----------
    config : Configuration
        Losses, metrics, optimizer.

    Attributes
    ----------
    options : list of ParameterOptions or None
        How each parameter is trained, as the plan knows it; None: it has not been told yet.
    progress : Progress or None
        Where the last ``fit`` stands. The number of updates is the plan's ``step``.
    settings : dict or None
        Those of the optimizer, for single steps on arrays that need no conversion; None where there can be none.
    """

    def __init__(self, config: Configuration) -> None:
        self.config = config
        self.options: list[ParameterOptions] | None = None
        self.progress: Progress | None = None
        self.settings: Mapping[str, Any] | None = None
        self.form = "other"  # of the targets of single steps, as a loss calls it
        self.plain = self.bare = self.watched = False  # no metrics; the loss is all there is to return; metrics in Python
        self._lr, self._loss = np.empty(1), np.empty(1)
        self._sums: Sums | None = None  # made by the first step: those of many classes are large

    @property
    def optimizer(self) -> Optimizer:
        """The update rule; its ``lr`` may be set."""
        return self.config.optimizer

    # Telling the plan ---------------------------------------------------------------------------------------------------------

    def attach(self, network: Network, options: list[ParameterOptions] | None = None) -> None:
        """Compile the plan for this trainer. options: of each parameter; None: as layers, groups and compile say now."""
        config = self.config
        with network.access.changing():
            losses = config.bind(network.output_shapes, network.output_activations)
            self.options = parameter_options(network, config) if options is None else options
            self._prepare(network)
            network.plan.compile(losses, config.optimizer.spec(), self.options, config.statistics, self)

    def records(self, network: Network, output_shapes: Sequence[Shape]) -> TrainingRecords:
        """Return what the plan is told of training, for outputs of these shapes."""
        losses = self.config.bind(output_shapes, network.output_activations)
        self._sums = None  # their shapes may follow those of the outputs
        return losses, self.config.optimizer.spec(), self.options or [], self.config.statistics

    def _prepare(self, network: Network) -> None:
        """Note what may pass unchecked in a single step."""
        config = self.config
        single = len(config.losses) == 1 and len(network.input_shapes) == 1 and not config.check_finite
        self.form = config.losses[0].targets if single else "other"
        self.plain = not config.parts and all(each.kind == "none" for each in config.statistics)
        self.watched = any(each.called for each in config.statistics)
        self.bare = self.plain and not self.watched
        self.settings = None if config.optimizer.full_batch else vars(config.optimizer)

    # Single steps: the core asks for these --------------------------------------------------------------------------------------

    def rate(self, step: int) -> float:
        """Return the learning rate of an update."""
        lr = self.config.optimizer.lr
        return float(learning_rates(lr, step, 1)[0]) if callable(lr) else float(lr)

    def cleared(self) -> Sums:
        """Return the sums for another step."""
        if self._sums is None or self.watched:  # a metric in Python begins anew
            self._sums = self.config.sums()
        elif not self.plain:
            for each in self._sums:
                if each is not None:
                    each.fill(0.0)
        return self._sums

    def reported(self, loss: float, sums: Sums, return_dict: bool) -> Any:
        """Return what train_on_batch returns of a step."""
        return results(self.config.logs(loss, sums), return_dict)

    def step(self, network: Network, data: Data, return_dict: bool) -> Any:
        """Do one step on bound data; return what train_on_batch returns. The network has been entered for training."""
        self._lr[0] = self.rate(network.plan.step)
        sums = self.cleared()
        network.plan.train(data.x, data.y, data.weight, None, data.rows, 0, 1, self._lr, self._loss, sums, data.lengths)
        return self.reported(self._loss.item(), sums, return_dict)


# Which trainer a network has -----------------------------------------------------------------------------------------------------


def trainer_of(network: Network, what: str) -> Trainer:
    """Return the trainer that the plan knows, on behalf of a method of the model; NotCompiledError where there is none."""
    trainer: Trainer | None = network.plan.trainer
    if trainer is None:
        raise NotCompiledError(f"{what} needs a loss and an optimizer: call model.compile(loss=..., optimizer=...) first")
    if what in ("fit", "train_on_batch", "apply_gradients"):
        if network.plan.averaged:
            raise ArgumentError(f"{what}: the average of the weights is in their place; train outside of averaged_weights()")
        if trainer.optimizer.full_batch and what != "fit":
            raise ArgumentError(f"{what}: {type(trainer.optimizer).__name__} needs the loss of all data at once; use fit")
    return trainer if network.plan.is_compiled or not network.built else attached(network)


def attached(network: Network) -> Trainer:
    """Return the trainer, after telling the plan of it, unless another thread has done so."""
    with network.access.changing(patient=True):
        if not network.plan.is_compiled:
            Trainer(network.plan.trainer.config).attach(network)
        trainer: Trainer = network.plan.trainer
        return trainer


def stay_with(network: Network, config: Configuration) -> None:
    """See to it that the plan still knows this configuration: another thread may have built the model anew.

    Raises
    ------
    ConcurrentUseError
        It has been compiled anew.
    """
    trainer: Trainer | None = network.plan.trainer
    if trainer is None or trainer.config is not config:
        raise ConcurrentUseError(
            "the model has been compiled anew in the midst of a call, by another thread or a callback; set "
            "model.stop_training, and compile and call again when it has ended"
        )
    if not network.plan.is_compiled:
        attached(network)


def be_ready(network: Network, config: Configuration, data: Data) -> None:
    """See to it that the plan knows this configuration and takes data of these shapes. The network has been entered."""
    while True:  # whoever waits to change the model lets others pass, who may change the other half
        stay_with(network, config)
        network.require_shapes(data.shapes)
        if network.plan.is_compiled and network.plan.trainer.config is config:
            return
