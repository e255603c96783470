"""Predictions of a few rows through wide layers, whose columns the pool shares: the same bits whoever computes them."""

import numpy as np
import pytest
from base.test_threads import FORK, LINUX, at_once, python

import nncore as nn

CALLS = 60  #: in a row, so that workers are woken: one call by itself does without


def wide(seed=0, dtype="float32"):
    """Layers of 784 x 512 and 512 x 300 (the last panel of columns is a part of one), a normalisation between, and a narrow end."""
    layers = [
        nn.Linear(784, 512),
        nn.ReLU(),
        nn.LayerNorm(512),
        nn.Linear(512, 300),
        nn.Tanh(),
        nn.Linear(300, 10),
        nn.Softmax(dim=-1),
    ]
    return nn.Sequential(*layers, seed=seed, dtype=dtype).build((784,))


def rows(n, seed=0, dtype="float32"):
    return np.random.default_rng(seed).normal(size=(n, 784)).astype(dtype)


@pytest.mark.parametrize("n", [1, 2, 5, 8])
def test_bits_do_not_depend_on_threads(n, dtype):
    model, x = wide(dtype=dtype), rows(n, dtype=dtype)
    nn.set_num_threads(1)
    expected = model(x)
    out = np.empty_like(expected)
    for threads in (2, 3, 7):
        nn.set_num_threads(threads)
        for _ in range(CALLS):
            np.testing.assert_array_equal(model(x), expected)
            out.fill(np.nan)
            np.testing.assert_array_equal(model.predict_on_batch(x, out=out), expected)


def test_result_is_that_of_many_rows():
    nn.set_num_threads(2)
    model, x = wide(), rows(200)
    together = model(x)
    for _ in range(3):
        np.testing.assert_array_equal(np.concatenate([model(x[i : i + 1]) for i in range(200)]), together)


NUMBERS = ["float64", "float16", "int8", "uint8", "int64", "bool"]


def given(kind, n, columns=7):
    """Numbers that float32 holds exactly, so that every conversion gives the same ones."""
    values = np.random.default_rng(0).integers(-8, 9, (n, columns)) / (8 if "float" in kind else 1)
    return (np.abs(values) if kind[0] in "ub" else values).astype(kind)


@pytest.mark.parametrize("n", [1, 3, 16, 17, 40])
@pytest.mark.parametrize("kind", NUMBERS)
def test_numbers_of_any_type_give_what_the_converted_ones_give(kind, n):
    model, x = nn.Sequential(nn.Linear(7, 9), nn.Tanh(), nn.Linear(9, 2), seed=0), given(kind, n)
    weight, bias = (model.state_dict()[key].astype(np.float64) for key in ("0.weight", "0.bias"))
    hidden = np.tanh(x.astype(np.float64) @ weight.T + bias)
    right = hidden @ model.layers[2].weight.T.astype(np.float64) + model.layers[2].bias
    expected = model(x.astype(np.float32)).copy()
    np.testing.assert_allclose(expected, right, atol=1e-5)
    for call in (model, model.predict, model.predict_on_batch):
        np.testing.assert_array_equal(call(x), expected)
        np.testing.assert_array_equal(call(np.repeat(x, 2, axis=0)[::2]), expected)  # rows apart
        np.testing.assert_array_equal(call(x.astype(x.dtype.newbyteorder())), expected)
        np.testing.assert_array_equal(call(x.tolist()), expected)
    out = np.empty_like(expected)
    assert model(x, out=out) is out
    np.testing.assert_array_equal(out, expected)


def test_indices_of_any_type_are_checked():
    model = nn.Sequential(nn.Embedding(5, 3), nn.Flatten(), nn.Linear(6, 1), seed=0)
    x = np.array([[1, 4]])
    expected = model(x.astype(np.float32)).copy()
    for kind in ("int64", "uint8", "float64"):
        np.testing.assert_array_equal(model.predict(x.astype(kind)), expected)
        with pytest.raises(nn.errors.IndexRangeError, match="5"):
            model.predict(np.array([[1, 5]], kind))


def test_results_of_predict_do_not_share_memory():
    model = nn.Sequential(nn.Linear(3, 2), seed=0)
    found = [model.predict(np.full((1, 3), i)) for i in range(50)]
    np.testing.assert_allclose(found, [model(np.full((1, 3), i, np.float32)) for i in range(50)])


def test_time_steps_share_a_wide_layer():
    model = nn.Sequential(nn.GRU(20, 64, return_sequences=True), nn.Linear(64, 1024), nn.ReLU(), nn.Linear(1024, 3), seed=0)
    x = np.random.default_rng(0).normal(size=(2, 30, 20)).astype(np.float32)
    nn.set_num_threads(1)
    expected = model(x)
    nn.set_num_threads(2)
    for _ in range(CALLS):
        np.testing.assert_array_equal(model(x), expected)


def test_python_threads_predict_different_rows():
    nn.set_num_threads(2)
    models = [wide(seed) for seed in range(2)]
    cases = [(models[i % 2], rows(1 + i % 3, seed=i)) for i in range(6)]
    expected = [model(x) for model, x in cases]

    def call(model, x, right):
        for _ in range(CALLS):
            np.testing.assert_array_equal(model(x), right)

    at_once([lambda m=m, x=x, right=right: call(m, x, right) for (m, x), right in zip(cases, expected, strict=True)])


WIDE = """
model = nn.Sequential(nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 256), nn.ReLU(), nn.Linear(256, 10), seed=0).build((784,))
x = rng.normal(size=(1, 784)).astype(np.float32)
def quickly(seconds=0.1):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        y = model(x)
    return y
"""


@LINUX
@pytest.mark.parametrize(("threads", "workers"), [(1, 0), (2, 1), (3, 2)])
def test_workers_are_started_when_calls_follow_one_another(threads, workers):
    code = "nn.set_num_threads(THREADS)\nbefore = len(tasks())\nmodel(x)\nalone = len(tasks()) - before\nquickly()\n"
    code = WIDE + code.replace("THREADS", str(threads)) + "print(alone, len(tasks()) - before)"
    assert python(code) == f"0 {workers}"


@LINUX
def test_one_call_now_and_then_starts_no_worker():
    code = """
nn.set_num_threads(2)
before = len(tasks())
for _ in range(50):
    model(x)
    time.sleep(0.002)
print(len(tasks()) - before)
"""
    assert python(WIDE + code) == "0"


@LINUX
def test_small_layers_start_no_worker():
    code = """
nn.set_num_threads(2)
model, x = make(64), x[:, :6].copy()
before = len(tasks())
quickly()
print(len(tasks()) - before)
"""
    assert python(WIDE + code) == "0"


@LINUX
def test_no_worker_is_busy_after_the_call():
    code = "nn.set_num_threads(2)\nquickly()\ntime.sleep(0.05)\nbefore = cpu_ticks()\ntime.sleep(0.5)\nprint(cpu_ticks() - before)"
    assert int(python(WIDE + code)) <= 1


@FORK
def test_a_forked_child_predicts_alone():
    code = """
nn.set_num_threads(2)
expected = quickly()
sys.stdout.flush()
child = os.fork()
if not child:
    os._exit(0 if np.array_equal(quickly(), expected) and len(tasks()) == 1 else 1)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), np.array_equal(quickly(), expected))
"""
    assert python(WIDE + code) == "0 True"


def test_training_between_predictions():
    """Weights that have just been updated are those that workers read."""
    nn.set_num_threads(2)
    model, x = wide(), rows(32)
    model.compile(loss="sparse_categorical_crossentropy", optimizer="adam")
    y = np.arange(32) % 10
    for _ in range(5):
        model.train_on_batch(x, y)
        expected = model.predict(x)
        for i in range(32):
            np.testing.assert_array_equal(model(x[i : i + 1]), expected[i : i + 1])
