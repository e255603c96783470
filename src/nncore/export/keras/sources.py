"""Where weights of Keras come from: lists of arrays, a model of Keras, and its files. Files are data, and every size is checked.

Three kinds of file: ``.weights.h5`` of Keras 3, whose groups are named by class and number, not in the order of the layers;
``.keras``, a zip archive with such a file and the configuration; and the older ``.h5``, which lists its layers in order.
"""

from __future__ import annotations

import json
import os
import re
import stat
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from ...data.arrays import to_array
from ...errors import ArgumentError, FileFormatError, FileKindError, NncoreError, kind_of
from ...records import Shape
from ...saving import atomic, tensors
from . import hdf5

LONGEST_CONFIG = 16 << 20
DEEPEST = 32


class Array(NamedTuple):
    """An array that is read when its shape has been checked."""

    shape: Shape
    read: Callable[[], np.ndarray]


class Entry(NamedTuple):
    """A layer of Keras that has weights."""

    name: str
    kind: str  #: its class as files spell it, "dense", or "" if it is not known
    number: int  #: of several of this class in one model
    inside: str  #: the models that contain it, as a path
    arrays: list[Array]
    config: Mapping[str, Any]  #: empty if it is not known


class Source(NamedTuple):
    """Weights of Keras."""

    label: str  #: for messages
    entries: list[Entry] | None  #: None: only `arrays` are known
    is_ordered: bool  #: whether the entries are in the order of the layers
    arrays: list[Array]


def opened(source: Any) -> Source:
    """Return weights of Keras, of any kind."""
    if isinstance(source, str | bytes | os.PathLike):
        path = atomic.checked_path("load_keras_weights", source)
        with _guarded(path):
            return _file(path)
    if callable(getattr(source, "get_weights", None)) and hasattr(source, "layers"):
        return Source("the Keras model", list(_entries_of_model(source, "")), True, [])
    if isinstance(source, list | tuple):
        return Source("the list", None, True, _floats([to_array(each) for each in source]))
    raise ArgumentError(
        "load_keras_weights takes a file, a list of arrays as model.get_weights() gives it, or a model of Keras, not "
        f"{kind_of(source)}"
    )


def _floats(arrays: Sequence[np.ndarray]) -> list[Array]:
    """Return arrays without the counts of Normalization, which are whole numbers."""
    return [Array(each.shape, lambda each=each: each) for each in arrays if each.ndim or each.dtype.kind not in "iu"]  # type: ignore[misc]


@contextmanager
def _guarded(path: str) -> Iterator[None]:
    """Turn what the readers of files raise for a damaged file into FileFormatError."""
    try:
        yield
    except (NncoreError, FileNotFoundError, PermissionError, IsADirectoryError):
        raise
    except (  # what zipfile, zlib, json, NumPy and offsets or values of another kind than expected lead to
        *(ArithmeticError, AttributeError, EOFError, LookupError, MemoryError, OSError, RuntimeError, TypeError, ValueError),
        *(zipfile.BadZipFile, zlib.error),
    ) as error:
        raise FileFormatError(f"{path}: it is damaged, or no file of Keras weights ({str(error)[:300]})") from None


# Models of Keras -------------------------------------------------------------------------------------------------------------


def _entries_of_model(model: Any, inside: str) -> Iterator[Entry]:
    for layer in model.layers:
        if hasattr(layer, "layers"):
            yield from _entries_of_model(layer, f"{inside}/{layer.name}")
        elif weights := layer.get_weights():
            config = _flat_config(type(layer).__name__, layer.get_config())
            arrays = _floats([np.asarray(each) for each in weights])
            yield Entry(layer.name, _snake(type(layer).__name__), 0, inside, arrays, config)


def _flat_config(kind: str, config: Any) -> dict[str, Any]:
    """Return a layer's configuration; of a wrapper, with that of the layer in it."""
    found = dict(config) if isinstance(config, Mapping) else {}
    inner = found.get("layer")
    if kind in ("Bidirectional", "TimeDistributed") and isinstance(inner, Mapping):
        own = inner.get("config")
        found = {**(own if isinstance(own, Mapping) else {}), **{"merge_mode": found.get("merge_mode", "concat")}}
        found.pop("go_backwards", None)
    cell = found.get("cell")
    if isinstance(cell, Mapping) and isinstance(cell.get("config"), Mapping):
        found = {**cell["config"], **found}
    return found


def _snake(name: str) -> str:
    """Return a class as Keras names groups: "BatchNormalization" is "batch_normalization", and "PReLU" is "p_re_lu"."""
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", re.sub(r"(.)([A-Z][a-z0-9]+)", r"\1_\2", re.sub(r"\W+", "", name))).lower()


# Files -----------------------------------------------------------------------------------------------------------------------


def _file(path: str) -> Source:
    mode = os.stat(path).st_mode
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(21, "is a folder; a file is needed", path)
    if not stat.S_ISREG(mode):
        raise FileKindError(22, "is no regular file", path)
    with open(path, "rb") as file:
        begin = file.read(8)
    if begin[:4] == b"PK\x03\x04":
        with zipfile.ZipFile(path) as archive:
            config = _parsed(_member(archive, "config.json", LONGEST_CONFIG), os.path.getsize(path))
            content = _member(archive, "model.weights.h5", 2 * os.path.getsize(path) + (16 << 20))
        reader = _Reader(content, path)
        return Source(path, list(_configured(reader.groups(), config, "")), True, [])
    if begin == hdf5.SIGNATURE:
        with open(path, "rb") as file:
            reader = _Reader(file.read(), path)
        root = reader.file.members(reader.file.root).get("model_weights", reader.file.root)
        names = reader.file.texts(root, "layer_names")
        found = reader.newer(reader.groups(), "") if names is None else reader.older(root, names)
        return Source(path, list(found), names is not None, [])
    raise FileFormatError(f"{path}: it is neither an HDF5 file nor a .keras archive; its first bytes are {begin!r}")


def _parsed(text: bytes, size: int) -> Any:
    """Return a configuration, unless its objects take more memory than one of a file of this size can need."""
    if tensors.weigh(text) > tensors.room(size):
        raise ValueError("its configuration is too large")
    return json.loads(text)


def _member(archive: zipfile.ZipFile, name: str, limit: int) -> bytes:
    info = archive.getinfo(name)
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError(f"{name} is compressed in a way that Keras does not use")
    if info.file_size > limit:
        raise ValueError(f"{name} of {info.file_size} bytes is larger than such an archive can hold")
    with archive.open(info) as file:
        content = file.read(limit + 1)
    if len(content) > limit:
        raise ValueError(f"{name} is larger than it says")
    return content


class _Group(NamedTuple):
    """A layer, or a model in a model, in a file of Keras 3."""

    group: str  #: "dense_1"
    name: str  #: the name of the layer, if the file has it
    arrays: list[Array]
    inner: list[_Group] | None  #: of a model


class _Reader:
    """The layers of an HDF5 file."""

    def __init__(self, content: bytes, path: str) -> None:
        self.file, self.path = hdf5.File(content), path

    def array(self, address: int) -> Array:
        """Return an array that is not read yet."""

        def read() -> np.ndarray:
            with _guarded(self.path):
                return self.file.read(address)

        return Array(self.file.shape(address), read)

    def groups(self) -> list[_Group]:
        """Return the layers of a file of Keras 3."""
        members = self.file.members(self.file.root)
        for name in ("layers", "_layer_checkpoint_dependencies"):
            if name in members:
                return self._layers(members[name], 0)
        raise ValueError("it has no group 'layers'")

    def _layers(self, container: int, depth: int) -> list[_Group]:
        if depth > DEEPEST:
            raise ValueError("its models are nested too deeply")
        found = []
        for name, address in sorted(self.file.members(container).items(), key=lambda each: _number(each[0])):
            members = self.file.members(address)
            texts = self.file.texts(members["vars"], "name") if "vars" in members else None
            inner = self._layers(members["layers"], depth + 1) if "layers" in members else None
            arrays = list(self._arrays(members, depth)) if inner is None else []
            found.append(_Group(name, texts[0] if texts else name, arrays, inner))
        return found

    def _arrays(self, members: Mapping[str, int], depth: int) -> Iterator[Array]:
        """Yield the arrays of a layer, those of its cells and of the layers that it wraps included."""
        if depth > DEEPEST:
            raise ValueError("its groups are nested too deeply")
        if "vars" in members:
            for _, address in sorted(self.file.members(members["vars"]).items(), key=lambda each: int(each[0])):
                if not self.file.is_count(address):
                    yield self.array(address)
        first = {"forward_layer": 0, "backward_layer": 1}
        inner = [each for each in members if each not in ("vars", "seed_generator")]
        for name in sorted(inner, key=lambda each: (first.get(each, 2), _number(each))):
            yield from self._arrays(self.file.members(members[name]), depth + 1)

    def newer(self, groups: Sequence[_Group], inside: str) -> Iterator[Entry]:
        """Yield the layers of a file without configuration."""
        for each in groups:
            if each.inner is not None:
                yield from self.newer(each.inner, f"{inside}/{each.group}")
            elif each.arrays:
                kind, number = _number(each.group)
                yield Entry(each.name, kind, number, inside, each.arrays, {})

    def older(self, root: int, names: Sequence[str]) -> Iterator[Entry]:
        """Yield the layers of a file of the older format, in order."""
        configs = _older_configs(self.file.texts(self.file.root, "model_config"), self.file.size)
        groups = self.file.members(root)
        for name in names:
            arrays = []
            for path in self.file.texts(groups[name], "weight_names") or ():
                place = groups[name]
                for part in path.split("/"):
                    place = self.file.members(place)[part]
                if not self.file.is_count(place):
                    arrays.append(self.array(place))
            if arrays:
                kind, config = configs.get(name, ("", {}))
                yield Entry(name, _snake(kind), 0, "", arrays, config)


def _number(group: str) -> tuple[str, int]:
    """Return "dense", 1 for "dense_1"."""
    found = re.fullmatch(r"(.*?)_(\d{1,9})", group)
    return (found[1], int(found[2])) if found else (group, 0)


def _older_configs(texts: list[str] | None, size: int) -> dict[str, tuple[str, dict[str, Any]]]:
    """Return class and configuration of each layer that the file describes."""
    if not texts or len(texts[0]) > LONGEST_CONFIG:
        return {}
    found: dict[str, tuple[str, dict[str, Any]]] = {}
    for each in _layers_of(_parsed(texts[0].encode(), size)):
        config = each.get("config")
        if isinstance(config, dict) and isinstance(each.get("class_name"), str):
            found[str(config.get("name"))] = each["class_name"], _flat_config(each["class_name"], config)
    return found


def _layers_of(document: Any) -> list[dict[str, Any]]:
    """Return the descriptions of layers in a model's configuration."""
    config = document.get("config") if isinstance(document, dict) else None
    layers = config.get("layers") if isinstance(config, dict) else None
    if not isinstance(layers, list):
        raise ValueError("its configuration lists no layers")
    return [each for each in layers if isinstance(each, dict)]


def _configured(groups: Sequence[_Group], document: Any, inside: str) -> Iterator[Entry]:
    """Yield the layers of an archive, in the order of its configuration."""
    by_name = {each.name: each for each in groups}
    by_group = {each.group: each for each in groups}
    numbers: dict[str, int] = {}
    for each in _layers_of(document):
        kind, config = each.get("class_name"), each.get("config")
        if not isinstance(kind, str) or not isinstance(config, dict):
            raise ValueError("its configuration has a layer without a class")
        base = _snake(kind)
        numbers[base] = numbers.get(base, -1) + 1
        group = by_name.get(config.get("name", "")) or by_group.get(f"{base}_{numbers[base]}" if numbers[base] else base)
        if group is None:
            continue
        if group.inner is not None:
            yield from _configured(group.inner, each, f"{inside}/{group.group}")
        elif group.arrays:
            yield Entry(group.name, base, numbers[base], inside, group.arrays, _flat_config(kind, config))
