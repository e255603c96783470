"""check_gradients: compare the gradients of the backward pass with central differences in float64.

The model under test is a copy in float64 with its own plan. It is run by `forward` and `backward` as in a training loop by hand.
With targets, whole training steps with a learning rate of zero are run too.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple, cast

import numpy as np

from .._checks import flag, real, whole
from .._declarations import explained
from ..errors import ArgumentError, GradientError
from ..layers import Layer, Linear
from ..losses import Loss
from ..losses import get as get_loss
from ..models import Model, Sequential
from ..models.copying import float64_copy
from ..network.inputs import bind
from ..optim import SGD

_EPS = float(np.finfo(np.float64).eps)


class GradientEntry(NamedTuple):
    """The result for one array of a `GradientReport`.

    Examples
    --------
    >>> import nncore as nn
    >>> entry = nn.check_gradients(nn.Tanh(), [[0.5, -1.0]]).entries[0]
    >>> entry.name, entry.shape, entry.checked, entry.ok
    ('x', (1, 2), 2, True)
    """

    name: str  #: of a parameter as in the state dict; "x" or "x[1]" for an input; "y_pred" for a loss
    shape: tuple[int, ...]
    checked: int  #: number of elements that were checked
    error: float  #: the relative error of the worst element
    allowed: float  #: the largest error that passes there: the tolerance plus the rounding error of the differences
    at: tuple[int, ...]  #: the index of the worst element
    analytic: float  #: its gradient from the backward pass
    numeric: float  #: its gradient from differences

    @property
    def ok(self) -> bool:
        """Whether the error is at most the allowed error."""
        return self.error <= self.allowed

    @property
    def share(self) -> float:
        """The error divided by the allowed error."""
        return self.error / self.allowed


class GradientReport:
    """The result of `check_gradients`. It is true if all gradients agree; ``str()`` returns a table.

    Attributes
    ----------
    entries : list of GradientEntry
        One per parameter and input.
    tol : float
        The largest relative error that passes, before the allowance for rounding.
    worst : GradientEntry
        The entry with the largest ratio of error to allowed error.

    Examples
    --------
    >>> import nncore as nn
    >>> report = nn.check_gradients(nn.Sigmoid(), [[0.5, -1.0]])
    >>> bool(report), report.worst.name
    (True, 'x')
    """

    def __init__(self, title: str, entries: list[GradientEntry], tol: float) -> None:
        self.title, self.entries, self.tol = title, entries, tol

    @property
    def worst(self) -> GradientEntry:
        return max(self.entries, key=lambda entry: entry.share)

    def __bool__(self) -> bool:
        return all(entry.ok for entry in self.entries)

    def __str__(self) -> str:
        width = max(len(entry.name) for entry in self.entries)
        lines = [f"{self.title}: gradients {'agree' if self else 'DIFFER'} (relative error up to {self.tol:g} allowed)"]
        for e in self.entries:
            line = f"  {e.name:{width}}  {e.checked:5d} of {int(np.prod(e.shape)):<8d} "
            line += "0, but for rounding" if e.ok and e.allowed > 1.0 else f"error {e.error:.1e}, allowed {e.allowed:.1e}"
            if not e.ok:
                line += f"  at [{', '.join(map(str, e.at))}]: backward {e.analytic:.8g}, differences {e.numeric:.8g}"
            lines.append(line)
        return "\n".join(lines)

    def __repr__(self) -> str:
        worst = self.worst
        return (
            f"<GradientReport: {'ok' if self else 'wrong'}, error {worst.error:.1e} of {worst.allowed:.1e} allowed at {worst.name}>"
        )


@explained
def check_gradients(
    obj: Any,
    x: Any,
    y: Any = None,
    *,
    eps: float = 1e-5,
    tol: float = 1e-5,
    samples: int = 100,
    seed: int = 0,
    raise_on_error: bool = False,
) -> GradientReport:
    """Compare the gradients of a model, a layer or a loss with central differences.

    Parameters
    ----------
    obj : Model, Layer or loss
        A built-in one or your own. It is copied and not changed.
    x : array_like, or a list of them for several inputs
        A batch [N, ...]; for a loss, predictions. Inputs of integer type have no derivative and are not checked.
    y : array_like, optional
        Targets. A compiled model is then also checked in training steps, including its loss. A loss needs targets.
    eps : float
        The step of the differences. If they disagree with the gradient, smaller steps are tried, because a kink (of ReLU at 0) may
        be nearby.
    tol : float
        The largest relative error that passes. Elements smaller than a hundredth of the largest element of their array are compared
        relative to that hundredth. An allowance for rounding is added: a difference subtracts two rounded values, which matters
        more for small gradients.
    samples : int
        The largest number of elements that are checked in each array. They are drawn with ``seed``.
    seed : int
        Seed of the random choices.
    raise_on_error : bool
        Whether to raise an error if the gradients differ.

    Returns
    -------
    GradientReport
        True if all agree. Print it to see the worst error of each array and the allowed error.

    Raises
    ------
    GradientError
        The gradients differ and ``raise_on_error`` is True.
    ArgumentError
        Two runs on the same batch return different values.

    Notes
    -----
    Without targets, a weighted sum of all outputs is differentiated, in training mode (dropout keeps its mask). At a kink, such as
    ReLU at exactly 0, the derivative does not exist and the comparison is meaningless.

    Examples
    --------
    >>> import numpy as np
    >>> import nncore as nn
    >>> model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1), seed=0)
    >>> model.compile(loss="mse", optimizer="adam")
    >>> bool(nn.check_gradients(model, np.ones((5, 3)), np.zeros((5, 1))))
    True
    >>> wrong = nn.Lambda(np.square, lambda dy, x, y: x * dy)
    >>> print(nn.check_gradients(wrong, [[1.0, 3.0]]))  # doctest: +ELLIPSIS
    Lambda: gradients DIFFER (relative error up to 1e-05 allowed)
      x      2 of 2        error 5.0e-01, allowed 1.0e-05  at [0, ...]: backward ...
    """
    options = _Options(
        real("check_gradients", "eps", eps, 0.0, open_low=True),
        real("check_gradients", "tol", tol, 0.0),
        whole("check_gradients", "samples", samples),
        np.random.default_rng(whole("check_gradients", "seed", seed, 0)),
    )
    raises = flag("check_gradients", "raise_on_error", raise_on_error)
    title = type(obj).__name__
    if isinstance(obj, Model):
        entries = _of_model(obj, x, y, options)
    elif isinstance(obj, Layer):
        if y is not None:
            raise ArgumentError("check_gradients: a layer has no targets; put it into a model and compile that")
        found = _of_model(Sequential(copy.deepcopy(obj), seed=0), x, None, options)
        entries = [e._replace(name=e.name.removeprefix("0.")) for e in found]
    else:
        if y is None:
            raise ArgumentError("check_gradients: a loss needs predictions and targets: check_gradients(loss, y_pred, y_true)")
        loss = get_loss(obj)
        title, entries = loss.name, _of_loss(loss, x, y, options)
    report = GradientReport(title, entries, options.tol)
    if raises and not report:
        raise GradientError(str(report))
    return report


class _Options(NamedTuple):
    eps: float
    tol: float
    samples: int
    rng: np.random.Generator


def _of_model(model: Model, x: Any, y: Any, options: _Options) -> list[GradientEntry]:
    twin = copy.deepcopy(model)
    arrays = [
        np.array(a, a.dtype.newbyteorder("=") if a.dtype.kind in "iub" else np.float64, order="C") for a in bind(twin._network, x)
    ]
    twin = cast("Model", float64_copy(twin, [a.shape[1:] for a in arrays]))
    backward = _by_hand(twin, arrays, options, parameters=y is None)
    if y is None:
        return backward
    if model._trainer is None:
        raise ArgumentError("check_gradients: compile the model first, so that it has a loss to compare y with")
    config = model._trainer.config
    return _compare(*_steps(twin, config.losses, config.weights, arrays, y), options) + backward


def _by_hand(twin: Model, arrays: list[np.ndarray], options: _Options, parameters: bool) -> list[GradientEntry]:
    """Return copies of the inputs. They are converted to float64, except for whole numbers."""
    plan = twin._plan
    factors = [np.ascontiguousarray(options.rng.normal(size=out.shape)) for out in plan.forward(arrays, True)]

    def value() -> float:
        plan.reset_states()  # stateful layers would go on from the run before
        plan.passes = 0  # so that dropout keeps its mask
        return sum(float((r * out).sum()) for r, out in zip(factors, plan.forward(arrays, True), strict=True))

    value()
    gradients = plan.backward(factors)
    names = ["x"] if len(arrays) == 1 else [f"x[{i}]" for i in range(len(arrays))]
    parts = [(name, a, g) for name, a, g in zip(names, arrays, gradients, strict=True) if a.dtype.kind == "f"]
    if parameters:
        parts = _parameters(twin) + parts
    return _compare(parts, value, options)


def _parameters(twin: Model) -> list[tuple[str, np.ndarray, np.ndarray]]:
    """Return name, view and gradient of each parameter."""
    gradients = twin.gradients
    return [(name, view, gradients[name].copy()) for name, view in twin.named_parameters()]


def _steps(
    twin: Model, of: list[Loss], weights: list[float], arrays: list[np.ndarray], y: Any
) -> tuple[list[tuple[str, np.ndarray, np.ndarray]], Callable[[], float]]:
    """Run training steps with a learning rate of zero. They compute gradients and change no parameter.

    Return the parameters with their gradients, and the function that computes the loss.
    """
    # Penalties and limits are the update's business, not that of backward.
    plain = [{"params": "*", "l1": 0.0, "l2": 0.0, "max_norm": 0.0}] if twin.parameters() else []
    x = arrays if len(arrays) > 1 else arrays[0]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # whoever compiled the model has been warned
        Model.compile(twin, list(of), SGD(lr=0.0, groups=plain), loss_weights=list(weights))

    def value() -> float:
        twin.step = 0  # so that dropout keeps its mask
        twin._plan.reset_states()
        return float(Model.train_on_batch(twin, x, y, return_dict=True)["loss"])

    value()
    return _parameters(twin), value


def _of_loss(loss: Loss, y_pred: Any, y_true: Any, options: _Options) -> list[GradientEntry]:
    """Check a loss as a network whose only parameter is the prediction."""
    prediction = np.asarray(y_pred, np.float64)
    prediction = prediction.reshape(len(prediction), -1)
    rows, columns = prediction.shape
    twin = Sequential(Linear(rows, columns, bias=False), seed=0, dtype="float64")
    twin.set_weights([prediction.T])
    (part,), value = _steps(twin, [loss], [1.0], [np.eye(rows)], y_true)
    return _compare([("y_pred", part[1].T, part[2].T)], value, options)


def _compare(parts: list[tuple[str, np.ndarray, np.ndarray]], value: Callable[[], float], options: _Options) -> list[GradientEntry]:
    before = value()
    if value() != before:
        raise ArgumentError(
            "check_gradients: two runs on the same batch give different values; your own layers and losses must draw "
            "the same random numbers each time"
        )
    return [_entry(name, array, gradient, value, max(1.0, abs(before)), options) for name, array, gradient in parts]


def _entry(
    name: str, array: np.ndarray, gradient: np.ndarray, value: Callable[[], float], size: float, options: _Options
) -> GradientEntry:
    count = min(options.samples, array.size)
    chosen = np.sort(options.rng.choice(array.size, count, replace=False))
    indices = [tuple(int(k) for k in np.unravel_index(i, array.shape)) for i in chosen]
    analytic = np.array([gradient[index] for index in indices])
    numeric = np.array([_difference(array, index, value, options.eps) for index in indices])
    least = 0.01 * max(np.abs(analytic).max(initial=0.0), np.abs(numeric).max(initial=0.0))
    errors, allowed = np.empty(count), np.empty(count)
    for k, index in enumerate(indices):
        errors[k], allowed[k] = _error(analytic[k], numeric[k], least, size, options.eps, options.tol)
        for closer in (options.eps / 10, options.eps / 100):
            if errors[k] <= allowed[k]:
                break
            again = _difference(array, index, value, closer)
            found = _error(analytic[k], again, least, size, closer, options.tol)
            if found[0] / found[1] < errors[k] / allowed[k]:
                (errors[k], allowed[k]), numeric[k] = found, again
    k = int((errors / allowed).argmax())
    there = indices[k], float(analytic[k]), float(numeric[k])
    return GradientEntry(name, array.shape, count, float(errors[k]), float(allowed[k]), *there)


def _difference(array: np.ndarray, index: tuple[int, ...], value: Callable[[], float], eps: float) -> float:
    kept = array[index]
    array[index] = kept + eps
    above, high = array[index], value()
    array[index] = kept - eps
    below, low = array[index], value()
    array[index] = kept
    return float((high - low) / (above - below))


def _error(analytic: float, numeric: float, least: float, size: float, eps: float, tol: float) -> tuple[float, float]:
    """Return the relative error and the allowed error. The subtracted values are about ``size`` and are wrong by a few ulps."""
    if not (np.isfinite(analytic) and np.isfinite(numeric)):
        return float("inf"), max(tol, _EPS)
    rounding = 16 * _EPS * size / eps
    scale = max(abs(analytic), abs(numeric), least, rounding)
    return float(abs(analytic - numeric) / scale), float(tol + rounding / scale)
