"""Tracing of a module by torch.fx, with the known modules as leaves."""

from __future__ import annotations

import functools
import importlib
import inspect
import threading
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from ...errors import ArgumentError, kind_of
from . import layers
from .follow import Traced

_LOCK = threading.Lock()  # torch.fx changes torch.nn.Module while it traces


def trace(module: Any, fixed: Mapping[str, Any]) -> Traced:
    """Return a traced module. fixed: arguments of forward that keep these values."""
    fx = importlib.import_module("torch.fx")
    if layers.known(module) is not None:  # forward of these is no Python to follow
        root = importlib.import_module("torch").nn.Module()
        name = type(module).__name__.lower()
        root.add_module(name, module)
        graph = fx.Graph()
        arguments = [graph.placeholder("input")]
        graph.output(graph.call_module(name, tuple(arguments)))
        return Traced(root, graph, {})
    usual = fx.Tracer.is_leaf_module
    tracer = type(
        "Tracer",
        (fx.Tracer,),
        {"is_leaf_module": lambda self, m, path: layers.known(m) is not None or usual(self, m, path)},
    )()
    try:
        with _LOCK, _in_eval_mode(module), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            graph = tracer.trace(module, dict(fixed))
            values = {each.target: _value(module, each.target) for each in graph.nodes if each.op == "get_attr"}
    except Exception as error:  # of any code in forward
        if any("packed_sequence" in name or "padded_sequence" in name for name in _functions(error)):
            raise ArgumentError(
                f"from_torch: forward of {type(module).__name__} packs sequences; leave that out, and pass lengths= to fit and "
                "predict"
            ) from error
        raise ArgumentError(
            f"from_torch: forward of {type(module).__name__} cannot be followed, because what it does depends on more than shapes "
            f"({kind_of(error)}: {str(error)[:300]}); convert its parts, as nn.from_torch(module.encoder), and connect them by "
            "nn.Model, or write it without such code"
        ) from error
    return Traced(module, graph, values)


def _value(root: Any, path: str) -> Any:
    """Return what forward reads of a module by itself; torch.fx keeps constants of forward in the module while it traces."""
    return functools.reduce(getattr, path.split("."), root)


def _functions(error: BaseException) -> Iterator[str]:
    """Yield the names of the functions in which an error was raised."""
    trace = error.__traceback__
    while trace is not None:
        yield trace.tb_frame.f_code.co_name
        trace = trace.tb_next


@contextmanager
def _in_eval_mode(module: Any) -> Iterator[None]:
    """Set every sub-module to eval mode for a while, as a trace shows what is computed in one of the two modes.

    Afterwards each has its attributes again, also those in which forward kept what it was traced with.
    """
    before = [(each.__dict__, dict(each.__dict__)) for each in module.modules()]
    try:
        for own, _ in before:
            own["training"] = False
        yield
    finally:
        for own, attributes in before:
            own.clear()
            own.update(attributes)


def fixed_arguments(module: Any, given: int, names: set[str]) -> dict[str, Any]:
    """Return the arguments of forward that keep their defaults: those that the example does not have."""
    found = {}
    for i, parameter in enumerate(inspect.signature(module.forward).parameters.values()):
        if i >= given and parameter.name not in names and parameter.default is not inspect.Parameter.empty:
            found[parameter.name] = parameter.default
    return found
