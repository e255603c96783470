"""Embeddings, kernel by kernel, against NumPy to the bit; a part gives the bits of the whole."""

import numpy as np
import pytest
from ops.operands import spaced

from nncore._core import kernels


@pytest.mark.parametrize("dim", [1, 3, 16, 37])
@pytest.mark.parametrize("padding", [-1, 2])
def test_embedding(dim, padding, isa, dtype, rng):
    table, index = rng.normal(size=(11, dim)).astype(dtype), rng.integers(0, 11, (9, 4))
    x = spaced(index, dtype)
    np.testing.assert_array_equal(kernels.embedding_forward(x, spaced(table, dtype), isa=isa), table[index.ravel()])
    dy = rng.normal(size=(36, dim)).astype(dtype)
    expected = np.zeros((11, dim), dtype)
    for i, row in zip(index.ravel(), dy, strict=True):  # in this order, to the bit
        if i != padding:
            expected[i] += row
    np.testing.assert_array_equal(kernels.embedding_gradient(x, spaced(dy, dtype), 11, padding, isa=isa), expected)
    part = kernels.embedding_gradient(x, dy, 11, padding, 4, 9, isa=isa)
    np.testing.assert_array_equal(part[4:9], expected[4:9])
    assert np.isnan(part[:4]).all()
    assert np.isnan(part[9:]).all()


@pytest.mark.parametrize("bad", [-1.0, 11.0, 1e30, np.nan, np.inf, -np.inf])
def test_what_is_no_index_touches_no_memory_but_the_table(bad, isa, dtype, rng):
    table = rng.normal(size=(11, 5)).astype(dtype)
    x = np.array([[bad]], dtype)
    np.testing.assert_array_equal(kernels.embedding_forward(x, table, isa=isa), table[:1])
    assert not kernels.embedding_gradient(x, np.ones((1, 5), dtype), 11, isa=isa).any()
