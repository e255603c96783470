"""Prediction: the outputs of data, as at inference. It needs no loss and no optimizer."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import Any

from . import binding, fitting
from ._checks import whole
from .binding import are_batches
from .callbacks.base import CallbackList
from .compiling import Compilable
from .errors import ArgumentError


class Predicting(Compilable):
    """What a model can do with samples alone."""

    def predict(
        self,
        x: Any,
        batch_size: int | None = None,
        verbose: Any = 0,
        callbacks: Any = (),
        steps: int | None = None,
        lengths: Any = None,
    ) -> Any:
        """Compute the outputs, as at inference. Needs no ``compile``.

        Parameters
        ----------
        x : array_like
            Samples [N, ...]; N may be 0. Or a generator or data loader of batches x, or of tuples that begin with x (where
            the model has one input, lists of arrays, which PyTorch's loader makes, will do).
        batch_size : int, optional
            Rows per call of the hooks of batches; the result does not depend on it.
        verbose : object
            Taken for Keras's sake; prediction shows no progress.
        callbacks : sequence of Callback
            Their ``on_predict_`` hooks are called.
        steps : int, optional
            How many batches to take, where x are batches.
        lengths : array_like of int, optional
            [N]: how many time steps of each sequence count, where x is an array.

        Returns
        -------
        numpy.ndarray, or list or dict of them
            [N, *output shape]; a list where the model has several outputs, a dict where its outputs were given as one.

        Examples
        --------
        >>> import nncore as nn
        >>> nn.Sequential(nn.Linear(2, 1, weight_init="ones")).predict([[1.0, 2.0], [3.0, 4.0]])
        array([[3.],
               [7.]], dtype=float32)
        """
        hooks = CallbackList(as_list(callbacks), self, {"verbose": verbose}) if callbacks else NOBODY
        if not isinstance(x, list) and are_batches(x):
            limit = None if steps is None else whole("predict", "steps", steps)
            outputs = fitting.predict_batches(self, islice(x, limit), hooks)
        elif steps is not None:
            raise ArgumentError("predict: steps is for batches; of an array all rows are taken")
        else:
            with self._access.reading():
                arrays, counted = binding.with_lengths(self, x, lengths, allow_empty=True, elastic=True)
                shapes, outputs = self.input_shapes, fitting.room(self, arrays)
            fitting.predict(self, arrays, outputs, shapes, hooks, batch_size, counted)
        return self._given_out(outputs)

    def _given_out(self, outputs: list[Any]) -> Any:
        """Return outputs as calls give them: one array, or a list."""
        return outputs[0] if len(outputs) == 1 else outputs


NOBODY = CallbackList((), None, {})


def as_list(callbacks: Any) -> list[Any]:
    if callbacks is None:
        return []
    return list(callbacks) if isinstance(callbacks, Iterable) and not isinstance(callbacks, str) else [callbacks]
