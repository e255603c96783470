"""What outputs and targets mean to metrics: classes, labels that are predicted one by one, or a single decision."""

from __future__ import annotations

from typing import Literal, NamedTuple

_UNIT = ("sigmoid", "softmax", "step")
_ODD = ("tanh", "softsign", "hardtanh")

#: "classes": each row has one of several classes. "labels": each column is a decision of its own. "decision": there is one column.
Meaning = Literal["classes", "labels", "decision"]


class Task(NamedTuple):
    """An output as metrics see it.

    Parameters
    ----------
    targets : str
        The form of the targets that the loss takes; see data/targets.py.
    columns : int
        Width of the output.
    from_logits : bool
        Whether the output holds logits.
    activation : str
        The activation that computes the output.
    """

    targets: str
    columns: int
    from_logits: bool = False
    activation: str = ""

    @property
    def meaning(self) -> Meaning:
        """What a row of the output says. Of numbers in several columns, the largest one counts."""
        if self.targets in ("classes", "one_hot") or (self.targets == "values" and self.columns > 1):
            return "classes"
        return "labels" if self.columns > 1 else "decision"

    @property
    def classes(self) -> int:
        """The number of classes, or 2 if each column is a yes or no."""
        return self.columns if self.meaning == "classes" else 2

    def thresholds(self, given: float | None) -> tuple[float, ...]:
        """Return the threshold above which the output says yes: the given one, 0.5 for probabilities, 0 for logits and where the
        targets are -1/+1. There are two, (0.5, 0), if only the targets can tell whether they are 0/1 or -1/+1."""
        if given is not None:
            return (given,)
        if self.from_logits:
            return (0.0,)
        if self.activation in _UNIT or self.targets == "probabilities":
            return (0.5,)
        return (0.0,) if self.targets == "signs" else (0.5, 0.0)

    @property
    def is_odd(self) -> bool:
        """Whether the output runs from -1 to 1, so that targets are more likely to be -1/+1 than 0/1."""
        return self.activation in _ODD
