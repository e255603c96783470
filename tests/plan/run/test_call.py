"""The model called like a function: the output array, and blocks of rows."""

import gc
import weakref

import numpy as np
import pytest
from truth import nets

import nncore as nn
from nncore.errors import ShapeError


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
    expected = net.forward([x], False)[0]
    out, wide = np.full((rows, 3), np.nan, dtype), rng.normal(size=(rows, 8)).astype(dtype)
    np.testing.assert_array_equal(net(x), expected)
    wide[:, 1:7] = x
    for given in (x, wide[:, 1:7]):
        first = 0
        while first < rows:
            first = net.predict([given], [out], first)
        np.testing.assert_array_equal(out, expected)
        out.fill(np.nan)


def test_one_plan_has_one_op_too_many():
    with pytest.raises(ValueError, match="too many inputs"):
        nets.assemble([(2,)], [nets.linear("a", 0, 2, 1)._replace(inputs=(0,) * 9)])


def test_results_are_used_again_when_nobody_holds_them(dtype, rng):
    net = nets.mlp(dtype)
    x, other = rng.normal(size=(1, 6)).astype(dtype), rng.normal(size=(1, 6)).astype(dtype)
    expected, of_other = net(x).copy(), net(other).copy()
    held = [net(x) for _ in range(5)]  # all of them at once
    assert len({y.ctypes.data for y in held}) == 5
    np.testing.assert_array_equal(net(other), of_other)
    for y in held:
        np.testing.assert_array_equal(y, expected)
    del held, y
    seen = set()
    for _ in range(50):
        y = net(x)
        seen.add(id(y))
    assert len(seen) <= 3


def reshape(y):
    y.shape = (3, 1)
    return y.view()


in_place = pytest.mark.filterwarnings("ignore:Setting the:DeprecationWarning")  # NumPy 2.5 advises against it, but it can be done


@in_place
@pytest.mark.parametrize(
    "hold",
    [
        lambda y: y[:, 1:],
        memoryview,
        lambda y: y.reshape(3, 1),
        lambda y: y.T,
        lambda y: [y],
        reshape,
        lambda y: np.asarray(y).ravel(),
    ],
    ids=["slice", "memoryview", "reshaped", "transposed", "list", "shape", "ravel"],
)
def test_what_is_held_in_any_way_stays(hold, dtype, rng):
    net = nets.mlp(dtype)
    x, other = rng.normal(size=(1, 6)).astype(dtype), rng.normal(size=(1, 6)).astype(dtype)
    held = hold(net(x))
    before = np.array(held).copy()
    for _ in range(5):
        net(other)
    np.testing.assert_array_equal(np.array(held), before)


@in_place
def test_what_was_changed_in_place_is_not_used_again(dtype, rng):
    net = nets.mlp(dtype)
    x = rng.normal(size=(1, 6)).astype(dtype)
    expected = net(x).copy()
    for change in ("net(x).flags.writeable = False", "net(x).shape = (3,)", "net(x).dtype = np.uint8"):
        for _ in range(3):
            exec(change, {"net": net, "x": x, "np": np})
        y = net(x)
        assert y.flags.writeable
        np.testing.assert_array_equal(y, expected)


def test_a_weak_reference_sees_its_result_die(dtype, rng):
    net = nets.mlp(dtype)
    x = rng.normal(size=(1, 6)).astype(dtype)
    y = net(x)
    ref = weakref.ref(y)
    del y
    for _ in range(4):
        kept = net(x)
        assert ref() is not kept
    del kept, net
    gc.collect()
    assert ref() is None


def test_few_rows_are_predicted_like_many(dtype, rng):
    """Ops of every sort, and rows that lie apart."""
    x = nn.Input((6,))
    h = nn.Tanh()(nn.Linear(6, 20)(x))
    h = nn.BatchNorm1d(20)(nn.Dropout(0.5)(h) + nn.Linear(20, 20, bias=False)(h))
    h = nn.Flatten()(nn.LayerNorm(5)(nn.Reshape(4, 5)(h)))
    model = nn.Model(x, nn.Softmax()(nn.PReLU()(nn.Linear(20, 7)(h))), seed=0, dtype=dtype)
    rows = rng.normal(size=(200, 6)).astype(dtype)
    expected = model.predict(rows)
    for n in (1, 2, 7, 16, 17):
        for first in (0, 50, 150):
            np.testing.assert_array_equal(model(rows[first : first + n]), expected[first : first + n])
    np.testing.assert_array_equal(model(rows[:30:2]), expected[:30:2])


def test_weights_that_move_are_found(rng):
    """A model whose layers another one shares has its parameters laid out anew."""
    x = rng.normal(size=(3, 6)).astype(np.float32)
    first = nn.Sequential(nn.Linear(6, 20), nn.ReLU(), nn.Linear(20, 4), seed=0).build((6,))
    expected = first(x).copy()
    given = nn.Input((6,))
    both = nn.Model(given, first(nn.Tanh()(nn.Linear(6, 6)(given))), seed=1)
    both(x)
    np.testing.assert_array_equal(first(x), expected)
    both.compile(loss="mse", optimizer="sgd")
    both.train_on_batch(x, np.zeros((3, 4), np.float32))
    assert (first(x) != expected).any()
    np.testing.assert_allclose(
        first(x), np.maximum(x @ first[0].weight.T + first[0].bias, 0) @ first[2].weight.T + first[2].bias, 1e-4, 1e-5
    )


@pytest.mark.parametrize("features", [12, 16])  # 16: a whole line in both types
@pytest.mark.parametrize("rows", [1, 3, 40, 700])
def test_input_that_is_folded_first(rows, features, dtype, rng):
    """One line of the input is several to the layer behind a Reshape, and is read where the caller has it."""
    model = nn.Sequential(nn.Reshape((4, features // 4)), nn.Linear(features // 4, 6), nn.Flatten(), nn.Linear(24, 5), dtype=dtype)
    x = rng.normal(size=(rows, features)).astype(dtype)
    expected = model.forward(x)
    np.testing.assert_array_equal(model(x), expected)
    np.testing.assert_array_equal(model.predict(x), expected)
    apart = np.zeros((rows, 3 * features), dtype)
    apart[:, :features] = x
    np.testing.assert_array_equal(model.predict(apart[:, :features]), expected)
    model.compile(loss="mse", optimizer="sgd")
    assert model.evaluate(x, expected, verbose=0) == 0


@pytest.mark.parametrize("rows", [3, 17, 300])
@pytest.mark.parametrize("distance", [0, 1, 24])
def test_out_may_overlap_x(distance, rows, dtype, rng):
    model = nn.Sequential(nn.Linear(24, 24), nn.Tanh(), dtype=dtype)
    memory = rng.normal(size=24 * rows + distance).astype(dtype)
    x, out = memory[: 24 * rows].reshape(rows, 24), memory[distance:].reshape(rows, 24)
    expected = model(x.copy())
    np.testing.assert_array_equal(model(x, out=out), expected)
