"""Networks for estimators: what ``build`` makes, its parameters for searches and whether they have changed, and fresh weights."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Mapping
from numbers import Number
from typing import Any

import numpy as np

from ..._checks import shown
from ...errors import ArgumentError, NncoreError
from ...graph import Input
from ...layers import Linear, ReLU
from ...models import Model, Sequential
from ...models.copying import clone_model

PREFIX = "build__"
_UNITS = 100  # of the hidden layer if no network is given


def tunable(build: Any, given: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the parameters of ``build`` that can be set by name, with the prefix: those given, and those with a default."""
    found: dict[str, Any] = {}
    if callable(build) and not isinstance(build, Model):
        try:
            parameters = inspect.signature(build).parameters.values()
        except (TypeError, ValueError):
            parameters = ()  # type: ignore[assignment]
        named = [p for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY) and p.default is not p.empty]
        found = {p.name: p.default for p in named}
    return {PREFIX + name: value for name, value in {**found, **(given if isinstance(given, Mapping) else {})}.items()}


def merged(owner: str, build_params: Any, further: Mapping[str, Any]) -> Any:
    """Return ``build_params`` with parameters that the constructor was given with the prefix; itself if there are none."""
    wrong = [name for name in further if not name.startswith(PREFIX)]
    if wrong:
        raise TypeError(f"{owner}.__init__() got an unexpected keyword argument {wrong[0]!r}; those of build begin with {PREFIX!r}")
    if not further or not isinstance(build_params, Mapping | None):  # `fit` refuses what is no mapping
        return build_params
    return {**(build_params or {}), **{name[len(PREFIX) :]: value for name, value in further.items()}}


def construct(owner: str, build: Any, shape: tuple[int, ...], n_outputs: Any, params: Mapping[str, Any]) -> tuple[Any, bool]:
    """Return a network for samples of a shape, and whether its weights may have been loaded, so that they count."""
    n_features = shape[-1]
    if build is None:
        if len(shape) > 1:
            raise ValueError(
                f"{owner}: X is sequences, {len(shape) + 1} dimensions, and build=None is a network of rows; pass build, for "
                f"example lambda n, m: nn.Sequential(nn.GRU(n, 32), nn.Linear(32, m)), or take Recurrent{owner}"
            )
        if params:
            raise ArgumentError(f"{owner}: build_params are for build, which is None")
        if isinstance(n_outputs, list):
            x: Any = Input((n_features,))
            hidden = ReLU()(Linear(n_features, _UNITS)(x))
            return Model(x, [Linear(_UNITS, units)(hidden) for units in n_outputs]), False
        return Sequential(Linear(n_features, _UNITS), ReLU(), Linear(_UNITS, n_outputs)), False
    if isinstance(build, Model):
        if params:
            raise ArgumentError(f"{owner}: build is a model, which takes no parameters; pass a function that makes it")
        return build, False
    try:
        inspect.signature(build).bind(n_features, n_outputs, **params)
    except TypeError as error:
        raise ArgumentError(
            f"{owner}: build must be a model, or a function of n_features, n_outputs and the parameters {sorted(params)}: {error}"
        ) from None
    except ValueError:  # it has no signature
        pass
    try:
        made = build(n_features, n_outputs, **params)
    except NncoreError as error:
        if not isinstance(n_outputs, list):
            raise
        raise ArgumentError(
            f"{owner}: y has {len(n_outputs)} columns of labels, so build gets n_outputs={n_outputs} for an output each: {error}"
        ) from error
    if not isinstance(made, Model):
        raise ArgumentError(f"{owner}: build must return a model of nncore, not {shown(made)}")
    return made, True


def fresh(model: Any, may_be_loaded: bool, shape: tuple[int, ...], seed: int, dtype: Any, compute: str | None) -> Any:
    """Return a copy of a model with weights drawn from a seed, planned for samples of a shape.

    Weights that the model did not draw itself, such as those of a file, stay. So a model that is shared is never trained in place.
    """
    dtype = np.dtype(dtype).name
    compute = compute or model.compute
    found: Any = clone_model(model, seed, dtype if compute == "float32" else "float32", compute)
    _build(found, shape)
    if may_be_loaded:
        _build(model, shape)
        state, drawn = model.state_dict(), model.clone(model.seed)
        _build(drawn, shape)
        start = drawn.state_dict()
        loaded = {name: value for name, value in state.items() if not np.array_equal(value, start[name], equal_nan=True)}
        if loaded:
            found.load_state_dict({**found.state_dict(), **loaded})
    return found


def _build(model: Any, shape: tuple[int, ...]) -> None:
    if not model._network.built:
        model.build(shape)


def kept(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return parameters so that changing a list of the user in place does not change them."""
    return {name: copy.copy(each) if isinstance(each, list | dict | np.ndarray) else each for name, each in parameters.items()}


def refuse_changes(owner: str, before: Mapping[str, Any], now: Mapping[str, Any], advice: str) -> None:
    """Raise ValueError that names a parameter which has changed. A number and a list of it are the same."""
    for name in {**before, **now}:
        if name not in before or name not in now:
            raise ValueError(f"{owner}: {name} was {'not ' if name in now else ''}given when the network was made{advice}")
        if not _equal(before[name], now[name]):
            raise ValueError(
                f"{owner}: the network was made with {name}={shown(before[name])}, but now {name} is {shown(now[name])}{advice}"
            )


def _equal(a: Any, b: Any) -> bool:
    if a is b:
        return True
    if all(isinstance(each, list | tuple | np.ndarray | Number | str) for each in (a, b)):
        return np.array_equal(np.ravel(np.array(a, object)), np.ravel(np.array(b, object)))
    return bool(a == b)
