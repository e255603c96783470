"""The progress of training as data: numbers in the document, arrays as tensors.

The document has under training.state.progress: epoch, start, batch_size, rows, shuffle, accumulate (absent: 1), and callbacks, a
list of {"class": ..., "state": ...} with the state by attribute. Values that JSON cannot represent are objects: {"float": "nan"},
{"array": 0} for the tensor "training.callback0.<attribute>.0", {"arrays": 3} for a list of arrays. In the middle of an epoch its
sums are the tensors "training.epoch.sums0" and so on: one per output that has metrics, then one for the losses.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import ArgumentError
from ..metrics import from_old_sums
from ..training.configuration import Configuration
from ..training.progress import Progress
from .tensors import Reader, kind, stored_types

PREFIX = "training.epoch."
CALLBACK = "training.callback"
_FIELDS: dict[str, type] = {"epoch": int, "start": int, "batch_size": int, "rows": int, "shuffle": bool, "callbacks": list}
_FLOATS = {"nan": float("nan"), "inf": float("inf"), "-inf": float("-inf")}


def to_data(progress: Progress | None, tensors: dict[str, np.ndarray]) -> dict[str, Any] | None:
    """Return a copied progress as data for the document, and add its arrays to ``tensors``."""
    if progress is None:
        return None
    if progress.steps:
        tensors.update({f"{PREFIX}sums{i}": each for i, each in enumerate(progress.sums) if each is not None})
    callbacks = [
        {"class": name, "state": {key: _value(value, f"{CALLBACK}{i}.{key}", tensors) for key, value in state.items()}}
        for i, (name, state) in enumerate(progress.states or ())
    ]
    return {name: getattr(progress, name) for name in _FIELDS if name != "callbacks"} | {
        **({"accumulate": progress.accumulate} if progress.accumulate > 1 else {}),
        "callbacks": callbacks,
    }


def _value(value: Any, name: str, tensors: dict[str, np.ndarray]) -> Any:
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not np.isfinite(value):
        return {"float": repr(value)}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, np.ndarray) and value.dtype in stored_types():
        tensors[f"{name}.0"] = value
        return {"array": 0}
    if isinstance(value, list | tuple) and value and all(isinstance(each, np.ndarray) for each in value):
        for j, each in enumerate(value):
            _value(each, name, {})  # raises an error if the type cannot be stored
            tensors[f"{name}.{j}"] = each
        return {"arrays": len(value)}
    if isinstance(value, list | tuple):
        return [_value(each, name, {}) for each in value if _plain(each, name)]
    raise ArgumentError(f"{name}: a callback's state is {value!r}, which a file cannot hold")


def _plain(value: Any, name: str) -> bool:
    if value is not None and not isinstance(value, bool | int | float | str | np.generic):
        raise ArgumentError(f"{name}: a callback's state has a list with {value!r}, which a file cannot hold")
    return True


def names(reader: Reader) -> set[str]:
    """Return the names of the file's tensors that belong to progress."""
    return {name for name in reader.tensors if name.startswith((PREFIX, CALLBACK))}


def from_data(reader: Reader, data: Any, step: int, config: Configuration) -> Progress | None:
    """Return the progress that the file describes. config: the configuration of the compiled model."""
    field = "training.state.progress"
    expected: set[str] = set()
    if data is None:
        _none_left(reader, expected)
        return None
    if not isinstance(data, dict):
        reader.fail(field, f"an object is needed, not {kind(data)}")
    for name, wanted in _FIELDS.items():
        value = data.get(name)
        if type(value) is not wanted or (isinstance(value, int) and not 0 <= value < 2**63):
            reader.fail(f"{field}.{name}", f"is missing, or {kind(value)} of the wrong kind or size")
    start: int = data["start"]
    done = step - start
    if done < 0:
        reader.fail(f"{field}.start", f"must be from 0 to the step, {step}")
    states = [_state(reader, each, i, expected) for i, each in enumerate(data["callbacks"])]
    place = (data["batch_size"], data["rows"], data["shuffle"])
    accumulate = data.get("accumulate", 1)
    if type(accumulate) is not int or not 1 <= accumulate < 2**63:
        reader.fail(f"{field}.accumulate", "a whole number of at least 1 is needed")
    progress = Progress(data["epoch"], data["start"], *place, states=states, accumulate=accumulate)
    shapes = config.sum_shapes
    if done and f"{PREFIX}sums{len(shapes) - 1}" in reader.tensors:  # otherwise updates were made outside of fit
        progress.sums = [None if shape is None else _sums(reader, config, i, shape, expected) for i, shape in enumerate(shapes)]
        batch, rows, seen = data["batch_size"], data["rows"], progress.sums[-1]
        if done > (-(-rows // max(batch, 1)) if rows else seen[-1, 1] if seen is not None else 0):
            reader.fail(f"{field}.start", f"{done} steps are more than the epoch has had rows for")
        progress.steps = done
    _none_left(reader, expected)
    return progress


def _sums(reader: Reader, config: Configuration, i: int, shape: tuple[int, ...], expected: set[str]) -> np.ndarray:
    """Return the sums of an output, or those of the losses, which come last."""
    name, dtype = f"{PREFIX}sums{i}", np.dtype("<f8")
    tensor = reader.tensors.get(name)
    if tensor is None or tensor.shape == shape or i == len(config.statistics):
        return _read(reader, name, shape, dtype, expected)
    old = from_old_sums(_read(reader, name, None, dtype, expected), config.statistics[i], config.tasks[i])
    if old is None:
        reader.fail(f"tensor {name!r}", f"is {tensor.dtype} of shape {list(tensor.shape)}, which does not fit")
    return old


def _state(reader: Reader, data: Any, i: int, expected: set[str]) -> tuple[str, dict[str, Any]]:
    field = f"training.state.progress.callbacks[{i}]"
    if not isinstance(data, dict) or type(data.get("class")) is not str or type(data.get("state")) is not dict:
        reader.fail(field, "an object with class and state is needed")
    return data["class"], {
        key: _loaded(reader, value, f"{CALLBACK}{i}.{key}", field, expected) for key, value in data["state"].items()
    }


def _loaded(reader: Reader, value: Any, name: str, field: str, expected: set[str]) -> Any:
    if isinstance(value, list):
        if any(isinstance(each, list) or (isinstance(each, dict) and set(each) != {"float"}) for each in value):
            reader.fail(field, "a list of numbers or strings is needed")
        return [_loaded(reader, each, name, field, expected) for each in value]
    if not isinstance(value, dict):
        return value
    form, number = next(iter(value.items())) if len(value) == 1 else ("", None)
    if form == "float" and isinstance(number, str) and number in _FLOATS:
        return _FLOATS[number]
    if form == "array" and number == 0:
        return _read(reader, f"{name}.0", None, None, expected)
    if form == "arrays" and type(number) is int and 0 < number <= len(reader.tensors):
        return [_read(reader, f"{name}.{j}", None, None, expected) for j in range(number)]
    return reader.fail(field, "neither a number nor a string, nor an array")


def _read(reader: Reader, name: str, shape: tuple[int, ...] | None, dtype: np.dtype[Any] | None, expected: set[str]) -> np.ndarray:
    tensor = reader.tensors.get(name)
    if tensor is None:
        reader.fail(f"tensor {name!r}", "is missing")
    if (shape is not None and tensor.shape != shape) or (dtype is not None and tensor.dtype != dtype) or name in expected:
        reader.fail(f"tensor {name!r}", f"is {tensor.dtype} of shape {list(tensor.shape)}, which does not fit")
    expected.add(name)
    return reader.read(name)


def _none_left(reader: Reader, expected: set[str]) -> None:
    unknown = sorted(names(reader) - expected)
    if unknown:
        reader.fail(f"tensor {unknown[0]!r}", "belongs to nothing that the file describes")
