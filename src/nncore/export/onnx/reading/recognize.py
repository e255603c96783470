"""Layers that a graph writes as several operators: GELU by the error function, a LayerNorm by means, a bias as a sum.

There are many ways to write each, so that the operators are not compared with patterns. The part of the graph between a node and
one tensor on which it depends is a function of that tensor. It is computed on chosen numbers and compared with the layers, whose
arguments follow from a few of its values. The largest part that is a layer becomes one.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import permutations
from math import log, prod
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .... import layers
from ....errors import NncoreError
from .elementwise import affine, prelu, with_bias
from .folding import ELEMENTWISE, OF_ROWS
from .graph import Node
from .rows import normalized
from .values import ONE, Expanded, Refusal, Tensor, shorter
from .views import on_elements, on_last

if TYPE_CHECKING:
    from .interpret import Reading

_MOST_NODES = 80  #: of one function
_MOST_COLUMNS = 1 << 16
_TOLERANCE = 3e-6  #: constants have the precision of float32
_GRID = np.concatenate(
    [np.linspace(-9, 9, 145), [s * x for s in (1, -1) for x in (1e-3, 0.013, 11.7, 14.0, 19.0, 31.0, 97.0, 1e3, 1e4, 1e30)]]
)
_SIMPLE: tuple[tuple[str, dict[str, Any]], ...] = (
    *((name, {}) for name in ("ReLU", "Sigmoid", "Tanh", "SiLU", "GELU", "Mish", "Softplus", "Hardsigmoid", "Hardswish", "ReLU6")),
    *((name, {}) for name in ("SELU", "Softsign", "LogSigmoid", "Tanhshrink", "Exp", "ELU")),
    ("GELU", {"approximate": "tanh"}),
)


class Part(NamedTuple):
    """The part of a graph between a tensor and a node."""

    leaf: str
    nodes: list[Node]  #: in topological order; the last one is the root


def recognize(r: Reading, root: Node) -> Tensor | None:
    """Return what a node gives if it is a layer applied to a tensor on which it depends, else None."""
    if root.kind not in ELEMENTWISE or len(root.outputs) != 1:
        return None
    found: Callable[[], Tensor | None] | None = None
    for part in _parts(r, root):
        leaf = r.values[part.leaf]
        if isinstance(leaf, Tensor) and not leaf.is_backwards and (made := _layer_of(r, part, leaf)) is not None:
            found = made
    return None if found is None else found()


def _parts(r: Reading, root: Node) -> Iterator[Part]:
    """Return the parts that end in a node and begin in one tensor, the smallest first."""
    nodes, leaves = {root.number: root}, _tensors_of(r, root)
    while r.work > 0:
        r.work -= len(nodes)
        if len(leaves) == 1:
            yield Part(next(iter(leaves)), [nodes[i] for i in sorted(nodes)])
        last = max((r.makers[name].number for name in leaves if name in r.makers), default=-1)
        if last < 0 or len(nodes) >= _MOST_NODES:
            return
        below = r.graph.nodes[last]
        if (below.kind not in ELEMENTWISE and below.kind not in OF_ROWS) or len(below.outputs) != 1:
            return
        nodes[last] = below
        leaves = (leaves - {below.outputs[0]}) | _tensors_of(r, below)


def _tensors_of(r: Reading, node: Node) -> set[str]:
    return {name for name in node.inputs if name and not _is_constant(r.values[name])}


def _is_constant(value: Any) -> bool:
    """Whether a value is a constant, or one number that is repeated, as that of ZerosLike."""
    return isinstance(value, np.ndarray) or (isinstance(value, Expanded) and value.array.size == 1)


def _compute(r: Reading, part: Part, x: np.ndarray, rank: int) -> np.ndarray | None:
    """Return the root for these numbers of the leaf; None if a constant or an axis does not fit them."""
    known: dict[str, Any] = {part.leaf: x}
    for node in part.nodes:
        arrays = []
        for place, name in enumerate(node.inputs):
            array: Any = known.get(name)
            if array is None and name:
                array = r.values[name]
                if isinstance(array, Expanded):
                    leaf: Any = r.values[part.leaf]
                    own = leaf.shape[rank - len(array.shape) :]
                    if len(array.shape) > rank or any(a not in (ONE, b) for a, b in zip(array.shape, own, strict=True)):
                        return None
                    array = array.array.reshape(())
                if node.kind in OF_ROWS and place == 1:  # the axes
                    axes = {int(each) % rank for each in array.reshape(-1)}
                    if axes != {rank - 1} or x.ndim < 2:
                        return None
                    array = np.array([-1])
                elif (array := _fitting(array, x, rank)) is None:
                    return None
            arrays.append(array)
        if node.kind in OF_ROWS and (x.ndim < 2 or not _of_last_axis(node, rank)):
            return None
        given = node._replace(attributes={k: v for k, v in node.attributes.items() if k not in ("axes", "axis")})
        if "axes" in node.attributes:
            given.attributes["axes"] = (-1,)
        known[node.outputs[0]] = {**ELEMENTWISE, **OF_ROWS}[node.kind](given, arrays)
    result = np.asarray(known[part.nodes[-1].outputs[0]])
    return result.astype(np.float64) if result.shape == x.shape else None


def _of_last_axis(node: Node, rank: int) -> bool:
    if node.kind == "GlobalAveragePool":
        return rank == 3
    if node.kind in ("Softmax", "LogSoftmax"):
        return node.attributes.get("axis", -1) in (-1, rank - 1)
    if not node.attributes.get("keepdims", 1):
        return False
    axes = node.attributes.get("axes")
    return len(node.inputs) > 1 if axes is None else tuple(each % rank for each in axes) == (rank - 1,)


def _fitting(array: np.ndarray, x: np.ndarray, rank: int) -> np.ndarray | None:
    """Return a constant as one number, or as one for each column."""
    if array.ndim > rank:
        return None
    wide = np.float64 if array.dtype.kind == "f" else array.dtype
    if array.size == 1:
        return array.reshape(()).astype(wide)
    if x.ndim < 2 or array.shape[-1:] != x.shape[-1:] or prod(array.shape[:-1]) != 1:
        return None
    return array.reshape(-1).astype(wide)


def _equal(one: np.ndarray | None, other: np.ndarray, near: np.ndarray | bool = True) -> bool:
    """Whether two functions agree; where numbers are large, the first one may overflow."""
    if one is None or not np.isfinite(one[np.broadcast_to(near, one.shape)]).all():
        return False
    use = np.isfinite(one)
    return bool(np.all(np.abs(one[use] - other[use]) <= _TOLERANCE * np.maximum(np.abs(other[use]), 1e-2)))


def _layer_of(r: Reading, part: Part, leaf: Tensor) -> Callable[[], Tensor | None] | None:
    """Return a function that makes the layer that a part is, or None."""
    rank = len(leaf.axes)
    with np.errstate(all="ignore"):
        found = _constants(r, part)
        if not any(node.kind in OF_ROWS for node in part.nodes) and all(a.size == 1 for a in found):
            if leaf.is_index:  # n is added to negative indices
                indices = np.arange(128)
                same = _compute(r, part, indices, rank)
                return (lambda: leaf) if same is not None and np.array_equal(same, indices) else None
            at = [float(a.reshape(())[()]) for a in found if a.dtype.kind in "fiu" and np.isfinite(a).all()]
            at += [v for node in part.nodes for v in node.attributes.values() if isinstance(v, float) and np.isfinite(v)]
            layer = _activation(lambda x: _compute(r, part, x, rank), at[:20])
            if layer is None:
                return None
            is_bias = isinstance(layer, layers.Rescaling) and layer.scale == 1 and _takes_bias(r, part, leaf) and rank
            if is_bias and leaf.shape[-1] == ONE:
                names = [name for node in part.nodes for name in node.inputs]
                return lambda: with_bias(r, leaf, np.array([layer.offset]), names)
            return lambda: leaf if isinstance(layer, layers.Identity) else on_elements(r, leaf, layer)
        columns = leaf.shape[-1].known if leaf.axes else None
        if _is_read_elsewhere(r, part) and any(a.size > 1 for a in found):
            return None
        if columns is None or not 0 < columns <= _MOST_COLUMNS or leaf.is_index:
            return None
        return _function_of_rows(r, part, leaf, columns)


def _takes_bias(r: Reading, part: Part, leaf: Tensor) -> bool:
    return leaf.product is not None and r.readers[part.leaf] == 1


def _is_read_elsewhere(r: Reading, part: Part) -> bool:
    """Whether another node reads something within a part: then its parameters must not be in two layers."""
    own = Counter(name for node in part.nodes for name in node.inputs)
    return any(r.readers[name] > own[name] for node in part.nodes[:-1] for name in node.outputs)


def _constants(r: Reading, part: Part) -> list[np.ndarray]:
    """Return the constants of a part, without the axes of its means."""
    made = {name for node in part.nodes for name in node.outputs} | {part.leaf}
    found = [
        r.values[name]
        for node in part.nodes
        for place, name in enumerate(node.inputs)
        if name and name not in made and not (node.kind in OF_ROWS and place)
    ]
    return [each.array if isinstance(each, Expanded) else each for each in found]


# Functions of one number ----------------------------------------------------------------------------------------------------------


@functools.cache
def _simple() -> list[tuple[Callable[[], Any], np.ndarray]]:
    makers = [functools.partial(getattr(layers, name), **options) for name, options in _SIMPLE]
    return [(make, make()(_GRID[:, None])[:, 0]) for make in makers]


def _activation(f: Callable[[np.ndarray], np.ndarray | None], constants: list[float]) -> Any:
    """Return the layer that a function of one number is, or None."""
    edges = [c + d * max(1.0, abs(c)) for c in constants if abs(c) < 1e6 for d in (-1e-3, 0.0, 1e-3)]
    quotients = [c / b for c, b in permutations(constants[:8], 2) if b]  # where b * x passes c
    edges += [q + d * max(1.0, abs(q)) for q in quotients if abs(q) < 1e6 for d in (-1e-3, 1e-3)]
    grid = np.concatenate([_GRID, edges])
    y = f(grid)
    near = np.abs(grid) < 20
    if y is None or not np.isfinite(y[near]).all():
        return None
    if _equal(y, grid):
        return layers.Identity()
    for make, expected in _simple():
        if _equal(y[: len(_GRID)], expected, near[: len(_GRID)]):
            return make() if not edges or _equal(y, make()(grid[:, None])[:, 0], near) else None
    for propose in _with_arguments(f, constants):
        try:
            if _equal(y, propose()(grid[:, None])[:, 0], near):
                return propose()  # another one, because a layer that was called keeps memory for its calls
        except (NncoreError, ArithmeticError):
            continue
    return None


def _with_arguments(f: Callable[[np.ndarray], np.ndarray | None], constants: list[float]) -> Iterator[Callable[[], Any]]:
    """Return layers whose arguments follow from values of a function."""
    values = f(np.array([-1e30, -1e7, -1e3, -1.0, 0.0, 1.0, 1e3, 1e30]))
    if values is None:
        return
    low, under, below, minus, zero, one, above, high = map(float, values)
    if one != zero:
        yield functools.partial(layers.Rescaling, shorter(one - zero), shorter(zero))
    if abs(above - 1e3) < 1e-2 and zero == 0:  # x itself for x > 0
        yield functools.partial(layers.LeakyReLU, shorter(-minus))
        yield functools.partial(layers.ELU, shorter(-below))
        yield functools.partial(layers.CELU, shorter(-under))
    if low < high and (abs(low) < 1e30 or abs(high) < 1e30):
        yield functools.partial(layers.Hardtanh, max(shorter(low), -3e38), min(shorter(high), 3e38))
    if zero == 0 and abs(high - 1e30) < 1e24:
        yield functools.partial(layers.Softshrink, shorter(1e3 - above))
        yield from (functools.partial(layers.Hardshrink, c) for c in constants)
    if zero > 0 and low == 0:
        yield from (functools.partial(layers.Softplus, shorter(log(2) / zero), c) for c in (20.0, *constants))
    if abs(high - 1e30) < 1e24:
        yield from (functools.partial(layers.Threshold, c, low) for c in (0.0, *constants))
    if (low, high) == (0, 1):
        yield from (functools.partial(layers.Step, c) for c in (0.0, *constants))


# Functions of rows ----------------------------------------------------------------------------------------------------------------


def _function_of_rows(r: Reading, part: Part, leaf: Tensor, columns: int) -> Callable[[], Tensor | None] | None:
    """Return what makes the layer that a function of the last axis is, or None."""
    rank = len(leaf.axes)
    rows = np.random.default_rng(0).normal(size=(6, columns)) * np.array([[1.0], [1.0], [3.0], [0.3], [0.03], [1.0]]) + 0.1

    def f(x: np.ndarray) -> np.ndarray:
        found = _compute(r, part, x, rank)
        if found is None:
            raise Refusal("")
        return found

    try:
        y = f(rows)
        if not any(node.kind in OF_ROWS for node in part.nodes):
            return _by_columns(r, part, leaf, columns, f)
        if _equal(y, rows):
            return _masking(r, part, leaf, columns, f)
        for kind in (layers.Softmax, layers.LogSoftmax):
            if _equal(y, kind()(rows)):
                return lambda kind=kind: on_last(r, leaf, kind())  # type: ignore[misc]
        if _equal(y, layers.Softmax()(layers.LogSigmoid()(rows))):  # sigmoids by their sum
            return lambda: on_last(r, on_elements(r, leaf, layers.LogSigmoid()), layers.Softmax())
        return _layer_norm(r, part, leaf, rows, y, f) or _length(r, part, leaf, rows, y, f)
    except (Refusal, ArithmeticError, ValueError, TypeError):
        return None


def _masking(
    r: Reading, part: Part, leaf: Tensor, columns: int, f: Callable[[np.ndarray], np.ndarray]
) -> Callable[[], Tensor | None] | None:
    """Return what makes nothing of a step, and zeros of one of padding, as Keras' Masking does."""
    paddings = {float(a.reshape(())[()]) for a in _constants(r, part) if a.size == 1} | {0.0}
    for padding in paddings:
        full = np.full((1, columns), padding)
        if not _equal(f(full), full):
            if np.any(f(full)):
                return None
            r.cleared.setdefault(padding, str(part.nodes[-1]))
    return lambda: leaf


def _by_columns(
    r: Reading, part: Part, leaf: Tensor, columns: int, f: Callable[[np.ndarray], np.ndarray]
) -> Callable[[], Tensor | None] | None:
    """Return what makes a bias, a scale and a shift for each column, or a PReLU."""
    rows = np.outer([s * x for s in (1, -1) for x in (0.01, 0.3, 1, 3, 10, 100, 1e4)], np.linspace(1, 2, columns))
    y, nothing, ones = f(rows), np.zeros((1, columns)), np.ones((1, columns))
    shift, at_one, at_minus = f(nothing)[0], f(ones)[0], f(-ones)[0]
    scale = at_one - shift
    names = [name for node in part.nodes for name in node.inputs]
    if scale.any() and _equal(y, scale * rows + shift):
        if np.all(scale == 1) and _takes_bias(r, part, leaf):
            return lambda: with_bias(r, leaf, shift, names)
        return lambda: affine(r, leaf, scale, shift)
    if np.all(shift == 0) and np.all(at_one == 1) and _equal(y, np.where(rows > 0, rows, -at_minus * rows)):
        return lambda: prelu(r, leaf, -at_minus, names)
    for make, _ in _simple():  # a scale and a shift after an activation, which exporters multiply into its constants
        a, b = (make()(each) for each in (ones, -ones))
        times = (at_one - at_minus) / (a - b)[0]
        plus = at_one - times * a[0]
        if np.isfinite(times).all() and _equal(y, times * make()(rows) + plus, np.abs(rows) < 20):
            return lambda make=make: affine(r, on_elements(r, leaf, make()), times, plus)  # type: ignore[misc]
    return None


def _layer_norm(
    r: Reading, part: Part, leaf: Tensor, rows: np.ndarray, y: np.ndarray, f: Callable[[np.ndarray], np.ndarray]
) -> Callable[[], Tensor | None] | None:
    """Return what makes a LayerNorm: y = (x - mean) / sqrt(var + eps) * weight + bias."""
    columns = rows.shape[1]
    if columns < 2:
        return None

    def normal(x: np.ndarray, eps: float) -> np.ndarray:
        found: np.ndarray = (x - x.mean(axis=1, keepdims=True)) / np.sqrt(x.var(axis=1, keepdims=True) + eps)
        return found

    large = rows[:2] * 1e5  # beside which eps is nothing
    top, own = f(large), normal(large, 0.0)
    slope = own[0] - own[1]
    if np.any(np.abs(slope) < 1e-12):
        return None
    weight = (top[0] - top[1]) / slope
    bias = top[0] - weight * own[0]
    chosen = np.argmax(np.abs(weight * (rows[4] - rows[4].mean())))
    part_of = (f(rows[4:5])[0] - bias)[chosen] / (weight[chosen] * (rows[4] - rows[4].mean())[chosen])
    eps = float(1 / part_of**2 - rows[4].var())
    eps = 0.0 if abs(eps) < 1e-9 * rows[4].var() else float(f"{eps:.6g}") if eps > 1e-7 else eps
    if eps < 0 or not _equal(y, normal(rows, eps) * weight + bias):
        return None
    has_both = any(a.size > 1 for a in _constants(r, part))
    if not has_both and not _equal(np.array([weight, bias]), np.array([[1.0], [0.0]]) + np.zeros(columns)):
        return None  # a layer of its own rescales the result
    parameters = {"weight": weight, "bias": bias} if has_both else {}
    layer = r.make(layers.LayerNorm, parameters, columns, eps, elementwise_affine=has_both, bias=has_both)
    return lambda: on_last(r, leaf, layer)


def _length(
    r: Reading, part: Part, leaf: Tensor, rows: np.ndarray, y: np.ndarray, f: Callable[[np.ndarray], np.ndarray]
) -> Callable[[], Tensor | None] | None:
    """Return what makes rows of one length: y = x / sqrt(mean(x^2) + eps) * weight."""

    def normal(x: np.ndarray, eps: float) -> np.ndarray:
        found: np.ndarray = x / np.sqrt(np.mean(x**2, axis=1, keepdims=True) + eps)
        return found

    large = rows[:1] * 1e5
    weight = (f(large) / normal(large, 0.0))[0]
    chosen = np.argmax(np.abs(weight * rows[4]))
    part_of = f(rows[4:5])[0, chosen] / (weight * rows[4])[chosen]
    eps = float(1 / part_of**2 - np.mean(rows[4] ** 2))
    eps = 1e-12 if abs(eps) < 1e-6 * np.mean(rows[4] ** 2) else float(f"{eps:.6g}")
    if eps <= 0 or not _equal(y, normal(rows, eps) * weight):
        return None
    if any(a.size > 1 for a in _constants(r, part)):
        return lambda: normalized(r, leaf, weight, eps)
    return lambda: normalized(r, leaf, None, eps, shorter(weight[0])) if np.allclose(weight, weight[0], 1e-5) else None
