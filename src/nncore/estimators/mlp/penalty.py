"""What changes in a compiled network between two calls of `partial_fit`: its penalty, or its layers."""

from __future__ import annotations

import copy
from typing import Any

from ...saving.training import capture, copied, resume
from ...training.options import parameter_options


def set_l2(model: Any, l2: float) -> None:
    """Set the L2 penalty of a compiled model. Its optimizer goes on with the moments and the learning rate that it has."""
    network = model._network
    config = network.plan.trainer.config
    if config.l2 == l2:
        return
    with network.access.changing():
        state = copied(capture(network))
        config.l2 = l2
        if state is not None and state.options is not None:
            resume(network, state._replace(options=parameter_options(network, config)))


def go_on(source: Any, target: Any) -> bool:
    """Compile a network as another one is, with its moments, learning rate and step. False: it has other parameters."""
    state, network = copied(capture(source._network)), target._network
    shapes = [[each.shape for each in model.parameters()] for model in (source, target)]
    if state is None or state.options is None or shapes[0] != shapes[1]:
        return False
    config = copy.deepcopy(state.config)
    names = [name for name, _ in network.named_parameters("partial_fit")]
    taken = {key: dict(zip(names, each.values(), strict=True)) for key, each in state.moments.items()}
    options = parameter_options(network, config)
    resume(network, state._replace(config=config, options=options, moments=taken, frozen=None))
    return True
