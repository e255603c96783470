"""Restoring the state of training from a file into a model that is compiled already."""

from __future__ import annotations

from .._core import copy_all, uninterrupted
from ..errors import ArgumentError
from ..network.network import Network
from ..training.trainer import require_trainer
from .declarations import own_parts
from .model_file import read_network
from .training import capture, moments


def restore_training_state(network: Network, path: str, progress: bool = True) -> None:
    """Restore the state of training from a file into a compiled network. Only the learning rate of the optimizer is changed.
    progress: whether that of the last ``fit`` is a part of the state, so that ``fit(resume=True)`` can go on.

    Raises
    ------
    ArgumentError
        The file belongs to a model with other layers or in another precision, or to another optimizer. The model is unchanged.
    """
    other = read_network(path, own_parts(network))
    if not network.built and other.built:
        network.build(other.input_shapes)
    mine = {name: p.value.shape for name, p in network.named_state("fit")}
    theirs = {name: p.value.shape for name, p in other.named_state("fit")}
    if mine != theirs or network.dtype != other.dtype:
        differing = sorted(name for name in mine.keys() | theirs.keys() if mine.get(name) != theirs.get(name)) or [str(other.dtype)]
        raise ArgumentError(f"{path} is of another model, which differs in {', '.join(differing)}; delete it, or take another path")
    if network.compute != other.compute:
        raise ArgumentError(
            f"{path} is of a model that computes products in {other.compute}, not in {network.compute}; make the model with "
            f"compute={other.compute!r}, delete the file, or take another path"
        )
    optimizer = require_trainer(network, "fit").optimizer
    kept = None if other.plan.trainer is None else other.plan.trainer.optimizer
    if kept is None or optimizer.spec() != kept.spec():
        raise ArgumentError(f"{path} is of a model that trains with {kept!r}, not {optimizer!r}; delete it, or take another path")
    views = [p.value for _, p in network.named_state("fit")]
    values = [p.value for _, p in other.named_state("fit")]
    state = capture(other)
    if state is None or state.options is None:
        copy_all(views, values)
        return
    for key, own in moments(network).items():
        views += own.values()
        values += [state.moments[key][name] for name in own]

    def take() -> None:
        copy_all(views, values)
        if not callable(optimizer.lr):
            optimizer.lr = kept.lr
        network.plan.seed, network.plan.step = other.plan.seed, state.step
        if progress:
            network.plan.trainer.progress = state.progress
        network.plan.passes = state.passes
        if state.carried is not None:
            network.plan.carry_on(state.carried)

    uninterrupted(take)  # an interrupt must not leave a mixture of two states
