"""Regressor: any network as a regressor of scikit-learn."""

from __future__ import annotations

from typing import Any, ClassVar

from .._sklearn import HasMethods
from . import building
from .base import Wrapped
from .documentation import documented
from .predicting import Regresses


@documented
class Regressor(Regresses, Wrapped):
    """A regressor around any network.

    Parameters
    ----------
    build : callable or Model, optional
        ``build(n_features, n_outputs)`` returns a network. ``n_features`` is the size of the last dimension of X.
        ``n_outputs`` is the number of targets of a row, or what the loss needs for them (two for a mean and a variance).
        Several inputs and outputs of the network get the columns of X and y in order, each as many as it is wide.
        Further parameters with defaults can be set by ``build__name``, in the constructor, by ``set_params`` and in searches.
        Or a model: each fit takes a copy of it with fresh weights, so the model itself is never trained. None is a hidden layer
        of 100 ReLU units.
    {step}
    {loss_of_numbers}
    {training}
    {running}
    {build_params}

    Attributes
    ----------
    {fitted}
    {columns}

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
    ...     return nn.Sequential(
    ...         nn.Linear(n_features, units), nn.ReLU(), nn.Linear(units, n_outputs)
    ...     )
    >>> net = nn.estimators.Regressor(
    ...     build, lr=0.01, loss="huber", early_stopping=True, random_state=0
    ... )
    >>> bool((cross_val_score(net, scale(X), scale(y), cv=3) > 0.3).all())
    True
    >>> net.set_params(early_stopping=False).fit(X, y).partial_fit(X, y).predict(
    ...     X[:2]
    ... ).shape
    (2,)
    >>> net.set_params(build__units=8).get_params()["build__units"]
    8
    """

    _checks: ClassVar[dict[str, Any]] = {"y_numeric": True}
    _accepts_sparse: ClassVar[bool] = True
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

    def _make(self, shape: tuple[int, ...], n_outputs: Any) -> tuple[Any, bool]:
        return building.construct(type(self).__name__, self.build, shape, n_outputs, self.build_params or {})
