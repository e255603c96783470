"""Training with products in bfloat16: the same bits however a step is divided and whatever instruction set computes it."""

import copy
import hashlib
import os

import numpy as np
import pytest
from instruction_sets import printed
from own_parts import PyTanh

import nncore as nn

LOSS = "mse"
MODES = ("separate", "woven", "")


def plain(**options):
    return nn.Sequential(
        nn.Linear(20, 40), nn.ReLU(), nn.Linear(40, 48), nn.Linear(48, 33), nn.ReLU(), nn.Linear(33, 5), seed=3, **options
    )


def regular(**options):
    return nn.Sequential(
        nn.Linear(20, 40, l2=1e-3),
        nn.ReLU(),
        nn.Dropout(0.2),
        nn.Linear(40, 40, max_norm=1.0),
        nn.BatchNorm1d(40),
        nn.ReLU(),
        nn.Linear(40, 24),
        nn.LayerNorm(24),
        nn.Linear(24, 16),
        nn.GELU(),
        nn.Linear(16, 5),
        seed=3,
        **options,
    )


def graph(**options):
    x = nn.Input((20,), name="x")
    shared = nn.Linear(32, 32, name="shared")
    h = nn.ReLU()(nn.Linear(20, 32)(x))
    h = h + nn.ReLU()(shared(nn.ReLU()(shared(h))))
    h = nn.Flatten()(nn.Concatenate()([h, nn.Linear(32, 16)(h)]))
    return nn.Model(x, nn.Linear(16, 5)(nn.ReLU()(nn.Linear(48, 16)(h))), seed=3, **options)


def frozen(**options):
    model = plain(**options)
    model.layers[0].trainable = model.layers[3].trainable = False
    return model


NETS = {"plain": plain, "regular": regular, "graph": graph, "frozen": frozen}
SETTINGS = {
    "adam": {"optimizer": nn.optim.Adam(lr=1e-2)},
    "clipped": {"optimizer": nn.optim.SGD(lr=1e-2, momentum=0.9, clip_norm=0.5)},
    "grouped": {
        "optimizer": nn.optim.RMSprop(
            lr=1e-2, weight_decay=1e-2, momentum=0.5, groups=[{"params": ["*.bias", "0.weight"], "lr": 1e-3, "weight_decay": 0}]
        )
    },
    "averaged": {"optimizer": nn.optim.AdamW(lr=1e-2, ema_momentum=0.9)},
}


def data(rows):
    rng = np.random.default_rng(rows)
    x = rng.normal(size=(rows, 20)).astype(np.float32)
    return x, np.tanh(x @ rng.normal(size=(20, 5)).astype(np.float32))


def digest(model):
    arrays = [*model.state_dict().values(), *model._plan.buffers().values()]
    return hashlib.sha256(b"".join(np.ascontiguousarray(each).tobytes() for each in arrays)).hexdigest()


def trained(net, setting="adam", batch_size=33, rows=70, epochs=2, **fit):
    model = NETS[net](compute="bfloat16")
    model.compile(LOSS, **SETTINGS[setting])
    model.fit(*data(rows), epochs=epochs, batch_size=batch_size, verbose=0, **fit)
    return model


@pytest.fixture
def restored():
    yield
    nn._core.force_threads(0)
    nn._core.force_operand_mode()


@pytest.mark.parametrize("batch_size", [2, 31, 32, 33, 70])
@pytest.mark.parametrize("net", NETS)
def test_threads_and_writers_of_operands(restored, net, batch_size):
    found = set()
    for mode in MODES:
        nn._core.force_operand_mode(mode)
        for threads in (1, 2, 3, 7):
            nn._core.force_threads(threads)
            found.add(digest(trained(net, batch_size=batch_size)))
    assert len(found) == 1


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("net", ["plain", "regular"])
def test_updates(restored, net, setting):
    """The update of a weight beside its gradient, and behind it; gradients of the last step are there in both cases."""
    found = set()
    for threads, mode in ((1, ""), (3, "woven"), (1, "separate")):
        nn._core.force_threads(threads)
        nn._core.force_operand_mode(mode)
        found.add(digest(trained(net, setting)))
    assert len(found) == 1


def test_batches_of_one(restored):
    found = set()
    for threads, mode in ((1, "woven"), (2, "separate")):
        nn._core.force_threads(threads)
        nn._core.force_operand_mode(mode)
        found.add(digest(trained("plain", batch_size=1, rows=9)))
    assert len(found) == 1


@pytest.mark.parametrize("net", NETS)
def test_resuming(net, tmp_path):
    x, y = data(70)
    whole = trained(net, epochs=4)
    half = trained(net, epochs=2)
    half.save(tmp_path / "half.safetensors")
    again = nn.load(tmp_path / "half.safetensors")
    assert again.compute == "bfloat16"
    again.fit(x, y, epochs=4, initial_epoch=2, batch_size=33, verbose=0)
    assert digest(again) == digest(whole)


def test_accumulated_batches(restored):
    found = set()
    for threads, mode in ((1, "woven"), (3, "separate")):
        nn._core.force_threads(threads)
        nn._core.force_operand_mode(mode)
        found.add(digest(trained("plain", batch_size=8, accumulate=4)))
    assert len(found) == 1


def test_diagnosis_sees_every_value(restored):
    """Where nothing else reads the result of a layer as float32, a probe does."""
    found = []
    for mode in MODES:
        nn._core.force_operand_mode(mode)
        seen = nn.callbacks.Diagnostics(every=2)
        model = trained("plain", callbacks=[seen])
        assert 0.1 < seen.zero_fraction["layer 1 (ReLU)"][-1] < 0.9
        found.append((digest(model), seen.gradient_norm, seen.mean, seen.std, seen.zero_fraction))
    assert found[0] == found[1] == found[2]


def test_by_hand_is_as_in_fit():
    x, y = data(33)
    model = plain(compute="bfloat16")
    model.compile(LOSS, nn.optim.SGD(lr=0.1))
    other = plain(compute="bfloat16")
    other.compile(LOSS, nn.optim.SGD(lr=0.1))
    for _ in range(3):
        model.train_on_batch(x, y)
        out = other.forward(x, training=True)
        other.backward((out - y) * np.float32(2 / out.size))
        other.apply_gradients()
    for a, b in zip(model.parameters(), other.parameters(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


class StepTanh(PyTanh):
    timewise = True


def sequences(**options):
    x = nn.Input((6,), name="x")
    h = nn.Embedding(11, 16)(x)
    h = nn.ReLU()(nn.Linear(32, 24)(nn.ReLU()(nn.Linear(16, 32)(h))))
    last = nn.LSTM(24, 16)(h)
    steps = nn.Linear(24, 20, name="steps")(StepTanh()(h))
    return nn.Model(x, [nn.Linear(16, 3, name="last")(last), steps], seed=2, **options)


@pytest.mark.parametrize("with_lengths", [False, True])
@pytest.mark.parametrize("rows", [5, 37])
def test_sequences_several_outputs_and_parts_in_python(restored, rows, with_lengths):
    rng = np.random.default_rng(rows)
    x, lengths = rng.integers(0, 11, size=(rows, 6)), rng.integers(1, 7, size=rows) if with_lengths else None
    y = [rng.normal(size=(rows, 3)), rng.normal(size=(rows, 6, 20))]
    found = set()
    for threads, mode in ((1, ""), (1, "separate"), (2, "woven"), (3, "separate")):
        nn._core.force_threads(threads)
        nn._core.force_operand_mode(mode)
        model = sequences(compute="bfloat16")
        model.compile(LOSS, "adam")
        model.fit(x, y, lengths=lengths, epochs=2, batch_size=33, verbose=0)
        outputs = model.predict(x, lengths=lengths)
        found.add(digest(model) + "".join(hashlib.sha256(each.tobytes()).hexdigest() for each in outputs))
    assert len(found) == 1


def test_values_beyond_the_length_change_nothing(rng):
    model = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 16), nn.GRU(16, 16), seed=0, compute="bfloat16").build(
        (5, 16)
    )
    model.compile(LOSS, "sgd")
    x, y, lengths = rng.normal(size=(40, 5, 16)).astype(np.float32), rng.normal(size=(40, 16)), rng.integers(1, 6, size=40)
    other = copy.deepcopy(model)
    changed = x.copy()
    for row, length in zip(changed, lengths, strict=True):
        row[length:] = 1e6
    model.fit(x, y, lengths=lengths, verbose=0, shuffle=False)
    other.fit(changed, y, lengths=lengths, verbose=0, shuffle=False)
    assert digest(model) == digest(other)
    np.testing.assert_array_equal(model.predict(x, lengths=lengths), other.predict(changed, lengths=lengths))


def test_gradients_of_the_input(restored, rng):
    """They go through layers whose operands others have written."""
    found = []
    x, dy = rng.normal(size=(40, 20)).astype(np.float32), rng.normal(size=(40, 5)).astype(np.float32)
    for mode in MODES:
        nn._core.force_operand_mode(mode)
        model = plain(compute="bfloat16")
        model.forward(x, training=True)
        found.append(model.backward(dy))
    np.testing.assert_array_equal(found[0], found[1])
    full = plain()
    full.forward(x, training=True)
    expected = full.backward(dy)
    assert np.linalg.norm(found[0] - expected) < 0.1 * np.linalg.norm(expected)  # some units change their sign by rounding


PROGRAM = """
import sys
from plan.run import test_bf16_training as own
for net in own.NETS:
    for batch_size in (31, 33):
        print(net, own.digest(own.trained(net, batch_size=batch_size)), own.trained(net).evaluate(*own.data(40), verbose=0).hex())
"""


@pytest.mark.skipif("NNCORE_ISA" in os.environ, reason="it chooses the instruction set by itself")
def test_instruction_sets():
    found = {isa: printed(PROGRAM, isa) for isa in nn._core.isas()}
    assert len(set(found.values())) == 1, found
