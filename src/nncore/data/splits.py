"""Which rows train and which validate.

The part that validates depends on the seed of the model and the number of rows alone (and on the labels, where it is
stratified), so that a second ``fit`` never trains on what the first one validated with.
"""

from __future__ import annotations

import numpy as np

from .. import _core
from ..errors import EmptyDataError

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
