"""What `forward` may call: functions and methods of torch and operators, by name, as layers of nncore."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ... import layers as nn
from ...graph import record
from ...layers import Layer
from .layers import Unknown, softmax
from .recurrent import refused_part
from .tensors import BATCH, Constant, Half, Tensor, Zeros


def on(layer: Layer, x: Tensor) -> Tensor:
    """Return the result of a layer that keeps the dimensions, or acts on the last one."""
    return x.replace(value=record(layer, x.value)[0], source=None, last_of=None)


def full(x: Any, owner: str) -> Tensor:
    """Return a tensor whose value has all dimensions that torch has, or raise Unknown."""
    if not isinstance(x, Tensor):
        raise Unknown(f"{owner} of {said(x)}")
    if x.is_column:
        raise Unknown(f"{owner} of a tensor [N], which is [N, 1] here; leave out the squeeze before it")
    if x.is_flat:
        return Tensor(record(nn.Reshape(1, *x.value.shape), x.value)[0], 1)
    return x


def said(x: Any) -> str:
    if isinstance(x, Constant):
        return f"{x.path!r}, a tensor that is no weight of a layer of the table"
    if isinstance(x, Half):
        return str(refused_part(x.state.source.path if x.state.source else "", f"h_n[{x.index}]"))
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
        if not isinstance(x, Tensor):
            raise Unknown(f"{name} of {said(x)}")
        return on(getattr(nn, layer)(**given), x)

    return call


def _row(name: str) -> Callable[..., Tensor]:
    def call(x: Any, dim: Any = None, _stacklevel: int = 3, dtype: Any = None) -> Tensor:
        tensor = full(x, name)
        if dim is None:
            dim = {1: 0, 3: 0}.get(len(tensor.labels()), 1)  # as torch chooses it
        if tensor.axis(dim, name) != len(tensor.value.shape):
            raise Unknown(f"{name} with dim={dim}; only the last dimension is possible, dim=-1")
        return on(softmax({"softmax": "Softmax", "log_softmax": "LogSoftmax"}[name], -1), tensor)

    return call


def _glu(x: Any, dim: int = -1) -> Tensor:
    tensor = full(x, "glu")
    if tensor.axis(dim, "glu") != len(tensor.value.shape):
        raise Unknown(f"glu with dim={dim}; only the last dimension is possible, dim=-1")
    return on(nn.GLU(), tensor)


def _dropout(x: Any, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    if training is not False:  # it is traced in eval mode
        raise Unknown("dropout that is active in eval mode, too; write F.dropout(x, p, training=self.training), or use nn.Dropout")
    return on(nn.Dropout(p), full(x, "dropout") if not isinstance(x, Tensor) else x)


def _clamp(x: Any, min: Any = None, max: Any = None) -> Tensor:
    low, high = number(min), number(max)
    if high is None and low is not None:
        return on(nn.ReLU() if low == 0 else nn.Threshold(low, low), full(x, "clamp") if not isinstance(x, Tensor) else x)
    if low is None or high is None:
        raise Unknown("clamp needs numbers min and max, or min alone")
    return on(nn.Hardtanh(low, high), full(x, "clamp") if not isinstance(x, Tensor) else x)


# Arithmetic ------------------------------------------------------------------------------------------------------------------


def together(owner: str, tensors: Sequence[Any]) -> list[Tensor]:
    """Return tensors with equally many dimensions and the batch at the same place, or raise Unknown."""
    found = [x if isinstance(x, Tensor) and x.is_column else full(x, owner) for x in tensors]
    if len({(x.batch, x.is_column, len(x.value.shape)) for x in found}) > 1:
        shapes = ", ".join(str(x.sizes()) for x in found)
        raise Unknown(f"{owner} of tensors of the shapes {shapes}; give them equally many dimensions, with the batch at one place")
    return found


def merged(layer: Layer, owner: str, tensors: Sequence[Any]) -> Tensor:
    """Return the result of a merging layer."""
    found = together(owner, tensors)
    names = frozenset[str]().union(*(x.arguments for x in found))
    return found[0].replace(value=record(layer, [x.value for x in found])[0], source=None, last_of=None, arguments=names)


def _rescaled(x: Any, scale: float, offset: float, owner: str) -> Tensor:
    tensor = x if isinstance(x, Tensor) and x.is_column else full(x, owner)
    value = tensor.value
    if (scale, offset) != (1.0, 0.0):
        value = record(nn.Rescaling(scale, offset), value)[0]
    return tensor.replace(value=value, source=None, last_of=None)


def _add(x: Any, y: Any, *, alpha: float = 1, sign: float = 1.0) -> Tensor:
    a, b, alpha = number(x), number(y), alpha * sign
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
        return merged(nn.Multiply(), "*", [x, y])
    return _rescaled(y if a is not None else x, a if a is not None else b or 0.0, 0.0, "*")


def _div(x: Any, y: Any, rounding_mode: Any = None) -> Tensor:
    b = number(y)
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
        if owner == "max" and type(y) is int:
            return pooled(nn.GlobalMaxPooling1D(), x, y, keepdim, owner), None
        raise Unknown(f"{owner} takes two tensors{', or a tensor and the dimension of time' if owner == 'max' else ''}")

    return call


def pooled(layer: Layer, x: Any, dim: Any, keepdim: bool, owner: str) -> Tensor:
    """Return the mean or maximum over the first dimension after the batch."""
    tensor = full(x, owner)
    dims = list(dim) if isinstance(dim, list | tuple) else [dim]
    if len(dims) != 1 or len(tensor.value.shape) < 2 or tensor.axis(dims[0], owner) != 1:
        raise Unknown(f"{owner} with dim={dim!r}; only the dimension of time is possible, dim=1 of [N, time, features]")
    value = record(layer, tensor.value)[0]
    if keepdim:
        return tensor.replace(value=record(nn.Reshape(1, *value.shape), value)[0], source=None)
    return Tensor(value, 0, arguments=tensor.arguments)


def _mean(x: Any, dim: Any = None, keepdim: bool = False, dtype: Any = None) -> Tensor:
    return pooled(nn.GlobalAveragePooling1D(), x, dim, keepdim, "mean")


def _amax(x: Any, dim: Any = None, keepdim: bool = False) -> Tensor:
    return pooled(nn.GlobalMaxPooling1D(), x, dim, keepdim, "amax")


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
    "mean": _mean,
    "amax": _amax,
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
    }
    | {"add", "iadd", "sub", "isub", "subtract", "mul", "imul", "multiply", "div", "truediv", "itruediv", "neg", "negative"}
    | {"transpose", "permute", "to", "float", "double", "long"}
)
