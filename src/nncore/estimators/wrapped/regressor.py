"""Regressor: any network as a regressor of scikit-learn."""

from __future__ import annotations

from typing import Any, ClassVar

from .._sklearn import HasMethods
from . import building
from .base import Wrapped
from .predicting import Regresses


class Regressor(Regresses, Wrapped):
    """A regressor around any network.

    Parameters
    ----------
    build : callable or Model, optional
        ``build(n_features, n_outputs)`` returns a network. ``n_features`` is the size of the last dimension of X.
        ``n_outputs`` is the number of targets of a row, or what the loss needs for them (two for a mean and a variance).
        Further parameters with defaults can be set by ``build__name``, in the constructor, by ``set_params`` and in searches.
        Or a model: each fit takes a copy of it with fresh weights, so the model itself is never trained. None is a hidden layer
        of 100 ReLU units.
    optimizer : str or Optimizer, default "adam"
        A name or an object of ``nn.optim``.
    lr : float or callable, optional
        The learning rate or a schedule of ``nn.schedules``. None is that of the optimizer.
    loss : str, Loss or callable, default "auto"
        "auto" is the mean squared error. A name, an object of ``nn.losses``, or a function or an object of your own.
    metrics : sequence of str or Metric
        What ``history_`` records besides the loss.
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
    build_params : dict, optional
        Further arguments of ``build``.
    **build__
        Parameters of ``build`` by name: ``build__units=64``.

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
    n_features_in_ : int
        The number of features.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        The names of the columns, if X is a frame with names.

    Raises
    ------
    ShapeError
        In `fit`, if the last layer does not have the shape of the targets. The message names the layer and both shapes.

    See Also
    --------
    Classifier : the same for labels.
    RecurrentRegressor : recurrent networks without ``build``, and forecasts.

    Examples
    --------
    >>> import nncore as nn
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn.model_selection import cross_val_score
    >>> from sklearn.preprocessing import scale
    >>> X, y = load_diabetes(return_X_y=True)
    >>> def build(n_features, n_outputs, units=16):
    ...     return nn.Sequential(nn.Linear(n_features, units), nn.ReLU(), nn.Linear(units, n_outputs))
    >>> net = nn.estimators.Regressor(build, lr=0.01, loss="huber", early_stopping=True, random_state=0)
    >>> bool((cross_val_score(net, scale(X), scale(y), cv=3) > 0.3).all())
    True
    >>> net.set_params(build__units=8).get_params()["build__units"]
    8
    """

    _checks: ClassVar[dict[str, Any]] = {"y_numeric": True}
    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **Wrapped._parameter_constraints,
        "build": [None, callable, HasMethods("state_dict")],
        "build_params": [None, dict],
    }

    def __init__(
        self,
        build: Any = None,
        *,
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
        warm_start: bool = False,
        random_state: Any = None,
        verbose: Any = False,
        dtype: str = "auto",
        compute: Any = None,
        threads: Any = None,
        build_params: Any = None,
        **build__: Any,
    ) -> None:
        build_params = building.merged("Regressor", build_params, build__)
        del build__
        self._keep(locals())

    def _make(self, n_features: int, n_outputs: int) -> tuple[Any, bool]:
        return building.construct(type(self).__name__, self.build, n_features, n_outputs, self.build_params or {})
