"""Sizes that are expressions: what they say in C is what they are as numbers."""

from math import prod

import pytest

from nncore.export.c.sizes import Size


@pytest.mark.parametrize("steps", [1, 2, 7])
def test_expressions_have_the_values_of_the_numbers(steps):
    n = Size(steps, "steps")
    made = [n, 3 * n, n * 4, n - 1, 2 * (n - 1), n + 2, 5 + n, 9 - n, 6 * n // 3, (n + 1) * (n - 1), prod((n, 5, 2)), n * n]
    numbers = [steps, 3 * steps, 4 * steps, steps - 1, 2 * (steps - 1), steps + 2, 5 + steps, 9 - steps, 2 * steps]
    numbers += [(steps + 1) * (steps - 1), 10 * steps, steps * steps]
    for size, number in zip(made, numbers, strict=True):
        assert int(size) == size == number
        assert type(int(size)) is int
        assert eval(f"{size}".replace("/", "//"), {"steps": steps}) == number
        assert "steps" in f"{size}"


def test_what_changes_nothing_is_left_out():
    n = Size(5, "steps")
    assert [f"{each}" for each in (1 * n, n * 1, n + 0, n - 0, n // 1)] == ["steps"] * 5
    assert f"{sum([n, 2])}" == "(steps + 2)"
