"""Samples: what users pass as X, as one array of rows or of padded sequences, with the valid steps of each sequence."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ...data.preparation import pad_sequences
from ...data.sequences import either
from .._sklearn import FLOATS, check_array, check_consistent_length, check_X_y, validate_data

NO_Y: Any = object()  #: in place of targets, where there are none to check


class Samples(NamedTuple):
    """Checked samples."""

    x: Any  #: [N, features] or [N, time, features], float32 or float64; or rows in CSR
    lengths: Any = None  #: [N], the number of valid steps
    mask: Any = None  #: [N, time], in their place

    @property
    def steps(self) -> dict[str, Any]:
        """The valid steps as arguments of `fit` and `predict`."""
        return {"lengths": self.lengths, "mask": self.mask}


def sequences_in(X: Any) -> list[np.ndarray] | None:
    """Return the sequences of a list of sequences, or None if X is a table or an array."""
    is_list = isinstance(X, list | tuple) or (isinstance(X, np.ndarray) and X.dtype == object and X.ndim == 1)
    if not is_list or not len(X) or not all(hasattr(each, "__len__") and not isinstance(each, str | bytes | dict) for each in X):
        return None
    found = [np.asarray(each.to_numpy() if hasattr(each, "to_numpy") else each) for each in X]
    dims = {each.ndim for each in found}
    if dims == {1}:
        return None if len({len(each) for each in found}) == 1 else found
    return found if dims == {2} else None


def read(own: Any, X: Any, y: Any, lengths: Any, mask: Any, reset: bool, **checks: Any) -> tuple[Samples, Any]:
    """Return samples and targets, checked as scikit-learn does.

    Sets ``n_features_in_`` of the estimator and, for frames, ``feature_names_in_``, or compares with them if not ``reset``. The
    features of sequences are those of a step. If rows are sequences, a row of numbers is a sequence with one feature.

    Parameters
    ----------
    own : Wrapped
        The estimator.
    X : array_like
        [N, features], [N, time, features], or a list of sequences.
    y : array_like or None
        Targets; `NO_Y` for prediction.
    lengths, mask : array_like or None
        The valid steps.
    reset : bool
        Whether the estimator is to be fitted anew.
    **checks
        Further arguments of scikit-learn's ``validate_data``.
    """
    if own._checks and hasattr(y, "toarray"):
        y = y.toarray()
    shape = np.shape(y) if getattr(y, "ndim", 0) > 2 else None
    if shape is not None:  # targets of each step; scikit-learn checks tables
        y = np.reshape(y, (len(y), -1))
    sequences = sequences_in(X)
    if sequences is None and getattr(X, "ndim", 2) != 3:
        x, y = _table(own, X, y, reset, checks)
        if own._rows_are_sequences:
            x = x[:, :, None]
    else:
        if sequences is not None:
            if lengths is not None or mask is not None:
                raise ValueError("A list of sequences has their lengths; pass no lengths and no mask.")
            X, lengths = pad_sequences(sequences, return_lengths=True)
            if X.ndim == 2 and own._rows_are_sequences:
                X = X[:, :, None]
        x, y = _array(own, X, y, reset, checks)
    if shape is not None:
        y = y.reshape(shape)
    steps = either(type(own).__name__, lengths, mask)
    if steps is not None:
        if hasattr(x, "toarray"):
            raise ValueError("lengths and mask are for sequences, and X is a sparse matrix of rows.")
        check_consistent_length(x, steps)
    return (Samples(x, steps) if mask is None else Samples(x, None, steps)), y


def _table(own: Any, X: Any, y: Any, reset: bool, checks: dict[str, Any]) -> tuple[np.ndarray, Any]:
    """Return rows [N, features]."""
    if y is NO_Y:
        single = own._rows_are_sequences and own.n_features_in_ == 1 and np.ndim(X) == 2 and np.shape(X)[1] > 1
        return (_array(own, np.asarray(X)[:, :, None], y, reset, {})[0][:, :, 0] if single else own._checked(X)), y
    checks = {"accept_sparse": own._sparse_formats, "multi_output": True, **checks}
    return validate_data(own, X, y, dtype=FLOATS, reset=reset, **checks)  # type: ignore[no-any-return]


def _array(own: Any, X: Any, y: Any, reset: bool, checks: dict[str, Any]) -> tuple[np.ndarray, Any]:
    """Return sequences [N, time, features], or padded rows of numbers [N, time]."""
    rules = {"dtype": FLOATS, "allow_nd": True, "estimator": own}
    if y is NO_Y:
        x = check_array(X, input_name="X", **rules)
    elif y is None:
        raise ValueError(f"{type(own).__name__} requires y to be passed, but the target y is None")
    else:
        x, y = check_X_y(X, y, multi_output=True, **rules, **checks)
    features = x.shape[2] if x.ndim == 3 else 1
    if reset:
        own.n_features_in_ = features
        vars(own).pop("feature_names_in_", None)
    elif features != own.n_features_in_ and x.ndim == 3 and not (features == 1 and own._rows_are_sequences):
        raise ValueError(
            f"X has {features} features, but {type(own).__name__} is expecting {own.n_features_in_} features as input."
        )
    return x, y
