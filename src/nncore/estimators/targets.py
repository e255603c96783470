"""Targets: from what users pass as y to what a network is trained on, and back from outputs to predictions.

An object of this module is made from the first y and kept by the estimator. `encode` checks later ones against it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Literal

import numpy as np

from ._sklearn import check_classification_targets, column_or_1d, type_of_target, unique_labels

Form = Literal["index", "columns"]


def dense(y: Any) -> np.ndarray:
    """Return an array of targets that may be sparse."""
    return np.asarray(y.toarray() if hasattr(y, "toarray") else y)


def without_column(y: np.ndarray) -> np.ndarray:
    """Return y [N] of a single column [N, 1], with scikit-learn's warning; anything else as it is."""
    found: np.ndarray = column_or_1d(y, warn=True) if y.ndim == 2 and y.shape[1] == 1 else y
    return found


class Targets(ABC):
    """What is known of the targets.

    Attributes
    ----------
    columns : int
        The number of outputs that a network needs for them.
    """

    columns: int

    @abstractmethod
    def encode(self, y: Any, form: Form) -> np.ndarray:
        """Return the targets for a network."""

    @abstractmethod
    def decode(self, outputs: np.ndarray) -> Any:
        """Return predictions in the form of the first y."""


class Numbers(Targets):
    """Targets of regression: one number per row, or several.

    Parameters
    ----------
    y : numpy.ndarray
        [N] or [N, outputs].
    """

    def __init__(self, y: np.ndarray) -> None:
        self.columns = 1 if y.ndim == 1 else y.shape[1]

    def encode(self, y: np.ndarray, form: Form = "columns") -> np.ndarray:
        """Return [N, outputs]."""
        found = y.reshape(len(y), -1)
        if found.shape[1] != self.columns:
            raise ValueError(f"y has {found.shape[1]} columns, but the estimator was fitted with {self.columns}")
        return found

    def decode(self, outputs: np.ndarray) -> np.ndarray:
        """Return [N], or [N, outputs] if there are several."""
        return outputs.reshape(-1) if self.columns == 1 else outputs


class Labels(Targets):
    """Class labels of any type: two classes, several, or several at once (a matrix of 0 and 1, dense or sparse).

    Parameters
    ----------
    y : array_like
        [N], or [N, labels] of 0 and 1.
    classes : array_like, optional
        All classes, if y need not have every one; of several labels at once the numbers of the columns.

    Attributes
    ----------
    kind : {"binary", "multiclass", "multilabel"}
        A single class counts as "binary".
    classes : numpy.ndarray
        The sorted classes; of several labels at once the numbers of the columns.
    columns : int
        1 for "binary", else the number of classes.
    """

    def __init__(self, y: Any, classes: Any = None) -> None:
        check_classification_targets(y)
        found = type_of_target(y, input_name="y")
        if found == "multiclass-multioutput":
            raise ValueError("Multioutput target data is not supported with label binarization")
        self.is_sparse = hasattr(y, "toarray")
        is_multilabel = found.startswith("multilabel")
        self.classes: np.ndarray = unique_labels(y if classes is None else classes)
        if not len(self.classes):
            raise ValueError("y has 0 samples: " + repr(y))
        if is_multilabel and classes is not None and len(np.setdiff1d(unique_labels(y), self.classes)):
            raise ValueError(
                f"`y` has classes not in `self.classes_`. `self.classes_` has {self.classes}. 'y' has {unique_labels(y)}, the "
                "numbers of its columns."
            )
        self.kind = "multilabel" if is_multilabel else "multiclass" if len(self.classes) > 2 else "binary"
        self.columns = np.shape(y)[1] if is_multilabel else 1 if self.kind == "binary" else len(self.classes)

    def encode(self, y: Any, form: Form) -> np.ndarray:
        """Return class numbers [N], int64, for ``form="index"``; else [N, columns] of 0 and 1, bool."""
        if self.kind == "multilabel":
            matrix: np.ndarray = dense(y).astype(bool)
            return matrix
        index = self.index(y)
        if form == "index":
            return index
        if self.kind == "binary":
            found: np.ndarray = index[:, None] == 1
        else:
            found = index[:, None] == np.arange(len(self.classes))
        return found

    def index(self, y: Any) -> np.ndarray:
        """Return the numbers of the classes, [N]. Raise ValueError if there is another label."""
        y = dense(y).reshape(-1)
        index: np.ndarray = np.searchsorted(self.classes, y)
        known = self.classes.take(index, mode="clip") == y
        if not np.all(known):
            others = unique_labels(y[~known])
            raise ValueError(f"`y` has classes not in `self.classes_`. `self.classes_` has {self.classes}. 'y' has {others}.")
        return index

    def decode(self, outputs: np.ndarray, threshold: float = 0.5) -> Any:
        """Return labels [N]; of several at once a matrix of 0 and 1, sparse if the first y was."""
        if self.kind == "multiclass":
            return self.classes.take(outputs.argmax(axis=1))
        chosen = outputs > threshold
        if self.kind == "binary":
            return self.classes.take(chosen.reshape(-1).astype(np.intp), mode="clip")
        if self.is_sparse:
            from scipy.sparse import csr_matrix

            return csr_matrix(chosen.astype(int))
        return chosen.astype(int)

    def probabilities(self, outputs: np.ndarray) -> np.ndarray:
        """Return [N, classes] from the probabilities that a network gives."""
        if self.kind != "binary":
            return outputs
        found = np.empty((len(outputs), 2), outputs.dtype)
        found[:, 1] = outputs[:, 0]
        np.subtract(1, outputs[:, 0], out=found[:, 0])
        return found


class Columns:
    """Several columns of labels, each with classes of its own.

    Parameters
    ----------
    y : numpy.ndarray
        [N, columns].
    classes : list of array_like, optional
        All classes of each column.

    Attributes
    ----------
    each : list of Labels
    columns : list of int
        The number of outputs that a network needs for each.
    classes : list of numpy.ndarray
    """

    kind = "columns"

    def __init__(self, y: np.ndarray, classes: Any = None) -> None:
        classes = [None] * y.shape[1] if classes is None else list(classes)
        if len(classes) != y.shape[1]:
            raise ValueError(f"y has {y.shape[1]} columns; classes must be a list with the classes of each, not {classes!r}")
        self.each = [Labels(*one) for one in zip(y.T, classes, strict=True)]
        self.columns, self.classes = [one.columns for one in self.each], [one.classes for one in self.each]

    def index(self, y: np.ndarray) -> list[np.ndarray]:
        """Return the numbers of the classes, [N] for each column. Raise ValueError if there is another label."""
        if y.ndim != 2 or y.shape[1] != len(self.each):
            raise ValueError(f"y has the shape {y.shape}, but the estimator was fitted with {len(self.each)} columns of labels")
        return [one.index(column) for one, column in zip(self.each, y.T, strict=True)]


def are_columns(y: Any, classes: Any = None) -> bool:
    """Return whether y has several columns of labels, or ``classes`` says so."""
    if getattr(y, "ndim", 1) != 2:
        return False
    return bool(classes is not None and len(classes) and np.ndim(classes[0])) or type_of_target(y) == "multiclass-multioutput"
