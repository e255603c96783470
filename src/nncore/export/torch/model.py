"""A torch.nn.Module as a network; see `nncore.from_torch`."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Mapping
from typing import Any

import numpy as np

from ... import layers as nn
from ...errors import ArgumentError, DTypeError, kind_of
from ...graph import Graph, Value, record
from ...network import torch_names
from ...network.chain import Chain
from ...network.network import Network
from ...records import Shape
from . import follow, inputs, layers, tracing
from .functions import full
from .layers import RECURRENT, SHAPED
from .shapes import FUNCTIONS
from .tensors import Final, Tensor


def network_of(module: Any, example: Any, seed: int | None) -> Network:
    """Return the network of a module."""
    torch = sys.modules.get("torch")  # whoever has a module has imported it
    if torch is None or not isinstance(module, torch.nn.Module):
        raise ArgumentError(f"from_torch takes a torch.nn.Module, not {kind_of(module)}")
    module = _unwrapped(module)
    own = type(module)
    if "ScriptModule" in own.__name__:
        raise ArgumentError("from_torch: a module of torch.jit cannot be followed; pass the module of which it was made")
    if own.__module__.startswith("torch.nn.modules.") and own.__name__ != "Sequential" and layers.known(module) is None:
        _refuse([f"{own.__name__}: {layers.problem(module)}"])
    _refuse_hooks(module)
    dtype = _dtype(module)
    given, names = _shapes(module, example)
    if _is_plain(module, set()):
        _refuse(_problems_of_modules(dict(module.named_modules(remove_duplicate=False))))
        network = _chain(module, seed, dtype)
        if given and network.plan.built_for != [tuple(given[0])[1:]]:
            network.build([tuple(given[0])[1:]])
        return network
    traced = tracing.trace(module, tracing.fixed_arguments(module, 0 if names else len(given), set(names)))
    _refuse(_problems(traced))
    ends = inputs.follow(traced, _by_name(module, given, names))
    for layer, its in ends.made:
        layers.give_values(layer, its)
    return Network(_graph(ends), seed, dtype, "Model")


def _graph(ends: follow.Ends) -> Graph:
    """Return the connections. Layers that no module has are called so that their keys are known (network/torch_names.py)."""
    given = list(ends.inputs.values())
    found = Graph(given, _outputs(ends.outputs, given))
    made = [i for i, layer in enumerate(found.layers) if "_fixed" in layer.__dict__]
    for n, i in enumerate(made):
        name = f"{torch_names.FIXED}{n}"
        found.names[i] = found.layers[i].__dict__["name"] = name
    return found


def _unwrapped(module: Any) -> Any:
    """Return what torch.compile and DataParallel have wrapped."""
    while True:
        if type(module).__name__ == "OptimizedModule":
            module = module._orig_mod
        elif type(module).__name__ in ("DataParallel", "DistributedDataParallel"):
            module = module.module
        else:
            return module


def _refuse_hooks(module: Any) -> None:
    hooked = [(path, m) for path, m in module.named_modules() if m._forward_hooks or m._forward_pre_hooks]
    found = [path or "the module" for path, m in hooked if not layers.is_lazy(m)]  # those have a hook of their own
    if found:
        raise ArgumentError(
            f"from_torch: {', '.join(found)} has a forward hook, which may change the result (weight_norm and spectral_norm set "
            "one, too); remove it first, by handle.remove() or torch.nn.utils.remove_weight_norm"
        )


def _dtype(module: Any) -> str:
    found = {str(t.dtype).removeprefix("torch.") for t in (*module.parameters(), *module.buffers()) if t.is_floating_point()}
    known = {"float32": "float32", "float64": "float64", "float16": "float32", "bfloat16": "float32"}
    others = sorted(found - set(known))
    complexes = sorted({str(p.dtype) for p in module.parameters() if not p.is_floating_point()})
    if others or complexes:
        raise DTypeError(
            f"from_torch: the module has weights of {', '.join([*others, *complexes])}; float32 and float64 are possible"
        )
    kinds = {known[each] for each in found}
    if len(kinds) > 1:
        raise DTypeError(f"from_torch: the module has weights of {', '.join(sorted(found))}; make them one type, as with .float()")
    return kinds.pop() if kinds else "float32"


def _shapes(module: Any, example: Any) -> tuple[list[Shape], list[str]]:
    """Return the shapes of the arrays of the example, and the names of the arguments if it has them by name."""
    if example is None:
        return [], []
    if isinstance(example, Mapping):
        return [_shape(each) for each in example.values()], list(example)
    if isinstance(example, tuple) or (isinstance(example, list) and example and all(hasattr(each, "shape") for each in example)):
        return [_shape(each) for each in example], []
    return [_shape(example)], []


def _shape(each: Any) -> Shape:
    try:
        found = tuple(int(size) for size in (each.shape if hasattr(each, "shape") else np.shape(each)))
    except (TypeError, ValueError):  # rows of several lengths, or no array at all
        found = ()
    if not found:
        raise ArgumentError("from_torch: example must be a batch of data, or a tuple of such, one for each argument of forward")
    return found


def _by_name(module: Any, given: list[Shape], names: list[str]) -> dict[str, Shape]:
    """Return the shape of each argument of the example."""
    arguments = list(inspect.signature(module.forward).parameters) if layers.known(module) is None else ["input"]
    if names:
        unknown = [name for name in names if name not in arguments]
        if unknown:
            raise ArgumentError(f"from_torch: example has {', '.join(unknown)}, but forward takes {', '.join(arguments)}")
        return dict(zip(names, given, strict=True))
    if len(given) > len(arguments):
        raise ArgumentError(f"from_torch: example has {len(given)} arrays, but forward takes {', '.join(arguments)}")
    return dict(zip(arguments, given, strict=False))


# Chains ----------------------------------------------------------------------------------------------------------------------


def _is_plain(module: Any, seen: set[int]) -> bool:
    """Return whether a module is a known layer, or a Sequential of such, each with weights of its own."""
    name = layers.known(module)
    if id(module) in seen and module.state_dict():
        return False
    seen.add(id(module))
    if name is not None:
        return name not in RECURRENT and name not in SHAPED
    if type(module).__name__ != "Sequential" or not type(module).__module__.startswith("torch.nn."):
        return not list(module.children()) and type(module).__module__.startswith("torch.nn.")  # to name it in the error
    return all(_is_plain(each, seen) for each in module.children()) and len(list(module.children())) == len(module)


def _chain(module: Any, seed: int | None, dtype: str) -> Network:
    parts: list[Any] = []
    for each in [module] if layers.known(module) else module:
        if layers.known(each):
            layer = layers.layer_of(each)
            layers.give_values(layer, each)
            parts.append(layer)
        else:
            parts.append(_chain(each, seed, dtype) if len(each) else nn.Identity())
    return Network(Chain(parts or [nn.Identity()]), seed, dtype, "Sequential")


# What cannot be converted ----------------------------------------------------------------------------------------------------


def _problems_of_modules(modules: Mapping[str, Any], are_called: bool = False) -> list[str]:
    found: list[str] = []
    owners: dict[int, tuple[Any, str, str]] = {}
    for path, module in modules.items():
        if layers.known(module) is None and list(module.children()) and not are_called:
            continue
        if layers.known(module) is None and type(module).__name__ == "Sequential":
            continue
        shown = f"{path!r} ({type(module).__name__})" if path else type(module).__name__
        if why := layers.problem(module):
            found.append(f"{shown}: {why}")
        for name, parameter in module.named_parameters(recurse=False):
            other = owners.setdefault(id(parameter), (module, path, name))
            if other[0] is not module:
                found.append(f"{shown}: its {name} is also that of {other[1]!r}; a layer that is called twice shares its weights")
    return found


def _problems(traced: follow.Traced) -> list[str]:
    """Return what the outputs need and cannot be had."""
    modules = {node.target: traced.module(node) for node in traced.nodes if node.op == "call_module"}
    found = _problems_of_modules(modules, are_called=True)
    for node in traced.nodes:
        name = node.target if node.op == "call_method" else getattr(node.target, "__name__", "")
        if node.op == "call_method":
            name = name.removesuffix("_")
        if node.op not in ("call_method", "call_function") or (name in FUNCTIONS and _is_of_torch(node)):
            continue
        if node.op == "call_function" and not node.all_input_nodes:
            continue
        said = "nncore has nothing for it; write it with the layers and functions of the table"
        found.append(f"{follow.place(traced.root, node)}: {_FUNCTION_HINTS.get(name, said)}")
    return list(dict.fromkeys(found))


_FUNCTION_HINTS = {
    "linear": "use a torch.nn.Linear, which holds the weights",
    "layer_norm": "use a torch.nn.LayerNorm",
    "batch_norm": "use a torch.nn.BatchNorm1d",
    "embedding": "use a torch.nn.Embedding",
    "prelu": "use a torch.nn.PReLU",
    **dict.fromkeys(("matmul", "bmm", "mm", "einsum"), "nncore multiplies by weights alone; use a torch.nn.Linear"),
}


def _is_of_torch(node: Any) -> bool:
    module = getattr(node.target, "__module__", None) or ""
    return node.op == "call_method" or module.split(".")[0] in ("torch", "_operator", "builtins", "math", "")


def _refuse(problems: list[str]) -> None:
    if problems:
        count = f"{len(problems)} parts" if len(problems) > 1 else "a part"
        raise ArgumentError(f"from_torch: the module has {count} that nncore does not have: " + "; ".join(problems))


# Outputs ---------------------------------------------------------------------------------------------------------------------


def _outputs(found: Any, given: list[Value]) -> Any:
    """Return the outputs of the model: one value, a list, or a dict of them. Tuples in tuples become one list."""
    used = {id(value) for value in given}

    def value(x: Any) -> Value:
        x = x.tensor if isinstance(x, Final) else x
        own = x.value if isinstance(x, Tensor) else full(x, "an output").value
        if id(_numbers(own)) in used:  # two outputs of a model cannot be the same numbers
            own = record(nn.Rescaling(1.0), own)[0]
        used.add(id(_numbers(own)))
        return own

    def flat(x: Any) -> list[Any]:
        nested = isinstance(x, list | tuple)
        return [each for part in x for each in flat(part)] if nested else [x]

    try:
        if isinstance(found, Mapping):
            return {name: value(each) for name, each in found.items()}
        values = [value(each) for each in flat(found) if each is not None]
    except layers.Unknown as error:
        raise ArgumentError(f"from_torch: an output of forward: {error}") from None
    if not values:
        raise ArgumentError("from_torch: forward returns no tensor")
    return values[0] if len(values) == 1 else values


def _numbers(value: Value) -> Value:
    """Return the value of which this one is a view in another shape."""
    while value.node is not None and isinstance(value.node.layer, nn.Flatten | nn.Reshape | nn.Identity):
        value = value.node.inputs[0]
    return value
