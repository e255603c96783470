"""Base of all layers with weight matrices: their penalties, and a limit for the norm of the weights into one unit.

The layer stores only the strengths. The core computes the sums, their gradients and the limit in each step
(csrc/ops/optimizers/regularization.c).
"""

from __future__ import annotations

from typing import Any, ClassVar, TypedDict

from .._checks import real
from ..records import ParameterOptions
from .base import Layer

#: `repr` omits arguments with these values.
NO_PENALTIES: dict[str, object] = {"l1": None, "l2": None, "max_norm": None}


class Regularized(Layer):
    """Base of the layers with ``l1``, ``l2`` and ``max_norm``. They apply to the parameters for which `Layer.is_weight_matrix` is
    true."""

    mutable: ClassVar[tuple[str, ...]] = ("trainable", *NO_PENALTIES)

    l1: float | None
    l2: float | None
    max_norm: float | None

    def options(self, role: str) -> ParameterOptions:
        if not self.is_weight_matrix(role):
            return ParameterOptions(trainable=self.trainable)
        return ParameterOptions(trainable=self.trainable, l1=self.l1, l2=self.l2, max_norm=self.max_norm or 0.0)

    def _check_mutable(self, name: str, value: Any) -> Any:
        return checked(type(self).__name__, name, value) if name in NO_PENALTIES else super()._check_mutable(name, value)


def checked(owner: str, name: str, value: Any) -> float | None:
    """Return one of the three arguments, or raise ArgumentError."""
    return None if value is None else real(owner, name, value, 0.0, open_low=name == "max_norm")


class Penalties(TypedDict):
    """The three arguments by name."""

    l1: float | None
    l2: float | None
    max_norm: float | None


def all_checked(owner: str, l1: Any, l2: Any, max_norm: Any) -> Penalties:
    """Return the three arguments."""
    return {"l1": checked(owner, "l1", l1), "l2": checked(owner, "l2", l2), "max_norm": checked(owner, "max_norm", max_norm)}
