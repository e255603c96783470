"""Each sequence of a batch with lengths gives what it gives alone, and a stream what the whole sequence gives; or both are refused.

Nets are drawn at random (time_nets.py). NNCORE_FUZZ says how many (`make fuzz` sets it higher).
"""

import os

import numpy as np
import pytest
from truth.time_nets import OTHER_STEPS, STEPS, TABLE, Generator

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
    return [a[row : row + 1, :length] if program.known[i].timed else a[row : row + 1] for a, i in zip(arrays, numbers, strict=True)]


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
    counts = [np.arange(STEPS) < lengths[:, None] if program.known[i].timed else np.ones(ROWS, bool) for i in program.outputs]
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
