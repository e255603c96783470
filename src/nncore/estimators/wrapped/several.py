"""Networks with several inputs and outputs: which columns of X and y are theirs."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from ... import losses
from ...errors import ArgumentError, ShapeError
from ..targets import Columns, Labels, dense
from . import heads
from .heads import Head


class Several(NamedTuple):
    """The heads of a network, in its order."""

    heads: tuple[Head, ...]
    targets: tuple[Any, ...]  #: for each the `Labels`, or the slice of the columns of y

    @property
    def loss(self) -> list[Any]:
        """The losses for compile."""
        return [each.loss for each in self.heads]

    @property
    def has_probabilities(self) -> bool:
        """Whether all heads have."""
        return all(each.has_probabilities for each in self.heads)


def dealt(owner: str, model: Any, x: np.ndarray) -> Any:
    """Return the columns of X for each input of a network, in order. A single input gets all."""
    shapes = model.input_shapes
    if len(shapes) == 1:
        return x
    widths = [shape[-1] if shape else 1 for shape in shapes]
    if sum(widths) != x.shape[-1]:
        raise ShapeError(
            f"{owner}: the inputs of the model have {_sum(widths)} columns, but X has {x.shape[-1]}; they get the columns of X in "
            "order"
        )
    parts = np.split(x, np.cumsum(widths)[:-1], axis=-1)
    return [part if shape else part[..., 0] for part, shape in zip(parts, shapes, strict=True)]


def _sum(widths: list[int]) -> str:
    return f"{' + '.join(map(str, widths))} = {sum(widths)}"


def losses_of(owner: str, loss: Any, names: list[str]) -> list[Any]:
    """Return the loss of each output: of a list, of a dict by names, or the same for all."""
    if isinstance(loss, Mapping) and {*loss} == {*names}:
        return [loss[name] for name in names]
    if isinstance(loss, list | tuple) and len(loss) == len(names):
        return list(loss)
    if isinstance(loss, Mapping | list | tuple):
        raise ArgumentError(f"{owner}: loss must be one for all outputs, or one for each of {names}, not {loss!r}")
    return [loss] * len(names)


def of_classes(owner: str, model: Any, loss: Any, targets: Labels | Columns) -> Head | Several:
    """Return the head or the heads of a classifier. Of several, each has a column of labels, or as many columns of 0 and 1 as it is
    wide.

    Raises
    ------
    ShapeError
        The outputs do not fit the labels.
    """
    names, shapes = model.output_names, model.output_shapes
    given = losses_of(owner, loss, names)
    if isinstance(targets, Columns):
        if len(names) != len(targets.each):
            raise ShapeError(
                f"{owner}: y has {len(targets.each)} columns of labels, and each needs an output of the model, with "
                f"{targets.columns} units; the model has {len(names)} ({', '.join(names)})"
            )
        each: list[Any] = targets.each
    elif len(names) == 1 or targets.kind != "multilabel":
        return heads.of_classes(owner, model, given[0], targets)
    else:
        each = [copy.copy(targets) for _ in names]
        for one, shape in zip(each, shapes, strict=True):
            one.columns = shape[-1] if shape else 1
        slices_of(owner, [one.columns for one in each], targets.columns)
    return Several(tuple(heads.of_classes(owner, model, *at, k) for k, at in enumerate(zip(given, each, strict=True))), tuple(each))


def of_numbers(owner: str, model: Any, loss: Any, shape: tuple[int, ...]) -> Head | Several:
    """Return the head or the heads of a regressor. Of several, each has as many columns of y as it is wide."""
    names = model.output_names
    given = losses_of(owner, loss, names)
    if len(names) == 1:
        return heads.of_numbers(owner, model, given[0], shape)
    ratios = [{"halved": 2, "repeated": 0}.get(losses.get("mse" if one == "auto" else one).targets, 1) for one in given]
    widths = [(out[-1] // ratio if ratio else 1) if out else 0 for out, ratio in zip(model.output_shapes, ratios, strict=True)]
    parts = slices_of(owner, widths, shape[-1])
    made = [
        heads.of_numbers(owner, model, one, (*shape[:-1], width), k)
        for k, (one, width) in enumerate(zip(given, widths, strict=True))
    ]
    return Several(tuple(made), tuple(parts))


def slices_of(owner: str, widths: list[int], columns: int) -> list[slice]:
    """Return which columns of y belong to each output, or raise ShapeError."""
    if sum(widths) != columns:
        raise ShapeError(f"{owner}: the outputs of the model are for {_sum(widths)} columns of y, but y has {columns}")
    ends = np.cumsum(widths).tolist()
    return [slice(end - width, end) for end, width in zip(ends, widths, strict=True)]


def encoded(head: Head | Several, targets: Any, y: Any) -> Any:
    """Return the targets of a network: of several heads a list."""
    if isinstance(head, Head):
        return heads.encoded(head, targets, y)
    y = dense(y)
    if isinstance(targets, Columns):
        columns: Any = y.T
    else:
        columns = [y[:, part] for part in slices_of("", [each.columns for each in head.targets], y.shape[1])]
    return [heads.encoded(*each) for each in zip(head.heads, head.targets, columns, strict=True)]


def labels(head: Head | Several, targets: Any, outputs: Any) -> Any:
    """Return the labels that outputs stand for."""
    if isinstance(head, Head):
        return heads.labels(head, targets, outputs)
    if targets.kind == "multilabel" and targets.is_sparse:
        from scipy.sparse import hstack as join
    else:
        join = np.column_stack
    return join([heads.labels(*each) for each in zip(head.heads, head.targets, outputs, strict=True)])


def probabilities(head: Head | Several, targets: Any, outputs: Any) -> Any:
    """Return [N, classes]; of several columns of labels a list of them."""
    if isinstance(head, Head):
        return heads.probabilities(head, targets, outputs)
    found = [heads.probabilities(*each) for each in zip(head.heads, head.targets, outputs, strict=True)]
    return found if isinstance(targets, Columns) else np.hstack(found)


def scores(head: Head | Several, targets: Any, outputs: Any) -> Any:
    """Return the outputs for margins, [N] or [N, classes]; of several columns of labels a list of them."""
    if isinstance(head, Several):
        found = [scores(*each) for each in zip(head.heads, head.targets, outputs, strict=True)]
        return found if isinstance(targets, Columns) else np.hstack(found)
    if targets.kind != "binary":
        return outputs
    return outputs[:, 0] - head.threshold if head.units == 1 else outputs[:, 1] - outputs[:, 0]


def numbers(head: Head | Several, outputs: Any) -> np.ndarray:
    """Return predictions [N, ..., columns]: the means, of a loss that has variances."""
    if isinstance(head, Several):
        return np.concatenate([numbers(*each) for each in zip(head.heads, outputs, strict=True)], axis=-1)
    found: np.ndarray = outputs[..., : outputs.shape[-1] // 2] if head.loss.targets == "halved" else outputs
    return found
