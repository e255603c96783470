"""Single training steps on data that need conversion, and the update for training loops written by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .._checks import flag
from ..data import ClassWeight
from ..network.features import remember_columns
from .binding import apply_class_weight, bind_batch
from .ranks import batches as ranks
from .trainer import Trainer, require_trainer

if TYPE_CHECKING:
    from ..network.network import Network


def train_on_batch(
    network: Network, x: Any, y: Any, sample_weight: Any, class_weight: ClassWeight, return_dict: Any, lengths: Any
) -> Any:
    """Do one training step on a batch; see `Model.train_on_batch`."""
    return_dict = flag("train_on_batch", "return_dict", return_dict)
    with network.access.training():
        config = require_trainer(network, "train_on_batch").config
        data = bind_batch(network, config, x, y, sample_weight, lengths)
        remember_columns(network, x)
        data = apply_class_weight(config, data, None, class_weight, network.dtype)
        trainer: Trainer = network.plan.trainer  # read now, because binding the data may have built the network again
        if trainer.config.ranks is not None:
            with trainer.config.ranks.ending():
                return ranks.step(trainer, network, data, return_dict)
        return trainer.step(network, data, return_dict)


def apply_gradients(network: Network) -> None:
    """Update the parameters with the optimizer, using the current gradients; see `Model.apply_gradients`."""
    with network.access.training():
        plan = network.plan
        trainer: Trainer | None = plan.trainer
        if (
            trainer is None or trainer.optimizer_fields is None or plan.averaged or not plan.is_compiled
        ):  # a loop finds none of these
            trainer = require_trainer(network, "apply_gradients")
        if trainer.config.distributed is None or trainer.config.ranks is None:
            plan.apply_gradients(trainer.rate(plan.step))
            return
        with trainer.config.ranks.ending():
            ranks.sum_gradients(trainer, network)
            plan.apply_gradients(trainer.rate(plan.step))
            ranks.average(trainer, network, 1)
