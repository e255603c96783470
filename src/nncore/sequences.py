"""What a model with recurrent layers can do besides: carry states on, run as a stream, show its gradients over time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .assembly import Assembly

if TYPE_CHECKING:
    from .streaming import Stream


class Sequences(Assembly):
    """The part of a model that knows of time."""

    def _is_stateful(self) -> bool:
        """Whether a layer begins a training batch with the states that the one before left."""
        return any(getattr(layer, "stateful", False) for layer in self.layers)

    def reset_states(self) -> None:
        """Let stateful recurrent layers begin the next training batch with zeros; `fit` does so at the start of every epoch.

        Examples
        --------
        >>> import nncore as nn
        >>> nn.Sequential(nn.GRU(2, 3, stateful=True)).build((5, 2)).reset_states()
        """
        self._require_built("reset_states")
        self._reset_states()

    def stream(self, batch: int = 1) -> Stream:
        """Return the model as a stream that takes one time step per call: ``stream.step(x_t)``, ``stream.reset()``.

        Parameters
        ----------
        batch : int
            How many sequences run side by side.

        Returns
        -------
        Stream
            It has a copy of the model's weights, until ``stream.reset()`` takes a new one.

        Raises
        ------
        ArgumentError
            A layer is bidirectional, so that there is no output before the end.
        ShapeError
            The model has no time dimension, or a layer mixes time steps.

        Examples
        --------
        >>> import numpy as np
        >>> import nncore as nn
        >>> stream = nn.Sequential(nn.LSTM(2, 3)).build((10, 2)).stream(batch=4)
        >>> stream.step(np.zeros((4, 2))).shape
        (4, 3)
        """
        from .streaming import Stream

        return Stream(self, batch)

    def step_gradient_norms(self) -> dict[str, np.ndarray]:
        """Return how strongly the loss depends on each time step of each recurrent layer: do gradients vanish or explode?

        Call it after `forward` and `backward`. For each layer, entry t is the norm of the gradient by what the gates at step t are
        computed from (``W_ih x_t + b_ih``), over samples, directions and gates.

        Returns
        -------
        dict
            From the key of the layer and the number of its sublayer ("0.0", "0.1", ...) to float64 [time].

        Examples
        --------
        >>> import numpy as np
        >>> import nncore as nn
        >>> model = nn.Sequential(nn.RNN(1, 4), nn.Linear(4, 1), seed=0)
        >>> y = model.forward(np.ones((2, 30, 1)))
        >>> _ = model.backward(np.ones_like(y))
        >>> norms = model.step_gradient_norms()["0.0"]
        >>> bool(norms[0] < 1e-3 * norms[-1])
        True
        """
        self._require_built("step_gradient_norms")
        shapes = self._shapes()
        return {
            f"{self._key(self._owners[i])}.{op.field('sublayer')}": self._step_norms(i, shapes[op.inputs[0]][0])
            for i, op in enumerate(self._ops)
            if op.kind == "recurrent"
        }
