"""The forms in which ``compile`` takes the metrics of several outputs: lists, lists of lists, and dicts by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .._checks import shown
from ..data.by_name import align_to_names
from ..errors import ArgumentError

_DEPTH = 8  # lists within lists; a deeper one is no metric, which `metrics.get` says


def per_output(argument: str, given: Any, names: Sequence[str]) -> list[list[Any]]:
    """Return a list of metrics for each output, as Keras reads them.

    The metrics of a single output may be nested in any way. For several outputs, a list has one entry per output: a metric, a list
    of metrics, or None. A single metric is for all outputs.

    Examples
    --------
    >>> per_output("metrics", ["mse", "mae"], ["y"])
    [['mse', 'mae']]
    >>> per_output("metrics", ["mse", None], ["a", "b"])
    [['mse'], []]
    >>> per_output("metrics", {"b": ["mse", "mae"]}, ["a", "b"])
    [[], ['mse', 'mae']]
    """
    if given is None or (isinstance(given, list | tuple) and not given):
        return [[] for _ in names]
    if isinstance(given, Mapping):
        by_name = align_to_names(f"compile: {argument}", {**dict.fromkeys(names), **given}, names)
        return [_flat(each) for each in by_name]
    if isinstance(given, set | frozenset):
        raise ArgumentError(f"compile: {argument} must be a list, because a set has no order, not {shown(given)}")
    entries = [given] if not isinstance(given, list | tuple) else list(given)
    if len(names) == 1:
        return [_flat(entries)]
    if not entries or entries == [None]:
        return [[] for _ in names]
    if len(entries) == len(names):
        return [_flat(each) for each in entries]
    if len(entries) == 1 and not isinstance(entries[0], list | tuple):
        return [list(entries) for _ in names]
    example = ", ".join("[...]" for _ in names)
    raise ArgumentError(
        f"compile: {argument} has {len(entries)} entries for {len(names)} outputs, {', '.join(names)}; pass one entry per output, "
        f"[{example}], or a dict by name"
    )


def _flat(given: Any, depth: int = 0) -> list[Any]:
    """Return all metrics of one output. None stands for no metric."""
    if isinstance(given, list | tuple) and depth < _DEPTH:
        return [metric for each in given for metric in _flat(each, depth + 1)]
    return [] if given is None else [given]
