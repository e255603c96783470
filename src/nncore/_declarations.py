"""The metaclass of declarations (layers, losses, optimizers, ...), and the tables that find declarations by name.

A constructor that gets an unknown argument raises an `ArgumentError`, which is also a `TypeError`. Its message lists the arguments
of the class and names other classes that have the argument. Python's own message says neither. A correct call has no extra cost.
"""

from __future__ import annotations

import re
from abc import ABCMeta
from collections.abc import Iterable, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeVar

from ._checks import named, near
from .errors import ArgumentError, NncoreError

if TYPE_CHECKING:
    import inspect

T = TypeVar("T")

#: Names of arguments in Keras, PyTorch and scikit-learn -> the name here, or what to use instead.
_FOREIGN_NAMES = {
    "units": "out_features (in_features comes first)",
    "input_dim": "in_features, num_embeddings of an Embedding, or nn.Input((size,))",
    "output_dim": "out_features, or embedding_dim of an Embedding",
    "input_shape": "nn.Input(shape), or model.build(shape)",
    "activation": "a layer of its own behind this one, such as nn.ReLU()",
    "use_bias": "bias",
    "kernel_initializer": "weight_init",
    "bias_initializer": "bias_init",
    "kernel_regularizer": "l1 and l2",
    "kernel_constraint": "max_norm",
    "rate": "p of Dropout",
    "inplace": "nothing to ask for: the core works in place wherever it can",
    "axis": "normalized_shape of LayerNorm, dim of Softmax, axis of Concatenate",
    "epsilon": "eps",
    "learning_rate": "lr",
    "clipnorm": "clip_norm_each",
    "global_clipnorm": "clip_norm",
    "clipvalue": "clip_value",
    "beta_1": "betas=(0.9, 0.999)",
    "beta_2": "betas=(0.9, 0.999)",
    "use_ema": "ema_momentum",
    "params": "groups; the model's parameters are known",
    "verbosity": "verbose",
    "initial_learning_rate": "lr",
    "decay_steps": "total_steps or steps",
    "decay_rate": "gamma",
    "T_max": "total_steps",
    "eta_min": "min_lr",
    "T_0": "period",
    "T_mult": "factor",
    "stddev": "std of an initializer, stddev of GaussianNoise",
}

_GENERAL = ("input_shape", "activation", "inplace")  # the hints among these that apply to any class


class DeclarationType(ABCMeta):
    """The metaclass. It is an ABCMeta, so that users' classes may be abstract."""

    if not TYPE_CHECKING:  # type checkers use the signature of the constructor

        def __call__(cls, *args: Any, **kwargs: Any) -> Any:
            try:
                return super().__call__(*args, **kwargs)
            except TypeError as error:
                if isinstance(error, NncoreError):
                    raise
                refusal = _argument_error(cls, args, kwargs)
                if refusal is None:  # the error has another cause
                    raise
            raise refusal


def accepted_arguments(cls: type) -> dict[str, inspect.Parameter]:
    """Return the parameters of a constructor by name, including those that it passes to its base by ``**options``."""
    import inspect  # imported here because it is rarely needed

    constructor: Any = cls.__init__  # type: ignore[misc]
    found = list(inspect.signature(constructor).parameters.values())[1:]
    own = {p.name: p for p in found if p.kind is not p.VAR_KEYWORD}
    if len(own) < len(found):
        keywords = inspect.Parameter.KEYWORD_ONLY
        own.update({name: inspect.Parameter(name, keywords, default=None) for name in getattr(cls, "_options", ())})
    for name in getattr(cls, "_always", ()):
        own.setdefault(name, inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None))
    return own


def reject_unknown(cls: type, given: Iterable[str]) -> None:
    """Raise ArgumentError if a name is not a parameter of the constructor."""
    parameters = accepted_arguments(cls)
    for name in given:
        if name not in parameters:
            raise _unexpected(cls, name, parameters)


def _argument_error(cls: type, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> ArgumentError | None:
    """Return the error for a call of the constructor, or None if the arguments are correct."""
    import inspect

    try:
        constructor: Any = cls.__init__  # type: ignore[misc]
        signature = inspect.signature(constructor)
    except (TypeError, ValueError):  # a constructor implemented in C
        return None
    try:
        signature.bind(None, *args, **kwargs)
    except TypeError as error:
        parameters = accepted_arguments(cls)
        if not any(p.kind is p.VAR_KEYWORD for p in signature.parameters.values()):
            for name in kwargs:
                if name not in parameters:
                    return _unexpected(cls, name, parameters)
        positional = [p for p in parameters.values() if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
        if len(args) > len(positional) and not any(p.kind is p.VAR_POSITIONAL for p in parameters.values()):
            most = f"at most {len(positional)} arguments" if positional else "no argument"
            return ArgumentError(f"{cls.__name__} takes {most} by position, not {len(args)}. {_takes(parameters)}")
        needed = [p.name for p in positional[len(args) :] if p.default is p.empty and p.name not in kwargs]
        needed += [
            p.name for p in parameters.values() if p.kind is p.KEYWORD_ONLY and p.default is p.empty and p.name not in kwargs
        ]
        if needed:
            return ArgumentError(f"{cls.__name__} needs {' and '.join(needed)}. {_takes(parameters)}")
        return ArgumentError(f"{cls.__name__}: {error}. {_takes(parameters)}")
    return None


def _unexpected(cls: type, name: str, parameters: Mapping[str, inspect.Parameter]) -> ArgumentError:
    hint = ""
    here = _FOREIGN_NAMES.get(name, "")
    if here and (name in _GENERAL or parameters.keys() & set(re.findall(r"\w+", here))):
        hint += f"; here it is {here}"
    if having := _classes_with(cls, name):
        hint += f"; {', '.join(having)} {'has' if len(having) == 1 else 'have'} it"
    hint += f"; did you mean {named(similar)}? " if (similar := near(name, parameters)) else ". "
    return ArgumentError(f"{cls.__name__} takes no argument {name!r}{hint}{_takes(parameters)}")


def _takes(parameters: Mapping[str, inspect.Parameter]) -> str:
    shown = [("*" if p.kind is p.VAR_POSITIONAL else "") + p.name for p in parameters.values()]
    return f"It takes {', '.join(shown)}." if shown else "It takes no arguments."


def _classes_with(cls: type, name: str) -> list[str]:
    """Return the names of at most four classes in the same family that have this argument."""
    if name in getattr(cls, "_always", ()) or name in getattr(cls, "_options", ()):
        return []
    module = import_module(getattr(cls, "_family", "nncore.errors"))
    classes = {each: getattr(module, each) for each in getattr(module, "__all__", ())}
    found = [
        each
        for each, other in classes.items()
        if isinstance(other, DeclarationType) and other is not cls and name in accepted_arguments(other)
    ]
    return found[:4]


def table(namespace: Mapping[str, Any], base: type[T]) -> dict[str, type[T]]:
    """Map ``name``, every alias and the class name to each class of ``namespace`` that derives from ``base`` and has a name."""
    found: dict[str, type[T]] = {}
    for cls in list(namespace.values()):
        if isinstance(cls, type) and issubclass(cls, base) and "name" in vars(cls):
            for key in (vars(cls)["name"], *vars(cls).get("aliases", ()), cls.__name__):
                if found.setdefault(key, cls) is not cls:
                    raise ValueError(f"{key!r} names both {found[key].__name__} and {cls.__name__}")
    return found


def describe(declaration: object, attributes: tuple[str, ...]) -> str:
    """Return ``ClassName(attribute=value, ...)``, the repr of a declaration."""
    return f"{type(declaration).__name__}({', '.join(f'{a}={getattr(declaration, a)!r}' for a in attributes)})"
