"""QuantizedModel: a model whose weights are 8-bit integers, for inference alone. `Model.quantize` makes it."""

from __future__ import annotations

import weakref
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .._checks import flag
from .._core import ModelCore
from .._declarations import explained, put_elsewhere
from ..data.sequences import either
from ..errors import ArgumentError, UnknownAttributeError
from ..foreign import methods
from ..optim import SGD
from ..training.configuration import Configuration
from ..training.trainer import Trainer
from .predicting import Predictor
from .quantization_report import QuantizationReport, compare

if TYPE_CHECKING:
    from ..losses import LossLike
    from ..metrics import MetricLike
    from ..typing import ArrayLike, Arrays

_AGAIN = 'train the model that was quantized, and call its quantize("int8") again'
_NO_GRADIENTS = f"a quantized model is for inference alone, and has no gradients; {_AGAIN}"
_FIXED = f"the weights of a quantized model are fixed; {_AGAIN}"
_NO_STATE = "a quantized model is not trained, so it has no state of training; use that of the model that was quantized"
_WHOLE = "a quantized model cannot be a part of another model; quantize the whole model"

#: What only models for training have -> what to do.
_OF_TRAINING = {
    **dict.fromkeys(
        ("fit", "train_on_batch", "backward", "apply_gradients", "zero_gradients", "gradients", "distributed"), _NO_GRADIENTS
    ),
    **dict.fromkeys(("step_gradient_norms", "parameter_options", "averaged_weights"), _NO_GRADIENTS),
    **dict.fromkeys(("reset_parameters", "load_state_dict", "set_weights", "load_weights", "load_keras_weights", "clone"), _FIXED),
    **dict.fromkeys(("optimizer", "history", "step", "stop_training", "trainable", "training", "reset_states"), _NO_STATE),
    "forward": "use model(x): forward keeps what backward needs, and a quantized model is for inference alone",
    "parameters": "use state_dict, which has the 8-bit integers and their scales",
    "named_parameters": "use state_dict, which has the 8-bit integers and their scales",
    "get_weights": "use state_dict, which has the 8-bit integers and their scales",
    "save_weights": "use save, whose file nn.load reads",
    "keras_weights": "Keras has no such weights; use that of the model that was quantized",
    "quantize": "it is quantized already",
    "seed": "nothing in a quantized model is random",
    "inputs": _WHOLE,
    "outputs": _WHOLE,
    "build": "build the model before you quantize it",
}


class QuantizedModel(Predictor):
    """A model whose weights are 8-bit integers, for inference alone. ``model.quantize("int8")`` and `nn.load` make it.

    The weights of `Linear` and of recurrent layers are 8-bit integers with one scale per output. Where such a layer multiplies, its
    inputs become 8-bit integers, too, with one scale per row that follows from the row itself. The sums are exact, and the results
    are float32, as is everything else: biases, activations, normalisation, embeddings, the state of an LSTM. So there is nothing to
    calibrate, one row does not depend on the others, and results are the same to the bit on all CPUs with AVX2, whatever else they
    have, and with any number of threads.
    Weights with fewer than 16 inputs or outputs stay float32.

    The model predicts (``model(x)``, `predict`), evaluates, streams, and is saved; it cannot be trained. It takes a quarter of the
    memory, and of the time where the time is that of reading weights: one row of a large model.

    Examples
    --------
    >>> import numpy as np
    >>> import nncore as nn
    >>> model = nn.Sequential(nn.Linear(32, 64), nn.ReLU(), nn.Linear(64, 4), seed=0)
    >>> small = model.quantize("int8")
    >>> small
    QuantizedModel(  # compute="int8"
      (0): Linear(in_features=32, out_features=64, bias=True)
      (1): ReLU()
      (2): Linear(in_features=64, out_features=4, bias=True)
    )
    >>> x = np.random.default_rng(0).normal(size=(100, 32))
    >>> bool(np.abs(small(x) - model(x)).max() < 0.02 * np.abs(model(x)).max())
    True
    >>> small.state_dict()["0.weight"].dtype
    dtype('int8')

    Notes
    -----
    Of a weight column w and of an input row x, with all operations in float32 and rounding to the nearest, ties to even::

        scale_w = max|w| / 127    q_w = round(w / scale_w)
        scale_x = max|x| / 127    q_x = round(x * (127 / max|x|))
        y = float32(sum(q_x * q_w)) * (scale_x * scale_w) + bias

    Where max is 0, or below 2**-119, the scale and the integers are 0. A row of x with NaN or an infinity gives NaN, but for layers
    that stay float32. Weights with NaN or an infinity cannot be quantized, which is a `NonFiniteError`. A weight with more than
    131,072 inputs stays float32, as the sums would exceed 32 bits.
    """

    _source: Any = None  #: a weak reference to the model that was quantized; None for a model from a file

    def __init__(self) -> None:
        raise ArgumentError('QuantizedModel: make it by model.quantize("int8"), or by nn.load')

    def _call_in_mode(self, x: Any, training: Any, out: np.ndarray | None) -> Any:
        """Answer ``model(x, training)``."""
        if flag("QuantizedModel(x)", "training", training):
            raise ArgumentError(f"QuantizedModel(x): training=True has no meaning for it: {_NO_GRADIENTS}")
        return ModelCore.__call__(self, x, out=out)

    def compile(
        self,
        loss: LossLike | Sequence[LossLike] | Mapping[str, LossLike],
        optimizer: None = None,
        metrics: Sequence[MetricLike | Any] | Mapping[str, Any] = (),
        *,
        weighted_metrics: Sequence[MetricLike | Any] | Mapping[str, Any] | None = None,
        loss_weights: Sequence[float] | Mapping[str, float] | None = None,
        check_finite: bool = False,
    ) -> None:
        """Set the loss and the metrics of `evaluate`. A model that was compiled before it was quantized has its own already.

        Parameters
        ----------
        loss, metrics, weighted_metrics, loss_weights, check_finite
            As for ``Model.compile``. The loss has no penalties on weights.
        optimizer : None
            There is none, because the model cannot be trained.

        Raises
        ------
        ArgumentError
            An optimizer is passed, or the loss or a metric does not fit the output of the model.

        Examples
        --------
        >>> import numpy as np
        >>> import nncore as nn
        >>> small = nn.Sequential(nn.Linear(16, 16), seed=0).quantize("int8")
        >>> small.compile(loss="mse", metrics=["mae"])
        >>> small.metrics_names
        ['loss', 'mae']
        """
        if optimizer is not None:
            raise ArgumentError(f"QuantizedModel.compile: it takes no optimizer: {_NO_GRADIENTS}")
        network = self._network
        with network.access.changing():
            names = network.output_names
            config = Configuration(loss, SGD(), metrics, loss_weights, check_finite, names, 0.0, 0.0, weighted_metrics)
            use_configuration(self, config)

    def report(
        self,
        x: Arrays,
        y: Arrays | None = None,
        *,
        model: Predictor | None = None,
        lengths: ArrayLike | None = None,
        mask: ArrayLike | None = None,
    ) -> QuantizationReport:
        """Compare this model with the one that was quantized, on data.

        Parameters
        ----------
        x : array_like, or a list or dict of them
            Samples as for `predict`; some hundreds like those to come are enough.
        y : array_like, optional
            Targets. With them, the loss and the metrics of both models are compared, too.
        model : Model, optional
            The model with which to compare. None: the one that was quantized, which must still exist, as this model does not keep
            it.
        lengths, mask : array_like, optional
            The valid time steps of each sequence, as for `predict`.

        Returns
        -------
        QuantizationReport
            ``print`` shows it as a table.

        Raises
        ------
        ArgumentError
            The model with which to compare no longer exists, has other layers, or is quantized itself.

        Examples
        --------
        >>> import numpy as np
        >>> import nncore as nn
        >>> layers = nn.Linear(32, 64), nn.ReLU(), nn.Linear(64, 4), nn.Softmax()
        >>> model = nn.Sequential(*layers, seed=0)
        >>> rows = np.random.default_rng(0).normal(size=(500, 32))
        >>> report = model.quantize("int8").report(rows)
        >>> report.outputs[0].rms < 0.02, report.outputs[0].agreement > 0.95
        (True, True)
        >>> report.bytes_after < 0.5 * report.bytes_before
        True
        """
        other = model if model is not None else self._source and self._source()
        if other is None:
            raise ArgumentError(
                "QuantizedModel.report: the model that was quantized no longer exists; pass the one with which to compare: "
                "report(x, model=model)"
            )
        if not isinstance(other, Predictor):
            raise ArgumentError(f"QuantizedModel.report: model must be a model, not {type(other).__name__}")
        if other.compute == "int8":
            raise ArgumentError("QuantizedModel.report: model must be one that is not quantized")
        return compare(self, other, x, y, either("report", lengths, mask))

    if not TYPE_CHECKING:

        def __setattr__(self, name: str, value: Any) -> None:
            if name[:1] != "_" and name != "feature_names":
                raise UnknownAttributeError(f"QuantizedModel.{name} cannot be set: {_NO_STATE}")
            super().__setattr__(name, value)


def use_configuration(model: QuantizedModel, config: Configuration) -> None:
    """Compile the plan of a quantized model for evaluation."""
    trainer = Trainer(config)
    config.is_advised = True  # advice is for training
    if model.built:
        trainer.attach(model._network)
    else:
        model._plan.trainer = trainer


def remember(model: QuantizedModel, source: Predictor) -> None:
    """Let the report know the model that was quantized, without keeping it."""
    model._source = weakref.ref(source)


put_elsewhere(QuantizedModel, {**_OF_TRAINING, **methods.OF_MODELS})

for _name in ("compile", "report"):
    setattr(QuantizedModel, _name, explained(vars(QuantizedModel)[_name]))
