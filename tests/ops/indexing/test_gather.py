"""gather against NumPy's indexing and astype, for every element type, order and stride."""

import numpy as np
import pytest

from nncore._core import kernels

SOURCES = ["float16", "float32", "float64", "uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64", "bool"]


def source_of(kind, shape, rng):
    if kind == "bool":
        return rng.integers(0, 2, size=shape).astype(bool)
    if kind.startswith("float"):
        return rng.normal(size=shape).astype(kind)
    limits = np.iinfo(kind)
    return rng.integers(limits.min, limits.max, size=shape, dtype=kind, endpoint=True)


@pytest.mark.parametrize("kind", SOURCES)
def test_rows_of_every_type(kind, isa, dtype, rng):
    for cols in (1, 2, 7, 16, 33, 200):
        source = source_of(kind, (40, cols), rng)
        index = rng.integers(0, 40, size=29)
        np.testing.assert_array_equal(kernels.gather(source, index, dtype.name, isa=isa), source[index].astype(dtype))
        np.testing.assert_array_equal(kernels.gather(source, None, dtype.name, isa=isa), source.astype(dtype))


@pytest.mark.parametrize("kind", ["float16", "float32", "float64", "int16"])
def test_strided_rows(kind, isa, dtype, rng):
    whole = source_of(kind, (60, 50), rng)
    for source in (whole[:, 3:40], whole[::2], whole[10:, :1], whole[::3, 5:25]):
        index = rng.permutation(len(source))
        np.testing.assert_array_equal(kernels.gather(source, index, dtype.name, isa=isa), source[index].astype(dtype))
        np.testing.assert_array_equal(kernels.gather(source, None, dtype.name, isa=isa), source.astype(dtype))


def test_specials_survive(isa, dtype):
    for kind in ("float16", "float32", "float64"):
        source = np.array([[np.nan, np.inf, -np.inf, -0.0, 1e-40]], kind)
        y = kernels.gather(source, np.zeros(3, np.int64), dtype.name, isa=isa)
        np.testing.assert_array_equal(y, np.repeat(source, 3, axis=0).astype(dtype))
        assert np.signbit(y[:, 3]).all()


def test_every_half(isa, dtype):
    every = np.arange(2**16, dtype=np.uint16).view(np.float16).reshape(64, -1)
    np.testing.assert_array_equal(kernels.gather(every, None, dtype.name, isa=isa), every.astype(dtype))


def test_no_rows(isa, dtype):
    assert kernels.gather(np.ones((4, 3)), np.empty(0, np.int64), dtype.name, isa=isa).shape == (0, 3)
