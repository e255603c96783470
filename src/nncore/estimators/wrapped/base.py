"""What the estimators around a network of one's own have in common: from checked samples to a trained model."""

from __future__ import annotations

import copy
from abc import abstractmethod
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from math import ceil, isfinite
from numbers import Integral, Real
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np

from ... import optim
from ..._checks import shown
from ...callbacks import EarlyStopping
from ...config import threads
from ...data.in_parts import is_in_parts
from ...errors import ArgumentError
from ...models import Model
from .. import seeds
from .._sklearn import CallbackSupport, HasMethods, Interval, StrOptions, check_is_fitted, check_sample_weight
from ..base import BLOCK, Estimator, relative, unchanged_by_errors
from ..batches import SparseBatches
from ..in_parts import samples_of
from ..watching import all_of
from . import building, several
from .heads import Head
from .samples import NO_Y, Samples, read


class Given(NamedTuple):
    """What `fit` and `partial_fit` are called with."""

    X: Any
    y: Any
    weight: Any = None
    lengths: Any = None
    mask: Any = None
    held: Any = None  #: validation data
    is_partial: bool = False
    classes: Any = None
    exog: Any = None


class Wrapped(CallbackSupport, Estimator):
    """Base of the estimators around a network."""

    _accepts_sparse: ClassVar[bool] = False
    _rows_are_sequences: ClassVar[bool] = False
    _checks: ClassVar[dict[str, Any]] = {}  #: of the targets
    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "optimizer": [str, optim.Optimizer],
        "lr": [None, Interval(Real, 0, None, closed="neither"), callable],
        "loss": [str, HasMethods("spec"), HasMethods(["value", "gradient"]), callable, list, tuple, dict],
        "metrics": ["array-like"],
        "epochs": [Interval(Integral, 1, None, closed="left")],
        "batch_size": [Interval(Integral, 1, None, closed="left"), None],
        "shuffle": ["boolean"],
        "callbacks": [None, "array-like", object],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
        "warm_start": ["boolean"],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
        "dtype": [StrOptions({"auto", "float32", "float64"})],
        "compute": [StrOptions({"float32", "bfloat16", "auto"}), None],
        "threads": [Interval(Integral, 1, None, closed="left"), None],
    }

    _head: Head | several.Several
    _made_from: dict[str, Any]
    build: Any
    build_params: Any

    # Parameters ---------------------------------------------------------------------------------------------------------------

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the parameters; if ``deep``, also those of ``build``, with the prefix ``build__``."""
        found: dict[str, Any] = super().get_params(deep=deep)
        if deep and "build" in found:
            found.update(building.tunable(self.build, self.build_params))
        return found

    def set_params(self, **params: Any) -> Self:
        """Set parameters by name. Those of ``build`` have the prefix ``build__``."""
        own = {name: value for name, value in params.items() if not name.startswith(building.PREFIX)}
        further = {name: value for name, value in params.items() if name not in own}
        super().set_params(**own)
        if further:
            if not hasattr(self, "build"):
                super().set_params(**further)  # its error names what there is
            self.build_params = building.merged(type(self).__name__, self.build_params, further)
        return self

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        return tags

    # Results ------------------------------------------------------------------------------------------------------------------

    @property
    def model_(self) -> Model:
        """The trained model."""
        if "_model" not in vars(self):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute 'model_'; call fit first")
        found: Model = self._model
        return found

    # Fit ----------------------------------------------------------------------------------------------------------------------

    @abstractmethod
    def _make(self, shape: tuple[int, ...], n_outputs: Any) -> tuple[Any, bool]:
        """Return a network for samples of a shape, and whether its weights may have been loaded."""

    @abstractmethod
    def _set_targets(self, y: Any, weight: Any, reset: bool, classes: Any) -> tuple[Any, Any]:
        """Set ``_targets``. Return the number of outputs (a list for several columns of labels), and the weights of rows, with
        those of their classes."""

    @abstractmethod
    def _head_of(self, model: Any) -> Head | several.Several: ...

    @abstractmethod
    def _encoded(self, y: Any) -> Any: ...

    def _read(self, X: Any, y: Any, lengths: Any, mask: Any, reset: bool) -> tuple[Samples, Any]:
        """Return checked samples and targets."""
        return read(self, X, y, lengths, mask, reset, **self._checks)

    def _fit(self, given: Given) -> Self:
        """Train: a new model, or with ``warm_start`` or in `partial_fit` the same for longer."""
        is_partial = given.is_partial
        if is_partial and self.early_stopping:
            raise ValueError("partial_fit does not support early_stopping=True")
        self._refuse_changes(is_partial)
        first = "_model" not in vars(self) or not (self.warm_start or is_partial)
        with self._limited():
            with unchanged_by_errors(self):
                samples, y = self._read(given.X, given.y, given.lengths, given.mask, first)
                weight = check_sample_weight(given.weight, samples.x)
                n_outputs, weight = self._set_targets(y, weight, first, given.classes)
                weight, _ = relative(weight, samples.x.shape[0])
                seed = seeds.draw(seeds.generator_of(self.random_state))
                if first:
                    self._begin(samples, n_outputs, seed)
                elif not is_partial:
                    self._compile(self._model, self._head)
                held = None if given.held is None else self._validation(given.held)
                encoded = self._encoded(y)
            self._train(samples, encoded, weight, held, is_partial)
        return self

    def _architecture(self) -> dict[str, Any]:
        """Return the parameters that a network is made from, by name."""
        return {"build": self.build, **building.tunable(self.build, self.build_params)}

    def _refuse_changes(self, is_partial: bool) -> None:
        """Raise ValueError if training is to go on with a network that was made from other parameters."""
        if "_model" in vars(self) and (self.warm_start or is_partial):
            end = "call fit" if is_partial and not self.warm_start else "use warm_start=False"
            building.refuse_changes(type(self).__name__, self._made_from, self._architecture(), f"; {end} for a new network")

    def _limited(self) -> AbstractContextManager[None]:
        return nullcontext() if self.threads is None else threads(int(self.threads))

    def _begin(self, samples: Samples, n_outputs: Any, seed: int) -> None:
        """Make a model with fresh weights, and compile it. The estimator changes last."""
        shape = samples.x.shape[1:]
        made, may_be_loaded = self._make(shape, n_outputs)
        dtype = samples.x.dtype if self.dtype == "auto" else self.dtype
        model = building.fresh(made, may_be_loaded, shape, seed, dtype, self.compute)
        several.dealt(type(self).__name__, model, _dense(samples.x[:1]))
        head = self._head_of(model)
        self._compile(model, head)
        self._model, self._head, self._made_from = model, head, building.kept(self._architecture())
        self.loss_curve_: list[float] = []
        self.validation_loss_curve_: list[float] = []
        self.n_iter_ = 0

    def _compile(self, model: Any, head: Head | several.Several) -> None:
        metrics = self.metrics if isinstance(self.metrics, dict) else list(self.metrics)
        model.compile(head.loss, self._optimizer(), metrics=metrics)

    def _dealt(self, x: np.ndarray) -> Any:
        return several.dealt(type(self).__name__, self._model, x)

    def _optimizer(self) -> Any:
        rule = optim.get(self.optimizer)
        if self.lr is None:
            return rule
        rule = copy.deepcopy(rule) if isinstance(self.optimizer, optim.Optimizer) else rule
        if rule.full_batch:
            raise ArgumentError(f"{type(self).__name__}: {type(rule).__name__} has no learning rate; leave lr={shown(self.lr)} out")
        rule.lr = self.lr
        return rule

    def _validation(self, given: Any) -> Any:
        """Return validation data for `fit` of the model."""
        if not isinstance(given, tuple | list) or not 2 <= len(given) <= 4:
            raise ValueError("validation_data must be (X, y), (X, y, sample_weight) or (X, y, sample_weight, lengths).")
        X, y, weight, lengths = (*given, None, None)[:4]
        samples, y = self._read(X, y, lengths, None, reset=False)
        weight = check_sample_weight(weight, samples.x)
        if hasattr(samples.x, "toarray"):
            return SparseBatches(samples.x, self._encoded(y), weight, _rows_of_block(samples.x), deal=self._dealt)
        found = (self._dealt(samples.x), self._encoded(y), weight, samples.lengths)
        return found[: 4 if found[3] is not None else 3 if found[2] is not None else 2]

    def _train(self, samples: Samples, y: Any, weight: Any, held: Any, is_partial: bool) -> None:
        callbacks = all_of(self, self.callbacks)
        options: dict[str, Any] = {"validation_data": held}
        if self.early_stopping:
            callbacks.append(
                EarlyStopping("val_loss", min_delta=float(self.tol), patience=int(self.n_iter_no_change), restore_best_weights=True)
            )
            if held is None:
                options["validation_split"] = float(self.validation_fraction)
        size = None if self.batch_size is None else int(self.batch_size)
        if hasattr(samples.x, "toarray"):
            options = self._in_batches(samples.x, y, weight, size, **options)
        else:
            options |= {"x": self._dealt(samples.x), "y": y, "batch_size": size, "shuffle": bool(self.shuffle)}
            options |= {"sample_weight": weight, **samples.steps}
        self.history_ = self._model.fit(
            epochs=1 if is_partial else int(self.epochs),
            callbacks=callbacks,
            verbose=int(self.verbose),
            **options,
            **self._fit_options(),
        )
        history: Mapping[str, list[float]] = self.history_.history
        self.loss_curve_.extend(history.get("loss", []))
        self.validation_loss_curve_.extend(history.get("val_loss", []))
        self.n_iter_ += len(self.history_.epoch)
        if self.loss_curve_ and not isfinite(self.loss_curve_[-1]):
            raise ValueError(
                f"{type(self).__name__}: the loss has become {self.loss_curve_[-1]} after {self.n_iter_} epochs; scale the input, "
                "or take a lower learning rate"
            )

    def _in_batches(
        self, x: Any, y: Any, weight: Any, size: int | None, validation_data: Any, validation_split: float = 0.0
    ) -> dict[str, Any]:
        """Return the arguments of `fit` for sparse rows, which are made dense a batch at a time."""
        rows = x.shape[0]
        generator = np.random.default_rng([self._model.seed, self.n_iter_])

        def batches(which: np.ndarray, size: int, generator: Any) -> SparseBatches:
            chosen = [each[which] for each in y] if isinstance(y, list) else y[which]
            return SparseBatches(x[which], chosen, None if weight is None else weight[which], size, generator, self._dealt)

        order = np.arange(rows)
        if validation_split:
            drawn, count = generator.permutation(rows), ceil(rows * validation_split)
            if count == rows:
                raise ValueError(f"validation_fraction={validation_split} of {rows} rows leaves no row for training")
            validation_data, order = batches(drawn[:count], _rows_of_block(x), None), np.sort(drawn[count:])
        if self._model.optimizer.full_batch:
            return {"x": batches(order, _rows_of_block(x), None), "validation_data": validation_data}
        found = batches(order, size or len(order), generator if self.shuffle else None)
        return {"x": found, "validation_data": validation_data}

    def _fit_options(self) -> dict[str, Any]:
        return {}

    # Prediction ---------------------------------------------------------------------------------------------------------------

    def _outputs(self, X: Any, lengths: Any = None, mask: Any = None) -> Any:
        """Return what the network computes of samples, of several outputs a list."""
        if "_model" not in vars(self):
            check_is_fitted(self)
        if is_in_parts(X):
            return _joined([self._outputs(x) for x in samples_of(X)])
        samples, _ = self._read(X, NO_Y, lengths, mask, reset=False)
        if not hasattr(samples.x, "toarray"):
            return self._predicted(samples.x, samples.steps)
        step = _rows_of_block(samples.x)
        return _joined([self._predicted(samples.x[at : at + step].toarray(), {}) for at in range(0, samples.x.shape[0], step)])

    def _predicted(self, x: np.ndarray, steps: dict[str, Any]) -> Any:
        with self._limited():
            found = self._model.predict(self._dealt(x), **steps)
        if isinstance(found, dict):
            found = [found[name] for name in self._model.output_names]
        return found[0] if isinstance(found, list) and len(found) == 1 else found


def _joined(parts: list[Any]) -> Any:
    """Return the outputs of parts of the samples one after another."""
    return [*map(np.concatenate, zip(*parts, strict=True))] if isinstance(parts[0], list) else np.concatenate(parts)


def _dense(x: Any) -> Any:
    return x.toarray() if hasattr(x, "toarray") else x


def _rows_of_block(x: Any) -> int:
    return max(1, BLOCK // max(1, x.shape[1]))  # type: ignore[no-any-return]
