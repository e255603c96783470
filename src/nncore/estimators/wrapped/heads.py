"""Heads: how the last layer of a network, the loss and the targets fit together, and what turns outputs into predictions."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ... import losses
from ...errors import ShapeError
from .. import links
from ..targets import Labels


class Head(NamedTuple):
    """What an estimator knows of the end of its network."""

    loss: Any  #: for compile
    form: str  #: of the targets: "index" (class numbers), "columns" (of 0 and 1), or "numbers"
    units: int  #: the number of outputs
    link: str = ""  #: what makes probabilities of the outputs: "sigmoid", "softmax", or "" for nothing
    threshold: float = 0.5  #: outputs above it mean the second class, or that a label is given
    has_probabilities: bool = True


def units_for(loss: Any, targets: int) -> int:
    """Return the number of outputs that a regression of so many targets needs."""
    made = None if isinstance(loss, str) and loss == "auto" else losses.get(loss)
    if isinstance(made, losses.Quantile) and isinstance(made.quantile, tuple) and targets == 1:
        return len(made.quantile)
    return 2 * targets if made is not None and made.targets == "halved" else targets


def last_layer(model: Any, output: int = 0) -> str:
    """Return the last layer with parameters, or the name of one of several outputs, for messages."""
    if len(model.output_names) > 1:
        return f"output {model.output_names[output]!r}"
    layers = model.layers
    index = max((i for i, layer in enumerate(layers) if layer.may_have_parameters()), default=len(layers) - 1)
    return f"{model._network.connections.layer_name(index)}, {layers[index]!r},"


def outputs_of(owner: str, model: Any, what: str, wanted: tuple[int, ...] | None, output: int | None = None) -> tuple[int, ...]:
    """Return the shape of an output for one sample, or raise ShapeError unless it is the wanted one (None: any vector)."""
    shapes = model.output_shapes
    if len(shapes) != 1 and output is None:
        raise ShapeError(
            f"{owner}: the model has {len(shapes)} outputs ({', '.join(model.output_names)}), but {what}; one output is needed"
        )
    shape: tuple[int, ...] = tuple(shapes[output or 0])
    if len(shape) == 1 if wanted is None else shape == wanted:
        return shape
    needed = "a vector for each sample is" if wanted is None else f"{_rows(wanted)} is"
    hint = ""
    if len(shape) > len(wanted or (0,)):
        hint = "; put nn.LastStep(), nn.GlobalAveragePooling1D() or nn.Flatten() before it, or leave return_sequences out"
    raise ShapeError(f"{owner}: {last_layer(model, output or 0)} gives {_rows(shape)}, but {what}, so {needed} needed{hint}")


def _rows(shape: tuple[int, ...]) -> str:
    return f"({', '.join(['N', *map(str, shape)])}{'' if shape else ','})"


def of_classes(owner: str, model: Any, loss: Any, targets: Labels, output: int | None = None) -> Head:
    """Return the head of a classifier. output: the number of the output, if there are several.

    Raises
    ------
    ShapeError
        The last layer does not have one output per class (of two classes also one), or its activation does not fit.
    """
    units = outputs_of(owner, model, "y has class labels", None, output)[0]
    one = "y" if output is None else f"column {output} of y"
    kinds = {"binary": f"{one} has two classes", "multiclass": f"{one} has {targets.columns} classes", "multilabel": "y has labels"}
    if units != targets.columns and not (targets.kind == "binary" and units == 2):
        outputs_of(owner, model, f"{kinds[targets.kind]} in {targets.columns} columns" if targets.kind == "multilabel"
                   else kinds[targets.kind], (targets.columns,), output)  # fmt: skip
    separate = targets.kind == "multilabel" or units == 1
    activation = model._network.output_activations[output or 0][0]
    wrong, right = ("softmax", "Sigmoid") if separate else ("sigmoid", "Softmax")
    if activation == wrong and (units > 1 or separate):
        said = "sum to 1 over the outputs" if separate else "do not sum to 1 over the classes"
        last = (
            f"{last_layer(model, output)}, a {activation.title()},"
            if output is not None
            else f"the last layer, {model.layers[-1]!r},"
        )
        raise ShapeError(
            f"{owner}: the probabilities of {last} {said}, but {kinds[targets.kind]} and the layer "
            f"{units} output{'s' if units > 1 else ''}; use nn.{right}(), or no activation"
        )
    made = _loss_of_classes(loss, separate, activation in ("sigmoid", "softmax"))
    form = "index" if made.targets == "classes" else "columns"
    has_margins = links.is_margin(made)
    if activation in ("sigmoid", "softmax"):
        return Head(made, form, units, "", 0.5, not has_margins)
    if made.targets == "values" and not isinstance(made, losses.PythonLoss):  # a regression on 0 and 1
        return Head(made, form, units, "", 0.5, False)
    return Head(made, form, units, "" if has_margins else "sigmoid" if separate else "softmax", 0.0, not has_margins)


def _loss_of_classes(loss: Any, separate: bool, has_activation: bool) -> Any:
    if isinstance(loss, str) and loss == "auto":
        loss = "binary_crossentropy" if separate else "sparse_categorical_crossentropy"
    made = losses.get(loss)
    if isinstance(loss, str) and isinstance(made, losses.Crossentropy) and not has_activation:
        made = type(made)(from_logits=True)
    return made


def of_numbers(owner: str, model: Any, loss: Any, shape: tuple[int, ...], output: int | None = None) -> Head:
    """Return the head of a regressor. shape: that of the targets of one row, (columns,) or (time, columns)."""
    made = losses.get("mean_squared_error" if isinstance(loss, str) and loss == "auto" else loss)
    what = f"y has the shape {_rows(shape if shape != (1,) else ())}"
    if made.targets == "repeated":  # quantiles: several numbers for one target
        found = outputs_of(owner, model, what, None, output) if len(shape) == 1 else model.output_shapes[output or 0]
        return Head(made, "numbers", found[-1])
    *lines, columns = shape
    wanted = (*lines, 2 * columns) if made.targets == "halved" else shape
    if made.targets == "halved":
        what += f" and {made.name} needs means and variances"
    return Head(made, "numbers", outputs_of(owner, model, what, tuple(wanted), output)[-1])


def encoded(head: Head, targets: Labels, y: Any) -> np.ndarray:
    """Return the targets of a classifier as its network is trained on them."""
    if targets.kind == "binary" and head.units == 2:
        index = targets.index(y)
        return index if head.form == "index" else index[:, None] == np.arange(2)
    return targets.encode(y, "index" if head.form == "index" else "columns")


def labels(head: Head, targets: Labels, outputs: np.ndarray) -> Any:
    """Return the labels that outputs stand for."""
    if targets.kind == "binary" and head.units == 2:
        return targets.classes.take(outputs.argmax(axis=1), mode="clip")
    return targets.decode(outputs, head.threshold)


def probabilities(head: Head, targets: Labels, outputs: np.ndarray) -> np.ndarray:
    """Return [N, classes]."""
    if head.link:
        outputs = links.probabilities(head.link, outputs)
    return outputs if head.units > 1 or targets.kind == "multilabel" else targets.probabilities(outputs)
