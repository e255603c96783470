"""Flush-to-zero is on inside a call and nowhere else; denormals, infinities and NaN get through."""

import ctypes

import numpy as np
import pytest
from truth import nets

from nncore import _core


def denormals_work():
    return float(np.float32(1e-38) * np.float32(1e-3)) != 0 and float(np.float64(1e-308) * 1e-5) != 0


def read_mxcsr():
    """fegetround and fetestexcept see parts of it; fegetenv sees all."""
    libm = ctypes.CDLL(None)
    env = (ctypes.c_uint32 * 8)()
    try:
        libm.fegetenv(env)
    except AttributeError:
        libm = ctypes.CDLL("libm.so.6")
        libm.fegetenv(env)
    return env[7]  # x86-64 glibc: the last word of fenv_t is MXCSR


@pytest.mark.skipif("avx2" not in _core.isas(), reason="reads MXCSR, which only x86 has")
@pytest.mark.parametrize("threads", [1, 2])
def test_the_floating_point_state_is_left_as_it_was(threads, rng):
    _core.set_num_threads(threads)
    net = nets.classifier(width=400)
    x, y = nets.problem(rng, 300)
    out = np.empty((300, 3), np.float32)
    before = read_mxcsr()
    assert before & 0x8040 == 0, "flush-to-zero is on before we begin"
    for call in (
        lambda: nets.train(net, x, y, steps=5, batch=64),
        lambda: nets.evaluate(net, x, y),
        lambda: net.predict([x], [out], 0),
        lambda: net(x),
        lambda: net(x[:1]),
        lambda: net.forward([x], True),
        lambda: net.backward([out]),
        lambda: net.apply_gradients(1e-3),
    ):
        call()
        assert read_mxcsr() & ~0x3F == before & ~0x3F  # all but the sticky flags, which NumPy itself raises
        assert denormals_work()


def test_denormal_and_infinite_weights_are_fine(dtype, rng):
    net = nets.classifier(dtype)
    tiny = np.finfo(dtype).tiny
    for p in net.parameters():
        p.value[...] = tiny / 8
    x, y = nets.problem(rng, 30, dtype)
    np.testing.assert_allclose(net(x), 1 / 3, rtol=1e-6)
    assert np.isfinite(nets.train(net, x, y, steps=5, lr=0.1)).all()
    net.parameters()[0].value[...] = np.inf
    assert np.isnan(nets.train(net, x, y, steps=2, lr=0.1)).any() or np.isfinite(net(x)).all()


def test_nan_in_the_data_reaches_the_loss(dtype, rng):
    net = nets.classifier(dtype)
    x, y = nets.problem(rng, 30, dtype)
    x[7, 2] = np.nan
    assert np.isnan(nets.evaluate(net, x[:10], y[:10])[0, 0])
    assert np.isfinite(nets.evaluate(net, x[10:], y[10:])).all()
    assert np.isnan(net(x)[7]).all()
    assert np.isfinite(np.delete(net(x), 7, 0)).all()
    losses = nets.train(net, x, y, steps=3, batch=10)
    assert np.isnan(losses).all()  # in the parameters from the first step on
