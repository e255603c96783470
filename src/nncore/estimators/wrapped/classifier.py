"""Classifier: any network as a classifier of scikit-learn."""

from __future__ import annotations

from typing import Any, ClassVar

from .._sklearn import HasMethods
from . import building
from .base import Wrapped
from .documentation import documented
from .predicting import Classifies


@documented
class Classifier(Classifies, Wrapped):
    """A classifier around any network.

    Parameters
    ----------
    build : callable or Model, optional
        ``build(n_features, n_outputs)`` returns a network. ``n_features`` is the size of the last dimension of X.
        ``n_outputs`` is the number of labels, and 1 for two classes; for these, a network with two outputs will do, too.
        If y has several columns of labels, ``n_outputs`` is a list of these numbers, and the network has an output for each. Then
        ``classes_`` and `predict_proba` are lists, as in scikit-learn's forests. Several inputs get the columns of X in order.
        Further parameters with defaults can be set by ``build__name``, in the constructor, by ``set_params`` and in searches.
        Or a model: each fit takes a copy of it with fresh weights, so the model itself is never trained. None is a hidden layer
        of 100 ReLU units.
    {step}
    {loss_of_labels}
    {training}
    {class_weight}
    {running}
    {build_params}

    Attributes
    ----------
    {fitted}
    {classes}
    {columns}

    Raises
    ------
    ShapeError
        In `fit`, if the last layer does not have an output for each class. The message names the layer and both shapes.

    See Also
    --------
    Regressor : the same for numbers.
    RecurrentClassifier : recurrent networks without ``build``.

    Examples
    --------
    >>> import nncore as nn
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.model_selection import GridSearchCV
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> def build(n_features, n_outputs, units=16, dropout=0.0):
    ...     hidden = nn.Linear(n_features, units), nn.ReLU(), nn.Dropout(dropout)
    ...     return nn.Sequential(*hidden, nn.Linear(units, n_outputs))
    >>> X, y = load_iris(return_X_y=True)
    >>> net = nn.estimators.Classifier(build, lr=0.01, epochs=60, random_state=0)
    >>> net.fit(X, y).score(X, y) > 0.9
    True
    >>> net.predict_proba(X[:2]).shape, net.predict_log_proba(X[:2]).shape
    ((2, 3), (2, 3))
    >>> net.partial_fit(X, y).predict(X[:2])
    array([0, 0])
    >>> margin = nn.estimators.Classifier(nn.Sequential(nn.Linear(4, 1)), loss="hinge")
    >>> margin.fit(X, y > 0).decision_function(X[:2]).shape
    (2,)
    >>> choices = {"classifier__build__units": [4, 16]}
    >>> search = GridSearchCV(make_pipeline(StandardScaler(), net), choices, cv=3)
    >>> bool(search.fit(X, y).best_score_ > 0.9)
    True

    Sequences of different lengths, with two features:

    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> sequences = [rng.normal(size=(steps, 2)) for steps in rng.integers(3, 9, size=40)]
    >>> labels = ["up" if each[:, 0].sum() > 0 else "down" for each in sequences]
    >>> recurrent = nn.Sequential(nn.GRU(2, 8), nn.Linear(8, 1))
    >>> net = nn.estimators.Classifier(recurrent, lr=0.03, random_state=0)
    >>> net.fit(sequences, labels).predict(sequences[:2]).shape
    (2,)
    """

    _accepts_sparse: ClassVar[bool] = True
    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **Wrapped._parameter_constraints,
        **Classifies._parameter_constraints,
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
        class_weight: Any = None,
        warm_start: bool = False,
        random_state: Any = None,
        verbose: Any = False,
        dtype: str = "auto",
        compute: Any = None,
        threads: Any = None,
        build_params: Any = None,
        **build__: Any,
    ) -> None:
        build_params = building.merged("Classifier", build_params, build__)
        del build__
        self._keep(locals())

    def _make(self, shape: tuple[int, ...], n_outputs: Any) -> tuple[Any, bool]:
        return building.construct(type(self).__name__, self.build, shape, n_outputs, self.build_params or {})
