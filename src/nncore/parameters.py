"""The parameters of a model by name: views, gradients, and copies out and in, with PyTorch's keys and shapes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ._checks import flag
from ._core import Access, Use, copy_all
from .errors import ArgumentError, ShapeError, StateDictError
from .layers.base import copy_into, to_array
from .records import Parameter


class IncompatibleKeys(NamedTuple):
    """What `Model.load_state_dict` with ``strict=False`` passed over."""

    missing_keys: list[str]
    unexpected_keys: list[str]


class Parameters:
    """The part of a model that gives access to its parameters; the model says what they are called.

    Examples
    --------
    >>> import nncore as nn
    >>> [name for name in nn.Sequential(nn.Linear(2, 1)).state_dict()]
    ['0.weight', '0.bias']
    """

    @property
    def _access(self) -> Access:
        raise NotImplementedError

    def _at_rest(self) -> Use:
        """Enter between two steps; in the midst of one, from a loss, metric or layer in Python, the weights are at rest as well."""
        return self._access.reading() if self._access.is_inside_step else self._access.between_steps()

    def _named(self, what: str) -> list[tuple[str, Parameter]]:
        """Return (name, parameter) in order, or raise NotBuiltError on behalf of the method ``what``."""
        raise NotImplementedError

    def _named_all(self, what: str) -> list[tuple[str, Parameter]]:
        """Return the same with the running statistics, in the order of PyTorch's state dict."""
        raise NotImplementedError

    def parameters(self) -> list[np.ndarray]:
        """Return live views of the parameters, in order.

        Examples
        --------
        >>> import nncore as nn
        >>> [p.shape for p in nn.Sequential(nn.Linear(2, 1)).parameters()]
        [(1, 2), (1,)]
        """
        return [p.value for _, p in self._named("parameters")]

    def named_parameters(self) -> list[tuple[str, np.ndarray]]:
        """Return (name, live view) of each parameter; the names are PyTorch's, "0.weight", "0.bias", ...

        Examples
        --------
        >>> import nncore as nn
        >>> [name for name, _ in nn.Sequential(nn.Linear(2, 1), nn.ReLU(), nn.Linear(1, 1)).named_parameters()]
        ['0.weight', '0.bias', '2.weight', '2.bias']
        """
        return [(name, p.value) for name, p in self._named("named_parameters")]

    @property
    def gradients(self) -> dict[str, np.ndarray]:
        """Live views of the gradients by parameter name, as the last `backward` or training step left them.

        Examples
        --------
        >>> import nncore as nn
        >>> nn.Sequential(nn.Linear(2, 1)).gradients["0.bias"]
        array([0.], dtype=float32)
        """
        return {name: p.grad for name, p in self._named("gradients")}

    def state_dict(self) -> dict[str, np.ndarray]:
        """Return copies of the parameters by name, C-contiguous, with PyTorch's keys and shapes.

        Returns
        -------
        dict
            From "0.weight", "0.bias", ... to arrays; the number is the position among all layers.

        Examples
        --------
        >>> import nncore as nn
        >>> {name: value.shape for name, value in nn.Sequential(nn.Linear(2, 1)).state_dict().items()}
        {'0.weight': (1, 2), '0.bias': (1,)}
        """
        with self._at_rest():
            return {name: _stored(p) for name, p in self._named_all("state_dict")}

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True) -> IncompatibleKeys:
        """Copy parameters from a state dict; everything is checked before anything is written.

        Parameters
        ----------
        state_dict : mapping
            From names to arrays or PyTorch tensors, of any floating type.
        strict : bool
            Whether missing and unexpected keys are errors; otherwise they are passed over and returned.

        Returns
        -------
        IncompatibleKeys
            The missing and the unexpected keys.

        Raises
        ------
        StateDictError
            If keys are missing or unexpected and ``strict``.
        ShapeError
            If an array has another shape than the parameter.

        Examples
        --------
        >>> import nncore as nn
        >>> a, b = nn.Sequential(nn.Linear(2, 1)), nn.Sequential(nn.Linear(2, 1))
        >>> b.load_state_dict(a.state_dict())
        IncompatibleKeys(missing_keys=[], unexpected_keys=[])
        >>> bool((a[0].weight == b[0].weight).all())
        True
        """
        if not isinstance(state_dict, Mapping):
            raise ArgumentError(f"load_state_dict takes a mapping from names to arrays, not {type(state_dict).__name__}")
        strict = flag("load_state_dict", "strict", strict)
        with self._access.training():
            own = dict(self._named_all("load_state_dict"))
            missing = [key for key in own if key not in state_dict]
            unexpected = [key for key in state_dict if key not in own]
            if strict and (missing or unexpected):
                raise StateDictError(
                    f"the state dict does not fit this {type(self).__name__}: missing keys {missing}, "
                    f"unexpected keys {unexpected}; strict=False loads what fits"
                )
            _write_all([(key, own[key].value, state_dict[key]) for key in own if key in state_dict])
            return IncompatibleKeys(missing, unexpected)

    def get_weights(self) -> list[np.ndarray]:
        """Return copies of the parameters, in order.

        Examples
        --------
        >>> import nncore as nn
        >>> len(nn.Sequential(nn.Linear(2, 1)).get_weights())
        2
        """
        return list(self.state_dict().values())

    def set_weights(self, weights: Sequence[Any]) -> None:
        """Copy in what `get_weights` gave, for this model or one like it; everything is checked before anything is written.

        Parameters
        ----------
        weights : sequence of array_like
            One array per parameter.

        Examples
        --------
        >>> import nncore as nn
        >>> model = nn.Sequential(nn.Linear(2, 1))
        >>> model.set_weights([[[1.0, 2.0]], [3.0]])
        >>> model([[1.0, 1.0]])
        array([[6.]], dtype=float32)
        """
        if not isinstance(weights, Sequence) or isinstance(weights, str | bytes):
            raise ArgumentError(f"set_weights takes a list of arrays, one per parameter, not {type(weights).__name__}")
        with self._access.training():
            own = self._named_all("set_weights")
            if len(weights) != len(own):
                raise StateDictError(
                    f"set_weights: {len(weights)} arrays for the {len(own)} parameters {[name for name, _ in own]}"
                )
            _write_all([(name, p.value, value) for (name, p), value in zip(own, weights, strict=True)])


def _stored(parameter: Parameter) -> np.ndarray:
    """A copy in the form that PyTorch stores: counters are integers."""
    return np.array(parameter.value, np.int64 if parameter.role == "num_batches_tracked" else None, order="C")


def _write_all(triples: Sequence[tuple[str, np.ndarray, Any]]) -> None:
    """Copy values into views, (name, view, value) each, after checking all of them: all or none, whatever interrupts."""
    arrays = [to_array(value) for _, _, value in triples]
    wrong = [
        f"{name} is {view.shape} here and {array.shape} there"
        for (name, view, _), array in zip(triples, arrays, strict=True)
        if view.shape != array.shape
    ]
    if wrong:
        raise ShapeError(f"shapes differ, nothing was loaded: {'; '.join(wrong)}")
    ready = [np.empty_like(view) for _, view, _ in triples]
    for (name, _, _), copy, array in zip(triples, ready, arrays, strict=True):
        copy_into(copy, array, name)
    copy_all([view for _, view, _ in triples], ready)
