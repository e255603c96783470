"""Merges of any number of values, and of what is no list of values."""

import numpy as np
import pytest

import nncore as nn
from nncore.errors import ArgumentError, NncoreError, SizeError

MERGES = {
    "add": lambda parts: sum(parts),
    "multiply": lambda parts: np.prod(parts, axis=0),
    "average": lambda parts: np.mean(parts, axis=0),
    "maximum": lambda parts: np.max(parts, axis=0),
    "minimum": lambda parts: np.min(parts, axis=0),
    "concatenate": lambda parts: np.concatenate(parts, axis=-1),
}


@pytest.mark.parametrize("name", MERGES)
@pytest.mark.parametrize("count", [8, 9, 64, 65, 66, 200])
def test_any_number_of_values(name, count, rng):
    merge, scales = getattr(nn, name), rng.uniform(0.9, 1.1, count)
    x = rng.normal(size=(4, 3))
    expected = MERGES[name]([x * scale for scale in scales])
    np.testing.assert_allclose(merge([x * scale for scale in scales]), expected, rtol=1e-10, atol=1e-14)
    a = nn.Input((3,))
    merged = merge([a * float(scale) for scale in scales])
    model = nn.Model(a, nn.Linear(merged.shape[0], 2)(merged), seed=0, dtype="float64")
    weight, bias = model.parameters()
    np.testing.assert_allclose(model.predict(x), expected @ weight.T + bias, rtol=1e-9, atol=1e-12)
    assert nn.check_gradients(model, x)
    model.compile("mse", "sgd")
    model.train_on_batch(x, np.zeros((4, 2)))


def test_many_values_of_different_widths(rng):
    parts = [rng.normal(size=(4, 1 + i % 5)) for i in range(70)]
    a = nn.Input((3,))
    merged = nn.concatenate([nn.Linear(3, 1 + i % 5)(a) for i in range(70)])
    assert merged.shape == (sum(part.shape[1] for part in parts),)
    np.testing.assert_array_equal(nn.concatenate(parts), np.concatenate(parts, axis=1))


def test_a_layer_of_ones_own_has_a_limit():
    class Sum(nn.PythonLayer):
        input_count = (2, None)

        def forward(self, x):
            return sum(x)

    with pytest.raises(SizeError, match="70 inputs are too many"):
        Sum()([np.ones((2, 3))] * 70)


WRONG = [[], (), None, 3, "ab", {}, {"a": [[1.0]]}, [[[1.0]]], [None, None], ["a", "b"], [[[1.0]], None], np.zeros((2, 3, 4))]
WRONG += [[1j, 2j], True, range(3), object(), [np.zeros((2, 3)), 5], [np.zeros((2, 3)), np.zeros((3, 3))], [3.0, 4.0]]


@pytest.mark.parametrize("name", [*MERGES, "subtract"])
def test_what_cannot_be_merged(name):
    merge = getattr(nn, name)
    for wrong in [*WRONG, [nn.Input((3,))], [nn.Input((3,)), 3], [nn.Input((3,)), np.ones((2, 3))], {"a": nn.Input((3,))}]:
        with pytest.raises(NncoreError):
            merge(wrong)
    with pytest.raises(ArgumentError, match=r"takes (at least )?2 inputs, not 0"):
        merge([])
    with pytest.raises(ArgumentError, match=r"takes (at least )?2 inputs, not 1"):
        merge([nn.Input((3,))])


@pytest.mark.parametrize(
    "wrong", [None, "x", [], {}, object(), 1j, float("nan"), float("inf"), np.zeros(2), True, int, np.complex64(1)]
)
def test_arithmetic_of_values_with_what_is_no_number(wrong):
    x = nn.Input((3,))
    for operation in (
        lambda: x + wrong,
        lambda: wrong + x,
        lambda: x - wrong,
        lambda: wrong - x,
        lambda: x * wrong,
        lambda: wrong * x,
        lambda: x / wrong,
    ):
        with pytest.raises(ArgumentError):
            operation()


def test_arithmetic_of_values_with_numbers():
    x = nn.Input((3,))
    for number in (2, 2.0, np.float32(2.0), np.int64(2), np.array(2.0)):
        model = nn.Model(x, ((number * x + number) / number - number) * number)
        np.testing.assert_allclose(model.predict([[1.0, 2.0, 3.0]]), [[0.0, 2.0, 4.0]])
    with pytest.raises(ArgumentError, match="divide by a number other than 0"):
        x / 0
    with pytest.raises(TypeError):
        2 / x
