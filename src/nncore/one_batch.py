"""One step on one batch: what train_on_batch prepares once, so that a call costs a few microseconds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ._core import step_batch
from .compiled import Compiled, Sums, results
from .schedules import learning_rates

if TYPE_CHECKING:
    from .assembly import Assembly
    from .binding import Data


class OneBatch:
    """What train_on_batch prepares once: buffers, and what may pass unchecked."""

    def __init__(self, model: Assembly, config: Compiled) -> None:
        self.config = config
        self.lr, self.loss = np.empty(1), np.empty(1)
        self.sums: Sums | None = None  # made by the first step: those of many classes are large
        self.plain = not config.parts and all(each.kind == "none" for each in config.statistics)
        self.watched = any(each.called for each in config.statistics)
        single = len(config.losses) == 1 and len(model.input_shapes) == 1 and not config.check_finite
        self.form = config.losses[0].targets if single else "other"
        self.bare = self.plain and not self.watched  # the loss is all there is to return
        self.settings = vars(config.optimizer)

    def quick(self, model: Any, x: Any, y: Any, return_dict: bool) -> Any:
        """Do one step where the core can read x and y as they are; return what train_on_batch returns, or None.

        The core looks whether this is still what the model has prepared: another thread may have compiled it meanwhile.
        """
        rate = self.settings["_lr"]  # optimizer.lr is a property, and a call of it costs as much as a layer
        if callable(rate):
            rate = learning_rates(rate, model.step, 1)[0]
        return step_batch(model, self, x, y, rate, return_dict)

    def told(self, loss: float, sums: Sums, return_dict: bool) -> Any:
        """Return what train_on_batch returns of a step."""
        return results(self.config.logs(loss, sums), return_dict)

    def step(self, model: Assembly, data: Data, return_dict: bool) -> Any:
        """Do one step; return what train_on_batch returns. The model has been entered for training."""
        lr = self.config.optimizer.lr
        self.lr[0] = learning_rates(lr, model.step, 1)[0] if callable(lr) else lr
        sums = self.cleared()
        model._train(data.x, data.y, data.weight, None, data.rows, 0, 1, self.lr, self.loss, sums, data.lengths)
        return self.told(self.loss.item(), sums, return_dict)

    def cleared(self) -> Sums:
        """Return the sums for another step."""
        if self.sums is None or self.watched:  # a metric in Python begins anew
            self.sums = self.config.sums()
        elif not self.plain:
            for each in self.sums:
                if each is not None:
                    each.fill(0.0)
        return self.sums
