"""Reading a graph: each node in turn becomes constants, sizes, or layers on places of a network.

A node that cannot be read does not stop this, because nothing may need it: its results are `Unreadable`, and so is what depends on
them. Only outputs of the graph that are unreadable make an error, which lists the nodes that were the reason.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ....errors import NncoreError, shown
from ....graph import Input, Value, checked_name, record
from .folding import ELEMENTWISE, FOLDED, fold
from .graph import Graph, Node, Port
from .tensors import Source
from .values import BATCH, Expanded, Refusal, Size, Sizes, Tensor, Texts, Unreadable, plain
from .views import turned

Entry = Callable[["Reading", Node, list[Any]], Any]  # returns the result, or a list of results
Entries = Mapping[str, Entry]

_MOST_STEPS = 1 << 31  # of a dimension of an input
_MOST_COMPUTED = 100_000  # operators that `recognize` computes
_MOST_LOOPED = 100_000  # operators in the bodies of loops that are computed
_TRUTHS = frozenset(("And", "Equal", "Greater", "GreaterOrEqual", "IsNaN", "Less", "LessOrEqual", "Not", "Or", "Xor"))
#: Operators that take tensors whose steps are read backwards.
_TURNED = frozenset(("GRU", "Identity", "LSTM", "Loop", "RNN", "ReverseSequence", "Shape", "Squeeze", "Transpose", "Unsqueeze"))
_FIRST_OPEN = 10  # the number of steps for which an open dimension is planned; others may follow


class BatchElsewhere(Exception):
    """Inputs of the graph have the batch at another axis than was assumed."""

    def __init__(self, axes: dict[str, int]) -> None:
        super().__init__()
        self.axes = axes


class Reading:
    """A graph while it is read.

    Attributes
    ----------
    values : dict
        From the name of a tensor to a NumPy array, `Sizes`, `Expanded`, `Tensor` or `Unreadable`.
    parameters : dict
        From the id of a layer to its parameters by role.
    readers : Counter
        How often a tensor is read.
    makers : dict
        From the name of a tensor to its node.
    work, loop_work : int
        The computations of `recognize` and of `bodies` that may still be made.
    masks : dict
        The masks of recurrent layers, (input, value of padding) or None, each with the name of a node.
    pools : set
        The ids of layers that take means of the steps that a mask leaves.
    cleared : dict
        Values of padding whose steps become zeros, each with the name of a node.
    """

    def __init__(self, graph: Graph, source: Source, batch_axes: dict[str, int]) -> None:
        self.graph, self.source, self.batch_axes = graph, source, batch_axes
        self.values: dict[str, Any] = {**graph.constants, **dict.fromkeys(graph.texts, Texts())}
        self.parameters: dict[int, dict[str, np.ndarray]] = {}
        self.readers = Counter(name for node in graph.nodes for name in node.inputs)
        self.readers.update(port.name for port in graph.outputs)
        self.makers = {name: node for node in graph.nodes for name in node.outputs if name}
        self.inputs: dict[str, Value] = {}
        self.ports = {port.name: port for port in graph.inputs}
        self.lengths: set[str] = set()  # inputs that are lengths of sequences
        self.work, self.loop_work = _MOST_COMPUTED, _MOST_LOOPED
        self.cleared: dict[float, str] = {}  # of steps of this number zeros are made, by a node
        self.pools: set[int] = set()  # ids of layers that leave out steps as the graph does
        self.masks: dict[tuple[str, float] | None, str] = {}  # of recurrent layers -> one of their nodes
        self.room = (4 << 20) + 2 * source.size  # bytes that constants may take that are computed
        self._open: dict[str, int] = {}
        self._shared: dict[Any, Any] = {}
        self._names: set[str] = set()

    # Inputs -------------------------------------------------------------------------------------------------------------------

    def open_input(self, port: Port, name: str) -> None:
        """Make the input of the network for an input of the graph."""
        if port.dims is None or not port.is_tensor or port.dtype is None or port.dtype.kind not in "fiu":
            what = "has no shape" if port.is_tensor and port.dims is None else "is no tensor of numbers"
            self.source.fail(f"input {shown(port.name)}", f"it {what}")
        if not port.dims:
            self.source.fail(f"input {shown(port.name)}", "it is one number, without a dimension for the batch")
        at = self.batch_axes.get(port.name, 0)
        sizes = [self._size(port, i, d) for i, d in enumerate(port.dims)]
        batch = sizes[at] if sizes[at].known is not None else Size(1, (BATCH,))
        rest = [size for i, size in enumerate(sizes) if i != at]
        value = Input(tuple(self.concrete(each) for each in rest), name)
        found = plain(value, [batch, *rest], is_index=port.dtype.kind in "iu")
        self.inputs[port.name] = value
        axes = tuple((0,) if i == at else (i + 1 if i < at else i,) for i in range(len(sizes)))
        self.values[port.name] = found._replace(axes=axes)

    def _size(self, port: Port, place: int, dim: int | str) -> Size:
        if isinstance(dim, str):
            return Size(1, (dim or f"{port.name}:{place}",))
        if not 0 < dim < _MOST_STEPS:
            self.source.fail(f"input {shown(port.name)}", f"a dimension of size {dim}")
        return Size(dim)

    def concrete(self, size: Size) -> int:
        """Return a size as a number: open ones as they are planned."""
        found = size.factor
        for name in size.names:
            if name == BATCH:
                raise Refusal("the number of samples appears in the shape of a sample")
            found *= self._open.setdefault(name, _FIRST_OPEN + len(self._open))
        return found

    def know(self, size: Size, number: int) -> None:
        """State as what an open size is planned."""
        self._open[size.names[0]] = number

    # Layers -------------------------------------------------------------------------------------------------------------------

    def make(
        self, kind: Any, parameters: dict[str, np.ndarray], *arguments: Any, share: Any = None, names: Any = (), **options: Any
    ) -> Any:
        """Return a layer with these parameters.

        share: what the parameters are made of. Equal ones are one layer, as they are one tensor in the graph. names: names of
        tensors or nodes after which it may be called.
        """
        key = None if share is None else (kind, share, arguments, tuple(sorted(options.items())))
        if key in self._shared and key is not None:
            return self._shared[key]
        layer = kind(*arguments, **options, name=self._name(names))
        shapes = {**layer.parameter_shapes(), **layer.state_shapes()}
        for role, shape in shapes.items():
            array = parameters.get(role)
            if array is None or array.shape != tuple(shape):
                raise Refusal(f"{role} has the shape {None if array is None else list(array.shape)}, not {list(shape)}")
        self.parameters[id(layer)] = parameters
        self.keep(layer)
        if key is not None:
            self._shared[key] = layer
        return layer

    def keep(self, layer: Any) -> None:
        """Keep a layer alive, so that its id stays its own."""
        self._shared[("kept", id(layer))] = layer

    def _name(self, candidates: Sequence[str]) -> str | None:
        """Return a name for a layer that no other one has: of "encoder.fc.weight", "encoder_fc"."""
        for each in candidates:
            if each in self.makers or each in self.inputs:  # what it is applied to
                continue
            parts = each.replace("::", "/").replace("/", ".").strip(".").split(".")
            if len(parts) < 2 or parts[0] == "onnx":
                continue
            try:
                name = checked_name("layer", "_".join(parts[:-1]))
            except NncoreError:
                continue
            if name not in self._names and len(name) < 100:
                self._names.add(name)
                return name
        return None

    def apply(self, layer: Any, *values: Value) -> Value:
        """Call a layer on values of the network."""
        return self.apply_for_all(layer, *values)[0]

    def apply_for_all(self, layer: Any, *values: Value) -> tuple[Value, ...]:
        """Call a layer on values of the network, and return all that it returns."""
        self.keep(layer)
        return record(layer, list(values))

    # Nodes --------------------------------------------------------------------------------------------------------------------

    def run(self, entries: Entries, of_sizes: Entries, recognize: Callable[[Reading, Node], Any], mean: Entry) -> None:
        """Read all nodes. recognize, mean: find layers in several operators."""
        for node in self.graph.nodes:
            try:
                found = self._results(node, entries, of_sizes, recognize, mean)
            except Refusal as refusal:
                found = [Unreadable(node, str(refusal))] * len(node.outputs)
            except NncoreError as error:
                found = [Unreadable(node, str(error))] * len(node.outputs)
            except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
                found = [Unreadable(node, f"its inputs do not fit it ({shown(str(error))})")] * len(node.outputs)
            for name, value in zip(node.outputs, found, strict=False):
                if name:
                    self.values[name] = value
            for name in node.outputs[len(found) :]:
                self.values.setdefault(name, Unreadable(node, "it has more outputs than are known"))

    def _results(
        self, node: Node, entries: Entries, of_sizes: Entries, recognize: Callable[[Reading, Node], Any], mean: Entry
    ) -> list[Any]:
        given = [self.values[name] if name else None for name in node.inputs]
        if node.kind in FOLDED and all(each is None or isinstance(each, np.ndarray) for each in given):
            return self._folded(node, given)
        if (found := recognize(self, node)) is not None or (found := mean(self, node, given)) is not None:
            return [found]
        for each in given:
            if isinstance(each, Unreadable) and node.kind != "Loop":  # which may be that of a mask
                return [each] * len(node.outputs)
        if node.kind not in _TURNED:
            given = [turned(self, each) if isinstance(each, Tensor) and each.is_backwards else each for each in given]
        is_of_sizes = (
            node.kind != "Loop"
            and any(isinstance(each, Sizes | Expanded) for each in given)
            and not any(isinstance(e, Tensor) for e in given)
        )
        entry = (of_sizes if is_of_sizes else entries).get(node.kind)
        if entry is None and is_of_sizes:
            raise Refusal("it computes with sizes that are open")
        if entry is None:
            if node.kind in _TRUTHS:
                raise Refusal("it makes truth values, such as a mask; nncore has no layer for them, and takes masks with the data")
            too_long = self.work <= 0 and node.kind in ELEMENTWISE
            raise Refusal("too many operators act element by element" if too_long else "nncore has no layer for this operator")
        found = entry(self, node, given)
        return found if isinstance(found, list) else [found]

    def _folded(self, node: Node, arrays: list[Any]) -> list[np.ndarray]:
        found = fold(node, arrays, self.room)
        for each in found:
            if not any(np.may_share_memory(each, array) for array in arrays if array is not None):
                self.room -= each.nbytes
        if self.room < 0:
            self.source.fail(f"node {node}", "constants that are computed take more memory than the file")
        return found


def tensor(value: Any, what: str = "its input") -> Tensor:
    """Return a tensor of the network, or refuse."""
    if isinstance(value, Tensor):
        return value
    raise Refusal(f"{what} does not depend on the inputs" if value is not None else f"{what} is missing")


def constant(value: Any, what: str) -> np.ndarray:
    """Return an array, or refuse."""
    if isinstance(value, np.ndarray):
        return value
    raise Refusal(f"{what} must be a constant" if value is not None else f"{what} is missing")


def given(values: Sequence[Any], place: int) -> Any:
    """Return an input of a node, or None."""
    return values[place] if place < len(values) else None
