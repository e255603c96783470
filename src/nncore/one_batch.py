"""One step on one batch: what train_on_batch prepares once, so that a call costs a few microseconds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .compiled import Compiled, results
from .schedules import learning_rates

if TYPE_CHECKING:
    from .model import Model

_INT64, _UINT64 = np.dtype(np.int64), np.dtype(np.uint64)


class OneBatch:
    """What train_on_batch prepares once: buffers, and what may pass unchecked."""

    def __init__(self, model: Model, config: Compiled) -> None:
        self.config = config
        self.lr, self.loss, self.sums = np.empty(1), np.empty(1), config.sums()
        self.plain = all(each is None for each in self.sums)
        single = len(config.losses) == 1 and len(model.input_shapes) == 1 and not config.check_finite
        self.dtype, self.shape = model.dtype, model.input_shapes[0]
        self.form = config.losses[0].targets if single else "none"
        self.columns = config.columns[0]
        self.column = (self.columns,)

    def takes(self, x: Any, y: Any) -> bool:
        """Whether the core can read x and y as they are."""
        if x.__class__ is not np.ndarray or y.__class__ is not np.ndarray or x.dtype is not self.dtype or x.shape[1:] != self.shape:
            return False
        if len(x) != len(y) or not len(x) or not x.flags.c_contiguous or not y.flags.c_contiguous:
            return False
        form = self.form
        if form == "classes":
            # Seen as unsigned, a negative index is a huge one.
            return y.ndim == 1 and y.dtype is _INT64 and int(np.maximum.reduce(y.view(_UINT64))) < self.columns
        if y.dtype is not self.dtype or y.shape[1:] != self.column:
            return False
        return form == "values" or (form == "probabilities" and y.min() >= 0 and y.max() <= 1)

    def step(self, model: Model, x: list[np.ndarray], y: list[np.ndarray], weight: np.ndarray | None, return_dict: bool) -> Any:
        """Do one step; return what train_on_batch returns."""
        lr = self.config.optimizer.lr
        self.lr[0] = learning_rates(lr, model.step, 1)[0] if callable(lr) else lr
        if self.plain:
            model._train(x, y, weight, None, len(x[0]), 0, 1, self.lr, self.loss, self.sums)
            loss = self.loss.item()
            return {"loss": loss} if return_dict else loss
        for each in self.sums:
            if each is not None:
                each.fill(0.0)
        model._train(x, y, weight, None, len(x[0]), 0, 1, self.lr, self.loss, self.sums)
        return results(self.config.logs(self.loss.item(), self.sums), return_dict)
