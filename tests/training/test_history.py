"""What fit returns."""

import sys

import pytest
from training.simple import line, linear

import nncore as nn
from nncore import errors


def test_history(rng):
    x, y = line(rng, 20)
    model = linear(metrics=["mae"])
    history = model.fit(x, y, epochs=3, initial_epoch=1, validation_split=0.25)
    assert history is model.history
    assert history.epoch == [1, 2]
    assert {key: len(values) for key, values in history.history.items()} == {"loss": 2, "mae": 2, "val_loss": 2, "val_mae": 2}
    assert all(type(value) is float for values in history.history.values() for value in values)
    assert len(history.step_losses) == 2
    assert repr(history).startswith("History(2 epochs: loss=")
    assert model.fit(x, y, epochs=0).history == {}


def test_plot(rng):
    matplotlib = pytest.importorskip("matplotlib")
    x, y = line(rng, 20)
    model = linear(metrics=["mae"])
    figure = model.fit(x, y, epochs=3, validation_split=0.25).plot()
    assert isinstance(figure, matplotlib.figure.Figure)
    assert [axes.get_title() for axes in figure.axes] == ["loss", "mae"]
    for axes in figure.axes:
        assert [line.get_linestyle() for line in axes.lines] == ["-", "--"]
        assert [line.get_label() for line in axes.lines] == ["training", "validation"]
    with pytest.raises(errors.EmptyDataError, match="no epoch"):
        nn.History().plot()


def test_plot_without_matplotlib_names_the_extra(monkeypatch, rng):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    history = linear().fit(*line(rng, 20))
    with pytest.raises(errors.MissingExtraError, match=r"nncore\[plot\]"):
        history.plot()
