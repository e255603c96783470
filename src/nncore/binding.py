"""Arrays bound to a model: read, checked against its inputs, outputs and losses, weighted and split."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ._checks import shown
from .compiled import Compiled
from .data import (
    ClassWeight,
    bind_groups,
    bind_inputs,
    bind_target,
    bind_weight,
    check_finite,
    class_weights,
    labels_of,
    per_output,
    split_groups,
    split_rows,
)
from .data.sequences import bind_lengths, without_padding
from .ends import in_order, names_of
from .errors import ArgumentError, EmptyDataError, ShapeError
from .layers.base import to_array
from .records import Shape

if TYPE_CHECKING:
    from .assembly import Assembly


class Data:
    """Bound data, as the core reads them: an array per input, an array per output, weights per output or None, lengths [N] or None.

    Weights are [N], or [N, steps] where the time steps have their own; None where all are 1.
    They fit a model whose inputs have these shapes; ``timed``: which outputs have steps that lengths count. () where nobody asks.
    """

    def __init__(
        self,
        x: list[np.ndarray],
        y: list[np.ndarray],
        weight: list[np.ndarray | None] | None,
        lengths: np.ndarray | None = None,
        shapes: Sequence[Shape] = (),
        timed: Sequence[bool] = (),
    ) -> None:
        self.x, self.y, self.weight, self.lengths, self.shapes, self.timed = x, y, weight, lengths, shapes, timed

    @property
    def rows(self) -> int:
        """N, the number of samples."""
        return len(self.x[0])

    def take(self, rows: Any) -> Data:
        """Those rows: views for a slice, copies for indices."""
        weight = None if self.weight is None else [None if each is None else each[rows] for each in self.weight]
        lengths = None if self.lengths is None else self.lengths[rows]
        return Data([a[rows] for a in self.x], [a[rows] for a in self.y], weight, lengths, self.shapes, self.timed)

    @property
    def row_bytes(self) -> int:
        """What one row takes."""
        return sum(a[:1].nbytes for a in (*self.x, *self.y))

    def require_weight(self) -> None:
        """Raise ArgumentError where no row has any weight."""
        if self.weight is not None and not any(each is None or each.any() for each in self.weight):
            raise ArgumentError("sample_weight: all weights are 0, so that nothing counts")

    def scaled(self, output: int, scale: np.ndarray, rows: np.ndarray | None) -> Data:
        """The data with the weights of one output, in ``rows`` (None: all), multiplied by ``scale``, [rows] or [rows, steps]."""
        weights: list[np.ndarray | None] = [None] * len(self.y) if self.weight is None else [*self.weight]
        before = weights[output]
        before = np.ones(self.rows) if before is None else before
        rank = max(before.ndim, scale.ndim)
        wide = np.broadcast_to(_widened(before, rank), (self.rows, *np.broadcast_shapes(before.shape[1:], scale.shape[1:]))).copy()
        wide[slice(None) if rows is None else rows] *= _widened(scale, rank)
        weights[output] = wide
        return Data(self.x, self.y, weights, self.lengths, self.shapes, self.timed)


def inputs(
    model: Assembly, x: Any, allow_empty: bool = False, elastic: bool = False, check_indices: bool = True
) -> list[np.ndarray]:
    """Bind x, and build the model where its first layer left the shape open. elastic: take another number of time steps, too."""
    layer = "the model" if model._shown_inputs() else model._layer_name(0)
    if isinstance(x, Mapping):
        x = in_order("x", x, model.input_names)
        x = x[0] if len(x) == 1 else x
    if elastic and model.built and (any(len(shape) > 1 for shape in model.input_shapes) or model._holds_indices()):
        parts = x if len(model.input_shapes) > 1 and isinstance(x, list | tuple) else [x]
        model._stretch([np.shape(part)[1:] for part in parts])
    arrays = bind_inputs(x, model.input_shapes if model.built else (), layer, model.dtype, allow_empty)
    if not model.built:
        model._build_first([a.shape[1:] for a in arrays])
    if check_indices:
        model._check_indices(arrays)
    return arrays


def with_lengths(model: Assembly, x: Any, lengths: Any, **options: bool) -> tuple[list[np.ndarray], np.ndarray | None]:
    """Bind x and its lengths. Indices into embeddings that are padding may be anything."""
    if lengths is None:
        return inputs(model, x, **options), None
    arrays = inputs(model, x, check_indices=False, **options)
    counted = bind_lengths(lengths, len(arrays[0]), steps_of(model))
    if model._holds_indices():
        model._check_indices(unpadded(model, arrays, counted))
    return arrays, counted


def unpadded(model: Assembly, arrays: list[np.ndarray], lengths: np.ndarray) -> list[np.ndarray]:
    """The arrays of the inputs; those that have time steps as copies with zeros in the padding."""
    timed = model._timed(range(len(arrays)))
    return [without_padding(array, lengths, "values", 0) if has else array for array, has in zip(arrays, timed, strict=True)]


def bind(model: Assembly, config: Compiled, x: Any, y: Any, weight: Any, lengths: Any = None, elastic: bool = False) -> Data:
    """Bind samples, targets, their weights and lengths."""
    xs, counted = with_lengths(model, x, lengths, elastic=elastic)
    rows, shapes = len(xs[0]), model.output_shapes
    # An input or output without time has no padding, though its first dimension may look like it.
    of_inputs = [counted if has else None for has in model._timed(range(len(xs)))]
    timed = model._timed(model._outputs)
    of_outputs = [counted if has else None for has in timed]
    parts, names = in_order("y", y, model.output_names), names_of("y", model.output_names)
    if counted is not None:
        parts = [
            without_padding(to_array(part), own, loss.targets, shape[-1])
            if own is not None and loss.targets != "values" and np.ndim(part) > 1
            else part
            for part, loss, shape, own in zip(parts, config.losses, shapes, of_outputs, strict=True)
        ]
    ys = [
        bind_target(part, loss.targets, shape, rows, loss.name, model.dtype, name)
        for part, loss, shape, name in zip(parts, config.losses, shapes, names, strict=True)
    ]
    if config.check_finite:
        for i, array in enumerate(xs):
            check_finite(_counted(array, of_inputs[i]), names_of("x", model.input_names)[i])
        for array, name, own in zip(ys, names, of_outputs, strict=True):
            check_finite(_counted(array, own), name)
    return Data(xs, ys, _weights(model, weight, rows, of_outputs), counted, model.input_shapes, timed)


def _widened(array: np.ndarray, rank: int) -> np.ndarray:
    """The array with dimensions of 1 at its end, so that it has ``rank``."""
    return array.reshape(array.shape + (1,) * (rank - array.ndim))


def _weights(model: Assembly, given: Any, rows: int, lengths: list[np.ndarray | None]) -> list[np.ndarray | None] | None:
    """Bind the weights of samples or of time steps: for all outputs alike, or by a dict of names or a list of one per output.

    ``lengths``: one per output, None where it has no padding.
    """
    names = model.output_names
    if given is None:
        return None
    if isinstance(given, Mapping):
        unknown = [key for key in given if key not in names]
        if unknown:
            raise ArgumentError(f"sample_weight: the outputs are {names}; unknown {shown(unknown)}")
        each = [given.get(name) for name in names]
    elif len(names) > 1 and isinstance(given, list | tuple) and all(part is None or np.ndim(part) for part in given):
        each = in_order("sample_weight", given, names)
    else:
        each, names = [given] * len(names), []
    labels = [f"sample_weight[{name!r}]" for name in names] or ["sample_weight"] * len(each)
    bound = [
        bind_weight(part, rows, name, shape[:-1], own)
        for part, name, shape, own in zip(each, labels, model.output_shapes, lengths, strict=True)
    ]
    return None if all(part is None for part in bound) else bound


def steps_of(model: Assembly) -> int:
    """The number of time steps that lengths count, or ShapeError."""
    steps = model._steps()
    if not steps:
        mixing = model._mixing()
        raise ShapeError(f"lengths: {mixing}" if mixing else "lengths need an input with a time dimension, [N, time, features]")
    return steps


def _counted(array: np.ndarray, lengths: np.ndarray | None) -> np.ndarray:
    """The array, its padding replaced by zeros."""
    return array if lengths is None or array.ndim < 2 else without_padding(array, lengths, "values", 0)


def unpack(batch: Any) -> tuple[Any, Any, Any, Any]:
    """Return x, y, sample weights and lengths (or None) of a tuple of two to four."""
    if not isinstance(batch, list | tuple) or len(batch) not in (2, 3, 4):
        raise ArgumentError(
            f"(x, y) or (x, y, sample_weight) is needed, or (x, y, sample_weight, lengths), not {type(batch).__name__}; or pass y"
        )
    return batch[0], batch[1], batch[2] if len(batch) > 2 else None, batch[3] if len(batch) > 3 else None


def samples_of(model: Assembly, batch: Any) -> Any:
    """Return x of a batch that may hold more: a tuple; or a list, as PyTorch's loader makes it, of arrays that are batches each."""
    if isinstance(batch, tuple):
        return batch[0]
    if isinstance(batch, list) and batch and len(model.input_names) == 1 and model.built:
        ranks = [len(each.shape) if hasattr(each, "shape") else 0 for each in batch]
        if ranks[0] == len(model.input_shapes[0]) + 1 and all(ranks):
            return batch[0]
    return batch


def split(
    model: Assembly, config: Compiled, data: Data, fraction: float, shuffle: bool, groups: Any = None
) -> tuple[np.ndarray, np.ndarray | slice]:
    """Return the rows that train, and those that validate."""
    labels = labels_of(data.y[0], config.losses[0].targets) if len(data.y) == 1 else None
    labels = None if labels is None or labels.ndim > 1 else labels
    seed = model.seed if shuffle else None
    if groups is not None:
        return split_groups(bind_groups(groups, data.rows), fraction, seed, labels)
    rows, held_out = split_rows(data.rows, fraction, seed, labels)
    return rows, held_out if shuffle else slice(len(rows), None)


def weigh(config: Compiled, data: Data, rows: np.ndarray | None, class_weight: ClassWeight) -> Data:
    """Multiply class weights into ``rows`` (None: all)."""
    for i, own in enumerate(per_output(class_weight, config.names)):
        if own is None:
            continue
        trains = slice(None) if rows is None else rows
        target, lengths = data.y[i][trains], data.lengths[trains] if data.lengths is not None and data.timed[i] else None
        name = f"class_weight[{config.names[i]!r}]" if len(config.names) > 1 else "class_weight"
        scale = class_weights(own, target, config.losses[i].targets, max(2, config.columns[i]), lengths, name)
        data = data.scaled(i, scale, rows)
    return data


def look_at_batches(who: str, given: Any) -> None:
    """Raise where batches that are all there already are none: before anything is trained, not when they are needed."""
    if isinstance(given, bytes | bytearray):
        raise ArgumentError(f"{who}: (x, y) or batches of such are needed, not {type(given).__name__}")
    if isinstance(given, Collection) and not len(given):
        raise EmptyDataError(f"{who}: there are no batches")
    if isinstance(given, list | set | frozenset):
        unpack(next(iter(given)))


def are_batches(given: Any) -> bool:
    """Whether these are batches, and not (x, y) or (x, y, sample_weight): what no list or tuple is, or a list of tuples."""
    if isinstance(given, list):
        return all(isinstance(each, tuple) for each in given)
    return isinstance(given, Iterable) and not (
        isinstance(given, tuple | str | Mapping) or any(hasattr(given, name) for name in ("shape", "__array__", "__dlpack__"))
    )
