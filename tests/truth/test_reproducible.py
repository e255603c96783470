"""Same seed, same bits: for any number of threads, in every mode of the update, with every fused multiply-add."""

import hashlib
import json

import numpy as np
import pytest
from instruction_sets import printed
from truth import nets

from nncore import _core
from nncore.records import LossSpec, OptimizerSpec, OutputStatistics, ParameterOptions, StatisticSpec

THREADS = [1, 2, 3, 7]
STEPS = 200
ADAM = (0.9, 0.999, 1e-8, 0.0, 0.0)
FLOPS_PER_THREAD = 250e3  # csrc/base/parallel.c: a phase is worth one thread per this many

#: Name -> (width, batch, optimizer). The update is a phase of its own for few parameters, follows each gradient for many
#: (32 K), and waits for the norm where there is clip_norm.
MODES = {
    "small": (32, 72, OptimizerSpec("adam", ADAM)),
    "fused": (67, 19, OptimizerSpec("adam", ADAM, weight_decay=1e-3)),
    "clip_norm": (67, 19, OptimizerSpec("sgd", (0.9, 0.0, 1.0, 0.0), clip_norm=0.5)),
}


@pytest.fixture(autouse=True)
def restore_threads():
    yield
    _core.set_num_threads(0)


def every_activation(width):
    """Linear and activation by turns until each has had its turn, dropout in the middle, softmax at the end."""
    codes = [c for c in nets.names("activation") if c not in ("step", "softmax")]
    ops = [nets.linear("in", 0, 9, width), nets.activation("step", 1)]  # no gradient goes through it, so it comes first
    for i, code in enumerate([*codes, "softmax"]):
        ops += [nets.linear(f"l{i}", len(ops), width, width), nets.activation(code, len(ops) + 1)]
        if code == "selu":
            ops.append(nets.dropout(len(ops), 0.2))
    ops += [nets.linear("out", len(ops), width, 5), nets.activation("softmax", len(ops) + 1)]
    return ops


def problem(width, batch):
    rng = np.random.default_rng(11)
    n = 3 * batch + 3  # the last batch has three rows, fewer than there are threads
    x = rng.normal(size=(n, 9)).astype(np.float32)
    return x, rng.integers(0, 5, n), rng.uniform(0.5, 2, n), rng.permutation(n)


def flops(net):
    return 2.0 * sum(p.value.size for p in net.parameters() if p.role == "weight")


def train_once(mode, dtype, threads, steps=STEPS):
    width, batch, optimizer = MODES[mode]
    _core.set_num_threads(threads)
    net = nets.assemble([(9,)], every_activation(width), dtype=dtype)
    loss = LossSpec("sparse_categorical_crossentropy", attributes=(0.05,), reduction="mean_with_sample_weight")
    nets.compile_net(net, loss, optimizer, statistics=[nets.ALL_OF_CLASSES])
    x, y, weight, order = problem(width, batch)
    assert 1.5 * flops(net) * batch > max(THREADS) * FLOPS_PER_THREAD, "too small for that many threads"
    counts = np.zeros(nets.ALL_OF_CLASSES.size(5))
    losses = np.empty(steps)
    train_as_a_team(net, x, y, weight, order, batch, losses[: steps // 2], counts)
    losses[steps // 2 :] = nets.train(
        net, x, y, steps=steps - steps // 2, batch=batch, lr=2e-3, weight=weight, order=order, statistics=[counts]
    )
    return net, nets.snapshot(net) | {"losses": losses, "counts": counts}


def train_as_a_team(net, x, y, weight, order, batch, losses, counts):
    """One step per call. The number of threads is forced, as one thread may be measured as faster (csrc/plan/autotune.c)."""
    first = 0
    _core.force_threads(_core.get_num_threads())
    try:
        for i in range(len(losses)):
            net.train([x], [y], [weight], order, batch, first, 1, np.full(1, 2e-3), losses[i : i + 1], [counts])
            first = first + batch if first + batch < len(x) else 0
    finally:
        _core.force_threads(0)


@pytest.mark.parametrize("mode", MODES)
def test_training_has_the_same_bits_for_any_number_of_threads(mode, dtype):
    elements = len(nets.assemble([(9,)], every_activation(MODES[mode][0])).buffers()["parameters"])
    assert (elements < 32 << 10) == (mode == "small")
    _, alone = train_once(mode, dtype, 1)
    assert np.isfinite(alone["losses"]).all()
    assert len(np.unique(alone["losses"])) > STEPS // 2
    assert alone["counts"].sum() > 0
    for threads in THREADS[1:]:
        nets.assert_same_bits(train_once(mode, dtype, threads)[1], alone)


def test_the_same_run_twice_and_another_seed(dtype):
    first, again = (train_once("small", dtype, 2, 20)[1] for _ in range(2))
    nets.assert_same_bits(first, again)
    net = nets.assemble([(9,)], every_activation(40), dtype=dtype)
    x = problem(40, 45)[0].astype(dtype)
    (one,) = net.forward([x], True)
    net.seed += 1
    (other,) = net.forward([x], True)
    assert not np.array_equal(one, other)


def test_a_run_in_pieces_has_the_same_bits(dtype):
    width, batch, optimizer = MODES["fused"]
    x, y, weight, order = problem(width, batch)
    found = []
    for piece in (40, 1, 3):
        net = nets.assemble([(9,)], every_activation(width), dtype=dtype)
        loss = LossSpec("sparse_categorical_crossentropy", attributes=(0.05,), reduction="mean_with_sample_weight")
        nets.compile_net(net, loss, optimizer, statistics=[nets.ALL_OF_CLASSES])
        counts, losses, first, done = np.zeros(nets.ALL_OF_CLASSES.size(5)), np.empty(40), 0, 0
        while done < 40:
            steps = min(piece, 40 - done)
            room = steps, np.full(steps, 2e-3), losses[done : done + steps]
            new = net.train([x], [y], [weight], order, batch, first, *room, [counts])
            done += new
            first = first + new * batch if first + new * batch < len(x) else 0
        found.append(nets.snapshot(net) | {"losses": losses, "counts": counts})
    for other in found[1:]:
        nets.assert_same_bits(other, found[0])


@pytest.mark.parametrize("rows", [1, 7, 63, 1000, 2501])
def test_inference_has_the_same_bits_for_any_number_of_threads(rows, dtype, rng):
    net = nets.assemble([(9,)], every_activation(67), dtype=dtype)
    nets.compile_net(net, LossSpec("sparse_categorical_crossentropy", attributes=(0.0,)), statistics=[nets.ALL_OF_CLASSES])
    x, y, weight = rng.normal(size=(rows, 9)).astype(np.float32), rng.integers(0, 5, rows), rng.uniform(0.1, 2, rows)
    found = []
    for threads in THREADS:
        _core.set_num_threads(threads)
        counts, out, first = np.zeros(nets.ALL_OF_CLASSES.size(5)), np.empty((rows, 5), dtype), 0
        while first < rows:
            first = net.predict([x], [out], first)
        sums = nets.evaluate(net, x, y, weight, [counts])
        forward = net.forward([x.astype(dtype)], False)[0]
        found.append({"out": out, "sums": sums, "counts": counts, "forward": forward})
        np.testing.assert_array_equal(out, forward)
    for other in found[1:]:
        nets.assert_same_bits(other, found[0])


@pytest.mark.parametrize("weighted", [False, True])
def test_sums_of_numbers_have_the_same_bits_for_any_number_of_threads(weighted, dtype, rng):
    net = nets.assemble([(9,)], [nets.linear("a", 0, 9, 300), nets.activation("tanh", 1), nets.linear("b", 2, 300, 2)], dtype=dtype)
    huber = LossSpec("huber", attributes=(1.0,))
    kinds = [StatisticSpec("residuals"), StatisticSpec("loss", loss=huber)]
    kinds += [StatisticSpec("decisions", counted, threshold=0.1) for counted in ("right", "each", "whole")]
    statistics = OutputStatistics(tuple(kinds))
    nets.compile_net(net, statistics=[statistics])
    rows = 5003
    x, y = rng.normal(size=(rows, 9)).astype(dtype), rng.normal(size=(rows, 2))
    weight = rng.uniform(0.1, 2, rows) if weighted else None
    found = []
    for threads in THREADS:
        _core.set_num_threads(threads)
        sums = np.zeros(statistics.size(2))
        found.append({"loss": nets.evaluate(net, x, y, weight, [sums]), "sums": sums})
    for other in found[1:]:
        nets.assert_same_bits(other, found[0])


def test_a_row_does_not_depend_on_its_neighbours(dtype, rng):
    net = nets.assemble([(9,)], every_activation(67), dtype=dtype)
    x = rng.normal(size=(67, 9)).astype(dtype)
    whole = net.forward([x], False)[0]
    for rows in (slice(0, 1), slice(3, 10), slice(40, 67)):
        np.testing.assert_array_equal(net.forward([x[rows].copy()], False)[0], whole[rows])


def test_backward_by_hand_has_the_same_bits_for_any_number_of_threads(dtype, rng):
    x, dy = rng.normal(size=(173, 9)).astype(dtype), rng.normal(size=(173, 5)).astype(dtype)
    found = []
    for threads in THREADS:
        _core.set_num_threads(threads)
        net = nets.assemble([(9,)], every_activation(67), dtype=dtype)
        nets.compile_net(net, optimizer=OptimizerSpec("adam", ADAM, clip_norm=0.1))
        (out,) = net.forward([x], True)
        (dx,) = net.backward([dy])
        net.apply_gradients(0.01)
        found.append(nets.snapshot(net) | {"out": out, "dx": dx})
    for other in found[1:]:
        nets.assert_same_bits(other, found[0])


@pytest.mark.parametrize("options", [ParameterOptions(), ParameterOptions(weight_decay=0.3), ParameterOptions(trainable=False)])
@pytest.mark.parametrize("name", nets.names("optimizer"))
def test_the_update_in_pieces_is_the_update_at_once(name, options, rng):
    """The same gradients through train (update follows each gradient) and through apply (one pass per span)."""
    attributes = {
        "sgd": (0.9, 0, 1, 0),
        "adam": (0.9, 0.99, 1e-8, 1.0, 0.0),
        "adamw": (0.9, 0.99, 1e-8, 1.0, 0.0),
        "adagrad": (0.1, 1e-10, 0.1),
        "rmsprop": (0.9, 1e-8, 0.5, 1.0),
        "adadelta": (0.9, 1e-6),
        "adamax": (0.9, 0.99, 1e-8),
        "nadam": (0.9, 0.99, 1e-8, 0.004, 0.0),
        "lion": (0.9, 0.99),
        "lbfgs": (),
    }.get(name, (0.9, 0.99, 1e-8, 1.0))
    ops = [nets.linear("a", 0, 9, 260), nets.activation("tanh", 1), nets.linear("b", 2, 260, 130), nets.linear("c", 3, 130, 3)]
    x, y = rng.normal(size=(31, 9)), rng.normal(size=(31, 3))
    results = []
    for at_once in (False, True):
        net = nets.assemble([(9,)], ops)
        every = [options if i in (0, 3) else ParameterOptions() for i in range(6)]
        nets.compile_net(net, optimizer=OptimizerSpec(name, attributes, weight_decay=0.01), options=every)
        assert len(net.buffers()["parameters"]) > 32 << 10
        for _ in range(3):
            if at_once:
                (out,) = net.forward([x], True)
                net.backward([(2 / 3 / 31) * (out - y)])
                net.apply_gradients(0.01)
            else:
                nets.train(net, x, y, lr=0.01)
        results.append([np.array(p.value) for p in net.parameters()])
    for a, b in zip(*results, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)


def digest(arrays):
    return hashlib.sha256(b"".join(np.ascontiguousarray(arrays[k]).tobytes() for k in sorted(arrays))).hexdigest()


def run_here():
    """What the subprocesses print: losses, and a digest of every bit, in both dtypes."""
    found = {}
    for dtype in ("float32", "float64"):
        _, state = train_once("clip_norm", np.dtype(dtype), 2, 30)
        found[dtype] = [digest(state), state["losses"].tolist()]
    print(json.dumps(found))


@pytest.fixture(scope="module")
def runs():
    """{instruction set: what run_here prints in a process that is told to use it}."""
    code = "from truth import test_reproducible as t; t.run_here()"
    return {isa: json.loads(printed(code, isa)) for isa in _core.isas()}


def test_another_process_has_the_same_bits(runs):
    for dtype in ("float32", "float64"):
        assert runs[_core.isa()][dtype][0] == digest(train_once("clip_norm", np.dtype(dtype), 3, 30)[1])


def test_instruction_sets_agree_closely(runs, dtype):
    best = runs[_core.isas()[-1]][dtype.name][1]
    for isa in _core.isas()[:-1]:
        rtol = 1e-4 if dtype == np.float32 else 1e-11
        np.testing.assert_allclose(runs[isa][dtype.name][1], best, rtol=rtol, err_msg=isa)


def test_instruction_sets_with_fused_multiply_adds_have_the_same_bits(runs, dtype):
    fused = [isa for isa in _core.isas() if isa != "baseline" or "avx2" not in _core.isas()]
    assert len({runs[isa][dtype.name][0] for isa in fused}) == 1
