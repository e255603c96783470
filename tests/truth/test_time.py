"""Each sequence of a batch with lengths gives what it gives alone, and a stream what the whole sequence gives; or both are refused.

Nets are drawn at random (time_nets.py). NNCORE_FUZZ says how many (`make fuzz` sets it higher).
"""

import os

import numpy as np
import pytest
from truth.time_nets import OTHER_STEPS, STEPS, TABLE, Generator, Scale

import nncore as nn
from nncore import errors

SEED = int(os.environ.get("NNCORE_TEST_SEED", "20260"))
NETS = int(os.environ.get("NNCORE_FUZZ", "300"))
PARTS = 10
ROWS = 3


def drawn(program, rng, dtype):
    """Data for a program, with rubbish in the padding of what has time: inputs, lengths."""
    lengths = rng.integers(1, STEPS + 1, ROWS)
    padding = np.arange(STEPS) >= lengths[:, None]
    data = []
    for i in program.inputs:
        value = program.known[i]
        shape = (ROWS, STEPS, *value.shape) if value.timed else (ROWS, *value.shape)
        x = rng.integers(0, TABLE, shape).astype(dtype) if value.indices else rng.normal(size=shape).astype(dtype)
        if value.timed:
            x[padding] = np.nan if rng.random() < 0.8 else 1e30
        data.append(x)
    return data, lengths


def cut(program, arrays, numbers, row, length):
    """What a row has of some values: up to its length where they have time."""
    known = [program.known[i] for i in numbers]
    return [a[row : row + 1, : v.steps(length)] if v.timed else a[row : row + 1] for a, v in zip(arrays, known, strict=True)]


def listed(result):
    return result if isinstance(result, list) else [result]


def bare(arrays):
    """As models take them: a list where there are several."""
    return arrays if len(arrays) > 1 else arrays[0]


def check_refused(model, program, data, lengths):
    """All ways to give lengths say which layer it is, and change nothing."""
    before = [w.copy() for w in model.get_weights()]
    x, y = bare(data), bare([np.zeros((ROWS, *shape), model.dtype) for shape in model.output_shapes])
    calls = (
        lambda: model.predict(x, lengths=lengths),
        lambda: model.forward(x, lengths=lengths),
        lambda: model.evaluate(x, y, lengths=lengths),
        lambda: model.train_on_batch(x, y, lengths=lengths),
        lambda: model.fit(x, y, lengths=lengths, verbose=0),
    )
    for call in calls:
        with pytest.raises(errors.ShapeError, match=r"layer '.*' \(.*\) mixes the time steps: "):
            call()
    for weight, was in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, was)
    if len(program.inputs) == len(program.outputs) == 1:
        with pytest.raises((errors.ShapeError, errors.ArgumentError), match=r"stream: (layer|the model)"):
            model.stream()


def check_rows(model, program, data, lengths, rng):
    """Results to the bit; losses and gradients but for the order in which rows are added up."""
    close = {"rtol": 1e-9, "atol": 1e-11} if model.dtype == np.float64 else {"rtol": 2e-3, "atol": 2e-4}
    found = listed(model.predict(bare(data), lengths=lengths))
    y = [rng.normal(size=f.shape).astype(model.dtype) for f in found]
    ahead = listed(model.forward(bare(data), lengths=lengths))
    for a, b, i in zip(found, ahead, program.outputs, strict=True):
        for row, length in enumerate(lengths):
            np.testing.assert_array_equal(*(cut(program, [each], [i], row, length)[0] for each in (a, b)))
    ends = [program.known[i] for i in program.outputs]
    counts = [np.arange(v.steps(STEPS)) < v.steps(lengths)[:, None] if v.timed else np.ones(ROWS, bool) for v in ends]
    totals = [int(c.sum()) * int(np.prod(o.shape[c.ndim : -1])) for c, o in zip(counts, found, strict=True)]
    dy = [2 * (f - t) / (n * f.shape[-1]) for f, t, n in zip(found, y, totals, strict=True)]
    for each, target, count in zip(dy, y, counts, strict=True):
        each[~count] = np.nan
        target[~count] = np.nan
    by_hand = listed(model.backward(bare(dy)))
    gradients = {name: g.copy() for name, g in model.gradients.items()}
    sums = {name: np.zeros(g.shape) for name, g in gradients.items()}
    loss = 0.0
    for row, length in enumerate(lengths):
        x = cut(program, data, program.inputs, row, length)
        alone = listed(model.predict(bare(x)))
        for f, a in zip(cut(program, found, program.outputs, row, length), alone, strict=True):
            np.testing.assert_array_equal(f, a, err_msg=f"row {row} of length {length}")
        for t, a, n in zip(cut(program, y, program.outputs, row, length), alone, totals, strict=True):
            loss += ((a.astype(np.float64) - t) ** 2).sum() / (n * a.shape[-1])
        model.forward(bare(x))
        own = cut(program, dy, program.outputs, row, length)
        dx = listed(model.backward(bare(own)))
        for d, b, i in zip(dx, cut(program, by_hand, program.inputs, row, length), program.inputs, strict=True):
            if not program.known[i].indices:
                np.testing.assert_allclose(b, d, **close)
        for name, gradient in model.gradients.items():
            sums[name] += gradient
    for name, gradient in gradients.items():
        np.testing.assert_allclose(gradient, sums[name], err_msg=name, **close)
    model.predict(bare(data), lengths=lengths)  # the number of steps of the batch again
    assert np.ravel(model.evaluate(bare(data), bare(y), lengths=lengths))[0] == pytest.approx(
        loss, rel=1e-9 if model.dtype == np.float64 else 1e-4
    )
    if program.has_noise:
        return
    before = {name: p.copy() for name, p in model.state_dict().items()}
    trained = model.train_on_batch(bare(data), bare(y), lengths=lengths)
    assert np.ravel(trained)[0] == pytest.approx(loss, rel=1e-9 if model.dtype == np.float64 else 1e-4)
    for name, gradient in sums.items():
        np.testing.assert_allclose(before[name] - model.state_dict()[name], gradient, err_msg=name, **close)


def check_stream(model, program, data):
    """Step by step, to the bit; or a typed error where a step would have to know of later ones."""
    if program.looks_ahead:
        with pytest.raises((errors.ShapeError, errors.ArgumentError), match="stream: "):
            model.stream(ROWS)
        return
    x = np.nan_to_num(data[0], posinf=0)
    x[np.abs(x) > 1e20] = 0
    whole, stream = model.predict(x), model.stream(ROWS)
    steps = [stream.step(np.ascontiguousarray(x[:, t])).copy() for t in range(STEPS)]
    if program.known[program.outputs[0]].timed:
        for t, step in enumerate(steps):
            np.testing.assert_array_equal(step, whole[:, t].reshape(step.shape), err_msg=f"step {t}")
    else:
        np.testing.assert_array_equal(steps[-1], whole.reshape(steps[-1].shape))
        np.testing.assert_array_equal(steps[2], model.predict(x[:, :3]).reshape(steps[2].shape))
        model.predict(x)


def check_net(seed):
    rng = np.random.default_rng(seed)
    program = Generator(rng).generate()
    model = program.build(STEPS, "float32" if rng.random() < 0.5 else "float64")
    for value in model.parameters():
        value[...] = rng.normal(size=value.shape) * 0.5
    model.compile(loss="mse" if len(program.outputs) == 1 else ["mse"] * len(program.outputs), optimizer=nn.optim.SGD(lr=1.0))
    data, lengths = drawn(program, rng, model.dtype)
    assert OTHER_STEPS > STEPS
    if program.mixes:
        check_refused(model, program, data, lengths)
        return
    check_rows(model, program, data, lengths, rng)
    if len(program.inputs) == len(program.outputs) == 1:
        check_stream(model, program, data)


@pytest.mark.parametrize("part", range(PARTS))
def test_random_nets(part):
    for n in range(part, NETS, PARTS):
        try:
            check_net([SEED, n])
        except BaseException as error:
            error.add_note(f"net [{SEED}, {n}]")
            raise


# By name -------------------------------------------------------------------------------------------------------------------------


MIXING = {
    "flatten": nn.Flatten(),
    "reshape": nn.Reshape(6, 2),
    "reshape to a line": nn.Reshape(-1),
    "reshape that turns": nn.Reshape(2, -1),
    "layer norm": nn.LayerNorm((6, 2)),
    "batch norm": nn.BatchNorm1d(6),
    "prelu": nn.PReLU(6),
    "lambda": nn.Lambda(np.tanh, lambda dy, x, y: dy * (1 - y * y)),
    "another sequence": lambda a: a + nn.Reshape(6, 2)(nn.GRU(2, 12)(a)),
    "another sequence beside": lambda a: nn.concatenate([a, nn.Reshape(6, 2)(nn.GRU(2, 12)(a))]),
    "initial state": lambda a: nn.GRU(2, 1, num_layers=6)(a, nn.Linear(2, 1)(a)),
}


@pytest.mark.parametrize("name", MIXING)
def test_what_mixes_steps_is_refused(name):
    a = nn.Input((6, 2), name="a")
    mixed = MIXING[name](a)
    model = nn.Model(a, mixed, seed=0)
    x = np.random.default_rng(0).normal(size=(3, 6, 2)).astype(np.float32)
    model.predict(x)
    for call in (lambda: model.predict(x, lengths=[4, 6, 1]), lambda: model.forward(x, lengths=[4, 6, 1]), model.stream):
        with pytest.raises((errors.ShapeError, errors.ArgumentError), match="mixes the time steps: |has an initial state"):
            call()


def test_a_line_of_indices_has_time_last():
    """Steps without features: what works on the last dimension mixes them, and Reshape(-1, 1) helps."""
    x = nn.Input((6,), name="x")
    for layer in (nn.Linear(6, 6), nn.Softmax(), nn.LayerNorm(6), nn.Rescaling(2.0)):
        model = nn.Model(x, [nn.Embedding(9, 2)(x), layer(x)], seed=0)
        with pytest.raises(errors.ShapeError, match=r"mixes the time steps: .*Reshape\(\(-1, 1\)\)"):
            model.predict(np.ones((2, 6)), lengths=[3, 6])
    model = nn.Model(x, nn.GRU(3, 2)(nn.concatenate([nn.Embedding(9, 2)(x), nn.Reshape(-1, 1)(x)])), seed=0)
    data = np.random.default_rng(0).integers(0, 9, (2, 6))
    found = model.predict(data, lengths=[3, 6])
    np.testing.assert_array_equal(found[:1], model.predict(data[:1, :3]))


def test_two_values_that_only_look_alike_are_not_merged_step_by_step():
    """As many indices as features: a line [time] would be broadcast along the features of [time, features]."""
    x, z = nn.Input((4,), name="x"), nn.Input((4, 4), name="z")
    model = nn.Model([x, z], [nn.Embedding(9, 2)(x), x + z], seed=0)
    with pytest.raises(errors.ShapeError, match="not all of its inputs have the time steps"):
        model.predict([np.ones((2, 4)), np.ones((2, 4, 4))], lengths=[3, 4])


def test_inputs_without_time_have_no_padding():
    """Their first dimension has nothing to do with lengths: every index is checked, every target and weight counts."""
    x, kinds = nn.Input((6, 2), name="x"), nn.Input((3,), name="kinds")
    table = nn.Embedding(5, 4)(kinds)
    last = nn.GRU(2, 4)(x)
    model = nn.Model([x, kinds], nn.Softmax()(nn.Linear(4, 3)(nn.multiply([table, last]))), seed=0)
    model.compile(loss="sparse_categorical_crossentropy", optimizer=nn.optim.SGD(lr=0.0))
    rng = np.random.default_rng(0)
    data = [rng.normal(size=(4, 6, 2)), rng.integers(0, 5, (4, 3))]
    lengths, y = np.array([1, 2, 6, 1]), rng.integers(0, 3, (4, 3))
    alone = [[model.evaluate([data[0][i : i + 1, : lengths[i]], data[1][i : i + 1]], y[i : i + 1])] for i in range(4)]
    assert model.evaluate(data, y, lengths=lengths) == pytest.approx(np.mean(alone), rel=1e-5)
    weight = rng.uniform(1, 2, (4, 3))
    weighted = [
        model.evaluate([data[0][i : i + 1, : lengths[i]], data[1][i : i + 1]], y[i : i + 1], sample_weight=weight[i : i + 1])
        for i in range(4)
    ]
    assert model.evaluate(data, y, lengths=lengths, sample_weight=weight) == pytest.approx(np.mean(weighted), rel=1e-5)
    data[1][0, 2] = 10**6  # beyond the length of row 0, if it had one
    for call in (
        lambda: model.predict(data, lengths=lengths),
        lambda: model.forward(data, lengths=lengths),
        lambda: model.evaluate(data, y, lengths=lengths),
    ):
        with pytest.raises(errors.IndexRangeError):
            call()


def test_forward_takes_anything_in_the_padding_of_indices():
    model = nn.Sequential(nn.Embedding(5, 2), nn.GRU(2, 3), seed=0).build((6,))
    x = np.array([[1, 2, 3, 99, -7, 10**6], [0, 1, 2, 3, 4, 4]])
    np.testing.assert_array_equal(model.forward(x, lengths=[3, 6]), model.predict(x, lengths=[3, 6]))


def test_what_backward_is_given_in_the_padding_does_not_matter():
    model = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), seed=0).build((6, 2))
    rng = np.random.default_rng(0)
    x, dy, lengths = rng.normal(size=(2, 6, 2)).astype("f4"), rng.normal(size=(2, 6, 3)).astype("f4"), [2, 5]
    found = []
    for filler in (0.0, 3.0, np.nan):
        dy[0, 2:], dy[1, 5:] = filler, filler
        given = dy.copy()
        model.forward(x, lengths=lengths)
        found.append((model.backward(dy), *(g.copy() for g in model.gradients.values())))
        np.testing.assert_array_equal(dy, given)
    for others in found[1:]:
        for one, other in zip(found[0], others, strict=True):
            np.testing.assert_array_equal(one, other)


def test_layers_in_python_say_whether_they_keep_steps_apart():
    x = np.random.default_rng(0).normal(size=(2, 6, 2)).astype(np.float32)
    square = np.square, lambda dy, x, y: 2 * x * dy
    model = nn.Sequential(nn.Lambda(*square, timewise=True), nn.GRU(2, 3), seed=0).build((6, 2))
    np.testing.assert_array_equal(model.predict(x, lengths=[4, 6])[:1], model.predict(x[:1, :4]))
    stream = model.stream(2)
    steps = [stream.step(x[:, t]).copy() for t in range(6)]
    model.predict(x)
    np.testing.assert_array_equal(steps[-1], model.predict(x))
    with pytest.raises(errors.ShapeError, match=r"written in Python.*timewise=True"):
        nn.Sequential(nn.Lambda(*square), nn.GRU(2, 3), seed=0).build((6, 2)).predict(x, lengths=[4, 6])
    shorter = nn.Lambda(lambda x: x[:, 1:], output_shape=lambda shape: (shape[0] - 1, *shape[1:]), timewise=True)
    with pytest.raises(errors.ShapeError, match="result does not have the steps"):
        nn.Sequential(shorter, nn.GRU(2, 3), seed=0).build((6, 2)).predict(x, lengths=[4, 6])
    with pytest.raises(errors.ArgumentError, match="timewise"):
        nn.Lambda(*square, timewise="yes")
    assert "timewise" not in repr(nn.Lambda(*square))
    assert nn.Lambda(*square, timewise=True).config()["timewise"] is True


def test_a_stream_has_weights_of_its_own_in_layers_in_python():
    model = nn.Sequential(Scale(), nn.GRU(2, 3), seed=0).build((6, 2))
    x = np.random.default_rng(0).normal(size=(1, 6, 2)).astype(np.float32)
    before, stream = model.predict(x), model.stream()
    model[0].scale[...] = 7
    np.testing.assert_array_equal([stream.step(x[:, t]).copy() for t in range(6)][-1], before)
    stream.reset()
    np.testing.assert_array_equal([stream.step(x[:, t]).copy() for t in range(6)][-1], model.predict(x))
    assert model[0].scale[0] == 7

    class Shift(Scale):
        def build(self, input_shape):
            self.add_weight("scale", input_shape)

    with pytest.raises(errors.ShapeError, match="its weights"):  # which are those of the whole sequence
        nn.Sequential(Shift(), nn.GRU(2, 3), seed=0).build((6, 2)).stream()


def test_streams_refuse_what_needs_the_end_of_a_sequence():
    x = nn.Input((6, 2), name="x")
    last = nn.GRU(2, 2, name="last")(x)
    for result in (x + last, nn.RNN(2, 3)(x + last), x * nn.Reshape(1, 2)(last)):
        with pytest.raises(errors.ShapeError, match="the first output needs the end"):
            nn.Model(x, result, seed=0).stream()
    with pytest.raises(errors.ShapeError, match="not made of the stream's own steps"):
        nn.Model(x, nn.RNN(1, 3)(nn.Reshape(2, 1)(last)), seed=0).stream()


def test_a_stream_of_one_step_is_the_same_net():
    """A shape that leaves two steps apart but not one."""
    model = nn.Sequential(nn.Reshape(2, -1), nn.GRU(4, 2), seed=0).build((2, 4))
    with pytest.raises(errors.ShapeError, match="mixes the time steps"):
        model.stream()


def test_several_inputs_with_different_numbers_of_steps():
    """Lengths are those of the first; the other sequence is taken whole."""
    a, b = nn.Input((6, 2), name="a"), nn.Input((9, 2), name="b")
    model = nn.Model([a, b], nn.Linear(4, 1)(nn.concatenate([nn.GRU(2, 2)(a), nn.GRU(2, 2)(b)])), seed=0)
    rng = np.random.default_rng(0)
    data = [rng.normal(size=(3, 6, 2)), rng.normal(size=(3, 9, 2))]
    found = model.predict(data, lengths=[2, 6, 4])
    np.testing.assert_array_equal(found[:1], model.predict([data[0][:1, :2], data[1][:1]]))
    with pytest.raises(errors.ShapeError, match="between 1 and 6"):
        model.predict(data, lengths=[2, 9, 4])
    joined = nn.Model([a, b], nn.GRU(2, 2)(nn.concatenate([a, b], axis=1)), seed=0)
    found = joined.predict(data, lengths=[2, 6, 4])
    one = nn.Sequential(nn.GRU(2, 2), seed=0).build((11, 2))
    one.load_state_dict({f"0.{key.split('.')[1]}": value for key, value in joined.state_dict().items()})
    np.testing.assert_array_equal(found[:1], one.predict(np.concatenate([data[0][:1, :2], data[1][:1]], axis=1)))


@pytest.mark.parametrize("after", [nn.ReLU(), nn.Identity()])
def test_a_layer_norm_without_eps_makes_no_nan_of_padding(after):
    """Zeros have no deviation to divide by."""
    model = nn.Sequential(nn.LayerNorm(3, eps=0.0), after, nn.Linear(3, 3), nn.GRU(3, 2), seed=0, dtype="float64").build((6, 3))
    rng = np.random.default_rng(0)
    x, dy, lengths = rng.normal(size=(2, 6, 3)), rng.normal(size=(2, 2)), [2, 5]
    found = model.forward(x, lengths=lengths)
    dx, gradients, sums = model.backward(dy), {k: g.copy() for k, g in model.gradients.items()}, {}
    for i, length in enumerate(lengths):
        alone = nn.Sequential(nn.LayerNorm(3, eps=0.0), after, nn.Linear(3, 3), nn.GRU(3, 2), dtype="float64").build((length, 3))
        alone.load_state_dict(model.state_dict())
        np.testing.assert_array_equal(alone.forward(x[i : i + 1, :length]), found[i : i + 1])
        np.testing.assert_allclose(alone.backward(dy[i : i + 1]), dx[i : i + 1, :length], rtol=1e-9)
        sums = {k: sums.get(k, 0) + g for k, g in alone.gradients.items()}
    for name, gradient in gradients.items():
        np.testing.assert_allclose(gradient, sums[name], rtol=1e-9, atol=1e-12)


# Values joined in time -----------------------------------------------------------------------------------------------------------


JOINED = {
    "a start step": (lambda a, s: [s, a], lambda x, s: [s, x]),
    "an end step": (lambda a, s: [a, s], lambda x, s: [x, s]),
    "both": (lambda a, s: [s, a, s], lambda x, s: [s, x, s]),
    "twice": (lambda a, s: [a, s, a], lambda x, s: [x, s, x]),
    "many": (lambda a, s: [a, s] * 6, lambda x, s: [x, s] * 6),  # more than one op takes at once
}


@pytest.mark.parametrize("axis", [1, -2])
@pytest.mark.parametrize("name", JOINED)
def test_steps_joined_in_time_follow_each_other(name, axis):
    """NumPy joins the valid steps of each row; the rest of the result is zero."""
    a, s = nn.Input((6, 2), name="a"), nn.Input((2, 2), name="s")
    join, alone = JOINED[name]
    model = nn.Model([a, s], nn.Concatenate(axis)(join(a, s)), seed=0)
    rng = np.random.default_rng(0)
    x, start, lengths = rng.normal(size=(4, 6, 2)).astype("f4"), rng.normal(size=(4, 2, 2)).astype("f4"), [2, 6, 4, 1]
    x[0, 2:], x[3, 1:] = np.nan, 1e30
    expected = np.zeros((4, *model.output_shapes[0]), "f4")
    for i, n in enumerate(lengths):
        steps = np.concatenate(alone(x[i, :n], start[i]))
        expected[i, : len(steps)] = steps
    np.testing.assert_array_equal(model.predict([x, start], lengths=lengths), expected)
    np.testing.assert_array_equal(model.forward([x, start], lengths=lengths), expected)
    dy = rng.normal(size=expected.shape).astype("f4")
    dx, ds = model.backward(dy)
    for i, n in enumerate(lengths):
        want_x, want_s, at = np.zeros((6, 2), "f4"), np.zeros((2, 2), "f4"), 0
        for part in alone("x", "s"):
            size = n if part == "x" else 2
            (want_x if part == "x" else want_s)[:size] += dy[i, at : at + size]
            at += size
        np.testing.assert_allclose(dx[i], want_x, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(ds[i], want_s, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("n", [1, 2, 6])
def test_an_input_of_one_step_stands_first(n, rng):
    """Lengths are those of the sequences, in whatever order the inputs are, and also if the sequences have one step."""
    s, a = nn.Input((1, 2)), nn.Input((6, 2))
    model = nn.Model([s, a], nn.GRU(2, 3)(nn.Concatenate(axis=1)([s, a])), seed=0)
    x, start = rng.normal(size=(4, n, 2)).astype("f4"), rng.normal(size=(4, 1, 2)).astype("f4")
    lengths = np.minimum([2, 6, 4, 1], n)
    alone = [model.predict([start[i : i + 1], x[i : i + 1, :k]]) for i, k in enumerate(lengths)]
    np.testing.assert_array_equal(model.predict([start, x], lengths=lengths), np.concatenate(alone))


def test_steps_joined_in_time_count_in_losses_weights_and_metrics():
    """Row i has length + 2 steps: the mean square of these, with a weight for each, and the metric, as NumPy computes them."""
    a, s = nn.Input((6, 2), name="a"), nn.Input((2, 2), name="s")
    model = nn.Model([a, s], nn.Linear(2, 1)(nn.Concatenate(axis=1)([s, a])), seed=0)
    seen = []

    def error(y_true, y_pred):
        seen.append(len(y_true))
        return float(np.abs(y_true - y_pred).mean())

    model.compile(loss="mse", optimizer=nn.optim.SGD(lr=0.0), metrics=["mae", error])
    rng = np.random.default_rng(0)
    x, start = rng.normal(size=(4, 6, 2)), rng.normal(size=(4, 2, 2))
    y, weight, lengths = rng.normal(size=(4, 8, 1)), rng.uniform(1, 2, (4, 8)), np.array([2, 6, 4, 1])
    y[np.arange(8) >= lengths[:, None] + 2] = np.nan
    out = model.predict([x, start], lengths=lengths)
    valid = np.arange(8) < lengths[:, None] + 2
    apart, each = (out - np.nan_to_num(y))[valid][:, 0], weight[valid]
    expected = [(each * apart**2).sum() / valid.sum(), np.abs(apart).mean()]
    for result in (
        model.evaluate([x, start], y, lengths=lengths),
        model.train_on_batch([x, start], y, lengths=lengths),
    ):
        assert result[0] == pytest.approx((apart**2).mean(), rel=1e-5)
        assert result[1:] == pytest.approx([expected[1]] * 2, rel=1e-5)
    assert set(seen) == {int(valid.sum())}
    assert model.evaluate([x, start], y, lengths=lengths, sample_weight=weight)[0] == pytest.approx(expected[0], rel=1e-5)


def test_what_was_joined_in_time_is_not_merged_with_what_was_not():
    """Even where the numbers of steps are equal: those of row i are 2 n and n + 6."""
    a, s = nn.Input((6, 2), name="a"), nn.Input((4, 2), name="s")
    twice = nn.Concatenate(axis=1)([a, a])
    longer = nn.Concatenate(axis=1)([nn.Reshape(1, 2)(nn.GRU(2, 2)(a)), s, a, nn.Reshape(1, 2)(nn.RNN(2, 2)(a))])
    data = [np.ones((2, 6, 2)), np.ones((2, 4, 2))]
    for merged in (twice + longer, nn.concatenate([twice, longer]), nn.Lambda(lambda x: x[0], timewise=True)([twice, longer])):
        model = nn.Model([a, s], merged, seed=0)
        model.predict(data)
        with pytest.raises(errors.ShapeError, match="do not have the same steps, as one of them was joined in time"):
            model.predict(data, lengths=[3, 6])


def test_streams_refuse_what_combines_steps():
    x = nn.Input((6, 2), name="x")
    for result in (
        nn.GRU(2, 2)(nn.Concatenate(axis=1)([x, x])),
        nn.LastStep()(x),
        nn.GRU(2, 3)(nn.Lambda(lambda x, lengths=None: x)(x)),
    ):
        with pytest.raises(errors.ShapeError, match="stream: .* mixes the time steps: "):
            nn.Model(x, result, seed=0).stream()


# Pooling -------------------------------------------------------------------------------------------------------------------------


POOLS = {
    nn.GlobalAveragePooling1D: lambda steps: steps.mean(0),
    nn.GlobalMaxPooling1D: lambda steps: steps.max(0),
    nn.LastStep: lambda steps: steps[-1],
}


@pytest.mark.parametrize("shape", [(6, 3), (6, 40), (1, 70), (5, 2, 3)])
@pytest.mark.parametrize("layer", POOLS)
def test_pooling_takes_the_valid_steps(layer, shape):
    """Against NumPy, with NaN in the padding; gradients against finite differences of NumPy's function."""
    model = nn.Sequential(layer(), dtype="float64", seed=0).build(shape)
    rng = np.random.default_rng(0)
    x, lengths = rng.normal(size=(5, *shape)), rng.integers(1, shape[0] + 1, 5)
    x[np.arange(shape[0]) >= lengths[:, None]] = np.nan
    expected = np.stack([POOLS[layer](row[:n]) for row, n in zip(x, lengths, strict=True)])
    np.testing.assert_allclose(model.predict(x, lengths=lengths), expected, rtol=1e-14)
    np.testing.assert_allclose(model.forward(x, lengths=lengths), expected, rtol=1e-14)
    dy = rng.normal(size=expected.shape)
    dx = model.backward(dy)
    assert not dx[np.isnan(x)].any()
    numbers = np.argwhere(~np.isnan(x))
    for at in numbers[:: max(1, len(numbers) // 40)]:
        row, (n, step) = at[0], (lengths[at[0]], 1e-6)
        up, down = x[row, :n].copy(), x[row, :n].copy()
        up[tuple(at[1:])] += step
        down[tuple(at[1:])] -= step
        slope = ((POOLS[layer](up) - POOLS[layer](down)) * dy[row]).sum() / (2 * step)
        assert dx[tuple(at)] == pytest.approx(slope, rel=1e-6, abs=1e-8)
    whole = np.nan_to_num(x)
    np.testing.assert_allclose(model.predict(whole), np.stack([POOLS[layer](row) for row in whole]), rtol=1e-13)


def test_pooling_is_pytorchs():
    torch = pytest.importorskip("torch")
    x = np.random.default_rng(0).normal(size=(4, 6, 3)).astype("f4")
    given = torch.tensor(x, requires_grad=True)
    for layer, reduce in ((nn.GlobalAveragePooling1D, lambda t: t.mean(1)), (nn.GlobalMaxPooling1D, lambda t: t.amax(1))):
        model = nn.Sequential(layer()).build((6, 3))
        theirs = reduce(given)
        np.testing.assert_allclose(model.forward(x), theirs.detach(), rtol=1e-5)
        dy = np.random.default_rng(1).normal(size=(4, 3)).astype("f4")
        (expected,) = torch.autograd.grad(theirs, given, torch.tensor(dy))
        np.testing.assert_allclose(model.backward(dy), expected, rtol=1e-5)


def test_pooling_needs_time():
    with pytest.raises(errors.ShapeError, match=r"expects sequences \[\*, time, features\] but gets \[\*, 3\]"):
        nn.GlobalAveragePooling1D()(nn.Linear(2, 3)(nn.Input((2,))))
    model = nn.Sequential(nn.Linear(2, 3), nn.LastStep(), nn.Linear(3, 1))  # the number of steps comes with the data
    assert model.predict(np.ones((5, 4, 2))).shape == (5, 1)


# Layers in Python that ask for lengths -------------------------------------------------------------------------------------------


def test_lambdas_may_ask_for_lengths():
    def mean(x, lengths=None):
        steps = np.full(len(x), x.shape[1]) if lengths is None else lengths
        return x.sum(axis=1) / steps[:, None]  # x is zero in the padding

    def backward(dy, x, y, lengths):
        steps = np.full(len(x), x.shape[1]) if lengths is None else lengths
        return np.broadcast_to((dy / steps[:, None])[:, None], x.shape)

    layer = nn.Lambda(mean, backward, output_shape=lambda shape: shape[1:], return_sequences=False)
    model = nn.Sequential(nn.Linear(2, 3), layer, nn.Linear(3, 1), seed=0, dtype="float64").build((6, 2))
    twin = nn.Sequential(nn.Linear(2, 3), nn.GlobalAveragePooling1D(), nn.Linear(3, 1), seed=0, dtype="float64").build((6, 2))
    rng = np.random.default_rng(0)
    x, lengths, dy = rng.normal(size=(4, 6, 2)), [2, 6, 4, 1], rng.normal(size=(4, 1))
    for given in (lengths, None):
        np.testing.assert_allclose(model.forward(x, lengths=given), twin.forward(x, lengths=given), rtol=1e-13)
        np.testing.assert_allclose(model.backward(dy), twin.backward(dy), rtol=1e-13)
    assert layer.config()["return_sequences"] is False
    assert "return_sequences" not in repr(nn.Lambda(mean))


def test_a_layer_in_python_that_keeps_no_steps_says_so():
    """Otherwise what comes after it would take the result for a sequence, or for something without one."""
    shorter = nn.Lambda(lambda x, lengths=None: x[:, 1:], output_shape=lambda shape: (shape[0] - 1, *shape[1:]))
    with pytest.raises(errors.ShapeError, match="does not have the steps of its input; declare return_sequences=False"):
        nn.Sequential(shorter, nn.GRU(2, 3), seed=0).build((6, 2)).predict(np.ones((1, 6, 2)), lengths=[4])
    with pytest.raises(errors.ArgumentError, match="return_sequences"):
        nn.Lambda(lambda x, lengths: x, return_sequences="no")


def test_lengths_of_a_layer_in_python_are_those_of_its_input():
    """Joined in time, a value has more steps than the input; in blocks of rows, a layer gets those of its rows."""
    seen = []

    def look(x, lengths):
        seen.append((len(x), x.shape[1], None if lengths is None else lengths.copy()))
        return x

    a = nn.Input((3, 2), name="a")
    model = nn.Model(a, nn.Lambda(look)(nn.Concatenate(axis=1)([a, a])), seed=0)
    lengths = np.random.default_rng(0).integers(1, 4, 2000)
    model.predict(np.ones((2000, 3, 2)), lengths=lengths)
    assert len(seen) > 1
    assert {steps for _, steps, _ in seen} == {6}
    np.testing.assert_array_equal(np.concatenate([each for *_, each in seen]), 2 * lengths)
    del seen[:]
    model.predict(np.ones((4, 3, 2)))
    assert seen[0][2] is None
