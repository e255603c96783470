"""What `forward` may call to change shapes, and indices. functions.py has what computes, parts.py what reads parts."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

from ... import layers as nn
from ...graph import Value, record
from .functions import COMPUTING, computed, full, merged, on, reshaped, said, selected, tensor_of, together
from .layers import Unknown
from .parts import PARTS, index_select, one, place_of, sliced
from .recurrent import index_of_step, part_of_output
from .tensors import BATCH, Batch, Constant, Final, Half, Layers, Source, Tensor, Zeros

# Shapes ----------------------------------------------------------------------------------------------------------------------


def _flatten(x: Any, start_dim: int = 0, end_dim: int = -1) -> Tensor:
    if isinstance(x, Tensor) and x.is_column:
        return x
    tensor = full(x, "flatten")
    if tensor.batch:
        raise Unknown("flatten of a tensor with the batch second; put the batch first by transpose(0, 1)")
    start, end = tensor.axis(start_dim, "flatten"), tensor.axis(end_dim, "flatten")
    if start == 0:
        if tensor.size() == 1:
            return reshaped(tensor, ())
        raise Unknown("flatten with start_dim=0 would merge the batch; use 1")
    return on(nn.Flatten(start, end), tensor) if start < end else tensor


def _view(x: Any, *sizes: Any, shape: Any = None) -> Tensor | Layers:
    wanted = list(sizes[0] if len(sizes) == 1 and isinstance(sizes[0], list | tuple) else sizes or shape)
    x = tensor_of(x, "view")
    if x.source is not None and len(wanted) == 4:
        m = x.source.module
        if wanted[:2] == [m.num_layers, 2 if m.bidirectional else 1] and wanted[3] in (-1, m.hidden_size):
            return Layers(x)
    tensor = x if x.is_column else full(x, "view", joined=True)
    text = ", ".join(map(str, wanted))
    if tensor.is_joined:
        tensor = tensor.replace(is_joined=False)
        if tensor.batch and wanted[1:2] in ([BATCH], [-1]):  # time comes first again
            wanted[:2] = wanted[1::-1]
            return _view(tensor.replace(batch=0), *wanted).replace(batch=1)  # type: ignore[union-attr]
    first, rest = wanted[0], wanted[1:]
    times, inner = (tensor.value.shape[0], tensor.value.shape[1:]) if len(tensor.value.shape) > 1 else (0, ())
    if len(inner) == 1 and times > 1 and (rest == [*inner] or rest == [-1]) and first in (-1, Batch(times)):
        return tensor.replace(is_joined=True, source=None, last_of=None, states=None)
    if tensor.batch or not all(type(size) is int for size in rest):
        raise Unknown(f"view({text}) of a tensor {tensor.sizes()}; the batch must stay the first dimension")
    if rest.count(-1) == 1:
        known = math.prod(size for size in rest if size != -1)
        rest = [tensor.size() // known if size == -1 and known else size for size in rest]
    if math.prod(rest) != tensor.size() or first not in (BATCH, -1):
        raise Unknown(f"view({text}) of a tensor {tensor.sizes()} mixes the batch with other dimensions, or fixes its size")
    return reshaped(tensor, rest)


def _unflatten(x: Any, dim: int, sizes: Any) -> Tensor:
    tensor = full(x, "unflatten")
    at = tensor.axis(dim, "unflatten")
    if at == 0 or not all(type(size) is int for size in sizes):
        raise Unknown("unflatten of the batch")
    before, after, size = tensor.value.shape[: at - 1], tensor.value.shape[at:], tensor.value.shape[at - 1]
    known = math.prod(each for each in sizes if each != -1)
    return reshaped(tensor, [*before, *(size // known if each == -1 and known else each for each in sizes), *after])


def _squeeze(x: Any, dim: Any = None) -> Tensor:
    if isinstance(x, Tensor) and x.is_flat and dim == 0:
        return Tensor(x.value)
    tensor = full(x, "squeeze")
    dims = list(range(len(tensor.labels()))) if dim is None else [dim]
    labels = {tensor.axis(each, "squeeze") for each in dims} - ({0} if dim is None else set())
    if 0 in labels:
        raise Unknown("squeeze of the batch")
    gone = {label for label in labels if tensor.value.shape[label - 1] == 1}
    if not gone:
        return tensor
    left = [size for i, size in enumerate(tensor.value.shape) if i + 1 not in gone]
    return reshaped(tensor, left, 0 if 1 in gone else tensor.batch)


def _unsqueeze(x: Any, dim: int) -> Tensor:
    tensor = x if isinstance(x, Tensor) and x.is_column else full(x, "unsqueeze")
    rank = len(tensor.labels())
    at = dim + rank + 1 if dim < 0 else dim
    if tensor.is_column:
        if at != 1:
            raise Unknown(f"unsqueeze({dim}) of a tensor [N]")
        return Tensor(tensor.value)
    batch = tensor.batch + (at <= tensor.batch)
    if batch > 1:
        raise Unknown(f"unsqueeze({dim}) of a tensor {tensor.sizes()}")
    before = at if at <= tensor.batch else at - 1
    shape = tensor.value.shape
    return reshaped(tensor, [*shape[:before], 1, *shape[before:]], batch)


def _permute(x: Any, *dims: Any) -> Tensor:
    tensor = full(x, "permute")
    wanted = list(dims[0] if len(dims) == 1 and isinstance(dims[0], list | tuple) else dims)
    labels = [tensor.axis(dim, "permute") for dim in wanted]
    if sorted(labels) != list(range(len(tensor.labels()))) or labels.index(0) > 1:
        raise Unknown(f"permute{tuple(wanted)} of a tensor {tensor.sizes()}; the batch must become the first or second dimension")
    order = [label for label in labels if label]
    value = tensor.value if order == sorted(order) else record(nn.Permute(*order), tensor.value)[0]
    return Tensor(value, labels.index(0), arguments=tensor.arguments if value is tensor.value else frozenset())


def _transpose(x: Any, dim0: int, dim1: int) -> Tensor:
    rank = len(full(x, "transpose").labels()) if not (isinstance(x, Tensor) and x.is_flat) else 3
    dims = list(range(rank))
    try:
        dims[dim0], dims[dim1] = dims[dim1], dims[dim0]
    except (IndexError, TypeError):
        raise Unknown(f"transpose({dim0}, {dim1}) of a tensor of {rank} dimensions") from None
    return _permute(x, dims)


def _cat(tensors: Any, dim: int = 0, *, axis: int | None = None) -> Tensor:
    dim = dim if axis is None else axis
    if tensors and all(isinstance(x, Half) for x in tensors) and dim in (1, -1):
        return _both_halves(tensors)
    found = together("cat", [tensor_of(x, "cat") for x in tensors])
    at = found[0].axis(dim, "cat")
    if at == 0 or found[0].is_column:
        raise Unknown(f"cat with dim={dim} joins along the batch" if at == 0 else "cat of tensors [N]")
    return merged(nn.Concatenate(at), "cat", found) if len(found) > 1 else found[0]


def _both_halves(halves: Sequence[Half]) -> Tensor:
    state = halves[0].state
    source = state.source
    assert source is not None
    count = 2 * source.module.num_layers
    numbers = [half.index for half in halves]
    if all(half.state.value is state.value for half in halves) and numbers == [count - 2, count - 1]:
        if source.final is not None:
            return Tensor(source.final)
        if source.module.num_layers == 1:
            return Tensor(record(nn.Flatten(), state.value)[0])
    return merged(nn.Concatenate(1), "cat", [tensor_of(half, "cat") for half in halves])


def _stack(tensors: Any, dim: int = 0) -> Tensor:
    found = [_unsqueeze(x, dim) for x in tensors]
    if len({x.batch for x in found}) > 1:
        raise Unknown("stack of tensors with the batch at different places")
    label = found[0].axis(dim, "stack")
    return merged(nn.Concatenate(label), "stack", found) if len(found) > 1 else found[0]


# Reading ---------------------------------------------------------------------------------------------------------------------


def _getitem(x: Any, index: Any) -> Any:
    if isinstance(x, list | tuple):
        return x[index]
    if isinstance(x, Final):
        return x.tensor
    if isinstance(x, Half):
        x = tensor_of(x, "an index")
    if isinstance(x, Layers):
        source = x.state.source
        if source is None or index not in (-1, source.module.num_layers - 1):
            raise Unknown(f"the index {index!r} of the layers of h_n; only the last one can be read, [-1]")
        return _last_layer(x.state, source)
    if not isinstance(x, Tensor):
        raise Unknown(f"an index of {said(x)}")
    parts = index if isinstance(index, tuple) else (index,)
    if x.source is not None and (found := _one_state(x, x.source, index)) is not None:
        return found
    if x.last_of is not None and x.value.shape[0] == 2 and x.last_of.source is not None and index in (0, 1, -1, -2):
        return Half(x.last_of, 2 * x.last_of.source.module.num_layers - 2 + index % 2)
    if x.states is not None and x.states.source is not None:
        half = part_of_output(x.states.source.module, index)
        if half is not None:
            return Half(x.states, 2 * x.states.source.module.num_layers - 2 + half)
    return _indexed(x, parts)


def _indexed(x: Tensor, parts: Sequence[Any]) -> Tensor:
    """Return x[parts], one part after another."""
    if Ellipsis in parts:
        i = list(parts).index(Ellipsis)
        fill = len(_size(x)) - sum(part is not None for part in parts) + 1
        parts = (*parts[:i], *[slice(None)] * fill, *parts[i + 1 :])
    dim = 0
    for part in parts:
        if part == slice(None):
            dim += 1
        elif part is None:
            x, dim = _unsqueeze(x, dim), dim + 1
        elif isinstance(part, slice):
            x, dim = sliced(full(x, "a slice"), dim, part), dim + 1
        elif isinstance(part, list) or (isinstance(part, Constant) and part.tensor.dim() == 1):
            x, dim = index_select(x, dim, part), dim + 1
        elif isinstance(part, int) and not isinstance(part, bool):
            x = one(full(x, "an index"), dim, part)
        else:
            raise Unknown(f"the index {part!r}; numbers, lists of numbers, slices and None are possible")
    return x


def _movedim(x: Any, source: Any, destination: Any) -> Tensor:
    rank = len(full(x, "movedim").labels())
    old, new = ([d % rank for d in (each if isinstance(each, list | tuple) else [each])] for each in (source, destination))
    moved = dict(zip(new, old, strict=True))
    others = iter(d for d in range(rank) if d not in old)
    return _permute(x, [moved[i] if i in moved else next(others) for i in range(rank)])


def _repeat(x: Any, *sizes: Any, expands: bool = False) -> Tensor:
    """Return x.repeat(sizes), or x.expand(sizes)."""
    tensor = x if isinstance(x, Tensor) and x.is_column else full(x, "repeat")
    wanted = list(sizes[0] if len(sizes) == 1 and isinstance(sizes[0], list | tuple) else sizes)
    while len(wanted) > len(tensor.labels()) and wanted[0] in (1, -1):
        raise Unknown(f"repeat({', '.join(map(str, wanted))}) of a tensor {tensor.sizes()}; write unsqueeze before it")
    for dim, n in enumerate(wanted):
        size = tensor.sizes()[dim]
        if n in (1, -1) or (expands and n == size):
            continue
        label, size = place_of(tensor, dim, "repeat")
        if type(n) is not int or n < 1 or (expands and size != 1):
            raise Unknown(f"repeat({', '.join(map(str, wanted))}) of a tensor {tensor.sizes()}")
        if label == size == 1 and len(tensor.value.shape) == 2:
            tensor = computed(tensor, record(nn.RepeatVector(n), record(nn.Flatten(), tensor.value)[0])[0])
        else:
            tensor = computed(tensor, record(nn.Concatenate(label), [tensor.value] * n)[0])
    return tensor


def _index_text(parts: Sequence[Any]) -> str:
    return f"[{', '.join(':' if part == slice(None) else repr(part) for part in parts)}]"


def _last_layer(x: Tensor, source: Source) -> Tensor:
    """Return the states of the last layer, [directions, N, hidden]."""
    if source.module.num_layers == 1:
        return x
    directions = 2 if source.module.bidirectional else 1
    if source.final is None:
        return selected(x, 1, slice(-directions, None))
    return Tensor(record(nn.Reshape(directions, source.module.hidden_size), source.final)[0], 1, last_of=x)


def _one_state(x: Tensor, source: Source, index: Any) -> Tensor | Half | None:
    """Return h_n[i] if the layer gives it by itself."""
    i = index_of_step(index, 0)
    if index == slice(-2 if source.module.bidirectional else -1, None, None):
        return _last_layer(x, source)
    if i is None:
        return None
    directions = 2 if source.module.bidirectional else 1
    count = directions * source.module.num_layers
    if not -count <= i < count:
        raise Unknown(f"h_n[{i}] of {source.path}, which has {count}")
    if directions == 2:
        return Half(x, i % count)
    if i % count != count - 1:
        return None
    if source.final is not None:
        return Tensor(source.final)
    return Tensor(x.value if x.is_flat else record(nn.LastStep(), x.value)[0])


def _size(x: Any, dim: int | None = None) -> Any:
    if isinstance(x, Tensor) and x.is_joined and dim == 0:
        raise Unknown("the first size of a tensor in which the batch and time are one dimension")
    sizes = (BATCH,) if isinstance(x, Tensor) and x.is_column else tuple(full(x, "size", joined=dim is not None).sizes())
    return sizes if dim is None else sizes[dim]


def _getattr(x: Any, name: str) -> Any:
    if isinstance(x, tuple) and name == "values" and len(x) == 2:  # of torch.max
        return x[0]
    if name == "shape":
        return _size(x)
    if name == "ndim":
        return len(_size(x))
    if name in ("device", "dtype", "is_cuda"):
        return None
    raise Unknown(f"the attribute .{name}")


def _rank(x: Any) -> int:
    return len(_size(x))


def _same(x: Any, *args: Any, **kwargs: Any) -> Any:
    return x


def _to(x: Any, *args: Any, **kwargs: Any) -> Any:
    """Return a tensor as another type or on another device. Only what comes in may become whole numbers, such as indices."""
    is_whole = any(not getattr(each, "is_floating_point", True) for each in (*args, *kwargs.values()))  # types have it
    return _whole(x) if is_whole else x


def _whole(x: Any, *args: Any, **kwargs: Any) -> Any:
    if isinstance(x, Tensor) and x.value.node is not None:
        raise Unknown("only an input may become whole numbers; leave it out")
    return x


def _detached(x: Any, *args: Any) -> Any:
    """Return what no gradient passes, if none would: zeros, or what is computed of inputs without weights."""
    waiting = [x.value] if isinstance(x, Tensor) else []
    while waiting:
        node = waiting.pop().node
        if node is not None:
            if node.layer.trainable and node.layer.may_have_parameters():
                raise Unknown("gradients pass everything here; leave it out, or set trainable=False of layers")
            waiting += node.inputs
    return x


def _divided(*args: Any) -> Any:
    raise Unknown("a division that rounds; only sizes can be divided so")


def _zeros(*args: Any, **kwargs: Any) -> Zeros:
    return Zeros()


#: Every function, method and operator, by its name.
FUNCTIONS: dict[str, Callable[..., Any]] = {
    **COMPUTING,
    **PARTS,
    "flatten": _flatten,
    **dict.fromkeys(("view", "reshape"), _view),
    "unflatten": _unflatten,
    "squeeze": _squeeze,
    "unsqueeze": _unsqueeze,
    "permute": _permute,
    **dict.fromkeys(("transpose", "swapaxes", "swapdims"), _transpose),
    **dict.fromkeys(("cat", "concat", "concatenate"), _cat),
    "hstack": lambda tensors: _cat(tensors, 1),
    "stack": _stack,
    "getitem": _getitem,
    "getattr": _getattr,
    "size": _size,
    **dict.fromkeys(("dim", "ndimension"), _rank),
    **dict.fromkeys(("contiguous", "clone", "float", "double", "type_as", "cpu"), _same),
    **dict.fromkeys(("to", "type"), _to),
    **dict.fromkeys(("detach", "requires_grad"), _detached),
    **dict.fromkeys(("movedim", "moveaxis"), _movedim),
    **dict.fromkeys(("repeat", "tile"), _repeat),
    "expand": functools.partial(_repeat, expands=True),
    **dict.fromkeys(("long", "int"), _whole),
    **dict.fromkeys(("floordiv", "mod"), _divided),
    **dict.fromkeys(("zeros", "zeros_like", "new_zeros"), _zeros),
}


def value_of(x: Any, owner: str) -> Value:
    """Return the value of an output or of an initial state, which may lack a dimension."""
    return x.value if isinstance(x, Tensor) else full(x, owner).value
