"""What `forward` may call: functions and methods of torch and operators, by name, as layers of nncore."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ... import layers as nn
from ...graph import Value, record
from ...layers import Layer
from .layers import Unknown, fixed, softmax
from .tensors import BATCH, Constant, Half, Tensor, Zeros


def on(layer: Layer, x: Tensor) -> Tensor:
    """Return the result of a layer that keeps the dimensions, or acts on the last one."""
    return computed(x, record(layer, x.value)[0])


def computed(x: Tensor, value: Value) -> Tensor:
    """Return what is computed from a tensor and has its dimensions."""
    return x.replace(value=value, source=None, last_of=None, states=None)


def tensor_of(x: Any, owner: str) -> Tensor:
    """Return a tensor, or raise Unknown."""
    if isinstance(x, Half):
        return without(selected(x.state, 1, slice(x.index, x.index + 1)), 1)
    if isinstance(x, Tensor):
        return x
    raise Unknown(f"{owner} of {said(x)}")


def full(x: Any, owner: str, joined: bool = False) -> Tensor:
    """Return a tensor whose value has all dimensions that torch has, or raise Unknown. joined: the batch may be joined to time."""
    found = tensor_of(x, owner)
    if found.is_joined and not joined:
        raise Unknown(f"{owner} of a tensor in which the batch and time are one dimension; leave out the view(-1, ...) before it")
    if found.is_column:
        raise Unknown(f"{owner} of a tensor [N], which is [N, 1] here; leave out the squeeze before it")
    if found.is_flat:
        return Tensor(record(nn.Reshape(1, *found.value.shape), found.value)[0], 1)
    return found


def said(x: Any) -> str:
    if isinstance(x, Constant):
        return f"{x.path!r}, a tensor that is no weight of a layer of the table"
    return {Zeros: "zeros", type(BATCH): "the size of the batch"}.get(type(x), f"a value of the kind {type(x).__name__}")


def number(x: Any) -> float | None:
    """Return a number, or a constant of one, or None."""
    if isinstance(x, Constant) and not x.tensor.requires_grad and x.tensor.numel() == 1 and x.tensor.dim() == 0:
        return float(x.tensor)
    return x if isinstance(x, int | float) else None


# Activations -----------------------------------------------------------------------------------------------------------------

_IN = {"inplace": False}
#: Function -> the layer, and the arguments after the tensor with their defaults.
_ACTIVATIONS: dict[str, tuple[str, dict[str, Any]]] = {
    **{name.lower(): (name, _IN) for name in ("ReLU", "ReLU6", "SELU", "SiLU", "Mish", "Hardswish", "Hardsigmoid")},
    **{name.lower(): (name, {}) for name in ("Sigmoid", "Tanh", "Softsign", "LogSigmoid", "Tanhshrink", "Exp")},
    "leaky_relu": ("LeakyReLU", {"negative_slope": 0.01, **_IN}),
    "elu": ("ELU", {"alpha": 1.0, **_IN}),
    "celu": ("CELU", {"alpha": 1.0, **_IN}),
    "gelu": ("GELU", {"approximate": "none"}),
    "softplus": ("Softplus", {"beta": 1.0, "threshold": 20.0}),
    "hardtanh": ("Hardtanh", {"min_val": -1.0, "max_val": 1.0, **_IN}),
    "hardshrink": ("Hardshrink", {"lambd": 0.5}),
    "softshrink": ("Softshrink", {"lambd": 0.5}),
    "threshold": ("Threshold", {"threshold": None, "value": None, **_IN}),
}


def _activation(name: str) -> Callable[..., Tensor]:
    layer, defaults = _ACTIVATIONS[name]

    def call(x: Any, *args: Any, **kwargs: Any) -> Tensor:
        given = {**defaults, **dict(zip(defaults, args, strict=False)), **kwargs}
        given.pop("inplace", None)
        return on(getattr(nn, layer)(**given), tensor_of(x, name))

    return call


def _row(name: str) -> Callable[..., Tensor]:
    def call(x: Any, dim: Any = None, _stacklevel: int = 3, dtype: Any = None) -> Tensor:
        tensor = full(x, name, joined=True)
        if dim is None:
            dim = {1: 0, 3: 0}.get(len(tensor.labels()), 1)  # as torch chooses it
        return _on_axis(softmax({"softmax": "Softmax", "log_softmax": "LogSoftmax"}[name], -1), tensor, dim, name)

    return call


def _on_axis(layer: Layer, x: Tensor, dim: Any, owner: str) -> Tensor:
    """Return the result of a layer that acts on the last dimension, for another one."""
    label = x.axis(dim, owner)
    if not label:
        raise Unknown(f"{owner} with dim={dim}, which is the batch")
    return computed(x, along(x.value, label, lambda value: record(layer, value)[0]))


def along(value: Value, label: int, change: Callable[[Value], Value]) -> Value:
    """Change a value of which one dimension has been made the last one, and put that back."""
    order = [i for i in range(1, len(value.shape) + 1) if i != label] + [label]
    if label == len(order):
        return change(value)
    changed = change(record(nn.Permute(*order), value)[0])
    return record(nn.Permute(*(order.index(i) + 1 for i in sorted(order))), changed)[0]


def _glu(x: Any, dim: int = -1) -> Tensor:
    return _on_axis(nn.GLU(), full(x, "glu", joined=True), dim, "glu")


def _dropout(x: Any, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    if training is not False:  # it is traced in eval mode
        raise Unknown("dropout that is active in eval mode, too; write F.dropout(x, p, training=self.training), or use nn.Dropout")
    return on(nn.Dropout(p), tensor_of(x, "dropout"))


def _clamp(x: Any, min: Any = None, max: Any = None) -> Tensor:
    low, high = number(min), number(max)
    if high is None and low is not None:
        return on(nn.ReLU() if low == 0 else nn.Threshold(low, low), tensor_of(x, "clamp"))
    if low is None or high is None:
        raise Unknown("clamp needs numbers min and max, or min alone")
    return on(nn.Hardtanh(low, high), tensor_of(x, "clamp"))


# Arithmetic ------------------------------------------------------------------------------------------------------------------


def together(owner: str, tensors: Sequence[Any]) -> list[Tensor]:
    """Return tensors with equally many dimensions and the batch at the same place, or raise Unknown."""
    found = [x if isinstance(x, Tensor) and x.is_column else full(x, owner, joined=True) for x in tensors]
    if len({(x.batch, x.is_column, x.is_joined, len(x.value.shape)) for x in found}) > 1:
        shapes = ", ".join(str(x.sizes()) for x in found)
        raise Unknown(f"{owner} of tensors of the shapes {shapes}; give them equally many dimensions, with the batch at one place")
    return found


def merged(layer: Layer, owner: str, tensors: Sequence[Any]) -> Tensor:
    """Return the result of a merging layer."""
    found = together(owner, tensors)
    names = frozenset[str]().union(*(x.arguments for x in found))
    return computed(found[0], record(layer, [x.value for x in found])[0]).replace(arguments=names)


def _rescaled(x: Any, scale: float, offset: float, owner: str) -> Tensor:
    tensor = x if isinstance(x, Tensor) and x.is_column else full(x, owner, joined=True)
    return computed(tensor, tensor.value) if (scale, offset) == (1.0, 0.0) else on(nn.Rescaling(scale, offset), tensor)


def _affine(x: Any, y: Any, kind: str) -> Tensor | None:
    """Return x + y, x - y, x * y or x / y if one of them is a buffer of features: a frozen BatchNorm1d. None if none is."""
    is_first = isinstance(x, Constant)
    constant, other = (x, y) if is_first else (y, x)
    if not isinstance(constant, Constant) or isinstance(other, Constant):
        return None
    if constant.tensor.requires_grad or (is_first and kind == "/"):
        raise Unknown(f"{kind} of {said(constant)}")
    tensor = full(other, kind, joined=True)
    array = np.asarray(constant.tensor.double().tolist())
    width = tensor.value.shape[-1]
    if tensor.labels()[-1] != len(tensor.value.shape) or array.size not in (1, width) or array.size != array.shape[-1]:
        raise Unknown(
            f"{kind} of {constant.path!r} of shape {array.shape} and a tensor {tensor.sizes()}; it must have one number "
            "for each feature"
        )
    zero, one = np.zeros(width), np.ones(width)
    scale = {"*": one * array, "/": one / array, "-": -one if is_first else one}.get(kind, one)
    shift = {"+": zero + array, "-": zero + array if is_first else zero - array}.get(kind, zero)
    layer = nn.BatchNorm1d(width, eps=0.0, axis=-1 if len(tensor.value.shape) > 1 else 1, trainable=False)
    arrays = {"weight": scale, "bias": shift, "running_mean": zero, "running_var": one}
    return on(fixed(layer, **arrays, num_batches_tracked=np.zeros((), np.int64)), tensor)


def _add(x: Any, y: Any, *, alpha: float = 1, sign: float = 1.0) -> Tensor:
    a, b, alpha = number(x), number(y), alpha * sign
    if a is None and b is None and abs(alpha) == 1 and (found := _affine(x, y, "+" if alpha == 1 else "-")) is not None:
        return found
    if b is not None:
        return _rescaled(x, 1.0, alpha * b, "+")
    if a is not None:
        return _rescaled(y, alpha, a, "+")
    if alpha == -1:
        return merged(nn.Subtract(), "-", [x, y])
    return merged(nn.Add(), "+", [x, y if alpha == 1 else _rescaled(y, alpha, 0.0, "+")])


def _sub(x: Any, y: Any, *, alpha: float = 1) -> Tensor:
    return _add(x, y, alpha=alpha, sign=-1.0)


def _mul(x: Any, y: Any) -> Tensor:
    a, b = number(x), number(y)
    if a is None and b is None:
        found = _affine(x, y, "*")
        return merged(nn.Multiply(), "*", [x, y]) if found is None else found
    return _rescaled(y if a is not None else x, a if a is not None else b or 0.0, 0.0, "*")


def _div(x: Any, y: Any, rounding_mode: Any = None) -> Tensor:
    b = number(y)
    if b is None and rounding_mode is None and (found := _affine(x, y, "/")) is not None:
        return found
    if not b or rounding_mode is not None:
        raise Unknown("a division that rounds, or by a tensor or zero; only other numbers can divide")
    return _rescaled(x, 1.0 / b, 0.0, "/")


def _pow(x: Any, exponent: Any) -> Tensor:
    if exponent not in (1, 2, 3):
        raise Unknown(f"the power {exponent!r}; only 2 and 3 are possible")
    return merged(nn.Multiply(), "**", [x] * exponent) if exponent > 1 else full(x, "**")


def _extreme(layer: Callable[[], Layer], owner: str) -> Callable[..., Any]:
    def call(x: Any, y: Any = None, keepdim: bool = False, *, other: Any = None, dim: Any = None) -> Any:
        y = other if other is not None else y if dim is None else dim
        if isinstance(y, Tensor):
            return merged(layer(), owner, [x, y])
        if type(y) is int:
            found = POOLS[owner](x if owner == "max" else _rescaled(x, -1.0, 0.0, "-"), y, keepdim)
            return found if owner == "max" else _rescaled(found, -1.0, 0.0, "-"), None
        raise Unknown(f"{owner} takes two tensors, or a tensor and a dimension")

    return call


# Parts, and what is computed over a dimension -----------------------------------------------------------------------------------


def reshaped(x: Tensor, shape: Sequence[int], batch: int | None = None) -> Tensor:
    """Return samples of another shape. (): torch has [N], and the value stays [N, 1]."""
    batch = x.batch if batch is None else batch
    if not shape:
        return Tensor(record(nn.Flatten(), x.value)[0] if len(x.value.shape) > 1 else x.value, 0, is_column=True)
    if tuple(shape) == x.value.shape:
        return x.replace(batch=batch, is_column=False, source=None, last_of=None, states=None)
    is_timed = len(x.value.shape) > 1 and x.value.shape[0] == shape[0]  # other numbers of steps may follow
    layer = nn.Flatten() if len(shape) == 1 else nn.Reshape(*((-1, *shape[1:]) if is_timed else shape))
    return Tensor(record(layer, x.value)[0], batch, arguments=x.arguments)


def selected(x: Tensor, label: int, part: slice | Sequence[int]) -> Tensor:
    """Return some indices of a dimension."""
    axis = -1 if label == len(x.value.shape) else label
    if not isinstance(part, slice):
        return computed(x, record(nn.Take(part, axis), x.value)[0])
    start, stop, step = (None if each is None else int(each) for each in (part.start, part.stop, part.step))
    if (start or 0, stop, step or 1) == (0, None, 1):
        return computed(x, x.value)
    return computed(x, record(nn.Slice(start, stop, step or 1, axis), x.value)[0])


def without(x: Tensor, label: int, value: Value | None = None) -> Tensor:
    """Return the tensor without a dimension of size 1; or with a value that has lost this dimension."""
    if value is None:
        left = [size for i, size in enumerate(x.value.shape) if i + 1 != label]
        return reshaped(x, left, 0 if label == 1 else x.batch)
    return Tensor(value, 0 if label == 1 else x.batch, arguments=x.arguments)


def last_step(x: Tensor, label: int) -> Tensor:
    """Return the last index of the first or only dimension of samples."""
    if len(x.value.shape) == 1:
        return Tensor(record(nn.LastStep(), record(nn.Reshape(-1, 1), x.value)[0])[0], 0, is_column=True)
    return without(x, label, record(nn.LastStep(), x.value)[0])


def _pooled(layer: Callable[[], Layer], owner: str) -> Callable[..., Tensor]:
    """The mean, sum or maximum over dimensions of samples."""

    def one(x: Tensor, label: int, keepdim: bool) -> Tensor:
        rank, size, value = len(x.value.shape), x.value.shape[label - 1], x.value
        if owner == "sum":
            value = record(nn.Reshape(*value.shape), value)[0]  # so that no other number of steps is multiplied by this one
        if rank == 1:
            value = record(nn.Reshape(-1, 1), value)[0]
        elif label > 1:
            value = record(nn.Permute(label, *(i for i in range(1, rank + 1) if i != label)), value)[0]
        value = record(layer(), value)[0]
        if owner == "sum":
            value = record(nn.Rescaling(float(size)), value)[0]
        if rank == 1:
            return Tensor(value, x.batch, is_column=not keepdim)
        found = without(x, label, value)
        shape = list(value.shape)
        return reshaped(found, [*shape[: label - 1], 1, *shape[label - 1 :]], x.batch) if keepdim else found

    def call(x: Any, dim: Any = None, keepdim: bool = False, dtype: Any = None, axis: Any = None) -> Tensor:
        dim = axis if dim is None else dim
        tensor = full(x, owner)
        labels = (
            {tensor.axis(each, owner) for each in (dim if isinstance(dim, list | tuple) else [dim])} if dim is not None else {0}
        )
        if 0 in labels:
            raise Unknown(f"{owner} with dim={dim!r}, which joins the samples of the batch")
        for label in sorted(labels, reverse=True):
            tensor = one(tensor, label, keepdim)
        return tensor

    return call


POOLS = {
    "mean": _pooled(nn.GlobalAveragePooling1D, "mean"),
    "sum": _pooled(nn.GlobalAveragePooling1D, "sum"),
    **dict.fromkeys(("amax", "max", "min"), _pooled(nn.GlobalMaxPooling1D, "the maximum")),
}


#: Functions, methods and operators, by name.
COMPUTING: dict[str, Callable[..., Any]] = {
    **{name: _activation(name) for name in _ACTIVATIONS},
    **dict.fromkeys(("softmax",), _row("softmax")),
    **dict.fromkeys(("log_softmax",), _row("log_softmax")),
    "glu": _glu,
    "dropout": _dropout,
    **dict.fromkeys(("clamp", "clip"), _clamp),
    **dict.fromkeys(("add", "iadd"), _add),
    **dict.fromkeys(("sub", "isub", "subtract"), _sub),
    **dict.fromkeys(("mul", "imul", "multiply"), _mul),
    **dict.fromkeys(("div", "truediv", "itruediv", "divide", "true_divide"), _div),
    **dict.fromkeys(("neg", "negative"), lambda x: _rescaled(x, -1.0, 0.0, "-")),
    **dict.fromkeys(("pow", "ipow"), _pow),
    "square": lambda x: _pow(x, 2),
    "maximum": _extreme(nn.Maximum, "maximum"),
    "minimum": _extreme(nn.Minimum, "minimum"),
    "max": _extreme(nn.Maximum, "max"),
    "min": _extreme(nn.Minimum, "min"),
    **{name: POOLS[name] for name in ("mean", "sum", "amax")},
    "amin": lambda x, dim, keepdim=False: _extreme(nn.Minimum, "min")(x, dim, keepdim)[0],
    **dict.fromkeys(("abs", "absolute"), lambda x: merged(nn.Maximum(), "abs", [x, _rescaled(x, -1.0, 0.0, "abs")])),
}
#: Those that keep the shape of their first argument.
KEEPING = frozenset(
    {
        *_ACTIVATIONS,
        "softmax",
        "log_softmax",
        "dropout",
        "clamp",
        "clip",
        "pow",
        "square",
        "maximum",
        "minimum",
        "contiguous",
        "clone",
        "abs",
        "detach",
    }
    | {"add", "iadd", "sub", "isub", "subtract", "mul", "imul", "multiply", "div", "truediv", "itruediv", "neg", "negative"}
    | {"transpose", "permute", "flip", "to", "float", "double", "long"}
)
