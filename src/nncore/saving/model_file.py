"""The content of a model file.

Tensors: parameters and running statistics have the names of ``state_dict``. If training is included, the optimizer's moments are
"training.moment0.<name of the parameter>". A weight of 8-bit integers is a tensor I8 with its name, and the scales of its rows, F32
with "_scale" after the name. The states of stateful layers for the next batch are "training.carried" [rows, numbers]:
layer by layer h and, for an LSTM, c. No layer can have the name "training". The metadata contain a JSON document under "nncore":

    format_version  1. Unknown versions raise an error.
    nncore_version  the version that wrote the file; for information only
    model           class ("Sequential" or "Model"), dtype; compute, in what products are computed (absent: in the dtype);
                    seed, layers; inference, the numbers of the layers that compute as at
                    inference in training, too (absent: none); of a Sequential input_shapes (null: not built yet), of a
                    Model graph: names of the layers (null: from the class), inputs [name, shape], calls [layer, values],
                    outputs [name, value] and by_name; values are numbered, inputs first, then the results of each call;
                    of a Sequential with models in it also parts: null for a layer, else class, layers (their number), and the
                    entries that describe the connections of such a model;
                    feature_names, see saving/names.py
    training        null, or losses, loss_weights, optimizer, metrics, check_finite, l1, l2 and, after training has started
                    (before: null), state: step; passes, the number of forward passes in training mode since then (absent: 0);
                    frozen, the numbers of the layers that were frozen at compile (absent: none);
                    options, one list [trainable, lr_scale, weight_decay, l1, l2, max_norm] per parameter; and progress, the
                    position of the last fit (null: none), see saving/progress.py

A model is stored as a `Sequential` or as a graph. A subclass is loaded as one of these two.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from .. import _core
from .._checks import compute_type, flag, shown
from ..errors import ArgumentError
from ..graph import Graph
from ..layers import Layer, Linear
from ..network.chain import Chain, check_layers
from ..network.connecting import connect
from ..network.network import Network
from ..network.parameters import SCALE, IncompatibleKeys, stored
from ..optim import Optimizer
from ..records import ParameterOptions, Shape
from ..training.configuration import Configuration
from ..training.trainer import Trainer
from . import declarations as data
from . import formats, int8, progress, tensors
from .connections import from_connections, to_named_graph, to_nested, to_shapes
from .fields import count, field, read_compute
from .names import from_names, read_names
from .tensors import Reader
from .training import TrainingState, capture, restore

FORMAT_VERSION = 1
PREFIX = "training."
CARRIED = PREFIX + "carried"
_TRACKED = "num_batches_tracked"  # the only tensor of integers


# Writing ---------------------------------------------------------------------------------------------------------------------


def save(network: Network, path: str | os.PathLike[str], include_training: bool) -> None:
    """Write a model; see `Model.save`."""
    formats.check_name("save", path)
    with network.access.between_steps():
        state = capture(network) if flag("save", "include_training", include_training) else None
        stored = _stored(network)
        if state is not None:
            for key, views in state.moments.items():
                stored.update({f"{PREFIX}{key}.{name}": view for name, view in views.items()})
            if state.carried is not None:
                stored[CARRIED] = state.carried
        calls = len(network.connections.nodes) if isinstance(network.connections, Graph) else 0
        memory = sum(map(data.memory_of, network.layers)) + tensors.CALL * calls
        tensors.check_room(path, stored, memory)
        # Copies, because writing takes long and another thread may continue to train.
        stored = {name: view.copy(order="C") for name, view in stored.items()}
        document = described(network, None if state is None else _from_state(state, stored))
    text = json.dumps(document, separators=(",", ":"), allow_nan=False)
    tensors.write(path, stored, {"format": "nncore", "nncore": text}, memory)


def described(network: Network, training: dict[str, Any] | None) -> dict[str, Any]:
    """Return the document of a file: the architecture, and training as data."""
    return {
        "format_version": FORMAT_VERSION,
        "nncore_version": _core.__version__,
        "model": {
            "class": "Model" if isinstance(network.connections, Graph) else "Sequential",
            "dtype": network.dtype.name,
            **({} if network.compute == network.dtype.name else {"compute": network.compute}),
            "seed": network.plan.seed,
            **from_connections(network),
            **from_names(network),
            "layers": [
                data.from_layer(layer, network.connections.layer_name(i), needs_initializers=not network.has_parameters)
                for i, layer in enumerate(network.layers)
            ],
            **({"inference": modes} if (modes := [i for i, each in enumerate(network.layers) if not each.training]) else {}),
        },
        "training": training,
    }


def save_weights(network: Network, path: str | os.PathLike[str], state_dict: Callable[[], dict[str, np.ndarray]]) -> None:
    """Write only the state dict."""
    formats.check_name("save_weights", path)
    with network.access.between_steps():
        stored = state_dict()
    tensors.write(path, stored, {"format": "nncore"})


def _stored(network: Network) -> dict[str, np.ndarray]:
    """Return the tensors of state_dict, as views if possible. If the network is not built, return the initial values that layers
    have."""
    if not network.built:
        return {
            name: each
            for i, layer in enumerate(network.layers)
            for role, value in layer._initial_values().items()
            for name, each in int8.tensors_of(f"{network.connections.key(i)}.{role}", value).items()
        }
    return {
        key: value
        for name, p in network.named_state("save")
        for key, value in ({name: p.value} if p.packed_shape is None and p.role != _TRACKED else stored(name, p)).items()
    }


def _from_state(state: TrainingState, stored: dict[str, np.ndarray]) -> dict[str, Any]:
    begun = state.options is not None
    return {
        **data.from_config(state.config),
        "state": {
            "step": state.step,
            **({"passes": state.passes} if state.passes else {}),
            **({"frozen": [i for i, frozen in enumerate(state.frozen) if frozen]} if state.frozen and any(state.frozen) else {}),
            "options": [list(each) for each in state.options or ()],
            "progress": progress.to_data(state.progress, stored),
        }
        if begun
        else None,
    }


# Reading ---------------------------------------------------------------------------------------------------------------------


def load_weights(
    network: Network, path: str | os.PathLike[str], strict: bool, load_state_dict: Callable[[Any, bool], IncompatibleKeys]
) -> IncompatibleKeys:
    """Copy in the tensors of a file; see `Model.load_weights`."""
    with Reader(path) as reader:
        own = dict(network.named_state("load_weights"))
        found = [name for name in reader.tensors if not name.startswith(PREFIX)]
        # Tensors that the model does not have are not read. Zeros without memory replace them, so that the keys can be compared.
        nothing = np.zeros(0)
        given = {name: reader.read(name) if name in own else nothing for name in found}
        return load_state_dict(given, strict)


def read_network(path: str | os.PathLike[str], custom_objects: Mapping[str, Any] | None = None, compute: Any = None) -> Network:
    """Make the network that a file describes; see `nncore.load`."""
    if custom_objects is not None and not isinstance(custom_objects, Mapping):
        raise ArgumentError(f"load: custom_objects must be a dict of names and classes or functions, not {shown(custom_objects)}")
    with Reader(path) as reader:
        reader.custom_objects = custom_objects or {}
        if "nncore" not in reader.metadata:
            reader.fail(
                "__metadata__", "the file contains no model of nncore; to load only weights, make the model and call load_weights"
            )
        return to_network(reader, tensors.parse(reader, "__metadata__.nncore", reader.metadata["nncore"]), compute)


def to_network(reader: Reader, document: Any, compute: Any = None) -> Network:
    """Make the network that a document describes, with the values of the reader's tensors."""
    version = field(reader, document, "format_version", int)
    if version != FORMAT_VERSION:
        newer = "; a newer nncore wrote it" if version > FORMAT_VERSION else ""
        reader.fail("format_version", f"{str(version)[:20]}, but this version of nncore reads {FORMAT_VERSION}{newer}")
    described = field(reader, document, "model", dict)
    network = _to_network(reader, described, compute)
    read_names(reader, described, network)
    training = field(reader, document, "training", dict, optional=True)
    if training is None:
        _require_no_more(reader, {name for name in reader.tensors if not name.startswith(PREFIX)})
    else:
        _train_on(reader, network, training)
    return network


def _to_network(reader: Reader, described: dict[str, Any], compute: Any) -> Network:
    if (name := field(reader, described, "model.class", str)) not in ("Sequential", "Model"):
        reader.fail("model.class", f"{name[:80]!r} is not known to this version of nncore; it knows Sequential and Model")
    if (dtype := field(reader, described, "model.dtype", str)) not in ("float32", "float64"):
        reader.fail("model.dtype", f'"float32" or "float64" is needed, not {dtype[:80]!r}')
    stored = read_compute(reader, described, "model.compute", dtype)
    if stored == "int8" and compute is not None:
        raise ArgumentError(f"load: {reader.path} is a quantized model, which computes in int8 alone; leave compute out")
    chosen = stored if compute is None else compute_type("load", compute, dtype)
    seed = count(reader, field(reader, described, "model.seed", int), "model.seed", 2**64)
    listed = field(reader, described, "model.layers", list)
    layers = [data.to_layer(reader, each, f"model.layers[{i}]") for i, each in enumerate(listed)]
    for each in field(reader, {"inference": [], **described}, "model.inference", list):
        layers[count(reader, each, "model.inference", len(layers))].training = False
    if name == "Model":
        return _to_graph(reader, described, layers, seed, dtype, chosen)
    shapes = to_shapes(reader, field(reader, described, "model.input_shapes", list, optional=True))
    nested, keys = None, [str(i) for i in range(len(layers))]
    if described.get("parts") is not None:
        nested, keys = to_nested(reader, described, layers, shapes, None if compute is None else chosen)
        int8.check_parts(reader, nested, chosen == "int8")
    given = _values(reader, layers, keys, np.dtype(dtype), complete=shapes is not None, in_int8=chosen == "int8")
    with data.refusing(reader, "model"):
        if nested is None:
            check_layers("Sequential", layers)
        if shapes is None and nested is None and Chain(layers).static_input_shapes() is not None:
            reader.fail("model.input_shapes", "null, but the layers say what it is")
        # Where the file has no values, none are drawn before there are data: memory is taken only for what the file holds.
        has_values = all(f"{key}.{role}" in given for key, layer in zip(keys, layers, strict=True) for role in _roles(layer))
        label = "QuantizedModel" if chosen == "int8" else "Sequential"
        network = connect(layers, nested or shapes, seed, dtype, label, draws=has_values, compute=chosen)
        if nested is not None and [id(layer) for layer in network.layers] != [id(layer) for layer in layers]:
            reader.fail("model.parts", "the layers must be called in the order in which they are listed, and all of them")
    if shapes is not None:
        _read_values(reader, network, given)
    return network


def _read_values(reader: Reader, network: Network, given: set[str]) -> None:
    for name, parameter in network.named_state("load"):
        if name not in given:
            reader.fail(f"tensor {name!r}", "is missing")
        if parameter.packed_shape is not None or name + SCALE in given:
            int8.read_into(reader, name, parameter)
        else:
            reader.read_into(name, parameter.value)


def _to_graph(reader: Reader, described: dict[str, Any], layers: list[Layer], seed: int, dtype: str, compute: str) -> Network:
    description, keys = to_named_graph(reader, described, layers)
    given = _values(reader, layers, keys, np.dtype(dtype), complete=True, in_int8=compute == "int8")
    with data.refusing(reader, "model"):
        network = connect(layers, description, seed, dtype, "QuantizedModel" if compute == "int8" else "Model", compute=compute)
    if [id(layer) for layer in network.layers] != [id(layer) for layer in layers]:
        reader.fail("model.graph.calls", "the layers must be called in the order in which they are listed, and all of them")
    _read_values(reader, network, given)
    return network


def _roles(layer: Layer) -> dict[str, Shape]:
    """Return the shape of each parameter and running statistic by its role."""
    return {**layer.parameter_shapes(), **layer.state_shapes()}


def _values(reader: Reader, layers: list[Layer], keys: list[str], dtype: np.dtype[Any], complete: bool, in_int8: bool) -> set[str]:
    """Check that the tensors belong to the layers. Pass them to the layers as initial values. Return their names."""
    names = set()
    for i, layer in enumerate(layers):
        start: dict[str, Any] = {}
        shapes = _roles(layer)
        reader.take(f"model.layers[{i}]", tensors.PARAMETER * len(shapes))
        for role, shape in shapes.items():
            name = f"{keys[i]}.{role}"
            tensor = reader.tensors.get(name)
            if in_int8 and name + SCALE in reader.tensors:
                start[role] = int8.checked(reader, name, shape, complete)
                names |= {name, name + SCALE}
                continue
            if tensor is None:
                if complete:
                    reader.fail(f"tensor {name!r}", "is missing")
                continue
            wanted = np.dtype("<i8") if role == _TRACKED and complete else dtype.newbyteorder("<")
            if tensor.shape != shape or (tensor.dtype != wanted and (complete or tensor.dtype.kind not in "fi")):
                reader.fail(
                    f"tensor {name!r}",
                    f"is {tensor.dtype} of shape {list(tensor.shape)}, but {wanted} of shape {list(shape)} is needed",
                )
            # Zeros without memory prevent the drawing of values. The values of the file are read directly into their buffer later.
            start[role] = np.broadcast_to(np.zeros((), dtype), shape) if complete else reader.read(name)
            names.add(name)
        layer.__dict__.update(_pending=start)
    unknown = [name for name in reader.tensors if name not in names and not name.startswith(PREFIX)]
    if unknown:
        reader.fail(f"tensor {unknown[0]!r}", "belongs to no layer")
    return names


def _train_on(reader: Reader, network: Network, training: dict[str, Any]) -> None:
    """Compile the network as the file says, and restore the state of training."""
    described = field(reader, training, "training.state", dict, optional=True)
    with data.refusing(reader, "training"):
        config = _to_config(reader, network.output_names, training)
        state = TrainingState(config, 0, None, {}) if described is None else _begun(reader, network, config, described)
        shapes = {} if described is None else _moment_shapes(network, config.optimizer)
        own = {name for name in reader.tensors if not name.startswith(PREFIX)} | set(shapes)
        if described is not None and network.is_stateful and CARRIED in reader.tensors:
            own.add(CARRIED)
            state = state._replace(carried=_carried(reader, network))
        _require_no_more(reader, own | (set() if described is None else progress.names(reader)))
        for name, shape in shapes.items():
            tensor = reader.tensors.get(name)
            if tensor is None:
                reader.fail(f"tensor {name!r}", "is missing")
            if tensor.shape != shape or tensor.dtype != network.dtype.newbyteorder("<"):
                reader.fail(
                    f"tensor {name!r}",
                    f"is {tensor.dtype} of shape {list(tensor.shape)}, not {network.dtype} of shape {list(shape)}",
                )
        moments = restore(network, state)
        if described is not None:
            place = described.get("progress")
            network.plan.trainer.progress = progress.from_data(reader, place, state.step, config)
    for key, views in moments.items():
        for name, view in views.items():
            reader.read_into(f"{PREFIX}{key}.{name}", view)


def _carried(reader: Reader, network: Network) -> np.ndarray:
    tensor = reader.tensors[CARRIED]
    if tensor.shape[1:] != (network.plan.carry(),) or not tensor.shape[0] or tensor.dtype != network.dtype.newbyteorder("<"):
        needed = f"{network.dtype} of shape [rows, {network.plan.carry()}]"
        reader.fail(f"tensor {CARRIED!r}", f"is {tensor.dtype} of shape {list(tensor.shape)}, but {needed} is needed")
    return np.ascontiguousarray(reader.read(CARRIED), network.dtype)


def _to_config(reader: Reader, outputs: list[str], training: dict[str, Any]) -> Configuration:
    def entry(name: str, kind: type) -> Any:
        return field(reader, training, f"training.{name}", kind)

    if "weighted_metrics" not in training:  # a file of a version whose metrics used the weights
        training = {**training, "metrics": [[] for _ in outputs], "weighted_metrics": training.get("metrics")}
    for name in ("losses", "metrics", "weighted_metrics", "loss_weights"):
        if len(entry(name, list)) != len(outputs):
            reader.fail(f"training.{name}", f"{len(entry(name, list))} for {len(outputs)} outputs")
    losses = [data.to_loss(reader, each, f"training.losses[{i}]") for i, each in enumerate(entry("losses", list))]
    metrics, weighted = (_to_metrics(reader, entry(name, list), name) for name in ("metrics", "weighted_metrics"))
    weights = entry("loss_weights", list)
    if not all(type(weight) in (int, float) for weight in weights):
        reader.fail("training.loss_weights", "numbers are needed")
    optimizer = data.to_optimizer(reader, entry("optimizer", dict), "training.optimizer")
    settings = entry("check_finite", bool), outputs, entry("l1", float), entry("l2", float)
    return Configuration(losses, optimizer, metrics, weights, *settings, weighted)


def _to_metrics(reader: Reader, outputs: list[Any], name: str) -> list[Any]:
    """Return the metrics of each output."""
    found = []
    for i, each in enumerate(outputs):
        if not isinstance(each, list):
            reader.fail(f"training.{name}[{i}]", f"a list of metrics is needed, not {tensors.kind(each)}")
        found.append([data.to_metric(reader, metric, f"training.{name}[{i}][{j}]") for j, metric in enumerate(each)])
    return found


def _moment_shapes(network: Network, optimizer: Optimizer) -> dict[str, Shape]:
    """Return the shapes of the moments of this optimizer before memory is allocated. They are derived from those of a tiny
    model."""
    probe = Network(Chain([Linear(1, 1)]), 0, "float32", "Sequential")
    rule = type(optimizer)(**{**optimizer.config(), "groups": ()})  # groups do not fit the names of the tiny model
    Trainer(Configuration("mse", rule, (), None, False, probe.output_names)).attach(probe)
    keys = [key for key in probe.plan.buffers() if key.startswith("moment") or key == "average"]
    return {f"{PREFIX}{key}.{name}": p.value.shape for key in keys for name, p in network.named_parameters("load")}


def _begun(reader: Reader, network: Network, config: Configuration, state: dict[str, Any]) -> TrainingState:
    if not network.built:
        reader.fail("training.state", "training has begun, but the model has no input shape")
    step = count(reader, field(reader, state, "training.state.step", int), "training.state.step", 2**62)
    options = []
    for i, each in enumerate(field(reader, state, "training.state.options", list)):
        where = f"training.state.options[{i}]"
        if not isinstance(each, list) or len(each) != len(ParameterOptions._fields) or type(each[0]) is not bool:
            reader.fail(where, f"a list of {', '.join(ParameterOptions._fields)} is needed")
        for name, value in zip(ParameterOptions._fields[1:], each[1:], strict=True):
            if not (type(value) in (int, float) and 0 <= value < 1e300) and not (name == "weight_decay" and value is None):
                reader.fail(where, f"{name} must be a number of at least 0")
        options.append(ParameterOptions(*each))
    if len(options) != len(network.plan.parameters()):
        reader.fail("training.state.options", f"{len(options)} for {len(network.plan.parameters())} parameters")
    frozen = [False] * len(network.layers)
    for each in field(reader, {"frozen": [], **state}, "training.state.frozen", list):
        frozen[count(reader, each, "training.state.frozen", len(frozen))] = True
    passes = count(reader, state.get("passes", 0), "training.state.passes", 2**64)
    return TrainingState(config, step, options, {}, passes=passes, frozen=frozen)


def _require_no_more(reader: Reader, known: set[str]) -> None:
    unknown = [name for name in reader.tensors if name not in known]
    if unknown:
        reader.fail(f"tensor {unknown[0]!r}", "belongs to nothing that the file describes")
