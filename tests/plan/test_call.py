"""The model called like a function: the output array, and blocks of rows."""

import numpy as np
import pytest
from truth import nets

from nncore.errors import ShapeError
from nncore.spec import Op


def test_call_takes_and_checks_out(dtype, rng):
    net = nets.mlp(dtype)
    x = rng.normal(size=(20, 6)).astype(dtype)
    out = np.empty((20, 3), dtype)
    assert net(x, out=out) is out
    np.testing.assert_array_equal(out, net(x))
    for bad in (np.empty((19, 3), dtype), np.empty((20, 3), np.int32), np.empty((20, 6), dtype)[:, ::2], [[0.0] * 3] * 20):
        with pytest.raises(ShapeError, match="out: expected"):
            net(x, out=bad)
    out.flags.writeable = False
    with pytest.raises(ShapeError, match="out: expected"):
        net(x, out=out)


@pytest.mark.parametrize("rows", [1, 2, 63, 64, 65, 511, 512, 513, 3000])
def test_blocks_join_without_a_seam(rows, dtype, rng):
    net = nets.mlp(dtype, width=90)
    x = rng.normal(size=(rows, 6)).astype(dtype)
    expected = net._forward([x], False)[0]
    out, wide = np.full((rows, 3), np.nan, dtype), rng.normal(size=(rows, 8)).astype(dtype)
    np.testing.assert_array_equal(net(x), expected)
    first = 0
    while first < rows:
        first = net._predict([x], [out], first)
    np.testing.assert_array_equal(out, expected)
    wide[:, 1:7] = x
    np.testing.assert_array_equal(net._predict([wide[:, 1:7]], [out], 0), rows)
    np.testing.assert_array_equal(out, expected)


def test_one_plan_has_one_op_too_many():
    with pytest.raises(ValueError, match="too many inputs"):
        nets.assemble([(2,)], [Op("linear", "a", (0,) * 9, sizes=(2, 1, 1))])
