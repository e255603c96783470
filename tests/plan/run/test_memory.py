"""Memory: a step allocates nothing, and any allocation before it may fail."""

import numpy as np
import pytest
from truth import nets

import nncore as nn
from nncore import _core
from nncore.records import LossSpec


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("width", [12, 400])
def test_nothing_is_allocated_after_the_first_call(threads, width, dtype, rng):
    _core.set_num_threads(threads)
    net = nets.classifier(dtype, width=width)
    x, y = nets.problem(rng, 301, dtype)
    weight, order, counts, out = rng.uniform(1, 2, 301), rng.permutation(301), nets.pairs(3)[0], np.empty((301, 3), dtype)
    calls = {
        "train": lambda: nets.train(net, x, y, steps=7, batch=64, lr=1e-3, weight=weight, order=order, statistics=[counts]),
        "evaluate": lambda: nets.evaluate(net, x, y, weight, [counts]),
        "predict": lambda: net.predict([x], [out], 0),
        "call": lambda: net(x),
        "few": lambda: net(x[:5]),
        "forward": lambda: net.forward([x[:64]], True),
        "backward": lambda: net.backward([out[:64]]),
        "apply": lambda: net.apply_gradients(1e-3),
    }
    for call in calls.values():
        call()
    for name, call in calls.items():
        before = _core.alloc_count()
        for _ in range(5):
            if name != "backward":  # each backward needs its forward
                call()
        assert _core.alloc_count() == before, name
    before = _core.alloc_count()
    calls["train"]()
    calls["call"]()
    calls["few"]()
    calls["forward"]()
    calls["backward"]()
    assert _core.alloc_count() == before, "alternating calls"


def test_the_model_allocates_nothing_per_step(rng):
    model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 1), nn.Sigmoid(), seed=0)
    model.compile(loss="binary_crossentropy", optimizer="adam", metrics=["accuracy"])
    x, y = rng.normal(size=(40, 6)).astype(np.float32), rng.integers(0, 2, (40, 1)).astype(np.float32)

    def use():
        model.train_on_batch(x, y)
        model.fit(x, y, batch_size=16, verbose=0)
        model.evaluate(x, y)
        model.predict(x)
        model(x)

    use()
    before = _core.alloc_count()
    use()
    assert _core.alloc_count() == before


def failures(make, act, unchanged):
    """Let every k-th allocation of ``act`` fail in turn, until none is left to fail. Returns how many there were."""
    for k in range(1, 60):
        subject = make()
        before = unchanged(subject)
        _core.alloc_fail_at(k)
        try:
            act(subject)
        except MemoryError:
            pass
        else:
            _core.alloc_fail_at(0)
            return k - 1
        finally:
            _core.alloc_fail_at(0)
        nets.assert_same_bits(unchanged(subject), before)
        act(subject)  # and now it works
    raise AssertionError("does not come to an end")


def outputs_and_state(net, x):
    return nets.snapshot(net) | {"out": net.forward([x], False)[0]}


def test_any_allocation_of_assemble_may_fail(rng):
    x = nets.problem(rng, 5)[0]
    ops = [nets.linear("a", 0, 6, 4), nets.activation("relu", 1)]
    counted = failures(nets.mlp, lambda net: net.assemble([(6,)], ops, [2], "float32"), lambda net: outputs_and_state(net, x))
    assert counted >= 5


def test_any_allocation_of_compile_may_fail(rng):
    x, y = nets.problem(rng, 5)
    spec = LossSpec("sparse_categorical_crossentropy", attributes=(0.0,))
    counted = failures(nets.mlp, lambda net: nets.compile_net(net, spec, nets.SGD), lambda net: outputs_and_state(net, x))
    assert counted >= 2
    # Compiled before, it can still be trained as it was.
    net, twin = nets.classifier(), nets.classifier()
    _core.alloc_fail_at(1)
    try:
        nets.compile_net(net, spec, nets.SGD)
    except MemoryError:
        assert nets.train(net, x, y, lr=0.1) == nets.train(twin, x, y, lr=0.1)
        nets.assert_same_bits(nets.snapshot(net), nets.snapshot(twin))


@pytest.mark.parametrize("threads", [1, 2])
def test_any_allocation_of_training_may_fail(threads, rng):
    _core.set_num_threads(threads)
    x, y = nets.problem(rng)
    net = nets.classifier()
    counted = failures(nets.classifier, lambda net: nets.train(net, x, y, steps=3, batch=16, lr=0.1), nets.snapshot)
    assert counted >= 2
    # A larger batch than before: the smaller one still works if the memory for the larger does not come.
    nets.train(net, x, y, steps=2, batch=8, lr=0.1)
    before = nets.snapshot(net)
    for k in (1, 2):
        _core.alloc_fail_at(k)
        with pytest.raises(MemoryError, match="50 rows"):
            nets.train(net, x, y, batch=50, lr=0.1)
        _core.alloc_fail_at(0)
        nets.assert_same_bits(nets.snapshot(net), before)
    twin = nets.classifier()
    nets.train(twin, x, y, steps=2, batch=8, lr=0.1)
    for each in (net, twin):
        nets.train(each, x, y, steps=3, batch=8, lr=0.1)
        nets.train(each, x, y, steps=3, batch=50, lr=0.1)
    nets.assert_same_bits(nets.snapshot(net), nets.snapshot(twin))


def test_after_a_failure_no_offset_points_beyond_the_arena(rng):
    x, y = nets.problem(rng)
    net = nets.classifier()
    nets.train(net, x, y, batch=2)
    nets.compile_net(net, LossSpec("sparse_categorical_crossentropy", attributes=(0.0,)), nets.ADAM)
    _core.alloc_fail_at(2)
    with pytest.raises(MemoryError):
        nets.train(net, x, y)
    _core.alloc_fail_at(0)
    net.forward([x[:0]], True)  # no rows need no larger arena, but transposed weights
    net.backward([np.empty((0, 3), np.float32)])
    assert np.isfinite(nets.train(net, x, y, steps=3)).all()


@pytest.mark.parametrize("what", ["evaluate", "predict", "call", "forward"])
def test_any_allocation_of_inference_may_fail(what, rng):
    x, y = nets.problem(rng)
    act = {
        "evaluate": lambda net: nets.evaluate(net, x, y),
        "predict": lambda net: net.predict([x], [np.empty((50, 3), np.float32)], 0),
        "call": lambda net: net(x),
        "forward": lambda net: net.forward([x], True),
    }[what]
    assert failures(nets.classifier, act, nets.snapshot) >= 1


def test_models_survive_failing_allocations(rng):
    model = nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 1), seed=1)
    x, y = rng.normal(size=(20, 6)).astype(np.float32), rng.normal(size=(20, 1)).astype(np.float32)
    model.compile(loss="mse", optimizer="adam")
    expected = model(x)
    for k in range(1, 12):
        _core.alloc_fail_at(k)
        try:
            nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 1), seed=1)(x)
            model.compile(loss="mae", optimizer="sgd")
            model.fit(x, y, verbose=0)
        except MemoryError:
            pass
        finally:
            _core.alloc_fail_at(0)
    np.testing.assert_array_equal(nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 1), seed=1)(x), expected)
    assert np.isfinite(model.fit(x, y, verbose=0).history["loss"][0])
