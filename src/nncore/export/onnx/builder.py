"""The graph while it is made: its nodes, its constant tensors, and unique names for both."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..walk import Step, Value, Walk

BATCH = "batch"  #: the name of the first dimension of inputs and outputs


class Builder:
    """Nodes and tensors of an ONNX graph.

    Parameters
    ----------
    helper : module
        ``onnx.helper``.
    walk : Walk
        The network.
    opset : int
        The version of the operators.
    takes_lengths : bool
        Whether the graph has an input of lengths.

    Attributes
    ----------
    nodes : list of onnx.NodeProto
    tensors : dict
        From name to array.
    values : dict
        From the number of a value to the name of its tensor.
    stored : dict
        From the name of a parameter to the name of a tensor with its values, and how they lie there; see own.py.
    states : dict
        From the number of a recurrent op's value to the names of its last states, each [directions, N, hidden].
    indices : set of int
        The values that are whole numbers.
    lengths : str
        The name of the input of lengths if there is one, else "".
    counts : dict
        From the number of a value with lengths to the name of a tensor: how many steps of each row are valid.
    layer : str
        The layer whose nodes are being made.
    """

    def __init__(self, helper: Any, walk: Walk, opset: int, takes_lengths: bool) -> None:
        self.helper, self.walk, self.opset = helper, walk, opset
        self.nodes: list[Any] = []
        self.tensors: dict[str, np.ndarray] = {}
        self.values: dict[int, str] = {}
        self.stored: dict[str, list[Any]] = {}
        self.states: dict[int, tuple[str, ...]] = {}
        self.indices = set(walk.indices)
        self.layer = ""
        self._taken = {*walk.input_names, *walk.output_names}
        self.lengths = self.name("lengths") if takes_lengths else ""
        timed = [i for i in range(len(walk.input_names)) if walk.values[i].timeline is not None] if takes_lengths else []
        self.counts = dict.fromkeys(timed, self.lengths)
        self._made: dict[Any, str] = {}  # what is needed several times
        self.values.update(enumerate(walk.input_names))

    # Nodes --------------------------------------------------------------------------------------------------------------------

    def name(self, wanted: str) -> str:
        """Return a name that nothing has yet."""
        name, n = wanted, 1
        while name in self._taken:
            name, n = f"{wanted}_{n}", n + 1
        self._taken.add(name)
        return name

    def add(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """Add a node, and return the name of its result."""
        return self.add_several(1, kind, *inputs, **attributes)[0]

    def add_several(self, outputs: int, kind: str, *inputs: str, **attributes: Any) -> list[str]:
        """Add a node, and return the names of its results."""
        name = self.name(f"{self.layer}/{kind}")
        results = [self.name(f"{name}_{i}" if i else f"{name}_y") for i in range(outputs)]
        self.nodes.append(self.helper.make_node(kind, list(inputs), results, name=name, **attributes))
        return results

    def once(self, key: Any, make: Callable[[], str]) -> str:
        """Return what ``make`` returns, and make it only the first time."""
        if key not in self._made:
            self._made[key] = make()
        return self._made[key]

    # Tensors ------------------------------------------------------------------------------------------------------------------

    def constant(self, value: Any, name: str = "constant") -> str:
        """Return the name of a constant tensor. Equal constants are one tensor."""
        array = np.asarray(value)
        return self.once((str(array.dtype), array.shape, array.tobytes()), lambda: self._put(name, array))

    def ints(self, *values: int) -> str:
        """Return the name of a tensor of whole numbers."""
        return self.constant(np.array(values, np.int64), f"ints_{'_'.join(map(str, values))}")

    def number(self, value: float) -> str:
        """Return the name of a tensor with one number of the network's type."""
        return self.constant(np.array(value, self.walk.dtype), f"number_{value:g}")

    def parameter(self, name: str, form: str = "", change: Callable[[np.ndarray], np.ndarray] | None = None) -> str:
        """Return the name of a parameter. form: what follows its name in the graph where ``change`` gives it another shape."""

        array = self.walk.tensors[name]
        tensor = self.once(("parameter", name, form), lambda: self._put(name + form, array if change is None else change(array)))
        how = ["as it is"] if change is None else ["transposed"] if change is np.transpose else ["reshaped", list(array.shape)]
        self.stored.setdefault(name, [tensor, *how])
        return tensor

    def derived(self, key: Any, name: str, make: Callable[[], np.ndarray]) -> str:
        """Return the name of a tensor that is computed from parameters, and compute it only the first time."""
        return self.once(("derived", key), lambda: self._put(name, make()))

    def _put(self, name: str, array: np.ndarray) -> str:
        name = self.name(name)
        self.tensors[name] = array
        return name

    # What entries need --------------------------------------------------------------------------------------------------------

    def inputs(self, step: Step) -> list[str]:
        """Return the names of the inputs of an op."""
        return [self.values[i] for i in step.op.inputs]

    def value(self, step: Step, i: int = 0) -> Value:
        """Return an input of an op."""
        return self.walk.values[step.op.inputs[i]]

    def result(self, step: Step) -> Value:
        """Return the result of an op."""
        return self.walk.values[step.output]

    def reshape(self, x: str, *sizes: int) -> str:
        """Give a tensor other sizes: 0 keeps that of this place, -1 is computed."""
        return self.add("Reshape", x, self.ints(*sizes))

    def unsqueeze(self, x: str, *axes: int) -> str:
        """Insert dimensions of size 1."""
        return self.add("Unsqueeze", x, self.ints(*axes))

    def reduce(self, kind: str, x: str, axes: Sequence[int], keep: bool = False) -> str:
        """Add ReduceMean, ReduceMax or ReduceSum. Up to opset 17, the first two have their axes as an attribute."""
        if kind == "ReduceSum" or self.opset >= 18:
            return self.add(kind, x, self.ints(*axes), keepdims=int(keep))
        return self.add(kind, x, axes=list(axes), keepdims=int(keep))

    def cast(self, x: str, dtype: Any) -> str:
        """Convert a tensor to another type."""
        return self.add("Cast", x, to=self.helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))

    def size(self, x: str, axis: int) -> str:
        """Return the size of a dimension as a tensor [1]."""
        return self.once(("size", x, axis), lambda: self.add("Gather", self.shape(x), self.ints(axis)))

    def shape(self, x: str) -> str:
        """Return the shape of a tensor as a tensor."""
        return self.once(("shape", x), lambda: self.add("Shape", x))

    # Lengths of sequences -----------------------------------------------------------------------------------------------------

    def valid(self, value: int) -> str:
        """Return the valid steps of each row of a value as a tensor of int64 [N], or "" if all steps are."""
        return self.counts.get(value, "")

    def valid_mask(self, value: int, rank: int) -> str:
        """Return which steps of a value are valid, bool [N, T, 1, ...] of this rank, or "" if all are."""
        lengths = self.valid(value)
        if not lengths:
            return ""

        def make() -> str:
            steps = self.add("Squeeze", self.size(self.values[value], 1), self.ints(0))
            zero, one = (self.constant(np.array(n, np.int64), f"int_{n}") for n in (0, 1))
            places = self.add("Range", zero, steps, one)
            return self.add("Less", places, self.unsqueeze(lengths, 1))

        mask = self.once(("mask", lengths, self.walk.values[value].axes[0]), make)
        return mask if rank == 2 else self.once(("mask", mask, rank), lambda: self.unsqueeze(mask, *range(2, rank)))
