"""RecurrentClassifier: recurrent networks that classify sequences, or the steps of a series."""

from __future__ import annotations

from typing import Any, ClassVar, Self

import numpy as np

from .._sklearn import fitting
from ..wrapped.base import Wrapped
from ..wrapped.predicting import Classifies
from ..wrapped.samples import Samples
from . import series
from .network import ARCHITECTURE, CONSTRAINTS, network


class RecurrentClassifier(Classifies, Wrapped):
    """A recurrent network that classifies sequences.

    X is an array [sequences, steps] of one feature or [sequences, steps, features], or a list of sequences [steps, features] of
    different lengths. With ``window``, X is a series [time] or [time, features] or a list of series, and y has a label for each
    step.

    Parameters
    ----------
    cell : {"rnn", "gru", "lstm"}, default "gru"
        The kind of the recurrent layers.
    hidden_sizes : int or sequence of int, default (64,)
        The units of each recurrent layer. The last states of the last one go through a linear layer.
    bidirectional : bool, default False
        Whether the layers also read the sequences from their ends.
    dropout : float, default 0
        The rate of dropout after each recurrent layer.
    window : int, optional
        X is then a series, and this is the number of steps that a prediction is made from. None: each row is a sequence.
    horizon : int, default 0
        With ``window``: how many steps after the window the label is. 0 is the last step of the window.
    stride : int, default 1
        With ``window``: steps from one window of training to the next.
    scale : bool, default True
        With ``window``: whether the network gets each feature with mean 0 and standard deviation 1, as in training.
    optimizer : str or Optimizer, default "adam"
        A name or an object of ``nn.optim``.
    lr : float or callable, optional
        The learning rate or a schedule of ``nn.schedules``. None is that of the optimizer.
    loss : str, Loss or callable, default "auto"
        "auto" is the cross-entropy for the labels and for the last layer, which may end in an activation (`Sigmoid`, `Softmax`) or
        not. A name, an object of ``nn.losses``, or a function or an object of your own. Your own gets 0 and 1 in the shape of the
        output.
    metrics : sequence of str or Metric
        What ``history_`` records besides the loss. For class numbers or 0 and 1, as the network gets them.
    epochs : int, default 100
        Passes over the rows. With ``early_stopping`` the largest number.
    batch_size : int or None, default 32
        Rows per step. None is all rows.
    shuffle : bool, default True
        Whether to draw a new order of the rows for each epoch.
    callbacks : sequence of Callback, optional
        Objects of ``nn.callbacks``, or of the same form.
    early_stopping : bool, default False
        Whether to validate after each epoch, to end when ``val_loss`` has not become better, and to keep the best weights. The rows
        are those of ``validation_data`` in `fit`, or a random part of the training rows.
    validation_fraction : float, default 0.1
        That part.
    n_iter_no_change : int, default 10
        With ``early_stopping``: the number of epochs without improvement that end training.
    tol : float, default 0
        With ``early_stopping``: a smaller change is no improvement.
    class_weight : dict, "balanced" or None
        The weight of each label. "balanced" gives rare ones larger weights.
    warm_start : bool, default False
        Whether another `fit` goes on with the weights of the last one.
    random_state : int, RandomState or None
        Determines initial weights, dropout masks, the order of rows and the part for validation.
    verbose : bool or int, default False
        1 shows a progress bar, 2 a line for each epoch.
    dtype : {"auto", "float32", "float64"}
        In what the network computes. "auto" is float32 for X in float32, and float64 otherwise, as elsewhere in scikit-learn.
        float32 takes about half the time.
    compute : {"float32", "bfloat16", "auto"}, optional
        In what products are computed; see `nn.Model`. None is what the model says.
    threads : int, optional
        The largest number of threads. None is that of the process.

    Attributes
    ----------
    model_ : Model
        The trained network.
    history_ : History
        Loss and metrics of each epoch of the last fit.
    loss_curve_, validation_loss_curve_ : list of float
        The losses of all epochs. The second one is empty without validation.
    n_iter_ : int
        The number of epochs.
    classes_ : ndarray of shape (n_classes,)
        The labels, sorted.
    n_features_in_ : int
        The number of features.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        The names of the columns, if X is a frame with names.

    See Also
    --------
    nncore.split_series, nncore.WindowSplit : fair validation of series.

    Examples
    --------
    >>> import numpy as np
    >>> import nncore as nn
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(100, 12))  # 100 sequences of 12 steps
    >>> y = np.where(X.sum(axis=1) > 0, "rise", "fall")
    >>> net = nn.estimators.RecurrentClassifier(hidden_sizes=(16,), epochs=40, lr=0.01, random_state=0)
    >>> net.fit(X, y).score(X, y) > 0.9
    True

    A label for each step of a series, from the 5 steps up to it:

    >>> series = rng.normal(size=300)
    >>> is_high = np.convolve(series, np.ones(5))[:300] > 0
    >>> net.set_params(window=5).fit(series, is_high).score(series, is_high) > 0.9
    True
    """

    _rows_are_sequences: ClassVar[bool] = True
    _scale: series.Scale
    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **Wrapped._parameter_constraints,
        **Classifies._parameter_constraints,
        **CONSTRAINTS,
    }

    def __init__(
        self,
        *,
        cell: str = "gru",
        hidden_sizes: Any = (64,),
        bidirectional: bool = False,
        dropout: float = 0.0,
        window: Any = None,
        horizon: int = 0,
        stride: int = 1,
        scale: bool = True,
        optimizer: Any = "adam",
        lr: Any = None,
        loss: Any = "auto",
        metrics: Any = (),
        epochs: int = 100,
        batch_size: Any = 32,
        shuffle: bool = True,
        callbacks: Any = None,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 10,
        tol: float = 0.0,
        class_weight: Any = None,
        warm_start: bool = False,
        random_state: Any = None,
        verbose: Any = False,
        dtype: str = "auto",
        compute: Any = None,
        threads: Any = None,
    ) -> None:
        self._keep(locals())

    def _make(self, n_features: int, n_outputs: int) -> tuple[Any, bool]:
        return network(self, n_features, n_outputs)

    def _architecture(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in ARCHITECTURE}

    @fitting
    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        lengths: Any = None,
        mask: Any = None,
        validation_data: Any = None,
    ) -> Self:
        """Train a new network.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_steps) or (n_samples, n_steps, n_features), or list of sequences
            With ``window``: a series of shape (n_steps,) or (n_steps, n_features), or a list of series.
        y : array-like of shape (n_samples,)
            Labels; with ``window`` those of the steps, and a list for a list of series.
        sample_weight : array-like of shape (n_samples,), optional
            With ``window``: weights of the steps that have the labels.
        lengths : array-like of shape (n_samples,), optional
            The number of valid steps of each sequence; the rest is padding.
        mask : array-like of shape (n_samples, n_steps), optional
            Which steps are valid, in place of ``lengths``.
        validation_data : tuple, optional
            ``(X, y)`` to validate on. With ``window`` and ``early_stopping``, the default is the last part of each series.

        Returns
        -------
        object
            The estimator itself.
        """
        found: Self = self._fit(X, y, sample_weight, lengths, mask, validation_data)
        return found

    def _fit(self, X: Any, y: Any, sample_weight: Any = None, *others: Any, is_partial: bool = False, classes: Any = None) -> Self:
        held = others[2] if len(others) > 2 else None
        self._refuse_changes(is_partial)
        if self.window is not None:
            if self.early_stopping and held is None and not is_partial and y is not None:
                every = [series.plain(each) for each in (y if series.several(X) else [y])]
                if all(each.ndim == 1 or each.shape[-1] == 1 for each in every):  # the last part may have labels of its own
                    classes = np.concatenate([each.reshape(-1) for each in every])
            X, y, sample_weight, held = series.prepared(self, X, y, sample_weight, () if is_partial else held, -1)
        super()._fit(X, y, sample_weight, *others[:2], validation_data=held or None, is_partial=is_partial, classes=classes)
        return self

    def _read(self, X: Any, y: Any, lengths: Any, mask: Any, reset: bool) -> tuple[Samples, Any]:
        if self.window is None:
            return super()._read(X, y, lengths, mask, reset)
        if lengths is not None or mask is not None:
            raise ValueError("All windows have the same length; lengths and mask are for window=None.")
        if isinstance(y, str) and y == "no y":
            return Samples(series.ends(self, X, self._scale)), y
        many = series.tables(self, X, reset)
        if y is None:
            raise ValueError(f"{type(self).__name__} requires y to be passed, but the target y is None")
        labels = series.targets_of(X, y, many)
        if reset:
            self._scale = series.Scale(many, self.scale)
        x, found = series.pairs(self, [self._scale(each) for each in many], labels, int(self.horizon))
        return Samples(x), found if self.horizon < 2 else found[:, -1]

    def score(self, X: Any, y: Any, sample_weight: Any = None, *, lengths: Any = None, mask: Any = None) -> float:
        """Return the accuracy. With ``window``: that of the steps that have a window.

        Parameters
        ----------
        X, y, sample_weight, lengths, mask
            See `fit`.
        """
        if self.window is not None and getattr(X, "ndim", 0) != 3:
            _, _, sample_weight, _ = series.prepared(self, X, y, sample_weight, (), -1)
            many = series.tables(self, X, reset=False)
            X, y = series.pairs(self, many, series.targets_of(X, y, many), int(self.horizon))
            y = y if self.horizon < 2 else y[:, -1]
        return super().score(np.asarray(X) if self.window is not None else X, y, sample_weight, lengths=lengths, mask=mask)
