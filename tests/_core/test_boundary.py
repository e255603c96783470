"""The raw ops of _core refuse what a kernel could not survive, and say which argument it was."""

import numpy as np
import pytest

from nncore import _core
from nncore._core import kernels

A, B = np.ones((3, 4), np.float32), np.ones((4, 5), np.float32)
ADAM = {"lr": 0.1, "step": 1, "attr": (0.9, 0.999, 1e-8, 0.0, 0.0)}


def frozen(array):
    array = array.copy()
    array.flags.writeable = False
    return array


@pytest.mark.parametrize(
    ("error", "text", "call"),
    [
        (TypeError, "'a'", lambda: kernels.gemm([[1.0]], B)),
        (TypeError, "a: expected dtype float32 or float64, got int64", lambda: kernels.gemm(A.astype(np.int64), B)),
        (TypeError, "b: expected dtype float32, got float64", lambda: kernels.gemm(A, B.astype(np.float64))),
        (ValueError, "a: expected 2 dimensions, got shape .4,.", lambda: kernels.gemm(A[0], B)),
        (ValueError, "b: expected 4 rows", lambda: kernels.gemm(A, B[:3])),
        (ValueError, "b: expected 4 columns", lambda: kernels.gemm(A, B, transpose_b=True)),
        (ValueError, "a: the elements of a row must be adjacent", lambda: kernels.gemm(A.repeat(2, 1)[:, ::2], B)),
        (ValueError, "a: rows must not overlap", lambda: kernels.gemm(A[::-1], B)),
        (ValueError, "a: rows must not overlap", lambda: kernels.gemm(np.broadcast_to(A[:1], (3, 4)), B)),
        (ValueError, "a: the elements must be aligned and in native byte order", lambda: kernels.gemm(A.astype(">f4"), B)),
        (ValueError, "bias: expected shape .5,., got .4,.", lambda: kernels.gemm(A, B, np.ones(4, np.float32))),
        (ValueError, "out: expected shape .3, 5.", lambda: kernels.gemm(A, B, out=np.ones((3, 6), np.float32))),
        (ValueError, "out: .* read-only", lambda: kernels.gemm(A, B, out=frozen(np.ones((3, 5), np.float32)))),
        (ValueError, "out: overlaps an input", lambda: kernels.gemm(A[:, :3], A[:, :3], out=A[:, :3])),
        (ValueError, "accumulate: ", lambda: kernels.gemm(A, B, accumulate=True)),
        (ValueError, "isa: expected one of baseline", lambda: kernels.gemm(A, B, isa="mmx")),
        (ValueError, "x: expected shape .3, 4., got .2, 4.", lambda: kernels.accumulate(A.copy(), A[:2])),
        (ValueError, "no activation 'rel'; known are identity", lambda: kernels.activation_forward("rel", A)),
        (ValueError, "attr: activation 'elu' takes .alpha., got 0", lambda: kernels.activation_forward("elu", A)),
        (ValueError, "saved: expected shape", lambda: kernels.activation_backward("relu", A, A[:2])),
        (ValueError, "target: expected shape", lambda: kernels.loss("hinge", A, A[:2])),
        (ValueError, "weight: expected shape", lambda: kernels.loss("hinge", A, A, np.ones(4, np.float32))),
        (
            ValueError,
            "target: class indices",
            lambda: kernels.loss("sparse_categorical_crossentropy", A, 2 * A[:, 1] + 2, attr=[0]),
        ),
        (ValueError, "target: class indices", lambda: kernels.loss("sparse_categorical_crossentropy", A, -2 * A[:, 1], attr=[0])),
        (ValueError, "target: class indices", lambda: kernels.loss("sparse_categorical_crossentropy", A, A[:, 1] / 2, attr=[0])),
        (
            ValueError,
            "target: class indices",
            lambda: kernels.loss("sparse_categorical_crossentropy", A, A[:, 1] * np.nan, attr=[0]),
        ),
        (ValueError, r"moments\[1\]", lambda: kernels.optimizer_step("adam", A.copy(), A, [A.copy()], **ADAM)),
        (ValueError, "moments: ", lambda: kernels.optimizer_step("adam", A.copy(), A, [A] * 4, **ADAM)),
        (ValueError, "grad: expected shape", lambda: kernels.optimizer_step("adam", A.copy(), A[:2], [], **ADAM)),
        (ValueError, "step: ", lambda: kernels.optimizer_step("adam", A.copy(), A, [], **{**ADAM, "step": 0})),
        (ValueError, "param: .* read-only", lambda: kernels.optimizer_step("adam", frozen(A), A, [], **ADAM)),
        (ValueError, "p: expected a probability", lambda: kernels.dropout(A, 1.5, (0, 0), (0, 0))),
        (ValueError, "index: row numbers must lie in .0, 3.", lambda: kernels.gather(A, np.array([3]), "float32")),
        (ValueError, "index: row numbers must lie in .0, 3.", lambda: kernels.gather(A, np.array([-1]), "float32")),
        (TypeError, "index: expected dtype int64", lambda: kernels.gather(A, np.array([0], np.int32), "float32")),
        (TypeError, "source: expected float16", lambda: kernels.gather(A.astype(complex), None, "float32")),
        (ValueError, "dtype: ", lambda: kernels.gather(A, None, "float16")),
        (ValueError, "count: ", lambda: kernels.count_classes(A, A, None, False, "whole")),
        (ValueError, "count: ", lambda: kernels.count_decisions(A, A, None, "pairs", 0.5, 0.5)),
        (ValueError, "target: class indices", lambda: kernels.count_classes(A, 4 * A[:, 1], None, True, "each")),
        (ValueError, "x: expected a C-contiguous array", lambda: kernels.sum_squares(A[:, :2])),
        (ValueError, "n: ", lambda: _core.set_num_threads(-1)),
    ],
)
def test_refuses(error, text, call):
    with pytest.raises(error, match=text):
        call()


def test_row_strided_views_are_accepted(isa, dtype, rng):
    wide = rng.normal(size=(9, 40)).astype(dtype)
    every_other, part = wide[::2, 3:20], wide[:, 20:25]
    product = kernels.gemm(every_other, wide[:, :17].T.copy(), isa=isa)
    np.testing.assert_allclose(product, every_other @ wide[:, :17].T, rtol=1e-4, atol=1e-4)
    np.testing.assert_array_equal(kernels.transpose(every_other, isa=isa), every_other.T)
    z = np.abs(every_other)
    _, dense_grad, _ = kernels.loss("mean_squared_error", z, every_other.copy(), isa=isa)
    _, strided_grad, _ = kernels.loss("mean_squared_error", np.pad(z, ((0, 0), (0, 6)))[:, :17], every_other, isa=isa)
    np.testing.assert_array_equal(strided_grad, dense_grad)
    # a negative distance is for gather alone
    np.testing.assert_array_equal(kernels.gather(part[::-1], None, dtype.name, isa=isa), part[::-1])


def test_out_is_written_in_place_and_its_neighbours_are_not(isa, dtype):
    frame = np.full((5, 9), 7, dtype)
    out = frame[1:4, 2:7]
    returned = kernels.gemm(A.astype(dtype), B.astype(dtype), out=out, isa=isa)
    assert returned is out
    assert (out == 4).all()
    assert frame.sum() == 7 * (45 - 15) + 4 * 15


@pytest.mark.parametrize("shape", [(0, 4), (3, 0), (0, 0)])
def test_empty_arrays_pass(shape, isa, dtype):
    x = np.zeros(shape, dtype)
    assert kernels.activation_forward("relu", x, isa=isa).shape == shape
    assert kernels.transpose(x, isa=isa).shape == shape[::-1]
    np.testing.assert_array_equal(kernels.column_sum(x, isa=isa), np.zeros(shape[1]))
    np.testing.assert_array_equal(kernels.gemm(x, np.ones((shape[1], 2), dtype), isa=isa), np.zeros((shape[0], 2)))
