"""Training in Keras's words: fit, evaluate, and the same for one batch.

This is the half of `Model` that knows about data. It checks and declares; the steps themselves run in the core, the loops around
them stand in fitting.py, and what is trained for, and how, in compiling.py.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from itertools import islice
from typing import Any

from . import binding, fitting
from ._checks import flag, real, whole
from .averaging import Averaging
from .binding import Data, are_batches, unpack
from .callbacks.base import Callback, CallbackList
from .callbacks.progress import ProgressBar
from .compiled import Compiled, results
from .data import ClassWeight, per_output
from .errors import ArgumentError
from .history import History
from .one_batch import OneBatch
from .predicting import NOBODY, as_list
from .progress import Progress
from .validation import all_rows, due_after, some_rows


class Trainable(Averaging):
    """What a model can do with a loss and an optimizer."""

    def fit(
        self,
        x: Any,
        y: Any = None,
        *,
        epochs: int = 1,
        batch_size: int | None = 32,
        validation_split: float = 0.0,
        validation_data: Any = None,
        shuffle: bool = True,
        sample_weight: Any = None,
        class_weight: ClassWeight = None,
        callbacks: Any = (),
        initial_epoch: int = 0,
        verbose: int | str = "auto",
        groups: Any = None,
        validation_freq: int | Iterable[int] = 1,
        validation_batch_size: int | None = None,
        validation_steps: int | None = None,
        steps_per_epoch: int | None = None,
        resume: bool = False,
        lengths: Any = None,
    ) -> History:
        """Train.

        Parameters
        ----------
        x : array_like or iterable of batches
            Samples [N, ...], or a list or a dict of them by name where the model has several inputs; or batches ``(x, y)`` or
            ``(x, y, sample_weight)``, one step each, with ``y=None``: a list, a data loader, anything that can be gone through once
            per epoch; or a generator, with ``steps_per_epoch``.
        y : array_like
            Targets, in the form that the loss takes; a list or a dict of them by name where the model has several outputs.
        epochs : int
            Train until this epoch, counted from 0 (not this many epochs more, if ``initial_epoch`` is set).
        batch_size : int or None
            Rows per step; the last, smaller batch is used too. 1 is stochastic gradient descent; None, or N and more, is
            gradient descent on the whole data.
        validation_split : float
            This part of the rows validates: drawn by the model's seed, stratified for class labels; with ``shuffle=False`` the
            last rows. With ``groups`` whole groups validate.
        validation_data : tuple, or iterable of batches
            ``(x, y)`` or ``(x, y, sample_weight)``; instead of ``validation_split``. Or batches of such.
        shuffle : bool
            Draw a new order of the rows for every epoch.
        sample_weight : array_like, optional
            [N], or [N, time] where the time steps of an output [N, time, features] have their own. Weighs the loss, and the metrics
            likewise. Where there are several outputs, for all of them; or a list with one per output, or a dict by name, in which
            None or what is missing weighs 1.
        class_weight : dict or "balanced", optional
            Class -> weight, multiplied into ``sample_weight`` while training; "balanced" weighs classes by rarity (with y only).
            Where there are several outputs, a dict by name, or a list with one per output: ``{"kind": {0: 1.0, 1: 5.0}}``.
        callbacks : sequence of Callback
            Called in this order, then ``History``, then the progress bar.
        initial_epoch : int
            The number of the first epoch.
        verbose : "auto", 0, 1 or 2
            0: silent. 1: a progress bar on stderr. 2: a line per epoch. "auto": a bar if stderr is a terminal.
        groups : array_like, optional
            [N] numbers or names, for ``validation_split``: rows of one group (a patient, a recording) all train or all validate,
            and the classes are shared out as evenly as whole groups allow.
        validation_freq : int or iterable of int
            Validate after every so many epochs; or after these, counted from 1.
        validation_batch_size : int, optional
            Rows per call of the hooks of batches in validation; ``batch_size`` if None. The result does not depend on it.
        validation_steps : int, optional
            How many batches of ``validation_data`` to take, where those are batches.
        steps_per_epoch : int, optional
            An epoch is so many of the batches, from where the last epoch ended; when they run out, training ends with a warning.
        resume : bool
            Go on where the last ``fit`` ended, in the model at hand or in the one that was loaded, also in the middle of an epoch:
            the result is that of a training that never stopped, to the bit. Pass the same data, and callbacks in the same
            order, which take up what they had counted. Batches that can be iterated again are skipped as far as they are done; a
            generator is taken as it stands. ``epochs`` is the epoch to train until.
        lengths : array_like of int, optional
            [N]: how many time steps of each sequence count, in any order. What lies beyond, in x and in y, is padding: it may be
            anything, and stays out of loss, metrics and gradients; a mean is over the steps that count. Of several inputs, they are
            for those that have as many steps as the first one with a time dimension. Batches and
            ``validation_data`` have theirs as a fourth element, after ``sample_weight`` (which may be None).

        Returns
        -------
        History
            Loss and metrics per epoch (``.history``), loss per step (``.step_losses``), ``.plot()``.

        Raises
        ------
        NotCompiledError, ShapeError, DTypeError, LabelError, EmptyDataError, NonFiniteError, ArgumentError
            Nothing has been trained then. An interrupt (Ctrl-C) or an error of a callback ends training between two steps and
            leaves the model as trained so far.

        Examples
        --------
        >>> import nncore as nn
        >>> model = nn.Sequential(nn.Linear(1, 1), seed=0)
        >>> model.compile(loss="mse", optimizer=nn.optim.SGD(lr=0.1))
        >>> history = model.fit([[0.0], [1.0]], [[1.0], [3.0]], epochs=200)
        >>> model.predict([[2.0]]).round(2)
        array([[5.]], dtype=float32)
        """
        with self._access.fitting():
            config = self._require_compiled("fit")
            epochs, initial_epoch = whole("fit", "epochs", epochs, 0), whole("fit", "initial_epoch", initial_epoch, 0)
            batch_size = None if batch_size is None else whole("fit", "batch_size", batch_size)
            fraction = real("fit", "validation_split", validation_split, 0.0, 1.0)
            if fraction and validation_data is not None:
                raise ArgumentError("fit: pass validation_split or validation_data, not both")
            if groups is not None and not fraction:
                raise ArgumentError("fit: groups say how validation_split divides the rows; pass validation_split too")
            if verbose not in ("auto", 0, 1, 2):
                raise ArgumentError(f"fit: verbose must be 'auto', 0, 1 or 2, not {verbose!r}")
            due = due_after(validation_freq)
            resume = flag("fit", "resume", resume)
            callbacks = as_list(callbacks)
            for callback in callbacks:
                resume |= isinstance(callback, Callback) and callback.before_fit(self)
            source: fitting.Epochs | fitting.Batches
            validation: fitting.Parts | None = None
            size = batch_size if validation_batch_size is None else whole("fit", "validation_batch_size", validation_batch_size)
            if y is None:
                balanced = any(isinstance(each, str) for each in per_output(class_weight, config.names))
                if fraction or sample_weight is not None or balanced or lengths is not None:
                    raise ArgumentError(
                        "fit: validation_split, sample_weight, lengths and class_weight='balanced' need y; batches carry their "
                        "own; class_weight may be a dict"
                    )
                if config.optimizer.full_batch:
                    raise ArgumentError(
                        f"fit: {type(config.optimizer).__name__} needs all rows at once, as arrays x and y, not batches"
                    )
                steps = None if steps_per_epoch is None else whole("fit", "steps_per_epoch", steps_per_epoch)

                def weighed(batch: Any) -> Data:
                    return binding.weigh(config, self._bind(config, *unpack(batch), elastic=True), None, class_weight)

                source = fitting.Batches(self, config, _iterable(x), weighed, steps)
            else:
                if steps_per_epoch is not None:
                    raise ArgumentError(
                        "fit: steps_per_epoch is for batches; with x and y, batch_size says how many steps there are"
                    )
                data, rows = self._bind(config, x, y, sample_weight, lengths, elastic=True), None
                if shuffle and self._is_stateful():
                    raise ArgumentError("fit: stateful layers need shuffle=False, so that each batch continues the one before")
                if fraction:
                    rows, held_out = binding.split(self, config, data, fraction, shuffle, groups)
                    validation = some_rows(data, held_out, size)
                data = binding.weigh(config, data, rows, class_weight)
                data.require_weight()
                if config.optimizer.full_batch:
                    batch_size, shuffle = None, False
                source = fitting.Epochs(self, config, data, rows, batch_size, shuffle)
            if validation_data is not None:
                validation = self._validation(config, validation_data, size, validation_steps)
            elif validation_steps is not None:
                raise ArgumentError("fit: validation_steps is for validation_data that are batches")
            begun = self._begun(source, initial_epoch) if resume else None
            run = range(initial_epoch if begun is None else begun.epoch, epochs)

            history = History()
            watchers = [*callbacks, history]
            shown = verbose in (1, 2) or (verbose == "auto" and sys.stderr is not None and sys.stderr.isatty())
            if shown and not any(isinstance(c, ProgressBar) for c in watchers):
                watchers.append(ProgressBar(lines=verbose == 2))
            params = {"epochs": epochs, "steps": source.steps, "verbose": verbose, "initial_epoch": run.start}
            params["do_validation"] = validation is not None
            hooks = CallbackList(watchers, self, params)
            loop: Any = fitting.fit
            if config.optimizer.full_batch:
                from . import minimising  # here, as few need it

                loop = minimising.fit
            loop(self, config, source, validation, due, run, begun, history, hooks)
            return history

    def _begun(self, source: fitting.Epochs | fitting.Batches, initial_epoch: int) -> Progress | None:
        """Return where to go on, checked against the data; None where nothing has begun."""
        if initial_epoch:
            raise ArgumentError("fit: resume=True knows the epoch to go on with; leave initial_epoch out")
        begun: Progress | None = self._progress
        if begun is not None:
            source.check(begun)
        return begun

    def _validation(self, config: Compiled, given: Any, size: int | None, steps: int | None) -> fitting.Parts:
        """Return what makes the batches of a validation from ``validation_data``."""
        if not are_batches(given):
            if steps is not None:
                raise ArgumentError("fit: validation_steps is for validation_data that are batches, not for arrays")
            before = self._built_for
            try:
                data = self._bind(config, *unpack(given), elastic=True)
            finally:
                if before is not None:
                    self._stretch(before)
            data.require_weight()
            return all_rows(data, size)
        steps = None if steps is None else whole("fit", "validation_steps", steps)
        if steps is None and iter(given) is given:
            raise ArgumentError("fit: a generator of validation batches needs validation_steps, or lasts for one epoch only")
        return lambda watched: (self._bind(config, *unpack(batch), elastic=True) for batch in islice(given, steps))

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
    ) -> Any:
        """Compute the loss and the metrics of data, as at inference.

        Parameters
        ----------
        x, y, sample_weight, lengths : array_like
            As for `fit`; also an iterable of batches, with ``y=None``.
        batch_size : int, optional
            Rows per call of the hooks of batches; the result does not depend on it.
        verbose : object
            Taken for Keras's sake; evaluation shows no progress.
        callbacks : sequence of Callback
            Their ``on_test_`` hooks are called.
        return_dict : bool
            Return a dict by name.
        steps : int, optional
            How many batches to take of an iterable of batches.

        Returns
        -------
        float, list or dict
            The loss; where there are several outputs or metrics, a list of the loss, the loss of each output, and the metrics (in
            the order of ``metrics_names``); or a dict.

        Examples
        --------
        >>> import nncore as nn
        >>> model = nn.Sequential(nn.Linear(1, 1, weight_init="ones"))
        >>> model.compile(loss="mse", optimizer="sgd", metrics=["mae"])
        >>> model.evaluate([[1.0], [2.0]], [[1.0], [4.0]])
        [2.0, 1.0]
        """
        with self._access.reading():
            config = self._require_compiled("evaluate")
        hooks = CallbackList(as_list(callbacks), self, {"verbose": verbose}) if callbacks else NOBODY
        parts: Iterable[Data]
        if y is None:
            if sample_weight is not None:
                raise ArgumentError("evaluate: sample_weight needs y; batches carry their own weights")
            limit = None if steps is None else whole("evaluate", "steps", steps)
            parts = (self._bind(config, *unpack(batch), elastic=True) for batch in islice(_iterable(x, "evaluate"), limit))
        elif steps is not None:
            raise ArgumentError("evaluate: steps is for batches; with x and y all rows are taken")
        else:
            data = self._bind(config, x, y, sample_weight, lengths, elastic=True)
            data.require_weight()
            parts = fitting.parts(data, batch_size, hooks.wants("on_test_batch_begin", "on_test_batch_end"))
        return results(fitting.evaluate(self, config, parts, hooks), return_dict)

    def train_on_batch(
        self,
        x: Any,
        y: Any,
        sample_weight: Any = None,
        class_weight: ClassWeight = None,
        return_dict: bool = False,
        lengths: Any = None,
    ) -> Any:
        """Do one training step on a batch.

        C-contiguous arrays of the model's dtype and shape (and integer class indices [N]) go to the core as they are, within
        a few microseconds; anything else is converted as in `fit`.

        Parameters
        ----------
        x, y, sample_weight, class_weight, lengths
            As for `fit`.
        return_dict : bool
            Return a dict by name.

        Returns
        -------
        float, list or dict
            The loss (and metrics) of the batch before the step, in the form that `evaluate` has.

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
        batch: OneBatch | None = self._batch  # the core looks whether it still is, once the model is entered
        if batch is not None and sample_weight is None and class_weight is None and lengths is None:
            done = batch.quick(self, x, y, return_dict)
            if done is not None:
                return done
        with self._access.training():
            config = self._require_compiled("train_on_batch")
            data = self._bind(config, x, y, sample_weight, lengths, elastic=True)
            data = binding.weigh(config, data, None, class_weight)
            if self._batch is None:
                self._restart_batches()
            return (self._batch or OneBatch(self, config)).step(self, data, return_dict)

    def test_on_batch(self, x: Any, y: Any, sample_weight: Any = None, return_dict: bool = False, lengths: Any = None) -> Any:
        """Compute the loss and the metrics of a batch: `evaluate` without hooks."""
        return self.evaluate(x, y, sample_weight=sample_weight, return_dict=return_dict, lengths=lengths)


def _iterable(batches: Any, who: str = "fit") -> Iterable[Any]:
    if not isinstance(batches, Iterable) or hasattr(batches, "shape"):
        raise ArgumentError(f"{who}: pass y; only an iterable of batches (x, y) goes without")
    return batches
