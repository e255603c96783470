"""Batches: which of the things that users pass are batches, and what is inside one.

A batch is ``(x, y)``, ``(x, y, sample_weight)`` or ``(x, y, sample_weight, lengths)``, as a tuple, or as the list that a loader of
PyTorch makes. For predictions it may also be x alone, or anything that begins with x. All functions that take data ask here, so
they all understand the same things.

Samples may be nested lists, and so may batches. They are told apart by how deep the nesting is, because the rank of a sample is
known: for samples of shape (3,), x has two dimensions, and a row has one. For samples of shape (1,), x may be [N]: N rows of one
feature, never one row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple

import numpy as np

from .._checks import warn
from ..errors import ArgumentError, EmptyDataError, ShapeError, kind_of, shown
from .arrays import to_array

FIELDS = 4  # x, y, sample_weight, lengths


class Batch(NamedTuple):
    """The parts of a batch. Those that it does not have are None."""

    x: Any
    y: Any = None
    weight: Any = None
    lengths: Any = None


class Rank(NamedTuple):
    """What is known of one sample of an input: its number of dimensions (None: nothing), and whether it is one number, (1,)."""

    dims: int | None
    is_one_feature: bool = False


class _Items(Iterable[Any]):
    """The batches of an object that has ``__getitem__`` and ``__len__``, such as a Sequence of Keras."""

    def __init__(self, source: Any) -> None:
        self.source = source

    def __len__(self) -> int:
        return len(self.source)

    def __iter__(self) -> Iterator[Any]:
        for i in range(len(self)):
            try:
                yield self.source[i]
            except IndexError:
                break
        after: Callable[[], Any] | None = getattr(self.source, "on_epoch_end", None)
        if callable(after):
            after()


def length_of(source: Any) -> int | None:
    """Return the number of batches, or None if the source does not know it. A loader over a stream has a ``len`` that raises."""
    try:
        return len(source)
    except (TypeError, NotImplementedError, AttributeError, RuntimeError):
        return None


def is_array(value: Any) -> bool:
    """Return whether a value is an array, a tensor, a frame or a series."""
    return any(hasattr(value, name) for name in ("shape", "__array__", "__dlpack__", "to_numpy"))


def as_iterable(given: Any) -> Iterable[Any] | None:
    """Return an iterable of batches, or None if ``given`` cannot be one: an array, a dict, text, or no iterable at all."""
    if is_array(given) or isinstance(given, Mapping | str | bytes | bytearray | memoryview | range):
        return None
    by_number = hasattr(given, "__getitem__") and length_of(given) is not None
    if by_number and (not hasattr(given, "__iter__") or callable(getattr(given, "on_epoch_end", None))):
        return _Items(given)
    return given if isinstance(given, Iterable) else None


def at_most(batches: Iterable[Any], count: int | None, who: str, argument: str = "steps") -> Iterator[Any]:
    """Return the first ``count`` batches, or all if it is None. Warn if there are fewer."""
    found = 0
    for each in islice(batches, count):
        found += 1
        yield each
    if count is not None and 0 < found < count:
        warn(f"{who}: the batches have run out after {found} of {argument}={count}")


def refuse_size(who: str, size: Any) -> None:
    """Raise ArgumentError if a size is given for batches that are made already."""
    if size is not None:
        raise ArgumentError(f"{who}: batch_size is for arrays; these batches have their own sizes, so leave it out")


def batches_of(given: Any, who: str) -> Iterable[Any]:
    """Return an iterable of batches (x, y), or raise an error if this cannot be one, or is known to be empty."""
    found = as_iterable(given)
    if found is None:
        call = "; call it, if it returns batches" if callable(given) and not is_array(given) else ""
        raise ArgumentError(f"{who}: pass y; only an iterable of batches (x, y) goes without, not {kind_of(given)}{call}")
    if length_of(given) == 0:
        raise EmptyDataError(f"{who}: there are no batches")
    if isinstance(given, list | tuple | set | frozenset):
        first = next(iter(given))
        fits_arguments = isinstance(given, list | tuple) and len(given) <= FIELDS and not isinstance(first, tuple)
        if fits_arguments and not _may_be_batch(first) and not all(isinstance(each, Mapping) for each in given):
            raise ArgumentError(
                f"{who}: a {kind_of(given)} of {len(given)} is taken for batches, and its first entry, {kind_of(first)}, is none; "
                f"pass {who}(x, y), or a list of batches [(x, y)]"
            )
        read_batch(first)
    return found


def _may_be_batch(first: Any) -> bool:
    """Return whether this may be a batch: a list with as many entries that is no row of numbers."""
    holds_no_numbers = isinstance(first, list) and any(isinstance(each, list | tuple | Mapping) or is_array(each) for each in first)
    return holds_no_numbers and 2 <= len(first) <= FIELDS


# Samples or batches --------------------------------------------------------------------------------------------------------------


def find_batches(given: Any, ranks: Callable[[], Sequence[Rank]]) -> Iterable[Any] | None:
    """Return an iterable of batches, or None if ``given`` is samples. ranks: a function that returns them, one per input."""
    if isinstance(given, tuple) and given and isinstance(given[0], tuple) and given[0] and is_array(given[0][0]):
        given = list(given)
    if isinstance(given, list):
        # Most lists are arrays for several inputs, or rows of numbers. Neither needs more than a look at the first entry.
        if not given or not isinstance(given[0], list | tuple | dict | Mapping):
            return None
        known = ranks()
        return [_parts_of(each, known) for each in given] if _is_list_of_batches(given, known) else None
    return None if isinstance(given, tuple | np.ndarray) else as_iterable(given)


def find_validation_batches(given: Any, ranks: Sequence[Rank]) -> Iterable[Any] | None:
    """Return an iterable of batches (x, y), or None if ``given`` is one (x, y), (x, y, sample_weight), ..."""
    if not isinstance(given, list | tuple):
        return as_iterable(given)
    if not given:
        return given
    is_one = 2 <= len(given) <= FIELDS and _is_x(given[0], ranks)
    if not all(_has_fields(each, ranks, 2) for each in given):
        # With a wrong element it is still meant to be batches if all are tuples, and no x is written like that.
        return given if not is_one and isinstance(given, list) and all(_is_pair(each) for each in given) else None
    certain = isinstance(given, list) and all(isinstance(each, tuple) or is_array(each[0]) for each in given)
    return given if certain or not is_one else None


def _is_pair(each: Any) -> bool:
    return isinstance(each, tuple) and 2 <= len(each) <= FIELDS


def _is_list_of_batches(given: list[Any], ranks: Sequence[Rank]) -> bool:
    """Return whether a list is batches. If it may also be samples, it is not, unless it is what a loader makes."""
    if all(isinstance(each, Mapping) for each in given):
        return True
    if not all(_has_fields(each, ranks, 1) or _is_x_of_several(each, ranks) for each in given):
        return False
    return not _is_x(given, ranks) or all(isinstance(each, Mapping) or _is_no_row(each, ranks) for each in given)


def _parts_of(each: Any, ranks: Sequence[Rank]) -> Batch:
    """Return the parts of an element of a list that is known to be one of batches."""
    return Batch(*each) if _has_fields(each, ranks, 1) else Batch(each)


def _is_x_of_several(each: Any, ranks: Sequence[Rank]) -> bool:
    return isinstance(each, Mapping) or (len(ranks) > 1 and _is_x(each, ranks))


def _is_no_row(each: Any, ranks: Sequence[Rank]) -> bool:
    """Return whether an element that begins with x is a batch and no row: a loader's, or one whose entries make up no array."""
    if is_array(each[0]):
        return True
    if any(rank.dims is not None for rank in ranks):
        return False
    if isinstance(each, tuple) and isinstance(each[0], list):
        return True
    try:
        np.shape(each)
    except ValueError:
        return True
    return False


def _has_fields(each: Any, ranks: Sequence[Rank], least: int) -> bool:
    """Return whether this is a tuple or list that begins with x, and has as many entries as a batch."""
    return isinstance(each, list | tuple) and least <= len(each) <= FIELDS and _is_x(each[0], ranks)


def _is_x(value: Any, ranks: Sequence[Rank]) -> bool:
    """Return whether a value is nested like the samples of all inputs."""
    if isinstance(value, Mapping):
        return True
    if len(ranks) == 1:
        alone = isinstance(value, list | tuple) and len(value) == 1 and is_array(value[0])  # an input in a list
        return _is_nested(value[0] if alone and depth_of(value) > 2 else value, ranks[0]) or _is_nested(value, ranks[0])
    several = isinstance(value, list | tuple) and len(value) == len(ranks)
    return several and all(map(_is_nested, value, ranks))


def _is_nested(value: Any, rank: Rank) -> bool:
    depth = depth_of(value)
    if rank.dims is None:
        return depth > 1
    if rank.is_one_feature:  # [N], or [N, 1]; (x, y) as two lists of N numbers is neither
        return depth == 1 or (depth == 2 and (not isinstance(value, list | tuple) or all(map(_is_one_number, value))))
    return depth == rank.dims + 1


def _is_one_number(row: Any) -> bool:
    shape = getattr(row, "shape", None)
    return isinstance(row, list | tuple) and len(row) == depth_of(row) == 1 if shape is None else tuple(shape) == (1,)


def depth_of(value: Any) -> int:
    """Return the number of dimensions of an array, or of nested lists, in which only the first entries are looked at.

    It is 0 for lists of dicts, which are no array.
    """
    depth = 0
    while isinstance(value, list | tuple):
        if not value:
            return depth + 1
        value, depth = value[0], depth + 1
    if hasattr(value, "shape"):
        return depth + len(value.shape)
    if is_array(value):
        return depth + np.ndim(value)
    return 0 if isinstance(value, Mapping) else depth


# One batch -----------------------------------------------------------------------------------------------------------------------


def read_batch(batch: Any) -> Batch:
    """Return the parts of a batch with targets, a tuple or list of two to four entries.

    Raises
    ------
    ArgumentError
        It is something else.
    """
    if not isinstance(batch, list | tuple) or not 2 <= len(batch) <= FIELDS:
        found = f"{kind_of(batch)} of {len(batch)}" if isinstance(batch, list | tuple) else kind_of(batch)
        hint = "; a dict is x alone: pass (x, y)" if isinstance(batch, Mapping) else ""
        if isinstance(batch, list | tuple) and len(batch) > FIELDS:
            hint = "; the arrays of several inputs form one list: ([x1, x2], y)"
        raise ArgumentError(f"(x, y) or (x, y, sample_weight) is needed, or (x, y, sample_weight, lengths), not {found}{hint}")
    return Batch(*batch)


def read_samples(batch: Any, ranks: Sequence[Rank], fields: int = 0) -> Batch:
    """Return the parts of a batch for predictions: x alone, or a tuple or list that begins with x.

    A list of arrays is a batch as PyTorch's loader makes it, unless the arrays are rows. fields: how many parts the list before it
    had, if it was certainly a batch; a list that may be both is then read like it.
    """
    if fields and isinstance(batch, list) and len(batch) == fields and _has_fields(batch, ranks, 1):
        return Batch(*batch)
    if isinstance(batch, Batch) or not isinstance(batch, list | tuple) or not batch:
        return batch if isinstance(batch, Batch) else Batch(batch)
    several = len(ranks) > 1 and not _has_fields(batch, ranks, 1)
    if several and len(batch) == len(ranks) and not isinstance(batch[0], list | tuple | Mapping):
        return Batch(batch)  # an array for each input
    if isinstance(batch, list) and _is_x(batch, ranks) and not _is_of_loader(batch, ranks):
        return Batch(batch)  # rows
    if isinstance(batch, list) and not is_array(batch[0]) and not _has_fields(batch, ranks, 1):
        return Batch(batch)  # nested lists of some other form; the check of the shape says what is wrong
    if len(batch) > FIELDS:
        raise ArgumentError(
            f"a batch is x, or (x, y, sample_weight, lengths), not {len(batch)} of {shown(type(batch[0]).__name__)}"
        )
    return Batch(*batch)


def with_lengths(batches: list[Any], lengths: Any, read: Callable[[Any], Batch], who: str) -> list[Batch]:
    """Return the batches, each with its part of the lengths or of the mask, which are those of the rows of all batches.

    Raises
    ------
    ShapeError
        There are not as many rows.
    ArgumentError
        A batch has lengths of its own.
    """
    parts = [read(batch) for batch in batches]
    if any(part.lengths is not None for part in parts):
        raise ArgumentError(f"{who}: pass lengths in the batches or lengths=, not both")
    lengths = to_array(lengths)
    counts = [_count_rows(part.x) for part in parts]
    if lengths.ndim == 0 or len(lengths) != sum(counts):
        raise ShapeError(f"lengths has shape {lengths.shape}, but the {len(parts)} batches have {sum(counts)} rows")
    ends = np.cumsum(counts)
    return [part._replace(lengths=lengths[end - n : end]) for part, n, end in zip(parts, counts, ends, strict=True)]


def _count_rows(x: Any) -> int:
    if isinstance(x, Mapping):
        x = next(iter(x.values()))
    elif isinstance(x, list | tuple) and x and is_array(x[0]) and depth_of(x[0]) > 1:  # an array for each input
        x = x[0]
    return int(x.shape[0]) if hasattr(x, "shape") else len(x)


def _is_of_loader(batch: list[Any], ranks: Sequence[Rank]) -> bool:
    """Return whether a list, which may also be rows, is what a loader makes: x and y, perhaps of one sample without a batch."""
    depths = set(map(depth_of, batch))
    if len(depths) > 1:
        return True
    return all(map(is_array, batch)) and (_has_fields(batch, ranks, 1) or depths == {0})


def single(x: Any, rank: Rank) -> Any:
    """Return x of the only input, which may stand in a list, as for several inputs.

    Raises
    ------
    ShapeError
        It is a list of arrays each of which could be x: several inputs, or x and y.
    """
    if not isinstance(x, list | tuple) or not x or not is_array(x[0]) or rank.dims is None:
        return x
    if depth_of(x[0]) != rank.dims + 1 or not all(map(is_array, x)):
        return x
    if len(x) > 1:
        raise ShapeError(
            f"x is a {type(x).__name__} of {len(x)} arrays, and the model has one input; pass x alone. Batches of x come from a "
            "generator, and batches (x, y) also from a list"
        )
    return x[0]
