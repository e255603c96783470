"""Attributes of layers that are views of parameters, and the values of all layers of a model at one moment, for picklers."""

from __future__ import annotations

import weakref
from _thread import get_ident
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar, overload

if TYPE_CHECKING:
    from ..typing import ArrayLike
    from .base import Layer

_Array = TypeVar("_Array")


class ParameterView(Generic[_Array]):
    """An attribute such as ``layer.weight``. Reading returns a live view into the model's buffer; assigning copies into the buffer.

    The type is ``np.ndarray`` if the parameter always exists. It is ``np.ndarray | Any`` if that depends on the arguments: type
    checkers then accept code with and without a test for None.
    """

    def __init__(self, doc: str) -> None:
        self.__doc__ = doc

    def __set_name__(self, owner: type, name: str) -> None:
        self.role = name

    @overload
    def __get__(self, layer: None, owner: type | None = None) -> Self: ...
    @overload
    def __get__(self, layer: Layer, owner: type | None = None) -> _Array: ...
    def __get__(self, layer: Layer | None, owner: type | None = None) -> Any:
        return self if layer is None else layer._view(self.role)

    def __set__(self, layer: Layer, value: ArrayLike) -> None:
        layer._assign(self.role, value)


class WeightsSnapshot:
    """The values of a model's layers at one moment.

    A pickler visits the layers one by one. Another thread may train the model meanwhile, so the values are copied first. This
    object is pickled with the model, so the pickler keeps it alive as long as needed. The values are stored once.
    """

    __slots__ = ("__weakref__", "values")

    def __init__(self, layers: Sequence[Layer]) -> None:
        self.values = [dict(layer._initial_values()) for layer in layers]
        for number, layer in enumerate(layers):
            entries = layer.__dict__.setdefault("_taken", {})  # one entry per thread; a thread adds and removes only its own
            for thread, entry in list(entries.items()):
                if entry[0]() is None:
                    entries.pop(thread, None)
            entries[get_ident()] = weakref.ref(self), number

    @staticmethod
    def of(layer: Layer) -> dict[str, Any] | None:
        """Return the values that this thread is pickling, or None."""
        entry = layer.__dict__.get("_taken", {}).get(get_ident())
        taken = None if entry is None else entry[0]()
        return None if taken is None else taken.values[entry[1]]
