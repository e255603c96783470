"""The state of training: what a copy or a file needs so that training goes on from it as if it had never stopped.

That is what compile was told (as the core was told it: a layer frozen since then still trains), the number of updates, from which
dropout masks and the order of the rows follow, the optimizer's moments, by parameter, without the padding of the core, what
stateful layers carry from batch to batch, and where the last ``fit`` stands within its epochs. All of it is taken between two
steps, whoever trains meanwhile.
"""

from __future__ import annotations

import warnings
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .._core import copy_all, uninterrupted
from ..compiled import Compiled
from ..errors import ArgumentError
from ..progress import Progress
from ..records import ParameterOptions

if TYPE_CHECKING:
    from ..assembly import Assembly
    from ..model import Model


class TrainingState(NamedTuple):
    """The state of training of a model, or that of a model that is compiled and has not begun."""

    compiled: Compiled
    step: int
    options: list[ParameterOptions] | None  #: None: the core has not been told yet
    moments: dict[str, dict[str, np.ndarray]]  #: by buffer of the optimizer, then by parameter
    progress: Progress | None = None  #: None: no fit has begun
    carried: np.ndarray | None = None  #: [rows, states]: what stateful layers begin the next batch with; None: with zeros


def between_steps(model: Assembly) -> AbstractContextManager[Any]:
    """Let no thread train the model meanwhile; what another one runs stands between two steps."""
    return model._access.between_steps()


def moments(model: Model) -> dict[str, dict[str, np.ndarray]]:
    """Return live views of the optimizer's buffers, oriented as the parameters that they belong to."""
    buffers = model._buffers()
    start = buffers["parameters"].ctypes.data
    return {
        key: {
            name: np.ndarray(p.value.shape, buffer.dtype, buffer.data, p.value.ctypes.data - start, p.value.strides)
            for name, p in model._named("moments")
        }
        for key, buffer in buffers.items()
        if key.startswith("moment") or key == "average"
    }


def capture(model: Model) -> TrainingState | None:
    """Return the state of training, the moments as live views (see `between_steps`); None where the model is not compiled."""
    config = model._compiled
    if config is None:
        return None
    if model._attached is not config or model._options is None:
        return TrainingState(config, 0, None, {})
    begun: Progress | None = model._progress
    progress = None if begun is None or begun.start > model.step else begun.copied(model)  # the step may have been set back
    return TrainingState(config, model.step, list(model._options), moments(model), progress, model._carried())


def restore(model: Model, state: TrainingState) -> dict[str, dict[str, np.ndarray]]:
    """Compile the model as it was; return live views of the moments, which are yet to be filled."""
    if state.options is not None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # whoever compiled it has been warned
            model._attach(state.compiled, state.options)
        model.step = state.step
        model._progress = state.progress
        if state.carried is not None:
            model._carry_on(state.carried)
    model._compiled = state.compiled
    return {} if state.options is None else moments(model)


def copied(state: TrainingState | None) -> TrainingState | None:
    """Return the state with copies of the moments, so that a pickle does not hold the padding."""
    if state is None:
        return None
    return state._replace(
        moments={key: {name: np.array(view, order="C") for name, view in each.items()} for key, each in state.moments.items()}
    )


def resume(model: Model, state: TrainingState) -> None:
    """Bring a copy of a model to the state that was captured."""
    for key, views in restore(model, state).items():
        for name, view in views.items():
            view[...] = state.moments[key][name]


def take_over(model: Model, path: str) -> None:
    """Bring a compiled model to the state of training in a file; what it was compiled with stays, but for the learning rate.

    Raises
    ------
    ArgumentError
        The file is of a model with other layers, or of another optimizer; the model stays as it was.
    """
    from .model_file import load_model

    other = load_model(path)
    if not model.built and other.built:
        model._build(other.input_shapes)
    mine = {name: p.value.shape for name, p in model._named_all("fit")}
    theirs = {name: p.value.shape for name, p in other._named_all("fit")}
    if mine != theirs or model.dtype != other.dtype:
        differing = sorted(name for name in mine.keys() | theirs.keys() if mine.get(name) != theirs.get(name)) or [str(other.dtype)]
        raise ArgumentError(f"{path} is of another model, which differs in {', '.join(differing)}; delete it, or take another path")
    optimizer, kept = model.optimizer, other.optimizer
    if optimizer is None or kept is None or optimizer.spec() != kept.spec():
        raise ArgumentError(f"{path} is of a model that trains with {kept!r}, not {optimizer!r}; delete it, or take another path")
    views = [p.value for _, p in model._named_all("fit")]
    values = [p.value for _, p in other._named_all("fit")]
    state = capture(other)
    if state is None or state.options is None:
        copy_all(views, values)
        return
    for key, own in moments(model).items():
        views += own.values()
        values += [state.moments[key][name] for name in own]

    def take() -> None:
        copy_all(views, values)
        if not callable(optimizer.lr):
            optimizer.lr = kept.lr
        model.seed, model.step, model._progress = other.seed, state.step, state.progress
        if state.carried is not None:
            model._carry_on(state.carried)

    uninterrupted(take)  # all of it belongs to one moment
