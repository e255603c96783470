"""Norms of rows and products of rows, of layers that nncore has."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .... import layers
from .values import ONE, Refusal, Tensor
from .views import combined, on_last

if TYPE_CHECKING:
    from .interpret import Reading

_MOST = 1 << 20  # numbers of a fixed matrix


def _fixed(r: Reading, t: Tensor, weight: np.ndarray) -> Tensor:
    """Multiply the last axis by a matrix that training leaves as it is."""
    rows, columns = weight.shape
    layer = r.make(layers.Linear, {"weight": weight}, columns, rows, bias=False, trainable=False)
    return on_last(r, t, layer, rows)


def normalized(r: Reading, t: Tensor, weight: np.ndarray | None, eps: float, scale: float | None = None) -> Tensor:
    """Return weight * x / sqrt(mean(x^2) + eps) over the last axis; without a weight, scale times that.

    It is a LayerNorm of the row and its negative, the mean of which is 0, of which the first half is taken. scale: 1 / sqrt(size)
    if it is None, so that rows have the length 1.
    """
    size = t.shape[-1].known if t.axes else None
    if size is None or 2 * size * size > _MOST:
        raise Refusal(f"it normalizes rows of {size or 'an open number of'} numbers")
    one = np.eye(size, dtype=np.float32)
    both = _fixed(r, t, np.concatenate([one, -one]))
    parameters = {} if weight is None else {"weight": np.concatenate([weight, np.zeros(size)])}
    norm = r.make(layers.LayerNorm, parameters, 2 * size, eps, elementwise_affine=weight is not None, bias=False)
    factor = 1.0 if weight is not None else size**-0.5 if scale is None else scale
    return _fixed(r, on_last(r, both, norm), np.concatenate([factor * one, 0 * one], axis=1))


def product_of_rows(r: Reading, a: Tensor, b: Tensor) -> Tensor:
    """Return the matrix product of two tensors, one of which is one row, or one column: their products are summed up."""
    if len(a.axes) != len(b.axes) or len(a.axes) < 3:
        raise Refusal("it multiplies two matrices that depend on the inputs")
    turned = b._replace(axes=(*b.axes[:-2], b.axes[-1], b.axes[-2]), product=None)  # [..., n, k]
    rows, columns, size = a.shape[-2], turned.shape[-2], a.shape[-1].known
    if ONE not in (rows, columns):
        raise Refusal("it multiplies two matrices that depend on the inputs; one of them must be one row or one column")
    if size is None or turned.shape[-1] != a.shape[-1]:
        raise Refusal("it sums over a dimension whose size is open")
    found = _fixed(r, combined(r, layers.Multiply(), [a._replace(product=None), turned]), np.ones((1, size), np.float32))
    last, ones = found.axes[-1], found.axes[-2]
    return found if columns == ONE else found._replace(axes=(*found.axes[:-2], last, ones))
