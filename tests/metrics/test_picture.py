"""The picture of a confusion matrix."""

import pytest

import nncore as nn

pytest.importorskip("matplotlib")


@pytest.mark.parametrize(
    ("y", "labels", "names"),
    [
        (["cat", "ant", "bee", "ant"], None, ["ant", "bee", "cat"]),
        ([2, 0, 1, 0], None, ["0", "1", "2"]),
        ([2, 0, 1, 0], ["x", "y", "z"], ["x", "y", "z"]),
    ],
)
def test_classes_have_their_names(y, labels, names):
    axes = nn.metrics.plot_confusion(y, y, labels=labels).axes[0]
    assert [text.get_text() for text in axes.get_yticklabels()] == names
    assert [text.get_text() for text in axes.get_xticklabels()] == names
