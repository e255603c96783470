"""Facts about a model that several examinations need: its layers with weights, what ends an output, and the classes of targets."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from .case import Case, Rows


class WeightLayer(NamedTuple):
    """A weight matrix and the layer that it is in."""

    key: str  #: of the layer, as in ``state_dict``
    name: str  #: of the parameter, such as "0.weight"
    where: str  #: the layer in words
    value: np.ndarray  #: [units, inputs]
    is_last: bool  #: whether no other weight matrix follows
    is_recurrent: bool


def weight_layers(model: Any) -> list[WeightLayer]:
    """Return the weight matrices of linear and recurrent layers, in order."""
    network = model._network
    found: list[WeightLayer] = []
    ops = network.plan.ops
    for name, parameter in network.named_parameters("diagnose"):
        role = name.rpartition(".")[2]
        if ops[parameter.op].kind not in ("linear", "recurrent") or not role.startswith("weight"):
            continue
        owner = network.plan.owners[parameter.op]
        where = f"{network.connections.layer_name(owner)}"
        recurrent = ops[parameter.op].kind == "recurrent"
        found.append(WeightLayer(name.rpartition(".")[0], name, where, np.asarray(parameter.value, np.float64), False, recurrent))
    if found:
        found[-1] = found[-1]._replace(is_last=True)
    return found


def layers_of(model: Any, kind: str) -> list[str]:
    """Return the names of the layers that have ops of a kind, such as "batch_norm"."""
    plan, connections = model._network.plan, model._network.connections
    return [connections.layer_name(owner) for op, owner in zip(plan.ops, plan.owners, strict=True) if op.kind == kind]


class Classes(NamedTuple):
    """The classes of one output's targets."""

    labels: np.ndarray  #: [N], the class of each row
    counts: np.ndarray  #: rows of each class


def classes_of(case: Case, rows: Any, output: int = 0) -> Classes | None:
    """Return the classes of an output's targets, or None if its loss is no loss of classes."""
    loss, y = case.losses[output], list(rows.targets.values())[output]
    shape = case.start.output_shapes[output]
    if len(shape) > 1:
        return None
    columns = shape[-1] if shape else 1
    if loss.targets == "classes":
        labels = np.asarray(y).reshape(len(y), -1)
        if labels.shape[1] != 1:
            labels = labels.argmax(1)[:, None]
        found = labels[:, 0].astype(np.int64)
    elif loss.targets == "one_hot" and columns > 1:
        found = np.asarray(y).reshape(len(y), -1).argmax(1)
    elif loss.targets in ("probabilities", "signs") and columns == 1:
        found = (np.asarray(y, np.float64).reshape(len(y)) > (0.5 if loss.targets == "probabilities" else 0)).astype(np.int64)
    else:
        return None
    return Classes(found, np.bincount(found.clip(0), minlength=max(2, columns)))


def predicted_classes(case: Case, model: Any, rows: Any, output: int = 0) -> np.ndarray:
    """Return the classes that a model answers with."""
    loss, answer = case.losses[output], case.predict(model, rows)[output]
    answer = answer.reshape(len(answer), -1)
    if answer.shape[1] > 1:
        return np.asarray(answer.argmax(1))
    limit = 0.0 if loss.from_logits or loss.targets == "signs" else 0.5
    return np.asarray(answer[:, 0] > limit, np.int64)


def columns_of(values: np.ndarray) -> np.ndarray:
    """Return rows of features [n, columns], time steps as rows of their own."""
    flat = np.asarray(values, np.float64)
    return flat.reshape(-1, flat.shape[-1]) if flat.ndim > 1 else flat[:, None]


def numbers_of(case: Case, rows: Rows) -> dict[str, np.ndarray]:
    """Return the inputs that are numbers, not indices of an embedding, by name."""
    plan = case.plan
    return {name: rows.inputs[name] for i, name in enumerate(case.start.input_names) if not plan.holds_indices(i)}


def where_of(case: Case, name: str) -> str:
    """Return how an input is called in a verdict."""
    return "inputs" if len(case.start.input_names) == 1 else f"input {name!r}"
