"""A model brought to the state of training that a file has, while what it was compiled with stays."""

from __future__ import annotations

from .._core import copy_all, uninterrupted
from ..errors import ArgumentError
from ..network.network import Network
from ..training.trainer import trainer_of
from .model_file import read_network
from .training import capture, moments


def take_over(network: Network, path: str) -> None:
    """Bring a compiled network to the state of training in a file; what it was compiled with stays, but for the learning rate.

    Raises
    ------
    ArgumentError
        The file is of a model with other layers, or of another optimizer; the model stays as it was.
    """
    other = read_network(path)
    if not network.built and other.built:
        network.build(other.input_shapes)
    mine = {name: p.value.shape for name, p in network.named_tensors("fit")}
    theirs = {name: p.value.shape for name, p in other.named_tensors("fit")}
    if mine != theirs or network.dtype != other.dtype:
        differing = sorted(name for name in mine.keys() | theirs.keys() if mine.get(name) != theirs.get(name)) or [str(other.dtype)]
        raise ArgumentError(f"{path} is of another model, which differs in {', '.join(differing)}; delete it, or take another path")
    optimizer = trainer_of(network, "fit").optimizer
    kept = None if other.plan.trainer is None else other.plan.trainer.optimizer
    if kept is None or optimizer.spec() != kept.spec():
        raise ArgumentError(f"{path} is of a model that trains with {kept!r}, not {optimizer!r}; delete it, or take another path")
    views = [p.value for _, p in network.named_tensors("fit")]
    values = [p.value for _, p in other.named_tensors("fit")]
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
        network.plan.seed, network.plan.step, network.plan.trainer.progress = other.plan.seed, state.step, state.progress
        if state.carried is not None:
            network.plan.carry_on(state.carried)

    uninterrupted(take)  # all of it belongs to one moment
