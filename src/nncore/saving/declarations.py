"""Conversion of declarations (layers, losses, optimizers, metrics, initializers) to data, and back.

Each is {"class": its name, "arguments": those of its constructor}. A name must be in the table of nncore's own classes or in
``custom_objects``. Arguments are numbers, strings, bools, null and lists of those. Other objects, such as functions, raise an error
when the file is written. The error names their owner.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from math import isfinite
from numbers import Integral, Real
from typing import Any, TypeVar

import numpy as np

from .. import init, layers, losses, metrics, optim, schedules
from .._checks import shown
from ..errors import ArgumentError, FileFormatError, NncoreError
from ..layers import Layer
from ..layers.recurrent import Recurrent
from ..network.network import Network
from ..optim.base import Options
from ..training.configuration import Configuration
from .tensors import LAYER, PARAMETER, Reader, kind

_T = TypeVar("_T")
Data = dict[str, Any]

LAYERS: dict[str, type[Layer]] = {
    name: getattr(layers, name)
    for name in layers.__all__
    if isinstance(getattr(layers, name), type)
    and name not in ("Layer", "Activation", "Merge", "Recurrent", "PythonLayer", "Lambda")
}
SCHEDULES: dict[str, type[schedules.LearningRateSchedule]] = {
    name: getattr(schedules, name)
    for name in schedules.__all__
    if isinstance(getattr(schedules, name), type) and name != "LearningRateSchedule"
}
INITIALIZERS: dict[str, type[init.Initializer]] = {
    cls.__name__: cls
    for cls in (init.VarianceScaling, init.Orthogonal, init.Uniform, init.Normal, init.TruncatedNormal, init.Constant)
}


# Objects to data -------------------------------------------------------------------------------------------------------------


def from_layer(layer: Layer, name: str, needs_initializers: bool) -> Data:
    """Return a layer as data.

    Users' initializers (functions) cannot be saved. A layer that has values does not need its initializers; they are left out, and
    the loaded layer has the default. If ``needs_initializers`` is True, because the values are not drawn yet, this is an error.
    """
    if isinstance(layer, layers.Lambda):
        raise ArgumentError(
            f"{name}: Lambda contains functions, which a file cannot hold; write a subclass of nn.PythonLayer instead"
        )
    if isinstance(layer, layers.PythonLayer):
        _require_arguments(layer, layer.config(), name, "super().__init__")
    is_own = isinstance(layer, layers.PythonLayer)
    arguments = {}
    for key, value in layer.config().items():
        if not callable(value):
            arguments[key] = _plain(value, f"{name}: {key}")
            continue
        # get makes nn.init.he_normal and nn.init.he_normal() the same object
        scheme = value if is_own and not any(value is known for known in init.SCHEMES.values()) else init.get(value)
        if isinstance(scheme, init.Initializer) and INITIALIZERS.get(type(scheme).__name__) is type(scheme):
            arguments[key] = _declared(scheme, vars(scheme), INITIALIZERS, f"{name}: {key}")
        elif is_own:  # the function may be more than an initializer, which built weights do not need
            raise ArgumentError(
                f"{name}: {key} is {shown(value)}, which a file cannot hold; let the constructor take its name instead"
            )
        elif needs_initializers:
            raise ArgumentError(
                f"{name}: {key} is {value!r}, which a file cannot hold, and the weights are not drawn yet; call model.build first"
            )
    if not isinstance(layer, layers.PythonLayer):
        return _declared(layer, arguments, LAYERS, name)
    shapes = layer._input_shapes  # its weights depend on them
    return {**_custom(type(layer).__name__, arguments, name), "input_shapes": shapes and [list(shape) for shape in shapes]}


def from_loss(loss: losses.Loss) -> Data:
    """Return a loss as data."""
    if isinstance(loss, losses.PythonLoss):
        given = getattr(loss, "given", loss)
        _require_name(given, "the loss")
        _require_arguments(given, loss.config(), "the loss", "super().__init__" if given is loss else "")
        return {**_custom(loss.name, loss.config(), "loss"), "reduction": loss.reduction}
    options = {"from_logits": loss.from_logits} if isinstance(loss, losses.Crossentropy) else {}
    arguments = {
        **options,
        **{key: getattr(loss, key) for key in (*loss.attributes, *loss.given_extras())},
        "reduction": loss.reduction,
    }
    return _declared(loss, arguments, losses.LOSSES, "loss")


def from_optimizer(optimizer: optim.Optimizer) -> Data:
    """Return an optimizer as data, with its current learning rate or schedule."""
    arguments = optimizer.config()
    if "lr" in arguments:
        arguments["lr"] = _from_rate(arguments["lr"])
    return _declared(optimizer, arguments, optim.OPTIMIZERS, "optimizer")


def _from_rate(rate: Any) -> Any:
    """Return a learning rate or a schedule, including inner schedules, as data."""
    if SCHEDULES.get(type(rate).__name__) is type(rate):
        arguments = {key: _from_rate(value) for key, value in rate.config().items()}
        return _declared(rate, arguments, SCHEDULES, "the optimizer's lr")
    if isinstance(rate, tuple):
        return [_from_rate(each) for each in rate]
    if not callable(rate):
        return rate
    if hasattr(rate, "config") and not isinstance(rate, type):
        arguments = {key: _from_rate(value) for key, value in rate.config().items()}
        _require_arguments(rate, arguments, "the optimizer's lr")
        return _custom(type(rate).__name__, arguments, "the optimizer's lr")
    _require_arguments(rate, {}, "the optimizer's lr")
    if not hasattr(rate, "__name__"):
        raise _nameless(rate, "the optimizer's lr")
    _require_name(rate, "the optimizer's lr")
    return _custom(rate.__name__, {}, "the optimizer's lr")


def from_metric(metric: metrics.Metric) -> Data:
    """Return a metric as data."""
    if isinstance(metric, metrics.PythonMetric):
        given = metric.given
        _require_name(given, f"the metric {metric.name!r}")
        arguments = given.config() if hasattr(given, "config") else {}
        _require_arguments(given, arguments, f"the metric {metric.name!r}")
        return {**_custom(getattr(given, "__name__", type(given).__name__), arguments, "metric"), "name": metric.name}
    if isinstance(metric, metrics.LossMetric):
        return {"loss": from_loss(metric.loss), "name": metric.name}
    own: dict[str, Any] = {key: vars(metric)[key] for key in metric.options if key in vars(metric)}
    return _declared(metric, {"name": metric.name, **own}, metrics.METRICS, "metric")


def from_config(config: Configuration) -> Data:
    """Return the arguments of ``compile`` as data."""
    return {
        "losses": [from_loss(each) for each in config.losses],
        "loss_weights": plain_numbers(config.weights, "loss_weights"),
        "optimizer": from_optimizer(config.optimizer),
        "metrics": [[from_metric(metric) for metric in each] for each in config.plain_metrics],
        "weighted_metrics": [[from_metric(metric) for metric in each] for each in config.weighted_metrics],
        "check_finite": config.check_finite,
        "l1": config.l1,
        "l2": config.l2,
    }


def require_savable(network: Network) -> None:
    """Raise the error that `save` would raise for a part that no file can hold, such as a lambda."""
    for i, layer in enumerate(network.layers):
        from_layer(layer, network.connections.layer_name(i), needs_initializers=False)
    if network.plan.trainer is not None:
        from_config(network.plan.trainer.config)


def own_parts(network: Network) -> dict[str, Any]:
    """Return the users' classes and functions in a model by name, as `load` takes them in ``custom_objects``."""
    config = network.plan.trainer.config
    parts: list[Any] = [layer for layer in network.layers if isinstance(layer, layers.PythonLayer)]
    parts += [getattr(loss, "given", loss) for loss in config.losses if isinstance(loss, losses.PythonLoss)]
    parts += [metric.given for each in config.metrics for metric in each if isinstance(metric, metrics.PythonMetric)]
    rates: list[Any] = [config.optimizer.config().get("lr")]
    for rate in rates:  # the list grows by the schedules in schedules
        if isinstance(rate, tuple):
            rates += rate
        elif callable(rate):
            rates += rate.config().values() if hasattr(rate, "config") and not isinstance(rate, type) else ()
            parts += () if SCHEDULES.get(type(rate).__name__) is type(rate) else (rate,)
    whole = [part if hasattr(part, "__name__") else type(part) for part in parts]
    return {part.__name__: part for part in whole}


def _require_name(given: Any, what: str) -> None:
    """Raise ArgumentError if a function has no name under which ``custom_objects`` can give it to `load`."""
    if getattr(given, "__name__", "") == "<lambda>" or isinstance(given, functools.partial):
        raise _nameless(given, what)


def _nameless(given: Any, what: str) -> ArgumentError:
    advice = "use one of nn.schedules" if what.endswith("lr") else "make it a class with config()"
    return ArgumentError(
        f"{what} is {shown(given)}, which has no name to be loaded by; write it with def, or {advice}, or leave training out: "
        "save(path, include_training=False)"
    )


def _require_arguments(thing: Any, held: Mapping[str, Any], where: str, base: str = "") -> None:
    """Raise ArgumentError if `load` could not make a user's object again, because an argument of its constructor is not held.

    An argument with a default is needed only if the object may have been given another value. The name of a part and the reduction
    of a loss are stored separately.
    """
    if isinstance(thing, type) or inspect.isroutine(thing):
        return
    try:
        parameters = list(inspect.signature(vars(type(thing)).get("__init__") or type(thing).__init__).parameters.values())[1:]
    except (TypeError, ValueError):  # a constructor in C
        return
    for p in parameters:
        if p.name in held or p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD):
            continue
        known = vars(thing).get(p.name, p.empty) if hasattr(thing, "__dict__") else p.empty
        if p.default is not p.empty and (p.name in ("name", "reduction") or _same(known, p.default)):
            continue
        own = type(thing).__name__
        passed = f"pass it on, {base}({p.name}={p.name}), or " if base else ""
        raise ArgumentError(
            f"{where}: {own} takes {p.name}, which its config() does not hold, so that a file would lose it; "
            f"{passed}define config() to return {{{p.name!r}: ...}}"
        )


def _same(value: Any, other: Any) -> bool:
    """Return whether an attribute has the value of a default."""
    try:
        return value is other or (type(value) is type(other) and bool(value == other))
    except (TypeError, ValueError):  # such as of arrays
        return False


def plain_numbers(values: Any, where: str) -> list[Any]:
    """Return numbers in a form that JSON can represent."""
    return [_plain(value, where) for value in values]


def _custom(name: str, arguments: Mapping[str, Any], where: str) -> Data:
    """Return a user's object as data: its name, which is looked up in the custom_objects of load, and its arguments."""
    return {"class": name, "arguments": {k: _plain(v, f"{where}: {k} of {name}") for k, v in arguments.items()}, "custom": True}


def _declared(thing: object, arguments: Mapping[str, Any], table: Mapping[str, type[Any]], where: str) -> Data:
    cls = type(thing)
    if table.get(cls.__name__) is not cls:
        raise ArgumentError(f"{where}: {cls.__name__} is not one of nncore's own classes, so that a file could not say what it is")
    return {
        "class": cls.__name__,
        "arguments": {key: _plain(value, f"{where}: {key} of {cls.__name__}") for key, value in arguments.items()},
    }


def _plain(value: Any, where: str) -> Any:
    """Return a value in a form that JSON can represent."""
    if value is None or isinstance(value, str | dict):  # a dict is an initializer that is data already
        return value
    if isinstance(value, bool | np.bool_):
        return bool(value)
    if isinstance(value, Integral):
        return int(value)
    if isinstance(value, Real) and isfinite(value):  # JSON has no infinity
        return float(value)
    if isinstance(value, list | tuple):
        return [_plain(each, where) for each in value]
    raise ArgumentError(f"{where} is {value!r}, which a file cannot hold")


# Data to objects -------------------------------------------------------------------------------------------------------------


@contextmanager
def refusing(reader: Reader, field: str) -> Iterator[None]:
    """Convert errors of constructors and of compile into errors about the file."""
    try:
        yield
    except FileFormatError:
        raise
    except (NncoreError, TypeError, ValueError, ArithmeticError, AttributeError, LookupError) as error:
        reader.fail(field, str(error))


def to_layer(reader: Reader, data: Any, field: str) -> Layer:
    """Return the layer that the data describe."""
    if _is_custom(data):
        shapes = data.get("input_shapes")
        if shapes is not None and not (
            isinstance(shapes, list)
            and all(isinstance(s, list) and len(s) <= 8 and all(type(d) is int and 0 < d < 2**48 for d in s) for s in shapes)
        ):
            reader.fail(f"{field}.input_shapes", "a list of shapes, or null, is needed")
        layer = _custom_made(reader, data, field, "layer", ("input_shapes",))
        if not isinstance(layer, layers.PythonLayer):
            reader.fail(field, f"{data['class']!r} of custom_objects is no nn.PythonLayer")
        if shapes:
            with refusing(reader, field):
                layer._answer_shape(field, [tuple(shape) for shape in shapes])
        reader.take(field, LAYER)
        return layer
    layer = _made(reader, data, field, "layer", LAYERS, _to_initializer)
    reader.take(field, LAYER * _sublayers(layer))  # before the names of its parameters are made
    return layer


def memory_of(layer: Layer) -> int:
    """Return the memory of a layer in bytes, without its parameters."""
    return LAYER * _sublayers(layer) + PARAMETER * (len(layer.parameter_shapes()) + len(layer.state_shapes()))


def _sublayers(layer: Layer) -> int:
    return layer.num_layers if isinstance(layer, Recurrent) else 1


def to_loss(reader: Reader, data: Any, field: str) -> losses.Loss:
    """Return the loss that the data describe."""
    if _is_custom(data):
        if data.get("reduction") not in losses.REDUCTIONS:
            reader.fail(f"{field}.reduction", "is missing, or unknown")
        with refusing(reader, field):
            loss = losses.get(_custom_made(reader, data, field, "loss", ("reduction",)))
            loss.reduction = data["reduction"]
        return loss
    return _made(reader, data, field, "loss", losses.LOSSES)


def to_optimizer(reader: Reader, data: Any, field: str) -> optim.Optimizer:
    """Return the optimizer that the data describe."""
    return _made(reader, data, field, "optimizer", optim.OPTIMIZERS, _to_rule)


def _to_rule(reader: Reader, value: Any, field: str) -> Any:
    """Return an argument of an optimizer or schedule. Schedules become objects, parameter groups a tuple; the rest is unchanged."""
    if field.endswith(".groups") and isinstance(value, list) and all(isinstance(each, dict) for each in value):
        return tuple(value)
    if _is_custom(value):
        rate = _custom_made(reader, value, field, "schedule", ())
        return rate if callable(rate) else reader.fail(field, f"{value['class']!r} of custom_objects gives nothing callable")
    if field.endswith(".schedules") and isinstance(value, list):
        return tuple(_to_rule(reader, each, f"{field}[{i}].schedule") for i, each in enumerate(value))
    if isinstance(value, dict) and field.endswith((".lr", ".schedule")):
        return _made(reader, value, field, "schedule", SCHEDULES, _to_rule)
    return value


def to_metric(reader: Reader, data: Any, field: str) -> metrics.Metric:
    """Return the metric that the data describe."""
    if _is_custom(data):
        with refusing(reader, field):
            metric = metrics.get(_custom_made(reader, data, field, "metric", ("name",)))
        if not isinstance(data["name"], str):
            reader.fail(f"{field}.name", "a string is needed")
        metric.name = data["name"]
        return metric
    if isinstance(data, dict) and set(data) == {"loss", "name"}:
        with refusing(reader, field):
            return metrics.LossMetric(to_loss(reader, data["loss"], f"{field}.loss"), data["name"])
    metric = _made(reader, data, field, "metric", metrics.METRICS)
    if not isinstance(metric.name, str):
        reader.fail(field, "name must be a string")
    return metric


def _is_custom(data: Any) -> bool:
    return isinstance(data, dict) and data.get("custom") is True


def _custom_made(reader: Reader, data: Data, field: str, what: str, more: tuple[str, ...]) -> Any:
    """Return a user's object by name: a class is called with the arguments, a function is returned unchanged."""
    if set(data) != {"class", "arguments", "custom", *more} or not isinstance(data["arguments"], dict):
        reader.fail(field, f"an object with class, arguments and {', '.join(more)} is needed")
    name = data["class"]
    if not isinstance(name, str) or name not in reader.custom_objects:
        shown = str(name)[:80]
        reader.fail(
            field,
            f"{shown!r} is a {what} of your own, whose code no file holds; pass it: "
            f"nn.load(path, custom_objects={{{shown!r}: {shown}}})",
        )
    found = reader.custom_objects[name]
    if not isinstance(found, type):
        return found
    with refusing(reader, f"{field} ({name})"):
        convert = _to_initializer if what == "layer" else _to_rule  # for others, only schedules need a conversion
        return found(**{k: convert(reader, v, f"{field}.{k}") for k, v in data["arguments"].items()})


def _to_initializer(reader: Reader, value: Any, field: str) -> Any:
    return _made(reader, value, field, "initializer", INITIALIZERS) if isinstance(value, dict) else value


def _made(
    reader: Reader,
    data: Any,
    field: str,
    what: str,
    table: Mapping[str, type[_T]],
    convert: Callable[[Reader, Any, str], Any] | None = None,
) -> _T:
    if not isinstance(data, dict) or set(data) != {"class", "arguments"} or not isinstance(data["arguments"], dict):
        reader.fail(field, f"an object with class and arguments is needed, to say which {what} it is")
    name, arguments = data["class"], data["arguments"]
    if not isinstance(name, str) or name not in table:
        reader.fail(field, f"unknown {what} {str(name)[:80]!r}; this version of nncore knows {', '.join(_known(table))}")
    cls: Any = table[name]
    known = _arguments_of(cls)
    for key in arguments:
        if key not in known:
            reader.fail(field, f"{name} has no argument {key[:80]!r}; it has {', '.join(known) or 'none'}")
    if convert is not None:
        arguments = {key: convert(reader, value, f"{field}.{key}") for key, value in arguments.items()}
    for key, value in arguments.items():
        several = value if isinstance(value, list) else [value]
        if isinstance(value, dict) or (isinstance(value, list) and any(isinstance(each, dict | list) for each in value)):
            reader.fail(f"{field}.{key}", f"cannot be {kind(value)}")
        if not known[key] and any(isinstance(each, bool) for each in several):
            reader.fail(f"{field}.{key}", f"{key} of {name} is no truth value")
    with refusing(reader, f"{field} ({name})"):
        made: _T = cls(**arguments)
        return made


@functools.cache
def _arguments_of(cls: type[Any]) -> dict[str, bool]:
    """Return the names of a constructor's arguments, and whether each is a bool.

    For optimizers this includes the arguments that are passed to the base. For layers it does not, as their base accepts any.
    """
    given = inspect.signature(vars(cls).get("__init__") or cls.__init__).parameters.values()
    found = {
        p.name: p.annotation == "bool" for p in given if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY) and p.name != "self"
    }
    if issubclass(cls, optim.Optimizer) and any(p.kind is p.VAR_KEYWORD for p in given):
        found |= {key: getattr(hint, "__forward_arg__", hint) == "bool" for key, hint in Options.__annotations__.items()}
    if issubclass(cls, Layer):
        found.pop("name", None)  # the names of layers are stored in the graph
    return found


def _known(table: Mapping[str, type[Any]]) -> list[str]:
    return sorted({cls.__name__ for cls in table.values()})
