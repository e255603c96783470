"""load, from_onnx, from_torch: make a model of a file that ``Model.save`` or ``Model.to_onnx`` wrote, or of a PyTorch module."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .._declarations import explained
from ..graph import Graph
from ..saving.model_file import read_network
from .functional import Functional
from .quantized import QuantizedModel
from .sequential import Sequential

if TYPE_CHECKING:
    from ..network.network import Network
    from ..typing import Compute


@explained
def load(
    path: str | os.PathLike[str],
    custom_objects: Mapping[str, Any] | None = None,
    *,
    compute: Compute | None = None,
) -> Sequential | Any:
    """Make a model from a file that `Model.save` wrote.

    If the file holds the arguments of ``compile`` and the state of training, the model is compiled and has that state.

    The file is data only. No code from it is run, and every size that it states is checked before it is used.

    Parameters
    ----------
    path : str or path-like
        The file.
    custom_objects : mapping, optional
        Your own layers, losses and metrics that are written in Python. The file does not contain their code, so give each under the
        name of its class or function: ``{"Scale": Scale}``. A class is called with the arguments that are stored in the file.

    compute : {"float32", "bfloat16", "auto"}, optional
        In what the model computes products from now on. None: in the same as the saved model.

    Returns
    -------
    Model
        The model, a `Sequential` or a `Model`; a `QuantizedModel` if it was saved as one.

    Raises
    ------
    FileFormatError
        The file was not written by nncore, is damaged, or has a newer format. The message names the field.
    DTypeError
        ``compute="bfloat16"`` for a model in float64.
    ArgumentError
        ``compute`` for a quantized model.
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
    return _model_of(read_network(path, custom_objects, compute))


@explained
def from_onnx(path: str | os.PathLike[str] | Any) -> Sequential | Any:
    """Make a model from an ONNX file, that of `Model.to_onnx` or of another program.

    A file of nncore gives a model with the layers, names and weights of the one that was written, and the same bits. If other
    programs have changed the weights in the file, the model has these weights.

    A file of another program, such as ``torch.onnx.export``, Keras, tf2onnx or skl2onnx, gives layers that compute the same. Inputs
    and outputs keep their names, with underscores for dots and slashes. Samples have the batch first. Labels beside probabilities
    are left out. Input lengths of recurrent operators become ``lengths=`` of `Model.predict`.

    The model can be trained; the state of training is not in the file. The file is data only: no code from it is run, every size
    that it states is checked, and weights in other files are read only from its own folder.

    Parameters
    ----------
    path : str or path-like, or onnx.ModelProto
        The file, or a model in memory.

    Returns
    -------
    Model
        The model, a `Sequential` or a `Model`. It is not compiled.

    Raises
    ------
    MissingExtraError
        The package onnx is not installed.
    FileFormatError
        The file is damaged, or has nodes that cannot be read. The message lists them and says why. Or nncore wrote it, and its
        graph has been changed.
    OSError
        The file cannot be read.

    Examples
    --------
    >>> import nncore as nn
    >>> model = nn.Sequential(nn.Linear(2, 3), nn.Dropout(0.5), nn.Tanh(), seed=7)
    >>> nn.from_onnx(model.to_onnx())
    Sequential(
      (0): Linear(in_features=2, out_features=3, bias=True)
      (1): Dropout(p=0.5)
      (2): Tanh()
    )

    A graph as other programs write it:

    >>> import numpy as np
    >>> from onnx import helper, numpy_helper, parser
    >>> nodes = "p = MatMul(x, w) s = Sigmoid(p) y = Mul(p, s)"
    >>> graph = parser.parse_graph(f"g (float[N, 2] x) => (float[N, 1] y) {{ {nodes} }}")
    >>> w = numpy_helper.from_array(np.ones((2, 1), np.float32), "w")
    >>> graph.initializer.extend([w])
    >>> nn.from_onnx(helper.make_model(graph))
    Model(
      x: Input [*, 2]
      linear: Linear(in_features=2, out_features=1, bias=False) on x
      silu: SiLU() on linear
    )
    """
    from ..export.onnx.own import read_network as read_onnx

    return _model_of(read_onnx(path))


@explained
def from_torch(module: Any, *, example: Any = None, seed: int | None = None) -> Sequential | Any:
    """Make a model of a PyTorch module, with a copy of its weights and running statistics.

    A ``torch.nn.Sequential`` of known layers, also a nested one, becomes a `Sequential` with the same keys. Of any other module
    ``torch.fx`` traces what ``forward`` does in eval mode, and the result is a `Model` over `Input`. Its layers have the names of
    the sub-modules, with ``_`` in place of dots: ``encoder.fc1`` is ``encoder_fc1``. It does not matter whether the module is in
    train or eval mode. `load_state_dict` and `state_dict` of the model exchange weights with the module later.

    Parameters
    ----------
    module : torch.nn.Module
        The module. Float16 and bfloat16 become float32.
    example : array_like, or a tuple or dict of them, optional
        A batch of data, one for each argument of ``forward``, as the module takes it. Only the shapes count, and not the size of
        the batch. It is needed where the layers do not tell the shape of the input, such as a Flatten at the beginning, and for
        arguments that have a default, which are left at it otherwise.
    seed : int, optional
        The seed of the model, for dropout and shuffling.

    Returns
    -------
    Model
        The model, a `Sequential` or a `Model`. It is not compiled. The batch comes first in all of its inputs and outputs,
        also where ``batch_first=False`` has time first, and in the states of recurrent layers, which are [N, hidden], or
        [N, directions * layers, hidden].

    Raises
    ------
    ArgumentError
        The module has parts that nncore does not have. The message names each, its class, and what to do. Or the shape of an input
        is not known.
    DTypeError
        The weights are of several types, or of one that nncore does not have.

    Examples
    --------
    >>> import torch
    >>> import nncore as nn
    >>> layers = torch.nn.Linear(2, 3), torch.nn.Tanh(), torch.nn.Linear(3, 1)
    >>> module = torch.nn.Sequential(*layers)
    >>> model = nn.from_torch(module)
    >>> model
    Sequential(
      (0): Linear(in_features=2, out_features=3, bias=True)
      (1): Tanh()
      (2): Linear(in_features=3, out_features=1, bias=True)
    )
    >>> there = module(torch.tensor([[0.5, -1.0]])).detach().numpy()
    >>> bool(abs(model([[0.5, -1.0]]) - there).max() < 1e-6)
    True
    """
    from ..export.torch.model import network_of

    return _model_of(network_of(module, example, seed))


def _model_of(network: Network) -> Any:
    cls: Any = Functional if isinstance(network.connections, Graph) else Sequential
    if network.compute == "int8":
        cls = QuantizedModel
    model = cls.__new__(cls)
    model._have(network)
    return model
