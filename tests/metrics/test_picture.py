"""The picture of a confusion matrix."""

import numpy as np
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


@pytest.mark.parametrize("predicted", [[np.nan] * 3, [[np.nan]] * 3, [0.2, np.nan, 0.7]])
@pytest.mark.parametrize("labels", [None, ["no", "yes"]])
def test_nan_is_refused(predicted, labels):
    with pytest.raises(nn.errors.NonFiniteError, match="plot_confusion: .* contains NaN"):
        nn.metrics.plot_confusion([0, 1, 1], predicted, labels=labels)
