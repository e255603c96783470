"""What the estimators use of scikit-learn. No other module imports its private names, or asks for its version."""

from __future__ import annotations

import functools
import inspect
import os
import sys
from multiprocessing import parent_process
from threading import current_thread, main_thread
from typing import Any

import numpy as np

from .._core import limit_own_threads
from ..errors import MissingExtraError, require
from .in_parts import fit_blocks, given

_OLDEST = (1, 6)

_sklearn = require("sklearn", "sklearn", "nncore.estimators")
VERSION = tuple(int(part) for part in _sklearn.__version__.split(".")[:2])
if VERSION < _OLDEST:
    raise MissingExtraError(
        f'nncore.estimators needs scikit-learn 1.6 or newer, not {_sklearn.__version__}: pip install --upgrade "nncore[sklearn]"',
        name="sklearn",
    )

from joblib.parallel import get_active_backend  # noqa: E402
from sklearn.base import BaseEstimator as BaseEstimator  # noqa: E402
from sklearn.base import ClassifierMixin as ClassifierMixin  # noqa: E402
from sklearn.base import RegressorMixin as RegressorMixin  # noqa: E402
from sklearn.base import _fit_context  # noqa: E402
from sklearn.exceptions import ConvergenceWarning as ConvergenceWarning  # noqa: E402
from sklearn.utils import check_random_state as check_random_state  # noqa: E402
from sklearn.utils import column_or_1d as column_or_1d  # noqa: E402
from sklearn.utils._param_validation import HasMethods as HasMethods  # noqa: E402
from sklearn.utils._param_validation import Interval as Interval  # noqa: E402
from sklearn.utils._param_validation import Options as Options  # noqa: E402
from sklearn.utils._param_validation import StrOptions as StrOptions  # noqa: E402
from sklearn.utils.metaestimators import available_if as available_if  # noqa: E402
from sklearn.utils.multiclass import check_classification_targets as check_classification_targets  # noqa: E402
from sklearn.utils.multiclass import type_of_target as type_of_target  # noqa: E402
from sklearn.utils.multiclass import unique_labels as unique_labels  # noqa: E402
from sklearn.utils.validation import _check_sample_weight  # noqa: E402
from sklearn.utils.validation import check_array as check_array  # noqa: E402
from sklearn.utils.validation import check_consistent_length as check_consistent_length  # noqa: E402
from sklearn.utils.validation import check_is_fitted as check_is_fitted  # noqa: E402
from sklearn.utils.validation import check_X_y as check_X_y  # noqa: E402
from sklearn.utils.validation import validate_data as _validate_data  # noqa: E402

if VERSION >= (1, 9):
    from sklearn.callback import CallbackSupportMixin

    CallbackSupport: Any = CallbackSupportMixin
else:  # there are no callbacks
    CallbackSupport = type("CallbackSupport", (), {})


_checked: Any = _fit_context(prefer_skip_nested_validation=True)


def fitting(method: Any) -> Any:
    """Decorate `fit` and `partial_fit`: check the parameters, and open the contexts that scikit-learn wants around them.

    One of several workers computes on one thread. Callbacks of scikit-learn see what `fit` was called with (`watching`).
    """
    inner = _checked(method)

    @functools.wraps(method)
    def fit(estimator: Any, *args: Any, **kwargs: Any) -> Any:
        own = vars(estimator)
        if own.get("_skl_callbacks") and method.__name__ == "fit":
            passed = inspect.signature(method).bind(estimator, *args, **kwargs).arguments
            weight = passed.get("sample_weight")
            own["_watched"] = (passed["X"], passed.get("y"), {} if weight is None else {"sample_weight": weight})
        before = limit_own_threads(worker_threads())
        try:
            if given(args, kwargs):
                return fit_blocks(method, inner, estimator, args, kwargs)
            return inner(estimator, *args, **kwargs)
        finally:
            limit_own_threads(before)
            own.pop("_watched", None)

    return fit


def worker_threads() -> int:
    """Return 1 if joblib or Dask runs this thread as one of several workers that would use all cores each; else 0, for no limit.

    Processes of loky and Dask have their number of threads in OMP_NUM_THREADS, which the core respects.
    """
    in_dask = _is_dask_task()
    if not in_dask and get_active_backend()[0].nesting_level == 0:
        return 0
    is_process = parent_process() is not None
    is_main = current_thread() is main_thread()
    if is_process and "OMP_NUM_THREADS" in os.environ and (is_main or in_dask):
        return 0
    return int(is_process or not is_main)


def _is_dask_task() -> bool:
    get_worker = getattr(sys.modules.get("distributed"), "get_worker", None)  # a module of the user may have this name
    if get_worker is None:
        return False
    try:
        get_worker()
    except ValueError:
        return False
    return True


FLOATS = (np.float64, np.float32)  #: the dtypes that are kept; others become the first


class _Frame:
    """A frame of polars for scikit-learn before 1.9, which asks for names in a way that polars has given up."""

    def __init__(self, frame: Any) -> None:
        self.shape, self._frame = frame.shape, frame

    def __len__(self) -> int:
        return int(self.shape[0])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self._frame.to_numpy(), dtype)

    def __dataframe__(self, *_: Any, **__: Any) -> Any:
        return self

    def column_names(self) -> Any:
        return self._frame.columns


def validate_data(estimator: Any, X: Any, *args: Any, **checks: Any) -> Any:
    """Check data and the names of their columns as scikit-learn does."""
    if VERSION < (1, 9) and type(X).__module__.startswith("polars.") and not hasattr(X, "__dataframe__"):
        X = _Frame(X)
    return _validate_data(estimator, X, *args, **checks)


def check_sample_weight(weight: Any, X: Any) -> np.ndarray | None:
    """Return weights of rows as an array, or None."""
    if weight is None:
        return None
    found: np.ndarray = _check_sample_weight(weight, X, ensure_non_negative=True)
    return found


def fail_to_converge(search: dict[str, Any], most: int) -> int:
    """Return the number of iterations of L-BFGS. Warn as scikit-learn does if the search has not converged."""
    from types import SimpleNamespace

    from sklearn.utils.optimize import _check_optimize_result

    found = SimpleNamespace(**search)
    if found.nit >= most:  # fit has ended it
        found.status, found.message = 1, "STOP: TOTAL NO. OF ITERATIONS REACHED LIMIT"
    elif found.status not in (0, 1, 2):  # a callback has ended it
        found.status = 0
    iterations: int = _check_optimize_result("lbfgs", found, most)
    return iterations


def split(*arrays: Any, test_size: float, random_state: Any, stratify: Any) -> Any:
    """Return the two parts of each array that ``train_test_split`` returns, all first parts before all second parts."""
    from sklearn.model_selection import train_test_split

    found = train_test_split(*arrays, test_size=test_size, random_state=random_state, stratify=stratify)
    return found[::2], found[1::2]
