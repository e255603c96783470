"""The penalty of a network between two calls of `partial_fit`."""

from __future__ import annotations

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
