"""The view of a model that callbacks of Keras get, so that they run unchanged. Keras itself is not needed.

Keras's ModelCheckpoint and BackupAndRestore insist on names such as "best.keras" and "latest.weights.h5". Their files have these
names here, too, but the content is that of `Model.save`: renamed to end in ".safetensors", they load. As in Keras, files of weights
hold the optimizer's moments as well, so that a backup continues as without the interruption.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from types import SimpleNamespace
from typing import Any

from ..errors import ArgumentError, FileFormatError

_PACKAGES = ("keras", "tf_keras", "tensorflow")
_SUFFIX = ".safetensors"


def is_of_keras(callback: Any) -> bool:
    """Return whether a callback, or a base of it, is a class of Keras."""
    return any(cls.__module__.partition(".")[0] in _PACKAGES for cls in type(callback).__mro__)


class _View:
    """Passes reading and setting of attributes on to another object, except for its own properties and methods."""

    def __init__(self, viewed: Any) -> None:
        object.__setattr__(self, "_viewed", viewed)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._viewed, name)

    def __setattr__(self, name: str, value: Any) -> None:
        if isinstance(getattr(type(self), name, None), property):
            object.__setattr__(self, name, value)
        else:
            setattr(self._viewed, name, value)


class _Optimizer(_View):
    """An optimizer. Its moments always exist."""

    built = True

    def __init__(self, viewed: Any, iterations: int) -> None:
        super().__init__(viewed)
        object.__setattr__(self, "iterations", iterations)

    @property
    def learning_rate(self) -> Any:
        """The learning rate. If it is a schedule, that of the next step."""
        rate = self._viewed.learning_rate
        return rate(self.iterations) if callable(rate) else rate

    @learning_rate.setter
    def learning_rate(self, rate: Any) -> None:
        self._viewed.learning_rate = float(rate)


class _Container:
    """Counts as Keras's list of the metrics of one output."""

    def __init__(self, metrics: list[Any]) -> None:
        self.metrics, self.name = metrics, "metrics"

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        return getattr(sys.modules.get("keras.src.trainers.compile_utils"), "MetricsList", _Container)


class KerasView(_View):
    """A model."""

    @property
    def optimizer(self) -> Any:
        """The optimizer, with ``iterations``."""
        return _Optimizer(self._viewed.optimizer, self._viewed.step)

    @property
    def metrics(self) -> list[Any]:
        """The metrics under the keys of the logs, with the direction that Keras asks for, and in the container that it asks for."""
        known = self._viewed._trainer.config.directions
        each = [SimpleNamespace(name=key, _direction="up" if way == "max" else "down") for key, way in known.items() if way]
        return [*each, _Container(each)]

    def save(self, filepath: Any, overwrite: bool = True, **options: Any) -> None:
        """Save the model under any name."""
        _write(self._viewed.save, filepath)

    def save_weights(self, filepath: Any, overwrite: bool = True) -> None:
        """Save the weights under any name, with the state of training if a file can hold it."""
        try:
            _write(self._viewed.save, filepath)
        except ArgumentError:
            _write(self._viewed.save_weights, filepath)

    def load_weights(self, filepath: Any, **options: Any) -> None:
        """Load weights from a file with any name, and the state of training if the file has it."""
        with tempfile.TemporaryDirectory() as folder:
            copy = os.path.join(folder, "weights" + _SUFFIX)
            shutil.copyfile(filepath, copy)
            try:
                self._viewed._restore(copy)
            except FileFormatError:
                self._viewed.load_weights(copy)


def _write(save: Any, filepath: Any) -> None:
    """Save to another name first, because `Model.save` refuses names that promise another format."""
    path = os.fspath(filepath)
    if path.endswith(_SUFFIX):
        save(path)
        return
    save(path + _SUFFIX)
    os.replace(path + _SUFFIX, path)
