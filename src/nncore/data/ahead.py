"""Reading ahead: a background thread prepares the next item while the current one is used.

The thread makes an item only when the item before it has been taken, so that at most one waits. It ends with the data, with
`Reader.close`, and when the reader is forgotten. An error in it is raised where the item would have been returned.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from contextvars import copy_context
from queue import SimpleQueue
from threading import Event, Thread
from typing import Any, Generic, TypeVar
from weakref import WeakSet, finalize

import numpy as np

from ..errors import ArgumentError, ConcurrentUseError, kind_of

T = TypeVar("T")

_END = object()
#: What the thread sends: an item and no error, or the error that ends the data (None if they have just ended).
_Sent = tuple[Any, BaseException | None]


class Reader(Iterator[T], Generic[T]):
    """An iterator over the items of another one, which is used in a thread of its own.

    Parameters
    ----------
    begin : callable
        Makes the iterator, in the thread. Its argument is a function that returns whether reading has been stopped, for sources
        that can end between two items.
    """

    def __init__(self, begin: Callable[[Callable[[], bool]], Iterator[T]]) -> None:
        self._wanted: SimpleQueue[bool] = SimpleQueue()
        self._sent: SimpleQueue[_Sent] = SimpleQueue()
        self._stop, self._process, self._ended = Event(), os.getpid(), False
        work = (begin, self._wanted, self._sent, self._stop)  # not the reader, so that it can be forgotten
        self._thread = Thread(target=copy_context().run, args=(_read, *work), name="nncore-reader", daemon=True)
        finalize(self, _dismiss, self._stop, self._wanted)
        self._wanted.put(True)
        self._thread.start()

    def __next__(self) -> T:
        if self._ended:
            raise StopIteration
        if self._process != os.getpid():
            raise ConcurrentUseError("the process was forked while data were read ahead; start reading them again in the child")
        item, error = self._sent.get()
        if item is _END:
            self.close()
            if error is not None:
                raise error
            raise StopIteration
        self._wanted.put(True)
        return item  # type: ignore[no-any-return]

    def close(self) -> list[T]:
        """End the thread, and wait until it has. Return the item that it had ready, if any."""
        self._ended = True
        _dismiss(self._stop, self._wanted)
        if self._process == os.getpid():
            self._thread.join()
        left: list[T] = []
        while not self._sent.empty():
            item, _ = self._sent.get()
            left += [] if item is _END else [item]
        return left

    def __enter__(self) -> Reader[T]:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _dismiss(stop: Event, wanted: SimpleQueue[bool]) -> None:
    stop.set()
    wanted.put(False)


def _read(
    begin: Callable[[Callable[[], bool]], Iterator[Any]], wanted: SimpleQueue[bool], sent: SimpleQueue[_Sent], stop: Event
) -> None:
    """Send items as long as they are wanted. This is what the thread does."""
    error: BaseException | None = None
    items: Iterator[Any] | None = None
    try:
        items = begin(stop.is_set)
        while wanted.get() and not stop.is_set():
            for item in items:
                sent.put((item, None))
                break
            else:
                break
            del item
    except BaseException as raised:
        error = raised
    items = None  # closes a generator here, in its thread
    sent.put((_END, error))


class Stoppable(ABC):
    """Batches whose reading must be ended when `fit` returns."""

    @abstractmethod
    def close(self) -> None:
        """End the threads of all iterations that have not come to their end."""


class ReadAhead(Stoppable, Iterable[T]):
    """Batches that are read ahead; see `read_ahead`. Over a generator it is an iterator, which goes on where it was.

    Examples
    --------
    >>> import nncore as nn
    >>> batches = nn.data.read_ahead(iter([(1, 2), (3, 4)]))
    >>> next(batches)
    (1, 2)
    >>> batches.close()
    """

    def __init__(self, batches: Iterable[T]) -> None:
        self._batches, self._is_generator = batches, iter(batches) is batches
        self._left: list[T] = []  # of a generator: what was read and not used
        self._readers: WeakSet[Reader[T]] = WeakSet()
        self._reader: Reader[T] | None = None  # of a generator

    def __len__(self) -> int:
        return len(self._batches)  # type: ignore[arg-type]

    def __iter__(self) -> Iterator[T]:
        return self if self._is_generator else self._start()

    def __next__(self) -> T:
        if not self._is_generator:
            raise TypeError("batches that can be read again are no iterator; use iter()")
        if self._left:
            return self._left.pop(0)
        self._reader = self._reader or self._start()
        return next(self._reader)

    def _start(self) -> Reader[T]:
        batches = self._batches
        reader = Reader(lambda stopped: iter(batches))
        self._readers.add(reader)
        return reader

    def close(self) -> None:
        """End the threads of all iterations that have not come to their end."""
        for reader in list(self._readers):
            left = reader.close()
            if reader is self._reader:
                self._left += left
                self._reader = None


def read_ahead(batches: Iterable[T]) -> ReadAhead[T]:
    """Let a background thread make the next batch while the model trains on the current one.

    It is for loaders and generators that wait (for files, a network, a database) or that compute in C. The thread makes one batch
    ahead and no more. `fit`, `evaluate` and `predict` end it when they return, whatever the reason; elsewhere it ends with the
    iteration, or with ``close()``. Then a generator goes on with the batch that was read ahead.

    Parameters
    ----------
    batches : iterable
        Anything that `fit` takes as batches.

    Returns
    -------
    ReadAhead
        An iterable with the same items. An error of ``batches`` is raised in the loop that uses it.

    Raises
    ------
    ArgumentError
        ``batches`` cannot be iterated.

    Examples
    --------
    >>> import nncore as nn
    >>> def batches():
    ...     for i in range(3):
    ...         yield [[float(i)]], [[2.0 * i]]
    >>> [x for x, y in nn.data.read_ahead(batches())]
    [[[0.0]], [[1.0]], [[2.0]]]
    """
    from .batches import as_iterable

    found = as_iterable(batches)
    if found is None:
        raise ArgumentError(f"read_ahead: an iterable of batches is needed, not {kind_of(batches)}")
    return ReadAhead(found)


def stop_reading(*given: Any) -> None:
    """End the threads that read ahead for these data, after `fit` and its like."""
    for each in given:
        if type(each) is not np.ndarray and each is not None and isinstance(each, Stoppable):  # what most are, first
            each.close()
