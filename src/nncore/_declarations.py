"""The metaclass of declarations (layers, losses, optimizers, ...), and the tables that find declarations by name.

A constructor that gets an unknown argument raises an `ArgumentError`, which is also a `TypeError`. Its message lists the arguments
of the class and names other classes that have the argument. Python's own message says neither. A correct call has no extra cost.
"""

from __future__ import annotations

import functools
from abc import ABCMeta
from collections.abc import Callable, Iterable, Mapping
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar, cast

from ._checks import named, near
from .errors import ArgumentError, NncoreError, UnknownAttributeError

if TYPE_CHECKING:
    import inspect

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])


class DeclarationType(ABCMeta):
    """The metaclass. It is an ABCMeta, so that users' classes may be abstract.

    No class can be registered as a subclass: `isinstance` looks at bases alone, which is several times faster.
    """

    __instancecheck__ = type.__instancecheck__
    __subclasscheck__ = type.__subclasscheck__

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

        def __dir__(cls) -> list[str]:
            return without_elsewhere(cls, super().__dir__())

        @property
        def __signature__(cls) -> Any:
            """The signature of the constructor, which `help` and editors show instead of that of ``__call__``."""
            import inspect

            signature = inspect.signature(cls.__init__)
            return signature.replace(parameters=list(signature.parameters.values())[1:])


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
            raise _unexpected(cls.__name__, name, parameters, cls)


def explained(function: F) -> F:
    """Make a function raise an `ArgumentError` for an argument that it does not take, as constructors do. It takes 0.1 µs a call.

    Examples
    --------
    >>> @explained
    ... def fit(x, epochs=1): ...
    >>> fit([1.0], nb_epoch=3)
    Traceback (most recent call last):
        ...
    nncore.errors.ArgumentError: fit takes no argument 'nb_epoch'; here it is epochs. It takes x, epochs.
    """

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except TypeError as error:
            at = error.__traceback__
            if at is None or at.tb_next is not None:  # it has been raised inside the function
                raise
        raise _function_error(function, args, kwargs)

    return cast("F", call)


def _function_error(function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> ArgumentError:
    import inspect

    signature = inspect.signature(function)
    owner, _, name = function.__qualname__.rpartition(".")
    if owner:  # a method: without the object
        owner = next((cls.__name__ for cls in type(args[0]).__mro__ if cls.__qualname__ == owner), owner) if args else owner
        signature, args = signature.replace(parameters=list(signature.parameters.values())[1:]), args[1:]
    if name == "__init__":
        name = owner
    return _call_error(name, signature, signature.parameters, args, kwargs) or ArgumentError(f"{name}: wrong arguments")


def _argument_error(cls: type, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> ArgumentError | None:
    """Return the error for a call of the constructor, or None if the arguments are correct."""
    import inspect

    try:
        constructor: Any = cls.__init__  # type: ignore[misc]
        signature = inspect.signature(constructor)
    except (TypeError, ValueError):  # a constructor implemented in C
        return None
    signature = signature.replace(parameters=list(signature.parameters.values())[1:])
    return _call_error(cls.__name__, signature, accepted_arguments(cls), args, kwargs, cls)


def _call_error(
    name: str,
    signature: inspect.Signature,
    parameters: Mapping[str, inspect.Parameter],
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    cls: type | None = None,
) -> ArgumentError | None:
    """Return the error for a call, or None if the arguments are correct. parameters: all that can be passed by name."""
    try:
        signature.bind(*args, **kwargs)
    except TypeError as error:
        if not any(p.kind is p.VAR_KEYWORD for p in signature.parameters.values()):
            for key in kwargs:
                if key not in parameters:
                    return _unexpected(name, key, parameters, cls)
        positional = [p for p in parameters.values() if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
        if len(args) > len(positional) and not any(p.kind is p.VAR_POSITIONAL for p in parameters.values()):
            most = f"at most {len(positional)} arguments" if positional else "no argument"
            return ArgumentError(f"{name} takes {most} by position, not {len(args)}. {_takes(parameters)}")
        needed = [p.name for p in positional[len(args) :] if p.default is p.empty and p.name not in kwargs]
        needed += [
            p.name for p in parameters.values() if p.kind is p.KEYWORD_ONLY and p.default is p.empty and p.name not in kwargs
        ]
        if needed:
            return ArgumentError(f"{name} needs {' and '.join(needed)}. {_takes(parameters)}")
        hint = "; the model's parameters are not passed to it" if getattr(cls, "_family", "") == "nncore.optim" else ""
        return ArgumentError(f"{name}: {error}{hint}. {_takes(parameters)}")
    return None


def _unexpected(owner: str, name: str, parameters: Mapping[str, inspect.Parameter], cls: type | None) -> ArgumentError:
    from .foreign import arguments

    here = arguments.hint(name, parameters)
    hint = f"; here it is {here}" if here else ""
    if having := [] if cls is None else _classes_with(cls, name):
        hint += f"; {', '.join(having)} {'has' if len(having) == 1 else 'have'} it"
    hint += f"; did you mean {named(similar)}? " if not here and (similar := near(name, parameters)) else ". "
    return ArgumentError(f"{owner} takes no argument {name!r}{hint}{_takes(parameters)}")


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


class Elsewhere:
    """An attribute that does not exist. Accessing it raises an error that says what to use, so that ``hasattr`` is False.

    It is an attribute, and not ``__getattr__``, because the latter would slow down every access to an object.

    Parameters
    ----------
    said : str
        What to use.

    Examples
    --------
    >>> class Net:
    ...     eval = Elsewhere("leave it out")
    >>> hasattr(Net(), "eval")
    False
    >>> Net().eval
    Traceback (most recent call last):
        ...
    nncore.errors.UnknownAttributeError: Net has no 'eval': leave it out
    """

    def __init__(self, said: str) -> None:
        self.said = said

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, instance: object | None, owner: type) -> NoReturn:
        raise UnknownAttributeError(f"{owner.__name__} has no {self.name!r}: {self.said}")


def put_elsewhere(cls: type, names: Mapping[str, str]) -> None:
    """Give a class an `Elsewhere` for each name that it does not have."""
    for name, said in names.items():
        if not hasattr(cls, name):
            absent = Elsewhere(said)
            absent.__set_name__(cls, name)
            setattr(cls, name, absent)


# fmt: off
#: What declarations say to nncore, and no user asks them.
_INNER = {
    "aliases", "asks_for_lengths", "attributes", "belong_to_model", "check", "check_call", "check_columns", "check_logged",
    "code", "compiled", "compute", "counted", "extras", "following", "form", "frozen_is_inference", "full_batch", "given_extras",
    "init_looks_through", "initializer", "input_count", "input_shape", "is_activation", "is_weight_matrix", "kind", "macs",
    "makes_weights", "may_have_parameters", "mode", "mutable", "names", "of_classes", "only_first", "ops", "options",
    "output_count", "output_ops", "pairs", "parameter_shapes", "preferred_init", "preserves_shape", "rare", "record_steps",
    "registry_code", "repr_defaults", "require_init", "require_methods", "saves_model", "spec", "state_parts", "state_shapes",
    "states", "statistics", "takes_indices", "targets", "watcher",
}
# fmt: on


def without_elsewhere(cls: type, names: Iterable[str], own: Mapping[str, object] = MappingProxyType({})) -> list[str]:
    """Return the names of attributes that exist, without those of nncore's classes that only nncore uses. `dir` lists these.

    A subclass, or an object by its own attributes, may have what its base has not.
    """
    found: dict[str, object] = {}
    for base in reversed(cls.__mro__):
        found |= vars(base)
    absent = {name for name, value in {**found, **own}.items() if isinstance(value, Elsewhere)}
    for name in _INNER if isinstance(cls, DeclarationType) else ():
        home = next((base for base in cls.__mro__ if name in vars(base)), None)
        if home is not None and home.__module__.startswith("nncore."):
            absent.add(name)
    return [name for name in names if name not in absent]


def visible(thing: object) -> list[str]:
    """Return what `dir` lists of an object: its ``__dir__``."""
    return without_elsewhere(type(thing), object.__dir__(thing), getattr(thing, "__dict__", {}))


def missing_attribute(cls: type, name: str) -> UnknownAttributeError:
    """Return the error for an attribute that an object of this class does not have, for its ``__getattr__``."""
    for base in cls.__mro__:
        if isinstance(found := vars(base).get(name), Elsewhere):
            return UnknownAttributeError(f"{cls.__name__} has no {name!r}: {found.said}")
    return UnknownAttributeError(f"{cls.__name__!r} object has no attribute {name!r}")


#: Names of settings in Keras and PyTorch -> what to set here.
_FOREIGN_SETTINGS = {
    "lr": "model.optimizer.lr",
    "learning_rate": "model.optimizer.lr",
    "requires_grad": "trainable",
    "frozen": "trainable = False",
    "freeze": "trainable = False",
    "is_training": "training",
    "train": "training = True",
    "eval": "training = False",
    "inference": "training = False",
    "dropout": "p of a new Dropout layer",
    "rate": "p of a new Dropout layer",
    "loss": "compile(loss=...)",
    "metrics": "compile(metrics=...)",
    "loss_weights": "compile(loss_weights=...)",
    "weight_decay": "the optimizer of compile",
    "momentum": "the optimizer of compile",
    "clip_norm": "the optimizer of compile",
    "clipnorm": "the optimizer of compile",
    "epochs": "fit(epochs=...)",
    "batch_size": "fit(batch_size=...)",
    "class_weight": "fit(class_weight=...)",
    "sample_weight": "fit(sample_weight=...)",
    "callbacks": "fit(callbacks=...)",
    "verbose": "fit(verbose=...)",
    "validation_split": "fit(validation_split=...)",
    "weights": "set_weights(...)",
    "device": "nothing: nncore computes on the CPU",
    "kernel_regularizer": "l1 and l2",
    "kernel_constraint": "max_norm",
}


def is_own(thing: object) -> bool:
    """Return whether the class of an object is one of nncore's, and not a user's, whose attributes nncore cannot know."""
    return type(thing).__module__.startswith("nncore.")


def refuse_setting(thing: object, name: str, settings: Iterable[str], always: bool) -> None:
    """Raise AttributeError for an attribute that would be set without any effect.

    settings: the names that can be set. always: also refuse a name that is neither known from other libraries nor similar to one of
    the settings.
    """
    known = list(settings)
    here, similar = _FOREIGN_SETTINGS.get(name), near(name, known)
    if not (here or similar or always):
        return
    hint = f"set {here}" if here else f"did you mean {named(similar)}?" if similar else f"there are {', '.join(known)}"
    raise AttributeError(f"{type(thing).__name__} has no setting {name!r}, so that nothing would change; {hint}")


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
