"""model.plot(): boxes and arrows are those of the model."""

from itertools import pairwise

import graphviz
import pytest

import nncore as nn
from nncore.errors import ArgumentError, NotBuiltError
from nncore.network.drawing import drawing

matplotlib = pytest.importorskip("matplotlib")


def named(model):
    found = drawing(model._network)
    names = [box.text.split("\n")[0] for box in found.boxes]
    return names, [(names[a], names[b]) for a, b in found.arrows], [box.level for box in found.boxes]


def test_a_chain():
    names, arrows, levels = named(nn.Sequential(nn.Linear(3, 4), nn.Dropout(0.1), nn.ReLU(), nn.Linear(4, 2)))
    assert names == ["input", "0 Linear", "1 Dropout", "2 ReLU", "3 Linear"]
    assert arrows == list(pairwise(names))
    assert levels == [0, 1, 2, 3, 4]


def test_a_graph_with_a_shared_layer_and_a_way_around():
    a, b, shared = nn.Input((4,), "a"), nn.Input((4,), "b"), nn.Linear(4, 4, name="shared")
    u, v = shared(a), shared(b)
    model = nn.Model([a, b], nn.Linear(4, 1, name="out")(nn.ReLU(name="relu")(u) + v + a))
    names, arrows, levels = named(model)
    assert names[:2] == ["a", "b"]
    assert names.count("shared Linear") == 2
    assert ("a", "shared Linear") in arrows
    assert ("b", "shared Linear") in arrows
    assert ("shared Linear", "relu ReLU") in arrows
    assert sum(second.endswith("Add") for _, second in arrows) == 4
    assert names[levels.index(max(levels))] == "out Linear"


def test_what_is_drawn():
    model = nn.Sequential(nn.GRU(3, 8), nn.Linear(8, 2))
    figure = model.plot(engine="matplotlib")
    texts = [each.get_text() for each in figure.axes[0].texts if each.get_text()]
    assert texts[0].startswith("input\n")
    assert texts[1].startswith("0 GRU\n")
    assert texts[2] == "1 Linear\n[*, 2], 18 parameters"
    assert isinstance(model.plot(engine="matplotlib"), matplotlib.figure.Figure)
    with pytest.raises(ArgumentError, match="engine"):
        model.plot(engine="tikz")
    with pytest.raises(NotBuiltError):
        nn.Sequential(nn.ReLU()).plot()


def test_graphviz():
    found = nn.Sequential(nn.Linear(3, 4), nn.ReLU()).plot(engine="graphviz")
    assert isinstance(found, graphviz.Digraph)
    assert "0 -> 1" in found.source
    assert "0 Linear" in found.source
