"""Logs that hooks get in the middle of an epoch: a dict whose values are computed when they are read.

Most hooks read nothing, or the loss only. A metric such as the area under a curve ranks all rows of the epoch so far, so computing
it after every batch would take quadratic time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any
from weakref import ref

_PENDING: Any = object()  # the value of a key that nobody has read


class LazyLogs(dict[str, Any]):
    """A dict of the loss and the metrics so far. Reading a value computes it; reading all of them computes all.

    It is a snapshot all the same: if a callback keeps it, `show` computes all values before the next step changes the sums. Copies
    and pickles are plain dicts.

    Parameters
    ----------
    keys : iterable of str
        The names, in the order of the logs.
    compute : callable
        Returns the value of a key.
    costly : collection of str
        The names of those values that take more than constant time.

    Examples
    --------
    >>> logs = LazyLogs(["loss", "roc_auc"], lambda key: print("computes", key) or 0.5)
    >>> logs["loss"], "roc_auc" in logs, len(logs)
    computes loss
    (0.5, True, 2)
    >>> dict(logs)
    computes roc_auc
    {'loss': 0.5, 'roc_auc': 0.5}
    """

    def __init__(self, keys: Iterable[str], compute: Callable[[str], Any], costly: Iterable[str] = ()) -> None:
        super().__init__(dict.fromkeys(keys, _PENDING))
        self._compute = compute
        self.costly = frozenset(costly)

    def settle(self) -> None:
        """Compute all values that have not been read."""
        for key, value in dict.items(self):
            if value is _PENDING:
                dict.__setitem__(self, key, self._compute(key))

    def cheap(self) -> Iterator[tuple[str, Any]]:
        """Iterate over the items, without those that take more than constant time and have not been read."""
        for key, value in list(dict.items(self)):
            if value is not _PENDING:
                yield key, value
            elif key not in self.costly:
                yield key, self[key]

    def __getitem__(self, key: str) -> Any:
        value = dict.__getitem__(self, key)
        if value is _PENDING:
            value = self._compute(key)
            dict.__setitem__(self, key, value)
        return value

    def get(self, key: str, default: Any = None) -> Any:
        try:
            return self[key]
        except KeyError:
            return default

    def setdefault(self, key: str, default: Any = None) -> Any:
        if key not in self:
            self[key] = default
        return self[key]

    def pop(self, key: str, *default: Any) -> Any:
        if key in self:
            self[key]  # computes it
        return dict.pop(self, key, *default)

    def popitem(self) -> tuple[str, Any]:
        self.settle()
        return dict.popitem(self)

    def __iter__(self) -> Iterator[str]:  # overridden so that dict(logs) and {**logs} read through __getitem__
        return dict.__iter__(self)

    def keys(self) -> Any:
        self.settle()  # code in C may go on to read the dict's own storage
        return dict.keys(self)

    def values(self) -> Any:
        self.settle()
        return dict.values(self)

    def items(self) -> Any:
        self.settle()
        return dict.items(self)

    def copy(self) -> dict[str, Any]:
        return dict(self)

    def __eq__(self, other: object) -> bool:
        return dict(self) == other

    def __ne__(self, other: object) -> bool:
        return dict(self) != other

    __hash__ = None

    def __or__(self, other: Any) -> Any:
        return dict(self) | other

    def __ror__(self, other: Any) -> Any:
        return other | dict(self)

    def __repr__(self) -> str:
        return repr(dict(self))

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        return dict, (dict(self),)


def show(hooks: Callable[[LazyLogs], None], keys: Iterable[str], compute: Callable[[str], Any], costly: Iterable[str]) -> None:
    """Pass logs to hooks. If a callback keeps them, compute all values before the next step changes the sums behind them."""
    logs = LazyLogs(keys, compute, costly)
    hooks(logs)
    kept = ref(logs)
    del logs
    still = kept()
    if still is not None:
        still.settle()
