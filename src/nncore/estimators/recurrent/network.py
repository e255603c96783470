"""The networks of the recurrent estimators."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

from ...graph import Input
from ...layers import GRU, LSTM, RNN, Dropout, Linear
from ...models import Model, Sequential
from .._sklearn import Interval, StrOptions
from ..wrapped.base import Wrapped

_CELLS: dict[str, Any] = {"rnn": RNN, "gru": GRU, "lstm": LSTM}

CONSTRAINTS: dict[str, list[Any]] = {
    **Wrapped._parameter_constraints,
    "cell": [StrOptions(set(_CELLS))],
    "hidden_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
    "bidirectional": ["boolean"],
    "dropout": [Interval(Real, 0, 1, closed="left")],
    "window": [Interval(Integral, 1, None, closed="left"), None],
    "horizon": [Interval(Integral, 0, None, closed="left")],
    "stride": [Interval(Integral, 1, None, closed="left")],
    "scale": ["boolean"],
}
_ARCHITECTURE = ("cell", "hidden_sizes", "bidirectional", "dropout", "window", "horizon", "scale")


def architecture(own: Any) -> dict[str, Any]:
    """Return what the network of an estimator, its windows and their scale are made from."""
    return {name: getattr(own, name) for name in _ARCHITECTURE}


def network(own: Any, shape: tuple[int, ...], n_outputs: Any) -> tuple[Any, bool]:
    """Return the network of an estimator: recurrent layers, the last states, and a linear layer, or one for each of a list."""
    sizes: list[Any] = [own.hidden_sizes] if isinstance(own.hidden_sizes, Integral) else list(own.hidden_sizes)
    if not sizes or not all(isinstance(size, Integral) and int(size) > 0 for size in sizes):
        raise ValueError(f"hidden_sizes must be positive whole numbers, at least one, got {own.hidden_sizes!r}.")
    layers: list[Any] = []
    width, both = shape[-1], bool(own.bidirectional)
    for i, size in enumerate(map(int, sizes)):
        layers.append(_CELLS[own.cell](width, size, bidirectional=both, return_sequences=i + 1 < len(sizes)))
        layers.extend([Dropout(float(own.dropout))] if own.dropout else [])
        width = 2 * size if both else size
    if not isinstance(n_outputs, list):
        return Sequential(*layers, Linear(width, n_outputs)), False
    x = last = Input(shape)
    for layer in layers:
        last = layer(last)
    return Model(x, [Linear(width, units)(last) for units in n_outputs]), False
