"""The walk through a traced module: each node becomes calls of layers on values of a network."""

from __future__ import annotations

import importlib
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from ...errors import NncoreError
from ...graph import Input, Value, record
from ...layers import Flatten, Layer, Reshape
from ...records import Shape
from . import layers
from .functions import full, on, reshaped
from .layers import RECURRENT, SHAPED, Unknown
from .recurrent import Uses, uses_of
from .shapes import FUNCTIONS, value_of
from .tensors import Batch, Constant, Final, Half, Layers, Source, Steps, Tensor, Zeros


class SecondBatch(Exception):
    """Arguments of forward turn out to have the batch second."""

    def __init__(self, names: frozenset[str]) -> None:
        super().__init__(names)
        self.names = names


class Failed(Exception):
    """A node cannot be followed. The text says which, and why."""


class Ends(NamedTuple):
    """Where a network begins and ends."""

    inputs: dict[str, Value]
    outputs: Any  #: tensors in tuples, lists and dicts
    made: list[tuple[Layer, Any]]  #: each layer that has weights, and its module


class Traced:
    """A module that torch.fx has traced.

    Attributes
    ----------
    values : mapping
        The tensors that forward reads by themselves, by their paths.
    inputs : list of str
        The arguments of forward that the outputs need.
    states : dict
        Of those that are initial states, the recurrent module.
    """

    def __init__(self, root: Any, graph: Any, values: Mapping[str, Any]) -> None:
        self.root, self.values = root, values
        self.nodes = _needed(root, graph)
        live = set(self.nodes)
        self.inputs = [node.target for node in self.nodes if node.op == "placeholder"]
        calls: dict[int, list[Any]] = {}
        self.states: dict[str, Any] = {}
        for node in self.nodes:
            if node.op == "call_module" and layers.known(self.module(node)) in RECURRENT:
                module = self.module(node)
                calls.setdefault(id(module), []).append(node)
                given = (*node.args[1:], *(value for name, value in node.kwargs.items() if name != "input"))
                parts = [each for one in given for each in (one if isinstance(one, list | tuple) else [one])]
                self.states.update({part.target: module for part in parts if getattr(part, "op", "") == "placeholder"})
        self._uses = {i: uses_of(self.module(found[0]), found, live) for i, found in calls.items()}

    def module(self, node: Any) -> Any:
        """Return the module that a node calls."""
        return self.root.get_submodule(node.target)

    def follow(self, shapes: Mapping[str, Shape], second: set[str]) -> Ends:
        """Return the ends of the network for samples of these shapes. second: the arguments that have the batch second."""
        return _Walk(self, self._uses, shapes, second).ends()


class _Walk:
    """One walk through the nodes."""

    def __init__(self, traced: Traced, uses: Mapping[int, Uses], shapes: Mapping[str, Shape], second: set[str]) -> None:
        self.traced, self.uses, self.shapes, self.second = traced, uses, shapes, second
        self.inputs: dict[str, Value] = {}
        self.layers: dict[int, tuple[Layer, Any]] = {}
        self.names: set[str] = set()
        self.env: dict[Any, Any] = {}

    def ends(self) -> Ends:
        map_arg = importlib.import_module("torch.fx.node").map_arg
        for node in self.traced.nodes:
            look_up = self._as_index if _name(node) in _READING else self.env.__getitem__
            args, kwargs = map_arg(node.args, look_up), map_arg(node.kwargs, look_up)
            if node.op == "output":
                return Ends(self.inputs, args[0], list(self.layers.values()))
            try:
                found = getattr(self, f"_{node.op}")(node, *args, **kwargs)
            except (Unknown, NncoreError) as error:
                raise Failed(f"{place(self.traced.root, node)}: {error}") from error
            except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:  # arguments that no function here has
                raise Failed(f"{place(self.traced.root, node)}: its arguments are not known ({error})") from error
            self.env[node] = found
            if (first := _first(node)) in self.env and _is_inplace(self.traced.root, node):
                self.env[first] = found
        raise AssertionError("a traced module has an output")

    def _as_index(self, node: Any) -> Any:
        found = self.env[node]
        return Steps(found) if type(found) is int else found

    def _placeholder(self, node: Any, *default: Any) -> Tensor:
        name = node.target
        module = self.traced.states.get(name)
        shape = self.shapes[name]
        self.inputs[name] = value = Input(shape, _input_name(name))
        if module is not None:
            return Tensor(value, 1, is_flat=len(shape) == 1)
        return Tensor(value, int(name in self.second), arguments=frozenset([name]))

    def _get_attr(self, node: Any) -> Constant:
        return Constant(node.target, self.traced.values[node.target])

    def _call_function(self, node: Any, *args: Any, **kwargs: Any) -> Any:
        of_sizes = getattr(node.target, "__module__", "") == "_operator" and all(isinstance(each, int | Batch) for each in args)
        if of_sizes or not _has_tensor((args, kwargs)):  # arithmetic of sizes
            return node.target(*args, **kwargs)
        return FUNCTIONS[node.target.__name__](*args, **kwargs)

    def _call_method(self, node: Any, *args: Any, **kwargs: Any) -> Any:
        return FUNCTIONS[node.target.removesuffix("_")](*args, **kwargs)

    def _call_module(self, node: Any, x: Any = None, *args: Any, **kwargs: Any) -> Any:
        module = self.traced.module(node)
        name = layers.known(module)
        x = kwargs.pop("input", x)
        if name in RECURRENT:
            return self._call_recurrent(node, module, x, *args, **kwargs)
        if name == "Identity":
            return x
        if name in ("Flatten", *SHAPED, "Softmax", "LogSoftmax", "GLU"):
            return self._call_shaped(name, module, x)
        if name == "Embedding" and isinstance(x, Tensor) and not _is_given(x.value):
            raise Unknown("its indices are a part of an argument, or computed; make them an argument of forward of their own")
        if name == "Embedding" and isinstance(x, Tensor) and x.is_column:
            found = on(self._layer(node, module), x.replace(is_column=False))
            return reshaped(found, (module.embedding_dim,))
        keeps = not [*module.parameters(), *module.buffers()]
        tensor = x if keeps and isinstance(x, Tensor) else full(x, type(module).__name__, joined=name in ("Linear", "LayerNorm"))
        if tensor.batch and (name == "BatchNorm1d" or (name == "PReLU" and module.num_parameters > 1)):
            raise Unknown(f"{name} of a tensor with the batch second, whose dimension 1 is the batch")
        return on(self._layer(node, module), tensor)

    def _call_shaped(self, name: str, m: Any, x: Any) -> Any:
        if name == "Flatten":
            return FUNCTIONS["flatten"](x, m.start_dim, m.end_dim)
        if name == "Unflatten":
            return FUNCTIONS["unflatten"](x, m.dim, m.unflattened_size)
        if name in _POOLS:
            return FUNCTIONS[_POOLS[name]](x, -1, True)
        return FUNCTIONS[{"Softmax": "softmax", "LogSoftmax": "log_softmax", "GLU": "glu"}[name]](x, m.dim)

    def _layer(self, node: Any, module: Any, **options: Any) -> Layer:
        """Return the layer of a module: one for all calls if it has weights, else one for each call."""
        if id(module) not in self.layers or not module.state_dict():
            name: str | None = layer_name(node.target)
            while name in self.names and module.state_dict():
                name = f"{name}_"
            name = None if name in self.names else name
            self.names.add(name or "")
            self.layers[id(module)] = layers.layer_of(module, name=name, **options), module
        return self.layers[id(module)][0]

    def _call_recurrent(self, node: Any, m: Any, x: Any, hx: Any = None, **kwargs: Any) -> Any:
        tensor = full(x, m.mode)
        wanted = 0 if m.batch_first else 1
        if tensor.batch != wanted:
            if wanted and tensor.arguments and not tensor.arguments & self.second:
                raise SecondBatch(tensor.arguments)
            raise Unknown(
                f"batch_first={m.batch_first}, but the batch is the {('first', 'second')[tensor.batch]} dimension of its input"
            )
        uses, states = self.uses[id(m)], self._initial(m, kwargs.pop("hx", hx))
        layer = self._layer(node, m, return_sequences=uses.return_sequences, return_state=uses.return_state)
        output, *last = record(layer, [tensor.value, *states])
        source = Source(node.target, m, None if uses.return_sequences else output)
        is_flat = m.num_layers * (2 if m.bidirectional else 1) == 1
        if not last:
            last = [output] * len(layer.states)  # type: ignore[attr-defined]
        found = [
            Tensor(value, 1, source=source if i == 0 else source._replace(final=None), is_flat=is_flat)
            for i, value in enumerate(last)
        ]
        if uses.return_sequences:
            of_all = found[0] if uses.return_state else None
            return Tensor(output, wanted, arguments=tensor.arguments, states=of_all), found[0] if len(found) == 1 else tuple(found)
        return Final(Tensor(output)), found[0] if len(found) == 1 else tuple(found)

    def _initial(self, m: Any, hx: Any) -> list[Value]:
        """Return the values of the initial states; none if they are zeros."""
        if m.mode == "LSTM" and isinstance(hx, Tensor):
            raise Unknown("its initial states are one argument of forward; let it take two, h_0 and c_0")
        parts = list(hx) if type(hx) in (list, tuple) else [] if hx is None else [hx]
        parts = [None if isinstance(part, Constant) and not part.tensor.any() else part for part in parts]
        if all(part is None or isinstance(part, Zeros) for part in parts):
            return []
        if any(isinstance(part, Constant | Half | Zeros) or part is None for part in parts) or any(p.batch != 1 for p in parts):
            raise Unknown("its initial states; give h_n of another layer, an argument of forward, or a tensor [1, N, hidden]")
        return [value_of(part, "an initial state") for part in parts]


_POOLS = {"AdaptiveAvgPool1d": "mean", "AdaptiveMaxPool1d": "amax"}
_READING = ("getitem", "narrow", "select", "roll", "tensor_split")  #: functions whose numbers are indices


def _name(node: Any) -> str:
    return node.target if isinstance(node.target, str) else getattr(node.target, "__name__", "")


def _is_given(value: Value) -> bool:
    """Return whether a value is an input, perhaps in another shape."""
    while value.node is not None and isinstance(value.node.layer, Flatten | Reshape):
        value = value.node.inputs[0]
    return value.node is None


def _has_tensor(x: Any) -> bool:
    if isinstance(x, Tensor | Half | Constant | Zeros | Batch | Final | Layers):
        return True
    if isinstance(x, Mapping):
        return any(map(_has_tensor, x.values()))
    return isinstance(x, list | tuple) and any(map(_has_tensor, x))


def _is_inplace(root: Any, node: Any) -> bool:
    if node.op == "call_module":
        return bool(getattr(root.get_submodule(node.target), "inplace", False))
    if node.op == "call_method":
        return bool(node.target.endswith("_") and not node.target.startswith("__"))
    name = getattr(node.target, "__name__", "")
    position = {"relu": 1, "relu6": 1, "selu": 1, "silu": 1, "mish": 1, "hardswish": 1, "hardsigmoid": 1}
    position |= {"leaky_relu": 2, "elu": 2, "celu": 2, "hardtanh": 3, "threshold": 3, "dropout": 3}
    given = node.args[position[name]] if name in position and len(node.args) > position[name] else node.kwargs.get("inplace")
    return given is True or name in ("iadd", "isub", "imul", "itruediv", "ipow")


def _needed(root: Any, graph: Any) -> list[Any]:
    """Return the nodes on which the outputs depend, in order. In-place calls on one of them are among them."""
    nodes = list(graph.nodes)
    live: set[Any] = set()
    waiting = [node for node in nodes if node.op == "output"]
    while waiting:
        while waiting:
            node = waiting.pop()
            if node not in live:
                live.add(node)
                waiting += node.all_input_nodes
        waiting = [node for node in nodes if node not in live and _first(node) in live and _is_inplace(root, node)]
    return [node for node in nodes if node in live]


def _first(node: Any) -> Any:
    """Return the node that is the first argument of another one, or None. Other arguments, such as slices, may have no hash."""
    return node.args[0] if node.args and hasattr(node.args[0], "op") else None


def layer_name(path: str) -> str:
    """Return the name of the layer of a sub-module: "encoder.fc1" is "encoder_fc1"."""
    return re.sub(r"[./]", "_", path)


def _input_name(name: str) -> str:
    return f"{name}_" if name == "training" else name.lstrip("*")


def place(root: Any, node: Any) -> str:
    """Return where a node is, for messages."""
    if node.op == "call_module":
        return f"{node.target!r} ({type(root.get_submodule(node.target)).__name__})"
    stack = list((node.meta.get("nn_module_stack") or {}).values())
    where = stack[-1][0] if stack and isinstance(stack[-1], tuple) else ""
    what = node.target if isinstance(node.target, str) else getattr(node.target, "__name__", str(node.target))
    return f"{what} in forward of {where!r}" if where else f"{what} in forward"
