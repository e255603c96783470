"""The pieces of a training step, for loops written by hand: forward, backward, apply_gradients."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from . import _core
from ._checks import flag, shape_text
from .binding import steps_of, unpadded
from .data.arrays import as_array
from .data.sequences import bind_lengths
from .ends import in_order, names_of
from .errors import ArgumentError, EmptyDataError, ShapeError
from .graph import Value, is_symbolic
from .records import Shape
from .schedules import learning_rates
from .training import Trainable


class Stepwise(Trainable):
    """What a model can do with one batch, step by step."""

    def _convert(self, x: Any) -> Any:
        """Return a batch as a C-contiguous array of the model's dtype, building the model if need be.

        A model that is called on values of a network becomes part of that network: then, return the value that it gives.
        """
        return self._record(x) if is_symbolic(x) else self._batch_of(x)[0]

    def _call(self, x: Any) -> Any:
        """Return what a call gives where there are several inputs or outputs."""
        return self._record(x) if is_symbolic(x) else self.predict(x)

    def _record(self, x: Any) -> Any:
        values = in_order("x", x, self.input_names)
        for name, value in zip(names_of("x", self.input_names), values, strict=True):
            if not isinstance(value, Value):
                raise ArgumentError(f"{name} is {type(value).__name__}, which is no part of the network; make it an nn.Input")
        return self._given_out(self._called_on(values))

    def _called_on(self, values: list[Value]) -> list[Value]:
        """Return the outputs for inputs that are values of a network: the layers of this model, called on them."""
        raise NotImplementedError

    def _stretch(self, input_shapes: Sequence[Shape]) -> bool:
        stretched = super()._stretch(input_shapes)
        if stretched:
            self._restart_batches()
        return stretched

    def _told(self, output_shapes: Sequence[Shape]) -> _core.Told | None:
        return self._training(output_shapes)

    def _batch_of(self, x: Any) -> list[np.ndarray]:
        """Return a batch as one such array per input."""
        arrays: list[np.ndarray] = []
        given = in_order("x", x, self.input_names)
        for i, (name, each) in enumerate(zip(names_of("x", self.input_names), given, strict=True)):
            array = as_array(each, name, self._dtype)
            if array.ndim == 0:
                raise ShapeError(f"{name} is a single number; a batch [N, ...] is needed")
            if not self.built:
                self._build_first([array.shape[1:]])
            expected = self.input_shapes[i]
            if array.shape[1:] != expected and len(given) == 1:
                self._stretch([array.shape[1:]])
                expected = self.input_shapes[i]
            if array.shape[1:] != expected:
                hint = _hint(array.shape, expected)
                raise ShapeError(
                    f"{name} has shape {array.shape}, but the model takes batches of shape {shape_text(expected)}{hint}"
                )
            if arrays and len(array) != len(arrays[0]):
                raise ShapeError(f"{name} has {len(array)} rows, but the first input has {len(arrays[0])}")
            arrays.append(np.ascontiguousarray(array, dtype=self._dtype))
        return arrays

    def forward(self, x: Any, training: bool = False, lengths: Any = None) -> Any:
        """Compute the output for one batch, and keep what `backward` needs.

        Parameters
        ----------
        x : array_like, or a list or dict of them
            [N, *input shape] for each input.
        training : bool
            Whether layers behave as in training (dropout drops).
        lengths : array_like of int, optional
            [N]: how many time steps of each sequence count.

        Returns
        -------
        numpy.ndarray, or a list or dict of them
            [N, *output shape] for each output.

        Raises
        ------
        ShapeError
            If the batch does not fit the model.
        EmptyDataError
            If it has no rows.

        Examples
        --------
        A training step by hand, for the loss 0.5 * sum((y - t)**2):

        >>> import numpy as np
        >>> import nncore as nn
        >>> model = nn.Sequential(nn.Linear(1, 1, weight_init="ones"))
        >>> model.compile(loss="half_squared_error", optimizer=nn.optim.SGD(lr=0.1))
        >>> y = model.forward([[2.0]], training=True)
        >>> model.backward(y - 1.0)
        array([[1.]], dtype=float32)
        >>> model.gradients["0.weight"]
        array([[2.]], dtype=float32)
        >>> model.apply_gradients()
        >>> model[0].weight.round(3)
        array([[0.8]], dtype=float32)
        """
        if training is not False and training is not True:
            training = flag("forward", "training", training)
        plain = self._forward_plain(x, training) if lengths is None else None
        if plain is not None:
            return plain
        with self._access.training():
            batch = self._batch_of(x)
            if not len(batch[0]):
                raise EmptyDataError("forward: x has no rows, so that there is nothing to go back through; model(x) takes it")
            counted = None
            if lengths is not None:
                counted = (bind_lengths(lengths, len(batch[0]), steps_of(self)), None, None)
                batch = unpadded(self, batch, counted[0]) if self._holds_indices() else batch  # padding may be no index
            return self._given_out(self._forward(batch, bool(training), counted))

    def backward(self, grad_output: Any) -> Any:
        """Compute the gradients of the last `forward`, overwriting those in `gradients`.

        Parameters
        ----------
        grad_output : array_like, or a list or dict of them
            Derivative of the loss by each element of the output, [N, *output shape], for each output.

        Returns
        -------
        numpy.ndarray or list of them
            Derivative of the loss by each element of the input, [N, *input shape]; a list where there are several inputs.

        Examples
        --------
        >>> import nncore as nn
        >>> model = nn.Sequential(nn.Linear(2, 1, weight_init="ones"))
        >>> _ = model.forward([[1.0, 2.0]])
        >>> model.backward([[3.0]])
        array([[3., 3.]], dtype=float32)
        """
        plain = self._backward_plain(grad_output)
        if plain is not None:
            return plain
        with self._access.training():
            self._require_built("backward")
            given = in_order("grad_output", grad_output, self.output_names)
            grads = []
            for name, each, expected in zip(names_of("grad_output", self.output_names), given, self.output_shapes, strict=True):
                grad = np.ascontiguousarray(as_array(each, name, self._dtype), dtype=self._dtype)
                if grad.shape[1:] != expected:
                    raise ShapeError(f"{name} has shape {grad.shape}, but the model gives batches of shape {shape_text(expected)}")
                grads.append(grad)
            found = self._backward(grads)
            return found[0] if len(found) == 1 else found

    def apply_gradients(self) -> None:
        """Let the optimizer update the parameters from what is in `gradients`.

        Raises
        ------
        NotCompiledError
            If the model has no optimizer.

        Examples
        --------
        >>> import nncore as nn
        >>> model = nn.Sequential(nn.Linear(1, 1, weight_init="ones"))
        >>> model.compile(loss="mse", optimizer=nn.optim.SGD(lr=0.5))
        >>> model.gradients["0.weight"][...] = 1.0
        >>> model.apply_gradients()
        >>> model[0].weight
        array([[0.5]], dtype=float32)
        """
        with self._access.training():
            optimizer = self._require_compiled("apply_gradients").optimizer
            self._apply_gradients(float(learning_rates(optimizer.lr, self.step, 1)[0]))


def _hint(shape: Shape, expected: Shape) -> str:
    if shape == expected:
        return "; for one sample, add the batch dimension: x[None]"
    if (*shape, 1) == (*shape[:1], *expected):
        return "; for one feature, add its dimension: x[:, None]"
    if len(shape) - 1 > len(expected) and shape[len(shape) - len(expected) :] == expected:
        return f"; for samples of shape {shape[1:]}, call model.build({shape[1:]}) first"
    return ""
