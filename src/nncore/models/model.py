"""Model: the interface of every model. A model has a network and, once compiled, a trainer.

The file is long because it documents what users call. Each method is a docstring and one line that calls the code doing the work.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self, cast, overload

import numpy as np

from .._checks import COMPUTES, flag, may_write, named, whole
from .._core import AveragedWeights, ModelCore
from .._declarations import explained, is_own, put_elsewhere, refuse_setting
from ..data import ClassWeight
from ..data.sequences import either
from ..errors import ArgumentError, UnknownAttributeError
from ..foreign import methods
from ..graph import Graph, is_symbolic
from ..layers.base import refuse_mode
from ..losses import LossLike
from ..metrics import MetricLike
from ..network import batches, parameters
from ..network.chain import Chain
from ..network.network import Network
from ..network.parameters import IncompatibleKeys
from ..optim import Optimizer, OptimizerLike
from ..records import ParameterOptions, Shape
from ..training import fit as training
from ..training import step
from ..training.configuration import Configuration
from ..training.history import STEPS_KEPT, History
from ..training.trainer import Trainer, ensure_compiled, require_trainer
from .predicting import Predictor

if TYPE_CHECKING:
    import numpy.typing as npt

    from ..data import Parts
    from ..graph import Value
    from ..training.hooks import Callback
    from ..training.ranks.base import Ranks
    from ..typing import ArrayLike, Arrays, Compute, Weights
    from .quantized import QuantizedModel


_QUIET = 0  #: the default of verbose, which needs no check
_SETTINGS = ("trainable", "training", "stop_training", "seed", "step")  #: the attributes that users set

#: The metrics of ``compile``: of one output, or of each output in order or by name.
Metrics = Sequence[MetricLike | Sequence[MetricLike] | None] | Mapping[str, MetricLike | Sequence[MetricLike] | None]


class Model(Predictor):
    """A neural network: layers between one or more inputs and one or more outputs.

    Parameters
    ----------
    inputs : Value, or a list or dict of them
        Values that `Input` returned. The keys of a dict become the names of the inputs.
    outputs : Value, or a list or dict of them
        Values that layers returned when they were called on the inputs or on each other's results. The keys of a dict become the
        names of the outputs; predictions are then a dict.
    seed : int, optional
        Seed of everything random: initial weights, dropout, shuffling. With None a seed is drawn; ``model.seed`` returns it.
    dtype : {"float32", "float64"}
        The type of the parameters and of all computation.
    compute : {"float32", "bfloat16", "auto"}
        In what linear and recurrent layers multiply. With "bfloat16" they round what they multiply to bfloat16, in training and in
        prediction, and sum in float32. Everything else stays float32: parameters, gradients, optimizer, losses, inputs and outputs,
        and the other layers. That is several times faster on a CPU with AMX and about as fast as float32 on others; results are
        the same, to the bit, on all of them. Layers with fewer than 16 inputs or outputs stay float32. "auto" takes "bfloat16"
        where it is at least 1.3 times as fast as float32 on this CPU.

    Attributes
    ----------
    layers : tuple of Layer
        The layers, each listed once, in the order of their first calls.
    input_names, output_names : list of str
        The names by which data, losses and metrics are given. An input has the name that `Input` was given. An output has the name
        of its layer.
    seed : int
        The seed of initial weights, dropout masks and shuffling.
    dtype : numpy.dtype
        The type of all computation, float32 or float64.
    compute : str
        In what products are computed.

    Raises
    ------
    DTypeError
        ``compute="bfloat16"`` with ``dtype="float64"``, or another dtype than the two.
    ArgumentError
        An input that the outputs need is missing, or a given input is not needed. Two layers have the same name. A layer with
        parameters belongs to another model.

    Notes
    -----
    A layer that is called several times has one set of weights. Its gradient is the sum over the calls, added in the order of the
    calls.

    The keys of the `state_dict` begin with the name of the layer. This is the argument ``name=`` of the layer. Without it the name
    is the class in lower case, as in Keras, with a number if there are several ("linear", "linear_1").

    Examples
    --------
    >>> import nncore as nn
    >>> x = nn.Input((8,), name="x")
    >>> h = nn.ReLU()(nn.Linear(8, 16)(x))
    >>> h = h + nn.ReLU()(nn.Linear(16, 16)(h))
    >>> model = nn.Model(x, nn.Linear(16, 1, name="y")(h), seed=0)
    >>> model
    Model(
      x: Input [*, 8]
      linear: Linear(in_features=8, out_features=16, bias=True) on x
      relu: ReLU() on linear
      linear_1: Linear(in_features=16, out_features=16, bias=True) on relu
      relu_1: ReLU() on linear_1
      add: Add() on relu, relu_1
      y: Linear(in_features=16, out_features=1, bias=True) on add
    )
    >>> list(model.state_dict())[:4]
    ['linear.weight', 'linear.bias', 'linear_1.weight', 'linear_1.bias']
    """

    stop_training: bool = False  #: a callback sets it to True to end training
    history: History | Any = None  #: the History of the last fit; None before the first

    if TYPE_CHECKING:

        def __init__(
            self,
            inputs: Value | Sequence[Value] | Mapping[str, Value],
            outputs: Value | Sequence[Value] | Mapping[str, Value],
            *,
            seed: int | None = None,
            dtype: npt.DTypeLike = "float32",
            compute: Compute = "float32",
        ) -> None: ...

        @property
        def inputs(self) -> list[Value]: ...

        @property
        def outputs(self) -> list[Value]: ...

        @overload
        def __call__(self, x: Value | Sequence[Value] | Mapping[str, Value], training: bool = False) -> Any: ...
        @overload
        def __call__(self, x: Arrays, training: bool = False, *, out: np.ndarray | None = None) -> Any: ...
        def __call__(self, x: Any, training: bool | None = None, *, out: np.ndarray | None = None) -> Any: ...

        def predict_on_batch(self, x: Arrays, *, out: np.ndarray | None = None) -> Any: ...

    #: The class that ``Model(inputs, outputs)`` makes. It is a subclass, so its module sets this attribute.
    _of_graph: ClassVar[type[Model]]

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        if cls is Model:  # as in Keras, where a graph and a Sequential are two kinds of model
            return super().__new__(cls._of_graph)  # type: ignore[return-value]
        return super().__new__(cls)

    def _begin(self, connections: Chain | Graph, seed: int | None, dtype: Any, compute: Any = "float32") -> None:
        """Create the network. Constructors call this last."""
        if isinstance(compute, str) and compute == "int8":
            raise ArgumentError(
                f"{type(self).__name__}: compute must be {named(COMPUTES)}, not 'int8', which is for inference alone: train the "
                'model, and call model.quantize("int8")'
            )
        self._have(Network(connections, seed, dtype, type(self).__name__, compute=compute))

    if not TYPE_CHECKING:  # type checkers know the attributes themselves

        def __setattr__(self, name: str, value: Any) -> None:
            if name[:1] != "_" and not hasattr(type(self), name) and name not in self.__dict__ and is_own(self):
                refuse_setting(self, name, _SETTINGS, always=False)
            try:
                super().__setattr__(name, value)
            except AttributeError:
                found = getattr(type(self), name, None)
                if isinstance(found, property) and found.fset is not None:  # the setter has raised it
                    raise
                place = f"compile({name}=...)" if name in ("optimizer", "metrics") else "the constructor"
                raise UnknownAttributeError(f"{type(self).__name__}.{name} cannot be set; it comes from {place}") from None

    # Layers and settings ------------------------------------------------------------------------------------------------------

    @property
    def step(self) -> int:
        """Number of updates done so far. Dropout masks, bias corrections and schedules depend on it. It can be set.

        Examples
        --------
        >>> import nncore as nn
        >>> nn.Sequential(nn.Linear(2, 1)).step
        0
        """
        return self._plan.step

    @step.setter
    def step(self, value: int) -> None:
        self._plan.step = value

    @property
    def seed(self) -> int:
        """The seed of initial weights, dropout masks and shuffling. It can be set.

        Examples
        --------
        >>> import nncore as nn
        >>> nn.Sequential(nn.Linear(2, 1), seed=7).seed
        7
        """
        return self._plan.seed

    @seed.setter
    def seed(self, value: int) -> None:
        self._plan.seed = value

    @property
    def trainable(self) -> bool:
        """Whether any parameter is trained. Setting it sets ``trainable`` of all layers, for the next ``compile``.

        Examples
        --------
        >>> import nncore as nn
        >>> base = nn.Sequential(nn.Linear(2, 3), nn.ReLU())
        >>> base.trainable = False
        >>> base[0].trainable, base.trainable
        (False, False)
        """
        layers = [layer for layer in self.layers if layer.may_have_parameters()] or self.layers
        return any(layer.trainable for layer in layers)

    @trainable.setter
    def trainable(self, value: bool) -> None:
        value = flag(type(self).__name__, "trainable", value)
        for layer in self.layers:
            layer.trainable = value

    @property
    def training(self) -> bool:
        """Whether any layer takes part in training as such. Setting it sets ``training`` of all layers, from the next step on.

        Layers with ``training=False`` compute as at inference in `fit` and ``forward(training=True)``, too: no dropout and no
        noise, and batch normalisation with the running statistics. Their weights are trained nevertheless; see `trainable`.

        Examples
        --------
        >>> import nncore as nn
        >>> base = nn.Sequential(nn.Linear(2, 3), nn.Dropout(0.5))
        >>> base.training = False
        >>> base[1].training
        False
        """
        return any(layer.training for layer in self.layers)

    @training.setter
    def training(self, value: bool) -> None:
        value = flag(type(self).__name__, "training", value)
        for layer in self.layers:
            layer.training = value

    def parameter_options(self) -> list[ParameterOptions]:
        """Return the training options of each parameter, in the order of `parameters`.

        Examples
        --------
        >>> import nncore as nn
        >>> nn.Sequential(nn.Linear(2, 1, trainable=False)).parameter_options()[0].trainable
        False
        """
        return list(self._network.parameter_options())

    def build(self, input_shape: Shape) -> Self:
        """Set the shape of one sample, if the layers do not determine it."""
        raise NotImplementedError

    # Parameters ---------------------------------------------------------------------------------------------------------------

    def parameters(self) -> list[np.ndarray]:
        """Return live views of the parameters, in order.

        Examples
        --------
        >>> import nncore as nn
        >>> [p.shape for p in nn.Sequential(nn.Linear(2, 1)).parameters()]
        [(1, 2), (1,)]
        """
        return [p.value for _, p in self._network.named_parameters("parameters")]

    def named_parameters(self) -> list[tuple[str, np.ndarray]]:
        """Return (name, live view) of each parameter. The names are PyTorch's: "0.weight", "0.bias", ...

        Examples
        --------
        >>> import nncore as nn
        >>> model = nn.Sequential(nn.Linear(2, 1), nn.ReLU(), nn.Linear(1, 1))
        >>> [name for name, _ in model.named_parameters()]
        ['0.weight', '0.bias', '2.weight', '2.bias']
        """
        return [(name, p.value) for name, p in self._network.named_parameters("named_parameters")]

    @property
    def gradients(self) -> dict[str, np.ndarray]:
        """Live views of the gradients by parameter name. The last `backward` or training step wrote them.

        `zero_gradients` sets them to 0.

        Examples
        --------
        >>> import nncore as nn
        >>> nn.Sequential(nn.Linear(2, 1)).gradients["0.bias"]
        array([0.], dtype=float32)
        """
        return {name: p.grad for name, p in self._network.named_parameters("gradients")}

    def reset_parameters(self, seed: int | None = None) -> None:
        """Start again: draw all parameters anew, and forget all training.

        Running statistics, the states of stateful layers, the moments of the optimizer, its learning rate and the number of updates
        are those of a model that has just been made and compiled. Views of the parameters stay valid. A model that shares layers
        changes with it in these layers.

        Parameters
        ----------
        seed : int, optional
            The new ``model.seed``; the model is then the one that is made of new layers with this seed. None draws one (see
            `nn.set_seed`).

        Examples
        --------
        >>> import nncore as nn
        >>> model = nn.Sequential(nn.Linear(2, 1), seed=0)
        >>> before = model[0].weight.copy()
        >>> model.reset_parameters(seed=1)
        >>> bool((model[0].weight == before).any())
        False
        >>> model.reset_parameters(seed=0)
        >>> bool((model[0].weight == before).all())
        True
        """
        seed = None if seed is None else whole(f"{type(self).__name__}.reset_parameters", "seed", seed, 0)
        with self._network.access.changing():
            self._plan.seed = self._network.reset_parameters(seed)
            if self._trainer is not None:
                self._trainer.restart(self._network)
            else:
                self._plan.step = 0

    def clone(self, seed: int | None = None) -> Self:
        """Return a model of the same layers and connections that has not been trained.

        It is compiled like this one, with an optimizer that has not made a step and has its first learning rate; `compile` may be
        called again, as after Keras's clone_model. Nothing is shared with this model. ``copy.deepcopy(model)`` copies the weights
        and the state of training instead.

        Parameters
        ----------
        seed : int, optional
            The seed of the new model. With ``seed=model.seed`` it begins with the weights with which this model began, except for
            parts that were models of their own, which had been drawn from other seeds. None draws one (see `nn.set_seed`).

        Examples
        --------
        >>> import nncore as nn
        >>> model = nn.Sequential(nn.Linear(2, 1), seed=0)
        >>> fold = model.clone(seed=1)
        >>> bool((fold[0].weight == model[0].weight).any())
        False
        """
        from .copying import clone_model

        return cast("Self", clone_model(self, seed))

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True, *, names: Mapping[str, str] | Any = None
    ) -> IncompatibleKeys:
        """Copy parameters from a state dict. Everything is checked before anything is written.

        Keys may have the prefixes ``module.`` of DataParallel and ``_orig_mod.`` of ``torch.compile``. The path of a sub-module,
        ``encoder.fc1``, may stand for a layer named ``encoder_fc1``, as `from_torch` names it.

        Parameters
        ----------
        state_dict : mapping
            From names to arrays or PyTorch tensors, of any floating type.
        strict : bool
            Whether missing and unexpected keys are errors. If not, they are ignored and returned.
        names : mapping, optional
            Which sub-module of a PyTorch module each layer is, as for `state_dict`: with ``{"0": "encoder.fc1"}``, "0.weight" is
            loaded from "encoder.fc1.weight".

        Returns
        -------
        IncompatibleKeys
            The missing and the unexpected keys.

        Raises
        ------
        StateDictError
            A key is missing or unexpected and ``strict`` is True.
        ShapeError
            An array does not have the shape of its parameter.

        Examples
        --------
        >>> import nncore as nn
        >>> a, b = nn.Sequential(nn.Linear(2, 1)), nn.Sequential(nn.Linear(2, 1))
        >>> b.load_state_dict(a.state_dict())
        IncompatibleKeys(missing_keys=[], unexpected_keys=[])
        >>> bool((a[0].weight == b[0].weight).all())
        True
        """
        return parameters.load_state_dict(self._network, state_dict, strict, names)

    def get_weights(self) -> list[np.ndarray]:
        """Return copies of the parameters, in order.

        Examples
        --------
        >>> import nncore as nn
        >>> len(nn.Sequential(nn.Linear(2, 1)).get_weights())
        2
        """
        return list(self.state_dict().values())

    def set_weights(self, weights: Sequence[Any]) -> None:
        """Copy in parameters that `get_weights` returned for a model of the same shape. Everything is checked before anything is
        written.

        Parameters
        ----------
        weights : sequence of array_like
            One array per parameter, in order.

        Examples
        --------
        >>> import nncore as nn
        >>> model = nn.Sequential(nn.Linear(2, 1))
        >>> model.set_weights([[[1.0, 2.0]], [3.0]])
        >>> model([[1.0, 1.0]])
        array([[6.]], dtype=float32)
        """
        parameters.set_weights(self._network, weights)

    def load_keras_weights(
        self,
        source: str | os.PathLike[str] | Sequence[ArrayLike] | Any,
        names: Mapping[str, str | Sequence[str]] | None = None,
    ) -> None:
        """Copy weights of Keras into this model, which has the same layers. Everything is checked before anything is written.

        Kernels are transposed, and the gates of a GRU put into the order here. The one bias of an LSTM or a simple RNN becomes
        ``bias_ih``, and ``bias_hh`` zeros. Two recurrent layers of Keras may be one here with ``num_layers=2``.

        Parameters
        ----------
        source : path, list of array_like, or keras.Model
            A file that Keras wrote (``.weights.h5``, ``.keras``, ``.h5``), for which neither Keras nor h5py is needed; what
            ``keras_model.get_weights()`` returned; or the model. The layers are taken in order, or by name if those of this model
            are called as in Keras. A ``.weights.h5`` does not have the order, but numbers the layers of each class.
        names : mapping, optional
            The layer of Keras that each layer with weights here is, ``{"0": "dense", "2": "dense_1"}``, with a list for stacked
            ones. It is for files and models.

        Warns
        -----
        UserWarning
            Where the configuration is known (``.keras``, ``.h5``, a model): ``eps`` or ``momentum`` differ from those of Keras,
            whose defaults are 1e-3 and 0.99, which is ``momentum=0.01`` here.

        Raises
        ------
        ShapeError, StateDictError
            The weights do not fit the model. The message names both layers and both shapes.
        ArgumentError
            Keras' layer computes something else, such as a GRU with another ``reset_after``.
        FileFormatError
            The file is damaged, or HDF5 of a kind that Keras does not write.

        Examples
        --------
        >>> import numpy as np
        >>> import nncore as nn
        >>> model = nn.Sequential(nn.Linear(3, 2), nn.Tanh())
        >>> kernel, bias = (
        ...     np.arange(6.0).reshape(3, 2),
        ...     np.array([5.0, 6.0]),
        ... )  # keras_model.get_weights()
        >>> model.load_keras_weights([kernel, bias])
        >>> model[0].weight
        array([[0., 2., 4.],
               [1., 3., 5.]], dtype=float32)
        """
        from ..export.keras.weights import load

        load(self._network, source, names)

    def keras_weights(self) -> list[np.ndarray]:
        """Return copies of the weights as Keras has them, for ``keras_model.set_weights`` of a model of the same layers.

        Returns
        -------
        list of numpy.ndarray
            The arrays of all layers, in order. The bias of an LSTM or an RNN is the sum of the two here.

        Raises
        ------
        ArgumentError
            Keras has no such layer, for example `Maxout`.

        Examples
        --------
        >>> import nncore as nn
        >>> [
        ...     array.shape
        ...     for array in nn.Sequential(nn.GRU(2, 4), nn.Linear(4, 1)).keras_weights()
        ... ]
        [(2, 12), (4, 12), (2, 12), (4, 1), (1,)]
        """
        from ..export.keras.weights import weights

        return weights(self._network)

    # One batch at a time ------------------------------------------------------------------------------------------------------

    def _call_in_mode(self, x: Any, training: Any, out: np.ndarray | None) -> Any:
        """Answer ``model(x, training)``. No `backward` can follow: it goes back from `forward`."""
        name = type(self).__name__
        if is_symbolic(x):
            refuse_mode(name, training)
        if not flag(f"{name}(x)", "training", training):
            return ModelCore.__call__(self, x, out=out)
        if out is not None:
            raise ArgumentError(f"{name}(x): out is for inference; leave it out, or training=True")
        outputs = self.forward(x, training=True)
        self._plan.forget_forward()
        return outputs

    def forward(self, x: Arrays, training: bool = False, lengths: ArrayLike | None = None, mask: ArrayLike | None = None) -> Any:
        """Compute the output of one batch and keep the intermediate results that `backward` needs.

        Parameters
        ----------
        x : array_like, or a list or dict of them
            [N, *input shape] for each input.
        training : bool
            Whether layers behave as in training; dropout is active then, and each pass draws its own masks and noise. Stateful
            recurrent layers start with the final states of the last training batch, and keep theirs for the next one. Otherwise
            they start with zeros, as `predict` does.
        lengths, mask : array_like, optional
            The valid time steps of each sequence, as for `fit`. `backward` then takes and returns gradients in the order of x.

        Returns
        -------
        numpy.ndarray, or a list or dict of them
            [N, *output shape] for each output.

        Raises
        ------
        ShapeError
            The batch does not fit the model, or has more rows than the batch before, whose states stateful layers start with.
        EmptyDataError
            The batch has no rows.

        Examples
        --------
        A training step by hand, for the loss 0.5 * sum((y - t)**2):

        >>> import numpy as np
        >>> import nncore as nn
        >>> model = nn.Sequential(nn.Linear(1, 1, weight_init="ones"))
        >>> model.compile(loss="half_squared_error", optimizer=nn.optim.SGD(lr=0.1))
        >>> y = model.forward([[2.0]], training=True)
        >>> model.backward(y - 1.0)
        array([[1.]], dtype=float32)
        >>> model.gradients["0.weight"]
        array([[2.]], dtype=float32)
        >>> model.apply_gradients()
        >>> model[0].weight.round(3)
        array([[0.8]], dtype=float32)
        """
        if lengths is None and mask is None:
            plain = self._plan.forward_plain(x, training)  # the fast path: the core can read x as it is
            if plain is not None:
                return plain
        return batches.forward(self._network, x, training, either("forward", lengths, mask))

    def backward(self, grad_output: Arrays, accumulate: bool = False) -> Any:
        """Compute the gradients for the last `forward`. They overwrite those in `gradients`, or are added to them.

        Parameters
        ----------
        grad_output : array_like, or a list or dict of them
            Derivative of the loss with respect to each element of the output, [N, *output shape], for each output.
        accumulate : bool
            Whether to add to the gradients. So the gradient of a large batch is the sum over its parts; see `zero_gradients`.

        Returns
        -------
        numpy.ndarray or list of them
            Derivative of the loss with respect to each element of the input, [N, *input shape]; a list if there are several inputs.

        Examples
        --------
        >>> import nncore as nn
        >>> model = nn.Sequential(nn.Linear(2, 1, weight_init="ones"))
        >>> _ = model.forward([[1.0, 2.0]])
        >>> model.backward([[3.0]])
        array([[3., 3.]], dtype=float32)
        """
        plain = self._plan.backward_plain(grad_output, accumulate)
        if plain is not None:
            return plain
        return batches.backward(self._network, grad_output, flag("backward", "accumulate", accumulate))

    def zero_gradients(self) -> None:
        """Set the gradients to 0, before `backward` adds to them with ``accumulate=True``.

        Examples
        --------
        The gradient of four rows from batches of two. The loss is a mean over the four rows:

        >>> import numpy as np
        >>> import nncore as nn
        >>> model = nn.Sequential(nn.Linear(1, 1, weight_init="ones"))
        >>> x, y = np.array([[0.0], [1.0], [2.0], [3.0]]), np.zeros((4, 1))
        >>> model.zero_gradients()
        >>> for part in (slice(0, 2), slice(2, 4)):
        ...     error = model.forward(x[part], training=True) - y[part]
        ...     _ = model.backward(2 * error / len(x), accumulate=True)
        >>> model.gradients["0.weight"]  # the mean of 2 x (x - y)
        array([[7.]], dtype=float32)
        """
        self._network.require_parameters("zero_gradients")
        self._plan.zero_gradients()

    def apply_gradients(self) -> None:
        """Update the parameters with the optimizer, using the gradients in `gradients`.

        Raises
        ------
        NotCompiledError
            The model has no optimizer.

        Examples
        --------
        >>> import nncore as nn
        >>> model = nn.Sequential(nn.Linear(1, 1, weight_init="ones"))
        >>> model.compile(loss="mse", optimizer=nn.optim.SGD(lr=0.5))
        >>> model.gradients["0.weight"][...] = 1.0
        >>> model.apply_gradients()
        >>> model[0].weight
        array([[0.5]], dtype=float32)
        """
        step.apply_gradients(self._network)

    @overload
    def train_on_batch(
        self,
        x: Arrays,
        y: Arrays,
        sample_weight: Weights | None = None,
        class_weight: ClassWeight = None,
        *,
        return_dict: Literal[True],
        lengths: ArrayLike | None = None,
        mask: ArrayLike | None = None,
    ) -> dict[str, float | Any]: ...
    @overload
    def train_on_batch(
        self,
        x: Arrays,
        y: Arrays,
        sample_weight: Weights | None = None,
        class_weight: ClassWeight = None,
        return_dict: bool = False,
        lengths: ArrayLike | None = None,
        mask: ArrayLike | None = None,
    ) -> Any: ...
    def train_on_batch(
        self,
        x: Any,
        y: Any,
        sample_weight: Any = None,
        class_weight: ClassWeight = None,
        return_dict: bool = False,
        lengths: Any = None,
        mask: Any = None,
    ) -> Any:
        """Do one training step on a batch.

        Some arrays go to the core without conversion, which takes a few microseconds: C-contiguous arrays of the model's dtype and
        shape, and integer class indices [N]. Everything else is converted as in `fit`.

        Parameters
        ----------
        x, y, sample_weight, class_weight, lengths, mask
            As for `fit`.
        return_dict : bool
            Whether to return a dict by name.

        Returns
        -------
        float, list or dict
            The loss of the batch before the step, and the metrics if there are any. The form is that of `evaluate`.

        Examples
        --------
        >>> import nncore as nn
        >>> model = nn.Sequential(nn.Linear(1, 1, weight_init="ones"))
        >>> model.compile(loss="mse", optimizer=nn.optim.SGD(lr=0.25))
        >>> model.train_on_batch([[1.0]], [[3.0]])
        4.0
        >>> model.train_on_batch([[1.0]], [[3.0]])
        0.0
        """
        if sample_weight is None and class_weight is None and lengths is None and mask is None:
            done = self._step(x, y, return_dict)  # the fast path, a few microseconds
            if done is not None:
                return done
        valid = either("train_on_batch", lengths, mask)
        return step.train_on_batch(self._network, x, y, sample_weight, class_weight, return_dict, valid)

    # Training -----------------------------------------------------------------------------------------------------------------

    def compile(
        self,
        loss: LossLike | Sequence[LossLike] | Mapping[str, LossLike],
        optimizer: OptimizerLike,
        metrics: Metrics = (),
        *,
        weighted_metrics: Metrics | None = None,
        loss_weights: Sequence[float] | Mapping[str, float] | None = None,
        l1: float = 0.0,
        l2: float = 0.0,
        check_finite: bool = False,
        distributed: Ranks | None = None,
    ) -> None:
        """Set the loss, the optimizer and the metrics. The state of the optimizer is reset; the parameters stay.

        Parameters
        ----------
        loss : str or Loss
            For example "binary_crossentropy" or ``nn.losses.Huber(delta=2)``. For several outputs, a list, or a dict by the name of
            the output.
        optimizer : str or Optimizer
            For example "adam" or ``nn.optim.Adam(lr=1e-3)``. The model takes a copy of the object, `optimizer`.
        metrics : sequence of str or Metric
            For example ``["accuracy", nn.metrics.F1()]``; every loss is a metric, too. For several outputs, a list with one entry
            per output, as in Keras: a metric, a list of metrics, or None; or a dict by the name of the output. The metrics count
            every row once, whatever its weight.
        weighted_metrics : sequence of str or Metric, optional
            In the same forms: metrics that count the rows with ``sample_weight`` and, in training, ``class_weight``, as the loss
            does. If ``metrics`` has one of the same name, the key of this one begins with "weighted_".
        loss_weights : sequence or dict of float, optional
            The weight of the loss of each output in their sum.
        l1, l2 : float
            Penalties ``l1 * sum|w| + l2 * sum w**2`` on the weight matrices of all layers. Biases and other parameters with one
            dimension have none. The arguments of a layer or of a group of the optimizer take precedence. The penalties are part of
            the loss that `fit`, `evaluate` and `train_on_batch` report.
        check_finite : bool, default False
            Whether to search all data, also those to predict, for NaN, infinity, and numbers that become infinite in the model's
            dtype, such as 1e39 in float32. The error states where they are. The inputs of ``stream`` are not searched.
        distributed : nncore.distributed.MPI, optional
            Let several processes train the model, each on rows of its own. It can also be set later, as `distributed`.

        Raises
        ------
        UnknownNameError
            A name is not known. The message lists similar names.
        ShapeError, ArgumentError
            The loss or a metric does not fit the output of the model.

        Examples
        --------
        >>> import nncore as nn
        >>> model = nn.Sequential(nn.Linear(2, 1), nn.Sigmoid())
        >>> model.compile(loss="binary_crossentropy", optimizer="adam", metrics=["accuracy"])
        >>> model.metrics_names
        ['loss', 'accuracy']
        """
        with self._network.access.changing():
            names = self._network.output_names
            config = Configuration(
                loss, optimizer, metrics, loss_weights, check_finite, names, l1, l2, weighted_metrics, distributed
            )
            trainer = Trainer(config)
            if self.built:
                trainer.attach(self._network)
            else:
                self._plan.trainer = trainer

    @property
    def distributed(self) -> Ranks | None:
        """The processes that train the model, an `nncore.distributed.MPI`, or None.

        It is an argument of ``compile``. Setting it keeps the state of training, so that a model from a file can be trained by
        several processes; files do not have it.

        Raises
        ------
        NotCompiledError
            The model is not compiled.

        Examples
        --------
        >>> import nncore as nn
        >>> model = nn.Sequential(nn.Linear(1, 1))
        >>> model.compile(loss="mse", optimizer="sgd")
        >>> model.distributed is None
        True
        """
        trainer: Trainer | None = self._trainer
        return None if trainer is None else trainer.config.distributed

    @distributed.setter
    def distributed(self, value: Ranks | None) -> None:
        require_trainer(self._network, "distributed").join(self._network, value)

    @property
    def optimizer(self) -> Optimizer | Any:
        """The optimizer, or None before ``compile``. Its ``lr`` can be set, for this model alone.

        It is a copy of the object that was given to ``compile``, so that models which are compiled with one object do not change
        each other's learning rate. Setting ``lr`` of the given object sets it in all of them.

        Examples
        --------
        >>> import nncore as nn
        >>> rule = nn.optim.SGD(lr=0.1)
        >>> a, b = nn.Sequential(nn.Linear(1, 1)), nn.Sequential(nn.Linear(1, 1))
        >>> a.compile(loss="mse", optimizer=rule)
        >>> b.compile(loss="mse", optimizer=rule)
        >>> a.optimizer.lr = 0.01
        >>> b.optimizer.lr, rule.lr
        (0.1, 0.1)
        >>> rule.lr = 0.5
        >>> a.optimizer.lr, b.optimizer.lr
        (0.5, 0.5)
        """
        if self._trainer is not None and self.built and not self._plan.is_compiled:
            ensure_compiled(self._network)
        trainer: Trainer | None = self._trainer
        return None if trainer is None else trainer.optimizer

    def fit(
        self,
        x: Arrays | Iterable[Any] | Parts,
        y: Arrays | None = None,
        *,
        epochs: int = 1,
        batch_size: int | None = 32,
        validation_split: float = 0.0,
        validation_data: Iterable[Any] | Parts | None = None,
        shuffle: bool | np.random.Generator | np.random.RandomState = True,
        sample_weight: Weights | None = None,
        class_weight: ClassWeight = None,
        callbacks: Iterable[Callback | Any] | Callback | None = (),
        initial_epoch: int = 0,
        verbose: Literal["auto"] | int = "auto",
        groups: ArrayLike | None = None,
        validation_freq: int | Iterable[int] = 1,
        validation_batch_size: int | None = None,
        validation_steps: int | None = None,
        steps_per_epoch: int | None = None,
        resume: bool = False,
        lengths: ArrayLike | None = None,
        mask: ArrayLike | None = None,
        step_losses: int | Literal["all"] = STEPS_KEPT,
        validation: Literal["random", "last"] | None = None,
        accumulate: int = 1,
    ) -> History:
        """Train the model.

        Parameters
        ----------
        x : array_like, iterable of batches, or Parts
            Samples [N, ...]. For several inputs, a list of arrays, or a dict by name. For one input of one feature, [N] is N rows.
            Or batches, with ``y=None``: each batch is ``(x, y)``, ``(x, y, sample_weight)`` or ``(x, y, sample_weight, lengths)``,
            a tuple or a list, and is one step. Batches come from a list, a data loader (whose ``len`` may be unknown) or any other
            iterable that can be iterated once per epoch, from an object with ``__getitem__`` and ``__len__``, or from a generator,
            which needs ``steps_per_epoch`` for more than one epoch. Or data in parts, which need not fit into memory:
            `nncore.data.parts`, `nncore.data.parquet`, and datasets of pyarrow and collections of Dask as they are.
        y : array_like
            Targets, in the form that the loss takes. For several outputs, a list of arrays, or a dict by name. If x is a dataset or
            table of pyarrow, or a frame of Dask, the names of their columns.
        epochs : int
            The epoch at which training ends, counted from 0. It is not a number of additional epochs if ``initial_epoch`` is set.
        batch_size : int or None
            Rows per step. The last batch may be smaller; it is used too. 1 is stochastic gradient descent. None, or N and more, is
            gradient descent on the whole data.
        validation_split : float
            Fraction of the rows that are used for validation. They are drawn with the model's seed, stratified if the targets are
            class labels. With ``shuffle=False`` or ``validation="last"`` they are the last rows. With ``groups`` they are whole
            groups.
        validation_data : tuple, or iterable of batches
            ``(x, y)`` or ``(x, y, sample_weight)``, an iterable of such batches, or data in parts. It replaces
            ``validation_split``.
        shuffle : bool or numpy.random.Generator or numpy.random.RandomState
            Whether to draw a new order of the rows for every epoch. A generator draws it in place of the model's seed, each order
            from the one before; such training cannot be resumed. For data in parts see `nncore.data.parts`.
        sample_weight : array_like, optional
            [N], or [N, time] if each time step of an output [N, time, features] has its own weight. The weights apply to the loss
            and to ``weighted_metrics``. With several outputs, one array applies to all of them. A list with one array per output,
            or a dict by name, gives each output its own; None or a missing entry means 1.
        class_weight : dict or "balanced", optional
            Class -> weight, multiplied into ``sample_weight`` during training. "balanced" gives rare classes larger weights (needs
            y). With several outputs, a dict by name, or a list with one per output: ``{"kind": {0: 1.0, 1: 5.0}}``.
        callbacks : sequence of Callback
            They are called in this order, then ``History``, then the progress bar.
        initial_epoch : int
            The number of the first epoch.
        verbose : "auto", 0, 1 or 2
            0: silent. 1: a progress bar on stderr. 2: a line per epoch, with its time. "auto": a bar if stderr is a terminal, or in
            a notebook.
        groups : array_like, optional
            [N] numbers or names, for ``validation_split``. All rows of a group (a patient, a recording) are on the same side of the
            split. The classes are distributed as evenly as whole groups allow.
        validation_freq : int or iterable of int
            An int: validate after every so many epochs. Otherwise: validate after these epochs, counted from 1.
        validation_batch_size : int, optional
            Rows per call of the batch hooks in validation; ``batch_size`` if None. The result does not depend on it.
        validation_steps : int, optional
            How many batches of ``validation_data`` to use, if it is an iterable of batches.
        steps_per_epoch : int, optional
            Number of batches in an epoch. Each epoch continues where the last one stopped. If the batches run out, training ends
            with a warning.
        resume : bool
            Whether to continue where the last ``fit`` stopped, also in the middle of an epoch. This works for the same model and
            for a loaded one. The result is bitwise equal to that of an uninterrupted training. Pass the same data and the same
            callbacks in the same order; the callbacks restore their state. Batches that were used already are skipped if the
            iterable can be iterated again. A generator continues with its next batch. ``epochs`` is the epoch at which training
            ends.
        lengths : array_like of int, optional
            [N]: the number of valid time steps of each sequence, in any order. The steps after them, in x and in y, are padding.
            Padding may have any value; it has no effect on loss, metrics and gradients. A mean is taken over the valid steps. With
            several inputs, the lengths apply to those inputs that have as many steps as the first input with more than one step. In
            batches and in ``validation_data`` the lengths are the fourth element, after ``sample_weight`` (which may be None).
        mask : array_like of bool, optional
            [N, time]: True for each valid time step, in place of lengths. Padding may then come first, as `pad_sequences` of Keras
            puts it, or lie between valid steps. Each sequence is computed as if it consisted of its valid steps alone. In batches
            and in ``validation_data`` it may be the fourth element.
        step_losses : int or "all"
            How many losses of single steps the history keeps. After more steps it keeps every second one, then every fourth and so
            on. "all" keeps 8 bytes for every step.
        validation : "random" or "last", optional
            Which rows ``validation_split`` takes: random ones, or the last ones (with ``groups`` the last groups), for rows in the
            order of time. Training rows are shuffled in either case, unless ``shuffle=False``. None: the last ones if
            ``shuffle=False``, else random ones.
        accumulate : int
            Number of batches of an update, whose gradients are added. So an update is that of ``accumulate * batch_size`` rows,
            with the memory of ``batch_size`` rows, but for rounding, batch statistics and dropout masks, which are those of each
            batch. Clipping, schedules and penalties apply to the sum. Steps are updates wherever they are counted: in callbacks,
            ``history.step_losses`` and ``model.step``. The last update of an epoch may have fewer batches. With batches of your
            own, ``steps_per_epoch`` still counts batches.

        Returns
        -------
        History
            Loss and metrics per epoch (``.history``), loss per step (``.step_losses``), a plot (``.plot()``).

        Raises
        ------
        NotCompiledError, ShapeError, DTypeError, LabelError, EmptyDataError, NonFiniteError, ArgumentError
            The model has not been trained then. An interrupt (Ctrl-C) or an error in a callback ends training between two steps.
            The model then keeps what it has learned so far.

        See Also
        --------
        nn.callbacks : stop early, save, log.
        nn.diagnose : why a net does not learn.

        Examples
        --------
        >>> import nncore as nn
        >>> model = nn.Sequential(nn.Linear(1, 1), seed=0)
        >>> model.compile(loss="mse", optimizer=nn.optim.SGD(lr=0.1))
        >>> history = model.fit([[0.0], [1.0]], [[1.0], [3.0]], epochs=200)
        >>> model.predict([[2.0]]).round(2)
        array([[5.]], dtype=float32)
        """
        arguments = training.FitArguments(
            epochs,
            batch_size,
            validation_split,
            validation_data,
            shuffle,
            sample_weight,
            class_weight,
            callbacks,
            initial_epoch,
            verbose,
            groups,
            validation_freq,
            validation_batch_size,
            validation_steps,
            steps_per_epoch,
            resume,
            either("fit", lengths, mask),
            step_losses,
            validation,
            accumulate,
        )
        return training.fit(self, x, y, arguments)

    def averaged_weights(self) -> AbstractContextManager[Self]:
        """Replace the parameters by their moving average inside a ``with`` block.

        The optimizer keeps this average if it has ``ema_momentum``. Inside the block, `evaluate`, `predict`, `save` and similar
        methods use the average, and training raises an error. The running statistics are not averaged. In models that share layers
        with this one, these layers are averaged too: what changes them inside the block is undone at its end.

        Raises
        ------
        ArgumentError
            The optimizer keeps no average.
        ConcurrentUseError
            Another thread trains the model.

        Examples
        --------
        >>> import nncore as nn
        >>> model = nn.Sequential(nn.Linear(1, 1, weight_init="zeros"))
        >>> model.compile(loss="mse", optimizer=nn.optim.SGD(lr=0.125, ema_momentum=0.5))
        >>> _ = model.fit([[1.0]], [[1.0]], epochs=2)
        >>> with model.averaged_weights():
        ...     model.predict([[0.0]])
        array([[0.3125]], dtype=float32)
        >>> model.predict([[0.0]])
        array([[0.375]], dtype=float32)
        """
        require_trainer(self._network, "averaged_weights")
        return AveragedWeights(self._plan, self, lambda: require_trainer(self._network, "averaged_weights"))

    # Sequences ----------------------------------------------------------------------------------------------------------------

    def reset_states(self) -> None:
        """Reset the states of stateful recurrent layers to zeros for the next training batch. `fit` does so at the start of every
        epoch; in a loop written by hand, call it where a new series begins.

        Examples
        --------
        >>> import nncore as nn
        >>> nn.Sequential(nn.GRU(2, 3, stateful=True)).build((5, 2)).reset_states()
        """
        self._network.require_parameters("reset_states")
        self._plan.reset_states()

    def step_gradient_norms(self) -> dict[str, np.ndarray]:
        """Return the norm of the gradient at each time step of each recurrent layer. It shows whether gradients vanish or explode.

        Call it after `forward` and `backward`. Entry t of a layer is the norm of the gradient with respect to the input of the
        gates at step t (``W_ih x_t + b_ih``), taken over samples, directions and gates.

        Returns
        -------
        dict
            The key is that of the layer and the number of its sublayer ("0.0", "0.1", ...); the value is float64 [time].

        Examples
        --------
        >>> import numpy as np
        >>> import nncore as nn
        >>> model = nn.Sequential(nn.RNN(1, 4), nn.Linear(4, 1), seed=0)
        >>> y = model.forward(np.ones((2, 30, 1)))
        >>> _ = model.backward(np.ones_like(y))
        >>> norms = model.step_gradient_norms()["0.0"]
        >>> bool(norms[0] < 1e-3 * norms[-1])
        True
        """
        return batches.step_gradient_norms(self._network)

    # Files and copies ---------------------------------------------------------------------------------------------------------

    def quantize(self, dtype: Literal["int8"] = "int8") -> QuantizedModel:
        """Return a model for inference whose weights are 8-bit integers. This model stays as it is.

        The weights of `Linear` and of recurrent layers become 8-bit integers, with a scale per output; inputs become 8-bit integers
        when they come, with a scale per row, so that there is nothing to calibrate. All else stays float32. The memory of the
        weights, and the time of predicting one row with a large model, shrink to about a quarter. The results differ by about one
        per cent; ``report`` of the quantized model says by how much, on data.

        Parameters
        ----------
        dtype : "int8"
            The format of the weights.

        Returns
        -------
        QuantizedModel
            A model of its own, with copies of all layers. It has the loss and the metrics of this one for `evaluate`.

        Raises
        ------
        NotBuiltError
            The parameters do not exist yet.
        NonFiniteError
            A weight holds NaN or an infinity.

        Examples
        --------
        >>> import numpy as np
        >>> import nncore as nn
        >>> model = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 16), seed=0)
        >>> small = model.quantize("int8")
        >>> x = np.random.default_rng(0).normal(size=(200, 64))
        >>> report = small.report(x)
        >>> bool(report.outputs[0].rms < 0.02)
        True
        >>> bool(report.bytes_after < 0.32 * report.bytes_before)
        True
        """
        from .quantization import quantize

        return quantize(self, dtype)

    def save_weights(self, path: str | os.PathLike[str], *, overwrite: bool = True) -> None:
        """Write `state_dict` into a safetensors file, and nothing else.

        Parameters
        ----------
        path : str or path-like
            The file. It is replaced in the same way as by `save`.
        overwrite : bool
            Whether to replace a file that exists.

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
        from ..saving.model_file import save_weights

        may_write("save_weights", path, overwrite)
        save_weights(self._network, path, self.state_dict)

    def load_weights(self, path: str | os.PathLike[str], strict: bool = True) -> IncompatibleKeys:
        """Copy weights from a file that `save_weights`, `save` or any other program that writes safetensors has made.

        Parameters
        ----------
        path : str or path-like
            The file.
        strict : bool
            Whether missing and unexpected keys are errors, as for `load_state_dict`.

        Returns
        -------
        IncompatibleKeys
            The missing and the unexpected keys.

        Raises
        ------
        FileFormatError
            The file is not a safetensors file, or is damaged.
        StateDictError, ShapeError
            The weights do not fit this model. Nothing has been loaded then.

        Examples
        --------
        >>> import os, tempfile
        >>> import nncore as nn
        >>> model = nn.Sequential(nn.Linear(2, 1))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     model.save(os.path.join(folder, "model.safetensors"))
        ...     model.clone().load_weights(os.path.join(folder, "model.safetensors"))
        IncompatibleKeys(missing_keys=[], unexpected_keys=[])
        """
        from ..saving.model_file import load_weights

        return load_weights(self._network, path, strict, self.load_state_dict)

    def _restore(self, path: str) -> None:
        """Restore weights, moments and the number of steps, as Keras's load_weights does."""
        from ..saving.backup import restore_training_state

        restore_training_state(self._network, path, progress=False)


put_elsewhere(Model, methods.OF_MODELS)

# Not of predict, train_on_batch and the other methods for single batches, whose calls are short.
for _name in ("compile", "fit", "build", "save_weights", "load_weights"):
    setattr(Model, _name, explained(vars(Model)[_name]))
