"""A verdict: one thing that keeps a network from learning, in plain words, with numbers and with a line of code that helps."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from textwrap import fill, wrap
from typing import Any, NamedTuple

#: The severities, from the one that comes first in a report.
SEVERITIES = ("serious", "warning", "note")

#: Every code, with what it means. What causes others comes before what follows from it.
CODES: dict[str, str] = {
    "non_finite_data": "the data contain NaN or infinity",
    "loss_mismatch": "the loss, the last activation and the targets do not belong together",
    "symmetric_weights": "all units of a layer are equal, and stay so",
    "bad_init": "the weights start at 0, or far too small or too large",
    "leakage": "the validation rows are no unseen rows, or an input is the target",
    "labels_unrelated": "the targets have nothing to do with the inputs",
    "targets_unscaled": "the targets have a large or tiny scale",
    "inputs_unscaled": "the inputs have large or very different scales",
    "inputs_constant": "columns of the inputs have one value only",
    "inputs_duplicated": "columns of the inputs repeat one another",
    "frozen_layers": "layers are frozen, perhaps by mistake",
    "batch_too_small": "batches are too small for batch normalisation",
    "padding_dominates": "most time steps are padding, which the net reads as values",
    "lr_too_high": "the learning rate is too high",
    "over_regularised": "penalties or dropout keep the net from learning",
    "exploding_gradient": "the gradient grows from layer to layer, or from step to step",
    "saturated_units": "units sit where their activation is flat",
    "dead_units": "units are 0 for every row, and learn no more",
    "vanishing_gradient": "the gradient hardly reaches the first layers",
    "sequence_too_long": "the gradient of a recurrent layer does not reach the first time steps",
    "lr_too_low": "the learning rate is too low",
    "class_imbalance": "a class is rare, and the net answers with the others",
    "train_inference_gap": "batch normalisation computes something else at inference than in training",
    "underfitting": "the net is too small for the task",
    "overfitting": "the net learns the training rows by heart",
    "healthy": "nothing serious was found",
}


class Verdict(NamedTuple):
    """One finding of `diagnose`.

    Examples
    --------
    >>> import numpy as np
    >>> import nncore as nn
    >>> model = nn.Sequential(nn.Linear(1, 1), seed=0)
    >>> model.compile(loss="mse", optimizer="sgd")
    >>> report = nn.diagnose(model, np.array([[1.0], [np.nan]] * 20), np.ones(40))
    >>> verdict = report.verdicts[0]
    >>> verdict.code, verdict.severity, verdict.where
    ('non_finite_data', 'serious', 'inputs')
    >>> verdict.to_dict()["evidence"]
    {'values': 20, 'rows': 20, 'first at': [1, 0]}
    """

    code: str  #: which one, a key of `CODES`; it stays the same in later versions
    severity: str  #: "serious": the net will hardly learn; "warning": it learns less than it could; "note": good to know
    where: str  #: the layer, such as "layer 0 (Linear)", or "inputs", "targets", "optimizer", "loss", "validation data"
    text: str  #: what was found, in plain words
    reason: str  #: why this matters
    advice: str  #: what to change
    code_line: str  #: the same as a line of code
    evidence: Mapping[str, Any]  #: the numbers behind it, by name

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as a dict, for a log or for JSON."""
        return {**self._asdict(), "evidence": dict(self.evidence)}

    def __str__(self) -> str:
        numbers = ", ".join(f"{name} {shown(value)}" for name, value in self.evidence.items())
        lines = [f"{self.severity} [{self.code}] {self.where}: {self.text}"]
        lines += [f"  evidence: {numbers}"] if numbers else []
        lines += [f"  why: {self.reason}"] if self.reason else []
        lines += [f"  do: {self.advice}"] if self.advice else []
        code = [f"      {line}" for line in _lines_of(self.code_line)]
        return "\n".join([*(wrapped(line, 6) for line in lines), *code])


def _width() -> int:
    """Return the columns of a text: at most 100, or as many as the terminal has, less those of the number of a verdict."""
    return max(40, min(100, shutil.get_terminal_size((100, 24)).columns)) - 4


def wrapped(text: str, indent: int = 0) -> str:
    """Return a text in lines that fit the terminal; those after the first are indented."""
    return fill(text, _width(), subsequent_indent=indent * " ", break_long_words=False, break_on_hyphens=False)


def _lines_of(code: str) -> list[str]:
    """Return code that is too long for one line by statements. One that is longer than any line has breaks within its brackets."""
    lines: list[str] = []
    for each in code.split("; ") if len(code) > _width() - 2 else [code]:
        text, _, comment = each.partition("  # ")
        long = len(each) > 94
        for part, indent in ((text, "    "), (comment and f"# {comment}", "# ")) if long else ((each, ""),):
            lines += wrap(part, 94 if long else 1000, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)
    return lines


def shown(value: Any) -> str:
    """Return a number of the evidence as a short text."""
    if isinstance(value, float):
        return f"{value:.3g}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(shown(each) for each in value[:6]) + (", ...]" if len(value) > 6 else "]")
    return str(value)
