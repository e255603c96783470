"""What a user calls to keep a model: save, load, save_weights, load_weights. The work is imported when it is needed."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from ..model import Model
    from ..parameters import IncompatibleKeys


class Savable:
    """The part of a model that writes it into files.

    Examples
    --------
    >>> import nncore as nn
    >>> hasattr(nn.Sequential(nn.Linear(2, 1)), "save")
    True
    """

    def save(self, path: str | os.PathLike[str], include_training: bool = True) -> None:
        """Write the model into one safetensors file, from which `nncore.load` makes it again.

        The file is written beside the old one, forced to disk and then renamed: whatever happens, the old or the new one stands.

        Parameters
        ----------
        path : str or path-like
            The file; by custom it ends in ".safetensors".
        include_training : bool
            Also write what ``compile`` was told and the state of training (the optimizer's moments, the number of updates), so
            that training goes on from the loaded model as if it had never stopped, to the bit. About three times the size, with
            Adam.

        Raises
        ------
        ArgumentError
            Something cannot be written as data, such as a learning rate that is a function; the message names it.
        OSError
            The file cannot be written.

        Examples
        --------
        >>> import os, tempfile
        >>> import nncore as nn
        >>> model = nn.Sequential(nn.Linear(1, 1))
        >>> model.compile(loss="mse", optimizer="adam")
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = os.path.join(folder, "model.safetensors")
        ...     _ = model.train_on_batch([[1.0]], [[2.0]])
        ...     model.save(path)
        ...     again = nn.load(path)
        >>> again.step
        1
        >>> again.train_on_batch([[1.0]], [[2.0]]) == model.train_on_batch([[1.0]], [[2.0]])
        True
        """
        from .model_file import save

        save(cast("Model", self), path, include_training)

    def save_weights(self, path: str | os.PathLike[str]) -> None:
        """Write `state_dict` into a safetensors file, and nothing else.

        Parameters
        ----------
        path : str or path-like
            The file. It is replaced as `save` does it.

        Examples
        --------
        >>> import os, tempfile
        >>> import nncore as nn
        >>> a, b = nn.Sequential(nn.Linear(2, 1)), nn.Sequential(nn.Linear(2, 1))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = os.path.join(folder, "weights.safetensors")
        ...     a.save_weights(path)
        ...     b.load_weights(path)
        IncompatibleKeys(missing_keys=[], unexpected_keys=[])
        >>> bool((a[0].weight == b[0].weight).all())
        True
        """
        from .model_file import save_weights

        save_weights(cast("Model", self), path)

    def load_weights(self, path: str | os.PathLike[str], strict: bool = True) -> IncompatibleKeys:
        """Copy weights from a file of `save_weights`, of `save`, or of any program that writes safetensors.

        Parameters
        ----------
        path : str or path-like
            The file.
        strict : bool
            As for `load_state_dict`.

        Returns
        -------
        IncompatibleKeys
            The missing and the unexpected keys.

        Raises
        ------
        FileFormatError
            It is not such a file, or a damaged one.
        StateDictError, ShapeError
            It fits another model. Nothing has been loaded then.

        Examples
        --------
        See `save_weights`.
        """
        from .model_file import load_weights

        return load_weights(cast("Model", self), path, strict)


def load(path: str | os.PathLike[str], custom_objects: Mapping[str, Any] | None = None) -> Model:
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
    from .model_file import load_model

    return load_model(path, custom_objects)
