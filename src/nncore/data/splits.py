"""The split into rows for training and rows for validation.

The split depends only on the seed of the model, the number of rows and, if it is stratified, the labels. So a second ``fit`` never
trains on rows that the first one used for validation.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import _core
from .._checks import shown
from ..errors import ArgumentError, EmptyDataError, NonFiniteError, ShapeError

_SPLIT = 2**62  # an update count that training never reaches, so that the split does not equal the order of an epoch


def split_rows(rows: int, fraction: float, seed: int | None, labels: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows for training and those for validation, each int64 and in increasing order.

    Parameters
    ----------
    rows : int
        The number of rows.
    fraction : float
        The fraction for validation, in (0, 1). floor(rows * (1 - fraction)) rows are for training, as in Keras.
    seed : int or None
        None: the last rows are for validation.
    labels : numpy.ndarray or None
        Class indices [rows]. Each class is then split in the same ratio, within one row.

    Raises
    ------
    EmptyDataError
        One of the two parts would be empty.
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
    # The order is sorted by class, so evenly spaced positions select each class in proportion. Without labels the order is random.
    places = np.floor((np.arange(rows - train) + 0.5) * (rows / (rows - train))).astype(np.int64)
    chosen = np.zeros(rows, bool)
    chosen[order[places]] = True
    return np.flatnonzero(~chosen), np.flatnonzero(chosen)


def bind_groups(groups: Any, rows: int) -> np.ndarray:
    """Return the number of the group of each row, int64 [rows]. Groups are numbered in the order in which they first occur.

    Raises
    ------
    ShapeError
        The number of groups is not the number of rows.
    NonFiniteError, ArgumentError
        A group is missing (NaN, None), or groups cannot be compared with each other.
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
    """Return the rows for training and those for validation. No group is in both parts.

    The groups are visited in random order. A group is added to the validation part if the number of rows of each class there then
    comes closer to its target. Without a seed, they are visited from the last one on, as long as the number of rows comes closer.

    Parameters
    ----------
    groups : numpy.ndarray
        The number of the group of each row, from 0, int64.
    fraction : float
        The fraction of the rows for validation, in (0, 1).
    seed : int or None
        None: the last groups are for validation.
    labels : numpy.ndarray or None
        Class indices. Each class is then split in the same ratio, as far as whole groups allow. The last groups are the last ones
        whatever their classes.

    Raises
    ------
    EmptyDataError
        There is only one group.
    """
    count = int(groups.max()) + 1
    if count < 2:
        raise EmptyDataError("validation_split: all rows are of one group, so that none would be left for training")
    classes = np.zeros(len(groups), np.int64) if labels is None or seed is None else labels
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
        elif seed is None:
            break
    if seed is None:  # the last one at least, and never the first one
        chosen[-1], chosen[0] = True, False
    if not chosen.any():
        chosen[order[np.argmin(table[order].sum(axis=1))]] = True
    if chosen.all():
        chosen[order[np.argmin(table[order].sum(axis=1))]] = False
    held_out = chosen[groups]
    return np.flatnonzero(~held_out), np.flatnonzero(held_out)
