"""Predictor: what every model offers for inference, be it trained with nncore or quantized for prediction alone.

Like that of `Model`, the file is long because it documents what users call; the code that does the work stands elsewhere.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Literal, Self, cast, overload

import numpy as np

from .._checks import flag, may_write, progress_shown, shown
from .._core import ModelCore
from .._declarations import explained, visible
from ..data.sequences import either
from ..errors import ArgumentError, NotBuiltError
from ..layers.base import AnyLayer
from ..metrics import Metric
from ..network import features, parameters
from ..network.summary import Summary, summarise
from ..records import Shape
from ..training import evaluation
from ..training.progress_bar import in_notebook

if TYPE_CHECKING:
    from ..data import Parts
    from ..export.c.model import CFile
    from ..network.stream import Stream
    from ..training.hooks import Callback, Learner
    from ..typing import ArrayLike, Arrays, Weights

_QUIET = 0  #: the default of verbose, which needs no check


class Predictor(ModelCore):
    """The base of all models: their layers, shapes and names, prediction, evaluation, streams, files and copies."""

    @property
    def _as_learner(self) -> Learner:
        """The same, as evaluation takes it, which hands it on to callbacks."""
        return cast("Learner", self)

    @property
    def layers(self) -> tuple[AnyLayer, ...]:
        """The layers of the model, in order.

        Examples
        --------
        >>> import nncore as nn
        >>> nn.Sequential(nn.Linear(2, 1), nn.Tanh()).layers
        (Linear(in_features=2, out_features=1, bias=True), Tanh())
        """
        layers: tuple[AnyLayer, ...] = self._network.layers
        return layers

    def get_layer(self, name: str) -> AnyLayer:
        """Return the layer with this name.

        Examples
        --------
        >>> import nncore as nn
        >>> x = nn.Input((2,), name="x")
        >>> nn.Model(x, nn.Linear(2, 1, name="y")(x)).get_layer("y").weight.shape
        (1, 2)
        """
        layer = self._network.get_layer(name) if isinstance(name, str) else None
        if layer is None:
            if not isinstance(name, str):
                said = f"the name of a layer is text, not {shown(name)}"
                raise ArgumentError(f"{type(self).__name__}.get_layer: {said}; model.layers[i] is the layer of number i")
            names = ", ".join(self._network.connections.key(i) for i in range(len(self.layers)))
            raise ArgumentError(f"{type(self).__name__}.get_layer: there is no {shown(name)}; the layers are {names}")
        return cast("AnyLayer", layer)

    @property
    def dtype(self) -> np.dtype:
        """The type of all computation, float32 or float64.

        Examples
        --------
        >>> import nncore as nn
        >>> nn.Sequential(nn.Linear(2, 1), dtype="float64").dtype
        dtype('float64')
        """
        return cast("np.dtype", self._network.dtype)

    @property
    def compute(self) -> str:
        """In what products are computed: "bfloat16", "int8" in a quantized model, or the name of the dtype.

        If "auto" was asked for, this is what was chosen.

        Examples
        --------
        >>> import nncore as nn
        >>> nn.Sequential(nn.Linear(32, 16), compute="bfloat16").compute
        'bfloat16'
        >>> nn.Sequential(nn.Linear(32, 16)).compute
        'float32'
        """
        return cast("str", self._network.compute)

    @property
    def built(self) -> bool:
        """Whether the input shape is known. The parameters may exist before, if only the number of time steps is open.

        Examples
        --------
        >>> import nncore as nn
        >>> nn.Sequential(nn.Linear(2, 1)).built
        True
        >>> nn.Sequential(nn.Flatten(), nn.Linear(2, 1)).built
        False
        """
        return self._plan.built_for is not None

    @property
    def input_shapes(self) -> list[Shape]:
        """Shape of one sample of each input, without the batch.

        Examples
        --------
        >>> import nncore as nn
        >>> nn.Sequential(nn.Linear(2, 1)).input_shapes
        [(2,)]
        """
        return list(self._network.input_shapes)

    @property
    def output_shapes(self) -> list[Shape]:
        """Shape of one sample of each output, without the batch.

        Examples
        --------
        >>> import nncore as nn
        >>> nn.Sequential(nn.Linear(2, 1)).output_shapes
        [(1,)]
        """
        return list(self._network.output_shapes)

    @property
    def output_activations(self) -> list[tuple[str, tuple[float, ...]]]:
        """Registry name and attributes of the activation that computes each output. The name is "" if there is no activation.

        Examples
        --------
        >>> import nncore as nn
        >>> nn.Sequential(nn.Linear(2, 1), nn.Sigmoid()).output_activations
        [('sigmoid', ())]
        """
        return list(self._network.output_activations)

    @property
    def input_names(self) -> list[str]:
        """The names of the inputs. Data by name use them as keys.

        Examples
        --------
        >>> import nncore as nn
        >>> x = nn.Input((2,), name="x")
        >>> nn.Model(x, nn.Tanh()(x)).input_names
        ['x']
        """
        return list(self._network.input_names)

    @property
    def output_names(self) -> list[str]:
        """The names of the outputs. Losses, metrics and targets by name use them as keys.

        Examples
        --------
        >>> import nncore as nn
        >>> x = nn.Input((2,), name="x")
        >>> nn.Model(x, {"a": nn.Tanh()(x), "b": nn.ReLU()(x)}).output_names
        ['a', 'b']
        """
        return list(self._network.output_names)

    @property
    def feature_names(self) -> list[str] | dict[str, list[str] | None] | Any:
        """The names of the columns of the frame with which the model was trained, or None.

        The first frame that `fit` or `train_on_batch` takes sets them; so does a frame from which the model is built. After that,
        a frame with other columns, or with the same ones in another order, is an error wherever x is taken. Arrays have no names
        and always pass. With several inputs it is a dict by the name of the input.

        It can be set: to other names, or to None to forget them.

        Examples
        --------
        >>> import numpy as np
        >>> import nncore as nn
        >>> model = nn.Sequential(nn.Linear(2, 1))
        >>> model.feature_names = ["age", "height"]
        >>> model.feature_names
        ['age', 'height']
        >>> model.predict(np.ones((4, 2))).shape
        (4, 1)
        """
        return features.feature_names(self._network)

    @feature_names.setter
    def feature_names(self, names: Any) -> None:
        features.set_feature_names(self._network, names)

    def summary(self, show: bool = True) -> Summary:
        """Print and return a table of the layers: shapes, parameters, multiply-adds and memory.

        Parameters
        ----------
        show : bool
            Whether to print the table. ``str()`` of the result gives the same text.

        Returns
        -------
        Summary
            The content of the table.

        Raises
        ------
        NotBuiltError
            If the shape of the input is not known yet. If only the number of time steps is open, it is shown as ``time``, and the
            costs are those of one step.

        Examples
        --------
        >>> import nncore as nn
        >>> nn.Sequential(nn.Linear(2, 3), nn.ReLU()).summary(show=False).total_parameters
        9
        """
        show = flag("summary", "show", show)
        trainer = self._trainer
        with self._network.access.reading():
            found = summarise(self._network, [] if trainer is None else trainer.config.describe())
        if show:
            print(found)
            found.is_shown = in_notebook()
        return found

    def plot(self, *, engine: Literal["auto", "graphviz", "matplotlib"] = "auto") -> Any:
        """Draw the model: a box per call of a layer, with its output shape and its number of parameters.

        Parameters
        ----------
        engine : "auto", "graphviz" or "matplotlib"
            "auto": graphviz if its program ``dot`` and its Python package are installed, else matplotlib.

        Returns
        -------
        graphviz.Digraph or matplotlib.figure.Figure
            A notebook shows it if it is the result of a cell.

        Raises
        ------
        NotBuiltError
            The shapes of the parameters are not known yet.
        MissingExtraError
            Neither is installed.

        Examples
        --------
        >>> import nncore as nn
        >>> figure = nn.Sequential(nn.Linear(2, 3), nn.ReLU()).plot(engine="matplotlib")
        >>> [box.get_text() for box in figure.axes[0].texts if box.get_text()][-1]
        '1 ReLU\\n[*, 3]'
        """
        from ..network.drawing import plot

        with self._network.access.reading():
            return plot(self._network, engine)

    def __repr__(self) -> str:
        try:
            return repr(self._network)
        except NotBuiltError:  # the constructor has not run
            return object.__repr__(self)

    def _repr_html_(self) -> str:
        """Return what notebooks show: the summary if there is one, else the repr."""
        from ..network.html import preformatted

        try:
            return cast("str", self.summary(show=False)._repr_html_())
        except NotBuiltError:
            return preformatted(repr(self))

    @overload
    def state_dict(self, *, torch: Literal[True], names: Mapping[str, str] | Any = None) -> dict[str, Any]: ...
    @overload
    def state_dict(self, *, torch: bool = False, names: Mapping[str, str] | Any = None) -> dict[str, np.ndarray]: ...
    def state_dict(self, *, torch: bool = False, names: Mapping[str, str] | Any = None) -> dict[str, Any]:
        """Return copies of the parameters by name, C-contiguous, with PyTorch's keys and shapes.

        Parameters
        ----------
        torch : bool
            Whether to return tensors of PyTorch, for ``load_state_dict`` of a module.
        names : mapping, or torch.nn.Module, optional
            Which sub-module of a PyTorch module each layer is: with ``{"0": "encoder.fc1"}``, "0.weight" is "encoder.fc1.weight".
            "" is the module itself. Or the module (or its state dict), if `from_torch` has made the model of it, or the names agree
            up to dots and "_".

        Returns
        -------
        dict
            From "0.weight", "0.bias", ... to arrays. The number is the position of the layer in the model.

        Raises
        ------
        StateDictError
            ``names`` does not fit the model.
        MissingExtraError
            PyTorch is not installed.

        Examples
        --------
        >>> import nncore as nn
        >>> weights = nn.Sequential(nn.Linear(2, 1)).state_dict()
        >>> {name: value.shape for name, value in weights.items()}
        {'0.weight': (1, 2), '0.bias': (1,)}
        >>> list(nn.Sequential(nn.Linear(2, 1)).state_dict(names={"0": "encoder.fc1"}))
        ['encoder.fc1.weight', 'encoder.fc1.bias']
        """
        return parameters.state_dict(self._network, torch, names)

    @overload
    def test_on_batch(
        self,
        x: Arrays,
        y: Arrays,
        sample_weight: Weights | None = None,
        *,
        return_dict: Literal[True],
        lengths: ArrayLike | None = None,
        mask: ArrayLike | None = None,
    ) -> dict[str, float | Any]: ...

    @overload
    def test_on_batch(
        self,
        x: Arrays,
        y: Arrays,
        sample_weight: Weights | None = None,
        return_dict: bool = False,
        lengths: ArrayLike | None = None,
        mask: ArrayLike | None = None,
    ) -> Any: ...

    def test_on_batch(
        self, x: Any, y: Any, sample_weight: Any = None, return_dict: bool = False, lengths: Any = None, mask: Any = None
    ) -> Any:
        """Compute the loss and the metrics of one batch, as `evaluate` does, without calling hooks.

        Parameters
        ----------
        x, y, sample_weight, return_dict, lengths, mask
            See `evaluate`.

        Examples
        --------
        >>> import nncore as nn
        >>> model = nn.Sequential(nn.Linear(1, 1, weight_init="ones"))
        >>> model.compile(loss="mse", optimizer="sgd", metrics=["mae"])
        >>> model.metrics_names, model.test_on_batch([[1.0], [2.0]], [1.0, 4.0])
        (['loss', 'mae'], [2.0, 1.0])
        """
        return evaluation.test_on_batch(self._as_learner, x, y, sample_weight, return_dict, either("test_on_batch", lengths, mask))

    @property
    def metrics(self) -> list[Metric]:
        """The metrics of all outputs.

        Examples
        --------
        >>> import nncore as nn
        >>> model = nn.Sequential(nn.Linear(1, 1))
        >>> model.compile(loss="mse", optimizer="sgd", metrics=["mae"])
        >>> model.metrics
        [MAE(name='mae')]
        """
        return [] if self._trainer is None else [m for each in self._trainer.config.metrics for m in each]

    @property
    def metrics_names(self) -> list[str]:
        """The names of the values that `evaluate` returns, in order: "loss", then the others."""
        return [] if self._trainer is None else list(self._trainer.config.log_keys)

    @overload
    def evaluate(
        self,
        x: Arrays | Iterable[Any] | Parts,
        y: Arrays | None = None,
        batch_size: int | None = None,
        verbose: Any = 0,
        sample_weight: Weights | None = None,
        callbacks: Iterable[Callback | Any] | Callback | None = (),
        *,
        return_dict: Literal[True],
        steps: int | None = None,
        lengths: ArrayLike | None = None,
        mask: ArrayLike | None = None,
    ) -> dict[str, float | Any]: ...

    @overload
    def evaluate(
        self,
        x: Arrays | Iterable[Any] | Parts,
        y: Arrays | None = None,
        batch_size: int | None = None,
        verbose: Any = 0,
        sample_weight: Weights | None = None,
        callbacks: Iterable[Callback | Any] | Callback | None = (),
        return_dict: bool = False,
        steps: int | None = None,
        lengths: ArrayLike | None = None,
        mask: ArrayLike | None = None,
    ) -> Any: ...

    def evaluate(
        self,
        x: Any,
        y: Any = None,
        batch_size: int | None = None,
        verbose: Any = 0,
        sample_weight: Any = None,
        callbacks: Any = (),
        return_dict: bool = False,
        steps: int | None = None,
        lengths: Any = None,
        mask: Any = None,
    ) -> Any:
        """Compute the loss and the metrics of data, in inference mode.

        Parameters
        ----------
        x, y, sample_weight, lengths, mask : array_like
            As for `fit`; or an iterable of batches or data in parts, with ``y=None``.
        batch_size : int, optional
            Rows per call of the batch hooks. The result does not depend on it.
        verbose : object
            Accepted for compatibility with Keras. Evaluation shows no progress.
        callbacks : sequence of Callback
            Their ``on_test_`` hooks are called.
        return_dict : bool
            Whether to return a dict by name.
        steps : int, optional
            How many batches to use, if x is an iterable of batches.

        Returns
        -------
        float, list or dict
            The loss. With several outputs or metrics, a list of the loss, the loss of each output, and the metrics, in the order of
            ``metrics_names``; or a dict.

        See Also
        --------
        predict : the outputs themselves.
        nn.diagnose : why they are not better.

        Examples
        --------
        >>> import nncore as nn
        >>> model = nn.Sequential(nn.Linear(1, 1, weight_init="ones"))
        >>> model.compile(loss="mse", optimizer="sgd", metrics=["mae"])
        >>> model.evaluate([[1.0], [2.0]], [[1.0], [4.0]])
        [2.0, 1.0]
        """
        return evaluation.evaluate(
            self._as_learner,
            x,
            y,
            batch_size=batch_size,
            verbose=verbose,
            sample_weight=sample_weight,
            callbacks=callbacks,
            return_dict=return_dict,
            steps=steps,
            lengths=either("evaluate", lengths, mask),
        )

    def predict(
        self,
        x: Arrays | Iterable[Any] | Parts,
        batch_size: int | None = None,
        verbose: Any = 0,
        callbacks: Iterable[Callback | Any] | Callback | None = (),
        steps: int | None = None,
        lengths: ArrayLike | None = None,
        mask: ArrayLike | None = None,
    ) -> Any:
        """Compute the outputs, in inference mode. The model need not be compiled.

        Parameters
        ----------
        x : array_like
            Samples [N, ...]; N may be 0. Or batches as for `fit`: a list, a data loader, a generator. A batch may also be x alone,
            except in a list of arrays, which is taken for samples. Sequences of other batches may have other numbers of steps. Or
            data in parts, whose outputs alone are in memory; of a dataset or table the columns of training are read, by name.
        batch_size : int, optional
            Rows per call of the batch hooks. The result does not depend on it.
        verbose : object
            Accepted for compatibility with Keras. Prediction shows no progress.
        callbacks : sequence of Callback
            Their ``on_predict_`` hooks are called.
        steps : int, optional
            How many batches to use, if x is an iterable of batches.
        lengths : array_like of int, optional
            [N]: the number of valid time steps of each sequence, if x is an array. In batches it is the fourth element.
        mask : array_like of bool, optional
            [N, time]: True for each valid time step, in place of lengths. Outputs with time steps keep their places. At the other
            steps they are what they are in padding: zeros for a recurrent layer.

        Returns
        -------
        numpy.ndarray, or list or dict of them
            [N, *output shape]; a list if the model has several outputs, a dict if its outputs were given as a dict.

        Examples
        --------
        >>> import nncore as nn
        >>> nn.Sequential(nn.Linear(2, 1, weight_init="ones")).predict([[1.0, 2.0], [3.0, 4.0]])
        array([[3.],
               [7.]], dtype=float32)
        """
        if verbose is not _QUIET:
            progress_shown("predict", verbose)
        plain = batch_size is None and steps is None and lengths is None and mask is None
        if plain and type(callbacks) is tuple and not callbacks:
            outputs = self._plan.predict_few(x)
            if outputs is not None:
                return outputs
        valid = either("predict", lengths, mask)
        return evaluation.predict(
            self._as_learner, x, batch_size=batch_size, verbose=verbose, callbacks=callbacks, steps=steps, lengths=valid
        )

    def stream(self, batch: int = 1) -> Stream:
        """Return a stream that runs the model one time step per call: ``stream.step(x_t)``, ``stream.reset()``.

        Parameters
        ----------
        batch : int
            How many sequences are processed in parallel.

        Returns
        -------
        Stream
            It has a copy of the model's weights. ``stream.reset()`` copies the weights again.

        Raises
        ------
        ArgumentError
            A layer is bidirectional, so it needs the whole sequence.
        ShapeError
            The model has no time dimension, or a layer mixes time steps.

        Examples
        --------
        >>> import numpy as np
        >>> import nncore as nn
        >>> stream = nn.Sequential(nn.LSTM(2, 3)).build((10, 2)).stream(batch=4)
        >>> stream.step(np.zeros((4, 2))).shape
        (4, 3)
        """
        from ..network.stream import Stream

        return Stream(self, batch)

    def save(self, path: str | os.PathLike[str], include_training: bool = True, *, overwrite: bool = True) -> None:
        """Write the model into one safetensors file, which `nncore.load` reads, or for inference as ONNX.

        The file is written under a temporary name, synchronized to disk and then renamed. After an error the old file is still
        complete.

        Parameters
        ----------
        path : str or path-like
            The file. Its name usually ends in ".safetensors". If it ends in ".onnx", this is `to_onnx`.
        include_training : bool
            Whether to write the arguments of ``compile`` and the state of training too (the optimizer's moments, the number of
            updates). Training then continues from the loaded model bitwise as without the interruption. With Adam the file is about
            three times as large. ONNX has no place for it.
        overwrite : bool
            Whether to replace a file that exists.

        Raises
        ------
        ArgumentError
            Something cannot be written as data, for example a learning rate that is a function. The message names it. Or the name
            of the file promises another format.
        OSError
            The file cannot be written; with ``overwrite=False``, it exists (FileExistsError).

        See Also
        --------
        nn.load : reads it.
        save_weights : writes the weights alone.

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
        from ..saving.formats import is_onnx
        from ..saving.model_file import save

        may_write("save", path, overwrite)
        if is_onnx(path):
            self.to_onnx(path)
            return
        save(self._network, path, include_training)

    def to_onnx(
        self,
        path: str | os.PathLike[str] | None = None,
        opset: int | None = None,
        dynamic: bool = True,
        *,
        lengths: bool = False,
    ) -> Any:
        """Return the model for inference as ONNX, and write it to a file if there is a path.

        Only standard operators appear. Inputs and outputs keep their names. Inputs that only an `Embedding` reads are int64; the
        others have the model's dtype. Dropout and noise vanish, and `BatchNorm1d` uses its running statistics.

        Parameters
        ----------
        path : str or path-like, optional
            The file. Its name usually ends in ".onnx".
        opset : int, optional
            The version of ONNX's operators, 14 to 28, if the installed package onnx knows it. None: 17.
        dynamic : bool
            Whether the sizes of the batch and, of models of sequences, of time stay open. Their names are then "batch" and "time".
            With False the batch is 1, and sequences have as many steps as those for which the model is built.
        lengths : bool
            Whether the graph has a further input "lengths", int64 [batch]: the valid time steps of each sequence, as in `predict`.

        Returns
        -------
        onnx.ModelProto
            The model in memory.

        Raises
        ------
        MissingExtraError
            The package onnx is not installed.
        ArgumentError
            A layer is written in Python, the model is quantized, it takes no lengths, or ``opset`` is out of range.
        NotBuiltError
            The shape of the input is not known yet.
        SizeError
            The parameters have more than 2 GB.

        Notes
        -----
        In an output with time steps, the steps after the length of a sequence mean nothing.

        With ``compute="bfloat16"``, the graph computes in float32, with the same weights.

        Examples
        --------
        >>> import nncore as nn
        >>> model = nn.Sequential(nn.GRU(3, 8), nn.Linear(8, 2), seed=0)
        >>> graph = model.to_onnx(lengths=True).graph
        >>> [each.name for each in graph.input], [each.name for each in graph.output]
        (['input', 'lengths'], ['output'])
        """
        from ..export.onnx.model import to_onnx

        return to_onnx(self._network, path, opset, dynamic, lengths)

    def to_c(
        self,
        path: str | os.PathLike[str] | None = None,
        name: str = "net",
        *,
        dtype: Any = None,
        time_steps: int | Mapping[str, int] | None = None,
        header: bool | str | os.PathLike[str] = False,
        workspace: str = "static",
        weights: str | None = None,
        exp: str = "libm",
        calibration: Any = None,
    ) -> CFile:
        """Return the model for inference as one file in C99, and write it if there is a path.

        The file allocates nothing, and needs no library but <math.h>. Weights are constants. Its functions are ``NAME_predict(x,
        y)`` for one sample and ``NAME_predict_batch(x, rows, y)``, with one pointer for each input and output, in their order.

        Parameters
        ----------
        path : str or path-like, optional
            The file. Its name usually ends in ".c".
        name : str
            With which all names in the file begin.
        dtype : {"float32", "float64"}, optional
            In what the file computes. None: the model's.
        time_steps : int or mapping from names of inputs to int, optional
            The number of time steps of sequences, which is fixed in C. None: that for which the model is built.
        header : bool, str or path-like
            Whether to write a header too: beside the file with the ending ".h", or to this path.
        workspace : {"static", "caller"}
            Where intermediate results lie: in a static array, or in an array of ``NAME_WORKSPACE_SIZE`` numbers that is the last
            argument, so that several threads may predict at once.
        weights : {"float32", "float64", "float16", "bfloat16", "int8"}, optional
            How matrices of weights are stored; biases and the like stay as they are. None: in the type in which the file computes.
            "float16" and "bfloat16" halve the flash, "int8" with a scale for each output takes a quarter; weights are rounded to
            the nearest, and products are computed in the type of the file.
        exp : {"libm", "fast"}
            Where the exponential function and its like come from: from <math.h>, or polynomials in the file, which then needs no
            library. They are exact to 1.1 ULP (exp), 2.5 (sigmoid) and 3.7 (tanh); compilers make vectors of them.
        calibration : array or list of arrays, optional
            Inputs as for `predict`, on which the error of rounded weights is measured.

        Returns
        -------
        CFile
            ``source`` and ``header``, the texts; ``flash`` and ``ram`` in bytes; ``multiply_adds`` of a prediction; ``inputs`` and
            ``outputs``; ``error`` of rounded weights.

        Raises
        ------
        ArgumentError
            A layer is written in Python, the model is quantized, ``name`` is no name in C, or another argument is out of range.
        NotBuiltError
            The shape of the input is not known yet.

        Examples
        --------
        >>> import nncore as nn
        >>> nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3)).to_c(name="iris")
        CFile('iris', flash=268, ram=32, multiply_adds=56)
        """
        from ..export.c.model import to_c

        return to_c(
            self._network,
            path,
            name,
            dtype=dtype,
            time_steps=time_steps,
            header=header,
            workspace=workspace,
            weights=weights,
            exp=exp,
            calibration=calibration,
        )

    def to_numpy(self, path: str | os.PathLike[str] | None = None) -> str:
        """Return the model for inference as a Python program that needs NumPy alone, and write it to a file if there is a path.

        The file has a function ``predict`` with the inputs in their order, and ``lengths=`` if the model takes them. Batches may
        have any size, and sequences any number of time steps. If `stream` can run the model, and a layer is recurrent, there is a
        class ``Stream`` with ``step(x_t)`` and ``reset()``. As a program, the file reads samples and prints outputs:
        ``python net.py x.npy > y.npy``, ``python net.py x.csv``. ``python net.py --selftest`` checks outputs that are known.

        Parameters
        ----------
        path : str or path-like, optional
            The file. Its name usually ends in ".py".

        Returns
        -------
        str
            The program. The weights are in it, as base64 of their exact bits.

        Raises
        ------
        ArgumentError
            A layer is written in Python, or the model is quantized.
        NotBuiltError
            The shape of the input is not known yet.
        SizeError
            The parameters have more than 1 GB.

        Notes
        -----
        With ``compute="bfloat16"``, the program computes in float32, with the same weights.

        Examples
        --------
        >>> import numpy as np
        >>> import nncore as nn
        >>> model = nn.Sequential(nn.GRU(3, 8), nn.Linear(8, 2), seed=0)
        >>> net = {}
        >>> exec(model.to_numpy(), net)
        >>> x = np.ones((4, 10, 3))
        >>> bool(np.abs(net["predict"](x) - model.predict(x)).max() < 1e-6)
        True
        """
        from ..export.numpy_file.model import to_numpy

        return to_numpy(self._network, path)

    def __reduce__(self) -> tuple[Any, ...]:
        from .copying import pickle_model

        return pickle_model(self)

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        from .copying import copy_model

        return cast("Self", copy_model(self, memo))

    def __copy__(self) -> Self:
        return copy.deepcopy(self)

    __dir__ = visible


Predictor.__name__ = "Model"  # in messages

# Not of predict and the methods for single batches, whose calls are short.
for _name in ("evaluate", "summary", "get_layer", "stream", "save", "to_onnx", "to_numpy", "to_c"):
    setattr(Predictor, _name, explained(vars(Predictor)[_name]))
