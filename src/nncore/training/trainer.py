"""Trainer: trains a network. It has the configuration, compiles the plan, and keeps the state that training needs between steps.

A plan is compiled for one trainer at a time. When a network is built again, its plan is not compiled any more. As soon as training
needs it, a new trainer with the same configuration is attached. The state of the optimizer and the progress are then reset.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .._checks import warn
from ..data.bound import Data
from ..errors import ArgumentError, ConcurrentUseError, NotCompiledError
from ..optim import Optimizer
from ..records import ParameterOptions, Shape
from ..schedules.rates import learning_rates
from .advice import advise
from .configuration import Configuration, Sums, checked_ranks, results
from .options import changes_since_compile, parameter_options
from .progress import Progress

if TYPE_CHECKING:
    from .._core import TrainingRecords
    from ..network.network import Network


class Trainer:
    """The training state of a compiled model, besides its network.

    Parameters
    ----------
    config : Configuration
        Losses, metrics, optimizer.

    Attributes
    ----------
    options : list of ParameterOptions or None
        The training options of each parameter in the plan; None before the plan is compiled.
    frozen : list of bool
        Whether each layer was frozen when the plan was compiled.
    is_outdated : bool
        Whether an option of a layer has been set since then.
    progress : Progress or None
        The progress of the last ``fit``. The number of updates is the plan's ``step``.
    optimizer_fields : dict or None
        The hyperparameters of the optimizer, for single steps on arrays that need no conversion; None if such steps are not
        possible.
    """

    def __init__(self, config: Configuration) -> None:
        self.config = config
        config.optimizer.belong_to_model()
        self.options: list[ParameterOptions] | None = None
        self.frozen: list[bool] = []
        self.is_outdated = self._has_warned = False
        self.has_start = False  # ranks have the numbers of rank 0
        self.rows_apart = 0  # rows of the steps that this rank has made since parameters were averaged
        self.progress: Progress | None = None
        self.optimizer_fields: Mapping[str, Any] | None = None
        self.target_kind = "other"  # the form of the targets of single steps, as losses name it; "decisions": 0/1 or -1/+1
        self.no_metrics = False  # the core adds up no sums for metrics
        self.has_python_metrics = False
        self.loss_only = False  # the loss is all that a step returns
        self._lr, self._loss = np.empty(1), np.empty(1)
        self._sums: Sums | None = None  # made by the first step, because sums of many classes are large

    @property
    def optimizer(self) -> Optimizer:
        """The optimizer. Its ``lr`` can be set."""
        return self.config.optimizer

    # Compiling the plan -------------------------------------------------------------------------------------------------------

    def attach(self, network: Network, options: list[ParameterOptions] | None = None, frozen: list[bool] | None = None) -> None:
        """Compile the plan for this trainer.

        options: those of each parameter; None takes them from layers, groups and compile. frozen: which layers are; None takes that
        from the layers.
        """
        config = self.config
        with network.access.changing():
            losses = config.bind(network.output_shapes, network.output_activations)
            self.options = parameter_options(network, config) if options is None else options
            if options is None and not config.is_advised:  # once: not again for a copy, or for sequences of another length
                config.is_advised = True
                advise(network, config, self.options)
            self.frozen = [not layer.trainable for layer in network.layers] if frozen is None else frozen
            self.is_outdated = frozen is not None  # a layer may have been changed between compile and save
            self._prepare(network)
            inference = network.op_inference(network.plan.owners, self.frozen)
            network.plan.compile(losses, config.optimizer.spec(), self.options, config.statistics, self, inference)

    def join(self, network: Network, distributed: Any) -> None:
        """Train with other ranks from now on, or alone."""
        ranks = checked_ranks(distributed)
        with network.access.changing():
            if network.plan.is_compiled:
                network.plan.join(ranks)
            self.config.distributed, self.has_start = ranks, False

    def restart(self, network: Network) -> None:
        """Start training anew: the optimizer as compiled, no updates, no progress, no states."""
        self.config.restart()
        self.progress = None
        if network.plan.is_compiled:
            outdated = self.is_outdated
            self.attach(network, self.options, self.frozen)
            self.is_outdated = outdated
        network.plan.step = 0

    def training_records(self, network: Network, output_shapes: Sequence[Shape]) -> TrainingRecords:
        """Return the records for the plan, for outputs of these shapes."""
        losses = self.config.bind(output_shapes, network.output_activations)
        self._sums = None  # their shapes may follow those of the outputs
        return losses, self.config.optimizer.spec(), self.options or [], self.config.statistics

    def _prepare(self, network: Network) -> None:
        """Determine which arrays single steps can use without conversion."""
        config = self.config
        single = len(config.losses) == 1 and len(network.input_shapes) == 1 and not config.check_finite
        forms = [*config.forms(0)]
        kinds = {"labels": "decisions", "probabilities": "probabilities"}
        needed = config.losses[0].targets if not forms else kinds.get(forms[0], "other") if len(forms) == 1 else "other"
        self.target_kind = needed if single else "other"
        self.no_metrics = not config.loss_keys and not any(each.of for each in config.statistics)
        self.has_python_metrics = any(each.called for each in config.statistics)
        self.loss_only = self.no_metrics and not self.has_python_metrics
        self.optimizer_fields = None if config.optimizer.full_batch or self.is_outdated else vars(config.optimizer)

    # Changes after compile ----------------------------------------------------------------------------------------------------

    def layer_changed(self, name: str, is_fitting: bool) -> None:
        """Note that an option of a layer has been set. The next training step looks what it is."""
        self.is_outdated, self._has_warned = True, is_fitting
        self.optimizer_fields = None  # the next single step comes through `require_trainer`
        if is_fitting:
            warn(f"{name} of a layer was set during fit, which goes on as compiled; compile and fit again")

    def remind(self, network: Network, what: str) -> None:
        """Warn if training uses other options than the layers have now: in every ``fit``, and in the first single step."""
        changes = changes_since_compile(network, self)
        self.is_outdated = bool(changes)
        if changes and (what == "fit" or not self._has_warned):
            self._has_warned = True
            listed = ", ".join(changes[:3]) + (", ..." if len(changes) > 3 else "")
            warn(
                f"{what} trains as compiled, without what was set since: {listed}; "
                "compile again, unless the change is for another model only, as in a GAN"
            )
        if self.optimizer_fields is None and not self.config.optimizer.full_batch:
            self.optimizer_fields = vars(self.config.optimizer)

    # Single steps: the core calls these methods ---------------------------------------------------------------------------------

    def rate(self, step: int) -> float:
        """Return the learning rate of an update."""
        lr = self.config.optimizer.lr
        if type(lr) is float:  # nearly always
            return lr
        return float(learning_rates(lr, step, 1)[0]) if callable(lr) else float(lr)

    def reset_sums(self) -> Sums:
        """Return the sums, cleared for another step."""
        if self._sums is None or self.has_python_metrics:  # metrics in Python need new states
            self._sums = self.config.sums(at_once=True, keeps=self.config.ranks is not None)
        elif not self.no_metrics:
            for each in self._sums:
                if each is not None:
                    each.fill(0.0)
        return self._sums

    def batch_result(self, loss: float, sums: Sums, return_dict: bool) -> Any:
        """Return the result of train_on_batch for a step."""
        return results(self.config.logs(loss, sums), return_dict)

    def step(self, network: Network, data: Data, return_dict: bool) -> Any:
        """Run one step on bound data and return the result of train_on_batch. The caller holds the network's training lock."""
        self._lr[0] = self.rate(network.plan.step)
        sums = self.reset_sums()
        network.plan.train(data.x, data.y, data.weight, None, data.rows, 0, 1, self._lr, self._loss, sums, data.lengths)
        return self.batch_result(self._loss.item(), sums, return_dict)


# The trainer of a network --------------------------------------------------------------------------------------------------------


def require_trainer(network: Network, what: str) -> Trainer:
    """Return the trainer of the network, for a method of the model. Raise NotCompiledError if there is none."""
    plan = network.plan
    trainer: Trainer | None = plan.trainer
    if trainer is None:
        raise NotCompiledError(f"{what} needs a loss and an optimizer: call model.compile(loss=..., optimizer=...) first")
    if what in ("fit", "train_on_batch", "apply_gradients"):
        if plan.averaged:
            raise ArgumentError(f"{what}: the weights are replaced by their average; train outside of averaged_weights()")
        if trainer.optimizer.full_batch and what != "fit":
            raise ArgumentError(f"{what}: {type(trainer.optimizer).__name__} needs the loss of all data at once; use fit")
        if trainer.is_outdated and plan.is_compiled:
            trainer.remind(network, what)
    return trainer if plan.is_compiled or not network.built else ensure_compiled(network)


def ensure_compiled(network: Network) -> Trainer:
    """Return the trainer, after compiling the plan for it. Another thread may have done that already."""
    with network.access.changing(patient=True):
        if not network.plan.is_compiled:
            carried = network.plan.carried()  # by forward passes in training mode, which build a model and do not compile it
            Trainer(network.plan.trainer.config).attach(network)
            if carried is not None:
                network.plan.carry_on(carried)
        trainer: Trainer = network.plan.trainer
        return trainer


def ensure_same_config(network: Network, config: Configuration) -> None:
    """Ensure that the plan is compiled with this configuration. Another thread may have built the model again.

    Raises
    ------
    ConcurrentUseError
        The model has been compiled again, with another configuration.
    """
    trainer: Trainer | None = network.plan.trainer
    if trainer is None or trainer.config is not config:
        raise ConcurrentUseError(
            "the model has been compiled again during this call, by another thread or a callback; set "
            "model.stop_training, and compile and call again when it has ended"
        )
    if not network.plan.is_compiled:
        ensure_compiled(network)


def ensure_ready(network: Network, config: Configuration, data: Data) -> None:
    """Ensure that the plan has this configuration and takes data of these shapes. The caller holds the network's lock."""
    plan, trainer = network.plan, network.plan.trainer
    if plan.is_compiled and trainer.config is config and (plan.built_for == data.shapes or not data.shapes):
        return  # as it nearly always is: a loop asks before each call into the core
    while True:  # waiting for a change lets other threads in, which may change the configuration or the shapes again
        ensure_same_config(network, config)
        network.ensure_shapes(data.shapes)
        if network.plan.is_compiled and network.plan.trainer.config is config:
            return
