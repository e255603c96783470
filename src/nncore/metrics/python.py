"""Metrics written in Python: functions, and objects that accumulate their own state."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from .._checks import function, shown, text
from ..data import bind_prediction
from ..errors import ArgumentError, ShapeError
from .base import Metric
from .counts import labels_of_any_kind

if TYPE_CHECKING:
    from ..records import StatisticSpec
    from ..typing import ArrayLike
    from .names import MetricObject
    from .task import Task


#: Targets, predictions and weights.
_Rows = tuple[np.ndarray, np.ndarray, np.ndarray | None]


class PythonMetric(Metric):
    """A metric made from a function of targets and predictions. ``compile(metrics=[f])`` makes one.

    Parameters
    ----------
    given : callable or object
        ``f(y_true, y_pred)`` is called with all rows of an evaluation or epoch at once, so that any function is right, such as a
        coefficient of determination or a median. It returns a number, or one number per row, of which the weighted mean is taken.
        If the function has an argument ``sample_weight``, as scikit-learn's have, it gets the weights and must return one number.
        Targets and predictions are kept until the function is called; if they do not fit into memory, pass an object with
        ``update_state(y_true, y_pred, sample_weight)`` (or without weights), ``result()`` and ``reset_state()``, as in Keras.
    name : str, optional
        The key in ``history``. The default is the name of the function or class.

    Notes
    -----
    The metric gets arrays [N, *output shape], or class indices [N] if the loss takes those. The predictions of an epoch of training
    are those that each batch had before its update. An object gets the rows of each batch of training, and blocks of rows at
    evaluation. Among ``weighted_metrics`` it gets the weights, and no rows with weight 0. If ``lengths`` are given, only the valid
    time steps are passed, concatenated as [steps, ...]; each has the weight of its row or its own weight. Time steps are also
    concatenated if they have their own weights, or if batches have different numbers of them. If the loss has an ``ignore_index``,
    what counts is concatenated as [count, classes]. If a callback reads the metric after each batch, a function is called each
    time, with all rows so far.

    Examples
    --------
    >>> import numpy as np
    >>> import nncore as nn
    >>> def within_a_tenth(y_true, y_pred):
    ...     return abs(y_true - y_pred) < 0.1
    >>> model = nn.Sequential(nn.Linear(1, 1, weight_init="ones"))
    >>> model.compile(loss="mse", optimizer="sgd", metrics=[within_a_tenth])
    >>> model.evaluate([[1.0], [2.0]], [[1.05], [3.0]], return_dict=True)["within_a_tenth"]
    0.5
    """

    kind: ClassVar[str] = "python"
    direction = ""

    def __init__(self, given: MetricObject | Callable[..., Any], name: str | None = None) -> None:
        what = "a function of y_true and y_pred, or an object with update_state and result"
        if isinstance(given, type) or not (_keeps_account(given) or (callable(given) and _takes_weight(given))):
            function("PythonMetric", "given", given, 2, what)
        found = None if name is None else text("PythonMetric", "name", name)
        found = found or getattr(given, "name", None) or getattr(given, "__name__", type(given).__name__)
        super().__init__(str(found))
        self.given: Any = given
        self._form = _weight_form(getattr(given, "update_state", None)) if _keeps_account(given) else ""

    def statistics(self, task: Task) -> tuple[StatisticSpec, ...]:
        """Return no sums, because the function or object sees the rows."""
        return ()

    def watcher(self, task: Task | None = None) -> Watcher:
        """Return a new accumulator for one epoch or evaluation."""
        return Account(self.given, self._form) if _keeps_account(self.given) else Kept(self._of_rows, 0.0)

    def _of_rows(self, y_true: np.ndarray, y_pred: np.ndarray, weight: np.ndarray | None) -> float:
        """Return the function of all rows, or the mean of what it returns for each."""
        extra = {} if weight is None or not _takes_weight(self.given) else {"sample_weight": weight}
        found = self.given(y_true, y_pred, **extra)
        try:
            value = np.asarray(found)
            if value.dtype.kind not in "fiub":
                raise TypeError(f"{value.dtype} is no number")
            value = value.astype(np.float64)
        except (ValueError, TypeError, OverflowError) as error:
            raise ArgumentError(
                f"the metric {self.name!r} gave {shown(found)}; a number, or one for each row is needed ({error})"
            ) from None
        if not value.ndim:
            return float(value)
        if extra or len(value) != len(y_pred):
            wanted = "a number is needed" if extra else f"a number, or one for each of the {len(y_pred)} rows is needed"
            raise ShapeError(f"the metric {self.name!r} gave shape {value.shape}; {wanted}")
        return float(np.average(value.reshape(len(value), -1).mean(axis=1), weights=weight))

    def __call__(self, y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None) -> Any:
        account = self.watcher()
        prediction = bind_prediction(y_pred)
        target = labels_of_any_kind(y_true)
        if target.size == prediction.size:
            target = target.reshape(prediction.shape)  # as in a model; [N] with [N, 1] would make a table of all pairs
        if not target.ndim or len(target) != len(prediction):
            raise ShapeError(f"{self.name}: {target.size} targets for {len(prediction)} predictions")
        account.update(target, prediction, None if sample_weight is None else np.asarray(sample_weight))
        return account.result()


class Watcher:
    """Base of the states of metrics that see the rows, over the batches of one epoch or evaluation."""

    at_once = False  #: whether there is a single batch, so that the metric is computed before the update and an error prevents it
    keeps = False  #: whether rows are kept until those of other ranks are known
    by_lines = False  #: whether each line of a sample, such as a time step, is a row of its own, because some of them may not count

    def update(self, y_true: np.ndarray, y_pred: np.ndarray, weight: np.ndarray | None, lengths: np.ndarray | None = None) -> None:
        """Add a batch. weight: [N] or [N, steps]; lengths: [N], the number of valid time steps of each row."""
        rows: Any = slice(None)
        depth = y_pred.ndim - 2 if self.by_lines else 0
        if depth > 0 or lengths is not None or (weight is not None and weight.size > len(weight)):
            y_true, y_pred, weight = _laid_out(y_true, y_pred, weight, lengths, depth)
        weight = None if weight is None else weight.reshape(len(weight))
        if weight is not None and not weight.all():
            rows = weight != 0
            y_true, y_pred, weight = y_true[rows], y_pred[rows], weight[rows]
        if len(y_pred):  # copies, because the next batch reuses the memory
            self.add(y_true.copy(), y_pred.copy(), None if weight is None else weight.copy())

    def add(self, y_true: np.ndarray, y_pred: np.ndarray, weight: np.ndarray | None) -> None:
        """Add rows, which belong to the metric from now on."""
        raise NotImplementedError

    def result(self) -> Any:
        """Return the metric of the batches so far."""
        raise NotImplementedError

    def kept(self) -> list[_Rows]:
        """Return the rows that it keeps."""
        raise NotImplementedError

    def with_rows(self, rows: list[_Rows]) -> Watcher:
        """Return the same metric of these rows, which are those of all ranks."""
        raise NotImplementedError


class Unweighted:
    """The state of a metric that does not get the weights of the rows."""

    def __init__(self, watcher: Any) -> None:
        self.watcher = watcher

    def update(self, y_true: np.ndarray, y_pred: np.ndarray, weight: np.ndarray | None, lengths: np.ndarray | None = None) -> None:
        """Add a batch without its weights."""
        self.watcher.update(y_true, y_pred, None, lengths)

    def result(self) -> Any:
        """Return the metric of the batches so far."""
        return self.watcher.result()

    def kept(self) -> list[_Rows]:
        """Return the rows that it keeps."""
        return list(self.watcher.kept())

    def with_rows(self, rows: list[_Rows]) -> Unweighted:
        """Return the same metric of these rows."""
        return Unweighted(self.watcher.with_rows(rows))


class Partial:
    """The state of a metric that has not seen all rows of an epoch. Its result is NaN."""

    def __init__(self, watcher: Any) -> None:
        self.watcher = watcher

    def update(self, y_true: np.ndarray, y_pred: np.ndarray, weight: np.ndarray | None, lengths: np.ndarray | None = None) -> None:
        """Add a batch."""
        self.watcher.update(y_true, y_pred, weight, lengths)

    def result(self) -> Any:
        """Return NaN in the shape of the result."""
        value = self.watcher.result()
        return np.full(np.shape(value), np.nan) if np.ndim(value) else float("nan")

    def kept(self) -> list[_Rows]:
        """Return the rows that it keeps."""
        return list(self.watcher.kept())

    def with_rows(self, rows: list[_Rows]) -> Partial:
        """Return the same metric of these rows."""
        return Partial(self.watcher.with_rows(rows))


class Account(Watcher):
    """The state of an object that accumulates.

    Parameters
    ----------
    given : object
        As for `PythonMetric`.
    form : {"positional", "keyword", ""}
        How ``update_state`` takes the weights.
    """

    def __init__(self, given: Any, form: str = "positional") -> None:
        self.given, self._form = copy.deepcopy(given), form
        self._rows: list[_Rows] = []
        if hasattr(self.given, "reset_state"):
            self.given.reset_state()

    def add(self, y_true: np.ndarray, y_pred: np.ndarray, weight: np.ndarray | None) -> None:
        """Pass the rows to the object."""
        if self.keeps:
            self._rows.append((y_true, y_pred, weight))
        elif self._form == "positional":
            self.given.update_state(y_true, y_pred, weight)
        elif self._form:
            self.given.update_state(y_true, y_pred, sample_weight=weight)
        else:
            self.given.update_state(y_true, y_pred)

    def result(self) -> Any:
        """Return the object's result."""
        return self.given.result()

    def kept(self) -> list[_Rows]:
        """Return the rows that it keeps."""
        return self._rows

    def with_rows(self, rows: list[_Rows]) -> Account:
        """Return a new state that has seen these rows."""
        account = Account(self.given, self._form)
        for each in rows:
            account.add(*each)
        return account


class Kept(Watcher):
    """The rows of an epoch or evaluation, of which a function is computed.

    Parameters
    ----------
    function : callable
        Of targets, predictions and weights (or None).
    of_nothing : float
        The result if there are no rows.
    """

    def __init__(self, function: Callable[..., Any], of_nothing: float = float("nan")) -> None:
        self.function, self.of_nothing = function, of_nothing
        self.rows: list[_Rows] = []
        self.found: Any = None  # the value of a single batch

    def add(self, y_true: np.ndarray, y_pred: np.ndarray, weight: np.ndarray | None) -> None:
        """Keep the rows."""
        self.rows.append((y_true, y_pred, weight))
        if self.at_once:
            self.found = self._of_rows()

    def result(self) -> Any:
        """Return the function of all rows so far."""
        if not self.rows:
            return self.of_nothing
        if self.at_once:
            return self.found
        try:
            return self._of_rows()
        except Exception as error:
            error.add_note("raised by a metric, with all rows of the epoch or evaluation")
            raise

    def kept(self) -> list[_Rows]:
        """Return the rows that it keeps."""
        return self.rows

    def with_rows(self, rows: list[_Rows]) -> Kept:
        """Return the same metric of these rows."""
        other = Kept(self.function, self.of_nothing)
        other.rows = rows
        return other

    def _of_rows(self) -> Any:
        rows = _alike(self.rows)
        true, pred = (np.concatenate([each[i] for each in rows]) for i in (0, 1))  # copies: the function may change them
        weights = [np.ones(len(p)) if w is None else w for _, p, w in rows]
        return self.function(true, pred, None if all(w is None for *_, w in rows) else np.concatenate(weights))


def _alike(
    batches: list[tuple[np.ndarray, np.ndarray, np.ndarray | None]],
) -> list[tuple[np.ndarray, np.ndarray, np.ndarray | None]]:
    """Return batches whose rows have one shape. Lines of samples become rows as far as batches differ: in their numbers of time
    steps, or because only some of them have lengths, or weights of time steps."""
    least = min(pred.ndim for _, pred, _ in batches)
    while least > 1 and len({pred.shape[pred.ndim - least + 1 :] for _, pred, _ in batches}) > 1:
        least -= 1
    return [_with_dimensions(least, *each) for each in batches]


def _with_dimensions(count: int, y_true: np.ndarray, y_pred: np.ndarray, weight: np.ndarray | None) -> _Rows:
    """Merge leading dimensions of predictions until there are ``count``, and the same ones of targets."""
    merged = y_pred.ndim - count
    if not merged:
        return y_true, y_pred, weight
    n = len(y_pred)
    y_true, y_pred = (each.reshape(-1, *each.shape[1 + merged :]) for each in (y_true, y_pred))
    return y_true, y_pred, None if weight is None else np.repeat(weight, len(y_pred) // n)


def _laid_out(y_true: np.ndarray, y_pred: np.ndarray, weight: np.ndarray | None, lengths: np.ndarray | None, depth: int) -> _Rows:
    """Concatenate the valid entries: time steps, or as many leading dimensions as the weights of a row have, at least ``depth``."""
    width = 1 if weight is None else weight.size // len(weight)
    own = 0
    while np.prod(y_pred.shape[1 : 1 + own]) < width:
        own += 1
    depth = max(depth, own, 1)
    shape = y_pred.shape[: 1 + depth]
    counts = np.ones(shape, bool)
    if lengths is not None:
        counts &= (np.arange(shape[1]) < lengths[:, None]).reshape(shape[0], shape[1], *[1] * (depth - 1))
    if weight is not None:
        weight = weight.reshape(*shape[: 1 + own], *[1] * (depth - own))
        weight = np.broadcast_to(weight, shape)[counts]
    return y_true[counts], y_pred[counts], weight


def _takes_weight(given: Any) -> bool:
    try:
        return "sample_weight" in inspect.signature(given).parameters
    except (TypeError, ValueError):
        return False  # a function implemented in C has no signature


def _weight_form(update: Any) -> str:
    """Return how a method takes the weights, besides targets and predictions: "positional", "keyword", or "" if it does not."""
    try:
        parameters = inspect.signature(update).parameters.values()
    except (TypeError, ValueError):  # a function implemented in C has no signature
        return "positional"
    kinds = [p.kind for p in parameters]
    positional = kinds.count(inspect.Parameter.POSITIONAL_ONLY) + kinds.count(inspect.Parameter.POSITIONAL_OR_KEYWORD)
    if positional > 2 or inspect.Parameter.VAR_POSITIONAL in kinds:
        return "positional"
    takes_all = inspect.Parameter.VAR_KEYWORD in kinds
    return "keyword" if takes_all or any(p.name == "sample_weight" for p in parameters) else ""


def _keeps_account(given: Any) -> bool:
    return hasattr(given, "update_state") and hasattr(given, "result")
