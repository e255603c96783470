"""Entries of the operators that skl2onnx writes for estimators of scikit-learn: linear models, selections and norms of rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .... import layers
from .elementwise import linear
from .interpret import Entry, constant, tensor
from .rows import normalized
from .values import Refusal, Tensor, Unreadable
from .views import on_elements, on_last, selected

if TYPE_CHECKING:
    from .graph import Node
    from .interpret import Reading


def _features(r: Reading, node: Node, values: list[Any]) -> Tensor:
    """Columns, such as those that each part of a ColumnTransformer takes."""
    t = tensor(values[0])
    return selected(r, t._replace(product=None), -1, [int(i) for i in constant(values[1], "what it chooses").reshape(-1)])


def _linear(r: Reading, node: Node, t: Tensor, rows: int) -> Tensor:
    weight = np.array(node.attributes.get("coefficients", ())).reshape(rows, -1)
    intercepts = node.attributes.get("intercepts")
    return linear(r, t, weight, np.array(intercepts) if intercepts else None, ())


def _transformed(r: Reading, t: Tensor, transform: str, given: tuple[str, ...]) -> Tensor:
    """Apply what an operator does to its scores."""
    if transform not in given:
        raise Refusal(f"post_transform={transform!r}; nncore has {', '.join(given)}")
    if transform == "SOFTMAX":
        return on_last(r, t, layers.Softmax())
    return on_elements(r, t, layers.Sigmoid()) if transform == "LOGISTIC" else t


def _regressor(r: Reading, node: Node, values: list[Any]) -> Tensor:
    found = _linear(r, node, tensor(values[0]), int(node.attributes.get("targets", 1)))
    return _transformed(r, found, node.attributes.get("post_transform", "NONE"), ("NONE", "LOGISTIC", "SOFTMAX"))


def _classifier(r: Reading, node: Node, values: list[Any]) -> list[Any]:
    """Scores or probabilities of classes. Labels are left out. A model of two classes may have one row: scores [1 - s, s]."""
    t, labels = tensor(values[0]), [*node.attributes.get("classlabels_ints", ()), *node.attributes.get("classlabels_strings", ())]
    columns, count = t.shape[-1].known, len(node.attributes.get("coefficients", ()))
    if not columns or not count or count % columns or (rows := count // columns) not in (1, len(labels)):
        raise Refusal(f"it has {count} coefficients for {columns} columns and {len(labels)} classes")
    is_single = rows == 1 and len(labels) == 2
    transforms = ("NONE", "LOGISTIC") if is_single else ("NONE", "LOGISTIC", "SOFTMAX")
    found = _transformed(r, _linear(r, node, t, rows), node.attributes.get("post_transform", "NONE"), transforms)
    if is_single:
        other = on_elements(r, found, layers.Rescaling(-1.0, 1.0))
        dims = (*found.dims[:-1], found.dims[-1]._replace(factor=2))
        found = Tensor(r.apply(layers.Concatenate(-1), other.value, found.value), dims, found.axes)
    return [Unreadable(node, "it makes labels"), found]


def _support_vectors(r: Reading, node: Node, values: list[Any]) -> Tensor:
    """A regression by support vectors with a linear kernel is a linear one."""
    kernel, given = node.attributes.get("kernel_type", "LINEAR"), node.attributes
    if kernel != "LINEAR" or given.get("one_class") or given.get("post_transform", "NONE") != "NONE":
        raise Refusal(f"kernel_type={kernel!r}: nncore's layers are those of the linear kernel")
    count = int(given.get("n_supports", 0))
    factors, vectors = np.array(given["coefficients"]), np.array(given.get("support_vectors", ()))
    weight = factors[None] if not count else factors[None] @ vectors.reshape(count, -1)
    return linear(r, tensor(values[0]), weight, np.array(given.get("rho", (0.0,))), ())


def _normalizer(r: Reading, node: Node, values: list[Any]) -> Tensor:
    """Rows by their norm. The sum of what Softmax gives is 1; Sigmoid by its sum is the Softmax of LogSigmoid."""
    t, norm = tensor(values[0]), node.attributes.get("norm", "MAX")
    if norm == "L2":
        return normalized(r, t, None, 1e-12)
    made = t.value.node
    if norm == "L1" and made is not None and isinstance(made.layer, layers.Softmax):
        return t
    if norm == "L1" and made is not None and isinstance(made.layer, layers.Sigmoid):
        return on_last(r, on_elements(r, t._replace(value=made.inputs[0]), layers.LogSigmoid()), layers.Softmax())
    raise Refusal(f"norm={norm!r}: of norms of rows nncore has 'L2', and 'L1' after Softmax and Sigmoid")


def _binarizer(r: Reading, node: Node, values: list[Any]) -> Tensor:
    return on_elements(r, tensor(values[0]), layers.Step(float(node.attributes.get("threshold", 0.0))))


def _refused(reason: str) -> Entry:
    def entry(r: Reading, node: Node, values: list[Any]) -> Any:
        raise Refusal(reason)

    return entry


_CATEGORIES = "it turns categories into numbers; do that with the data, and export the steps behind it"
_TREES = "trees are no layers"

ENTRIES: dict[str, Entry] = {
    f"ai.onnx.ml.{kind}": entry
    for kind, entry in {
        "ArrayFeatureExtractor": _features,
        "Binarizer": _binarizer,
        "Imputer": _refused("it replaces missing values; do that with the data, and export the steps behind it"),
        "LabelEncoder": _refused(_CATEGORIES),
        "LinearClassifier": _classifier,
        "LinearRegressor": _regressor,
        "Normalizer": _normalizer,
        "OneHotEncoder": _refused(_CATEGORIES),
        "SVMRegressor": _support_vectors,
        "TreeEnsembleClassifier": _refused(_TREES),
        "TreeEnsembleRegressor": _refused(_TREES),
    }.items()
}
