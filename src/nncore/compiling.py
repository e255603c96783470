"""Compiling in Keras's words: the loss, the optimizer and the metrics of a model, and when the core is told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from . import _core, binding
from .binding import Data
from .compiled import Compiled
from .errors import ArgumentError, ConcurrentUseError, NotCompiledError, ShapeError
from .history import History
from .losses import Loss
from .metrics import Metric
from .one_batch import OneBatch
from .optim import Optimizer
from .optim.groups import options as grouped
from .records import ParameterOptions, Shape
from .sequences import Sequences


class Compilable(Sequences):
    """What a model knows of the way it is trained."""

    stop_training: bool = False  #: a callback sets it to end training
    history: History | None = None  #: of the last fit

    def compile(
        self,
        loss: str | Loss | Sequence[str | Loss] | Mapping[str, str | Loss],
        optimizer: str | Optimizer,
        metrics: Any = (),
        *,
        loss_weights: Sequence[float] | Mapping[str, float] | None = None,
        l1: float = 0.0,
        l2: float = 0.0,
        check_finite: bool = False,
    ) -> None:
        """Say what to minimise, how, and what to watch. Starts the optimizer anew; the parameters stay.

        Parameters
        ----------
        loss : str or Loss
            Such as "binary_crossentropy" or ``nn.losses.Huber(delta=2)``; a list, or a dict by
            name of the output, where the model has several outputs.
        optimizer : str or Optimizer
            Such as "adam" or ``nn.optim.Adam(lr=1e-3)``.
        metrics : sequence of str or Metric
            Such as ``["accuracy", nn.metrics.F1()]``; a list of them per output, or a dict by name of the output, where
            there are several.
        loss_weights : sequence or dict of float, optional
            What the loss of each output counts in their sum.
        l1, l2 : float
            Penalties ``l1 * sum|w| + l2 * sum w**2`` on the weight matrices of all layers (not on biases, nor on what has one
            dimension), except where a layer or a group of the optimizer says otherwise. They are part of the loss that `fit`,
            `evaluate` and `train_on_batch` report, as those of the layers are.
        check_finite : bool, default False
            Look for NaN and infinity in the data of ``fit`` and ``evaluate``, and say where they are.

        Raises
        ------
        UnknownNameError
            A name is not known; the message has near matches.
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
        with self._access.changing():
            config = Compiled(loss, optimizer, metrics, loss_weights, check_finite, self.output_names, l1, l2)
            if self.built:
                self._attach(config)
            else:
                self._compiled = config

    @property
    def optimizer(self) -> Optimizer | None:
        """The optimizer, or None before ``compile``; its ``lr`` may be set."""
        config: Compiled | None = self._compiled
        if config is not None and self._attached is not config and self.built:
            self._attach_declared()
        return None if config is None else config.optimizer

    @property
    def metrics(self) -> list[Metric]:
        """The metrics of all outputs."""
        return [] if self._compiled is None else [m for each in self._compiled.metrics for m in each]

    @property
    def metrics_names(self) -> list[str]:
        """What `evaluate` returns, in order: "loss" and the metrics."""
        return [] if self._compiled is None else list(self._compiled.logged)

    def _told_in_words(self) -> list[str]:
        config = self._compiled
        if config is None:
            return []
        losses = {
            (f"{name}: " if len(config.names) > 1 else "") + repr(loss) + ("" if weight == 1 else f" * {weight:g}"): None
            for name, loss, weight in zip(config.names, config.losses, config.weights, strict=True)
        }
        penalties = [f"{name}={value:g}" for name, value in (("l1", config.l1), ("l2", config.l2)) if value]
        found = ["Loss: " + ", ".join([*losses, *penalties]), f"Optimizer: {config.optimizer!r}"]
        return [*found, "Metrics: " + ", ".join(config.logged[1 + len(config.parts) :])] if any(config.metrics) else found

    def _require_compiled(self, what: str) -> Compiled:
        config: Compiled | None = self._compiled
        if config is None:
            raise NotCompiledError(f"{what} needs a loss and an optimizer: call model.compile(loss=..., optimizer=...) first")
        if what in ("fit", "train_on_batch", "apply_gradients"):
            if self._averaged:
                raise ArgumentError(f"{what}: the average of the weights is in their place; train outside of averaged_weights()")
            if config.optimizer.full_batch and what != "fit":
                raise ArgumentError(f"{what}: {type(config.optimizer).__name__} needs the loss of all data at once; use fit")
        if config is not self._attached and self.built:
            return self._attach_declared()
        return config

    def _attach_declared(self) -> Compiled:
        """Tell the core what `compile` was told, unless another thread has done so."""
        with self._access.changing(patient=True):
            config: Compiled = self._compiled
            if config is not self._attached:
                self._attach(config)
        return config

    def _attach(self, config: Compiled, options: list[ParameterOptions] | None = None) -> None:
        """Tell the core. options: how each parameter is trained; None: as the layers say now."""
        with self._access.changing():
            losses = config.bind(self.output_shapes, self.output_activations)
            if options is None:
                options = grouped(self, config)
            self._compile(losses, config.optimizer.spec(), options, config.statistics, config)
            self._restart_batches()

    def _training(self, output_shapes: Sequence[Shape]) -> _core.Told | None:
        """Return what the core knows of training, for outputs of these shapes."""
        config, options = self._attached, self._options
        if config is None or options is None:
            return None
        return config.bind(output_shapes, self.output_activations), config.optimizer.spec(), options, config.statistics

    def _restart_batches(self) -> None:
        """Take the shapes of single batches anew."""
        config: Compiled | None = self._attached
        if config is None or config.optimizer.full_batch or self._averaged:
            self._batch = None
        else:
            self._batch = OneBatch(self, config)

    def _bind(self, config: Compiled, x: Any, y: Any, weight: Any, lengths: Any = None, elastic: bool = False) -> Data:
        """Bind data; where the shape of the model was open, they settle it, and what compile could not tell the core is told."""
        with self._access.reading():
            if not self.built:
                binding.inputs(self, x)
            self._stay_with(config)
            return binding.bind(self, config, x, y, weight, lengths, elastic)

    def _stay_with(self, config: Compiled) -> None:
        """See to it that the core still knows this configuration: another thread may have built the model anew.

        Raises
        ------
        ConcurrentUseError
            It has been compiled anew.
        """
        if self._attached is config:
            return
        if self._compiled is not config:
            raise ConcurrentUseError(
                "the model has been compiled anew in the midst of a call, by another thread or a callback; set "
                "model.stop_training, and compile and call again when it has ended"
            )
        self._attach_declared()

    def _be_ready(self, config: Compiled, data: Data) -> None:
        """See to it that the core knows this configuration and takes data of these shapes. The model has been entered."""
        while True:  # whoever waits to change the model lets others pass, who may change the other half
            self._stay_with(config)
            self._suit(data)
            if self._attached is config:
                return

    def _suit(self, data: Data) -> None:
        """Take the shapes that data were bound for, as a validation or a callback may have used others since."""
        if data.shapes and self._built_for != data.shapes:
            self._stretch(data.shapes)
        if data.shapes and self._built_for != data.shapes:
            raise ShapeError(f"the model takes {self.input_shapes} now, but the data were of {list(data.shapes)}")
