"""load: a model made again from the file that ``Model.save`` wrote."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from ..graph import Graph
from ..saving.model_file import read_network
from .functional import Functional
from .model import Model
from .sequential import Sequential


def load(path: str | os.PathLike[str], custom_objects: Mapping[str, Any] | None = None) -> Sequential | Any:
    """Make the model again that `Model.save` wrote into a file, compiled and with the state of training if they are in it.

    The file is data and nothing else: no code of it is run, and no size that it states is believed before it is checked.

    Parameters
    ----------
    path : str or path-like
        The file.
    custom_objects : mapping, optional
        Your own layers, losses and metrics in Python by the names of their classes or functions, as the file has no code:
        ``{"Scale": Scale}``. A class is called with the arguments that the file has for it.

    Returns
    -------
    Model
        The model.

    Raises
    ------
    FileFormatError
        It is not a file of nncore, a damaged one, or one of a newer version; the message names the field.
    OSError
        The file cannot be read.

    Examples
    --------
    >>> import os, tempfile
    >>> import nncore as nn
    >>> model = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), seed=7)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "model.safetensors")
    ...     model.save(path)
    ...     again = nn.load(path)
    >>> again
    Sequential(
      (0): Linear(in_features=2, out_features=3, bias=True)
      (1): Tanh()
    )
    >>> bool((again([[1.0, 2.0]]) == model([[1.0, 2.0]])).all())
    True
    """
    network = read_network(path, custom_objects)
    cls: type[Model] = Functional if isinstance(network.connections, Graph) else Sequential
    model = cls.__new__(cls)
    model._have(network)
    return model
