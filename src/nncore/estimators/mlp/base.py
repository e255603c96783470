"""The multi-layer perceptron behind `MLPClassifier` and `MLPRegressor`: from checked arguments to a trained network."""

from __future__ import annotations

import warnings
from abc import abstractmethod
from collections.abc import Callable
from itertools import chain
from numbers import Integral, Real
from operator import index
from typing import Any, ClassVar

import numpy as np

from ... import layers, losses, optim
from ...models import Sequential
from ...training.hooks import checked
from .. import seeds
from .._sklearn import CallbackSupport, ConvergenceWarning, HasMethods, Interval, Options, StrOptions, fail_to_converge, split
from ..base import BLOCK, Estimator, unchanged_by_errors
from ..batches import SparseBatches
from ..targets import Targets
from ..watching import all_of
from .course import Course, Held, Lines
from .layers import ACTIVATIONS, Views, copy_weights, initialise, linear_layers, per_layer, stack
from .objectives import Constants, Objective
from .penalty import go_on, set_l2

_FTOL = 2.220446049250313e-09  # SciPy's default
_RULES = {name: rule for name, rule in optim.OPTIMIZERS.items() if not rule.full_batch and name not in ("sgd", "adam")}


class MLP(CallbackSupport, Estimator):
    """Base of the two estimators."""

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "loss": [StrOptions({"log_loss", "focal", "squared_error", "absolute_error", *losses.LOSSES}), losses.Loss,
                 HasMethods(["value", "gradient"]), callable],
        "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
        "activation": [StrOptions({*ACTIVATIONS}), "array-like", layers.Layer, type],
        "solver": [StrOptions({"lbfgs", "sgd", "adam", *_RULES}), optim.Optimizer],
        "alpha": [Interval(Real, 0, None, closed="left")],
        "batch_size": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "learning_rate": [StrOptions({"constant", "invscaling", "adaptive"})],
        "learning_rate_init": [Interval(Real, 0, None, closed="neither")],
        "power_t": [Interval(Real, 0, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "shuffle": ["boolean"],
        "random_state": ["random_state"],
        "tol": [Interval(Real, 0, None, closed="left")],
        "verbose": ["verbose"],
        "warm_start": ["boolean"],
        "momentum": [Interval(Real, 0, 1, closed="both")],
        "nesterovs_momentum": ["boolean"],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="left")],
        "beta_1": [Interval(Real, 0, 1, closed="left")],
        "beta_2": [Interval(Real, 0, 1, closed="left")],
        "epsilon": [Interval(Real, 0, None, closed="neither")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left"), Options(Real, {np.inf})],
        "max_fun": [Interval(Integral, 1, None, closed="left")],
        "dropout": [Interval(Real, 0, 1, closed="left"), "array-like"],
        "batch_norm": ["boolean"],
        "callbacks": "no_validation",  # fit checks them
        "dtype": [StrOptions({"auto", "float32", "float64"})],
        "compute": [StrOptions({"float32", "bfloat16", "auto"}), None],
    }  # fmt: skip

    # Weights ------------------------------------------------------------------------------------------------------------------

    @property
    def coefs_(self) -> Views:
        """The weights of each layer, [inputs, outputs]: live views."""
        return Views(layer.weight.T for layer in linear_layers(self._fitted("coefs_")))

    @coefs_.setter
    def coefs_(self, values: Any) -> None:
        self.coefs_[:] = list(values)

    @property
    def intercepts_(self) -> Views:
        """The biases of each layer: live views."""
        return Views(layer.bias for layer in linear_layers(self._fitted("intercepts_")))

    @intercepts_.setter
    def intercepts_(self, values: Any) -> None:
        self.intercepts_[:] = list(values)

    @property
    def model_(self) -> Sequential:
        """The network."""
        found: Sequential = self._fitted("model_")
        return found

    def _fitted(self, name: str) -> Any:
        model = vars(self).get("_model")
        if model is None:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}; call fit first")
        return model

    # Fit ----------------------------------------------------------------------------------------------------------------------

    @abstractmethod
    def _read(self, X: Any, y: Any, weight: Any, reset: bool, classes: Any) -> tuple[Any, Any, Any, Targets]:
        """Return checked X, y and weights of rows, and what is known of the targets."""

    @abstractmethod
    def _objective(self, targets: Any, y: Any) -> Objective:
        """Return what is minimised."""

    @abstractmethod
    def _score_of(self, outputs: np.ndarray, y: np.ndarray, weight: Any) -> float:
        """Return the score of outputs for encoded targets."""

    def _begin_targets(self, targets: Any, goal: Objective) -> None:
        """Keep what is known of the targets."""
        self._targets, self._threshold = targets, goal.threshold

    def _strata(self, y: np.ndarray) -> Any:
        """Return the classes by which rows are split, or None."""
        return None

    @property
    def _is_stochastic(self) -> bool:
        return not (self.solver == "lbfgs" if isinstance(self.solver, str) else getattr(self.solver, "full_batch", False))

    def _fit(self, X: Any, y: Any, weight: Any, held: Any = None, is_partial: bool = False, classes: Any = None) -> None:
        hidden = self.hidden_layer_sizes
        hidden = list(hidden) if hasattr(hidden, "__iter__") else [hidden]
        if np.any(np.array(hidden) <= 0):
            raise ValueError(f"hidden_layer_sizes must be > 0, got {hidden}.")
        checked(self.callbacks)
        first = "_model" not in vars(self) or (not self.warm_start and not is_partial)
        with unchanged_by_errors(self):
            X, y, weight, targets = self._read(X, y, weight, first, classes)
            if self.early_stopping and is_partial:
                raise ValueError("partial_fit does not support early_stopping=True")
            goal = self._objective(targets, y)
            encoded = targets.encode(y, goal.form)
            generator = self._random_state = seeds.generator_of(self.random_state)
            if held is not None:
                held = self._read_held(held, targets, goal)
            sizes = [X.shape[1], *map(index, hidden), targets.columns]
            structure = self._structure(len(hidden))
            if first:
                model = self._model_of(sizes, structure, goal, seeds.peek(generator), X.dtype.name)
                initialise(model, generator, structure[0], self._last_activation(structure[0]))
            else:
                model = self._going_on(sizes, structure, goal, seeds.peek(generator), is_partial)
        if first:
            self._begin(sizes, targets, goal)
        self._model, self._made_of = model, structure
        if not is_partial or "_is_compiled" not in vars(self):
            self._ready()
        self._train(X, encoded, weight, held, goal, generator, is_partial)
        if not all(np.isfinite(each).all() for each in self._model.parameters()):
            raise ValueError(
                "Solver produced non-finite parameter weights. The input data may contain large values and need to be preprocessed."
            )

    def _read_held(self, given: Any, targets: Any, goal: Objective) -> Held:
        """Return the rows that the user wants to validate on."""
        if not isinstance(given, list | tuple) or len(given) not in (2, 3):
            raise ValueError("validation_data must be (X, y) or (X, y, sample_weight)")
        X, y, weight = self._validated(given[0], given[1], given[2] if len(given) > 2 else None, reset=False, **self._checks)
        return Held(X, targets.encode(y, goal.form), weight)

    _checks: ClassVar[dict[str, Any]] = {}  #: of the targets

    def _structure(self, count: int) -> tuple[Any, ...]:
        """Return the arguments that the layers beside the sizes depend on. count: of hidden layers."""
        activations, rates = per_layer("activation", self.activation, count), per_layer("dropout", self.dropout, count)
        return activations, [float(rate) for rate in rates], bool(self.batch_norm), self.dtype, self.compute or "float32"

    def _last_activation(self, hidden: list[Any]) -> Any:
        """Return the activation by which scikit-learn draws the weights of the outputs, also if there is no hidden layer."""
        own = [] if isinstance(self.activation, list | tuple | np.ndarray) else [self.activation]
        return (hidden[-1:] or own or ["relu"])[0]

    def _model_of(self, sizes: list[int], structure: tuple[Any, ...], goal: Objective, seed: int, dtype: str) -> Sequential:
        """Return a new network. dtype: for "auto"."""
        activations, rates, normalise, asked, compute = structure
        if asked != "auto":
            dtype = asked
        elif not self._is_stochastic:  # a line search needs the digits
            dtype = "float64"
        model = Sequential(stack(sizes, activations, rates, normalise, goal.activation), seed=seed, dtype=dtype, compute=compute)
        model.build((sizes[0],))
        return model

    def _going_on(self, sizes: list[int], structure: tuple[Any, ...], goal: Objective, seed: int, is_partial: bool) -> Sequential:
        """Return the network of the `fit` before. If other layers are asked for, then a new one with its weights."""
        if sizes != self._sizes:
            raise ValueError(f"the layers have the sizes {self._sizes}, but now {sizes} are asked for; use warm_start=False")
        if structure == self._made_of:
            return self.model_
        model = self._model_of(sizes, structure, goal, seed, self._model.dtype.name)
        copy_weights(self._model, model)
        if is_partial and not go_on(self._model, model):  # batch normalisation and PReLU have parameters of their own
            self.__dict__.pop("_is_compiled", None)
        return model

    def _begin(self, sizes: list[int], targets: Any, goal: Objective) -> None:
        """Reset the attributes for a new network."""
        self._begin_targets(targets, goal)
        self._sizes = sizes
        self.__dict__.pop("_is_compiled", None)
        self.n_iter_, self.t_, self.n_outputs_, self.n_layers_ = 0, 0, sizes[-1], len(sizes)
        self.out_activation_ = goal.activation
        for name in ("loss_curve_", "best_loss_", "validation_scores_", "best_validation_score_", "validation_loss_curve_"):
            self.__dict__.pop(name, None)

    def _ready(self) -> None:
        """Prepare the attributes for a `fit`, which goes on from those of the one before."""
        if not self._is_stochastic:
            return
        own = vars(self)
        if "loss_curve_" not in own:
            self.loss_curve_: list[float] = []
            self._no_improvement_count = 0
            self.validation_scores_: list[float] | None = None
            self.validation_loss_curve_: list[float] | None = None
            self.best_loss_: float | None = None
            self.best_validation_score_: float | None = None
        if self.early_stopping:
            self.best_validation_score_ = -np.inf if self.best_validation_score_ is None else self.best_validation_score_
            self.best_loss_ = None
        else:
            self.best_loss_ = np.inf if self.best_loss_ is None else self.best_loss_
            self.best_validation_score_ = None

    # The optimizer ------------------------------------------------------------------------------------------------------------

    def _optimizer(self) -> Any:
        """Return the optimizer. Its penalties are divided by the rows of a batch, as scikit-learn divides alpha."""
        rate, solver = float(self.learning_rate_init), self.solver
        if isinstance(solver, optim.Optimizer):
            rule: Any = type(solver)
            return rule(**{**solver.config(), **({} if solver.full_batch else {"divide_penalties": True})})
        if solver == "sgd":
            nesterov = bool(self.nesterovs_momentum and self.momentum > 0)
            return optim.SGD(rate, float(self.momentum), nesterov=nesterov, lr_in_momentum=True, divide_penalties=True)
        if solver == "adam":
            betas = (float(self.beta_1), float(self.beta_2))
            return optim.Adam(rate, betas, float(self.epsilon), epsilon_hat=True, divide_penalties=True)
        if solver == "lbfgs":
            return optim.LBFGS(tolerance_grad=float(self.tol), tolerance_change=_FTOL, max_eval=int(self.max_fun))
        named: Any = _RULES[solver]
        return named(lr=rate, divide_penalties=True)

    def _compile(self, goal: Objective, optimizer: Any, total: float) -> None:
        """Compile the network for a new `fit`. total: the weight of all rows."""
        l2 = 0.5 * float(self.alpha)
        self._model.compile(
            goal.loss,
            optimizer,
            weighted_metrics=["half_squared_error"] if goal.share != 1 else None,
            loss_weights=[goal.weight],
            l2=l2 / total if optimizer.full_batch else l2,
        )
        self._model.step = 0
        self._is_compiled = True

    # Training -----------------------------------------------------------------------------------------------------------------

    def _train(self, X: Any, y: np.ndarray, weight: Any, held: Any, goal: Objective, generator: Any, is_partial: bool) -> None:
        if not self._is_stochastic:
            self._search(X, y, weight, held, goal)
            return
        stops = self.early_stopping and not is_partial
        if stops and held is None:
            X, y, weight, held = self._hold_out(X, y, weight, generator)
        rows = X.shape[0]
        size = self._batch_size(rows)
        if not is_partial or "_is_compiled" not in vars(self):
            self._compile(goal, self._optimizer(), 1.0)
        else:
            set_l2(self._model, 0.5 * float(self.alpha))
        if held is not None and self.validation_scores_ is None:
            self.validation_scores_, self.validation_loss_curve_ = [], []
        order = generator if self.shuffle else False
        starts = np.arange(0, rows, size)
        batches = np.minimum(size, rows - starts)
        constant = self._constant(goal, y, weight, starts, batches, order)
        course = Course(self, goal, constant, batches, weight is not None, held, stops, is_partial)
        self.n_iter_ = 0
        epochs = 1 if is_partial else int(self.max_iter)
        try:
            self._run(X, y, weight, held, size, order, epochs, course)
            if not is_partial and self.n_iter_ == self.max_iter and not self._model.stop_training:
                warnings.warn(
                    f"Stochastic Optimizer: Maximum iterations ({self.max_iter}) reached and the optimization hasn't converged "
                    "yet.",
                    ConvergenceWarning,
                    stacklevel=6,
                )
        except KeyboardInterrupt:
            warnings.warn("Training interrupted by user.", stacklevel=6)
        finally:
            course.estimator = None
        if course.best is not None:
            self._model.set_weights(course.best)

    @staticmethod
    def _constant(goal: Objective, y: Any, weight: Any, starts: Any, batches: Any, order: Any) -> Callable[[], float]:
        """Return the function that tells what the reported loss of an epoch has beside the minimised one."""
        if weight is not None and goal.is_deviance:
            return Constants(goal, y, weight, starts, batches, seeds.twin(order) if order else None).of_epoch
        found = goal.constant(y, weight)
        return lambda: found

    def _run(self, X: Any, y: Any, weight: Any, held: Any, size: int, order: Any, epochs: int, course: Course) -> None:
        """Train the network for at most so many epochs."""
        callbacks = [course, *all_of(self, self.callbacks)]
        also: dict[str, Any] = {}
        if len(callbacks) > 1 and held is not None:  # so that they find val_loss in the logs
            also["validation_data"] = _batches_of(held)
        if hasattr(X, "toarray"):
            batches = SparseBatches(X, y, weight, size, order or None)
            self._model.fit(batches, epochs=epochs, callbacks=callbacks, verbose=0, step_losses=0, **also)
            return
        self._model.fit(
            X,
            y,
            epochs=epochs,
            batch_size=size,
            shuffle=order,
            sample_weight=weight,
            callbacks=callbacks,
            verbose=0,
            step_losses=0,
            **also,
        )

    def _search(self, X: Any, y: np.ndarray, weight: Any, held: Any, goal: Objective) -> None:
        """Train by L-BFGS on all rows."""
        total = float(X.shape[0] if weight is None else weight.sum())
        self._compile(goal, self._optimizer(), total)
        callbacks = [*([Lines()] if self.verbose else []), *all_of(self, self.callbacks)]
        also: dict[str, Any] = {} if held is None else {"validation_data": _batches_of(held)}
        if hasattr(X, "toarray") and not self.batch_norm:  # which needs the statistics of all rows
            X = SparseBatches(X, y, weight, max(1, BLOCK // max(1, X.shape[1])))
        else:
            X, also = X.toarray() if hasattr(X, "toarray") else X, {"y": y, "sample_weight": weight, **also}
        history = self._model.fit(X, epochs=int(self.max_iter), callbacks=callbacks, verbose=0, step_losses=0, **also)
        search = history.search
        whole = float(search["fun"])
        if goal.share != 1 and history.epoch:
            data = history.history["half_squared_error"][-1]
            whole += data * (goal.share - 1)
        self.loss_ = whole + goal.constant(y, weight)
        self.n_iter_ = fail_to_converge(search, int(self.max_iter))

    def _batch_size(self, rows: int) -> int:
        wanted = 200 if self.batch_size == "auto" else int(self.batch_size)
        if wanted > rows and self.batch_size != "auto":
            warnings.warn("Got `batch_size` less than 1 or larger than sample size. It is going to be clipped", stacklevel=7)
        size = min(wanted, rows)
        if not self.batch_norm or size == 1 or rows % size != 1:
            return size
        # A batch of one row has no variance to normalise by. All rows in one batch always fit.
        return next(each for each in chain(range(size, 1, -1), range(size, rows + 1)) if rows % each != 1)

    def _hold_out(self, X: Any, y: Any, weight: Any, generator: Any) -> tuple[Any, Any, Any, Held]:
        """Return the rows to train on, and those to validate on."""
        arrays = [X, y] if weight is None else [X, y, weight]
        train, held = split(*arrays, test_size=self.validation_fraction, random_state=generator, stratify=self._strata(y))
        if held[0].shape[0] < 2:
            raise ValueError("The validation set is too small. Increase 'validation_fraction' or the size of your dataset.")
        train, held = [*train, None][:3], [*held, None][:3]
        return train[0], train[1], train[2], Held(*held)


def _batches_of(held: Held) -> Any:
    """Return validation rows as `Model.fit` takes them."""
    if hasattr(held.X, "toarray"):
        return SparseBatches(*held, 1024)
    return held[:2] if held.weight is None else tuple(held)
