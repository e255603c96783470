"""The picture of a model: a box per call of a layer, and an arrow where one reads what another computes."""

from __future__ import annotations

import shutil
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, NamedTuple

from .._checks import choice, shape_text
from ..errors import require
from .summary import summarise

if TYPE_CHECKING:
    from .network import Network


class Box(NamedTuple):
    """An input, or a call of a layer."""

    text: str
    level: int  #: the longest way from an input
    is_input: bool


class Drawing(NamedTuple):
    """What is drawn."""

    boxes: list[Box]
    arrows: list[tuple[int, int]]  #: from one box to another


def drawing(network: Network) -> Drawing:
    """Return the boxes and arrows of a network, from its ops."""
    plan, inputs = network.plan, list(network.input_names)
    summary = summarise(network, [])
    shapes = dict(zip((row.name for row in summary.rows), summary.rows, strict=True))
    calls = {
        op: (layer, call)
        for layer in range(len(network.layers))
        for call, (first, last) in enumerate(network.connections.op_spans(layer, plan.owners))
        for op in range(first, last)
    }
    boxes = [Box(f"{name}\n{shape_text(shape)}", 0, True) for name, shape in zip(inputs, summary.input_shapes, strict=True)]
    number: dict[tuple[int, int], int] = {}
    box_of = list(range(len(inputs)))  # of each value
    arrows: dict[tuple[int, int], None] = {}
    levels = [0] * len(inputs)
    for i, op in enumerate(plan.ops):
        layer, call = calls[i]
        if (layer, call) not in number:
            number[layer, call] = len(boxes)
            row = shapes[network.connections.key(layer)]
            count = f", {row.parameters:,} parameters" if row.parameters and not call else ""
            boxes.append(Box(f"{row.name} {row.type}\n{shape_text(row.output_shape)}{count}", 0, False))
            levels.append(0)
        own = number[layer, call]
        for value in op.inputs:
            if box_of[value] != own:
                arrows[box_of[value], own] = None
                levels[own] = max(levels[own], levels[box_of[value]] + 1)
        box_of.append(own)
    return Drawing([box._replace(level=level) for box, level in zip(boxes, levels, strict=True)], list(arrows))


def plot(network: Network, engine: Any) -> Any:
    """Return the picture of a network; see `Model.plot`."""
    engine = choice("plot", "engine", engine, ("auto", "graphviz", "matplotlib"))
    network.require_parameters("plot")
    drawn = drawing(network)
    if engine == "auto":
        engine = "graphviz" if shutil.which("dot") and find_spec("graphviz") else "matplotlib"
    return _with_graphviz(drawn) if engine == "graphviz" else _with_matplotlib(drawn)


def _with_graphviz(drawn: Drawing) -> Any:
    graphviz = require("graphviz", "plot", "plot")
    found = graphviz.Digraph(node_attr={"shape": "box", "style": "rounded", "fontname": "Helvetica", "fontsize": "11"})
    for i, box in enumerate(drawn.boxes):
        found.node(str(i), box.text, color="#009e73" if box.is_input else "#0072b2")
    for first, second in drawn.arrows:
        found.edge(str(first), str(second))
    return found


def _with_matplotlib(drawn: Drawing) -> Any:
    require("matplotlib.figure", "plot", "plot")
    from ..foreign.figure import BLUE, GREEN, new_figure, style

    rows: dict[int, list[int]] = {}
    for i, box in enumerate(drawn.boxes):
        rows.setdefault(box.level, []).append(i)
    place = {i: (k - (len(row) - 1) / 2, -level) for level, row in rows.items() for k, i in enumerate(row)}
    widest, height = max(map(len, rows.values())), max(rows) + 1
    with style():
        figure = new_figure(3.0 * widest + 0.5, 0.85 * height + 0.3)
        axes = figure.subplots()
        axes.set(xlim=(-widest / 2, widest / 2), ylim=(-height + 0.4, 0.6))
        axes.axis("off")
        for first, second in drawn.arrows:
            (x0, y0), (x1, y1) = place[first], place[second]
            bent = f"arc3,rad={2.6 / (y0 - y1) if y0 - y1 > 1 else 0}"  # around what lies between, whose boxes are so wide
            axes.annotate(
                "", (x1, y1 + 0.27), (x0, y0 - 0.27), arrowprops={"arrowstyle": "->", "color": "0.4", "connectionstyle": bent}
            )
        for i, box in enumerate(drawn.boxes):
            frame = {"boxstyle": "round,pad=0.4", "facecolor": "white", "edgecolor": GREEN if box.is_input else BLUE}
            axes.text(*place[i], box.text, ha="center", va="center", fontsize=9, bbox=frame)
    return figure
