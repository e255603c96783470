"""A prediction for one row, and the row."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from workloads import Workload


class Predictor:
    """Wraps one call on one row."""

    def __init__(self, call: Callable[[], object], result: Callable[[object], np.ndarray] = np.asarray) -> None:
        self.call, self.result = call, result

    def predict(self) -> np.ndarray:
        return np.asarray(self.result(self.call()), np.float64).ravel()

    def run(self, calls: int) -> int:
        call = self.call
        for _ in range(calls):
            call()
        return calls


def row(work: Workload) -> np.ndarray:
    return np.ascontiguousarray(work.data()[0][:1])
