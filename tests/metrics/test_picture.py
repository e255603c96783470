"""nn.metrics.plot_confusion: the numbers of the matrix, by class."""

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix

import nncore as nn
from nncore.errors import ArgumentError

pytest.importorskip("matplotlib")


@pytest.mark.parametrize("normalize", [False, True])
def test_numbers_are_those_of_the_matrix(rng, normalize):
    y, answer = rng.integers(0, 4, 200), rng.integers(0, 4, 200)
    axes = nn.metrics.plot_confusion(y, answer, labels=["ant", "bee", "cat", "donkey"], normalize=normalize).axes[0]
    expected = confusion_matrix(y, answer, normalize="true" if normalize else None)
    np.testing.assert_allclose(axes.images[0].get_array(), expected)
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["ant", "bee", "cat", "donkey"]
    shown = {(int(text.get_position()[1]), int(text.get_position()[0])): float(text.get_text()) for text in axes.texts}
    assert shown == {(i, j): round(float(expected[i, j]), 2) for i in range(4) for j in range(4)}


def test_many_classes_have_no_numbers(rng):
    y = np.arange(40)
    axes = nn.metrics.plot_confusion(y, y).axes[0]
    assert not axes.texts


def test_labels_are_counted():
    with pytest.raises(ArgumentError, match="labels has 1 names for 2 classes"):
        nn.metrics.plot_confusion([0, 1], [0, 1], labels=["a"])
