"""Which rows train and which validate.

The part that validates depends on the seed of the model and the number of rows alone (and on the labels, where it is
stratified), so that a second ``fit`` never trains on what the first one validated with.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import _core
from .._checks import shown
from ..errors import ArgumentError, EmptyDataError, NonFiniteError, ShapeError

_SPLIT = 2**62  # an "epoch" that training does not reach: the split must not repeat an epoch's order


def split_rows(rows: int, fraction: float, seed: int | None, labels: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows that train and those that validate, each int64 and in increasing order.

    Parameters
    ----------
    rows : int
        How many there are.
    fraction : float
        Which part validates, in (0, 1); floor(rows * (1 - fraction)) rows train, as in Keras.
    seed : int or None
        None: the last rows validate.
    labels : numpy.ndarray or None
        Class indices [rows]; every class is then split in the same ratio, to within one row.

    Raises
    ------
    EmptyDataError
        One of the parts would be empty.
    """
    train = int(np.floor(rows * (1.0 - fraction)))
    if not 0 < train < rows:
        empty = "training" if train == 0 else "validation"
        raise EmptyDataError(f"validation_split={fraction} of {rows} rows leaves no row for {empty}")
    if seed is None:
        return np.arange(train), np.arange(train, rows)
    order = np.empty(rows, np.int64)
    _core.shuffle(order, seed, _SPLIT)
    if labels is not None:
        order = order[np.argsort(labels[order], kind="stable")]
    # Evenly spaced places in an order sorted by class take every class in proportion; unsorted, the order is random already.
    places = np.floor((np.arange(rows - train) + 0.5) * (rows / (rows - train))).astype(np.int64)
    chosen = np.zeros(rows, bool)
    chosen[order[places]] = True
    return np.flatnonzero(~chosen), np.flatnonzero(chosen)


def bind_groups(groups: Any, rows: int) -> np.ndarray:
    """Return the number of the group of each row, int64 [rows], counted in the order in which groups first appear.

    Raises
    ------
    ShapeError
        Not one group per row.
    NonFiniteError, ArgumentError
        A group is missing (NaN, None), or cannot be compared with the others.
    """
    try:
        array = np.asarray(groups.to_numpy() if hasattr(groups, "to_numpy") else groups)
    except (ValueError, TypeError, OverflowError) as error:
        raise ShapeError(f"groups: {shown(groups)} cannot be read as an array ({error})") from None
    if array.shape not in ((rows,), (rows, 1)):
        raise ShapeError(f"groups has shape {array.shape}, but there are {rows} rows: one group per row is needed, ({rows},)")
    array = array.reshape(rows)
    missing = (
        np.isnan(array) if array.dtype.kind == "f" else np.array([each is None or each != each for each in array.tolist()], bool)
    )
    if missing.any():
        raise NonFiniteError(f"groups is {array[missing][0]!r} at row {np.flatnonzero(missing)[0]}; every row needs a group")
    try:
        _, first, codes = np.unique(array, return_index=True, return_inverse=True)
    except TypeError as error:
        raise ArgumentError(f"groups: numbers or strings are needed, all of one kind ({error})") from error
    rank = np.empty(len(first), np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    return rank[codes.reshape(rows)]


def split_groups(groups: np.ndarray, fraction: float, seed: int | None, labels: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows that train and those that validate, with no group on both sides.

    Groups are drawn one after the other, and each goes to the part that validates if that brings it nearer to its size in every
    class.

    Parameters
    ----------
    groups : numpy.ndarray
        Number of the group of each row, from 0, int64.
    fraction : float
        Which part of the rows should validate, in (0, 1).
    seed : int or None
        None: groups are not drawn, but taken from the end.
    labels : numpy.ndarray or None
        Class indices.

    Raises
    ------
    EmptyDataError
        There is only one group.
    """
    count = int(groups.max()) + 1
    if count < 2:
        raise EmptyDataError("validation_split: all rows are of one group, so that none would be left for training")
    classes = np.zeros(len(groups), np.int64) if labels is None else labels
    table = np.zeros((count, int(classes.max()) + 1))
    np.add.at(table, (groups, classes), 1)
    order = np.arange(count)[::-1].copy()
    if seed is not None:
        _core.shuffle(order, seed, _SPLIT)
    wanted = table.sum(axis=0) * fraction
    chosen = np.zeros(count, bool)
    for group in order:
        rows = table[group]
        if rows @ rows < 2 * (rows @ wanted):  # |wanted - rows|^2 < |wanted|^2
            chosen[group] = True
            wanted = wanted - rows
    if not chosen.any():
        chosen[order[np.argmin(table[order].sum(axis=1))]] = True
    if chosen.all():
        chosen[order[np.argmin(table[order].sum(axis=1))]] = False
    held_out = chosen[groups]
    return np.flatnonzero(~held_out), np.flatnonzero(held_out)
