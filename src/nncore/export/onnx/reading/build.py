"""The network of a graph of another program."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from .... import layers
from ...._checks import warn
from ....errors import NncoreError, shown
from ....graph import Graph as Connections
from ....graph import Value, checked_name
from ....network.chain import Chain
from ....network.network import Network
from . import bodies, elementwise, estimators, products, recurrent, shapes, sizes
from .graph import Graph, Port
from .interpret import BatchElsewhere, Reading
from .loops import fold_loops, needed
from .masks import mean
from .recognize import recognize
from .states import fold_states
from .tensors import Source
from .values import ONE, Refusal, Tensor, Unreadable
from .views import materialized, turned

_SHOWN = 20  # nodes in a message
_ENTRIES = {
    name: entry for part in (shapes, elementwise, products, recurrent, bodies, estimators) for name, entry in part.ENTRIES.items()
}


def to_network(graph: Graph, source: Source) -> Network:
    """Return the network of a graph that another program made.

    Raises
    ------
    FileFormatError
        The graph has nodes that cannot be read, or sizes that do not fit one another.
    """
    graph = needed(fold_states(fold_loops(graph)))
    reading = _read(graph, source)
    wanted = _wanted(graph, reading, source)
    _require_readable(reading, wanted, source)
    try:
        outputs = {port.name: _finished(reading, port) for port in wanted}
        network = _network(graph, reading, outputs)
        remark = _mask_of(reading, network)
    except (NncoreError, Refusal) as error:
        source.fail("graph", str(error))
    if remark:
        warn(f"from_onnx: {remark}")
    return network


def _mask_of(r: Reading, network: Network) -> str:
    """Return which mask is to be given with data, if the graph makes one; refuse what would not be the same with it."""
    masks = {mask: node for mask, node in r.masks.items() if mask is not None}
    for padding, node in r.cleared.items():
        if padding not in [each for _, each in masks]:
            raise Refusal(f"{node} makes zeros of time steps of {padding:g}, and no recurrent layer leaves these out")
    if not masks:
        return ""
    if len(r.masks) > 1:
        raise Refusal(f"recurrent layers have different masks, or only some of them have one: {'; '.join(r.masks.values())}")
    pools = layers.GlobalAveragePooling1D | layers.GlobalMaxPooling1D | layers.LastStep
    for layer in network.layers:
        if isinstance(layer, pools) and id(layer) not in r.pools:
            raise Refusal(f"{type(layer).__name__} reads time steps that the mask of {next(iter(masks.values()))} leaves out")
    ((name, padding),) = masks
    value = r.inputs[name]
    x = f"({value.name} != {padding:g})" + (".any(axis=-1)" if len(value.shape) > 1 else "")
    return (
        f"the graph leaves out time steps in which its input {value.name!r} is {padding:g}, as Masking and mask_zero of Keras do; "
        f"here these belong to data: give mask={x} to predict, evaluate and fit"
    )


def _read(graph: Graph, source: Source) -> Reading:
    """Read all nodes, again where the batch of an input turns out to be another dimension."""
    axes = _batch_axes(graph.inputs)
    while True:
        reading = Reading(graph, source, axes)
        try:
            for port, name in zip(graph.inputs, _names([port.name for port in graph.inputs]), strict=True):
                try:
                    reading.open_input(port, name)
                except NncoreError as error:
                    source.fail(f"input {shown(port.name)}", str(error))
            reading.run(_ENTRIES, sizes.ENTRIES, recognize, mean)
            return reading
        except BatchElsewhere as found:
            axes = {**axes, **found.axes}


def _batch_axes(ports: list[Port]) -> dict[str, int]:
    """Return where inputs seem to have the batch, if not as the first dimension: by its name, or because it alone is open."""
    axes: dict[str, int] = {}
    for port in ports:
        opened = [i for i, d in enumerate(port.dims or ()) if isinstance(d, str)]
        named = [i for i in opened if "batch" in str((port.dims or ())[i]).lower()]
        if port.dims and (named or (len(opened) == 1 and port.dims[0] != 1)):
            axes[port.name] = (named or opened)[0]
    names = {port.dims[axis] for port in ports if port.dims and (axis := axes.get(port.name)) is not None} - {""}
    for port in ports:
        same = [i for i, d in enumerate(port.dims or ()) if d in names]
        if same and port.name not in axes:
            axes[port.name] = same[0]
    return axes


def _names(names: Iterable[str]) -> list[str]:
    """Return names that nncore takes: dots and slashes become underscores."""
    found: list[str] = []
    for name in names:
        plain = "".join("_" if c in "./" or not c.isprintable() else c for c in name).strip() or "x"
        try:
            plain = checked_name("from_onnx", plain)
        except NncoreError:
            plain = f"{plain}_" if plain == "training" else "x"
        n, unique = 1, plain
        while unique in found:
            unique, n = f"{plain}_{n}", n + 1
        found.append(unique)
    return found


def _wanted(graph: Graph, reading: Reading, source: Source) -> list[Port]:
    """Return the outputs of numbers. Labels beside them, which are whole numbers or texts, are left out."""
    found = [port for port in graph.outputs if port.is_float or isinstance(reading.values[port.name], Tensor)]
    found = [port for port in found if port.is_float or not port.is_tensor or port.dtype is None or port.dtype.kind == "f"] or found
    floats = [port for port in found if port.is_float or not port.is_tensor]
    if not floats:
        unreadable = [port for port in graph.outputs if isinstance(reading.values[port.name], Unreadable)]
        return unreadable or graph.outputs
    return floats


def _require_readable(reading: Reading, wanted: list[Port], source: Source) -> None:
    """Raise FileFormatError that lists the nodes for which outputs cannot be read."""
    causes: dict[int, Unreadable] = {}
    waiting, seen = [port.name for port in wanted], set()
    while waiting:
        name = waiting.pop()
        value = reading.values.get(name)
        if name in seen or not isinstance(value, Unreadable):
            continue
        seen.add(name)
        maker = reading.makers[name]
        if value.node is maker:
            causes[maker.number] = value
        else:
            waiting += [each for each in maker.inputs if each]
    if causes:
        listed = [f"{each.node}: {each.reason}" for _, each in sorted(causes.items())]
        more = [f"and {len(listed) - _SHOWN} more"] if len(listed) > _SHOWN else []
        source.fail("graph", f"nodes that cannot be read: {'; '.join([*listed[:_SHOWN], *more])}")
    for port in wanted:
        if not isinstance(reading.values[port.name], Tensor):
            source.fail(f"output {shown(port.name)}", "it does not depend on the inputs")


def _finished(r: Reading, port: Port) -> Value:
    """Return an output as a value of the network: the batch first, the other dimensions as in the graph."""
    t: Tensor = r.values[port.name]
    t = turned(r, t) if t.is_backwards else t
    if all(size == ONE for size in t.dims[1:]) and sum(len(axis) for axis in t.axes) <= 1 and len(t.axes) <= 1:
        return t.value  # one number for each sample, [N]; here it stays [N, 1]
    if len(t.axes) > 1 and t.axes[0][:2] == (0, 1):  # time is joined to the batch, which it is not here
        t = t._replace(axes=((0,), t.axes[0][1:], *filter(None, t.axes[1:])))
    return materialized(r, t).value


def _network(graph: Graph, r: Reading, outputs: dict[str, Value]) -> Network:
    taken: set[int] = set()
    values = []
    for value in outputs.values():
        if id(_origin(value)) in taken:  # two outputs of the same numbers, of which one is a copy
            value = r.apply(layers.Rescaling(1.0), value)
        elif value.node is None:
            value = r.apply(layers.Identity(), value)
        taken.add(id(_origin(value)))
        values.append(value)
    used = _inputs_below(values)
    inputs = {value.name or "": value for name, value in r.inputs.items() if id(value) in used and name not in r.lengths}
    names = _names([*inputs, *outputs])[len(inputs) :]
    ports = {port.name: port for port in (*graph.inputs, *graph.outputs)}
    dtype = "float64" if any(ports[name].is_double for name in (*r.inputs, *outputs)) else "float32"
    connections = Connections(inputs, dict(zip(names, values, strict=True)))
    connections.by_name = len(values) > 1
    for layer in connections.layers:
        start = r.parameters.get(id(layer), {})
        converted = {role: np.asarray(a, a.dtype if a.dtype.kind in "iu" else dtype) for role, a in start.items()}
        layer.__dict__["_pending"] = {role: converted[role] for role in (*layer.parameter_shapes(), *layer.state_shapes())}
    if (chain := _chain(connections)) is not None:
        return Network(chain, None, dtype, "Sequential")
    return Network(connections, None, dtype, "Model")


def _origin(value: Value) -> Value:
    """Return the value of which this one is a view."""
    while value.node is not None and isinstance(value.node.layer, layers.Flatten | layers.Reshape | layers.Identity):
        value = value.node.inputs[0]
    return value


def _inputs_below(values: list[Value]) -> set[int]:
    """Return the ids of the values without a node on which others depend."""
    waiting, seen, found = list(values), set(), set()
    while waiting:
        value = waiting.pop()
        if value.node is None:
            found.add(id(value))
        elif id(value.node) not in seen:
            seen.add(id(value.node))
            waiting += value.node.inputs
    return found


def _chain(connections: Connections) -> Chain | None:
    """Return the layers one after another, if they are connected so and the names are those of a Sequential."""
    if (connections.input_names, connections.output_names) != (["input"], ["output"]):
        return None
    value = connections.inputs[0]
    for node in connections.nodes:
        if node.inputs != (value,) or len(node.outputs) != 1:
            return None
        value = node.outputs[0]
    if len(connections.layers) != len(connections.nodes) or value is not connections.outputs[0]:
        return None
    return Chain(list(connections.layers))
